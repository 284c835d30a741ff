"""Real games in the columns the feature table reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from exphil.game.frames import Game
from exphil.replays import slp


@pytest.fixture(scope="session")
def game(replays: Path) -> Callable[[str], Game]:
    """A shared replay by its name, players in port order."""

    @cache
    def read(name: str) -> Game:
        return slp.read(replays / f"{name}.slp").game

    return read
