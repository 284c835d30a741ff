"""One ``.slp`` file to one ``Replay``: its columns, who played, how it ended, and what was wrong with it.

``read`` takes Slippi 0.1 to 3.19 and any number of players; ``peek`` reads the start block alone. Both raise
``ReplayError`` with the file and the reason when there is nothing usable; smaller faults are listed in ``problems``
with their byte offsets. ``Replay.recording`` holds every column; ``Replay.game`` is the packed ``Game`` of two players.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from exphil.errors import ReplayError
from exphil.game.frames import Game, Lacks
from exphil.replays import container, recording, seats
from exphil.replays.container import Start
from exphil.replays.recording import End, Recording, Rollbacks
from exphil.replays.seats import RECORDED_FROM

__all__ = ["RECORDED_FROM", "Replay", "digest", "lacking", "parse", "peek", "peek_bytes", "read", "read_bytes"]

HEAD_BYTES = 1024
"""The start of a file that ``peek_bytes`` wants: it holds the start event of every version we know (it ends before byte
814)."""

_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class Replay:
    """A game and what its file says about it."""

    path: Path
    start: Start
    recording: Recording
    rows: int  # recorded rows, versions that netplay rolled back included
    problems: tuple[str, ...]
    data: bytes = field(repr=False)  # of the file

    @property
    def ports(self) -> tuple[int, ...]:
        """The occupied ports, 1..4, in order; seat 0 of the game is the first."""
        return tuple(seat.port for seat in self.start.seats)

    @property
    def frames(self) -> int:
        """Distinct frame numbers, up to the first frame in which a player's events are missing; as ``game`` has."""
        return int(self.recording.whole.stop - self.recording.whole.start)

    @property
    def duplicates(self) -> int:
        """Recorded rows beyond one for each frame number: frames that netplay rolled back."""
        return self.rows - len(self.recording)

    @property
    def characters(self) -> tuple[int, ...]:
        """Internal character numbers by seat, as chosen (Popo for the Ice Climbers)."""
        return tuple(seat.character for seat in self.start.seats)

    @property
    def end(self) -> End | None:
        """The game end event; None when the file has none."""
        return self.recording.end

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata element; empty when the file has none."""
        return self.recording.metadata

    @cached_property
    def lacks(self) -> Lacks:
        """Columns of ``game`` that this file does not hold."""
        return seats.lacks(self.recording)

    @cached_property
    def game(self) -> Game:
        """The packed rows of a game of two, ``(frames,)``; made when first asked for.

        Raises:
            ReplayError: another number of players.
        """
        try:
            return seats.pack(self.recording)
        except ReplayError as error:
            raise ReplayError(error.what, str(self.path)) from None

    @cached_property
    def digest(self) -> str:
        """Of the file's bytes: the same game under another name has the same."""
        return digest(self.data)


def lacking(lacks: Lacks) -> str:
    """The columns of ``lacks`` in words, each with the Slippi version that first recorded it; empty for none."""
    named = [(bit.name or "", version) for bit, version in RECORDED_FROM.items() if bit in lacks]
    return ", ".join(
        f"{name.lower().replace('_', ' ')} (recorded from {major}.{minor} on)" for name, (major, minor) in named
    )


def lacking_by_version(start: Start) -> Lacks:
    """The columns that a file lacks for certain, by its start block alone.

    Whether an old file lacks the owners of items depends on whether there were any: that is left to the game.
    """
    lacks = Lacks(0)
    for bit, version in RECORDED_FROM.items():
        if start.version[:2] < version and bit != Lacks.ITEM_OWNER:
            lacks |= bit
    return lacks & ~seats.standing_still(start)


def _with_codes(start: Start, metadata: dict[str, Any]) -> Start:
    """Before 3.9 the connect codes stand in the metadata only."""
    players = metadata.get("players")
    seats = []
    for seat in start.seats:
        entry = players.get(str(seat.port - 1)) if isinstance(players, dict) else None
        names = entry.get("names") if isinstance(entry, dict) else None
        names = names if isinstance(names, dict) else {}
        code, name = seat.code or str(names.get("code") or ""), seat.name or str(names.get("netplay") or "")
        seats.append(seat._replace(code=code, name=name))
    return start._replace(seats=tuple(seats))


