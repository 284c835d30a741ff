"""A recorded game as a world: exactly what was recorded, whatever is pressed."""

from __future__ import annotations

import numpy as np
import pytest

from exphil.envs.environment import run
from exphil.envs.replay import ReplayEnvironment
from exphil.game.controller import neutral
from exphil.replays import slp


@pytest.fixture(scope="module")
def replay(replays):
    return slp.read(replays / "fox_vs_fox_battlefield_016.slp")


def test_a_real_game_is_shown_row_by_row_and_then_again(replay):
    game = replay.game[:300]
    shown = []
    ended = run(ReplayEnvironment(game, replay.ports), {}, 750, lambda frame, _: shown.append(frame))
    assert ended == 2
    assert np.array_equal(np.concatenate([frame.game.rows for frame in shown[:300]]), game.rows)
    assert np.array_equal(np.concatenate([frame.game.rows for frame in shown[300:600]]), game.rows)
    assert [i for i, frame in enumerate(shown) if frame.is_first[0]] == [0, 300, 600]
    assert [i for i, frame in enumerate(shown) if frame.is_last[0]] == [299, 599]
    assert not any(frame.is_truncated[0] for frame in shown)


def test_controllers_and_seed_change_nothing(replay):
    world = ReplayEnvironment(replay.game[:50], replay.ports)
    pressed = neutral(1)._replace(main_x=np.ones(1, np.float32))
    assert world.ports == (1, 3) and not world.reacts_to_actions and world.delay == 0
    for seed in (None, 1, 2):
        frames = [world.reset(seed), *(world.step({1: pressed, 3: pressed}) for _ in range(49))]
        assert np.array_equal(np.concatenate([frame.game.rows for frame in frames]), replay.game[:50].rows)


def test_reset_in_the_middle_begins_anew(replay):
    world = ReplayEnvironment(replay.game, replay.ports)
    world.reset()
    for _ in range(10):
        world.step({})
    frame = world.reset()
    assert frame.is_first[0] and frame.game.frame[0] == replay.game.frame[0]
