"""Columns to the bytes of a ``.slp`` file, in the layout of Slippi 3.18.

``write`` takes a ``Recording`` and gives a file that our reader and others read back equal. What an older recording
lacks becomes a default: the start block's random seed and the frames since the first for a frame start, the frame's
own number for a bookend's finalized frame, nobody for an item's owner, English, VS mode (scene 2, 2), and 0 for
everything else. One version of each frame is written: what netplay rolled back is gone.

Source of the layout: Slippi replay specification (project-slippi/slippi-wiki, SPEC.md). The unexplained bytes of the
start block are those that 150 of 152 real two-player recordings of Slippi 3 share.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.errors import ReplayError
from exphil.game.ids import character_from_external
from exphil.game.time import FIRST_FRAME
from exphil.replays import events, kernels
from exphil.replays.container import MAGIC, SEAT_BYTES, SEATS_AT, Seat, Start
from exphil.replays.events import Event
from exphil.replays.recording import Columns, End, Recording

VERSION = (3, 18, 0)
START_BYTES = 0x2F9
"""The whole start event of 3.18, command byte included."""

_FIRST_START = 0x141
_STAGE_ORDER, _ITEM_ORDER, _POST_ORDER, _LAST = 16, 24, 32, 64
"""Within a frame: the frame start is 0, pre-frame events 1 to 8, then these, as recordings have them."""

_EXTERNAL = {known: number for number in reversed(range(33)) if (known := character_from_external(number)) is not None}
"""The first number that the start block has for each character."""


def write(recording: Recording, metadata: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a file.

    Args:
        recording: Its columns, start block and end.
        metadata: Instead of the recording's own: strings, whole numbers, bools, None and mappings of them.

    Raises:
        ReplayError: a character without a number in the start block.
    """
    table = b"".join(struct.pack(">BH", event.command, event.size) for event in events.EVENTS)
    table = struct.pack(">BBBH", events.PAYLOADS, 4 + len(table), events.GAME_START, START_BYTES - 1) + table
    raw = table + start_event(recording.start) + _frames(recording) + _finish(recording.end)
    told = recording.metadata if metadata is None else metadata
    return MAGIC + struct.pack(">i", len(raw)) + raw + b"U\x08metadata" + _ubjson(told) + b"}"


def _packed(event: Event, columns: Columns, **rest: Any) -> NDArray[np.uint8]:
    """Events as rows of bytes, ``(n, size + 1)``; ``rest`` is what a column does not hold."""
    record = np.zeros(columns.shape, event.record())
    record["command"] = event.command
    for field in event.fields:
        record[field.name] = columns[field.name]
    for name, value in rest.items():
        record[name] = value
    return record.view(np.uint8).reshape(len(record), event.size + 1)


def _per_frame(recording: Recording) -> tuple[Columns, Columns]:
    """Frame start and bookend of every row, defaults where the file has none."""
    begin, close = recording.frame_start.copy(), recording.frame_end.copy()
    unmarked = (recording.marks & kernels.HAS_START) == 0
    begin["random_seed"][unmarked] = recording.start.random_seed
    if not recording.holds(events.START, "scene_frame"):
        unmarked[:] = True
    begin["scene_frame"][unmarked] = (recording.frame[unmarked].astype(np.int64) - FIRST_FRAME).astype(np.uint32)
    unmarked = (recording.marks & kernels.HAS_END) == 0
    if not recording.holds(events.END, "finalized"):
        unmarked[:] = True
    close["finalized"][unmarked] = recording.frame[unmarked]
    return begin, close


Group = tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.uint8]]
"""Row and order within the frame of each event, and its bytes."""


def _groups(recording: Recording) -> Iterator[Group]:
    frame, rows = recording.frame, np.arange(len(recording))
    begin, close = _per_frame(recording)
    yield rows, np.zeros(len(rows), np.int64), _packed(events.START, begin, frame=frame)
    yield rows, np.full(len(rows), _LAST), _packed(events.END, close, frame=frame)
    ports = np.array([seat.port - 1 for seat in recording.start.seats])
    for event, columns, has, order in (
        (events.PRE, recording.pre, recording.has_pre, 1),
        (events.POST, recording.post, recording.has_post, _POST_ORDER),
    ):
        row, seat, follower = np.nonzero(has)
        where = {"frame": frame[row], "port": ports[seat], "follower": follower}
        yield row, order + 2 * seat + follower, _packed(event, columns[row, seat, follower], **where)
    items = recording.items
    row = items["row"].astype(np.intp)
    rest = {"frame": frame[row]} | ({} if recording.holds(events.ITEM, "owner") else {"owner": -1})
    yield row, np.full(len(row), _ITEM_ORDER), _packed(events.ITEM, items, **rest)
    for at, (event, columns) in enumerate(
        zip(events.STAGE_EVENTS, (recording.platforms, recording.whispy, recording.stadium), strict=True)
    ):
        row = columns["row"].astype(np.intp)
        yield row, np.full(len(row), _STAGE_ORDER + at), _packed(event, columns, frame=frame[row])


def _frames(recording: Recording) -> bytes:
    groups = list(_groups(recording))
    rows, orders = (np.concatenate([group[part] for group in groups]) for part in (0, 1))
    sizes = np.concatenate([np.full(len(part), part.shape[1]) for *_, part in groups])
    sequence = np.argsort(rows * 2 * _LAST + orders, kind="stable")
    offsets = np.empty(len(sizes), np.int64)
    offsets[sequence] = np.cumsum(sizes[sequence]) - sizes[sequence]
    out, done = np.empty(int(sizes.sum()), np.uint8), 0
    for *_, part in groups:
        out[offsets[done : done + len(part), None] + np.arange(part.shape[1])] = part
        done += len(part)
    return out.tobytes()


