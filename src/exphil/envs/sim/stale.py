"""Stale moves: what hits again and again deals less.

A move that is among the last nine that hit deals 9 percent less for the newest place, 8 for the next, down to 1 for the
oldest; a hit on a shield does not count, a death forgets all (SmashWiki "Stale-move negation"; the damage of recorded
games follows to 0.01 percent). Hitlag goes by what is dealt, knockback by what a fresh move would deal, with the
percent as it then is, rounded down (980 hits of stale moves: 0.03 percent off at the median, by what is dealt 3.6).

The nine are seven bits each of one whole number, the newest lowest.
"""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import floating
from exphil.envs.sim.state import Record

PLACES, BITS, MASK = 9, 7, 127
FULL = (1 << (PLACES * BITS)) - 1
OWN = 100
"""From here on the four special moves have their numbers."""


@part
def number(p: Record) -> int:
    """The number of a player's move, 0 for none: a tilt or smash is the same move at any angle."""
    action = p.action
    if floating.floats(p) and action >= floating.FIRST_ATTACK:
        action -= floating.FIRST_ATTACK - act.AIR_NEUTRAL
    if action >= act.SPECIALS:
        return OWN + p.side
    if act.TILT_FORWARD_HIGH <= action < act.TILT_UP:
        action = act.TILT_FORWARD
    elif act.SMASH_FORWARD_HIGH <= action < act.SMASH_UP:
        action = act.SMASH_FORWARD
    if act.JAB_1 <= action <= act.AIR_DOWN:
        return action - act.JAB_1 + 1
    if act.THROW_FORWARD <= action <= act.THROW_DOWN:
        return 30 + action - act.THROW_FORWARD
    if act.LEDGE_ATTACK_SLOW <= action <= act.LEDGE_ATTACK:
        return 34 + action - act.LEDGE_ATTACK_SLOW
    return 36 if act.KIND[action] == act.K_MOTION else 0


@part
def kept(p: Record, move: int) -> float:
    """The share of its damage that a move still deals."""
    share, landed = 1.0, p.landed
    for place in range(PLACES):
        if landed & MASK == move:
            share -= 0.01 * (PLACES - place)
        landed >>= BITS
    return share


@part
def remember(p: Record, move: int) -> None:
    """A move has hit; however often, it counts once."""
    if p.counted == 0 and move > 0:
        p.landed = ((p.landed << BITS) | move) & FULL
        p.counted = 1
