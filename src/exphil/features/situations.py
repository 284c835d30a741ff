"""Situations: what players call the frame that they see, as names that are bits of one 64-bit number.

``Situations.fold`` reads games from the seat of player 0 and gives every frame its labels. It is the only rule, live
(one frame at a time) and in batch: what it must remember of earlier frames is a ``Carried``, and however a game is cut
into pieces, the labels are the same. It never looks ahead. Only numpy is used.

What can go wrong: a column that a source lacks (``Lacks``) gives no labels. Without ``STATE`` nobody juggles or stands
on a platform, and hitstun is read off the action states; without items or their owners no projectile comes in. A stage
without geometry has the ledge of the feature table and no blast zones. Of Nana only the distance is looked at.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.errors import ExphilError
from exphil.features.labels import DEFAULT, SITUATIONS, Thresholds
from exphil.features.view import TABLES
from exphil.game.frames import Game, Lacks, playing
from exphil.game.ids import ATTACKING, CAN_ACT, CAPTURED, GRABBING, NUM_ACTIONS, NUM_STAGES, THROWN
from exphil.game.stages import GEOMETRY
from exphil.game.time import GO_FRAME, answer

Flags = NDArray[np.bool_]
Clock = NDArray[np.int32]


class _Is(IntFlag):
    """Groups of action states that situations tell apart."""

    DEAD = 1
    REBIRTH = 2
    GONE = 4  # dead, reviving or entering: nobody's position counts
    DAMAGE = 8
    HELD = 16  # grabbed, thrown, or caught by a special move
    THROWN = 32  # grabbed or thrown
    LYING = 64
    FLOOR = 128  # lying, getting up, teching on the ground
    SHIELD = 256
    BROKEN = 512
    LEDGE = 1024
    LOOSE = 2048  # tumbling or in special fall
    COMMITTED = 4096  # ground attacks, reaching for a grab, landing lag of aerials and special fall
    ATTACK = 8192
    READY = 16384


_RANGES = {
    _Is.DEAD: ((0x00, 0x0A),),
    _Is.REBIRTH: ((0x0C, 0x0D),),
    _Is.GONE: ((0x00, 0x0D), (0x142, 0x144)),
    _Is.DAMAGE: ((0x4B, 0x5B), (0xB9, 0xB9), (0xC1, 0xC1)),
    _Is.HELD: (*CAPTURED, *THROWN, (0x10A, 0x124), (0x126, 0x130), (0x147, 0x152)),
    _Is.THROWN: (*CAPTURED, *THROWN),
    _Is.LYING: ((0xB7, 0xB9), (0xBF, 0xC1)),
    _Is.FLOOR: ((0xB7, 0xC9),),
    _Is.SHIELD: ((0xB2, 0xB6),),
    _Is.BROKEN: ((0xCD, 0xD3),),
    _Is.LEDGE: ((0xFC, 0x104), (0x106, 0x106)),  # not the flight of a ledge jump
    _Is.LOOSE: ((0x23, 0x26),),
    _Is.COMMITTED: ((0x2B, 0x40), (0x46, 0x4A), (0xD4, 0xD4), (0xD6, 0xD6)),
}
"""The first and last of each run of action states, from the game's own action state table."""


def _kinds() -> NDArray[np.uint16]:
    table = np.zeros(NUM_ACTIONS, np.uint16)
    for kind, ranges in _RANGES.items():
        for first, last in ranges:
            table[first : last + 1] |= np.uint16(kind)
    table[ATTACKING | GRABBING] |= np.uint16(_Is.ATTACK)
    table[CAN_ACT] |= np.uint16(_Is.READY)
    return table


_KINDS = _kinds()
_LEDGE_X = TABLES["ledge_x"].array
_ZONES = np.full((4, NUM_STAGES), np.inf, np.float32)  # how far left, right, up and down from the origin
_ZONES[:, list(GEOMETRY)] = np.abs([stage[1:] for stage in GEOMETRY.values()]).T

_FAR = 1 << 16
"""Frames between two games on the clock that runs through all of them: longer than any game or window."""


class Carried(NamedTuple):
    """What is remembered of E games up to their last frame, from which all clocks count: they are not positive."""

    frame: Clock  # (E,) number of the last frame
    x: NDArray[np.float32]  # (2, E, frames of an approach) the last positions, NaN while not in play
    clock: Clock  # (E, frames of an approach) when those were
    percent: NDArray[np.float32]  # (2, E)
    stocks: NDArray[np.uint8]  # (2, E)
    last: Clock  # (7, 2, E) when each event of _Past last happened


