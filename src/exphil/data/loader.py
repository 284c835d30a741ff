"""A plan and a corpus to encoded batches.

Rows are gathered and shipped packed; encoding happens on the training device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from exphil.data.corpus import AHEAD, Corpus
from exphil.data.sampler import Pick, Plan
from exphil.features import action
from exphil.features.augment import mirror
from exphil.features.observation import Table
from exphil.game.controller import controller_of
from exphil.game.frames import ROW_BYTES, Game, playing


class Batch(NamedTuple):
    """B stretches of T decisions, on the training device.

    Attributes:
        floats: ``(B, T, F)``; ids: int64 ``(B, T, I)``; action: int64 ``(B, T, 13)``, what was pressed next.
        weight: ``(B, T)``: 1 where the decision counts, 0 for padding and for frames on which nobody plays.
        is_first: bool ``(B, T)``: the carried state restarts before this decision.
    """

    floats: Tensor
    ids: Tensor
    action: Tensor
    weight: Tensor
    is_first: Tensor

    @property
    def frames(self) -> float:
        """Decisions that count."""
        return float(self.weight.sum())


class Gather:
    """Copies stretches of consecutive rows out of a corpus: one ``index_select`` on a view in which stretches overlap.

    Args:
        corpus: Rows to copy from; nothing is duplicated.
        length: Rows of a stretch, at most ``LONGEST_STRETCH``.
    """

    def __init__(self, corpus: Corpus, length: int) -> None:
        rows = torch.from_numpy(corpus.rows)
        self.length = length
        self._view = torch.as_strided(rows, (rows.shape[0] - length + 1, length * ROW_BYTES), (ROW_BYTES, 1))
        self._out = rows.new_empty(0, length * ROW_BYTES)

    def __call__(self, first: Tensor) -> Tensor:
        """uint8 ``(B, length, ROW_BYTES)``: the rows from each of ``first`` on, whatever game they belong to.

        The memory is this object's and holds until the next call: fresh pages for every batch cost more than the copy.
        """
        if self._out.shape[0] != len(first):
            self._out = self._view.new_empty(len(first), self.length * ROW_BYTES)
        torch.index_select(self._view, 0, first, out=self._out)
        return self._out.view(-1, self.length, ROW_BYTES)


class Loader:
    """Batches as a pure function of (epoch, step).

    Args:
        corpus: The games.
        plan: Which stretches make which batch.
        table: The feature table.
        device: Where batches go.
        all_frames: Count the frames before GO and after the last stock too.
        last_only: Count only the last decision of each window.
    """

    def __init__(
        self, corpus: Corpus, plan: Plan, table: Table, device: torch.device, *, all_frames: bool, last_only: bool
    ) -> None:
        self.corpus, self.plan, self.table, self.device = corpus, plan, table, device
        self._all_frames, self._last_only = all_frames, last_only
        self._gather = Gather(corpus, plan.window + AHEAD)

    def steps(self, epoch: int) -> int:
        """Batches of one epoch."""
        return self.plan.steps(epoch)

    def load(self, epoch: int, step: int) -> Batch:
        """The batch of a step."""
        pick = self.plan.pick(epoch, step)
        rows = self._gather(torch.from_numpy(pick.first))
        if self.device.type == "cuda":
            rows = rows.pin_memory()
        return self.encode(Game(rows.to(self.device, non_blocking=True)), pick)

    def encode(self, game: Game, pick: Pick) -> Batch:
        """Encode gathered rows ``(B, T + AHEAD)``: the first T states, answered by the last T controllers."""
        floats, ids = self.table.encode(game[:, :-AHEAD])
        answers = action.encode(controller_of(game[:, AHEAD:].players, 0))
        if pick.mirrored.any():
            floats, answers = mirror(self.table, floats, answers, torch.from_numpy(pick.mirrored).to(self.device))
        steps = torch.arange(self.plan.window, device=self.device)
        count = torch.from_numpy(pick.decisions).to(self.device)[:, None]
        weight = (steps == count - 1) if self._last_only else (steps < count)
        if not self._all_frames:
            weight = weight & playing(game[:, :-AHEAD])
        is_first = torch.zeros(weight.shape, dtype=torch.bool, device=self.device)
        is_first[:, 0] = torch.from_numpy(pick.is_first).to(self.device)
        return Batch(floats, ids, answers, weight.float(), is_first)
