"""The one contract of everything that remembers: features in, features out, state carried.

Shapes: B batch, T time, D width.

A state is a tuple tree of tensors whose first axis is the batch and whose size never changes. Training hands over
whole stretches, playing one frame at a time (T = 1); both are the same ``forward``, and the contract tests run both
over every backbone in the table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

State = tuple[Any, ...]
"""``tuple[State | Tensor, ...]``; Python cannot say it."""


class Backbone(nn.Module, ABC):
    """Features of one frame to features of the same frame, knowing the frames before."""

    output_size: int

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """The state before the first frame of a game, for ``batch`` games."""

    @abstractmethod
    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """Carry ``state`` over T frames.

        Args:
            x_BTD: ``(B, T, input size)``.
            state: What the call before returned, or ``initial_state(B)``.
            is_first_BT: True where a game begins: the state restarts before that frame.

        Returns:
            ``(B, T, output_size)`` and the state after the last frame.
        """


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """Apply a function leaf by leaf to states of one structure."""
    return tuple(
        function(*parts) if isinstance(parts[0], Tensor) else map_state(function, *parts)
        for parts in zip(*states, strict=True)
    )


def restart(state: State, fresh: State, is_first_B: Tensor) -> State:
    """Rows where ``is_first_B`` is true start again from ``fresh``."""

    def pick(old: Tensor, new: Tensor) -> Tensor:
        return torch.where(is_first_B.view(-1, *[1] * (old.ndim - 1)), new, old)

    return map_state(pick, state, fresh)


def detach(state: State) -> State:
    """The same numbers without their history: gradients stop here."""
    return map_state(Tensor.detach, state)


def stretches(is_first_BT: Tensor | None, length: int) -> list[int]:
    """Frames before which some row restarts, and ``length`` at the end; ``[length]`` when none does."""
    if is_first_BT is None:
        return [length]
    return [*torch.nonzero(is_first_BT.any(0))[:, 0].tolist(), length]
