"""The numbers of a run to its loggers, a line every so many updates and one for every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING

from exphil import assemble
from exphil.cli.running import profile
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.train.loop import BatchDone, EpochDone

if TYPE_CHECKING:
    from exphil.assemble import Job


class Numbers:
    """Collects the updates since the last line."""

    def __init__(self, terminal: Terminal, settings: Settings, job: Job) -> None:
        self._terminal, self._every = terminal, settings["log_interval"]
        self._plain = assemble.loss(settings).plain
        self._parts = [component.name for component in job.run.policy.codec.components]
        resumed = settings.saving.resume is not None
        self._loggers = assemble.loggers(settings, job.files, dict(job.about.provenance), resumed)
        self._troubled: set[str] = set()
        self._recent: list[BatchDone] = []

    def batch(self, event: BatchDone) -> None:
        """One update more."""
        self._recent.append(event)
        if event.updates % self._every and event.step < event.steps:
            return
        recent, self._recent = self._recent, []
        speed = sum(batch.frames for batch in recent) / sum(batch.seconds for batch in recent)
        values: dict[str, object] = {"epoch": event.epoch, "lr": event.lr, "grad_norm": event.grad_norm}
        values |= {"loss": fmean(batch.loss for batch in recent), "frames_per_second": speed}
        frames = max(sum(batch.frames for batch in recent), 1.0)
        values["parts"] = {
            name: sum(batch.parts[at] * batch.frames for batch in recent) / frames
            for at, name in enumerate(self._parts)
        }
        if not self._plain:
            values["objective"] = fmean(batch.objective for batch in recent)
        self._log("batch", event.updates, values)
        profile.detail(self._terminal, event, [batch.grad_norm for batch in recent], [batch.spent for batch in recent])

    def epoch(self, event: EpochDone, updates: int) -> None:
        """One epoch more, after so many updates."""
        self._log("epoch", updates, event._asdict())

    def close(self) -> None:
        """Finish every logger, and say where its numbers are."""
        for at, logger in enumerate(self._loggers):
            logger.close()
            if logger.place and not logger.trouble:
                tell = self._terminal.say if at else self._terminal.detail  # the record is always there
                tell(f"{'numbers':<10} {logger.place}")
        self._warn()

    def _log(self, kind: str, updates: int, values: Mapping[str, object]) -> None:
        for logger in self._loggers:
            logger.log(kind, updates, values)
        self._warn()

    def _warn(self) -> None:
        for logger in self._loggers:
            if logger.trouble and logger.trouble not in self._troubled:
                self._troubled.add(logger.trouble)
                self._terminal.warn(logger.trouble)
