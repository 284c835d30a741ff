"""What holds in every frame of every game, whatever hands do; and the simulator as an Environment."""

from __future__ import annotations

import numpy as np
import pytest
from random_hands import FIGHTERS, STAGES, World, everybody, hands

from exphil.envs.sim import actions as act
from exphil.envs.sim import data
from exphil.envs.sim.ground_lines import BLAST, ROW_OF_STAGE
from exphil.envs.sim.state import PLAYER
from exphil.envs.sim.world import SimEnvironment
from exphil.errors import OptionError
from exphil.game.controller import Controller
from exphil.game.ids import NUM_ACTIONS, Button, Character, Stage
from exphil.game.time import FIRST_FRAME

BEYOND = 20.0
"""How far past a blast zone the frame of a death may lie: the fastest anybody flies in a frame."""
ABOVE = 150.0
"""How far past the top one may go without dying: only who was hit dies there."""
FLOATS = tuple(name for name in PLAYER.names if PLAYER[name].kind == "f")


def wrong(players: np.ndarray, stocks: np.ndarray, blast: np.ndarray) -> dict[str, np.ndarray]:
    """Masks ``(E, 2)`` by name of what must never be."""
    p, left, right, top, bottom = players, *(blast[:, side, None] for side in range(4))
    found = {f"{name} is not finite": ~np.isfinite(p[name]) for name in FLOATS}
    found["beyond the sides"] = (p["x"] < left - BEYOND) | (p["x"] > right + BEYOND)
    found["beyond the bottom"] = p["y"] < bottom - BEYOND
    found["beyond the top"] = p["y"] > top + ABOVE
    found["stocks rise, or fall by two"] = (p["stocks"] > stocks) | (p["stocks"] < stocks - 1)
    found["percent"] = (p["percent"] < 0) | (p["percent"] > 999)
    found["shield"] = (p["shield"] < 0) | (p["shield"] > 60)
    found["no such action"] = (p["action"] < 0) | (p["action"] >= NUM_ACTIONS)
    found["on the ground of nothing"] = (p["on_ground"] != 0) != (p["surface"] >= 0)
    found["facing"] = np.abs(p["facing"]) != 1
    found["jumps"] = (p["jumps"] < 0) | (p["jumps"] > 6)
    found["hitlag"] = (p["hitlag"] < 0) | (p["hitlag"] > 40)
    found["hitstun"] = (p["hitstun"] < 0) | (p["hitstun"] > 400)
    found["time in a state"] = p["t"] < 1
    return found


def play(seed: int, frames: int) -> World:
    """Every character on every stage; fails at the first frame that may not be."""
    pairs, stages = everybody()
    world, pads = World(pairs, stages, seed, stocks=99), hands(seed, list(range(len(pairs))), frames)
    blast = BLAST[ROW_OF_STAGE[np.array(stages)]]
    stocks = np.array(world.players.stocks)
    for at in range(frames):
        world.step(pads[at])
        players = world.players.view(np.ndarray)
        for what, mask in wrong(players, stocks, blast).items():
            if mask.any():
                row, seat = np.argwhere(mask)[0]
                raise AssertionError(f"{what}: seed {seed}, frame {at}, game {row}, seat {seat}: {players[row, seat]}")
        stocks = players["stocks"].copy()
    return world


def test_nothing_impossible_happens_to_any_character_on_any_stage():
    world = play(0, 600)
    assert (world.players.percent > 0).mean() > 0.2 and (world.players.stocks < 99).any()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_impossible_happens_in_a_minute(seed):
    play(seed, 3600)


def still(games: int) -> Controller:
    return Controller(*(np.zeros(games, np.float32) for _ in range(5)), np.zeros(games, np.int16))


def test_the_environment_shows_first_and_last_frames_and_opens_the_next_game():
    away = still(2)._replace(main_x=np.array([-1.0, 0.0], np.float32))
    world = SimEnvironment(2, (Character.FOX, Character.MARTH), Stage.FINAL_DESTINATION, stocks=1, ports=(2, 4))
    frame = world.reset(7)
    assert frame.is_first.all() and (frame.game.frame == FIRST_FRAME).all()
    for _ in range(2000):
        frame = world.step({2: away})
        if frame.is_last[0]:
            break
    assert frame.is_last.tolist() == [True, False] and not frame.is_truncated.any() and not frame.is_first.any()
    assert frame.game.players.stocks.tolist() == [[0, 1], [1, 1]]
    later = frame.game.frame[1]
    frame = world.step({2: away})
    assert frame.is_first.tolist() == [True, False] and not frame.is_last.any()
    assert frame.game.frame.tolist() == [FIRST_FRAME, later + 1]
    world.close()
    world.close()