def _finish(end: End | None) -> bytes:
    if end is None:
        return b""
    quitter = -1 if end.quitter is None else end.quitter - 1
    return struct.pack(">BBb4b", events.GAME_END, end.method, quitter, *(end.placements or (-1, -1, -1, -1)))


def start_event(start: Start) -> bytes:
    """The start event of 3.18: the recorded one with what it lacks, or one made of the fields.

    Raises:
        ReplayError: a character without a number in the start block.
    """
    event = bytearray(start.block or _first_part(start))[:START_BYTES].ljust(START_BYTES, b"\0")
    if len(start.block) <= 0x1A4:
        event[0x1A3:0x1A5] = 2, 2
    if len(start.block) <= 0x2BD:
        event[0x2BD] = 1
    if not start.block:
        _second_part(start, event)
    event[1:5] = *VERSION, 0
    return bytes(event)


def _first_part(start: Start) -> bytearray:
    """What the first version recorded, with the bytes that nobody has explained."""
    event = bytearray(_FIRST_START)
    event[0] = events.GAME_START
    event[0x05:0x0A] = *start.bits, 0xC3
    event[0x0B], event[0x0D], event[0x12] = start.bombs, start.teams, 0x6E
    struct.pack_into(">bbxHI", event, 0x10, start.item_frequency, start.suicide_score, start.stage, start.timer)
    event[0x25:0x2D] = 0xFF, 0xFF, 0xFF, *start.item_bits
    struct.pack_into(">fff", event, 0x31, 1.0, start.damage_ratio, 1.0)
    for index in range(6):  # two more than there are ports
        at = SEATS_AT + SEAT_BYTES * index
        struct.pack_into(">BBBB", event, at, 0x21, 3, 4, 0)
        struct.pack_into(">BBBBBBBBBB", event, at + 5, 0xFF, 0, 0, 9, 0, 0x78, 0, 0x40, 0, 4)
        struct.pack_into(">fff", event, at + 0x18, 1.0, 1.0, 1.0)
    for place, seat in enumerate(start.seats):
        _seat_part(seat, place, event)
    struct.pack_into(">I", event, 0x13D, start.random_seed)
    return event


def _seat_part(seat: Seat, place: int, event: bytearray) -> None:
    number = next((number for known, number in _EXTERNAL.items() if known == seat.character), None)
    if number is None:
        raise ReplayError(f"character {seat.character} has no number in a start block")
    at = SEATS_AT + SEAT_BYTES * (seat.port - 1)
    event[at : at + 6] = number, seat.kind, seat.stocks, seat.costume, 0, place
    event[at + 7 : at + 10] = seat.shade, seat.handicap, seat.team or 0
    event[at + 0xC], event[at + 0xF] = seat.bits, seat.cpu_level or 1
    struct.pack_into(">HH", event, at + 0x10, seat.damage_start, seat.damage_spawn)
    struct.pack_into(">fff", event, at + 0x18, seat.offense, seat.defense, seat.scale)


def _second_part(start: Start, event: bytearray) -> None:
    """What later versions added."""
    struct.pack_into(">8I", event, 0x141, *[1] * 8)  # UCF on every port, as everybody plays
    event[0x1A1], event[0x1A2] = bool(start.pal), bool(start.frozen_stadium)
    if start.scene:
        event[0x1A3], event[0x1A4] = start.scene[1], start.scene[0]
    if start.language is not None:
        event[0x2BD] = start.language
    for seat in start.seats:
        port = seat.port - 1
        for at, width, text in (
            (0x161 + 0x10 * port, 0x10, seat.tag),
            (0x1A5 + 0x1F * port, 0x1F, seat.name),
            (0x221 + 0xA * port, 0xA, seat.code.replace("#", "\uff03")),
        ):
            event[at : at + width] = _text(text, width)
    event[0x2BE : 0x2BE + 51] = start.match_id.encode("ascii", "replace")[:50].ljust(51, b"\0")
    struct.pack_into(">II", event, 0x2F1, start.game_number or 0, start.tiebreak or 0)


def _text(text: str, width: int) -> bytes:
    """Shift-JIS, cut between characters, ended by 0."""
    written = b""
    for letter in text:
        more = letter.encode("cp932", "replace")
        if len(written) + len(more) >= width:
            break
        written += more
    return written.ljust(width, b"\0")


def _ubjson(value: Any) -> bytes:
    if value is None or isinstance(value, bool):
        return b"Z" if value is None else b"T" if value else b"F"
    if isinstance(value, str):
        return b"S" + _counted(value)
    if isinstance(value, Mapping):
        return b"{" + b"".join(_counted(str(key)) + _ubjson(entry) for key, entry in value.items()) + b"}"
    if isinstance(value, float):
        return b"D" + struct.pack(">d", value)
    small = -(1 << 31) <= value < 1 << 31
    return (b"l" if small else b"L") + struct.pack(">i" if small else ">q", value)


def _counted(text: str) -> bytes:
    raw = text.encode()
    return (struct.pack(">cB", b"U", len(raw)) if len(raw) < 256 else struct.pack(">ci", b"l", len(raw))) + raw
