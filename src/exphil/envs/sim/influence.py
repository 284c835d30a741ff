"""What a stick does to a hit: steps while both stand still, a last one as that ends, and a turn of the flight.

Smash directional influence: a push of the main stick during hitlag moves its owner by 6 units times the stick.
Automatic: the last frame of hitlag moves by 3 times the c-stick, or else the main stick. Directional: the flight turns
by up to 18 degrees, by the square of the stick's part across it. On the ground only x moves, behind a shield 0.66 as
far. (SmashWiki "Smash directional influence", "Automatic smash directional influence", "Directional influence",
"Shield DI"; in 7,000 hits of recorded games 99 of 100 follow within 0.06 units.)

The last step and the turn read the sticks of the frame before: the game ends hitlag before it reads controllers.
"""

from __future__ import annotations

from math import atan2, cos, pi, sin, sqrt

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import sticks
from exphil.envs.sim.state import Record

STEP, LAST_STEP, SHIELDED = 6.0, 3.0, 0.66
FAR, FRESH = 0.7, 2
"""How far out a stick must be, and for how few frames a push counts."""
TURN = 18.0 * pi / 180.0


@part
def _hurt(p: Record) -> bool:
    kind = act.KIND[p.action]
    if kind == act.K_DAMAGE or kind == act.K_DAMAGE_AIR or kind == act.K_FLY:
        return True
    return p.action == act.DOWN_DAMAGE or p.action == act.DOWN_DAMAGE_UP


@part
def _far(x: float, y: float) -> bool:
    return x * x + y * y >= (FAR - sticks.HAIR) * (FAR - sticks.HAIR)


@part
def _step(p: Record, x: float, y: float) -> None:
    if p.action == act.GUARD_STUN:
        p.x += x * SHIELDED
    elif p.on_ground:
        p.x += x
    else:
        p.x += x
        p.y += y


@part
def old(p: Record) -> None:
    """A hit: a push that came before it is none out of it."""
    if _hurt(p) or p.action == act.GUARD_STUN:
        p.tilt_x, p.tilt_y = sticks.LONG, sticks.LONG


@part
def step(p: Record) -> None:
    """A frame of hitlag that is not the last: a fresh push moves, once."""
    if not (_hurt(p) or p.action == act.GUARD_STUN) or not _far(p.main_x, p.main_y):
        return
    if p.tilt_x < FRESH or p.tilt_y < FRESH:
        _step(p, STEP * p.main_x, STEP * p.main_y)
        old(p)


@part
def last_step(p: Record) -> None:
    """Hitlag ends, before the controller is read."""
    if not (_hurt(p) or p.action == act.GUARD_STUN):
        return
    if _far(p.c_x, p.c_y):
        _step(p, LAST_STEP * p.c_x, LAST_STEP * p.c_y)
    elif _far(p.main_x, p.main_y):
        _step(p, LAST_STEP * p.main_x, LAST_STEP * p.main_y)


@part
def turn(p: Record) -> None:
    """A flight begins, before the controller is read."""
    speed = sqrt(p.attack_x * p.attack_x + p.attack_y * p.attack_y)
    if not _hurt(p) or speed == 0.0 or (p.main_x == 0.0 and p.main_y == 0.0) or p.on_ground:
        return
    direction = atan2(p.attack_y, p.attack_x)
    across = -p.main_x * sin(direction) + p.main_y * cos(direction)
    turned = across * across * TURN
    direction += turned if across > 0 else -turned
    p.attack_x, p.attack_y = speed * cos(direction), speed * sin(direction)
