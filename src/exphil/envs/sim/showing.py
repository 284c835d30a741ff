"""From the simulator's records to the columns that every world shows.

What enters: records of N games. What leaves: a frame of N games. Nothing can go wrong.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from exphil.compiled import compiled, part, records
from exphil.envs.sim.state import Record
from exphil.game.frames import ROW, Game
from exphil.game.ids import Stage

FOUNTAIN = int(Stage.FOUNTAIN_OF_DREAMS)


def shown(players: NDArray[Any], games: NDArray[Any], items: NDArray[Any]) -> Game:
    """The frame of E games, ``(E,)``."""
    game = Game.empty(len(games))
    show(records(game.rows.view(ROW)[..., 0]), records(players), records(games), records(items))
    return game


@compiled(nogil=True)
def show(rows: Record, players: Record, games: Record, items: Record) -> None:
    """Fill rows that hold nothing yet.

    Args:
        rows: ``(E,)`` of ``ROW``, zeros.
        players: ``(E, 2)`` of ``state.PLAYER``.
        games: ``(E,)`` of ``state.GAME``.
        items: ``(E, 15)`` of ``state.ITEM``.
    """
    for at in range(rows.shape[0]):
        row, game = rows[at], games[at]
        row.frame, row.stage = game.frame, game.stage
        if game.stage == FOUNTAIN:
            row.platforms[0], row.platforms[1] = game.left_height, game.right_height
        for seat in range(2):
            show_player(row.players[seat], players[at, seat])
        for slot in range(items.shape[1]):
            if items[at, slot].exists != 0:
                show_item(row.items[slot], items[at, slot])


@part
def show_player(seen: Record, p: Record) -> None:
    """One player's columns."""
    seen.percent, seen.x, seen.y, seen.facing, seen.action_frame = p.percent, p.x, p.y, p.facing, p.action_frame
    seen.shield, seen.hitlag, seen.hitstun = p.shield, p.hitlag, p.hitstun
    seen.speed_ground_x, seen.speed_air_x, seen.speed_y = p.ground_x, p.air_x, p.speed_y
    seen.speed_x_attack, seen.speed_y_attack = p.attack_x, p.attack_y
    seen.main_x, seen.main_y, seen.c_x, seen.c_y, seen.shoulder = p.main_x, p.main_y, p.c_x, p.c_y, p.shoulder
    seen.action, seen.buttons, seen.jumps, seen.on_ground = p.action, p.buttons, p.jumps, p.on_ground
    seen.stocks, seen.character = p.stocks, p.character
    seen.invulnerable = 1 if p.invulnerable > 0 else 0
    seen.exists = 1


@part
def show_item(seen: Record, item: Record) -> None:
    """One item's columns; those of player 0 are owned by +1."""
    seen.x, seen.y, seen.vx, seen.vy, seen.state = item.x, item.y, item.vx, item.vy, item.state
    seen.type, seen.owner = item.kind, 1 if item.owner == 0 else -1
    seen.exists = 1
