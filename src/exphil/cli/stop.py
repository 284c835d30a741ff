"""Ctrl-C and SIGTERM while training: the first one saves, the second one stops at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from exphil.cli.terminal import Terminal


class Stop:
    """Turns the first Ctrl-C or SIGTERM into a question that the loop asks; the second one acts at once.

    Only within its ``with`` block: before and after it, a signal does what it always does.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.signal, self._terminal = 0, terminal

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._asked) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Whether somebody asked to stop."""
        return self.signal != 0

    def _asked(self, number: int, _: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        self._terminal.warn(f"{signal.Signals(number).name}: saving after this batch; once more stops at once")
