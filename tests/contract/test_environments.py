"""Every world against the one contract: how games open and end, what a step is given, and what does not matter.

A world is added here when it is built; each entry makes one of E games that ends within ``LIMIT`` frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pytest

import melee_sim_stub
from exphil.envs.environment import Environment, Frame, run
from exphil.envs.replay import ReplayEnvironment
from exphil.envs.sim.world import SimEnvironment
from exphil.errors import OptionError
from exphil.game.controller import Controller, neutral
from exphil.game.frames import ROW, ROW_BYTES, Game
from exphil.game.time import GO_FRAME

LIMIT = 120
"""Frames: in that many, hands are free in a simulated game and it ends."""


def recorded(frames: int = 20) -> Game:
    """A game in which the first player walks to the right."""
    made = Game.empty(frames)
    row = made.rows.view(ROW)[..., 0]
    row["frame"], row["stage"], row["players"]["exists"] = np.arange(frames), 31, 1
    row["players"]["x"][:, 0] = np.arange(frames)
    row["players"]["stocks"] = 1
    return made


WORLDS: dict[str, Callable[[], Environment]] = {
    "replay": lambda: ReplayEnvironment(recorded(), (2, 4)),
    "replay of one frame": lambda: ReplayEnvironment(recorded(1), (1, 2)),
    "sim": lambda: SimEnvironment(3, (1, 22), (2, 31, 32), max_frames=GO_FRAME + 20),
    "melee_sim": lambda: melee_sim_stub.world(1),
}


class Pressed(NamedTuple):
    """What a scripted actor decides."""

    controllers: Controller


class Script:
    """Presses at random from its own seed, and checks every frame that it is shown."""

    def __init__(self, games: int, seed: int) -> None:
        self.games, self.random, self.shown = games, np.random.default_rng(seed), 0
        self.ended: np.ndarray | None = None

    def step(self, frame: Frame) -> Pressed:
        assert frame.game.shape == (self.games,) and frame.game.rows.shape == (self.games, ROW_BYTES)
        assert frame.game.rows.dtype == np.uint8
        for flag in (frame.is_first, frame.is_last, frame.is_truncated):
            assert (flag.shape, flag.dtype) == ((self.games,), np.bool_)
        assert not (frame.is_last & frame.is_truncated).any()
        assert frame.is_first.all() if self.ended is None else np.array_equal(frame.is_first, self.ended)
        self.ended, self.shown = frame.is_last | frame.is_truncated, self.shown + 1
        axes = [self.random.uniform(-1, 1, self.games).astype(np.float32) for _ in range(4)]
        buttons = self.random.integers(0, 0x1000, self.games).astype(np.int16)
        return Pressed(Controller(*axes, np.zeros(self.games, np.float32), buttons))


@pytest.fixture(params=WORLDS)
def world(request):
    made = WORLDS[request.param]()
    yield made
    made.close()


def games(world: Environment) -> int:
    return len(world.reset(0).game)


def transcript(world: Environment, seed: int, presses: int, frames: int = LIMIT) -> list[bytes]:
    """Every byte that is shown while two scripts play."""
    seen: list[bytes] = []

    def watch(frame: Frame, decisions: Mapping[int, Pressed]) -> None:
        assert set(decisions) == set(world.ports)
        seen.append(b"".join(part.tobytes() for part in (frame.game.rows, frame.is_first, frame.is_last)))

    count = games(world)
    actors = {port: Script(count, presses + port) for port in world.ports}
    run(world, actors, frames, watch, seed)
    assert all(actor.shown == frames for actor in actors.values())
    return seen


def test_a_world_says_what_it_is(world):
    assert len(world.ports) == 2 and 1 <= world.ports[0] < world.ports[1] <= 4
    assert isinstance(world.delay, int) and world.delay >= 0
    assert isinstance(world.reacts_to_actions, bool)
    assert world.name


def test_every_game_opens_with_is_first(world):
    for _ in range(2):
        frame = world.reset(1)
        assert frame.is_first.all()
        world.step({})


def test_the_last_frame_is_shown_and_the_step_after_it_opens_the_next_game(world):
    """The scripts check it at every frame; within the limit a game does end."""
    count = games(world)
    actors = {port: Script(count, port) for port in world.ports}
    assert run(world, actors, LIMIT, seed=0) >= 1


def test_the_step_after_the_last_frame_ignores_its_controllers(world):
    """Whatever is held through the end of a game, the next one opens the same."""
    opened = []
    for held in (0x0F00, 0):
        frame = world.reset(5)
        for _ in range(LIMIT):
            if (frame.is_last | frame.is_truncated).all():
                break
            frame = world.step({})
        pressed = neutral(len(frame.game))._replace(buttons=np.full(len(frame.game), held, np.int16))
        frame = world.step(dict.fromkeys(world.ports, pressed))
        assert frame.is_first.all()
        opened.append(frame.game.rows.tobytes())
    assert opened[0] == opened[1]


def test_the_same_seed_and_presses_give_the_same_transcript(world):
    """In the same world again, whatever it showed before."""
    first = transcript(world, 3, 10)
    transcript(world, 4, 20, frames=7)
    assert transcript(world, 3, 10) == first


def test_a_world_says_truly_whether_it_reacts(world):
    assert (transcript(world, 3, 10) != transcript(world, 3, 99)) == world.reacts_to_actions


def test_close_can_be_called_twice(world):
    world.close()
    world.close()


def test_nobody_plays_on_a_port_that_is_not_there(world):
    other = next(port for port in (1, 2, 3, 4) if port not in world.ports)
    with pytest.raises(OptionError, match=f"nobody can play on port {other}"):
        run(world, {other: Script(1, 0)}, 3)


def test_run_shows_exactly_as_many_frames_as_asked_for(world):
    for frames in (1, 2, 7):
        shown = []
        run(world, {}, frames, lambda frame, decisions: shown.append(frame))  # noqa: B023
        assert len(shown) == frames
