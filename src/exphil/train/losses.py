"""What training makes small. Shapes: B batch, T time, A components (13: 8 buttons, 4 axes, the shoulder).

What enters is what a policy says of the actions that were pressed:
``Policy.score(floats, ids, action, state, is_first) -> (log_prob_BTA, state)``, and where ``Imitation.needs_spread``
``Policy.score(..., spread=True) -> ((log_prob_BTA, spread_BTA), state)`` with the mean log-probability of all classes
of each component. Where there is a teacher (``train.distill``), how far the policy is from it comes in too. What leaves
are sums over decisions, so that micro-batches and ranks can be added up; who divides by the decisions has nats per
decision.

Notation: q how often a player presses a class given what the policy sees, p what the policy says, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from exphil.features.action import NUM_BUTTONS

_LEAST = 1e-30
"""Taken for 1 - p where that is less, so that the slope of its power is finite at p = 1 for exponents below 1."""


class Loss(NamedTuple):
    """Sums over the decisions that count.

    Attributes:
        objective: Scalar with gradient: what training makes small.
        nats: ``(13,)`` without: negative log-likelihood of each component, whatever the objective is.
        count: Scalar: the decisions.
    """

    objective: Tensor
    nats: Tensor
    count: Tensor  # type: ignore[assignment]  # covers a method of tuples, which nobody counts with


@dataclass(frozen=True)
class Imitation:
    """Negative log-likelihood of what the player pressed, summed over components and decisions.

    Its optimum is the player's own distribution given what the policy sees, p* = q; the loss there is the entropy.
    Four terms change it, and with it the optimum. ``nats`` of the result stays the plain one: runs with different
    terms can be compared by it, and by nothing else.

    **Button weights**: a pressed button counts w times, one that is not pressed once. p* = w q / (w q + 1 - q):
    from q = 1 / (1 + w) on a press is the likelier. Ranks are kept, rates are not.

    **Smoothing** (Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision"), on axes and
    the shoulder: (1 - eps) (-log p) + eps mean_c(-log p_c). p* = (1 - eps) q + eps / K. Buttons are never smoothed:
    together with a weight that would put p* = w eps / (w eps + 2 - eps) on a button that nobody presses.

    **Focal** (Lin et al. 2017, "Focal Loss for Dense Object Detection"): each component's loss is multiplied by
    (1 - p)^gamma, p the probability of what was pressed. The optimum equalises q_c f(p_c) over the classes of a
    component, f(p) = (1 - p)^gamma / p - gamma (1 - p)^(gamma - 1) log p, for two classes q f(p) = (1 - q) f(1 - p).
    f falls, so ranks are kept; between two classes, p* lies between q and a half: less sure than the player is. Of
    more classes it takes the same from one that leads; where all are rare (below a sixth for gamma 2), the likeliest
    can get a little more than q.

    **Teacher** (Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"): all of the above
    times 1 - w, and w times how far the policy is from another one, T^2 KL(t_T || p_T) of every component; t is what
    the teacher says and x_T means x^(1/T), normalised. Where nothing else changes the loss, the optimum equalises
    (1 - w) (p - q) + w T (p_T - t_T) to nothing: p* = (1 - w) q + w t for T = 1, and p* = t for w = 1 and any T.
    A teacher that remembers what the policy cannot see is met in its mean.

    **Together**: the weight multiplies q of the pressed class, whatever else there is. Focal multiplies the smoothed
    loss, which has no closed optimum; it goes to 0 as p goes to 1 on what is certain, so that p* = 1 there, as if
    nothing were smoothed.

    Args:
        focal_gamma: gamma, from 0 (off).
        smoothing: eps, [0, 1); 0 is off.
        button_weights: ``(8,)``: w of each button, above 0; 1 is off.
        teacher_weight: w of the teacher, [0, 1]; 0 is off.
    """

    focal_gamma: float = 0.0
    smoothing: float = 0.0
    button_weights: tuple[float, ...] = (1.0,) * NUM_BUTTONS
    teacher_weight: float = 0.0

    @property
    def needs_spread(self) -> bool:
        """Whether the mean log-probability of all classes is asked for."""
        return self.smoothing > 0

    @property
    def plain(self) -> bool:
        """Whether the objective is the nats and nothing else."""
        return not self.teacher_weight and self._imitates_plainly

    @property
    def _imitates_plainly(self) -> bool:
        return not (self.focal_gamma or self.smoothing) and all(weight == 1 for weight in self.button_weights)

    def __call__(
        self,
        log_prob_BTA: Tensor,
        spread_BTA: Tensor | None,
        action_BTA: Tensor,
        weight_BT: Tensor,
        apart_BTA: Tensor | None = None,
    ) -> Loss:
        """The loss of some decisions.

        Args:
            log_prob_BTA: Log-probability of what was pressed, at most 0.
            spread_BTA: Mean log-probability of all classes; may be None unless ``needs_spread``.
            action_BTA: int64: what was pressed.
            weight_BT: What a decision counts, 0 or 1.
            apart_BTA: How far the teacher is (``distill.divergence``); may be None where it has no weight.
        """
        log_prob_BTA = _wide(log_prob_BTA)
        nats = -(log_prob_BTA * weight_BT[..., None]).sum((0, 1))
        seen = log_prob_BTA, spread_BTA, action_BTA, weight_BT
        objective = nats.sum() if self._imitates_plainly else self._objective(*seen)
        if apart_BTA is not None:
            objective = torch.lerp(objective, (apart_BTA * weight_BT[..., None]).sum(), self.teacher_weight)
        return Loss(objective, nats.detach(), weight_BT.sum())

    def _objective(
        self, log_prob_BTA: Tensor, spread_BTA: Tensor | None, action_BTA: Tensor, weight_BT: Tensor
    ) -> Tensor:
        cost = -log_prob_BTA
        if spread_BTA is not None and self.smoothing:
            axes = slice(NUM_BUTTONS, None)
            smooth = torch.lerp(cost[..., axes], -_wide(spread_BTA[..., axes]), self.smoothing)
            cost = torch.cat([cost[..., :NUM_BUTTONS], smooth], -1)
        if self.focal_gamma:
            cost = cost * (-torch.expm1(log_prob_BTA)).clamp(min=_LEAST) ** self.focal_gamma
        if any(weight != 1 for weight in self.button_weights):
            more = cost.new_tensor([*self.button_weights, *[1.0] * (cost.shape[-1] - NUM_BUTTONS)]) - 1
            cost = cost * (1 + (action_BTA > 0) * more)
        return (cost * weight_BT[..., None]).sum()


def _wide(log_prob: Tensor) -> Tensor:
    """At least single precision: sums of thousands of nats, and 1 - p near 0."""
    return log_prob.float() if log_prob.dtype in (torch.bfloat16, torch.float16) else log_prob
