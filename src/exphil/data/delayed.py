"""How late each stretch of a batch answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from exphil.data.sampler import Pick, Plan

Delays = Callable[[int], NDArray[np.int64]]
"""Epoch to the frames of delay of every entry, ``(n,)``."""


def by_epoch(low: int, high: int, seed: int, entries: int) -> Delays:
    """Every game gets a delay from ``low`` to ``high``, anew every epoch: within a game hands do not get slower."""

    @lru_cache(maxsize=1)
    def delays(epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([seed, 7, epoch]).integers(low, high + 1, entries)

    return delays


def spread(low: int, high: int, entries: int) -> NDArray[np.int64]:
    """Delays of ``entries`` games for measuring, always the same: from ``low`` to ``high`` in even steps, mixed."""
    delays = low + np.round(np.linspace(0, high - low, entries)).astype(np.int64)
    return np.random.default_rng(0).permutation(delays)  # files come in an order that may mean something


class Delayed:
    """A plan whose stretches say how late they answer.

    Args:
        plan: The order of stretches.
        first: int64 ``(n,)``: first row of each entry.
        delays: How late each entry answers.
    """

    def __init__(self, plan: Plan, first: NDArray[np.int64], delays: Delays) -> None:
        self.window, self.batch = plan.window, plan.batch
        self._plan, self._first, self._delays = plan, first, delays

    def steps(self, epoch: int) -> int:
        """Batches of one epoch."""
        return self._plan.steps(epoch)

    def pick(self, epoch: int, step: int) -> Pick:
        """The batch of a step."""
        pick = self._plan.pick(epoch, step)
        entry = np.searchsorted(self._first, pick.first, "right") - 1
        return pick._replace(delay=self._delays(epoch)[entry])
