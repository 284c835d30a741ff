"""What a player on the ground may start, and how each grounded state moves.

Speeds and their order are read off the shared replays: a dash sets the speed along the ground at once and moves by it
from the next frame on; walking and running approach the stick's share of the top speed; everything else slows down by
friction (SmashWiki "Traction": doubled above walking speed).
"""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import sticks
from exphil.envs.sim.entering import enter, friction, leave_ground, squat
from exphil.envs.sim.specials import special
from exphil.envs.sim.state import Record

WALKED = 0.2875
RAN, RUN_TURNED = 0.62, -0.3
DASH_TURN = 0.25
"""What a dash keeps of its speed when it turns round."""
ANGLED = 0.25
CROUCH_LEFT = 0.6125
PASS_SPEED, PASS_FRAME = -0.5, 4
"""Speed down on falling through a platform, and the frame of crouching on which that happens."""


@part
def attack(p: Record, tables: Record) -> bool:
    """Smash, tilt or jab by the stick's direction; whether there was one."""
    push = sticks.c_pushed(p)
    fresh = sticks.pressed(p, sticks.A)
    if not fresh and push == 0:
        return False
    smash_x = abs(p.main_x) >= sticks.SMASHED and p.tilt_x < sticks.SMASH_FRAMES
    smash_y = abs(p.main_y) >= sticks.TAP_JUMP and p.tilt_y < sticks.SMASH_FRAMES
    if push == 3 or (fresh and smash_y and p.main_y > 0):
        enter(p, act.SMASH_UP, tables)
    elif push == 4 or (fresh and smash_y and p.main_y < 0):
        enter(p, act.SMASH_DOWN, tables)
    elif push != 0 or smash_x:
        side = p.main_x if push == 0 else (1.0 if push == 1 else -1.0)
        p.facing = 1.0 if side > 0 else -1.0
        enter(p, act.SMASH_FORWARD, tables)
    elif p.main_y <= -WALKED and abs(p.main_y) >= abs(p.main_x):
        enter(p, act.TILT_DOWN, tables)
    elif p.main_y >= WALKED and p.main_y >= abs(p.main_x):
        enter(p, act.TILT_UP, tables)
    elif abs(p.main_x) >= WALKED:
        p.facing = 1.0 if p.main_x > 0 else -1.0
        angle = act.TILT_FORWARD
        if p.main_y > ANGLED:
            angle = act.TILT_FORWARD_HIGH
        elif p.main_y < -ANGLED:
            angle = act.TILT_FORWARD_LOW
        if tables.length[p.character, angle] == 0:
            angle = act.TILT_FORWARD
        enter(p, angle, tables)
    else:
        enter(p, act.JAB_1, tables)
    return True


@part
def grabbed_for(p: Record) -> bool:
    """Whether a grab is asked for."""
    return sticks.pressed(p, sticks.Z) or (sticks.pressed(p, sticks.A) and sticks.shielding(p))


@part
def command(p: Record, tables: Record) -> bool:
    """Whatever a player who is free on the ground asks for; whether it was anything."""
    return stand_command(p, tables) or _move(p, tables)


@part
def stand_command(p: Record, tables: Record) -> bool:
    """What is asked for apart from walking, turning and crouching."""
    if sticks.pressed(p, sticks.B) and special(p, tables):
        return True
    if grabbed_for(p):
        enter(p, act.CATCH, tables)
        return True
    if attack(p, tables):
        return True
    return _guard_or_jump(p, tables)


@part
def _guard_or_jump(p: Record, tables: Record) -> bool:
    if sticks.shielding(p):
        enter(p, act.GUARD_ON, tables)
        return True
    if sticks.jumped(p):
        squat(p, tables)
        return True
    return False


@part
def _move(p: Record, tables: Record) -> bool:
    ahead = p.main_x * p.facing
    if ahead >= sticks.SMASHED and p.tilt_x < sticks.DASH_FRAMES:
        dash(p, tables)
        return True
    if p.main_y <= -sticks.CROUCHED:
        if p.action != act.CROUCH_START and p.action != act.CROUCH:
            enter(p, act.CROUCH_START, tables)
            return True
        return False
    if ahead <= -WALKED:
        if p.action != act.TURN:
            enter(p, act.TURN, tables)
            p.side = 1 if ahead <= -sticks.SMASHED and p.tilt_x < sticks.DASH_FRAMES else 0
            return True
        return False
    if ahead >= WALKED and act.KIND[p.action] != act.K_WALK:
        enter(p, act.WALK_SLOW, tables)
        return True
    return False


@part
def dash(p: Record, tables: Record) -> None:
    """The first frame of a dash: the speed is there, and moves from the next frame on."""
    body = tables.attributes[p.character]
    enter(p, act.DASH, tables)
    p.ground_x += body.dash_init * p.facing
    p.ground_x = max(-body.dash_init, min(body.dash_init, p.ground_x))


