"""Folders of replays: finding files, listing what is in them, choosing and loading what a training run wants.

``find`` gives paths, ``scan`` one ``ReplayRecord`` a file, ``load`` the games themselves. One bad file among a hundred
thousand is normal: it costs a record with a problem or a ``Skip`` with a reason, never the run. Only a folder without
anything to read is an error.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from exphil.errors import DataError, ReplayError
from exphil.game import ids
from exphil.game.frames import Lacks
from exphil.game.ids import Character, Stage
from exphil.game.time import FRAMES_PER_SECOND
from exphil.replays import slp
from exphil.replays.container import Seat, Start
from exphil.replays.slp import Replay

MIN_FRAMES = 2 * FRAMES_PER_SECOND
"""Shorter recordings hold nothing to learn from: hands are free from the 85th frame on."""

_WHERE_TO_GET = (
    "Slippi Dolphin saves your games in its replay folder; public sets exist on Hugging Face and in the Slippi "
    "Discord; pass --replays FOLDER or set EXPHIL_REPLAYS_DIR"
)
_FEW_FILES = 400  # 3 ms a file: starting processes (1 to 3 s, they import numba) costs more than it saves
_MOST_PROCESSES = 61  # Windows waits for no more at once
_LARGEST_CHUNK = 16  # files handed to a process at a time: small enough for a progress bar to move
_LOOK_AHEAD = 2  # games read and not yet asked for, per thread


def find(folder: Path, max_files: int | None = None) -> list[Path]:
    """Every ``.slp`` file below ``folder``, sorted by its path; the first ``max_files`` of them.

    Raises:
        DataError: the folder is missing, cannot be listed, or has no replay in it.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder" if folder.exists() else f"no such folder: {folder}", fix=_WHERE_TO_GET
        )

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot be listed ({error.strerror})", str(error.filename)) from error

    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=refuse)
        for name in names
        if name.lower().endswith(".slp")
    ]
    if not found:
        raise DataError(f"no .slp files in {folder}", fix=_WHERE_TO_GET)
    return sorted(found, key=lambda path: path.as_posix())[:max_files]


@dataclass(frozen=True)
class ReplayRecord:
    """What a listing says about one file.

    One that cannot be read has 0 frames, empty lists, None, and the reason in ``problems``.
    """

    file: str
    sha256: str | None = None
    """None when not even the bytes could be read."""
    frames: int = 0
    """Distinct frame numbers."""
    rows: int = 0
    """Recorded rows: frames that netplay rolled back count each time."""
    version: str | None = None
    stage: str | None = None
    ports: list[int] = field(default_factory=list)
    characters: list[str] = field(default_factory=list)
    """By port, as chosen at the start."""
    codes: list[str | None] = field(default_factory=list)
    """By port: the connect code, else the in-game tag, else None."""
    problems: list[str] = field(default_factory=list)

    @property
    def readable(self) -> bool:
        """Whether there is a game in the file."""
        return self.frames > 0


def _defect(error: Exception) -> str:
    return f"a defect of the reader, please report it with this file: {type(error).__name__}: {error}"


def describe(path: Path) -> ReplayRecord:
    """Read one file and say what is in it. Never raises for a bad file."""
    digest = None
    try:
        data = slp.read_bytes(path)
        digest = hashlib.sha256(data).hexdigest()
        return _record(slp.parse(data, path), digest)
    except ReplayError as error:
        return ReplayRecord(str(path), digest, problems=[error.what])
    except Exception as error:  # one file must not end a scan of many
        return ReplayRecord(str(path), digest, problems=[_defect(error)])


