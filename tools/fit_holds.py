"""Where they are who are held or thrown: what ``fit_states.py`` asks of both players of a game.

In frame f of a grab or throw, its victim is at path(holder, state, f) - body(victim), forwards and up from the holder:
the same hands hold everybody, at the height of everybody's own middle. Held on the ground only the distance counts.
Throws are followed by their frames of animation, as a throw plays faster for the light; they also move who throws,
which is the third figure of a path: how far ahead of where the throw began.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.envs.sim import actions as act
from exphil.game.ids import NUM_ACTIONS

HOLDS = (act.CATCH_PULL, act.CATCH_DASH_PULL, act.CATCH_WAIT, act.CATCH_ATTACK)
THROWS = range(act.THROW_FORWARD, act.THROW_DOWN + 1)
THROWN = range(act.THROWN_FORWARD, act.THROWN_DOWN + 1)
CHARACTERS, ROUNDS, REACH, STILL = 33, 8, 0.6, 0.5
"""``REACH`` is by how much a frame may miss the next one of a throw's path and still belong to it, ``STILL`` how far
who throws may come and still count as standing."""
Path = NDArray[np.float64]


class Holds:
    """Paths over games."""

    def __init__(self) -> None:
        self.held: dict[tuple[int, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.thrown: dict[tuple[int, int], list[tuple[int, Path]]] = defaultdict(list)

    def see(self, one: NDArray[Any], other: NDArray[Any]) -> None:
        """Take in what ``one`` does to ``other``."""
        action = one["action"]
        ends = np.flatnonzero(np.diff(action)) + 1
        for start, end in zip(np.r_[0, ends], np.r_[ends, len(action)], strict=True):
            state = int(action[start])
            if state in HOLDS:
                self._held(one, other, int(start), int(end), state)
            elif state in THROWS and end < len(action):
                self._thrown(one, other, int(start), int(end), state)

    def _held(self, one: NDArray[Any], other: NDArray[Any], start: int, end: int, state: int) -> None:
        for row in range(start, end):
            if act.PULLED <= other["action"][row] <= act.PUMMELLED:
                frame = 0 if state == act.CATCH_WAIT else row - start
                self.held[int(one["character"][start]), state][frame].append(_from(one[row], other[row])[0])

    def _thrown(self, one: NDArray[Any], other: NDArray[Any], start: int, end: int, state: int) -> None:
        """A throw from its first frame to that in which the victim is let go, whose own flight is taken off."""
        rows = np.arange(start, end)
        free = ~np.isin(other["action"][rows], THROWN)
        if not free.any() or free[0]:
            return
        last = int(rows[free.argmax()])
        at, facing = one["x"][start - 1], one["facing"][start]
        path = [
            (float(one["action_frame"][row]), *_from(one[row], other[row]), float((one["x"][row] - at) * facing))
            for row in range(start, last + 1)
        ]
        gone = other[last]
        flown = gone["speed_x_attack"] * one["facing"][last], gone["speed_y_attack"] + gone["speed_y"]
        path[-1] = path[-1][0], path[-1][1] - float(flown[0]), path[-1][2] - float(flown[1]), path[-1][3]
        if other["hitlag"][start : last + 1].any() or one["hitlag"][start : last + 1].any():
            kept = one["hitlag"][start : last + 1] == 0
            path = [each for each, live in zip(path, kept, strict=True) if live]
        if len(path) > 1:
            self.thrown[int(one["character"][start]), state].append((int(other["character"][start]), np.array(path)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``carry_at``, ``carry_frames`` (33, 399), ``carry`` (P, 3) and ``middle`` (33, 2)."""
        middle, paths = self._bodies()
        for (who, state), frames in sorted(self.held.items()):
            most = max(frames) + 1
            known = [
                float(np.median(frames[frame])) if len(frames.get(frame, ())) >= 3 else np.nan for frame in range(most)
            ]
            kept = most if not np.isnan(known).any() else int(np.isnan(known).argmax())
            paths[who, state] = np.stack([known[:kept], np.zeros(kept), np.zeros(kept)], 1)
        for who in sorted({who for who, _ in self.held}):
            for state in HOLDS:
                if not len(paths.get((who, state), ())):
                    paths[who, state] = paths[who, act.CATCH_WAIT]
        for path in paths.values():
            if np.abs(path[:, 2]).max(initial=0.0) < STILL:
                path[:, 2] = 0.0
        at, count = np.zeros((CHARACTERS, NUM_ACTIONS), np.int32), np.zeros((CHARACTERS, NUM_ACTIONS), np.int16)
        rows: list[NDArray[Any]] = []
        for (who, state), path in sorted(paths.items()):
            at[who, state], count[who, state] = len(rows), len(path)
            rows += list(path)
        return {"carry_at": at, "carry_frames": count, "carry": np.array(rows), "middle": middle}

    def _bodies(self) -> tuple[NDArray[np.float64], dict[tuple[int, int], Path]]:
        """Bodies and paths, each the middle of what the other leaves, in turns; bodies are about a usual one."""
        middle, paths = np.zeros((CHARACTERS, 2)), {}
        for _ in range(ROUNDS):
            left: dict[int, list[Path]] = defaultdict(list)
            for key, throws in self.thrown.items():
                paths[key] = _middle([path + np.r_[0.0, middle[victim], 0.0] for victim, path in throws])
                for victim, path in throws:
                    inside = path[path[:, 0] <= len(paths[key])]
                    if len(inside):
                        left[victim].append(_at(paths[key], inside[:, 0]) - inside[:, 1:3])
            for victim, found in left.items():
                middle[victim] = [_densest(axis) for axis in np.concatenate(found).T]
            usual = np.median(middle[sorted(left)], 0)
            middle[sorted(left)] -= usual
        return middle, paths


def _from(one: Any, other: Any) -> tuple[float, float]:
    """Forwards and up from one to the other."""
    return float((other["x"] - one["x"]) * one["facing"]), float(other["y"] - one["y"])


def _at(path: Path, frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """A path between its whole frames, which count from 1."""
    whole = np.arange(1, len(path) + 1)
    return np.stack([np.interp(frame, whole, path[:, axis]) for axis in (0, 1)], 1)


def _densest(values: NDArray[np.float64]) -> float:
    """The middle of the narrowest stretch that holds a third of some values: some animations shake their victims."""
    ordered = np.sort(values)
    count = max(len(ordered) // 3, 1)
    first = int(np.argmin(ordered[count - 1 :] - ordered[: len(ordered) - count + 1]))
    return float(np.median(ordered[first : first + count]))


def _middle(paths: list[Path]) -> Path:
    """The middle path at every whole frame that one of them reaches."""
    most = max(int(np.ceil(path[-1, 0])) for path in paths)
    found = []
    for frame in range(1, most + 1):
        near = [path for path in paths if path[0, 0] - 1 <= frame <= path[-1, 0] + REACH]
        if not near:
            break
        places = [[np.interp(frame, path[:, 0], path[:, axis]) for axis in (1, 2, 3)] for path in near]
        found.append(np.median(np.array(places), 0))
    return np.array(found)
