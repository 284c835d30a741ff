"""How fast a run goes and how much of it is left, from its updates.

What enters: every update of this process, in order. What leaves: seconds, and the facts of a progress bar.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from statistics import fmean

from exphil.cli.shown.drawing import Trend, shown_clock

RECENT = 64
"""Updates that speed and curve look back on."""


class Pace:
    """Watches a run.

    Args:
        updates: Updates of the whole run, those done before this process included.
        epochs: Epochs of the whole run.
        clock: Seconds that go on while validating and saving too.
    """

    def __init__(self, updates: int, epochs: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._updates, self._epochs, self._clock = updates, epochs, clock
        self._recent: deque[tuple[float, float, float]] = deque(maxlen=RECENT)
        self._between: list[float] = []  # seconds from the last update of an epoch to the first one of the next
        self._epoch, self._seen = 0, 0.0

    def saw(self, updates: int, epoch: int, loss: float, frames: float, seconds: float) -> None:
        """One update is done.

        Args:
            updates: Done in the whole run.
            epoch: The one it belongs to, from 1.
            loss: Nats per decision.
            frames: Decisions that counted.
            seconds: It took.
        """
        now = self._clock()
        if self._epoch and epoch > self._epoch:
            self._between.append(max(now - seconds - self._seen, 0.0))
        self._done, self._epoch, self._seen = updates, epoch, now
        self._recent.append((loss, frames, seconds))

    @property
    def frames_per_s(self) -> float:
        """Decisions a second over the last updates; 0 before the first one."""
        seconds = math.fsum(taken for _, _, taken in self._recent)
        return math.fsum(frames for _, frames, _ in self._recent) / seconds if seconds > 0 else 0.0

    def left_s(self) -> float:
        """Seconds that the run still takes, what happens between its epochs included; not finite before an update."""
        if not self._recent:
            return math.inf
        each = fmean(taken for _, _, taken in self._recent)
        between = fmean(self._between) if self._between else 0.0
        return each * max(self._updates - self._done, 0) + between * (self._epochs - self._epoch + 1)

    def facts(self) -> dict[str, object]:
        """For ``Progress.update``: mean loss of the last updates, its curve, decisions a second, what is left to do."""
        losses = [loss for loss, _, _ in self._recent]
        return {
            "loss": Trend(f"{fmean(losses):.3f}", losses),
            "frames_per_s": f"{self.frames_per_s:,.0f}",
            "run": f"{shown_clock(self.left_s())} left",
        }
