"""The lines that players stand on, fall through and hang from, on the six legal stages.

What enters: a stage's row (0..5, ``ROW_OF_STAGE``), positions in game units, and the frame's moving heights. A surface
is a number: 0 the main ground, 1 the left platform, 2 the right one, 3 the top one, 4 Randall.

Sources: edges, platforms, blast zones as in ``game.stages`` and libmelee 0.47 (``melee.stages``); the slopes of Yoshi's
Story and Fountain of Dreams, the ground's heights and how a platform's recorded height becomes one that is stood on
(three quarters of it and 1.1251) are read off who stood there in the shared replays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exphil.compiled import part
from exphil.envs.sim.state import Record
from exphil.game.ids import NUM_STAGES, Stage
from exphil.game.stages import GEOMETRY, RANDALL, RANDALL_FRAMES

STAGES = tuple(Stage)
LEFT, RIGHT, HEIGHT = 0, 1, 2
NUM_SURFACES = 5
RANDALL_HALF = 5.95
_PLATFORMS = {
    Stage.FOUNTAIN_OF_DREAMS: ((-49.5, -21.0, 16.1251), (21.0, 49.5, 22.1251), (-14.25, 14.25, 42.7501)),
    Stage.POKEMON_STADIUM: ((-55.0, -25.0, 25.0001), (25.0, 55.0, 25.0001), (0.0, 0.0, -1e9)),
    Stage.YOSHIS_STORY: ((-59.5, -28.0, 23.4501), (28.0, 59.5, 23.4501), (-15.75, 15.75, 42.0001)),
    Stage.DREAM_LAND: ((-61.3929, -31.7254, 30.1422), (31.7036, 63.0745, 30.2426), (-19.0181, 19.0171, 51.4254)),
    Stage.BATTLEFIELD: ((-57.6, -20.0, 27.2001), (20.0, 57.6, 27.2001), (-18.8, 18.8, 54.4001)),
    Stage.FINAL_DESTINATION: ((0.0, 0.0, -1e9), (0.0, 0.0, -1e9), (0.0, 0.0, -1e9)),
}
_MAIN = {Stage.FOUNTAIN_OF_DREAMS: 0.0029, Stage.DREAM_LAND: 0.0089}
OTHER_MAIN = 0.0001
ROW_OF_STAGE = np.full(NUM_STAGES, -1, np.int64)
for _row, _stage in enumerate(STAGES):
    ROW_OF_STAGE[_stage] = _row


def _lines() -> NDArray[np.float64]:
    found = np.zeros((len(STAGES), NUM_SURFACES, 3))
    for row, stage in enumerate(STAGES):
        edge = GEOMETRY[stage].ledge_x
        found[row, 0] = -edge, edge, _MAIN.get(stage, OTHER_MAIN)
        found[row, 1:4] = _PLATFORMS[stage]
        found[row, 4] = 0.0, 0.0, -1e9
    return found


LINES = _lines()
"""``(6, 5, 3)``: left end, right end and height of every surface; one that is not there lies at -1e9."""
BLAST = np.array([[*GEOMETRY[stage][1:]] for stage in STAGES])
"""``(6, 4)``: blast zones, left, right, top, bottom."""
CLOUD = RANDALL.astype(np.float64)
YOSHI_ROW, FOUNTAIN_ROW = STAGES.index(Stage.YOSHIS_STORY), STAGES.index(Stage.FOUNTAIN_OF_DREAMS)
_SLOPE_FROM, _SLOPE = 39.2, 3.5 / 16.8
"""Yoshi's Story falls to -3.5 at 56 from about here on either side."""
WIND_TOP = 40.0
LOWEST, HIGHEST, LIFT, REST = 15.0, 31.0, 0.15, 600
"""Fountain of Dreams' platforms: between which heights they move, how fast, and the least frames that they rest. The
speed and the heights are seen in the shared replays; the chances are a guess."""
_STEP_FROM, _STEP_TO, _STEP = 51.0, 53.6, 0.621
"""Fountain of Dreams' ground is 0.621 higher beyond about 53."""


