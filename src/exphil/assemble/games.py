"""Which games are read, and as what numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from exphil.config.layers import Settings
from exphil.data.reading import Games, read_games
from exphil.features.observation import NEEDED, Table
from exphil.game.frames import Lacks
from exphil.game.ids import character as character_by_name
from exphil.replays.library import Choice, Loaded, Skip


def table(settings: Settings) -> Table:
    """The feature table of a run."""
    return Table(settings.features.num_player_names, settings.features.allow_missing)


def choice(settings: Settings) -> Choice:
    """Which games and seats are learned from."""
    seats = settings.seats
    needed = Lacks(0)
    for lacks in NEEDED:
        needed |= lacks
    wanted = character_by_name(seats.train_character) if seats.train_character else None
    return Choice(seats.player_port, wanted, seats.dual_port, settings.features.allow_missing, needed)


def read(settings: Settings, paths: Iterable[Path], told: Callable[[Loaded | Skip], None]) -> Games:
    """Read the games of a run.

    Raises:
        DataError: nothing is left.
    """
    return read_games(paths, choice(settings), settings.readers.workers, told, str(settings.data.replays))
