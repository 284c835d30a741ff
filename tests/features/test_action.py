"""The action codec: what a class stands for, and what becomes of every controller."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from exphil.features import action
from exphil.features.action import COMPONENTS, NEUTRAL, NUM_BUTTONS, decode, encode, encode_floats
from exphil.features.observation import Table
from exphil.game.controller import STICK_STEPS, TRIGGER_STEPS, Controller, controller_of, neutral
from exphil.game.ids import BUTTONS

ACTIONS = st.tuples(*(st.integers(0, component.classes - 1) for component in COMPONENTS))
AXES = ("main_x", "main_y", "c_x", "c_y")
GRID = np.arange(-STICK_STEPS, STICK_STEPS + 1)


def held(name: str, values: np.ndarray) -> Controller:
    """Neutral controllers but for one column."""
    values = np.asarray(values)
    return neutral(len(values))._replace(**{name: values.astype(np.float32)})


def test_components_are_8_buttons_4_axes_of_17_and_a_shoulder_of_5():
    assert [c.classes for c in COMPONENTS] == [2] * 8 + [17] * 4 + [5]
    assert [c.name for c in COMPONENTS] == ["A", "B", "X", "Y", "Z", "L", "R", "D_UP", *AXES, "shoulder"]


@given(ACTIONS)
def test_encoding_a_decoded_action_gives_it_back(classes):
    """For numpy and torch alike."""
    taken = np.array([classes])
    assert np.array_equal(encode(decode(taken)), taken)
    assert np.array_equal(encode(decode(torch.from_numpy(taken))).numpy(), taken)


def test_every_class_of_every_component_survives():
    for index, component in enumerate(COMPONENTS):
        taken = np.tile(NEUTRAL, (component.classes, 1))
        taken[:, index] = np.arange(component.classes)
        assert np.array_equal(encode(decode(taken)), taken)


def test_the_rest_position_is_neutral():
    assert tuple(encode(neutral(1))[0]) == NEUTRAL
    assert all((column == 0).all() for column in decode(np.array([NEUTRAL])))


@pytest.mark.parametrize("axis", AXES)
def test_ends_halves_and_centre_of_a_stick_survive_exactly(axis):
    values = np.array([-1, -0.5, 0, 0.5, 1])
    assert np.array_equal(getattr(decode(encode(held(axis, values))), axis), values)


def test_quarters_of_the_shoulder_survive_exactly():
    values = np.array([0, 0.25, 0.5, 0.75, 1])
    assert np.array_equal(decode(encode(held("shoulder", values))).shoulder, values)


@pytest.mark.parametrize("axis", AXES)
def test_the_nearest_class_is_taken_on_the_whole_grid(axis):
    """Half-way between two classes the one farther from the centre; counted in whole eightieths, without rounding."""
    got = encode(held(axis, GRID / STICK_STEPS))[:, 8 + AXES.index(axis)]
    distance = np.abs(GRID[:, None] - (np.arange(17) - 8) * 10)
    assert np.array_equal(distance[np.arange(len(GRID)), got], distance.min(1))
    ties = np.abs(GRID) % 10 == 5
    assert np.array_equal(np.abs(got[ties] - 8), (np.abs(GRID[ties]) + 5) // 10)


def test_the_nearest_class_of_the_shoulder_is_taken_on_the_whole_grid():
    grid = np.arange(TRIGGER_STEPS + 1)
    got = encode(held("shoulder", grid / TRIGGER_STEPS))[:, -1]
    distance = np.abs(grid[:, None] - np.arange(5) * 35)
    assert np.array_equal(distance[np.arange(len(grid)), got], distance.min(1))


@pytest.mark.parametrize("axis", AXES)
def test_mirroring_a_stick_is_mirroring_its_class(axis):
    index = 8 + AXES.index(axis)
    right = encode(held(axis, GRID / STICK_STEPS))[:, index]
    assert np.array_equal(encode(held(axis, -GRID / STICK_STEPS))[:, index], 16 - right)


@given(st.floats(-2, 2, width=32), st.floats(-1, 2, width=32))
def test_values_beyond_the_ends_are_the_ends(axis, shoulder):
    """No controller, however odd, gives a class that does not exist."""
    got = encode(held("main_x", [axis])._replace(shoulder=np.array([shoulder], np.float32)))[0]
    assert 0 <= got[8] <= 16 and 0 <= got[12] <= 4
    if abs(axis) >= 1:
        assert got[8] == (16 if axis > 0 else 0)


def test_each_button_is_its_own_component():
    for index, button in enumerate(BUTTONS):
        pressed = neutral(1)._replace(buttons=np.array([button], np.int16))
        assert encode(pressed)[0, :NUM_BUTTONS].tolist() == [int(i == index) for i in range(NUM_BUTTONS)]
    start = neutral(1)._replace(buttons=np.array([0x1000 | 0x7], np.int16))
    assert tuple(encode(start)[0]) == NEUTRAL  # start and the other directions of the cross are nothing


@pytest.fixture(scope="module")
def controllers(game) -> tuple[Controller, np.ndarray]:
    whole = game("fox_vs_falco_fountain_of_dreams_015").seen_from(1)
    return controller_of(whole.players, 0), Table(112, False).encode(whole)[0][:, Table(112, False).controller]


def test_the_tables_controller_floats_encode_like_the_columns(controllers):
    """The action that was held, read back from what the model sees, is the action of the columns."""
    columns, floats = controllers
    assert np.array_equal(encode_floats(floats), encode(columns))
    assert np.array_equal(encode_floats(torch.from_numpy(floats)).numpy(), encode(columns))


def test_numpy_equals_torch_on_a_real_game(controllers):
    columns, _ = controllers
    tensors = Controller(*(torch.from_numpy(np.ascontiguousarray(column)) for column in columns))
    assert np.array_equal(encode(tensors).numpy(), encode(columns))
    back, other = decode(encode(columns)), decode(encode(tensors))
    for mine, theirs in zip(back, other, strict=True):
        assert np.array_equal(mine, theirs.numpy()) and str(theirs.dtype).endswith(str(mine.dtype))


def test_a_real_games_controllers_come_back_within_half_a_class(controllers):
    columns, _ = controllers
    back = decode(encode(columns))
    for axis in AXES:
        assert np.abs(getattr(back, axis) - getattr(columns, axis)).max() <= 1 / 16 + 1e-6
    assert np.abs(back.shoulder - columns.shoulder).max() <= 1 / 8 + 1e-6
    assert np.array_equal(back.buttons, columns.buttons & int(sum(BUTTONS)))


def test_half_a_class_is_what_the_numbers_say():
    assert (action.AXIS_CLASSES - 1, action.SHOULDER_CLASSES - 1) == (16, 4)
