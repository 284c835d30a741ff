"""Counts in recorded games how long action states last, and what their counter shows.

``python tools/fit_lengths.py FOLDER`` reads every ``.slp`` file below FOLDER and writes ``tools/tables/lengths.csv``:
for each character and action state the counter on its first frame, how much the counter rises a frame, how many frames
the state lasts when nothing cuts it short, and in which of them nothing touches it; and ``tools/tables/throws.csv``,
where throws let go. Files that cannot be read or are no game of two are left out and
named. The table of the repository is made from the 120 games of the corpus alone; the other replays stay for tests.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from exphil.errors import ReplayError
from exphil.game.frames import ROW, Lacks
from exphil.replays import slp

TABLE = Path(__file__).resolve().parent / "tables" / "lengths.csv"
THROWN = TABLE.parent / "throws.csv"
HEADER = "character,action,seen,first,first_seen,rate,rate_seen,length,length_seen,safe,safe_seen"
THROWN_HEADER = "character,action,release,seen"

STANDING = (0x0E,)
FALLING = (0x1D, 0x20, 0x23)
"""States that follow by themselves on most others: standing on those on the ground; falling, falling after a double
jump and helpless on those in the air (who falls out of a state on the ground has gone over an edge)."""

FOLLOWS: dict[int, tuple[int, ...]] = {
    **dict.fromkeys(range(0x0B), (0x0C,)),
    0x0C: (0x0D,),
    0x13: (0x15,),
    0x18: (0x19, 0x1A),
    0x27: (0x28,),
    0x2F: (0x30,),
    0x30: (0x31,),
    0x39: (0x28,),
    0xB2: (0xB3,),
    0xB5: (0xB3,),
    0xB7: (0xB8,),
    0xB9: (0xB8,),
    0xBF: (0xC0,),
    0xC1: (0xC0,),
    0xCD: (0xCE,),
    0xCF: (0xD1,),
    0xD0: (0xD2,),
    0xD1: (0xD3,),
    0xD2: (0xD3,),
    0xD5: (0xD8,),
    0xD7: (0xD8,),
    0xD9: (0xD8,),
    0xDF: (0xE0,),
    0xE1: (0xE0,),
    0xE2: (0xE3,),
    0xE4: (0xE3,),
    0xF5: (0xF6,),
    0xFC: (0xFD,),
    0x104: (0x105,),
    0x106: (0x107,),
    0x142: (0x143,),
    0x143: (0x144,),
}
"""States with a follower of their own, beside ``STANDING`` and ``FALLING``."""

LOOPS = (0x0E, 0x0F, 0x10, 0x11, 0x15, 0x16, *range(0x1D, 0x24), 0x24, 0x25, 0x26, 0x28, 0xB3, 0xB8, 0xC0, 0xD8)
"""States that go on until something is done: they have no length."""

LEDGE = range(0xFE, 0x104)
"""States that begin at a ledge and end on the ground."""

SPECIAL = 0x155
PUMMEL = 0xD9
THROWS = (0xDB, 0xDC, 0xDD, 0xDE)
HELD = (0xEF, 0xF0, 0xF1, 0xF2, 0xF3)
"""Being thrown, while the throw has not let go."""


@dataclass
class Seen:
    """What was seen of one action state of one character."""

    runs: int = 0
    firsts: Counter[float] = field(default_factory=Counter)
    rates: Counter[float] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    safe: Counter[str] = field(default_factory=Counter)


def follows(action: int, after: int, on_ground: bool) -> bool:
    """Whether ``after`` comes on ``action``, which began on the ground or not, without a press, a hit or an edge."""
    if action in LOOPS or after == action:
        return False
    neutral = STANDING if on_ground or action in LEDGE else FALLING
    return after in neutral or after in FOLLOWS.get(action, ()) or (action >= SPECIAL and after >= SPECIAL)


def runs(player: Any) -> Iterator[tuple[int, int, int]]:
    """First row, row behind the last, and following action of every stretch of one action state.

    A counter that falls starts a new stretch: states follow on themselves.

    Args:
        player: ``(T,)`` rows of one player of a game.
    """
    action, counter = player["action"].astype(int), player["action_frame"]
    cut = (np.diff(action) != 0) | (np.diff(counter) < 0) | (np.diff(player["character"].astype(int)) != 0)
    starts = np.concatenate([[0], np.flatnonzero(cut) + 1])
    for first, end in pairwise(starts[1:]):  # the first and the last may be cut by the recording
        yield int(first), int(end), int(action[end])


def watch(player: Any, seen: dict[tuple[int, int], Seen], known_safe: bool) -> None:
    """Adds the stretches of one player of a game to ``seen``; older files do not know when nothing touches a player."""
    player = player[player["exists"] == 1]
    if len(player) < 2:
        return
    for first, end, after in runs(player):
        rows, action = player[first:end], int(player["action"][first])
        one = seen[int(rows["character"][0]), action]
        one.runs += 1
        one.firsts[round(float(rows["action_frame"][0]), 3)] += 1
        free = rows["hitlag"] == 0
        rises = np.diff(rows["action_frame"])[free[1:] & free[:-1]]
        one.rates.update(round(float(r), 3) for r in rises if r > 0)
        safe = np.flatnonzero(rows["invulnerable"]) + 1
        whole = follows(action, after, bool(rows["on_ground"][0]))
        if known_safe and free.all() and (whole or (len(safe) and safe[-1] < len(rows))):  # what is cut tells nothing
            one.safe[f"{safe[0]}-{safe[-1]}" if len(safe) else "0-0"] += 1
        stalls = action >= 0x2C and (np.diff(rows["action_frame"]) <= 0).any() and rows["action_frame"][0] >= 0
        # a counter that stands still is a charge, or hitlag that an older file does not tell
        if free.all() and not stalls and whole:
            one.lengths[len(rows)] += 1
        elif action == PUMMEL and whole:  # it always hits: hitlag is left out
            one.lengths[1 + int((np.diff(rows["action_frame"]) > 0).sum())] += 1


def watch_throws(player: Any, other: Any, seen: dict[tuple[int, int], list[float]]) -> None:
    """Adds the counters at which the throws of ``player`` let go of ``other`` to ``seen``."""
    for first, end, _ in runs(player):
        action = int(player["action"][first])
        if not THROWS[0] <= action <= THROWS[-1]:
            continue
        held = np.isin(other["action"][first:end], HELD)
        if held[:3].any() and not held[held.argmax() :].all():
            after = int(held.argmax() + (~held[held.argmax() :]).argmax())  # the counter still counts in hitlag's first
            seen[int(player["character"][first]), action].append(float(player["action_frame"][first + after]))


def throw_lines(seen: dict[tuple[int, int], list[float]]) -> Iterator[str]:
    """The lines of the table of throws: the counter that is reached when the victim is free, and times seen.

    Throws play faster on light victims, so that the counter steps over the frame of release by less than its rate: the
    least one seen, rounded down, is nearest.
    """
    for (character, action), counters in sorted(seen.items()):
        yield f"{character},{action},{math.floor(min(counters) + 0.01)},{len(counters)}"


def lines(seen: dict[tuple[int, int], Seen]) -> Iterator[str]:
    """The lines of the table, in order of character and action; of equally frequent figures the smaller one."""
    for (character, action), one in sorted(seen.items()):
        cells: list[str] = [str(character), str(action), str(one.runs)]
        for counts in (one.firsts, one.rates, one.lengths):
            figure, times = min(counts.items(), key=lambda pair: (-pair[1], pair[0])) if counts else ("", "")
            cells += [f"{figure:g}" if figure != "" else "", str(times)]
        span, times = min(one.safe.items(), key=lambda pair: (-pair[1], pair[0])) if one.safe else ("", "")
        cells += [span, str(times)]
        yield ",".join(cells)


def main(folder: str) -> None:
    """Reads the games of ``folder`` and writes the table."""
    seen: dict[tuple[int, int], Seen] = defaultdict(Seen)
    thrown: dict[tuple[int, int], list[float]] = defaultdict(list)
    games = 0
    for path in sorted(Path(folder).rglob("*.slp")):
        try:
            rows = slp.read(path).game.rows.view(ROW)[..., 0]
        except ReplayError as error:
            sys.stderr.write(f"left out: {error}\n")
            continue
        if (rows["lacks"] & (Lacks.STATE | Lacks.ACTION_FRAME)).any():
            sys.stderr.write(f"left out: {path.name} lacks a column\n")
            continue
        games += 1
        for group in ("players", "nana"):
            for seat in (0, 1):
                watch(rows[group][:, seat], seen, not (rows["lacks"] & Lacks.INVULNERABLE).any())
        for seat in (0, 1):
            watch_throws(rows["players"][:, seat], rows["players"][:, 1 - seat], thrown)
    THROWN.write_text("\n".join([THROWN_HEADER, *throw_lines(thrown)]) + "\n", encoding="utf-8")
    TABLE.write_text("\n".join([HEADER, *lines(seen)]) + "\n", encoding="utf-8")
    sys.stdout.write(f"{games} games, {len(seen)} states of characters -> {TABLE}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
