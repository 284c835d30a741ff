"""What the events of a ``.slp`` file hold, once: the reader's field tables, its masks and the writer follow from here.

An event is a command byte and a payload of a fixed size, which the file's first event declares. Fields were only ever
added at the end, so a field is there when the payload is long enough. Offsets count from the command byte; numbers are
big-endian in the file and native in our columns. Source: Slippi replay specification (project-slippi/slippi-wiki,
SPEC.md); the names are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPLITTER, PAYLOADS, GAME_START, PRE_FRAME, POST_FRAME, GAME_END = 0x10, 0x35, 0x36, 0x37, 0x38, 0x39
FRAME_START, ITEM_UPDATE, BOOKEND, GECKO_CODES = 0x3A, 0x3B, 0x3C, 0x3D
PLATFORM_MOVE, WHISPY_BLOW, STADIUM_CHANGE = 0x3F, 0x40, 0x41

FRAME_AT, PORT_AT, FOLLOWER_AT = 0x01, 0x05, 0x06
"""Frame number (i4) of every event of a frame; port 0..3 and whether it is a follower, of pre- and post-frame."""


class Field(NamedTuple):
    """One number of an event."""

    name: str
    type: str  # as numpy writes it
    at: int  # from the command byte
    since: tuple[int, int]  # the Slippi version that first wrote it

    @property
    def end(self) -> int:
        """The payload bytes that an event with this field has at least."""
        return self.at + int(self.type[1:]) - 1


@dataclass(frozen=True, eq=False)
class Event:
    """One kind of event: its columns, in the order of the file."""

    command: int
    name: str
    smallest: int  # payload bytes of the first version: with fewer it cannot be read
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Payload bytes of Slippi 3.18, all fields included."""
        return max([self.smallest, *(field.end for field in self.fields)])

    @cache  # noqa: B019  (there are ten of them, for good)
    def held(self, payload: int) -> tuple[str, ...]:
        """The names of the fields that an event of ``payload`` bytes holds."""
        return tuple(field.name for field in self.fields if field.end <= payload)

    @cache  # noqa: B019
    def columns(self, leading: tuple[tuple[str, str], ...] = ()) -> np.dtype[np.void]:
        """The native record of an event, aligned; ``leading`` are fields before those of the file."""
        listed = [*leading, *((field.name, field.type) for field in self.fields)]
        widest_first = sorted(listed, key=lambda entry: -int(entry[1][1:]))
        padding = -sum(int(type_[1:]) for _, type_ in listed) % 4
        return np.dtype(widest_first + ([("padding", "u1", (padding,))] if padding else []))

    @cache  # noqa: B019
    def record(self) -> np.dtype[np.void]:
        """The whole event as it lies in the file, command byte included."""
        named = [("command", "u1", 0), *((field.name, ">" + field.type, field.at) for field in self.fields)]
        if self.command != GAME_END:
            named.append(("frame", ">i4", FRAME_AT))
        if self.command in (PRE_FRAME, POST_FRAME):
            named += [("port", "u1", PORT_AT), ("follower", "u1", FOLLOWER_AT)]
        names, types, offsets = zip(*named, strict=True)
        return np.dtype({"names": names, "formats": types, "offsets": offsets, "itemsize": self.size + 1})


def _fields(text: str) -> tuple[Field, ...]:
    """Lines of ``offset type version name``."""
    rows = [line.split() for line in text.strip().splitlines()]
    return tuple(
        Field(name, kind, int(at, 16), (int(since.split(".")[0]), int(since.split(".")[1])))
        for at, kind, since, name in rows
    )


PRE = Event(
    PRE_FRAME,
    "pre-frame",
    0x3A,
    _fields("""
        07 u4 0.1 random_seed
        0B u2 0.1 action
        0D f4 0.1 x
        11 f4 0.1 y
        15 f4 0.1 facing
        19 f4 0.1 main_x
        1D f4 0.1 main_y
        21 f4 0.1 c_x
        25 f4 0.1 c_y
        29 f4 0.1 shoulder
        2D u4 0.1 processed_buttons
        31 u2 0.1 buttons
        33 f4 0.1 trigger_l
        37 f4 0.1 trigger_r
        3B i1 1.2 raw_main_x
        3C f4 1.4 percent
        40 i1 3.15 raw_main_y
        41 i1 3.17 raw_c_x
        42 i1 3.17 raw_c_y
    """),
)
"""Before the game uses the inputs. Sticks are in [-1, 1] after the dead zone, triggers in [0, 1], raw sticks in
[-128, 127]; ``buttons`` are the physical ones (bits of ``ids.Button``)."""

