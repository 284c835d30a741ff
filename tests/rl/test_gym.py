"""Other libraries' own checkers take our worlds for theirs, and rewards say what they should."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import parallel_api_test, parallel_seed_test

from exphil.envs.ladder import script
from exphil.envs.replay import ReplayEnvironment
from exphil.envs.sim.world import SimEnvironment
from exphil.errors import ExphilError, OptionError
from exphil.features.observation import Table
from exphil.game.frames import ROW, Game
from exphil.game.ids import Character, Stage
from exphil.rl.gym import CODEC, TABLE, OneSeat, TwoSeats, reward


def world(games: int = 1, stocks: int = 4) -> SimEnvironment:
    return SimEnvironment(games, (Character.FOX, Character.MARTH), Stage.FINAL_DESTINATION, stocks=stocks)


def frame(stocks: tuple[int, int], percent: tuple[float, float]) -> Game:
    made = Game.empty(1)
    row = made.rows.view(ROW)[..., 0]
    row["players"]["stocks"], row["players"]["percent"] = stocks, percent
    return made


@pytest.mark.parametrize("seat", [0, 1])
def test_gymnasiums_checker_finds_nothing_to_say(seat):
    """Warnings are errors here."""
    check_env(OneSeat(world(), seat), skip_render_check=True)


def test_pettingzoos_checker_finds_nothing_to_say():
    parallel_api_test(TwoSeats(world()), num_cycles=150)


def test_the_same_seed_gives_the_same_game_on_both_ports():
    parallel_seed_test(lambda: TwoSeats(world()), num_cycles=100)


def played(seed: int, presses: int, frames: int = 150) -> list[bytes]:
    env = OneSeat(world(), 0, partial(script, "random"))
    random = np.random.default_rng(presses)
    seen = [env.reset(seed=seed)[0].tobytes()]
    for _ in range(frames):
        observation, *_ = env.step(random.integers(0, CODEC.classes))
        seen.append(observation.tobytes())
    return seen


def test_the_same_seed_and_presses_give_the_same_game_and_other_presses_another():
    assert played(3, 1) == played(3, 1)
    assert played(3, 1) != played(3, 2)


def test_the_opponent_is_seeded_with_the_game():
    assert played(3, 1) != played(4, 1)


def test_each_seat_sees_itself_first():
    env = TwoSeats(world())
    seen, _ = env.reset(seed=0)
    inside = env._inside
    for seat, agent in enumerate(env.possible_agents):
        floats, _ = TABLE.encode(inside.last.game.seen_from(seat))
        assert np.array_equal(seen[agent], floats[0])
    assert not np.array_equal(seen["port_1"], seen["port_2"])


def test_everything_that_is_seen_lies_within_its_range():
    env = TwoSeats(world())
    seen, _ = env.reset(seed=0)
    random = np.random.default_rng(0)
    for _ in range(300):
        for agent, observation in seen.items():
            assert env.observation_space(agent).contains(observation)
        seen, *_ = env.step({agent: random.integers(0, CODEC.classes) for agent in env.agents})


@pytest.mark.parametrize(
    ("before", "after", "worth"),
    [
        (((4, 4), (0.0, 0.0)), ((4, 4), (0.0, 12.0)), 0.12),
        (((4, 4), (0.0, 0.0)), ((4, 4), (12.0, 0.0)), -0.12),
        (((4, 4), (0.0, 90.0)), ((4, 3), (0.0, 0.0)), 1.0),
        (((4, 4), (50.0, 90.0)), ((3, 4), (0.0, 90.0)), -1.0),
        (((4, 4), (0.0, 0.0)), ((4, 4), (0.0, 0.0)), 0.0),
    ],
)
def test_a_reward_counts_stocks_and_damage_of_both(before, after, worth):
    assert reward(frame(*before), frame(*after)) == pytest.approx([worth])


def leaping(main_x: int, shown: int) -> np.ndarray:
    """The stick to one side and jump after jump: off the stage before long."""
    action = np.array(CODEC.neutral)
    action[8], action[2] = main_x, shown % 10 < 5
    return action


def test_rewards_of_the_two_ports_are_each_others_negative_and_a_lost_stock_shows_in_them():
    env = TwoSeats(world(stocks=1))
    env.reset(seed=0)
    action = np.array(CODEC.neutral)
    total, ended = 0.0, False
    for shown in range(1200):
        _, rewards, terminated, truncated, _ = env.step({"port_1": leaping(0, shown), "port_2": action})
        assert rewards["port_1"] == -rewards["port_2"]
        assert not any(truncated.values())
        total += rewards["port_1"]
        if terminated["port_1"]:
            ended = True
            break
    assert ended and total == -1.0
    assert env.agents == []
    env.reset()
    assert env.agents == ["port_1", "port_2"]


def test_a_learner_on_the_second_port_is_paid_for_the_second_player():
    env = OneSeat(world(stocks=1), 1, partial(script, "idle"))
    env.reset(seed=0)
    total = 0.0
    for shown in range(1200):
        _, worth, terminated, _, _ = env.step(leaping(CODEC.classes[8] - 1, shown))
        total += worth
        if terminated:
            break
    assert terminated and total == -1.0


def test_worlds_and_tables_that_do_not_fit_are_refused():
    with pytest.raises(OptionError, match="recorded game"):
        OneSeat(ReplayEnvironment(frame((4, 4), (0.0, 0.0)), (1, 2)))
    with pytest.raises(OptionError, match="ids"):
        OneSeat(world(), table=Table(0, False))
    with pytest.raises(OptionError, match="this one plays 2"):
        OneSeat(world(2)).reset()
    with pytest.raises(OptionError, match="2 is no seat"):
        OneSeat(world(), seat=2)


def test_before_reset_and_after_the_end_nobody_can_press():
    one, two = OneSeat(world()), TwoSeats(world())
    nothing = np.zeros(len(one.action_space.nvec), np.int64)
    with pytest.raises(OptionError, match="call reset first"):
        one.step(nothing)
    with pytest.raises(OptionError, match="call reset first"):
        two.step({})


@pytest.fixture
def without_gymnasium(monkeypatch) -> Iterator[None]:
    kept = sys.modules["exphil.rl.gym"]
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "exphil.rl.gym")
    yield
    sys.modules["exphil.rl.gym"] = kept


def test_without_the_extra_the_error_says_what_to_install(without_gymnasium):
    with pytest.raises(ExphilError, match=r'pip install "exphil\[rl\]"'):
        import exphil.rl.gym  # noqa: F401


def test_it_is_a_gymnasium_env():
    assert isinstance(OneSeat(world()), gymnasium.Env)
