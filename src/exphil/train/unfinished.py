"""Runs that did not end: what stopped, and the command that goes on.

A run that begins leaves ``NAME.incomplete`` beside its snapshot and takes it away when it ends in order, also when it
was interrupted and saved. A file whose process is gone tells of a run that was killed.

A process of this machine is known by its number and the moment it began, where the system tells it. Of a process of
another machine (a shared folder, another container), and of a file that is damaged, nothing can be known: such a run is
offered when none of its files changed for a day.

No torch: who lists runs asks as well. What can go wrong: the folder cannot be written, or a run of the same name is
going on. A damaged file is not fatal.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exphil.errors import DataError, OutputError
from exphil.files import UNFINISHED, read_json, remove, write
from exphil.train.runfiles import MARKER

SILENCE_S = 24 * 3600
"""How long the files of a run must rest before it counts as stopped, where its process cannot be looked for."""
_SNAPSHOT = r"(_batch|_interrupt|_epoch_\d+)?"
"""What follows a run's name; ``_best`` does not go on, and the last snapshot is written before it."""
_VANISHED = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True)
class Unfinished:
    """A run whose process is gone.

    Attributes:
        name: Of the run.
        marker: The file that tells of it; whoever removes it hears no more of the run.
        began: When; None where the marker is damaged.
        command: The words that were typed, without the program's own name; empty where the marker is damaged.
        newest: What resumes it: its newest snapshot, else the one that it was itself resumed from; None where nothing
            was saved.
    """

    name: str
    marker: Path
    began: datetime | None
    command: tuple[str, ...]
    newest: Path | None

    @property
    def go_on(self) -> str:
        """The command that goes on; from the beginning where nothing was saved, empty where nothing is known."""
        if self.newest is not None:
            return f"exphil train --resume {shlex.quote(str(self.newest))}"
        return f"exphil {shlex.join(self.command)}" if self.command else ""

    def __str__(self) -> str:
        when = f", begun {self.began:%Y-%m-%d %H:%M} UTC," if self.began else ""
        saved = "go on with" if self.newest else "nothing of it was saved yet; it was started with"
        how = f" {saved}: {self.go_on}" if self.go_on else " nothing of it was saved yet"
        return f"the run {self.name}{when} was stopped before its end;{how} (or remove {self.marker})"


def check_alone(snapshot: Path) -> None:
    """Refuse a name whose run is going on, before anything of it is moved away or written over.

    Args:
        snapshot: Its ``NAME.pt``, whether there is one or not.

    Raises:
        OutputError: another process of this machine trains it.
    """
    marker = _marker(snapshot)
    about = _read(marker)
    if _here(about) and about["pid"] != os.getpid() and _alive(about):
        what = f"a run of this name is going on (process {about['pid']}, begun {_when(about):%Y-%m-%d %H:%M} UTC)"
        raise OutputError(what, str(marker), "choose another --name, or stop it first")


def begun(snapshot: Path, words: Sequence[str], resumed: Path | None = None) -> None:
    """Leave the marker of a run that begins; halves of files that a killed run of this name was writing are removed.

    Args:
        snapshot: Its ``NAME.pt``, whether there is one yet or not.
        words: What was typed behind the program's name.
        resumed: The snapshot that it goes on from.

    Raises:
        OutputError: it cannot be written, or a run of this name is going on.
    """
    check_alone(snapshot)
    _sweep(snapshot)
    about = {
        "name": snapshot.stem,
        "pid": os.getpid(),
        "moment": _moment(os.getpid()) or "",
        "host": _host(),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(words),
        "resumed": None if resumed is None else str(resumed.absolute()),
    }
    content = (json.dumps(about, indent=2) + "\n").encode()
    write(_marker(snapshot), lambda file: file.write(content), "choose another --checkpoints-dir")


def ended(snapshot: Path) -> None:
    """Take away the marker of a run that ended in order, or saved when it was told to stop.

    Raises:
        OutputError: it cannot be removed.
    """
    remove(_marker(snapshot))


def unfinished(folder: Path) -> list[Unfinished]:
    """The runs of a folder whose process is gone, the latest first. Never one that is still alive."""
    found = []
    with contextlib.suppress(OSError):  # a folder that cannot be read tells nothing
        for marker in folder.glob(f"*{MARKER}"):
            with contextlib.suppress(*_VANISHED):  # it ends in this moment
                about = _read(marker)
                changed = marker.stat().st_mtime_ns
                if not _gone(marker, about):
                    continue
                run = Unfinished(marker.stem, marker, _when(about), _words(about), _newest(marker, changed, about))
                found.append((changed, run))
    return [run for _, run in sorted(found, key=lambda pair: -pair[0])]


