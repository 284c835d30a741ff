"""What a scripted player sees of a frame, and where every move reaches.

Frames of E games enter; for one seat leave columns of shape ``(E,)``: the own player as it is now, the other one as it
was ``reaction`` frames ago (people feel their own hands at once and wait for their eyes). Where a move reaches is read
off the simulator's tables: they hold figures of the game, so the scripts play by them in every world.

Nothing can go wrong: a character or an action without figures reaches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.envs.sim import tables
from exphil.game.ids import ATTACKING, CAN_ACT, NUM_ACTIONS, NUM_CHARACTERS
from exphil.game.stages import GEOMETRY, OTHER_LEDGE_X

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LEFT, RIGHT, BOTTOM, TOP, FIRST, LAST, LENGTH, DAMAGE = range(8)
GRAB_DAMAGE = 9.0
"""What a grab is worth beside attacks: about a pummel and a throw."""
CORNER = 3.0
"""Units by which a move and a body must overlap in height: the box around all hitboxes has empty corners."""
_FAST = 12.0  # units a frame: nobody moves faster, who does was put somewhere else


@cache
def reaches() -> NDArray[np.float32]:
    """``(33, 399, 8)``: of every move the box that its hitboxes sweep, its first and last frame, length and damage.

    Lengths in game units seen from the player, x forwards; frames from 1. A move without hitboxes is all 0.
    """
    known = tables.load()
    found = np.zeros((NUM_CHARACTERS, NUM_ACTIONS, 8), np.float32)
    for who, action in zip(*np.nonzero(known.motion_at >= 0), strict=True):
        at, count = int(known.motion_at[who, action]), int(known.motion_frames[who, action])
        first, last = int(known.box_at[at]), int(known.box_at[at + count])
        if first == last:
            continue
        boxes = known.boxes[first:last]
        frames = np.repeat(np.arange(1, count + 1), np.diff(known.box_at[at : at + count + 1]))
        x, y, size, hit = (boxes[name] for name in ("x", "y", "size", "hit"))
        damage = np.where(hit < 0, GRAB_DAMAGE, known.hits["damage"][hit]).max()
        ends = int(known.iasa[who, action]) or int(known.length[who, action]) or count
        box = ((x - size).min(), (x + size).max(), (y - size).min(), (y + size).max())
        found[who, action] = (*box, frames.min(), frames.max(), ends, damage)
    found.flags.writeable = False
    return found


class Body(NamedTuple):
    """One player in E games; positions in game units, speeds in units a frame, ages in frames from 1."""

    x: Floats
    y: Floats
    vx: Floats
    vy: Floats
    facing: Floats
    ground: Bools
    jumps: Ints
    action: Ints
    age: Ints
    percent: Floats
    shield: Floats
    stun: Bools  # in hitlag or hitstun
    safe: Bools  # cannot be touched
    character: Ints

    @property
    def free(self) -> Bools:
        """Whether a press acts at once."""
        return CAN_ACT[self.action] & ~self.stun

    @property
    def attacks(self) -> Bools:
        """Whether hitboxes can come out."""
        return ATTACKING[self.action]

    @property
    def move(self) -> NDArray[np.float32]:
        """``(E, 8)``: the row of ``reaches`` of what is being done."""
        return reaches()[self.character, self.action]


class Seen(NamedTuple):
    """What a script knows on one frame.

    Attributes:
        own: The own player now.
        foe: The other one, ``reaction`` frames ago.
        ledge: Where the ground ends.
    """

    own: Body
    foe: Body
    ledge: Floats

    @property
    def dx(self) -> Floats:
        """How far the foe is to the right."""
        return self.foe.x - self.own.x

    @property
    def dy(self) -> Floats:
        """How far it is above."""
        return self.foe.y - self.own.y

    @property
    def side(self) -> Floats:
        """-1 or 1: where the foe is."""
        return np.where(self.dx < 0, -1.0, 1.0)

    @property
    def home(self) -> Floats:
        """-1 or 1: where the middle of the stage is."""
        return np.where(self.own.x > 0, -1.0, 1.0)

    @property
    def off(self) -> Bools:
        """Whether there is no ground below."""
        return ~self.own.ground & ((abs(self.own.x) > self.ledge - 1) | (self.own.y < -4))

    @property
    def foe_off(self) -> Bools:
        """The same of the foe; hanging from a ledge is off too."""
        return ~self.foe.ground & ((abs(self.foe.x) > self.ledge + 1) | (self.foe.y < -4))

    def covers(self, attacker: Body, victim: Body, move: NDArray[np.float32], slack: float = 0.0) -> Bools:
        """Whether a move would touch the other one if both went on as they go until its first hitbox is out.

        Args:
            attacker: Who would do it.
            victim: Whom it would touch.
            move: ``(E, 8)`` or ``(E, M, 8)``, rows of ``reaches``.
            slack: Units that it may miss by.

        Returns:
            bool ``(E,)`` or ``(E, M)``.
        """
        bodies = tables.load().attributes
        wide, tall = (bodies[name][victim.character] + slack for name in ("width", "height"))
        columns = (attacker.x, attacker.y, attacker.facing, victim.x, victim.y, wide, tall, victim.vx - attacker.vx)
        if move.ndim == 3:
            columns = tuple(column[:, None] for column in columns)  # type: ignore[assignment]
        ax, ay, facing, vx, vy, wide, tall, closing = columns
        ahead = (vx - ax + closing * np.minimum(move[..., FIRST], 10)) * facing
        above = vy - ay
        across = (ahead >= move[..., LEFT] - wide) & (ahead <= move[..., RIGHT] + wide)
        level = (above <= move[..., TOP] - CORNER) & (above + tall >= move[..., BOTTOM] + CORNER)
        found: Bools = across & level & (move[..., FIRST] > 0)
        return found


class Eyes:
    """Remembers what is needed to see: speeds, how long states last, and the foe of some frames ago.

    Args:
        seat: 0 or 1, in port order.
        games: E.
        reaction: Frames until a foe's doing is seen.
    """

    def __init__(self, seat: int, games: int, reaction: int) -> None:
        self._seat, self._reaction = seat, reaction
        self._action = np.zeros((games, 2), np.int64)
        self._age = np.zeros((games, 2), np.int64)
        self._at = np.zeros((games, 2, 2))
        self._past: list[Body] = []

    def see(self, frame: Frame) -> Seen:
        """Take in one frame."""
        own, foe = (self._body(frame, seat, memory) for memory, seat in enumerate((self._seat, 1 - self._seat)))
        fresh = frame.is_first
        if fresh.any():  # of a game that just began nothing older is known
            self._past = [Body(*map(_replaced(fresh), old, foe)) for old in self._past]
        self._past.append(foe)
        if len(self._past) > self._reaction + 1:
            del self._past[0]
        return Seen(own, self._past[0], _LEDGES[np.clip(frame.game.stage.astype(np.int64), 0, len(_LEDGES) - 1)])

    def _body(self, frame: Frame, seat: int, memory: int) -> Body:
        players, fresh = frame.game.players, frame.is_first
        read = {name: getattr(players, name)[:, seat].astype(np.float64) for name in _READ}
        action = players.action[:, seat].astype(np.int64).clip(0, NUM_ACTIONS - 1)
        frozen = read["hitlag"] > 0
        same = (action == self._action[:, memory]) & ~fresh
        self._age[:, memory] = np.where(same, self._age[:, memory] + ~frozen, 1)
        self._action[:, memory] = action
        at = np.stack([read["x"], read["y"]], 1)
        speed = np.where(fresh[:, None], 0.0, at - self._at[:, memory])
        speed[abs(speed).max(1) > _FAST] = 0.0
        self._at[:, memory] = at
        return Body(
            *(read["x"], read["y"], speed[:, 0], speed[:, 1], read["facing"]),
            players.on_ground[:, seat] != 0,
            players.jumps[:, seat].astype(np.int64),
            *(action, self._age[:, memory].copy(), read["percent"], read["shield"]),
            frozen | ((read["hitstun"] > 0) & ~CAN_ACT[action]),
            players.invulnerable[:, seat] != 0,
            players.character[:, seat].astype(np.int64).clip(0, NUM_CHARACTERS - 1),
        )


_READ = ("x", "y", "facing", "percent", "shield", "hitlag", "hitstun")
_LEDGES = np.array([GEOMETRY[stage].ledge_x if stage in GEOMETRY else OTHER_LEDGE_X for stage in range(64)])  # type: ignore[index]


def _replaced(fresh: Bools) -> Callable[[Any, Any], Any]:
    return lambda old, new: np.where(fresh, new, old)
