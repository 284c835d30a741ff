"""Folders of replays as lists: one record a file, whatever is in it.

One bad file among a hundred thousand is normal: it costs a record with a problem, never the run.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from exphil.errors import DataError, ReplayError
from exphil.game import ids
from exphil.replays import slp, sources
from exphil.replays.library import cores, defect
from exphil.replays.slp import Replay
from exphil.replays.sources import Source

_FEW_FILES = 400  # 3 ms a file: starting processes (1 to 3 s, they import numba) costs more than it saves
_MOST_PROCESSES = 61  # Windows waits for no more at once
_LARGEST_CHUNK = 16  # files handed to a process at a time: small enough for a progress bar to move


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


def describe(source: Source) -> ReplayRecord:
    """Read one file and say what is in it. Never raises for a bad file."""
    try:
        return describe_bytes(source, sources.read(source))
    except ReplayError as error:
        return ReplayRecord(str(source), problems=[error.what])
    except Exception as error:  # one file must not end a scan of many
        return ReplayRecord(str(source), problems=[defect(error)])


def describe_bytes(source: Source, data: bytes | ReplayError) -> ReplayRecord:
    """``describe`` for bytes that are in memory already."""
    if isinstance(data, ReplayError):
        return ReplayRecord(str(source), problems=[data.what])
    digest = hashlib.sha256(data).hexdigest()
    try:
        return record(slp.parse(data, Path(str(source))), digest)
    except ReplayError as error:
        return ReplayRecord(str(source), digest, problems=[error.what])
    except Exception as error:
        return ReplayRecord(str(source), digest, problems=[defect(error)])


def record(replay: Replay, sha256: str) -> ReplayRecord:
    """What a listing says about a file that was read; ``sha256`` is its content's."""
    start = replay.start
    return ReplayRecord(
        file=str(replay.path),
        sha256=sha256,
        frames=replay.frames,
        rows=replay.rows,
        version=start.slippi,
        stage=ids.stage_name(start.stage),
        ports=list(replay.ports),
        characters=[ids.character_name(seat.character) for seat in start.seats],
        codes=[seat.code or seat.tag or None for seat in start.seats],
        problems=list(replay.problems),
    )


def _leave_interrupts() -> None:
    # Ctrl-C goes to every process of the terminal; the parent alone answers it
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def scan(found: Iterable[Source], workers: int | None = None) -> Iterator[ReplayRecord]:
    """One record a file, in the order of the files (members of one .7z in that archive's own order).

    Args:
        found: The files.
        workers: Processes; 1 reads in this process. By default one for each core, and this one for a few hundred files
            and for members of archives, which can be unpacked in one process only.

    Raises:
        DataError: a process was killed from outside.
    """
    files = list(found)
    count = min(workers or cores(), len(files), _MOST_PROCESSES)
    packed = any(source.member is not None for source in files)
    if packed or count <= 1 or (workers is None and len(files) < _FEW_FILES):
        yield from (describe_bytes(source, data) for source, data in sources.read_all(files))
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