class _Seen:
    """The columns of games ``(E, T)`` with the seat first, ``(2, E, T)``: index 0 is own, ``[::-1]`` the other's."""

    def __init__(self, game: Game, limits: Thresholds) -> None:
        players = game.players
        self.x, self.y = _seats(players.x), _seats(players.y)
        self.percent, self.stocks = _seats(players.percent), _seats(players.stocks)
        self.kind: NDArray[np.uint16] = _KINDS[_seats(players.action).clip(0, NUM_ACTIONS - 1)]
        self.stage = game.stage.clip(0, NUM_STAGES - 1)
        unknown = game.lacks & Lacks.STATE != 0
        self.present = _seats(players.exists).astype(bool) & ~self.states(_Is.GONE)
        self.ground = _seats(players.on_ground).astype(bool) & self.present
        self.air = self.present & ~self.ground & ~unknown
        reeling = (_seats(players.hitstun) > 0) | (self.states(_Is.DAMAGE) & unknown)
        self.struck = self.present & (reeling | self.states(_Is.HELD))
        self.floor, self.broken, self.ledge = map(self.states, (_Is.FLOOR, _Is.BROKEN, _Is.LEDGE))
        self.stunned = self.struck | self.floor | self.broken
        self.free = self.present & ~self.stunned
        self.side, self.ledge_x = abs(self.x), _LEDGE_X[self.stage]
        beyond = (self.side > self.ledge_x) | (self.y < limits.offstage_y)
        self.off = self.present & beyond & ~self.ground & ~self.ledge
        self.dx, self.dy = self.x[1] - self.x[0], self.y[1] - self.y[0]  # (E, T): the opponent's less own
        self.apart = self.dx * self.dx + self.dy * self.dy  # squared
        self.both = self.present[0] & self.present[1]

    def states(self, kinds: _Is) -> Flags:
        """Who is in an action state of these kinds."""
        return (self.kind & np.uint16(kinds)).astype(np.bool_)


def _seats(column: Any) -> Any:
    """A column ``(E, T, 2)`` as a copy ``(2, E, T)``."""
    return np.ascontiguousarray(column.transpose(2, 0, 1))


class _Past:
    """When things last happened, on the clock of the frames, ``(2, E, T)`` each; and what the next fold must know.

    ``struck``: in hitstun or held. ``hit``: percent rose in that. ``opened``: struck after a pause. ``chained``: a
    second hit without a pause. ``attack``: attacking. ``ground``: standing. ``death``: losing a stock.
    """

    def __init__(self, carried: Carried, seen: _Seen, frame: Clock, opens: Flags, limits: Thresholds) -> None:
        passed = np.minimum(frame - _shifted(carried.frame, frame), _FAR)
        self.clock = np.where(opens, np.int32(_FAR), passed).cumsum(-1, dtype=np.int32)
        hit = seen.struck & (seen.percent > _shifted(carried.percent, seen.percent)) & ~opens
        death = (seen.stocks < _shifted(carried.stocks, seen.stocks)) & ~opens
        events = np.stack([seen.struck, hit, seen.states(_Is.ATTACK), seen.ground, death])
        times = self._latest(carried.last[:5], events)
        self.struck, self.hit, self.attack, self.ground, self.death = times[..., 1:]
        paused = self.clock - times[0, ..., :-1] > limits.combo_gap
        self.opened = self._latest(carried.last[5], seen.struck & paused)[..., 1:]
        self.chained = self._latest(carried.last[6], hit & (times[1, ..., :-1] >= self.opened))[..., 1:]
        ring, end = carried.x.shape[-1], self.clock[:, -1:]
        x = np.concatenate([carried.x, np.where(seen.present, seen.x, np.float32(np.nan))], -1)
        clock = np.concatenate([carried.clock, self.clock], -1)
        self.old_x = np.where(self.clock - clock[:, :-ring] < _FAR, x[..., :-ring], np.float32(np.nan))
        last = np.stack([*times[..., -1], self.opened[..., -1], self.chained[..., -1]])
        self.carried = Carried(
            frame[:, -1].copy(),
            x[..., -ring:].copy(),
            np.maximum(clock[:, -ring:] - end, -_FAR),
            seen.percent[..., -1].copy(),
            seen.stocks[..., -1].copy(),
            np.maximum(last - end[:, 0], -_FAR),
        )

    def _latest(self, before: Clock, happens: Flags) -> Clock:
        """When an event last happened, with what was carried in front: ``(..., E, 1 + T)``."""
        times = np.concatenate([before[..., None], np.where(happens, self.clock, np.int32(-_FAR))], -1)
        return np.maximum.accumulate(times, -1)

    def within(self, times: Clock, frames: int) -> Flags:
        """Where that was at most so many frames ago."""
        return self.clock - times <= frames


def _shifted(before: Any, values: Any) -> Any:
    """What stood one frame earlier."""
    return np.concatenate([before[..., None], values[..., :-1]], -1)


