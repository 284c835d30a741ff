"""The compiled passes over a file's events.

``survey`` finds the frames, ``fill`` writes columns, ``item_slots`` gives every item its slot, ``pack_players`` and
``pack_items`` make packed rows of columns.

Every read is checked against the file's end and the event's own payload size. What differs between files and formats
(field tables, offsets of rows) is an argument: numba keeps compiled code by this file alone, so a number taken from
another module would outlive its change.

A record array is handed over three times, seen as elements of 4, 2 and 1 bytes, and so are the tables of its fields.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.compiled import compiled

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Views = tuple[NDArray[np.uint32], NDArray[np.uint16], NDArray[np.uint8]]
Tables = tuple[Ints, Ints, Ints]

SKIP, UNKNOWN, LAST, PRE, POST, BEGIN, ITEM, CLOSE, STAGE = range(9)
"""What a command is to the walk; from ``PRE`` on it belongs to a frame."""

OLDEST_FRAME = -123
HAS_PRE, HAS_POST = 1, 2
HAS_START, HAS_END = 1, 2
MOST_SLOTS = 15


class Survey(NamedTuple):
    """What the first pass found. An offset is -1 for something that is not there."""

    ids: Ints  # (rows,) frame number of each recorded row, versions that netplay rolled back included
    begins: Ints  # (rows,) offset of its first event
    stops: Ints  # (rows,) where the next row begins
    counts: Ints  # (256,) events by command
    faults: Ints  # (FAULTS, 2): how many events of each kind of fault, and the offset of the first
    stopped: int  # offset of the first event that could not be walked over, else of the end
    ended: int  # offset of the game end event


FAULTS = STRANGE, IMPOSSIBLE, BEYOND, EMPTY, ASTRAY = (0, 1, 2, 3, 4)
"""Events of an unknown command; with an impossible frame number; of a port above 4; of a port on which nobody plays;
with another number than the frame in which they stand."""


@compiled(nogil=True, inline="always")
def _word(data: Bytes, at: Any) -> Any:
    """The big-endian word at an unsigned offset: no look at the sign lets four bytes be read as one."""
    return (
        (np.uint32(data[at]) << np.uint32(24))
        | (np.uint32(data[at + np.uint64(1)]) << np.uint32(16))
        | (np.uint32(data[at + np.uint64(2)]) << np.uint32(8))
        | np.uint32(data[at + np.uint64(3)])
    )


@compiled(nogil=True, inline="always")
def _number(data: Bytes, at: int) -> int:
    return int(np.int64(np.int32(_word(data, np.uint64(at)))))


@compiled(nogil=True, inline="always")
def _fault(faults: Ints, kind: int, at: int) -> None:
    if faults[kind, 0] == 0:
        faults[kind, 1] = at
    faults[kind, 0] += 1


@compiled(nogil=True)
def survey(
    data: Bytes, first: int, end: int, sizes: Ints, kinds: Bytes, seats: Ints, room: int
) -> tuple[int, Ints, Ints, Ints, Ints, Ints, int, int]:
    """Walk every event once: the number of rows, then the fields of ``Survey`` with arrays of ``room`` rows.

    Args:
        data: The file.
        first: Offset of the first event.
        end: Offset after the last.
        sizes: Payload size by command, -1 for one that the file does not declare.
        kinds: ``SKIP`` to ``STAGE`` by command.
        seats: Seat by port 0..3, -1 for a port nobody plays on.
        room: Rows that fit between ``first`` and ``end``.
    """
    ids, begins, stops = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    counts, faults = np.zeros(256, np.int64), np.zeros((len(FAULTS), 2), np.int64)
    rows, current, seen, at, ended = -1, -(1 << 40), 1, first, -1  # a row in which nobody was seen is written over
    while at < end:
        size, kind = sizes[data[at]], kinds[data[at]]
        if size < 0 or at + 1 + size > end:
            break
        counts[data[at]] += 1
        new = False
        if kind == LAST:
            ended = at
            at += 1 + size
            break
        if kind == UNKNOWN:
            _fault(faults, STRANGE, at)
        elif kind >= PRE:
            frame = _number(data, at + 1)
            if kind in (BEGIN, PRE):
                bit = 0
                if frame < OLDEST_FRAME:
                    _fault(faults, IMPOSSIBLE, at)
                elif kind == BEGIN:
                    new = True
                elif data[at + 5] > 3:
                    _fault(faults, BEYOND, at)
                elif seats[data[at + 5]] < 0:
                    _fault(faults, EMPTY, at)
                else:
                    bit = 1 << (2 * seats[data[at + 5]] + (1 if data[at + 6] else 0))
                    new = frame != current or (seen & bit) != 0
                if new:
                    if rows >= 0:
                        stops[rows] = min(stops[rows], at)
                    rows += 1 if seen else 0
                    ids[rows], begins[rows], stops[rows] = frame, at, end
                    current, seen = frame, 0
                seen |= bit
            elif frame != current:
                _fault(faults, ASTRAY, at)
        at += 1 + size
    rows += 1 if seen else 0
    if rows > 0:
        stops[rows - 1] = min(stops[rows - 1], at)
    return rows, ids, begins, stops, counts, faults, at, ended


@compiled(nogil=True, inline="always")
def _put(data: Bytes, event: int, tables: Tables, record: Views, row: int) -> None:
    """Write one event of the file into its record."""
    four, two, one = tables
    words, halves, octets = record
    at, index = np.uint64(event), np.uint64(row)
    for field in range(four.shape[0]):
        words[index, np.uint64(four[field, 1])] = _word(data, at + np.uint64(four[field, 0]))
    for field in range(two.shape[0]):
        source = at + np.uint64(two[field, 0])
        halves[index, np.uint64(two[field, 1])] = (np.uint16(data[source]) << np.uint16(8)) | np.uint16(
            data[source + np.uint64(1)]
        )
    for field in range(one.shape[0]):
        octets[index, np.uint64(one[field, 1])] = data[at + np.uint64(one[field, 0])]


@compiled(nogil=True)
def fill(
    data: Bytes,
    spans: Ints,
    sizes: Ints,
    kinds: Bytes,
    seats: Ints,
    players: int,
    tables: tuple[Tables, ...],
    columns: tuple[Views, ...],
    present: Bytes,
    marks: Bytes,
    stage: Ints,
) -> tuple[int, int]:
    """Write the columns of the chosen rows; gives the number of items and of stage events.

    Args:
        data: The file.
        spans: ``(T, 3)``: frame number, first offset and end of each row.
        sizes: As for ``survey``, which has checked every event of the spans against the file's end.
        kinds: As for ``survey``.
        seats: As for ``survey``.
        players: Number of seats, P.
        tables: Fields of pre-frame, post-frame, item, frame start and bookend events.
        columns: Their records: ``(2 * T * P)`` for the first two, leaders first; room for all items, whose first
            element is the row; ``(T,)`` for the last two. All are zero.
        present: ``(2 * T * P)`` of zeros; gets ``HAS_PRE`` and ``HAS_POST``.
        marks: ``(T,)`` of zeros; gets ``HAS_START`` and ``HAS_END``.
        stage: ``(n, 2)`` with room for all stage events; gets their offset and row.
    """
    (pre, post, item, begin, close), (to_pre, to_post, to_item, to_begin, to_close) = tables, columns
    item_row, rows, items, moves = to_item[0], spans.shape[0], 0, 0
    for row in range(rows):
        frame, at, end = spans[row, 0], spans[row, 1], spans[row, 2]
        while at < end:
            kind, size = kinds[data[at]], sizes[data[at]]
            if kind >= PRE and _number(data, at + 1) == frame:
                if kind in (PRE, POST):
                    if data[at + 5] <= 3 and seats[data[at + 5]] >= 0:
                        index = row * players + seats[data[at + 5]] + (rows * players if data[at + 6] else 0)
                        if kind == PRE:
                            present[index] |= HAS_PRE
                            _put(data, at, pre, to_pre, index)
                        else:
                            present[index] |= HAS_POST
                            _put(data, at, post, to_post, index)
                elif kind == ITEM:
                    item_row[items, 0] = row
                    _put(data, at, item, to_item, items)
                    items += 1
                elif kind == BEGIN:
                    marks[row] |= HAS_START
                    _put(data, at, begin, to_begin, row)
                elif kind == CLOSE:
                    marks[row] |= HAS_END
                    _put(data, at, close, to_close, row)
                elif kind == STAGE:
                    stage[moves, 0], stage[moves, 1] = at, row
                    moves += 1
            at += 1 + size
    return items, moves


@compiled(nogil=True)
def item_slots(rows: NDArray[np.int32], spawn_ids: NDArray[np.uint32], slots: NDArray[np.int8]) -> int:
    """Give every item its slot: it keeps it, and the slot is free once the item was absent for a whole frame.

    Args:
        rows: Row of each item, never falling.
        spawn_ids: Which item it is.
        slots: Gets 0..14, -1 when all are taken.

    Returns:
        How many found none.
    """
    held, last, lost = np.zeros(MOST_SLOTS, np.int64), np.full(MOST_SLOTS, -(1 << 40), np.int64), 0
    for item in range(rows.shape[0]):
        found = -1
        for slot in range(MOST_SLOTS):
            alive = last[slot] >= rows[item] - 1
            if alive and held[slot] == spawn_ids[item]:
                found = slot
                break
            if not alive and found < 0:
                found = slot
        slots[item] = found
        if found < 0:
            lost += 1
        else:
            held[found], last[found] = spawn_ids[item], rows[item]
    return lost


@compiled(nogil=True, inline="always")
def _move(tables: Tables, source: Views, index: Any, target: Views, row: Any, base: Any) -> None:
    """Copy a record into a row; ``base`` is in bytes, a multiple of 4."""
    four, two, one = tables
    words, halves, octets = source
    to_words, to_halves, to_octets = target
    item, line, to = np.uint64(index), np.uint64(row), np.uint64(base)
    for field in range(four.shape[0]):
        to_words[line, to // np.uint64(4) + np.uint64(four[field, 1])] = words[item, np.uint64(four[field, 0])]
    for field in range(two.shape[0]):
        to_halves[line, to // np.uint64(2) + np.uint64(two[field, 1])] = halves[item, np.uint64(two[field, 0])]
    for field in range(one.shape[0]):
        to_octets[line, to + np.uint64(one[field, 1])] = octets[item, np.uint64(one[field, 0])]


@compiled(nogil=True)
def pack_players(
    present: Bytes,
    tables: tuple[Tables, Tables],
    columns: tuple[Views, Views],
    total: int,
    first: int,
    bases: Ints,
    rules: Ints,
    rows: Views,
) -> None:
    """Write the players of packed rows.

    Args:
        present: As ``fill`` leaves it, of two seats.
        tables: For pre- and post-frame: place in the column record and place in a player of the packed row.
        columns: The records.
        total: Rows of the columns, T.
        first: The first of them that is packed; as many are as ``rows`` has.
        bases: ``(1 or 2, 2)``: where leader (and follower) of each seat lie in a row, in bytes.
        rules: Places in the post-frame record of airborne (-1: not recorded, then on_ground and hitstun stay 0),
            flags_4, misc and hurtbox, and in a player of hitstun, on_ground, invulnerable and exists.
        rows: Packed rows, zero where nobody is.
    """
    words, _, octets = columns[1]
    to_words, _, to_octets = rows
    airborne, flags, misc, hurtbox = np.uint64(rules[0]), np.uint64(rules[1]), np.uint64(rules[2]), np.uint64(rules[3])
    hitstun, ground, safe, exists = np.uint64(rules[4]), np.uint64(rules[5]), np.uint64(rules[6]), np.uint64(rules[7])
    stateless = rules[0] < 0
    for follower in range(bases.shape[0]):
        for row in range(rows[0].shape[0]):
            for seat in range(2):
                index, line = np.uint64((follower * total + first + row) * 2 + seat), np.uint64(row)
                base = np.uint64(bases[follower, seat])
                if present[index] & HAS_PRE:
                    _move(tables[0], columns[0], index, rows, line, base)
                if present[index] & HAS_POST:
                    _move(tables[1], columns[1], index, rows, line, base)
                    to_octets[line, base + exists] = 1
                    to_octets[line, base + safe] = 1 if octets[index, hurtbox] != 0 else 0
                    if not stateless:
                        to_octets[line, base + ground] = 1 if octets[index, airborne] == 0 else 0
                        if octets[index, flags] & 2:
                            to_words[line, base // np.uint64(4) + hitstun] = words[index, misc]


@compiled(nogil=True)
def pack_items(
    slots: NDArray[np.int8], tables: Tables, column: Views, first: int, base: int, step: int, rows: Views
) -> None:
    """Copy every item that has a slot, from row ``first`` on; slot s of a row lies at ``base + s * step`` bytes."""
    for item in range(slots.shape[0]):
        row = np.int64(column[0][item, 0]) - first
        if slots[item] >= 0 and 0 <= row < rows[0].shape[0]:
            _move(tables, column, item, rows, row, base + slots[item] * step)
