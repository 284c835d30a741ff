"""Features to a distribution over actions, component by component.

Shapes: ``*`` any leading axes, D features, R residual, A components (13), b buttons (8).

Order: buttons, main x, main y, C x, C y, shoulder. What was chosen is added to a residual that the following
components read; among the buttons a strictly triangular matrix does the same. ``score`` and ``sample`` are one walk,
``_walk``: they differ in who chooses.

Each component also starts from a table that says, for the class held on the frame before, which class comes next; it
begins at "the same", because a hand rests on most frames (85% of the frames of the peer split change no component at
all).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from exphil.features.action import NUM_BUTTONS

_STAY = 4.0
"""Log-odds of holding a class at the start of training. 5 learns worse, and so does starting at the copy-previous
baseline itself (1.64 and 1.70 nats against 1.55 after 100 updates of bench/learn.py): the head must first undo it."""


class Choice(NamedTuple):
    """An action and how likely it was.

    Attributes:
        action: int64 ``(*, 13)``.
        log_prob: ``(*, 13)``: each component's, given the components before it.
    """

    action: Tensor
    log_prob: Tensor


class Head(nn.Module):
    """The autoregressive head.

    Args:
        size: Width of the features.
        classes: ``(13,)``: classes of each component, the buttons first.
        residual: Width of the residual that collects what was chosen.
        hidden: Width of each component's own layer.
        dropout: Share of each component's own layer dropped in training, [0, 1).
        autoregressive: False makes every component blind to the others, for comparison.
    """

    def __init__(
        self, size: int, classes: Sequence[int], residual: int, hidden: int, dropout: float, autoregressive: bool
    ) -> None:
        super().__init__()
        axes = classes[NUM_BUTTONS:]
        self.enter = nn.Linear(size, residual)
        self.norm = nn.LayerNorm(residual)
        self.layer = nn.ModuleList(nn.Linear(residual, hidden) for _ in range(1 + len(axes)))
        self.out = nn.ModuleList(nn.Linear(hidden, n) for n in (NUM_BUTTONS, *axes))
        self.stay = nn.ParameterList(nn.Parameter(_STAY * torch.eye(n)) for n in axes)
        self.stay_pressed = nn.Parameter(torch.tensor([[-_STAY] * NUM_BUTTONS, [_STAY] * NUM_BUTTONS]))
        for out in self.out:
            nn.init.zeros_(out.weight)  # type: ignore[arg-type]
        if autoregressive:
            self.among = nn.Parameter(torch.zeros(NUM_BUTTONS, NUM_BUTTONS))
            self.told_buttons = nn.Parameter(torch.zeros(NUM_BUTTONS, residual))
            self.told = nn.ParameterList(nn.Parameter(torch.zeros(n, residual)) for n in axes[:-1])
        self.dropout = nn.Dropout(dropout)
        self.autoregressive = autoregressive

    def score(self, features: Tensor, previous: Tensor, action: Tensor) -> Choice:
        """How likely a given action is.

        Args:
            features: ``(*, D)``.
            previous: int64 ``(*, 13)``: the action held on the frame before.
            action: int64 ``(*, 13)``.
        """
        return self._walk(features, previous, lambda index, _: action[..., index])

    def sample(self, features: Tensor, previous: Tensor, uniform: Tensor | None = None) -> Choice:
        """Draw an action by inverting each component's distribution function.

        Args:
            features: ``(*, D)``.
            previous: int64 ``(*, 13)``.
            uniform: ``(*, 13)`` in [0, 1); None takes the likeliest class of every component.
        """

        def draw(index: int, log_probs: Tensor) -> Tensor:
            if uniform is None:
                return log_probs.argmax(-1)
            return (log_probs.exp().cumsum(-1)[..., :-1] <= uniform[..., index, None]).sum(-1)

        return self._walk(features, previous, draw)

    def distributions(self, features: Tensor, previous: Tensor, action: Tensor) -> list[Tensor]:
        """Log-probabilities of every class of every component, given ``action``'s earlier components.

        13 tensors ``(*, classes)``.
        """
        seen: list[Tensor] = []

        def watch(index: int, log_probs: Tensor) -> Tensor:
            seen.append(log_probs)
            return action[..., index]

        self._walk(features, previous, watch)
        return seen

    def _walk(self, features: Tensor, previous: Tensor, choose: Callable[[int, Tensor], Tensor]) -> Choice:
        residual = self.enter(features)
        logits = self._logits(0, residual)
        logits = logits + torch.where(previous[..., :NUM_BUTTONS] > 0, self.stay_pressed[1], self.stay_pressed[0])
        chosen: list[Tensor] = []
        log_prob: list[Tensor] = []
        for button in range(NUM_BUTTONS):
            logit = logits[..., button]
            if self.autoregressive and button:
                pressed = torch.stack(chosen, -1).to(logit.dtype)
                logit = logit + (pressed * self.among[button, :button]).sum(-1)
            both = functional.logsigmoid(torch.stack([-logit, logit], -1))
            chosen.append(choose(button, both))
            log_prob.append(_of(both, chosen[-1]))
        if self.autoregressive:
            residual = residual + torch.stack(chosen, -1).to(residual.dtype) @ self.told_buttons
        for index, stay in enumerate(self.stay):
            at = NUM_BUTTONS + index
            log_probs = functional.log_softmax(
                self._logits(1 + index, residual) + functional.embedding(previous[..., at], stay), -1
            )
            chosen.append(choose(at, log_probs))
            log_prob.append(_of(log_probs, chosen[-1]))
            if self.autoregressive and index < len(self.told):
                residual = residual + functional.embedding(chosen[-1], self.told[index])
        return Choice(torch.stack(chosen, -1), torch.stack(log_prob, -1))

    def _logits(self, index: int, residual: Tensor) -> Tensor:
        logits: Tensor = self.out[index](self.dropout(functional.gelu(self.layer[index](self.norm(residual)))))
        return logits


def _of(log_probs: Tensor, chosen: Tensor) -> Tensor:
    return log_probs.gather(-1, chosen[..., None])[..., 0]
