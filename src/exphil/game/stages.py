"""Geometry of the six legal stages and Randall's round, in game units.

Facts as published with libmelee 0.47 (``melee.stages``), but for one step of Randall's lower line (``_randall``).
``ledge_x`` is where the ground ends (the stage is symmetric about 0 there); blast zones are left, right, top, bottom.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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

RANDALL_FRAMES = 1200
"""Frames of one round of Yoshi's Story's cloud: where he is follows from the frame number, in every game."""
_RANDALL_WIDTH = 11.9
_RANDALL_LINES = (
    (424, 45, 91.35, -31.16023, 0.0, 0.3548393),
    (477, 539, 89.33544, -13.64989, -0.35484, 0.0),
    (1023, 46, -103.6, -15.27787, 0.0, -0.3548393),
    (1076, 540, -101.85001, -33.2489, 0.35484, 0.0),
)
"""Of each straight line: its first frame, its frames, left edge and height there, and how far he goes in a frame."""
_RANDALL_CORNERS = (
    (416, ((-33.18448, 89.75264), (-33.0447, 90.07878), (-32.90493, 90.4049), (-32.76515, 90.73107),
           (-32.49261, 90.92455), (-32.16636, 91.06438), (-31.8401, 91.20419), (-31.51385, 91.34402))),
    (469, ((-15.19489, 91.33714), (-14.86874, 91.19736), (-14.5426, 91.05759), (-14.21646, 90.91782),
           (-13.96714, 90.71037), (-13.86966, 90.36918), (-13.77218, 90.02799), (-13.6747, 89.68681))),
    (1016, ((-13.67976, -101.91968), (-13.81954, -102.24582), (-13.95931, -102.57196), (-14.09909, -102.8981),
            (-14.32014, -103.14761), (-14.63752, -103.30631), (-14.95489, -103.465))),
    (1069, ((-31.59004, -103.55493), (-31.90741, -103.39626), (-32.22478, -103.23756), (-32.54216, -103.07887),
            (-32.72168, -102.7744), (-32.89775, -102.46626), (-33.07383, -102.15814))),
)  # fmt: skip
"""First frame of each rounded corner; then height and left edge, frame by frame."""


def _randall() -> NDArray[np.float32]:
    """Four straight lines and four corners.

    On the lower line libmelee (and UMI after it) is one step, 0.355, ahead from frame 0 to 415: 123 steps are done at
    frame 1199 and 125 at frame 0. Here they are 124: only so he is as fast at both ends of these frames as elsewhere,
    and a player who slid off at frame 327 was beyond the edge at which others still stand.
    """
    found = np.full((RANDALL_FRAMES, 2), np.nan)
    for first, frames, left, height, dx, dy in _RANDALL_LINES:
        done = np.arange(frames)[:, None]
        found[(first + done[:, 0]) % RANDALL_FRAMES] = [left, height] + done * [dx, dy]
    for first, corner in _RANDALL_CORNERS:
        found[first : first + len(corner)] = np.array(corner)[:, ::-1]
    found[:, 0] += _RANDALL_WIDTH / 2
    return found.astype(np.float32)


RANDALL = _randall()
"""``(1200, 2)``: x of his centre and height of his top on each frame of the round, at ``frame % 1200``; 11.9 wide.

Who rides him stands within 0.001 of that height in recorded games."""
