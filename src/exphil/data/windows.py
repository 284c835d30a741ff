"""Windows: independent stretches of fixed length, shuffled; every one starts from a fresh state.

A window of 1 is single-frame training.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.data.sampler import Pick, drawn, plain
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
        self.window, self._stride, self._mirror, self._seed = window, stride, mirror, seed
        self._first, self._decisions, self._weights = first, decisions, weights
        last = decisions - window if full else decisions - 1  # where the last window of an entry may begin
        self._windows = np.maximum(last // stride + 1, 0)
        self._end = np.cumsum(self._windows)
        if not self._windows.any():
            longest = int(decisions.max())
            raise DataError(
                f"no game holds a whole window: {window} decisions, the longest game has {longest}",
                "--window-size",
                f"--window-size {longest} or less, or --loss-positions all",
            )
        self.batch = min(batch, int(self._end[-1]))
        self._order = lru_cache(maxsize=1)(self._shuffle)

    def _shuffle(self, epoch: int) -> NDArray[np.integer[Any]]:
        """Numbers of windows, counted over all entries: the one thing that is as long as the data."""
        random, count = np.random.default_rng([self._seed, 2, epoch]), int(self._end[-1])
        if self._weights is None:
            return random.permutation(np.arange(count, dtype=np.int32 if count < 1 << 31 else np.int64))
        entries = drawn(random, len(self._windows), self._windows * self._weights)
        inside = (random.random(len(entries)) * self._windows[entries]).astype(np.int64)
        return self._end[entries] - self._windows[entries] + inside

    def steps(self, epoch: int) -> int:
        """Batches of one epoch; the last may be padded with empty windows."""
        count = int(self._end[-1]) if self._weights is None else len(self._order(epoch))
        return -(-count // self.batch)

    def pick(self, epoch: int, step: int) -> Pick:
        """The windows of a step."""
        chosen = self._order(epoch)[step * self.batch : (step + 1) * self.batch].astype(np.int64)
        at = np.resize(chosen, self.batch)
        entry = np.searchsorted(self._end, at, "right")
        offset = (at - self._end[entry] + self._windows[entry]) * self._stride
        count = np.minimum(self.window, self._decisions[entry] - offset)
        there = np.arange(self.batch) < len(chosen)
        flip = np.random.default_rng([self._seed, 3, epoch, step]).random(self.batch) < self._mirror
        first = self._first[entry] + offset
        return plain(first, np.where(there, count, 0), np.ones(self.batch, np.bool_))._replace(mirrored=flip)
