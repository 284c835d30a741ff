"""Intervals: how often they hold the truth, and what they must be where it is known."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.errors import OptionError
from exphil.evaluate.intervals import Interval, anytime, batches, resampled, wilson


@pytest.mark.parametrize(("wins", "games"), [(0, 1), (7, 10), (10, 10), (240, 500)])
def test_wilson_is_the_interval_of_the_books(wins, games):
    stats = pytest.importorskip("scipy.stats")
    for level in (0.8, 0.95):
        book = stats.binomtest(wins, games).proportion_ci(level, "wilson")
        assert wilson(wins, games, level) == pytest.approx((wins / games, book.low, book.high), abs=1e-12)


def test_resampling_a_mean_gives_its_standard_error():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = resampled(values, np.ones(400), seed=1)
    half = 1.96 * values.std() / sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert found == resampled(values, np.ones(400), seed=1) != resampled(values, np.ones(400), seed=2)


def test_resampled_ratios_hold_the_truth_about_as_often_as_they_say():
    random, held = np.random.default_rng(0), 0
    for seed in range(200):
        minutes = random.uniform(1, 3, 30)
        stocks = minutes * 0.5 + random.normal(0, 1, 30)
        found = resampled(stocks, minutes, seed, level=0.9, draws=400)
        held += found.low <= 0.5 <= found.high
    assert 0.83 < held / 200 < 0.95


def test_one_unit_says_nothing_about_how_sure_it_is():
    assert resampled(np.array([2.0]), np.array([4.0]), 0) == Interval(0.5, None, None)


def test_many_units_are_resampled_in_little_memory():
    for units in (1, 100, 3_000, 10**7):
        counts = batches(2000, units)
        assert sum(counts) == 2000 and min(counts) > 0
        assert max(counts) == 1 or max(counts) * units <= 2**21


@pytest.mark.parametrize(("chance", "target"), [(0.5, 0.1), (0.9, 0.1), (0.02, 0.2)])
def test_looking_after_every_batch_and_stopping_early_keeps_the_level(chance, target):
    random, missed, runs = np.random.default_rng(5), 0, 80
    for _ in range(runs):
        scores = random.binomial(2, chance, 400) / 2
        for seen in range(4, 400, 4):
            found = anytime(scores[:seen], target, level=0.9)
            if not found.interval.low <= chance <= found.interval.high:
                missed += 1
                break
            if found.more == 0:
                break
        assert found.more == 0
    assert missed / runs <= 0.1


def test_an_interval_for_one_look_would_not_keep_it():
    random, missed = np.random.default_rng(5), 0
    for _ in range(100):
        scores = random.binomial(1, 0.5, 400)
        looks = [wilson(scores[:seen].sum(), seen, 0.9) for seen in range(4, 400, 4)]
        missed += any(not found.low <= 0.5 <= found.high for found in looks)
    assert missed > 30


@pytest.mark.parametrize(("chance", "wrong"), [(0.6, 0.15), (0.95, 0.35), (0.02, 0.35)])
def test_the_forecast_is_about_right(chance, wrong):
    scores = np.random.default_rng(2).binomial(2, chance, 1000) / 2
    needed = next(n for n in range(1, 1000) if anytime(scores[:n], 0.06).more == 0)
    for seen in (needed // 4, needed // 2, needed - 5):
        assert seen + anytime(scores[:seen], 0.06).more == pytest.approx(needed, rel=wrong)


def test_before_the_first_game_it_plans_for_the_most_uncertain_players():
    plan = anytime(np.zeros(0), 0.05)
    assert plan.interval == (0.5, 0.0, 1.0) and plan.half_width == 0.5
    coins = (np.random.default_rng(0).random(3000) < 0.5).astype(float)  # pairs that are won or lost together
    assert anytime(coins[: int(1.2 * plan.more)], 0.05).more == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=60), st.floats(0.01, 0.4))
def test_an_interval_lies_around_what_was_seen_and_mirrors_with_it(scores, target):
    seen = np.array(scores)
    one, other = anytime(seen, target), anytime(1 - seen, target)
    assert 0 <= one.interval.low <= one.interval.high <= 1 and one.more >= 0
    assert (one.interval.low, one.interval.high) == pytest.approx((1 - other.interval.high, 1 - other.interval.low))
    assert one.more == pytest.approx(other.more, abs=1)


def test_what_is_no_level_or_target_is_refused():
    for target, level in ((0.05, 0.0), (0.05, 1.0), (0.0, 0.9), (0.5, 0.9), (float("nan"), 0.9)):
        with pytest.raises(OptionError):
            anytime(np.zeros(3), target, level)
