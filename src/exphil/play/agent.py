"""The agent: a policy, the state it carries, and the queue between deciding and pressing.

The policy is handed over as an object with ``initial_state`` and ``act`` (``models.policy.TorchPlayer``, an exported
graph); everything here is numpy. Each frame walks the same road as in training: seat, feature table, policy, and back
through the action codec.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.errors import OptionError
from exphil.features.action import NUM_COMPONENTS, Codec, as_read, controller
from exphil.features.observation import Recent, Table
from exphil.features.view import controllers
from exphil.game.controller import Controller
from exphil.game.frames import Game
from exphil.game.time import DelayLine

Floats = NDArray[np.float32]


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
        codec: What the classes of its actions stand for.
        seat: 0 or 1, in port order.
        games: E.
        seed: Of the draws; None takes the likeliest action always, which can freeze in place.
        delay: Frames of delay that it answers with; the table has room for them.
        environment_delay: The part of it that the world adds.
        style: Number of the player it plays like, in the policy's registry; 0 is nobody in particular.

    Raises:
        OptionError: when the policy never learned to answer that late, or the world alone is slower.
    """

    def __init__(
        self,
        player: Player,
        table: Table,
        codec: Codec,
        seat: int,
        games: int,
        seed: int | None,
        delay: int = 0,
        environment_delay: int = 0,
        style: int = 0,
    ) -> None:
        if delay > table.max_delay:
            what = f"the policy answers at most {table.max_delay} frames late; {delay} was asked for"
            raise OptionError(what, "delay", f"play a policy trained with --frame-delay {delay}")
        self._player, self._table, self._codec, self._seat, self._games = player, table, codec, seat, games
        self._style, self._delay = style, np.full(games, delay)
        self._random = None if seed is None else np.random.default_rng(seed)
        self._state = player.initial_state(games)
        nothing = np.zeros((games, NUM_COMPONENTS), np.float32)
        self._line: DelayLine[Floats] = DelayLine(delay, environment_delay, nothing)
        self._seen = deque([nothing] * (table.max_delay - delay), table.max_delay - delay)

    def step(self, frame: Frame) -> Decision:
        """See a frame, decide, press."""
        seen = frame.game.seen_from(self._seat)  # a copy: the world's own rows keep their style
        seen.players.style[..., 0] = self._style
        if frame.is_first.any():
            self._forget(frame.is_first)
        floats, ids = self._table.encode(seen, self._recent(seen))
        uniform = None
        if self._random is not None:
            uniform = self._random.random((self._games, NUM_COMPONENTS), np.float32)
        act, self._state = self._player.act(floats, ids, self._state, frame.is_first, uniform)
        pressed = self._line.push(self._codec.decode_floats(act.action))
        return Decision(controller(pressed), act.action, act.log_prob.sum(-1))

    def _forget(self, where: NDArray[np.bool_]) -> None:
        """Another game begins in some rows: nothing was held there."""

        def let_go(held: Floats) -> Floats:
            return np.where(where[:, None], np.float32(0), held)

        self._line.change(let_go)
        self._seen.extend([let_go(held) for held in self._seen])

    def _recent(self, game: Game) -> Recent | None:
        """The controllers before the answer: those seen up to this frame, and those decided and not yet seen."""
        if not self._table.max_delay:
            return None
        self._seen.append(controllers(game))
        before = np.stack([*self._seen, *self._line.pending], 1)
        before[:, len(self._seen) :] = as_read(before[:, len(self._seen) :])
        return Recent(before.reshape(self._games, -1), self._delay)
