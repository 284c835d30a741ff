"""Games that were never played, made from those that were: left and right change places, and noise.

Only what has a side changes: positions, facings, horizontal speeds and sticks, of both players, their Nanas, items
and what moves on the stage (Fountain of Dreams' platforms change places). Everything keeps its name: buttons, L and
R, action states. What is not symmetric in the game itself is taken as if it were: the way round that Randall goes,
the forms of Pokemon Stadium, and 2 units of Yoshi's Story's blast zones.

Noise is added to what is measured on a scale: positions, speeds and percents of the two players. Who draws it is not
this module's business.
"""

from __future__ import annotations

import numpy as np

from exphil.features.observation import Table
from exphil.features.rows import CONTROLLER
from exphil.features.view import Constant
from exphil.game.frames import Array, namespace

NOISY = frozenset(("percent", "x", "y", "speed_air_x", "speed_ground_x", "speed_y", "speed_x_attack", "speed_y_attack"))
"""The rows of a player that get noise; a noise of 0.01 is 0.2 units of a position, 1 percent, 0.02 units of speed."""

_SIGNS = Constant(np.concatenate([np.full(row.width, row.mirror) for row in CONTROLLER]).astype(np.float32))


def mirror(table: Table, floats: Array, mirrored: Array) -> Array:
    """Mirror the floats of some stretches; doing it twice gives them back, bit for bit.

    Args:
        table: The layout of the floats.
        floats: ``(B, T, floats)``.
        mirrored: bool ``(B,)``: which stretches.
    """
    return _turned(floats, table.mirror.on(floats), mirrored)


def mirror_controllers(controllers: Array, mirrored: Array) -> Array:
    """The same for controller floats ``(B, T, 13)``: what was pressed, before it is encoded to classes."""
    return _turned(controllers, _SIGNS.on(controllers), mirrored)


def _turned(floats: Array, signs: Array, mirrored: Array) -> Array:
    return floats * namespace(floats).where(mirrored[:, None, None], signs, 1.0)


def noisy(table: Table) -> list[int]:
    """Which of the table's floats get noise."""
    places, at = [], 0
    for owner, row in table.rows():
        if owner in ("own", "opponent") and row.name in NOISY:
            places.append(at)
        at += row.width
    return places


def with_noise(table: Table, floats: Array, noise: Array) -> Array:
    """Floats ``(..., F)`` with noise ``(..., len(noisy(table)))`` added to those rows that get any; a copy."""
    module = namespace(floats)
    places = module.asarray(noisy(table), device=floats.device)
    changed = module.zeros(floats.shape, dtype=floats.dtype, device=floats.device)
    changed[..., places] = noise
    return floats + changed
