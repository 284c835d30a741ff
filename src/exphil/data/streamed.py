"""A plan over more games than are open at a time: some files, then the next ones, all of them once an epoch.

Every epoch shuffles the files anew and deals them into chunks; each chunk is a plan of its own. What is open at a time
is bounded by the chunk, what is mixed in a batch too. Order is arithmetic on (seed, epoch, step), as for every plan, so
a run resumes in the middle of an epoch with the same next batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.data.sampler import Pick, Plan
from exphil.errors import DataError

Make = Callable[[NDArray[np.int64], int], Plan]
"""Entries (their numbers) and a seed to a plan over them."""


class _Epoch(NamedTuple):
    chunks: list[NDArray[np.int64]]
    ends: NDArray[np.int64]  # (chunks,): steps until each chunk is through


class Streamed:
    """The plan of chunks.

    Args:
        games: int64 ``(n,)``: the file of each entry.
        decisions: int64 ``(n,)``: decisions of each entry.
        files: Files in a chunk; None for no such bound.
        frames: Decisions in a chunk, which the last of its files may exceed; None for no such bound.
        make: Makes the plan of a chunk.
        window: Decisions of one stretch.
        batch: Stretches of one batch.
        seed: Seed of the files' order.
    """

    def __init__(
        self,
        games: NDArray[np.int64],
        decisions: NDArray[np.int64],
        files: int | None,
        frames: int | None,
        make: Make,
        window: int,
        batch: int,
        seed: int,
    ) -> None:
        self.window, self.batch = window, batch
        self._games, self._decisions = games.astype(np.int64), decisions
        self._files, self._frames = files, frames
        self._make, self._seed = make, seed
        self._epoch = lru_cache(maxsize=2)(self._lay)
        self._plan = lru_cache(maxsize=2)(self._made)

    def chunks(self, epoch: int) -> list[NDArray[np.int64]]:
        """The files of each chunk."""
        files = np.random.default_rng([self._seed, 5, epoch]).permutation(np.unique(self._games))
        if self._files is not None:
            return np.split(files, range(self._files, len(files), self._files))
        total = np.bincount(self._games, self._decisions, int(self._games.max()) + 1)[files].cumsum()
        chunk = (np.maximum(total - 1, 0) // (self._frames or 1)).astype(np.int64)
        return np.split(files, np.flatnonzero(np.diff(chunk)) + 1)

    def _lay(self, epoch: int) -> _Epoch:
        chunks, steps, empty = self.chunks(epoch), [], None
        for number, files in enumerate(chunks):
            try:
                steps.append(self._made(epoch, number, files.tobytes()).steps(epoch))  # not kept: plans take memory
            except DataError as error:  # no game of this chunk holds a whole window
                steps.append(0)
                empty = error
        if empty and not any(steps):
            raise empty
        return _Epoch(chunks, np.cumsum(steps))

    def _made(self, epoch: int, number: int, packed: bytes) -> Plan:
        """The plan of one chunk; ``packed`` are its files."""
        files = np.frombuffer(packed, np.int64)
        place = np.full(int(self._games.max()) + 1, -1)
        place[files] = np.arange(len(files))
        inside = np.flatnonzero(place[self._games] >= 0)
        inside = inside[np.argsort(place[self._games[inside]], kind="stable")]
        seed = int(np.random.default_rng([self._seed, 6, epoch, number]).integers(1 << 31))
        return self._make(inside, seed)

    def steps(self, epoch: int) -> int:
        """Batches of one epoch."""
        return int(self._epoch(epoch).ends[-1])

    def pick(self, epoch: int, step: int) -> Pick:
        """The batch of a step; every chunk begins with fresh states."""
        found = self._epoch(epoch)
        chunk = int(np.searchsorted(found.ends, step, "right"))
        before = int(found.ends[chunk - 1]) if chunk else 0
        pick = self._plan(epoch, chunk, found.chunks[chunk].tobytes()).pick(epoch, step - before)
        missing = self.batch - len(pick.first)
        if missing:  # a chunk of few stretches: the rest of the batch is empty
            pick = Pick(*(np.pad(part, (0, missing)) for part in pick))  # type: ignore[arg-type]
        return pick._replace(is_first=pick.is_first | (step == before))
