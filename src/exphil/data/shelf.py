"""Games that are opened when they are used.

A shelf knows how to open every game of a set and keeps the most recently used ones open. A kept game is a mapped file
whose pages the system takes back when it needs them, so that neither the number of games nor their length costs memory
of our own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from exphil.game.frames import Game
from exphil.replays.packing import PLACE, Bytes, Ints, Packed, widen

Opener = Callable[[], Packed]
MOST_OPEN = 4096
"""Games open at once, if the system lets us: a mapped file costs a file handle."""


def may_open() -> int:
    """How many games may be open at once: half of the file handles that this process may have, ``MOST_OPEN`` at most.

    Many systems give a process 1,024 handles and let it ask for more, which is done here.
    """
    try:
        import resource
    except ImportError:  # Windows counts no handles
        return MOST_OPEN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_OPEN if hard == resource.RLIM_INFINITY else min(2 * MOST_OPEN, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # a system may refuse
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MOST_OPEN if soft == resource.RLIM_INFINITY else max(1, min(MOST_OPEN, soft // 2))


class Shelf:
    """Games by number. Safe to use from several threads, one after the other.

    Args:
        openers: One a game.
        most: Games that are open at a time; by default as many as may be.
    """

    def __init__(self, openers: Sequence[Opener], most: int | None = None) -> None:
        self.openers, self.most = openers, most or may_open()
        self._open: dict[int, Packed] = {}
        self._places = np.zeros((len(openers), PLACE), np.int64)  # address 0: not open
        self._used = np.zeros(len(openers), np.int64)
        self._clock = 0
        self._lock = threading.Lock()

    def limited(self, most: int) -> Shelf:
        """The same games, fewer of them open at a time."""
        return Shelf(self.openers, min(most, self.most))

    def game(self, number: int, seat: int, style: int) -> Game:
        """All rows of a game, seen from ``seat``, whose player has the number ``style`` in the registry."""
        with self._lock:
            self._need(np.array([number]))
            found = self._open[number]
        return found.game(seat, style)

    def copy(self, games: Ints, first: Ints, seat: Ints, style: Ints, out: Bytes, touched: Bytes) -> None:
        """Write stretches of rows; ``games`` int64 ``(B,)``, the rest as ``replays.packing.widen`` takes it."""
        wanted = np.unique(games)
        if len(wanted) > self.most:
            half = np.isin(games, wanted[: len(wanted) // 2])
            for part in (half, ~half):
                rows, marks = out[part], touched[part]
                self.copy(games[part], first[part], seat[part], style[part], rows, marks)
                out[part], touched[part] = rows, marks
            return
        with self._lock:
            self._need(wanted)
            widen(self._places[games], first, seat, style, out, touched)

    def _need(self, games: NDArray[np.int64]) -> None:
        """Open these games, at most ``most`` of them; those that were used longest ago are closed first."""
        self._clock += 1
        self._used[games] = self._clock
        missing = games[self._places[games, 0] == 0].tolist()
        too_many = len(self._open) + len(missing) - self.most
        if too_many > 0:
            idle = (number for number in self._open if self._used[number] < self._clock)
            for number in sorted(idle, key=self._used.__getitem__)[:too_many]:
                self._places[number] = 0
                del self._open[number]
        for number in missing:
            self._open[number] = self.openers[number]()
            self._places[number] = self._open[number].place
