"""The action codec: what a class stands for, and what becomes of every controller."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from exphil.features.action import NUM_BUTTONS, Codec
from exphil.features.observation import Table
from exphil.game.controller import (
    STICK_FLOOR,
    STICK_STEPS,
    TRIGGER_FLOOR,
    TRIGGER_STEPS,
    Controller,
    controller_of,
    neutral,
)
from exphil.game.ids import BUTTONS, Button

CODEC = Codec.uniform()
COMPONENTS, NEUTRAL = CODEC.components, CODEC.neutral
encode, encode_floats, decode = CODEC.encode, CODEC.encode_floats, CODEC.decode
ACTIONS = st.tuples(*(st.integers(0, component.classes - 1) for component in COMPONENTS))
AXES = ("main_x", "main_y", "c_x", "c_y")
GRID = np.arange(-STICK_STEPS, STICK_STEPS + 1)


def distance(centres: np.ndarray) -> np.ndarray:
    """``(161, classes)``: steps from every position to every class; far from a tilt is a class that is read as rest."""
    idle = (np.abs(centres) < 23) & (centres != 0)
    return np.abs(GRID[:, None] - centres) + 1000 * (
        idle & (np.abs(GRID) >= 23)[:, None] & ~(np.abs(centres) < 23).all()
    )


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
    away = distance((np.arange(17) - 8) * 10)
    assert np.array_equal(away[np.arange(len(GRID)), got], away.min(1))
    nearest = np.abs(GRID[:, None] - (np.arange(17) - 8) * 10).min(1)
    assert GRID[away.min(1) != nearest].tolist() == [-24, -23, 23, 24], "0.25 is rest to the game, these are not"
    ties = np.abs(GRID) % 10 == 5
    assert np.array_equal(np.abs(got[ties] - 8), (np.abs(GRID[ties]) + 5) // 10)


def test_the_nearest_class_of_the_shoulder_is_taken_on_the_whole_grid():
    grid = np.arange(TRIGGER_STEPS + 1)
    got = encode(held("shoulder", grid / TRIGGER_STEPS))[:, -1]
    distance = np.abs(grid[:, None] - np.arange(5) * 35)
    distance[43:, :2] = 1000  # 43/140 raises a shield, and 0 and 35/140 do not
    assert np.array_equal(distance[np.arange(len(grid)), got], distance.min(1))
    nearest = np.abs(grid[:, None] - np.arange(5) * 35).min(1)
    assert np.nonzero(distance.min(1) != nearest)[0].tolist() == list(range(43, 53))


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
        value = np.abs(getattr(columns, axis))
        shallow = (value >= 22.5 / 80) & (value < 24.5 / 80)  # encoded to 30 / 80: 20 / 80 would be rest
        assert (np.abs(getattr(back, axis) - getattr(columns, axis)) <= np.where(shallow, 7 / 80, 1 / 16) + 1e-6).all()
    lightest = (columns.shoulder >= 43 / 140 - 1e-6) & (columns.shoulder <= 52 / 140 + 1e-6)
    assert np.abs(back.shoulder - columns.shoulder)[~lightest].max() <= 1 / 8 + 1e-6
    assert lightest.any() and (back.shoulder[lightest] == 0.5).all()  # a quarter raises no shield
    assert np.array_equal(back.buttons, columns.buttons & int(sum(BUTTONS)))


@pytest.mark.parametrize("buckets", [2, 4, 8, 10, 16, 20, 32, 40, 80, 160])
def test_every_number_of_axis_buckets_keeps_rest_and_ends_and_takes_the_nearest_class(buckets):
    codec = Codec.uniform(buckets)
    assert codec.classes[8:12] == (buckets + 1,) * 4
    values = np.array([-1, 0, 1])
    kept = codec.decode(codec.encode(held("main_x", values)))
    assert np.array_equal(kept.main_x, values) and tuple(codec.encode(neutral(1))[0]) == codec.neutral
    taken = codec.encode(held("c_y", GRID / STICK_STEPS))[:, 11]
    away = distance((2 * np.arange(buckets + 1) - buckets) * STICK_STEPS / buckets)
    assert np.allclose(away[np.arange(len(GRID)), taken], away.min(1))
    classes = np.tile(codec.neutral, (buckets + 1, 1))
    classes[:, 8] = np.arange(buckets + 1)
    assert np.array_equal(codec.encode(codec.decode(classes)), classes)


@pytest.mark.parametrize("buckets", [1, 2, 3, 4, 10, 35, 140])
def test_whatever_the_shoulder_buckets_a_depth_that_does_something_goes_on_doing_it(buckets):
    """And rest is rest: from 43/140 on the game reads the trigger, below it does not."""
    codec, grid = Codec.uniform(16, buckets), np.arange(TRIGGER_STEPS + 1)
    depth = np.concatenate([[0], grid[43:]]) / TRIGGER_STEPS
    back = codec.decode(codec.encode(held("shoulder", depth))).shoulder
    assert np.array_equal(back >= np.float32(TRIGGER_FLOOR), depth >= TRIGGER_FLOOR)
    classes = np.tile(codec.neutral, (buckets + 1, 1))
    classes[:, -1] = np.arange(buckets + 1)
    assert np.array_equal(codec.encode(codec.decode(classes)), classes)


CENTRES = st.lists(st.integers(-80, 80), min_size=2, max_size=40, unique=True).map(lambda steps: sorted({0, *steps}))


@given(st.tuples(CENTRES, CENTRES, CENTRES, CENTRES))
def test_any_centres_are_encoded_to_the_nearest_and_decoded_to_themselves(steps):
    """Each axis its own number of them; numpy and torch alike."""
    codec = Codec(tuple(tuple(step / 80 for step in axis) for axis in steps), (0.0, 1.0))
    assert codec.classes[8:12] == tuple(map(len, steps))
    assert Codec.from_dict(json.loads(json.dumps(codec.as_dict()))) == codec
    every = Controller(*[(GRID / STICK_STEPS).astype(np.float32)] * 4, *[np.zeros(len(GRID), dtype) for dtype in "fh"])
    taken = codec.encode(every)
    tensors = Controller(*(torch.from_numpy(column) for column in every))
    assert np.array_equal(codec.encode(tensors).numpy(), taken)
    for axis, name in enumerate(AXES):
        centres = np.array(steps[axis])
        away = distance(centres)
        assert np.array_equal(away[np.arange(len(GRID)), taken[:, 8 + axis]], away.min(1))
        assert np.allclose(getattr(codec.decode(taken), name), centres[taken[:, 8 + axis]] / 80, atol=1e-7)
    assert tuple(codec.encode(neutral(1))[0]) == codec.neutral


def test_a_policy_from_before_there_was_a_choice_has_equal_steps():
    assert Codec.from_dict({}) == CODEC == Codec.uniform(16, 4)


LANDING, AIR_DODGE, CANCEL_FRAMES = 0x2B, 0xEC, 7
AERIALS, AERIAL_LANDINGS, SHIELDS = range(0x41, 0x46), range(0x46, 0x4B), range(0xB2, 0xB7)


@pytest.fixture(scope="module")
def hands(game) -> list[tuple[np.ndarray, Controller, Controller]]:
    """Action states of whole games, what was held, and what is left of it after encoding and decoding."""
    found = []
    for name in (
        "fox_vs_falco_fountain_of_dreams_015",
        "marth_vs_marth_dream_land_027",
        "fox_vs_fox_battlefield_016",
    ):
        players = game(name).players
        for seat in (0, 1):
            pressed = controller_of(players, seat)
            found.append((players.action[:, seat], pressed, decode(encode(pressed))))
    return found


def pulls(held: Controller) -> np.ndarray:
    """Where the game sees a trigger: clicked, or pulled deep enough."""
    return ((held.buttons & (Button.L | Button.R)) != 0) | (held.shoulder >= np.float32(TRIGGER_FLOOR))


def test_wavedashes_survive_the_codec(hands):
    """An air dodge that lands: its click, and a stick that points down within three steps of the same place."""
    count = 0
    for action, pressed, back in hands:
        begins = np.flatnonzero((action[1:] == AIR_DODGE) & (action[:-1] != AIR_DODGE)) + 1
        slides = [at for at in begins if (action[at : at + 10] == LANDING).any()]
        count += len(slides)
        for at in slides:
            assert (pulls(pressed)[at - 1 : at + 1] == pulls(back)[at - 1 : at + 1]).all()
            assert pressed.buttons[at] & 0x60 == back.buttons[at] & 0x60
            assert abs(pressed.main_x[at] - back.main_x[at]) <= 7 / 80 + 1e-6
            assert np.sign(back.main_y[at]) == np.sign(pressed.main_y[at])
    assert count > 40


def test_l_cancels_survive_the_codec(hands):
    """A pull at most seven frames before an aerial lands begins on the same frame, click or not."""
    count = 0
    for action, pressed, back in hands:
        lands = np.flatnonzero(np.isin(action[1:], AERIAL_LANDINGS) & np.isin(action[:-1], AERIALS)) + 1
        for at in lands:
            window = slice(max(at - CANCEL_FRAMES, 1), at + 1)
            edges = [
                np.diff(pulls(hand).astype(int))[window.start - 1 : window.stop - 1] > 0 for hand in (pressed, back)
            ]
            assert np.array_equal(*edges)
            count += edges[0].any()
    assert count > 100


def test_light_shields_survive_the_codec(hands):
    """Shields that are held up by a pull without a click stay up, and stay lighter than a click's."""
    count = 0
    for action, pressed, back in hands:
        clicks = (pressed.buttons & 0x60) != 0
        light = (
            np.isin(action, SHIELDS)
            & ~clicks
            & (pressed.shoulder >= np.float32(TRIGGER_FLOOR))
            & (pressed.shoulder < 0.8)
        )
        count += light.sum()
        assert (back.shoulder[light] >= np.float32(TRIGGER_FLOOR)).all() and (back.shoulder[light] < 1).all()
    assert count > 10


def test_what_the_game_sees_of_the_triggers_is_the_same_on_every_frame(hands):
    for _, pressed, back in hands:
        assert np.array_equal(pulls(pressed), pulls(back))
        full = (pressed.buttons & 0x60) != 0
        assert (pressed.shoulder[full] == 1).all() and (back.shoulder[full] == 1).all()


def test_what_the_game_reads_as_rest_and_what_not_is_the_same_on_every_frame(hands):
    for _, pressed, back in hands:
        for axis in AXES:
            tilted = [np.abs(getattr(hand, axis)) >= np.float32(STICK_FLOOR) for hand in (pressed, back)]
            assert np.array_equal(*tilted)