def test_the_clock_ends_a_game():
    world = SimEnvironment(1, (Character.FOX, Character.FOX), Stage.BATTLEFIELD, max_frames=1)
    world.reset(0)
    ended = [bool(world.step({}).is_last[0]) for _ in range(1 - FIRST_FRAME)]
    assert ended[-1] and not any(ended[:-1])


def test_a_frame_that_was_shown_stays_as_it_was():
    world = SimEnvironment(3, (Character.FOX, Character.MARTH), Stage.YOSHIS_STORY)
    frame = world.reset(0)
    kept = frame.game.rows.copy()
    world.step({})
    assert (frame.game.rows == kept).all() and frame.is_first.all()


def test_frames_hold_what_the_records_hold():
    pairs, stages = everybody()
    world = SimEnvironment(len(pairs), pairs, stages)
    frame = world.reset(0)
    pads = hands(3, list(range(len(pairs))), 260)
    shots = False
    for pad in pads:
        held = {
            port: Controller(*pad[:, seat, :5].T, pad[:, seat, 5].astype(np.int16)) for seat, port in ((0, 1), (1, 2))
        }
        frame = world.step(held)
        shots |= bool(frame.game.items.exists.any())
    game = frame.game
    for name in ("x", "percent", "shield", "main_x", "action", "stocks", "character", "buttons"):
        shown = getattr(game.players, name)
        assert (shown == world._players[name].astype(shown.dtype)).all(), name
    assert (game.players.speed_x_attack == world._players["attack_x"].astype(np.float32)).all()
    fountain = game.stage == Stage.FOUNTAIN_OF_DREAMS
    assert (game.platforms[fountain] > 0).any() and not game.platforms[~fountain].any()
    assert game.players.exists.all() and not game.nana.exists.any()
    assert (game.items.exists == (world._items["exists"] != 0)).all() and shots
    assert set(np.unique(game.items.owner[game.items.exists != 0])) <= {-1, 1}


@pytest.mark.parametrize(
    ("characters", "stages"),
    [((Character.NANA, Character.FOX), 32), ((27, 1), 32), ((1, 1), 4), ([(1, 1)], [32, 32]), ([(1, 1)] * 3, 32)],
)
def test_what_cannot_be_played_is_refused_before_it_starts(characters, stages):
    with pytest.raises(OptionError):
        SimEnvironment(2, characters, stages)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"games": 0}, {"games": -1}, {"characters": (1, 1, 1)}, {"characters": (1.5, 1)}),
        *(
            {"characters": ("fox", "fox")},
            {"stages": "battlefield"},
            {"stocks": 0},
            {"stocks": 256},
            {"max_frames": -123},
        ),
        *({"ports": ports} for ports in ((2, 1), (1, 1), (0, 2), (1, 5))),
    ],
)
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(OptionError):
        SimEnvironment(**{"games": 2, "characters": (1, 1), "stages": 31, **wrong})


def test_what_is_pressed_fits_the_games_that_are_open():
    world = SimEnvironment(2, (1, 1), 31)
    with pytest.raises(OptionError, match="call reset first"):
        world.step({})
    with pytest.raises(OptionError, match="no seed"):
        world.reset(-1)
    world.reset(0)
    for games in (1, 3):
        with pytest.raises(OptionError, match="for 2 games"):
            world.step({1: still(games)})


def test_a_stick_that_is_no_number_rests_and_one_beyond_its_range_is_at_its_end():
    for value, seen in ((np.nan, 0.0), (np.inf, 1.0), (-5.0, -1.0)):
        world = SimEnvironment(1, (1, 1), 31)
        world.reset(0)
        odd = still(1)._replace(main_x=np.array([value], np.float32))
        for _ in range(90):
            frame = world.step({1: odd})
        assert frame.game.players.main_x[0, 0] == seen and np.isfinite(frame.game.players.x).all()


