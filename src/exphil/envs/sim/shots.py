"""Projectiles: lasers, needles, missiles and fireballs as items that fly straight and hit once.

Where and when they appear, their speeds and lives are read off the shared replays; damage and knockback are those of
the characters' moves in ``tools/tables``. What curves, bounces, charges or explodes (and whoever is not in the table)
is missing, see ``docs/simulator.md``.
"""

from __future__ import annotations

from math import floor, sqrt

import numpy as np

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import combat, damage, stale
from exphil.envs.sim.state import ITEMS, Record
from exphil.game.ids import Character

_FOX, _FALCO, _SHEIK, _SAMUS, _LUIGI = (
    Character.FOX, Character.FALCO, Character.SHEIK, Character.SAMUS, Character.LUIGI,
)  # fmt: skip
_NONE, _LASER, _NEEDLE = (0.0, 0.0, 0.0, 0.0), (361.0, 100.0, 0.0, 5.0), (0.0, 34.0, 24.0, 0.0)
_MISSILE, _FIRE = (0.0, 20.0, 24.0, 0.0), (361.0, 25.0, 5.0, 0.0)
SHOTS = np.array(
    [
        (_FOX, 342, 11, 54, 16.4, 6.0, 7.0, 0.0, 33, 3, *_NONE, 0),
        (_FOX, 345, 6, 54, 16.41, 11.2, 7.0, 0.0, 33, 3, *_NONE, 0),
        (_FALCO, 342, 17, 55, 10.58, 8.13, 5.0, 0.0, 35, 3, *_LASER, 0),
        (_FALCO, 345, 9, 55, 14.51, 12.41, 5.0, 0.0, 35, 3, *_LASER, 0),
        (_SHEIK, 344, 7, 79, 8.0, 8.0, 4.0, 0.0, 30, 3, *_NEEDLE, 0),
        (_SHEIK, 348, 4, 79, 7.0, 6.0, 2.83, -2.83, 60, 3, *_NEEDLE, 0),
        (_SAMUS, 350, 23, 95, 9.2, 11.58, 0.6, 0.0, 155, 5, *_MISSILE, 1),
        (_SAMUS, 352, 16, 95, 10.41, 9.92, 0.6, 0.0, 155, 5, *_MISSILE, 1),
        (_LUIGI, 342, 18, 105, 8.39, 7.82, 1.2, 0.0, 50, 6, *_FIRE, 0),
    ],
    np.float64,
)
"""Character, action, the frame of it (from 1), the item's number, where it appears (forward, up), its speed, how many
frames it lives, damage, and its angle, knockback growth, base and set knockback (all 0: it does not flinch); which
of the four special moves it is."""
WHO, ACTION, FRAME, KIND, X, Y, SPEED_X, SPEED_Y, LIFE, DAMAGE, ANGLE, GROWTH, BASE, SET, WAY = range(15)
RADIUS = 3.0


@part
def shoot(p: Record, seat: int, items: Record) -> None:
    """What a player's move lets fly in this frame goes into the first slot that is free and was free before."""
    if act.KIND[p.action] != act.K_SPECIAL or p.hitlag > 0.0:
        return
    for row in range(SHOTS.shape[0]):
        if SHOTS[row, WHO] != p.character or SHOTS[row, ACTION] != p.action or SHOTS[row, FRAME] != p.t:
            continue
        for slot in range(ITEMS):
            item = items[slot]
            if item.exists == 0 and item.age == 0:
                item.exists, item.kind, item.owner, item.hit, item.state = 1, int(SHOTS[row, KIND]), seat, row, 0
                item.x, item.y = p.x + SHOTS[row, X] * p.facing, p.y + SHOTS[row, Y]
                item.vx, item.vy = SHOTS[row, SPEED_X] * p.facing, SHOTS[row, SPEED_Y]
                item.life = int(SHOTS[row, LIFE])
                break


@part
def fly(items: Record) -> None:
    """Every item goes on; those that have lived their time are gone, and their slot rests for a frame."""
    for slot in range(ITEMS):
        item = items[slot]
        if item.exists == 0:
            item.age = 0
            continue
        item.x += item.vx
        item.y += item.vy
        item.age += 1
        if item.age >= item.life or item.y < 0.0 <= item.y - item.vy:
            vanish(item)


@part
def vanish(item: Record) -> None:
    """The item is gone; all zero but the mark that keeps its slot empty for a frame."""
    item.exists, item.kind, item.owner, item.hit, item.state, item.life, item.age = 0, 0, 0, 0, 0, 0, -1
    item.x, item.y, item.vx, item.vy = 0.0, 0.0, 0.0, 0.0


@part
def strike(q: Record, p: Record, seat: int, items: Record, tables: Record) -> None:
    """Items of the other player that touch this one."""
    body = tables.attributes[q.character]
    for slot in range(ITEMS):
        item = items[slot]
        if item.exists == 0 or item.owner == seat or q.invulnerable > 0 or combat.safe(q, tables):
            continue
        nearest = min(max(item.y, q.y + body.width), max(q.y + body.height - body.width, q.y + body.width))
        ahead = min(max(q.x, min(item.x, item.x - item.vx)), max(item.x, item.x - item.vx))
        apart = sqrt((q.x - ahead) * (q.x - ahead) + (item.y - nearest) * (item.y - nearest))
        shielded = act.KIND[q.action] == act.K_SHIELD or q.action == act.GUARD_STUN
        if apart > RADIUS + (body.shield_size if shielded else body.width):
            continue
        feel(q, p, item, shielded, tables)
        vanish(item)


@part
def feel(q: Record, p: Record, item: Record, shielded: bool, tables: Record) -> None:
    """What an item of p's does to whom it hits."""
    shot = SHOTS[item.hit]
    move = stale.OWN + int(shot[WAY])
    dealt = shot[DAMAGE] * stale.kept(p, move)
    side = 1.0 if item.vx > 0 else -1.0
    if shielded:
        q.hitlag = float(damage.hitlag(dealt, False))
        combat.stopped(q, dealt, 0.0, side, tables)
        return
    q.percent += dealt
    counted, p.counted = p.counted, 0  # every shot is a move of its own
    stale.remember(p, move)
    p.counted = counted
    if shot[GROWTH] == 0.0:
        return
    q.hitlag = float(damage.hitlag(dealt, False))
    weight = tables.attributes[q.character].weight
    force = damage.knockback(floor(q.percent), shot[DAMAGE], shot[GROWTH], shot[BASE], shot[SET], weight)
    damage.launch(q, force, shot[ANGLE], side, 1, tables)
