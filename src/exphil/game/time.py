"""All arithmetic on frame numbers and delay.

A post-frame state already contains the input of its own frame: what was pressed on frame t has acted when state t is
recorded. A player who sees state t can therefore act on frame t + 1 at the earliest, and on t + 1 + delay when
``delay`` frames lie between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from exphil.errors import OptionError

FIRST_FRAME = -123
"""Number of the first recorded frame of every versus game (Slippi specification)."""
GO_FRAME = -39
"""The first frame on which hands are free. Measured on public replays: 94 of 104 players move before the clock starts
on frame 0, 25 of them on frame -39, and nobody before it."""
FRAMES_PER_SECOND = 60
MAX_FRAMES = 28_800
"""Eight minutes: the tournament clock."""
MAX_DELAY = 60
"""The most frames of delay that a policy may have: a second."""

T = TypeVar("T")


def answer(frame: Any, delay: int = 0) -> Any:
    """The frame whose controller answers the state of ``frame``; a number or an array of them."""
    return frame + 1 + delay


class DelayLine(Generic[T]):
    """The queue between deciding on a controller and seeing it act.

    Args:
        total: Frames of delay that the policy answers with.
        environment_delay: The part that the environment itself adds (UMI's arena, netplay's buffer).
        neutral: What is pressed until the first decision comes through.

    Raises:
        OptionError: when the environment alone is slower than the policy.
    """

    def __init__(self, total: int, environment_delay: int, neutral: T) -> None:
        own = total - environment_delay
        if own < 0:
            raise OptionError(
                f"the policy answers {total} frames late, the environment adds {environment_delay}",
                "delay",
                f"play a policy trained with --frame-delay {environment_delay} or more",
            )
        self._queue, self._own = deque([neutral] * total), own

    @property
    def pending(self) -> tuple[T, ...]:
        """What is decided and not yet seen, oldest first: ``total`` of them, the environment's part among them."""
        return tuple(self._queue)

    def push(self, decided: T) -> T:
        """Take this frame's decision and give what is pressed now."""
        self._queue.append(decided)
        pressed = self._queue[-1 - self._own]
        self._queue.popleft()
        return pressed

    def change(self, change: Callable[[T], T]) -> None:
        """Change all that is pending, as when another game begins in some of the rows that the items hold."""
        self._queue = deque(change(item) for item in self._queue)
