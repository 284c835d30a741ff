"""What one batch consists of, and the split of games; both pure functions of the seed."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from exphil.errors import DataError


class Pick(NamedTuple):
    """Where the B rows of one batch lie in a corpus.

    Attributes:
        first: int64 ``(B,)``: first row of each stretch.
        decisions: int64 ``(B,)``: its decisions, at most the window; the rest is padding.
        is_first: bool ``(B,)``: the carried state must restart here.
        mirrored: bool ``(B,)``: left and right change places.
        noise: int64 ``(B,)``: which noise is added; 0 is none.
        delay: int64 ``(B,)``: how many frames late it answers.
    """

    first: NDArray[np.int64]
    decisions: NDArray[np.int64]
    is_first: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]
    noise: NDArray[np.int64]
    delay: NDArray[np.int64]


class Plan(Protocol):
    """An order of stretches. Resuming is arithmetic: nothing is remembered between calls."""

    window: int
    batch: int

    def steps(self, epoch: int) -> int:
        """Batches of one epoch."""
        ...

    def pick(self, epoch: int, step: int) -> Pick:
        """The batch of a step."""
        ...


class Noisy:
    """A plan whose stretches get noise, some of them, drawn anew for every batch.

    Args:
        plan: The order of stretches.
        share: How many get it.
        seed: Seed of the draw.
    """

    def __init__(self, plan: Plan, share: float, seed: int) -> None:
        self.window, self.batch = plan.window, plan.batch
        self._plan, self._share, self._seed = plan, share, seed

    def steps(self, epoch: int) -> int:
        """Batches of one epoch."""
        return self._plan.steps(epoch)

    def pick(self, epoch: int, step: int) -> Pick:
        """The batch of a step."""
        random = np.random.default_rng([self._seed, 4, epoch, step])
        drawn = random.integers(1, 1 << 62, self.batch) * (random.random(self.batch) < self._share)
        return self._plan.pick(epoch, step)._replace(noise=drawn)


def plain(first: NDArray[np.int64], decisions: NDArray[np.int64], is_first: NDArray[np.bool_]) -> Pick:
    """Stretches as they are: not mirrored, no noise, no delay."""
    none = np.zeros(len(first), np.int64)
    return Pick(first, decisions, is_first, np.zeros(len(first), np.bool_), none, none)


def drawn(random: np.random.Generator, count: int, weights: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """An order of ``count`` things: each once, or with weights each so often as its weight on average.

    The number of draws is the sum of the weights, with chance for the fraction: a part of a corpus is drawn from as
    often as it weighs within the whole, which may be never.
    """
    if weights is None:
        return random.permutation(count)
    draws = int(weights.sum() + random.random())
    return random.choice(count, draws, p=weights / weights.sum())


def balanced(kind: NDArray[np.int64], amount: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights ``(n,)`` by which every kind comes equally often, so that an epoch is as long as without.

    The weights are as the least amount of any kind over the own kind's amount, at least 0.1: a kind that is rarer than
    a tenth of the commonest is not repeated without end.
    """
    names, place = np.unique(kind, return_inverse=True)
    total = np.bincount(place, amount, len(names)).astype(np.float64)
    weight = np.clip(total.min() / np.maximum(total, 1), 0.1, 1.0)[place]
    even: NDArray[np.float64] = weight * (amount.sum() / max(float((weight * amount).sum()), 1.0))
    return even


def split(games: int, share: float, seed: int) -> tuple[set[int], set[int]]:
    """Numbers of the training games and of the held-out games.

    Whole files, at least one on each side when ``share`` > 0.
    """
    order = np.random.default_rng([seed, 0]).permutation(games)
    if share > 0 and games < 2:
        raise DataError("one game cannot be split", "--val-split", "more replays, or --val-split 0")
    held = min(max(round(games * share), 1), games - 1) if share > 0 else 0
    return {int(game) for game in order[held:]}, {int(game) for game in order[:held]}
