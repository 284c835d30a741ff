"""What a hand does on one frame: two sticks, one analog trigger, buttons.

Sticks lie in [-1, 1] on a grid of 1/80, the trigger in [0, 1] on a grid of 1/140 (what the console's adapter can report
after the game's calibration; 1,694 human ports of public replays lie on the stick grid without exception, see the
reader's tests). The digital presses of L and R are buttons of their own: a hand can pull a trigger without clicking it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exphil.game.frames import Array, Group

STICK_STEPS = 80
CENTRES = (3, 2 * STICK_STEPS + 1)
"""How many classes of an axis can be learned: left, rest and right at least, every step at most."""
TRIGGER_STEPS = 140
STICK_FLOOR = 23 / STICK_STEPS
"""The least position of an axis that is not rest (0.2875): the game reads a smaller one as 0. None of 1.7 million stick
positions of people in the shared replays lies between."""
TRIGGER_FLOOR = 43 / TRIGGER_STEPS
"""The least depth that does anything: the game reads a shallower trigger as at rest. In 433,784 player-frames of the
shared replays there is none between 0 and 43/140, and the lightest shields stand at 43/140."""
Z_DEPTH = 49 / TRIGGER_STEPS
"""What the game reads of the trigger while Z is held, L and R clicked or not (7,389 of 7,389 such frames); without Z a
click is read as full depth (86,334 of 86,334)."""


class Controller(NamedTuple):
    """Columns of controllers, all of one shape. ``buttons`` are bits of ``ids.Button``."""

    main_x: Array
    main_y: Array
    c_x: Array
    c_y: Array
    shoulder: Array
    buttons: Array


def neutral(*shape: int) -> Controller:
    """Controllers that nobody touches."""
    zero = np.zeros(shape, np.float32)
    return Controller(zero, zero, zero, zero, zero, np.zeros(shape, np.int16))


def controller_of(players: Group, seat: int) -> Controller:
    """The controllers that the player of ``seat`` held on each row."""
    return Controller(*(getattr(players, name)[..., seat] for name in Controller._fields))
