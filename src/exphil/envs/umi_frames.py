"""Frames of the Computer Melee Championship (UMI) as games: the same columns as a replay gives.

UMI's ``Frame[N]`` enters, one row a game, the bot first; a ``Game`` of ``(N,)`` leaves, seen from the bot's seat 0.
Columns are found by the names of the frame's fields; the library ``umi`` is not needed.

What differs from a recording, and how it is met:

- Controllers are what was handed in, a recording has what the game read of it. Sticks (0..1, steps of 1/160) and the
  trigger are therefore taken as the game reads them: dead zone, floor, full depth on a click. ``as_read`` of
  ``features.action`` says the same of decided controllers; a test compares the two. Of the d-pad only up is there, and
  no Start.
- An item keeps its place for life in both, but there the next item gets the place that became free last, in a recording
  the first one. ``Places`` tells which place it would have there.
- The form of Pokemon Stadium and Whispy's wind are not shown: ``Lacks`` says so on these stages.
- Nana has no controller (zeros), players no style (0). Percent, hitlag, hitstun and the frame of an action are whole
  numbers; the feature table floors percent and action frames anyway, and the other two are whole in recordings too.
- Randall follows from the frame number (``game.stages``), so UMI's own is not read.

What can go wrong: ``DataError`` for an array without these fields, as of another version of UMI.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.errors import DataError
from exphil.game.controller import STICK_FLOOR, STICK_STEPS, TRIGGER_FLOOR, TRIGGER_STEPS, Z_DEPTH
from exphil.game.frames import ITEM, NUM_ITEMS, PLAYER, ROW, ROW_BYTES, Game, Lacks
from exphil.game.ids import Button, Stage, stage_from_memory

Ints = NDArray[np.int64]
BUTTONS = (Button.A, Button.B, Button.X, Button.Y, Button.Z, Button.L, Button.R, Button.D_UP)
"""Bit i of a frame's buttons, and value i behind the five analog ones of a controller row."""
_SAME = {
    "x": "x",
    "y": "y",
    "action": "action",
    "on_ground": "on_ground",
    "invulnerable": "invulnerable",
    "stocks": "stocks",
    "character": "character",
    "exists": "exists",
    "shield": "shield_strength",
    "jumps": "jumps_left",
    "speed_air_x": "speed_air_x_self",
    "speed_ground_x": "speed_ground_x_self",
    "speed_y": "speed_y_self",
    "speed_x_attack": "speed_x_attack",
    "speed_y_attack": "speed_y_attack",
}
"""Columns of a fighter that hold the same bits here and there."""
_WHOLE = {"percent": "percent", "action_frame": "action_frame", "hitlag": "hitlag_left", "hitstun": "hitstun_left"}
"""Columns that are 16-bit whole numbers there and floats here."""
_SAME_ITEM = ("x", "y", "vx", "vy", "type", "state", "exists")
_STICKS = ("main_x", "main_y", "c_x", "c_y")


def _read_sticks() -> NDArray[np.float32]:
    """``(161,)``: what the game reads of a stick axis at every step of 1/160."""
    steps = np.arange(-STICK_STEPS, STICK_STEPS + 1)
    steps[abs(steps) < round(STICK_FLOOR * STICK_STEPS)] = 0
    return (steps / STICK_STEPS).astype(np.float32)


def _read_depths() -> NDArray[np.float32]:
    """``(256, 141)``: what it reads of the trigger at every step of 1/140, by the buttons that are held."""
    steps = np.arange(TRIGGER_STEPS + 1)
    depths = np.tile(np.where(steps < round(TRIGGER_FLOOR * TRIGGER_STEPS), 0, steps) / TRIGGER_STEPS, (256, 1))
    depths[(_PRESSED & int(Button.L | Button.R)) != 0] = 1
    depths[(_PRESSED & int(Button.Z)) != 0] = Z_DEPTH
    return depths.astype(np.float32)


_PRESSED = (
    ((np.arange(256)[:, None] >> np.arange(len(BUTTONS)) & 1) * np.array(BUTTONS, np.int64)).sum(1).astype(np.int16)
)
"""``(256,)``: our bits of every byte of theirs."""
_STICK, _DEPTH = _read_sticks(), _read_depths()
_MOVES = {Stage.POKEMON_STADIUM: Lacks.STADIUM, Stage.DREAM_LAND: Lacks.WHISPY}
_STAGES = tuple(stage_from_memory(number) for number in range(256))
_STAGE = np.array([stage or 0 for stage in _STAGES], np.int16)
_LACKS = np.array([_MOVES.get(stage, 0) if stage else 0 for stage in _STAGES], np.int16)
_SIDE = np.array([1, -1, *[0] * 254], np.int8)
"""By the byte of an owner: 0 the bot, 1 its opponent, 255 (which is -1) and whatever else nobody."""


