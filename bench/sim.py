"""How fast the simulator is on one core: player-frames a second of the kernels and through the Environment.

Every game is another pair of characters on another stage, at another point of a game under random hands that hold on
to what they do; nothing of the physics is left out. ``step`` is one call of the compiled kernel on all games,
``environment`` one of ``SimEnvironment.step`` with controllers of every player, the frame shown included. Both are the
least of several rounds of process CPU time. ``uncompiled`` runs the same kernels without the compiler, in a process of
its own. ``first_step_s`` is the first step of a process with nothing compiled, ``kept_step_s`` that of the next one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

import report
from exphil.envs.sim.data import known
from exphil.envs.sim.step import step
from exphil.envs.sim.world import SimEnvironment
from exphil.game.controller import Controller
from exphil.game.ids import Button, Character, Stage

SIZES = (1, 64, 256, 1024)
FIGHTERS = tuple(int(each) for each in Character if each < Character.MASTER_HAND and each != Character.NANA)
STICK, C_STICK = np.array([0, 0, 0, 1, -1, 0.7, -0.7]), np.array([0.0] * 12 + [1, -1])
BUTTONS = np.array([0] * 9 + [Button.A, Button.A, Button.B, Button.X, Button.X, Button.L, Button.R, Button.Z])
FRESH = 0.2
"""Chance of a frame that a stick or the buttons change."""
LOOP, SPREAD = 64, 1800
"""Frames of controllers that are played over and over; frames over which the games' points are spread."""
BOUND, GOAL, STEP_BOUND_US = 5e6, 10e6, 20.0


def hands(games: int, rng: np.random.Generator) -> np.ndarray:
    """Controllers ``(LOOP, games, 2, 6)``."""
    kinds = (STICK, STICK, C_STICK, C_STICK, np.array([0.0, 0, 0, 0, 0.5, 1]), BUTTONS)
    drawn = np.stack([rng.choice(kind, (LOOP, games, 2)) for kind in kinds], -1)
    fresh = rng.random(drawn.shape) < FRESH
    at = np.maximum.accumulate(np.where(fresh, np.arange(LOOP)[:, None, None, None], 0), 0)
    return np.ascontiguousarray(np.take_along_axis(drawn, at, 0))


def controllers(pads: np.ndarray) -> list[dict[int, Controller]]:
    """The same for the Environment, in the types of a policy's decisions."""
    columns = [pads[..., column].astype(np.float32) for column in range(5)] + [pads[..., 5].astype(np.int16)]
    return [
        {port: Controller(*(column[at, :, port - 1] for column in columns)) for port in (1, 2)} for at in range(LOOP)
    ]


def world_of(games: int, pads: np.ndarray) -> SimEnvironment:
    """Games in their middle, every one at another point: each began by itself some frames ago."""
    stages, rng = tuple(Stage), np.random.default_rng(1)
    pairs = [(FIGHTERS[game % 26], FIGHTERS[(7 * game + 3) % 26]) for game in range(games)]
    world = SimEnvironment(games, pairs, [stages[game % 6] for game in range(games)], stocks=99, max_frames=1 << 30)
    world.reset(0)
    begins = rng.integers(0, SPREAD, games)
    early = world._players.copy(), world._games.copy(), world._items.copy()
    for frame in range(SPREAD + 100):
        for now, first in zip((world._players, world._games, world._items), early, strict=True):
            now[begins == frame] = first[begins == frame]
        step(world._players, world._games, world._items, pads[frame % LOOP], known())
    return world


def microseconds(work: Any, calls: int, best_of: int) -> float:
    """Of one call; ``work`` takes the number of the call."""

    def run() -> None:
        for call in range(calls):
            work(call % LOOP)

    return report.cpu_seconds(run, best_of) / calls * 1e6


def first_steps_s() -> tuple[float, float]:
    """Wall time of the first step where nothing is compiled, and where it is."""
    program = f"""if True:
        import time
        from {SimEnvironment.__module__} import SimEnvironment
        world = SimEnvironment(1, (1, 2), 32)
        world.reset(0)
        began = time.perf_counter()
        world.step({{}})
        print(time.perf_counter() - began)
    """
    with tempfile.TemporaryDirectory() as empty:
        command, places = [sys.executable, "-c", program], {**os.environ, "NUMBA_CACHE_DIR": empty}
        first, second = (
            float(subprocess.run(command, env=places, check=True, capture_output=True, text=True).stdout)
            for _ in range(2)
        )
    return first, second


def uncompiled_us(games: int) -> float:
    """Microseconds of a step of so many games without the compiler, after the same games as everywhere."""
    program = f"""if True:
        import numpy as np, sim, time
        from exphil.envs.sim.world import SimEnvironment
        pads = sim.hands({games}, np.random.default_rng(0))
        sim.SPREAD = 200
        world = sim.world_of({games}, pads)
        print(sim.microseconds(lambda at: sim.step(
            world._players, world._games, world._items, pads[at], sim.known()), 20, 3))
    """
    places = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}  # noqa: PTH100, PTH120
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, env=places, check=True, capture_output=True, text=True).stdout)


def measured(games: int, best_of: int) -> dict[str, float]:
    pads = hands(games, np.random.default_rng(0))
    world, held = world_of(games, pads), controllers(pads)
    calls = max(20_000 // games, LOOP)
    kernel = microseconds(
        lambda at: step(world._players, world._games, world._items, pads[at], known()), calls, best_of
    )
    whole = microseconds(lambda at: world.step(held[at]), calls // 4 + 16, best_of)
    return {
        "step_us": round(kernel, 1),
        "step_player_frames_per_s": round(2 * games / kernel * 1e6),
        "environment_us": round(whole, 1),
        "environment_player_frames_per_s": round(2 * games / whole * 1e6),
    }


def main() -> None:
    args = report.arguments(__doc__, best_of=7)
    first_s, kept_s = first_steps_s()
    began = time.perf_counter()
    found = {games: measured(games, args.best_of) for games in SIZES}
    slow_us = uncompiled_us(64)
    result: dict[str, Any] = {
        "games": found,
        "bound_at_256": BOUND,
        "goal_at_256": GOAL,
        "step_bound_us_at_1": STEP_BOUND_US,
        "uncompiled_step_us_at_64": round(slow_us),
        "times_faster_than_uncompiled": round(slow_us / found[64]["step_us"]),
        "first_step_s": round(first_s, 1),
        "kept_step_s": round(kept_s, 2),
    }
    rows = [
        [games, each["step_us"], each["step_player_frames_per_s"] / 1e6, each["environment_us"],
         each["environment_player_frames_per_s"] / 1e6]
        for games, each in found.items()
    ]  # fmt: skip
    title = (
        f"{result['times_faster_than_uncompiled']} times as fast as uncompiled; first step {first_s:.1f} s, "
        f"{kept_s:.2f} s once compiled; measured in {time.perf_counter() - began:.0f} s"
    )
    report.show(args, result, title, ["games", "step us", "M p-f/s", "environment us", "M p-f/s"], rows)


if __name__ == "__main__":
    main()
