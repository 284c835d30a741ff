"""Floats and ids to one vector a frame: the first dense layer. Shapes: B batch, T time, F floats, I ids, D width.

An id stands for a learned row of some table, and the dense layer is applied to the floats and all those rows together.
Where there are more frames than rows it is applied to the tables instead and the products are looked up: the same
numbers for half the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_START = 0.02  # small, so that an id never seen in training stays near "nothing known"


class Embed(nn.Module):
    """A dense layer over floats and looked-up ids; ids of one kind share a table.

    Args:
        floats: Number of floats.
        kinds: The table that each id is looked up in.
        vocabularies: Rows of each table.
        width: Width of every table.
        size: Width of the result.
        nobody: The tables whose row 0 means nothing known: it is zeros and stays zeros.
    """

    def __init__(
        self,
        floats: int,
        kinds: Sequence[int],
        vocabularies: Sequence[int],
        width: int,
        size: int,
        nobody: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.tables = nn.ModuleList(
            nn.Embedding(rows, width, padding_idx=0 if at in nobody else None) for at, rows in enumerate(vocabularies)
        )
        for at, table in enumerate(self.tables):
            nn.init.normal_(table.weight, std=_START)  # type: ignore[arg-type]
            if at in nobody:
                nn.init.zeros_(table.weight[0])  # type: ignore[index]
        self.dense = nn.Linear(floats + width * len(kinds), size)
        self.kinds, self.output_size = tuple(kinds), size
        self._widths, self._rows = [floats, *[width] * len(kinds)], sum(vocabularies[kind] for kind in kinds)

    def forward(self, floats_BTF: Tensor, ids_BTI: Tensor) -> Tensor:
        """``(B, T, D)``."""
        tables = [self.tables[kind] for kind in self.kinds]
        if floats_BTF.shape[:-1].numel() <= self._rows:
            looked_up = [table(ids_BTI[..., index]) for index, table in enumerate(tables)]
            y_BTD: Tensor = self.dense(torch.cat([floats_BTF, *looked_up], -1))
            return y_BTD
        of_floats, *of_ids = torch.split(self.dense.weight, self._widths, 1)
        y_BTD = functional.linear(floats_BTF, of_floats, self.dense.bias)
        for index, (table, weight) in enumerate(zip(tables, of_ids, strict=True)):
            rows = functional.linear(table.weight, weight)  # type: ignore[arg-type]
            y_BTD = y_BTD + functional.embedding(ids_BTI[..., index], rows, table.padding_idx)  # type: ignore[arg-type]
        return y_BTD
