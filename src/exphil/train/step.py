"""One update: batches in, changed weights out.

An update may be made of several batches, one after the other, and of those of other processes; gradients and losses
are sums over all their decisions, divided once. So the update of K slices in R processes is that of one batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from exphil.data.loader import Batch, Loader
from exphil.errors import ExphilError
from exphil.models.backbone import State, detach
from exphil.models.policy import Policy
from exphil.train.distill import Lesson, with_lesson
from exphil.train.losses import Imitation, Loss
from exphil.train.ranks import Ranks, alone
from exphil.train.runtime import computing, is_out_of_memory, wait

if TYPE_CHECKING:
    from exphil.train.loop import Run


class NotFiniteError(ExphilError):
    """The loss is no number any more; the weights are those from before the update."""


class MemoryFullError(ExphilError):
    """An update does not fit into the memory; the weights are those from before it."""


@dataclass(frozen=True)
class Way:
    """How updates are made.

    Attributes:
        loss: What is made small.
        max_grad_norm: Longest gradient; 0 leaves it as it is.
        carry: Whether a batch goes on where the one before ended (lanes), else every batch starts afresh (windows).
        slices: Batches of the loader that make one update in this process.
        precision: ``f32`` or ``bf16``: what forward and backward compute with; weights stay as they are.
        profile: Wait for the device after every part of an update, so that each part's seconds are its own.
        ranks: The processes that share the updates.
        lesson: What is learned from a teacher, which is carried as the policy is.
    """

    loss: Imitation = field(default_factory=Imitation)
    max_grad_norm: float = 1.0
    carry: bool = False
    slices: int = 1
    precision: str = "f32"
    profile: bool = False
    ranks: Ranks = field(default_factory=alone)
    lesson: Lesson | None = None


class Spent(NamedTuple):
    """Seconds of one update: waiting for data, features, forward and loss, backward, and optimiser with clipping.

    On a GPU work is handed over and goes on by itself: the parts are true only where the run is profiled.
    """

    data: float
    features: float
    forward: float
    backward: float
    optimizer: float


class Update(NamedTuple):
    """What an update did: nats per decision by component, the objective likewise, decisions, norm, seconds."""

    parts: list[float]
    objective: float
    frames: float
    grad_norm: float
    spent: Spent


def update(run: Run, loader: Loader, lr: float, way: Way) -> Update:
    """Learn from the next batches of a run.

    Raises:
        NotFiniteError: the loss is no number; nothing was learned.
        MemoryFullError: out of memory.
        ExphilError: another process of the run is gone.
    """
    try:
        return _update(run, loader, lr, way)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        run.optimizer.zero_grad(set_to_none=True)
        raise MemoryFullError(f"out of memory at update {run.updates + 1}", "training") from error


def _update(run: Run, loader: Loader, lr: float, way: Way) -> Update:
    run.policy.train()
    watch, sums, after = _Watch(run.device, way.profile), None, []
    size = 1.0
    for at in range(way.slices):
        fetched = loader.fetch(run.epoch, run.step * way.slices + at)
        watch.lap(0)
        batch = loader.encode(fetched)
        watch.lap(1)
        carried = run.states[at] if way.carry and run.states else None
        loss, state = forward(run.policy, batch, carried, way)
        watch.lap(2)
        if at == 0:  # as late as it may be: the forward pass finds memory that is warm
            run.optimizer.zero_grad(set_to_none=True)
        size = float(batch.weight.numel())  # alike in all slices: what is summed up stays of one size
        (loss.objective / size).backward()  # type: ignore[no-untyped-call]
        watch.lap(3)
        found = torch.cat([loss.nats, torch.stack([loss.objective.detach(), loss.count])])
        sums = found if sums is None else sums + found
        after.append(detach(state) if way.carry else None)
    assert sums is not None
    *nats, objective, frames = way.ranks.sum_values(sums.tolist())
    _check_finite(objective, nats, run.updates + 1)
    way.ranks.sum_gradients(run.policy.parameters())
    norm = clip(list(run.policy.parameters()), size / max(frames, 1.0), way.max_grad_norm)
    if not math.isfinite(norm):
        raise NotFiniteError(f"the gradient is {norm} at update {run.updates + 1}", "training")
    for group in run.optimizer.param_groups:
        group["lr"] = lr
    run.optimizer.step()
    if run.average:
        run.average.follow(run.policy, run.updates)
    watch.lap(4)
    run.states = [state for state in after if state is not None]
    count = max(frames, 1.0)
    return Update([part / count for part in nats], objective / count, frames, norm, Spent(*watch.seconds))


def forward(policy: Policy, batch: Batch, state: State | None, way: Way) -> tuple[Loss, State]:
    """The loss of one batch after ``state`` (None begins afresh), and the state after it.

    With a lesson the state is a pair: the policy's own and its teacher's.
    """
    with computing(batch.floats.device, way.precision):
        if way.lesson is not None:
            (log_prob_BTA, spread_BTA, apart_BTA), after = with_lesson(policy, way.lesson, batch, state)
            return way.loss(log_prob_BTA, spread_BTA, batch.action, batch.weight, apart_BTA), after
        before = policy.initial_state(batch.weight.shape[0]) if state is None else state
        seen = batch.floats, batch.ids, batch.action, before, batch.is_first
        if way.loss.needs_spread:
            (log_prob_BTA, spread_BTA), after = policy.score(*seen, spread=True)
            return way.loss(log_prob_BTA, spread_BTA, batch.action, batch.weight), after
        log_prob_BTA, after = policy.score(*seen)
    return way.loss(log_prob_BTA, None, batch.action, batch.weight), after


def _check_finite(objective: float, nats: Sequence[float], number: int) -> None:
    wrong = next((value for value in (objective, sum(nats)) if not math.isfinite(value)), None)
    if wrong is not None:
        raise NotFiniteError(f"the loss is {wrong} at update {number}", "training")


def clip(parameters: Sequence[Tensor], scale: float, longest: float) -> float:
    """Multiply all gradients by ``scale``, and shorten them to ``longest`` together (0: never).

    Gives their length before they are shortened.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients) * scale
    factor = (longest / (norm + 1e-6)).clamp(max=1.0) * scale if longest > 0 else torch.full_like(norm, scale)
    torch._foreach_mul_(gradients, factor)
    return float(norm)


class _Watch:
    """A stop-watch: seconds since the last look, by part."""

    def __init__(self, device: torch.device, profile: bool) -> None:
        self._device, self._profile, self._last = device, profile, time.perf_counter()
        self.seconds = [0.0] * len(Spent._fields)

    def lap(self, part: int) -> None:
        """What went by since the last look belongs to this part."""
        if self._profile:
            wait(self._device)
        before, self._last = self._last, time.perf_counter()
        self.seconds[part] += self._last - before