@part
def ends(stage: int, surface: int, frame: int) -> tuple[float, float]:
    """Left and right end of a surface."""
    if surface == 4:
        centre = CLOUD[frame % RANDALL_FRAMES, 0]
        return centre - RANDALL_HALF, centre + RANDALL_HALF
    return LINES[stage, surface, LEFT], LINES[stage, surface, RIGHT]


@part
def height(stage: int, surface: int, x: float, game: Record) -> float:
    """Height of a surface at x."""
    if surface == 0:
        far = abs(x)
        if stage == YOSHI_ROW and far > _SLOPE_FROM:
            return LINES[stage, 0, HEIGHT] - _SLOPE * min(far - _SLOPE_FROM, 16.8)
        if stage == FOUNTAIN_ROW and far > _STEP_FROM:
            return LINES[stage, 0, HEIGHT] + _STEP * min((far - _STEP_FROM) / (_STEP_TO - _STEP_FROM), 1.0)
        return LINES[stage, 0, HEIGHT]
    if surface == 4:
        return CLOUD[game.frame % RANDALL_FRAMES, 1] if stage == YOSHI_ROW else -1e9
    if stage == FOUNTAIN_ROW and surface < 3:
        return 1.1251 + 0.75 * (game.left_height if surface == 1 else game.right_height)
    return LINES[stage, surface, HEIGHT]


@part
def carried(frame: int) -> float:
    """How far Randall goes in the step to a frame."""
    return CLOUD[frame % RANDALL_FRAMES, 0] - CLOUD[(frame - 1) % RANDALL_FRAMES, 0]


@part
def landing(stage: int, game: Record, x: float, was: float, now: float, passing: int) -> int:
    """The highest surface that feet cross on the way down, -1 for none.

    Args:
        stage: Its row.
        game: For the heights that move.
        x: Where the feet are after the move.
        was: Their height before.
        now: Their height after it.
        passing: A platform that is fallen through, -1 for none.
    """
    found, best = -1, -1e8
    for surface in range(NUM_SURFACES):
        if surface == passing:
            continue
        left, right = ends(stage, surface, game.frame)
        top = height(stage, surface, x, game)
        if left <= x <= right and was >= top - 0.01 and now <= top and top > best:
            found, best = surface, top
    return found


@part
def blown(x: float, y: float, game: Record) -> float:
    """What Whispy's wind adds to x in a frame: only before his mouth (the box is read off the shared replays)."""
    if game.wind == 0.0 or y >= WIND_TOP:
        return 0.0
    if game.wind > 0.0:
        return game.wind if -17.0 < x < 76.0 else 0.0
    return game.wind if -74.0 < x < -18.0 else 0.0


@part
def drawn(game: Record) -> float:
    """The next random number of a game, in [0, 1): a linear congruential generator, the same in every arithmetic."""
    game.random = (game.random * 1103515245 + 12345) & 0x7FFFFFFF
    return (game.random >> 8) / 8388608.0


@part
def _lifted(now: float, goal: float, rest: int, game: Record) -> tuple[float, float, int]:
    """A platform's height, goal and rest a frame later."""
    if rest > 0:
        return now, LOWEST + (HIGHEST - LOWEST) * drawn(game) if rest == 1 else goal, rest - 1
    if abs(goal - now) <= LIFT:
        return goal, goal, REST + int(REST * drawn(game))
    return now + (LIFT if goal > now else -LIFT), goal, 0


@part
def lift(stage: int, game: Record) -> None:
    """Fountain of Dreams' platforms rest, then move to a new height."""
    if stage != FOUNTAIN_ROW:
        return
    game.left_height, game.left_goal, game.left_rest = _lifted(game.left_height, game.left_goal, game.left_rest, game)
    game.right_height, game.right_goal, game.right_rest = _lifted(
        game.right_height, game.right_goal, game.right_rest, game
    )
