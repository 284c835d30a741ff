"""What the game makes of a stick position: the zones whose borders decide between one move and another.

What enters: stick positions in [-1, 1], arrays of one shape, from a replay or from a decoded action. What leaves: for
each kind of zone a number that changes where the game would do something else. They are judged on the grid of 1/80
that a controller sends: a class that stands for 0.7131 is played as 57/80. Nothing can go wrong.

Borders are those of the game without mods, in steps of 1/80, as published in the regions of Altimor's StickMap
(github.com/AltimorTASDK/ssbm-stickmap, stickmap/regionArrayContainer.js); dead zone, crouch, tap jump and dash agree
with the limits in HayBox (src/modes/MeleeLimits.cpp of its forks). The dead zone agrees with every one of 1.7 million
positions counted in our replays: none lies within 22 steps of rest. UCF lets a stick at its rim drop through a platform
from the shield down to -0.8, so there the spot dodge begins later than here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exphil.features.action import Codec
from exphil.game.controller import STICK_FLOOR, STICK_STEPS, Controller

DEAD = round(STICK_FLOOR * STICK_STEPS)  # 23: the first step that is not rest
WALK_TO_DASH = 64  # 0.8: also the side smash and the smash turn
TAP_JUMP, TAP_JUMP_DASHING = 53, 45  # 0.6625, 0.5625
CROUCH = 50  # 0.625
FALL = 53  # 0.6625: fast fall, drop through a platform, from the shield too
DODGE = 56  # 0.7: spot dodge and roll from the shield
SPECIAL_X, SPECIAL_Y = 48, 44  # 0.6, 0.55
SMASH_Y = 53  # 0.6625
TILT_DEGREES = 50.0  # steeper is an attack up or down, flatter one to the side
ANGLE_DEGREES = (
    3.0  # of an air dodge, of DI, of a recovery: what a player aims to within, ours and no border of the game
)
MAIN = ("rest", "walk", "jump", "crouch", "fall", "shield", "special", "tilt", "smash", "angle")
"""Kinds of zones of the main stick."""
C = ("rest", "tilt", "smash", "angle")
"""Kinds that the C-stick has too: it attacks, and its angle is a direction of DI."""
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def steps(values: ArrayLike) -> Ints:
    """What the game reads of one axis: whole steps from -80 to 80, int64 of the same shape, 0 within the dead zone."""
    found = np.rint(np.asarray(values, np.float64) * STICK_STEPS).clip(-STICK_STEPS, STICK_STEPS).astype(np.int64)
    return np.where(abs(found) < DEAD, 0, found)


def zones(x: ArrayLike, y: ArrayLike) -> dict[str, Ints]:
    """The zone of every position: kind -> int64 of the same shape, whose numbers mean only "the same" or "another".

    All kinds of ``MAIN`` but ``angle``, which has no borders.
    """
    right, up = steps(x), steps(y)
    steep = _degrees(right, up) > TILT_DEGREES
    roll, dodge, drop = abs(right) >= DODGE, up <= -DODGE, up <= -FALL
    special = np.where(abs(up) >= SPECIAL_Y, 2 * np.sign(up), np.sign(right) * (abs(right) >= SPECIAL_X))
    return {
        "rest": np.sign(right) + 3 * np.sign(up),
        "walk": np.sign(right) * np.digitize(abs(right), (DEAD, WALK_TO_DASH)),
        "jump": np.digitize(up, (TAP_JUMP_DASHING, TAP_JUMP)),
        "crouch": (up <= -CROUCH).astype(np.int64),
        "fall": (up <= -FALL).astype(np.int64),
        "shield": np.select([dodge, drop], [1, 2], 0) + 3 * np.sign(right) * roll + 9 * (up >= TAP_JUMP),
        "special": special,
        "tilt": np.where(steep, 2 * np.sign(up), np.sign(right)),
        "smash": np.sign(right) * (abs(right) >= WALK_TO_DASH) + 3 * np.sign(up) * (abs(up) >= SMASH_Y),
    }


def changed(before_x: ArrayLike, before_y: ArrayLike, after_x: ArrayLike, after_y: ArrayLike) -> dict[str, Bools]:
    """Where the game would do something else: kind of ``MAIN`` -> bool of the positions' shape.

    ``angle`` is a direction that turned by more than ``ANGLE_DEGREES``, or one that came or went.
    """
    old, new = zones(before_x, before_y), zones(after_x, after_y)
    found = {name: old[name] != new[name] for name in old}
    one, two = (steps(before_x), steps(before_y)), (steps(after_x), steps(after_y))
    lengths = np.hypot(*one) * np.hypot(*two)
    cosine = (one[0] * two[0] + one[1] * two[1]) / np.maximum(lengths, 1)
    still = np.hypot(*one) + np.hypot(*two) == 0
    turned = np.where(lengths > 0, cosine < np.cos(np.radians(ANGLE_DEGREES)), ~still)
    return found | {"angle": turned}


def shares(codec: Codec, held: Ints) -> dict[str, Mapping[str, float]]:
    """Which share of the frames means something else after it was encoded and decoded.

    Args:
        codec: What the classes stand for.
        held: int64 ``(2, 161, 161)``, as ``kmeans.positions`` counts it; each frame of each player counts once.

    Returns:
        For "main" and "c" the share of every kind of zone, of "any" of them, and of "any_off_rest" among the frames
        whose stick is not at rest; from 0 to 1.
    """
    axis = (np.arange(held.shape[1]) - STICK_STEPS) / STICK_STEPS
    x, y = (grid.astype(np.float32) for grid in np.meshgrid(axis, axis, indexing="ij"))
    zero = np.zeros_like(x)
    played = codec.decode(codec.encode(Controller(x, y, x, y, zero, zero.astype(np.int16))))
    pairs = {"main": (played.main_x, played.main_y, MAIN), "c": (played.c_x, played.c_y, C)}
    found: dict[str, Mapping[str, float]] = {}
    for stick, (name, (after_x, after_y, kinds)) in enumerate(pairs.items()):
        count, moved = held[stick], changed(x, y, after_x, after_y)
        anything = np.any([moved[kind] for kind in kinds], 0)
        frames, off_rest = max(int(count.sum()), 1), max(int(count[(x != 0) | (y != 0)].sum()), 1)
        lost = {kind: float(count[moved[kind]].sum()) / frames for kind in kinds}
        every = float(count[anything].sum())
        found[name] = lost | {"any": every / frames, "any_off_rest": every / off_rest}
    return found


def _degrees(right: Ints, up: Ints) -> NDArray[np.float64]:
    """How steep a position is, from 0 (sideways) to 90."""
    return np.degrees(np.arctan2(abs(up), abs(right)))
