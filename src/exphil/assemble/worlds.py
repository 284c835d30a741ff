"""Worlds that take controllers, by name: builders of a module's top level, so that processes can share them.

``world`` binds what the options say of games; what is left open is what a match decides: characters, how many games
side by side, and the seed. The stages of the games follow from the seed.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

import numpy as np

from exphil.config.layers import Settings
from exphil.envs.environment import Environment
from exphil.envs.melee_sim import MeleeSimEnvironment, library
from exphil.evaluate.match import Build
from exphil.game.ids import Stage
from exphil.game.ids import stage as stage_by_name
from exphil.game.time import FRAMES_PER_SECOND

_MINUTE = 60 * FRAMES_PER_SECOND
_STAGES = 1
"""What seeds of the stages have besides, so that they are not those of something else."""


class Builder(Protocol):
    """Makes a world of E games; characters are internal numbers in port order, stages external ones, to be dealt."""

    def __call__(
        self,
        characters: tuple[int, int],
        games: int,
        seed: int,
        *,
        stages: tuple[int, ...],
        stocks: int,
        max_frames: int,
    ) -> Environment:
        """A world whose clock ends games on frame ``max_frames``."""
        ...


def _sim(
    characters: tuple[int, int], games: int, seed: int, *, stages: tuple[int, ...], stocks: int, max_frames: int
) -> Environment:
    from exphil.envs.sim.world import SimEnvironment

    on = dealt(stages, games, seed)
    return SimEnvironment(games, characters, on, stocks=stocks, max_frames=max_frames)


def _melee_sim(
    characters: tuple[int, int], games: int, seed: int, *, stages: tuple[int, ...], stocks: int, max_frames: int
) -> Environment:
    on = dealt(stages, games, seed)
    return MeleeSimEnvironment(games, characters, on, stocks=stocks, max_frames=max_frames)


ENVIRONMENTS: dict[str, Builder] = {"sim": _sim, "melee_sim": _melee_sim}
"""Every choice of ``--world`` in which actors play that we seat."""


def dealt(stages: tuple[int, ...], games: int, seed: int) -> list[int]:
    """A stage for each game: each as often as any other, as far as that goes, in an order drawn from the seed."""
    random = np.random.default_rng((seed, _STAGES))
    found: list[int] = random.permutation(np.resize(random.permutation(stages), games)).tolist()
    return found


def stages_of(settings: Settings) -> tuple[int, ...]:
    """The external numbers of ``--stages``; by default of all six."""
    return tuple(int(stage_by_name(name)) for name in settings.stages.stages) or tuple(map(int, Stage))


def clock(settings: Settings) -> int:
    """The number of the frame on which ``--minutes`` are over."""
    return max(1, round(settings.match.minutes * _MINUTE))


def world(settings: Settings) -> Build:
    """The builder of the worlds of ``--world``, for ``evaluate.match``; it can be pickled.

    Raises:
        ExphilError: what it needs is not installed.
    """
    if settings.world.world == "melee_sim":
        library()
    builder = ENVIRONMENTS[str(settings.world.world)]
    return partial(builder, stages=stages_of(settings), stocks=settings.match.stocks, max_frames=clock(settings))
