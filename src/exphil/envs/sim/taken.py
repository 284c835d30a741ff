"""A recorded game as the simulator's records, so that the truth test can begin at any of its frames.

What enters: packed rows of one game, frame after frame. What leaves: the records after each of them. What a frame does
not show is read off the frames before it (never those after): how long a state has lasted, since when a stick is away
from rest, whether an attack has hit. Where the past does not tell either, the usual is taken: a special move that the
recording enters in the middle goes on as the table says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.compiled import compiled, records
from exphil.envs.sim import actions as act
from exphil.envs.sim import (
    air,
    combat,
    damage,
    floating,
    influence,
    ledge,
    reflector,
    shield,
    shots,
    specials,
    stale,
    state,
    sticks,
)
from exphil.envs.sim.entering import FIRST_OF_MANY, HOP_FRAMES, KIRBY, LAST_OF_MANY, PUFF
from exphil.envs.sim.moving import LOCKED, settle
from exphil.envs.sim.reset import HEIGHTS

Bools = NDArray[np.bool_]
Wholes = NDArray[np.int64]

STUNS = (act.LANDING_SPECIAL, *range(act.LANDING_AIR_NEUTRAL, act.LANDING_AIR_NEUTRAL + 5), act.GUARD_STUN)
"""States whose one animation plays as fast as it must to last as long as it should."""
ENDLESS = (
    *range(act.WALK_SLOW, act.WALK_FAST + 1), *range(act.FALL, act.FALL_SPECIAL + 3), act.WAIT, act.RUN, act.GUARD,
    act.CROUCH, act.CATCH_WAIT, act.LEDGE_WAIT, act.TUMBLE, act.REBIRTH_WAIT,
)  # fmt: skip
HANGS = (act.LEDGE_CATCH, act.LEDGE_WAIT, *range(act.LEDGE_CLIMB_SLOW, act.LEDGE_JUMP_SLOW_1 + 1), act.LEDGE_JUMP_1)
"""States after which a ledge cannot be caught for a while."""
SAME = (
    "percent", "x", "y", "facing", "action_frame", "shield", "hitlag", "hitstun", "main_x", "main_y", "c_x", "c_y",
    "shoulder", "action", "buttons", "jumps", "on_ground", "stocks", "character",
)  # fmt: skip
"""Columns of a player that records hold under the same name."""
SPEEDS = {
    "ground_x": "speed_ground_x",
    "air_x": "speed_air_x",
    "speed_y": "speed_y",
    "attack_x": "speed_x_attack",
    "attack_y": "speed_y_attack",
}
"""Those that have another name in a frame."""


def taken(rows: NDArray[Any], tables: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The records after every row.

    Args:
        rows: ``(T,)`` of ``frames.ROW``: one game of two, action numbers below ``ids.NUM_ACTIONS``.
        tables: ``data.load()``.

    Returns:
        ``(T, 2)`` of ``state.PLAYER``, ``(T,)`` of ``state.GAME``, ``(T, 15)`` of ``state.ITEM``.
    """
    real = rows["players"]
    players: Any = np.zeros(real.shape, state.PLAYER).view(np.recarray)
    games: Any = np.zeros(len(rows), state.GAME).view(np.recarray)
    columns = ("main_x", "main_y", "c_x", "c_y", "shoulder", "buttons")
    players.tilt_x[0], players.tilt_y[0], players.since_trigger[0] = sticks.LONG, sticks.LONG, sticks.LONG
    _hold(
        records(players), np.stack([real[name].astype(np.float64) for name in columns], -1), real["action"], _lag(real)
    )
    for name in SAME:
        players[name] = real[name]
    for name, column in SPEEDS.items():
        players[name] = real[column]
    games.frame, games.stage = rows["frame"], rows["stage"]
    known = (rows["platforms"] != 0).any(1)
    players.aloft = np.minimum(_since(real["on_ground"] != 0), sticks.LONG)
    players.feet = np.where(players.aloft > LOCKED, tables.feet[players.character, players.action], 0.0)
    games.left_rest = games.right_rest = 1_000_000  # whoever filled the heights goes on doing so
    games.left_height = np.where(known, rows["platforms"][:, 0], HEIGHTS[0])
    games.right_height = np.where(known, rows["platforms"][:, 1], HEIGHTS[1])
    begun = _begun(real)
    _place(players, real, begun, tables)
    _last(players, real, begun, tables)
    _remember(players, real, begun, tables)
    settle(records(players), records(games))
    return players, games, _shots(rows)


