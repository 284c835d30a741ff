"""The outside of a ``.slp`` file: where its events lie, how long each is, the start block and the metadata.

A file is UBJSON: ``{"raw": bytes, "metadata": {...}}``. The raw bytes begin with a table of payload sizes, then the
game start event. Every offset below counts from an event's command byte. Source: Slippi replay specification
(project-slippi/slippi-wiki, SPEC.md).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.errors import ReplayError
from exphil.game.ids import character_from_external
from exphil.replays.events import (
    BOOKEND,
    FRAME_START,
    GAME_END,
    GAME_START,
    ITEM_UPDATE,
    PAYLOADS,
    POST_FRAME,
    PRE_FRAME,
)

__all__ = [
    "BOOKEND", "FRAME_START", "GAME_END", "GAME_START", "ITEM_UPDATE", "MAGIC", "NEWEST", "OLDEST", "PAYLOADS",
    "POST_FRAME", "PRE_FRAME", "Layout", "Seat", "Start", "check_version", "layout", "metadata", "start_block",
]  # fmt: skip

MAGIC = b"{U\x03raw[$U#l"

OLDEST, NEWEST = (0, 1), (3, 19)
"""The versions that this reader knows, both included; patch numbers do not matter."""

KINDS = ("human", "cpu", "demo")
"""What plays on a port, by its number in the start block; 3 is nobody."""


class Seat(NamedTuple):
    """One occupied port as the start block describes it. None: the file's version does not say."""

    port: int  # 1..4
    character: int  # internal number chosen at the start, -1 unknown
    human: bool
    stocks: int
    tag: str = ""
    code: str = ""
    name: str = ""
    kind: int = 0  # 0 human, 1 cpu, 2 demo
    costume: int = 0
    team: int | None = None  # 0 red, 1 blue, 2 green; None without teams
    shade: int = 0
    handicap: int = 9
    bits: int = 0
    cpu_level: int | None = None  # 1..9; None for a human
    damage_start: int = 0
    damage_spawn: int = 0
    offense: float = 1.0
    defense: float = 1.0
    scale: float = 1.0


class Start(NamedTuple):
    """The start block of a game. None: the file's version does not say."""

    version: tuple[int, int, int]
    stage: int  # external number
    teams: bool
    seats: tuple[Seat, ...]
    match_id: str = ""
    random_seed: int = 0
    timer: int = 0  # seconds
    bits: tuple[int, int, int, int] = (0, 0, 0, 0)
    bombs: bool = False
    item_frequency: int = -1  # -1 off, 0 very low to 4 very high
    suicide_score: int = 0
    item_bits: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    damage_ratio: float = 1.0
    pal: bool | None = None
    frozen_stadium: bool | None = None
    scene: tuple[int, int] | None = None  # major, minor; (8, 2) is online play
    language: int | None = None  # 0 Japanese, 1 English
    game_number: int | None = None  # within the match, from 1
    tiebreak: int | None = None
    block: bytes = b""  # the whole event

    @property
    def slippi(self) -> str:
        """The version that recorded the game, "3.14.0"."""
        return ".".join(map(str, self.version))

    @property
    def fixes(self) -> tuple[tuple[int, int] | None, ...]:
        """By seat: dash back and shield drop fix, each 0 off, 1 UCF, 2 Dween; None before 1.0."""
        known = len(self.block) > 0x160
        return tuple(_PAIR.unpack_from(self.block, 0x139 + 8 * seat.port) if known else None for seat in self.seats)

    @property
    def uids(self) -> tuple[str, ...]:
        """By seat: the account that plays online; empty before 3.11."""
        known = len(self.block) > 0x2BC
        return tuple(_text(self.block, 0x22C + 0x1D * seat.port, 0x1D) if known else "" for seat in self.seats)


@dataclass(frozen=True)
class Layout:
    """Where the events lie: ``[first, end)`` in the file, and the payload size of every command (0 = unknown)."""

    first: int
    end: int
    sizes: NDArray[np.int64]
    problems: tuple[str, ...]
    declared: NDArray[np.bool_]
    """``(256,)``: the commands that the file names; one of them may hold no bytes at all."""


