"""Ctrl-C and SIGTERM in a long piece of work: the first one ends it in order, the second one stops at once."""

from __future__ import annotations

import signal
from contextlib import suppress
from types import FrameType, TracebackType

from exphil.cli.terminal import Terminal


class Stop:
    """Turns the first Ctrl-C or SIGTERM into a question that the loop asks; the second one acts at once.

    Only within its ``with`` block: before and after it, a signal does what it always does. An error that ends the block
    is told first, whatever signal comes: torchrun, which notices the same, would end the process without a word.

    Args:
        terminal: Where the first one is answered.
        promise: The answer: what is done now.
    """

    def __init__(self, terminal: Terminal, promise: str = "saving after this batch") -> None:
        self.signal, self._terminal, self._promise, self._failed = 0, terminal, promise, False

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._asked) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failed = isinstance(error, Exception)
        if self._failed:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Whether somebody asked to stop."""
        return self.signal != 0

    def _asked(self, number: int, _: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        if self._failed:
            return
        with suppress(RuntimeError):  # it came while something was being written
            self._terminal.warn(f"{signal.Signals(number).name}: {self._promise}; once more stops at once")
