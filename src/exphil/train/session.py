"""A run with its files: the loop, and what is saved when.

Every epoch writes ``NAME.pt``, ``NAME_policy.safetensors`` and ``NAME_config.json``; the best epoch so far also
``NAME_best…``; every so many epochs ``NAME_epoch_0005…``, every so many batches ``NAME_batch…``; a stop that was asked
for ``NAME_interrupt…``. A thread writes them while training goes on (``train.background``). Events of the loop pass
through; ``Saved`` and ``Interrupted`` are added. What can go wrong: a file cannot be written; the loop's own errors,
which leave with the last good snapshot and what to change.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from exphil.errors import ExphilError
from exphil.files import remove
from exphil.train import checkpoint
from exphil.train.background import Writer
from exphil.train.loop import BatchDone, Event, Run
from exphil.train.ranks import Ranks
from exphil.train.runfiles import RunFiles
from exphil.train.step import MemoryFullError, NotFiniteError


class Saved(NamedTuple):
    """A snapshot and its policy file are on the disk.

    Attributes:
        path: The snapshot.
        best: Whether it is that of the best epoch.
        updates: Made until it was taken.
        paused: Seconds that the loop stood still for it.
    """

    path: Path
    best: bool
    updates: int
    paused: float


class Interrupted(NamedTuple):
    """The run stopped because it was asked to; ``path`` resumes it."""

    path: Path


@dataclass(frozen=True)
class Identity:
    """What a run's files say about it besides weights: plain values."""

    config: Mapping[str, Any]
    fingerprint: str
    baselines: Mapping[str, Any]
    games: Mapping[str, list[str]]  # digests of the files learned from and held out
    provenance: Mapping[str, Any]
    players: Mapping[str, Any] = field(default_factory=dict)  # the registry of styles; empty without styles
    actions: Mapping[str, Any] = field(default_factory=dict)  # the codec of actions


@dataclass(frozen=True)
class Keep:
    """Which snapshots there are beside the last.

    Attributes:
        best: That of the best epoch.
        every: One of its own every so many epochs.
        every_batches: One that is written anew every so many updates.
        most: Of those of ``every`` only so many, the best.
    """

    best: bool = True
    every: int | None = None
    every_batches: int | None = None
    most: int | None = None

    def endings(self, event: Event) -> list[str]:
        """What is added to the run's name for the snapshots that are due after an event."""
        if isinstance(event, BatchDone):
            return ["_batch"] if self.every_batches and event.updates % self.every_batches == 0 else []
        own = f"_epoch_{event.epoch:04}"
        kept = {"": True, "_best": self.best and event.improved, own: self.every and event.epoch % self.every == 0}
        return [ending for ending, due in kept.items() if due]


def written(snapshot: Mapping[str, Any], files: RunFiles, identity: Identity) -> None:
    """Write snapshot, policy file, policy file of the average, and provenance page.

    Args:
        snapshot: Of the run.
        files: Where.
        identity: What the files say.

    Raises:
        OutputError: one of them cannot be written.
    """
    run = snapshot["run"]
    training = {
        **{key: identity.provenance[key] for key in ("name", "seed", "parent") if key in identity.provenance},
        "epochs_done": run["epoch"],
        "updates": run["updates"],
        "frames": run["frames"],
        "history": run["history"],
        **identity.games,
    }
    words: dict[str, Any] = {
        "config": dict(identity.config),
        "fingerprint": identity.fingerprint,
        "baselines": dict(identity.baselines),
        "training": training,
        "players": dict(identity.players),
        "actions": dict(identity.actions),
    }
    checkpoint.save_snapshot(files.snapshot, {**snapshot, **words, "provenance": dict(identity.provenance)})
    checkpoint.save_policy(files.policy, checkpoint.PolicyFile(weights=snapshot["policy"], **words))
    if snapshot["average"]:
        averaged = {**words, "training": training | {"average": True}}
        checkpoint.save_policy(files.average, checkpoint.PolicyFile(weights=snapshot["average"], **averaged))
    else:
        remove(files.average)  # of a run that averaged before it was resumed
    last = run["history"][-1] if run["history"] else {}
    results = {
        "final_training_loss": last.get("train"),
        "final_validation_loss": last.get("validation"),
        "epochs_done": run["epoch"],
        "updates": run["updates"],
        "total_time_seconds": round(run["seconds"], 1),
    }
    checkpoint.save_json(files.page, {**identity.provenance, **results})


