"""A packed ``Game`` of two players to the bytes of a ``.slp`` file.

A ``Game`` holds less than a recording. What it lacks is filled in so that the file reads back to the same ``Game``:
the pre-frame state of a character is its state of the frame before, raw sticks are the processed ones times 80, the
analog trigger is the left one unless only R is pressed, a new item gets the next spawn id, hitstun sets its flag, and
everything else is 0. ``style`` and the random numbers of the game are not in the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.errors import ReplayError
from exphil.game.frames import Game, Lacks
from exphil.game.ids import Button, Stage
from exphil.game.time import FIRST_FRAME, FRAMES_PER_SECOND, MAX_FRAMES
from exphil.replays import events, kernels
from exphil.replays.container import Seat, Start
from exphil.replays.events import ROW_FIELD, Event
from exphil.replays.recording import Columns, End, Recording
from exphil.replays.seats import POST_NAMES, PRE_NAMES, START_HEIGHTS
from exphil.replays.write import VERSION, write

STARTED = "2001-11-21T00:00:00Z"
"""When a game is said to have begun unless told otherwise: the day Melee came out. No clock is read, so equal games
give equal files."""

_ANY_TRIGGER = 0x80000000
_BOTH = kernels.HAS_PRE | kernels.HAS_POST


def seats_of(game: Game) -> tuple[Seat, Seat]:
    """Two humans on ports 1 and 2 who play what the first row shows; change them with ``_replace``."""
    players = game.players
    first, second = (
        Seat(seat + 1, int(players.character[0, seat]), True, int(players.stocks[0, seat]), bits=0xC0)
        for seat in range(2)
    )
    return first, second


def ending(game: Game, seats: tuple[Seat, Seat]) -> End:
    """How a game ended by its last row: a last stock lost, the clock, or neither (no contest)."""
    stocks, percent, last = game.players.stocks[-1], game.players.percent[-1], int(game.frame[-1])
    method = 2 if (stocks == 0).any() else 1 if last >= MAX_FRAMES - 1 else 7
    places = [-1, -1, -1, -1]
    behind = (stocks[0], -percent[0]) < (stocks[1], -percent[1])
    places[seats[0].port - 1], places[seats[1].port - 1] = int(behind), int(not behind)
    return End(method, None, (places[0], places[1], places[2], places[3]))


def from_game(
    game: Game,
    seats: tuple[Seat, Seat] | None = None,
    *,
    end: End | None = None,
    random_seed: int = 0,
    started: str = STARTED,
    played_on: str = "exphil",
) -> bytes:
    """The file of a game of two.

    Args:
        game: ``(T,)`` rows, numpy, of one match: frame numbers rise.
        seats: Who plays player 0 and player 1, in the order of their ports; by default ``seats_of``.
        end: How it ended; by default ``ending``.
        random_seed: Of the start block.
        started: ISO 8601, for the metadata.
        played_on: For the metadata.

    Raises:
        ReplayError: no rows, or a character without a number in a start block.
    """
    if not len(game):
        raise ReplayError("a game without frames cannot be written")
    seats = seats or seats_of(game)
    start = Start(
        VERSION, int(game.stage[0]), False, seats, random_seed=random_seed,
        timer=MAX_FRAMES // FRAMES_PER_SECOND, pal=False, frozen_stadium=False, scene=(2, 2), language=1,
        game_number=0, tiebreak=0, bits=(50, 1, 0x8E, 0x4C), suicide_score=-1, item_bits=(255, 255, 255, 255, 255),
    )  # fmt: skip
    metadata = {"startAt": started, "lastFrame": int(game.frame[-1]), "players": _players(game, seats)}
    with np.errstate(invalid="ignore", over="ignore"):  # a diverging simulation may hold anything, and is written so
        recording = _recording(game, start, end or ending(game, seats))
    return write(recording, {**metadata, "playedOn": played_on})


def _players(game: Game, seats: tuple[Seat, Seat]) -> dict[str, Any]:
    found = {}
    for index, seat in enumerate(seats):
        characters: dict[str, int] = {}
        for group in (game.players, game.nana):
            numbers, counts = np.unique(group.character[:, index][group.exists[:, index] != 0], return_counts=True)
            characters |= {str(int(number)): int(count) for number, count in zip(numbers, counts, strict=True)}
        names = {"netplay": seat.name, "code": seat.code} if seat.name or seat.code else {}
        found[str(seat.port - 1)] = {"names": names, "characters": characters}
    return found


def _recording(game: Game, start: Start, end: End) -> Recording:
    count = len(game)
    pre, post = np.zeros((count, 2, 2), events.PRE_COLUMNS), np.zeros((count, 2, 2), events.POST_COLUMNS)
    present = np.zeros((count, 2, 2), np.uint8)
    for follower, group in enumerate((game.players, game.nana)):
        _character(group, pre[:, :, follower], post[:, :, follower])
        present[:, :, follower] = np.where(group.exists != 0, _BOTH, 0)
    post["flags_5"][:, :, 1] = 8  # is a follower
    begin, close = np.zeros(count, events.START_COLUMNS), np.zeros(count, events.END_COLUMNS)
    begin["random_seed"], begin["scene_frame"] = start.random_seed, game.frame - FIRST_FRAME
    close["finalized"] = game.frame
    items = _items(game, start.seats)
    return Recording(
        start, np.array(game.frame), pre, post, present, begin, close,
        np.full(count, kernels.HAS_START | kernels.HAS_END, np.uint8), items, np.zeros(len(items), np.int8),
        _platforms(game), _changes(events.WHISPY, "direction", game.whispy),
        _changes(events.STADIUM, "type", game.stadium), frozenset(), end,
    )  # fmt: skip


def _character(group: Any, pre: Columns, post: Columns) -> None:
    """The events of the leaders or of the followers, ``(T, 2)``."""
    for name in POST_NAMES:
        post[name] = getattr(group, name)
    post["airborne"], post["hurtbox"], post["misc"] = group.on_ground == 0, group.invulnerable, group.hitstun
    post["flags_4"] = np.where(np.ascontiguousarray(group.hitstun).view(np.int32) != 0, 2, 0)
    for name in PRE_NAMES:
        pre[name] = getattr(group, name)
    for name in ("action", "x", "y", "facing", "percent"):
        pre[name][:1], pre[name][1:] = post[name][:1], post[name][:-1]
    for raw, stick in (("raw_main_x", "main_x"), ("raw_main_y", "main_y"), ("raw_c_x", "c_x"), ("raw_c_y", "c_y")):
        pre[raw] = np.nan_to_num(np.clip(np.rint(getattr(group, stick).astype(np.float64) * 80), -128, 127))
    right = (group.buttons & (Button.L | Button.R)) == Button.R
    pre["trigger_l"], pre["trigger_r"] = np.where(right, 0, group.shoulder), np.where(right, group.shoulder, 0)
    pre["processed_buttons"] = pre["buttons"] | np.where(group.shoulder > 0, np.uint32(_ANY_TRIGGER), np.uint32(0))


def _items(game: Game, seats: tuple[Seat, ...]) -> Columns:
    exists = game.items.exists != 0
    row, slot = np.nonzero(exists)
    new = exists.copy()
    new[1:] &= ~exists[:-1]
    born = np.zeros(exists.shape, np.int64)
    born[new] = np.arange(1, new.sum() + 1)
    items = np.zeros(len(row), events.ITEM_COLUMNS)
    items["row"], items["spawn_id"] = row, (np.maximum.accumulate(born, axis=0) - 1)[row, slot]
    for name in ("type", "state", "x", "y", "vx", "vy"):
        items[name] = getattr(game.items, name)[row, slot]
    owner = game.items.owner[row, slot]
    items["owner"] = np.select([owner > 0, owner < 0], [seats[0].port - 1, seats[1].port - 1], -1)
    items["facing"] = np.sign(np.nan_to_num(items["vx"]))
    return items


def _changes(event: Event, name: str, values: NDArray[np.generic], before: float = 0, **rest: int) -> Columns:
    """An event on every row whose value is not, to the bit, that of the row before."""
    all_values = np.concatenate([np.array([before], values.dtype), values])
    bits = all_values.view(f"u{values.itemsize}")
    moved = np.flatnonzero(bits[1:] != bits[:-1])
    columns = np.zeros(len(moved), event.columns(ROW_FIELD))
    columns["row"], columns[name] = moved, values[moved]
    for key, value in rest.items():
        columns[key] = value
    return columns


def _platforms(game: Game) -> Columns:
    if game.stage[0] != Stage.FOUNTAIN_OF_DREAMS or game.lacks[0] & Lacks.PLATFORMS:
        return np.zeros(0, events.PLATFORM.columns(ROW_FIELD))
    moves = [
        _changes(events.PLATFORM, "height", game.platforms[:, at], START_HEIGHTS[at], side=side)
        for at, side in enumerate((1, 0))
    ]
    whole = np.concatenate(moves)
    return whole[np.argsort(whole["row"], kind="stable")]