def _places(seen: _Seen, past: _Past, limits: Thresholds) -> dict[str, Flags]:
    """Facts about where each player is."""
    stage = seen.present & ~seen.off & ~seen.ledge
    inside = np.where(seen.x > 0, seen.x - seen.x[::-1], seen.x[::-1] - seen.x) > 0
    left, right, top, bottom = (_ZONES - np.float32(limits.blast_zone))[:, seen.stage]
    near = (seen.x < -left) | (seen.x > right) | (seen.y > top) | (seen.y < -bottom)
    low, recovering = seen.y < limits.below_ledge_y, seen.off & ~seen.stunned
    out = np.maximum(seen.side - seen.ledge_x, 0) ** 2 + np.minimum(seen.y, 0) ** 2  # from the stage, squared
    moved = seen.x - past.old_x  # NaN where it is not known, which no comparison lets through
    towards = moved * (past.old_x[::-1] - past.old_x)
    walks = (abs(moved) >= limits.approach) & seen.free & ~past.within(past.struck, limits.approach_frames)
    return {
        "center": stage & (seen.side <= limits.center * seen.ledge_x),
        "cornered": stage & (seen.side >= seen.ledge_x - limits.corner) & inside & seen.both,
        "off_stage": seen.off,
        "on_platform": seen.ground & (seen.y >= limits.platform_y),
        "above": np.stack([seen.dy <= -limits.above, seen.dy >= limits.above]) & seen.both,
        "near_blast_zone": near & seen.present,
        "on_ledge": seen.ledge,
        "ledge_trap": stage & seen.free & seen.ledge[::-1] & (abs(seen.dx) <= limits.ledge_trap),
        "edgeguard": seen.free & seen.off[::-1] & (~seen.off | (out < out[::-1])),
        "recovery_low": recovering & low,
        "recovery_high": recovering & ~low,
        "approach": walks & (towards > 0),
        "retreat": walks & (towards < 0),
    }


def _fights(seen: _Seen, past: _Past, limits: Thresholds) -> dict[str, Flags]:
    """Facts about what each player does to the other."""
    hit, shield = past.hit, seen.states(_Is.SHIELD)
    fresh = past.within(hit, limits.conversion) & (hit > past.death.max(0))
    over = np.stack([seen.dy >= limits.juggle_y, seen.dy <= -limits.juggle_y]) & (abs(seen.dx) <= limits.juggle_x)
    kept_up = seen.air & ~seen.ledge & fresh & (past.ground < hit)
    chained = past.within(past.struck, limits.combo_gap) & (past.chained >= past.opened)
    pressing = seen.free & past.within(past.attack, limits.combo_gap) & (seen.apart <= limits.shield_pressure**2)
    punishing = seen.free & seen.states(_Is.READY) & (seen.apart <= limits.whiff**2)
    return {
        "juggle": seen.free & kept_up[::-1] & over,
        "tech_chase": seen.free & seen.floor[::-1] & (seen.apart <= limits.chase**2),
        "knocked_down": seen.states(_Is.LYING),
        "shielding": shield,
        "shield_pressure": pressing & shield[::-1],
        "shield_broken": seen.broken,
        "grabbed": seen.states(_Is.THROWN),
        "combo": (chained & seen.present)[::-1],
        "conversion_open": (fresh & (hit > hit[::-1]))[::-1],
        "struck": seen.struck,
        "whiff_punish": punishing & seen.states(_Is.COMMITTED)[::-1],
    }


def _standing(game: Game, seen: _Seen, past: _Past, limits: Thresholds) -> dict[str, Flags]:
    """Facts about stocks, percents and the clock; those of no seat have one row."""
    frame, percent, stocks = game.frame[None], seen.percent, seen.stocks
    return {
        "invulnerable": _seats(game.players.invulnerable).astype(bool),
        "respawn": seen.states(_Is.REBIRTH),
        "dead": seen.states(_Is.DEAD),
        "died": past.within(past.death, limits.post_kill),
        "last_stock": stocks == 1,
        "percent_lead": (percent[::-1] - percent >= limits.percent_gap) & seen.both,
        "stock_lead": stocks > stocks[::-1],
        "kill_percent": seen.present & (percent >= limits.kill_percent),
        "timeout_near": frame >= limits.timeout_frame,
        "warmup": answer(frame) < GO_FRAME + limits.warmup,
        "projectile_incoming": _projectile(game, seen, limits)[None],
        "climbers_separated": _separated(game, seen, limits)[None],
    }


def _projectile(game: Game, seen: _Seen, limits: Thresholds) -> Flags:
    """Where an item of the opponent's flies at player 0, ``(E, T)``; items are few, so only those are looked at."""
    items, coming = game.items, np.zeros(game.shape, np.bool_)
    at = np.nonzero((items.exists != 0) & (items.owner == -1))
    if len(at[0]):
        x, y, vx = items.x[at], items.y[at], items.vx[at]
        ahead, level = seen.x[0][at[:2]] - x, abs(seen.y[0][at[:2]] - y) <= limits.projectile_y
        soon = (ahead * vx > 0) & (abs(ahead) <= abs(vx) * limits.projectile_frames)
        coming[at[0][level & soon], at[1][level & soon]] = True
    coming &= seen.present[0]
    return coming


