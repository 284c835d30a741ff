"""How true the simulator is: from a real frame, with the real controllers, against the real next frames.

    python bench/sim_truth.py --replays FOLDER [--json] [--only SITUATION --worst N]

One frame: by the situation of a real frame, the share of predictions within 0.05 units in x and y and with the right
action state. Beside it two baselines: constant velocity (the last displacement again, the action kept) and held
controllers (the simulator, but with the controllers of the frame before). Rollouts: the distance after 10, 30 and 60
frames while the real player stays in the situation, both players' real controllers fed. Hits: rollouts of 20 frames;
a hit is a frame in which hitlag and percent rise (shields apart); a simulated one matches a real one of the same
player within two frames. Heights of moving platforms and the wind are a stage's, not the players': they are taken from
the recording, and the wind of files without it from what it did (``real_frames.blown``).

The tables were fitted on the games of the shared corpus; the full games of the shared replays were not used.
``--only`` lists the commonest mistakes of a situation, (action before, real action, simulated one or "place"), and
where they are: file, row, seat. ``--rows`` looks at so many frames of a game, drawn by ``--seed``, for a quick answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import real_frames
import report
from exphil.envs.sim import data
from exphil.envs.sim.step import step
from exphil.game.ids import character_name
from real_frames import GROUND, NAMES, Recorded

WITHIN = 0.05
GOALS = {"free air": 0.95, "ground": 0.85, "hitstun": 0.90}
LENGTHS = (10, 30, 60)
STRIDE = 15
HIT_FRAMES, SLACK = 20, 2
AIR_GOAL, HIT_GOAL, LAUNCH_GOAL = 0.5, 0.6, 0.1


class Simulated:
    """E games of the simulator, begun at real rows.

    Args:
        game: The recorded game.
        at: ``(E,)`` rows from which they begin.
        tables: ``data.load()``.
    """

    def __init__(self, game: Recorded, at: NDArray[np.int64], tables: Any) -> None:
        self.rows, self.at, self.tables, self.gone = game.rows, at, tables, 0
        self.wind = game.wind
        self.players, self.games = (part[at].view(np.recarray) for part in (game.players, game.games))
        self.items = game.items[at].view(np.recarray)

    def step(self, held: int = 0) -> None:
        """The next frame, with its real controllers, or with those of ``held`` frames before."""
        self.gone += 1
        now = self.rows[np.minimum(self.at + self.gone, len(self.rows) - 1)]
        if (now["platforms"][0] != 0).any():
            self.games["left_height"], self.games["right_height"] = now["platforms"].T
        self.games["left_rest"], self.games["right_rest"] = 2, 2  # they move as recorded, not by chance
        self.games["wind"] = self.wind[np.minimum(self.at + self.gone, len(self.rows) - 1)]
        pressed = self.rows[np.minimum(self.at + self.gone - held, len(self.rows) - 1)]["players"]
        columns = ("main_x", "main_y", "c_x", "c_y", "shoulder", "buttons")
        pads = np.stack([pressed[name].astype(np.float64) for name in columns], -1)
        step(self.players, self.games, self.items, pads, data.known())


class Shares:
    """Counts of one-frame predictions by situation: how many, and how many of them are right in which way."""

    WAYS = ("both", "place", "action", "constant velocity", "held controllers")

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros((len(NAMES), 1 + len(self.WAYS)), np.int64)

    def add(self, situation: NDArray[np.int64], ways: list[NDArray[np.bool_]]) -> None:
        for column, right in enumerate([np.ones(situation.shape, np.bool_), *ways]):
            self.counts[:, column] += np.bincount(situation, right, len(NAMES)).astype(np.int64)

    def of(self, *names: str) -> dict[str, Any]:
        total, *right = self.counts[[NAMES.index(name) for name in names]].sum(0).tolist()
        found = {way: round(count / max(total, 1), 4) for way, count in zip(self.WAYS, right, strict=True)}
        return {"n": total, **found}


class Mistakes:
    """The commonest mistakes of one situation, and where they are."""

    def __init__(self, situation: str) -> None:
        self.number = NAMES.index(situation) if situation else -1
        self.where: dict[tuple[int, int, int | str], list[str]] = defaultdict(list)

    def add(self, game: Recorded, at: NDArray[np.int64], wrong: NDArray[np.bool_], players: NDArray[Any]) -> None:
        now, real = game.rows["players"][at], game.rows["players"][at + 1]
        for row, seat in np.argwhere(wrong & (game.situation[at] == self.number)).tolist():
            mine, theirs = players[row, seat], real[row, seat]
            same = mine["action"] == theirs["action"]
            key = int(now["action"][row, seat]), int(theirs["action"]), "place" if same else int(mine["action"])
            off = f" ({mine['x'] - theirs['x']:+.3f}, {mine['y'] - theirs['y']:+.3f})" if same else ""
            self.where[key].append(f"{game.name},{at[row]},{seat}{off}")

    def show(self, most: int) -> None:
        for key, places in sorted(self.where.items(), key=lambda entry: -len(entry[1]))[:most]:
            print(f"{len(places):6d}  {key[0]} -> {key[1]}, simulated {key[2]}")
            for place in places[:: max(len(places) // 4, 1)][:4]:
                print(f"            {place}")


def near(mine_x: Any, mine_y: Any, real: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether a prediction is within ``WITHIN`` in both coordinates."""
    found: NDArray[np.bool_] = (np.abs(mine_x - real["x"]) <= WITHIN) & (np.abs(mine_y - real["y"]) <= WITHIN)
    return found


