"""Packed games: every bit comes back from both seats, in few bytes, and compiled code never sees a wild section."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.errors import ReplayError
from exphil.game.frames import ITEM, PLAYER, ROW, ROW_BYTES, Game
from exphil.replays import slp
from exphil.replays.packing import GRID, SECTIONS, Packed, lay_out, pack, widen

FLOATS = [name for name in PLAYER.names if PLAYER[name].kind == "f"]
ON_GRID = {"facing": 0, "main_x": 1, "main_y": 2, "c_x": 3, "c_y": 4, "shoulder": 5}
WILD = np.array([0x7FC00001, 0xFFC12345, 0x7F800001, 0x80000000, 0x7F800000, 0xFF800000, 1, 0x3F800001], np.uint32)
"""NaNs with payloads, quiet and signalling, -0.0, infinities, the smallest number, and 1 with one bit more."""


def rows_of(game: Game) -> np.ndarray:
    return game.rows.view(ROW)[:, 0]


def swapped(game: Game, seat: int, style: int = 0) -> np.ndarray:
    """What ``widen`` must write: the plain rows, turned round in plain numpy."""
    out = np.array(game.seen_from(seat).rows)
    out.view(ROW)[:, 0]["players"]["style"][:, 0] = style
    return out


@st.composite
def games(draw) -> Game:
    """Rows in which anything may stand anywhere that has a meaning."""
    random, count = np.random.default_rng(draw(st.integers(0, 1 << 32))), draw(st.integers(1, 40))
    game = Game(random.integers(0, 256, (count, ROW_BYTES), np.uint8))
    row = rows_of(game)
    row["frame"] = np.arange(count) + draw(st.sampled_from([-123, 0, 30_000, -(1 << 31)]))
    row["stage"], row["lacks"] = draw(st.integers(-(1 << 15), (1 << 15) - 1)), draw(st.integers(-(1 << 15), 0x7FFF))
    row["padding"], row["items"]["padding"], row["players"]["style"] = 0, 0, 0
    for group in ("nana", "items"):
        there = random.random(row[group].shape) < draw(st.sampled_from([0.0, 0.1, 1.0]))
        row[group][~there] = np.zeros((), row[group].dtype)
    for name in ("platforms", "stadium", "whispy"):
        kind = draw(st.sampled_from(["still", "held", "restless"]))
        if kind == "still":
            row[name] = 0
        elif kind == "held":
            row[name][count // 2 :] = row[name][count // 2]
    for seat in (0, 1):
        kind = draw(st.sampled_from(["grid", "one wild", "bytes"]))
        if kind != "bytes":
            for name, line in ON_GRID.items():
                row["players"][name][:, seat] = GRID[line][random.integers(0, 256, count)]
        if kind == "one wild":
            name, at = draw(st.sampled_from(FLOATS)), draw(st.integers(0, count - 1))
            row["players"][name].view(np.uint32)[at, seat] = draw(st.sampled_from(WILD.tolist()))
    return game


@settings(deadline=None, max_examples=200)
@given(game=games(), style=st.integers(0, 0x7FFF))
def test_every_bit_comes_back_from_both_seats(game, style):
    packed = pack(game)
    assert packed.frames == len(game) and len(packed.data) % 64 == 0
    for seat in (0, 1):
        assert np.array_equal(packed.game(seat).rows, swapped(game, seat))
        assert np.array_equal(packed.game(seat, style).rows, swapped(game, seat, style))


@settings(deadline=None, max_examples=100)
@given(
    pair=st.tuples(games(), games()),
    asked=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(0, 1)), min_size=1, max_size=6),
    length=st.integers(1, 50),
)
def test_any_stretch_is_a_slice_and_zeros_beyond_the_end(pair, asked, length):
    """Whatever stood in the buffer: garbage at first, then what other stretches left there."""
    packed, whole = [pack(game) for game in pair], [[swapped(game, seat) for seat in (0, 1)] for game in pair]
    out = np.random.default_rng(0).integers(0, 256, (len(asked), length, ROW_BYTES), np.uint8)
    touched = np.ones(len(asked), np.uint8)
    for turn in range(3):
        order = asked[turn % len(asked) :] + asked[: turn % len(asked)]
        which, first, seat = (np.array(part, np.int64) for part in zip(*order, strict=True))
        places = np.stack([packed[number].place for number in which])
        widen(places, first, seat, np.zeros(len(order), np.int64), out, touched)
        for got, (number, at, whose) in zip(out, order, strict=True):
            wanted = whole[number][whose][at : at + length]
            assert np.array_equal(got[: len(wanted)], wanted) and not got[len(wanted) :].any()


def test_every_step_of_the_grid_is_a_byte():
    """And its nearest neighbours are not taken for it."""
    game = Game.empty(256)
    row = rows_of(game)
    row["frame"], row["players"]["exists"] = np.arange(256), 1
    for name, line in ON_GRID.items():
        row["players"][name] = GRID[line].clip(-3, 3)[:, None]  # the only facings are -1, 0 and 1
    packed = pack(game)
    assert not len(packed.section("analog_0")) and not len(packed.section("analog_1"))
    assert np.array_equal(packed.game().rows, game.rows)
    for seat in (0, 1):
        row["players"]["main_x"].view(np.uint32)[200, seat] += 1
        packed = pack(game)
        assert [len(packed.section(f"analog_{number}")) for number in (0, 1)] == [256, 256 * seat]
        assert np.array_equal(packed.game().rows, game.rows)


@pytest.mark.parametrize("spoil", ["gap", "back", "style", "stage", "lacks", "nothing"])
def test_what_cannot_be_packed_is_refused(spoil):
    game = Game.empty(10)
    row = rows_of(game)
    row["frame"] = np.arange(10)
    if spoil in ("gap", "back"):
        row["frame"][5:] += 1 if spoil == "gap" else -1
    elif spoil == "style":
        row["players"]["style"][3, 1] = 2
    elif spoil == "nothing":
        game = game[:0]
    else:
        row[spoil][7] = 3
    with pytest.raises(ValueError, match="packed whole"):
        pack(game)


def spoiled() -> list[tuple[str, int, int]]:
    """Sections said to begin or end elsewhere than where they can."""
    found = []
    for name in SECTIONS:
        found += [(name, -64, 1), (name, 1 << 40, 1), (name, 0, 1 << 40), (name, 2, 1), (name, 0, -1)]
    return [*found, ("leaders", 0, 9), ("leaders", 0, 0), ("analog_0", 0, 9), ("analog_1", 0, 1)]


@pytest.mark.parametrize(("name", "first", "rows"), spoiled())
def test_sections_that_do_not_lie_in_the_data_are_refused(name, first, rows):
    """Before compiled code sees them; it would read what is not its own."""
    packed = pack(Game(_plain(10)))
    with pytest.raises(ValueError, match="does not lie in the data"):
        Packed(packed.data, {**packed.places, name: (first, rows)}, 10, 0, 0, 0)


@pytest.mark.parametrize("data", [np.zeros(1283, np.uint8), np.zeros(1285, np.uint8)[1:], np.zeros(320, np.uint32)])
def test_data_that_are_no_whole_words_are_refused(data):
    places = {name: (0, 10 if name == "leaders" else 0) for name in SECTIONS}
    with pytest.raises(ValueError, match="whole words"):
        Packed(data, places, 10, 0, 0, 0)


def _plain(count: int) -> np.ndarray:
    game = Game.empty(count)
    rows_of(game)["frame"] = np.arange(count)
    return game.rows


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 1 << 32))
def test_numbers_that_lie_inside_sparse_sections_do_no_harm(seed):
    """Rows, seats and slots of a damaged section may say anything: what does not exist is not written.

    The store's check sum finds such damage before; this is the second wall.
    """
    random = np.random.default_rng(seed)
    parts = {"leaders": np.zeros((30, 2), SECTIONS["leaders"][0])}
    for name in ("nana", "items", "scenery"):
        kind, number = SECTIONS[name][0], int(random.integers(1, 9))
        parts[name] = np.frombuffer(random.bytes(number * kind.itemsize), kind)
    data, places = lay_out(parts)
    for seat in (0, 1):
        out = Packed(data, places, 30, 0, 0, 0).game(seat)
        assert np.array_equal(rows_of(out)["frame"], np.arange(30))
        assert not rows_of(out)["players"]["exists"].any()


def test_real_games_come_back_and_take_few_bytes(replays, full_games):
    """All that are of two, the strangest too; a plain game takes 128 bytes a frame, and no full one more than 160."""
    sizes = []
    for path in sorted(replays.rglob("*.slp")):
        try:
            replay = slp.read(path)
            game = replay.game
        except ReplayError:
            continue
        packed = pack(game)
        for seat in (0, 1):
            assert np.array_equal(packed.game(seat).rows, game.seen_from(seat).rows), path.name
        if path in full_games:
            sizes.append(packed.bytes_a_frame)
            rare = sum(packed.section(name).nbytes for name in ("nana", "items", "scenery", "analog_0", "analog_1"))
            assert packed.bytes_a_frame <= 128 + (rare + 64 * 6) / packed.frames, path.name
            plain = packed.bytes_a_frame - packed.section("nana").nbytes / packed.frames
            assert plain - packed.section("items").nbytes / packed.frames <= 160, path.name
    assert len(sizes) >= 32
    print(f"bytes a frame: mean {np.mean(sizes):.1f}, most {max(sizes):.1f}")  # noqa: T201
    assert np.mean(sizes) <= 160


def test_bytes_of_a_row_that_are_packed_are_all_bytes_of_a_row():
    """A column that is added to ROW and forgotten here would come back as zeros."""
    held = {"players": PLAYER, "nana": PLAYER, "items": ITEM}
    assert set(ROW.names) == {"frame", "stage", "lacks", "platforms", "stadium", "whispy", "padding", *held}
    game = Game.empty(2)
    row = rows_of(game)
    row["frame"] = [0, 1]
    for group, kind in held.items():
        for name in kind.names:
            if name not in ("padding", "style"):
                row[group][name] = 1
    for name in ("platforms", "stadium", "whispy", "stage", "lacks"):
        row[name] = 1
    assert np.array_equal(pack(game).game().rows, game.rows)
