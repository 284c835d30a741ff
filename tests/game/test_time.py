"""Delay: what is decided comes out exactly as many frames later as it should, whatever is decided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exphil.errors import OptionError
from exphil.game import time
from exphil.game.time import DelayLine

DELAYS = st.integers(0, 30)
DECISIONS = st.lists(st.integers())


@given(total=DELAYS, share=st.integers(0, 30), decided=DECISIONS)
def test_every_decision_comes_out_after_exactly_its_own_delay(total, share, decided):
    environment = min(share, total)
    line = DelayLine(total, environment, neutral=None)
    own = total - environment
    pressed = [line.push(one) for one in decided]
    assert pressed == ([None] * own + decided)[: len(decided)]


@given(total=DELAYS, decided=DECISIONS)
def test_pending_is_what_the_next_pushes_give(total, decided):
    line = DelayLine(total, 0, neutral=-1)
    for one in decided:
        line.push(one)
    pending = line.pending
    assert len(pending) == total
    assert tuple(line.push(0) for _ in range(total)) == pending


@given(total=st.integers(0, time.MAX_DELAY), share=st.integers(0, time.MAX_DELAY), decided=DECISIONS)
def test_pending_is_all_that_nobody_has_seen_act_whoever_holds_it(total, share, decided):
    """The environment's own queue stands beside it: what is pending is the same for every split of the delay."""
    environment = min(share, total)
    line, world, shown = DelayLine(total, environment, neutral=None), [None] * environment, []
    for at, one in enumerate(decided):
        world.append(line.push(one))
        shown.append(world.pop(0))
        waits = ([None] * total + decided[: at + 1])[at + 1 :]
        assert line.pending == tuple(waits) and len(waits) == total
        own = total - environment
        assert line.pending == (*world, *line.pending[environment:]) and len(line.pending[environment:]) == own
    assert shown == ([None] * total + decided)[: len(decided)], "on screen after the whole delay"


@given(total=DELAYS, share=st.integers(0, 30), decided=DECISIONS, after=DECISIONS)
def test_a_line_that_was_cleared_is_a_fresh_one(total, share, decided, after):
    environment = min(share, total)
    used, fresh = (DelayLine(total, environment, neutral=0) for _ in range(2))
    for one in decided:
        used.push(one)
    used.change(lambda _: 0)
    for one in after:
        assert used.pending == fresh.pending
        assert used.push(one) == fresh.push(one)


@given(total=DELAYS, decided=DECISIONS)
def test_change_reaches_all_that_is_pending_and_nothing_else(total, decided):
    line = DelayLine(total, 0, neutral=0)
    for one in decided:
        line.push(one)
    before = line.pending
    line.change(lambda pending: pending + 1000)
    assert line.pending == tuple(one + 1000 for one in before)


@given(total=DELAYS, more=st.integers(1, 30))
def test_an_environment_slower_than_the_policy_is_refused(total, more):
    with pytest.raises(OptionError) as caught:
        DelayLine(total, total + more, neutral=0)
    assert caught.value.what == f"the policy answers {total} frames late, the environment adds {total + more}"
    assert f"--frame-delay {total + more} or more" in caught.value.fix


@given(frame=st.integers(-123, time.MAX_FRAMES), delay=DELAYS)
def test_a_state_is_answered_by_a_later_frame(frame, delay):
    """The controller that a delay line presses on frame f was decided on a state that ``answer`` sends to f."""
    assert time.answer(frame, delay) == frame + 1 + delay
    line = DelayLine(delay, 0, neutral=None)
    # the state of each frame is decided on at once; what push gives is pressed on the next frame
    pressed_on = {pressed: state + 1 for state in range(frame, frame + 40) if (pressed := line.push(state)) is not None}
    assert pressed_on[frame] == time.answer(frame, delay)


def test_nobody_moves_before_frame_minus_39(full_games):
    """The clock starts at 0, but hands are free from GO on: some players use it at once, nobody earlier."""
    from exphil.game import ids
    from exphil.replays import slp

    willed = [
        ids.CATEGORIES.index(name) for name in ("walk", "dash", "crouch", "jump_squat", "jab", "shield", "special")
    ]
    first = []
    for path in full_games:
        try:
            game = slp.read(path).game
        except slp.ReplayError:
            continue
        assert game.frame[0] == time.FIRST_FRAME
        moving = np.isin(ids.CATEGORY_OF_ACTION[game.players.action], willed).any(axis=-1)
        first.append(int(game.frame[moving][0]))
    assert min(first) == time.GO_FRAME
    assert sorted(first)[len(first) // 2] < 0


def test_a_state_already_holds_the_input_of_its_own_frame(full_games):
    """A state is answered from t + 1 on: a jump squat begins in the row of the press that caused it."""
    from exphil.game.ids import Action, Button
    from exphil.replays import slp

    squats = same_row = row_before = 0
    for path in full_games:
        try:
            players = slp.read(path).game.players
        except slp.ReplayError:
            continue
        squat, pressed = players.action == Action.KNEE_BEND, (players.buttons & int(Button.X | Button.Y)) != 0
        begins, fresh = squat[1:] & ~squat[:-1], pressed[1:] & ~pressed[:-1]
        squats += int(begins.sum())
        same_row += int((begins & fresh).sum())
        row_before += int((begins[1:] & fresh[:-1]).sum())
    assert squats > 1000
    assert same_row > 0.5 * squats, "the rest is jumped with the stick"
    assert row_before < 0.05 * squats
