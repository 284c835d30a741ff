"""Fit from recorded games what no table publishes: ``python tools/fit_states.py FOLDER`` makes ``states.npz``.

- ``dash_frames`` (33,): frames of a dash before it becomes a run.
- ``hang`` (33, 2): where a player hangs, outwards and up from the edge of the stage.
- ``feet`` (33, 399): how high the feet are above the position, as landings show it.
- ``cling_at``, ``cling_frames`` (33, 399), ``cling`` (C, 2): where the body is, outwards and up from the edge, in each
  frame of catching it and of jumping up from it.
- ``whole`` (33, 399): how many frames of animation a landing or a stun plays, however long it lasts.
- ``reach`` (33, 3): where a ledge was caught: at most so far out, at least and at most so far below the edge.
- ``after`` (33, 399): the state that mostly follows when a special move has lasted its usual time, 0 unknown.
- ``drive_at`` (33, 399), ``drive`` (D, 6): speeds forward and up that a move prescribes frame by frame, and whether it
  does (where the games agree); then by how much it changes the speed up, and whether it does. The frames of a move lie
  one after the other, ``drive_frames`` (33, 399) of them.
- ``steers`` (33, 399): whether one steers in the air during a special move, as in a jump.
- ``lands`` (33, 399): the state that a special move in the air leads to when it lands, 0 unknown; ``lands_on``
  (33, 399) says that this one goes on where that was.
- ``carry_at``, ``carry_frames`` (33, 399), ``carry`` (P, 3), ``middle`` (33, 2): where who is held or thrown is, see
  ``fit_holds.py``.
- ``special`` (33, 4, 2): the state that B goes into: neutral, side, up, down; in the air, on the ground.

Only the games of FOLDER are looked at; those that the truth test is run on must not be among them.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fit_holds import Holds
from numpy.typing import NDArray
from table_specials import SPECIALS, STARTS

from exphil.envs.sim import actions as act
from exphil.envs.sim import tables
from exphil.envs.sim.moving import LOCKED
from exphil.errors import ExphilError
from exphil.game.frames import ROW, Lacks
from exphil.game.ids import NUM_ACTIONS, Button, Character, Stage
from exphil.game.stages import GEOMETRY
from exphil.replays import slp

CHARACTERS = 33
STATES = Path(__file__).parents[1] / "src/exphil/envs/sim/states.npz"
LEAST = 3
"""A figure seen fewer times than this is not fitted."""
DEEPEST = 12.0
"""Units that feet are above the position at most; what is deeper is below the stage."""
EDGE_HEIGHT = {Stage.YOSHIS_STORY: -3.5, Stage.FOUNTAIN_OF_DREAMS: 0.62}
CLINGS = (act.LEDGE_CATCH, act.LEDGE_JUMP_SLOW_1, act.LEDGE_JUMP_1)
THUNDERS = range(358, 367)
"""Ness' up special: what lifts him is the bolt that he steers into himself, so he rises as who is unknown."""
STRETCHED = (act.LANDING_SPECIAL, *range(70, 75), act.GUARD_STUN)
AIRBORNE = (*range(25, 39), *range(65, 70), *range(84, 92), 236, 244)
FLOATS_UP = (Character.PEACH, Character.NESS, Character.YOSHI, Character.MEWTWO)
"""Whose jump in the air follows an animation."""
MOST_FRAMES, AGREE, MOSTLY = 90, 0.03, 0.75
"""A move prescribes a speed where this share of its occurrences lies this near to the middle one."""
ENDS = (act.WAIT, act.FALL, act.FALL_AERIAL, act.FALL_SPECIAL)
"""What follows when a move has lasted its time, beside others of the same character: not what somebody began."""
TWINS = (
    (Character.FOX, Character.FALCO), (Character.MARTH, Character.ROY), (Character.MARIO, Character.DR_MARIO),
    (Character.CAPTAIN_FALCON, Character.GANONDORF), (Character.LINK, Character.YOUNG_LINK),
    (Character.PIKACHU, Character.PICHU),
)  # fmt: skip
"""Whose special moves are numbered alike and move alike."""
Rows = NDArray[Any]


