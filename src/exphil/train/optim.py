"""How fast to learn at every step, and which parameters decay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

from torch import nn

Schedule = Callable[[int], float]
"""The learning rate of update 0, 1, 2, ..."""

EXPONENTIAL_RATE, EXPONENTIAL_STEPS = 0.95, 1000
"""``exponential`` multiplies by 0.95 every 1000 updates, or every ``decay_steps`` when given (the earlier system's
numbers)."""


def schedule(
    kind: Literal["constant", "cosine", "linear", "exponential"], lr: float, warmup: int, decay: int | None, total: int
) -> Schedule:
    """The learning rate as a pure function of the update.

    Args:
        kind: How it falls after the warm-up: not at all, to 0 along half a cosine, to 0 on a line, or by a constant
            factor.
        lr: The rate after warm-up.
        warmup: Updates over which it rises from near 0 in equal steps.
        decay: Updates from the start until cosine and line reach 0; None means ``total``.
        total: Updates of the whole run.
    """
    horizon = max((total if decay is None else decay) - warmup, 1)

    def rate(update: int) -> float:
        if update < warmup:
            return lr * (update + 1) / warmup
        done = min((update - warmup) / horizon, 1.0)
        if kind == "cosine":
            return lr * 0.5 * (1 + math.cos(math.pi * done))
        if kind == "linear":
            return lr * (1 - done)
        if kind == "exponential":
            return lr * math.pow(EXPONENTIAL_RATE, (update - warmup) / (decay or EXPONENTIAL_STEPS))
        return lr

    return rate


def decay_groups(model: nn.Module, weight_decay: float) -> Iterable[dict[str, Any]]:
    """Parameter groups: matrices decay; biases, norms and the head's tables of held classes do not."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (free if parameter.ndim < 2 or ".stay" in name or "among" in name else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
