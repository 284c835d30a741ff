"""Files to the facts that are counted: from the store when it has the game, else from the file itself.

Nothing is written: what the store does not have is read and forgotten again. A file that cannot be read is a fact too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from exphil.errors import ReplayError
from exphil.game import ids
from exphil.replays import slp, sources
from exphil.replays.library import ahead, judged, look_up
from exphil.replays.packing import Packed
from exphil.replays.slp import Replay
from exphil.replays.sources import Source
from exphil.replays.stats import Facts
from exphil.replays.store import About, Store

_LAST_STAGE = 0x7FFF  # as far as a Game counts: the store and the file say the same of a damaged number


class Gathered(NamedTuple):
    """The facts of one file, and whether they came from the store."""

    facts: Facts
    kept: bool


def gather(found: Iterable[Source], store: Store, workers: int | None = None) -> Iterator[Gathered]:
    """The facts of every file, in the order of ``library.ahead``. Never raises for a bad file.

    Args:
        found: The files.
        store: Where games may be kept; its rollback choice is taken for the others too.
        workers: Files at the same time; None for one a core.
    """
    return ahead(found, partial(_gather, store=store), store, workers)


def _gather(source: Source, data: bytes | ReplayError | None, store: Store) -> Gathered:
    try:
        if isinstance(data, ReplayError):
            raise data
        _, kept = look_up(source, data, store)
        if kept is not None:
            return Gathered(_of_kept(source, *kept), kept=True)
        whole = sources.read(source) if data is None else data
        return Gathered(_of_replay(slp.parse(whole, Path(str(source)), store.rollbacks)), kept=False)
    except Exception:  # ReplayError, and a defect of ours: one file must not end a count over many
        return Gathered(Facts(str(source), problem=True), kept=False)


def _of_replay(replay: Replay) -> Facts:
    start, worth = replay.start, judged(replay) if len(replay.ports) == 2 else None
    return Facts(
        file=str(replay.path),
        frames=replay.frames,
        rows=replay.rows,
        version=start.slippi,
        stage=ids.stage_name(min(start.stage, _LAST_STAGE)),
        characters=tuple(ids.character_name(seat.character) for seat in start.seats),
        players=tuple(seat.code or seat.tag for seat in start.seats),
        quality=worth.score if worth else None,
        problem=bool(replay.problems),
        programs=worth.programs if worth else tuple(not seat.human for seat in start.seats),
    )


def _of_kept(source: Source, about: About, packed: Packed) -> Facts:
    return Facts(
        file=str(source),
        frames=packed.frames,
        rows=about.rows,
        version=about.version,
        stage=ids.stage_name(packed.stage),
        characters=tuple(map(ids.character_name, about.characters)),
        players=tuple(code or tag for code, tag in zip(about.codes, about.tags, strict=True)),
        quality=about.quality,
        problem=bool(about.problems),
        programs=about.programs,
    )