def _separated(game: Game, seen: _Seen, limits: Thresholds) -> Flags:
    """Where player 0's Nana lives and is far from Popo, ``(E, T)``."""
    nana = game.nana
    far: Flags = (nana.exists[..., 0] != 0) & seen.present[0]
    if not far.any():
        return far
    plays = _KINDS[nana.action[..., 0].clip(0, NUM_ACTIONS - 1)] & np.uint16(_Is.GONE) == 0
    dx, dy = nana.x[..., 0] - seen.x[0], nana.y[..., 0] - seen.y[0]
    far &= plays & (dx * dx + dy * dy > limits.climbers**2)
    return far


def _worse(seen: _Seen, past: _Past, facts: dict[str, Flags], limits: Thresholds) -> NDArray[np.int8]:
    """How badly off each player is, ``(2, E, T)``; whoever has the greater number is in disadvantage.

    From the worst: dead; in hitstun, held, down or with a broken shield; edgeguarded; off stage, on the ledge,
    juggled, pressed, tumbling or helpless. Of two who are equally badly off, it is worse for the one who was hit last.
    """
    pressed = facts["juggle"][::-1] | facts["shield_pressure"][::-1]
    exposed = seen.off | seen.ledge | pressed | seen.states(_Is.LOOSE)
    behind = past.within(past.hit, limits.conversion) & (past.hit > past.hit[::-1]) & exposed
    worse = facts["dead"].astype(np.int8)
    for next_worst in (seen.stunned, facts["edgeguard"][::-1], exposed, behind):
        worse = worse * np.int8(2) + next_worst
    return worse


class Situations:
    """The rule that gives frames their labels; ``thresholds`` say where situations begin."""

    def __init__(self, thresholds: Thresholds = DEFAULT) -> None:
        self.thresholds = thresholds

    def start(self, games: int) -> Carried:
        """What is remembered of so many games before their first frame: nothing."""
        ring = self.thresholds.approach_frames
        return Carried(
            np.full(games, np.iinfo(np.int32).max, np.int32),
            np.full((2, games, ring), np.nan, np.float32),
            np.full((games, ring), -_FAR, np.int32),
            np.zeros((2, games), np.float32),
            np.zeros((2, games), np.uint8),
            np.full((7, 2, games), -_FAR, np.int32),
        )

    def fold(self, carried: Carried, game: Game, is_first: Flags | None = None) -> tuple[NDArray[np.uint64], Carried]:
        """Label the next frames of some games that lie side by side.

        A frame whose number is not greater than that of the frame before it opens another game, in which nothing is
        remembered; so does one that ``is_first`` marks, which is needed only where a game opens in its middle. Frames
        on which not both play (before GO, after the last stock) have no labels at all.

        Args:
            carried: What ``start`` or the fold of the frames before gave; it is not changed.
            game: numpy, shape ``(E, T)`` with T >= 1, the seat to label as player 0.
            is_first: bool ``(E, T)``: a game opens here.

        Returns:
            uint64 ``(E, T)``, bits as in ``SITUATIONS``, and what to hand to the next fold.

        Raises:
            ExphilError: when the game's shape does not go with what is carried.
        """
        if len(game.shape) != 2 or game.shape[0] != len(carried.frame) or game.shape[1] < 1:
            raise ExphilError(
                f"frames of shape {game.shape} do not continue {len(carried.frame)} games",
                fix="hand over frames of shape (games, time), at least one of each game",
            )
        limits, frame = self.thresholds, game.frame
        opens = frame <= _shifted(carried.frame, frame)
        opens = opens if is_first is None else opens | is_first
        seen = _Seen(game, limits)
        past = _Past(carried, seen, frame, opens, limits)
        facts = _places(seen, past, limits) | _fights(seen, past, limits) | _standing(game, seen, past, limits)
        worse = _worse(seen, past, facts, limits)
        facts |= {"advantage": worse < worse[::-1], "neutral": worse == worse[::-1]}
        bits = np.zeros((64, *game.shape), bool)
        for place, label in enumerate(SITUATIONS):
            bits[place] = facts[label.fact][label.seat]
        bits &= playing(game) & (game.players.exists != 0).all(-1)
        packed = np.packbits(bits, axis=0, bitorder="little").transpose(1, 2, 0)
        labels: NDArray[np.uint64] = np.ascontiguousarray(packed).view("<u8")[..., 0].astype(np.uint64, copy=False)
        return labels, past.carried
