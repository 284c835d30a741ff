"""Positions follow the speeds; feet meet the ground, hands the ledge, and bodies each other."""

from __future__ import annotations

from exphil.compiled import compiled, part
from exphil.envs.sim import actions as act
from exphil.envs.sim import air, damage, ground_lines, ledge, shield, sticks
from exphil.envs.sim.entering import enter, fall, land, leave_ground
from exphil.envs.sim.state import Record

WALL_DEPTH, WALL_WIDTH = 20.0, 2.0
"""How far down the sides of a stage are a wall, and how near to it a body comes; the undersides differ by stage."""
PASSES = (act.K_MOTION, act.K_HOLD, act.K_THROW, act.K_HELD, act.K_THROWN)
"""Kinds of states in which nobody is pushed."""
SHOVE, SHOULDER = 0.3, 3.3
"""How far two who stand in one place are pushed apart in a frame, and half of how near that is, as in the shared
replays (it is a little less for small characters)."""
LOCKED = 10
"""Frames after leaving the ground in which the feet stay where the position is, as in the game (SmashWiki
"Environmental collision box"): an air dodge out of a jump squat lands at once."""
FALLS_OFF = (
    act.K_DASH, act.K_RUN, act.K_TURN_RUN, act.K_BRAKE, act.K_LANDING, act.K_SQUAT, act.K_SHIELD_STUN, act.K_DAMAGE,
    act.K_TURN, act.K_CROUCH,
)  # fmt: skip


@part
def crowded(p: Record, q: Record) -> float:
    """How far p is pushed this frame because both stand in one place; q is pushed the other way."""
    if not p.on_ground or not q.on_ground or p.surface != q.surface or abs(p.x - q.x) >= 2 * SHOULDER:
        return 0.0
    if act.KIND[p.action] in PASSES or act.KIND[q.action] in PASSES:
        return 0.0
    return -SHOVE if p.x < q.x else SHOVE


@part
def nudge(p: Record, by: float, stage: int, game: Record) -> None:
    """Push a player who still stands, no further than the surface goes."""
    if p.on_ground and p.hitlag <= 0.0:
        left, right = ground_lines.ends(stage, p.surface, game.frame)
        p.x = min(max(p.x + by, left), right)
        p.y = ground_lines.height(stage, p.surface, p.x, game)


@part
def touch_down(p: Record, surface: int, game: Record, stage: int, tables: Record) -> None:
    """Feet on a surface."""
    kind = act.KIND[p.action]
    p.y = ground_lines.height(stage, surface, p.x, game)
    land(p, surface, tables)
    if kind == act.K_FLY or kind == act.K_TUMBLE:
        damage.landed(p, tables)
    elif kind == act.K_BROKEN:
        enter(p, act.BREAK_DOWN, tables)
        p.length = shield.DOWN_FRAMES
    else:
        air.landed(p, tables)
    p.hitstun = 0.0


@part
def along(p: Record, game: Record, stage: int, tables: Record) -> None:
    """Along a surface, and off its end in states that let one fall."""
    kind = act.KIND[p.action]
    p.aloft = 0
    if not (p.action == act.DASH and p.t == 1):
        p.air_x = p.ground_x
    p.speed_y = 0.0
    if p.attack_x != 0.0:
        rub = tables.attributes[p.character].traction
        p.attack_x = 0.0 if abs(p.attack_x) <= rub else p.attack_x - (rub if p.attack_x > 0 else -rub)
    left, right = ground_lines.ends(stage, p.surface, game.frame)
    p.x += p.air_x + p.attack_x + ground_lines.blown(p.x, p.y, game)
    if p.surface == 4:
        p.x += ground_lines.carried(game.frame)
    if left <= p.x <= right:
        p.y = ground_lines.height(stage, p.surface, p.x, game)
        return
    if kind in FALLS_OFF or (kind == act.K_WALK and abs(p.main_x) >= sticks.SMASHED):
        speed = p.ground_x
        leave_ground(p)
        p.air_x = speed
        if kind == act.K_DAMAGE:
            enter(p, act.DAMAGE_AIR_1, tables)
        else:
            fall(p, tables)
        return
    p.x = min(max(p.x, left), right)
    p.y = ground_lines.height(stage, p.surface, p.x, game)
    p.ground_x = 0.0


