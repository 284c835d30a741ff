"""Layers in a row, each with a residual around it, so that depth does not slow learning.

Shapes: B batch, T time, D width.

Every backbone with memory is a stack; what differs is the layers. A layer takes and gives frames of one width; the
state of the stack is the tuple of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from exphil.models.backbone import Backbone, State, detach
from exphil.models.dropout import Dropout


class Stack(Backbone):
    """Layers, and what is applied to the output of the last.

    Args:
        layers: From one to the next.
        leave: Comes after them.
        output_size: Width of what leaves.
        checkpoint_every: Layers whose activations are computed again in the backward pass instead of kept; 0 keeps all.
        truncate: Frames after which gradients stop in training, counted from the end of a stretch; 0 lets them go back
            to its start. The state goes on as before, so this changes gradients and nothing else.
        last_only: The loss is taken at the last frame of a stretch only: with ``truncate`` nothing before the last
            frames is kept for a gradient that would be zero.
    """

    def __init__(
        self,
        layers: Sequence[Backbone],
        leave: nn.Module,
        output_size: int,
        *,
        checkpoint_every: int = 0,
        truncate: int = 0,
        last_only: bool = False,
    ) -> None:
        super().__init__()
        self.layers, self.leave, self.output_size = nn.ModuleList(layers), leave, output_size
        self._every, self._truncate, self._last_only = checkpoint_every, truncate, last_only

    def initial_state(self, batch: int) -> State:
        """The states of the layers."""
        return tuple(layer.initial_state(batch) for layer in self.layers)  # type: ignore[operator]

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``."""
        frames = x_BTD.shape[1]
        if not (self.training and 0 < self._truncate < frames):
            return self._run(x_BTD, state, is_first_BT)
        parts = []
        cuts = [0, *range(frames % self._truncate or self._truncate, frames, self._truncate), frames]
        for start, stop in pairwise(cuts):
            first = None if is_first_BT is None else is_first_BT[:, start:stop]
            with torch.set_grad_enabled(torch.is_grad_enabled() and (stop == frames or not self._last_only)):
                y_BTD, state = self._run(x_BTD[:, start:stop], detach(state) if start else state, first)
            parts.append(y_BTD)
        return torch.cat(parts, 1), state

    def _run(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None) -> tuple[Tensor, State]:
        after: list[State] = []
        every = self._every if self.training and torch.is_grad_enabled() else 0
        if not every:
            x_BTD, after = self._some(0, len(self.layers), x_BTD, state, is_first_BT)
        for start in range(0, len(self.layers) if every else 0, every or 1):
            some = self._some, start, start + every, x_BTD, state, is_first_BT
            x_BTD, passed = checkpoint(*some, use_reentrant=False)
            after.extend(passed)
        left: Tensor = self.leave(x_BTD)
        return left, tuple(after)

    def _some(
        self, start: int, stop: int, x_BTD: Tensor, state: State, is_first_BT: Tensor | None
    ) -> tuple[Tensor, list[State]]:
        after = []
        for layer, before in zip(list(self.layers)[start:stop], state[start:stop], strict=True):
            x_BTD, carried = layer(x_BTD, before, is_first_BT)
            after.append(carried)
        return x_BTD, after


class Layer(Backbone):
    """What remembers, with a norm before it, dropout after it, and its input added again; then a feed-forward likewise.

    Args:
        size: Width of the input; where it is not the inner width the input is projected first.
        inner: As wide at its end as at its start.
        dropout: Share of the outputs dropped in training, [0, 1).
        feed_forward: Width of the feed-forward in widths of the layer; 0 leaves it out.
    """

    def __init__(self, size: int, inner: Backbone, dropout: float, feed_forward: int = 0) -> None:
        super().__init__()
        self.output_size = width = inner.output_size
        self.project = None if size == width else nn.Linear(size, width, bias=False)
        self.norm, self.inner, self.dropout = nn.LayerNorm(width), inner, Dropout(dropout)
        self.feed = FeedForward(width, feed_forward * width) if feed_forward else None

    def initial_state(self, batch: int) -> State:
        """The inner layer's."""
        return self.inner.initial_state(batch)

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``."""
        if self.project is not None:
            x_BTD = self.project(x_BTD)
        y_BTD, state = self.inner(self.norm(x_BTD), state, is_first_BT)
        x_BTD = x_BTD + (self.dropout(y_BTD) if self.training else y_BTD)
        if self.feed is not None:
            z_BTD = self.feed(x_BTD)
            x_BTD = x_BTD + (self.dropout(z_BTD) if self.training else z_BTD)
        return x_BTD, state


class FeedForward(nn.Module):
    """A norm and two dense layers with a GELU between them, frame by frame; the second starts at zero.

    So a residual around it passes everything at the start of training, however deep the stack is.

    Args:
        size: Width of input and output.
        inner: The width between the two.
    """

    def __init__(self, size: int, inner: int) -> None:
        super().__init__()
        self.norm, self.widen, self.narrow = nn.LayerNorm(size), nn.Linear(size, inner), nn.Linear(inner, size)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """``(B, T, D)``."""
        y_BTD: Tensor = self.narrow(functional.gelu(self.widen(self.norm(x_BTD))))
        return y_BTD