def one_frame(game: Recorded, at: NDArray[np.int64], tables: Any, shares: Shares, mistakes: Mistakes) -> None:
    """Predict the frame after each of ``at``."""
    real, now, before = (game.rows["players"][at + by] for by in (1, 0, -1))
    sim, held = Simulated(game, at, tables), Simulated(game, at, tables)
    sim.step()
    held.step(held=1)
    place, action = near(sim.players.x, sim.players.y, real), sim.players.action == real["action"]
    kept = near(2.0 * now["x"] - before["x"], 2.0 * now["y"] - before["y"], real) & (now["action"] == real["action"])
    still = near(held.players.x, held.players.y, real) & (held.players.action == real["action"])
    judged = game.usable[at] & game.usable[at + 1]
    shares.add(game.situation[at][judged], [way[judged] for way in (place & action, place, action, kept, still)])
    if mistakes.number >= 0:
        mistakes.add(game, at, judged & ~(place & action), sim.players)


class Rollouts:
    """Distances after some frames by situation, for the simulator and for constant velocity."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], list[NDArray[np.float64]]] = defaultdict(list)

    def add(self, game: Recorded, at: NDArray[np.int64], tables: Any) -> None:
        sim = Simulated(game, at, tables)
        players, situation = game.rows["players"], game.situation[at]
        stays = game.usable[at]
        now, before = players[at], players[at - 1]
        for ahead in range(1, max(LENGTHS) + 1):
            sim.step()
            there = np.minimum(at + ahead, len(players) - 1)
            stays = stays & game.usable[there] & (game.situation[there] == situation) & (at + ahead == there)[:, None]
            if ahead in LENGTHS:
                real = players[there]
                off = np.hypot(sim.players.x - real["x"], sim.players.y - real["y"])
                line = [now[c] + ahead * (now[c] - before[c]) - real[c] for c in ("x", "y")]
                both = np.stack([off, np.hypot(*line)], -1)
                for number in np.unique(situation[stays]).tolist():
                    self.found[number, ahead].append(both[stays & (situation == number)])

    def of(self, name: str) -> dict[str, Any]:
        found = {}
        for ahead in LENGTHS:
            parts = self.found.get((NAMES.index(name), ahead))
            if parts:
                off = np.concatenate(parts)
                half, most = np.quantile(off, (0.5, 0.9), 0).round(4).tolist()
                found[str(ahead)] = {
                    "n": len(off), "median": half[0], "p90": most[0], "constant_velocity_median": half[1],
                }  # fmt: skip
        return found


class Hits(NamedTuple):
    """Hits in E rollouts of ``HIT_FRAMES + SLACK`` frames: which player, when, and what it did."""

    row: NDArray[np.int64]
    frame: NDArray[np.int64]
    values: NDArray[np.float64]
    """``(n, 4)``: rise of percent, hitlag, hitstun, launch speed."""


MEASURES = ("percent", "hitlag", "hitstun", "launch_speed")


def felt(now: list[NDArray[Any]], before: list[NDArray[Any]]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Who is hit in this frame, by percent, hitlag, hitstun and both knockback speeds; and what the hit did."""
    rise = now[0] - before[0]
    hit = (rise > 0.01) & (now[1] > before[1])
    return hit, np.stack([rise, now[1], now[2], np.hypot(now[3], now[4])], -1)


