"""Who hits whom: hitboxes against bodies and shields, grabs and throws.

A body is an upright capsule, the character's ``width`` and ``height``: the game's own bodies are spheres on an animated
skeleton that nobody publishes, so hits at the very edge differ.
"""

from __future__ import annotations

from math import ceil, floor, sqrt

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import damage, influence, shield, stale, sticks
from exphil.envs.sim.entering import enter, friction
from exphil.envs.sim.state import Record

ELECTRIC = 2
SHIELD_KEPT = 0.7
"""Of the damage, what a shield loses (SmashWiki "Shield", fully pressed; 0.7 in 1,120 hits of the shared replays)."""
HOLD, HOLD_MORE, HOLD_BEHIND, STRUGGLE = 76.0, 1.6, 15, 6
"""Frames that a grab holds, and more for each percent, fewer for who has fewer stocks, and fewer for each push of the
stick and each press of a button (SmashWiki "Grab"; smashboards "Mechanics of Mashing Out of Grab")."""
CHARGED, MOST_CHARGE = 0.3671, 60
"""What a smash attack deals more when it is held for the longest (SmashWiki "Smash attack"), and knockback by the
whole percents of that."""
HAIR = 1e-6
HELD_DISTANCE, THROWN_FROM, THROWN_WEIGHT = 9.0, 6.0, 100.0


@part
def reach(p: Record, q: Record, box: Record, body: Record) -> float:
    """How deep a hitbox is in a body; positive where they touch."""
    x = p.x + box.x * p.facing
    y = p.y + box.y
    radius = body.width
    low = q.y + radius
    high = max(q.y + body.height - radius, low)
    nearest = min(max(y, low), high)
    across, up = x - q.x, y - nearest
    return box["size"] + radius - sqrt(across * across + up * up)


@part
def guarded(p: Record, q: Record, box: Record, body: Record) -> bool:
    """Whether a hitbox touches a shield that is up."""
    if act.KIND[q.action] != act.K_SHIELD and q.action != act.GUARD_STUN:
        return False
    x, y = p.x + box.x * p.facing, p.y + box.y
    across, up = x - q.x, y - (q.y + body.height * 0.5)
    radius = body.shield_size * (0.3 + 0.7 * q.shield / shield.FULL)
    return sqrt(across * across + up * up) <= box["size"] + radius


@part
def touched(p: Record, q: Record, tables: Record) -> tuple[int, int]:
    """The row of ``boxes`` with which p touches q in this frame, and 1 for the body, 2 for the shield; or (-1, 0)."""
    at = tables.motion_at[p.character, p.action]
    if at < 0 or p.t > tables.motion_frames[p.character, p.action]:
        return -1, 0
    body = tables.attributes[q.character]
    row = at + p.t - 1
    if tables.box_at[row] == tables.box_at[row + 1]:
        p.hit_mask = 0
    if p.hit_mask != 0 or p.hitlag > 0.0 or q.invulnerable > 0 or safe(q, tables):
        return -1, 0
    for index in range(tables.box_at[row], tables.box_at[row + 1]):
        box = tables.boxes[index]
        if box.hit >= 0 and guarded(p, q, box, body):
            return index, 2
        grabs = box.hit < 0
        if grabs and (act.KIND[p.action] != act.K_CATCH or q.on_ground == 0 or act.KIND[q.action] == act.K_HELD):
            continue  # special moves that grab are missing
        if reach(p, q, box, body) > 0.0:
            return index, 1
    return -1, 0


@part
def safe(q: Record, tables: Record) -> bool:
    """Whether a body cannot be touched in this frame of its state."""
    kind = act.KIND[q.action]
    if kind == act.K_DEAD or kind == act.K_REBIRTH or kind == act.K_ENTRY or kind == act.K_THROWN:
        return True
    if kind != act.K_MOTION and kind != act.K_AIR_DODGE and kind != act.K_SPECIAL:
        return False  # what the tables have there is left of what was before, which ``invulnerable`` counts
    first = tables.safe[q.character, q.action, 0]
    return first > 0 and first <= q.t <= tables.safe[q.character, q.action, 1]


@part
def charging(p: Record, tables: Record) -> bool:
    """Whether A, still down in the one frame of a smash attack that can be held, holds it for another."""
    at = tables.charged[p.character, p.action]
    if at == 0 or p.t != at or p.charge >= MOST_CHARGE or not p.buttons & sticks.A:
        return False
    p.charge += 1
    return True