def games(folder: Path) -> Iterator[tuple[Rows, int]]:
    """Rows of both players, ``(T, 2)``, and the stage, of every readable game of two."""
    for path in sorted(folder.rglob("*.slp")):
        try:
            game = slp.read(path, "last").game
        except ExphilError:
            continue
        rows = game.rows.view(ROW)[..., 0]
        if len(rows) > 600 and not rows["lacks"][100] & (Lacks.SPEEDS | Lacks.STATE | Lacks.INVULNERABLE):
            yield rows["players"], int(rows["stage"][0])


def runs(action: NDArray[np.int16]) -> Iterator[tuple[int, int]]:
    """First row and row behind of every stretch of one action."""
    ends = np.flatnonzero(np.diff(action)) + 1
    yield from zip(np.r_[0, ends], np.r_[ends, len(action)], strict=True)


def _threshold(depths: list[tuple[float, bool]]) -> float:
    """The depth that tells landings from other frames with the fewest mistakes."""
    depth, landed = np.array([each[0] for each in depths]), np.array([each[1] for each in depths])
    if landed.sum() < LEAST:
        return 0.0
    tries = np.unique(np.r_[0.0, depth[landed], depth[~landed] + 1e-3])
    wrong = [(landed & (depth < each)).sum() + (~landed & (depth >= each)).sum() for each in tries]
    return float(max(tries[int(np.argmin(wrong))], 0.0))


def _named(special: NDArray[np.int16]) -> None:
    """The states of B by the names of moves, where they have one; on the ground as in the air where one is missing."""
    for who, states in SPECIALS.items():
        for way, name in enumerate(("neutralb", "sideb", "upb", "downb")):
            for ground, wanted in enumerate((f"a{name}", name)):
                found = [state for state, move in sorted(states.items()) if move.partition(":")[0] == wanted]
                special[who, way, ground] = found[0] if found else 0
    for ground in (0, 1):
        missing = special[:, :, ground] == 0
        special[:, :, ground][missing] = special[:, :, 1 - ground][missing]


def _lend(moves: dict[str, NDArray[Any]], one: int, other: int) -> None:
    """Special moves that were not seen of one are those of a near twin."""
    unseen = np.arange(NUM_ACTIONS) >= act.SPECIALS
    for names in (("drive_at", "drive_frames"), ("after",), ("lands", "lands_on"), ("steers",)):
        first = moves[names[0]]
        missing = unseen & (first[one] == (-1 if names[0] == "drive_at" else 0))
        for name in names:
            moves[name][one] = np.where(missing, moves[name][other], moves[name][one])


