"""The first frame of a game: where players enter, what they have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.envs.sim import actions as act
from exphil.envs.sim.ground_lines import REST
from exphil.game.ids import Stage
from exphil.game.time import FIRST_FRAME

STARTS = {
    Stage.FOUNTAIN_OF_DREAMS: ((-41.25, 21.0), (41.25, 27.0)),
    Stage.POKEMON_STADIUM: ((-40.0, 32.0), (40.0, 32.0)),
    Stage.YOSHIS_STORY: ((-42.0, 26.6), (42.0, 28.0)),
    Stage.DREAM_LAND: ((-46.6, 37.22), (47.389, 37.3215)),
    Stage.BATTLEFIELD: ((-38.8, 35.2), (38.8, 35.2)),
    Stage.FINAL_DESTINATION: ((-60.0, 10.0), (60.0, 10.0)),
}
"""Where the first and the second player appear, as in the shared replays."""
HEIGHTS = (20.0, 28.0)


def open_games(
    players: NDArray[Any], games: NDArray[Any], items: NDArray[Any], rows: NDArray[np.bool_],
    characters: NDArray[np.int64], stages: NDArray[np.int64], stocks: int, seed: int, opened: NDArray[np.int64],
    tables: Any,
) -> None:  # fmt: skip
    """Put the games of ``rows`` at their first frame; chance is a function of seed, row and how many games it had."""
    for row in np.flatnonzero(rows).tolist():
        stage = Stage(int(stages[row]))
        players[row] = np.zeros(2, players.dtype)
        items[row] = np.zeros(items.shape[1], items.dtype)
        game = games[row]
        game["frame"], game["stage"], game["first"], game["last"], game["truncated"] = FIRST_FRAME, stage, 1, 0, 0
        game["left_height"], game["right_height"] = HEIGHTS
        drawn = np.random.SeedSequence((seed, row, int(opened[row]))).generate_state(1, np.uint64)[0]
        game["random"] = int(drawn) & 0x7FFFFFFF
        game["left_rest"] = game["right_rest"] = REST
        for seat in (0, 1):
            _enter(players[row, seat], int(characters[row, seat]), STARTS[stage][seat], seat, stocks, tables)


def _enter(p: Any, character: int, place: tuple[float, float], seat: int, stocks: int, tables: Any) -> None:
    p["character"], p["x"], p["y"], p["facing"] = character, *place, 1.0 if seat == 0 else -1.0
    p["stocks"], p["shield"], p["action"], p["t"] = stocks, 60.0, act.ENTRY, 1
    p["jumps"], p["surface"], p["passing"] = int(tables.attributes[character]["jumps"]) - 1, -1, -1
    p["action_frame"], p["rate"], p["tilt_x"], p["tilt_y"], p["since_trigger"] = -1.0, 0.0, 254, 254, 254
