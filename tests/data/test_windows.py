"""Windows, walks and the split: which decisions come when, counted on small plans."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.data.sampler import Plan, split
from exphil.data.walk import Walk
from exphil.data.windows import Windows
from exphil.errors import DataError

LENGTHS = st.lists(st.integers(0, 90), min_size=1, max_size=10).filter(any)


def laid(decisions: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """First rows and decisions of entries laid end to end, one row more than decisions each."""
    length = np.array(decisions, np.int64)
    return np.cumsum(length + 1) - (length + 1), length


def met(plan: Plan, epoch: int = 0) -> Counter[int]:
    """How often each decision comes in an epoch."""
    found: Counter[int] = Counter()
    for step in range(plan.steps(epoch)):
        pick = plan.pick(epoch, step)
        assert pick.first.shape == pick.decisions.shape == pick.is_first.shape == (plan.batch,)
        for first, count in zip(pick.first, pick.decisions, strict=True):
            found.update(range(first, first + count))
    return found


def rows(decisions: list[int]) -> Counter[int]:
    """Every decision once."""
    first, _ = laid(decisions)
    return Counter(row for at, total in zip(first, decisions, strict=True) for row in range(at, at + total))


@settings(deadline=None)
@given(decisions=LENGTHS, batch=st.integers(1, 9), window=st.integers(1, 30), epoch=st.integers(0, 3))
def test_windows_a_window_apart_cover_every_decision_once(decisions, batch, window, epoch):
    plan = Windows(*laid(decisions), batch, window, window, False, 0.0, 1)
    assert met(plan, epoch) == rows(decisions)


@settings(deadline=None)
@given(decisions=LENGTHS, batch=st.integers(1, 9), window=st.integers(1, 30), stride=st.integers(1, 30))
def test_windows_start_every_stride_and_stay_within_their_game(decisions, batch, window, stride):
    first, length = laid(decisions)
    plan = Windows(first, length, batch, window, stride, False, 0.0, 1)
    starts = []
    for step in range(plan.steps(0)):
        pick = plan.pick(0, step)
        assert pick.is_first.all()
        for at, count in zip(pick.first[pick.decisions > 0], pick.decisions[pick.decisions > 0], strict=True):
            entry = int(np.searchsorted(first, at, "right")) - 1
            while length[entry] == 0:  # an entry without a decision begins on the same row
                entry -= 1
            assert (at - first[entry]) % stride == 0
            assert count == min(window, first[entry] + length[entry] - at)
            starts.append(int(at))
    assert len(starts) == len(set(starts)) == sum(-(-total // stride) for total in decisions)


def test_full_windows_alone_when_the_last_position_counts():
    """With stride 1 every decision from the window's end on is the last of exactly one window."""
    first, length = laid([25, 9, 10])
    plan = Windows(first, length, 4, 10, 1, True, 0.0, 0)
    picks = [plan.pick(0, step) for step in range(plan.steps(0))]
    used = sorted(int(at) for pick in picks for at in pick.first[pick.decisions > 0])
    assert all((pick.decisions[pick.decisions > 0] == 10).all() for pick in picks)
    assert used == [*range(16), int(first[2])]


def test_the_last_batch_is_padded_with_empty_windows():
    plan = Windows(*laid([50]), 4, 10, 10, False, 0.0, 0)
    assert plan.steps(0) == 2
    assert plan.pick(0, 1).decisions.tolist() == [10, 0, 0, 0]


def test_the_share_of_mirrored_windows_is_drawn_anew_every_epoch():
    def flips(mirror: float, epoch: int) -> np.ndarray:
        plan = Windows(*laid([4000]), 50, 10, 10, False, mirror, 1)
        return np.concatenate([plan.pick(epoch, step).mirrored for step in range(plan.steps(epoch))])

    assert flips(0.3, 0).mean() == pytest.approx(0.3, abs=0.1)
    assert np.array_equal(flips(0.3, 0), flips(0.3, 0)) and not np.array_equal(flips(0.3, 0), flips(0.3, 1))
    assert not flips(0.0, 0).any() and flips(1.0, 0).all()


def test_a_batch_is_never_larger_than_the_windows_there_are():
    assert Windows(*laid([50]), 64, 10, 10, False, 0.0, 0).batch == 5


def test_window_order_is_a_pure_function_of_seed_and_epoch():
    plans = [Windows(*laid([300, 200]), 8, 10, 10, False, 0.0, seed) for seed in (1, 1, 2)]
    mine, again, other = ([plan.pick(3, step).first.tolist() for step in range(plan.steps(3))] for plan in plans)
    assert mine == again != other
    assert mine != [plans[0].pick(4, step).first.tolist() for step in range(plans[0].steps(4))]
    assert mine[2] == plans[0].pick(3, 2).first.tolist()


@settings(deadline=None)
@given(decisions=LENGTHS, batch=st.integers(1, 7), window=st.integers(1, 40))
def test_a_walk_meets_every_decision_once_and_in_order(decisions, batch, window):
    """Each row of a group is one game from its first decision on, chunk after chunk; a group opens with restarts."""
    first, length = laid(decisions)
    plan = Walk(first, length, batch, window)
    assert met(plan) == rows(decisions)
    before = None
    for step in range(plan.steps(0)):
        pick = plan.pick(0, step)
        assert pick.is_first.all() or not pick.is_first.any()
        active = pick.decisions > 0
        if pick.is_first.all():
            assert np.isin(pick.first[active], first).all()
        else:
            assert before is not None
            assert np.array_equal(pick.first[active], (before.first + before.decisions)[active])
            assert (before.decisions[active] == window).all()
        before = pick


def test_a_walk_puts_games_of_like_length_side_by_side():
    """So that few rows are padding."""
    plan = Walk(*laid([10, 100, 20, 90]), 2, 10)
    assert plan.steps(0) == 10 + 2
    assert plan.pick(0, 0).decisions.tolist() == [10, 10]


@given(games=st.integers(0, 200), share=st.floats(0, 0.99), seed=st.integers(0, 50))
def test_a_split_is_by_whole_games_and_a_pure_function(games, share, seed):
    if games < 2 and share > 0:
        with pytest.raises(DataError, match="one game cannot be split"):
            split(games, share, seed)
        return
    train, held = split(games, share, seed)
    assert train | held == set(range(games)) and not train & held
    assert split(games, share, seed) == (train, held)
    if games > 1 and share > 0:
        assert train and held
        assert len(held) == min(max(round(games * share), 1), games - 1)
    else:
        assert not held


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_another_seed_holds_out_other_games(share):
    assert len({frozenset(split(100, share, seed)[1]) for seed in range(10)}) == 10
