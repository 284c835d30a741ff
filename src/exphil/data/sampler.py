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
    """

    first: NDArray[np.int64]
    decisions: NDArray[np.int64]
    is_first: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]


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


def split(games: int, share: float, seed: int) -> tuple[set[int], set[int]]:
    """Numbers of the training games and of the held-out games.

    Whole files, at least one on each side when ``share`` > 0.
    """
    order = np.random.default_rng([seed, 0]).permutation(games)
    if share > 0 and games < 2:
        raise DataError("one game cannot be split", "--val-split", "more replays, or --val-split 0")
    held = min(max(round(games * share), 1), games - 1) if share > 0 else 0
    return {int(game) for game in order[held:]}, {int(game) for game in order[:held]}
