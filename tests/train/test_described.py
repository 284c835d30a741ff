"""What losses were measured on, and what players lose that look at nothing."""

from __future__ import annotations

import numpy as np
import pytest

from exphil.data import baselines
from exphil.features.action import Codec
from exphil.train import described

CODEC = Codec.uniform()
CONFIG = {"frame_delay": 0, "all_frames": False}
GAMES = {"learned": ["a", "b"], "held_out": ["c"]}
OTHER = {
    "held-out games": {"games": {"held_out": ["x"]}},
    "classes": {"actions": Codec.uniform(8).as_dict()},
    "seats": {"config": CONFIG | {"train_character": "fox"}},
    "frames": {"config": CONFIG | {"all_frames": True}},
    "delay": {"config": CONFIG | {"frame_delay": 3}},
}


@pytest.mark.parametrize("name", OTHER)
def test_whatever_makes_losses_differ_is_named(name):
    words = {"config": CONFIG, "games": GAMES, "actions": CODEC.as_dict()}
    one, other = described.measured_on(**words), described.measured_on(**words | OTHER[name])
    assert described.apart(one, other) == [name] and described.apart(one, one) == []


def test_where_nothing_was_held_out_nothing_compares():
    none = described.measured_on(CONFIG, {"held_out": []}, {})
    assert described.apart(none, none)


def test_baselines_are_what_they_lose_on_their_own_counts_and_copying_loses_no_more_than_is_said():
    rng, n = np.random.default_rng(3), 20_000
    actions = np.stack([rng.integers(0, classes, n) ** 2 // classes for classes in CODEC.classes], 1)
    held = rng.random(actions.shape) < 0.7
    for row in range(1, n):
        actions[row, held[row]] = actions[row - 1, held[row]]
    before, after = actions[:-1], actions[1:]
    fitted = baselines.fit([(before, after)], CODEC)
    true = {name: -found.mean(0).sum() for name, found in baselines.log_probs(fitted, CODEC, before, after).items()}
    told = described.baseline_losses(fitted, CODEC.neutral)
    assert told["majority"] == pytest.approx(true["majority"], rel=1e-2)
    assert told["neutral"] == pytest.approx(true["neutral"], rel=1e-2)
    assert true["copy-previous"] < told["copy-previous"] < 1.1 * true["copy-previous"]
    assert described.baseline_losses({}, CODEC.neutral) == {}
