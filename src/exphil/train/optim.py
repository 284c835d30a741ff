"""How fast to learn at every step, and which parameters decay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer

Schedule = Callable[[int], float]
"""The learning rate of update 0, 1, 2, ..."""

EXPONENTIAL_RATE, EXPONENTIAL_STEPS = 0.95, 1000
"""``exponential`` multiplies by 0.95 every 1000 updates, or every ``decay_steps`` when given (the earlier system's
numbers)."""


def schedule(
    kind: Literal["constant", "cosine", "linear", "exponential", "cosine_restarts"],
    lr: float,
    warmup: int,
    decay: int | None,
    total: int,
    restarts: tuple[int, int] = (1000, 2),
) -> Schedule:
    """The learning rate as a pure function of the update.

    Args:
        kind: How it falls after the warm-up: not at all, to 0 along half a cosine, to 0 on a line, by a constant
            factor, or to 0 along half a cosine again and again (SGDR: Loshchilov and Hutter 2017).
        lr: The rate after warm-up.
        warmup: Updates over which it rises from near 0 in equal steps.
        decay: Updates from the start until cosine and line reach 0; None means ``total``.
        total: Updates of the whole run.
        restarts: Of ``cosine_restarts``: updates of the first cosine, and how many times as long as the one before
            every further one is.
    """
    horizon = max((total if decay is None else decay) - warmup, 1)

    def rate(update: int) -> float:
        if update < warmup:
            return lr * (update + 1) / warmup
        if kind == "cosine_restarts":
            return lr * 0.5 * (1 + math.cos(math.pi * _turn(update - warmup, *restarts)))
        done = min((update - warmup) / horizon, 1.0)
        if kind == "cosine":
            return lr * 0.5 * (1 + math.cos(math.pi * done))
        if kind == "linear":
            return lr * (1 - done)
        if kind == "exponential":
            return lr * math.pow(EXPONENTIAL_RATE, (update - warmup) / (decay or EXPONENTIAL_STEPS))
        return lr

    return rate


def _turn(update: int, period: int, times: int) -> float:
    """How much of its cosine is behind an update, [0, 1)."""
    while update >= period:
        update, period = update - period, period * times
    return update / period


class Together:
    """Several optimisers as one: each has parameters of its own, all follow one learning rate."""

    def __init__(self, *parts: Optimizer) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all parts; what is written into them counts."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every gradient."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self) -> None:
        """One update of every parameter."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of every part."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken."""
        for part, kept in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(kept)


_LOOKED_UP = ("tables", "stay", "among", "told", "A_log", "taps")
"""Words in the names of parameters with two axes that are no matrices: tables, and a number of its own for each state
and each tap of mamba's channels."""


def is_table(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter takes part in no matrix product: it does not decay, Muon cannot use it."""
    return parameter.ndim < 2 or any(word in name for word in _LOOKED_UP)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: matrices decay; biases, norms and looked-up tables do not."""
    named = list(model.named_parameters())
    return [
        {
            "params": [parameter for name, parameter in named if not is_table(name, parameter)],
            "weight_decay": weight_decay,
        },
        {"params": [parameter for name, parameter in named if is_table(name, parameter)], "weight_decay": 0.0},
    ]


def muon(model: nn.Module, lr: float, weight_decay: float) -> Together:
    """Muon for the matrices between features, AdamW for the rest (tables, biases, the last layer of each component).

    Muon makes every singular value of an update alike (K. Jordan, 2024); its step is scaled to the size that AdamW's
    would have (Moonshot AI, "Muon is scalable", 2025), so that one learning rate serves both.
    """
    named = list(model.named_parameters())
    inner = [
        parameter for name, parameter in named if not is_table(name, parameter) and not name.startswith("head.out.")
    ]
    chosen = {id(parameter) for parameter in inner}
    rest = [parameter for _, parameter in named if id(parameter) not in chosen]
    matrices = torch.optim.Muon(inner, lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
    return Together(matrices, torch.optim.AdamW(rest, lr, weight_decay=0.0, fused=True))
