"""What special moves and held smash attacks do, frame by frame: part of what ``fit_states.py`` fits.

- ``charged`` (33, 399): the frame in which a smash attack can be held: that in which recorded ones were, else the share
  of the frames before its first hit that is usual among those.
- ``after`` (33, 399): the state that mostly follows when a special move has lasted its usual time, 0 unknown.
- ``drive_at`` (33, 399), ``drive`` (D, 6): speeds forward and up that a move prescribes frame by frame, and whether it
  does (where the games agree); then by how much it changes the speed up, and whether it does. The frames of a move lie
  one after the other, ``drive_frames`` (33, 399) of them.
- ``steers`` (33, 399): whether one steers in the air during a special move, as in a jump.
- ``lands`` (33, 399): the state that a special move in the air leads to when it lands, 0 unknown; ``lands_on``
  (33, 399) says that this one goes on where that was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.envs.sim import actions as act
from exphil.envs.sim import tables
from exphil.game.ids import NUM_ACTIONS, Character

CHARACTERS = 33
LEAST = 3
"""A figure seen fewer times than this is not fitted."""
THUNDERS = range(358, 367)
"""Ness' up special: what lifts him is the bolt that he steers into himself, so he rises as who is unknown."""
SMASHES = (act.SMASH_FORWARD_HIGH, 59, act.SMASH_FORWARD, 61, act.SMASH_FORWARD_LOW, act.SMASH_UP, act.SMASH_DOWN)
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


def runs(action: NDArray[np.int16]) -> Iterator[tuple[int, int]]:
    """First row and row behind of every stretch of one action."""
    ends = np.flatnonzero(np.diff(action)) + 1
    yield from zip(np.r_[0, ends], np.r_[ends, len(action)], strict=True)


def _lend(moves: dict[str, NDArray[Any]], one: int, other: int) -> None:
    """Special moves that were not seen of one are those of a near twin."""
    unseen = np.arange(NUM_ACTIONS) >= act.SPECIALS
    for names in (("drive_at", "drive_frames"), ("after",), ("lands", "lands_on"), ("steers",)):
        first = moves[names[0]]
        missing = unseen & (first[one] == (-1 if names[0] == "drive_at" else 0))
        for name in names:
            moves[name][one] = np.where(missing, moves[name][other], moves[name][one])


class Moves:
    """Counts over games, and the figures that follow from them."""

    def __init__(self) -> None:
        self.lasted: dict[tuple[int, int], Counter[tuple[int, int]]] = defaultdict(Counter)
        self.speeds: dict[tuple[int, int, int], list[tuple[float, float, float]]] = defaultdict(list)
        self.steered: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self.waited: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        self.ended: dict[tuple[int, int], Counter[tuple[int, bool]]] = defaultdict(Counter)

    def see(self, p: Rows) -> None:
        """Take one player's game in."""
        action = p["action"]
        for start, end in runs(action):
            if start == 0 or end >= len(p):
                continue
            who, state = int(p["character"][start]), int(action[start])
            if state in SMASHES and not p["hitlag"][start:end].any():
                waits = np.flatnonzero(np.diff(p["action_frame"][start:end]) == 0)
                if len(waits) > 2:
                    self.waited[who, state][int(waits[0]) + 1] += 1
            if state >= act.SPECIALS or (who in FLOATS_UP and state in (27, 28)):
                self._move(p, who, state, start, end)
            if state >= act.SPECIALS:
                self._steer(p, who, state, start, end)
                self._down(p, who, state, start, end)

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

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fitted figures."""
        moves = {**self._moves(), **self._airs()}
        for one, other in (*TWINS, *((other, one) for one, other in TWINS)):
            _lend(moves, one, other)
        return {**moves, "charged": self._charges()}

    def _charges(self) -> NDArray[Any]:
        """The frame in which smash attacks can be held."""
        known, charged = tables.load(), np.zeros((CHARACTERS, NUM_ACTIONS), np.int16)
        first = np.zeros_like(charged)
        for who in range(CHARACTERS):
            for state in SMASHES:
                at, count = known.motion_at[who, state], known.motion_frames[who, state]
                boxes = np.diff(known.box_at[at : at + count + 1]) if at >= 0 else np.zeros(0)
                first[who, state] = int(boxes.argmax()) + 1 if boxes.any() else 0
        shares = []
        for key, frames in self.waited.items():
            frame, times = frames.most_common(1)[0]
            if times >= 2 and frame < first[key]:
                charged[key] = frame
                shares.append(frame / first[key])
        usual = float(np.median(shares))
        return np.where((charged == 0) & (first > 0), np.maximum(np.rint(usual * first), 1), charged).astype(np.int16)

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
