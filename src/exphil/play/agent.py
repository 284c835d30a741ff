"""The agent: a policy, the state it carries, and the queue between deciding and pressing.

The policy is handed over as an object with ``initial_state`` and ``act`` (``models.policy.TorchPlayer``, an exported
graph); everything here is numpy. Each frame walks the same road as in training: seat, feature table, policy, and back
through the action codec.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.features import action
from exphil.features.observation import Table
from exphil.game.controller import Controller, neutral
from exphil.game.time import DelayLine


class Act(Protocol):
    """What a player object gives back: action int64 ``(E, 13)``, log_prob float32 ``(E, 13)``."""

    @property
    def action(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def log_prob(self) -> NDArray[np.float32]: ...  # noqa: D102


class Player(Protocol):
    """A pure policy behind numpy."""

    def initial_state(self, batch: int) -> Any:
        """The state before the first frame."""
        ...

    def act(
        self,
        floats: NDArray[np.float32],
        ids: NDArray[np.int64],
        state: Any,
        is_first: NDArray[np.bool_],
        uniform: NDArray[np.float32] | None,
    ) -> tuple[Act, Any]:
        """Decide for E games; the state restarts where ``is_first``."""
        ...


class Decision(NamedTuple):
    """What the agent does after one frame.

    Attributes:
        controllers: Shape ``(E,)``: what is pressed now, through the delay line.
        actions: int64 ``(E, 13)``: what was decided now.
        log_prob: ``(E,)``: of the decided actions.
    """

    controllers: Controller
    actions: NDArray[np.int64]
    log_prob: NDArray[np.float32]


class Agent:
    """One seat in each of E games.

    Args:
        player: The policy.
        table: The feature table it was trained with.
        seat: 0 or 1, in port order.
        games: E.
        seed: Of the draws; None takes the likeliest action always, which can freeze in place.
        delay: Frames of delay that the policy was trained with.
        environment_delay: The part of it that the world adds.
        style: Number of the player it plays like, in the policy's registry; 0 is nobody in particular.

    Raises:
        OptionError: when the world alone is slower than the policy.
    """

    def __init__(
        self,
        player: Player,
        table: Table,
        seat: int,
        games: int,
        seed: int | None,
        delay: int = 0,
        environment_delay: int = 0,
        style: int = 0,
    ) -> None:
        self._player, self._table, self._seat, self._games, self._style = player, table, seat, games, style
        self._random = None if seed is None else np.random.default_rng(seed)
        self._state = player.initial_state(games)
        self._line: DelayLine[Controller] = DelayLine(delay, environment_delay, neutral(games))

    def step(self, frame: Frame) -> Decision:
        """See a frame, decide, press."""
        seen = frame.game.seen_from(self._seat)  # a copy: the world's own rows keep their style
        seen.players.style[..., 0] = self._style
        floats, ids = self._table.encode(seen)
        uniform = None
        if self._random is not None:
            uniform = self._random.random((self._games, len(action.COMPONENTS)), np.float32)
        act, self._state = self._player.act(floats, ids, self._state, frame.is_first, uniform)
        if frame.is_first.any():
            self._line.change(lambda pending: _let_go(pending, frame.is_first))
        pressed = self._line.push(action.decode(act.action))
        return Decision(pressed, act.action, act.log_prob.sum(-1))


def _let_go(controller: Controller, where: NDArray[np.bool_]) -> Controller:
    return Controller(*(np.where(where, np.zeros_like(column), column) for column in controller))
