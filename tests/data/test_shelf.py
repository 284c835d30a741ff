"""The shelf: few games open, right rows whatever is opened, closed and asked for at once."""

from __future__ import annotations

import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.data.shelf import MOST_OPEN, Shelf, may_open
from exphil.errors import DataError
from exphil.game.frames import ROW, ROW_BYTES, Game
from exphil.replays.packing import Packed, pack
from exphil.replays.store import About, Store

GAMES, ROWS = 12, 40


def game(number: int) -> Game:
    made = Game.empty(ROWS)
    row = made.rows.view(ROW)[:, 0]
    row["frame"], row["players"]["x"] = np.arange(ROWS) + 1000 * number, number + 0.5
    row["items"]["x"][:, number] = number
    return made


@pytest.fixture
def alive() -> set[object]:
    """One token for each game that is open."""
    return set()


@pytest.fixture
def openers(alive):
    """Each opening gives memory of its own, as a mapped file does: what is used after it was closed shows."""

    def make(number: int):
        def opened() -> Packed:
            made = pack(game(number))
            token = object()
            alive.add(token)
            weakref.finalize(made.data, alive.discard, token)
            return made

        return opened

    return [make(number) for number in range(GAMES)]


def check(shelf: Shelf, games: np.ndarray, first: np.ndarray, length: int) -> None:
    out, touched = np.full((len(games), length, ROW_BYTES), 7, np.uint8), np.ones(len(games), np.uint8)
    zeros = np.zeros(len(games), np.int64)
    for _ in range(2):  # into a buffer of anything, then into what is there now
        shelf.copy(games, first, zeros, zeros, out, touched)
        for number, at, rows in zip(games.tolist(), first.tolist(), out, strict=True):
            wanted = game(number).rows[at : at + length]
            assert np.array_equal(rows[: len(wanted)], wanted) and not rows[len(wanted) :].any()


@settings(deadline=None, max_examples=60)
@given(
    most=st.integers(1, GAMES),
    asked=st.lists(st.lists(st.tuples(st.integers(0, GAMES - 1), st.integers(0, ROWS)), min_size=1, max_size=20)),
)
def test_no_more_than_so_many_are_open_and_the_rows_are_right(most, asked):
    openers = [lambda number=number: pack(game(number)) for number in range(GAMES)]
    shelf = Shelf(openers, most)
    for batch in asked:
        games, first = (np.array(part, np.int64) for part in zip(*batch, strict=True))
        check(shelf, games, first, 9)
        assert len(shelf._open) <= most
        assert np.array_equal(np.flatnonzero(shelf._places[:, 0]), sorted(shelf._open))


def test_what_is_closed_is_let_go_and_what_was_used_last_stays(openers, alive):
    shelf = Shelf(openers, 3)
    for number in (0, 1, 2, 0, 3):
        check(shelf, np.array([number]), np.zeros(1, np.int64), 5)
    assert sorted(shelf._open) == [0, 2, 3] and len(alive) == 3
    assert np.array_equal(shelf.game(5, 0, 0).rows, game(5).rows) and sorted(shelf._open) == [0, 3, 5]
    assert shelf.limited(1).most == 1 and shelf.limited(99).most == 3


def test_several_threads_with_few_games_open(openers):
    """What one thread reads is not closed by another: the gathering thread, a validation, embeddings in the making."""
    shelf = Shelf(openers, 2)

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(60):
            if random.random() < 0.3:
                number = int(random.integers(GAMES))
                assert np.array_equal(shelf.game(number, 0, 0).rows, game(number).rows)
            else:
                check(shelf, random.integers(0, GAMES, 5), random.integers(0, ROWS, 5), 11)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, seed) for seed in range(4)]:
            done.result()
    assert len(shelf._open) <= 2


def test_a_game_that_cannot_be_opened_leaves_the_others(openers):
    def gone() -> Packed:
        raise DataError("was readable before and is no longer", "x.slp")

    shelf = Shelf([*openers[:3], gone], 4)
    for _ in range(2):
        with pytest.raises(DataError, match="no longer"):
            check(shelf, np.array([0, 1, 3]), np.zeros(3, np.int64), 5)
        check(shelf, np.array([0, 1, 2]), np.zeros(3, np.int64), 5)


MANY = """
import resource, sys
from pathlib import Path
import numpy as np
resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
from exphil.data.shelf import Shelf
from exphil.game.frames import ROW_BYTES
from exphil.replays.store import Store
store = Store(Path(sys.argv[1]))
digests = [key[:16] for key in store.keys()]
shelf = Shelf([lambda digest=digest: store.get(digest)[1] for digest in digests])
numbers, zeros = np.arange(len(digests)), np.zeros(len(digests), np.int64)
out, touched = np.zeros((len(digests), 3, ROW_BYTES), np.uint8), np.ones(len(digests), np.uint8)
shelf.copy(numbers, zeros, zeros, zeros, out, touched)
print(shelf.most, len(shelf._open), out[:, 0, :4].copy().view(np.int32)[:, 0].tolist() == [7 * n for n in numbers])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows counts no handles")
def test_a_batch_of_more_games_than_there_are_file_handles(tmp_path):
    store = Store(tmp_path)
    about = About("3", 9, (1, 2), (1, 2), (True, True), ("", ""), ("", ""), ("", ""), (False, False), 9, (), "", ())
    for number in range(200):
        made = Game.empty(4)
        made.rows.view(ROW)[:, 0]["frame"] = np.arange(4) + 7 * number
        assert store.put(f"{number:016x}", about, pack(made))
    found = subprocess.run([sys.executable, "-c", MANY, tmp_path], capture_output=True, text=True, check=False)
    assert found.stdout.split() == ["40", "40", "True"], found.stderr
    assert 1 <= may_open() <= MOST_OPEN
