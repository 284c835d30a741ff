"""Measures how people behave: the ranges of the canaries, and how many held-out people they let pass.

``python tools/measure_canaries.py FOLDER ...`` reads the ``.slp`` files below the folders (those of kind "game" where a
``manifest.json`` lies beside them) and prints the lines of ``RANGES`` in ``src/exphil/evaluate/canaries.py``.
``--json`` prints what stands in ``bench/results/canaries.json``: the percentiles, and for several margins what share of
held-out player-games pass. Held-out are all games of a fifth, judged by ranges of the other four; and all players of
five held-out games taken together, as a match would be.

Files that cannot be read, are no game of two people, that a program plays in, that are shorter than a minute or that
were seen before are left out and named.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exphil.errors import ReplayError
from exphil.evaluate.behaviour import COUNTED, Doubles, count, rates
from exphil.evaluate.canaries import MIN_FRAMES, RANGES, Range, judge
from exphil.game.frames import Game, Lacks
from exphil.replays import slp
from exphil.replays.quality import programs

PERCENTILES = (1, 99)
AT_ONCE = 32
FOLDS = 5
TOGETHER = 5
"""Held-out games that are judged as one player of a match."""
MARGINS = (1.0, 1.25, 1.5, 2.0)
_FRAMES = COUNTED.index("frames")


def listed(folder: Path) -> list[Path]:
    """The files of a folder that are meant to be games."""
    manifest = folder / "manifest.json"
    if manifest.is_file():
        entries = json.loads(manifest.read_text(encoding="utf-8"))["entries"]
        return [folder / entry["name"] for entry in entries if entry["kind"] == "game"]
    return sorted(folder.rglob("*.slp"))


def why_not(replay: slp.Replay, seen: set[str]) -> str:
    """Why a file is left out; empty when it is not."""
    if len(replay.ports) != 2 or not all(seat.human for seat in replay.start.seats):
        return "no game of two people"
    if replay.lacks & Lacks.STATE:
        return "lacks hitstun"
    if replay.digest in seen:
        return "seen before"
    return "a program plays" if any(programs(replay.game)) else ""


def read(folders: Sequence[str]) -> Iterator[tuple[Game, bool]]:
    """The games, and whether hitlag is known."""
    seen: set[str] = set()
    for path in (path for folder in folders for path in listed(Path(folder))):
        try:
            replay = slp.read(path)
            reason = why_not(replay, seen)
        except ReplayError as error:
            reason = error.what
        if reason:
            sys.stderr.write(f"left out: {path.name}: {reason}\n")
            continue
        seen.add(replay.digest)
        yield replay.game, not replay.lacks & Lacks.HITLAG


def counted(games: Sequence[Game]) -> Doubles:
    """``(games, 2, len(COUNTED))``; games of about the same length go side by side."""
    found = np.zeros((len(games), 2, len(COUNTED)))
    order = np.argsort([len(game) for game in games])
    for first in range(0, len(order), AT_ONCE):
        rows = order[first : first + AT_ONCE]
        found[rows] = count([games[row] for row in rows])
    return found[(found[..., _FRAMES] >= MIN_FRAMES).all(1)]


def ranges(sums: Doubles) -> dict[str, Range]:
    """The ranges of players ``(n, len(COUNTED))``."""
    every = [rates(row) for row in sums]
    found = {}
    for name, known in RANGES.items():
        values = [one[name] for one in every if name in one]
        low, high = np.percentile(values, PERCENTILES)
        found[name] = Range(float(low), float(high), len(values), known.says)
    return found


def passing(sums: Doubles, margin: float) -> dict[str, Any]:
    """How many held-out player-games pass, all canaries and each; folds are drawn by a fixed seed."""
    fold = np.random.default_rng(0).permutation(len(sums)) % FOLDS
    failed: dict[str, int] = dict.fromkeys(RANGES, 0)
    alone, together = [], []
    for held in range(FOLDS):
        learned = ranges(sums[fold != held].reshape(-1, len(COUNTED)))
        people = {name: one._replace(margin=margin) for name, one in learned.items()}
        games = sums[fold == held]
        for row in games.reshape(-1, len(COUNTED)):
            bad = [verdict.name for verdict in judge(rates(row), row[_FRAMES], people) if verdict.passed is False]
            alone.append(not bad)
            for name in bad:
                failed[name] += 1
        for first in range(0, len(games), TOGETHER):
            row = games[first : first + TOGETHER].sum((0, 1))
            together.append(all(verdict.passed is not False for verdict in judge(rates(row), row[_FRAMES], people)))
    shares = {"player_games": round(float(np.mean(alone)), 4), "five_games": round(float(np.mean(together)), 4)}
    return {**shares, "failed": {name: number for name, number in failed.items() if number}}


def main(folders: Sequence[str], as_json: bool) -> None:
    """Measures and prints."""
    found = list(read(folders))
    sums = counted([game for game, _ in found])
    people = ranges(sums.reshape(-1, len(COUNTED)))
    if not as_json:
        for name, one in people.items():
            sys.stdout.write(f'    "{name}": Range({one.first:.4g}, {one.last:.4g}, {one.games}, "{one.says}"),\n')
        return
    page = {
        "date": time.strftime("%Y-%m-%d"),
        "command": "tools/measure_canaries.py ../shared/replays CORPUS --json",
        "games": len(sums),
        "games_without_hitlag": sum(not known for _, known in found),
        "frames": int(sums[:, 0, _FRAMES].sum()),
        "ranges": {name: [round(one.first, 4), round(one.last, 4), one.games] for name, one in people.items()},
        "held_out_passing_by_margin": {str(margin): passing(sums, margin) for margin in MARGINS},
    }
    sys.stdout.write(json.dumps(page, indent=1) + "\n")


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if word != "--json"]
    if not given:
        sys.exit(__doc__)
    main(given, "--json" in sys.argv)
