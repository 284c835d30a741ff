"""Everything a ``.slp`` file says about its frames, as columns.

``record`` turns the bytes of a file into a ``Recording``: one row a frame, in the order of the frame numbers. A frame
that netplay rolled back was recorded again under the same number; the first version is what the players saw when they
acted, the last is what counts in the end, and one of them is kept. A column that the file does not hold is zero and
named by ``lacks``; what is zero because nobody is there is told by ``has_pre`` and ``has_post``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.errors import ReplayError
from exphil.replays import events, kernels
from exphil.replays.container import Layout, Start
from exphil.replays.events import Event

Rollbacks = Literal["first", "last"]
Columns = NDArray[np.void]
"""A structured array; its fields are those of the event's table in ``events``."""

METHODS = {0: "unresolved", 1: "time", 2: "game", 3: "resolved", 7: "no contest"}
"""How a game ends; single-player modes know other numbers."""


class End(NamedTuple):
    """The game end event."""

    method: int  # a key of METHODS, or the number of a single-player mode
    quitter: int | None = None  # port 1..4 of the player who left; None for nobody or before 2.0
    placements: tuple[int, int, int, int] | None = None  # by port, 0 the best, -1 not in the game; None before 3.13


@dataclass(frozen=True)
class Recording:
    """The columns of one game: T frames, P occupied ports in order, leader and follower (Nana)."""

    start: Start
    frame: NDArray[np.int32]  # (T,) rising
    pre: Columns  # (T, P, 2) of events.PRE
    post: Columns  # (T, P, 2) of events.POST
    present: NDArray[np.uint8]  # (T, P, 2) bits kernels.HAS_PRE and HAS_POST
    frame_start: Columns  # (T,) of events.START
    frame_end: Columns  # (T,) of events.END
    marks: NDArray[np.uint8]  # (T,) bits kernels.HAS_START and HAS_END
    items: Columns  # (N,) of events.ITEM and "row", in the order of the file
    slots: NDArray[np.int8]  # (N,) 0..14, the slot that each item keeps for life; -1 when all were taken
    platforms: Columns  # (N,) of events.PLATFORM and "row"
    whispy: Columns  # (N,) of events.WHISPY and "row"
    stadium: Columns  # (N,) of events.STADIUM and "row"
    lacks: frozenset[tuple[str, str]] = (
        frozenset()
    )  # (event, field) that the file does not hold; a field "" is the event itself
    end: End | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def holds(self, event: Event, name: str = "") -> bool:
        """Whether the file holds a field of an event, or events of this kind at all."""
        return not {(event.name, ""), (event.name, name)} & self.lacks

    @property
    def has_pre(self) -> NDArray[np.bool_]:
        """Where there is a pre-frame event, ``(T, P, 2)``."""
        there: NDArray[np.bool_] = (self.present & kernels.HAS_PRE) != 0
        return there

    @property
    def has_post(self) -> NDArray[np.bool_]:
        """Where there is a post-frame event, ``(T, P, 2)``."""
        there: NDArray[np.bool_] = (self.present & kernels.HAS_POST) != 0
        return there

    @cached_property
    def whole(self) -> slice:
        """The rows of whole frames: from the first to where an event is missing or the numbers jump.

        Empty when there is none. With two players both must be there; of three or four some have lost and left.
        """
        both, seats = kernels.HAS_PRE | kernels.HAS_POST, np.moveaxis(self.present[:, :, 0], 1, 0)
        good, anybody = np.ones(len(self), bool), np.zeros(len(self), bool)
        for seat in seats:
            there = seat == both
            anybody |= there
            good &= there if len(seats) == 2 else there | (seat == 0)
        good &= anybody
        first = int(np.argmax(good))
        if not good[first]:
            return slice(0, 0)
        goes_on = good[first + 1 :] & (np.diff(self.frame[first:]) == 1)
        return slice(first, len(good) if goes_on.all() else first + 1 + int(np.argmin(goes_on)))


class Read(NamedTuple):
    """A recording, the recorded rows with all versions of rolled-back frames, and what was wrong."""

    recording: Recording
    rows: int
    problems: list[str]
    after: int  # offset after the last event that was read


_KINDS = {
    events.PRE: kernels.PRE,
    events.POST: kernels.POST,
    events.ITEM: kernels.ITEM,
    events.START: kernels.BEGIN,
    events.END: kernels.CLOSE,
    events.FINISH: kernels.LAST,
    **dict.fromkeys(events.STAGE_EVENTS, kernels.STAGE),
}
_SMALLEST_ROW = 1 + min(events.PRE.smallest, events.START.smallest)


