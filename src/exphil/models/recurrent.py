"""GRU and LSTM: layers with a residual around each, so that depth does not slow learning.

Shapes: B batch, T time, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from exphil.models.backbone import Backbone, State, restart, stretches

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(Backbone):
    """Layers of one kind of cell: norm, cell, dropout, and the layer's input added again.

    The input is brought to the first layer's width by a dense layer outside of the recurrence, where one product
    serves all frames.

    Args:
        cell: ``gru`` or ``lstm``.
        size: Width of the input.
        hidden: Width of each layer; where two neighbours differ the residual is projected.
        dropout: Share of each layer's outputs dropped in training, [0, 1).
    """

    def __init__(self, cell: Literal["gru", "lstm"], size: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        inputs = [hidden[0], *hidden[:-1]]
        pairs = list(zip(inputs, hidden, strict=True))
        self.enter = nn.Linear(size, hidden[0])
        self.norm = nn.ModuleList(nn.LayerNorm(a) for a, _ in pairs)
        self.cell = nn.ModuleList(CELLS[cell](a, b, batch_first=True) for a, b in pairs)
        self.skip = nn.ModuleList(nn.Identity() if a == b else nn.Linear(a, b, bias=False) for a, b in pairs)
        self.leave = nn.LayerNorm(hidden[-1])
        self.dropout = nn.Dropout(dropout)
        self.output_size = hidden[-1]
        self._widths, self._tensors = tuple(hidden), 2 if cell == "lstm" else 1

    def initial_state(self, batch: int) -> State:
        """Zeros: per layer the hidden rows, and for an LSTM its cells."""
        like = self.leave.weight
        return tuple(tuple(like.new_zeros(batch, width) for _ in range(self._tensors)) for width in self._widths)

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``; stretches between restarts run in one call each."""
        x_BTD = self.enter(x_BTD)
        fresh, parts, start = self.initial_state(x_BTD.shape[0]), [], 0
        for stop in stretches(is_first_BT, x_BTD.shape[1]):
            if stop > start:
                y_BTD, state = self._run(x_BTD[:, start:stop], state)
                parts.append(y_BTD)
            if is_first_BT is not None and stop < x_BTD.shape[1]:
                state = restart(state, fresh, is_first_BT[:, stop])
            start = stop
        return self.leave(torch.cat(parts, 1) if len(parts) > 1 else parts[0]), state

    def _run(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        after = []
        for norm, cell, skip, layer in zip(self.norm, self.cell, self.skip, state, strict=True):
            before = tuple(part[None].contiguous() for part in layer)
            y_BTD, carried = cell(norm(x_BTD), before if self._tensors == 2 else before[0])
            after.append(tuple(part[0] for part in (carried if self._tensors == 2 else (carried,))))
            x_BTD = skip(x_BTD) + self.dropout(y_BTD)
        return x_BTD, tuple(after)
