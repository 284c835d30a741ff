"""Lanes: B walkers that go through whole games in consecutive chunks, so that training sees the states that play sees.

For every epoch the entries are shuffled, cut into chunks at a random offset each, and laid end to end as one tape; the
tape is turned by a random amount and cut into B equal lanes. Lane b of step s is chunk s of its part. So every
decision comes once an epoch, lanes stand in different places of different games as far as there are any, and only the
B lanes' own beginnings meet a fresh state in mid-game.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.data.sampler import Pick, drawn, plain


class _Tape(NamedTuple):
    first: NDArray[np.int64]
    decisions: NDArray[np.int64]
    opens: NDArray[np.bool_]  # the first chunk of its game
    mirrored: NDArray[np.bool_]
    cuts: NDArray[np.int64]  # (B + 1,): lane b is the chunks [cuts[b], cuts[b + 1])


class Lanes:
    """The plan of lanes.

    Args:
        first: int64 ``(n,)``: first row of each entry.
        decisions: int64 ``(n,)``: decisions of each entry.
        batch: Lanes wanted; fewer when there are fewer chunks.
        window: Decisions of one chunk.
        mirror: Share of the games that are mirrored, drawn anew every epoch; a game is mirrored whole.
        seed: Seed of order, offsets and mirroring.
        weights: float64 ``(n,)``: how often each entry is drawn on average; by default each once an epoch.
    """

    def __init__(
        self,
        first: NDArray[np.int64],
        decisions: NDArray[np.int64],
        batch: int,
        window: int,
        mirror: float,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        chunks = int((-(-decisions // window)).sum())
        self.window, self.batch = window, max(1, min(batch, chunks))
        self._first, self._decisions, self._mirror = first, decisions, mirror
        self._seed, self._weights = seed, weights
        self._tape = lru_cache(maxsize=1)(self._lay)

    def _lay(self, epoch: int) -> _Tape:
        random = np.random.default_rng([self._seed, 1, epoch])
        flip = np.random.default_rng([self._seed, 3, epoch]).random(len(self._first)) < self._mirror
        firsts, counts, opens, flips = [], [], [], []
        for entry in drawn(random, len(self._first), self._weights):
            total = int(self._decisions[entry])
            cut = int(random.integers(1, self.window + 1))  # decisions of the first chunk
            starts = np.concatenate([[0], np.arange(cut, total, self.window)]) if total else np.zeros(0, np.int64)
            firsts.append(self._first[entry] + starts)
            counts.append(np.diff(np.append(starts, total)))
            opens.append(starts == 0)
            flips.append(np.full(len(starts), flip[entry]))
        if not sum(map(len, firsts)):  # a part of a corpus that was not drawn from
            none, never = np.zeros(0, np.int64), np.zeros(0, np.bool_)
            return _Tape(none, none, never, never, np.zeros(self.batch + 1, np.int64))
        turn = int(random.integers(sum(map(len, firsts))))
        first, count, opening, mirrored = (np.roll(np.concatenate(p), -turn) for p in (firsts, counts, opens, flips))
        return _Tape(first, count, opening, mirrored, np.arange(self.batch + 1) * len(first) // self.batch)

    def steps(self, epoch: int) -> int:
        """Batches of one epoch: the chunks of the longest lane."""
        return int(np.diff(self._tape(epoch).cuts).max())

    def pick(self, epoch: int, step: int) -> Pick:
        """Chunk ``step`` of every lane; a lane that is through gives none."""
        tape = self._tape(epoch)
        at = tape.cuts[:-1] + step
        there = at < tape.cuts[1:]
        at = np.where(there, at, 0)
        decisions = np.where(there, tape.decisions[at], 0)
        return plain(tape.first[at], decisions, tape.opens[at] | (step == 0))._replace(mirrored=tape.mirrored[at])
