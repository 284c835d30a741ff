"""A plan cut into parts: some rows of every batch of another plan.

A batch that is too large for one process, or for the memory of one, is worked on in equal slices: by R processes, or
one slice after the other with gradients summed (accumulation), or both. Put side by side, the slices are the batch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from exphil.data.sampler import Pick, Plan


class Parts:
    """The plan of some slices of another plan's batches: one after the other, then those of the next batch.

    Every batch is cut by rows into equal, consecutive slices. What the last ones lack is padded with rows without a
    decision, whose state restarts every time.

    Args:
        plan: The order of whole batches, of ``plan.batch`` rows.
        parts: Slices of one batch, at least 1.
        own: Numbers of the slices that are wanted, within ``[0, parts)``, in order.

    Raises:
        ValueError: slices that are not there.
    """

    def __init__(self, plan: Plan, parts: int, own: range) -> None:
        if not own or min(own) < 0 or max(own) >= parts:
            raise ValueError(f"slices {own} of {parts}")
        self.window, self.batch = plan.window, -(-plan.batch // parts)
        self.plan, self.parts, self.own = plan, parts, own
        self._whole = lru_cache(maxsize=1)(plan.pick)  # its slices are asked for one after the other

    def steps(self, epoch: int) -> int:
        """Slices of one epoch: ``len(own)`` of every batch."""
        return self.plan.steps(epoch) * len(self.own)

    def pick(self, epoch: int, step: int) -> Pick:
        """Slice ``own[step % len(own)]`` of batch ``step // len(own)``."""
        turn, at = divmod(step, len(self.own))
        whole = self._whole(epoch, turn)
        row = self.own[at] * self.batch + np.arange(self.batch)
        there = row < len(whole.first)
        found = Pick(*(column[np.where(there, row, 0)] for column in whole))  # type: ignore[arg-type]
        if there.all():
            return found
        return found._replace(
            decisions=np.where(there, found.decisions, 0),
            is_first=found.is_first | ~there,
            mirrored=found.mirrored & there,
            noise=np.where(there, found.noise, 0),
        )
