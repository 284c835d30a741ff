"""Numbers of a run to whoever keeps them.

The JSON lines file is always written; it needs nothing and our reports read it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exphil.errors import OutputError


class JsonLines:
    """One JSON object a line, appended: a resumed run goes on in its file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._writing():
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def log(self, kind: str, values: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            OutputError: it cannot be written.
        """
        with self._writing():
            self._file.write(json.dumps({"event": kind, **values}) + "\n")

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # what could not be written was told when it was logged
            self._file.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fix = "free some space or choose another --checkpoints-dir"
            raise OutputError(f"cannot be written ({error.strerror})", str(self._path), fix) from error