def _kinds(layout: Layout) -> tuple[NDArray[np.uint8], frozenset[tuple[str, str]], list[str]]:
    """What each command is to the walk, what the file lacks, and events declared too short to be read."""
    kinds = np.full(256, kernels.UNKNOWN, np.uint8)
    kinds[list(events.KNOWN)] = kernels.SKIP
    lacks, problems = set(), []
    for event, kind in _KINDS.items():
        size = int(layout.sizes[event.command])
        if size >= event.smallest:
            kinds[event.command] = kind
            lacks |= {(event.name, name) for name in {field.name for field in event.fields} - {*event.held(size)}}
        else:
            lacks |= {(event.name, ""), *((event.name, field.name) for field in event.fields)}
            if size:
                problems.append(
                    f"byte 15: {event.name} events are said to hold {size} bytes, at least {event.smallest} are needed"
                )
    return kinds, frozenset(lacks), problems


def views(columns: Columns) -> kernels.Views:
    """A record array as the kernels take it: as elements of 4, 2 and 1 bytes."""
    octets = columns.reshape(-1).view(np.uint8).reshape(columns.size, columns.dtype.itemsize)
    return octets.view(np.uint32), octets.view(np.uint16), octets


def _choose(found: kernels.Survey, rollbacks: Rollbacks) -> NDArray[np.int64]:
    """``(T, 3)``: number, first offset and end of the version of each frame that is kept."""
    ids = found.ids
    chosen: NDArray[np.intp] | slice = slice(None)
    if (ids[1:] <= ids[:-1]).any():
        if rollbacks == "first":
            chosen = np.unique(ids, return_index=True)[1]
        else:
            chosen = len(ids) - 1 - np.unique(ids[::-1], return_index=True)[1]
    return np.stack([ids[chosen], found.begins[chosen], found.stops[chosen]], axis=1)


def _seats(start: Start) -> NDArray[np.int64]:
    seats = np.full(4, -1, np.int64)
    for index, seat in enumerate(start.seats):
        seats[seat.port - 1] = index
    return seats


def _stage_events(walk: _Walk, event: Event, found: NDArray[np.int64]) -> Columns:
    """The events of one kind among ``found``, ``(n, 2)`` offsets and rows."""
    mine = found[walk.data[found[:, 0]] == event.command] if len(found) else found
    columns = np.zeros(len(mine), event.columns(events.ROW_FIELD))
    if len(mine):
        columns["row"] = mine[:, 1]
        raw = walk.data[mine[:, :1] + np.arange(event.size + 1)].view(event.record())[:, 0]  # in each of its versions
        for field in event.fields:
            columns[field.name] = raw[field.name]
    return columns


def _finish(data: NDArray[np.uint8], at: int, layout: Layout) -> End | None:
    if at < 0:
        return None
    size = int(layout.sizes[events.GAME_END])
    raw = np.zeros(events.FINISH.size + 1, np.uint8)
    raw[: size + 1] = data[at : at + size + 1][: len(raw)]
    told = raw.view(events.FINISH.record())[0]
    held = events.FINISH.held(size)
    quitter = int(told["quitter"]) if "quitter" in held else -1
    first, second, third, fourth = (int(told[f"place_{port}"]) for port in range(4))
    places = (first, second, third, fourth) if "place_3" in held else None
    return End(int(told["method"]), quitter + 1 if 0 <= quitter <= 3 else None, places)


def record(data: bytes, layout: Layout, start: Start, where: str, rollbacks: Rollbacks) -> Read:
    """Read the events of a file.

    Raises:
        ReplayError: there is no frame in it, or its pre- or post-frame events cannot be read.
    """
    kinds, lacks, problems = _kinds(layout)
    for event in (events.PRE, events.POST):
        if kinds[event.command] == kernels.SKIP:
            fault = problems[0].partition(": ")[2] if problems else f"no {event.name} events are declared"
            raise ReplayError(fault + " (the table of payload sizes at offset 15)", where)
    raw, seats = np.frombuffer(data, np.uint8), _seats(start)
    walk = _Walk(raw, np.where(layout.declared, layout.sizes, -1), kinds, seats)
    found = _survey(walk, layout)
    if not len(found.ids):
        raise ReplayError(f"no frames between offset {layout.first} and {found.stopped}", where)
    problems += _faults(data, layout, found)
    recording, lost = _fill(walk, _choose(found, rollbacks), found.counts, start)
    if lost:
        problems.append(f"{lost} item events beyond 15 at once were left out")
    recording = replace(recording, lacks=lacks, end=_finish(raw, found.ended, layout))
    return Read(recording, len(found.ids), problems, found.stopped)


