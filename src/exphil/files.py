"""Files: written so that at any moment there is the old one or the new one, and pages of JSON that people may edit.

What can go wrong: the folder cannot be made or written or the disk is full; then what stood there before is untouched
and no rest is left. A page that cannot be read is never written to.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from exphil.errors import DataError, OutputError

_UMASK = os.umask(0)
os.umask(_UMASK)  # it can only be read by setting it


UNFINISHED = re.compile(r"\.(.+)\.\w+\.part")
"""Names of files that are being written, or whose writer was killed; the group is the name that was meant."""


MOST_DIGITS = 1000
"""Of a whole number in a page of JSON; Python itself refuses more than 4,300."""


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
        raise OutputError(f"cannot be written ({_why(path, refused)}){kept}", str(path), fix) from error


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot be removed ({error.strerror})", str(path), "check who owns it") from error


def back_up(path: Path, count: int, fix: str, *, keep: bool) -> None:
    """Keep what stands at ``path`` as ``path.bak``, what was there as ``path.bak.1``, and so on.

    Whenever it is stopped, the newest content has a name. A file that was not written anew since it was last backed up
    is not backed up again.

    Args:
        path: A file that is about to be replaced whole (one that grows in its place would take its backup along); when
            there is none, nothing is done.
        count: How many are kept; older ones are removed. 0 does nothing.
        fix: What the reader of an error can do.
        keep: Whether ``path`` stays as well; else it is moved.

    Raises:
        OutputError: it cannot be done; what stands at ``path`` stays there.
    """
    if count == 0 or not path.exists():
        return
    names = [path.with_name(f"{path.name}.bak{f'.{age}' if age else ''}") for age in range(count)]
    try:
        if names[0].exists() and names[0].samefile(path):
            if not keep:
                path.unlink()
            return
        filled = next((age for age, name in enumerate(names) if not name.exists()), count)
        for age in range(min(filled, count - 1), 0, -1):
            names[age - 1].replace(names[age])
        if keep:
            _name_also(path, names[0])
        else:
            path.replace(names[0])
        for name in path.parent.glob(f"{glob.escape(path.name)}.bak.*"):
            number = name.suffix[1:]
            if number.isdecimal() and int(number) >= count:
                name.unlink()
    except OSError as error:
        raise OutputError(f"cannot be backed up ({_why(path, error)})", str(path), fix) from error


def _name_also(path: Path, name: Path) -> None:
    """Make ``name`` hold what ``path`` holds, replacing what it holds."""
    beside = name.with_name(f".{name.name}.{os.getpid()}.part")
    with contextlib.suppress(OSError):  # a file system without links
        beside.hardlink_to(path)
        beside.replace(name)
        return
    with path.open("rb") as file:
        place(name, lambda out: shutil.copyfileobj(file, out), durable=True)


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
        raise OutputError(f"cannot be written ({_why(path, error)})", str(path), fix) from error


def _why(path: Path, error: OSError) -> str:
    """Why a file cannot be written at ``path``: what stands where a folder should be, else what the system says."""
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        for folder in path.parents:
            if folder.is_file():
                return f"{folder} is not a folder"
    return error.strerror or str(error)


def read_json(path: Path, what: str, fix: str, missing: str | None = None) -> Any:
    """The values of a page of JSON.

    Args:
        path: The file.
        what: What it is not, if it is no such page: "not a registry of players, or damaged".
        fix: What to do then.
        missing: What to do when there is no such file (``fix`` by default).

    Raises:
        DataError: it cannot be read, is no JSON, or says something twice.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once_each, parse_int=_whole)
    except OSError as error:
        remedy = missing if missing is not None and isinstance(error, FileNotFoundError) else fix
        raise DataError(f"cannot be read ({error.strerror})", str(path), remedy) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{what}: {_plainly(error)}", str(path), fix) from None


def _plainly(error: Exception) -> str:
    """What is wrong with a page of JSON, for who never heard of Python."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: line {error.lineno}, column {error.colno}" if error.doc.strip() else "it is empty"
    if isinstance(error, UnicodeDecodeError):
        return "not JSON: it is not UTF-8 text"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"a number in it has more than {MOST_DIGITS:,} digits")
    return int(digits)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"'{name}' stands there twice")
        found[name] = value
    return found
