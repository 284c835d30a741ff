"""Backbones side by side: each learns from the same games and is measured on the same games held out.

What enters: entries (a backbone, a seed, options) and a function that builds one of them. What leaves: events while it
goes, and for each entry one plain dictionary: held-out loss and its curve, speed of training, memory, milliseconds of
a decision. What can go wrong: whatever building and training raise; with ``go_on`` it is told instead and the other
backbones are trained. Losses are nats per decision; they do not rank how well policies play.

Shapes: B batch, T time, F floats, I ids, A components (13).
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from exphil import __version__
from exphil.data import baselines
from exphil.data.corpus import Corpus
from exphil.data.loader import Batch, Loader
from exphil.errors import DataError, ExphilError
from exphil.features.action import NUM_COMPONENTS
from exphil.models.policy import Policy
from exphil.play.agent import Player
from exphil.train import loop
from exphil.train.optim import Schedule
from exphil.train.runtime import computing
from exphil.train.step import Way
from exphil.train.validate import held_out_loss

POINTS = 20
"""Points of a curve, at most."""
DECISIONS = {1: 500, 32: 200, 128: 100}
"""Games that are decided for at once, and how many times they are: enough for a 99th percentile, a second in all."""
WARM_UP = 20
_NO_END = 1 << 30


@dataclass(frozen=True)
class Entry:
    """One run to make.

    Attributes:
        backbone: Its name in the table.
        seed: Of its weights and of the order of its batches.
        recipe: What it has for itself: batch and learning rate.
        config: What its builder needs to know besides, frozen.
    """

    backbone: str
    seed: int
    recipe: Mapping[str, Any]
    config: Any


class Games(NamedTuple):
    """Games to learn from and games held out."""

    learned: Corpus
    held_out: Corpus


class Built(NamedTuple):
    """A run that is ready to start.

    Attributes:
        run: Fresh weights and their optimiser.
        batches: What it learns from.
        schedule: Its learning rate.
        updates: How many it makes.
        held_out: Walks the games held out.
        watched: Walks some of them, for the curve; the same object when it walks all.
        way: How updates are made.
        gc_every: Updates between collections of garbage.
        players: How its policy plays; opened one after the other when decisions are timed.
    """

    run: loop.Run
    batches: Loader
    schedule: Schedule
    updates: int
    held_out: Loader
    watched: Loader
    way: Way
    gc_every: int
    players: Mapping[str, Callable[[], Player]]


Build = Callable[[Any, Games, int], Built]
"""Makes a run of (an entry's config, the games, the entry's seed)."""


class Begun(NamedTuple):
    """An entry was built."""

    entry: Entry
    updates: int
    parameters: int


class Learned(NamedTuple):
    """One update; ``held_out`` where the curve has a point."""

    update: int
    loss: float
    held_out: float | None


class Finished(NamedTuple):
    """An entry was trained and measured."""

    entry: Entry
    result: dict[str, Any]


class Failed(NamedTuple):
    """An entry could not be built, trained or measured; its other seeds are left out."""

    entry: Entry
    failure: dict[str, Any]


Event = Begun | Learned | Finished | Failed


def contest(entries: Sequence[Entry], build: Build, games: Games, *, go_on: bool) -> Iterator[Event]:
    """Train and measure every entry.

    Args:
        entries: The runs, in this order.
        build: Makes one of them.
        games: For all of them.
        go_on: When one fails, tell it and go on with the other backbones; else its error is raised.

    Raises:
        Exception: what building, training or measuring raised, without ``go_on``.
    """
    failed: set[str] = set()
    for entry in entries:
        if entry.backbone in failed:
            continue
        try:
            yield from compete(entry, build, games)
        except Exception as error:
            if not go_on:
                raise
            failed.add(entry.backbone)
            yield Failed(entry, about(entry.backbone, entry.seed, entry.recipe) | {"error": _said(error)})


def compete(entry: Entry, build: Build, games: Games) -> Iterator[Begun | Learned | Finished]:
    """Train and measure one entry.

    Raises:
        ExphilError: it cannot be built, or its loss is no longer a number.
    """
    built = build(entry.config, games, entry.seed)
    policy = built.run.policy
    parameters = sum(parameter.numel() for parameter in policy.parameters())
    yield Begun(entry, built.updates, parameters)
    curve: list[dict[str, float]] = []
    speed = yield from _learn(built, curve)
    whole = built.watched is built.held_out
    result = {
        "held_out": curve[-1]["held_out"] if whole else held_out_loss(policy, built.held_out),
        "curve": curve,
        "curve_decisions": int(built.watched.corpus.decisions.sum()),
        "updates": built.run.updates,
        "frames": int(built.run.frames),
        **speed,
        "parameters": parameters,
        "saved_bytes": saved_bytes(policy, built.batches.load(0, 0), built.way.precision),
        **_timed(built),
    }
    yield Finished(entry, about(entry.backbone, entry.seed, entry.recipe) | result | {"machine": machine()})


def about(backbone: str, seed: int, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Which run a result or a failure is of, and when it was."""
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"backbone": backbone, "seed": seed, "recipe": dict(recipe), "date": date, "exphil": __version__}


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, ExphilError) else f"{type(error).__name__}: {error}"


