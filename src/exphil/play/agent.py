"""The agent: a policy, the state it carries, and the queue between deciding and pressing.

The policy is handed over as an object with ``initial_state`` and ``act`` (``models.policy.TorchPlayer``, an exported
graph); everything here is numpy. Each frame walks the same road as in training: seat, feature table, policy, and back
through the action codec.

Shapes: N games that the agent remembers, E of them on a frame, A components (13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.features.action import NUM_BUTTONS, NUM_COMPONENTS, as_read, controller
from exphil.features.observation import Recent
from exphil.features.view import controllers
from exphil.game.controller import Controller
from exphil.game.frames import Game
from exphil.game.time import ALL, DelayLine
from exphil.play.learned import Learned

if TYPE_CHECKING:
    from exphil.game.time import Rows

Floats = NDArray[np.float32]
_SHARPEST = np.full(NUM_COMPONENTS, 1e15, np.float32)
"""What stands for a temperature of 0."""
_TO_LIKELIEST = np.array([0.5] * NUM_BUTTONS + [1e-6] * (NUM_COMPONENTS - NUM_BUTTONS), np.float32)
"""Uniforms with which the sharpest draw is the likeliest class, and the first of several that are as likely."""
_TO_LIKELIEST[:NUM_BUTTONS] = np.nextafter(_TO_LIKELIEST[:NUM_BUTTONS], np.float32(0))
_GROUPS = np.repeat(np.array([1 / 32, 1 / 8, 1 / 8, 1 / 4], np.float32), [NUM_BUTTONS, 2, 2, 1])
"""What each component counts of the confidence: buttons, main stick, C stick and shoulder a quarter each."""


def likeliest(*shape: int) -> tuple[Floats, Floats]:
    """Uniforms ``shape + (13,)`` and sharpness ``(13,)`` with which a player takes the likeliest action."""
    return np.tile(_TO_LIKELIEST, (*shape, 1)), _SHARPEST


class Act(Protocol):
    """What a player object gives back: action int64 ``(E, 13)``, log_prob float32 ``(E, 13)``."""

    @property
    def action(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def log_prob(self) -> Floats: ...  # noqa: D102


class Player(Protocol):
    """A pure policy behind numpy."""

    def initial_state(self, batch: int) -> Any:
        """The state before the first frame."""
        ...

    def act(
        self,
        floats: Floats,
        ids: NDArray[np.int64],
        state: Any,
        is_first: NDArray[np.bool_],
        uniform: Floats,
        sharpness: Floats | None = None,
    ) -> tuple[Act, Any]:
        """Decide for E games; the state restarts where ``is_first``, log-odds are multiplied by ``sharpness``."""
        ...

    def take(self, state: Any, rows: NDArray[np.int64]) -> Any:
        """The state of some rows, a copy."""
        ...

    def put(self, state: Any, rows: NDArray[np.int64], part: Any) -> None:
        """Write the state of some rows into a state that ``initial_state`` made."""
        ...


class Manner(NamedTuple):
    """How a decision follows from what the policy thinks likely.

    Attributes:
        temperature: ``(13,)``: what the log-odds of each component are divided by before drawing; 1 draws as learned,
            0 takes the likeliest.
        press_threshold: A button that is not held is pressed when it was learned to be at least this likely, whatever
            the temperature; None draws it.
        release_threshold: A held button is released when holding it is less likely than this.
        action_repeat: Frames that every decision is kept.
    """

    temperature: tuple[float, ...] = (1.0,) * NUM_COMPONENTS
    press_threshold: float | None = None
    release_threshold: float | None = None
    action_repeat: int = 1


LIKELIEST = Manner((0.0,) * NUM_COMPONENTS)
"""Always what is likeliest: the same game again and again, which can freeze in place."""


class Decision(NamedTuple):
    """What the agent does after one frame.

    Attributes:
        controllers: Shape ``(E,)``: what is pressed now, through the delay line.
        actions: int64 ``(E, 13)``: what was decided now, or is kept.
        log_probs: float32 ``(E, 13)``: of these actions when they were decided, as learned, whatever the manner.
    """

    controllers: Controller
    actions: NDArray[np.int64]
    log_probs: Floats

    @property
    def log_prob(self) -> Floats:
        """``(E,)``: of the whole action."""
        found: Floats = self.log_probs.sum(-1)
        return found

    @property
    def confidence(self) -> Floats:
        """``(E,)``, 0 to 1: how likely it thought what it chose; buttons, sticks and shoulder count a quarter each."""
        found: Floats = np.exp(self.log_probs) @ _GROUPS
        return found


class Agent:
    """One seat in each of N games.

    What it does in a game follows from the seed, the game's row, how many games began in that row before, and the
    frames of the game: other games change nothing.

    Args:
        player: The policy.
        learned: What else must be known of it.
        seat: 0 or 1, in port order.
        games: N.
        seed: Of the draws, at least 0.
        manner: How a decision follows from what is likely.
        delay: Frames of delay that it answers with; by default the least that it learned and the world allows.
        environment_delay: The part of it that the world adds.
        style: Number of the player it plays like, in the policy's registry; 0 is nobody in particular.

    Raises:
        OptionError: when the policy never learned to answer that late, or the world alone is slower.
    """

    def __init__(
        self,
        player: Player,
        learned: Learned,
        seat: int,
        games: int,
        seed: int,
        *,
        manner: Manner = Manner(),  # noqa: B008  (a tuple of numbers)
        delay: int | None = None,
        environment_delay: int = 0,
        style: int = 0,
    ) -> None:
        total = learned.delay(delay, environment_delay)
        nothing = np.zeros((games, NUM_COMPONENTS), np.float32)
        self._player, self._table, self._codec = player, learned.table, learned.codec
        self._seat, self._style = seat, style
        self._line = DelayLine(total, environment_delay, nothing)
        self._state = player.initial_state(games)
        self._earlier = self._table.max_delay - total
        self._seen = np.zeros((games, self._earlier, NUM_COMPONENTS), np.float32)
        self._shown = np.zeros(games, np.int64)
        self._kept = np.zeros((games, NUM_COMPONENTS), np.int64)
        self._kept_log_probs = np.zeros((games, NUM_COMPONENTS), np.float32)
        self._draws = _Draws(seed, games, manner)
        self._repeat, self._delay = manner.action_repeat, total

    def step(self, frame: Frame, rows: NDArray[np.int64] | None = None) -> Decision:
        """See a frame, decide, press.

        Args:
            frame: Of E games, at least one.
            rows: ``(E,)``: which of the agent's games they are; None are all, in order.
        """
        at: Rows = ALL if rows is None else rows
        seen = frame.game.seen_from(self._seat)  # a copy: the world's own rows keep their style
        seen.players.style[..., 0] = self._style
        if frame.is_first.any():
            self._forget(np.flatnonzero(frame.is_first) if rows is None else rows[frame.is_first])
        shown = self._shown[at]
        floats, ids = self._table.encode(seen, self._recent(seen, at))
        if not np.isfinite(floats).all():  # what is no number would stay in the state for the rest of the game
            floats = np.nan_to_num(floats)
        held = floats[:, self._table.held][:, :NUM_BUTTONS]
        uniform = self._draws.uniform(range(len(shown)) if rows is None else rows.tolist(), held)
        state = self._state if rows is None else self._player.take(self._state, rows)
        # training begins to count when the oldest of the recent controllers is there
        opens = shown <= self._earlier
        act, state = self._player.act(floats, ids, state, opens, uniform, self._draws.sharpness)
        if rows is None:
            self._state = state
        else:
            self._player.put(self._state, rows, state)
        actions, log_probs = self._chosen(act, shown, at)
        self._shown[at] += 1
        pressed = self._line.push(self._codec.decode_floats(actions), at)
        return Decision(controller(pressed), actions, log_probs)

    def _chosen(self, act: Act, shown: NDArray[np.int64], at: Rows) -> tuple[NDArray[np.int64], Floats]:
        """What is decided now, or kept, and its log-probabilities."""
        if self._repeat == 1:
            return act.action, act.log_prob
        anew = (shown % self._repeat == 0)[:, None]
        self._kept[at] = np.where(anew, act.action, self._kept[at])
        self._kept_log_probs[at] = np.where(anew, act.log_prob, self._kept_log_probs[at])
        return self._kept[at].copy(), self._kept_log_probs[at].copy()

    def _forget(self, rows: NDArray[np.int64]) -> None:
        """Another game begins in some rows: nothing was held there."""
        self._line.restart(rows)
        self._seen[rows] = 0
        self._shown[rows] = 0
        self._draws.restart(rows)

    def _recent(self, game: Game, at: Rows) -> Recent | None:
        """The controllers before the answer: those seen up to this frame, and those decided and not yet seen."""
        if not self._table.max_delay:
            return None
        seen = np.concatenate([self._seen[at], controllers(game)[:, None]], 1)[:, 1:]
        if self._earlier:
            self._seen[at] = seen
        before = np.concatenate([seen, as_read(self._line.pending(at))], 1)
        return Recent(before.reshape(len(before), -1), self._delay)


class _Draws:
    """The uniforms that decisions are made with: every game has a generator of its own."""

    def __init__(self, seed: int, games: int, manner: Manner) -> None:
        temperature = np.array(manner.temperature)
        if manner.press_threshold is not None:  # thresholds are compared with what was learned
            temperature[:NUM_BUTTONS] = 1
        self._seed, self._likeliest = seed, temperature == 0
        self._generators: list[np.random.Generator | None] = [None] * games
        self._begun = [0] * games
        self._press, self._release = manner.press_threshold, manner.release_threshold
        self.sharpness: Floats | None = None
        if (temperature != 1).any():
            self.sharpness = (1 / np.maximum(temperature, 1 / _SHARPEST)).astype(np.float32)

    def uniform(self, rows: Any, held: Floats) -> Floats:
        """``(E, 13)`` in [0, 1); ``held`` ``(E, 8)`` are the buttons held when the answer begins."""
        found = np.empty((len(held), NUM_COMPONENTS), np.float32)
        for place, row in enumerate(rows):
            (self._generators[row] or self._begin(row)).random(out=found[place], dtype=np.float32)
        if self._likeliest.any():
            np.copyto(found, _TO_LIKELIEST, where=self._likeliest)
        if self._press is not None:  # a button is pressed where its probability reaches 1 - uniform
            found[:, :NUM_BUTTONS] = np.where(held > 0, 1 - self._release, 1 - self._press)  # type: ignore[operator]
        return found

    def _begin(self, row: int) -> np.random.Generator:
        made = self._generators[row] = np.random.default_rng((self._seed, row, self._begun[row]))
        return made

    def restart(self, rows: NDArray[np.int64]) -> None:
        """Another game begins in some rows."""
        for row in rows.tolist():
            self._begun[row] += 1
            self._generators[row] = None
