"""Left and right change places: a second game out of every game.

Only what has a side changes: positions, facings, horizontal speeds and sticks. Everything keeps its name: buttons, L
and R, action states. What is not symmetric in the game itself is taken as if it were: Randall's round, the heights of
Fountain of Dreams' platforms, Pokemon Stadium's transformations, and 2 units of Yoshi's Story's blast zones.
"""

from __future__ import annotations

from exphil.features.action import AXIS_CLASSES, COMPONENTS
from exphil.features.observation import Table
from exphil.game.frames import Array, namespace

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
