"""Centres of sticks: the optimum, beside brute force; the file, whole and damaged."""

from __future__ import annotations

import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.errors import DataError, OutputError
from exphil.features import kmeans
from exphil.features.action import AXES, Codec
from exphil.features.kmeans import PLACES, Centres
from exphil.game.controller import STICK_FLOOR, STICK_STEPS, Controller, neutral

COUNTS = st.dictionaries(st.integers(-80, 80), st.integers(1, 1000), min_size=1, max_size=8)


def counted(held: dict[int, int]) -> np.ndarray:
    counts = np.zeros(PLACES, np.int64)
    for step, count in held.items():
        counts[step + STICK_STEPS] = count
    return counts


def error(held: dict[int, int], centres) -> float:
    """Squared distances to the nearest centre."""
    return sum(count * min((step / STICK_STEPS - centre) ** 2 for centre in centres) for step, count in held.items())


def brute_force(held: dict[int, int], k: int) -> float:
    """The least error over all ways to cut the values into k runs; the run of 0 stands for 0."""
    steps = sorted({*held, 0})
    best = np.inf
    for cuts in combinations(range(1, len(steps)), k - 1):
        runs = [steps[a:b] for a, b in zip((0, *cuts), (*cuts, len(steps)), strict=True)]
        weights = [sum(held.get(step, 0) for step in run) for run in runs]
        sums = [sum(held.get(step, 0) * step for step in run) for run in runs]
        means = [0 if 0 in run else total / weight for run, total, weight in zip(runs, sums, weights, strict=True)]
        best = min(best, error(held, [mean / STICK_STEPS for mean in means]))
    return best


@given(COUNTS, st.integers(1, 6))
@settings(deadline=None, max_examples=150)
def test_it_is_the_optimum(held, k):
    k = min(k, len({*held, 0}))
    found = kmeans.fit(counted(held), k)
    assert len(found.centres) == k and 0.0 in found.centres and list(found.centres) == sorted(set(found.centres))
    assert found.squared_error == pytest.approx(brute_force(held, k), rel=1e-9, abs=1e-9)
    assert found.squared_error == pytest.approx(error(held, found.centres), rel=1e-9, abs=1e-9)


@given(COUNTS)
@settings(deadline=None, max_examples=60)
def test_more_centres_are_never_worse_and_all_values_lose_nothing(held):
    errors = [found.squared_error for found in kmeans.fits(counted(held), 161)]
    assert len(errors) == len({*held, 0})
    assert all(one >= other - 1e-9 for one, other in pairwise(errors))
    assert errors[-1] == pytest.approx(0, abs=1e-9)


