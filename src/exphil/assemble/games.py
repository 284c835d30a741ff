"""Which games are read, and as what numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from exphil.assemble.actions import delays
from exphil.config.layers import Settings
from exphil.data.reading import Games, Told, read_games
from exphil.errors import DataError
from exphil.features.observation import Table
from exphil.game.frames import Lacks
from exphil.game.ids import character as character_by_name
from exphil.game.ids import stage as stage_by_name
from exphil.replays.choosing import Choice, Skip
from exphil.replays.library import Reading
from exphil.replays.sources import Source, heads_are_cheap
from exphil.replays.store import Store


def table(settings: Settings) -> Table:
    """The feature table of a run; styles that are not learned are the zeros of the one-hot."""
    options, players = settings.features, settings.players
    return Table(
        options.num_player_names,
        options.allow_missing,
        players.player_mode if players.learn_player_styles else "one_hot",
        stage_mode=options.stage_mode,
        action_mode=options.action_mode,
        character_mode=options.character_mode,
        nana_mode=options.nana_mode,
        jumps_normalized=options.jumps_normalized,
        stage_motion=options.stage_motion,
        ic_tech=options.ic_tech,
        umi_safe=options.umi_safe,
        max_delay=delays(settings)[1],
    )


def choice(settings: Settings) -> Choice:
    """Which games and seats are learned from."""
    needed = Lacks(0)
    for lacks in table(settings).needed:
        needed |= lacks
    return replace(
        _chosen(settings),
        player=settings.seats.player_port,
        both=settings.seats.dual_port,
        allow_missing=settings.features.allow_missing,
        needed=needed,
    )


def stick_reading(settings: Settings) -> Reading:
    """How the files are read whose sticks are counted: both players, or those with ``--train-character``."""
    wanted, rollbacks = _chosen(settings), settings.netplay.rollbacks
    wanted = replace(wanted, both=wanted.character is None, allow_missing=True)  # every recording has sticks
    return Reading(wanted, rollbacks, store(settings), workers=settings.readers.workers)  # type: ignore[arg-type]


def _chosen(settings: Settings) -> Choice:
    """What training and counting choose by."""
    choosing, name = settings.choosing, settings.character.train_character
    return Choice(
        character=character_by_name(name) if name else None,
        characters=frozenset(map(character_by_name, settings.characters.characters)),
        stages=frozenset(map(stage_by_name, settings.stages.stages)),
        min_quality=choosing.min_quality,
    )


def streams(settings: Settings) -> bool:
    """Whether a run opens some of its games at a time."""
    return settings["stream_chunk_size"] is not None or settings["stream_chunk_frames"] is not None


def store(settings: Settings) -> Store | None:
    """Where the games of a run are kept; None with ``--no-precompute``."""
    return kept_in(settings) if settings.store.precompute else None


def kept_in(settings: Settings) -> Store:
    """The store of ``--cache-dir``."""
    rollbacks: Any = settings.netplay.rollbacks
    options = settings.keeping
    return Store(settings.cachedir.cache_dir, rollbacks, compressed=options.cache_compress, fresh=not options.cache)


def reading(settings: Settings) -> Reading:
    """How the files of a run are read."""
    rollbacks: Any = settings.netplay.rollbacks
    return Reading(choice(settings), rollbacks, store(settings), not streams(settings), settings.readers.workers)


def read(
    settings: Settings,
    wanted: Sequence[Source],
    told: Told = lambda _: None,
    how: Reading | None = None,
    before: Sequence[Skip] = (),
) -> Games:
    """Read the games of a run.

    Args:
        settings: Of a command that reads games.
        wanted: The files.
        told: Hears of every file.
        how: ``reading(settings)`` when that was made already.
        before: Files that were left out before they were read.

    Raises:
        DataError: nothing is left, a file cannot be read and ``--fail-fast`` was said, or the files cannot be streamed.
    """
    how = how or reading(settings)
    if how.store is None and streams(settings):
        packed = next((source for source in wanted if not heads_are_cheap(source)), None)
        if packed is not None:
            what = "a .7z is unpacked from its start for every game that is opened: it cannot be streamed as it is"
            raise DataError(what, str(packed.path), "without --no-precompute its games are kept in --cache-dir")
    found = read_games(
        wanted,
        how,
        told,
        str(settings.data.replays),
        before=before,
        skip_duplicates=settings.choosing.skip_duplicates,
        skip_errors=settings.errors.skip_errors,
    )
    return found._replace(corpus=replace(found.corpus, delay=delays(settings)[1]))
