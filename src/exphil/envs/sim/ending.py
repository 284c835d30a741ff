"""What follows when a state has lasted as long as it lasts."""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import floating, ledge, reflector, shield, specials, sticks
from exphil.envs.sim.entering import enter, fall, hops, jump
from exphil.envs.sim.state import Record

FALLS_AFTER = (
    act.K_DAMAGE, act.K_DAMAGE_AIR, act.K_AERIAL, act.K_JUMP, act.K_LEDGE_JUMP, act.K_HELD,
)  # fmt: skip
GRABBING = (act.CATCH_ATTACK, act.CATCH_PULL, act.CATCH_DASH_PULL)
LYING_FRAMES = 180
"""After a few seconds of lying one gets up (SmashWiki "Floor getup"; the longest lying in 139 games lasts 88)."""


@part
def follow(p: Record, action: int, tables: Record) -> None:
    """From one part of a move to the next, or out of it in the way of the ground or of the air."""
    kind = act.KIND[action]
    if kind == act.K_SPECIAL:
        specials.go_into(p, action, tables)
        specials.aim(p)
    elif p.on_ground:
        enter(p, act.WAIT, tables)
    elif kind == act.K_HELPLESS or p.side == 2:
        enter(p, act.FALL_SPECIAL, tables)
        p.timer = 0
    else:
        fall(p, tables)


@part
def special_over(p: Record, tables: Record) -> None:
    """What follows a special move, or a part of one; a reflector is held for as long as it is."""
    if specials.fires(p) and p.timer == 1:
        enter(p, p.action, tables)
        p.timer = 0
    elif floating.floats(p):
        floating.ended(p, tables)
    elif reflector.is_up(p.character, p.action):
        return
    elif tables.after[p.character, p.action] > 0:
        follow(p, tables.after[p.character, p.action], tables)
    elif p.on_ground:
        enter(p, act.WAIT, tables)
    elif p.side == specials.UP and not hops(p):
        enter(p, act.FALL_SPECIAL, tables)
        p.length, p.timer = 0, 0
    else:
        fall(p, tables)


@part
def finish(p: Record, stage: int, seat: int, game: Record, tables: Record) -> None:
    """What follows when a state has lasted as long as it lasts."""
    kind, body = act.KIND[p.action], tables.attributes[p.character]
    if kind == act.K_DEAD:
        if p.stocks > 0:
            ledge.revive(p, stage, seat, tables)
        else:
            p.action = act.GONE
            p.length = 0
    elif kind == act.K_REBIRTH:
        if p.action == act.REBIRTH:
            enter(p, act.REBIRTH_WAIT, tables)
            p.length = 0
    elif kind == act.K_SQUAT:
        jump(p, tables)
    elif p.action in GRABBING or (kind == act.K_HELD and p.action < act.ESCAPED):
        enter(p, act.HELD if kind == act.K_HELD else act.CATCH_WAIT, tables)
        p.length = 0
    elif p.action == act.GUARD_ON or p.action == act.GUARD_STUN or p.action == act.GUARD_REFLECT:
        enter(p, act.GUARD if sticks.shielding(p) else act.GUARD_OFF, tables)
        if p.action == act.GUARD:
            p.length = 0
    elif p.action == act.CROUCH_START or p.action == act.TILT_DOWN:
        enter(p, act.CROUCH, tables)
        p.length = 0
    elif kind == act.K_DOWN_BOUND:
        enter(p, p.action + 1, tables)
        p.length = LYING_FRAMES
    elif p.action == act.DOWN_WAIT or p.action == act.DOWN_WAIT_UP:
        enter(p, p.action + 2, tables)
    elif p.action == act.LEDGE_CATCH:
        enter(p, act.LEDGE_WAIT, tables)
        p.length = 0
    elif p.action == act.LEDGE_JUMP_1 or p.action == act.LEDGE_JUMP_SLOW_1:
        ledge.jumped_up(p, body, tables)
    elif act.LEDGE_CLIMB_SLOW <= p.action <= act.LEDGE_ROLL:
        ledge.climbed(p, stage, game)
        enter(p, act.WAIT, tables)
    elif p.action == act.BREAK_DOWN:
        enter(p, act.BREAK_STAND, tables)
        p.length = shield.STAND_FRAMES
    elif p.action == act.BREAK_STAND:
        enter(p, act.DIZZY, tables)
        p.length = shield.DIZZY_FRAMES
    elif kind == act.K_AIR_DODGE:
        enter(p, act.FALL_SPECIAL, tables)
        p.length = 0
        p.timer = 0
    elif kind == act.K_SPECIAL:
        special_over(p, tables)
    elif p.on_ground:
        if p.action == act.ROLL_FORWARD:
            p.facing = -p.facing
        enter(p, act.WAIT, tables)
    elif kind in FALLS_AFTER or p.action == act.PASS:
        fall(p, tables)
