"""Games of the simulator under random hands; as a program, their digest, for a process without the compiler.

Hands hold on to what they do for some frames, as people do, so that dashes, jumps, shields, grabs and falls happen.
Everything is a function of the seed and of the number of the game, so a game can be played alone or among others.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.envs.sim.data import known, load
from exphil.envs.sim.reset import open_games
from exphil.envs.sim.state import GAME, ITEM, ITEMS, PLAYER
from exphil.envs.sim.step import step
from exphil.game.ids import Button, Character, Stage
from exphil.game.time import GO_FRAME

FIGHTERS = tuple(int(each) for each in Character if each < Character.MASTER_HAND and each != Character.NANA)
STAGES = tuple(int(each) for each in Stage)
MIRRORED_STAGES = (Stage.FINAL_DESTINATION, Stage.BATTLEFIELD, Stage.POKEMON_STADIUM)
AXES = np.array([0, 0, 0, 1, 1, -1, -1, 0.7, -0.7, 0.35, -0.35])
C_AXES = np.array([0.0] * 12 + [1, -1])
BUTTONS = np.array(
    [0] * 9 + [Button.A, Button.A, Button.B, Button.X, Button.X, Button.L, Button.R, Button.Z], np.float64
)


def hands(seed: int, games: list[int], steps: int) -> NDArray[np.float64]:
    """Controllers ``(steps, games, 2, 6)``."""
    found = np.zeros((len(games), steps, 2, 6))
    for at, game in enumerate(games):
        rng = np.random.default_rng((seed, game))
        kinds = (AXES, AXES, C_AXES, C_AXES, np.array([0.0, 0, 0, 0, 0.5, 1]), BUTTONS)
        drawn = np.stack([rng.choice(kind, (steps, 2)) for kind in kinds], -1)
        fresh = rng.random((steps, 2, 6)) < 0.2
        fresh[0] = True
        latest = np.maximum.accumulate(np.where(fresh, np.arange(steps)[:, None, None], 0), 0)
        found[at] = np.take_along_axis(drawn, latest, 0)
    return np.ascontiguousarray(found.swapaxes(0, 1))


class World:
    """Records of some games, and one frame after another of them; a game that is lost goes on with no stocks."""

    def __init__(self, characters: Any, stages: Any, seed: int = 0, stocks: int = 4) -> None:
        pairs, numbers = np.asarray(characters, np.int64), np.asarray(stages, np.int64)
        games = len(pairs)
        self.players: Any = np.zeros((games, 2), PLAYER).view(np.recarray)
        self.games: Any = np.zeros(games, GAME).view(np.recarray)
        self.items: Any = np.zeros((games, ITEMS), ITEM).view(np.recarray)
        every, opened = np.ones(games, np.bool_), np.zeros(games, np.int64)
        records = self.players, self.games, self.items
        open_games(*records, every, pairs, numbers, stocks, seed, opened, load())
        self.games.frame = GO_FRAME - 1  # nobody waits for the countdown
        self.players.x *= 0.15  # near enough to hit each other without meaning to

    def step(self, pads: NDArray[np.float64]) -> None:
        step(self.players, self.games, self.items, pads, known())

    def bytes(self) -> bytes:
        return self.players.tobytes() + self.games.tobytes() + self.items.tobytes()


def everybody() -> tuple[list[tuple[int, int]], list[int]]:
    """Pairs of characters and stages: every character on every stage, against somebody else each time."""
    places = [(who, stage) for who in range(len(FIGHTERS)) for stage in range(len(STAGES))]
    pairs = [(FIGHTERS[who], FIGHTERS[(5 * who + 7 * stage + 3) % len(FIGHTERS)]) for who, stage in places]
    return pairs, [STAGES[stage] for _, stage in places]


def mixed(games: list[int]) -> World:
    """Another pair of characters and another stage in every game."""
    pairs = [(FIGHTERS[game % 26], FIGHTERS[(game * 7 + 3) % 26]) for game in games]
    return World(pairs, [STAGES[game % 6] for game in games])


def digests(seed: int, games: list[int], steps: int, every: int) -> list[str]:
    """Digests of all records, one each ``every`` frames, so that a difference can be found."""
    world, pads = mixed(games), hands(seed, games, steps)
    found = []
    for at in range(steps):
        world.step(pads[at])
        if (at + 1) % every == 0:
            found.append(hashlib.sha256(world.bytes()).hexdigest()[:16])
    return found


if __name__ == "__main__":
    seed, games, steps, every = map(int, sys.argv[1:])
    sys.stdout.write("\n".join(digests(seed, list(range(games)), steps, every)) + "\n")
