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
from exphil.models.dropout import Dropout

_STAY = 4.0
"""Log-odds of holding a class at the start of training. 5 learns worse, and so does starting at the copy-previous
baseline itself (1.64 and 1.70 nats against 1.55 after 100 updates of bench/learn.py): the head must first undo it."""


Chooser = Callable[[int, Tensor], Tensor]
"""The class of a component, given its number and what is known of its classes."""


class Choice(NamedTuple):
    """An action and how likely it was.

    Attributes:
        action: int64 ``(*, 13)``.
        log_prob: ``(*, 13)``: each component's, given the components before it.
    """

    action: Tensor
    log_prob: Tensor


class Scored(NamedTuple):
    """How likely an action was, and how likely the classes beside it.

    Attributes:
        log_prob: ``(*, 13)``: each component's, given the components before it.
        spread: ``(*, 13)``: the mean log-probability of all classes of each component, given the same.
    """

    log_prob: Tensor
    spread: Tensor


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
        self.dropout = Dropout(dropout)
        self.autoregressive = autoregressive

    def score(self, features: Tensor, previous: Tensor, action: Tensor) -> Choice:
        """How likely a given action is.

        Args:
            features: ``(*, D)``.
            previous: int64 ``(*, 13)``: the action held on the frame before.
            action: int64 ``(*, 13)``.
        """
        return self._walk(features, previous, *(lambda index, _: action[..., index],) * 2)

    def spread(self, features: Tensor, previous: Tensor, action: Tensor) -> Scored:
        """``score`` and, from the same walk, the mean log-probability of all classes; arguments as there."""
        logits: list[Tensor] = []
        means: list[Tensor] = []

        def press(index: int, logit: Tensor) -> Tensor:
            logits.append(logit)
            return action[..., index]

        def pick(index: int, log_probs: Tensor) -> Tensor:
            means.append(log_probs.mean(-1))
            return action[..., index]

        log_prob = self._walk(features, previous, press, pick).log_prob
        logit = torch.stack(logits, -1)
        pressed_or_not = (functional.logsigmoid(logit) + functional.logsigmoid(-logit)) / 2
        return Scored(log_prob, torch.cat([pressed_or_not, torch.stack(means, -1)], -1))

    def sample(self, features: Tensor, previous: Tensor, uniform: Tensor, sharpness: Tensor | None = None) -> Choice:
        """Draw an action by inverting each component's distribution function.

        Args:
            features: ``(*, D)``.
            previous: int64 ``(*, 13)``.
            uniform: ``(*, 13)`` in [0, 1).
            sharpness: ``(13,)``, above 0: what log-odds are multiplied by before drawing; None draws as learned. The
                log-probabilities that come back are those as learned, whatever the sharpness.
        """
        # pressed when P(not pressed) = 1 / (1 + e^logit) <= uniform
        odds = torch.log1p(-uniform) - uniform.log()
        thresholds = (odds if sharpness is None else odds / sharpness).unbind(-1)

        def press(index: int, logit: Tensor) -> Tensor:
            return logit >= thresholds[index]

        def draw(index: int, log_probs: Tensor) -> Tensor:
            share = log_probs.exp() if sharpness is None else (log_probs * sharpness[index]).softmax(-1)
            return (share.cumsum(-1)[..., :-1] <= uniform[..., index, None]).sum(-1)

        return self._walk(features, previous, press, draw)

    def distributions(self, features: Tensor, previous: Tensor, action: Tensor) -> list[Tensor]:
        """Log-probabilities of every class of every component, given ``action``'s earlier components.

        13 tensors ``(*, classes)``.
        """
        seen: list[Tensor] = []

        def press(index: int, logit: Tensor) -> Tensor:
            seen.append(functional.logsigmoid(torch.stack([-logit, logit], -1)))
            return action[..., index]

        def pick(index: int, log_probs: Tensor) -> Tensor:
            seen.append(log_probs)
            return action[..., index]

        self._walk(features, previous, press, pick)
        return seen

    def _walk(self, features: Tensor, previous: Tensor, press: Chooser, pick: Chooser) -> Choice:
        """``press`` decides a button from its log-odds, ``pick`` a class from the log-probabilities of all."""
        residual = self.enter(features)
        logits = self._logits(0, residual)
        logits = logits + torch.where(previous[..., :NUM_BUTTONS] > 0, self.stay_pressed[1], self.stay_pressed[0])
        chosen, picked = [], []
        told = self.among.tril(-1).unbind(1) if self.autoregressive else ()
        for button in range(NUM_BUTTONS):
            chosen.append(press(button, logits[..., button]).to(logits.dtype))
            if self.autoregressive and button < NUM_BUTTONS - 1:
                logits = torch.addcmul(logits, chosen[-1][..., None], told[button])
        pressed = torch.stack(chosen, -1)
        log_prob = [functional.logsigmoid(logits * (2 * pressed - 1))]
        if self.autoregressive:
            residual = residual + pressed.to(residual.dtype) @ self.told_buttons
        for index, stay in enumerate(self.stay):
            at = NUM_BUTTONS + index
            log_probs = functional.log_softmax(
                self._logits(1 + index, residual) + functional.embedding(previous[..., at], stay), -1
            )
            picked.append(pick(at, log_probs))
            log_prob.append(log_probs.gather(-1, picked[-1][..., None]))
            if self.autoregressive and index < len(self.told):
                residual = residual + functional.embedding(picked[-1], self.told[index])
        return Choice(torch.cat([pressed.long(), torch.stack(picked, -1)], -1), torch.cat(log_prob, -1))

    def _logits(self, index: int, residual: Tensor) -> Tensor:
        norm, layer, out = self.norm, self.layer[index], self.out[index]
        # plain functions: six calls of four modules each would be an eighth of a decision
        normed = functional.layer_norm(residual, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        inner = functional.gelu(functional.linear(normed, layer.weight, layer.bias))  # type: ignore[arg-type]
        logits = functional.linear(self.dropout(inner) if self.training else inner, out.weight, out.bias)  # type: ignore[arg-type]
        return logits.float() if logits.dtype == torch.bfloat16 else logits  # what follows are logarithms
