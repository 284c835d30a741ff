"""Replays to games that are ready to be learned from: looked at by their heads first, then read, packed and kept.

``preflight`` judges files by their start blocks alone, ``load`` reads those that are wanted: from the store when it
has them, else from their files, which are then put there. One bad file among a hundred thousand is normal: it costs a
``Skip`` with a reason, never the run.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from exphil.errors import DataError, ReplayError
from exphil.game.frames import Lacks
from exphil.replays import slp, sources
from exphil.replays.choosing import Choice, Skip, Skipped, judge, judge_columns, seats
from exphil.replays.duplicates import identity
from exphil.replays.packing import Packed, pack
from exphil.replays.quality import Quality, quality
from exphil.replays.recording import Rollbacks
from exphil.replays.slp import HEAD_BYTES, Replay
from exphil.replays.sources import Source
from exphil.replays.store import About, Store

T = TypeVar("T")
Stamps = dict[Path, tuple[int, int]]
"""Size and time of change of files: a file that is written to while it is read must not be known by its new ones."""
_LOOK_AHEAD = 2  # games read and not yet asked for, per thread


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def defect(error: Exception) -> str:
    """What is said of a file that our own code stumbled over."""
    return f"a defect of the reader, please report it with this file: {type(error).__name__}: {error}"


@dataclass(frozen=True)
class Loaded:
    """A game, and the seats (0 or 1, in port order) that were asked for.

    ``open`` gives its rows: from memory, from the store, or by reading the file again.
    """

    source: Source
    digest: str
    about: About
    frames: int
    seats: tuple[int, ...]
    open: Callable[[], Packed]


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Args:
        choice: Which games and players.
        rollbacks: Which version of a frame that netplay rolled back.
        store: Where games are kept; None keeps none.
        hold: Without a store: keep the games in memory; else they are read again whenever they are opened.
        workers: Files at the same time; None for one a core.
    """

    choice: Choice
    rollbacks: Rollbacks = "first"
    store: Store | None = None
    hold: bool = True
    workers: int | None = None


def judged(replay: Replay) -> Quality:
    """The quality of a game.

    Raises:
        ReplayError: not a game of two.
    """
    one, other = (not seat.human for seat in replay.start.seats) if len(replay.ports) == 2 else (False, False)
    return quality(replay.game, (one, other))


def understand(replay: Replay) -> tuple[About, Packed]:
    """All that is kept of a game.

    Raises:
        ReplayError: not a game of two, or one whose frame numbers have gaps.
    """
    start, game = replay.start, replay.game
    try:
        packed = pack(game)
    except ValueError as error:
        raise ReplayError("its frame numbers have gaps", str(replay.path)) from error
    worth = judged(replay)
    about = About(
        version=start.slippi,
        rows=replay.rows,
        ports=replay.ports,
        characters=replay.characters,
        humans=tuple(seat.human for seat in start.seats),
        codes=tuple(seat.code for seat in start.seats),
        tags=tuple(seat.tag for seat in start.seats),
        names=tuple(seat.name for seat in start.seats),
        programs=worth.programs,
        quality=worth.score,
        reasons=worth.reasons,
        identity=identity(start, game, start.random_seed),
        problems=replay.problems,
    )
    return about, packed


@dataclass(frozen=True)
class _Again:
    """Opens a game from the store, or from its file when it is not there or damaged; that is put there again."""

    source: Source
    digest: str
    rollbacks: Rollbacks
    store: Store | None

    def __call__(self) -> Packed:
        kept = self.store.get(self.digest, whole=True) if self.store else None
        if kept:
            return kept[1]
        try:
            data = sources.read(self.source)
            if slp.digest(data) != self.digest:
                raise DataError("changed while it was being used", str(self.source), "start the run again")
            about, packed = understand(slp.parse(data, Path(str(self.source)), rollbacks=self.rollbacks))
        except ReplayError as error:
            raise DataError(f"was readable before and is no longer: {error.what}", str(self.source)) from error
        if self.store:
            self.store.put(self.digest, about, packed)
        return packed


