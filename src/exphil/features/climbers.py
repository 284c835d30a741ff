"""What Ice Climbers players look at: where Nana is, who of the two can act, who holds the opponent, who can take over.

Sixteen rows for each side, 32 floats in all, read from the columns of one frame. "Popo" is the side's leader and "the
other" is the leader of the other side. Where there is no Nana, all are zero. A player of Ice Climbers has one stick for
both of them: what he can do follows from who of them can act (desync) and from who holds or can reach the other while
the other cannot act (handoff, regrab). hitlag would say more and is not read: files before Slippi 3.8 lack it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exphil.features.rows import Feature, Part
from exphil.features.view import Constant, View
from exphil.game.frames import Array, Group
from exphil.game.ids import CAPTURED, NUM_ACTIONS, THROWN

GRAB_REACH, GRAB_HEIGHT = 15.0, 11.0
"""Game units from Nana to the other within which a grab may take hold: in front of her, and above or below.

Approximate: the most that was seen on the frame before 18 grabs of Ice Climbers in three recorded games (0.2 to 14.8
ahead, 10.6 below to 2.5 above). How far a grab reaches depends on whom it meets."""

_GRAB = (((0xD4, 0xD4), 0.25), ((0xD6, 0xD6), 0.25), ((0xD5, 0xD5), 0.5), ((0xD7, 0xD8), 0.5), ((0xD9, 0xD9), 0.75))
_THROW = ((0xDB, 0xDE), 1.0)
_HELD = (*((states, 0.5) for states in CAPTURED), *((states, 1.0) for states in THROWN))


def _steps(*ranges: tuple[tuple[int, int], float]) -> NDArray[np.float32]:
    """``(399,)``: a number for the action states of each range, else 0."""
    found = np.zeros(NUM_ACTIONS, np.float32)
    for (first, last), value in ranges:
        found[first : last + 1] = value
    return found


TABLES: dict[str, Constant] = {"grab": Constant(_steps(*_GRAB, _THROW)), "held": Constant(_steps(*_HELD))}
"""By the game's action state table, float32 ``(399,)``. ``grab``: 1/4 reaching, 1/2 holding (the pull included), 3/4
pummelling, 1 throwing; an escape (0xDA) is 0. ``held``: 1/2 in somebody's hands, 1 being thrown."""


def _other(column: Array) -> Array:
    """A column of the leaders, ``S + (2,)``, as the other side's."""
    return column[..., [1, 0]]


def _apart(view: View, nana: Group, axis: str) -> Array:
    return getattr(nana, axis) - getattr(view.players, axis)


def _same_facing(view: View, nana: Group) -> Array:
    return nana.facing * view.players.facing


def _distance(view: View, nana: Group) -> Array:
    dx, dy = _apart(view, nana, "x"), _apart(view, nana, "y")
    return view.module.sqrt(dx * dx + dy * dy)


def _same_action(view: View, nana: Group) -> Array:
    return view.action(nana) == view.action(view.players)


def _gap(view: View, nana: Group) -> Array:
    return nana.action_frame // 1 - view.players.action_frame // 1


def _can_act(view: View, group: Group) -> Array:
    return view.integer(view.table("can_act")[view.action(group)])


def _grab(view: View, group: Group) -> Array:
    return TABLES["grab"].on(view.game.rows)[view.action(group)]


def _held(view: View) -> Array:
    return TABLES["held"].on(view.game.rows)[_other(view.action(view.players))]


def _held_frames(view: View, nana: Group) -> Array:
    return (_held(view) > 0) * (_other(view.players.action_frame) // 1)


def _ahead(view: View, nana: Group) -> Array:
    return (_other(view.players.x) - nana.x) * nana.facing


def _above(view: View, nana: Group) -> Array:
    return _other(view.players.y) - nana.y


def _in_reach(view: View, nana: Group) -> Array:
    ahead = _ahead(view, nana)
    return (ahead >= 0) & (ahead <= GRAB_REACH) & (abs(_above(view, nana)) <= GRAB_HEIGHT)


def _handoff(view: View, nana: Group) -> Array:
    throws = (_grab(view, view.players) == 1) | (_grab(view, nana) == 1)
    return (throws & (_held(view) == 0)) * _other(view.players.hitstun)


PART = Part(
    "ic tech",
    (
        Feature("ic.dx", 1, lambda v, n: _apart(v, n, "x"), -10, 10, "Nana's x less Popo's, x 0.05", -1, 0.05),
        Feature("ic.dy", 1, lambda v, n: _apart(v, n, "y"), -10, 10, "Nana's y less Popo's, x 0.05", 1, 0.05),
        Feature("ic.distance", 1, _distance, 0, 10, "between Nana and Popo, x 0.05", 1, 0.05),
        Feature("ic.same_facing", 1, _same_facing, -1, 1, "1 both face the same way, -1 opposite ways"),
        Feature("ic.same_action", 1, _same_action, 0, 1, "1 in the same action state"),
        Feature(
            *("ic.action_frame_gap", 1, _gap, -2, 2, "floor(frame of Nana's action) - floor(Popo's), / 60"),
            scale=1 / 60,
        ),
        Feature("ic.popo_can_act", 1, lambda v, _: _can_act(v, v.players), 0, 1, "a state that a press leaves at once"),
        Feature(
            *("ic.one_can_act", 1, lambda v, n: _can_act(v, n) - _can_act(v, v.players), -1, 1),
            "a window to desync: 1 Nana alone can act, -1 Popo alone, 0 both or neither",
        ),
        Feature(
            *("ic.popo_grab", 1, lambda v, _: _grab(v, v.players), 0, 1),
            "1/4 reaching, 1/2 holding, 3/4 pummelling, 1 throwing",
        ),
        Feature("ic.nana_grab", 1, _grab, 0, 1, "1/4 reaching, 1/2 holding, 3/4 pummelling, 1 throwing"),
        Feature("ic.held", 1, lambda v, _: _held(v), 0, 1, "the other: 1/2 is held, 1 is being thrown"),
        Feature(
            *("ic.held_frames", 1, _held_frames, 0, 2),
            "floor(frame of the other's action) / 60 while held or thrown",
            scale=1 / 60,
        ),
        Feature("ic.ahead", 1, _ahead, -10, 10, "how far the other is in front of Nana, x 0.05", 1, 0.05),
        Feature("ic.above", 1, _above, -10, 10, "how far the other is above Nana, x 0.05", 1, 0.05),
        Feature(
            *("ic.in_reach", 1, _in_reach, 0, 1),
            f"1 when the other is at most {GRAB_REACH:g} in front of Nana and {GRAB_HEIGHT:g} above or below",
        ),
        Feature(
            *("ic.handoff", 1, _handoff, 0, 1),
            "hitstun that the other has left, / 60, out of a throw that a climber is still in",
            scale=1 / 60,
        ),
    ),
    "nana",
    "exists",
)
"""The group is Nana's: without her all rows are zeros."""