def _first_event(data: bytes, where: str) -> int:
    """Where the table of payload sizes ends.

    Raises:
        ReplayError: no Slippi header, or a size table that does not hold a game.
    """
    if not data.startswith(MAGIC) or len(data) < 17:
        raise ReplayError(
            "not a Slippi replay (no raw element at offset 0)", where, "files recorded by Slippi begin with '{U'"
        )
    table_size = data[16]
    if data[15] != PAYLOADS or table_size < 4 or 16 + table_size > len(data):
        raise ReplayError(f"no table of payload sizes at offset 15 (0x{data[15]:02x})", where)
    return 16 + table_size


def layout(data: bytes, where: str) -> Layout:
    """Find the events of a file.

    Raises:
        ReplayError: no Slippi header, or a size table that does not hold a game.
    """
    first = _first_event(data, where)
    (length,) = struct.unpack_from(">i", data, 11)
    problems = []
    end = len(data)
    if length <= 0:
        problems.append("byte 11: the recording was never finished (raw length 0)")
    elif 15 + length > len(data):
        problems.append(f"byte {len(data)}: the file ends {15 + length - len(data)} bytes early")
    else:
        end = 15 + length
    entries = (first - 17) // 3
    if 17 + 3 * entries != first:
        problems.append(f"byte 16: the table of payload sizes has {first - 17 - 3 * entries} bytes too many")
    sizes, declared = np.zeros(256, np.int64), np.zeros(256, bool)
    for command, size in struct.iter_unpack(">BH", data[17 : 17 + 3 * entries]):
        sizes[command], declared[command] = size, True
    sizes[PAYLOADS], declared[PAYLOADS] = first - 16, True
    return Layout(first, end, sizes, tuple(problems), declared)


def start_size(data: bytes, where: str) -> tuple[int, int]:
    """Offset and payload size of the start event by the table alone (0: not in it).

    Raises:
        ReplayError: no Slippi header, or a size table that does not hold a game.
    """
    first = _first_event(data, where)
    entry = data[17 : first - 2 : 3].rfind(GAME_START)
    return first, 0 if entry < 0 else (data[18 + 3 * entry] << 8) | data[19 + 3 * entry]


_INTERNAL = tuple(-1 if (known := character_from_external(number)) is None else int(known) for number in range(256))
_INFO = struct.Struct(">4xBBBB2x?x?2xbbxHI15x5B8xf260xI")
_SEAT = struct.Struct(">BBBB3xBBB2xB2xBHH4xfff")
_PAIR = struct.Struct(">II")
SEATS_AT, SEAT_BYTES = 0x65, 0x24
"""The first port in the start event, and how far the next is."""
_SMALLEST_START = 0x140
_TEXTS_AT = tuple((SEATS_AT + SEAT_BYTES * i, 0x161 + 0x10 * i, 0x1A5 + 0x1F * i, 0x221 + 0xA * i) for i in range(4))
"""By port: the seat, its tag, its name online and its code."""


_ORDINARY = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width letters, as the game's keyboard has them, and the ordinary ones."""


def _text(event: bytes, at: int, width: int) -> str:
    """A string of a fixed field: Shift-JIS as Windows has it, ended by 0."""
    if not event[at]:
        return ""
    end = event.find(0, at, at + width)
    raw = event[at : end if end >= 0 else at + width]
    if raw.isascii():
        return raw.decode().strip()
    quick = raw.replace(b"\x81\x94", b"#")  # the full-width sign of connect codes: nearly all strings are plain then
    return (quick.decode() if quick.isascii() else raw.decode("cp932", "replace").translate(_ORDINARY)).strip()


