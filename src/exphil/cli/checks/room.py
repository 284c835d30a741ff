"""Memory, disk, and the place where compiled code is kept.

What enters: two folders of the options. Nothing is made or left in them. What leaves: findings.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exphil.cli.checks.finding import OK, PROBLEM, WARNING, Asked, Finding
from exphil.cli.shown.drawing import shown_bytes
from exphil.errors import OutputError
from exphil.files import check_writable

LEAST_MEMORY, LITTLE_MEMORY = 500_000_000, 2_000_000_000
"""Bytes free: torch alone takes most of the first; a small training on a few games fits into the second."""
LEAST_DISK, LITTLE_DISK = 100_000_000, 2_000_000_000
"""Bytes free: snapshots of one small run; a few hundred parsed games and the snapshots of a large one."""


def memory(asked: Asked) -> Iterator[Finding]:
    """Main memory, within what a container is given."""
    from exphil.data.memory import measured

    found = measured()
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None
    yield judge_memory(found.free if found else None, found.total if found else None, machine)


def judge_memory(free: int | None, total: int | None, machine: int | None) -> Finding:
    """Bytes that can be had, that this process may use at most, and that the machine has; None where nobody says."""
    if free is None or total is None:
        return Finding("memory", OK, "this system does not say how much is free")
    words = f"{shown_bytes(free)} free of {shown_bytes(total)}"
    if machine is not None and total < machine:
        words += f" that a container may use (the machine has {shown_bytes(machine)})"
    if free < LITTLE_MEMORY:
        state = PROBLEM if free < LEAST_MEMORY else WARNING
        return Finding("memory", state, words, "close other programs; for many replays use --stream-chunk-size")
    return Finding("memory", OK, words)


def checkpoints(asked: Asked) -> Iterator[Finding]:
    """Where runs are kept."""
    yield look_at_folder("checkpoints", asked.checkpoints_dir, "--checkpoints-dir")


def cache(asked: Asked) -> Iterator[Finding]:
    """Where parsed games are kept."""
    yield look_at_folder("cache", asked.cache_dir, "--cache-dir")


def look_at_folder(name: str, folder: Path, flag: str) -> Finding:
    """A folder, or the one that it would be made in."""
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    remedy = f"choose another {flag}"
    try:
        check_writable(there / ".exphil_doctor", remedy)
    except OutputError as error:
        return Finding(name, PROBLEM, f"{folder}: {error.what}", remedy)
    return judge_disk(name, folder, shutil.disk_usage(there).free, remedy)


def judge_disk(name: str, folder: Path, free: int, remedy: str) -> Finding:
    """Bytes that are free there."""
    words = f"{folder} can be written, {shown_bytes(free)} free"
    if free < LITTLE_DISK:
        return Finding(name, PROBLEM if free < LEAST_DISK else WARNING, words, f"free some space, or {remedy}")
    return Finding(name, OK, words)


def compiled_code(asked: Asked) -> Iterator[Finding]:
    """Whether the next command finds what this one compiles."""
    from exphil.replays.kernels import item_slots

    yield judge_compiled(kept_in(item_slots))


def kept_in(function: Any) -> str | None:
    """The folder of a compiled function's machine code; None when there is no place for it."""
    return function.stats.cache_path or None


def judge_compiled(folder: str | None) -> Finding:
    """Without a place every process compiles anew."""
    if folder is None:
        what = "nowhere to keep it: every command compiles anew, which takes seconds"
        return Finding("compiled code", WARNING, what, "set NUMBA_CACHE_DIR to a folder that can be written")
    return Finding("compiled code", OK, f"is kept in {folder}")
