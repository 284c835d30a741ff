"""How good a game is to learn from: 0 to 100 points with reasons, and which ports a program drives.

``quality`` takes one match as columns and never raises or warns, whatever its rows hold. The points:

========== ====== ======================================================================================
part       points full at ... none at (a straight line between)
========== ====== ======================================================================================
length     25     ``FULL_LENGTH`` frames played ... none; half of the points beyond the tournament clock
damage     20     the worse player deals ``FULL_DAMAGE`` percent ... deals none
activity   20     the worse hand is active on ``FULL_ACTIVITY`` of the frames ... on ``NO_ACTIVITY``
suicides   15     nobody throws a stock away ... one player throws away ``ALL_SUICIDES`` of four; times the
                  smaller of the shares earned for length and activity
diversity  20     the worse player uses ``FULL_DIVERSITY`` action states ... ``NO_DIVERSITY``
========== ====== ======================================================================================

Everything is counted on the frames that are played: from GO until a last stock is lost. A game in which nothing is
played (no stocks, one frame, training mode) has 0 points.

* Activity: a hand is active on a frame when the controller changes, or when something is held and changed within the
  last ``HELD`` frames; a controller that lies on its stick is not a hand.
* Suicides: a stock is thrown away when the player was not hit during it, or stood on the stage after the last hit and
  then died without another. Being hit, launched, tumbling or held while crossing the blast zone is the opponent's.
  Standing is told by action states alone, so that files without ``on_ground``, hitstun or speeds are judged by the
  same rule.
* Who does nothing throws nothing away: therefore suicides earn no more than length and activity allow.
* A program's hand teaches nothing about hands: with a computer or a program in a port activity, suicides and diversity
  are 0, which leaves 45 points, "Fair", at most. Such games are told, not refused.

The five parts and their weights are the earlier system's; every threshold below says where it comes from. "The shared
games" are the 155 human tournament and netplay games (35 and 120) that the tests know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.game.controller import STICK_STEPS
from exphil.game.frames import Game, playing
from exphil.game.ids import CATEGORIES, CATEGORY_OF_ACTION, NUM_ACTIONS
from exphil.game.time import FIRST_FRAME, FRAMES_PER_SECOND, MAX_FRAMES

POINTS = {"length": 25, "damage": 20, "activity": 20, "suicides": 15, "diversity": 20}
"""The most that each part earns (the earlier system's weights)."""
LABELS = ((80, "Excellent"), (60, "Good"), (40, "Fair"), (0, "Poor"))
"""Least score of each label (the earlier system's)."""

FULL_LENGTH = 3000
"""Frames played; 50 s. The earlier system's bound, and shorter than every one of 612 clean public games (3,411)."""
LONGEST = MAX_FRAMES - FIRST_FRAME
"""Frames of a whole recording when the clock of eight minutes runs out; more were not played by tournament rules."""
FULL_DAMAGE = 100.0
"""Percent; the earlier system's bound. In the shared games the worse player deals 74 to 473."""
FULL_ACTIVITY, NO_ACTIVITY = 0.5, 0.1
"""Shares of frames. Hands in the shared games are active on 52% to 91%, those of idle ports and of
laboratory dummies mostly on 0% to 25%."""
HELD = FRAMES_PER_SECOND // 2
"""Frames for which an unchanged controller counts as held by a hand; people change theirs every third frame."""
ALL_SUICIDES = 0.75
"""Thrown-away stocks over four: one in a match happens to everybody, three are no game."""
STOCKS = 4
"""Stocks of a tournament game; a game with fewer losses is judged as if there were this many."""
FULL_DIVERSITY, NO_DIVERSITY = 50, 15
"""Action states; the earlier system's first and last step. The shared games' worse players use 58 to 104."""
RECENT_HIT = FRAMES_PER_SECOND
"""Frames: who is hit less than a second before dying did not die alone."""
FOOTHOLD = 10
"""Frames on the stage after the last hit from which on a player is free again: longer than touching the ground on the
way, shorter than getting up and walking off. With it 73 of the 948 stocks lost in the shared games are thrown away;
"below 50 percent", the earlier system's rule, says 101 and agrees on 40."""

OFF_GRID = 1e-3
"""Steps of the stick grid. float32 errors of recorded values are below 4e-6 of the stick's range, 3e-4 steps; the grids
of computers (1/127, 1/128) miss it by a third of a step."""
PROGRAM_SHARE = 0.001
"""Share of frames with a stick off the grid from which on a port is a program's: no false alarm in 1,694 human ports
of public files."""

_LAST_ACTION = NUM_ACTIONS - 1


def _states(*names: str) -> NDArray[np.bool_]:
    return np.isin(CATEGORY_OF_ACTION, [CATEGORIES.index(name) for name in names])


DEAD = _states("dead")
STANDS = _states(
    "idle", "walk", "dash", "jump_squat", "crouch", "landing", "jab", "tilt", "smash", "shield", "grab"
)  # on the stage and master of oneself: the ledge, the air and lying down are neither
SUFFERS = _states("damage", "tumble", "grabbed")


@dataclass(frozen=True)
class Quality:
    """What a game is worth and why."""

    score: int
    """0..100."""
    parts: dict[str, float]
    """Points of each part, 0..``POINTS``; the score is their rounded sum."""
    reasons: tuple[str, ...]
    """Half sentences, the costliest first; empty for full marks."""
    programs: tuple[bool, bool]
    """By seat: a computer by the start block, or a stick off the grid."""

    @property
    def label(self) -> str:
        """Excellent, Good, Fair or Poor."""
        return next(name for least, name in LABELS if self.score >= least)


class _Loss(NamedTuple):
    points: float
    reason: str


def _by_seat(game: Game, column: str) -> NDArray[Any]:
    """``(2, T)``: a column of the players as two dense rows, which numpy walks several times faster than the rows."""
    return np.ascontiguousarray(np.asarray(getattr(game.players, column)).T)


def off_grid(game: Game) -> NDArray[np.float64]:
    """``(2,)``: by seat, the share of frames with a main stick or c-stick that no controller can report.

    A value that is not a number, or beyond 1, counts as off the grid. Nanas are not looked at: the game steers them.
    """
    if not len(game):
        return np.zeros(2)
    on = np.ones((2, len(game)), bool)
    with np.errstate(all="ignore"):
        for name in ("main_x", "main_y", "c_x", "c_y"):
            steps = _by_seat(game, name) * np.float32(STICK_STEPS)
            on &= (np.abs(steps - np.rint(steps)) <= OFF_GRID) & (np.abs(steps) <= STICK_STEPS + OFF_GRID)
    share: NDArray[np.float64] = (~on).mean(1)
    return share


def programs(game: Game) -> tuple[bool, bool]:
    """By seat: whether a program moves the sticks.

    True proves one. False does not prove a hand: a bot that plays through an emulated controller stays on the grid,
    and a port that nobody touches does.
    """
    share = off_grid(game)
    return bool(share[0] > PROGRAM_SHARE), bool(share[1] > PROGRAM_SHARE)


def active(game: Game) -> NDArray[np.bool_]:
    """``(T, 2)``: frames on which a hand is at the controller; see the module.

    Recorded sticks and triggers are 0 within the game's dead zones (0.2875 and 43/140), so anything else is held.
    """
    held = np.zeros((2, len(game)), bool)
    changed = held.copy()
    for name in ("buttons", "main_x", "main_y", "c_x", "c_y", "shoulder"):
        column = _by_seat(game, name)
        held |= column != 0
        changed[:, 1:] |= column[:, 1:] != column[:, :-1]
    at = np.arange(len(game))
    since = at - np.maximum.accumulate(np.where(changed, at, -HELD - 1), axis=1)
    moved: NDArray[np.bool_] = changed | (held & (since <= HELD))
    return moved.T


def _clean_percent(game: Game) -> NDArray[np.float32]:
    """``(2, T)``, 0..999 as on the screen, whatever the rows hold."""
    percent: NDArray[np.float32] = np.clip(np.nan_to_num(_by_seat(game, "percent")), 0, 999)
    return percent


def _actions(game: Game) -> NDArray[np.int16]:
    """``(2, T)``, such that the tables of action states can be asked."""
    clipped: NDArray[np.int16] = np.clip(_by_seat(game, "action"), 0, _LAST_ACTION)
    return clipped


def _losses(stocks: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Frames of ``(T,)`` on which a stock is gone for good; a loss that netplay predicted and took back is none."""
    left = np.maximum.accumulate(stocks[::-1])[::-1]
    return np.flatnonzero(left[1:] < left[:-1]) + 1


def _thrown_away(
    percent: NDArray[np.float32],
    action: NDArray[np.int16],
    launched: NDArray[np.bool_],
    losses: NDArray[np.intp],
) -> list[bool]:
    """For every lost stock of one player whether it was thrown away; arguments are ``(T,)`` columns, see the module.

    The percent of a life stays until the player is set back on the stage, and a stock may be counted only at the end
    of a star KO: so a life ends on the last frame before the state of being dead.
    """
    dead, stands = DEAD[action], STANDS[action]
    alive = np.maximum.accumulate(np.where(dead, -1, np.arange(len(action))))
    found, begin = [], 0
    for loss in losses:
        last = int(alive[loss - 1])  # before begin where a damaged file has a player dead for a whole life
        life = percent[begin : max(begin, last) + 1]
        hits = np.flatnonzero(life[1:] > life[:-1])
        hit = begin + 1 + int(hits[-1]) if len(hits) else begin
        if last < begin or launched[last] or SUFFERS[action[last]] or (len(hits) and last - hit < RECENT_HIT):
            found.append(False)
        else:
            found.append(not len(hits) or int(stands[hit + 1 : last + 1].sum()) >= FOOTHOLD)
        begin = int(loss)
    return found


def suicides(game: Game) -> tuple[list[bool], list[bool]]:
    """By seat, for every stock lost in order: True when it was thrown away, False when the opponent took it."""
    if len(game) < 2:
        return [], []
    percent, action, stocks = _clean_percent(game), _actions(game), _by_seat(game, "stocks")
    launched = _by_seat(game, "hitstun") > 0
    for name in ("speed_x_attack", "speed_y_attack"):
        launched |= _by_seat(game, name) != 0
    first, second = (
        _thrown_away(percent[seat], action[seat], launched[seat], _losses(stocks[seat])) for seat in (0, 1)
    )
    return first, second


def dealt(game: Game) -> NDArray[np.float64]:
    """``(2,)``: percent that each player dealt: the opponent's highest percent of every life, added up."""
    if not len(game):
        return np.zeros(2)
    percent = np.where(DEAD[_actions(game)], np.float32(0), _clean_percent(game))  # it stays on while dead
    stocks = _by_seat(game, "stocks")
    starts = [np.concatenate([[0], _losses(stocks[seat])]) for seat in (0, 1)]
    taken = [np.maximum.reduceat(percent[seat], starts[seat]).sum(dtype=np.float64) for seat in (0, 1)]
    return np.array(taken[::-1])


def _ramp(value: float, none: float, full: float) -> float:
    """0 at ``none``, 1 at ``full``, straight between and flat beyond."""
    return 0.0 + float(min(max((value - none) / (full - none), 0.0), 1.0))  # the sum takes the sign from -0


def _worse(values: Any) -> tuple[int, float]:
    """The player (1 or 2) with the smaller value, and the value."""
    seat = int(np.argmin(values))
    return seat + 1, float(values[seat])


def _length(frames: int) -> tuple[float, str]:
    if frames > LONGEST:
        return 0.5, f"play lasts {frames} frames, longer than the tournament clock"
    return _ramp(frames, 0, FULL_LENGTH), f"play lasts only {frames / FRAMES_PER_SECOND:.0f} s"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or share == 0 else f"{share:.1%}"


def _suicide_share(game: Game) -> tuple[float, str]:
    both = suicides(game)
    player, kept = _worse([1 - sum(thrown) / max(STOCKS, len(thrown)) for thrown in both])
    thrown = both[player - 1]
    stocks = "stock" if len(thrown) == 1 else "stocks"
    reason = f"player {player} throws away {sum(thrown)} of {len(thrown)} lost {stocks}"
    return _ramp(kept, 1 - ALL_SUICIDES, 1.0), reason if sum(thrown) else ""


def _program_reason(share: NDArray[np.float64], computers: tuple[bool, bool], driven: tuple[bool, bool]) -> str:
    said = [
        f"player {seat + 1} is a computer"
        if computers[seat]
        else f"player {seat + 1} is a program (stick off the controller's grid on {_percent(share[seat])} of frames)"
        for seat in (0, 1)
        if driven[seat]
    ]
    return " and ".join(said)


def quality(game: Game, computers: tuple[bool, bool] = (False, False)) -> Quality:
    """Judge one match.

    Args:
        game: The rows of one match, shape ``(T,)``, numpy, own and opponent in any order.
        computers: By seat, whether the start block says that the game's own computer plays; programs that the sticks
            betray are found here.
    """
    share = off_grid(game)
    driven = (bool(computers[0] or share[0] > PROGRAM_SHARE), bool(computers[1] or share[1] > PROGRAM_SHARE))
    played = np.asarray(playing(game))
    frames = int(played.sum())
    if not frames:
        return Quality(0, dict.fromkeys(POINTS, 0.0), ("nothing is played",), driven)
    length, length_reason = _length(frames)
    dealer, damage = _worse(dealt(game))
    idler, activity = _worse(active(game).T[:, played].mean(1))
    actions = _actions(game)
    repeater, states = _worse([np.count_nonzero(np.bincount(actions[seat][played])) for seat in (0, 1)])
    stocks, stocks_reason = _suicide_share(game)
    hands = _ramp(activity, NO_ACTIVITY, FULL_ACTIVITY)
    shares = {
        "length": length,
        "damage": _ramp(damage, 0, FULL_DAMAGE),
        "activity": hands,
        "suicides": stocks * min(length, hands),
        "diversity": _ramp(states, NO_DIVERSITY, FULL_DIVERSITY),
    }
    reasons = {
        "length": length_reason,
        "damage": f"player {dealer} deals {damage:.0f} percent",
        "activity": f"player {idler} presses something on {_percent(activity)} of frames",
        "suicides": stocks_reason,
        "diversity": f"player {repeater} uses {states:.0f} action states",
    }
    lost = []
    if any(driven):
        by_hand = ("activity", "suicides", "diversity")
        shares.update(dict.fromkeys(by_hand, 0.0))
        reasons.update(dict.fromkeys(by_hand, ""))
        lost.append(_Loss(sum(POINTS[part] for part in by_hand), _program_reason(share, computers, driven)))
    parts = {part: points * shares[part] for part, points in POINTS.items()}
    lost += [_Loss(POINTS[part] - parts[part], reasons[part]) for part in POINTS]
    told = sorted((loss for loss in lost if loss.points > 0 and loss.reason), key=lambda loss: -loss.points)
    return Quality(round(sum(parts.values())), parts, tuple(loss.reason for loss in told), driven)
