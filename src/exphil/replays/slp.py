"""One ``.slp`` file to one ``Replay``: its columns, who played, and what was wrong with it.

``read`` takes two-player games of Slippi 2.0 to 3.19 and keeps the first version of a frame that netplay rolled back.
``peek`` reads the start block alone. Both raise ``ReplayError`` with the file and the reason when there is nothing
usable; smaller faults are listed in ``problems``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exphil.errors import ReplayError
from exphil.game.frames import ITEM, PLAYER, ROW, Game, Lacks
from exphil.replays import container, kernels
from exphil.replays.container import Layout, Seat, Start

_HEAD_BYTES = 1024  # holds the start event of every version we know (it ends before byte 814)


@dataclass(frozen=True)
class Replay:
    """A game and what its file says about it."""

    path: Path
    start: Start
    game: Game
    rows: int  # recorded rows, versions that netplay rolled back included
    digest: str  # of the file's bytes: the same game under another name has the same
    problems: tuple[str, ...]

    @property
    def ports(self) -> tuple[int, ...]:
        """The occupied ports, 1..4, in order; seat 0 of the game is the first."""
        return tuple(seat.port for seat in self.start.seats)

    @property
    def frames(self) -> int:
        """Distinct frame numbers."""
        return len(self.game)

    @property
    def characters(self) -> tuple[int, ...]:
        """Internal character numbers by seat, as chosen (Popo for the Ice Climbers)."""
        return tuple(seat.character for seat in self.start.seats)

    @property
    def lacks(self) -> Lacks:
        """Columns that this file does not hold."""
        return Lacks(int(self.game.lacks[0])) if len(self.game) else Lacks(0)


RECORDED_FROM = {
    Lacks.INVULNERABLE: (2, 1),
    Lacks.ITEMS: (3, 0),
    Lacks.SPEEDS: (3, 5),
    Lacks.ITEM_OWNER: (3, 6),
    Lacks.HITLAG: (3, 8),
}
"""The first Slippi version that records the columns of each bit."""


def lacking(lacks: Lacks) -> str:
    """The columns of ``lacks`` in words, each with the Slippi version that first recorded it; empty for none."""
    named = [(bit.name or "", version) for bit, version in RECORDED_FROM.items() if bit in lacks]
    return ", ".join(
        f"{name.lower().replace('_', ' ')} (recorded from {major}.{minor} on)" for name, (major, minor) in named
    )


def _lacks(start: Start, items: int) -> Lacks:
    found = Lacks(0)
    for bit, version in RECORDED_FROM.items():
        if start.version[:2] < version and (bit != Lacks.ITEM_OWNER or items):
            found |= bit
    return found


def _with_codes(start: Start, metadata: dict[str, Any]) -> Start:
    """Before 3.9 the connect codes stand in the metadata only."""
    players = metadata.get("players")
    seats = []
    for seat in start.seats:
        entry = players.get(str(seat.port - 1)) if isinstance(players, dict) else None
        names = entry.get("names") if isinstance(entry, dict) else None
        names = names if isinstance(names, dict) else {}
        code, name = seat.code or str(names.get("code") or ""), seat.name or str(names.get("netplay") or "")
        seats.append(Seat(seat.port, seat.character, seat.human, seat.stocks, seat.tag, code, name))
    return Start(start.version, start.stage, start.teams, tuple(seats), start.match_id)


def peek(path: Path) -> Start:
    """The start block of a file, without reading the game.

    Raises:
        ReplayError: not a replay, or not one that ``read`` takes.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            found = container.layout(head, where)
            needed = found.first + 1 + int(found.sizes[container.GAME_START])
            if needed > _HEAD_BYTES:  # a version we do not know, or damage: either must be told as ``read`` tells it
                head += file.read(needed - _HEAD_BYTES)
    except OSError as error:
        raise ReplayError(f"cannot be read ({error.strerror})", where) from error
    start = container.start_block(head, container.layout(head, where), where)
    container.check_supported(start, where)
    return start


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        ReplayError: the system does not give them.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReplayError(f"cannot be read ({error.strerror})", str(path)) from error


