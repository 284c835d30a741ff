"""Where an export of a policy goes: its own earlier file is replaced, anything else that stands there is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from exphil.errors import OutputError
from exphil.files import check_writable
from exphil.train.runfiles import stem

FIX = "choose another --output"


def place(policy: Path, output: Path | None, ending: str, is_ours: Callable[[bytes], bool], what: str) -> Path:
    """The file to write.

    Args:
        policy: What is exported; beside it and under its name by default.
        output: The file, its suffix may be missing, or a folder that is there.
        ending: How the name ends, with its suffix.
        is_ours: Whether the bytes of a file that stands there are an earlier export.
        what: An earlier export, in words.

    Raises:
        OutputError: it cannot be written, or something else stands there.
    """
    own = Path(stem(policy) + ending)
    found = policy.with_name(own.name) if output is None else output / own if output.is_dir() else output
    if found.suffix != own.suffix:
        found = found.with_name(found.name + own.suffix)
    check_writable(found, FIX)
    try:
        held = found.read_bytes() if found.exists() else None
    except OSError as error:
        raise OutputError(f"cannot be read ({error.strerror})", str(found), FIX) from None
    if held is not None and not is_ours(held):
        raise OutputError(f"holds something else than {what}, so it is not replaced", str(found), FIX)
    return found
