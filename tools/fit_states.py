"""Fit from recorded games what no table publishes: ``python tools/fit_states.py FOLDER`` makes ``states.npz``.

- ``dash_frames`` (33,): frames of a dash before it becomes a run.
- ``hang`` (33, 2): where a player hangs, outwards and up from the edge of the stage.
- ``feet`` (33, 399): how high the feet are above the position, as landings show it.
- ``cling_at``, ``cling_frames`` (33, 399), ``cling`` (C, 2): where the body is, outwards and up from the edge, in each
  frame of catching it and of jumping up from it.
- ``whole`` (33, 399): how many frames of animation a landing or a stun plays, however long it lasts.
- ``reach`` (33, 3): where a ledge was caught: at most so far out, at least and at most so far below the edge.
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
from fit_moves import Moves, runs
from numpy.typing import NDArray
from table_specials import SPECIALS, STARTS

from exphil.envs.sim import actions as act
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
STRETCHED = (act.LANDING_SPECIAL, *range(70, 75), act.GUARD_STUN)
AIRBORNE = (*range(25, 39), *range(65, 70), *range(84, 92), 236, 244)
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
        return {
            "dash_frames": dash,
            "hang": hang,
            "feet": feet,
            "special": special,
            "whole": whole,
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


def main() -> int:
    """Fit and write."""
    fit, moves, holds = Fit(), Moves(), Holds()
    for players, stage in games(Path(sys.argv[1])):
        for seat in (0, 1):
            fit.see(players[:, seat], stage)
            moves.see(players[:, seat])
            holds.see(players[:, seat], players[:, 1 - seat])
    np.savez_compressed(STATES, **fit.arrays(), **moves.arrays(), **holds.arrays())
    return 0


if __name__ == "__main__":
    sys.exit(main())
