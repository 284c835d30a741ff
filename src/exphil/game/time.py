"""All arithmetic on frame numbers and delay.

A post-frame state already contains the input of its own frame: what was pressed on frame t has acted when state t is
recorded. A player who sees state t can therefore act on frame t + 1 at the earliest, and on t + 1 + delay when
``delay`` frames lie between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exphil.errors import OptionError

if TYPE_CHECKING:  # help pages need MAX_DELAY and no numpy
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64] | slice
    """Which of the games are meant."""

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

ALL = slice(None)


def answer(frame: Any, delay: int = 0) -> Any:
    """The frame whose controller answers the state of ``frame``; a number or an array of them."""
    return frame + 1 + delay


class DelayLine:
    """The queue between deciding on a controller and seeing it act, in each of many games.

    Args:
        total: Frames of delay that the policy answers with.
        environment_delay: The part that the environment itself adds (UMI's arena, netplay's buffer).
        neutral: ``(games, numbers)``: what is pressed in each game until its first decision comes through.

    Raises:
        OptionError: when the environment alone is slower than the policy.
    """

    def __init__(self, total: int, environment_delay: int, neutral: NDArray[Any]) -> None:
        own = total - environment_delay
        if own < 0:
            raise OptionError(
                f"the policy answers {total} frames late, the environment adds {environment_delay}",
                "delay",
                f"play a policy trained with --frame-delay {environment_delay} or more",
            )
        self._neutral, self._own = neutral, own
        self._queue = neutral[:, None].repeat(total, 1)

    def pending(self, rows: Rows = ALL) -> NDArray[Any]:
        """What is decided and not yet seen, ``(E, total, numbers)``, oldest first; the environment's part among it."""
        found: NDArray[Any] = self._queue[rows]
        return found

    def push(self, decided: NDArray[Any], rows: Rows = ALL) -> NDArray[Any]:
        """Take this frame's decisions and give what is pressed now, both ``(E, numbers)``."""
        pressed: NDArray[Any] = self._queue[rows, -self._own].copy() if self._own else decided
        if self._queue.shape[1]:
            self._queue[rows, :-1] = self._queue[rows, 1:]
            self._queue[rows, -1] = decided
        return pressed

    def restart(self, rows: Rows) -> None:
        """Another game begins there: nothing is pending."""
        self._queue[rows] = self._neutral[rows][:, None]