@part
def way(p: Record, q: Record, index: int, tables: Record) -> float:
    """To which side a touch sends: aerials and special moves away from who hits, others ahead."""
    hit = tables.boxes[index].hit
    if act.KIND[p.action] != act.K_AERIAL and act.KIND[p.action] != act.K_SPECIAL:
        return p.facing if (q.x - p.x) * p.facing > -4.0 else -p.facing
    if abs(p.x - q.x) < 0.01 or (hit >= 0 and tables.hits[hit].angle == 0.0):
        return p.facing
    return 1.0 if q.x > p.x else -1.0


@part
def hit(p: Record, q: Record, index: int, what: int, side: float, place: int, move: int, tables: Record) -> None:
    """What a touch does. Its side, place and move are those of before either player felt anything."""
    box = tables.boxes[index]
    if box.hit < 0:
        grab(p, q, tables)
        return
    blow = tables.hits[box.hit]
    whole = blow.damage * (1.0 + CHARGED * p.charge / MOST_CHARGE)
    dealt = whole * stale.kept(p, move)
    electric = blow.effect == ELECTRIC
    frames = damage.hitlag(dealt, electric)
    p.hitlag = max(p.hitlag, float(damage.hitlag(dealt, False)))  # who trades blows stands still for the longer one
    q.hitlag = max(q.hitlag, float(frames))
    if what == 2:
        stopped(q, dealt, blow.shield, side, tables)
        return
    q.percent += dealt
    stale.remember(p, move)
    release(q, p, tables)
    force = damage.knockback(
        floor(q.percent),
        floor(whole + HAIR),
        blow.growth,
        blow["base"],
        blow.set,
        tables.attributes[q.character].weight,
    )
    damage.launch(q, force, blow.angle, side, place, tables)


@part
def where(p: Record, q: Record, index: int, tables: Record) -> int:
    """Which third of the body a hitbox is at: 0 high, 1 middle, 2 low."""
    share = (p.y + tables.boxes[index].y - q.y) / tables.attributes[q.character].height
    if share > 2.0 / 3.0:
        return 0
    return 1 if share > 1.0 / 3.0 else 2


@part
def stopped(q: Record, dealt: float, extra: float, side: float, tables: Record) -> None:
    """A shield takes the hit: it shrinks, its owner is stunned and pushed."""
    q.shield -= (dealt + extra) * SHIELD_KEPT
    if q.shield <= 0.0:
        shield.broken(q, tables)
        return
    enter(q, act.GUARD_STUN, tables)
    influence.old(q)
    q.length = int((dealt + 4.45) / 2.235)
    q.rate = tables.whole[q.character, act.GUARD_STUN] / max(q.length, 1)
    q.ground_x = side * min(dealt * 0.0666 * 1.1, 2.0)
    q.air_x = 0.0


@part
def release(q: Record, p: Record, tables: Record) -> None:
    """A hit frees whoever was held, and whoever holds lets go."""
    if act.KIND[q.action] == act.K_HELD and (act.KIND[p.action] == act.K_HOLD) and p.action != act.CATCH_ATTACK:
        enter(p, act.WAIT, tables)


@part
def grab(p: Record, q: Record, tables: Record) -> None:
    """One holds, the other is held in front."""
    enter(p, act.CATCH_PULL if p.action == act.CATCH else act.CATCH_DASH_PULL, tables)
    enter(q, act.PULLED, tables)
    p.timer = int(HOLD + HOLD_MORE * q.percent) - (HOLD_BEHIND if q.stocks < p.stocks else 0)
    q.facing = -p.facing
    p.ground_x, p.air_x, q.ground_x, q.air_x = 0.0, 0.0, 0.0, 0.0


@part
def carry(p: Record, q: Record, tables: Record) -> None:
    """Who is held or thrown is where the hands are; in the first frame of a grab where they were."""
    held = act.KIND[p.action] == act.K_HOLD and act.KIND[q.action] == act.K_HELD
    thrown = act.KIND[p.action] == act.K_THROW and act.KIND[q.action] == act.K_THROWN
    if not (held or thrown) or p.hitlag > 0.0:
        return
    if held:
        p.timer -= struggle(q)
    frames, at = tables.carry_frames[p.character, p.action], tables.carry_at[p.character, p.action]
    if held and (p.t > 1 or p.action == act.CATCH_WAIT or p.action == act.CATCH_ATTACK):
        ahead = tables.carry[at + min(p.t, frames) - 1, 0] if frames > 0 else HELD_DISTANCE
        q.x = p.x + p.facing * ahead
    elif thrown and frames > 0:
        q.x = p.x + p.facing * (_carried(p, p.t, 0, tables) - tables.middle[q.character, 0])
        q.y = p.y + _carried(p, p.t, 1, tables) - tables.middle[q.character, 1]


