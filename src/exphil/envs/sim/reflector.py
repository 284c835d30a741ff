"""Fox's and Falco's reflector: held for as long as B is, cancelled by a jump, turned by the stick. It reflects nothing.

Figures from 1,900 of them in recorded games: three frames until it is up, up for at least 18, 3 frames of turning.
"""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim import sticks
from exphil.envs.sim.entering import air_jump, enter, squat
from exphil.envs.sim.state import Record
from exphil.game.ids import Character

FOX, FALCO = int(Character.FOX), int(Character.FALCO)
UP, UP_AIR, DOWN, DOWN_AIR, TURN, TURN_AIR = 361, 366, 363, 368, 364, 369
SHORTEST = 18
TURNED = 0.28
"""How far the stick turns it round."""


@part
def is_up(who: int, action: int) -> bool:
    """Whether a character in this state holds the reflector up."""
    return who in (FOX, FALCO) and action in (UP, UP_AIR)


@part
def holding(p: Record, tables: Record) -> None:
    """A frame of holding it up; the timer counts them."""
    p.timer += 1
    ground = p.on_ground == 1
    if sticks.jumped(p) and (ground or p.jumps > 0):
        if ground:
            squat(p, tables)
        else:
            air_jump(p, tables)
    elif p.main_x * p.facing <= -TURNED:
        p.facing = -p.facing
        enter(p, TURN if ground else TURN_AIR, tables)
    elif p.timer > SHORTEST and not p.buttons & sticks.B:
        enter(p, DOWN if ground else DOWN_AIR, tables)
