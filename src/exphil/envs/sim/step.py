"""One frame of N games: controllers in, every player moved, every touch felt. The simulator is called from here.

The order within a frame is the game's: animations end (with the stick of the frame before), controllers are read and
may start something, speeds change, positions follow, feet meet the ground, and last of all hits are felt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.compiled import compiled, part, records
from exphil.envs.sim import actions as act
from exphil.envs.sim import (
    air,
    combat,
    damage,
    floating,
    ground_lines,
    influence,
    ledge,
    moving,
    shield,
    shots,
    stale,
    sticks,
)
from exphil.envs.sim.ending import finish
from exphil.envs.sim.entering import drift, fall, gravity, hops
from exphil.envs.sim.grounded import act_on_ground, special_frame
from exphil.envs.sim.state import Record
from exphil.game.time import GO_FRAME

ENTRY_FALLS, ENTRY_LATER = -59, 5
"""The frame on which the first player falls into the game, and how much later the second, as in the shared replays."""
REST = np.zeros(6)


@part
def act_in_air(p: Record, game: Record, stage: int, seat: int, tables: Record) -> None:
    """A frame in the air by the kind of state."""
    body, kind = tables.attributes[p.character], act.KIND[p.action]
    if kind == act.K_JUMP or kind == act.K_FALL or hops(p):
        air.flying(p, tables, body, True)
    elif kind == act.K_AERIAL:
        until = tables.iasa[p.character, p.action]
        air.flying(p, tables, body, until > 0 and p.t >= until)
    elif kind == act.K_HELPLESS:
        air.fast_fall(p)
        gravity(p, body)
        drift(p, body)
    elif kind == act.K_AIR_DODGE:
        air.dodging(p, tables, body)
    elif kind in (act.K_DAMAGE, act.K_DAMAGE_AIR, act.K_FLY, act.K_TUMBLE):
        damage.hurt(p, tables, body)
    elif kind == act.K_SPECIAL and floating.floats(p):
        until = tables.iasa[p.character, p.action]
        air.flying(p, tables, body, p.action == floating.FLOAT or 0 < until <= p.t)
    elif kind == act.K_SPECIAL:
        special_frame(p, tables, body)
    elif kind == act.K_LEDGE_JUMP:
        if p.action == act.LEDGE_JUMP_2 or p.action == act.LEDGE_JUMP_SLOW_2:
            air.flying(p, tables, body, p.t > 10)
        else:
            ledge.hanging(p, game, stage, tables)
    elif kind == act.K_LEDGE:
        ledge.hanging(p, game, stage, tables)
    elif kind == act.K_REBIRTH:
        ledge.reviving(p, stage, seat, tables)
    elif kind == act.K_BROKEN:
        gravity(p, body)
    elif kind == act.K_ENTRY and game.frame >= ENTRY_FALLS + ENTRY_LATER * seat:
        fall(p, tables)


@part
def advance(p: Record, foe: Record, game: Record, stage: int, seat: int, tables: Record, pad: Record) -> None:
    """One player's frame up to the hits. ``pad`` is main x, y, c x, y, shoulder, buttons."""
    held = p.hitlag > 0.0
    if held:
        p.hitlag -= 1.0
    frozen = held and p.hitlag > 0.0
    if not frozen and not combat.charging(p, tables):
        p.t += 1
        p.action_frame += p.rate
        if p.length > 0 and p.t > p.length:
            finish(p, stage, seat, game, tables)
    x, y = p.x, p.y
    if held and not frozen:
        influence.last_step(p)
        influence.turn(p)
    sticks.read(p, pad[0], pad[1], pad[2], pad[3], pad[4], int(pad[5]))
    if frozen:
        influence.step(p)
        if p.x != x or p.y != y:
            moving.stopped(p, x, y, game, stage)
        return
    step_x, step_y = p.x - x, p.y - y
    if p.invulnerable > 0:
        p.invulnerable -= 1
    if act.KIND[p.action] != act.K_SHIELD and act.KIND[p.action] != act.K_SHIELD_STUN and p.shield < shield.FULL:
        p.shield = min(p.shield + shield.REGROWTH, shield.FULL)
    if p.on_ground or act.KIND[p.action] == act.K_DOWN_BOUND:
        act_on_ground(p, foe, game, stage, tables)
    else:
        act_in_air(p, game, stage, seat, tables)
    moving.move(p, foe, step_x, step_y, game, stage, tables)
    ledge.beyond(p, stage, tables)


@part
def fight(p: Record, q: Record, tables: Record) -> None:
    """Both players' touches of this frame, found before any is felt; a blow undoes a grab, and a grab another."""
    mine, what = combat.touched(p, q, tables)
    theirs, how = combat.touched(q, p, tables)
    i_hit = mine >= 0 and not (theirs >= 0 and tables.boxes[mine].hit < 0)
    you_hit = theirs >= 0 and not (mine >= 0 and tables.boxes[theirs].hit < 0)
    if not (i_hit or you_hit):
        return
    p.hit_mask = 1 if i_hit else p.hit_mask
    q.hit_mask = 1 if you_hit else q.hit_mask
    forth, high = combat.way(p, q, max(mine, 0), tables), combat.where(p, q, max(mine, 0), tables)
    back, low = combat.way(q, p, max(theirs, 0), tables), combat.where(q, p, max(theirs, 0), tables)
    move, answer = stale.number(p), stale.number(q)
    if i_hit:
        combat.hit(p, q, mine, what, forth, high, move, tables)
    if you_hit:
        combat.hit(q, p, theirs, how, back, low, answer, tables)
    if i_hit and you_hit:
        p.counted, q.counted = 0, 0  # both moves are over


def step(
    players: NDArray[Any], games: NDArray[Any], items: NDArray[Any], pads: NDArray[np.float64], known: NDArray[Any]
) -> None:
    """One frame of every game.

    Args:
        players: ``(E, 2)`` of ``state.PLAYER``.
        games: ``(E,)`` of ``state.GAME``.
        items: ``(E, 15)`` of ``state.ITEM``.
        pads: ``(E, 2, 6)`` float64: main x and y, c x and y, trigger, buttons.
        known: ``data.known()``.
    """
    step_all(records(players), records(games), records(items), pads, records(known))


@compiled(nogil=True)
def step_all(players: Record, games: Record, items: Record, pads: Record, known: Record) -> None:
    """``step``, compiled."""
    tables = known[0]
    for row in range(players.shape[0]):
        game = games[row]
        first, second = players[row, 0], players[row, 1]
        stage = ground_lines.ROW_OF_STAGE[game.stage]
        game.frame += 1
        ground_lines.lift(stage, game)
        shove = moving.crowded(first, second)
        shots.fly(items[row])
        combat.throw(first, second, tables)
        combat.throw(second, first, tables)
        for seat in range(2):  # a loop, so that all that a player does is compiled once
            pad = pads[row, seat] if game.frame >= GO_FRAME else REST
            advance(players[row, seat], players[row, 1 - seat], game, stage, seat, tables, pad)
        if shove != 0.0:
            moving.nudge(first, shove, stage, game)
            moving.nudge(second, -shove, stage, game)
        combat.carry(first, second, tables)
        combat.carry(second, first, tables)
        fight(first, second, tables)
        shots.strike(first, second, 0, items[row], tables)
        shots.strike(second, first, 1, items[row], tables)
        combat.let_go(first, second, tables)
        combat.let_go(second, first, tables)
        shots.shoot(first, 0, items[row])
        shots.shoot(second, 1, items[row])
