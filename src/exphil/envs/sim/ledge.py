"""Ledges: catching them, hanging, and the ways back up. Death, revival and the entry into a game."""

from __future__ import annotations

import numpy as np

from exphil.compiled import part
from exphil.envs.sim import actions as act
from exphil.envs.sim import sticks
from exphil.envs.sim.entering import drift, enter, fall, gravity, hops
from exphil.envs.sim.ground_lines import BLAST, LEFT, LINES, RIGHT, height
from exphil.envs.sim.state import Record

LOCK_FRAMES = 30
"""Frames before a ledge can be caught again after letting go (SmashWiki "Edge")."""
SAFE_FRAMES, HANG_FRAMES = 38, 600
TIRED = 100.0
"""From this percent on the slow ways up are used."""
DEAD_FRAMES, REBIRTH_FRAMES, WAIT_FRAMES, SAFE_AFTER = 60, 60, 300, 120
JUMP_SPEED_X = 1.0
REVIVALS = np.array(
    [
        [[0.0, 63.75, -1.0, 0.8125], [0.0, 63.75, -1.0, 0.8125]],
        [[0.0, 60.0, -1.0, 1.0], [0.0, 60.0, -1.0, 1.0]],
        [[0.0, 52.5, -1.0, 1.0967], [0.0, 52.5, -1.0, 1.0967]],
        [[0.0, 84.22, -1.0, 1.763], [0.0, 84.22, -1.0, 1.763]],
        [[12.8, 80.0, -1.0, 0.9333], [-40.0, 80.0, 1.0, 0.9333]],
        [[16.0, 45.0, -1.0, 1.15], [-50.0, 45.0, 1.0, 1.15]],
    ]
)
"""Of each stage and seat, as in the shared replays: where one comes back, facing what, the fall a frame to there."""


@part
def can_catch(p: Record) -> bool:
    """Whether hands are free for a ledge."""
    if p.ledge_lock > 0 or p.speed_y > 0.0 or p.main_y <= -0.6 or p.hitstun > 0.0:
        return False
    kind = act.KIND[p.action]
    return kind in (act.K_FALL, act.K_HELPLESS, act.K_JUMP, act.K_TUMBLE) or (
        kind == act.K_SPECIAL and (p.side == 2 or hops(p))
    )


@part
def catch(p: Record, foe: Record, game: Record, stage: int, tables: Record) -> bool:
    """Hang from an edge if one is in reach; whether it was caught. Only one player hangs from an edge."""
    if not can_catch(p):
        return False
    for end in (LEFT, RIGHT):
        edge = LINES[stage, 0, end]
        outward = -1.0 if end == LEFT else 1.0
        away = (p.x - edge) * outward
        below = height(stage, 0, edge, game) - p.y
        reach = tables.reach[p.character]
        if not (0.0 < away <= reach[0] and reach[1] <= below <= reach[2]) or p.facing == outward:
            continue
        if act.KIND[foe.action] == act.K_LEDGE and (foe.x - edge) * outward < 10.0 and foe.x * edge > 0:
            continue
        enter(p, act.LEDGE_CATCH, tables)
        hold(p, edge, height(stage, 0, edge, game), tables)
        p.air_x, p.speed_y, p.attack_x, p.attack_y, p.fast = 0.0, 0.0, 0.0, 0.0, 0
        p.jumps = int(tables.attributes[p.character].jumps) - 1
        p.invulnerable, p.timer = SAFE_FRAMES, 0
        return True
    return False


@part
def hold(p: Record, edge: float, top: float, tables: Record) -> None:
    """Where hands on an edge hold the body: on the way of its animation where that is known, else hanging."""
    outward = 1.0 if edge > 0 else -1.0
    place = tables.hang[p.character]
    at, frames = tables.cling_at[p.character, p.action], tables.cling_frames[p.character, p.action]
    if frames > 0:
        place = tables.cling[at + min(p.t, frames) - 1]
    p.x, p.y = edge + outward * place[0], top + place[1]


