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
DECISIONS = st.lists(st.integers(-1000, 1000))


def line(total: int, environment: int, games: int = 1) -> DelayLine:
    """A line of one number a game; 0 is neutral."""
    return DelayLine(total, environment, np.zeros((games, 1), np.int64))


def push(into: DelayLine, one: int) -> int:
    """What a line of one game gives."""
    return int(into.push(np.array([[one]]))[0, 0])


def pending(of: DelayLine) -> list[int]:
    return of.pending()[0, :, 0].tolist()


@given(total=DELAYS, share=st.integers(0, 30), decided=DECISIONS)
def test_every_decision_comes_out_after_exactly_its_own_delay(total, share, decided):
    environment = min(share, total)
    own, here = total - environment, line(total, environment)
    assert [push(here, one) for one in decided] == ([0] * own + decided)[: len(decided)]


@given(total=DELAYS, decided=DECISIONS)
def test_pending_is_what_the_next_pushes_give(total, decided):
    here = line(total, 0)
    for one in decided:
        push(here, one)
    waits = pending(here)
    assert len(waits) == total
    assert [push(here, 0) for _ in range(total)] == waits


@given(total=st.integers(0, time.MAX_DELAY), share=st.integers(0, time.MAX_DELAY), decided=DECISIONS)
def test_pending_is_all_that_nobody_has_seen_act_whoever_holds_it(total, share, decided):
    """The environment's own queue stands beside it: what is pending is the same for every split of the delay."""
    environment = min(share, total)
    here, world, shown = line(total, environment), [0] * environment, []
    for at, one in enumerate(decided):
        world.append(push(here, one))
        shown.append(world.pop(0))
        waits = ([0] * total + decided[: at + 1])[at + 1 :]
        assert pending(here) == waits and len(waits) == total
        own = total - environment
        assert pending(here) == [*world, *pending(here)[environment:]] and len(pending(here)[environment:]) == own
    assert shown == ([0] * total + decided)[: len(decided)], "on screen after the whole delay"


ROWS = st.lists(st.tuples(st.sets(st.integers(0, 3), min_size=1), st.sets(st.integers(0, 3))), max_size=30)


@given(total=st.integers(0, 6), share=st.integers(0, 6), steps=ROWS)
def test_games_in_one_line_are_as_many_lines_of_one_game(total, share, steps):
    """Whichever of them are pushed together, and whichever begin anew."""
    environment = min(share, total)
    many, alone = line(total, environment, 4), [line(total, environment) for _ in range(4)]
    for number, (rows, anew) in enumerate(steps):
        many.restart(np.array(sorted(anew), np.int64))
        for row in anew:
            alone[row] = line(total, environment)
        at = np.array(sorted(rows))
        given_ = 100 * number + at[:, None]
        assert many.push(given_, at)[:, 0].tolist() == [push(alone[row], 100 * number + row) for row in sorted(rows)]
        assert many.pending(at)[:, :, 0].tolist() == [pending(alone[row]) for row in sorted(rows)]


@given(total=DELAYS, more=st.integers(1, 30))
def test_an_environment_slower_than_the_policy_is_refused(total, more):
    with pytest.raises(OptionError) as caught:
        line(total, total + more)
    assert caught.value.what == f"the policy answers {total} frames late, the environment adds {total + more}"
    assert f"--frame-delay {total + more} or more" in caught.value.fix


@given(frame=st.integers(-123, time.MAX_FRAMES), delay=DELAYS)
def test_a_state_is_answered_by_a_later_frame(frame, delay):
    """The controller that a delay line presses on frame f was decided on a state that ``answer`` sends to f."""
    assert time.answer(frame, delay) == frame + 1 + delay
    here = DelayLine(delay, 0, np.full((1, 1), -1000))
    # the state of each frame is decided on at once; what push gives is pressed on the next frame
    pressed_on = {pressed: state + 1 for state in range(frame, frame + 40) if (pressed := push(here, state)) > -1000}
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
