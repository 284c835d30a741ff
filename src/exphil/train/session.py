"""A run with its files: the loop, and what is saved when.

Every epoch writes ``NAME.pt``, ``NAME_policy.safetensors`` and ``NAME_config.json``; the best epoch so far also
``NAME_best…``; a stop that was asked for writes ``NAME_interrupt.pt``. Events of the loop pass through; ``Saved`` and
``Interrupted`` are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from exphil.errors import OutputError
from exphil.files import check_writable
from exphil.train import checkpoint
from exphil.train.loop import EpochDone, Event, Run


@dataclass(frozen=True)
class RunFiles:
    """The paths of one run; all of them begin with the snapshot's name."""

    snapshot: Path

    @staticmethod
    def at(path: Path) -> RunFiles:
        """The run whose snapshot stands at a path; ``.pt`` is added when missing."""
        return RunFiles(path if path.suffix == ".pt" else path.with_name(path.name + ".pt"))

    @staticmethod
    def of_snapshot(path: Path) -> RunFiles:
        """The run that a snapshot belongs to: its last, its best or an interrupted one."""
        name = RunFiles.at(path).snapshot.stem
        return RunFiles(path.with_name(name.removesuffix("_best").removesuffix("_interrupt") + ".pt"))

    def beside(self, ending: str) -> Path:
        """``NAME`` with another ending in the same folder."""
        return self.snapshot.with_name(self.snapshot.stem + ending)

    @property
    def policy(self) -> Path:
        """``NAME_policy.safetensors``."""
        return self.beside("_policy.safetensors")

    @property
    def metrics(self) -> Path:
        """``NAME_metrics.jsonl``."""
        return self.beside("_metrics.jsonl")

    def check_new(self) -> None:
        """Refuse to write over another run.

        Raises:
            OutputError: a file of a run of this name exists, or the folder cannot be written.
        """
        for path in (self.snapshot, self.beside("_interrupt.pt"), self.beside("_best.pt"), self.policy, self.metrics):
            if not path.exists():
                continue
            found = path.stat()
            when = datetime.fromtimestamp(found.st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise OutputError(
                f"already exists ({found.st_size / 1e6:.1f} MB, {when})",
                str(path),
                "choose another --name, or --resume it",
            )
        check_writable(self.snapshot, checkpoint.OTHER_PLACE)


class Saved(NamedTuple):
    """A snapshot and its policy file were written."""

    path: Path
    best: bool


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


def save(run: Run, files: RunFiles, identity: Identity, ending: str = "") -> Path:
    """Write snapshot, policy file and provenance page.

    Raises:
        OutputError: one of them cannot be written.
    """
    target = RunFiles(files.beside(f"{ending}.pt"))
    training = {
        **{key: identity.provenance[key] for key in ("name", "seed") if key in identity.provenance},
        "epochs_done": run.epoch,
        "updates": run.updates,
        "frames": run.frames,
        "history": run.history,
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
    checkpoint.save_snapshot(target.snapshot, {**run.snapshot(), **words, "provenance": dict(identity.provenance)})
    checkpoint.save_policy(target.policy, checkpoint.PolicyFile(weights=run.policy.state_dict(), **words))
    last = run.history[-1] if run.history else {}
    results = {
        "final_training_loss": last.get("train"),
        "final_validation_loss": last.get("validation"),
        "epochs_done": run.epoch,
        "updates": run.updates,
        "total_time_seconds": round(run.seconds, 1),
    }
    checkpoint.save_json(target.beside("_config.json"), {**identity.provenance, **results})
    return target.snapshot


def session(
    events: Iterator[Event], run: Run, files: RunFiles, identity: Identity, *, save_best: bool, stop: Callable[[], bool]
) -> Iterator[Event | Saved | Interrupted]:
    """Pass events through and save when it is time; ends after an interruption.

    Args:
        events: Of ``loop.train`` on ``run``.
        run: The run.
        files: Where it is saved.
        identity: What its files say.
        save_best: Also keep the best epoch.
        stop: Asked after every event: whether to save and stop.
    """
    for event in events:
        yield event
        if isinstance(event, EpochDone):
            yield Saved(save(run, files, identity), best=False)
            if save_best and event.improved:
                yield Saved(save(run, files, identity, "_best"), best=True)
        if stop():
            yield Interrupted(save(run, files, identity, "_interrupt"))
            return
