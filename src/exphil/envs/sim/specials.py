"""Special moves: which state a press of B goes into. What a special does beyond that is data."""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim.entering import enter
from exphil.envs.sim.state import Record

TILTED = 0.55
NEUTRAL, SIDE, UP, DOWN = 0, 1, 2, 3
UNKNOWN_FRAMES, RISE_FRAMES, RISE = 40, 22, 2.6
"""How long a special lasts that no table and no game tells of, and how its up special rises: a generic recovery."""


@part
def special(p: Record, tables: Record) -> bool:
    """The special of the stick's direction; whether this character has one here."""
    kind = NEUTRAL
    if abs(p.main_x) >= TILTED and abs(p.main_x) >= abs(p.main_y):
        kind = SIDE
    elif p.main_y >= TILTED:
        kind = UP
    elif p.main_y <= -TILTED:
        kind = DOWN
    action = tables.special[p.character, kind, 1 if p.on_ground else 0]
    if action <= 0:
        return False
    if kind == SIDE or (kind == NEUTRAL and abs(p.main_x) > 0.0):
        p.facing = 1.0 if p.main_x > 0 else -1.0
    enter(p, action, tables)
    p.side = kind
    if p.length == 0 and tables.after[p.character, action] == 0:
        p.length = UNKNOWN_FRAMES
    return True