def _learn(built: Built, curve: list[dict[str, float]]) -> Generator[Learned, None, dict[str, float]]:
    """Train to the end; fills the curve and gives the speed, the first update and all measuring apart."""
    run, every = built.run, ceil(built.updates / POINTS)
    events = loop.train(run, built.batches, built.schedule, _NO_END, built.way, gc_every=built.gc_every)
    spent = {"seconds": 0.0, "cpu_seconds": 0.0}
    timed = loss = frames = 0.0
    try:
        while run.updates < built.updates:
            before, began, cpu = run.frames, time.perf_counter(), time.process_time()
            event = next(events)
            if not isinstance(event, loop.BatchDone):
                continue
            if run.updates > 1 or built.updates == 1:  # the first one also allocates, and starts threads
                spent["seconds"] += time.perf_counter() - began
                spent["cpu_seconds"] += time.process_time() - cpu
                timed += run.frames - before
            loss, frames, held_out = loss + event.loss * event.frames, frames + event.frames, None
            if run.updates % every == 0 or run.updates == built.updates:
                held_out = held_out_loss(run.policy, built.watched)
                point = {"updates": run.updates, "frames": run.frames, "train": loss / max(frames, 1.0)}
                curve.append(point | {"held_out": held_out})
                loss = frames = 0.0
            yield Learned(run.updates, event.loss, held_out)
    finally:
        events.close()  # type: ignore[attr-defined]
    worked = spent["cpu_seconds"] if run.device.type == "cpu" else spent["seconds"]
    return spent | {"frames_per_second": timed / max(worked, 1e-9)}


def saved_bytes(policy: Policy, batch: Batch, precision: str = "f32") -> int:
    """Bytes that one step keeps from the way there for the way back, each storage once; parameters do not count.

    That is what grows with batch and window. What a fused kernel keeps to itself without telling autograd is not seen.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in policy.parameters()}
    kept: dict[int, int] = {}

    def see(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    policy.train()
    state = policy.initial_state(len(batch.weight))
    hooks = torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor)
    with hooks, computing(batch.floats.device, precision):
        log_prob_BTA, _ = policy.score(batch.floats, batch.ids, batch.action, state, batch.is_first)
        loss = (log_prob_BTA * batch.weight[..., None]).sum()  # holds the graph, so that no address is used twice
    del loss
    return sum(kept.values())


def _timed(built: Built) -> dict[str, dict[str, Any]]:
    """``latencies`` of each player; one that cannot be opened does not cost the run, and is named."""
    found: dict[str, dict[str, Any]] = {"decision_ms": {}, "untimed": {}}
    for name, make in built.players.items():
        try:
            found["decision_ms"][name] = latencies(make, built.held_out)
        except Exception as error:
            found["untimed"][name] = str(error)
    return found


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def latencies(make: Callable[[], Player], walked: Loader) -> dict[str, dict[str, float]]:
    """Wall-clock milliseconds of a decision on one thread, by how many games are decided for at once.

    Frames of real games, one after the other; from their floats to the classes of the action.

    Args:
        make: Opens the player.
        walked: Walks the games.
    """
    batch = walked.load(0, 0)
    floats_BTF, ids_BTI = batch.floats.cpu().numpy(), batch.ids.cpu().numpy()
    found = {}
    with _one_thread():
        player = make()
        for games, count in DECISIONS.items():
            rows, random = np.arange(games) % len(floats_BTF), np.random.default_rng(0)
            state, took = player.initial_state(games), []
            for at in range(WARM_UP + count):
                frame = at % floats_BTF.shape[1]
                floats, ids = floats_BTF[rows, frame], ids_BTI[rows, frame]
                is_first, uniform = np.full(games, at == 0), random.random((games, NUM_COMPONENTS), np.float32)
                began = time.perf_counter()
                _, state = player.act(floats, ids, state, is_first, uniform)
                took.append(1000 * (time.perf_counter() - began))
            p50, p99 = np.percentile(took[WARM_UP:], [50, 99])
            found[str(games)] = {"p50": float(p50), "p99": float(p99), "decisions": count}
    return found


@torch.inference_mode()
def baseline_losses(policy: Policy, walked: Loader, fitted: Mapping[str, Any]) -> dict[str, float]:
    """Held-out nats per decision of players that look at nothing but the last controller (``data.baselines``).

    Args:
        policy: Any policy: where the last controller stands in its numbers, and what its classes stand for.
        walked: Walks the games held out.
        fitted: ``data.baselines`` of the games learned from.

    Raises:
        DataError: no decision counts.
    """
    sums, count = dict.fromkeys(baselines.NAMES, 0.0), 0
    for step in range(walked.steps(0)):
        batch = walked.load(0, step)
        counts = batch.weight > 0
        before = policy.codec.encode_floats(batch.floats[..., policy.table.held])[counts].cpu().numpy()
        taken = batch.action[counts].cpu().numpy()
        count += len(taken)
        for name, found in baselines.log_probs(dict(fitted), policy.codec, before, taken).items():
            sums[name] -= float(found.sum())
    if not count:
        raise DataError("no decision in the games held out counts", fix="more replays, or --all-frames")
    return {name: total / count for name, total in sums.items()}


def machine() -> dict[str, Any]:
    """Where this runs, without its name."""
    name, told = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if told.exists():
        lines = told.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    found = {"processor": name, "cores": os.cpu_count() or 1, "threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found | {"python": platform.python_version(), "torch": torch.__version__}
