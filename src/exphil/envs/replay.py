"""A recorded game as a world: it shows what was recorded, whatever is pressed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from exphil.envs.environment import Frame
from exphil.game.controller import Controller
from exphil.game.frames import Game


class ReplayEnvironment:
    """Shows a game row by row, then again from the start.

    Args:
        game: Shape ``(T,)``, players in port order, T at least 1.
        ports: The ports they played on.
    """

    name = "replay"
    delay = 0
    reacts_to_actions = False

    def __init__(self, game: Game, ports: tuple[int, int]) -> None:
        self.ports, self._game, self._at = ports, game, 0

    def reset(self, seed: int | None = None) -> Frame:
        """The first recorded frame; a seed changes nothing."""
        self._at = 0
        return self._frame()

    def step(self, controllers: Mapping[int, Controller]) -> Frame:
        """The next recorded frame; after the last one, the first."""
        self._at = (self._at + 1) % len(self._game)
        return self._frame()

    def close(self) -> None:
        """Nothing to let go of."""

    def _frame(self) -> Frame:
        first, last = self._at == 0, self._at == len(self._game) - 1
        game = self._game[self._at : self._at + 1]
        return Frame(game, np.array([first]), np.array([last]), np.zeros(1, np.bool_))
