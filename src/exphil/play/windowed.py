"""A policy that learned from windows, played as it learned: what it remembers is the window and no more.

In training every window of W frames began with a fresh state. Here W states stand side by side, each begun on another
frame and begun anew after W frames; every frame is shown to all of them, and the one that is full answers. That is
what running the last W frames anew would give, at the price of W rows a frame. Until a game is W frames old the answer
comes from the state that its first frame began.

Shapes: E games, W frames of a window.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.play.agent import Act, Player


class Memory(NamedTuple):
    """What is remembered of E games.

    Attributes:
        states: The policy's, of ``E * W`` rows, those of a game side by side.
        shown: ``(E,)``: frames that each game was shown.
    """

    states: Any
    shown: NDArray[np.int64]


class _Rows(NamedTuple):
    action: NDArray[np.int64]
    log_prob: NDArray[np.float32]


class Windowed:
    """A player that plays another one in windows.

    Args:
        player: The policy.
        window: W, the frames of the windows it learned from.
    """

    def __init__(self, player: Player, window: int) -> None:
        self._player, self._window = player, window
        self._lanes = np.arange(window)

    def initial_state(self, batch: int) -> Memory:
        """The state before the first frame of ``batch`` games."""
        return Memory(self._player.initial_state(batch * self._window), np.zeros(batch, np.int64))

    def act(
        self,
        floats: NDArray[np.float32],
        ids: NDArray[np.int64],
        state: Memory,
        is_first: NDArray[np.bool_],
        uniform: NDArray[np.float32],
        sharpness: NDArray[np.float32] | None = None,
    ) -> tuple[Act, Memory]:
        """Decide for E games; arguments as those of every player."""
        window, shown = self._window, np.where(is_first, 0, state.shown)
        opens = ((shown[:, None] - self._lanes) % window == 0) | (shown[:, None] == 0)
        seen, known, drawn = np.repeat(floats, window, 0), np.repeat(ids, window, 0), np.repeat(uniform, window, 0)
        act, states = self._player.act(seen, known, state.states, opens.reshape(-1), drawn, sharpness)
        full = np.arange(len(floats)) * window + (shown + 1) % window
        return _Rows(act.action[full], act.log_prob[full]), Memory(states, shown + 1)

    def take(self, state: Memory, rows: NDArray[np.int64]) -> Memory:
        """The state of some games, a copy."""
        return Memory(self._player.take(state.states, self._of(rows)), state.shown[rows])

    def put(self, state: Memory, rows: NDArray[np.int64], part: Memory) -> None:
        """Write the state of some games into a state that ``initial_state`` made."""
        self._player.put(state.states, self._of(rows), part.states)
        state.shown[rows] = part.shown

    def _of(self, games: NDArray[np.int64]) -> NDArray[np.int64]:
        return (games[:, None] * self._window + self._lanes).reshape(-1)
