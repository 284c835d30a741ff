"""How many times a press of a button counts, as it is written."""

from __future__ import annotations

import pytest

from exphil.config.weights import BUTTONS, spelled_weight, weights
from exphil.errors import OptionError
from exphil.features.action import NUM_BUTTONS, Codec


def test_the_buttons_are_those_of_an_action_in_its_order():
    assert tuple(part.name.lower() for part in Codec.uniform().components[:NUM_BUTTONS]) == BUTTONS


def test_what_is_not_named_counts_once_and_the_last_word_counts():
    assert weights(()) == (1.0,) * NUM_BUTTONS
    found = dict(
        zip(BUTTONS, weights((spelled_weight(" Z = 12"), "l=2", "l=4", spelled_weight("D-up=0.5"))), strict=True)
    )
    assert (found["z"], found["l"], found["d_up"], found["a"]) == (12, 4, 0.5, 1)


@pytest.mark.parametrize("text", ["q=3", "z", "z=", "z=0", "z=-1", "z=nan", "z=inf", "=3", ""])
def test_what_is_no_weight_of_a_button_is_refused(text):
    with pytest.raises(OptionError):
        spelled_weight(text)
