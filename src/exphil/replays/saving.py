"""The frames that a running world shows, as ``.slp`` files: one a game.

``Recorder`` takes what an environment shows of E games side by side and gives each game once it is over; ``to_bytes``
makes its file and ``save`` writes it. The file holds the rows from ``is_first`` to the last one and how the game ended.
It reads back to the same ``Game`` to the bit, but for what a file of Slippi 3.18 has no place for:

* ``style`` is not written, and ``lacks`` reads back as 0: the file has every column, a lacking one holds the zeros that
  stood there. (Heights of Fountain of Dreams that are lacking are left out and read as the first ones.)
* ``platforms`` on other stages than Fountain of Dreams.
* Values above 1 in ``on_ground``, ``invulnerable`` and ``exists`` read back as 1.
* The slots of items. A file names items, not slots, and the reader gives a new item the lowest slot that is free and
  was free on the frame before. A world that does the same (new items in rising order) gets its slots back; of any
  other the items come back in other slots.

A world must number its frames without gaps and show both leaders on every row: a reader stops where one is missing.
What a ``Game`` does not hold and the file wants has the defaults of ``export``.

What can go wrong: ports that are not two of 1 to 4 in rising order, a character that a start block has no number for, a
place that cannot be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil import files
from exphil.errors import ReplayError
from exphil.game.frames import Game
from exphil.replays import export
from exphil.replays.container import Seat
from exphil.replays.recording import METHODS, End

_METHODS = {name: number for number, name in METHODS.items()}
_NOWHERE = -1


class Over(NamedTuple):
    """A game that is over."""

    place: int  # 0..E-1: which of the games side by side it was
    number: int  # how many were over there before it
    game: Game  # (T,)
    is_truncated: bool  # a frame limit ended it


class Recorder:
    """Keeps what E games side by side show until each is over.

    It holds about 700 bytes a frame and game, from the first frame of the longest game that still goes on; to save a
    few of many games, hand it a part of each frame (``game[:8]`` and the same of the flags).

    Args:
        games: How many run side by side, E.
    """

    def __init__(self, games: int) -> None:
        self._shown: list[NDArray[np.uint8]] = []
        self._dropped = 0
        self._since = np.full(games, _NOWHERE, np.int64)
        self._over = np.zeros(games, np.int64)

    def add(
        self,
        game: Game,
        is_first: NDArray[np.bool_],
        is_last: NDArray[np.bool_],
        is_truncated: NDArray[np.bool_],
    ) -> list[Over]:
        """Take one frame, as an environment shows it.

        A game that opens anew before it was over is forgotten, and so is what is shown between two games.

        Args:
            game: ``(E,)`` rows; they are copied.
            is_first: ``(E,)``: a game opens with this frame.
            is_last: ``(E,)``: stocks or the clock ended the game.
            is_truncated: ``(E,)``: a frame limit ended it.

        Returns:
            The games that are over with this frame, by place.
        """
        self._shown.append(np.array(game.rows))
        self._since[is_first] = self._dropped + len(self._shown) - 1
        ended = np.flatnonzero((is_last | is_truncated) & (self._since != _NOWHERE))
        found = [self._close(int(place), bool(is_truncated[place]) and not is_last[place]) for place in ended]
        needed = self._since[self._since != _NOWHERE].min(initial=self._dropped + len(self._shown))
        del self._shown[: needed - self._dropped]
        self._dropped = int(needed)
        return found

    def _close(self, place: int, is_truncated: bool) -> Over:
        rows = np.stack([shown[place] for shown in self._shown[self._since[place] - self._dropped :]])
        found = Over(place, int(self._over[place]), Game(rows), is_truncated)
        self._since[place] = _NOWHERE
        self._over[place] += 1
        return found


def seats(game: Game, ports: tuple[int, int] = (1, 2), names: Sequence[str] = ("", "")) -> tuple[Seat, Seat]:
    """Who plays, for the start block: people, by what readers ask; a program has no kind of its own there.

    Args:
        game: ``(T,)`` rows; the first tells characters and stocks.
        ports: Of player 0 and player 1, rising, 1..4.
        names: Shown above the heads by viewers, cut after 30 bytes of Shift-JIS; empty for none.

    Raises:
        ReplayError: other ports.
    """
    first, second = ports
    if not 1 <= first < second <= 4:
        raise ReplayError(
            f"ports {first} and {second} cannot be written", fix="two of the ports 1 to 4, the lower one first"
        )
    one, two = export.seats_of(game)
    return one._replace(port=first, name=names[0]), two._replace(port=second, name=names[1])


def ending(game: Game, players: tuple[Seat, Seat], is_truncated: bool = False) -> End:
    """How a game ended that is over.

    Stocks decide: somebody has none left, or else a frame limit cut the game off (no contest), or else the clock ran
    out. The better one by stocks, then by percent, is placed 0, the other 1; both 0 when nothing tells them apart.

    Args:
        game: ``(T,)`` rows, the last of which is the game's last.
        players: As ``seats`` gives them.
        is_truncated: A frame limit ended it.
    """
    stocks, percent = game.players.stocks[-1], game.players.percent[-1]
    method = "game" if (stocks == 0).any() else "no contest" if is_truncated else "time"
    end = export.ending(game, players)._replace(method=_METHODS[method])
    if stocks[0] == stocks[1] and percent[0] == percent[1]:
        first, second, third, fourth = (min(place, 0) for place in end.placements or ())
        end = end._replace(placements=(first, second, third, fourth))
    return end


def to_bytes(
    game: Game,
    ports: tuple[int, int] = (1, 2),
    names: Sequence[str] = ("", ""),
    *,
    is_truncated: bool = False,
    seed: int = 0,
    played_on: str = "exphil",
) -> bytes:
    """The file of a game that is over. No clock is read: the same game gives the same bytes.

    Args:
        game: ``(T,)`` rows, numpy, of one match: frame numbers rise by one.
        ports: Of player 0 and player 1, rising, 1..4.
        names: Shown above the heads by viewers; empty for none.
        is_truncated: A frame limit ended it.
        seed: Of the world's random numbers, in the start block: its lowest 32 bits.
        played_on: The world's name, for the metadata.

    Raises:
        ReplayError: no rows, other ports, or a character without a number in a start block.
    """
    if not len(game):
        raise ReplayError("a game without frames cannot be written")
    players = seats(game, ports, names)
    end = ending(game, players, is_truncated)
    return export.from_game(game, players, end=end, random_seed=seed & 0xFFFFFFFF, played_on=played_on)


def save(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; missing folders are made.

    Args:
        path: Where it will stand.
        data: From ``to_bytes``.

    Raises:
        OutputError: it cannot be written; what stood there before is untouched.
    """
    files.write(path, lambda file: file.write(data), "name a folder that can be written and has room")