class _Layout(NamedTuple):
    """Where the fields of a frame lie, in bytes from its start, and where their columns lie in a row."""

    source: Ints  # bytes that are taken over as they are, and where they go
    target: Ints
    whole: Ints  # bytes of 16-bit numbers, and the floats that they become
    floats: Ints
    sticks: Ints  # bytes of floats, the own player's first, and the floats that they become
    to_sticks: Ints
    shoulder: Ints
    to_shoulder: Ints
    facing: Ints
    to_facing: Ints
    exists: Ints
    buttons: Ints
    owner: Ints
    stage: int


def game(frames: NDArray[np.void], places: Ints | None = None) -> Game:
    """Frames as a game.

    Args:
        frames: ``(N,)`` of UMI's ``FRAME``, each from its bot's seat.
        places: ``(N, 15)``: where each item would stand in a recording (``Places``), -1 for nowhere; None leaves them.

    Returns:
        Shape ``(N,)``, the bot as player 0.

    Raises:
        DataError: the fields are others.
    """
    at, number = _layout(frames.dtype), len(frames)
    raw = np.ascontiguousarray(frames).view(np.uint8).reshape(number, -1)
    rows = np.zeros((number, ROW_BYTES), np.uint8)
    rows[:, at.target] = raw.take(at.source, 1)
    found = Game(rows)
    floats = found.elements("float32")
    floats[:, at.floats] = raw.take(at.whole, 1).view("<i2")
    stage = raw[:, at.stage]
    found.stage[...], found.lacks[...] = _STAGE[stage], _LACKS[stage]
    floats[:, at.to_facing] = (raw.take(at.facing, 1) * np.float32(2) - 1) * raw.take(at.exists, 1)
    buttons = raw.take(at.buttons, 1)
    found.players.buttons[...] = _PRESSED[buttons]
    floats[:, at.to_sticks] = _STICK[_steps(raw.take(at.sticks, 1), 2 * STICK_STEPS)]
    floats[:, at.to_shoulder] = _DEPTH[buttons, _steps(raw.take(at.shoulder, 1), TRIGGER_STEPS)]
    if found.items.exists.any():
        found.items.owner[...] = _SIDE[raw.take(at.owner, 1)] * found.items.exists
        if places is not None:
            _move_items(found, places)
    return found


def _steps(bytes_: NDArray[np.uint8], steps: int) -> Ints:
    """Floats of 0..1 as the nearest of so many steps; what is no number is taken for 1."""
    near = np.rint(bytes_.view("<f4") * np.float32(steps))
    return np.fmax(np.fmin(near, steps), 0).astype(np.int64)


def _move_items(found: Game, places: Ints) -> None:
    """Give every item its place."""
    row, slot = np.nonzero(found.items.exists)
    place = places[row, slot]
    if (place == slot).all():
        return
    first, size = _offset(ROW, "items") // 4, ITEM.itemsize // 4
    words = found.elements("int32")[:, first : first + NUM_ITEMS * size].reshape(-1, NUM_ITEMS, size)  # a view
    held = words[row, slot]
    words[...] = 0
    words[row[place >= 0], place[place >= 0]] = held[place >= 0]


