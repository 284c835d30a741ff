"""What a player in the air may start, and how each state of the air moves."""

from __future__ import annotations

from math import sqrt

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import floating, sticks
from exphil.envs.sim.entering import air_jump, drift, enter, gravity, hops
from exphil.envs.sim.specials import go_into, special
from exphil.envs.sim.state import Record

AIR_DODGE_SPEED, AIR_DODGE_KEPT = 3.1, 0.9
"""Speed of an air dodge at first, and what is kept of it every frame (SmashWiki "Air dodge")."""
AIR_DODGE_FRAMES = 29
"""Frames of it before gravity and steering are back."""
L_CANCEL_FRAMES = 7
"""How fresh a trigger must be at landing to halve the lag (SmashWiki "L-canceling")."""
AIR_DODGE_LANDING = 10


@part
def aerial(p: Record, tables: Record) -> bool:
    """The aerial attack asked for; whether there was one."""
    push = sticks.c_tilted(p)
    if not push and not sticks.pressed(p, sticks.A | sticks.Z):
        return False
    x, y = p.main_x, p.main_y
    if push:
        x, y = p.c_x, p.c_y
    attack = act.AIR_NEUTRAL
    if abs(y) > abs(x) and abs(y) >= sticks.TILTED:
        attack = act.AIR_UP if y > 0 else act.AIR_DOWN
    elif abs(x) >= sticks.TILTED:
        attack = act.AIR_FORWARD if x * p.facing > 0 else act.AIR_BACK
    if floating.floats(p):
        attack += floating.FIRST_ATTACK - act.AIR_NEUTRAL
    enter(p, attack, tables)
    return True


@part
def command(p: Record, tables: Record) -> bool:
    """Whatever a player who is free in the air asks for; whether it was anything."""
    if sticks.pressed(p, sticks.B) and special(p, tables):
        return True
    if p.action != act.TUMBLE and sticks.pressed(p, sticks.SHIELD_BUTTONS):
        dodge(p, tables)
        return True
    if aerial(p, tables):
        return True
    if floating.begin(p, tables):
        return True
    if p.jumps > 0 and sticks.jumped(p) and not hops(p):
        air_jump(p, tables)
        return True
    return False


@part
def dodge(p: Record, tables: Record) -> None:
    """The first frame of an air dodge."""
    enter(p, act.AIR_DODGE, tables)
    p.air_x, p.speed_y, p.fast = 0.0, 0.0, 0
    pushed = sqrt(p.main_x * p.main_x + p.main_y * p.main_y)
    if pushed > 0.0:  # no angles: the sine of a push to the left is not quite 0, and would keep it off the ground
        p.air_x = AIR_DODGE_SPEED * AIR_DODGE_KEPT * p.main_x / pushed
        p.speed_y = AIR_DODGE_SPEED * AIR_DODGE_KEPT * p.main_y / pushed


@part
def fast_fall(p: Record) -> None:
    """A fresh push down while falling makes the fall fast."""
    if p.action == act.PASS and p.tilt_y >= p.t:
        return
    if p.fast == 0 and p.speed_y < 0 and p.main_y <= -sticks.FAST_FALL and p.tilt_y < sticks.TAP_FRAMES:
        p.fast = 1


@part
def flying(p: Record, tables: Record, body: Record, free: bool) -> None:
    """A frame in the air: steering, gravity, fast fall. A jump's first frame moves as it was set off."""
    if free:
        command(p, tables)
    if floating.floats(p):
        floating.frame(p, tables, body)
        return
    if p.t == 1 and p.action in (act.AIR_DODGE, act.JUMP_FORWARD, act.JUMP_BACK):
        return
    drift(p, body)
    at = tables.drive_at[p.character, p.action]
    if at >= 0 and p.t <= tables.drive_frames[p.character, p.action] and tables.drive[at + p.t - 1, 3] > 0.0:
        p.speed_y = tables.drive[at + p.t - 1, 1]
        return
    fast_fall(p)
    gravity(p, body)


@part
def dodging(p: Record, tables: Record, body: Record) -> None:
    """A later frame of an air dodge."""
    if p.t <= AIR_DODGE_FRAMES:
        p.air_x *= AIR_DODGE_KEPT
        p.speed_y *= AIR_DODGE_KEPT
        return
    fast_fall(p)
    gravity(p, body)
    drift(p, body)


@part
def landed(p: Record, tables: Record) -> None:
    """The state that feet coming down lead into, by the state before."""
    kind, was, frame = act.KIND[p.action], p.action, p.t
    if kind == act.K_AERIAL:
        place = was - act.AIR_NEUTRAL
        if frame < tables.auto_before[p.character, place] or (
            tables.auto_after[p.character, place] > 0 and frame > tables.auto_after[p.character, place]
        ):
            enter(p, act.LANDING, tables)
            return
        lag = _lag(tables.attributes[p.character], place)
        if p.since_trigger < L_CANCEL_FRAMES:
            lag = lag // 2
        _land_for(p, act.LANDING_AIR_NEUTRAL + place, lag, tables)
    elif kind == act.K_SPECIAL and (hops(p) or floating.floats(p) or tables.lands[p.character, was] == act.LANDING):
        enter(p, act.LANDING, tables)
    elif kind == act.K_SPECIAL and tables.lands[p.character, was] >= act.SPECIALS:
        shown = p.action_frame
        go_into(p, tables.lands[p.character, was], tables)
        if tables.lands_on[p.character, was]:
            p.t, p.action_frame = frame, shown
    elif kind == act.K_AIR_DODGE or kind == act.K_HELPLESS or kind == act.K_SPECIAL:
        lag = AIR_DODGE_LANDING if kind == act.K_AIR_DODGE or p.timer == 0 else p.timer
        _land_for(p, act.LANDING_SPECIAL, lag, tables)
    else:
        enter(p, act.LANDING, tables)


@part
def _lag(body: Record, place: int) -> int:
    if place == 0:
        return int(body.landing_n)
    if place == 1:
        return int(body.landing_f)
    if place == 2:
        return int(body.landing_b)
    if place == 3:
        return int(body.landing_u)
    return int(body.landing_d)


@part
def _land_for(p: Record, action: int, lag: int, tables: Record) -> None:
    enter(p, action, tables)
    p.rate = (tables.whole[p.character, action] + 0.15) / max(lag, 1)
    p.length = lag
