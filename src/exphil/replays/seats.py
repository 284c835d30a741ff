"""A two-player recording as a ``Game``: packed rows of what every source of frames can give.

Rows are packed up to the first in which an event of a player is missing. Columns that the file lacks stay zero and are
named by ``Lacks``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.errors import ReplayError
from exphil.game.frames import ITEM, PLAYER, ROW, ROW_BYTES, Game, Lacks
from exphil.game.ids import Stage
from exphil.replays import events, kernels
from exphil.replays.container import Start
from exphil.replays.events import Table, Tables
from exphil.replays.recording import Columns, Recording, views

START_HEIGHTS = (20.0, 28.0)
"""Left and right platform of Fountain of Dreams before the first event, in the unit of events.PLATFORM: recordings of
3.18 show characters standing at 16.125 and 22.125 game units until then, and first moves of 0.15 up from 20 and 0.1
down from 28 (also in the recording of project-slippi/slippi-ssbm-asm, pull request 148)."""

RECORDED_FROM = {
    Lacks.ACTION_FRAME: (0, 2),
    Lacks.STATE: (2, 0),
    Lacks.INVULNERABLE: (2, 1),
    Lacks.ITEMS: (3, 0),
    Lacks.SPEEDS: (3, 5),
    Lacks.ITEM_OWNER: (3, 6),
    Lacks.HITLAG: (3, 8),
    Lacks.PLATFORMS: (3, 18),
    Lacks.STADIUM: (3, 18),
    Lacks.WHISPY: (3, 18),
}
"""The first Slippi version that records the columns of each bit."""

_WITNESS = {
    Lacks.ACTION_FRAME: (events.POST, "action_frame"),
    Lacks.STATE: (events.POST, "jumps"),
    Lacks.INVULNERABLE: (events.POST, "hurtbox"),
    Lacks.ITEMS: (events.ITEM, "spawn_id"),
    Lacks.SPEEDS: (events.POST, "speed_ground_x"),
    Lacks.ITEM_OWNER: (events.ITEM, "owner"),
    Lacks.HITLAG: (events.POST, "hitlag"),
    Lacks.PLATFORMS: (events.PLATFORM, "height"),
    Lacks.STADIUM: (events.STADIUM, "type"),
    Lacks.WHISPY: (events.WHISPY, "direction"),
}
"""The last field, in the order of the file, that the columns of each bit are made of."""


MOVES_ON = {
    Lacks.PLATFORMS: Stage.FOUNTAIN_OF_DREAMS,
    Lacks.STADIUM: Stage.POKEMON_STADIUM,
    Lacks.WHISPY: Stage.DREAM_LAND,
}
"""Columns of what moves on one stage alone."""


def standing_still(start: Start) -> Lacks:
    """The columns of what does not move in this game: their zeros are true, whatever the version."""
    found = Lacks(0)
    for bit, stage in MOVES_ON.items():
        if start.stage != stage or (bit == Lacks.STADIUM and start.frozen_stadium):
            found |= bit
    return found


def lacks(recording: Recording) -> Lacks:
    """The columns of a ``Game`` that the file does not hold."""
    found = Lacks(0)
    for bit, (event, name) in _WITNESS.items():
        if not recording.holds(event, name):
            found |= bit
    if not len(recording.items):
        found &= ~Lacks.ITEM_OWNER
    return found & ~standing_still(recording.start)


def _shared(source: np.dtype[np.void], target: np.dtype[np.void], names: set[str]) -> Tables:
    """For widths 4, 2 and 1: place in the column record and place in the packed record, of the fields of both."""
    found: dict[int, list[tuple[int, int]]] = {4: [], 2: [], 1: []}
    for name in sorted(names):
        (kind, at), (_, to) = source.fields[name][:2], target.fields[name][:2]  # type: ignore[index]
        found[kind.itemsize].append((at // kind.itemsize, to // kind.itemsize))
    four, two, one = (np.array(found[width], np.int64).reshape(-1, 2) for width in (4, 2, 1))
    return four, two, one


PRE_NAMES = {"main_x", "main_y", "c_x", "c_y", "shoulder", "buttons"}
POST_NAMES = set(PLAYER.names or ()) & set(events.POST_COLUMNS.names or ())
_PRE_TABLES = _shared(events.PRE_COLUMNS, PLAYER, PRE_NAMES)
_POST_TABLES = _shared(events.POST_COLUMNS, PLAYER, POST_NAMES)
_ITEM_TABLES = _shared(events.ITEM_COLUMNS, ITEM, {"x", "y", "vx", "vy", "type", "state"})


def _at(name: str) -> int:
    return int(ROW.fields[name][1])  # type: ignore[index]


_GROUPS = ("players", "nana")
_BASES: Table = np.array([[_at(group) + seat * PLAYER.itemsize for seat in range(2)] for group in _GROUPS], np.int64)


def _place(kind: np.dtype[np.void], name: str) -> int:
    leaf, at = kind.fields[name][:2]  # type: ignore[index]
    return int(at // leaf.itemsize)


_RULES: Table = np.array(
    [_place(events.POST_COLUMNS, name) for name in ("airborne", "flags_4", "misc", "hurtbox")]
    + [_place(PLAYER, name) for name in ("hitstun", "on_ground", "invulnerable", "exists")],
    np.int64,
)
"""See ``kernels.pack_players``."""


def _plain(columns: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(columns, -1, 0)  # as it lies in memory: leaders, then followers


def pack(recording: Recording) -> Game:
    """The ``Game`` of a recording of two players: its ``whole`` rows.

    Raises:
        ReplayError: another number of players.
    """
    start, whole = recording.start, recording.whole
    if len(start.seats) != 2:
        raise ReplayError(f"players in the game: {len(start.seats)}; a Game holds two")
    rows = np.zeros((whole.stop - whole.start, ROW_BYTES), np.uint8)
    named: NDArray[np.void] = rows.view(ROW)[:, 0]
    named["frame"] = recording.frame[whole]
    named["stage"] = min(start.stage, 0x7FFF)  # no stage is above 285; modded and damaged files name up to 65535
    named["lacks"] = int(lacks(recording))
    _moving(recording, named)
    groups = 2 if recording.present[:, :, 1].any() else 1
    there = _plain(recording.present).reshape(-1)
    rules = _RULES if recording.holds(events.POST, "jumps") else np.concatenate([[-1], _RULES[1:]])
    tables, columns = (_PRE_TABLES, _POST_TABLES), (views(_plain(recording.pre)), views(_plain(recording.post)))
    kernels.pack_players(there, tables, columns, len(recording), whole.start, _BASES[:groups], rules, views(named))
    _items(recording, named)
    return Game(rows)


def _items(recording: Recording, named: Columns) -> None:
    items, first = recording.items, recording.whole.start
    if not len(items):
        return
    kernels.pack_items(recording.slots, _ITEM_TABLES, views(items), first, _at("items"), ITEM.itemsize, views(named))
    row = items["row"] - first
    kept = (recording.slots >= 0) & (row >= 0) & (row < len(named))
    row, slot = row[kept], recording.slots[kept]
    named["items"]["exists"][row, slot] = 1
    if recording.holds(events.ITEM, "owner"):
        owner, sides = items["owner"][kept], np.zeros(len(row), np.int8)
        for seat, side in zip(recording.start.seats, (1, -1), strict=True):
            sides[owner == seat.port - 1] = side
        named["items"]["owner"][row, slot] = sides


def _held(whole: slice, row: NDArray[np.int32], value: NDArray[np.generic], before: float) -> NDArray[np.generic]:
    """A value that holds until an event changes it, for each row of ``whole``."""
    latest = np.searchsorted(row, np.arange(whole.start, whole.stop), side="right")
    return np.concatenate([np.array([before], value.dtype), value])[latest]


def _moving(recording: Recording, named: Columns) -> None:
    """Write the moving parts of the stage."""
    whole, whispy, stadium = recording.whole, recording.whispy, recording.stadium
    if recording.start.stage == Stage.FOUNTAIN_OF_DREAMS and recording.holds(events.PLATFORM):
        for at, (side, height) in enumerate(zip((1, 0), START_HEIGHTS, strict=True)):
            moves = recording.platforms[recording.platforms["side"] == side]
            named["platforms"][:, at] = _held(whole, moves["row"], moves["height"], height)
    if len(whispy):
        named["whispy"] = _held(whole, whispy["row"], whispy["direction"], 0)
    if len(stadium):
        named["stadium"] = _held(whole, stadium["row"], stadium["type"], 0)
