"""melee-sim-light as a world: every field of its arrays has its column, and what it cannot do is said before it starts.

The library grants no licence and needs a disc, so a stand-in speaks its documented arrays (``melee_sim_stub``); it
raises for a controller or configuration that is out of range.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import melee_sim_stub as stub
from exphil.envs.melee_sim import MeleeSimEnvironment
from exphil.errors import ExphilError, OptionError
from exphil.features import action
from exphil.game.controller import Controller, neutral
from exphil.game.frames import Lacks
from exphil.game.ids import BUTTONS, Button

GAMES = 3
COLUMNS = {
    "percent": "percent",
    "x": "pos_x",
    "y": "pos_y",
    "shield": "shield_hp",
    "action": "action_id",
    "action_frame": "action_frame",
    "hitlag": "hitlag",
    "hitstun": "hitstun",
    "jumps": "jumps_left",
    "speed_air_x": "speed_air_x_self",
    "speed_ground_x": "speed_ground_x_self",
    "speed_y": "speed_y_self",
    "speed_x_attack": "speed_x_attack",
    "speed_y_attack": "speed_y_attack",
    "on_ground": "on_ground",
    "stocks": "stocks",
    "character": "char_id",
    "exists": "present",
}


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The module is there, and a data folder where the library looks for one."""
    monkeypatch.setitem(sys.modules, "melee_sim", stub.module())
    monkeypatch.setenv("MSL_DATA_DIR", str(stub.data(tmp_path / "data")))
    return tmp_path


@pytest.fixture
def opened():
    """Makes worlds and closes them."""
    made = []

    def make(*args, **more):
        made.append(stub.world(*args, **more))
        return made[-1], stub.MADE[-1]

    yield make
    for world in made:
        world.close()


def holding(games=GAMES, **columns):
    still = neutral(games)
    return still._replace(
        **{name: np.full(games, value, getattr(still, name).dtype) for name, value in columns.items()}
    )


def test_a_world_says_what_it_is(opened):
    world, _ = opened(ports=(2, 4))
    assert (world.name, world.ports, world.delay, world.reacts_to_actions) == ("melee_sim", (2, 4), 0, True)


def test_every_column_holds_what_the_library_shows(opened):
    world, batch = opened(GAMES, (7, 18), (2, 3, 28))
    world.reset(4)
    for _ in range(9):
        game, shown = world.step({}).game, batch.current_frame
        slots = shown["slots"][:, :2]
        assert np.array_equal(game.frame, shown["frame_id"]) and game.stage.tolist() == [2, 3, 28]
        for ours, theirs in COLUMNS.items():
            assert np.array_equal(getattr(game.players, ours), slots[theirs]), ours
        assert np.array_equal(game.players.facing, slots["facing"] * 2.0 - 1)
        assert np.array_equal(game.players.invulnerable, slots["hurtbox_state"] > 0)
        heights = shown["stage"]["fod_platforms"]
        assert game.platforms[0].tolist() == [heights["left"][0], heights["right"][0]]
        assert not game.platforms[1:].any() and heights["left"].all()
        assert not game.nana.exists.any() and not game.players.style.any()


def test_only_whispys_wind_is_missing(opened):
    world, _ = opened(6, (1, 22), (2, 3, 8, 28, 31, 32))
    lacks = world.reset(0).game.lacks
    assert lacks.tolist() == [0, 0, 0, Lacks.WHISPY, 0, 0]


def test_items_stand_where_a_recording_has_them_and_keep_their_place(opened):
    world, batch = opened(1)
    world.reset(0)
    for passed in range(1, 9):
        items, theirs = world.step({}).game.items, batch.current_frame["items"][0]
        slots = [14] * (passed >= 3) + [2, 7] * (passed >= 5)  # the oldest first
        assert items.exists[0].tolist() == [1] * len(slots) + [0] * (15 - len(slots))
        for ours, name in {"x": "pos_x", "y": "pos_y", "vx": "vel_x", "vy": "vel_y"}.items():
            assert np.array_equal(getattr(items, ours)[0, : len(slots)], theirs[name][slots])
        assert items.type[0].tolist()[: len(slots)] == [50 + slot for slot in slots]
        assert np.array_equal(items.state[0, : len(slots)], theirs["state"][slots])
        assert items.owner[0].tolist()[: len(slots)] == [-1, 1, 0][: len(slots)]
        assert not items.owner[0, len(slots) :].any()


