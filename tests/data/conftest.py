"""Corpora of real games and of small ones written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exphil.data.corpus import Corpus, Entry
from exphil.features.action import Codec
from exphil.game.frames import ROW, Game
from exphil.replays import slp

CODEC = Codec.uniform()


def small(rows: int, seed: int, first_frame: int = 0, dead_from: int | None = None) -> Game:
    """A game in which controllers are drawn; the last stock is lost at row ``dead_from``."""
    random, made = np.random.default_rng(seed), Game.empty(rows)
    row = made.rows.view(ROW)[..., 0]
    row["frame"], row["stage"] = np.arange(rows) + first_frame, 31
    players = row["players"]
    players["stocks"], players["exists"], players["x"] = 4, 1, random.uniform(-80, 80, (rows, 2))
    taken = np.stack([random.integers(0, c.classes, (rows, 2)) for c in CODEC.components], -1)
    held = CODEC.decode(taken)
    for name, column in held._asdict().items():
        players[name] = column
    if dead_from is not None:
        players["stocks"][dead_from:, 1] = 0
    return made


def lay(games: list[Game]) -> Corpus:
    """One entry a game."""
    return Corpus.of((Entry(index, f"game {index}", 1), game) for index, game in enumerate(games))


@pytest.fixture(scope="session")
def make() -> tuple[Callable[..., Game], Callable[[list[Game]], Corpus]]:
    """``small`` and ``lay``."""
    return small, lay


@pytest.fixture(scope="session")
def real(replays: Path) -> Corpus:
    """Both seats of two real games."""
    names = ("peach_vs_marth_final_destination_028.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp")
    found = [slp.read(replays / name) for name in names]
    return Corpus.of(
        (Entry(number, replay.path.name, replay.characters[seat], seat=seat), replay.game)
        for number, replay in enumerate(found)
        for seat in (0, 1)
    )