def _seat(event: bytes, index: int, teams: bool) -> Seat:
    seat_at, tag_at, name_at, code_at = _TEXTS_AT[index]
    character, kind, stocks, costume, shade, handicap, team, bits, level, damage, spawn, offense, defense, scale = (
        _SEAT.unpack_from(event, seat_at)
    )
    tag = _text(event, tag_at, 0x10) if len(event) > 0x1A0 and event[tag_at] else ""
    name, code = (_text(event, name_at, 0x1F), _text(event, code_at, 0xA)) if len(event) > 0x248 else ("", "")
    return Seat(
        index + 1, _INTERNAL[character], kind == 0, stocks, tag, code, name, kind, costume, team if teams else None,
        shade, handicap, bits, level if kind == 1 else None, damage, spawn, offense, defense, scale,
    )  # fmt: skip


def start_block(data: bytes, layout: Layout, where: str) -> Start:
    """Read the game start event.

    Raises:
        ReplayError: the first event is something else or too short.
    """
    return start_at(data, layout.first, int(layout.sizes[GAME_START]), layout.end, where)


def start_at(data: bytes, at: int, size: int, end: int, where: str) -> Start:
    """Read the game start event at an offset, of a payload size, before an end.

    Raises:
        ReplayError: the event there is something else or too short.
    """
    if size < _SMALLEST_START or at + 1 + size > end or data[at] != GAME_START:
        raise ReplayError(f"no game start event at offset {at}", where)
    event = data[at : at + 1 + size]
    first, second, third, fourth, bombs, teams, items, suicides, stage, timer, *bits, ratio, seed = _INFO.unpack_from(
        event, 1
    )
    kinds = event[SEATS_AT + 1 : SEATS_AT + 4 * SEAT_BYTES : SEAT_BYTES]
    seats = tuple([_seat(event, index, teams) for index, kind in enumerate(kinds) if kind < len(KINDS)])
    match_id, number, tiebreak = "", None, None
    if size >= 0x2F8:
        match_id = _text(event, 0x2BE, 51)
        number, tiebreak = _PAIR.unpack_from(event, 0x2F1)
    return Start(
        (event[1], event[2], event[3]), stage, teams, seats, match_id,
        seed, timer, (first, second, third, fourth), bombs,
        items, suicides, tuple(bits), ratio,
        event[0x1A1] != 0 if size >= 0x1A1 else None,
        event[0x1A2] != 0 if size >= 0x1A2 else None,
        (event[0x1A4], event[0x1A3]) if size >= 0x1A4 else None,
        event[0x2BD] if size >= 0x2BD else None,
        number, tiebreak, event,
    )  # fmt: skip


def check_version(start: Start, where: str) -> None:
    """Refuse a major version that did not exist when this was written; minor ones only add fields.

    Raises:
        ReplayError: another major version.
    """
    if start.version[0] > NEWEST[0]:
        version, oldest, newest = (".".join(map(str, numbers)) for numbers in (start.version, OLDEST, NEWEST))
        raise ReplayError(f"recorded by Slippi {version}; versions {oldest} to {newest} are read", where)


class _Metadata:
    """The few UBJSON types that Slippi writes after the raw element."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):  # a negative length would walk backwards for ever
            raise ValueError("metadata ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, mark: bytes) -> int | float:
        kind = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}[mark]
        found: int | float = struct.unpack(kind, self.take(struct.calcsize(kind)))[0]
        return found

    def text(self) -> str:
        return self.take(int(self.number(self.take(1)))).decode("utf-8", errors="replace")

    def value(self, depth: int = 0) -> Any:
        mark = self.take(1)
        if mark == b"S":
            return self.text()
        if mark in b"TFZ":
            return {b"T": True, b"F": False, b"Z": None}[mark]
        if mark != b"{" or depth > 8:
            return self.number(mark)
        found: dict[str, Any] = {}
        while self.data[self.at : self.at + 1] != b"}":
            key = self.text()
            found[key] = self.value(depth + 1)
        self.at += 1
        return found


def metadata(data: bytes, at: int) -> dict[str, Any] | None:
    """The metadata element that begins at an offset; None when there is none or it is damaged."""
    if data[at : at + 10] != b"U\x08metadata":
        return None
    try:
        found = _Metadata(data, at + 10).value()
    except (ValueError, OverflowError, KeyError, struct.error):
        return None
    return found if isinstance(found, dict) else None
