"""Special moves: which state a press of B goes into, and those that fly where the stick points. The rest is data."""

from __future__ import annotations

from math import sqrt

import numpy as np

from exphil.compiled import part
from exphil.envs.sim.entering import enter
from exphil.envs.sim.state import Record
from exphil.game.ids import Character

TILTED, TILTED_AT_ALL = 0.55, 0.28
NEUTRAL, SIDE, UP, DOWN = 0, 1, 2, 3
BLASTERS = (int(Character.FOX), int(Character.FALCO))
UNKNOWN_FRAMES, RISE_FRAMES, RISE = 40, 22, 2.6
"""How long a special lasts that no table and no game tells of, and how its up special rises: a generic recovery."""


AIMED = np.array(
    [
        (Character.FOX, 355, 3.8, 5, 0.1), (Character.FOX, 356, 3.8, 5, 0.1),
        (Character.FALCO, 355, 4.2, 3, 0.17), (Character.FALCO, 356, 4.2, 3, 0.17),
    ]
)  # fmt: skip
"""Flights where the stick points when they begin: character, action, speed, frames until it falls, and by how much a
frame. Read off 481 flights of the games that ``tools/fit_states.py`` sees; 99% go where the stick pointed the frame
before."""
WHO, ACTION, SPEED, KEPT, LOSS = range(5)


SHOOTING = (342, 345)
"""Fox's and Falco's states of shooting, on the ground and in the air: B, pressed in one, brings another shot."""


@part
def fires(p: Record) -> bool:
    """Whether this is a shot of Fox's or Falco's blaster."""
    return p.character in BLASTERS and p.action in SHOOTING


@part
def aimed(p: Record) -> int:
    """The row of ``AIMED`` of a player's state, -1 for none."""
    for row in range(AIMED.shape[0]):
        if AIMED[row, WHO] == p.character and AIMED[row, ACTION] == p.action:
            return row
    return -1


@part
def aim(p: Record) -> None:
    """The first frame of a flight; straight up from a stick at rest."""
    row = aimed(p)
    if row < 0:
        return
    far = sqrt(p.main_x * p.main_x + p.main_y * p.main_y)
    if far < TILTED_AT_ALL:
        p.air_x, p.speed_y = 0.0, AIMED[row, SPEED]
        return
    p.air_x, p.speed_y = AIMED[row, SPEED] * p.main_x / far, AIMED[row, SPEED] * p.main_y / far
    if p.main_x != 0.0:
        p.facing = 1.0 if p.main_x > 0 else -1.0


@part
def fly_on(p: Record, row: int) -> None:
    """A later frame of it."""
    speed = sqrt(p.air_x * p.air_x + p.speed_y * p.speed_y)
    if p.t > AIMED[row, KEPT] and speed > AIMED[row, LOSS]:
        p.air_x -= AIMED[row, LOSS] * p.air_x / speed
        p.speed_y -= AIMED[row, LOSS] * p.speed_y / speed


@part
def go_into(p: Record, action: int, tables: Record) -> None:
    """A part of a special move; one whose length nobody knows ends all the same."""
    enter(p, action, tables)
    if p.length == 0:
        p.length = UNKNOWN_FRAMES


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
    go_into(p, action, tables)
    p.side, p.timer = kind, 0
    return True
