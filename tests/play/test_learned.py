"""What an exported policy says of itself is looked at before anything is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exphil import assemble
from exphil.config.layers import resolve
from exphil.errors import OptionError, PolicyError
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.play.learned import Learned


@pytest.fixture(scope="module")
def learned() -> Learned:
    flags = {"--frame-delay-augment": True, "--frame-delay-min": "2", "--frame-delay-max": "9", "--backbone": "gru"}
    asked = resolve("train", {**flags, "--sequence-mode": "windows", "--window-size": "30"}, {})
    return assemble.learned(asked, Codec.uniform(), Registry.build(["A#1"], 112), "mine")


def test_what_was_written_is_read(learned):
    assert Learned.from_dict(json.loads(json.dumps(learned.as_dict())), "x") == learned
    assert (learned.window, learned.delays, learned.backbone, learned.name) == (30, (2, 9), "gru", "mine")


@pytest.mark.parametrize(
    "part",
    [
        *({"window": window} for window in (0, -3, 10**7, "8", 2.5, True)),
        *({"delays": delays} for delays in ([0, 40], [5, 2], [-1, 3], [1], 7, ["a", "b"])),
        {"table": {"num_player_names": 3}}, {"table": []}, {"actions": 5}, {"players": {"size": -1}},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused(learned, part: dict[str, Any]):
    with pytest.raises(PolicyError, match="export the policy anew"):
        Learned.from_dict(learned.as_dict() | part, "x")
    for name in learned.as_dict():
        with pytest.raises(PolicyError):
            Learned.from_dict({key: value for key, value in learned.as_dict().items() if key != name}, "x")


def test_a_delay_is_one_that_was_learned(learned):
    assert [learned.delay(None, world) for world in (0, 5, 9)] == [2, 5, 9]
    assert learned.delay(4) == 4
    for wanted in (1, 10):
        with pytest.raises(OptionError, match=f"2 to 9 frames late; {wanted} was asked for"):
            learned.delay(wanted)
