"""What a training run came to: its curves, its losses beside the baseline, its files, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exphil import assemble
from exphil.cli.running.ending import Ended, ending
from exphil.cli.shown.drawing import many
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.errors import DataError

if TYPE_CHECKING:
    from exphil.assemble import Job

CURVES = {"train": "train", "validation": "held out"}


def ended(terminal: Terminal, settings: Settings, job: Job, held: Corpus | None, seconds: float) -> None:
    """What it came to: the curves of its losses, and the last lines."""
    run, planned = job.run, settings["epochs"]
    if len(run.history) > 1:
        names = [name for name in CURVES if any(name in line for line in run.history)]
        curves = {CURVES[name]: [line.get(name, float("nan")) for line in run.history] for name in names}
        terminal.graph("Loss, nats per decision", curves)
    losses = [line.get("validation", line["train"]) for line in run.history]
    done = run.epoch, planned, run.updates, run.frames, losses, run.best
    early = stopped_early(settings) if run.epoch < planned else ""
    policies = {name: path for name, path in _policies(settings, job).items() if path.exists()}
    told = Ended(seconds, run.seconds, *done, _baseline(settings, job, held), early, policies, settings.data.replays)
    for line in ending(told, terminal.shows_sparks):
        terminal.say(line, whole=True)


def stopped_early(settings: Settings) -> str:
    """Why ``--early-stopping`` ends a run."""
    stopping = settings.stopping
    return f"the loss fell by less than {stopping.min_delta:g} nats in {many(stopping.patience, 'epoch')}"


def _policies(settings: Settings, job: Job) -> dict[str, Path]:
    """The policy files of a run; the last one is that of the held-out loss."""
    best = job.files.variant("_best")
    found = {"policy": job.files.policy, "best": best.policy}
    averaged = best.average if best.average.exists() else job.files.average
    return found | ({"averaged": averaged} if settings.averaging.ema else {})


def _baseline(settings: Settings, job: Job, held: Corpus | None) -> float | None:
    """The loss of copying the previous controller on the held-out games, where some of their decisions count."""
    from exphil.evaluate.benchmark import baseline_losses

    if held is None:
        return None
    policy = job.run.policy
    try:
        walked = assemble.walk(settings, held, policy.codec, job.run.device)
        return baseline_losses(policy, walked, job.about.baselines)["copy-previous"]
    except DataError:
        return None
