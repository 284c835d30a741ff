"""The learning-rate range test: where it ends, and what is read off its curve."""

from __future__ import annotations

import math

import numpy as np
import pytest

from exphil.train.rates import Sweep, averaged, read_off, spaced, sweep


class Bowl:
    """Gradient descent on h/2 x^2, seen as x^2/2 and what nobody can predict, on batches that are not equally hard.

    The best rate is 1/h, above 2/h it explodes.
    """

    def __init__(self, curvature: float, unequal: float = 0.0, floor: float = 0.0) -> None:
        self.curvature, self.floor, self.place, self.steps = curvature, floor, 1.0, 0
        self.hard = np.exp(unequal * np.random.default_rng(0).standard_normal(1000))

    def __call__(self, rate: float) -> float:
        loss = (0.5 * self.place**2 + self.floor) * self.hard[self.steps]
        self.place -= rate * self.curvature * self.place
        self.steps += 1
        return float(loss)

    def sweep(self, low: float, high: float, steps: int) -> Sweep:
        untouched = [(0.5 + self.floor) * float(hard) for hard in self.hard[:steps]]
        return sweep(self, untouched, low, high)


def test_rates_rise_by_the_same_factor_from_end_to_end():
    rates = spaced(1e-4, 1.0, 5)
    assert rates == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])


@pytest.mark.parametrize(("unequal", "floor"), [(0.0, 0.0), (0.3, 0.5)])
@pytest.mark.parametrize("steps", [50, 100, 200])
@pytest.mark.parametrize("curvature", [0.5, 5.0, 50.0, 500.0])
def test_what_is_read_off_is_below_the_best_rate_and_a_tenth_of_the_least_is_near_it(curvature, steps, unequal, floor):
    found = Bowl(curvature, unequal, floor).sweep(1e-6, 1e2, steps)
    assert 0.2 < found.tenth * curvature < 0.6
    assert 0.02 < found.steepest * curvature < 0.25


def test_a_rate_that_explodes_ends_the_test():
    bowl = Bowl(1.0)
    found = bowl.sweep(1e-3, 1e4, 100)
    assert 2.0 < found.diverged < 100.0
    assert found.rates[-1] == found.diverged
    assert bowl.steps == len(found.losses) == len(found.rates) == len(found.shares) < 100


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_test_and_leaves_a_curve(broken):
    losses = iter([*np.linspace(3, 1, 30), broken])
    found = sweep(lambda rate: next(losses), [3.0] * 100, 1e-4, 1.0)
    assert found.diverged == found.rates[30]
    assert all(map(math.isfinite, found.shares))
    assert 1e-4 < found.steepest < found.diverged


def test_a_test_that_does_not_explode_tries_every_rate():
    found = Bowl(1.0).sweep(1e-6, 1e-1, 50)
    assert (len(found.rates), found.diverged) == (50, None)


@pytest.mark.parametrize("losses", [[2.0] * 50, list(np.linspace(2, 3, 50)), [math.nan], [2.0, math.inf]])
def test_a_loss_that_never_falls_gives_no_rate(losses):
    coming = iter(losses)
    found = sweep(lambda rate: next(coming), [2.0] * 50, 1e-2, 1.0)
    assert (found.steepest, found.tenth) == (None, None)


def test_batches_that_are_not_equally_hard_do_not_look_like_learning():
    found = Bowl(1.0, unequal=1.0).sweep(1e-9, 1e-6, 50)
    assert (found.steepest, found.tenth) == (None, None)
    assert max(found.losses) > 5 * min(found.losses)


def test_a_batch_without_decisions_says_nothing():
    losses, untouched = iter([2.0, 0.0, 2.0, 1.0, 1.0, 1.0]), [2.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    assert sweep(lambda rate: next(losses), untouched, 1e-3, 1.0).shares == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]


def test_averages_do_not_come_late():
    """The middle of a step down is where it was."""
    curve = averaged([1.0] * 50 + [0.5] * 50, 100)
    assert np.gradient(curve).argmin() in (49, 50)
    assert curve[0] == pytest.approx(1.0, abs=0.01)
    assert curve[-1] == pytest.approx(0.5, abs=0.01)


def test_averages_of_what_does_not_change_are_the_same_at_both_ends():
    assert averaged([0.9] * 40, 40) == pytest.approx(np.full(40, 0.9))


def test_how_far_it_explodes_does_not_move_the_least_loss():
    falling, best = list(np.linspace(1, 0.4, 60)), [0.4] * 20
    mild, wild = (averaged([*falling, *best, *end], 100) for end in ([1.5] * 5, [1.5, 50.0, 1e6, math.inf, math.nan]))
    assert mild.argmin() == wild.argmin()


def test_the_rates_are_read_off_before_the_least_loss():
    rates = spaced(1e-4, 1.0, 5)
    steepest, tenth = read_off(rates, np.array([1.0, 0.95, 0.8, 0.5, 0.8]))
    assert steepest == pytest.approx(1e-2)
    assert tenth == pytest.approx(1e-2)


def test_it_is_told_how_far_it_is():
    heard = []
    sweep(Bowl(1.0), [1.0] * 20, 1e-6, 1e-3, lambda done, share: heard.append(done))
    assert heard == list(range(1, 21))
