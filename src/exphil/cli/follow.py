"""Telling about a run while it goes: a bar for each epoch, a line for each event, every number to the metrics file."""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack
from statistics import fmean
from types import TracebackType
from typing import TYPE_CHECKING

from exphil.cli import profile, told
from exphil.cli.terminal import Progress, Terminal
from exphil.config.layers import Settings
from exphil.train.loop import BatchDone, EpochDone, Event, Spent
from exphil.train.metrics import JsonLines
from exphil.train.session import Interrupted, Saved

if TYPE_CHECKING:
    from exphil.assemble import Job


class Follower:
    """Sees every event of one run."""

    def __init__(self, terminal: Terminal, settings: Settings, job: Job) -> None:
        self._terminal, self._settings, self._job = terminal, settings, job
        self._metrics = JsonLines(job.files.metrics)
        self._bars = ExitStack()
        self._bar: Progress | None = None
        self._began = time.perf_counter()
        self._recent: list[BatchDone] = []  # since the last line of the metrics file
        self._spent: list[Spent] = []  # of every update, when profiled

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()
        self._metrics.close()

    def see(self, event: Event | Saved | Interrupted) -> None:
        """Tell about one event."""
        if isinstance(event, BatchDone):
            self._batch(event)
            return
        self._bars.close()
        self._bar = None
        if isinstance(event, EpochDone):
            self._epoch(event)
        elif isinstance(event, Interrupted):
            self._terminal.warn(f"stopped; saved {event.path}")
            self._terminal.say(f"resume with: exphil train --resume {shlex.quote(str(event.path))}")
            profile.show(self._terminal, self._spent)
        elif event.best:
            self._terminal.detail(f"saved {event.path} (best so far)")
        else:
            self._terminal.detail(f"saved {event.path}")
            if self._job.run.epoch == self._settings["epochs"]:
                for line in told.summary(self._terminal, self._job, time.perf_counter() - self._began):
                    self._terminal.say(line)
                profile.show(self._terminal, self._spent)

    def _batch(self, event: BatchDone) -> None:
        if self._bar is None:
            title = f"epoch {event.epoch}/{self._settings['epochs']}"
            every = self._settings["log_interval"]
            self._bar = self._bars.enter_context(self._terminal.progress(event.steps, title, every))
        self._recent.append(event)
        if self._settings.profile.profile:
            self._spent.append(event.spent)
        speed = sum(batch.frames for batch in self._recent) / sum(batch.seconds for batch in self._recent)
        self._bar.update(event.step, loss=f"{event.loss:.3f}", frames_per_s=f"{speed:,.0f}")
        if event.updates % self._settings["log_interval"] == 0 or event.step == event.steps:
            mean = {"loss": fmean(batch.loss for batch in self._recent), "frames_per_second": speed}
            place = {"epoch": event.epoch, "update": event.updates, "lr": event.lr, "grad_norm": event.grad_norm}
            self._metrics.log("batch", place | mean)
            self._terminal.detail(f"update {event.updates}: lr {event.lr:.2e}, gradient {event.grad_norm:.3f}")
            self._recent.clear()

    def _epoch(self, event: EpochDone) -> None:
        held = "" if event.validation is None else f", held out {event.validation:.4f}"
        best = " (best so far)" if event.improved else ""
        self._terminal.say(
            f"epoch {event.epoch}/{self._settings['epochs']}: train {event.train:.4f}{held} nats per decision{best}"
        )
        self._metrics.log("epoch", event._asdict())