class Fit:
    """Counts over games, and the figures that follow from them."""

    def __init__(self) -> None:
        self.dash: dict[int, Counter[int]] = defaultdict(Counter)
        self.hang: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self.clung: dict[tuple[int, int], dict[int, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
        self.landed: dict[tuple[int, int], list[tuple[float, bool]]] = defaultdict(list)
        self.special: dict[tuple[int, int, int], Counter[int]] = defaultdict(Counter)
        self.whole: dict[tuple[int, int], list[float]] = defaultdict(list)
        self.caught: dict[int, list[tuple[float, bool]]] = defaultdict(list)
        self.out: dict[int, list[float]] = defaultdict(list)
        self.lasted: dict[tuple[int, int], Counter[tuple[int, int]]] = defaultdict(Counter)
        self.speeds: dict[tuple[int, int, int], list[tuple[float, float, float]]] = defaultdict(list)
        self.steered: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.ended: dict[tuple[int, int], Counter[tuple[int, bool]]] = defaultdict(Counter)

    def see(self, p: Rows, stage: int) -> None:
        """Take one player's game in."""
        action = p["action"]
        at = np.arange(len(p))
        self.aloft = at - np.maximum.accumulate(np.where(p["on_ground"] != 0, at, 0))
        for start, end in runs(action):
            if start == 0 or end >= len(p):
                continue
            who, state = int(p["character"][start]), int(action[start])
            if state == act.DASH and action[end] == act.RUN:
                self.dash[who][end - start] += 1
            elif state == act.LEDGE_WAIT and stage in tuple(Stage):
                edge = GEOMETRY[Stage(stage)].ledge_x
                self.hang[who].append(
                    (abs(float(p["x"][start])) - edge, float(p["y"][start]) - EDGE_HEIGHT.get(stage, 0.0))
                )
            elif state in CLINGS and stage in tuple(Stage):
                edge = GEOMETRY[Stage(stage)].ledge_x
                places = np.abs(p["x"][start:end]) - edge, p["y"][start:end] - EDGE_HEIGHT.get(stage, 0.0)
                for frame, place in enumerate(np.stack(places, 1).tolist()):
                    self.clung[who, state][frame].append(place)
            elif state in AIRBORNE and stage in tuple(Stage):
                self._feet(p, who, state, start, end, stage)
            self._special(p, who, state, start)
            if state in STRETCHED and end - start > 3:
                step = float(np.median(np.diff(p["action_frame"][start:end])))
                if step > 0 and p["action"][end] in (
                    act.WAIT,
                    act.GUARD,
                    act.GUARD_OFF,
                    act.CROUCH_START,
                    act.WALK_SLOW,
                ):
                    self.whole[who, state].append(step * (end - start) - 0.15)
            if stage in tuple(Stage):
                self._ledge(p, who, state, start, end, stage)
            if state >= act.SPECIALS or (who in FLOATS_UP and state in (27, 28)):
                self._move(p, who, state, start, end)
            if state >= act.SPECIALS:
                self._steer(p, who, state, start, end)
                self._down(p, who, state, start, end)

    def _ledge(self, p: Rows, who: int, state: int, start: int, end: int, stage: int) -> None:
        """How far below the edge hands were, in falls that ended on the ledge and on the way there."""
        if state not in range(25, 39):
            return
        edge, low = GEOMETRY[Stage(stage)].ledge_x, EDGE_HEIGHT.get(stage, 0.0)
        caught = p["action"][end] == act.LEDGE_CATCH
        x, y = np.abs(p["x"][start:end]), low - p["y"][start:end]
        near = (x > edge) & (x < edge + 9) & (p["x"][start:end] * p["facing"][start:end] < 0) & (y > 0) & (y < 24)
        free = near & (p["speed_y"][start:end] < 0) & (p["main_y"][start:end] > -0.5)
        if caught:
            self.caught[who] += [(float(depth), False) for depth in y[free]]
            self.caught[who].append((float(y[-1] - p["speed_y"][end - 1]), True))
            self.out[who].append(float(x[-1] - edge))

    def _move(self, p: Rows, who: int, state: int, start: int, end: int) -> None:
        """How long a move lasted, what followed, and its speeds frame by frame; hitlag is no frame of it."""
        if who == Character.NESS and state in THUNDERS:
            return
        live = p["hitlag"][start:end] == 0
        if not live.all():
            return
        landed = p["on_ground"][end] and not p["on_ground"][end - 1]
        if not landed and (p["action"][end] in ENDS or p["action"][end] >= act.SPECIALS):
            self.lasted[who, state][end - start, int(p["action"][end])] += 1
        facing = p["facing"][start:end]
        for frame in range(min(end - start, MOST_FRAMES)):
            row = start + frame
            across = p["speed_ground_x"] if p["on_ground"][row] else p["speed_air_x"]
            before = float(p["speed_y"][row - 1]) if not p["on_ground"][row - 1 : row + 1].any() else np.nan
            up = float(p["speed_y"][row])
            if up <= 0.001 - float(tables.load().attributes[who]["fall_max"]):
                before = np.nan  # as fast as it falls
            self.speeds[who, state, frame].append((float(across[row] * facing[frame]), up, up - before))

    def _steer(self, p: Rows, who: int, state: int, start: int, end: int) -> None:
        """In how many frames the speed across is that of steering, and not that of friction alone."""
        body = tables.load().attributes[who]
        for row in range(start + 1, end):
            if p["on_ground"][row] or p["on_ground"][row - 1] or p["hitlag"][row]:
                continue
            was, stick, now = (
                float(p[name][at]) for name, at in (("speed_air_x", row - 1), ("main_x", row), ("speed_air_x", row))
            )
            fought = _slowed(was, 0.0, body)
            target = stick * body["air_max"]
            if stick == 0.0 or (abs(was) > abs(target) and was * target > 0):
                steered = _slowed(was, target if was * target > 0 else 0.0, body)
            else:
                sign = np.sign(stick)
                steered = was + body["air_accel_additional"] * stick + body["air_accel_base"] * sign
                steered = target if (steered - target) * sign > 0 else steered
            if abs(steered - fought) > 0.01:
                self.steered[who, state][0] += abs(now - steered) < 0.004
                self.steered[who, state][1] += 1

    def _down(self, p: Rows, who: int, state: int, start: int, end: int) -> None:
        """What a move lands in."""
        into = int(p["action"][end])
        if p["on_ground"][end - 1] or not p["on_ground"][end] or end - start < 3:
            return
        if into >= act.SPECIALS or into in (act.WAIT, act.LANDING, act.LANDING_SPECIAL):
            self.ended[who, state][into, bool(p["action_frame"][end] > p["action_frame"][end - 1])] += 1

    def _feet(self, p: Rows, who: int, state: int, start: int, end: int, stage: int) -> None:
        """How far below the main ground the position came, in frames that landed and in frames that did not."""
        if stage in EDGE_HEIGHT:
            return
        if self.aloft[end - 1] < LOCKED:
            return
        inside = (np.abs(p["x"][start:end]) < GEOMETRY[Stage(stage)].ledge_x) & (self.aloft[start:end] > LOCKED)
        under = -p["y"][start:end][inside]
        for depth in under[(under > 0.0) & (under < DEEPEST)]:
            self.landed[who, state].append((float(depth), False))
        if p["on_ground"][end] and not p["on_ground"][end - 1] and abs(float(p["y"][end])) < 0.05:
            fell = float(p["speed_y"][end] + p["speed_y_attack"][end])
            depth = -(float(p["y"][end - 1]) + fell)
            if depth < DEEPEST:
                self.landed[who, state].append((depth, True))

    def _special(self, p: Rows, who: int, state: int, start: int) -> None:
        if state < act.SPECIALS or p["action"][start - 1] >= act.SPECIALS:
            return
        if not p["buttons"][start] & Button.B or p["buttons"][start - 1] & Button.B:
            return
        x, y = abs(float(p["main_x"][start])), float(p["main_y"][start])
        way = 1 if x >= 0.55 and x >= abs(y) else 2 if y >= 0.55 else 3 if y <= -0.55 else 0
        self.special[who, way, int(p["on_ground"][start - 1])][state] += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fitted figures."""
        dash = np.full(CHARACTERS, 12, np.int16)
        hang = np.tile(np.array([2.9, -21.0]), (CHARACTERS, 1))
        feet = np.zeros((CHARACTERS, NUM_ACTIONS), np.float32)
        special = np.zeros((CHARACTERS, 4, 2), np.int16)
        for who, counted in self.dash.items():
            dash[who] = counted.most_common(1)[0][0]
        for who, places in self.hang.items():
            hang[who] = np.median(np.array(places), 0)
        for (who, state), depths in self.landed.items():
            feet[who, state] = _threshold(depths)
        whole = np.zeros((CHARACTERS, NUM_ACTIONS), np.float32)
        for (who, state), lengths in self.whole.items():
            if len(lengths) >= LEAST:
                whole[who, state] = np.median(lengths)
        for state in STRETCHED:
            known = whole[:, state] > 0
            whole[~known, state] = np.median(whole[known, state]) if known.any() else 30.0
        reach = np.tile(np.array([13.0, 8.0, 19.0]), (CHARACTERS, 1))
        for who, depths in self.caught.items():
            if len(self.out[who]) >= 20:
                deep = [depth for depth, caught in depths if caught]
                reach[who] = np.percentile(self.out[who], 97), _threshold(depths), np.percentile(deep, 97)
        _named(special)
        for (who, way, ground), states in self.special.items():
            special[who, way, ground] = states.most_common(1)[0][0]
        for who, starts in STARTS.items():
            for way, states in starts.items():
                special[who, way] = np.where(special[who, way] == 0, states, special[who, way])
        for array in (dash, hang, feet, special, whole, reach):
            array[Character.NANA] = array[Character.ICE_CLIMBERS]
        moves = {**self._moves(), **self._airs()}
        for one, other in (*TWINS, *((other, one) for one, other in TWINS)):
            _lend(moves, one, other)
        return {
            "dash_frames": dash,
            "hang": hang,
            "feet": feet,
            "special": special,
            "whole": whole,
            **moves,
            **self._clings(),
            "reach": reach,
        }

    def _clings(self) -> dict[str, NDArray[Any]]:
        """Where the body is in the states that animate it beside an edge."""
        at, count = np.zeros((CHARACTERS, NUM_ACTIONS), np.int32), np.zeros((CHARACTERS, NUM_ACTIONS), np.int16)
        rows: list[NDArray[Any]] = []
        for (who, state), frames in sorted(self.clung.items()):
            way = [np.median(places, 0) for _, places in sorted(frames.items()) if len(places) >= LEAST]
            at[who, state], count[who, state] = len(rows), len(way)
            rows += way
        return {"cling_at": at, "cling_frames": count, "cling": np.array(rows)}

    def _moves(self) -> dict[str, NDArray[Any]]:
        """What follows special moves, and the speeds they prescribe."""
        after = np.zeros((CHARACTERS, NUM_ACTIONS), np.int16)
        at = np.full((CHARACTERS, NUM_ACTIONS), -1, np.int32)
        count = np.zeros((CHARACTERS, NUM_ACTIONS), np.int16)
        rows: list[tuple[float, ...]] = []
        for (who, state), endings in sorted(self.lasted.items()):
            lengths: Counter[int] = Counter()
            for (length, _), seen in endings.items():
                lengths[length] += seen
            usual, times = lengths.most_common(1)[0]
            if times >= LEAST:
                after[who, state] = max(
                    (seen, following) for (length, following), seen in endings.items() if length == usual
                )[1]
        for who, state in sorted({(who, state) for who, state, _ in self.speeds}):
            found = []
            for frame in range(MOST_FRAMES):
                speeds = np.array(self.speeds.get((who, state, frame), ()))
                if len(speeds) < LEAST:
                    break
                falls = speeds[~np.isnan(speeds[:, 2]), 2]
                middle, fall = np.median(speeds[:, :2], 0), float(np.median(falls)) if len(falls) >= LEAST else 0.0
                agree = np.mean(np.abs(speeds[:, :2] - middle) < AGREE, 0) >= MOSTLY
                falling = len(falls) >= LEAST and np.mean(np.abs(falls - fall) < AGREE / 3) >= MOSTLY
                found.append((*middle.tolist(), *agree.astype(float).tolist(), fall, float(falling)))
            if any(row[2] or row[3] or row[5] for row in found):
                at[who, state], count[who, state] = len(rows), len(found)
                rows += found
        return {"after": after, "drive_at": at, "drive_frames": count, "drive": np.array(rows)}

    def _airs(self) -> dict[str, NDArray[Any]]:
        """Which moves are steered, and what they land in."""
        steers, lands, goes_on = (np.zeros((CHARACTERS, NUM_ACTIONS), np.int16) for _ in range(3))
        for (who, state), (steered, seen) in self.steered.items():
            steers[who, state] = 2 * steered > max(seen, 2 * LEAST)
        for (who, state), ends in self.ended.items():
            into: Counter[int] = Counter()
            for (found, _), seen in ends.items():
                into[found] += seen
            following, times = into.most_common(1)[0]
            if times >= LEAST:
                lands[who, state] = following
                goes_on[who, state] = ends[following, True] > ends[following, False]
        return {"steers": steers, "lands": lands, "lands_on": goes_on}


def _slowed(speed: float, goal: float, body: Any) -> float:
    """A speed after a frame of friction in the air towards a goal."""
    friction = float(body["air_friction"])
    return goal if abs(speed - goal) <= friction else speed - (friction if speed > goal else -friction)


def main() -> int:
    """Fit and write."""
    fit, holds = Fit(), Holds()
    for players, stage in games(Path(sys.argv[1])):
        for seat in (0, 1):
            fit.see(players[:, seat], stage)
            holds.see(players[:, seat], players[:, 1 - seat])
    np.savez_compressed(STATES, **fit.arrays(), **holds.arrays())
    return 0


if __name__ == "__main__":
    sys.exit(main())
