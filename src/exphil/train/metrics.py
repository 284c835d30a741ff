"""Numbers of a run to whoever keeps them.

The JSON lines file is always written; it needs nothing and our reports read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from exphil.errors import OutputError


class Logger(Protocol):
    """Where numbers of a run go."""

    def log(self, kind: str, values: Mapping[str, Any]) -> None:
        """One line: what kind of event, and its numbers."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class JsonLines:
    """One JSON object a line, appended: a resumed run goes on in its file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise OutputError(
                f"cannot be written ({error.strerror})", str(path), "choose another --checkpoints-dir"
            ) from error

    def log(self, kind: str, values: Mapping[str, Any]) -> None:
        """Append one line."""
        self._file.write(json.dumps({"event": kind, **values}) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
