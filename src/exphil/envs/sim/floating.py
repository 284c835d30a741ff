"""Peach's float: once in every time in the air, for as long as a jump is held, with attacks of its own.

It begins with a jump held at the top of a jump, or at any height with the stick down (so in 240 of 242 floats of
recorded games). 150 frames at most (SmashWiki "Float").
"""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import sticks
from exphil.envs.sim.entering import drift, enter, gravity
from exphil.envs.sim.state import Record
from exphil.game.ids import Character

PEACH = int(Character.PEACH)
FLOAT, END_FORWARD, END_BACK, FIRST_ATTACK, LAST_ATTACK = 341, 342, 343, 344, 348
LONGEST = 150


@part
def floats(p: Record) -> bool:
    """Whether this is a state of Peach's float."""
    return p.character == PEACH and FLOAT <= p.action <= LAST_ATTACK


@part
def _held(p: Record) -> bool:
    return (p.buttons & sticks.JUMP_BUTTONS) != 0 or p.main_y >= sticks.TAP_JUMP


@part
def begin(p: Record, tables: Record) -> bool:
    """Begin to float, if that is asked for; whether it was."""
    if p.character != PEACH or p.floated != 0 or p.t == 1 or not _held(p):
        return False
    dips = tables.drive_at[PEACH, p.action] >= 0 and p.t <= tables.drive_frames[PEACH, p.action]  # as her second jump
    if not (p.main_y <= -sticks.FAST_FALL or (p.speed_y <= 0.0 and not dips and not sticks.jumped(p))):
        return False
    enter(p, FLOAT, tables)
    p.length, p.floated, p.side = 0, 1, 0
    return True


@part
def frame(p: Record, tables: Record, body: Record) -> None:
    """A later frame of a float, of an attack in it, or of its end."""
    drift(p, body)
    up = p.action != END_FORWARD and p.action != END_BACK and 0 < p.floated < LONGEST and _held(p)
    if up:
        p.floated += 1
        p.speed_y, p.fast = 0.0, 0
        return
    if p.action == FLOAT:
        enter(p, END_BACK if p.main_x * p.facing < -sticks.TILTED else END_FORWARD, tables)
    p.floated = max(p.floated, LONGEST)
    gravity(p, body)


@part
def ended(p: Record, tables: Record) -> None:
    """An attack or the end of a float is over."""
    if p.action >= FIRST_ATTACK and p.floated < LONGEST and _held(p):
        enter(p, FLOAT, tables)
        p.length = 0
    else:
        enter(p, act.FALL_AERIAL, tables)
