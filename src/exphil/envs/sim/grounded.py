"""A frame on the ground, by the kind of state that a player is in."""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import combat, damage, ground, reflector, shield, specials, sticks
from exphil.envs.sim.entering import drift, enter, friction, gravity, leave_ground, slow_in_air, squat
from exphil.envs.sim.specials import special
from exphil.envs.sim.state import Record


@part
def special_frame(p: Record, tables: Record, body: Record) -> None:
    """A frame of a special move: what it prescribes, else friction on the ground, gravity and drift in the air."""
    flight = -1 if p.on_ground else specials.aimed(p)
    if flight >= 0:
        specials.fly_on(p, flight)
        return
    if specials.fires(p) and sticks.pressed(p, sticks.B):
        p.timer = 1
    if reflector.is_up(p.character, p.action):
        reflector.holding(p, tables)
        if act.KIND[p.action] != act.K_SPECIAL:
            if p.on_ground:
                friction(p, body)
            else:
                drift(p, body)
                gravity(p, body)
            return
    at = tables.drive_at[p.character, p.action]
    if at >= 0 and p.t <= tables.drive_frames[p.character, p.action]:
        prescribed(p, tables.drive[at + p.t - 1], tables, body)
        return
    if p.side == specials.UP and at < 0 and p.timer < specials.RISE_FRAMES:
        p.timer += 1
        if p.on_ground:
            leave_ground(p)
        p.speed_y = specials.RISE
        drift(p, body)
        return
    if not p.on_ground:
        gravity(p, body)
        across(p, tables, body)
        return
    friction(p, body)


@part
def across(p: Record, tables: Record, body: Record) -> None:
    """The speed across of a special move in the air: some can be steered."""
    if tables.steers[p.character, p.action]:
        drift(p, body)
    else:
        slow_in_air(p, body)


@part
def prescribed(p: Record, row: Record, tables: Record, body: Record) -> None:
    """A frame of a move that games agree on: speeds forward and up, each if they do."""
    if p.on_ground:
        if row[2] > 0.0:
            p.ground_x = row[0] * p.facing
        else:
            friction(p, body)
        return
    if row[2] > 0.0:
        p.air_x = row[0] * p.facing
    else:
        across(p, tables, body)
    if row[3] > 0.0:
        p.speed_y = row[1]
    elif row[5] > 0.0:
        p.speed_y = max(p.speed_y + row[4], min(p.speed_y, -body.fall_max))
    elif (
        p.side == specials.UP and not tables.steers[p.character, p.action]
    ):  # up specials rise: their middle is nearer than falling
        p.speed_y = row[1]
    else:
        gravity(p, body)


@part
def by_animation(p: Record, tables: Record, body: Record) -> None:
    """A frame that the animation moves, else friction."""
    if tables.moves[p.character, p.action] and p.t <= tables.motion_frames[p.character, p.action]:
        p.ground_x = tables.motion[tables.motion_at[p.character, p.action] + p.t - 1, 0] * p.facing
    else:
        friction(p, body)


@part
def free(p: Record, tables: Record, body: Record) -> None:
    """The speed of a state that was just begun out of standing or walking, or goes on."""
    kind = act.KIND[p.action]
    if kind == act.K_WALK:
        if p.main_x * p.facing < ground.WALKED:
            enter(p, act.WAIT, tables)
            friction(p, body)
        else:
            ground.walk(p, body)
            pace(p, tables, body)
    elif kind != act.K_DASH and p.on_ground:
        friction(p, body)


@part
def pace(p: Record, tables: Record, body: Record) -> None:
    """Slow, middle or fast walk by the speed."""
    share = abs(p.ground_x) / body.walk_max
    wanted = act.WALK_SLOW if share < 0.4 else (act.WALK_MIDDLE if share < 0.8 else act.WALK_FAST)
    if p.t > 1 and wanted != p.action:
        frame, held = p.action_frame, p.t
        enter(p, wanted, tables)
        p.action_frame, p.t = frame, held


@part
def slowing(p: Record, tables: Record, body: Record) -> None:
    """Coming out of a run."""
    if sticks.jumped(p):
        squat(p, tables)
        friction(p, body)
        return
    if p.action == act.RUN_BRAKE:
        if p.main_y <= -sticks.CROUCHED:
            enter(p, act.CROUCH_START, tables)
            friction(p, body)
            return
        friction(p, body)
        return
    ground.chase(p, p.main_x * body.run_max, abs(p.main_x) * body.run_accel_a + body.run_accel_b, body.traction)


