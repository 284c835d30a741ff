"""The training loop: it yields what happened; who prints, logs or saves is not its business.

A ``Run`` is everything that changes while training. The loop stops between two batches, so a snapshot of the run taken
at any event resumes bit for bit: order is arithmetic on (seed, epoch, step), and dropout's random state is in the
snapshot.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer

from exphil.data.loader import Loader
from exphil.errors import ExphilError
from exphil.models.backbone import State, detach, map_state
from exphil.models.policy import Policy
from exphil.train.losses import imitation
from exphil.train.optim import Schedule, Together
from exphil.train.runtime import computing, random_state, set_random_state, wait


@dataclass
class Run:
    """What changes while training."""

    policy: Policy
    optimizer: Optimizer | Together
    device: torch.device
    epoch: int = 0
    step: int = 0  # next batch of the epoch
    updates: int = 0
    frames: float = 0.0
    loss_sum: float = 0.0  # over the decisions of this epoch
    weight_sum: float = 0.0
    best: float = float("inf")
    seconds: float = 0.0
    state: State | None = None
    history: list[dict[str, float]] = field(default_factory=list)  # one line an epoch

    def snapshot(self) -> dict[str, Any]:
        """Everything to resume, as tensors and plain values."""
        plain = ("epoch", "step", "updates", "frames", "loss_sum", "weight_sum", "best", "seconds", "history")
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": random_state(self.device),
            "state": self.state,
            "run": {name: getattr(self, name) for name in plain},
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on where ``snapshot`` was taken; the policy's weights are loaded by the caller, strictly."""
        self.optimizer.load_state_dict(snapshot["optimizer"])
        set_random_state(snapshot["random"], self.device)
        state = snapshot["state"]
        self.state = None if state is None else map_state(lambda leaf: leaf.to(self.device), state)
        for name, value in snapshot["run"].items():
            setattr(self, name, value)


class Spent(NamedTuple):
    """Seconds of one update: waiting for data, features, forward and loss, backward, and optimiser with clipping.

    On a GPU work is handed over and goes on by itself: the parts are true only where the run is profiled.
    """

    data: float
    features: float
    forward: float
    backward: float
    optimizer: float


class BatchDone(NamedTuple):
    """One update. ``loss`` in nats per decision; ``parts`` per component; ``frames`` decisions that counted."""

    epoch: int
    step: int
    steps: int
    updates: int
    loss: float
    parts: list[float]
    frames: float
    lr: float
    grad_norm: float
    seconds: float
    spent: Spent


class EpochDone(NamedTuple):
    """One pass. ``validation`` is None without held-out games; ``improved`` says whether it is the best so far."""

    epoch: int
    train: float
    validation: float | None
    improved: bool
    seconds: float


Event = BatchDone | EpochDone


def train(
    run: Run,
    loader: Loader,
    schedule: Schedule,
    epochs: int,
    *,
    max_grad_norm: float,
    carry: bool,
    validate: Callable[[Policy], float] | None,
    gc_every: int = 0,
    precision: str = "f32",
    profile: bool = False,
) -> Iterator[Event]:
    """Train until ``epochs`` passes are done, from wherever ``run`` stands.

    Args:
        run: Changed in place; consistent at every event.
        loader: Batches by (epoch, step).
        schedule: Learning rate by update.
        epochs: Passes in all.
        max_grad_norm: Longest gradient; 0 leaves it as it is.
        carry: Whether a batch goes on where the one before ended (lanes), else every batch starts afresh (windows).
        validate: Held-out nats per decision of a policy.
        gc_every: Updates from one collection of garbage to the next; 0 leaves that to Python.
        precision: ``f32`` or ``bf16``: what forward and backward compute with; weights stay as they are.
        profile: Wait for the device after every part of an update, so that each part's seconds are its own.

    Raises:
        ExphilError: the loss is no longer a number.
    """
    if gc_every:  # what is here already stays: looking through it would take 0.1 s every time
        gc.collect()
        gc.freeze()
    try:
        while run.epoch < epochs:
            steps = loader.steps(run.epoch)
            while run.step < steps:
                watch = _Watch(run.device, profile)
                done = _update(run, loader, schedule, steps, max_grad_norm, carry, precision, watch)
                if gc_every and run.updates % gc_every == 0:
                    gc.collect()
                yield done
            began = time.perf_counter()
            mean = run.loss_sum / max(run.weight_sum, 1.0)
            held_out = validate(run.policy) if validate else None
            watched = mean if held_out is None else held_out
            improved = watched < run.best
            run.best = min(run.best, watched)
            run.seconds += time.perf_counter() - began
            run.history.append(
                {"epoch": run.epoch + 1, "train": mean} | ({} if held_out is None else {"validation": held_out})
            )
            run.epoch, run.step, run.loss_sum, run.weight_sum, run.state = run.epoch + 1, 0, 0.0, 0.0, None
            yield EpochDone(run.epoch, mean, held_out, improved, run.seconds)
    finally:
        gc.unfreeze()


class _Watch:
    """A stop-watch: seconds since the last look."""

    def __init__(self, device: torch.device, profile: bool) -> None:
        self._device, self._profile, self._last = device, profile, time.perf_counter()

    def lap(self) -> float:
        if self._profile:
            wait(self._device)
        before, self._last = self._last, time.perf_counter()
        return self._last - before


def _update(
    run: Run,
    loader: Loader,
    schedule: Schedule,
    steps: int,
    max_grad_norm: float,
    carry: bool,
    precision: str,
    watch: _Watch,
) -> BatchDone:
    run.policy.train()
    fetched = loader.fetch(run.epoch, run.step)
    data = watch.lap()
    batch = loader.encode(fetched)
    features = watch.lap()
    state = run.state if carry and run.state is not None else run.policy.initial_state(batch.weight.shape[0])
    with computing(run.device, precision):
        log_prob_BTA, after = run.policy.score(batch.floats, batch.ids, batch.action, state, batch.is_first)
    loss = imitation(log_prob_BTA, batch.weight)
    total = float(loss.total.detach())
    if total != total or total in (float("inf"), float("-inf")):
        raise ExphilError(
            f"the loss is {total} at update {run.updates + 1}",
            "training",
            "lower --lr or --max-grad-norm; the last snapshot is good",
        )
    forward = watch.lap()
    lr = schedule(run.updates)
    for group in run.optimizer.param_groups:
        group["lr"] = lr
    run.optimizer.zero_grad(set_to_none=True)
    loss.total.backward()  # type: ignore[no-untyped-call]
    backward = watch.lap()
    norm = torch.nn.utils.clip_grad_norm_(run.policy.parameters(), max_grad_norm if max_grad_norm > 0 else float("inf"))
    run.optimizer.step()
    frames = batch.frames
    run.state = detach(after) if carry else None
    run.step, run.updates, run.frames = run.step + 1, run.updates + 1, run.frames + frames
    run.loss_sum, run.weight_sum = run.loss_sum + total * frames, run.weight_sum + frames
    spent = Spent(data, features, forward, backward, watch.lap())
    seconds = sum(spent)
    run.seconds += seconds
    return BatchDone(
        run.epoch + 1, run.step, steps, run.updates, total, loss.parts.tolist(), frames, lr, float(norm), seconds, spent
    )
