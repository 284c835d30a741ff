"""Geometry of the six legal stages, in game units. Facts as published with libmelee 0.47 (``melee.stages``).

``ledge_x`` is where the ground ends (the stage is symmetric about 0 there); blast zones are left, right, top and
bottom.
"""

from __future__ import annotations

from typing import NamedTuple

from exphil.game.ids import Stage


class Geometry(NamedTuple):
    """Ground edge and blast zones of one stage, in game units."""

    ledge_x: float
    blast_left: float
    blast_right: float
    blast_top: float
    blast_bottom: float


GEOMETRY = {
    Stage.FOUNTAIN_OF_DREAMS: Geometry(63.35, -198.75, 198.75, 202.5, -146.25),
    Stage.POKEMON_STADIUM: Geometry(87.75, -230.0, 230.0, 180.0, -111.0),
    Stage.YOSHIS_STORY: Geometry(56.0, -175.7, 173.6, 168.0, -91.0),
    Stage.DREAM_LAND: Geometry(77.27, -255.0, 255.0, 250.0, -123.0),
    Stage.BATTLEFIELD: Geometry(68.4, -224.0, 224.0, 200.0, -108.8),
    Stage.FINAL_DESTINATION: Geometry(85.57, -246.0, 246.0, 188.0, -140.0),
}

OTHER_LEDGE_X = 85.0
"""Stands in for the ledge of a stage without geometry here: the one number the earlier system used for every stage."""
