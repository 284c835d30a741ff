"""The training loop: it yields what happened; who prints, logs or saves is not its business.

A ``Run`` is everything that changes while training. The loop stops between two updates, so a snapshot of the run taken
at any event resumes bit for bit: order is arithmetic on (seed, epoch, step), and dropout's random state is in the
snapshot.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer

from exphil.data.loader import Loader
from exphil.models.backbone import State, map_state
from exphil.models.policy import Policy
from exphil.train.average import Average
from exphil.train.optim import Schedule, Together
from exphil.train.ranks import Ranks, alone, own_states, whole_state
from exphil.train.runtime import random_state, set_random_state
from exphil.train.step import NotFiniteError, Spent, Way, update


@dataclass
class Run:
    """What changes while training."""

    policy: Policy
    optimizer: Optimizer | Together
    device: torch.device
    average: Average | None = None
    epoch: int = 0
    step: int = 0  # next update of the epoch
    updates: int = 0
    frames: float = 0.0
    loss_sum: float = 0.0  # over the decisions of this epoch
    weight_sum: float = 0.0
    best: float = float("inf")
    mark: float = float("inf")  # the loss that patience is counted from
    waited: int = 0  # epochs since then
    seconds: float = 0.0
    states: list[State] = field(default_factory=list)  # carried, one for each slice of a batch
    history: list[dict[str, float]] = field(default_factory=list)  # one line an epoch

    def snapshot(self, ranks: Ranks | None = None) -> dict[str, Any]:
        """Everything to resume, as tensors and plain values; all processes take it together.

        What the processes carry is whole on the first of them only.
        """
        ranks = ranks or alone()
        plain = ("epoch", "step", "updates", "frames", "loss_sum", "weight_sum", "best", "mark", "waited", "seconds")
        return {
            "policy": self.policy.state_dict(),
            "average": self.average.state_dict(self.policy) if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "random": ranks.gather(random_state(self.device)),
            "state": whole_state(self.states, ranks) if self.states else None,
            "run": {name: getattr(self, name) for name in plain} | {"history": list(self.history)},
        }

    def restore(self, snapshot: dict[str, Any], way: Way, batch: int) -> None:
        """Go on where ``snapshot`` was taken; the policy's weights are loaded by the caller, strictly.

        Args:
            snapshot: As ``snapshot`` made it, in any number of processes and slices.
            way: The processes and slices now.
            batch: Rows of a whole batch.
        """
        self.optimizer.load_state_dict(snapshot["optimizer"])
        if self.average:  # a run that begins to average does so from its weights
            self.average.load_state_dict(snapshot["average"] or snapshot["policy"])
        if way.ranks.rank < len(snapshot["random"]):  # a process that was not there yet draws its own
            set_random_state(snapshot["random"][way.ranks.rank], self.device)
        if snapshot["state"] is not None:
            parts = own_states(snapshot["state"], *way.ranks.slices(way.slices), batch)
            self.states = [map_state(lambda leaf: leaf.to(self.device), part) for part in parts]
        for name, value in snapshot["run"].items():
            setattr(self, name, value)


class BatchDone(NamedTuple):
    """One update.

    Attributes:
        loss: Nats per decision, whatever the objective is.
        parts: The same by component.
        objective: What was made small, per decision; the loss where that is plain.
        frames: Decisions that counted.
    """

    epoch: int
    step: int
    steps: int
    updates: int
    loss: float
    parts: list[float]
    objective: float
    frames: float
    lr: float
    grad_norm: float
    seconds: float
    spent: Spent


class EpochDone(NamedTuple):
    """One pass.

    Attributes:
        validation: None without held-out games.
        improved: Whether it is the best so far.
        stops: Whether the run ends here because it got no better for too long.
    """

    epoch: int
    train: float
    validation: float | None
    improved: bool
    stops: bool
    seconds: float


Event = BatchDone | EpochDone


@dataclass(frozen=True)
class Patience:
    """When a run that gets no better ends: after ``epochs`` in which the loss did not fall by ``least`` nats."""

    epochs: int
    least: float


def train(
    run: Run,
    loader: Loader,
    schedule: Schedule,
    epochs: int,
    way: Way,
    *,
    validate: Callable[[Policy], float] | None = None,
    patience: Patience | None = None,
    gc_every: int = 0,
) -> Iterator[Event]:
    """Train until ``epochs`` passes are done, from wherever ``run`` stands.

    Args:
        run: Changed in place; consistent at every event.
        loader: Batches by (epoch, step); ``way.slices`` of them make one update.
        schedule: Learning rate by update.
        epochs: Passes in all.
        way: How updates are made.
        validate: Held-out nats per decision of a policy.
        patience: When to end before; None never.
        gc_every: Updates from one collection of garbage to the next; 0 leaves that to Python.

    Raises:
        ExphilError: the loss is no longer a number, the memory is full, or another process is gone.
    """
    if gc_every:  # what is here already stays: looking through it would take 0.1 s every time
        gc.collect()
        gc.freeze()
    try:
        while run.epoch < epochs:
            steps = loader.steps(run.epoch) // way.slices
            while run.step < steps:
                done = _batch(run, loader, schedule, steps, way)
                if gc_every and run.updates % gc_every == 0:
                    gc.collect()
                yield done
            done_epoch = _epoch(run, validate, patience)
            yield done_epoch
            if done_epoch.stops:
                return
    finally:
        gc.unfreeze()


def _batch(run: Run, loader: Loader, schedule: Schedule, steps: int, way: Way) -> BatchDone:
    lr = schedule(run.updates)
    done = update(run, loader, lr, way)
    loss, seconds = sum(done.parts), sum(done.spent)
    run.step, run.updates, run.frames = run.step + 1, run.updates + 1, run.frames + done.frames
    run.loss_sum, run.weight_sum = run.loss_sum + loss * done.frames, run.weight_sum + done.frames
    run.seconds += seconds
    place = run.epoch + 1, run.step, steps, run.updates
    return BatchDone(*place, loss, done.parts, done.objective, done.frames, lr, done.grad_norm, seconds, done.spent)


def _epoch(run: Run, validate: Callable[[Policy], float] | None, patience: Patience | None) -> EpochDone:
    began = time.perf_counter()
    mean = run.loss_sum / max(run.weight_sum, 1.0)
    held_out = None
    if validate and run.average:
        with run.average.within(run.policy):
            held_out = validate(run.policy)
    elif validate:
        held_out = validate(run.policy)
    if held_out is not None and not math.isfinite(held_out):
        raise NotFiniteError(f"the held-out loss is {held_out} after update {run.updates}", "training")
    watched = mean if held_out is None else held_out
    improved = watched < run.best
    run.best = min(run.best, watched)
    if patience and not watched < run.mark - patience.least:
        run.waited += 1
    else:
        run.mark, run.waited = watched, 0
    run.seconds += time.perf_counter() - began
    run.history.append({"epoch": run.epoch + 1, "train": mean} | ({} if held_out is None else {"validation": held_out}))
    run.epoch, run.step, run.loss_sum, run.weight_sum, run.states = run.epoch + 1, 0, 0.0, 0.0, []
    stops = patience is not None and run.waited >= patience.epochs
    return EpochDone(run.epoch, mean, held_out, improved, stops, run.seconds)
