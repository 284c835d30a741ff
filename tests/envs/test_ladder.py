"""The scripted ladder: what each script does, that chance is seeded by row, and that strength rises."""

from __future__ import annotations

import numpy as np
import pytest

from exphil.envs.environment import Frame
from exphil.envs.ladder import LEVELS, said, script
from exphil.envs.sim.world import SimEnvironment
from exphil.errors import OptionError
from exphil.game.controller import STICK_STEPS, Controller
from exphil.game.frames import Game
from exphil.game.ids import Button, Character, Stage

SCRIPTS = ("idle", "walk", "random", "chaser", "spacer", "punisher")
FIRST, HANDS_FREE, FRAMES = 123, 84, 120
STAGES = [int(stage) for stage in Stage]


def world(games: int, stages: list[int] | int = Stage.BATTLEFIELD, stocks: int = 4, pair=None) -> SimEnvironment:
    return SimEnvironment(games, pair or (Character.FOX, Character.MARTH), stages, stocks=stocks)


def pressed(name: str, frames: list[Frame], seed: int = 5, seat: int = 0) -> list[Controller]:
    actor = script(name, seat, len(frames[0].game), seed)
    return [actor.step(frame).controllers for frame in frames]


@pytest.fixture(scope="module")
def shown() -> list[Frame]:
    """Two seconds of two chasers in six games, from the frame before hands are free on."""
    made = world(6, STAGES)
    players = {port: script("chaser", seat, 6, port) for seat, port in enumerate(made.ports)}
    frames = [made.reset(1)]
    for _ in range(HANDS_FREE + FRAMES):
        frames.append(made.step({port: player.step(frames[-1]).controllers for port, player in players.items()}))
    opened = frames[HANDS_FREE]._replace(is_first=np.ones(6, np.bool_))
    return [opened, *frames[HANDS_FREE + 1 :]]


def rows_of(frames: list[Frame], rows: list[int]) -> list[Frame]:
    return [
        Frame(Game(f.game.rows[rows].copy()), f.is_first[rows], f.is_last[rows], f.is_truncated[rows]) for f in frames
    ]