REAL = ("percent", "hitlag", "hitstun", "speed_x_attack", "speed_y_attack")
MINE = ("percent", "hitlag", "hitstun", "attack_x", "attack_y")


class HitEvents:
    """Real and simulated hits, matched."""

    def __init__(self) -> None:
        self.real = self.direct = self.mine = self.recalled = self.recalled_direct = self.confirmed = 0
        self.errors: list[NDArray[np.float64]] = []
        self.pairs: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])

    def add(self, game: Recorded, at: NDArray[np.int64], tables: Any) -> None:
        sim, players = Simulated(game, at, tables), game.rows["players"]
        frames = HIT_FRAMES + SLACK
        real, mine = (np.zeros((frames, len(at), 2), np.bool_) for _ in range(2))
        did, does = (np.zeros((frames, len(at), 2, 4)) for _ in range(2))
        for ahead in range(frames):
            was = [sim.players[name].copy() for name in MINE]
            sim.step()
            mine[ahead], does[ahead] = felt([sim.players[name] for name in MINE], was)
            now, then = players[at + ahead + 1], players[at + ahead]
            real[ahead], did[ahead] = felt([now[name] for name in REAL], [then[name] for name in REAL])
        self.count(game, at, (real, did), (mine, does))

    def count(self, game: Recorded, at: NDArray[np.int64], real: Any, mine: Any) -> None:
        players = game.rows["players"]
        for row in np.flatnonzero((real[0] | mine[0]).any((0, 2))).tolist():
            for seat in (0, 1):
                theirs, ours = (np.flatnonzero(found[0][:, row, seat]).tolist() for found in (real, mine))
                pair = self.pairs[
                    " hits ".join(character_name(players["character"][0, who]) for who in (1 - seat, seat))
                ]
                matched = match(theirs, ours)
                for frame in (each for each in theirs if each < HIT_FRAMES):
                    close = players["hitlag"][at[row] + frame + 1, 1 - seat] > 0
                    self.real, pair[0] = self.real + 1, pair[0] + 1
                    self.direct += bool(close)
                    self.recalled_direct += bool(close) and frame in matched
                    if frame in matched:
                        self.recalled, pair[1] = self.recalled + 1, pair[1] + 1
                        both = real[1][frame, row, seat], mine[1][matched[frame], row, seat]
                        self.errors.append(np.stack(both))
                known = set(matched.values())
                for frame in (each for each in ours if each < HIT_FRAMES):
                    self.mine, pair[2] = self.mine + 1, pair[2] + 1
                    self.confirmed, pair[3] = self.confirmed + (frame in known), pair[3] + (frame in known)

    def result(self) -> dict[str, Any]:
        real, ours = np.moveaxis(np.array(self.errors).reshape(-1, 2, len(MEASURES)), 1, 0)
        off = np.abs(ours - real)
        moved = real[:, 3] > 0.1
        launch = off[moved, 3] / real[moved, 3]
        found: dict[str, Any] = {
            "real": self.real, "simulated": self.mine, "matched": self.recalled,
            "recall": round(self.recalled / max(self.real, 1), 4),
            "recall_of_body_hits": round(self.recalled_direct / max(self.direct, 1), 4),
            "precision": round(self.confirmed / max(self.mine, 1), 4),
        }  # fmt: skip
        if len(off):
            for at, name in enumerate(MEASURES[:3]):
                found[f"{name}_error_median"] = round(float(np.median(off[:, at])), 3)
                found[f"{name}_error_mean"] = round(float(off[:, at].mean()), 3)
            found["launch_speed_relative_error_median"] = round(float(np.median(launch)), 4)
        return found

    def by_pair(self) -> dict[str, dict[str, int]]:
        """Hits by attacker and defender, the commonest first."""
        names = ("real", "matched", "simulated", "confirmed")
        pairs = sorted(self.pairs.items(), key=lambda pair: -pair[1][0])
        return {name: dict(zip(names, counts, strict=True)) for name, counts in pairs}


