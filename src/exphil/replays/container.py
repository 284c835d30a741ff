"""The outside of a ``.slp`` file: where its events lie, how long each is, the start block and the metadata.

A file is UBJSON: ``{"raw": bytes, "metadata": {...}}``. The raw bytes begin with a table of payload sizes, then the
game start event. Every offset below counts from an event's command byte. Source: Slippi replay specification
(project-slippi/slippi-wiki, SPEC.md).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.errors import ReplayError
from exphil.game.ids import character_from_external

MAGIC = b"{U\x03raw[$U#l"
PAYLOADS, GAME_START, PRE_FRAME, POST_FRAME, GAME_END = 0x35, 0x36, 0x37, 0x38, 0x39
FRAME_START, ITEM_UPDATE = 0x3A, 0x3B

OLDEST, NEWEST = (2, 0), (3, 19)
"""The versions this reader takes, both included; patch numbers do not matter."""


@dataclass(frozen=True)
class Seat:
    """One occupied port as the start block describes it."""

    port: int  # 1..4
    character: int  # internal number chosen at the start, -1 unknown
    human: bool
    stocks: int
    tag: str = ""
    code: str = ""
    name: str = ""


@dataclass(frozen=True)
class Start:
    """The start block of a game."""

    version: tuple[int, int, int]
    stage: int
    teams: bool
    seats: tuple[Seat, ...]
    match_id: str = ""


@dataclass(frozen=True)
class Layout:
    """Where the events lie: ``[first, end)`` in the file, and the payload size of every command (0 = unknown)."""

    first: int
    end: int
    sizes: NDArray[np.int64]
    problems: tuple[str, ...]


def layout(data: bytes, where: str) -> Layout:
    """Find the events of a file.

    Raises:
        ReplayError: no Slippi header, or a size table that does not hold a game.
    """
    if data[:11] != MAGIC or len(data) < 17:
        raise ReplayError(
            "not a Slippi replay (no raw element at offset 0)", where, "files recorded by Slippi begin with '{U'"
        )
    declared = struct.unpack(">i", data[11:15])[0]
    problems = []
    end = len(data)
    if declared <= 0:
        problems.append("byte 11: the recording was never finished (raw length 0)")
    elif 15 + declared > len(data):
        problems.append(f"byte {len(data)}: the file ends {15 + declared - len(data)} bytes early")
    else:
        end = 15 + declared
    table_size = data[16]
    if data[15] != PAYLOADS or table_size < 4 or 16 + table_size > len(data):
        raise ReplayError(f"no table of payload sizes at offset 15 (0x{data[15]:02x})", where)
    sizes = np.zeros(256, np.int64)
    sizes[PAYLOADS] = table_size
    for at in range(17, 15 + table_size - 1, 3):
        sizes[data[at]] = struct.unpack(">H", data[at + 1 : at + 3])[0]
    return Layout(16 + table_size, end, sizes, tuple(problems))


def _shift_jis(raw: bytes) -> str:
    text = raw.split(b"\0", 1)[0].decode("shift_jis", errors="replace")
    return "".join(chr(ord(c) - 0xFEE0) if 0xFF01 <= ord(c) <= 0xFF5E else c for c in text).strip()


def start_block(data: bytes, layout: Layout, where: str) -> Start:
    """Read the game start event.

    Raises:
        ReplayError: the first event is something else or too short.
    """
    at, size = layout.first, int(layout.sizes[GAME_START])
    if at >= layout.end or data[at] != GAME_START or size < 0xE0 or at + 1 + size > layout.end:
        raise ReplayError(f"no game start event at offset {at}", where)
    event = data[at : at + 1 + size]

    def text(offset: int, width: int) -> str:
        return _shift_jis(event[offset : offset + width]) if offset + width <= len(event) else ""

    seats = []
    for index in range(4):
        base = 0x65 + 0x24 * index
        if event[base + 1] in (0, 1, 2):
            chosen = character_from_external(event[base])
            words = text(0x161 + 0x10 * index, 0x10), text(0x221 + 0xA * index, 0xA), text(0x1A5 + 0x1F * index, 0x1F)
            seats.append(
                Seat(index + 1, -1 if chosen is None else int(chosen), event[base + 1] == 0, event[base + 2], *words)
            )
    match_id = event[0x2BE : 0x2BE + 51].split(b"\0", 1)[0].decode("ascii", errors="replace")
    stage = struct.unpack(">H", event[0x13:0x15])[0]
    return Start((event[1], event[2], event[3]), stage, bool(event[0x0D]), tuple(seats), match_id)


def check_supported(start: Start, where: str) -> None:
    """Refuse what this reader does not take, in one sentence.

    Raises:
        ReplayError: another version, or not exactly two players.
    """
    version = ".".join(map(str, start.version))
    if not OLDEST <= start.version[:2] <= NEWEST:
        raise ReplayError(f"recorded by Slippi {version}; versions 2.0 to 3.19 are read", where)
    if len(start.seats) != 2:  # the teams flag alone says nothing: tournaments left it set in singles
        raise ReplayError(f"players in the game: {len(start.seats)}; games of two are read", where)


class _Metadata:
    """The few UBJSON types that Slippi writes after the raw element."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):  # a negative length would walk backwards for ever
            raise ValueError("metadata ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, mark: bytes) -> float:
        kind = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}[mark]
        return float(struct.unpack(kind, self.take(struct.calcsize(kind)))[0])

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


def metadata(data: bytes, layout: Layout) -> dict[str, Any]:
    """The metadata element; empty when the file has none or it is damaged (it says nothing that a game needs)."""
    if data[layout.end : layout.end + 10] != b"U\x08metadata":
        return {}
    try:
        found = _Metadata(data, layout.end + 10).value()
    except (ValueError, OverflowError, KeyError, struct.error):
        return {}
    return found if isinstance(found, dict) else {}
