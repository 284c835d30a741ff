"""The backbone without memory: layers on one frame. Shapes: B batch, T time, D width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from exphil.models.backbone import Backbone, State


class MLP(Backbone):
    """Dense layers with ReLU and dropout.

    Args:
        size: Width of the input.
        hidden: Width of each layer.
        dropout: Share of a layer's outputs dropped in training, [0, 1).
        layer_norm: Normalise before each activation.
        residual: Add each layer's input to its output, projected where the widths differ.
    """

    def __init__(self, size: int, hidden: Sequence[int], dropout: float, layer_norm: bool, residual: bool) -> None:
        super().__init__()
        widths = [size, *hidden]
        pairs = list(pairwise(widths))
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        self.norm = nn.ModuleList(nn.LayerNorm(b) if layer_norm else nn.Identity() for _, b in pairs)
        self.skip = nn.ModuleList(
            nn.Identity() if a == b else nn.Linear(a, b, bias=False) for a, b in pairs if residual
        )
        self.dropout = nn.Dropout(dropout)
        self.output_size = widths[-1]

    def initial_state(self, batch: int) -> State:
        """Nothing to remember."""
        return ()

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``; every frame stands for itself."""
        for index, (dense, norm) in enumerate(zip(self.dense, self.norm, strict=True)):
            y_BTD = self.dropout(torch.relu(norm(dense(x_BTD))))
            x_BTD = y_BTD + self.skip[index](x_BTD) if len(self.skip) else y_BTD
        return x_BTD, state
