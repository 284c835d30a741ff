"""Ratings: closed forms, other people's solvers, and what must hold whatever was played."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.errors import DataError, OptionError
from exphil.evaluate.ratings import POINTS, Meeting, Schedule, Standing, bradley_terry, elo, expected, rate

NAMES = "abcde"


def random_points(random, players):
    points = random.uniform(0.5, 20, (players, players))
    np.fill_diagonal(points, 0)
    return points


def test_four_hundred_points_are_ten_to_one():
    assert expected(1900, 1500) == pytest.approx(10 / 11) and expected(1500, 1500) == 0.5
    assert expected(1700, 1500) + expected(1500, 1700) == pytest.approx(1)
    assert expected(0, 1e9) < 1e-200 and expected(1e9, 0) == 1


def test_a_win_a_draw_and_a_loss_move_two_equal_players_by_half_of_k():
    for points, moved in ((1, 20), (0.5, 0), (0, -20)):
        found = elo([Meeting("a", "b", points)])
        assert (found["a"].rating - 1500, found["b"].rating - 1500) == (moved, -moved)


def test_a_draw_helps_the_weaker_one():
    before = {"a": Standing(1900, 50), "b": Standing(1500, 50)}
    found = elo([Meeting("a", "b", 0.5)], standings=before)
    assert found["b"].rating - 1500 == pytest.approx(20 * (0.5 - 1 / 11)) == pytest.approx(1900 - found["a"].rating)
    assert before["a"] == Standing(1900, 50)


def test_k_falls_with_games_and_stays_low_after_a_high_rating():
    schedule = Schedule()
    assert schedule.factor(Standing(2500, 29, 2500)) == 40
    assert schedule.factor(Standing(2300, 30, 2399)) == 20
    assert schedule.factor(Standing(2300, 30, 2400)) == 10
    climbed = elo([Meeting("a", "b", 1)], standings={"a": Standing(2395, 40), "b": Standing(2395, 40)})["a"]
    assert climbed.rating == 2405 == climbed.highest
    fallen = elo([Meeting("a", "b", 0)], standings={"a": climbed._replace(rating=2380), "b": Standing(2380, 40)})["a"]
    assert fallen.rating == 2375 and fallen.highest == 2405
    lucky = elo([Meeting("a", "b", 1)], standings={"a": Standing(2390, 28), "b": Standing(2390, 28)})["a"]
    assert lucky.rating == 2410 and schedule.factor(lucky._replace(games=30, rating=2380)) == 20  # new ones jump
    assert Schedule(32, 32, 32).factor(Standing()) == 32


def test_elo_finds_the_difference_of_two_players():
    random = np.random.default_rng(0)
    played = [Meeting("a", "b", float(random.random() < 0.75)) for _ in range(3000)]
    late = [elo(played[:n])["a"].rating - elo(played[:n])["b"].rating for n in range(1500, 3000, 100)]
    assert np.mean(late) == pytest.approx(POINTS * log(3), abs=25)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 10))
def test_two_players_are_apart_by_the_log_odds_of_their_score(wins, losses, draws):
    played = [("a", "b", 1.0)] * wins + [("a", "b", 0.0)] * losses + [("b", "a", 0.5)] * draws
    if played:
        found = rate([Meeting(*each) for each in played], "b", 1000, draws=20)
        odds = (wins + draws / 2 + 0.5) / (losses + draws / 2 + 0.5)
        assert found["a"].value - 1000 == pytest.approx(POINTS * log(odds), abs=1e-6)
        assert found["b"] == (1000, 1000, 1000)


def test_strengths_are_those_of_hunters_iteration():
    points = random_points(np.random.default_rng(1), 6)
    games, odds = points + points.T, np.ones(6)
    for _ in range(3000):
        odds = points.sum(1) / (games / (odds[:, None] + odds)).sum(1)
        odds /= np.exp(np.log(odds).mean())
    assert bradley_terry(points) == pytest.approx(np.log(odds), abs=1e-9)


def test_strengths_are_those_of_a_general_solver():
    optimize = pytest.importorskip("scipy.optimize")
    points = random_points(np.random.default_rng(2), 5)

    def unlikely(free):
        strengths = np.append(0, free)
        return (points * np.logaddexp(0, strengths[None] - strengths[:, None])).sum()

    found = optimize.minimize(unlikely, np.zeros(4), tol=1e-12).x
    strengths = bradley_terry(points)
    assert strengths[1:] - strengths[0] == pytest.approx(found, abs=1e-4) and strengths.mean() == pytest.approx(0)


def test_many_tables_at_once_are_the_same_as_one_at_a_time():
    random = np.random.default_rng(3)
    tables = np.stack([random_points(random, 4) * 10.0**at for at in range(-3, 3)])
    assert bradley_terry(tables) == pytest.approx(np.stack([bradley_terry(table) for table in tables]), abs=1e-9)


def test_rock_paper_scissors_are_equal():
    found = rate([Meeting("r", "s", 1), Meeting("s", "p", 1), Meeting("p", "r", 1)], "r", draws=20)
    assert [each.value for each in found.values()] == pytest.approx([1500] * 3)


meetings = st.lists(
    st.builds(
        lambda pair, points: Meeting(*pair, points / 2, 2),
        st.permutations(NAMES).map(lambda order: order[:2]),
        st.integers(0, 4),
    ),
    max_size=25,
)
TREE = [Meeting("a", each, 1.0, 2) for each in "bcde"]


@settings(max_examples=25, deadline=None)
@given(meetings, st.randoms(use_true_random=False))
def test_the_order_of_meetings_does_not_matter(played, random):
    shuffled = TREE + played
    random.shuffle(shuffled)
    turned = [Meeting(two, one, games - points, games) for one, two, points, games in shuffled]
    whole = rate(TREE + played, "a", draws=40)
    for other in (rate(shuffled, "a", draws=40), rate(turned, "a", draws=40)):
        for name, found in whole.items():
            assert other[name] == pytest.approx(found, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(meetings, st.sampled_from("bcde"))
def test_who_wins_more_is_rated_higher(played, name):
    before = rate(TREE + played, "a", draws=2)
    after = rate([*TREE, *played, Meeting(name, "a", 1.0)], "a", draws=2)
    assert after[name].value > before[name].value


def test_an_unbeaten_player_stays_finite_and_no_end_is_missing():
    chain = [Meeting(f"{at}", f"{at + 1}", 1.0) for at in range(10) for _ in range(20)]
    found = rate(chain, "10", draws=300)
    assert list(found) == [f"{at}" for at in range(11)]  # the strongest first
    assert found["0"].value == pytest.approx(1500 + 10 * POINTS * log(20.5 / 0.5))
    assert np.isfinite([tuple(each) for each in found.values()]).all()


def test_without_a_prior_a_player_who_never_lost_has_no_rating():
    for table in ([[0, 3], [0, 0]], [[0, 1, 2], [1, 0, 2], [0, 0, 0]], [[0, 1], [0, 0]]):
        with pytest.raises(DataError, match="won or lost everything"):
            bradley_terry(np.array(table, np.float64))


@pytest.mark.parametrize(("wins", "games"), [(0, 5), (12, 20), (30, 30)])
def test_the_interval_of_two_players_is_that_of_jeffreys(wins, games):
    stats = pytest.importorskip("scipy.stats")
    played = [Meeting("a", "b", float(at < wins)) for at in range(games)]
    found = rate(played, "b", 0, draws=40_000)["a"]
    share = stats.beta.ppf([0.025, 0.975], wins + 0.5, games - wins + 0.5)
    odds = np.log(share) - np.log1p(-share)
    assert (found.low, found.high) == pytest.approx(POINTS * odds, rel=0.04, abs=5)


@pytest.mark.parametrize("together", [False, True])
def test_intervals_hold_the_truth_about_as_often_as_they_say(together):
    """Also when both games of a pair end alike: then a pair says as much as one game, and is one meeting."""
    random, truth, held = np.random.default_rng(4), np.array([0.0, 1.0, 0.3, -1.0]), 0
    chances = 1 / (1 + np.exp(truth[None] - truth[:, None]))
    for seed in range(150):
        played = []
        for i in range(4):
            for j in range(i):
                wins = random.binomial(1 if together else 2, chances[i, j], 15) * (2 if together else 1)
                played += [Meeting(NAMES[i], NAMES[j], float(won), 2) for won in wins]
        found = rate(played, "a", 0, draws=300, seed=seed, level=0.9)
        held += sum(found[NAMES[i]].low <= POINTS * truth[i] <= found[NAMES[i]].high for i in (1, 2, 3))
    assert 0.85 < held / 450 < 0.95


def test_the_seed_decides_the_intervals():
    played = [Meeting("a", "b", float(at % 3 > 0)) for at in range(30)]
    assert rate(played, "a", seed=1) == rate(played, "a", seed=1) != rate(played, "a", seed=2)


def test_groups_that_never_met_are_refused_by_name():
    with pytest.raises(DataError, match="nobody of a, b met anybody of c, d"):
        rate([Meeting("a", "b", 1), Meeting("d", "c", 0.5)], "a")


@pytest.mark.parametrize(
    "wrong", [("a", "a", 1, 1), ("a", "b", 1.5, 1), ("a", "b", -1, 1), ("a", "b", 0, 0), ("a", "b", float("nan"), 2)]
)
def test_impossible_meetings_are_refused(wrong):
    for judge in (elo, lambda played: rate(played, "a")):
        with pytest.raises(DataError):
            judge([Meeting(*wrong)])


def test_what_cannot_be_rated_is_refused():
    played = [Meeting("a", "b", 1)]
    with pytest.raises(DataError, match="nobody has played"):
        rate([], "a")
    with pytest.raises(OptionError, match="c never played"):
        rate(played, "c")
    for wrong in ({"prior": 0.0}, {"prior": float("nan")}, {"level": 1.0}):
        with pytest.raises(OptionError):
            rate(played, "a", **wrong)
