"""Recorded games as the simulator's records, and the truth test that begins there."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exphil.envs.sim import actions as act
from exphil.envs.sim import data
from exphil.envs.sim.taken import taken
from exphil.envs.sim.world import SimEnvironment
from exphil.game.controller import Controller
from exphil.game.frames import ROW, Lacks
from exphil.game.ids import Button, Character, Stage
from exphil.game.time import GO_FRAME

BENCH = Path(__file__).resolve().parents[3] / "bench"
BUTTONS = (0, 0, 0, Button.A, Button.B, Button.X, Button.Y, Button.L, Button.R)


@pytest.fixture(scope="module", autouse=True)
def bench() -> Iterator[None]:
    """The benchmark's modules can be imported."""
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


def pressed(rng: np.random.Generator) -> Controller:
    """Sticks all the way or not at all, and at most one button."""
    way = rng.integers(-1, 2, 2).astype(np.float32)
    columns = [np.array([value], np.float32) for value in (*way, 0.0, 0.0, 0.0)]
    return Controller(*columns, np.array([rng.choice(BUTTONS)], np.int16))


def played(stage: Stage, frames: int = 700) -> Any:
    """Rows ``(T,)`` of a game in which both press at random, new every six frames."""
    world, rng = SimEnvironment(1, (Character.FOX, Character.SHEIK), stage), np.random.default_rng(stage)
    rows = [world.reset(0).game.rows.copy()]
    for frame in range(frames):
        if frame % 6 == 0:
            held = {port: pressed(rng) for port in (1, 2)}
        rows.append(world.step(held).game.rows.copy())
    return np.concatenate(rows).view(ROW)[..., 0].copy()


def judged(rows: Any) -> Any:
    """The game as the truth test sees it; everything from the first free frame on counts."""
    import real_frames

    free = np.repeat((rows["frame"] > GO_FRAME)[:, None], 2, 1)
    situation = real_frames.situations(rows["players"], data.load().attributes["fast_fall"])
    return real_frames.Recorded("own", rows, situation, free, np.zeros(len(rows)), *taken(rows, data.load()))


def right(rows: Any) -> dict[str, Any]:
    """What the truth test says of all one-frame predictions of a game."""
    import sim_truth

    game, shares = judged(rows), sim_truth.Shares()
    sim_truth.one_frame(game, sim_truth.starts(game, 1), data.load(), shares, sim_truth.Mistakes(""))
    return shares.of(*sim_truth.NAMES)


def test_what_is_taken_from_a_frame_does_not_depend_on_later_frames():
    rows = played(Stage.BATTLEFIELD)
    for whole, part in zip(taken(rows, data.load()), taken(rows[:400], data.load()), strict=True):
        assert (whole[:400] == part).all()


def test_a_game_of_the_simulator_goes_on_as_it_did_from_any_of_its_frames():
    for stage in (Stage.YOSHIS_STORY, Stage.FOUNTAIN_OF_DREAMS):
        share = right(played(stage))
        assert share["n"] > 1000
        assert share["both"] >= 0.995


def test_the_truth_test_fails_a_game_with_somebody_elses_controllers():
    rows = played(Stage.BATTLEFIELD)
    for name in ("main_x", "main_y", "buttons"):
        rows["players"][name] = rows["players"][name][:, ::-1].copy()
    share = right(rows)
    assert share["both"] < 0.95
    assert share["constant velocity"] < share["both"]


def test_a_place_that_is_a_tenth_off_is_wrong():
    rows = played(Stage.BATTLEFIELD)
    rows["players"]["x"][::2] += 0.1
    assert right(rows)["place"] < 0.05


def test_frames_of_hitlag_do_not_age_a_state():
    rows = played(Stage.BATTLEFIELD)[:60]
    player = rows["players"][:, 0]
    player["action"], player["hitlag"] = act.AIR_NEUTRAL, 0.0
    player["action_frame"] = np.arange(60)
    player["action_frame"][10:14] = 10
    player["action_frame"][14:] = np.arange(11, 57)
    player["hitlag"][10:14] = (4, 3, 2, 1)
    ages = taken(rows, data.load())[0]["t"][:, 0]
    assert ages[[0, 10, 13, 14, 15]].tolist() == [1, 11, 11, 12, 13]


def test_a_stick_is_as_old_as_its_push():
    rows = played(Stage.BATTLEFIELD)[:40]
    rows["players"]["main_x"] = 0.0
    rows["players"]["main_x"][10:20, 0] = 1.0
    rows["players"]["main_x"][15, 0] = -1.0
    assert taken(rows, data.load())[0]["tilt_x"][10:18, 0].tolist() == [0, 1, 2, 3, 4, 0, 0, 1]


def test_a_hit_matches_the_nearest_one_within_two_frames_and_only_once():
    import sim_truth

    assert sim_truth.match([3, 10], [5, 11, 19]) == {3: 5, 10: 11}
    assert sim_truth.match([3, 4], [4]) == {3: 4}
    assert sim_truth.match([3], [6]) == {}


def test_whispy_blows_from_the_first_push_to_the_last_where_the_file_does_not_say():
    import real_frames

    rows = played(Stage.DREAM_LAND)[:200]
    rows["lacks"] = int(Lacks.WHISPY)
    player = rows["players"][:, 0]
    player["action"], player["hitlag"], player["x"] = act.FALL, 0.0, 0.0
    player["speed_air_x"], player["speed_x_attack"] = 0.0, 0.0
    player["x"] = 0.2 * np.clip(np.arange(200) - 49, 0, 60)
    assert np.flatnonzero(real_frames.blown(rows) > 0)[[0, -1]].tolist() == [50, 109]
    assert (real_frames.blown(rows) >= 0).all()


def test_recorded_games_are_judged_or_left_out_with_a_reason(full_games: list[Path]):
    import real_frames

    left_out: Counter[str] = Counter()
    games = list(real_frames.recorded(full_games[:8], left_out, data.load()))
    assert [game.name[-3:] for game in games] == ["007", "008"]
    assert sum(count for reason, count in left_out.items() if reason.startswith("games")) == 6


def test_real_games_are_predicted_as_well_as_the_committed_result_says(full_games: list[Path]):
    import real_frames
    import sim_truth

    shares = sim_truth.Shares()
    for game in real_frames.recorded(full_games[6:8], Counter(), data.load()):
        sim_truth.one_frame(game, sim_truth.starts(game, 1), data.load(), shares, sim_truth.Mistakes(""))
    for names, least in ((("free air",), 0.93), (sim_truth.GROUND, 0.9), (("hitstun",), 0.93)):
        assert shares.of(*names)["both"] > least > shares.of(*names)["constant velocity"]
