"""What every logger is, the record of the run as JSON lines, and the numbers that the other loggers draw."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

from exphil.errors import OutputError


class Logger(Protocol):
    """Keeps the numbers of one run.

    Attributes:
        trouble: One sentence for the user on why this logger keeps nothing any more; empty while all is well. Only the
            record of the run, ``JsonLines``, raises instead.
        place: One sentence for the user on where the numbers can be looked at; empty until that is known.
    """

    trouble: str
    place: str

    def log(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Keep some numbers.

        Args:
            kind: What happened: "batch", "epoch".
            step: Updates done so far.
            values: By name; may be nested.
        """

    def close(self) -> None:
        """Finish what was logged; a second time does nothing."""


class JsonLines:
    """One JSON object a line, appended: a resumed run goes on in its file."""

    def __init__(self, path: Path) -> None:
        self.trouble, self.place = "", str(path)
        self._path = path
        with self._writing():
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def log(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            OutputError: it cannot be written.
        """
        with self._writing():
            self._file.write(json.dumps({"event": kind, "update": step, **values}) + "\n")

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


def curves(kind: str, values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among some values, as what a chart draws; text and what is missing is left to the record.

    Args:
        kind: The first part of every name.
        values: Numbers, and mappings or sequences of them, nested as one likes. A number that is not finite stays: a
            loss that blew up should be seen.

    Returns:
        By the way to them, ``kind/outer/inner``; an item of a sequence is named by its place.
    """
    return dict(_numbers(kind, values))


def _numbers(name: str, value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, Real):
        yield name, float(value)
        return
    pairs: Any = ()
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, list | tuple):
        pairs = enumerate(value)
    for key, inner in pairs:
        yield from _numbers(f"{name}/{key}", inner)