@pytest.mark.parametrize(
    ("pressed", "seen"),
    [
        ({"main_x": 22 / 80, "c_y": -22 / 80, "shoulder": 42 / 140}, {"main_x": 0, "c_y": 0, "shoulder": 0}),
        (
            {"main_x": 23 / 80, "c_y": -23 / 80, "shoulder": 43 / 140},
            {"main_x": 0.2875, "c_y": -0.2875, "shoulder": 43 / 140},
        ),
        ({"buttons": Button.L}, {"shoulder": 1, "buttons": int(Button.L)}),
        ({"buttons": Button.Z | Button.R, "shoulder": 1.0}, {"shoulder": 49 / 140}),
    ],
)
def test_controllers_are_shown_as_the_game_reads_them(pressed, seen):
    """As in recordings, from which policies learn: dead zone, floor of the trigger, full depth on a click."""
    world = SimEnvironment(1, (1, 1), 31)
    world.reset(0)
    held = still(1)._replace(
        **{name: np.array([value], np.int16 if name == "buttons" else np.float32) for name, value in pressed.items()}
    )
    for _ in range(90):
        frame = world.step({1: held})
    for name, value in seen.items():
        assert getattr(frame.game.players, name)[0, 0] == pytest.approx(value)


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize("way", range(4))
def test_everybody_throws_whom_it_grabs_from_either_seat(seat, way):
    pairs = [(who, who) for who in FIGHTERS]
    world = World(pairs, [Stage.FINAL_DESTINATION] * 26)
    for player, x in ((0, -4.0), (1, 4.0)):
        world.players.x[:, player], world.players.y[:, player] = x, 0.0
        world.players.facing[:, player] = -np.sign(x)
        world.players.action[:, player], world.players.on_ground[:, player] = act.WAIT, 1
    world.players.surface = 0
    pads = np.zeros((26, 2, 6))
    held, thrown = np.zeros(26, np.int64), np.zeros(26, np.bool_)
    for at in range(200):
        pads[:] = 0.0
        if at == 0:
            pads[:, seat, 5] = Button.Z
        if at > 60:
            sign = world.players.facing[:, seat]
            pads[:, seat, 0], pads[:, seat, 1] = ((sign, 0), (-sign, 0), (0, 1), (0, -1))[way]
        world.step(pads)
        held += act.KIND[world.players.action[:, 1 - seat]] == act.K_HELD
        thrown |= act.KIND[world.players.action[:, 1 - seat]] == act.K_THROWN
    assert (held > 30).all() and thrown.all()
    assert (act.KIND[world.players.action[:, 1 - seat]] != act.K_THROWN).all()


@pytest.mark.parametrize("who", FIGHTERS)
def test_everybody_can_wavedash(who):
    """An air dodge into the floor out of a jump squat lands at once: feet stay where they were."""
    world = World([(who, who)], [Stage.FINAL_DESTINATION])
    world.players.x[0], world.players.y[0] = (-40.0, 40.0), 0.0
    world.players.action[0], world.players.on_ground[0], world.players.surface[0] = act.WAIT, 1, 0
    pads, seen = np.zeros((1, 2, 6)), []
    for _ in range(40):
        pads[0, 0] = 0.0
        if world.players.action[0, 0] == act.WAIT and not seen:
            pads[0, 0, 5] = Button.X
        elif act.KIND[world.players.action[0, 0]] == act.K_JUMP:
            pads[0, 0] = (0.8, -0.6, 0, 0, 0, Button.L)
        world.step(pads)
        seen.append(int(world.players.action[0, 0]))
        assert world.players.y[0, 0] >= -0.01
    assert act.LANDING_SPECIAL in seen and seen.count(act.AIR_DODGE) <= 2


@pytest.mark.parametrize("who", FIGHTERS)
def test_everybody_has_every_special_and_comes_up_with_one(who):
    known = data.load()
    changes = who in (Character.ZELDA, Character.SHEIK)
    assert (known.special[who][:3] > 0).all() and ((known.special[who][3] > 0).all() or changes)
    world = World([(who, who)], [Stage.FINAL_DESTINATION])
    world.players.x[0], world.players.y[0, 0], world.players.jumps[0] = (0.0, 60.0), 60.0, 0
    world.players.action[0, 0], world.players.on_ground[0, 0], world.players.surface[0, 0] = act.FALL, 0, -1
    pads, highest = np.zeros((1, 2, 6)), 0.0
    for at in range(120):
        pads[0, 0] = (0, 1, 0, 0, 0, Button.B if at == 1 else 0) if at < 60 else 0.0
        world.step(pads)
        highest = max(highest, float(world.players.y[0, 0]))
    assert 70 < highest < 190


def test_nobody_lies_on_the_ground_for_ever():
    world = World([(1, 1)], [Stage.FINAL_DESTINATION])
    world.players.x[0], world.players.y[0] = (-40.0, 40.0), 0.0
    world.players.action[0], world.players.on_ground[0], world.players.surface[0] = act.WAIT, 1, 0
    world.players.action[0, 0], world.players.length[0, 0] = act.DOWN_BOUND, 10
    for _ in range(300):
        world.step(np.zeros((1, 2, 6)))
    assert world.players.action[0, 0] == act.WAIT


def test_everybody_plays_on_every_stage():
    assert len(FIGHTERS) == 26 and len(STAGES) == 6
    pairs, stages = everybody()
    assert {(pair[0], stage) for pair, stage in zip(pairs, stages, strict=True)} == {
        (a, b) for a in FIGHTERS for b in STAGES
    }
