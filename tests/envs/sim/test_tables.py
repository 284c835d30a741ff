"""The simulator's tables: they hold together, and they say what their sources say."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from exphil.envs.sim import tables
from exphil.envs.sim.tables import AERIALS, ATTRIBUTE_NAMES, EFFECTS, THROWS, Tables
from exphil.game.ids import NUM_ACTIONS, NUM_CHARACTERS, Action, Character

TOOLS = Path(__file__).resolve().parents[3] / "tools"
PLAYABLE = [c for c in Character if c < Character.MASTER_HAND]
SMASHES = (0x3C, 0x3F, 0x40)
NAIR, FAIR = AERIALS[:2]


@pytest.fixture
def held() -> Tables:
    return tables.load()


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The readers of the committed inputs."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import table_inputs

    return table_inputs


def boxes(held: Tables, character: int, action: int, frame: int) -> Any:
    """The hitboxes of a frame, counted from 1, of a state."""
    row = held.motion_at[character, action] + frame - 1
    return held.boxes[held.box_at[row] : held.box_at[row + 1]]


def active(held: Tables, character: int, action: int) -> list[int]:
    """The frames of a state that have hitboxes."""
    frames = range(1, held.motion_frames[character, action] + 1)
    return [frame for frame in frames if len(boxes(held, character, action, frame))]


def test_the_arrays_have_the_documented_shapes_and_cannot_be_written(held: Tables) -> None:
    square = (NUM_CHARACTERS, NUM_ACTIONS)
    for name in ("length", "first", "rate", "iasa", "motion_at", "motion_frames"):
        assert getattr(held, name).shape == square
    assert held.safe.shape == (*square, 2)
    assert held.attributes.shape == (NUM_CHARACTERS,)
    assert held.throws.shape == held.throw_frame.shape == held.throw_by_weight.shape == (NUM_CHARACTERS, len(THROWS))
    assert held.auto_before.shape == held.auto_after.shape == (NUM_CHARACTERS, len(AERIALS))
    assert held.box_at.shape == (len(held.motion) + 1,)
    for array in held:
        assert array.flags.c_contiguous and not array.flags.writeable


def test_the_tables_are_read_once() -> None:
    assert tables.load() is tables.load()


def test_every_index_is_in_range(held: Tables) -> None:
    has = held.motion_at >= 0
    assert (held.motion_frames[has] > 0).all() and (held.motion_frames[~has] == 0).all()
    assert ((held.motion_at + held.motion_frames)[has] <= len(held.motion)).all()
    assert held.box_at[0] == 0 and held.box_at[-1] == len(held.boxes)
    assert (np.diff(held.box_at) >= 0).all() and (np.diff(held.box_at) <= 4).all()
    assert held.boxes["hit"].min() == -1 and held.boxes["hit"].max() < len(held.hits)
    assert set(np.unique(held.boxes["slot"])) <= {0, 1, 2, 3}
    assert set(np.unique(held.hits["effect"])) <= set(range(len(EFFECTS)))


def test_every_figure_is_finite_and_within_what_the_game_knows(held: Tables) -> None:
    for name in ATTRIBUTE_NAMES:
        assert np.isfinite(held.attributes[name]).all()
    bounds = {
        "weight": (50, 120),
        "gravity": (0.05, 0.25),
        "fall_max": (1.2, 3.2),
        "fast_fall": (1.5, 3.6),
        "walk_max": (0.6, 1.7),
        "run_max": (1, 2.4),
        "dash_init": (0.9, 2.1),
        "jump_squat": (3, 8),
        "jump_v": (1.5, 4.2),
        "hop_v": (1, 2.3),
        "air_max": (0.6, 1.4),
        "traction": (0.02, 0.11),
        "jumps": (2, 6),
        "landing_lag": (2, 7),
        "width": (1, 9),
        "height": (5, 20),
    }
    for name, (low, high) in bounds.items():
        assert (held.attributes[name] >= low).all() and (held.attributes[name] <= high).all(), name
    assert (abs(held.boxes["x"]) < 80).all() and (held.boxes["size"] > 0).all() and (held.boxes["size"] < 30).all()
    assert (abs(held.motion) < 30).all()
    assert (held.hits["damage"] >= 0).all() and (held.hits["damage"] <= 60).all()
    assert (held.hits["angle"] >= 0).all() and (held.hits["angle"] <= 361).all()
    assert (held.length >= 0).all() and (held.rate > 0).all() and (abs(held.first) < 70).all()
    assert ((held.iasa == 0) | (held.iasa <= held.length)).all()
    assert (held.safe[..., 0] <= held.safe[..., 1]).all()


@pytest.mark.parametrize("action", [*AERIALS, *SMASHES])
def test_every_character_can_hit_with_every_aerial_and_smash(held: Tables, action: int) -> None:
    for character in PLAYABLE:
        frames = active(held, character, action)
        assert frames and max(frames) <= held.length[character, action], Character(character).name
        hits = np.concatenate([boxes(held, character, action, frame)["hit"] for frame in frames])
        assert (hits >= 0).all() and (held.hits["damage"][hits] > 0).all(), Character(character).name


@pytest.mark.parametrize("action", [0x2C, 0x32, 0x35, 0x38, 0x39, 0xBB, 0xC3, 0xD9, 0x100, 0x101])
def test_every_character_can_hit_with_every_other_common_attack(held: Tables, action: int) -> None:
    assert [Character(c).name for c in PLAYABLE if not active(held, c, action)] == []


@pytest.mark.parametrize("action", [0xD4, 0xD6])
def test_the_boxes_of_a_grab_hold_and_do_not_hit(held: Tables, action: int) -> None:
    for character in PLAYABLE:
        frames = active(held, character, action)
        assert frames and all((boxes(held, character, action, frame)["hit"] == -1).all() for frame in frames)


def test_fox_is_as_everybody_knows_him(held: Tables) -> None:
    fox = held.attributes[Character.FOX]
    known = {"weight": 75, "gravity": 0.23, "fall_max": 2.8, "fast_fall": 3.4, "jump_squat": 3, "landing_lag": 4}
    assert {name: fox[name] for name in known} == known
    assert active(held, Character.FOX, NAIR) == list(range(4, 32))
    strong, weak = (held.hits[boxes(held, Character.FOX, NAIR, frame)["hit"]] for frame in (4, 8))
    assert (strong["damage"] == 12).all() and (strong["angle"] == 361).all() and (weak["damage"] == 9).all()
    assert active(held, Character.FOX, 0xD4) == [7, 8]
    assert (held.auto_before[Character.FOX, 0], held.auto_after[Character.FOX, 0]) == (4, 36)
    assert active(held, Character.FOX, 0xD9) == [5]
    assert held.length[Character.FOX, Action.KNEE_BEND] == 3 and held.length[Character.FOX, 0xEB] == 22
    assert held.safe[Character.FOX, 0xEB].tolist() == [2, 15]
    up = held.throws[Character.FOX, THROWS.index(0xDD)]
    assert (up["damage"], up["angle"], up["growth"], up["base"]) == (2, 90, 110, 75)


def test_a_throw_does_what_recorded_victims_say_where_its_source_lists_only_the_hits_before(held: Tables) -> None:
    up = held.throws[Character.CAPTAIN_FALCON, THROWS.index(0xDD)]
    assert (up["damage"], up["growth"], up["base"]) == (3, 105, 70)
    assert held.throw_before[Character.CAPTAIN_FALCON, THROWS.index(0xDD)] == 4
    assert held.throw_by_weight[Character.FALCO].all() and not held.throw_by_weight[Character.SHEIK].any()
    assert (held.throw_frame[held.throw_frame > 0] < 80).all()


def test_the_tip_of_marths_sword_is_stronger(held: Tables) -> None:
    found = boxes(held, Character.MARTH, FAIR, 5)
    damage = held.hits["damage"][found["hit"]]
    assert damage[found["x"].argmax()] == damage.max() == 13 and damage.min() == 9
    assert EFFECTS[held.hits["effect"][found["hit"][0]]] == "slash"


def test_back_airs_hit_behind_and_rolls_go_where_they_are_named(held: Tables) -> None:
    behind = [boxes(held, c, AERIALS[2], active(held, c, AERIALS[2])[0])["x"].min() < 0 for c in PLAYABLE]
    assert sum(behind) >= len(PLAYABLE) - 1
    for character in PLAYABLE:
        for action, way in ((0xE9, 1), (0xC8, 1), (0xEA, -1), (0xC5, -1)):
            row, count = held.motion_at[character, action], held.motion_frames[character, action]
            if row >= 0:
                assert held.motion[row : row + count, 0].sum() * way > 5, (Character(character).name, hex(action))


def test_nana_is_popo_and_nobody_else_has_marios_figures(held: Tables) -> None:
    for name in ("attributes", "length", "first", "motion_at", "throws"):
        array = getattr(held, name)
        assert (array[Character.NANA] == array[Character.ICE_CLIMBERS]).all()
        assert (array[Character.MASTER_HAND :] == array[Character.MARIO]).all()


def test_attributes_are_those_of_the_input(held: Tables, inputs: ModuleType) -> None:
    rows = inputs.attributes()
    for ours, theirs in (("gravity", "gravity"), ("run_max", "run_speed"), ("landing_d", "dair_lag"), ("jumps",) * 2):
        assert [held.attributes[ours][c] for c in rows] == [row[theirs] for row in rows.values()]


def test_lengths_and_cancels_of_moves_are_those_of_the_input(held: Tables, inputs: ModuleType) -> None:
    for character, moves in inputs.moves().items():
        for place, name in enumerate(("nair", "fair", "bair", "uair", "dair")):
            move = moves[name]
            assert held.length[character, AERIALS[place]] == move.total
            assert held.auto_before[character, place] == move.auto_before
            assert held.auto_after[character, place] == move.auto_after


def test_every_hit_of_a_timed_move_stands_in_its_frames(held: Tables, inputs: ModuleType) -> None:
    for character, moves in inputs.moves().items():
        groups = [group for group in moves["fair"].groups if group.start]
        for group in groups:
            found = boxes(held, character, FAIR, group.start)
            figures = {tuple(float(held.hits[box["hit"]][n]) for n in ("damage", "angle")) for box in found}
            assert not len(found) or figures & {g.figures[:2] for g in groups if g.start <= group.start <= g.end}


def test_counters_are_those_that_were_counted(held: Tables, inputs: ModuleType) -> None:
    counted = {key: one for key, one in inputs.lengths().items() if one.seen >= 3 and key[0] != Character.NANA}
    assert all(held.first[key] == np.float32(one.first) for key, one in counted.items())
    assert held.first[Character.FOX, NAIR] == 1 and held.first[Character.FOX, 0x18] == 0


def test_the_file_is_what_its_inputs_give() -> None:
    if find_spec("melee") is None:
        pytest.skip("libmelee is not installed (the extra dolphin): its part of the tables cannot be made anew")
    command = [sys.executable, str(TOOLS / "make_tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
