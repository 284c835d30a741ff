"""What the simulator keeps of a game: one record a player, one a game, one an item.

Positions, speeds and knockback are game units (a frame), percent and shield as the game counts them, frames where
nothing else is said. All numbers are float64 or int64, so that the kernels give the same bits compiled and uncompiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exphil.game.frames import NUM_ITEMS

Record = Any
"""One element of a structured array, seen as numba sees it: its fields are attributes. Two that numpy has of its own
are read as items, so that uncompiled kernels find them: ``box["size"]`` and ``hit["base"]``."""

_FLOATS = """
    x y facing ground_x air_x speed_y attack_x attack_y percent shield action_frame hitlag hitstun
    main_x main_y c_x c_y shoulder was_main_x was_main_y was_c_x was_c_y feet
    rate
"""
_WHOLES = """
    action t length floated buttons was_buttons tilt_x tilt_y since_trigger on_ground surface jumps stocks character
    invulnerable fast short_hop passing ledge_lock hit_mask timer side aloft
    landed counted charge
"""

PLAYER = np.dtype([(name, np.float64) for name in _FLOATS.split()] + [(name, np.int64) for name in _WHOLES.split()])
"""``ground_x`` is the speed along the ground, ``air_x`` what moved the player last. ``t`` counts the frames in a state
from 1; ``tilt_*`` the frames since a stick left rest; ``surface`` is the line stood on (0 the main one), -1 in the air;
``passing`` the one fallen through; ``hit_mask`` says that this attack has hit; ``timer`` and ``side`` mean what their
state makes of them; ``aloft`` counts the frames in the air, ``floated`` those of Peach's float since;
``landed`` is what hit last (``stale``), ``counted`` says that this attack is in it;
``charge`` the frames that a smash attack was held back."""

GAME = np.dtype(
    [(name, np.float64) for name in ("left_height", "right_height", "left_goal", "right_goal", "wind")]
    + [
        (name, np.int64)
        for name in ("frame", "stage", "random", "left_rest", "right_rest", "first", "last", "truncated")
    ]
)
"""Heights of Fountain of Dreams' platforms, where they are bound and how long they rest; what the wind adds to x in a
frame; the state of the game's random numbers, and its flags."""

ITEM = np.dtype(
    [(name, np.float64) for name in ("x", "y", "vx", "vy")]
    + [(name, np.int64) for name in ("kind", "owner", "age", "life", "hit", "exists", "state")]
)
"""A projectile: what it is (the item's number), whose, how old, how long it lives, and its row of ``tables.hits``."""

ITEMS = NUM_ITEMS