def _marker(snapshot: Path) -> Path:
    return snapshot.with_name(snapshot.stem + MARKER)


def _sweep(snapshot: Path) -> None:
    """A file half written may be as large as a snapshot, and nobody reads it."""
    own = re.compile(
        re.escape(snapshot.stem)
        + f"(_best|{_SNAPSHOT})"
        + r"(\.pt|\.incomplete|_(ema_)?policy\.safetensors|_config\.json)"
    )
    for path in snapshot.parent.glob(".*.part"):
        meant = UNFINISHED.fullmatch(path.name)
        if meant and own.fullmatch(meant[1]):
            with contextlib.suppress(OSError):
                path.unlink()


def _read(marker: Path) -> dict[str, Any]:
    """What a marker says; empty when it is damaged or not there."""
    try:
        about = read_json(marker, "", "")
    except DataError:
        return {}
    kinds = {"pid": int, "moment": str, "host": str, "began": str, "command": list}
    whole = isinstance(about, dict) and all(isinstance(about.get(key), kind) for key, kind in kinds.items())
    return about if whole and 0 < about["pid"] < 2**31 and _when(about) is not None else {}


def _when(about: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(about["began"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _words(about: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(word) for word in about.get("command", ()))


def _newest(marker: Path, began_ns: int, about: dict[str, Any]) -> Path | None:
    """What the run saved last; older ones are of another run that had this name."""
    mine = re.compile(re.escape(marker.stem) + _SNAPSHOT + r"\.pt")
    dated = [(path.stat().st_mtime_ns, path) for path in _files(marker) if mine.fullmatch(path.name)]
    saved = max((pair for pair in dated if pair[0] >= began_ns), default=None)
    if saved is not None:
        return saved[1]
    if not about:  # when it began is not known
        return max(dated, default=(0, None))[1]
    resumed = about.get("resumed")
    if not isinstance(resumed, str):
        return None
    before = Path(resumed)
    if (marker.parent / before.name).is_file() and before.parent == marker.parent.absolute():
        before = marker.parent / before.name
    return before if before.is_file() else None


def _files(marker: Path) -> list[Path]:
    """Whatever is there of a run."""
    return list(marker.parent.glob(f"{glob.escape(marker.stem)}[._]*"))


def _gone(marker: Path, about: dict[str, Any]) -> bool:
    if _here(about):
        return not _alive(about)
    return max(path.stat().st_mtime for path in _files(marker)) < time.time() - SILENCE_S


def _here(about: dict[str, Any]) -> bool:
    return bool(about) and about["host"] == _host()


def _alive(about: dict[str, Any]) -> bool:
    """Whether the process is there; a doubt counts as yes."""
    now = _moment(about["pid"])
    return now is not None and ("" in (now, about["moment"]) or now == about["moment"])


def _host() -> str:
    """The machine, and among its containers this one: what process numbers count within."""
    with contextlib.suppress(OSError):
        return f"{platform.node()} {Path('/proc/self/ns/pid').readlink()}"
    return platform.node()


def _moment(pid: int) -> str | None:
    """What tells a process from another one that gets its number later; "" where that is unknown, None when it is gone.

    From Linux: the boot and the moment within it (field 22 of ``/proc/PID/stat``, see proc(5)); a process that only
    waits for its parent to notice its end is gone.
    """
    proc = Path("/proc")
    if (proc / "self" / "stat").exists():
        try:
            fields = (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
            boot = (proc / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
        except _VANISHED:
            return None
        except OSError:
            return ""
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    return _asked(pid)


def _asked(pid: int) -> str | None:
    """``_moment`` of systems that do not tell: whether there is such a process."""
    if sys.platform == "win32":  # os.kill would end it
        import ctypes

        code, kernel = ctypes.c_ulong(), ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = ctypes.c_void_p(kernel.OpenProcess(0x1000, False, pid))  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return "" if ctypes.get_last_error() == 5 else None  # ERROR_ACCESS_DENIED
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return "" if code.value == 259 else None  # STILL_ACTIVE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""
