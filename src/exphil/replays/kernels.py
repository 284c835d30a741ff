"""The two passes over a file's events, compiled: ``survey`` measures, ``fill`` writes packed rows.

Every read is checked against the file's end and the event's own payload size; an unknown command ends the walk. A frame
that netplay rolled back is recorded again under the same number: the first version is what the player saw when acting,
and the one that is kept.

The field tables say which bytes of an event go where in a row: ``(source offset, row offset within the group)`` by
width.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from exphil.game.frames import ITEM, NUM_ITEMS, PLAYER, ROW, ROW_BYTES
from exphil.replays.container import FRAME_START, ITEM_UPDATE, POST_FRAME, PRE_FRAME

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Span = tuple[int, int]
Tables = tuple[Ints, Ints, Ints]

PRE_FIELDS = {"main_x": 0x19, "main_y": 0x1D, "c_x": 0x21, "c_y": 0x25, "shoulder": 0x29, "buttons": 0x31}
POST_FIELDS = {
    "character": 0x07,
    "action": 0x08,
    "x": 0x0A,
    "y": 0x0E,
    "facing": 0x12,
    "percent": 0x16,
    "shield": 0x1A,
    "stocks": 0x21,
    "action_frame": 0x22,
    "jumps": 0x32,
    "speed_air_x": 0x35,
    "speed_y": 0x39,
    "speed_x_attack": 0x3D,
    "speed_y_attack": 0x41,
    "speed_ground_x": 0x45,
    "hitlag": 0x49,
}
ITEM_FIELDS = {"type": 0x05, "state": 0x07, "vx": 0x0C, "vy": 0x10, "x": 0x14, "y": 0x18}
_FLAGS, _HITSTUN, _AIRBORNE, _HURTBOX = 0x29, 0x2B, 0x2F, 0x34  # read with a rule, not copied
_SPAWN_ID, _OWNER = 0x22, 0x2A
SMALLEST_PRE, SMALLEST_POST, SMALLEST_ITEM = 0x32, 0x33, 0x25
"""Payload bytes without which an event cannot be read (Slippi 2.0; items 3.0)."""

_NANA = ROW.fields["nana"][1] if ROW.fields else 0
_PLAYERS = ROW.fields["players"][1] if ROW.fields else 0
_ITEMS = ROW.fields["items"][1] if ROW.fields else 0
_PLAYER_BYTES, _ITEM_BYTES = PLAYER.itemsize, ITEM.itemsize
_AT = {name: PLAYER.fields[name][1] for name in PLAYER.names or () if PLAYER.fields}
_AT_HITSTUN, _AT_GROUND, _AT_INVULNERABLE, _AT_EXISTS = (
    _AT[n] for n in ("hitstun", "on_ground", "invulnerable", "exists")
)
_AT_OWNER, _AT_ITEM_EXISTS = (ITEM.fields[name][1] if ITEM.fields else 0 for name in ("owner", "exists"))
_EMPTY = -1


class Survey(NamedTuple):
    """What the first pass found."""

    first_frame: int
    last_frame: int
    rows: int
    stopped: int  # offset of the first event that could not be walked over, else the end
    ended: int  # offset of the game end event, -1 without one
    items: int


def field_table(fields: dict[str, int], group: np.dtype[np.void], payload: int) -> Ints:
    """``(n, 3)``: source offset, target offset, width of the fields that an event of ``payload`` bytes holds."""
    rows = []
    for name, source in fields.items():
        target, width = group.fields[name][1], group.fields[name][0].itemsize  # type: ignore[index]
        if source + width <= payload + 1:
            rows.append((source, target, width))
    return np.array(sorted(rows, key=lambda row: row[2]), np.int64).reshape(-1, 3)


@numba.njit(cache=True, nogil=True, inline="always")
def _word(data: Bytes, at: int) -> int:
    raw = (
        (np.uint32(data[at]) << 24)
        | (np.uint32(data[at + 1]) << 16)
        | (np.uint32(data[at + 2]) << 8)
        | np.uint32(data[at + 3])
    )
    return int(np.int64(np.int32(raw)))


@numba.njit(cache=True, nogil=True)
def survey(data: Bytes, first: int, end: int, sizes: Ints, ports: Ints) -> tuple[int, int, int, int, int, int]:
    """Walk every event once: see ``Survey``. ``ports`` maps port 0..3 to seat 0 or 1, -1 for a port nobody plays on."""
    low, high, rows, items, ended = 1 << 30, -(1 << 30), 0, 0, -1
    at = first
    leader = -1
    for port in range(4):
        if ports[port] == 0:
            leader = port
    while at < end:
        command = data[at]
        size = sizes[command]
        if size == 0 or at + 1 + size > end:
            break
        if command == PRE_FRAME:
            frame = _word(data, at + 1)
            port = data[at + 5]
            if port > 3 or frame < -123 or frame > 1_000_000:
                break
            low, high = min(low, frame), max(high, frame)
            if port == leader and data[at + 6] == 0:
                rows += 1
        elif command == ITEM_UPDATE:
            items += 1
        elif command == 0x39:
            ended = at
            at += 1 + size
            break
        at += 1 + size
    return low, high, rows, at, ended, items


@numba.njit(cache=True, nogil=True, inline="always")
def _copy(data: Bytes, at: int, fields: Ints, row: Bytes, base: int) -> None:
    for index in range(fields.shape[0]):
        source, target, width = at + fields[index, 0], base + fields[index, 1], fields[index, 2]
        if width == 4:
            row[target] = data[source + 3]
            row[target + 1] = data[source + 2]
            row[target + 2] = data[source + 1]
            row[target + 3] = data[source]
        elif width == 2:
            row[target] = data[source + 1]
            row[target + 1] = data[source]
        else:
            row[target] = data[source]


@numba.njit(cache=True, nogil=True, inline="always")
def _item_slot(spawn_id: int, frame: int, slot_id: Ints, slot_seen: Ints) -> int:
    """An item keeps its slot, which is free again once the item was absent for a whole frame; -1: all are taken."""
    free = -1
    for slot in range(NUM_ITEMS):
        alive = slot_seen[slot] >= frame - 1
        if alive and slot_id[slot] == spawn_id:
            return slot
        if not alive and free < 0:
            free = slot
    return free


@numba.njit(cache=True, nogil=True, inline="always")
def _fill_item(
    data: Bytes, at: int, size: int, fields: Ints, ports: Ints, row: Bytes, index: int, slot_id: Ints, slot_seen: Ints
) -> int:
    """Write an item event into its slot; gives the number of items that found none, 0 or 1."""
    spawn_id = _word(data, at + _SPAWN_ID)
    slot = _item_slot(spawn_id, index, slot_id, slot_seen)
    if slot < 0:
        return 1
    slot_id[slot], slot_seen[slot] = spawn_id, index
    base = _ITEMS + slot * _ITEM_BYTES
    _copy(data, at, fields, row, base)
    row[base + _AT_ITEM_EXISTS] = 1
    if size >= _OWNER and data[at + _OWNER] <= 3:
        seat = ports[data[at + _OWNER]]
        row[base + _AT_OWNER] = 1 if seat == 0 else (255 if seat == 1 else 0)
    return 0


@numba.njit(cache=True, nogil=True, inline="always")
def _fill_post(data: Bytes, at: int, size: int, fields: Ints, row: Bytes, base: int) -> None:
    """Write a post-frame event: the fields that are copied, and those that are read with a rule."""
    _copy(data, at, fields, row, base)
    row[base + _AT_EXISTS] = 1
    row[base + _AT_GROUND] = 1 if data[at + _AIRBORNE] == 0 else 0
    if size >= _HURTBOX:
        row[base + _AT_INVULNERABLE] = 1 if data[at + _HURTBOX] != 0 else 0
    if data[at + _FLAGS] & 2:
        for byte in range(4):
            row[base + _AT_HITSTUN + byte] = data[at + _HITSTUN + 3 - byte]


@numba.njit(cache=True, nogil=True)
def fill(data: Bytes, span: Span, sizes: Ints, ports: Ints, low: int, tables: Tables, rows: Bytes, seen: Bytes) -> int:
    """Write rows.

    Args:
        data: The file.
        span: Offsets of the first event and of the end.
        sizes: Payload size by command.
        ports: Seat by port, as ``survey`` takes it.
        low: The frame of ``rows[0]``.
        tables: ``field_table`` of pre-frame, post-frame and item events.
        rows: ``(T, ROW_BYTES)`` of zeros.
        seen: ``(T,)`` of zeros; gets one bit per leader event: 1 and 2 pre, 4 and 8 post.

    Returns:
        How many item events found no slot.
    """
    pre, post, item = tables
    frames, starts, lost = rows.shape[0], sizes[FRAME_START] > 0, 0
    version = np.zeros(frames, np.int64)
    slot_id, slot_seen = np.full(NUM_ITEMS, _EMPTY, np.int64), np.full(NUM_ITEMS, -(1 << 40), np.int64)
    at, end = span
    while at < end:
        command, size = data[at], sizes[data[at]]
        index = _word(data, at + 1) - low if size >= 4 else -1
        if index < 0 or index >= frames:
            pass
        elif command == FRAME_START:
            version[index] += 1
        elif command == ITEM_UPDATE:
            if version[index] <= 1 and size >= SMALLEST_ITEM:
                lost += _fill_item(data, at, size, item, ports, rows[index], index, slot_id, slot_seen)
        elif command in (PRE_FRAME, POST_FRAME) and data[at + 5] <= 3 and ports[data[at + 5]] >= 0:
            seat, leader = ports[data[at + 5]], data[at + 6] == 0
            if command == PRE_FRAME and not starts and leader and seat == 0:
                version[index] += 1
            if version[index] <= 1:
                base = (_PLAYERS if leader else _NANA) + seat * _PLAYER_BYTES
                if leader:
                    seen[index] |= (1 if command == PRE_FRAME else 4) << seat
                if command == PRE_FRAME:
                    _copy(data, at, pre, rows[index], base)
                else:
                    _fill_post(data, at, size, post, rows[index], base)
        at += 1 + size
    return lost


def empty_rows(count: int) -> Bytes:
    """``(count, ROW_BYTES)`` zeros."""
    return np.zeros((count, ROW_BYTES), np.uint8)