class _Walk(NamedTuple):
    """What the kernels take of a file."""

    data: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    seats: NDArray[np.int64]


def _fill(walk: _Walk, spans: NDArray[np.int64], counts: NDArray[np.int64], start: Start) -> tuple[Recording, int]:
    """The columns of the chosen rows, and how many items found no slot."""
    count, players = len(spans), len(start.seats)
    pre = np.zeros((2, count, players), events.PRE_COLUMNS)  # followers apart: without one that half is never touched
    post = np.zeros((2, count, players), events.POST_COLUMNS)
    present, marks = np.zeros((2, count, players), np.uint8), np.zeros(count, np.uint8)
    items = np.zeros(int(counts[events.ITEM_UPDATE]), events.ITEM_COLUMNS)
    begin, close = np.zeros(count, events.START_COLUMNS), np.zeros(count, events.END_COLUMNS)
    stage = np.zeros((int(sum(counts[event.command] for event in events.STAGE_EVENTS)), 2), np.int64)
    filled = ((events.PRE, pre), (events.POST, post), (events.ITEM, items), (events.START, begin), (events.END, close))
    tables = tuple(events.tables(event, to.dtype, int(walk.sizes[event.command])) for event, to in filled)
    targets = tuple(views(to) for _, to in filled)
    there = present.reshape(-1)
    data, sizes, kinds, seats = walk
    taken, moves = kernels.fill(data, spans, sizes, kinds, seats, players, tables, targets, there, marks, stage)
    items, stage = items[:taken], stage[:moves]
    slots = np.empty(taken, np.int8)
    # columns of one item alone lie otherwise in memory than those of many, and would be compiled for a second time
    of, which = (np.ascontiguousarray(items[name]) for name in ("row", "spawn_id"))
    lost = kernels.item_slots(of, which, slots) if taken else 0
    platforms, whispy, stadium = (_stage_events(walk, event, stage) for event in events.STAGE_EVENTS)
    recording = Recording(
        start=start, frame=spans[:, 0].astype(np.int32), pre=np.moveaxis(pre, 0, -1), post=np.moveaxis(post, 0, -1),
        present=np.moveaxis(present, 0, -1), frame_start=begin, frame_end=close, marks=marks, items=items, slots=slots,
        platforms=platforms, whispy=whispy, stadium=stadium,
    )  # fmt: skip
    return recording, lost


def _survey(walk: _Walk, layout: Layout) -> kernels.Survey:
    room = (layout.end - layout.first) // _SMALLEST_ROW + 1
    found = kernels.survey(walk.data, layout.first, layout.end, *walk[1:], room)
    count, ids, begins, stops, counts, faults, stopped, ended = found
    return kernels.Survey(ids[:count], begins[:count], stops[:count], counts, faults, stopped, ended)


_FAULTS = {
    kernels.STRANGE: "of a kind that is not known",
    kernels.IMPOSSIBLE: "with an impossible frame number",
    kernels.BEYOND: "of players beyond port 4",
    kernels.EMPTY: "of ports on which nobody plays",
    kernels.ASTRAY: "with another number than their frame's",
}


def _faults(data: bytes, layout: Layout, found: kernels.Survey) -> list[str]:
    problems, left = [], layout.end - found.stopped
    for fault in kernels.FAULTS:
        count, at = found.faults[fault].tolist()
        if count:
            problems.append(f"byte {at}: {count} event{'s' if count > 1 else ''} {_FAULTS[fault]}, left out")
    if found.ended < 0:
        problems.append(f"byte {found.stopped}: no game end event")
        if left:
            problems.append(f"byte {found.stopped}: an event that cannot be read; nothing after it was")
    elif left and not data.startswith(b"U\x08metadata", found.stopped):
        problems.append(f"byte {found.stopped}: {left} bytes after the game end event, left out")
    return problems


def with_origin(recording: Recording, start: Start, metadata: dict[str, Any]) -> Recording:
    """The recording with what its metadata add."""
    return replace(recording, start=start, metadata=metadata)
