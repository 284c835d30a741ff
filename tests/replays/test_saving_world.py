"""What our simulator shows is saved game by game, and reads back to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from test_oracle import compare, peppi

from exphil.envs.environment import Frame
from exphil.envs.sim.world import SimEnvironment
from exphil.game.controller import STICK_STEPS, Controller, neutral
from exphil.game.frames import ROW, Game, stack
from exphil.game.ids import BUTTONS, Character, Stage
from exphil.game.time import FIRST_FRAME
from exphil.replays import saving, slp

PAIRS = [
    (Character.FOX, Character.FALCO),
    (Character.MARTH, Character.SAMUS),
    (Character.ICE_CLIMBERS, Character.LINK),
    (Character.SHEIK, Character.YOSHI),
    (Character.PEACH, Character.NESS),
    (Character.FALCO, Character.PIKACHU),
]
PORTS = (2, 3)
LIMIT = 900
"""Frames; short enough that every game comes to an end."""


def mashing(random: np.random.Generator, games: int) -> Controller:
    """Hands that press anything, on the grid of the console."""
    sticks = (random.integers(-STICK_STEPS, STICK_STEPS + 1, (4, games)) / STICK_STEPS).astype(np.float32)
    pressed = random.choice([0, *BUTTONS], games).astype(np.int16)
    return neutral(games)._replace(main_x=sticks[0], main_y=sticks[1], c_x=sticks[2], c_y=sticks[3], buttons=pressed)


def played(frames: int) -> tuple[list[Frame], list[saving.Over]]:
    """Every frame that a world of six games shows, and the games that were over."""
    world = SimEnvironment(len(PAIRS), PAIRS, list(Stage), ports=PORTS, stocks=1, max_frames=LIMIT)
    random, recorder = np.random.default_rng(5), saving.Recorder(len(PAIRS))
    shown, over = [], []
    frame = world.reset(3)
    for _ in range(frames):
        shown.append(frame._replace(game=Game(np.array(frame.game.rows))))
        over += recorder.add(frame.game, frame.is_first, frame.is_last, frame.is_truncated)
        frame = world.step({port: mashing(random, len(PAIRS)) for port in PORTS})
    world.close()
    return shown, over


def test_every_simulated_game_reads_back_to_the_bit(tmp_path):
    shown, over = played(2 * LIMIT)
    assert {game.place for game in over} == set(range(len(PAIRS))), "each came to an end"
    whole = stack([frame.game for frame in shown])
    seen = [0] * len(PAIRS)
    for place, number, game, cut in over:
        rows = whole.rows[seen[place] : seen[place] + len(game), place]
        assert (game.rows == rows).all(), "as it was shown"
        assert int(game.frame[0]) == FIRST_FRAME
        seen[place] += len(game)
        data = saving.to_bytes(game, PORTS, seed=3, is_truncated=cut, played_on="sim")
        replay = slp.parse(data, Path("x"))
        assert (replay.problems, replay.ports, replay.characters) == ((), PORTS, PAIRS[place])
        assert differing(game, replay.game) == set(), (PAIRS[place], number)
        if number == 0:
            saving.save(tmp_path / "one.slp", data)
            assert compare(tmp_path / "one.slp", peppi(tmp_path / "one.slp")) == set()


def differing(game: Game, again: Game) -> set[str]:
    """The columns in which a game that was read differs from what was shown."""
    found = set()
    for name in ("frame", "stage", "platforms", "stadium", "whispy"):
        if not np.array_equal(getattr(game, name), getattr(again, name)):
            found.add(name)
    for group in ("players", "nana", "items"):
        ours, theirs = (np.ascontiguousarray(one.rows.view(ROW)[:, 0][group]) for one in (game, again))
        found |= {f"{group}.{name}" for name in ours.dtype.names if ours[name].tobytes() != theirs[name].tobytes()}
    return found if found or (game.rows[:, 8:] == again.rows[:, 8:]).all() else {"something between the columns"}
