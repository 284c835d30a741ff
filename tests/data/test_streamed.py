"""Streaming: every decision once an epoch, few files at a time, and a run that goes on where it stopped."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil import assemble
from exphil.config.layers import resolve
from exphil.data.corpus import Corpus, Entry
from exphil.data.lanes import Lanes
from exphil.data.sampler import Noisy, split
from exphil.data.shelf import Shelf
from exphil.data.streamed import Streamed
from exphil.data.windows import Windows
from exphil.errors import DataError
from exphil.features.action import Codec
from exphil.replays.packing import pack
from exphil.train import loop
from exphil.train.step import Way

CODEC = Codec.uniform()
FILES = st.lists(st.lists(st.integers(1, 90), min_size=1, max_size=2), min_size=1, max_size=10)
"""The decisions of each entry of each file."""
BOUNDS = st.one_of(st.tuples(st.integers(1, 12), st.none()), st.tuples(st.none(), st.integers(1, 400)))


class Held:
    """Entries laid end to end, one more row each than they hold decisions."""

    def __init__(self, files: list[list[int]]) -> None:
        self.game = np.array([number for number, counts in enumerate(files) for _ in counts])
        self.decisions = np.array(list(chain(*files)), np.int64)
        self.first = np.cumsum(self.decisions + 1) - (self.decisions + 1)

    def plan(self, bounds, kind="lanes", batch=3, window=20, seed=1, stride=20, full=False) -> Streamed:
        def over(entries, seed):
            first, count = self.first[entries], self.decisions[entries]
            if kind == "lanes":
                return Lanes(first, count, batch, window, 0.5, seed)
            return Windows(first, count, batch, window, stride, full, 0.5, seed)

        return Streamed(self.game, self.decisions, *bounds, over, window, batch, seed)

    def files(self, pick) -> set[int]:
        """The files that a batch takes anything from."""
        return set(self.game[np.searchsorted(self.first, pick.first[pick.decisions > 0], "right") - 1].tolist())

    def rows(self) -> list[int]:
        return [row for at, count in zip(self.first, self.decisions, strict=True) for row in range(at, at + count)]


def epoch(plan, number: int) -> list:
    return [plan.pick(number, step) for step in range(plan.steps(number))]


def met(picks) -> list[int]:
    return sorted(
        row for p in picks for at, n in zip(p.first, p.decisions, strict=True) for row in range(at, at + n)
    )  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(files=FILES, bounds=BOUNDS, kind=st.sampled_from(["lanes", "windows"]), batch=st.integers(1, 6))
def test_every_decision_of_every_file_comes_once_an_epoch(files, bounds, kind, batch):
    held = Held(files)
    plan = held.plan(bounds, kind, batch)
    for number in (0, 2):
        picks = epoch(plan, number)
        assert met(picks) == held.rows()
        for pick in picks:
            assert all(len(part) == batch for part in pick), "a chunk of few stretches pads its batches"
            assert (pick.decisions >= 0).all() and (pick.decisions <= 20).all()


@settings(deadline=None, max_examples=80)
@given(files=FILES, bounds=BOUNDS)
def test_a_chunk_holds_no_more_than_was_asked_for(files, bounds):
    """So many files; or so many decisions, which the file that goes over the edge may exceed."""
    held = Held(files)
    plan, (most, frames) = held.plan(bounds), bounds
    for number in (0, 1):
        chunks = plan.chunks(number)
        assert sorted(chain(*(chunk.tolist() for chunk in chunks))) == list(range(len(files)))
        for chunk in chunks:
            assert len(chunk) and (most is None or len(chunk) <= most)
            sizes = [sum(files[file]) for file in chunk]
            assert frames is None or sum(sizes) < frames + max(sizes)
        open_now = [held.files(pick) for pick in epoch(plan, number)]
        assert all(any(seen <= set(chunk.tolist()) for chunk in chunks) for seen in open_now)
    if most:
        assert len(chunks) == -(-len(files) // most)


@settings(deadline=None, max_examples=40)
@given(files=FILES, bounds=BOUNDS, kind=st.sampled_from(["lanes", "windows"]))
def test_a_pick_is_a_pure_function_of_seed_epoch_and_step(files, bounds, kind):
    held = Held(files)
    forward, plan = held.plan(bounds, kind), held.plan(bounds, kind)
    wanted = {number: epoch(forward, number) for number in (0, 1, 3)}
    for number in (3, 0, 1, 3):
        for step in reversed(range(plan.steps(number))):
            pairs = zip(plan.pick(number, step), wanted[number][step], strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs)


def test_files_are_dealt_anew_every_epoch_and_seed():
    held = Held([[50]] * 40)
    plan, other = held.plan((8, None)), held.plan((8, None), seed=2)
    deals = [[frozenset(chunk.tolist()) for chunk in p.chunks(n)] for p in (plan, other) for n in range(3)]
    assert len(set(map(frozenset, deals))) == 6
    together = sum(len(a & b) * (len(a & b) - 1) for a in deals[0] for b in deals[1]) / (40 * 7)
    assert together < 0.4, "files that were in one chunk are not in one chunk again, but for chance (18%)"


def test_carried_state_restarts_where_a_chunk_begins_and_where_a_game_opens():
    held = Held([[100], [70, 70], [90], [110], [60]])
    plan = held.plan((2, None), batch=2)
    picks, before, begins = epoch(plan, 0), None, 0
    for pick in picks:
        if before is None or not held.files(pick) & held.files(before):
            assert pick.is_first.all()
            begins += 1
        for lane in np.flatnonzero(pick.decisions):
            if not pick.is_first[lane]:
                assert before is not None and pick.first[lane] == before.first[lane] + before.decisions[lane]
        before = pick
    assert begins >= 3


def test_a_chunk_without_a_whole_window_is_passed_over_and_none_at_all_is_an_error():
    held = Held([[5], [300], [7], [400]])
    plan = held.plan((1, None), "windows", full=True)
    assert {file for number in range(3) for pick in epoch(plan, number) for file in held.files(pick)} == {1, 3}
    assert [sum(int(p.decisions.sum()) for p in epoch(plan, number)) for number in range(3)] == [700] * 3
    with pytest.raises(DataError, match="no game holds a whole window"):
        Held([[5], [7]]).plan((1, None), "windows", full=True).steps(0)


def test_plans_of_other_chunks_take_no_memory():
    """A window of one frame is 24 bytes a decision: only the chunk that is used may hold its own."""
    held, made = Held([[50]] * 30), []
    plan = held.plan((3, None), "windows")
    make = plan._make
    plan._make = lambda entries, seed: made.append(len(entries)) or make(entries, seed)
    plan.steps(0)
    assert made == [3] * 10
    epoch(plan, 0)
    assert made == [3] * 20, "each is made again once, when its turn comes"
    assert plan._plan.cache_info().currsize == 2


@pytest.fixture
def corpus(make) -> Corpus:
    small, _ = make
    games = [pack(small(150 + 20 * seed, seed)) for seed in range(9)]
    entries = tuple(Entry(at // 2, f"g{at // 2}", 1, f"{at // 2}", seat=at % 2) for at in range(18))
    length = np.array([games[entry.game].frames for entry in entries])
    return Corpus(Shelf([lambda game=game: game for game in games]), entries, length)


OPTIONS = {
    "lanes": {"backbone": "gru", "stream_chunk_size": "2"},
    "frames": {"backbone": "gru", "stream_chunk_frames": "600"},
    "windows augmented": {"backbone": "gru", "sequence_mode": "windows", "augment": True, "stream_chunk_size": "3"},
    "single frames": {"backbone": "mlp", "stream_chunk_size": "4"},
}


def asked(**flags):
    plain = {"hidden": "8", "batch_size": "4", "window_size": "25", "device": "cpu"}
    return resolve("train", {f"--{name.replace('_', '-')}": value for name, value in (plain | flags).items()}, {})


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("prefetch", [True, False])
def test_a_run_that_goes_on_in_the_middle_meets_the_same_batches(corpus, name, prefetch):
    """And the shelf holds one chunk's files; gathering ahead changes nothing."""
    options = asked(**OPTIONS[name], **({} if prefetch else {"no_prefetch": True}))
    seen = []
    for start in (0, 5):
        plan = assemble.plan(options, corpus, 7)
        inner = plan._plan if isinstance(plan, Noisy) else plan
        assert isinstance(inner, Streamed) and plan.steps(1) > 8
        batches = assemble.loader(options, corpus, plan, CODEC, torch.device("cpu"))
        seen.append([batches.load(1, step) for step in range(start, 9)])
        assert batches.corpus.shelf.most < corpus.games and len(batches.corpus.shelf._open) <= batches.corpus.shelf.most
    for one, other in zip(seen[0][5:], seen[1], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_training_goes_on_bit_for_bit(corpus):
    """Stopped three updates before the epoch's end and begun again: the same weights as in one go."""
    options = asked(**OPTIONS["lanes"])

    def learn(run, updates):
        plan = assemble.plan(options, corpus, 7)
        batches = assemble.loader(options, corpus, plan, CODEC, torch.device("cpu"))
        events = loop.train(run, batches, lambda _: 1e-2, 2, Way(carry=True))
        for _ in range(updates):
            next(events)
        return run

    def fresh():
        torch.manual_seed(0)
        policy = assemble.policy(options, CODEC)
        return loop.Run(policy, assemble.optimizer(options, policy), torch.device("cpu"))

    steps = assemble.plan(options, corpus, 7).steps(0)
    whole = learn(fresh(), steps + 4)
    first = learn(fresh(), steps - 3).snapshot()
    second = fresh()
    second.policy.load_state_dict(first["policy"])
    second.restore(first, Way(carry=True), assemble.plan(options, corpus, 7).batch)
    learn(second, 7)
    assert (whole.epoch, whole.step) == (second.epoch, second.step)
    for one, other in zip(whole.policy.parameters(), second.policy.parameters(), strict=True):
        assert torch.equal(one, other)


def test_validation_never_sees_a_file_that_is_learned_from(corpus):
    """Whole files are held out, both seats; streaming deals out the others only."""
    options = asked(**OPTIONS["lanes"], dual_port=True)
    learned, held = split(corpus.games, 0.3, 1)
    train, validation = corpus.part(learned), corpus.part(held)
    assert {e.digest for e in train.entries} | {e.digest for e in validation.entries} == {
        e.digest for e in corpus.entries
    }
    plan = assemble.plan(options, train, 1)
    opened = set()
    for number in range(3):
        for pick in epoch(plan, number):
            at = np.searchsorted(train.first, pick.first[pick.decisions > 0], "right") - 1
            opened |= {train.entries[index].digest for index in at}
    assert opened == {entry.digest for entry in train.entries}
    assert not opened & {entry.digest for entry in validation.entries}
    walk = assemble.walk(options, validation, CODEC, torch.device("cpu"))
    assert sum(walk.load(0, step).weight.shape[0] > 0 for step in range(walk.steps(0))) == walk.steps(0)
