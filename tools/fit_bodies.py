"""Measures how wide and tall characters are by who was hit and who was not.

``python tools/fit_bodies.py FOLDER`` reads every ``.slp`` file below FOLDER and the hitboxes of the simulator's tables,
and writes ``tools/tables/bodies.csv``. The body is an upright rectangle whose lower middle is the player's position.
Every frame in which an attacker has hitboxes out and nothing protects the other is a case; of all sizes on a grid the
one that tells hits from misses best is taken, hits and misses weighing the same in sum.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.envs.sim.tables import load
from exphil.errors import ReplayError
from exphil.game.frames import ROW, Lacks
from exphil.replays import slp

TABLE = Path(__file__).resolve().parent / "tables" / "bodies.csv"
HEADER = "character,width,height,hits,misses,right"
NEEDED = Lacks.HITLAG | Lacks.STATE | Lacks.ACTION_FRAME | Lacks.INVULNERABLE
WIDTHS, HEIGHTS = np.arange(0.5, 8.01, 0.5), np.arange(4.0, 22.01, 1.0)
NEAR, AFTER = 25.0, 40
FEWEST = 60
HELD = ((0xDF, 0xE8), (0xEF, 0xF3), (0xB2, 0xB6), (0x00, 0x0D))
"""States in which an attack meets a shield, a grip or nobody."""


def cases(one: Any, other: Any) -> Iterator[tuple[int, NDArray[np.float64], bool]]:
    """Attack frames of ``one`` against ``other``: the victim's character, its gaps, and whether it was hit.

    The gaps are ``(B, 3)``: across and up from the victim's position to the hitbox, and the hitbox's radius.
    """
    tables = load()
    last = -AFTER
    for row in range(1, len(one)):
        a, d = one[row], other[row]
        character, action = int(a["character"]), int(a["action"])
        start = tables.motion_at[character, action]
        if other["hitlag"][row - 1] > 0 or d["invulnerable"] or start < 0 or one["hitlag"][row - 1] > 0:
            continue
        frame = round(float((a["action_frame"] - tables.first[character, action]) / tables.rate[character, action]))
        if not 0 <= frame < tables.motion_frames[character, action]:
            continue
        boxes = tables.boxes[tables.box_at[start + frame] : tables.box_at[start + frame + 1]]
        held = any(low <= d["action"] <= high for low, high in HELD)
        if not len(boxes) or (boxes["hit"] < 0).any() or held:
            continue
        hit = d["hitlag"] > 0 and d["percent"] > other["percent"][row - 1]
        across = a["x"] + a["facing"] * boxes["x"] - d["x"]
        up = a["y"] + boxes["y"] - d["y"]
        if hit and abs(d["hitlag"] - a["hitlag"]) <= 1:
            last = row
        elif hit or row - last < AFTER or min(np.hypot(across, up)) > NEAR:  # a projectile; a move hits but once
            continue
        yield int(d["character"]), np.stack([across, up, boxes["size"]], 1), bool(hit)


def touching(gaps: list[NDArray[np.float64]], width: float, height: float) -> NDArray[np.bool_]:
    """Whether any hitbox of each case touches the rectangle."""
    owner = np.repeat(np.arange(len(gaps)), [len(g) for g in gaps])
    across, up, size = np.concatenate(gaps).T
    beside = np.maximum(abs(across) - width, 0)
    above = np.maximum(np.maximum(up - height, -up), 0)
    found = np.zeros(len(gaps), bool)
    np.logical_or.at(found, owner, np.hypot(beside, above) <= size)
    return found


def fitted(gaps: list[NDArray[np.float64]], hit: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Half width, height, and the share of cases they tell rightly."""
    best = (0.0, 0.0, 0.0)
    for width in WIDTHS:
        for height in HEIGHTS:
            touch = touching(gaps, width, height)
            right = (touch[hit].mean() + (~touch[~hit]).mean()) / 2
            best = max(best, (float(right), -float(width), -float(height)))
    return -best[1], -best[2], best[0]


def main(folder: str) -> None:
    """Reads the games of ``folder`` and writes the table."""
    found: dict[int, list[tuple[NDArray[np.float64], bool]]] = defaultdict(list)
    for path in sorted(Path(folder).rglob("*.slp")):
        try:
            rows = slp.read(path).game.rows.view(ROW)[..., 0]
        except ReplayError as error:
            sys.stderr.write(f"left out: {error}\n")
            continue
        if not (rows["lacks"] & NEEDED).any():
            for seat in (0, 1):
                for character, gaps, hit in cases(rows["players"][:, seat], rows["players"][:, 1 - seat]):
                    found[character].append((gaps, hit))
    lines = [HEADER]
    for character, held in sorted(found.items()):
        hits = np.array([h for _, h in held])
        if hits.sum() >= FEWEST:
            width, height, right = fitted([g for g, _ in held], hits)
            lines.append(f"{character},{width:g},{height:g},{hits.sum()},{(~hits).sum()},{right:.3f}")
            sys.stdout.write(lines[-1] + "\n")
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