@part
def wall(p: Record, beside: float, feet: float, stage: int, game: Record) -> None:
    """Below its edges the stage is a wall."""
    edge = ground_lines.LINES[stage, 0, ground_lines.RIGHT]
    top = ground_lines.height(stage, 0, edge, game)
    if not top - WALL_DEPTH < feet < top - 0.05:
        return
    if beside >= edge and p.x < edge + WALL_WIDTH:
        p.x = max(p.x, min(beside, edge + WALL_WIDTH))
    elif beside <= -edge and p.x > -edge - WALL_WIDTH:
        p.x = min(p.x, max(beside, -edge - WALL_WIDTH))


@part
def stopped(p: Record, x: float, y: float, game: Record, stage: int) -> None:
    """A step in hitlag, from (x, y), ends at the end of the surface, at the ground or at the wall; nobody lands."""
    if p.on_ground:
        left, right = ground_lines.ends(stage, p.surface, game.frame)
        p.x = min(max(p.x, left), right)
        p.y = ground_lines.height(stage, p.surface, p.x, game)
        return
    surface = ground_lines.landing(stage, game, p.x, y + p.feet, p.y + p.feet, -1)
    if surface >= 0:
        p.y = ground_lines.height(stage, surface, p.x, game) - p.feet
    wall(p, x, p.y + p.feet, stage, game)


@part
def by_motion(p: Record, tables: Record) -> None:
    """Up from the ledge, and whatever else an animation carries through the air."""
    if tables.moves[p.character, p.action] and p.t <= tables.motion_frames[p.character, p.action]:
        row = tables.motion_at[p.character, p.action] + p.t - 1
        p.x += tables.motion[row, 0] * p.facing
        p.y += tables.motion[row, 1]


@part
def move(p: Record, foe: Record, step_x: float, step_y: float, game: Record, stage: int, tables: Record) -> None:
    """Positions follow the speeds; feet meet the ground, hands the ledge. The steps are those out of hitlag."""
    kind = act.KIND[p.action]
    if kind in (act.K_DEAD, act.K_REBIRTH, act.K_ENTRY, act.K_LEDGE, act.K_THROWN, act.K_HELD):
        return
    if kind == act.K_MOTION and not p.on_ground:
        by_motion(p, tables)
        return
    if p.on_ground or kind == act.K_DOWN_BOUND:
        along(p, game, stage, tables)
        return
    if p.attack_x != 0.0 or p.attack_y != 0.0:
        damage.decay(p)
    beside, above = p.x - step_x, p.y - step_y
    was = above + p.feet
    p.x += p.air_x + p.attack_x + ground_lines.blown(p.x, p.y, game)
    p.y += p.speed_y + p.attack_y
    p.aloft += 1
    p.feet = tables.feet[p.character, p.action] if p.aloft > LOCKED else 0.0
    now = p.y + p.feet
    wall(p, beside, now, stage, game)
    if p.y <= above:
        passing = p.passing
        through = p.main_y <= -sticks.FAST_FALL and kind != act.K_FLY and kind != act.K_DAMAGE_AIR
        surface = ground_lines.landing(stage, game, p.x, was, now, passing)
        if surface > 0 and through and kind != act.K_AIR_DODGE and kind != act.K_AERIAL and kind != act.K_SPECIAL:
            surface = 0 if ground_lines.landing(stage, game, p.x, was, now, surface) == 0 else -1
        if surface >= 0:
            touch_down(p, surface, game, stage, tables)
            return
    if p.ledge_lock > 0:
        p.ledge_lock -= 1
    ledge.catch(p, foe, game, stage, tables)


@part
def _above(p: Record, game: Record, stage: int) -> int:
    """The nearest platform above the feet, -1 for none."""
    found, best = -1, 1e9
    for surface in range(1, ground_lines.NUM_SURFACES):
        left, right = ground_lines.ends(stage, surface, game.frame)
        over = ground_lines.height(stage, surface, p.x, game) - p.y
        if left <= p.x <= right and -1.0 < over < best:
            found, best = surface, over
    return found


@compiled()
def settle(players: Record, games: Record) -> None:
    """Which surface those on the ground stand on: the nearest in height; for records filled from elsewhere."""
    for row in range(players.shape[0]):
        game = games[row]
        stage = ground_lines.ROW_OF_STAGE[game.stage]
        for seat in range(2):
            p = players[row, seat]
            best = 1e9
            if p.on_ground == 0:
                if p.action == act.PASS:
                    p.passing = _above(p, game, stage)
                if act.KIND[p.action] != act.K_DOWN_BOUND:
                    continue
            for surface in range(ground_lines.NUM_SURFACES):
                left, right = ground_lines.ends(stage, surface, game.frame)
                off = abs(ground_lines.height(stage, surface, p.x, game) - p.y)
                if left - 1.0 <= p.x <= right + 1.0 and off < best:
                    best = off
                    p.surface = surface
