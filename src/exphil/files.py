"""Writing a file so that at any moment there is the old one or the new one, never half of one.

What enters: a path and a function that writes into an open file. What can go wrong: the folder cannot be made or
written or the disk is full; then what stood there before is untouched and no rest is left.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from exphil.errors import OutputError

_UMASK = os.umask(0)
os.umask(_UMASK)  # it can only be read by setting it


UNFINISHED = re.compile(r"\.(.+)\.\w+\.part")
"""Names of files that are being written, or whose writer was killed; the group is the name that was meant."""


def place(path: Path, content: Callable[[BinaryIO], object], *, durable: bool) -> None:
    """Write a file whole or not at all: beside its place, then renamed.

    Args:
        path: Where it will stand; missing folders are made.
        content: Writes it, anywhere in it, and may read what it wrote.
        durable: Wait until the disk has it; without, losing power may leave an empty file, which its reader must see.

    Raises:
        OSError: it cannot be written; what stood there before is untouched.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
        ) as file:
            temporary = Path(file.name)
            content(file)  # type: ignore[arg-type]
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_UMASK)  # only its owner may read a temporary file
        temporary.replace(path)
    except BaseException:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise


def write(path: Path, content: Callable[[BinaryIO], object], fix: str) -> None:
    """``place`` a file for good.

    Args:
        path: Where it will stand; missing folders are made.
        content: Writes it.
        fix: What the reader of an error can do.

    Raises:
        OutputError: it cannot be written; what stood there before is untouched.
    """
    try:
        place(path, content, durable=True)
    except BaseException as error:
        refused = error if isinstance(error, OSError) else error.__context__  # torch hides the OSError behind its own
        if not isinstance(refused, OSError):
            raise
        kept = "; the file from before is untouched" if path.exists() else ""
        raise OutputError(f"cannot be written ({refused.strerror}){kept}", str(path), fix) from error


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot be removed ({error.strerror})", str(path), "check who owns it") from error


def size_bytes(paths: Iterable[Path]) -> int:
    """Bytes of some files; none for those that are not there."""
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def check_writable(path: Path, fix: str) -> None:
    """Try whether a file could be written at ``path``, before the work whose result goes there begins.

    What stands there is not touched; missing folders are made.

    Raises:
        OutputError: it cannot.
    """
    if path.is_dir():
        raise OutputError("is a folder", str(path), fix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as probe:
            probe.write(b"x")
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", str(path), fix) from error
