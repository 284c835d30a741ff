"""Every game of a set in one block of packed rows, one entry for each seat that is learned from.

A *decision* is a pair of rows: the state of the first is answered by the own controller of the second
(``game.time.answer``). An entry of n rows therefore holds n - ``AHEAD`` decisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exphil.game.frames import ROW_BYTES, Game
from exphil.game.time import answer

AHEAD: int = answer(0)
"""Rows from a state to the controller that answers it."""
LONGEST_STRETCH = 4096
"""Rows that one gather may copy; so many rows of nothing follow the last game, so that a stretch may begin on any
row."""


@dataclass(frozen=True)
class Entry:
    """One seat of one game."""

    game: int  # number of the file within the set
    name: str
    character: int  # internal number of the own character
    digest: str = ""  # of the file, to know it again


@dataclass(frozen=True)
class Corpus:
    """Rows of all entries end to end.

    Attributes:
        rows: uint8 ``(N + LONGEST_STRETCH, ROW_BYTES)``, each entry seen from its seat.
        first: int64 ``(n,)``: where each entry begins; ``length`` its rows.
        entries: who they are.
    """

    rows: NDArray[np.uint8]
    first: NDArray[np.int64]
    length: NDArray[np.int64]
    entries: tuple[Entry, ...]

    @staticmethod
    def of(games: Iterable[tuple[Entry, Game]]) -> Corpus:
        """Lay games, each seen from its seat, end to end."""
        entries, rows = [], []
        for entry, game in games:
            entries.append(entry)
            rows.append(game.rows)
        length = np.array([len(part) for part in rows], np.int64)
        joined = np.concatenate([*rows, np.zeros((LONGEST_STRETCH, ROW_BYTES), np.uint8)])
        return Corpus(joined, np.cumsum(length) - length, length, tuple(entries))

    @property
    def decisions(self) -> NDArray[np.int64]:
        """``(n,)``: decisions of each entry."""
        return np.maximum(self.length - AHEAD, 0)

    @property
    def digests(self) -> list[str]:
        """The digests of its files, sorted, each once."""
        return sorted({entry.digest for entry in self.entries})

    @property
    def games(self) -> int:
        """Number of files."""
        return len({entry.game for entry in self.entries})

    def game(self, index: int) -> Game:
        """The rows of one entry."""
        return Game(self.rows[self.first[index] : self.first[index] + self.length[index]])

    def part(self, games: set[int]) -> Corpus:
        """The entries of some files only; the rows are shared."""
        kept = [index for index, entry in enumerate(self.entries) if entry.game in games]
        return Corpus(self.rows, self.first[kept], self.length[kept], tuple(self.entries[index] for index in kept))