def _lag(real: NDArray[Any]) -> NDArray[np.int8]:
    """1 in the first frame of hitlag, 2 in those that follow, else 0."""
    found = (real["hitlag"] > 0).astype(np.int8)
    found[1:][(found[1:] > 0) & (real["hitlag"][1:] < real["hitlag"][:-1])] = 2
    return found


@compiled()
def _hold(players: Any, pads: Any, action: Any, lag: Any) -> None:
    """The controllers of all frames, as the simulator reads them; a push that was used up in hitlag is an old one."""
    for row in range(len(players)):
        for seat in range(players.shape[1]):
            if row > 0:
                players[row, seat] = players[row - 1, seat]
            p, pad = players[row, seat], pads[row, seat]
            sticks.read(p, pad[0], pad[1], pad[2], pad[3], pad[4], int(pad[5]))
            if act.KIND[action[row, seat]] == act.K_JUMP and p.action != action[row, seat]:
                p.tilt_y = sticks.LONG
            p.action = action[row, seat]
            if lag[row, seat] == 1:
                influence.old(p)
            elif lag[row, seat] == 2:
                influence.step(p)


def _latest(where: Bools) -> Wholes:
    """The last row up to each at which something is so, -1 for none; the shape of ``where``."""
    at = np.arange(len(where))[:, None]
    found: Wholes = np.maximum.accumulate(np.where(where, at, -1), 0)
    return found


def _since(where: Bools) -> Wholes:
    """Rows since something was so, 0 where it is; very many where it never was."""
    latest = _latest(where)
    return np.where(latest >= 0, np.arange(len(where))[:, None] - latest, 1 << 30)


def _begun(real: NDArray[Any]) -> Wholes:
    """The row in which each state began, ``(T, 2)``: another action, or its animation from the start again."""
    new = np.ones(real.shape, np.bool_)
    new[1:] = real["action"][1:] != real["action"][:-1]
    new[1:] |= (real["action_frame"][1:] < real["action_frame"][:-1]) & ~np.isin(real["action"][1:], ENDLESS)
    return _latest(new)


def _place(players: Any, real: NDArray[Any], begun: Wholes, tables: Any) -> None:
    """How long states have lasted, and what the body does."""
    at = np.arange(len(real))[:, None]
    frozen = np.zeros(real.shape, np.int64)
    frozen[1:] = (real["hitlag"][1:] > 0) & (real["hitlag"][:-1] > 0)
    still = np.cumsum(frozen, 0)
    players.t = 1 + (at - begun) - (still - np.take_along_axis(still, begun, 0))
    body = tables.attributes[players.character]
    players.fast = (players.on_ground == 0) & (np.abs(real["speed_y"] + body["fast_fall"]) < 1e-3)
    players.surface = np.where(players.on_ground != 0, 0, -1)
    players.passing = -1