@part
def hanging(p: Record, game: Record, stage: int, tables: Record) -> None:
    """A frame on the ledge."""
    p.timer += 1
    edge = LINES[stage, 0, RIGHT] if p.x > 0 else LINES[stage, 0, LEFT]
    hold(p, edge, height(stage, 0, edge, game), tables)
    if p.action != act.LEDGE_WAIT:
        return
    body = tables.attributes[p.character]
    quick = 1 if p.percent < TIRED else 0
    ahead = p.main_x * p.facing
    if sticks.pressed(p, sticks.JUMP_BUTTONS) or (p.main_y >= sticks.TAP_JUMP and p.tilt_y < sticks.TAP_FRAMES):
        enter(p, act.LEDGE_JUMP_1 if quick else act.LEDGE_JUMP_SLOW_1, tables)
    elif sticks.pressed(p, sticks.A | sticks.B):
        enter(p, act.LEDGE_ATTACK_SLOW + quick, tables)
    elif sticks.pressed(p, sticks.SHIELD_BUTTONS):
        enter(p, act.LEDGE_ROLL_SLOW + quick, tables)
    elif (ahead >= sticks.TILTED and p.tilt_x < sticks.TAP_FRAMES) or p.main_y >= sticks.TAP_JUMP:
        enter(p, act.LEDGE_CLIMB_SLOW + quick, tables)
    elif (
        (p.main_y <= -sticks.TILTED and p.tilt_y < sticks.TAP_FRAMES)
        or ahead <= -sticks.TILTED
        or p.timer > HANG_FRAMES
    ):
        p.ledge_lock = LOCK_FRAMES
        p.invulnerable = 0
        enter(p, act.FALL, tables)
        p.fast = 1 if p.main_y <= -sticks.FAST_FALL else 0
        gravity(p, body)
        drift(p, body)


@part
def climbed(p: Record, stage: int, game: Record) -> None:
    """Where a way up ends: on the stage, just inside the edge."""
    edge = LINES[stage, 0, RIGHT] if p.x > 0 else LINES[stage, 0, LEFT]
    inward = p.facing
    p.x = edge + inward * max((p.x - edge) * inward, 2.0)
    p.on_ground, p.surface = 1, 0
    p.y = height(stage, 0, p.x, game)
    p.ground_x, p.air_x, p.speed_y = 0.0, 0.0, 0.0
    p.ledge_lock = LOCK_FRAMES


@part
def jumped_up(p: Record, body: Record, tables: Record) -> None:
    """The second half of a jump from the ledge: in the air."""
    enter(p, act.LEDGE_JUMP_2 if p.action == act.LEDGE_JUMP_1 else act.LEDGE_JUMP_SLOW_2, tables)
    p.speed_y, p.air_x = body.edge_jump_v, body.edge_jump_h * JUMP_SPEED_X * p.facing
    p.ledge_lock = LOCK_FRAMES


@part
def beyond(p: Record, stage: int, tables: Record) -> None:
    """Past a blast zone: a stock is lost."""
    kind = act.KIND[p.action]
    if kind == act.K_DEAD or kind == act.K_REBIRTH or kind == act.K_ENTRY:
        return
    state = -1
    if p.y < BLAST[stage, 3]:
        state = act.DEAD_DOWN
    elif p.x < BLAST[stage, 0]:
        state = act.DEAD_LEFT
    elif p.x > BLAST[stage, 1]:
        state = act.DEAD_RIGHT
    elif p.y > BLAST[stage, 2] and p.attack_y > 0.0:
        state = act.DEAD_UP
    if state < 0:
        return
    p.stocks -= 1
    p.landed = 0
    enter(p, state, tables)
    p.length = DEAD_FRAMES
    p.ground_x, p.air_x, p.speed_y, p.attack_x, p.attack_y = 0.0, 0.0, 0.0, 0.0, 0.0
    p.hitlag, p.hitstun, p.on_ground, p.surface = 0.0, 0.0, 0, -1


@part
def revive(p: Record, stage: int, seat: int, tables: Record) -> None:
    """Back above the stage."""
    enter(p, act.REBIRTH, tables)
    p.length = REBIRTH_FRAMES
    place = REVIVALS[stage, seat]
    p.x, p.facing = place[0], place[2]
    p.y = place[1] + REBIRTH_FRAMES * place[3]
    p.shield, p.percent, p.invulnerable = 60.0, 0.0, 2
    p.jumps = max(int(tables.attributes[p.character].jumps) - 1, 0)
    p.fast, p.passing, p.on_ground = 0, -1, 0


@part
def reviving(p: Record, stage: int, seat: int, tables: Record) -> None:
    """A frame on the platform of those who come back."""
    p.invulnerable = 2
    if p.action == act.REBIRTH:
        p.speed_y = -REVIVALS[stage, seat, 3]
        p.y += p.speed_y
        return
    p.speed_y = 0.0
    moved = abs(p.main_x) >= sticks.TILTED or abs(p.main_y) >= sticks.TILTED or p.buttons != 0
    if moved or p.t > WAIT_FRAMES:
        p.invulnerable = SAFE_AFTER
        p.jumps = max(int(tables.attributes[p.character].jumps) - 1, 0)
        fall(p, tables)
