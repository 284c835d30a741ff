"""Shields: up, held, hit, down; rolls and dodges out of them, and a shield that breaks.

Figures: SmashWiki "Shield" and "Shieldstun", and the shared replays (0.28 lost a frame, 0.07 gained).
"""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import ground, sticks
from exphil.envs.sim.entering import enter, friction, squat
from exphil.envs.sim.specials import special
from exphil.envs.sim.state import Record

FULL, DRAIN, REGROWTH = 60.0, 0.28, 0.07
AFTER_BREAK = 30.0
LEAST_FRAMES = 8
"""A shield stays up at least this long."""
BROKEN_SPEED = 2.5
DROPPED = 0.8
"""How far down a push may be and still drop through a platform; 750 of them in recorded games."""
DOWN_FRAMES, STAND_FRAMES, DIZZY_FRAMES = 26, 30, 400


@part
def out_of_shield(p: Record, tables: Record, body: Record, on_platform: bool) -> bool:
    """What may be started from behind a shield; whether it was."""
    push = sticks.c_pushed(p)
    if p.action == act.GUARD and sticks.pressed(p, sticks.B) and p.main_y >= sticks.TAP_JUMP and special(p, tables):
        return True
    if sticks.pressed(p, sticks.A | sticks.Z):
        enter(p, act.CATCH, tables)
        return True
    if push == 3 or sticks.jumped(p):
        squat(p, tables)
        return True
    down = p.tilt_y < sticks.SMASH_FRAMES
    if on_platform and push == 0 and down and -DROPPED < p.main_y <= -sticks.FAST_FALL:
        ground.drop(p, tables, body)
        return True
    if push == 4 or (down and p.main_y <= -sticks.DODGED):
        enter(p, act.SPOT_DODGE, tables)
        return True
    if push != 0 or (abs(p.main_x) >= sticks.DODGED and p.tilt_x < sticks.SMASH_FRAMES):
        side = p.main_x if push == 0 else (1.0 if push == 1 else -1.0)
        enter(p, act.ROLL_FORWARD if side * p.facing > 0 else act.ROLL_BACK, tables)
        return True
    return False


@part
def shielding(p: Record, tables: Record, body: Record, on_platform: bool) -> None:
    """A frame behind the shield."""
    friction(p, body)
    if p.t > 1 and out_of_shield(p, tables, body, on_platform):
        return
    up = sticks.shielding(p)
    if not up and (p.action == act.GUARD or p.t > LEAST_FRAMES):
        enter(p, act.GUARD_OFF, tables)
        return
    if p.t > 1 or p.action != act.GUARD_ON:
        p.shield -= DRAIN
    if p.shield <= 0.0:
        broken(p, tables)


@part
def broken(p: Record, tables: Record) -> None:
    """The shield is gone and its owner thrown up."""
    p.shield = AFTER_BREAK
    enter(p, act.BREAK_FLY, tables)
    p.on_ground, p.surface = 0, -1
    p.ground_x, p.air_x, p.speed_y = 0.0, 0.0, BROKEN_SPEED