def _last(players: Any, real: NDArray[Any], begun: Wholes, tables: Any) -> None:
    """How long states last: by the tables, or by what was seen of them."""
    who, action, body = players.character, players.action, tables.attributes[players.character]
    length, rate = tables.length[who, action].astype(np.int64), tables.rate[who, action].astype(np.float64)
    length = np.where(action == act.JUMP_SQUAT, body["jump_squat"].astype(np.int64), length)
    length = np.where(np.isin(action, ENDLESS), 0, length)
    length = np.where(act.KIND[action] == act.K_DEAD, ledge.DEAD_FRAMES, length)
    length = np.where(action == act.REBIRTH, ledge.REBIRTH_FRAMES, length)
    length = np.where(action == act.DIZZY, shield.DIZZY_FRAMES, length)
    length = np.where(_floats(players) & (action == floating.FLOAT) | _reflects(players), 0, length)
    length = np.where(_hops(players), HOP_FRAMES, length)
    hurt = (action >= act.DAMAGE_HIGH_1) & (action <= act.FLY_ROLL)
    shortest = np.where(action < act.FLY_HIGH, np.array(damage.HURT_FRAMES)[(action - act.DAMAGE_HIGH_1) % 3], length)
    left = np.maximum(players.t + real["hitstun"].astype(np.int64), shortest)
    length = np.where(hurt, left, length)
    place = np.clip(action - act.THROW_FORWARD, 0, 3)
    throws = act.KIND[action] == act.K_THROW
    weight = tables.attributes["weight"][players.character[:, ::-1]] / combat.THROWN_WEIGHT
    slow = np.where(throws & (tables.throw_by_weight[who, place] != 0), weight, 1.0)
    let_go = np.maximum(np.ceil(np.minimum(tables.throw_frame[who, place], length) * slow), 2)
    players.timer = np.where(throws, let_go.astype(np.int64), players.timer)
    length, rate = np.where(throws, np.ceil(length * slow).astype(np.int64), length), rate / slow
    whole = tables.whole[who, action] + 0.15
    step = np.zeros(real.shape)
    step[1:] = real["action_frame"][1:] - real["action_frame"][:-1]
    first = begun == np.arange(len(real))[:, None]
    seen = np.isin(action, STUNS) & ~first & (step > 0)
    length = np.where(seen, np.maximum(np.round(whole / np.where(seen, step, 1.0)).astype(np.int64), players.t), length)
    rate = np.where(seen, step, rate)
    for place, name in enumerate(("landing_n", "landing_f", "landing_b", "landing_u", "landing_d")):
        fresh = first & (action == act.LANDING_AIR_NEUTRAL + place)
        lag = body[name] // np.where(players.since_trigger < air.L_CANCEL_FRAMES, 2, 1)
        length = np.where(fresh, lag.astype(np.int64), length)
        rate = np.where(fresh, whole / np.maximum(lag, 1), rate)
    players.length, players.rate = length, rate


def _remember(players: Any, real: NDArray[Any], begun: Wholes, tables: Any) -> None:
    """What states keep besides: hits that were landed, hops let go, turns, specials, ledges, safety after a death."""
    action, kind = players.action, act.KIND[players.action]
    at = np.arange(len(players))[:, None]
    hit = _latest(players.hitlag > 0)
    players.hit_mask = (hit >= begun) & (hit > _latest(_clear(players, tables)))
    let_go = (players.buttons & sticks.JUMP_BUTTONS == 0) & (players.main_y < sticks.TAP_JUMP)
    players.short_hop = (action == act.JUMP_SQUAT) & (_latest(let_go) >= begun)
    hard = (players.main_x * players.facing <= -sticks.SMASHED) & (players.tilt_x < sticks.DASH_FRAMES)
    players.side = (action == act.TURN) & (players.t == 1) & hard
    special = kind == act.K_SPECIAL
    players.side = np.where(special, _way(players, special, tables), players.side)
    players.ledge_lock = np.maximum(ledge.LOCK_FRAMES - _since(np.isin(action, HANGS)), 0)
    hanging = np.isin(action, (act.LEDGE_CATCH, act.LEDGE_WAIT))
    players.timer = np.where(hanging, at - _latest(~hanging), players.timer)
    opens = special.copy()
    opens[1:] &= ~special[:-1]
    began = special & (_latest(opens) == begun)
    players.timer = np.where(special, np.where(began, players.t, specials.RISE_FRAMES), players.timer)
    up = _reflects(players)
    players.timer = np.where(
        up, at - _latest(~up & ~np.isin(action, (reflector.TURN, reflector.TURN_AIR))), players.timer
    )
    shooting = np.isin(players.character, specials.BLASTERS) & np.isin(action, specials.SHOOTING)
    fresh = (players.buttons & ~players.was_buttons & sticks.B) != 0
    players.timer = np.where(shooting, _latest(fresh) >= begun, players.timer)
    floats = np.cumsum(_floats(players), 0)
    players.floated = floats - np.take_along_axis(floats, np.maximum(_latest(players.on_ground != 0), 0), 0)
    holds = kind == act.K_HOLD
    kept = (combat.HOLD + combat.HOLD_MORE * players.percent[:, ::-1]).astype(np.int64) - (at - _latest(~holds))
    players.timer = np.where(holds, np.maximum(kept, 1), players.timer)
    reborn = _since(np.isin(action, (act.REBIRTH, act.REBIRTH_WAIT)))
    caught = _since((action == act.LEDGE_CATCH) & (begun == at))
    left = np.maximum(ledge.SAFE_AFTER - reborn, ledge.SAFE_FRAMES - caught)
    players.invulnerable = np.where(real["invulnerable"] != 0, np.maximum(left, 2), 0)
    waits = (tables.charged[players.character, action] > 0) & (
        players.action_frame == np.roll(players.action_frame, 1, 0)
    )
    waits &= (begun != at) & (players.hitlag == 0)
    held = np.cumsum(waits, 0)
    players.charge = held - np.take_along_axis(held, begun, 0)
    players.t -= players.charge
    _stale(records(players), begun, _struck(real))


