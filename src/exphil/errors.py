"""Errors that a person can act on: what is wrong, where it comes from, what to do.

``ExphilError`` is the base of everything this package raises on purpose. The command line prints it without a
traceback and exits with ``exit_code``; any other exception is a defect of ours.

    ExphilError
    ├── OptionError      a flag, key, variable or combination of them that cannot be used (exit 2)
    ├── ReplayError      bytes that are not a game we can read
    ├── DataError        readable replays that do not add up to a training or test set
    ├── PolicyError      a snapshot or policy file that is damaged or does not fit
    └── OutputError      a place we cannot write to
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class ExphilError(Exception):
    """What is wrong, where, and what to do about it.

    Args:
        what: One sentence without a final full stop.
        where: The file, flag or key that it came from; empty when the sentence says it.
        fix: What the reader can do; empty when there is nothing.
    """

    exit_code = 1

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what, where, fix)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  hint: {self.fix}" if self.fix else text


class OptionError(ExphilError):
    """A flag, key, variable or combination of them that cannot be used."""

    exit_code = 2


class ReplayError(ExphilError):
    """Bytes that are not a game we can read."""


class DataError(ExphilError):
    """Readable replays that do not add up to what was asked for."""


class PolicyError(ExphilError):
    """A snapshot or policy file that is damaged or does not fit."""


class OutputError(ExphilError):
    """A place that cannot be written to."""


def extra(module: str, name: str, what_for: str) -> Any:
    """A library that only one of the extras installs.

    Args:
        module: What to import.
        name: The extra of pyproject.toml that brings it.
        what_for: What it is needed for, as half a sentence ("reading .7z archives").

    Raises:
        ExphilError: it is not installed; names the line that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ExphilError(
            f"{what_for} needs {module}, which is not installed", fix=f'pip install "exphil[{name}]"'
        ) from error