@part
def struggle(q: Record) -> int:
    """By how much a held player shortens the grab in this frame: one button and one push of the stick count."""
    fewer = STRUGGLE if sticks.pressed(q, sticks.ANY) or q.since_trigger == 0 else 0
    far = q.main_x * q.main_x + q.main_y * q.main_y >= influence.FAR * influence.FAR
    if far and (q.tilt_x < influence.FRESH or q.tilt_y < influence.FRESH):
        q.tilt_x, q.tilt_y = sticks.LONG, sticks.LONG
        fewer += STRUGGLE
    return fewer


@part
def _carried(p: Record, t: int, what: int, tables: Record) -> float:
    """A figure of a throw's path in its frame t, between the frames of animation that are known."""
    at, frames = tables.carry_at[p.character, p.action], tables.carry_frames[p.character, p.action]
    frame = min(max(t * p.rate - 1.0, 0.0), frames - 1.0)
    row, share = at + int(frame), frame - int(frame)
    if share == 0.0:
        return tables.carry[row, what]
    return tables.carry[row, what] * (1.0 - share) + tables.carry[row + 1, what] * share


@part
def throwing(p: Record, tables: Record, body: Record) -> None:
    """A frame of throwing: some throws step forwards or back."""
    at, frames = tables.carry_at[p.character, p.action], tables.carry_frames[p.character, p.action]
    if frames == 0 or tables.carry[at + frames - 1, 2] == 0.0 or p.t * p.rate > frames:
        friction(p, body)
        return
    before = _carried(p, p.t - 1, 2, tables) if p.t > 1 else 0.0
    p.ground_x = (_carried(p, p.t, 2, tables) - before) * p.facing


@part
def let_go(p: Record, q: Record, tables: Record) -> None:
    """Whom nobody holds or throws any more is free."""
    held = act.KIND[q.action] == act.K_HELD and q.action < act.ESCAPED and act.KIND[p.action] != act.K_HOLD
    thrown = act.KIND[q.action] == act.K_THROWN and act.KIND[p.action] != act.K_THROW
    if held or thrown:
        enter(q, act.ESCAPED, tables)


@part
def slowed(p: Record, q: Record, way: int, tables: Record) -> float:
    """How much longer a throw takes because of who is thrown: 1, or the share of the usual weight."""
    if tables.throw_by_weight[p.character, way] == 0:
        return 1.0
    return tables.attributes[q.character].weight / THROWN_WEIGHT


@part
def begin_throw(p: Record, q: Record, way: int, tables: Record) -> None:
    """A throw forward, back, up or down; the timer is the frame in which it lets go."""
    enter(p, act.THROW_FORWARD + way, tables)
    enter(q, act.THROWN_FORWARD + way, tables)
    slow = slowed(p, q, way, tables)
    p.timer = max(ceil(min(tables.throw_frame[p.character, way], p.length) * slow), 2)
    p.length, p.rate, q.length = ceil(p.length * slow), p.rate / slow, 0


@part
def throw(p: Record, q: Record, tables: Record) -> None:
    """A throw that lets go in this frame, before anybody moves; everybody flies as if weighing 100 (tools/tables)."""
    place = p.action - act.THROW_FORWARD
    if act.KIND[p.action] != act.K_THROW or act.KIND[q.action] != act.K_THROWN or p.t + 1 != p.timer or p.hitlag > 1.0:
        return
    if tables.carry_frames[p.character, p.action] > 0:
        p.t += 1
        carry(p, q, tables)  # where the hands will be
        p.t -= 1
    else:
        q.y += THROWN_FROM
    blow = tables.throws[p.character, place]
    move = stale.number(p)
    q.percent += (tables.throw_before[p.character, place] + blow.damage) * stale.kept(p, move)
    stale.remember(p, move)
    side = -p.facing if p.action == act.THROW_BACK else p.facing
    force = damage.knockback(floor(q.percent), blow.damage, blow.growth, blow["base"], blow.set, THROWN_WEIGHT)
    q.on_ground, q.surface, q.hitlag = 0, -1, 0.0
    damage.launch(q, force, blow.angle, side, 1, tables)
    influence.turn(q)
    q.t = 0
