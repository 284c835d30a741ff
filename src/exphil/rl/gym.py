"""Worlds as Gymnasium and PettingZoo want them, for the learners of other libraries.

A world of one game enters. ``OneSeat`` is a ``gymnasium.Env``: one port is the learner's, an actor sits on the other.
``TwoSeats`` is a ``pettingzoo.ParallelEnv``: both ports are learners'. An observation is the feature table's floats,
seen from the seat; an action is the classes of the action codec; a reward is ``reward`` of two neighbouring frames.
One step is one frame, from the first one of a game on; hands are free 84 frames later.

What can go wrong: ExphilError when this module is imported without the extra ``rl``; OptionError for a world that does
not react or plays several games, and for a table with ids, which are no floats.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Actor, Environment, Frame
from exphil.envs.ladder import script
from exphil.errors import OptionError, extra
from exphil.features.action import Codec
from exphil.features.observation import Table
from exphil.game.controller import Controller
from exphil.game.frames import Game

extra("gymnasium", "rl", "a world for other libraries' learners")
extra("pettingzoo", "rl", "a world for other libraries' learners")

import gymnasium  # noqa: E402
import pettingzoo  # type: ignore[import-untyped]  # noqa: E402

Floats = NDArray[np.float32]
Actions = NDArray[np.int64]
Sit = Callable[[int, int, int], Actor]
"""Makes an actor of its seat (0 or 1, in port order), the games it plays at once and a seed."""

STOCK, PERCENT = 1.0, 0.01
"""What a stock and a percent of damage are worth: a stock as much as 100 percent."""
TABLE = Table(0, False, action_mode="one_hot", character_mode="one_hot")
"""Everything as floats, nothing as ids."""
CODEC = Codec.uniform()
_MOST_SEED = 2**31


def reward(before: Game, after: Game) -> NDArray[np.float64]:
    """What two neighbouring frames of one game are worth to player 0; to player 1 it is the negative.

    A stock that the opponent lost counts ``STOCK``, a percent that it took ``PERCENT``; own losses count the same
    against it. Percent that falls back to 0 with a stock is no gain.

    Args:
        before: Any shape ``S``.
        after: Of the same shape, one frame later.

    Returns:
        float64 ``S``.
    """
    earlier, later = before.players, after.players
    lost = earlier.stocks.astype(np.float64) - later.stocks
    taken = np.maximum(later.percent.astype(np.float64) - earlier.percent, 0.0)
    suffered = STOCK * lost + PERCENT * taken
    found: NDArray[np.float64] = suffered[..., 1] - suffered[..., 0]
    return found


class _Translation:
    """Between a world of one game and arrays: spaces, observations, controllers, seeds."""

    def __init__(self, world: Environment, table: Table, codec: Codec) -> None:
        if not world.reacts_to_actions:
            raise OptionError("this world shows a recorded game: nobody can learn to play in it", "world")
        if table.ids or table.max_delay:
            raise OptionError(
                "observations are floats of one frame, and this feature table has ids or earlier controllers",
                "table",
                'use action_mode="one_hot", character_mode="one_hot" and max_delay=0',
            )
        self.world, self._table, self._codec = world, table, codec
        self.last: Frame

    def observations(self) -> gymnasium.spaces.Box:
        """The range of every float of the table."""
        rows = [row for _, row in self._table.rows()]
        widths = [row.width for row in rows]
        low, high = (np.repeat(np.array([getattr(row, end) for row in rows]), widths) for end in ("low", "high"))
        return gymnasium.spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def actions(self) -> gymnasium.spaces.MultiDiscrete:
        """Eight buttons, four axes, the shoulder."""
        return gymnasium.spaces.MultiDiscrete(np.array(self._codec.classes, np.int64))

    def open(self, random: np.random.Generator) -> int:
        """Open a game with a seed that is drawn; gives the seed."""
        seed = int(random.integers(_MOST_SEED))
        self.last = self.world.reset(seed)
        if self.last.game.shape != (1,):
            raise OptionError(f"a world of one game is wanted, this one plays {len(self.last.game)}", "games")
        return seed

    def press(self, controllers: dict[int, Controller]) -> float:
        """One frame; gives what it was worth to player 0."""
        before, self.last = self.last, self.world.step(controllers)
        return float(reward(before.game, self.last.game)[0])

    def seen(self, seat: int) -> Floats:
        """``(F,)``: the last frame from a seat."""
        floats, _ = self._table.encode(self.last.game.seen_from(seat))
        found: Floats = np.nan_to_num(floats[0])
        return found

    def controller(self, action: Actions) -> Controller:
        """Of shape ``(1,)``."""
        return self._codec.decode(np.asarray(action, np.int64)[None])


class OneSeat(gymnasium.Env[Any, Actions]):
    """A world of one game with somebody on the other port.

    Args:
        world: Of one game; closed with this.
        seat: 0 or 1, in port order: where the learner sits.
        opponent: Makes who sits on the other port, anew for every game; by default the script ``chaser``.
        table: What is seen; neither ids nor room for earlier controllers.
        codec: What the classes of an action stand for.

    Raises:
        OptionError: a world that does not react, a table that is not floats alone; and at ``reset`` a world of
            several games.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [], "render_fps": 60}  # type: ignore[misc]

    def __init__(
        self,
        world: Environment,
        seat: int = 0,
        opponent: Sit = partial(script, "chaser"),  # noqa: B008  (a function with its first argument)
        *,
        table: Table = TABLE,
        codec: Codec = CODEC,
    ) -> None:
        if seat not in (0, 1):
            raise OptionError(f"{seat} is no seat", "seat", "0 or 1, in port order")
        self._inside, self._seat, self._opponent = _Translation(world, table, codec), seat, opponent
        self.observation_space, self.action_space = self._inside.observations(), self._inside.actions()
        self._other: Actor
        self._decided: Controller | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Open a game; the same seed and presses give the same game. ``options`` are not used."""
        super().reset(seed=seed)
        game = self._inside.open(self.np_random)
        self._other = self._opponent(1 - self._seat, 1, game)
        self._decided = self._other.step(self._inside.last).controllers
        return self._inside.seen(self._seat), {}

    def step(self, action: Actions) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Press for one frame: observation, reward, whether the game ended, whether a frame limit cut it off."""
        if self._decided is None:
            raise OptionError("no game is open", "step", "call reset first")
        inside, ports = self._inside, self._inside.world.ports
        pressed = {ports[self._seat]: inside.controller(action), ports[1 - self._seat]: self._decided}
        worth = inside.press(pressed)
        frame = inside.last
        self._decided = self._other.step(frame).controllers
        own = worth if self._seat == 0 else -worth
        return inside.seen(self._seat), own, bool(frame.is_last[0]), bool(frame.is_truncated[0]), {}

    def close(self) -> None:
        """Close the world."""
        self._inside.world.close()


