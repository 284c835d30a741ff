"""Lanes: every decision once an epoch, in order within a game, states carried where the game goes on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.data.lanes import Lanes
from exphil.data.sampler import Pick

LENGTHS = st.lists(st.integers(1, 120), min_size=1, max_size=12)


def lanes(
    decisions: list[int], batch: int, window: int, seed: int = 0, mirror: float = 0.0
) -> tuple[Lanes, np.ndarray]:
    """A plan over entries of so many decisions, laid end to end with one row more each; and where each begins."""
    length = np.array(decisions, np.int64)
    first = np.cumsum(length + 1) - (length + 1)
    return Lanes(first, length, batch, window, mirror, seed), first


def epoch(plan: Lanes, number: int) -> list[Pick]:
    return [plan.pick(number, step) for step in range(plan.steps(number))]


def same(one: Pick, other: Pick) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@settings(deadline=None)
@given(decisions=LENGTHS, batch=st.integers(1, 9), window=st.integers(1, 40), seed=st.integers(0, 99))
def test_every_decision_comes_exactly_once_an_epoch(decisions, batch, window, seed):
    plan, first = lanes(decisions, batch, window, seed)
    for number in (0, 3):
        met = [
            row
            for pick in epoch(plan, number)
            for at, count in zip(pick.first, pick.decisions, strict=True)
            for row in range(at, at + count)
        ]
        wanted = [row for at, total in zip(first, decisions, strict=True) for row in range(at, at + total)]
        assert sorted(met) == wanted


@settings(deadline=None)
@given(decisions=LENGTHS, batch=st.integers(1, 9), window=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_lane_goes_on_where_it_ended_unless_a_game_opens(decisions, batch, window, seed):
    """``is_first`` holds exactly where a game opens and at the epoch's first step; elsewhere the state goes on."""
    plan, first = lanes(decisions, batch, window, seed)
    picks = epoch(plan, 1)
    for lane in range(plan.batch):
        chunks = [(int(p.first[lane]), int(p.decisions[lane]), bool(p.is_first[lane])) for p in picks]
        used = [chunk for chunk in chunks if chunk[1]]
        assert used and chunks[: len(used)] == used  # a lane that is through stays through
        assert all(1 <= count <= window for _, count, _ in used)
        assert used[0][2]
        for before, after in pairwise(used):
            assert after[2] == (after[0] in first)
            assert after[2] or after[0] == before[0] + before[1]


@settings(deadline=None)
@given(decisions=LENGTHS, batch=st.integers(1, 9), window=st.integers(1, 40))
def test_order_is_a_pure_function_of_seed_epoch_and_step(decisions, batch, window):
    """Whatever was asked before, in whatever order."""
    plan, _ = lanes(decisions, batch, window, 7)
    other, _ = lanes(decisions, batch, window, 7)
    forward = {number: epoch(plan, number) for number in (0, 1, 2, 5)}
    for number in (5, 0, 2, 1, 0):
        for step in reversed(range(other.steps(number))):
            assert same(other.pick(number, step), forward[number][step])


def test_epochs_and_seeds_differ():
    plan, _ = lanes([200] * 6, 3, 10, 1)
    other, _ = lanes([200] * 6, 3, 10, 2)
    assert not same(plan.pick(0, 0), plan.pick(1, 0))
    assert not same(plan.pick(0, 0), other.pick(0, 0))


def test_games_are_cut_at_other_places_in_other_epochs():
    """The first chunk's length is drawn, so that no decision is always the last that a gradient reaches."""
    plan, first = lanes([500], 1, 50, 4)
    opening = set()
    for number in range(60):
        opening |= {int(pick.decisions[0]) for pick in epoch(plan, number) if pick.first[0] == first[0]}
    assert len(opening) > 25 and max(opening) <= 50


@pytest.mark.parametrize(("entries", "batch"), [(8, 8), (20, 8), (64, 32)])
def test_lanes_stand_in_different_games_as_far_as_there_are_any(entries, batch):
    """A lane is an unbroken part of the tape as long as a game or longer, so at most two lanes share a game."""
    plan, first = lanes([600] * entries, batch, 60, 3)
    for pick in epoch(plan, 2):
        active = pick.first[pick.decisions > 0]
        games = np.searchsorted(first, active, "right")
        assert np.bincount(games).max() <= 2
        assert len(set(games.tolist())) >= 0.5 * len(active)
    shares = [len(set(np.searchsorted(first, p.first, "right").tolist())) / batch for p in epoch(plan, 2)[:-2]]
    assert np.mean(shares) >= 0.9


def test_no_lane_is_empty_when_there_are_fewer_chunks_than_lanes():
    plan, _ = lanes([5, 3], 64, 60)
    assert plan.batch == 2
    assert (plan.pick(0, 0).decisions > 0).all()


def test_lanes_are_equally_long_within_a_chunk():
    """No step is spent on a few lanes while the others are through."""
    plan, _ = lanes([311, 87, 5, 402, 250], 7, 13, 5)
    active = [int((pick.decisions > 0).sum()) for pick in epoch(plan, 0)]
    assert all(count == 7 for count in active[:-1])


def test_an_entry_without_a_decision_gives_no_chunk():
    plan, first = lanes([0, 30, 0], 4, 10)
    assert sum(int(pick.decisions.sum()) for pick in epoch(plan, 0)) == 30
    assert all((pick.first[pick.decisions > 0] >= first[1]).all() for pick in epoch(plan, 0))


def test_a_game_is_mirrored_whole_and_anew_every_epoch():
    """Else a carried state would see the sides change in the middle."""
    plan, first = lanes([100] * 40, 8, 10, 1, 0.4)
    drawn = []
    for number in (0, 1):
        sides: dict[int, set[bool]] = {}
        for pick in epoch(plan, number):
            for at, count, flip in zip(pick.first, pick.decisions, pick.mirrored, strict=True):
                if count:
                    sides.setdefault(int(np.searchsorted(first, at, "right")), set()).add(bool(flip))
        assert all(len(side) == 1 for side in sides.values())
        drawn.append([side == {True} for _, side in sorted(sides.items())])
    assert drawn[0] != drawn[1] and np.mean(drawn) == pytest.approx(0.4, abs=0.15)
    assert not any(pick.mirrored.any() for pick in epoch(lanes([100] * 40, 8, 10, 1)[0], 0))