def match(real: list[int], mine: list[int]) -> dict[int, int]:
    """Frames of real hits and those of simulated ones within ``SLACK`` of them, each used once, in order."""
    free, found = list(mine), {}
    for frame in real:
        near_by = [each for each in free if abs(each - frame) <= SLACK]
        if near_by:
            found[frame] = min(near_by, key=lambda each: abs(each - frame))
            free.remove(found[frame])
    return found


def starts(game: Recorded, ahead: int) -> NDArray[np.int64]:
    """Rows with enough before and ``ahead`` rows behind them from which at least one player may be judged."""
    at = np.arange(1, len(game.rows) - ahead)
    found: NDArray[np.int64] = at[game.usable[at].any(1)]
    return found


def sampled(at: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most so many of them, in order, by the seed; all with 0."""
    if most <= 0 or most >= len(at):
        return at
    return np.sort(np.random.default_rng(seed).choice(at, most, replace=False))


def goals(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The goals of the simulator's issue, what was measured for each, and whether it is reached."""
    hits, air = result["hits"], result["rollouts"].get("free air", {}).get("30", {})
    least = {f"one frame, {name}": (result["one_frame"][name]["both"], goal) for name, goal in GOALS.items()}
    least |= {"hits, recall": (hits["recall"], HIT_GOAL), "hits, precision": (hits["precision"], HIT_GOAL)}
    most = {
        "free air, 30 frames, median": (air.get("median"), AIR_GOAL),
        "launch speed, relative error, median": (hits.get("launch_speed_relative_error_median"), LAUNCH_GOAL),
    }
    found = {}
    for name, (value, goal) in (least | most).items():
        reached = value is not None and (value >= goal if name in least else value <= goal)
        found[name] = {"measured": value, "goal": goal, "reached": reached}
    return found


def table(result: dict[str, Any]) -> tuple[str, list[str], list[list[Any]]]:
    """Title, columns and rows of what is printed."""
    rows = []
    for name, share in result["one_frame"].items():
        far = result["rollouts"].get(name, {})
        ends = [f"{far[str(n)]['median']:.3f} {far[str(n)]['p90']:.2f}" if str(n) in far else "" for n in LENGTHS]
        goal = result["goals"].get(f"one frame, {name}")
        said = "" if goal is None else f"{goal['goal']:.2f} {'yes' if goal['reached'] else 'NO'}"
        rows.append([name, *share.values(), said, *ends])
    reached = ", ".join(
        f"{name} {goal['measured']} of {goal['goal']} {'yes' if goal['reached'] else 'NO'}"
        for name, goal in result["goals"].items()
    )
    columns = ["situation", "frames", *Shares.WAYS, "goal", *(f"{n} frames: median, p90" for n in LENGTHS)]
    return f"{len(result['games'])} games; left out {result['left_out']}\n{reached}", columns, rows


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", seed=0, rows=0, only="", worst=10)
    if args.only and args.only not in NAMES:
        raise SystemExit(f"--only {args.only}: one of {', '.join(NAMES)}")
    tables, left_out, used = data.load(), Counter[str](), list[str]()
    shares, rollouts, hits, mistakes = Shares(), Rollouts(), HitEvents(), Mistakes(args.only)
    for game in real_frames.recorded(real_frames.files(Path(args.replays)), left_out, tables):
        one_frame(game, sampled(starts(game, 1), args.rows, args.seed + len(used)), tables, shares, mistakes)
        if not args.only:
            for work, ahead in ((rollouts.add, max(LENGTHS)), (hits.add, HIT_FRAMES + SLACK)):
                every = starts(game, ahead)
                work(game, every[every % STRIDE == 0], tables)
        used.append(game.name)
    if args.only:
        print(args.only, shares.of(args.only))
        mistakes.show(args.worst)
        return
    result = {
        "games": used, "left_out": dict(left_out), "fitted_on": "the games of the shared corpus, none of these",
        "one_frame": {name: shares.of(*(GROUND if name == "ground" else (name,))) for name in (*NAMES, "ground")},
        "rollouts": {name: rollouts.of(name) for name in NAMES if rollouts.of(name)},
        "hits": hits.result(), "hits_by_pair": hits.by_pair(),
    }  # fmt: skip
    result["goals"] = goals(result)
    report.show(args, result, *table(result))
    if not args.json:
        print(*[f"{name}: {each}" for name, each in result["hits"].items()], sep="\n")


if __name__ == "__main__":
    main()