class Places:
    """Where the items of each game would stand in a recording: by the rule of ``replays.kernels.item_slots``.

    An item takes the first place that is free and keeps it; a place is free from the frame after the one that misses
    its item. Items that appear on one frame are taken in the order in which they were spawned.

    Args:
        games: How many games are remembered.
    """

    def __init__(self, games: int) -> None:
        self._known = np.zeros((games, NUM_ITEMS), np.int64)  # by UMI's place: number of the item + 1, 0 for none
        self._places = np.full((games, NUM_ITEMS), -1, np.int64)

    def of(self, frames: NDArray[np.void], rows: Ints, is_first: NDArray[np.bool_]) -> Ints:
        """See one more frame of some games.

        Args:
            frames: ``(N,)``.
            rows: ``(N,)``: which of the remembered games they belong to.
            is_first: bool ``(N,)``: the game begins with this frame.

        Returns:
            ``(N, 15)`` for ``game``.
        """
        if is_first.any():
            self._known[rows[is_first]] = 0
        items = frames["items"]
        there = items["exists"] != 0
        if not (there.any() or self._known[rows].any()):
            return self._places[rows]
        shown = np.where(there, items["spawn_id"].astype(np.int64) + 1, 0)
        for at in np.flatnonzero((shown != self._known[rows]).any(1)).tolist():
            self._change(int(rows[at]), shown[at])
        return self._places[rows]

    def _change(self, row: int, shown: Ints) -> None:
        known, places = self._known[row], self._places[row]
        taken = {int(places[slot]) for slot in np.flatnonzero(known)}
        new = sorted((number, slot) for slot, number in enumerate(shown.tolist()) if number not in (0, known[slot]))
        for _, slot in new:
            place = next((place for place in range(NUM_ITEMS) if place not in taken), -1)
            taken.add(place)
            places[slot] = place
        known[...] = shown


def _offset(kind: np.dtype[Any], name: str) -> int:
    return int(kind.fields[name][1])  # type: ignore[index]


def _bytes(pairs: list[tuple[int, int, int]]) -> tuple[Ints, Ints]:
    """Every byte of ``(source, target, size)``: source and target."""
    found = np.array([(of + at, to + at) for of, to, size in pairs for at in range(size)], np.int64)
    return found[:, 0], found[:, 1]


@lru_cache(maxsize=4)
def _layout(kind: np.dtype[Any]) -> _Layout:
    try:
        return _found(kind)
    except (KeyError, TypeError, AttributeError) as error:
        fix = "this exphil knows the frames of UMI 1.0 (umi-melee 0.1)"
        raise DataError(f"a frame of UMI has no field {error} where it is expected", fix=fix) from None


def _found(kind: np.dtype[Any]) -> _Layout:
    fighter, item = kind["players"].base, kind["items"].base
    pad, held = fighter["controller"], _offset(fighter, "controller")
    pairs = [
        (_offset(kind, group) + side * fighter.itemsize, _offset(ROW, group) + side * PLAYER.itemsize)
        for group in ("players", "nana")
        for side in range(2)
    ]
    things = [
        (_offset(kind, "items") + slot * item.itemsize, _offset(ROW, "items") + slot * ITEM.itemsize)
        for slot in range(NUM_ITEMS)
    ]

    def columns(names: dict[str, str], number: int) -> tuple[Ints, Ints]:
        """The bytes of some fields of the first fighters, and the floats of theirs."""
        listed = [(of, to, our, their) for of, to in pairs[:number] for our, their in names.items()]
        theirs = [(of + _offset(fighter, their), 0, fighter[their].itemsize) for of, _, _, their in listed]
        return _bytes(theirs)[0], np.array([(to + _offset(PLAYER, our)) // 4 for _, to, our, _ in listed])

    def inputs(*names: str) -> tuple[Ints, Ints]:
        theirs = [(of + held + _offset(pad, name), 0, 4) for of, _ in pairs[:2] for name in names]
        return _bytes(theirs)[0], np.array([(to + _offset(PLAYER, name)) // 4 for _, to in pairs[:2] for name in names])

    same = [(_offset(kind, "frame"), _offset(ROW, "frame"), 4)]
    same += [
        (_offset(kind, f"fod_{side}"), _offset(ROW, "platforms") + at, 4) for side, at in (("left", 0), ("right", 4))
    ]
    same += [
        (of + _offset(fighter, their), to + _offset(PLAYER, our), PLAYER[our].itemsize)
        for of, to in pairs
        for our, their in _SAME.items()
    ]
    same += [
        (of + _offset(item, name), to + _offset(ITEM, name), ITEM[name].itemsize)
        for of, to in things
        for name in _SAME_ITEM
    ]
    return _Layout(
        *_bytes(same),
        *columns(_WHOLE, 4),
        *inputs(*_STICKS),
        *inputs("shoulder"),
        *columns({"facing": "facing"}, 4),
        exists=np.array([of + _offset(fighter, "exists") for of, _ in pairs]),
        buttons=np.array([of + held + _offset(pad, "buttons") for of, _ in pairs[:2]]),
        owner=np.array([of + _offset(item, "owner") for of, _ in things]),
        stage=_offset(kind, "stage"),
    )
