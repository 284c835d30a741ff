"""Main memory: what there is, what is free, what is used, within what a container is given.

What enters: nothing but the root of the file system, which a test replaces. What leaves: bytes. Linux says it in
``/proc/meminfo`` and in the control groups (version 2 and 1) that this process stands in; the tightest limit counts,
and pages of files, which the system gives up first, count as free. Elsewhere what the system says; None where it says
nothing. Nothing raises.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")


class Memory(NamedTuple):
    """Bytes there are and bytes that can be had without swapping."""

    total: int
    free: int


def free_bytes(root: Path = ROOT) -> int | None:
    """Memory that can be had without swapping; half of all memory where nobody says what others use."""
    found = measured(root)
    if found is not None:
        return found.free
    total = _physical_bytes()
    return None if total is None else total // 2


def total_bytes(root: Path = ROOT) -> int | None:
    """Memory that this process may use at most."""
    found = measured(root)
    return _physical_bytes() if found is None else found.total


def used_share(root: Path = ROOT) -> float | None:
    """How full the memory is, 0 to 1; the fuller one of the machine and of what a container is given."""
    shares = [1 - found.free / found.total for found in _known(root) if found.total > 0]
    return min(max(shares), 1.0) if shares else None


def measured(root: Path = ROOT) -> Memory | None:
    """The least total and the least free of the machine and the groups that this process stands in."""
    known = list(_known(root))
    return Memory(min(each.total for each in known), min(each.free for each in known)) if known else None


def _known(root: Path) -> Iterator[Memory]:
    yield from _windows()
    machine = _numbers(root / "proc" / "meminfo")
    if "MemTotal" not in machine or "MemAvailable" not in machine:
        return
    whole = Memory(machine["MemTotal"] * 1024, machine["MemAvailable"] * 1024)
    yield whole
    for folder, limit, taken, pages in _groups(root):
        most, used, stat = _number(folder / limit), _number(folder / taken), _numbers(folder / "memory.stat")
        if most is not None and used is not None and 0 < most < whole.total:  # version 1 writes 2^63 for no limit
            held = used - stat.get(f"{pages}inactive_file", 0) - stat.get(f"{pages}active_file", 0)
            yield Memory(most, min(max(most - held, 0), most))


def _groups(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Folders of the memory groups from this process up, and what their files are called.

    In a container the path may be that outside of it: then only the top is there, and it is the container's own.
    """
    top = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if number == "0" and not kinds:
            place, names = top, ("memory.max", "memory.current", "")
        elif "memory" in kinds.split(","):
            place, names = top / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        else:
            continue
        inside = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(inside), -1, -1):
            yield place.joinpath(*inside[:depth]), *names


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None  # "max" is no number


def _numbers(path: Path) -> dict[str, int]:
    """Lines ``Name: 12 kB`` or ``name 12``."""
    words = (line.replace(":", " ").split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) >= 2 and pair[1].isdecimal()}


def _physical_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _windows() -> list[Memory]:
    if sys.platform != "win32":
        return []
    import ctypes

    status = (ctypes.c_uint64 * 8)()  # MEMORYSTATUSEX: two 32-bit numbers (length, load), then seven of 64 bits
    ctypes.cast(status, ctypes.POINTER(ctypes.c_uint32))[0] = ctypes.sizeof(status)
    known = ctypes.windll.kernel32.GlobalMemoryStatusEx(status)
    return [Memory(int(status[1]), int(status[2]))] if known else []