def test_a_game_opens_on_the_frame_of_a_recording_and_counts_on(opened):
    world, _ = opened(GAMES)
    assert world.reset(0).game.frame.tolist() == [-123] * GAMES
    assert [world.step({}).game.frame[2] for _ in range(3)] == [-122, -121, -120]


def test_the_last_frame_is_shown_and_then_only_that_row_opens_anew(opened):
    world, batch = opened(GAMES)
    world.reset(0)
    for passed in range(1, stub.ENDS):
        frame = world.step({})
        assert not (frame.is_first | frame.is_last | frame.is_truncated).any() and frame.game.frame[0] == passed - 123
    frame = world.step({})
    assert frame.is_last.tolist() == [True, False, False] and frame.game.players.stocks.tolist()[0] == [4, 0]
    before = len(batch.configured)
    frame = world.step({1: holding(main_x=1)})
    assert frame.is_first.tolist() == [True, False, False] and not frame.is_last.any()
    assert frame.game.frame.tolist() == [-123, stub.ENDS - 122, stub.ENDS - 122]
    assert frame.game.players.stocks.tolist()[0] == [4, 4] and not frame.game.items.exists[0].any()
    assert frame.game.players.main_x[:, 0].tolist() == [0, 1, 1]
    assert [row for row, _ in batch.configured[before:]] == [0]
    frame = world.step({})
    assert not frame.is_first.any() and frame.game.frame.tolist()[0] == -122


def test_a_frame_limit_cuts_and_the_tournament_clock_ends(opened):
    world, batch = opened(GAMES, max_frames=2)
    world.reset(0)
    batch.gamestate_view["frame_id"][batch.t] = -1
    frames = [world.step({}) for _ in range(4)]
    assert [frame.is_truncated.all() for frame in frames] == [False, False, True, False]
    assert not any(frame.is_last.any() for frame in frames) and frames[-1].is_first.all()
    world, batch = opened(GAMES)
    world.reset(0)
    assert {match.max_frame for _, match in batch.configured} == {28800}
    batch.gamestate_view["frame_id"][batch.t] = 28799
    frame = world.step({})
    assert frame.is_last.all() and not frame.is_truncated.any()


def test_the_library_is_told_who_plays_where_on_which_port(opened):
    characters, stages = [(1, 22), (7, 18), (0, 2)], (31, 2, 28)
    world, batch = opened(GAMES, characters, stages, ports=(2, 4), stocks=3)
    frame = world.reset(9)
    assert [row for row, _ in batch.configured] == [0, 1, 2]
    matches = [match for _, match in batch.configured]
    assert [tuple(player.character for player in match.players) for match in matches] == characters
    assert all(tuple(player.controller_port for player in match.players) == (1, 3) for match in matches)
    assert [match.stage for match in matches] == list(stages) and {match.stocks for match in matches} == {3}
    assert frame.game.players.character.tolist() == [list(pair) for pair in characters]


def test_every_game_has_chances_of_its_own_that_follow_from_the_seed(opened):
    world, batch = opened(GAMES)
    frame = world.reset(5)
    for _ in range(2 * stub.ENDS):
        frame = world.step({})
    seeds = [(row, match.seed) for row, match in batch.configured]
    assert len(set(seeds)) == len({seed for _, seed in seeds}) == len(seeds) > GAMES
    other, again = opened(GAMES)
    other.reset(5)
    for _ in range(2 * stub.ENDS):
        shown = other.step({})
    assert [(row, match.seed) for row, match in again.configured] == seeds
    assert np.array_equal(shown.game.rows, frame.game.rows)
    other.reset(6)
    assert again.configured[-1][1].seed != seeds[GAMES - 1][1]
    other.reset()
    other.reset()
    assert len({match.seed for _, match in again.configured[-2 * GAMES :]}) == 2 * GAMES


def test_reset_in_the_middle_begins_anew(opened):
    world, batch = opened(GAMES)
    opening = world.reset(3).game.rows
    for _ in range(stub.ENDS):  # the first row has just ended
        frame = world.step({})
    assert frame.is_last[0]
    frame = world.reset(3)
    assert frame.is_first.all() and np.array_equal(frame.game.rows, opening)
    told = len(batch.configured)
    assert not world.step({}).is_first.any() and len(batch.configured) == told