def same(first: list[Controller], second: list[Controller]) -> bool:
    return all(
        np.array_equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_controllers_are_legal(name, shown):
    bits = int(Button.A | Button.B | Button.X | Button.Y | Button.Z | Button.L)
    for held in pressed(name, shown):
        for axis in held[:4]:
            assert axis.dtype == np.float32 and axis.shape == (6,) and (abs(axis) <= 1).all()
            assert np.allclose(axis * STICK_STEPS, np.rint(axis * STICK_STEPS), atol=1e-4)
        assert held.buttons.dtype == np.int16 and not (held.buttons & ~bits).any()
        assert not held.shoulder.any()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_same_seed_presses_the_same_and_the_first_rows_do_not_know_of_the_others(name, shown):
    part = rows_of(shown, [0, 1])
    alone = pressed(name, part)
    together = [Controller(*(column[:2] for column in held)) for held in pressed(name, shown)]
    assert same(alone, together)


@pytest.mark.parametrize("name", ["random", "cpu3"])
def test_another_seed_and_the_next_game_are_played_otherwise(name, shown):
    assert not same(pressed(name, shown), pressed(name, shown, seed=6))
    twice = pressed(name, [*shown, *shown])
    assert not same(twice[: len(shown)], twice[len(shown) :])


@pytest.mark.parametrize("name", ["random", "cpu4"])
def test_what_happens_in_other_rows_changes_nothing(name, shown):
    """The same games again, with another game beginning in the last row half-way."""
    others = [frame._replace(is_first=frame.is_first.copy()) for frame in shown]
    others[60].is_first[5] = True
    first, second = pressed(name, shown), pressed(name, others)
    assert same([Controller(*(c[:5] for c in h)) for h in first], [Controller(*(c[:5] for c in h)) for h in second])
    assert not same(first, second)


def test_a_slow_one_sees_late_what_the_opponent_does(shown):
    """Its foe is put elsewhere on frame 50: nothing changes before its reaction has passed, and something after."""
    moved = rows_of(shown, list(range(6)))
    for frame in moved[50:]:
        frame.game.players.x[:, 1] += 25
    first, second = pressed("cpu5", shown), pressed("cpu5", moved)
    reaction = LEVELS["cpu5"].reaction
    assert same(first[: 50 + reaction], second[: 50 + reaction])
    assert not same(first[50 + reaction :], second[50 + reaction :])


def test_idle_presses_nothing(shown):
    for held in pressed("idle", shown):
        assert not any(np.any(column) for column in held)


def test_every_name_says_what_it_is_and_a_cpu_names_its_script():
    assert said("cpu5") == "cpu5 is the script chaser, reacting after 20 frames"
    assert said("chaser") == "chaser is a script, reacting after 20 frames"
    assert said("walk") == "walk is a script"
    for number in range(1, 10):
        assert f"is the script {LEVELS[f'cpu{number}'].script}" in said(f"cpu{number}")
    assert "pressing nothing for 50% of the time" in said("cpu3")


@pytest.mark.parametrize("ask", [said, lambda name: script(name, 0, 1, 0)])
def test_an_unknown_name_is_refused_with_the_known_ones(ask):
    with pytest.raises(OptionError, match=r"(?s)'cpu10' is no scripted player.*idle, walk.*cpu9"):
        ask("cpu10")


def test_walk_stays_on_the_ground_and_turns():
    made = world(6, STAGES)
    actor, frame, seen = script("walk", 0, 6, 0), made.reset(0), []
    for _ in range(900):
        frame = made.step({1: actor.step(frame).controllers})
        seen.append(frame.game.players.x[:, 0].copy())
    walked = np.diff(np.array(seen[200:]), axis=0)
    assert (walked > 0.1).any(0).all() and (walked < -0.1).any(0).all()
    assert (frame.game.players.on_ground[:, 0] == 1).all()


def test_a_chaser_hurts_who_stands_there():
    made = world(6, STAGES)
    actor, frame = script("chaser", 0, 6, 0), made.reset(0)
    taken, lost = np.zeros(6), np.zeros(6, np.bool_)
    for _ in range(600):
        frame = made.step({1: actor.step(frame).controllers})
        taken = np.maximum(taken, frame.game.players.percent[:, 1])
        lost |= frame.game.players.stocks[:, 1] < 4
    assert ((taken > 3) | lost).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "chaser", "punisher"])
def test_nobody_kills_itself_when_left_alone_for_a_minute(name):
    characters = (Character.FOX, Character.MARTH, Character.CAPTAIN_FALCON)
    pairs = [(int(who), int(Character.FOX)) for who in characters for _ in STAGES]
    made = world(len(pairs), STAGES * len(characters), pair=pairs)
    actor, frame = script(name, 0, len(pairs), 3), made.reset(1)
    for _ in range(FIRST + 3600):
        frame = made.step({1: actor.step(frame).controllers})
    assert (frame.game.players.stocks[:, 0] == 4).all()


def share_won(stronger: str, weaker: str, games: int = 24, frames: int = 700) -> float:
    """Of games with one stock in mirrored pairs, draws half; whoever has less percent leads."""
    won = 0.0
    for seat in (0, 1):
        made = world(games, [STAGES[game % 6] for game in range(games)], 1, (Character.FOX, Character.FOX))
        names = (stronger, weaker) if seat == 0 else (weaker, stronger)
        players = {
            port: script(name, place, games, 7 + place)
            for place, (port, name) in enumerate(zip((1, 2), names, strict=True))
        }
        frame, over = made.reset(7), np.zeros(games, np.bool_)
        lead = np.zeros(games)
        for _ in range(frames):
            players_now = frame.game.players
            now = 1000.0 * players_now.stocks - np.floor(players_now.percent)
            lead[~over] = (now[:, seat] - now[:, 1 - seat])[~over]
            over |= frame.is_last
            if over.all():
                break
            frame = made.step({port: player.step(frame).controllers for port, player in players.items()})
        won += ((np.sign(lead) + 1) / 2).sum()
    return won / (2 * games)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stronger", "weaker"), [("random", "walk"), ("chaser", "random"), ("spacer", "chaser"), ("punisher", "spacer")]
)
def test_each_rung_beats_the_one_below(stronger, weaker):
    assert share_won(stronger, weaker) > 0.5
