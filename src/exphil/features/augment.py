"""Games that were never played, made from those that were: left and right change places, and noise.

Only what has a side changes: positions, facings, horizontal speeds and sticks. Everything keeps its name: buttons, L
and R, action states. What is not symmetric in the game itself is taken as if it were: Randall's round, the heights of
Fountain of Dreams' platforms, Pokemon Stadium's transformations, and 2 units of Yoshi's Story's blast zones.

Noise is added to what is measured on a scale: positions, speeds and percents of the two players. Who draws it is not
this module's business.
"""

from __future__ import annotations

from exphil.features.action import AXIS_CLASSES, COMPONENTS
from exphil.features.observation import Table
from exphil.game.frames import Array, namespace

NOISY = frozenset(("percent", "x", "y", "speed_air_x", "speed_ground_x", "speed_y", "speed_x_attack", "speed_y_attack"))
"""The rows of a player that get noise; a noise of 0.01 is 0.2 units of a position, 1 percent, 0.02 units of speed."""

_SIDED = [component.name in ("main_x", "c_x") for component in COMPONENTS]


def mirror(table: Table, floats: Array, action: Array, mirrored: Array) -> tuple[Array, Array]:
    """Mirror some stretches of a batch; doing it twice gives the batch back, bit for bit.

    Args:
        table: The layout of the floats.
        floats: ``(B, T, floats)``.
        action: int64 ``(B, T, 13)``.
        mirrored: bool ``(B,)``: which stretches.
    """
    module, device = namespace(floats), floats.device
    chosen = mirrored[:, None, None]
    signs = module.asarray(table.mirror, device=device)
    sided = module.asarray(_SIDED, device=device)
    turned = module.where(sided, AXIS_CLASSES - 1 - action, action)
    return module.where(chosen, floats * signs, floats), module.where(chosen, turned, action)


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
