"""Telling about a run while it goes: a bar for each epoch, a line for each event, every number to the loggers."""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from exphil.cli.running import closing, profile
from exphil.cli.running.numbers import Numbers
from exphil.cli.running.pace import Pace
from exphil.cli.terminal import Progress, Terminal
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.train.loop import BatchDone, EpochDone, Event
from exphil.train.machine import MemoryWatch, checkpoint_warning
from exphil.train.session import Interrupted, Saved
from exphil.train.step import Spent

if TYPE_CHECKING:
    from exphil.assemble import Job

LOOK_EVERY = 50
"""Updates from one look at the memory to the next."""


class Follower:
    """Sees every event of one run."""

    def __init__(self, terminal: Terminal, settings: Settings, job: Job, held: Corpus | None) -> None:
        self._terminal, self._settings, self._job, self._held = terminal, settings, job, held
        self._numbers, self._bars = Numbers(terminal, settings, job), ExitStack()
        self._bar: Progress | None = None
        self._pace = Pace(job.updates, settings["epochs"])
        self._memory, self._began = MemoryWatch(device=job.run.device), time.perf_counter()
        self._spent: list[Spent] = []  # of every update, when profiled
        self._saved, self._average = False, " with averaged weights" if settings.averaging.ema else ""

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()
        self._numbers.close()

    def see(self, event: Event | Saved | Interrupted) -> None:
        """Tell about one event."""
        if isinstance(event, BatchDone):
            self._batch(event)
        elif isinstance(event, Saved):
            self._save(event)
        else:
            self._bars.close()
            self._bar = None
            self._epoch(event) if isinstance(event, EpochDone) else self._stop(event)

    def end(self) -> None:
        """The run is through."""
        closing.ended(self._terminal, self._settings, self._job, self._held, time.perf_counter() - self._began)
        profile.show(self._terminal, self._spent)

    def _batch(self, event: BatchDone) -> None:
        if self._bar is None:
            title, every = f"epoch {event.epoch}/{self._settings['epochs']}", self._settings["log_interval"]
            self._bar = self._bars.enter_context(self._terminal.progress(event.steps, title, every))
        if self._settings.profile.profile:
            self._spent.append(event.spent)
        self._pace.saw(event.updates, event.epoch, event.loss, event.frames, event.seconds)
        self._bar.update(event.step, **self._pace.facts())
        self._numbers.batch(event)
        if event.updates % LOOK_EVERY == 1 and (full := self._memory.look()):
            self._terminal.warn(full)

    def _epoch(self, event: EpochDone) -> None:
        held = "" if event.validation is None else f", held out{self._average} {event.validation:.4f}"
        best = " (best so far)" if event.improved else ""
        place = f"epoch {event.epoch}/{self._settings['epochs']}"
        self._terminal.say(f"{place}: train {event.train:.4f}{held} nats per decision{best}")
        self._numbers.epoch(event, self._job.run.updates)
        self._terminal.detail(self._memory.said())
        if event.stops:
            self._terminal.say(closing.stopped_early(self._settings))

    def _save(self, event: Saved) -> None:
        self._terminal.detail(f"saved {event.path}; training stood still for {1e3 * event.paused:.0f} ms")
        parameters = sum(parameter.numel() for parameter in self._job.run.policy.parameters())
        large = "" if self._saved else checkpoint_warning(event.path.stat().st_size, parameters)
        self._saved = True
        if large:
            self._terminal.warn(large)

    def _stop(self, event: Interrupted) -> None:
        self._terminal.warn(f"stopped; saved {event.path}")
        self._terminal.say(f"resume with: exphil train --resume {shlex.quote(str(event.path))}", whole=True)
        profile.show(self._terminal, self._spent)
