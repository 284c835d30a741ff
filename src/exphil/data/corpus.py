"""The games of a set, one entry for each seat that is learned from.

A *decision* is a pair of rows: the state of the first is answered by the own controller of the second
(``game.time.answer``). An entry of n rows therefore holds n - ``ahead`` decisions. Entries are numbered rows end to
end, as if they lay in one block; where the rows really are is the shelf's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from exphil.data.shelf import Shelf
from exphil.features.players import Numbers
from exphil.game.frames import Game
from exphil.game.time import answer
from exphil.replays.packing import Bytes, pack


@dataclass(frozen=True)
class Entry:
    """One seat of one game."""

    game: int  # number of the file within the set
    name: str
    character: int  # internal number of the own character
    digest: str = ""  # of the file, to know it again
    seat: int = 0  # of the own player, in port order
    player: str = ""  # who plays it, as the registry names people
    style: int = 0  # number of that player in the registry


@dataclass(frozen=True)
class Corpus:
    """Entries and where their rows are.

    Attributes:
        shelf: The games, by ``Entry.game``.
        entries: Who they are.
        length: int64 ``(n,)``: rows of each entry.
        delay: The most frames of delay that decisions leave room for.
    """

    shelf: Shelf
    entries: tuple[Entry, ...]
    length: NDArray[np.int64]
    delay: int = 0

    @staticmethod
    def of(games: Iterable[tuple[Entry, Game]]) -> Corpus:
        """Games in memory; entries of the same ``Entry.game`` come with the same game."""
        listed = list(games)
        held = {entry.game: pack(game) for entry, game in listed}
        shelf = Shelf([partial(held.__getitem__, number) for number in range(max(held, default=-1) + 1)])
        length = np.array([held[entry.game].frames for entry, _ in listed], np.int64)
        return Corpus(shelf, tuple(entry for entry, _ in listed), length)

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """``(n,)``: the number of each entry's first row."""
        return np.cumsum(self.length) - self.length

    @property
    def ahead(self) -> int:
        """Rows from a state to the controller that answers it, at the most delay."""
        return int(answer(0, self.delay))

    @property
    def decisions(self) -> NDArray[np.int64]:
        """``(n,)``: decisions of each entry."""
        return np.maximum(self.length - self.ahead, 0)

    @property
    def digests(self) -> list[str]:
        """The digests of its files, sorted, each once."""
        return sorted({entry.digest for entry in self.entries})

    @property
    def games(self) -> int:
        """Number of files."""
        return len({entry.game for entry in self.entries})

    def game(self, index: int) -> Game:
        """The rows of one entry, seen from its seat."""
        entry = self.entries[index]
        return self.shelf.game(entry.game, entry.seat, entry.style)

    @cached_property
    def _who(self) -> NDArray[np.int64]:
        """``(3, n)``: game, seat and style of each entry."""
        return np.array([(entry.game, entry.seat, entry.style) for entry in self.entries], np.int64).reshape(-1, 3).T

    def copy(self, first: NDArray[np.int64], out: Bytes, touched: Bytes) -> None:
        """Write stretches of rows, each seen from its entry's seat, zeros beyond the end of its game.

        Args:
            first: int64 ``(B,)``: the number of each stretch's first row.
            out: uint8 ``(B, L, ROW_BYTES)``.
            touched: uint8 ``(B,)``: 1 where a stretch of ``out`` was not left so by this function.
        """
        index = np.searchsorted(self.first, first, "right") - 1
        games, seat, style = (part[index] for part in self._who)
        self.shelf.copy(games, first - self.first[index], seat, style, out, touched)

    def part(self, games: set[int]) -> Corpus:
        """The entries of some files only, on the same shelf."""
        kept = [index for index, entry in enumerate(self.entries) if entry.game in games]
        return replace(self, entries=tuple(self.entries[index] for index in kept), length=self.length[kept])

    def styled(self, numbers: Numbers) -> Corpus:
        """The same entries with the styles that ``numbers`` gives to their players."""
        entries = tuple(replace(entry, style=numbers.number(entry.player)) for entry in self.entries)
        return replace(self, entries=entries)
