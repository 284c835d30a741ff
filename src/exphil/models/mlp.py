"""The layer without memory: an mlp is a stack of them. Shapes: B batch, T time, D width."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from exphil.models.backbone import Backbone, State
from exphil.models.dropout import Dropout


class Activation(nn.Module):
    """Norm, ReLU and dropout.

    Args:
        size: Width.
        dropout: Share dropped in training, [0, 1).
        layer_norm: False leaves the norm out.
    """

    def __init__(self, size: int, dropout: float, layer_norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size) if layer_norm else nn.Identity()
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """``(B, T, D)``."""
        dropped: Tensor = self.dropout(torch.relu(self.norm(x_BTD)))
        return dropped


class Dense(Backbone):
    """Activation, then a dense layer; every frame stands for itself.

    With a residual that is the order of He et al., "Identity mappings in deep residual networks" (2016).

    Args:
        size: Width of the input.
        output_size: Width of the output.
        dropout: Share dropped in training, [0, 1).
        layer_norm: Normalise before the activation.
        residual: Add the input to the output, projected where the widths differ.
    """

    def __init__(self, size: int, output_size: int, dropout: float, layer_norm: bool, residual: bool) -> None:
        super().__init__()
        self.activation, self.dense = Activation(size, dropout, layer_norm), nn.Linear(size, output_size)
        straight = nn.Identity() if size == output_size else nn.Linear(size, output_size, bias=False)
        self.skip = straight if residual else None
        self.output_size = output_size

    def initial_state(self, batch: int) -> State:
        """Nothing to remember."""
        return ()

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``."""
        y_BTD = self.dense(self.activation(x_BTD))
        return (y_BTD if self.skip is None else y_BTD + self.skip(x_BTD)), state
