"""Centres of sticks: the optimum, beside brute force; the file, whole and damaged."""

from __future__ import annotations

import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.config.groups.policy import AXIS_BUCKET_CHOICES
from exphil.data.sticks import lost
from exphil.errors import DataError, OutputError
from exphil.features import kmeans
from exphil.features.action import AXES, Codec
from exphil.features.kmeans import PLACES, Centres
from exphil.game.controller import CENTRES, STICK_FLOOR, STICK_STEPS, Controller, neutral

COUNTS = st.dictionaries(st.integers(-80, 80), st.integers(1, 1000), min_size=1, max_size=8)


def counted(held: dict[int, int]) -> np.ndarray:
    counts = np.zeros(PLACES, np.int64)
    for step, count in held.items():
        counts[step + STICK_STEPS] = count
    return counts


def fit(counts: np.ndarray, k: int) -> kmeans.Fit:
    found = kmeans.fits(counts, k)
    assert len(found) == k
    return found[-1]


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
    found = fit(counted(held), k)
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
    steps = [step for step, count in held.items() for _ in range(1 + count % 20)]
    mixed = random.sample(steps, len(steps))
    one, other = (kmeans.positions(sticks(*((each, 0, 0, each) for each in order))) for order in (steps, mixed))
    assert np.array_equal(one, other) and kmeans.histograms(one)[[0, 3]].sum() == 2 * len(steps)


def test_billions_of_values_keep_their_precision():
    small = counted({-80: 3, -40: 2, 0: 50, 24: 1, 70: 4, 80: 9})
    one, many = fit(small, 4), fit(small * 10**9, 4)
    assert many.centres == pytest.approx(one.centres, abs=1e-12)
    assert many.squared_error == pytest.approx(one.squared_error * 1e9, rel=1e-12)


def test_the_optimum_without_an_exact_rest_would_drift():
    held = {-30: 10, 0: 100, 80: 50}
    assert fit(counted(held), 2).centres == (0.0, 1.0), "the mean of -30 and 0 is not rest"


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
    assert own.axes[2] == fit(kmeans.histograms(held)[2], 9).centres


def test_many_numbers_at_once_are_the_same_as_one_by_one(held):
    table = Centres.of(held, range(3, 12))
    assert table == [Centres.of(held, [k])[0] for k in range(3, 12)]


def test_what_is_lost_stands_beside_equal_steps(held):
    people = held.copy()
    idle = np.arange(STICK_STEPS - 22, STICK_STEPS + 23)
    people[:, idle] = people[:, :, idle] = 0  # nobody holds a stick within the dead zone
    table = Centres.of(people, range(3, 24))
    rows = lost(table, people, AXIS_BUCKET_CHOICES)
    equal = [row["k"] for row in rows if row["positions"] == "equal steps"]
    assert equal == [3, 5, 9, 11, 17, 21] and [row["k"] for row in rows] == sorted([*equal, *range(3, 24)])
    learned = [row for row in rows if row["positions"] == "learned"]
    for row, centres in zip(learned, table, strict=True):
        least = np.sqrt(centres.squared_error / centres.values) * STICK_STEPS
        assert row["rms_steps"] == pytest.approx(least, rel=1e-4), "what the search made least"
        assert all(row[name] == row["zones"][name[:-8]]["any"] for name in ("main_changed", "c_changed"))
        same = [row] + [other for other in rows if other["k"] == row["k"] and other["positions"] == "equal steps"]
        assert same[0]["rms_steps"] <= same[-1]["rms_steps"]
    alone = lost(Centres.of(people, [20]), people, AXIS_BUCKET_CHOICES)
    assert [(row["k"], row["positions"]) for row in alone] == [(17, "equal steps"), (20, "learned")]
    every = lost(Centres.of(held, [161]), held, AXIS_BUCKET_CHOICES)[-1]
    assert every["rms_steps"] == pytest.approx(0, abs=1e-5) and every["main_changed_off_rest"] == 0


