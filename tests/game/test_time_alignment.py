"""Time on real games: a state already contains the input of its own frame and is answered by the next controller.

The witness is the jump. Who enters jump squat (KNEE_BEND) by a button pressed it freshly on the frame of that entry;
the decision that this controller answers is the state before, in which the player is not yet in jump squat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from exphil.game.frames import Game
from exphil.game.ids import Action, Button
from exphil.game.time import answer
from exphil.replays import slp


class Jump(NamedTuple):
    """One entry into jump squat by a button: rows of the entry and of the press."""

    entry: int
    press: int
    already: bool  # in jump squat in the state that the press answers


def jumps(game: Game, seat: int) -> list[Jump]:
    """Entries with a fresh X or Y within one frame of them; a tap jump has none and is left out."""
    squat = game.players.action[:, seat] == Action.KNEE_BEND
    down = game.players.buttons[:, seat] & int(Button.X | Button.Y)
    fresh = np.zeros(len(game), np.bool_)
    fresh[1:] = (down[1:] & ~down[:-1]) != 0
    found = []
    for entry in np.nonzero(squat[1:] & ~squat[:-1])[0] + 1:
        near = [row for row in (entry, entry - 1, entry + 1) if 0 <= row < len(game) and fresh[row]]
        if near:
            found.append(Jump(int(entry), near[0], bool(squat[near[0] - 1])))
    return found


@pytest.fixture(scope="module")
def cases(full_games, manifest) -> list[Jump]:
    """Every button jump of both players of every shared full game that the reader takes."""
    found = []
    for path in full_games:
        if tuple(map(int, manifest[path.name]["slippi_version"].split(".")[:2])) >= (2, 0):
            game = slp.read(path).game
            assert (np.diff(game.frame) == 1).all()  # a row is a frame
            found += [*jumps(game, 0), *jumps(game, 1)]
    return found


def share(cases: list[Jump], offset: int) -> float:
    """Jumps whose press stands in the controller that answers the state ``offset`` rows before the entry."""
    return float(np.mean([case.press == answer(case.entry - offset) for case in cases]))


def test_the_press_answers_the_state_before_the_jump(cases, record_property):
    """At least 98 in 100 presses stand in the controller of the entry's own frame: the answer to the state before."""
    shares = {offset: share(cases, offset) for offset in (0, 1, 2)}
    record_property("knee_bend_shares", shares)
    print(f"KNEE_BEND: shares by offset {shares} of {len(cases)} jumps")  # noqa: T201
    assert len(cases) > 3000
    assert shares[1] >= 0.98


@pytest.mark.parametrize("offset", [0, 2])
def test_an_alignment_one_frame_off_misses_the_press(cases, offset):
    assert share(cases, offset) < 0.5


def test_the_state_that_the_press_answers_is_not_yet_a_jump(cases):
    """Were a state paired with its own controller, the answer could be read off the state."""
    assert np.mean([case.already for case in cases]) <= 0.02
    assert not any(case.already for case in cases if case.press == answer(case.entry - 1))
