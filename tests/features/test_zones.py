"""Zones of the sticks: borders where they are published, and what a codec moves over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exphil.features import kmeans, zones
from exphil.features.action import Codec
from exphil.game.controller import STICK_STEPS, neutral

STEP = 1 / STICK_STEPS
BORDERS = [  # kind, the last position on one side, the first on the other
    ("rest", (0.275, 0), (0.2875, 0)),
    ("rest", (0, -0.275), (0, -0.2875)),
    ("walk", (0.7875, 0), (0.8, 0)),
    ("walk", (-0.7875, 0), (-0.8, 0)),
    ("jump", (0, 0.65), (0, 0.6625)),
    ("jump", (0, 0.55), (0, 0.5625)),
    ("crouch", (0, -0.6125), (0, -0.625)),
    ("fall", (0, -0.65), (0, -0.6625)),
    ("shield", (0, -0.65), (0, -0.6625)),
    ("shield", (0, -0.6875), (0, -0.7)),
    ("shield", (0.6875, 0), (0.7, 0)),
    ("shield", (0, 0.65), (0, 0.6625)),
    ("special", (0.5875, 0), (0.6, 0)),
    ("special", (0, 0.5375), (0, 0.55)),
    ("special", (0, -0.5375), (0, -0.55)),
    ("tilt", (0.5, 0.5875), (0.5, 0.6)),
    ("smash", (0.7875, 0), (0.8, 0)),
    ("smash", (0, 0.65), (0, 0.6625)),
    ("smash", (0, -0.65), (0, -0.6625)),
]


@pytest.mark.parametrize(("kind", "inside", "outside"), BORDERS)
def test_borders(kind, inside, outside):
    for shift in (0, 0.4 * STEP):  # a position between two steps is played as the nearest
        x, y = (np.array(value) * (1 - shift) for value in inside)
        assert not zones.changed(*inside, x, y)[kind]
    assert zones.changed(*inside, *outside)[kind] and zones.changed(*outside, *inside)[kind]


def test_sides_are_told_apart():
    for kind in ("rest", "walk", "shield", "special", "tilt", "smash"):
        assert zones.changed(-1.0, 0.0, 1.0, 0.0)[kind], kind
    for kind in ("rest", "jump", "crouch", "fall", "shield", "special", "tilt", "smash"):
        assert zones.changed(0.0, -1.0, 0.0, 1.0)[kind], kind


def test_an_angle_may_turn_by_three_degrees():
    def at(degrees: float) -> tuple[float, float]:
        return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))

    assert not zones.changed(*at(45), *at(47))["angle"] and zones.changed(*at(45), *at(49))["angle"]
    assert not zones.changed(1, 1, 0.5, 0.5)["angle"], "only the direction counts"
    assert zones.changed(0, 0, 1, 0)["angle"] and zones.changed(1, 0, 0, 0)["angle"], "it came, it went"
    assert not zones.changed(0, 0, 0.2, -0.2)["angle"], "both are rest"
    assert zones.changed(0.9, 0.2875, 0.9, 0.275)["angle"], "within the dead zone of one axis the stick is level"


@given(st.integers(-80, 80), st.integers(-80, 80))
def test_what_does_not_move_does_not_change(x, y):
    found = zones.changed(x / 80, y / 80, np.float32(x / 80), np.float32(y / 80))
    assert tuple(found) == zones.MAIN and not any(found.values())


def test_arrays_of_any_shape():
    x = np.linspace(-1, 1, 12).reshape(3, 4)
    assert {each.shape for each in zones.changed(x, x, -x, x).values()} == {(3, 4)}
    assert {each.dtype for each in zones.zones(x, x).values()} == {np.dtype(np.int64)}


def held(*steps: tuple[int, int]) -> np.ndarray:
    x, y = (np.float32(column) / STICK_STEPS for column in zip(*steps, strict=True))
    return kmeans.positions(neutral(len(steps))._replace(main_x=x, main_y=y, c_x=y, c_y=x))


def test_shares_count_frames():
    every = Codec(tuple(tuple(np.arange(-80, 81) / 80) for _ in range(4)), (0.0, 1.0))
    counted = held((80, 0), (0, 0), (64, 0), (23, 0))
    whole = zones.shares(every, counted)
    assert tuple(whole["main"]) == (*zones.MAIN, "any", "any_off_rest") and set(whole["main"].values()) == {0.0}
    three = Codec(((-1.0, 0.0, 1.0),) * 4, (0.0, 1.0))
    lost = zones.shares(three, counted)
    assert lost["main"]["rest"] == 0.25 and lost["main"]["walk"] == 0.25, "23/80 is played as rest"
    assert lost["main"]["any"] == 0.25 and lost["main"]["any_off_rest"] == pytest.approx(1 / 3)
    assert lost["c"]["any"] == 0.25 and "walk" not in lost["c"]
    assert set(zones.shares(three, np.zeros_like(counted))["main"].values()) == {0.0}