@part
def chase(p: Record, target: float, accel: float, amount: float) -> None:
    """Speed goes up to the target by ``accel``, or down to it by friction."""
    if p.ground_x * target > 0 and abs(p.ground_x) > abs(target):
        step = min(amount, abs(p.ground_x) - abs(target))
        p.ground_x -= step if p.ground_x > 0 else -step
        return
    p.ground_x += accel if target > 0 else -accel
    if (p.ground_x - target) * target > 0:
        p.ground_x = target


@part
def walk(p: Record, body: Record) -> None:
    """A frame of walking: the nearer the top speed, the less is added."""
    target = p.main_x * body.walk_max
    if p.main_x == 0.0:
        friction(p, body)
        return
    accel = abs(p.main_x) * body.walk_init + body.walk_accel
    share = p.ground_x / target
    if share > 1.0:
        friction(p, body)
        if abs(p.ground_x) < abs(target) and p.ground_x * target > 0:
            p.ground_x = target
        return
    if share > 0.0:
        accel *= (1.0 - share) * 0.5
    p.ground_x += accel if target > 0 else -accel
    if (p.ground_x - target) * target > 0:
        p.ground_x = target


@part
def dash_command(p: Record, tables: Record) -> bool:
    """What a dash or a run may become; whether it became anything."""
    if sticks.pressed(p, sticks.B) and special(p, tables):
        return True
    if grabbed_for(p):
        enter(p, act.CATCH_DASH, tables)
        return True
    push = sticks.c_pushed(p)
    if push == 1 or push == 2:
        p.facing = 1.0 if push == 1 else -1.0
        enter(p, act.SMASH_FORWARD, tables)
        return True
    if sticks.pressed(p, sticks.A):
        if p.action == act.DASH and p.t <= 4 and p.main_x * p.facing >= sticks.SMASHED:
            enter(p, act.SMASH_FORWARD, tables)
        else:
            enter(p, act.DASH_ATTACK, tables)
        return True
    return _guard_or_jump(p, tables)


@part
def dashing(p: Record, tables: Record, body: Record) -> None:
    """A later frame of a dash."""
    ahead = p.main_x * p.facing
    if dash_command(p, tables):
        friction(p, body)
        return
    if ahead <= -sticks.SMASHED and p.tilt_x < sticks.DASH_FRAMES:
        enter(p, act.TURN, tables)
        p.side = 1
        p.ground_x *= DASH_TURN
        friction(p, body)
        return
    if p.t > tables.dash_frames[p.character] and ahead >= RAN:
        enter(p, act.RUN, tables)
        running(p, body)
        return
    if p.main_x == 0.0:
        friction(p, body)
        return
    accel = abs(p.main_x) * body.run_accel_a + body.run_accel_b
    chase(p, p.main_x * body.run_max, accel, body.traction)


@part
def running(p: Record, body: Record) -> None:
    """A frame of running."""
    accel = abs(p.main_x) * body.run_accel_a + body.run_accel_b
    chase(p, p.main_x * body.run_max, accel, body.traction)


@part
def run_command(p: Record, tables: Record, body: Record) -> None:
    """A later frame of a run: what it may become, else on."""
    ahead = p.main_x * p.facing
    if dash_command(p, tables):
        friction(p, body)
    elif ahead <= RUN_TURNED:
        enter(p, act.TURN_RUN, tables)
        friction(p, body)
    elif ahead < RAN:
        enter(p, act.RUN_BRAKE, tables)
        friction(p, body)
    else:
        running(p, body)


@part
def turning(p: Record, tables: Record, body: Record) -> None:
    """A frame of turning round: at once into a dash if the stick was pushed hard."""
    ahead = p.main_x * p.facing
    if p.side == 1 and p.t == 2 and ahead <= -sticks.SMASHED:
        p.facing = -p.facing
        p.side = 0
        dash(p, tables)
        return
    if p.t == int(body.turn_frames) + 1:
        p.facing = -p.facing
        ahead = -ahead
    if sticks.shielding(p) or sticks.jumped(p) or sticks.pressed(p, sticks.A | sticks.B | sticks.Z):
        if p.t <= int(body.turn_frames):
            p.facing = -p.facing
        command(p, tables)
    elif ahead >= sticks.SMASHED and p.tilt_x < sticks.DASH_FRAMES:
        dash(p, tables)
        return
    friction(p, body)


@part
def crouching(p: Record, tables: Record, body: Record, stage_has_platform: bool) -> None:
    """A frame of crouching: attacks, jumps, falling through a platform, standing up."""
    if p.action == act.CROUCH_START and p.t == PASS_FRAME and stage_has_platform and p.main_y <= -sticks.FAST_FALL:
        drop(p, tables, body)
        return
    if not stand_command(p, tables) and p.action == act.CROUCH and p.main_y > -CROUCH_LEFT:
        enter(p, act.CROUCH_END, tables)
    if act.KIND[p.action] != act.K_WALK and p.action != act.DASH:
        friction(p, body)


@part
def drop(p: Record, tables: Record, body: Record) -> None:
    """Through the platform that one stands on."""
    under, speed = p.surface, p.ground_x
    leave_ground(p)
    p.passing, p.air_x = under, speed
    p.speed_y = PASS_SPEED - body.gravity
    enter(p, act.PASS, tables)
