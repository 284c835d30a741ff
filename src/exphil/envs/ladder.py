"""The scripted ladder: six players of rising strength that need no policy, to measure, train and play against.

Frames of E games enter, controllers leave. ``idle`` presses nothing, ``walk`` walks to and fro, ``random`` presses
anything, ``chaser`` runs at the opponent and attacks, ``spacer`` keeps the range of its moves and guards, ``punisher``
waits for mistakes. Each of them comes back to the stage when it is off it, but for ``idle``. ``cpu1`` to ``cpu9`` are
these scripts with slower eyes and clumsier hands; they are not the game's own computer players.

What a script does in a game follows from the seed, the row, how many games began in that row, and its frames.

What can go wrong: OptionError for a name that is not on the ladder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.envs.ladder_habits import (
    AIR_MOVES,
    DASH_MOVES,
    GROUND_MOVES,
    GUARDING,
    RUNNING,
    STEADY,
    Mind,
)
from exphil.envs.ladder_hands import A, B, L, X, Y, Z
from exphil.envs.ladder_seen import DAMAGE, FIRST, Ints, reaches
from exphil.envs.sim import actions as act
from exphil.errors import OptionError
from exphil.game.controller import Controller

CAREFUL = np.array([0.5, 1.0, 0.8, 1.0, 0.5, 0.5, 0.3, 0.4])
"""How much each of ``GROUND_MOVES`` is liked by who keeps its range: tilts first."""
RUSH = 1.5
"""Units a frame that a run to a mistake covers, by and large."""
STUMBLE_FRAMES = 20
"""How long a clumsy player presses nothing."""


class Pressed(NamedTuple):
    """What a script decides: controllers of shape ``(E,)``."""

    controllers: Controller


class Level(NamedTuple):
    """A script and how well it is played.

    Attributes:
        script: One of the six.
        reaction: Frames until it sees what the opponent does.
        stumbles: Share of time in [0, 1] in which it presses nothing while it stands.
    """

    script: str
    reaction: int = 0
    stumbles: float = 0.0


LEVELS = {
    "idle": Level("idle"),
    "walk": Level("walk"),
    "random": Level("random"),
    "chaser": Level("chaser", 20),
    "spacer": Level("spacer", 6),
    "punisher": Level("punisher"),
    "cpu1": Level("walk"),
    "cpu2": Level("random"),
    "cpu3": Level("chaser", 30, 0.5),
    "cpu4": Level("chaser", 24, 0.25),
    "cpu5": Level("chaser", 20),
    "cpu6": Level("spacer", 9, 0.1),
    "cpu7": Level("spacer", 6),
    "cpu8": Level("punisher", 5, 0.03),
    "cpu9": Level("punisher", 3),
}
"""Every name of the ladder."""
NAMES = tuple(LEVELS)


def said(name: str) -> str:
    """What a name stands for, in a sentence without a full stop.

    Raises:
        OptionError: a name that is not on the ladder.
    """
    level = _level(name)
    words = f"{name} is a script" if name == level.script else f"{name} is the script {level.script}"
    if level.reaction:
        words += f", reacting after {level.reaction} frames"
    if level.stumbles:
        words += f", pressing nothing for {level.stumbles:.0%} of the time"
    return words


def script(name: str, seat: int, games: int, seed: int) -> Script:
    """A scripted player.

    Args:
        name: One of ``NAMES``.
        seat: 0 or 1, in port order.
        games: How many it plays at once.
        seed: At least 0.

    Raises:
        OptionError: a name that is not on the ladder.
    """
    return Script(_level(name), seat, games, seed)


def _level(name: str) -> Level:
    if name not in LEVELS:
        raise OptionError(f"'{name}' is no scripted player", "opponent", f"one of {', '.join(NAMES)}")
    return LEVELS[name]


class Script:
    """One seat in each of E games.

    Args:
        level: Who plays, and how well.
        seat: 0 or 1, in port order.
        games: E.
        seed: At least 0.
    """

    def __init__(self, level: Level, seat: int, games: int, seed: int) -> None:
        self._plan, self._stumbles = _PLANS[level.script], level.stumbles
        self._mind = Mind(seat, games, seed, level.reaction)

    def step(self, frame: Frame) -> Pressed:
        """See a frame and press."""
        mind = self._mind
        mind.see(frame)
        self._plan(mind)
        if self._stumbles:
            clumsy = mind.chance.draw(0, STUMBLE_FRAMES) < self._stumbles
            mind.hands.wish(clumsy & mind.seen.own.ground)
        return Pressed(mind.hands.controllers())


def _idle(mind: Mind) -> None:
    """Nothing."""


def _walk(mind: Mind) -> None:
    """To and fro over the middle of the stage, round about once in four seconds."""
    seen, own = mind.seen, mind.seen.own
    turn = np.where(mind.chance.shown % 240 < 120, 1.0, -1.0)
    near = abs(own.x) > seen.ledge - 18
    mind.hands.wish(own.ground, np.where(near, seen.home, turn) * 0.5)
    mind.live()


_STICK = np.array([0.0, 0.5, 1.0, 1.0, -0.5, -1.0, -1.0, 0.0])
_BUTTONS = np.array([0, 0, 0, A, A, B, X, Y, Z, L])


def _random(mind: Mind) -> None:
    """Any stick and any button, kept for six frames; near the ledge it goes back."""
    seen, own, chance = mind.seen, mind.seen.own, mind.chance
    x, y = (_STICK[(8 * chance.draw(purpose, 6)).astype(np.int64)] for purpose in (40, 41))
    button = _BUTTONS[(10 * chance.draw(42, 6)).astype(np.int64)]
    c_push = chance.draw(43, 6) < 0.1
    button = np.where((abs(own.x) > 20) & ((button == B) | (button == L) & ~STEADY[own.action]), 0, button)
    x = np.where(button == B, 0.0, x)  # specials and air dodges can carry it off, and then nothing brings it back
    mind.hands.wish(~seen.off, x, y, c_x=c_push * x, c_y=c_push * y, hold=button)
    mind.hands.wish(~seen.off & (abs(own.x) > seen.ledge - 22), seen.home)
    mind.live()


def _approach(mind: Mind, stop: float) -> None:
    """Towards the foe on the ground, up to it and down to it."""
    seen, own = mind.seen, mind.seen.own
    mind.go(own.free, seen.foe.x - stop * seen.side)
    above = (seen.dy > 14) & (abs(seen.dx) < 30) & ~seen.foe_off
    mind.jump(above, seen.side, full=seen.dy > 12)
    below = own.ground & own.free & (own.y > 10) & (seen.dy < -10) & (abs(seen.dx) < 40)
    mind.hands.wish(below, 0.0, -1.0)
    mind.drift(own.free & ~own.ground, seen.foe.x)
    mind.jump(~own.ground & own.free & (own.jumps > 0) & (own.vy < 0) & (seen.dy > 20), seen.side)


def _chaser(mind: Mind) -> None:
    """Runs at the foe and swings whatever reaches."""
    own = mind.seen.own
    _approach(mind, 3.0)
    mind.swing(own.free & ~own.ground, AIR_MOVES, np.array([0.5, 0.5, 0.5, 0.5, 0.2]))
    steady = own.free & STEADY[own.action]
    mind.swing(steady, GROUND_MOVES, np.array([0.6, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.3]))
    mind.swing(own.free & RUNNING[own.action], DASH_MOVES, np.array([0.5, 0.2]))
    mind.throw(np.where(mind.chance.draw(7, 64) < 0.5, 1.0, -1.0))
    mind.live()


def _spacer(mind: Mind) -> None:
    """Keeps the range of its tilts, guards against what comes, slides back when the foe is too close."""
    seen, own, chance = mind.seen, mind.seen.own, mind.chance
    _approach(mind, 16.0)
    mind.go(own.free & (abs(seen.dx) < 40) & (abs(seen.dy) < 14), seen.foe.x - 16.0 * seen.side, run=False)
    room = seen.ledge - abs(own.x) > 20
    crowded = (abs(seen.dx) < 9) & (abs(seen.dy) < 10) & ~seen.foe.stun & room & (chance.draw(8, 24) < 0.4)
    mind.slide(crowded, -seen.side)
    _strike(mind, CAREFUL)
    _defend(mind)
    mind.live()


def _strike(mind: Mind, liking: NDArray[np.float64]) -> None:
    own = mind.seen.own
    mind.swing(own.free & ~own.ground, AIR_MOVES, np.array([0.6, 0.8, 0.8, 0.8, 0.3]))
    mind.swing(own.free & STEADY[own.action], GROUND_MOVES, liking)
    mind.swing(own.free & RUNNING[own.action], DASH_MOVES, np.array([0.3, 0.5]))
    mind.cancel_lag()


def _defend(mind: Mind) -> None:
    """Guard against what comes, grab whoever hit the shield, throw, and steer what hits."""
    seen, own = mind.seen, mind.seen.own
    guards = GUARDING[own.action]
    mind.guard(mind.threatened())
    near = seen.covers(own, seen.foe, _row(mind, act.CATCH), -1.0) & ~seen.foe.safe
    mind.hands.wish(guards & ~own.stun & near & ~mind.threatened(0.0) & (own.age > 2), press=Z)
    mind.throw(np.where(abs(own.x) > 0.4 * seen.ledge, -seen.home, seen.side))
    mind.influence()
    mind.finish_slide()


def _row(mind: Mind, action: int) -> NDArray[np.float32]:
    found: NDArray[np.float32] = reaches()[mind.seen.own.character, action]
    return found


def _punisher(mind: Mind) -> None:
    """Waits just out of reach, guards, and takes what the foe leaves open with the strongest move that is in time."""
    seen, own, chance = mind.seen, mind.seen.own, mind.chance
    left_open = mind.opening()
    wait = np.where(chance.draw(9, 16) < 0.5, 15.0, 21.0)
    _approach(mind, 3.0)
    in_reach = left_open > abs(seen.dx) / RUSH + 4
    waits = ~in_reach & (abs(seen.dx) < 40) & (abs(seen.dy) < 14)
    mind.go(own.free & waits, seen.foe.x - wait * seen.side, run=False)
    room = seen.ledge - abs(own.x) > 20
    crowded = waits & (abs(seen.dx) < 9) & ~seen.foe.attacks & room & (chance.draw(8, 24) < 0.2)
    mind.slide(crowded, -seen.side)
    _strike(mind, _best(mind, left_open))
    _guard_edge(mind)
    _defend(mind)
    mind.live()


def _best(mind: Mind, frames: Ints) -> NDArray[np.float64]:
    """How much each ground move is liked: by its strength where it is in time, else by how little it risks."""
    row = reaches()[mind.seen.own.character[:, None], [int(move[0]) for move in GROUND_MOVES]]
    in_time = row[..., FIRST] + 1 <= frames[:, None]
    strong = 1.0 + row[..., DAMAGE] / 6
    return np.where(in_time, strong, CAREFUL).astype(np.float64)


def _guard_edge(mind: Mind) -> None:
    """Meets who is off the stage at the ledge, with a smash where it comes up."""
    seen, own = mind.seen, mind.seen.own
    mind.go(own.free & seen.foe_off & (abs(seen.dx) > 12), np.sign(seen.foe.x) * (seen.ledge - 9))
    near = own.free & own.ground & seen.foe_off & ~seen.foe.safe
    mind.swing(near & STEADY[own.action], GROUND_MOVES, np.array([0.2, 0.6, 0.3, 0.8, 1.5, 0.8, 1.5, 0.0]))


_PLANS: dict[str, Callable[[Mind], None]] = {
    "idle": _idle,
    "walk": _walk,
    "random": _random,
    "chaser": _chaser,
    "spacer": _spacer,
    "punisher": _punisher,
}
