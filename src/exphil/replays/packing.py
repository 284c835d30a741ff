"""Games as they are kept: a plain frame of two players in 128 bytes, everything rarer apart and only where it happens.

``pack`` makes a ``Packed`` of a ``Game``, ``widen`` writes any stretch of it back as packed rows of
``game.frames.ROW``, bit for bit. A ``Packed`` is one block of bytes and a table of its sections, so the bytes may be
memory or a mapped file. Sticks and triggers travel as whole steps of the controller's grid; a seat with a value
off the grid (a program, a computer) keeps its floats in a section of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from exphil.compiled import compiled
from exphil.game.frames import ITEM, NUM_ITEMS, PLAYER, ROW, ROW_BYTES, Game

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Words = NDArray[np.uint32]
Span = tuple[int, int, int]

_WORDS = (
    *("percent", "x", "y", "action_frame", "shield", "hitlag", "hitstun"),
    *("speed_air_x", "speed_ground_x", "speed_y", "speed_x_attack", "speed_y_attack"),
)
_GRIDDED = ("facing", "main_x", "main_y", "c_x", "c_y", "shoulder")
_BYTES = ("jumps", "on_ground", "invulnerable", "stocks", "character", "exists")
LEADER = np.dtype(
    [
        *((name, "<u4") for name in _WORDS),  # the bits of the floats
        ("action", "<i2"),
        ("buttons", "<i2"),
        *((name, "u1") for name in _GRIDDED),  # steps of the grid + 128; the shoulder's from 0
        *((name, "u1") for name in _BYTES),
    ]
)
"""One leader of one frame, 64 bytes."""
NANA = np.dtype([("row", "<i4"), ("player", PLAYER), ("seat", "u1"), ("padding", "u1", (3,))])
THING = np.dtype([("row", "<i4"), ("item", ITEM), ("slot", "u1"), ("padding", "u1", (3,))])
SCENERY = np.dtype(
    [("row", "<i4"), ("platforms", "<f4", (2,)), ("stadium", "<i2"), ("whispy", "u1"), ("padding", "u1")]
)
"""The moving parts of the stage from ``row`` on, until the next one."""
SECTIONS = {
    "leaders": (LEADER, (2,)),
    "analog_0": (np.dtype("<f4"), (len(_GRIDDED),)),  # of seat 0, for all frames or for none
    "analog_1": (np.dtype("<f4"), (len(_GRIDDED),)),
    "nana": (NANA, ()),
    "items": (THING, ()),
    "scenery": (SCENERY, ()),
}
"""Name -> element type and shape of one row. A game that does not need a section has no rows in it."""
ALIGNMENT = 64
PLACE = 6 + 2 * len(SECTIONS)
"""Numbers that tell ``widen`` where a game is: see ``Packed.place``."""
_STEPS = (1, 80, 80, 80, 80, 140)  # of ``_GRIDDED``; facing is -1, 0 or 1
_ZERO = (128, 128, 128, 128, 128, 0)


def _grid() -> NDArray[np.float32]:
    steps = np.array(_STEPS, np.float64)[:, None]
    grid: NDArray[np.float64] = (np.arange(256) - np.array(_ZERO)[:, None]) / steps
    return grid.astype(np.float32)


GRID = _grid()
"""``(6, 256)``: the value of every byte of a gridded column."""


@dataclass(frozen=True)
class Packed:
    """One game.

    Attributes:
        data: uint8 ``(n,)``: all sections; n is a multiple of four.
        places: section -> (first byte, rows); multiples of ``ALIGNMENT``.
        frames: Rows of the game.
        first_frame: Its first frame number; they go on without a gap.
        stage: External number.
        lacks: Bits of ``game.frames.Lacks``.

    Raises:
        ValueError: sections that do not lie in the data; the compiled code trusts them.
    """

    data: Bytes
    places: Mapping[str, tuple[int, int]]
    frames: int
    first_frame: int
    stage: int
    lacks: int

    def __post_init__(self) -> None:
        if self.data.dtype != np.uint8 or self.data.ndim != 1 or len(self.data) % 4 or self.data.ctypes.data % 4:
            raise ValueError("the data are no block of whole words")
        for name, (kind, shape) in SECTIONS.items():
            first, rows = self.places[name]
            end = first + rows * kind.itemsize * int(np.prod(shape, dtype=int))
            dense = name == "leaders" or (rows and name.startswith("analog"))
            if first < 0 or rows < 0 or first % 4 or end > len(self.data) or (dense and rows != self.frames):
                raise ValueError(f"section {name} does not lie in the data")

    @cached_property
    def place(self) -> Ints:
        """int64 ``(PLACE,)``: where the bytes are and what they hold, as ``widen`` takes it."""
        places = [part for name in SECTIONS for part in self.places[name]]
        head = self.data.ctypes.data, len(self.data), self.frames, self.first_frame, self.stage, self.lacks
        return np.array([*head, *places], np.int64)

    def section(self, name: str) -> NDArray[Any]:
        """One section as an array of its element type; a view."""
        kind, shape = SECTIONS[name]
        first, rows = self.places[name]
        size = kind.itemsize * int(np.prod(shape, dtype=int))
        return self.data[first : first + rows * size].view(kind).reshape(rows, *shape)

    def game(self, seat: int = 0, style: int = 0) -> Game:
        """All rows, seen from ``seat``, whose player has the number ``style`` in the registry."""
        out = np.empty((1, self.frames, ROW_BYTES), np.uint8)
        first, whose, who = (np.array([number], np.int64) for number in (0, seat, style))
        widen(self.place[None], first, whose, who, out, np.ones(1, np.uint8))
        return Game(out[0])

    @property
    def bytes_a_frame(self) -> float:
        """Size of a frame on average."""
        return len(self.data) / max(self.frames, 1)


def pack(game: Game) -> Packed:
    """Pack a game of shape ``(T,)``: one stage, frame numbers that go up by one, styles and padding zero.

    Raises:
        ValueError: it is not such a game.
    """
    rows = np.ascontiguousarray(game.rows).view(ROW)[:, 0]
    frame = rows["frame"]
    place = np.ascontiguousarray(rows[["stage", "lacks"]])
    if len(rows) == 0 or (np.diff(frame) != 1).any() or rows["players"]["style"].any() or (place != place[0]).any():
        raise ValueError("a game is packed whole: one stage, frame numbers without a gap, no styles")
    parts: dict[str, NDArray[Any]] = {"leaders": np.empty((len(rows), 2), LEADER)}
    leaders, players = parts["leaders"], rows["players"]
    for name in _WORDS:
        leaders[name] = np.ascontiguousarray(players[name]).view(np.uint32)
    for name in ("action", "buttons", *_BYTES):
        leaders[name] = players[name]
    for seat in (0, 1):
        exact = True
        for name, steps, zero, grid in zip(_GRIDDED, _STEPS, _ZERO, GRID, strict=True):
            codes, same = _codes(players[name][:, seat], steps, zero, grid)
            leaders[name][:, seat] = codes
            exact &= same
        if not exact:
            parts[f"analog_{seat}"] = np.stack([players[name][:, seat] for name in _GRIDDED], -1)
    parts |= {group: _sparse(game.rows, rows, group, n) for group, n in (("nana", 2), ("items", NUM_ITEMS))}
    parts["scenery"] = _scenery(rows)
    data, places = lay_out(parts)
    return Packed(data, places, len(rows), int(frame[0]), int(rows["stage"][0]), int(rows["lacks"][0]))


def lay_out(parts: Mapping[str, NDArray[Any]]) -> tuple[Bytes, dict[str, tuple[int, int]]]:
    """Sections in one block of bytes, each at a multiple of ``ALIGNMENT``; and where they are."""
    places, at = {}, 0
    for name in SECTIONS:
        part = parts.get(name)
        places[name] = (at, 0 if part is None else len(part))
        at += -(-(0 if part is None else part.nbytes) // ALIGNMENT) * ALIGNMENT
    data = np.zeros(at, np.uint8)
    for name, part in parts.items():
        first = places[name][0]
        data[first : first + part.nbytes] = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
    return data, places


def _present(raw: Bytes, group: str, number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(row, number within the group) of everything in a group that is not all zeros."""
    kind = ROW[group].base
    words = raw.view(np.uint32)[:, _offset(ROW, group) // 4 :][:, : number * kind.itemsize // 4]
    if not words.any():
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    row, at = np.nonzero(words.reshape(len(raw), number, -1).any(-1))
    return row, at


def _sparse(raw: Bytes, rows: NDArray[Any], group: str, number: int) -> NDArray[Any]:
    kind = SECTIONS[group][0]
    _, what, place, _ = kind.names or ()
    row, member = _present(raw, group, number)
    found = np.zeros(len(row), kind)
    found["row"], found[place], found[what] = row, member, rows[group][row, member]
    return found


def _codes(
    column: NDArray[np.float32], steps: int, zero: int, grid: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], bool]:
    column = np.ascontiguousarray(column)
    near = np.where(np.abs(column) < 4, column, 0).astype(np.float64)  # wild and missing numbers are off the grid
    codes = np.clip(np.rint(near * steps) + zero, 0, 255).astype(np.uint8)
    return codes, bool((grid[codes].view(np.uint32) == column.view(np.uint32)).all())