def _hops(players: Any) -> Bools:
    found: Bools = np.isin(players.character, (KIRBY, PUFF)) & (players.action >= FIRST_OF_MANY)
    return found & (players.action <= LAST_OF_MANY)


def _floats(players: Any) -> Bools:
    found: Bools = (players.character == floating.PEACH) & (players.action >= floating.FLOAT)
    return found & (players.action <= floating.LAST_ATTACK)


def _reflects(players: Any) -> Bools:
    who = np.isin(players.character, (reflector.FOX, reflector.FALCO))
    found: Bools = who & np.isin(players.action, (reflector.UP, reflector.UP_AIR))
    return found


def _struck(real: NDArray[Any]) -> Bools:
    """``(T, 2)``: whether a player is struck, shields apart, in this frame."""
    found = np.zeros(real.shape, np.bool_)
    hurt = np.isin(act.KIND[real["action"][1:]], (act.K_DAMAGE, act.K_DAMAGE_AIR, act.K_FLY, act.K_DOWN))
    found[1:] = (real["percent"][1:] > real["percent"][:-1]) & hurt
    return found


@compiled()
def _stale(players: Any, begun: Any, struck: Any) -> None:
    """The moves that hit last, by who is struck while what is done."""
    for row in range(1, len(players)):
        for seat in range(2):
            p = players[row, seat]
            p.landed, p.counted = players[row - 1, seat].landed, players[row - 1, seat].counted
            if p.stocks < players[row - 1, seat].stocks:
                p.landed = 0
            if begun[row, seat] == row:
                p.counted = 0
            if struck[row, 1 - seat]:
                stale.remember(p, stale.number(p))


def _clear(players: Any, tables: Any) -> Bools:
    """Frames without a hitbox: after them an attack may hit again."""
    start = tables.motion_at[players.character, players.action]
    drawn = (start >= 0) & (players.t <= tables.motion_frames[players.character, players.action])
    row = np.where(drawn, start + players.t - 1, 0)
    found: Bools = drawn & (tables.box_at[row] == tables.box_at[row + 1])
    return found


def _way(players: Any, special: Bools, tables: Any) -> Wholes:
    """Which of the four specials each one is, by the state in which it began; neutral if no table has that."""
    new = special.copy()
    new[1:] &= ~special[:-1] | (players.character[1:] != players.character[:-1])
    first = np.maximum(_latest(new), 0)
    starts = tables.special[players.character]
    same = (starts == players.action[..., None, None]).any(-1)
    way = np.where(same.any(-1), same.argmax(-1), 0)
    return np.take_along_axis(way, first, 0)


def _shots(rows: NDArray[Any]) -> NDArray[Any]:
    """The items that the simulator knows, in flight; the others are left out."""
    real = rows["items"]
    items: Any = np.zeros(real.shape, state.ITEM).view(np.recarray)
    whose = np.where(real["owner"] > 0, 0, 1)
    who = np.take_along_axis(rows["players"]["character"].astype(np.int64), whose, 1)
    there = (real["exists"] != 0) & (real["owner"] != 0)
    new = there.copy()
    new[1:] &= ~there[:-1] | (real["type"][1:] != real["type"][:-1])
    for number, shot in enumerate(shots.SHOTS):
        same = there & (real["type"] == shot[shots.KIND]) & (who == shot[shots.WHO]) & (items.exists == 0)
        same &= (real["vy"] != 0) == (shot[shots.SPEED_Y] != 0)
        items.hit[same], items.life[same], items.exists[same] = number, int(shot[shots.LIFE]), 1
    known = items.exists != 0
    for name, column in (("x", "x"), ("y", "y"), ("vx", "vx"), ("vy", "vy"), ("kind", "type"), ("state", "state")):
        items[name] = np.where(known, real[column], 0)
    items.owner = np.where(known, whose, 0)
    items.age = np.where(known, np.arange(len(rows))[:, None] - np.maximum(_latest(new), 0), 0)
    return items
