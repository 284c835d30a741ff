"""Floats and ids to one vector a frame. Shapes: B batch, T time, F floats, I ids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_START = 0.02  # small, so that an id never seen in training stays near "nothing known"


class Embed(nn.Module):
    """Floats, and each id looked up in a learned table; ids of one kind share a table.

    Args:
        floats: Number of floats.
        kinds: The table that each id is looked up in.
        vocabularies: Rows of each table.
        width: Width of every table.
        nobody: The tables whose row 0 means nothing known: it is zeros and stays zeros.
    """

    def __init__(
        self, floats: int, kinds: Sequence[int], vocabularies: Sequence[int], width: int, nobody: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.tables = nn.ModuleList(
            nn.Embedding(rows, width, padding_idx=0 if at in nobody else None) for at, rows in enumerate(vocabularies)
        )
        for at, table in enumerate(self.tables):
            nn.init.normal_(table.weight, std=_START)  # type: ignore[arg-type]
            if at in nobody:
                nn.init.zeros_(table.weight[0])  # type: ignore[index]
        self._kinds = tuple(kinds)
        self.output_size = floats + width * len(self._kinds)

    def forward(self, floats_BTF: Tensor, ids_BTI: Tensor) -> Tensor:
        """``(B, T, output_size)``."""
        looked_up = [self.tables[kind](ids_BTI[..., index]) for index, kind in enumerate(self._kinds)]
        return torch.cat([floats_BTF, *looked_up], -1)
