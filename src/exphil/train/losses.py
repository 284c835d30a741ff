"""What training makes small. Shapes: B batch, T time, A components (13)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Loss(NamedTuple):
    """Nats per decision: ``total`` with its gradient, and ``parts`` ``(13,)``, one per component, without."""

    total: Tensor
    parts: Tensor


def imitation(log_prob_BTA: Tensor, weight_BT: Tensor) -> Loss:
    """Negative log-likelihood of what the player pressed, summed over components, averaged over decisions.

    Its optimum is the player's own distribution given what the policy sees; the loss there is that distribution's
    entropy.
    """
    count = weight_BT.sum().clamp(min=1)
    parts = -(log_prob_BTA * weight_BT[..., None]).sum((0, 1)) / count
    return Loss(parts.sum(), parts.detach())
