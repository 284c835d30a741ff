"""Who beats whom on the scripted ladder: every level against the one below it, in the simulator.

Fox against Fox, all six stages, mirrored pairs. The win rate is that of the upper of the two, a draw counts half. The
interval is Wilson's.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import report
from exphil.assemble.worlds import dealt
from exphil.envs import ladder
from exphil.envs.environment import Actor, Environment
from exphil.envs.sim.world import SimEnvironment
from exphil.evaluate.match import Contestant, play
from exphil.game.ids import Character, Stage
from exphil.game.time import FRAMES_PER_SECOND

SCRIPTS = ("idle", "walk", "random", "chaser", "spacer", "punisher")
LEVELS = tuple(f"cpu{number}" for number in range(1, 10))
STOCKS, MINUTES = 2, 2


def build(characters: tuple[int, int], games: int, seed: int) -> Environment:
    return SimEnvironment(games, characters, dealt(tuple(map(int, Stage)), games, seed), stocks=STOCKS)


def sit(name: str, seat: int, games: int, seed: int, delay: int) -> Actor:
    return ladder.script(name, seat, games, seed)


def main() -> None:
    args = report.arguments(__doc__, games=64, seed=0)
    rows: list[list[Any]] = []
    for below, above in (*pairwise(SCRIPTS), *pairwise(LEVELS)):
        players = tuple(Contestant(name, int(Character.FOX), partial(sit, name)) for name in (above, below))
        last = MINUTES * 60 * FRAMES_PER_SECOND
        found = play(build, (players[0], players[1]), args.games, args.seed, max_frames=last)
        rate = found.win_rate
        rows.append([above, below, round(rate.value, 3), round(rate.low or 0, 3), round(rate.high or 1, 3)])
    columns = ["level", "against", "win rate", "from", "to"]
    result = {"games": args.games, "stocks": STOCKS, "minutes": MINUTES, "columns": columns, "rows": rows}
    report.show(args, result, f"{args.games} games each, {STOCKS} stocks, {MINUTES} minutes", columns, rows)


if __name__ == "__main__":
    main()
