"""The held-out loss: whole games from first frame to last, state carried.

It says how well people are predicted, not how well one plays.
"""

from __future__ import annotations

import torch

from exphil.data.loader import Loader
from exphil.models.policy import Policy


@torch.inference_mode()
def held_out_loss(policy: Policy, loader: Loader) -> float:
    """Nats per decision over every game of a loader that walks games (``data.walk``)."""
    policy.eval()
    total = count = 0.0
    state = policy.initial_state(loader.plan.batch)
    for step in range(loader.steps(0)):
        batch = loader.load(0, step)
        log_prob_BTA, state = policy.score(batch.floats, batch.ids, batch.action, state, batch.is_first)
        total -= float((log_prob_BTA.sum(-1) * batch.weight).sum())
        count += batch.frames
    return total / max(count, 1.0)
