"""How closely a player follows another player of the same policy, and how long both take.

Two players (``models.policy.TorchPlayer``, ``play.fast.FastPlayer``) and the numbers of frames enter; what leaves are
the differences of their decisions, one game, frame by frame, each with its own state. Always the likeliest action is
taken, so that chance is out of it. Nothing can go wrong that the players do not raise themselves.

Shapes: T frames, F floats, I ids, A components (13).
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.features.action import NUM_BUTTONS
from exphil.features.observation import Table
from exphil.game.controller import STICK_STEPS, TRIGGER_STEPS
from exphil.play.agent import Player, likeliest


class Agreement(NamedTuple):
    """What two players of one policy differ in.

    Attributes:
        frames: How many were decided.
        log_prob: The greatest difference of a component's log-probability, in nats, over the frames on which both did
            the same: on others they are those of different classes.
        actions: The share of frames with the same action, 0 to 1.
        components: The share of components, 13 a frame, that were the same, 0 to 1.
        reference_ms: The median time of a decision of the first player, milliseconds.
        other_ms: The same of the second.
    """

    frames: int
    log_prob: float
    actions: float
    components: float
    reference_ms: float
    other_ms: float


def compare(reference: Player, other: Player, floats: NDArray[np.float32], ids: NDArray[np.int64]) -> Agreement:
    """Show both players the same frames, one after the other.

    Args:
        reference: The player whose decisions count.
        other: The player that is to follow it.
        floats: ``(T, F)``, as the feature table gives them.
        ids: ``(T, I)``.
    """
    asked = [_Asked(player) for player in (reference, other)]
    for at in range(len(floats)):
        for each in asked:
            each.decide(floats[at : at + 1], ids[at : at + 1], np.array([at == 0]))
    (actions, log_probs), (others, other_log_probs) = (each.decided() for each in asked)
    same = actions == others
    alike = same.all(-1)
    apart = np.abs(log_probs - other_log_probs)[alike]
    return Agreement(
        len(floats),
        float(apart.max(initial=0)),
        float(alike.mean()),
        float(same.mean()),
        *(1000 * median(each.seconds) for each in asked),
    )


class _Asked:
    """A player, its state, and what it said."""

    def __init__(self, player: Player) -> None:
        self._player, self._state, self._acts = player, player.initial_state(1), list[Any]()
        self.seconds: list[float] = []

    def decide(self, floats: NDArray[np.float32], ids: NDArray[np.int64], is_first: NDArray[np.bool_]) -> None:
        began = time.perf_counter()
        act, self._state = self._player.act(floats, ids, self._state, is_first, *likeliest(1))
        self.seconds.append(time.perf_counter() - began)
        self._acts.append(act)

    def decided(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Actions and log-probabilities, ``(T, A)``."""
        return np.concatenate([act.action for act in self._acts]), np.concatenate([act.log_prob for act in self._acts])


def made_up(table: Table, frames: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Floats ``(T, F)`` and ids ``(T, I)`` that the table could give, drawn evenly: no game, but within every range.

    A range is cut to [-1, 1], where most of a game lies; the controller that is held is one that hands can hold.
    """
    random = np.random.default_rng(seed)
    listed = [row for _, row in table.rows()]
    bounds = np.clip([(row.low, row.high) for row in listed], -1, 1).repeat([row.width for row in listed], 0)
    floats = random.uniform(bounds[:, 0], bounds[:, 1], (frames, table.floats))
    held = floats[:, table.held]
    held[:, :NUM_BUTTONS] = random.integers(0, 2, (frames, NUM_BUTTONS))
    held[:, NUM_BUTTONS:-1] = random.integers(-STICK_STEPS, STICK_STEPS + 1, (frames, 4)) / STICK_STEPS
    held[:, -1] = random.integers(0, TRIGGER_STEPS + 1, frames) / TRIGGER_STEPS
    ids = random.integers(0, [found.vocabulary for found in table.vocabularies], (frames, table.ids))
    return floats.astype(np.float32), ids