def test_positions_of_equal_steps_off_their_classes_are_lost():
    held = kmeans.positions(sticks((80, 40, 0, 0), (78, 40, 0, 0)))  # classes of 17 are 10 steps apart
    row = lost(Centres.of(held, [3]), held, ())[1]
    assert (row["k"], row["positions"], row["rms_steps"]) == (17, "equal steps", pytest.approx(np.sqrt(4 / 8)))


def test_a_table_ends_with_the_positions():
    few = kmeans.positions(sticks((0, 30, -30, 0)))
    assert [each.k for each in Centres.of(few, range(2, 9))] == [2, 3]
    assert Centres.of(few, [3])[0].squared_error == 0
    with pytest.raises(DataError, match="4 centres are more than the 3 different positions of a stick axis"):
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
    ({"k": 10**400}, "its k is 1000000"),
    ({"values": 10**400}, "not a whole number from 0 up to 2**63"),
    ({"squared_error": 10**400}, "not a number from 0 up to 2**63"),
    ({"k": 1, "axes": {"all": [0]}}, "its k is 1, not from 3 to 161"),
    ({"k": 401, "axes": {"all": [step / 200 for step in range(-200, 201)]}}, "its k is 401, not from 3 to 161"),
    ({"k": 4, "axes": {"all": [-1, 0, 0.5, 0.501]}}, "has 0.5 and 0.501: both are the same step of 1/80"),
    ({"axes": {"all": [-1, 0, 0.006]}}, "has 0 and 0.006: both are the same step"),
    ({"axes": {"all": [10**400, 0, 1]}}, "holds 1000000"),
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
    assert len(str(caught.value)) < 500 and path.read_bytes() == before


@pytest.mark.parametrize("k", CENTRES)
def test_the_least_and_the_most_centres_come_back(k):
    centres = Centres((tuple(np.linspace(-1, 1, k).tolist()),) * 4)
    assert Centres.from_dict(centres.as_dict()) == centres


@pytest.mark.parametrize("name", GOOD)
def test_every_key_is_needed(name):
    with pytest.raises(DataError, match=f"no '{name}'"):
        Centres.from_dict({key: value for key, value in GOOD.items() if key != name})


TEXTS = [
    (b"", "it is empty"),
    (b" \n", "it is empty"),
    (b"[1, 2]", "the file is not a list of names"),
    (b"{", "not JSON: line 1, column 2"),
    (b'{\n "k": 3,\n oops', "not JSON: line 3, column 2"),
    (b"null", "the file is not a list of names"),
    (b"\x00\x01", "not JSON: line 1, column 1"),
    (b"\x80\xff", "not JSON: it is not UTF-8 text"),
    (b"[" * 100_000, "nested too deep"),
    (b'{"k": 1' + b"0" * 5000 + b"}", "a number in it has more than 1,000 digits"),
    (b'{"k": 3, "k": 3}', "'k' stands there twice"),
]


@pytest.mark.parametrize(("content", "says"), TEXTS, ids=[says for _, says in TEXTS])
def test_what_is_no_such_file_is_refused(content, says, tmp_path):
    path = tmp_path / "centres.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Centres.load(path)
    assert caught.value.what.startswith("no stick centres, or damaged: ") and says in caught.value.what
    assert caught.value.fix.startswith("mend it, put back a copy, or make one with exphil kmeans")


def test_a_file_that_is_missing_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="cannot be read \\(No such file") as caught:
        Centres.load(tmp_path / "missing")
    assert caught.value.fix == f"make one with exphil kmeans --output {tmp_path / 'missing'}"
    with pytest.raises(DataError, match="is a folder") as caught:
        Centres.load(tmp_path)
    assert caught.value.fix == "name a file, or make one with exphil kmeans --output FILE"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another --output"):
        Centres.from_dict(GOOD).save(tmp_path / "file" / "centres.json")
