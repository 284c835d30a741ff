"""Measures what throws do when they let go, from the speeds at which their victims leave.

``python tools/fit_throws.py FOLDER`` reads every ``.slp`` file below FOLDER and writes
``tools/tables/throw_figures.csv``. The source of moves lists for some throws only the hits that come before they let
go. The knockback of a throw is ``growth / 100 * ((p / 10 + p * d / 20) * 1.4 + 18) + base`` with the percent p after
its damage d, rounded down: every victim counts as one of weight 100 (so the figures that the source does list fit to
0.0 on median; with the victim's own weight growth comes out a tenth too small on Falco). Speeds are 0.03 of the
knockback, and one decay of 0.051 is over when they are recorded.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from fit_lengths import HELD, THROWS, runs

from exphil.errors import ReplayError
from exphil.game.frames import ROW, Lacks
from exphil.replays import slp

TABLE = Path(__file__).resolve().parent / "tables" / "throw_figures.csv"
HEADER = "character,action,seen,damage,before,angle,growth,base"
NEEDED = Lacks.SPEEDS | Lacks.STATE | Lacks.ACTION_FRAME
HURT = (0x4B, 0x5B)
FEWEST, SPREAD = 3, 15.0
"""Throws and percent of spread that growth is measured from; with less it is taken for 100."""


def watch(one: Any, other: Any, seen: dict[tuple[int, int], list[tuple[float, ...]]]) -> None:
    """Adds percent, damage, damage before, knockback and angle of every throw of ``one`` to ``seen``."""
    for first, end, _ in runs(one):
        action = int(one["action"][first])
        held = np.isin(other["action"][first:end], HELD)
        if not THROWS[0] <= action <= THROWS[-1] or not held[:3].any() or held[held.argmax() :].all():
            continue
        row = first + int(held.argmax() + (~held[held.argmax() :]).argmax())
        if not HURT[0] <= other["action"][row] <= HURT[1]:
            continue
        speed = np.hypot(other["speed_x_attack"][row], other["speed_y_attack"][row])
        ahead = other["speed_x_attack"][row] * one["facing"][first]
        angle = float(np.degrees(np.arctan2(other["speed_y_attack"][row], ahead))) % 360
        percent, damage = other["percent"][row], other["percent"][row] - other["percent"][row - 1]
        before = other["percent"][row - 1] - other["percent"][first - 1]
        case = (float(percent), float(damage), float(before), float(speed + 0.051) / 0.03, angle)
        seen[int(one["character"][first]), action].append(case)


def figures(cases: list[tuple[float, ...]]) -> tuple[float, ...]:
    """Damage, damage before, angle, growth and base of one throw; growth and base to the next 5."""
    percent, damage, before, knockback, angle = np.array(cases).T
    percent = np.floor(percent)
    term = (percent / 10 + percent * damage / 20) * 1.4 + 18
    growth = 1.0
    if len(cases) >= FEWEST and np.ptp(percent) >= SPREAD:
        growth = float(np.linalg.lstsq(np.stack([term, np.ones(len(term))], 1), knockback, rcond=None)[0][0])
    growth = round(growth * 20) / 20
    base = round(float(np.median(knockback - growth * term)) / 5) * 5
    return round(damage.max()), round(before.max()), round(float(np.median(angle))), round(100 * growth), max(base, 0)


def main(folder: str) -> None:
    """Reads the games of ``folder`` and writes the table."""
    seen: dict[tuple[int, int], list[tuple[float, ...]]] = defaultdict(list)
    for path in sorted(Path(folder).rglob("*.slp")):
        try:
            rows = slp.read(path).game.rows.view(ROW)[..., 0]
        except ReplayError as error:
            sys.stderr.write(f"left out: {error}\n")
            continue
        if not (rows["lacks"] & NEEDED).any():
            for seat in (0, 1):
                watch(rows["players"][:, seat], rows["players"][:, 1 - seat], seen)
    lines = [",".join(map(str, (*key, len(cases), *figures(cases)))) for key, cases in sorted(seen.items())]
    TABLE.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(lines)} throws -> {TABLE}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
