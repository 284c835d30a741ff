"""Dropout whose draws are cheap on a CPU. Shapes: ``*`` any.

torch draws one number for every element, one after the other, which is a tenth of a small network's training step
(``bench/train.py``). Here one draw of 64 bits serves four elements.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_STEPS = 1 << 16
"""What 16 random bits can tell apart: shares are rounded to 1/65536."""


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, dropped: int) -> Tensor:
        count = x.numel()
        bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
        kept = (bits.view(torch.int16)[:count] >= dropped - _STEPS // 2).view(x.shape)
        context.save_for_backward(kept)
        context.scale = _STEPS / (_STEPS - dropped)
        return x.mul(kept).mul_(context.scale)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = context.saved_tensors
        return gradients[0].mul(kept).mul_(context.scale), None


class Dropout(nn.Module):
    """Zero a share of the elements in training and scale the others up by as much; change nothing otherwise.

    Args:
        share: The share, [0, 1).
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """``(*)`` as it came."""
        if not (self.training and self.share):
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.share)
        dropped: Tensor = _Drop.apply(x, round(self.share * _STEPS))  # type: ignore[no-untyped-call]
        return dropped
