"""Whole games from first frame to last, side by side, state carried: how policies are validated and evaluated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exphil.data.sampler import Pick, plain


class Walk:
    """The plan of whole games.

    Groups of ``batch`` entries of like length, each walked in chunks of ``window`` decisions.

    Args:
        first: int64 ``(n,)``: first row of each entry.
        decisions: int64 ``(n,)``: decisions of each entry.
        batch: Games side by side.
        window: Decisions of one chunk; changes nothing but memory and speed.
    """

    def __init__(self, first: NDArray[np.int64], decisions: NDArray[np.int64], batch: int, window: int) -> None:
        self.window, self.batch = window, max(1, min(batch, len(first)))
        order = np.argsort(-decisions, kind="stable")
        padding = -len(order) % self.batch
        self._first = np.concatenate([first[order], np.zeros(padding, np.int64)]).reshape(-1, self.batch)
        self._decisions = np.concatenate([decisions[order], np.zeros(padding, np.int64)]).reshape(-1, self.batch)
        chunks = -(-self._decisions.max(1) // window)
        self._group = np.repeat(np.arange(len(chunks)), chunks)
        self._chunk = np.concatenate([np.arange(count) for count in chunks])

    def steps(self, epoch: int) -> int:
        """Chunks of all groups."""
        return len(self._group)

    def pick(self, epoch: int, step: int) -> Pick:
        """Chunk ``step``; all rows restart where a group begins."""
        group, at = self._group[step], int(self._chunk[step]) * self.window
        count = np.clip(self._decisions[group] - at, 0, self.window)
        return plain(np.where(count > 0, self._first[group] + at, 0), count, np.full(self.batch, at == 0))
