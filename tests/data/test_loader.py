"""Corpus and loader: rows stay what they are, states are answered by the next controller, weights say what counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exphil.data.corpus import Corpus
from exphil.data.lanes import Lanes
from exphil.data.loader import Loader, Rows
from exphil.data.shelf import Shelf
from exphil.data.walk import Walk
from exphil.data.windows import Windows
from exphil.features.action import Codec
from exphil.features.observation import Table
from exphil.game.controller import controller_of
from exphil.game.frames import ROW_BYTES, Game, playing
from exphil.game.time import GO_FRAME
from exphil.replays import slp

CODEC = Codec.uniform()

TABLE = Table(0, False)
CPU = torch.device("cpu")


def load(corpus: Corpus, plan, all_frames: bool = True, last_only: bool = False, ahead: int = 0) -> Loader:
    source = Rows(corpus, plan.window, TABLE, CODEC)
    return Loader(corpus, plan, source, CPU, all_frames=all_frames, last_only=last_only, ahead=ahead)


def laid_out(corpus: Corpus) -> np.ndarray:
    """The rows of all entries end to end, as they are numbered."""
    return np.concatenate([corpus.game(index).rows for index in range(len(corpus.entries))])


def test_an_entrys_game_is_the_seats_rows(real, replays):
    names = {entry.name for entry in real.entries}
    assert (real.games, len(real.entries), len(names)) == (2, 4, 2)
    for index, entry in enumerate(real.entries):
        replay = slp.read(replays / entry.name)
        assert np.array_equal(real.game(index).rows, replay.game.seen_from(index % 2).rows)
        assert entry.character == replay.characters[index % 2]
        assert real.decisions[index] == len(replay.game) - 1


def test_a_part_shares_the_rows(real):
    part = real.part({1})
    assert part.shelf is real.shelf
    assert part.games == 1 and len(part.entries) == 2
    assert np.array_equal(part.game(0).rows, real.game(2).rows)
    assert part.decisions.tolist() == real.decisions[2:].tolist()


def test_gathered_stretches_are_plain_slices_with_nothing_after_a_game(make):
    small, lay = make
    corpus = lay([small(30, 1), small(17, 2)])
    first, ends = np.array([0, 5, 29, 30, 46, 46]), np.array([30, 30, 30, 47, 47, 47])
    out, touched = np.full((6, 61, ROW_BYTES), 255, np.uint8), np.ones(6, np.uint8)
    for _ in range(2):
        corpus.copy(first, out, touched)
        for at, end, stretch in zip(first, ends, out, strict=True):
            held = laid_out(corpus)[at : min(at + 61, end)]
            assert np.array_equal(stretch[: len(held)], held) and not stretch[len(held) :].any()
        first, ends = first[::-1], ends[::-1]


def test_a_shelf_keeps_few_games_open_and_gives_the_same_rows(make):
    small, lay = make
    corpus = lay([small(30, seed) for seed in range(9)])
    few = Corpus(Shelf(corpus.shelf.openers, most=2), corpus.entries, corpus.length)
    rows = np.zeros((2, 4, 12, ROW_BYTES), np.uint8)
    random = np.random.default_rng(0)
    for _ in range(20):
        first = random.integers(0, 9 * 30, 4)
        for held, out in zip((corpus, few), rows, strict=True):
            held.copy(first, out, np.ones(4, np.uint8))
        assert np.array_equal(*rows)
        assert len(few.shelf._open) <= 2


@pytest.mark.parametrize("kind", ["lanes", "windows", "single frames", "walk"])
def test_a_state_is_answered_by_the_next_rows_controller(real, kind):
    """For every decision of every plan: its features are those of its row, its action that of the row after."""
    first, decisions = real.first, real.decisions
    plan = {
        "lanes": lambda: Lanes(first, decisions, 6, 60, 0.0, 1),
        "windows": lambda: Windows(first, decisions, 6, 40, 40, False, 0.0, 1),
        "single frames": lambda: Windows(first, decisions, 64, 1, 1, False, 0.0, 1),
        "walk": lambda: Walk(first, decisions, 4, 100),
    }[kind]()
    held = CODEC.encode(controller_of(Game(laid_out(real)).players, 0))
    loader, rows = load(real, plan), laid_out(real)
    for step in range(0, loader.steps(0), max(1, loader.steps(0) // 12)):
        batch, pick = loader.load(0, step), plan.pick(0, step)
        assert batch.floats.shape == (plan.batch, plan.window, TABLE.floats)
        assert torch.equal(batch.is_first[:, 0], torch.from_numpy(pick.is_first)) and not batch.is_first[:, 1:].any()
        for row in np.nonzero(pick.decisions)[0]:
            at, count = pick.first[row], pick.decisions[row]
            assert np.array_equal(batch.action[row, :count].numpy(), held[at + 1 : at + 1 + count])
            floats, ids = TABLE.encode(Game(rows[at : at + count]))
            assert np.abs(batch.floats[row, :count].numpy() - floats).max() <= 1e-6
            assert np.array_equal(batch.ids[row, :count].numpy(), ids)


def test_no_action_comes_from_another_game(make):
    """The last row of a game answers the state before it and is itself no decision."""
    small, lay = make
    corpus = lay([small(11, 1), small(11, 2)])
    batch = load(corpus, Windows(corpus.first, corpus.decisions, 2, 10, 10, False, 0.0, 0)).load(0, 0)
    held = CODEC.encode(controller_of(Game(laid_out(corpus)).players, 0))
    wanted = {held[first + 1 : first + 11].tobytes() for first in corpus.first}
    assert {part.numpy().tobytes() for part in batch.action} == wanted


def test_padding_weighs_nothing(make):
    small, lay = make
    corpus = lay([small(8, 1)])
    batch = load(corpus, Windows(corpus.first, corpus.decisions, 3, 5, 5, False, 0.0, 0)).load(0, 0)
    assert sorted(batch.weight.sum(1).tolist()) == [2, 5]
    assert batch.frames == 7
    padded = load(corpus, Walk(corpus.first, corpus.decisions, 4, 5)).load(0, 1)
    assert padded.weight.tolist() == [[1, 1, 0, 0, 0]]


def test_frames_before_go_and_after_the_last_stock_count_only_when_asked(make):
    small, lay = make
    corpus = lay([small(80, 1, first_frame=GO_FRAME - 20, dead_from=70)])
    plan = Walk(corpus.first, corpus.decisions, 1, 79)
    weight = load(corpus, plan, all_frames=False).load(0, 0).weight[0]
    assert weight.nonzero()[:, 0].tolist() == list(range(19, 70))  # row 19 is answered on the frame of GO
    assert load(corpus, plan, all_frames=True).load(0, 0).weight.sum() == 79


def test_real_games_weigh_what_is_played(real):
    loader = load(real, Walk(real.first, real.decisions, 4, 500), all_frames=False)
    total = sum(loader.load(0, step).frames for step in range(loader.steps(0)))
    assert total == sum(int(playing(real.game(index)[:-1]).sum()) for index in range(4))
    assert 0.95 * real.decisions.sum() < total < real.decisions.sum()


def test_last_only_answers_the_last_state_of_a_window(make):
    small, lay = make
    corpus = lay([small(30, 1)])
    plan = Windows(corpus.first, corpus.decisions, 4, 10, 1, True, 0.0, 0)
    batch, whole = load(corpus, plan, last_only=True).load(0, 0), load(corpus, plan).load(0, 0)
    assert batch.weight.tolist() == [[1]] * 4
    assert torch.equal(batch.action, whole.action[:, -1:])
    assert torch.equal(batch.floats, whole.floats)


def test_a_batch_is_a_pure_function_of_epoch_and_step(real):
    loader = load(real, Lanes(real.first, real.decisions, 4, 30, 0.0, 3))
    before = loader.load(2, 5)
    loader.load(0, 0)
    assert all(torch.equal(a, b) for a, b in zip(before, loader.load(2, 5), strict=True))


def test_gathering_ahead_changes_nothing(real):
    plan = Lanes(real.first, real.decisions, 4, 30, 0.5, 3)
    plain, ahead = load(real, plan), load(real, plan, ahead=3)
    for epoch, step in [(0, 0), (0, 1), (0, 2), (0, 7), (0, 8), (1, 0), (0, 3), (1, plan.steps(1) - 1)]:
        one, two = plain.load(epoch, step), ahead.load(epoch, step)
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