def peek_bytes(head: bytes, where: str) -> Start:
    """The start block of a file whose first bytes are given, ``HEAD_BYTES`` of them or the whole file.

    Raises:
        ReplayError: not a replay, or not one that ``read`` takes.
    """
    first, size = container.start_size(head, where)
    if len(head) >= HEAD_BYTES:  # the rest of a longer event is in the file and means nothing to us
        size = min(size, len(head) - first - 1)
    return _start(head, first, size, where)


def _start(head: bytes, first: int, size: int, where: str) -> Start:
    start = container.start_at(head, first, size, len(head), where)
    container.check_version(start, where)
    return start


def peek(path: Path) -> Start:
    """The start block of a file, without reading the game.

    Raises:
        ReplayError: not a replay, or not one that ``read`` takes.
    """
    where = str(path)
    try:
        opened = os.open(where, _OPEN)
        try:
            head = os.read(opened, HEAD_BYTES)
            first, size = container.start_size(head, where)
            if first + 1 + size > HEAD_BYTES:  # a version that we do not know, or damage: ``read`` takes it too
                head += os.read(opened, first + 1 + size - HEAD_BYTES)
        finally:
            os.close(opened)
    except OSError as error:
        raise ReplayError(f"cannot be read ({error.strerror})", where) from error
    return _start(head, first, size, where)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        ReplayError: the system does not give them.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReplayError(f"cannot be read ({error.strerror})", str(path)) from error


def read(path: Path, rollbacks: Rollbacks = "first") -> Replay:
    """A whole game.

    Args:
        path: The file.
        rollbacks: Which version of a frame that netplay rolled back is kept.

    Raises:
        ReplayError: not a replay, not one that this reader takes, or no complete frame in it.
    """
    return parse(read_bytes(path), path, rollbacks)


def digest(data: bytes) -> str:
    """Sixteen letters that tell one file's bytes from another's."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def parse(data: bytes, path: Path, rollbacks: Rollbacks = "first") -> Replay:
    """``read`` for bytes that are in memory already; ``path`` names them in messages."""
    where = str(path)
    layout = container.layout(data, where)
    start = container.start_block(data, layout, where)
    container.check_version(start, where)
    if not start.seats:
        raise ReplayError(f"nobody plays by the start event at offset {layout.first}", where)
    events = recording.record(data, layout, start, where, rollbacks)
    problems = [*layout.problems, *events.problems]
    if start.version[:2] > container.NEWEST:
        problems.append(f"byte {layout.first}: a version newer than 3.19; what it added is not read")
    problems += _missing(events.recording)
    if events.recording.whole.stop == 0:
        raise ReplayError(f"no complete frame from offset {layout.first} on", where)
    found = container.metadata(data, layout.end)
    if found is None:
        found = container.metadata(data, events.after)  # where it lies in a file that was not finished
    if found is None:
        problems.append(f"byte {min(layout.end, events.after)}: no metadata")
    return _replay(path, data, start, events, problems, found or {})


def _missing(recording: Recording) -> list[str]:
    whole, frame = recording.whole, recording.frame
    problems = []
    if whole.start:
        many = f"the {whole.start} frames before frame {frame[whole.start]} are left out"
        problems.append(f"frame {frame[0]}: a player's events are missing; {many}")
    if 0 < whole.stop < len(frame):
        many = f"the {len(frame) - whole.stop} frames from there are left out"
        problems.append(f"frame {frame[whole.stop]}: a player's events are missing; {many}")
    return problems


def _replay(
    path: Path, data: bytes, start: Start, events: recording.Read, problems: list[str], metadata: dict[str, Any]
) -> Replay:
    known = _with_codes(start, metadata)
    told = recording.with_origin(events.recording, known, metadata)
    return Replay(path, known, told, events.rows, tuple(problems), data)
