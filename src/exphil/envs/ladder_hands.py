"""The hands of a scripted player: what is held, pressed anew and flicked, row by row.

Wishes of E games enter, controllers leave. A game tells a fresh press and a fresh push of a stick from a held one, so
whoever wishes for one while the finger is still down lifts it for a frame first. A later wish takes the place of an
earlier one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exphil.envs.ladder_seen import Bools, Floats
from exphil.game.controller import STICK_STEPS, Controller
from exphil.game.ids import Button

AT_REST = 0.25
"""Below it a stick lets go for every purpose (the game's own bound is 0.2875)."""


class Hands:
    """Two sticks and buttons in each of E games.

    Args:
        games: E.
    """

    def __init__(self, games: int) -> None:
        self._sticks = np.zeros((4, games))
        self._flick = np.zeros((2, games), np.bool_)
        self._press, self._hold = np.zeros(games, np.int64), np.zeros(games, np.int64)
        self._last = np.zeros((4, games))
        self._held = np.zeros(games, np.int64)

    def rest(self, fresh: Bools) -> None:
        """A new frame: no wishes yet; where a game begins nothing was held."""
        self._sticks[:], self._flick[:], self._press[:], self._hold[:] = 0.0, False, 0, 0
        self._last[:, fresh] = 0.0
        self._held[fresh] = 0

    def wish(
        self,
        where: Bools,
        x: ArrayLike = 0.0,
        y: ArrayLike = 0.0,
        *,
        c_x: ArrayLike = 0.0,
        c_y: ArrayLike = 0.0,
        press: ArrayLike = 0,
        hold: ArrayLike = 0,
        flick: ArrayLike = False,
    ) -> None:
        """Say what the hands shall do in some rows, in place of what was wished before.

        Args:
            where: bool ``(E,)``.
            x: Main stick, [-1, 1], one number or ``(E,)`` as all that follow.
            y: Main stick, up is positive.
            c_x: C-stick, always pushed anew.
            c_y: The same.
            press: Buttons to press anew, bits of ``Button``.
            hold: Buttons to hold.
            flick: Whether the main stick is pushed anew.
        """
        if not where.any():
            return
        for place, value in enumerate((x, y, c_x, c_y)):
            np.copyto(self._sticks[place], np.asarray(value, np.float64), where=where)
        np.copyto(self._press, np.asarray(press, np.int64), where=where)
        np.copyto(self._hold, np.asarray(hold, np.int64), where=where)
        for axis, value in enumerate((x, y)):
            np.copyto(self._flick[axis], np.asarray(flick) & (np.asarray(value) != 0), where=where)

    def steer(self, where: Bools, x: ArrayLike) -> None:
        """Change nothing but where the main stick points sideways."""
        np.copyto(self._sticks[0], np.asarray(x, np.float64), where=where)

    def controllers(self) -> Controller:
        """What is pressed now."""
        sticks = np.rint(self._sticks * STICK_STEPS) / STICK_STEPS
        was = self._last
        same = (abs(was[:2]) >= AT_REST) & (was[:2] * sticks[:2] > 0)
        sticks[:2][self._flick & same] = 0.0
        sticks[2:, (abs(was[2:]) >= AT_REST).any(0)] = 0.0
        buttons = self._hold | (self._press & ~self._held)
        self._last, self._held = sticks, buttons
        main_x, main_y, c_x, c_y = sticks.astype(np.float32)
        return Controller(main_x, main_y, c_x, c_y, np.zeros(len(buttons), np.float32), buttons.astype(np.int16))


A, B, X, Y, Z, L = (int(button) for button in (Button.A, Button.B, Button.X, Button.Y, Button.Z, Button.L))


class Chance:
    """Numbers out of nothing but (seed, row, games begun, frame, purpose): any row, any order, the same numbers.

    Args:
        seed: At least 0.
        games: E.
    """

    def __init__(self, seed: int, games: int) -> None:
        self._rows = _mixed(np.arange(games, dtype=np.uint64) + _mixed(np.full(1, seed, np.uint64)))
        self._begun, self.shown = np.zeros(games, np.uint64), np.zeros(games, np.int64)
        self._game = self._rows

    def see(self, fresh: Bools) -> None:
        """One more frame; of some rows the first of another game."""
        self._begun += fresh.astype(np.uint64)
        self.shown = np.where(fresh, 0, self.shown + 1)
        if fresh.any():
            self._game = _mixed(self._rows + self._begun)

    def draw(self, purpose: int, every: int = 1) -> Floats:
        """``(E,)`` in [0, 1), the same for ``every`` frames in a row."""
        return self.several(purpose, 1, every)[:, 0]

    def several(self, purpose: int, count: int, every: int = 1) -> Floats:
        """``(E, count)``: the draws of ``count`` purposes from this one on."""
        block = (self.shown // every).astype(np.uint64)
        purposes = np.arange(purpose, purpose + count, dtype=np.uint64)
        word = _mixed(_mixed(self._game + block)[:, None] + purposes)
        found: Floats = (word >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return found


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The mixing step of splitmix64 (Steele, Lea, Flood 2014), after its odd constant was added."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: NDArray[np.uint64] = words ^ (words >> np.uint64(31))
    return found