@pytest.mark.parametrize(
    ("axis", "there"), [(-1.0, 0.0), (0.0, 0.5), (1.0, 1.0), (0.2875, 0.64375), (0.0125, 0.50625), (-0.5, 0.25)]
)
def test_sticks_lie_between_0_and_1_there(opened, axis, there):
    world, batch = opened(GAMES)
    world.reset(0)
    for name, theirs in zip(("main_x", "main_y", "c_x", "c_y"), stub.STICKS, strict=True):
        world.step({1: holding(**{name: axis})})
        pressed = batch.pressed[-1]
        assert pressed[theirs][:, 0].tolist() == [np.float32(there)] * GAMES
        assert (pressed[theirs][:, 1:] == 0.5).all()
        assert all((pressed[other] == 0.5).all() for other in stub.STICKS if other != theirs)


def test_a_pull_is_no_click_and_a_click_is_no_pull(opened):
    world, batch = opened(GAMES)
    world.reset(0)
    for depth in (0.0, 0.35, 1.0):
        for button in (0, Button.L, Button.R, Button.L | Button.R):
            world.step({2: holding(shoulder=depth, buttons=button)})
            pad = batch.pressed[-1][:, 1]
            assert pad["shoulder"].tolist() == [np.float32(depth)] * GAMES
            assert (pad["buttons"]["L"] == bool(button & Button.L)).all()
            assert (pad["buttons"]["R"] == bool(button & Button.R)).all()


def test_every_button_has_its_place_and_others_have_none(opened):
    world, batch = opened(GAMES)
    world.reset(0)
    for button in Button:
        frame = world.step({1: holding(buttons=button)})
        pressed = {name for name in stub.BUTTONS if batch.pressed[-1]["buttons"][name][:, 0].all()}
        assert pressed == ({button.name} if button in BUTTONS else set())
        assert (frame.game.players.buttons[:, 0] == (button if button in BUTTONS else 0)).all()
        assert not frame.game.players.buttons[:, 1].any()


def test_a_row_shows_controllers_as_the_game_reads_them(opened):
    """The same as is said of a decided controller, which stands among what a policy sees."""
    count, random = 400, np.random.default_rng(1)
    steps = np.arange(count)
    world, _ = opened(count)
    world.reset(0)
    axes = [((random.permutation(steps) % 161 - 80) / 80).astype(np.float32) for _ in range(4)]
    buttons = (random.integers(0, 2, (count, 8)) @ np.array(BUTTONS)).astype(np.int16)
    buttons[:141] = 0  # every depth of the trigger alone, then with any buttons
    held = Controller(*axes, (steps % 141 / 140).astype(np.float32), buttons)
    players = world.step({2: held}).game.players
    assert (world.ports, players.main_x[:, 0].any()) == ((1, 2), False)
    bits = [(buttons & button != 0).astype(np.float32) for button in BUTTONS]
    read = action.as_read(np.stack([*bits, *axes, held.shoulder], -1))
    shown = [*((players.buttons[:, 1] & button != 0).astype(np.float32) for button in BUTTONS)]
    shown += [getattr(players, name)[:, 1] for name in ("main_x", "main_y", "c_x", "c_y", "shoulder")]
    assert np.array_equal(np.stack(shown, -1), read)


def test_what_no_hand_can_hold_is_held_as_near_as_it_gets(opened):
    world, batch = opened(GAMES)
    world.reset(0)
    world.step({1: holding(main_x=2, c_y=-3, main_y=0.3001, shoulder=1.5)})
    pad = batch.pressed[-1][0, 0]
    assert (pad["main_stick_x"], pad["c_stick_y"], pad["shoulder"]) == (1, 0, 1)
    assert pad["main_stick_y"] == np.float32(0.65)


def test_what_is_pressed_acts_on_the_next_frame_and_a_port_left_out_presses_nothing(opened):
    world, batch = opened(GAMES)
    before = world.reset(0).game.players.x.copy()
    players = world.step({2: holding(main_x=1)}).game.players
    assert np.array_equal(players.x - before, [[0, 1]] * GAMES)
    world.step({})
    assert (batch.pressed[-1]["main_stick_x"][:, :2] == 0.5).all()


