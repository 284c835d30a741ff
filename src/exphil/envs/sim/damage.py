"""What a hit does: knockback, hitlag, hitstun, flight, teching and lying on the ground.

Formulas (SmashWiki "Knockback", "Hitlag", "Hitstun", "Sakurai angle"; the same figures in the
decompilation's common data):

    knockback = ((p / 10 + p d / 20) * 200 / (w + 100) * 1.4 + 18) * growth / 100 + base
    with set knockback s: p = 10 and d = s; with the percent p counted after the hit
    launch speed = 0.03 * knockback, falling by 0.051 a frame; hitstun = floor(0.4 * knockback)
    hitlag = floor(d / 3 + 3), half as much again for electricity
"""

from __future__ import annotations

from math import cos, floor, pi, sin, sqrt

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import air, influence, sticks
from exphil.envs.sim.entering import drift, enter, friction, gravity, slow_in_air
from exphil.envs.sim.state import Record

SPEED, DECAY, STUN = 0.03, 0.051, 0.4
FLIES, FLIGHT = 3, 59
"""How hard a hit is that sends flying; the length of flying where no table knows."""
HURT_FRAMES = (11, 23, 29)
"""The shortest state of being hurt by how hard the hit was: everybody's in recorded games."""
STEEP = 72.0
"""Degrees from which a flight is one straight up."""
SAKURAI = 361.0
TECH_FRAMES = 20
CROUCH_KEPT = 2.0 / 3.0
MOST_HITLAG = 20.0


@part
def knockback(percent: float, damage: float, growth: float, base: float, fixed: float, weight: float) -> float:
    """Knockback in the game's units."""
    if fixed > 0.0:
        percent, damage = 10.0, fixed
    felt = (percent / 10.0 + percent * damage / 20.0) * 200.0 / (weight + 100.0) * 1.4 + 18.0
    return felt * growth / 100.0 + base


@part
def angle_of(angle: float, force: float, grounded: bool) -> float:
    """Radians of a launch; 361 depends on the knockback and on standing."""
    if angle != SAKURAI:
        return angle * pi / 180.0
    if not grounded:
        return 45.0 * pi / 180.0
    if force < 32.0:
        return 0.0
    return min(44.0, 44.0 * (force - 32.0) / 0.1) * pi / 180.0


@part
def launch(p: Record, force: float, angle: float, side: float, place: int, tables: Record) -> None:
    """Knock a player away: state, speeds, hitstun; hitlag comes on top. ``place`` is where: 0 high, 1 middle, 2 low."""
    grounded = p.on_ground == 1
    if p.action == act.CROUCH and grounded:
        force *= CROUCH_KEPT
    direction = angle_of(angle, force, grounded)
    speed = force * SPEED
    p.attack_x, p.attack_y = speed * cos(direction) * side, speed * sin(direction)
    p.facing = -side
    p.ground_x, p.air_x, p.speed_y, p.fast = 0.0, 0.0, 0.0, 0
    p.hitstun = float(floor(force * STUN))
    level = _level(p.hitstun)
    if level == FLIES:
        part = act.FLY_TOP if STEEP <= direction * 180.0 / pi <= 180.0 - STEEP else act.FLY_HIGH + place
    elif grounded:
        part = act.DAMAGE_HIGH_1 + 3 * place + level
    else:
        part = act.DAMAGE_AIR_1 + level
    if grounded and level < FLIES and p.attack_y <= 0.0:
        p.attack_y = 0.0
    elif grounded:
        _lift(p)
    enter(p, part, tables)
    influence.old(p)
    shortest = HURT_FRAMES[level] if level < FLIES else p.length
    p.length = max(shortest, int(p.hitstun) + 1)


@part
def _level(stun: float) -> int:
    """How hard a hit was felt, 0 to 2, or 3 for one that sends flying."""
    if stun < 10.0:
        return 0
    if stun < 21.0:
        return 1
    return 2 if stun < 32.0 else FLIES


@part
def _lift(p: Record) -> None:
    p.on_ground, p.surface = 0, -1
    p.jumps = max(p.jumps - 1, 0) if p.jumps > 1 else p.jumps


@part
def hitlag(damage: float, electric: bool) -> float:
    """Frames both stand still."""
    frames = floor(damage / 3.0 + 3.0)
    if electric:
        frames = floor(frames * 1.5)
    return min(frames, MOST_HITLAG)


@part
def decay(p: Record) -> None:
    """Knockback loses 0.051 a frame along its direction."""
    speed = sqrt(p.attack_x * p.attack_x + p.attack_y * p.attack_y)
    if speed <= DECAY:
        p.attack_x, p.attack_y = 0.0, 0.0
    else:
        p.attack_x -= DECAY * p.attack_x / speed
        p.attack_y -= DECAY * p.attack_y / speed


@part
def hurt(p: Record, tables: Record, body: Record) -> None:
    """A frame of hitstun or tumbling."""
    kind = act.KIND[p.action]
    if p.hitstun > 0.0:
        p.hitstun -= 1.0
    free = p.hitstun <= 0.0
    if p.on_ground:
        friction(p, body)
        return
    if not free:
        gravity(p, body)
        slow_in_air(p, body)
        return
    if kind == act.K_FLY and p.t > max(
        tables.length[p.character, p.action], FLIGHT if p.action in (act.FLY_HIGH, act.FLY_TOP) else 0
    ):
        enter(p, act.TUMBLE, tables)
    if p.action == act.TUMBLE and abs(p.main_x) >= sticks.SMASHED and p.tilt_x < sticks.DASH_FRAMES:
        enter(p, act.FALL, tables)
    started = p.action
    if air.command(p, tables) and p.action != started and act.KIND[p.action] != act.K_AERIAL:
        return
    air.fast_fall(p)
    gravity(p, body)
    drift(p, body)


@part
def landed(p: Record, tables: Record) -> None:
    """A player who flew comes down: a tech, or lying there."""
    p.attack_x, p.attack_y, p.hitstun = 0.0, 0.0, 0.0
    if p.since_trigger < TECH_FRAMES:
        ahead = p.main_x * p.facing
        if ahead > 0.5:
            enter(p, act.TECH_FORWARD, tables)
        elif ahead < -0.5:
            enter(p, act.TECH_BACK, tables)
        else:
            enter(p, act.TECH, tables)
        p.ground_x = 0.0
        return
    enter(p, act.DOWN_BOUND if p.action in (act.FLY_LOW, act.FLY_ROLL, act.TUMBLE) else act.DOWN_BOUND_UP, tables)


@part
def lying(p: Record, tables: Record, body: Record) -> None:
    """A frame of lying on the ground: getting up, rolling, attacking, or lying on."""
    friction(p, body)
    if p.action != act.DOWN_WAIT and p.action != act.DOWN_WAIT_UP:
        return
    shift = act.DOWN_STAND - act.DOWN_WAIT
    stand = p.action + shift
    if sticks.pressed(p, sticks.A | sticks.B):
        enter(p, stand + 1, tables)
    elif abs(p.main_x) >= sticks.DODGED:
        enter(p, stand + (2 if p.main_x * p.facing > 0 else 3), tables)
    elif p.main_y >= sticks.DODGED or sticks.jumped(p) or sticks.pressed(p, sticks.SHIELD_BUTTONS):
        enter(p, stand, tables)