class TwoSeats(pettingzoo.ParallelEnv[str, Floats, Actions]):  # type: ignore[misc]
    """A world of one game, both ports open; the agents are ``port_1`` and so on, by the world's ports.

    Args:
        world: Of one game; closed with this.
        table: What is seen; neither ids nor room for earlier controllers.
        codec: What the classes of an action stand for.

    Raises:
        OptionError: as for ``OneSeat``.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "exphil", "render_modes": [], "render_fps": 60}

    def __init__(self, world: Environment, *, table: Table = TABLE, codec: Codec = CODEC) -> None:
        self._inside = _Translation(world, table, codec)
        self._random = np.random.default_rng()
        self.possible_agents = [f"port_{port}" for port in world.ports]
        self.agents: list[str] = []
        self.observation_spaces = {agent: self._inside.observations() for agent in self.possible_agents}
        self.action_spaces = {agent: self._inside.actions() for agent in self.possible_agents}

    def observation_space(self, agent: str) -> gymnasium.spaces.Box:
        """The same object every time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.MultiDiscrete:
        """The same object every time."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Floats], dict[str, dict[str, Any]]]:
        """Open a game; the same seed and presses give the same game. ``options`` are not used."""
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._inside.open(self._random)
        self.agents = list(self.possible_agents)
        return self._seen(), self._nothing()

    def step(
        self, actions: dict[str, Actions]
    ) -> tuple[dict[str, Floats], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Press for one frame on both ports."""
        if not self.agents:
            raise OptionError("no game is open", "step", "call reset first")
        ports = zip(self.possible_agents, self._inside.world.ports, strict=True)
        worth = self._inside.press({port: self._inside.controller(actions[agent]) for agent, port in ports})
        frame = self._inside.last
        rewards = dict(zip(self.possible_agents, (worth, -worth), strict=True))
        ended = dict.fromkeys(self.possible_agents, bool(frame.is_last[0]))
        cut = dict.fromkeys(self.possible_agents, bool(frame.is_truncated[0]))
        if frame.is_last[0] or frame.is_truncated[0]:
            self.agents = []
        return self._seen(), rewards, ended, cut, self._nothing()

    def close(self) -> None:
        """Close the world."""
        self._inside.world.close()

    def _seen(self) -> dict[str, Floats]:
        return {agent: self._inside.seen(seat) for seat, agent in enumerate(self.possible_agents)}

    def _nothing(self) -> dict[str, dict[str, Any]]:
        return {agent: {} for agent in self.possible_agents}
