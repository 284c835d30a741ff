"""How long a policy takes to decide: an agent is shown frames of an empty game, as fast as it answers.

What enters: a player and what it learned. What leaves: seconds by the wall, because that is what a game waits for. What
the frames show changes nothing about them. Nothing raises but what the player raises.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from exphil.envs.environment import Frame
from exphil.game.frames import Game
from exphil.play.agent import Agent, Player
from exphil.play.learned import Learned

DECISIONS, FEWEST, MOST_S = 300, 20, 2.0
"""Of one game: how many are timed; how many at least when they take longer than so many seconds."""
MANY, DECISIONS_OF_MANY, MOST_OF_MANY_S = (4, 16, 64, 256), 40, 0.5
"""Games that are decided together; from the first that takes too long on, no more are tried."""
TOO_LONG_S = 1 / 60
WARM_UP = 30
"""Decisions before the first that is timed."""


class Pace(NamedTuple):
    """What was measured.

    Attributes:
        seconds: Of each decision for one game.
        many: Games decided together, and seconds of such a decision at the 99th percentile.
    """

    seconds: list[float]
    many: dict[int, float]

    def at(self, share: float) -> float:
        """Seconds that this share of the decisions for one game stays within."""
        return ordered_at(self.seconds, share)


def ordered_at(seconds: Sequence[float], share: float) -> float:
    """The value that this share of all stays within."""
    return sorted(seconds)[min(int(share * len(seconds)), len(seconds) - 1)]


def measure(player: Player, learned: Learned) -> Pace:
    """Time decisions for one game, and for more as long as they keep up with 60 frames a second."""
    pace = Pace(timed(player, learned, 1, DECISIONS, MOST_S), {})
    longest = pace.at(0.99)
    for games in MANY:
        if longest > TOO_LONG_S:
            break
        longest = ordered_at(timed(player, learned, games, DECISIONS_OF_MANY, MOST_OF_MANY_S), 0.99)
        pace.many[games] = longest
    return pace


def timed(player: Player, learned: Learned, games: int, decisions: int, most_s: float) -> list[float]:
    """Seconds of each decision.

    Args:
        player: Who decides.
        learned: What an agent must know of it.
        games: How many are decided together.
        decisions: How many are timed.
        most_s: After so many seconds it is enough, from the twentieth decision on.
    """
    agent = Agent(player, learned, 0, games, 0)
    no, found = np.zeros(games, np.bool_), list[float]()
    began = time.perf_counter()
    for number in range(WARM_UP + decisions):
        if len(found) >= FEWEST and time.perf_counter() - began > most_s:
            break
        frame = Frame(Game.empty(games), np.full(games, number == 0), no, no)
        start = time.perf_counter()
        agent.step(frame)
        if number >= WARM_UP:
            found.append(time.perf_counter() - start)
    return found