def _load(source: Source, data: bytes | ReplayError | None, how: Reading, stamps: Stamps) -> Loaded | Skip:
    """One file; ``data`` when its bytes are here already. ``stamps`` are of before anything was read."""
    try:
        if isinstance(data, ReplayError):
            raise data
        digest, kept = look_up(source, data, how.store)
        if kept is None:
            whole = sources.read(source) if data is None else data
            digest = slp.digest(whole)
            replay = slp.parse(whole, Path(str(source)), rollbacks=how.rollbacks)
            if len(replay.ports) != 2:
                raise Skipped("players", f"players: {len(replay.ports)}")
            about, packed = understand(replay)
            stored = how.store is not None and how.store.put(digest, about, packed)
            if how.store is not None and stored and source.path in stamps:
                how.store.remember(str(source), stamps[source.path], digest)
        else:
            (about, packed), stored = kept, True
        taken = seats(packed.stage, about.ports, about.characters, about.humans, how.choice)
        judge(about, packed.frames, Lacks(packed.lacks), how.choice)
    except Skipped as skipped:
        return Skip(str(source), skipped.reason, skipped.detail)
    except ReplayError as error:
        return Skip(str(source), "unreadable", error.what)
    except Exception as error:  # one file must not end a run over many
        return Skip(str(source), "unreadable", defect(error))
    held = how.hold and not stored
    opener = partial(_same, packed) if held else _Again(source, digest, how.rollbacks, how.store if stored else None)
    return Loaded(source, digest, about, packed.frames, taken, opener)


def _same(packed: Packed) -> Packed:
    return packed


def look_up(source: Source, data: bytes | None, store: Store | None) -> tuple[str, tuple[About, Packed] | None]:
    """The content's hash of a file, if that is known without reading it, and what the store has of it."""
    if store is None:
        return "", None
    digest = slp.digest(data) if data is not None else store.known(str(source), source.stamp)
    return digest or "", store.get(digest) if digest else None


def load(wanted: Iterable[Source], how: Reading) -> Iterator[Loaded | Skip]:
    """Read the games that are wanted, a few ahead of the caller, in the order of ``ahead``."""
    stamps: Stamps = {}

    def stamped() -> Iterator[Source]:
        for source in wanted:
            if how.store is not None and source.path not in stamps:
                with suppress(ReplayError):
                    stamps[source.path] = source.stamp
            yield source

    return ahead(stamped(), partial(_load, how=how, stamps=stamps), how.store, how.workers)


def ahead(
    wanted: Iterable[Source],
    work: Callable[[Source, bytes | ReplayError | None], T],
    store: Store | None,
    workers: int | None,
) -> Iterator[T]:
    """What ``work`` makes of each file, a few of them ahead of the caller.

    Threads are enough: reading the bytes and the compiled passes over them leave the interpreter free. They come in
    the order given, except that members of one .7z come in that archive's own order.

    Args:
        wanted: The files.
        work: Gets a file, and its bytes when they are here already: those of an archive that ``store`` does not know.
        store: Where games are kept.
        workers: Files at the same time; None for one a core.
    """
    count = workers or cores()
    pool = ThreadPoolExecutor(count)
    waiting: deque[Future[T]] = deque()
    try:
        for source, data in _with_bytes(wanted, store):
            waiting.append(pool.submit(work, source, data))
            if len(waiting) > _LOOK_AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _with_bytes(wanted: Iterable[Source], store: Store | None) -> Iterator[tuple[Source, bytes | ReplayError | None]]:
    """Members of archives with their bytes, each archive opened once; the rest is read by the workers."""
    run: list[Source] = []
    for source in wanted:
        packed = source.member is not None and not (store and _known(source, store))
        if run and (not packed or run[-1].path != source.path):
            yield from sources.read_all(run)
            run = []
        if packed:
            run.append(source)
        else:
            yield source, None
    yield from sources.read_all(run)


def _known(source: Source, store: Store) -> bool:
    try:
        digest = store.known(str(source), source.stamp)
    except ReplayError:
        return False
    return digest is not None and store.has(digest)


def preflight(found: Iterable[Source], how: Reading) -> Iterator[Source | Skip]:
    """Judge files by their start blocks, in order: every source that may be wanted, else why not.

    What a .7z holds may be wanted, and so may what the store holds: that is judged when it is loaded.
    """

    def by_head(source: Source) -> bool:
        return sources.heads_are_cheap(source) and not (how.store and _known(source, how.store))

    for cheap, run in groupby(found, by_head):
        if not cheap:
            yield from run
            continue
        for source, head in sources.read_heads(run, HEAD_BYTES):
            yield _judged_by(source, head, how.choice)


def _judged_by(source: Source, head: bytes | ReplayError, choice: Choice) -> Source | Skip:
    try:
        if isinstance(head, ReplayError):
            raise head
        start = slp.peek_bytes(head, str(source))
        listed: Any = [(seat.port, seat.character, seat.human) for seat in start.seats]
        ports, characters, humans = zip(*listed, strict=True) if listed else ((), (), ())
        seats(start.stage, ports, characters, humans, choice)
        judge_columns(start.slippi, slp.lacking_by_version(start), choice)
    except Skipped as skipped:
        return Skip(str(source), skipped.reason, skipped.detail)
    except ReplayError as error:
        return Skip(str(source), "unreadable", error.what)
    except Exception as error:
        return Skip(str(source), "unreadable", defect(error))
    return source