def _scenery(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows on which a moving part of the stage is not what it was a row before (before the first: still)."""
    found = np.zeros(len(rows), SCENERY)
    for name in ("platforms", "stadium", "whispy"):
        found[name] = rows[name]
    raw = found.view(np.uint32).reshape(len(rows), -1)
    if not raw.any():
        return found[:0]
    before = np.vstack([np.zeros((1, raw.shape[1]), np.uint32), raw[:-1]])
    changed = np.nonzero((raw != before).any(1))[0]
    found["row"] = np.arange(len(rows))
    return found[changed]


def _offset(kind: np.dtype[Any], name: str) -> int:
    return int(kind.fields[name][1]) if kind.fields else 0


def _maps() -> Ints:
    """Where everything lies: rows of (from, to), so that the compiled code holds no number of another module."""
    whole = [*_WORDS, "action", "invulnerable"]  # words that are the same in both; the last two hold small columns
    rows = [(_offset(LEADER, name) // 4, _offset(PLAYER, name) // 4) for name in whole]
    rows += [(_offset(LEADER, name), _offset(PLAYER, name) // 4) for name in _GRIDDED]
    rows += [(_offset(LEADER, "jumps") // 4, _offset(PLAYER, "style") // 4)]  # its upper half; the lower is the style
    rows += [(_offset(ROW, "players"), _offset(ROW, "nana")), (_offset(ROW, "items"), _offset(ROW, "platforms"))]
    rows += [(LEADER.itemsize, PLAYER.itemsize), (ITEM.itemsize, _offset(ITEM, "owner"))]
    rows += [(NANA.itemsize, _offset(NANA, "seat")), (THING.itemsize, _offset(THING, "slot")), (SCENERY.itemsize, 0)]
    return np.array(rows, np.int64)


_MAPS = _maps()
_GRID_BITS = GRID.view(np.uint32)
_COPIED, _GRIDS, _SLOTS = len(_WORDS) + 2, len(_GRIDDED), NUM_ITEMS
_STYLE, _GROUPS, _PARTS, _SIZES, _ITEM, _NANA, _THING, _SCENERY = range(_COPIED + _GRIDS, _COPIED + _GRIDS + 8)


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def _pointer(context: Any, address: Any) -> Any:
    """An address as what ``carray`` takes."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@compiled(nogil=True, inline="always")
def _row_at(bits: Words, first: int, size: int, count: int, row: int) -> int:
    """The first of ``count`` elements, sorted by the row they begin with, that is not before ``row``."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if np.int64(bits[(first + middle * size) // 4]) < row:
            low = middle + 1
        else:
            high = middle
    return low


@compiled(nogil=True, inline="always")
def _widen_leaders(
    data: Bytes, bits: Words, about: Ints, maps: Ints, grid: Words, first: int, count: int, seat: int, words: Words
) -> None:
    """Both leaders of ``count`` rows into ``words`` (L, ROW_BYTES / 4), one column after the other.

    Indices are unsigned: a signed one costs a test for negative numbers at every access.
    """
    step, rows, six = np.uintp(2 * maps[_SIZES, 0]), np.uintp(count), np.uintp(_GRIDS)
    four = np.uintp(4)
    for player in range(2):
        owner = player ^ seat
        source = np.uintp(about[4] + (first * 2 + owner) * maps[_SIZES, 0])
        target = np.uintp((maps[_GROUPS, 0] + player * maps[_SIZES, 1]) // 4)
        for field in range(_COPIED):
            at, to = source // four + np.uintp(maps[field, 0]), target + np.uintp(maps[field, 1])
            for index in range(rows):
                words[index, to] = bits[at + index * (step // four)]
        at, to = source // four + np.uintp(maps[_STYLE, 0]), target + np.uintp(maps[_STYLE, 1])
        for index in range(rows):
            words[index, to] = bits[at + index * (step // four)] & np.uint32(0xFFFF0000)
        analog = np.uintp((about[6 + 2 * owner] + first * 4 * _GRIDS) // 4)
        for field in range(_GRIDS):
            at, to = source + np.uintp(maps[_COPIED + field, 0]), target + np.uintp(maps[_COPIED + field, 1])
            if about[7 + 2 * owner]:
                for index in range(rows):
                    words[index, to] = bits[analog + index * six + np.uintp(field)]
            else:
                values = grid[field]
                for index in range(rows):
                    words[index, to] = values[data[at + index * step]]


@compiled(nogil=True, inline="always")
def _widen_sparse(
    data: Bytes, bits: Words, place: Ints, kind: Ints, first: int, count: int, group: Span, flip: int, out: Bytes
) -> int:
    """The elements of a sparse section that lie in ``count`` rows from ``first`` on; how many there were.

    ``place``: first byte and number of elements. ``kind``: bytes of one, and where it says its number in the group.
    ``group``: first byte of the group in a row, bytes of one member, number of members. ``flip``: 1 when the two
    members change places. ``out``: ``(L, ROW_BYTES)``.
    """
    element, written = _row_at(bits, place[0], kind[0], place[1], first), 0
    while element < place[1]:
        source = place[0] + element * kind[0]
        index, member = np.int64(bits[source // 4]) - first, np.int64(data[source + kind[1]]) ^ flip
        if index >= count:
            break
        if index >= 0 and member < group[2]:
            for byte in range(group[1]):
                out[index, group[0] + member * group[1] + byte] = data[source + 4 + byte]
            written += 1
        element += 1
    return written


@compiled(nogil=True, inline="always")
def _widen_scenery(bits: Words, place: Ints, size: int, first: int, count: int, target: int, words: Words) -> None:
    """The moving parts of the stage: each element holds until the next one."""
    element = max(_row_at(bits, place[0], size, place[1], first + 1) - 1, 0)
    for index in range(count):
        row = first + index
        while element + 1 < place[1] and np.int64(bits[(place[0] + (element + 1) * size) // 4]) <= row:
            element += 1
        source = (place[0] + element * size) // 4
        if np.int64(bits[source]) <= row:
            for word in range(3):
                words[index, target // 4 + word] = bits[source + 1 + word]


@compiled(nogil=True, inline="always")
def _widen_stretch(
    data: Bytes, about: Ints, maps: Ints, grid: Words, first: int, seat: int, style: int, out: Bytes
) -> bool:
    """One stretch ``(L, ROW_BYTES)``, of zeros but for its leaders; whether it is no longer such a one."""
    bits, words = data.view(np.uint32), out.view(np.uint32)
    length = out.shape[0]
    count = max(min(about[0] - first, length), 0)
    _widen_leaders(data, bits, about, maps, grid, first, count, seat, words)
    for index in range(count):
        words[index, 0] = np.uint32(about[1] + first + index)
        words[index, 1] = np.uint32((about[2] & 0xFFFF) | (about[3] << 16))
        words[index, maps[_GROUPS, 0] // 4 + maps[_STYLE, 1]] |= np.uint32(style)
    words[count:] = 0
    touched = 0
    if count and about[11]:
        group = maps[_GROUPS, 1], maps[_SIZES, 1], 2
        touched += _widen_sparse(data, bits, about[10:12], maps[_NANA], first, count, group, seat, out)
    if count and about[13]:
        group = maps[_PARTS, 0], maps[_ITEM, 0], _SLOTS
        things = _widen_sparse(data, bits, about[12:14], maps[_THING], first, count, group, 0, out)
        touched += things
        if seat and things:
            for index in range(count):
                for slot in range(_SLOTS):
                    owner = maps[_PARTS, 0] + slot * maps[_ITEM, 0] + maps[_ITEM, 1]
                    out[index, owner] = np.uint8(-np.int64(out[index, owner]) & 0xFF)
    if count and about[15]:
        _widen_scenery(bits, about[14:16], maps[_SCENERY, 0], first, count, maps[_PARTS, 1], words)
        touched += 1
    return touched > 0


@compiled(nogil=True)
def _widen(
    games: Ints, maps: Ints, grid: Words, first: Ints, seat: Ints, style: Ints, out: Bytes, touched: Bytes
) -> None:
    for at in range(out.shape[0]):
        if touched[at]:
            out[at] = 0
        about = games[at, 2:]
        data = carray(_pointer(games[at, 0]), (games[at, 1],), np.uint8)  # type: ignore[call-arg]
        touched[at] = _widen_stretch(data, about, maps, grid, first[at], seat[at], style[at], out[at])


def widen(games: Ints, first: Ints, seat: Ints, style: Ints, out: Bytes, touched: Bytes) -> None:
    """Write B stretches of packed rows, zeros beyond a game's end.

    Args:
        games: int64 ``(B, PLACE)``: ``Packed.place`` of the game of each; the games must stay alive meanwhile.
        first: int64 ``(B,)``: first row wanted of each.
        seat: int64 ``(B,)``: whose player becomes number 0.
        style: int64 ``(B,)``: the number of that player in the registry.
        out: uint8 ``(B, L, ROW_BYTES)``.
        touched: uint8 ``(B,)``: 0 where a stretch of ``out`` holds zeros but for what every stretch overwrites, as this
            function left it the last time; 1 for anything else.
    """
    _widen(games, _MAPS, _GRID_BITS, first, seat, style, out, touched)
