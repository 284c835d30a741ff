"""The simulator as an Environment: two players, six stages, 26 characters, N games at once, no disc.

What enters: characters, stages and a seed; then controllers. What leaves: frames like everybody else's. The physics are
in the kernels of this room (``step``); what is missing of the game stands in ``docs/simulator.md``.

What can go wrong: OptionError for a character nobody can play or a stage without geometry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.envs.opening import check, check_pressed, of_games
from exphil.envs.sim import reset, showing, state
from exphil.envs.sim.data import known, load
from exphil.envs.sim.step import step
from exphil.errors import OptionError
from exphil.game.controller import Controller
from exphil.game.ids import Character, Stage, character_name, stage_name
from exphil.game.time import MAX_FRAMES

Pair = tuple[int, int]


class SimEnvironment:
    """N games of two players.

    Args:
        games: How many are played side by side, at least 1.
        characters: Internal numbers of the two players (``ids.Character``), for all games or game by game.
        stages: External stage number (``ids.Stage``), for all games or game by game.
        ports: Where the two players sit, in order, 1 to 4.
        stocks: Lives of each, 1 to 255.
        max_frames: The frame number on which the clock ends a game (eight minutes after frame 0).

    Raises:
        OptionError: a character that nobody can play, a stage without geometry, lists of another length than
            ``games``, numbers out of their range.
    """

    delay = 0
    reacts_to_actions = True
    name = "sim"

    def __init__(
        self,
        games: int,
        characters: Pair | Sequence[Pair],
        stages: int | Sequence[int],
        *,
        ports: Pair = (1, 2),
        stocks: int = 4,
        max_frames: int = MAX_FRAMES,
    ) -> None:
        check(games, ports, stocks, max_frames)
        self.ports, self._stocks, self._max_frames = ports, stocks, max_frames
        self._characters = of_games(characters, (2,), games, "characters")
        self._stages = of_games(stages, (), games, "stages")
        _check_playable(self._characters, self._stages)
        self._tables = load()
        self._players = np.zeros((games, 2), state.PLAYER)
        self._games = np.zeros(games, state.GAME)
        self._items = np.zeros((games, state.ITEMS), state.ITEM)
        self._pads = np.zeros((games, 2, 6))
        self._seed, self._opened = 0, np.zeros(games, np.int64)
        self._is_open = False

    def reset(self, seed: int | None = None) -> Frame:
        """Open every game anew; the same seed gives the same games. None goes on with other seeds.

        Raises:
            OptionError: a seed below 0.
        """
        if seed is not None and seed < 0:
            raise OptionError(f"{seed} is no seed", "seed", "at least 0")
        self._is_open = True
        if seed is not None:
            self._seed, self._opened = seed, np.zeros(len(self._games), np.int64)
        self._open(np.ones(len(self._games), np.bool_))
        return self._frame()

    def step(self, controllers: Mapping[int, Controller]) -> Frame:
        """Press and see the next frame; a port left out presses nothing.

        Raises:
            OptionError: before ``reset``, or controllers of another shape than ``(games,)``.
        """
        if not self._is_open:
            raise OptionError("no game is open", "step", "call reset first")
        check_pressed(controllers, len(self._games))
        for seat, port in enumerate(self.ports):
            held = controllers.get(port)
            if held is None:
                self._pads[:, seat] = 0.0
                continue
            for column in range(6):
                self._pads[:, seat, column] = held[column]
        games, stocks = self._games, self._players["stocks"]
        ended = (games["last"] != 0) | (games["truncated"] != 0)
        step(self._players, self._games, self._items, self._pads, known())
        games["first"] = 0
        games["last"] = (stocks == 0).any(1) | (games["frame"] >= self._max_frames)
        if ended.any():
            self._open(ended)
        return self._frame()

    def close(self) -> None:
        """Nothing to let go of."""

    def _open(self, rows: NDArray[np.bool_]) -> None:
        reset.open_games(
            self._players, self._games, self._items, rows, self._characters, self._stages, self._stocks, self._seed,
            self._opened, self._tables,
        )  # fmt: skip
        self._opened[rows] += 1

    def _frame(self) -> Frame:
        game = showing.shown(self._players, self._games, self._items)
        return Frame(game, *(self._games[name] != 0 for name in ("first", "last", "truncated")))


def _check_playable(characters: NDArray[np.int64], stages: NDArray[np.int64]) -> None:
    for number in np.unique(characters).tolist():
        if not 0 <= number < Character.MASTER_HAND or number == Character.NANA:
            raise OptionError(f"nobody can play {character_name(number)}", "character")
    for number in np.unique(stages).tolist():
        if number not in tuple(Stage):
            raise OptionError(f"{stage_name(number)} is not one of the six legal stages", "stage")
