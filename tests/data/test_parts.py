"""Slices of batches: side by side they are the batch, of whatever plan and however many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.data.delayed import Delayed
from exphil.data.lanes import Lanes
from exphil.data.parts import Parts
from exphil.data.sampler import Noisy, Pick
from exphil.data.streamed import Streamed
from exphil.data.walk import Walk
from exphil.data.windows import Windows

KINDS = ("lanes", "windows", "full windows", "walk", "streamed")


def plan(kind: str, counts: list[int], batch: int):
    """A plan of some kind over entries of so many decisions, with noise and delays."""
    decisions = np.array(counts, np.int64)
    first = np.cumsum(decisions + 9) - (decisions + 9)

    def lanes(entries, seed):
        return Lanes(first[entries], decisions[entries], batch, 10, 0.5, seed)

    made = {
        "lanes": lambda: lanes(np.arange(len(first)), 1),
        "windows": lambda: Windows(first, decisions, batch, 10, 7, False, 0.5, 1),
        "full windows": lambda: Windows(first, decisions, batch, 10, 7, True, 0.5, 1),
        "walk": lambda: Walk(first, decisions, batch, 10),
        "streamed": lambda: Streamed(np.arange(len(first)), decisions, 2, None, lanes, 10, batch, 1),
    }[kind]()
    delays = np.random.default_rng(3).integers(0, 4, len(first))
    return Delayed(Noisy(made, 0.5, 2), first, lambda _: delays)


def joined(picks: list[Pick]) -> Pick:
    return Pick(*(np.concatenate(columns) for columns in zip(*picks, strict=True)))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.lists(st.integers(10, 60), min_size=1, max_size=6),
    st.integers(1, 9),
    st.integers(1, 5),
)
def test_slices_side_by_side_are_the_whole_batch(kind, counts, batch, count):
    whole = plan(kind, counts, batch)
    slices = [Parts(whole, count, range(at, at + 1)) for at in range(count)]
    for step in range(whole.steps(1)):
        wanted, found = whole.pick(1, step), joined([part.pick(1, step) for part in slices])
        rows = len(wanted.first)
        for name, column in wanted._asdict().items():
            got = getattr(found, name)
            assert got.dtype == column.dtype
            assert np.array_equal(got[:rows], column), name
        padding = Pick(*(column[rows:] for column in found))
        assert not padding.decisions.any() and padding.is_first.all()
        assert not padding.noise.any() and not padding.mirrored.any()
        assert (padding.first == wanted.first[0]).all(), "what is not counted is still read"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("ranks", "each"), [(1, 3), (2, 1), (2, 2)])
def test_every_rank_walks_its_slices_of_one_batch_before_the_next(kind, ranks, each):
    whole = plan(kind, [35, 60, 12], 8)
    one = [Parts(whole, ranks * each, range(at, at + 1)) for at in range(ranks * each)]
    for rank in range(ranks):
        own = Parts(whole, ranks * each, range(rank * each, rank * each + each))
        assert own.steps(2) == whole.steps(2) * each
        for step in range(own.steps(2)):
            wanted = one[rank * each + step % each].pick(2, step // each)
            for left, right in zip(own.pick(2, step), wanted, strict=True):
                assert np.array_equal(left, right)


def test_slices_are_of_one_size_and_the_window_stays():
    parts = Parts(plan("walk", [30, 20, 20, 10, 10, 10, 10], 7), 3, range(2, 3))
    assert parts.window == 10 and parts.batch == 3
    assert {len(column) for column in parts.pick(0, 0)} == {3}
    assert parts.pick(0, 0).decisions[1:].tolist() == [0, 0], "seven rows are 3, 3 and 1"


def test_more_slices_than_rows_leave_some_without_a_decision():
    parts = Parts(plan("lanes", [30], 2), 5, range(4, 5))
    assert parts.batch == 1
    assert all(not parts.pick(0, step).decisions.any() for step in range(parts.steps(0)))


@pytest.mark.parametrize("own", [range(0), range(2, 4), range(-1, 1)])
def test_slices_that_are_not_there_are_refused(own):
    with pytest.raises(ValueError, match="of 3"):
        Parts(plan("lanes", [30], 6), 3, own)