def test_a_frame_that_was_shown_stays_as_it_was(opened):
    """Past the end of the library's ring of arrays, too."""
    world, _ = opened(1)
    frames = [world.reset(2), *(world.step({}) for _ in range(50))]
    kept = [frame.game.rows.copy() for frame in frames]
    assert all(np.array_equal(frame.game.rows, rows) for frame, rows in zip(frames, kept, strict=True))
    again = [world.reset(2), *(world.step({}) for _ in range(50))]
    assert all(np.array_equal(frame.game.rows, rows) for frame, rows in zip(again, kept, strict=True))


def test_close_can_be_called_twice(opened):
    world, batch = opened()
    world.close()
    world.close()
    assert batch.closed == 1


def test_a_missing_module_is_named_with_where_it_comes_from(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "melee_sim", raising=False)
    with pytest.raises(ExphilError, match="needs the module melee_sim, which is not installed") as caught:
        MeleeSimEnvironment(1, (1, 1), 31, data_dir=stub.data(tmp_path))
    assert "github.com/kyhavlov/melee-sim-light" in caught.value.fix


def test_a_module_that_fails_says_why(monkeypatch, tmp_path):
    (tmp_path / "melee_sim.py").write_text("import a_library_that_is_not_there\n")
    monkeypatch.delitem(sys.modules, "melee_sim", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ExphilError, match="cannot be imported: No module named 'a_library_that_is_not_there'"):
        MeleeSimEnvironment(1, (1, 1), 31)


def test_missing_data_are_named_with_how_they_are_made(installed, monkeypatch):
    with pytest.raises(ExphilError, match="finds no game data here") as caught:
        MeleeSimEnvironment(1, (1, 1), 31, data_dir=installed / "nothing")
    assert caught.value.where == str(installed / "nothing")
    assert "melee_sim.extract_data --iso" in caught.value.fix and "MSL_DATA_DIR" in caught.value.fix
    monkeypatch.delenv("MSL_DATA_DIR")
    with pytest.raises(ExphilError) as caught:
        MeleeSimEnvironment(1, (1, 1), 31)
    assert caught.value.where == "data"


def test_data_are_found_by_the_librarys_own_variable(installed):
    world = MeleeSimEnvironment(1, (1, 1), 31)
    assert world.reset(0).is_first.all()
    world.close()


def test_a_library_that_does_not_start_says_why(installed):
    (installed / "data" / "broken").touch()
    with pytest.raises(ExphilError, match="does not start: create batch: incompatible game data"):
        MeleeSimEnvironment(1, (1, 1), 31)


def test_a_version_with_other_arrays_is_refused_by_name_and_closed(installed):
    with pytest.raises(ExphilError, match="its stage has no field 'fod_platforms'"):
        stub.world(batch=stub.OlderBatch)
    assert stub.MADE[-1].closed == 1
    with pytest.raises(ExphilError, match="no step_and_reset"):
        stub.world(batch=object)


def test_players_in_another_order_are_not_taken_for_each_other(opened):
    class Turned(stub.EnvBatch):
        def reset_all(self):
            super().reset_all()
            self.gamestate_view["slots"] = self.gamestate_view["slots"][..., [1, 0, 2, 3]]

    world, _ = opened(batch=Turned)
    with pytest.raises(ExphilError, match=r"its players stand in the order \[1, 0\]"):
        world.reset(0)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"characters": (4, 1)}, "kirby cannot be played in melee_sim"),
        ({"characters": [(1, 1), (1, 23)]}, "pichu cannot be played in melee_sim"),
        ({"characters": (1, 26)}, "roy cannot be played in melee_sim"),
        ({"characters": (10, 1)}, "ice_climbers cannot be played in melee_sim: it does not show Nana"),
        ({"characters": (11, 1)}, "nana cannot be played"),
        ({"characters": [(1, 1)] * 3}, "neither one pair nor 2 of them"),
        ({"characters": "fox"}, "no whole numbers"),
        ({"stages": 25}, "stage_25 cannot be played"),
        ({"stages": (31, 2, 3)}, "neither one number nor 2 of them"),
        ({"ports": (2, 1)}, "nobody can play on ports"),
        ({"ports": (1, 5)}, "nobody can play on ports"),
        ({"games": 0}, "0 games cannot be played"),
        ({"stocks": 0}, "0 stocks cannot be played"),
        ({"max_frames": -123}, "-123 max_frames cannot be played"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_starts(given, says):
    made = len(stub.MADE)
    with pytest.raises(OptionError, match=says):
        stub.world(**given)
    assert len(stub.MADE) == made