@given(COUNTS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_the_order_of_the_values_does_not_matter(held, random):
    values = [step / STICK_STEPS for step, count in held.items() for _ in range(count % 20)]
    mixed = random.sample(values, len(values))
    assert np.array_equal(kmeans.histogram(np.float32(values)), kmeans.histogram(np.float32(mixed)))


def test_billions_of_values_keep_their_precision():
    small = counted({-80: 3, -40: 2, 0: 50, 24: 1, 70: 4, 80: 9})
    one, many = kmeans.fit(small, 4), kmeans.fit(small * 10**9, 4)
    assert many.centres == pytest.approx(one.centres, abs=1e-12)
    assert many.squared_error == pytest.approx(one.squared_error * 1e9, rel=1e-12)


def test_the_optimum_without_an_exact_rest_would_drift():
    held = {-30: 10, 0: 100, 80: 50}
    assert kmeans.fit(counted(held), 2).centres == (0.0, 1.0), "the mean of -30 and 0 is not rest"


def test_more_centres_than_positions_are_refused():
    with pytest.raises(DataError, match="9 centres are more than the 3 different positions"):
        kmeans.fit(counted({-1: 5, 7: 5}), 9)


def test_values_off_the_grid_belong_to_the_nearest_step():
    values = np.float32([0.0, -1.0, 1.0, 0.0124, 0.0063, 0.0062, 2.0, np.nan, np.inf])
    assert kmeans.places(values).tolist() == [80, 0, 160, 81, 81, 80, 160, 80, 80]


def sticks(*steps: tuple[int, int, int, int]) -> Controller:
    main_x, main_y, c_x, c_y = (np.float32(column) / STICK_STEPS for column in zip(*steps, strict=True))
    return neutral(len(steps))._replace(main_x=main_x, main_y=main_y, c_x=c_x, c_y=c_y)


def test_positions_are_counted_stick_by_stick():
    held = kmeans.positions(sticks((80, -80, 0, 40), (80, -80, 0, 0)))
    assert held.sum() == 4 and held[0, 160, 0] == 2 and held[1, 80, 120] == held[1, 80, 80] == 1
    rows = kmeans.histograms(held)
    assert [np.flatnonzero(row).tolist() for row in rows] == [[160], [0], [80], [80, 120]]


@pytest.fixture
def held() -> np.ndarray:
    random = np.random.default_rng(1)
    steps = random.integers(-80, 81, (400, 4))
    return kmeans.positions(sticks(*map(tuple, steps)))


def test_shared_and_own_centres(held):
    (shared,), (own,) = Centres.of(held, [9]), Centres.of(held, [9], per_axis=True, files=3, characters=("fox",))
    assert (len(shared.axes), len(own.axes), shared.k, own.k) == (1, 4, 9, 9)
    assert shared.axes4() == shared.axes * 4 and own.axes4() == own.axes and len(set(own.axes)) == 4
    assert own.squared_error < shared.squared_error
    assert shared.values == own.values == 1600 and (own.files, own.characters) == (3, ("fox",))
    assert own.axes[2] == kmeans.fit(kmeans.histograms(held)[2], 9).centres


def test_many_numbers_at_once_are_the_same_as_one_by_one(held):
    table = Centres.of(held, range(3, 12))
    assert table == [Centres.of(held, [k])[0] for k in range(3, 12)]
    lost = [each.variance_lost(held) for each in table]
    assert 1 > lost[0] > lost[-1] > 0 and lost == sorted(lost, reverse=True)
    assert table[0].rms_steps == pytest.approx(np.sqrt(table[0].squared_error / 1600) * 80)


def test_a_table_ends_with_the_positions():
    few = kmeans.positions(sticks((0, 30, -30, 0)))
    assert [each.k for each in Centres.of(few, range(2, 9))] == [2, 3]
    assert Centres.of(few, [3])[0].variance_lost(few) == 0
    with pytest.raises(DataError):
        Centres.of(few, range(4, 9))


def test_a_codec_holds_rest_and_takes_the_nearest(held):
    centres = Centres.of(held, [11], per_axis=True)[0]
    codec = Codec(centres.axes4(), Codec.uniform().shoulder)
    assert [component.classes for component in codec.components[8:12]] == [11] * 4
    assert codec.decode(np.array(codec.neutral)).main_x == 0
    grid = np.arange(-80, 81) / np.float32(80)
    zero = np.zeros_like(grid)
    played = codec.decode(codec.encode(Controller(grid, grid, grid, grid, zero, zero.astype(np.int16))))
    for name, axis, row in zip(AXES, centres.axes, kmeans.histograms(held), strict=True):
        away = abs(np.array(getattr(played, name), np.float64) - np.arange(-80, 81) / 80)
        tilted = np.abs(np.arange(-80, 81)) >= 23  # the game reads less as rest: no tilt is encoded to a centre there
        idle = (np.abs(axis) < STICK_FLOOR) & (np.array(axis) != 0)
        best = (abs(np.array(axis)[:, None] - np.arange(-80, 81) / 80) + 9 * (idle[:, None] & tilted)).min(0)
        assert away == pytest.approx(best, abs=1e-6) and row.sum() == 400


def test_the_file_comes_back_and_people_can_read_it(held, tmp_path):
    for per_axis in (False, True):
        (centres,) = Centres.of(held, [5], per_axis, files=2, characters=("fox", "ice_climbers"))
        path = tmp_path / "deep" / "centres.nx"
        centres.save(path)
        assert Centres.load(path) == centres == Centres.from_dict(centres.as_dict())
        lines = path.read_text().splitlines()
        assert '  "k": 5,' in lines and sum("[" in line for line in lines) == (5 if per_axis else 2)
        assert json.loads(path.read_text()) == centres.as_dict()


GOOD = Centres(((-1.0, 0.0, 1.0),), 12, 0.5, 1, ("fox",)).as_dict()
BAD = [
    ({"version": 2}, "version 2; this exphil reads version 1"),
    ({"k": 4}, "axis 'all' has 3 centres and k is 4"),
    ({"k": 3.0}, "its k is 3.0, not a whole number"),
    ({"k": True}, "its k is True"),
    ({"values": -1}, "its values is -1"),
    ({"squared_error": "no"}, "its squared_error is 'no'"),
    ({"squared_error": float("nan")}, "its squared_error is nan"),
    ({"files": None}, "its files is None"),
    ({"characters": "fox"}, "characters are not a list of names"),
    ({"characters": [1]}, "characters are not a list of names"),
    ({"more": 1}, "unknown key 'more'"),
    ({"axes": [[0.0]]}, "its axes are not 'all' alone, nor main_x, main_y, c_x, c_y"),
    ({"axes": {"main_x": [0.0], "main_y": [0.0]}}, "its axes are not 'all' alone"),
    ({"axes": {"all": []}}, "is not a list of numbers"),
    ({"axes": {"all": "abc"}}, "is not a list of numbers"),
    ({"axes": {"all": [-1, 0, "1"]}}, "holds '1', not a number from -1 to 1"),
    ({"axes": {"all": [-1, False, 1]}}, "holds False"),
    ({"axes": {"all": [-1, 0, 1.01]}}, "holds 1.01"),
    ({"axes": {"all": [-1, 0, float("nan")]}}, "holds nan"),
    ({"axes": {"all": [0, -1, 1]}}, "has -1 after 0: centres ascend, each once"),
    ({"axes": {"all": [-1, 0, 0]}}, "has 0 after 0"),
    ({"axes": {"all": [-1, 0.01, 1]}}, "no centre that is exactly 0"),
    ({"axes": {name: [-1, 0, 1] if name != "c_x" else [0, 1] for name in AXES}}, "axis 'c_x' has 2 centres"),
]


@pytest.mark.parametrize(("change", "says"), BAD)
def test_a_file_that_contradicts_itself_is_refused_and_left_alone(change, says, tmp_path):
    path = tmp_path / "centres.json"
    path.write_text(json.dumps(GOOD | change))
    before = path.read_bytes()
    with pytest.raises(DataError) as caught:
        Centres.load(path)
    assert says in caught.value.what and caught.value.where == str(path) and caught.value.fix
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", GOOD)
def test_every_key_is_needed(name):
    with pytest.raises(DataError, match=f"no '{name}'"):
        Centres.from_dict({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "null", "\x00\x01", "[" * 100_000])
def test_what_is_no_such_file_is_refused(text, tmp_path):
    path = tmp_path / "centres.json"
    path.write_text(text)
    with pytest.raises(DataError, match="no stick centres, or damaged"):
        Centres.load(path)
    with pytest.raises(DataError, match="cannot be read"):
        Centres.load(tmp_path / "missing")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another --output"):
        Centres.from_dict(GOOD).save(tmp_path / "file" / "centres.json")
