"""The held-out loss: whole games from first frame to last, state carried.

It says how well people are predicted, not how well one plays.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch

from exphil.data.loader import Loader
from exphil.models.policy import Policy


class Measured(NamedTuple):
    """Nats over so many decisions."""

    nats: float
    decisions: float


def held_out_loss(policy: Policy, loader: Loader) -> float:
    """Nats per decision over every game of a loader that walks games (``data.walk``)."""
    found = walked(policy, [loader])
    return found.nats / max(found.decisions, 1.0)


def walked(policy: Policy, loaders: Sequence[Loader]) -> Measured:
    """Nats over all games of some loaders, each walked by a thread of its own; torch's threads are shared out."""
    policy.eval()
    if len(loaders) < 2:
        parts = [_walked(policy, loader) for loader in loaders]
    else:
        threads = torch.get_num_threads()
        torch.set_num_threads(max(threads // len(loaders), 1))
        try:
            with ThreadPoolExecutor(len(loaders), "validate") as pool:
                parts = list(pool.map(lambda loader: _walked(policy, loader), loaders))
        finally:
            torch.set_num_threads(threads)
    return Measured(sum(part.nats for part in parts), sum(part.decisions for part in parts))


@torch.inference_mode()
def _walked(policy: Policy, loader: Loader) -> Measured:
    total = count = 0.0
    state = policy.initial_state(loader.plan.batch)
    for step in range(loader.steps(0)):
        batch = loader.load(0, step)
        log_prob_BTA, state = policy.score(batch.floats, batch.ids, batch.action, state, batch.is_first)
        total -= float((log_prob_BTA.sum(-1) * batch.weight).sum())
        count += batch.frames
    return Measured(total, count)
