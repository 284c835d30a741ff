"""A Game: the columns of one or many matches, kept as packed rows of bytes.

One row is one frame. ``ROW`` names every column of it; a ``Game`` wraps an array of rows of any leading shape, numpy or
torch, and gives each column as a view. Packed rows are what the loader gathers and what is shipped to the training
device; the feature table reads columns there.

After ``seen_from`` the own player is number 0 of ``players`` and ``nana`` and the opponent number 1, and an item's
owner is +1 for own.
"""

from __future__ import annotations

import sys
from enum import IntFlag
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.game.time import GO_FRAME, answer

SCHEMA_VERSION = 3
"""1: first layout. 2: the moving parts of stages. 3: ``lacks`` tells whether Stadium and Whispy are known.
Raise it, and add the reason here, whenever ROW changes its meaning or its order."""

Array = Any
"""A numpy array or a torch tensor; numpy cannot be asked to name the other without importing it."""

NUM_ITEMS = 15


class Lacks(IntFlag):
    """Columns that the source of a row does not hold; they are zero there and must not be taken for measured zeros."""

    INVULNERABLE = 1  # Slippi < 2.1
    ITEMS = 2  # Slippi < 3.0
    SPEEDS = 4  # Slippi < 3.5
    ITEM_OWNER = 8  # Slippi < 3.6, in a game with items
    HITLAG = 16  # Slippi < 3.8
    STATE = 32  # Slippi < 2.0: on_ground, jumps and hitstun
    ACTION_FRAME = 64  # Slippi < 0.2
    PLATFORMS = 128  # Slippi < 3.18, on Fountain of Dreams
    STADIUM = 256  # Slippi < 3.18, on Pokemon Stadium unless frozen
    WHISPY = 512  # Slippi < 3.18, on Dream Land


PLAYER = np.dtype(
    [
        ("percent", "<f4"),  # as recorded; the feature table floors it
        ("x", "<f4"),
        ("y", "<f4"),
        ("facing", "<f4"),  # -1 left, +1 right
        ("action_frame", "<f4"),  # as recorded: may be fractional, and -1 in some states
        ("shield", "<f4"),  # 0..60
        ("hitlag", "<f4"),  # frames left
        ("hitstun", "<f4"),  # frames left; 0 outside of hitstun
        ("speed_air_x", "<f4"),
        ("speed_ground_x", "<f4"),
        ("speed_y", "<f4"),
        ("speed_x_attack", "<f4"),  # knockback
        ("speed_y_attack", "<f4"),
        ("main_x", "<f4"),  # controller: sticks in [-1, 1] after the game's dead zone
        ("main_y", "<f4"),
        ("c_x", "<f4"),
        ("c_y", "<f4"),
        ("shoulder", "<f4"),  # the analog trigger that the game used, [0, 1]
        ("action", "<i2"),
        ("buttons", "<i2"),  # physical, bits of ids.Button
        ("style", "<i2"),  # number of the player in the registry; 0 = nobody in particular
        ("jumps", "u1"),
        ("on_ground", "u1"),
        ("invulnerable", "u1"),
        ("stocks", "u1"),
        ("character", "u1"),  # internal number, live: Zelda and Sheik change it
        ("exists", "u1"),
    ]
)
ITEM = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("vx", "<f4"),
        ("vy", "<f4"),
        ("type", "<i2"),
        ("state", "u1"),
        ("owner", "i1"),  # +1 player 0, -1 player 1, 0 nobody
        ("exists", "u1"),
        ("padding", "u1", (3,)),
    ]
)
ROW = np.dtype(
    [
        ("frame", "<i4"),
        ("stage", "<i2"),  # external number
        ("lacks", "<i2"),  # bits of Lacks
        ("platforms", "<f4", (2,)),  # heights of Fountain of Dreams' left and right platform; 0 on other stages
        ("stadium", "<i2"),  # number of Pokemon Stadium's transformation: as recorded, 0 = none
        ("whispy", "u1"),  # which way Dream Land's Whispy blows: 0 not, 1 left, 2 right
        ("padding", "u1"),
        ("players", PLAYER, (2,)),
        ("nana", PLAYER, (2,)),
        ("items", ITEM, (NUM_ITEMS,)),
    ]
)
ROW_BYTES = ROW.itemsize

_TYPES = {"f4": "float32", "i4": "int32", "i2": "int16", "i1": "int8", "u1": "uint8"}


class Column(NamedTuple):
    """Where a column lies in a row: its element type, and its first, step and number in elements of that type."""

    type: str
    first: int
    step: int
    number: int