POST = Event(
    POST_FRAME,
    "post-frame",
    0x21,
    _fields("""
        07 u1 0.1 character
        08 u2 0.1 action
        0A f4 0.1 x
        0E f4 0.1 y
        12 f4 0.1 facing
        16 f4 0.1 percent
        1A f4 0.1 shield
        1E u1 0.1 last_attack
        1F u1 0.1 combo
        20 u1 0.1 last_hit_by
        21 u1 0.1 stocks
        22 f4 0.2 action_frame
        26 u1 2.0 flags_1
        27 u1 2.0 flags_2
        28 u1 2.0 flags_3
        29 u1 2.0 flags_4
        2A u1 2.0 flags_5
        2B f4 2.0 misc
        2F u1 2.0 airborne
        30 u2 2.0 ground
        32 u1 2.0 jumps
        33 u1 2.0 l_cancel
        34 u1 2.1 hurtbox
        35 f4 3.5 speed_air_x
        39 f4 3.5 speed_y
        3D f4 3.5 speed_x_attack
        41 f4 3.5 speed_y_attack
        45 f4 3.5 speed_ground_x
        49 f4 3.8 hitlag
        4D u4 3.11 animation
        51 u2 3.16 hit_by_instance
        53 u2 3.16 instance
    """),
)
"""After the frame. ``character`` is the internal number, ``misc`` the hitstun left while bit 2 of ``flags_4`` is set,
``airborne`` 0 on the ground, ``hurtbox`` 0 vulnerable, 1 invulnerable, 2 intangible, ``l_cancel`` 0 none, 1 done,
2 missed."""

ITEM = Event(
    ITEM_UPDATE,
    "item",
    0x25,
    _fields("""
        05 u2 3.0 type
        07 u1 3.0 state
        08 f4 3.0 facing
        0C f4 3.0 vx
        10 f4 3.0 vy
        14 f4 3.0 x
        18 f4 3.0 y
        1C u2 3.0 damage
        1E f4 3.0 timer
        22 u4 3.0 spawn_id
        26 u1 3.2 misc_1
        27 u1 3.2 misc_2
        28 u1 3.2 misc_3
        29 u1 3.2 misc_4
        2A i1 3.6 owner
        2B u2 3.16 instance
    """),
)
"""One item on one frame; ``owner`` is a port 0..3, -1 for nobody; ``misc_2`` is a turnip's face."""

START = Event(FRAME_START, "frame start", 0x08, _fields("05 u4 2.2 random_seed\n09 u4 3.10 scene_frame"))
END = Event(BOOKEND, "bookend", 0x04, _fields("05 i4 3.7 finalized"))
PLATFORM = Event(PLATFORM_MOVE, "platform", 0x09, _fields("05 u1 3.18 side\n06 f4 3.18 height"))
"""Fountain of Dreams: ``side`` 0 right, 1 left. The surface is at ``0.75 * height + 1.125`` game units: measured on
characters who stand on it (20 and 16.125 on the left, 28 and 22.125 on the right)."""
WHISPY = Event(WHISPY_BLOW, "whispy", 0x05, _fields("05 u1 3.18 direction"))
"""Dream Land: 0 not, 1 left, 2 right."""
STADIUM = Event(STADIUM_CHANGE, "stadium", 0x08, _fields("05 u2 3.18 event\n07 u2 3.18 type"))
"""Pokemon Stadium: ``event`` 2 begins, 3 shown on the monitor, 4 old form sinks, 5 new one rises, 6 ends, 0 done;
``type`` 3 fire, 4 grass, 5 normal, 6 rock, 9 water."""
FINISH = Event(
    GAME_END,
    "game end",
    0x01,
    _fields("01 u1 0.1 method\n02 i1 2.0 quitter\n" + "\n".join(f"0{3 + p} i1 3.13 place_{p}" for p in range(4))),
)

EVENTS = (PRE, POST, ITEM, START, END, PLATFORM, WHISPY, STADIUM, FINISH)
STAGE_EVENTS = (PLATFORM, WHISPY, STADIUM)
KNOWN = frozenset({SPLITTER, PAYLOADS, GAME_START, GECKO_CODES, *(event.command for event in EVENTS)})
ROW_FIELD = (("row", "i4"),)
"""Events that come any number of times a frame carry the number of their row."""

PRE_COLUMNS, POST_COLUMNS, ITEM_COLUMNS = PRE.columns(), POST.columns(), ITEM.columns(ROW_FIELD)
START_COLUMNS, END_COLUMNS = START.columns(), END.columns()

Table = NDArray[np.int64]
Tables = tuple[Table, Table, Table]


@cache
def tables(event: Event, columns: np.dtype[np.void], payload: int) -> Tables:
    """Where the fields that an event of ``payload`` bytes holds go, for widths 4, 2 and 1.

    Returns:
        Three int64 arrays of ``(source offset, place in the record in elements of that width)``.
    """
    held = set(event.held(payload))
    found: dict[int, list[tuple[int, int]]] = {4: [], 2: [], 1: []}
    for field in event.fields:
        kind, target = columns.fields[field.name][:2]  # type: ignore[index]
        if field.name in held:
            found[kind.itemsize].append((field.at, target // kind.itemsize))
    four, two, one = (np.array(found[width], np.int64).reshape(-1, 2) for width in (4, 2, 1))
    return four, two, one