def _record(replay: Replay, sha256: str) -> ReplayRecord:
    start = replay.start
    return ReplayRecord(
        file=str(replay.path),
        sha256=sha256,
        frames=replay.frames,
        rows=replay.rows,
        version=".".join(map(str, start.version)),
        stage=ids.stage_name(start.stage),
        ports=list(replay.ports),
        characters=[ids.character_name(seat.character) for seat in start.seats],
        codes=[seat.code or seat.tag or None for seat in start.seats],
        problems=list(replay.problems),
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _leave_interrupts() -> None:
    # Ctrl-C goes to every process of the terminal; the parent alone answers it
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def scan(paths: Iterable[Path], workers: int | None = None) -> Iterator[ReplayRecord]:
    """One record a file, in the order of the files.

    Args:
        paths: The files.
        workers: Processes; 1 reads in this process. By default one for each core, and this one for a few hundred files.

    Raises:
        DataError: a process was killed from outside.
    """
    files = list(paths)
    count = min(workers or _cores(), len(files), _MOST_PROCESSES)
    if count <= 1 or (workers is None and len(files) < _FEW_FILES):
        yield from map(describe, files)
        return
    chunk = max(1, min(_LARGEST_CHUNK, len(files) // (4 * count)))
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _leave_interrupts)
    try:
        yield from pool.map(describe, files, chunksize=chunk)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that read replays was killed (out of memory?)", fix="try again with --workers 1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Choice:
    """Which games and which of their two players a run learns from.

    ``character`` wins over ``player``; with ``both`` it still chooses the games, and both of their players are taken.
    """

    player: int = 1
    """The N-th occupied port."""
    character: Character | None = None
    """Every seat that plays it by the start block; a ditto gives both."""
    both: bool = False
    allow_missing: bool = False
    """Take games that lack columns of ``needed`` all the same."""
    needed: Lacks = ~Lacks.HITLAG
    """The columns that are read; all but hitlag by default."""


@dataclass(frozen=True)
class Loaded:
    """A game and the seats (0 or 1, in port order) that were asked for."""

    replay: Replay
    seats: tuple[int, ...]


@dataclass(frozen=True)
class Skip:
    """A file that is left out: ``reason`` is a key of ``REASONS``, ``detail`` what it is in this file."""

    path: Path
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {REASONS[self.reason]} ({self.detail})"


REASONS = {
    "unreadable": "cannot be read",
    "stage": "played on a stage that is not one of the six legal ones",
    "computer": "a computer plays in it",
    "player": "has no such player",
    "character": "nobody plays the wanted character",
    "short": f"shorter than {MIN_FRAMES} frames",
    "columns": "recorded before Slippi wrote columns that are read; training with --allow-missing takes it",
}
"""Why a file is left out: a stable key, and half a sentence whose subject is the file."""


class _Skipped(Exception):  # noqa: N818  (an answer, not an error)
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def _seats(start: Start, choice: Choice) -> tuple[int, ...]:
    """Choose by the start block alone."""
    if start.stage not in Stage._value2member_map_:
        raise _Skipped("stage", ids.stage_name(start.stage))
    computers = [seat.port for seat in start.seats if not seat.human]
    if computers:
        raise _Skipped("computer", f"port {' and '.join(map(str, computers))}")
    if choice.character is not None:
        playing = tuple(index for index, seat in enumerate(start.seats) if seat.character == choice.character)
        if not playing:
            raise _Skipped("character", f"{_names(start.seats)}; wanted {ids.character_name(choice.character)}")
        return (0, 1) if choice.both else playing
    if choice.both:
        return (0, 1)
    if not 1 <= choice.player <= len(start.seats):
        raise _Skipped("player", f"player {choice.player} of {len(start.seats)}")
    return (choice.player - 1,)


def _names(seats: Iterable[Seat]) -> str:
    return " against ".join(ids.character_name(seat.character) for seat in seats)


def _load(path: Path, choice: Choice) -> Loaded | Skip:
    try:
        seats = _seats(slp.peek(path), choice)
        replay = slp.read(path)
        if replay.frames < MIN_FRAMES:
            raise _Skipped("short", f"{replay.frames}")
        missing = replay.lacks & choice.needed
        if missing and not choice.allow_missing:
            version = ".".join(map(str, replay.start.version))
            raise _Skipped("columns", f"Slippi {version} lacks {slp.lacking(missing)}")
    except _Skipped as skipped:
        return Skip(path, skipped.reason, skipped.detail)
    except ReplayError as error:
        return Skip(path, "unreadable", error.what)
    except Exception as error:  # one file must not end a run over many
        return Skip(path, "unreadable", _defect(error))
    return Loaded(replay, seats)


def load(paths: Iterable[Path], choice: Choice, workers: int | None = None) -> Iterator[Loaded | Skip]:
    """Read the games that ``choice`` wants, in the order of the files, a few ahead of the caller.

    Threads are enough: reading the bytes and the compiled passes over them leave the interpreter free.

    Args:
        paths: The files.
        choice: Which games and players.
        workers: Threads; by default one for each core.
    """
    count = workers or _cores()
    pool = ThreadPoolExecutor(count)
    waiting: deque[Future[Loaded | Skip]] = deque()
    try:
        for path in paths:
            waiting.append(pool.submit(_load, path, choice))
            if len(waiting) > _LOOK_AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def summary(skips: Iterable[Skip]) -> list[tuple[int, str]]:
    """How many files were left out for each reason, most frequent first, with the first file as an example."""
    listed = list(skips)
    first = {skip.reason: skip for skip in reversed(listed)}
    counts = Counter(skip.reason for skip in listed).most_common()
    return [
        (count, f"{'file' if count == 1 else 'files'}: {REASONS[key]}, such as {example.path.name} ({example.detail})")
        for key, count in counts
        if (example := first[key])
    ]