@part
def squatting(p: Record, tables: Record, body: Record) -> None:
    """A frame before a jump: let go of the button for a short hop, or attack upwards or grab instead."""
    if not (p.buttons & sticks.JUMP_BUTTONS) and p.main_y < sticks.TAP_JUMP:
        p.short_hop = 1
    if sticks.c_pushed(p) == 3 or (sticks.pressed(p, sticks.A) and p.main_y >= sticks.TAP_JUMP):
        enter(p, act.SMASH_UP, tables)
    elif sticks.pressed(p, sticks.Z) or (sticks.pressed(p, sticks.A) and sticks.shielding(p)):
        enter(p, act.CATCH, tables)
    elif sticks.pressed(p, sticks.B) and p.main_y >= 0.55:
        special(p, tables)
    friction(p, body)


@part
def attacking(p: Record, tables: Record, body: Record) -> None:
    """A frame of a ground attack: the animation moves it; late in it something else may start."""
    until = tables.iasa[p.character, p.action]
    if until > 0 and p.t >= until and ground.command(p, tables):
        free(p, tables, body)
        return
    if p.action == act.JAB_1 and p.t > 4 and sticks.pressed(p, sticks.A) and tables.length[p.character, act.JAB_2] > 0:
        enter(p, act.JAB_2, tables)
    if act.KIND[p.action] == act.K_CATCH:
        friction(p, body)  # the tables' way is that of one who ran
    else:
        by_animation(p, tables, body)


@part
def holding(p: Record, foe: Record, tables: Record, body: Record) -> None:
    """A frame of holding somebody: throws, pummels, or they escape."""
    friction(p, body)
    if p.action != act.CATCH_WAIT:
        return
    p.timer -= 1
    if act.KIND[foe.action] != act.K_HELD or p.timer <= 0:
        enter(p, act.CATCH_CUT, tables)
        if act.KIND[foe.action] == act.K_HELD:
            enter(foe, act.ESCAPED, tables)
        return
    way = -1
    if p.main_x * p.facing >= sticks.DODGED:
        way = 0
    elif p.main_x * p.facing <= -sticks.DODGED:
        way = 1
    elif p.main_y >= sticks.DODGED:
        way = 2
    elif p.main_y <= -sticks.DODGED:
        way = 3
    if way >= 0:
        combat.begin_throw(p, foe, way, tables)
    elif sticks.pressed(p, sticks.A):
        enter(p, act.CATCH_ATTACK, tables)
        foe.percent += 3.0
        enter(foe, act.PUMMELLED, tables)


@part
def act_on_ground(p: Record, foe: Record, game: Record, stage: int, tables: Record) -> None:
    """A frame on the ground by the kind of state."""
    body, kind = tables.attributes[p.character], act.KIND[p.action]
    on_platform = p.surface > 0
    if kind == act.K_STAND or kind == act.K_WALK:
        ground.command(p, tables)
        free(p, tables, body)
    elif kind == act.K_TURN:
        ground.turning(p, tables, body)
    elif kind == act.K_DASH:
        if p.t > 1:
            ground.dashing(p, tables, body)
    elif kind == act.K_RUN:
        ground.run_command(p, tables, body)
    elif kind == act.K_TURN_RUN or kind == act.K_BRAKE:
        slowing(p, tables, body)
    elif kind == act.K_CROUCH:
        ground.crouching(p, tables, body, on_platform)
    elif kind == act.K_SQUAT:
        squatting(p, tables, body)
    elif kind == act.K_LANDING:
        if p.action == act.LANDING and p.t > int(body.landing_lag) and ground.command(p, tables):
            free(p, tables, body)
        else:
            friction(p, body)
    elif kind == act.K_ATTACK or kind == act.K_CATCH:
        attacking(p, tables, body)
    elif kind == act.K_SHIELD:
        shield.shielding(p, tables, body, on_platform)
    elif kind == act.K_DAMAGE:
        damage.hurt(p, tables, body)
    elif kind == act.K_DOWN:
        damage.lying(p, tables, body)
    elif kind == act.K_HOLD:
        holding(p, foe, tables, body)
    elif kind == act.K_THROW:
        combat.throwing(p, tables, body)
    elif kind == act.K_MOTION:
        by_animation(p, tables, body)
    elif kind == act.K_SPECIAL:
        special_frame(p, tables, body)
    elif kind != act.K_HELD and kind != act.K_THROWN:
        friction(p, body)
