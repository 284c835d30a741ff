"""Windows: independent stretches of fixed length, shuffled; every one starts from a fresh state.

A window of 1 is single-frame training.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from exphil.data.sampler import Pick, drawn, still
from exphil.errors import DataError


class Windows:
    """The plan of windows.

    Args:
        first: int64 ``(n,)``: first row of each entry.
        decisions: int64 ``(n,)``: decisions of each entry.
        batch: Windows in a batch.
        window: Decisions of one window.
        stride: Decisions from one window's start to the next.
        full: Only windows that are full (when the loss is taken at the last position); else the last of a game is
            padded.
        mirror: Share of the windows that are mirrored, drawn anew every epoch.
        seed: Seed of order and mirroring.
        weights: float64 ``(n,)``: how often each entry's windows are drawn on average; by default each once an epoch.

    Raises:
        DataError: no game is as long as one window.
    """

    def __init__(
        self,
        first: NDArray[np.int64],
        decisions: NDArray[np.int64],
        batch: int,
        window: int,
        stride: int,
        full: bool,
        mirror: float,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        starts = [np.arange(0, total - window + 1 if full else total, stride) for total in decisions.tolist()]
        self.window, self._mirror, self._seed = window, mirror, seed
        self._first = np.concatenate([at + start for at, start in zip(first, starts, strict=True)])
        self._count = np.concatenate(
            [np.minimum(window, total - start) for total, start in zip(decisions, starts, strict=True)]
        )
        if not len(self._first):
            longest = int(decisions.max())
            raise DataError(
                f"no game holds a whole window: {window} decisions, the longest game has {longest}",
                "--window-size",
                f"--window-size {longest} or less, or --loss-positions all",
            )
        self.batch = min(batch, len(self._first))
        self._weights = None if weights is None else np.repeat(weights, [len(start) for start in starts])
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        return drawn(np.random.default_rng([self._seed, 2, epoch]), len(self._first), self._weights)

    def steps(self, epoch: int) -> int:
        """Batches of one epoch; the last may be padded with empty windows."""
        return -(-len(self._order(epoch)) // self.batch)

    def pick(self, epoch: int, step: int) -> Pick:
        """The windows of a step."""
        chosen = self._order(epoch)[step * self.batch : (step + 1) * self.batch]
        at = np.resize(chosen, self.batch)
        there = np.arange(self.batch) < len(chosen)
        flip = np.random.default_rng([self._seed, 3, epoch, step]).random(self.batch) < self._mirror
        count = np.where(there, self._count[at], 0)
        return Pick(self._first[at], count, np.ones(self.batch, np.bool_), flip, still(self.batch))
