"""Weights that balance characters, noise that is drawn: honest shares, pure functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exphil.data.lanes import Lanes
from exphil.data.sampler import Noisy, Pick, Plan, balanced, drawn
from exphil.data.streamed import Streamed
from exphil.data.windows import Windows

KINDS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9000)), min_size=1, max_size=40)


def shares(plan: Plan, first: np.ndarray, kind: np.ndarray, epochs: int) -> np.ndarray:
    """The share of the decisions of some epochs that each kind has."""
    met = np.zeros(kind.max() + 1)
    for epoch in range(epochs):
        for step in range(plan.steps(epoch)):
            pick = plan.pick(epoch, step)
            met += np.bincount(kind[np.searchsorted(first, pick.first, "right") - 1], pick.decisions, len(met))
    return met / met.sum()


@given(KINDS)
def test_weights_even_out_the_amounts_of_all_kinds(things):
    """Expected amounts are equal, but for kinds of more than ten times the least: these keep a tenth of their own.

    And the whole is as much as it was.
    """
    kind, amount = (np.array(part, np.int64) for part in zip(*things, strict=True))
    weights = balanced(kind, amount)
    assert (weights * amount).sum() == pytest.approx(amount.sum()) and weights.max() <= 10 * weights.min() * (1 + 1e-9)
    least = min(amount[kind == one].sum() for one in set(kind))
    wanted = {one: max(least, 0.1 * amount[kind == one].sum()) for one in set(kind)}
    for one in set(kind):
        assert len(set(weights[kind == one])) == 1
        share = (weights * amount)[kind == one].sum() / amount.sum()
        assert share == pytest.approx(wanted[one] / sum(wanted.values()))


@pytest.mark.parametrize("files", [None, 5, 1])
@pytest.mark.parametrize("make", ["lanes", "windows"])
def test_every_character_comes_equally_often(make, files):
    """Of 8 : 3 : 1 games, of other lengths; over many epochs, as drawing is with chance. Streamed too."""
    kind = np.repeat([0, 1, 2], [24, 9, 3])
    length = np.random.default_rng(0).integers(200, 600, len(kind))
    first = np.cumsum(length) - length
    weights = balanced(kind, length - 1)

    def plan(share) -> Plan:
        def over(at, seed):
            own = None if share is None else share[at]
            if make == "lanes":
                return Lanes(first[at], length[at] - 1, 6, 30, 0.0, seed, own)
            return Windows(first[at], length[at] - 1, 6, 30, 30, False, 0.0, seed, own)

        every = np.arange(len(kind))
        return Streamed(every, length - 1, files, None, over, 30, 6, 3) if files else over(every, 3)

    even, plain = (shares(plan(share), first, kind, 60) for share in (weights, None))
    met = sum(int(plan(weights).pick(0, step).decisions.sum()) for step in range(plan(weights).steps(0)))
    assert met == pytest.approx(length.sum(), rel=0.25), "an epoch is about as long as without weights"
    assert even == pytest.approx([1 / 3] * 3, abs=0.03)
    assert plain == pytest.approx([length[kind == one].sum() / length.sum() for one in range(3)], abs=0.02)


def test_a_rare_character_is_not_repeated_without_end():
    """One game of 1 beside 100 of another: it comes ten times as often as it is there, not a hundred times."""
    kind = np.repeat([0, 1], [100, 1])
    length = np.full(101, 300)
    first = np.cumsum(length) - length
    plan = Lanes(first, length - 1, 6, 60, 0.0, 3, balanced(kind, length - 1))
    assert shares(plan, first, kind, 60)[1] == pytest.approx(1 / 11, abs=0.02)


@given(count=st.integers(1, 50), seed=st.integers(0, 99))
def test_without_weights_each_comes_once(count, seed):
    assert sorted(drawn(np.random.default_rng(seed), count, None)) == list(range(count))


def test_weighted_plans_are_pure_functions():
    first, decisions, weights = np.arange(5) * 200, np.full(5, 150), np.array([1.0, 0.1, 0.5, 0.2, 1.0])
    for plans in (
        [Lanes(first, decisions, 3, 40, 0.5, 9, weights) for _ in range(2)],
        [Windows(first, decisions, 3, 40, 20, False, 0.5, 9, weights) for _ in range(2)],
    ):
        one, other = plans
        wanted = {epoch: [one.pick(epoch, step) for step in range(one.steps(epoch))] for epoch in (0, 1, 4)}
        for epoch in (4, 0, 1):
            for step in reversed(range(other.steps(epoch))):
                assert all(
                    np.array_equal(a, b) for a, b in zip(other.pick(epoch, step), wanted[epoch][step], strict=True)
                )


class TestNoisy:
    """A plan with noise."""

    def plan(self, share: float, seed: int = 5) -> Noisy:
        return Noisy(Windows(np.array([0]), np.array([4000]), 32, 1, 1, False, 0.5, 1), share, seed)

    def test_it_changes_nothing_but_the_noise(self):
        noisy, plain = self.plan(0.4), self.plan(0.4)._plan
        assert (noisy.window, noisy.batch, noisy.steps(3)) == (plain.window, plain.batch, plain.steps(3))
        for step in range(10):
            one, other = noisy.pick(3, step), plain.pick(3, step)
            assert not other.noise.any()
            for name in Pick._fields:
                assert name == "noise" or np.array_equal(getattr(one, name), getattr(other, name))

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_so_many_stretches_get_it_each_its_own(self, share):
        plan = self.plan(share)
        noise = np.concatenate([plan.pick(0, step).noise for step in range(plan.steps(0))])
        assert (noise > 0).mean() == pytest.approx(share, abs=0.03) and (noise >= 0).all()
        given = noise[noise > 0]
        assert len(set(given.tolist())) == len(given)

    def test_it_is_a_pure_function_of_seed_epoch_and_step(self):
        plan, again, other = self.plan(0.5), self.plan(0.5), self.plan(0.5, seed=6)
        forward = {(epoch, step): plan.pick(epoch, step).noise for epoch in (0, 1) for step in range(5)}
        for key in reversed(forward):
            assert np.array_equal(again.pick(*key).noise, forward[key])
            assert not np.array_equal(other.pick(*key).noise, forward[key])
        assert len({noise.tobytes() for noise in forward.values()}) == 10