def _columns(group: str, kind: np.dtype[Any], count: int) -> dict[str, Column]:
    start = ROW.fields[group][1] if ROW.fields else 0
    found = {}
    for name, (leaf, offset) in ((n, kind.fields[n][:2]) for n in kind.names or () if kind.fields):
        if leaf.subdtype is None:
            size = leaf.itemsize
            found[name] = Column(_TYPES[leaf.str[1:]], (start + offset) // size, kind.itemsize // size, count)
    return found


COLUMNS = {
    "players": _columns("players", PLAYER, 2),
    "nana": _columns("nana", PLAYER, 2),
    "items": _columns("items", ITEM, NUM_ITEMS),
}


def namespace(array: Array) -> Any:
    """The module an array belongs to, numpy or torch; whoever made the array has imported it already."""
    return sys.modules[type(array).__module__.partition(".")[0]]


class Group:
    """The columns of the players, the Nanas or the items: ``game.players.x`` has the game's shape and one more axis."""

    __slots__ = ("_columns", "_game")

    def __init__(self, game: Game, name: str) -> None:
        self._game, self._columns = game, COLUMNS[name]

    def __getattr__(self, name: str) -> Array:
        try:
            type_, first, step, count = self._columns[name]
        except KeyError:
            raise AttributeError(f"no column '{name}'; there are {', '.join(self._columns)}") from None
        return self._game.elements(type_)[..., first : first + step * count : step]


class Game:
    """Packed rows and their columns.

    Args:
        rows: uint8, shape ``S + (ROW_BYTES,)``, contiguous along the last axis; numpy or torch.
    """

    __slots__ = ("_views", "rows")

    def __init__(self, rows: Array) -> None:
        self.rows = rows
        self._views: dict[str, Array] = {}

    @staticmethod
    def empty(*shape: int) -> Game:
        """A numpy game of ``shape`` rows in which nothing exists yet."""
        return Game(np.zeros((*shape, ROW_BYTES), np.uint8))

    @property
    def shape(self) -> tuple[int, ...]:
        """The leading shape: ``(T,)`` for one match, ``(B, T)`` for a batch, ``(E,)`` for a frame of E matches."""
        return tuple(self.rows.shape[:-1])

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def __getitem__(self, index: Any) -> Game:
        return Game(self.rows[index])

    def elements(self, type_: str) -> Array:
        """The rows seen as elements of one type, shape ``S + (ROW_BYTES / size,)``."""
        if type_ not in self._views:
            self._views[type_] = self.rows.view(getattr(namespace(self.rows), type_))
        return self._views[type_]

    @property
    def frame(self) -> Array:
        """int32 ``S``: frame number, -123 at the start, 0 at GO."""
        return self.elements("int32")[..., 0]

    @property
    def stage(self) -> Array:
        """int16 ``S``: external stage number."""
        return self.elements("int16")[..., 2]

    @property
    def lacks(self) -> Array:
        """int16 ``S``: bits of ``Lacks``."""
        return self.elements("int16")[..., 3]

    @property
    def platforms(self) -> Array:
        """float32 ``S + (2,)``: heights of Fountain of Dreams' left and right platform, 0 on other stages."""
        return self.elements("float32")[..., 2:4]

    @property
    def stadium(self) -> Array:
        """int16 ``S``: Pokemon Stadium's transformation, 0 for none."""
        return self.elements("int16")[..., 8]

    @property
    def whispy(self) -> Array:
        """uint8 ``S``: which way Dream Land's Whispy blows: 0 not, 1 left, 2 right."""
        return self.rows[..., 18]

    @property
    def players(self) -> Group:
        """Columns of the two leaders, ``S + (2,)``."""
        return Group(self, "players")

    @property
    def nana(self) -> Group:
        """Columns of the two followers, ``S + (2,)``; ``exists`` says where there is one."""
        return Group(self, "nana")

    @property
    def items(self) -> Group:
        """Columns of the fifteen item slots, ``S + (15,)``; an item keeps its slot for life."""
        return Group(self, "items")

    def seen_from(self, seat: int) -> Game:
        """A copy in which the player of ``seat`` (0 or 1, in port order) is number 0. numpy only."""
        rows: NDArray[np.uint8] = np.array(self.rows)
        if seat == 1:
            swapped = rows.view(ROW)
            for group in ("players", "nana"):
                swapped[group] = swapped[group][..., ::-1].copy()
            swapped["items"]["owner"] *= -1
        return Game(rows)


def playing(game: Game) -> Array:
    """States that a press can answer, bool ``S``: from GO until a last stock is lost. Being dead in between counts."""
    stocks = game.players.stocks
    return (answer(game.frame) >= GO_FRAME) & (stocks[..., 0] > 0) & (stocks[..., 1] > 0)


def stack(games: list[Game]) -> Game:
    """Games of one shape as one game with a new first axis. numpy only."""
    return Game(np.stack([game.rows for game in games]))