def read(path: Path) -> Replay:
    """A whole game.

    Raises:
        ReplayError: not a replay, not one that this reader takes, or no complete frame in it.
    """
    return parse(read_bytes(path), path)


def digest(data: bytes) -> str:
    """Sixteen letters that tell one file's bytes from another's."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def parse(data: bytes, path: Path) -> Replay:
    """``read`` for bytes that are in memory already; ``path`` names them in messages."""
    where = str(path)
    layout = container.layout(data, where)
    start = container.start_block(data, layout, where)
    container.check_supported(start, where)
    _check_sizes(layout, where)
    ports = np.full(4, -1, np.int64)
    for index, seat in enumerate(start.seats):
        ports[seat.port - 1] = index
    raw = np.frombuffer(data, np.uint8)
    found = kernels.Survey(*kernels.survey(raw, layout.first, layout.end, layout.sizes, ports))
    problems = [*layout.problems, *_walk_problems(layout, found)]
    count = found.last_frame - found.first_frame + 1
    if count < 1:
        raise ReplayError(f"no frames between offset {layout.first} and {found.stopped}", where)
    if count > 2 * found.rows + 1000:  # a damaged number must not ask for gigabytes
        raise ReplayError(
            f"frame numbers run from {found.first_frame} to {found.last_frame} in {found.rows} recorded frames", where
        )
    rows, seen = kernels.empty_rows(count), np.zeros(count, np.uint8)
    tables = (
        kernels.field_table(kernels.PRE_FIELDS, PLAYER, int(layout.sizes[container.PRE_FRAME])),
        kernels.field_table(kernels.POST_FIELDS, PLAYER, int(layout.sizes[container.POST_FRAME])),
        kernels.field_table(kernels.ITEM_FIELDS, ITEM, int(layout.sizes[container.ITEM_UPDATE])),
    )
    span = (layout.first, min(found.stopped, layout.end))
    lost = kernels.fill(raw, span, layout.sizes, ports, found.first_frame, tables, rows, seen)
    if lost:
        problems.append(f"{lost} item events beyond 15 at once were left out")
    complete = int(np.argmax(seen != 15)) if (seen != 15).any() else count
    if complete < count:
        stopped = f"frame {found.first_frame + complete}: a player's events are missing"
        problems.append(f"{stopped}; the {count - complete} frames from there are left out")
    if complete == 0:
        raise ReplayError("no complete frame", where)
    named = rows[:complete].view(ROW)[:, 0]
    named["frame"] = np.arange(found.first_frame, found.first_frame + complete)
    named["stage"] = min(start.stage, 0x7FFF)  # no stage is above 285; modded and damaged files name up to 65535
    named["lacks"] = int(_lacks(start, found.items))
    start = _with_codes(start, container.metadata(data, layout))
    return Replay(path, start, Game(rows[:complete]), found.rows, digest(data), tuple(problems))


def _check_sizes(layout: Layout, where: str) -> None:
    for name, command, smallest in (
        ("pre-frame", container.PRE_FRAME, kernels.SMALLEST_PRE),
        ("post-frame", container.POST_FRAME, kernels.SMALLEST_POST),
    ):
        if layout.sizes[command] < smallest:
            size = int(layout.sizes[command])
            raise ReplayError(f"its {name} events are said to hold {size} bytes, at least {smallest} are needed", where)


def _walk_problems(layout: Layout, found: kernels.Survey) -> list[str]:
    problems = []
    if found.ended < 0:
        problems.append(f"byte {found.stopped}: no game end event")
        if found.stopped < layout.end:
            problems.append(f"byte {found.stopped}: an event that cannot be read; nothing after it was")
    return problems
