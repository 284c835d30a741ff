"""Going into an action state, and the small acts on a player that every kind of state shares."""

from __future__ import annotations

import numpy as np

from exphil.compiled import part
from exphil.envs.sim.actions import (
    AIR_JUMP_BACK,
    AIR_JUMP_FORWARD,
    FALL,
    FALL_AERIAL,
    JUMP_BACK,
    JUMP_FORWARD,
    JUMP_SQUAT,
    K_BRAKE,
    K_CATCH,
    K_DASH,
    K_RUN,
    K_TURN_RUN,
    K_WALK,
    KIND,
)  # fmt: skip
from exphil.envs.sim.state import Record
from exphil.envs.sim.sticks import LONG
from exphil.game.ids import Character

KIRBY, PUFF = int(Character.KIRBY), int(Character.JIGGLYPUFF)
FIRST_OF_MANY, LAST_OF_MANY = 341, 345
MANY_JUMPS = np.array([[2.0, 2.0, 1.73, 1.6, 1.5], [1.65, 1.59, 1.47, 1.36, 1.25]])
"""Speeds up of Kirby's and Jigglypuff's five jumps in the air, each a state of its own, as in the shared replays (the
last two of Kirby's are a guess)."""
SLIDES = (K_WALK, K_TURN_RUN, K_DASH, K_RUN, K_BRAKE, K_CATCH)
"""States in which friction is single at any speed, as it is in 26,000 frames of recorded games; double elsewhere."""
HOP_FRAMES, HOP_SHARE, HOP_ACCEL = 28, 0.8, 0.072
"""Frames of a jump of many before the next one; of the top speed across, what it reaches; what the stick adds to that
speed a frame (1,000 frames of Jigglypuff's)."""
JUMPED_BACK = -0.2
"""A jump goes backwards from this much stick against the way one faces."""


@part
def enter(p: Record, action: int, tables: Record) -> None:
    """The first frame of a state."""
    p.action, p.t = action, 1
    p.length = tables.length[p.character, action]
    p.action_frame = tables.first[p.character, action]
    p.rate = tables.rate[p.character, action]
    p.hit_mask, p.counted, p.charge = 0, 0, 0


@part
def friction(p: Record, body: Record) -> None:
    """Speed along the ground comes to rest; above walking speed twice as fast, but not in ``SLIDES``."""
    amount, kind = body.traction, KIND[p.action]
    if abs(p.ground_x) > body.walk_max and kind not in SLIDES:
        amount *= 2
    if abs(p.ground_x) <= amount:
        p.ground_x = 0.0
    else:
        p.ground_x -= amount if p.ground_x > 0 else -amount


@part
def leave_ground(p: Record) -> None:
    """From a surface into the air; the first jump is gone with it."""
    p.on_ground, p.surface = 0, -1
    p.ground_x = 0.0
    p.feet = 0.0
    p.fast = 0
    p.jumps = min(p.jumps, p.jumps - 1) if p.jumps > 0 else 0


@part
def land(p: Record, surface: int, tables: Record) -> None:
    """Feet come down: what was speed through the air is speed along the ground."""
    p.on_ground, p.surface = 1, surface
    p.ground_x = p.air_x
    p.jumps = int(tables.attributes[p.character].jumps)
    p.passing, p.fast, p.floated = -1, 0, 0


@part
def fall(p: Record, tables: Record) -> None:
    """Nothing to stand on: falling, in the way that was left of the jumps."""
    p.hitstun = 0.0
    enter(p, FALL if p.jumps > 0 else FALL_AERIAL, tables)


@part
def squat(p: Record, tables: Record) -> None:
    """The crouch before a jump; whether it becomes a short hop shows while it lasts."""
    most = tables.attributes[p.character].run_max
    p.ground_x = max(-most, min(most, p.ground_x))
    enter(p, JUMP_SQUAT, tables)
    p.short_hop = 0
    p.length = int(tables.attributes[p.character].jump_squat)


@part
def jump(p: Record, tables: Record) -> None:
    """Off the ground. Its stick is that of the frame before: animations end before controllers are read."""
    body = tables.attributes[p.character]
    p.air_x = p.ground_x * body.jump_h_momentum + body.jump_h * p.main_x
    p.air_x = max(-body.jump_h_max, min(body.jump_h_max, p.air_x))
    back = p.main_x * p.facing < JUMPED_BACK
    leave_ground(p)
    p.tilt_y = LONG  # the push that asked for it asks for no second one
    p.speed_y = body.hop_v if p.short_hop else body.jump_v
    enter(p, JUMP_BACK if back else JUMP_FORWARD, tables)


@part
def air_jump(p: Record, tables: Record) -> None:
    """A jump in the air."""
    body = tables.attributes[p.character]
    p.jumps -= 1
    p.tilt_y = LONG
    p.air_x = body.double_jump_h * p.main_x
    p.speed_y = body.jump_v * body.double_jump_v
    p.fast = 0
    if p.character == KIRBY or p.character == PUFF:
        done = min(max(int(body.jumps) - 2 - p.jumps, 0), 4)
        p.speed_y = MANY_JUMPS[0 if p.character == KIRBY else 1, done]
        enter(p, FIRST_OF_MANY + done, tables)
        p.length = HOP_FRAMES
        return
    enter(p, AIR_JUMP_BACK if p.main_x * p.facing < JUMPED_BACK else AIR_JUMP_FORWARD, tables)


@part
def drift(p: Record, body: Record) -> None:
    """A frame of steering in the air: towards the stick's share of the top speed, else friction."""
    top, base, additional = body.air_max, body.air_accel_base, body.air_accel_additional
    if hops(p):
        top, base, additional = top * HOP_SHARE, 0.0, HOP_ACCEL
    target = p.main_x * top
    if p.main_x == 0.0 or (abs(p.air_x) > abs(target) and p.air_x * target > 0):
        goal = target if p.air_x * target > 0 else 0.0
        if abs(p.air_x - goal) <= body.air_friction:
            p.air_x = goal
        else:
            p.air_x -= body.air_friction if p.air_x > goal else -body.air_friction
        return
    sign = 1.0 if p.main_x > 0 else -1.0
    p.air_x += additional * p.main_x + base * sign
    if (p.air_x - target) * sign > 0:
        p.air_x = target


@part
def slow_in_air(p: Record, body: Record) -> None:
    """Air friction without steering."""
    if abs(p.air_x) <= body.air_friction:
        p.air_x = 0.0
    else:
        p.air_x -= body.air_friction if p.air_x > 0 else -body.air_friction


@part
def gravity(p: Record, body: Record) -> None:
    """A frame of falling."""
    if p.fast:
        p.speed_y = -body.fast_fall
        return
    p.speed_y = max(p.speed_y - body.gravity, -body.fall_max)


@part
def hops(p: Record) -> bool:
    """Whether this is one of the many jumps of Kirby or Jigglypuff."""
    return (p.character == KIRBY or p.character == PUFF) and FIRST_OF_MANY <= p.action <= LAST_OF_MANY