class _Saver:
    """Copies a run and has it written; only the first process writes."""

    def __init__(self, run: Run, files: RunFiles, identity: Identity, keep: Keep, ranks: Ranks) -> None:
        self._run, self._files, self._identity, self._keep, self._ranks = run, files, identity, keep, ranks
        self._writer: Writer[tuple[list[str], int, float]] = Writer()

    def save(self, endings: Sequence[str]) -> None:
        """One snapshot under several names; the loop goes on when it is copied."""
        began = time.perf_counter()
        snapshot = self._run.snapshot(self._ranks)
        if not self._ranks.is_first:
            return
        copy, names = self._writer.copied(snapshot), list(endings)
        updates = snapshot["run"]["updates"]
        self._writer.submit(lambda: self._write(copy, names), (names, updates, time.perf_counter() - began))

    def _write(self, snapshot: Mapping[str, Any], endings: Sequence[str]) -> None:
        for ending in endings:
            written(snapshot, self._files.variant(ending), self._identity)
        if self._keep.most:
            self._prune(snapshot["run"]["history"], self._keep.most)

    def _prune(self, history: Sequence[Mapping[str, float]], most: int) -> None:
        """Of the snapshots of single epochs keep the best ones."""
        losses = {int(line["epoch"]): line.get("validation", line["train"]) for line in history}
        there = {epoch: self._files.variant(f"_epoch_{epoch:04}") for epoch in losses}
        kept = sorted((epoch for epoch in losses if there[epoch].snapshot.exists()), key=lambda epoch: losses[epoch])
        for epoch in kept[most:]:
            there[epoch].remove()

    def done(self, *, wait: bool = False) -> Iterator[Saved]:
        """What is on the disk since this was last asked."""
        for endings, updates, paused in self._writer.finished(wait=wait):
            for ending in endings:
                yield Saved(self._files.variant(ending).snapshot, ending == "_best", updates, paused)

    def close(self) -> None:
        self._writer.close()


def session(
    events: Iterator[Event],
    run: Run,
    files: RunFiles,
    identity: Identity,
    *,
    keep: Keep,
    stop: Callable[[], bool],
    ranks: Ranks,
    resumed: Path | None = None,
) -> Iterator[Event | Saved | Interrupted]:
    """Pass events through and save when it is time; ends after an interruption.

    Args:
        events: Of ``loop.train`` on ``run``.
        run: The run.
        files: Where it is saved.
        identity: What its files say.
        keep: Which snapshots there are beside the last.
        stop: Asked after every event: whether to save and stop.
        ranks: The processes of the run.
        resumed: The snapshot that it went on from.

    Raises:
        ExphilError: of the loop, with the last good snapshot and what to change; a file that cannot be written.
    """
    saver, began = _Saver(run, files, identity, keep, ranks), run.updates
    good = {} if resumed is None else {resumed: began}  # snapshots that can be resumed, and their updates
    try:
        for event in events:
            yield event
            if endings := keep.endings(event):
                saver.save(endings)
            for saved in saver.done():
                good[saved.path] = saved.updates
                yield saved
            if ranks.sum_values([float(stop())])[0]:
                saver.save(["_interrupt"])
                yield from saver.done(wait=True)
                yield Interrupted(files.variant("_interrupt").snapshot)
                return
        yield from saver.done(wait=True)
    except NotFiniteError as error:
        good |= {saved.path: saved.updates for saved in saver.done(wait=True)}
        # the weights that gave no number are not good, whatever was saved of them
        raise _with_remedy(error, good, run.updates - 1, f"--lr {identity.config['lr'] / 3:.2g}") from error
    except MemoryFullError as error:
        if run.updates > began and ranks.world == 1:  # what it had learned is still there
            with contextlib.suppress(RuntimeError, MemoryError):
                saver.save(["_interrupt"])
        good |= {saved.path: saved.updates for saved in saver.done(wait=True)}
        raise _with_remedy(error, good, run.updates, _halved(identity.config)) from error
    finally:
        saver.close()


def _halved(config: Mapping[str, Any]) -> str:
    """The options that make the same updates of smaller batches."""
    batch, slices = config["batch_size"], config["accumulation_steps"]
    part = next((number for number in range(2, batch + 1) if batch % number == 0), 1)
    return f"--batch-size {batch // part} --accumulation-steps {slices * part}"


def _with_remedy(error: ExphilError, good: Mapping[Path, int], most: int, change: str) -> ExphilError:
    """The same error with the last good snapshot, of ``most`` updates or fewer, and the option to change."""
    others = "or a lower --max-grad-norm" if isinstance(error, NotFiniteError) else "or --gradient-checkpoint"
    there = [path for path, updates in good.items() if updates <= most and path.exists()]
    place = [path for path in there if not path.stem.endswith("_best")]  # a best epoch goes on elsewhere
    if not place:
        return type(error)(error.what, error.where, f"nothing good was saved yet; begin again with {change}, {others}")
    last = max(place, key=lambda path: good[path])
    words = f"exphil train --resume {shlex.quote(str(last))} {change}"
    return type(error)(error.what, error.where, f"the last good snapshot is {last}: {words}, {others}")
