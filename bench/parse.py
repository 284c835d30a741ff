"""Reading replays against peppi-py-vladfi, libmelee's file mode and a plain memory copy, on ten full games.

Bounds: every column with items and problems at least 2 times peppi's frames a second; a peek at least 15 times its
``skip_frames=True``. Both readers start from the file's path, in this process, on one thread; CPU time, best of k.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import peppi_py

import report
from exphil.replays import slp, write

GAMES, PEEKS = 10, 20


def longest(root: Path) -> list[Path]:
    """The ten full games with most frames whose version has items and rollbacks (3.0 on)."""
    entries = json.loads((root / "manifest.json").read_text())["entries"]
    full = [entry for entry in entries if entry["kind"] == "game" and int(entry["slippi_version"][0]) >= 3]
    return [root / entry["name"] for entry in sorted(full, key=lambda entry: -entry["frames"])[:GAMES]]


def melee_frames(path: Path) -> int:
    """Every frame as a GameState, by libmelee's file mode."""
    import melee

    console = melee.Console(path=str(path), is_dolphin=False)
    console.connect()
    count = 0
    while console.step() is not None:
        count += 1
    return count


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", best_of=20)
    paths = longest(Path(args.replays))
    texts = [str(path) for path in paths]
    replays = [slp.read(path) for path in paths]
    rows, size = sum(replay.rows for replay in replays), sum(len(replay.data) for replay in replays)
    raw = [np.frombuffer(replay.data, np.uint8) for replay in replays]
    into = [np.empty_like(part) for part in raw]
    last = peppi_py.RollbackMode.LAST

    def each(work: Callable[[Any], object], over: list[Any], times: int = 1) -> Callable[[], object]:
        def run() -> None:
            for _ in range(times):
                for one in over:
                    work(one)  # and forget it, as who reads a folder does

        return run

    works: dict[str, tuple[Callable[[], object], int]] = {
        "copy": (lambda: [np.copyto(to, part) for to, part in zip(into, raw, strict=True)], 1),
        "bytes": (each(slp.read_bytes, paths), 1),
        "columns": (each(slp.read, paths), 1),
        "columns_last": (each(lambda path: slp.read(path, "last"), paths), 1),
        "game": (each(lambda path: slp.read(path).game, paths), 1),
        "peppi": (each(peppi_py.read_slippi, texts), 1),
        "peppi_last": (each(lambda path: peppi_py.read_slippi(path, rollback_mode=last), texts), 1),
        "peek": (each(slp.peek, paths, PEEKS), PEEKS),
        "peppi_skip": (each(lambda path: peppi_py.read_slippi(path, skip_frames=True), texts, PEEKS), PEEKS),
        "write": (each(lambda replay: write.write(replay.recording), replays), 1),
    }
    if find_spec("melee"):
        works["melee"] = (each(melee_frames, paths[:1]), 1)
    best = {name: report.cpu_seconds(work, 1) / times for name, (work, times) in works.items()}
    for _ in range(args.best_of - 1):  # in turns, so that a busy moment of the machine meets all of them
        for name, (work, times) in works.items():
            best[name] = min(best[name], report.cpu_seconds(work, 1) / times)
    show(args, best, rows, size, len(paths))


def show(args: Any, best: dict[str, float], rows: int, size: int, games: int) -> None:
    titles = {
        "copy": "memory copy of the files' bytes",
        "bytes": "reading the bytes",
        "columns": "read: every column, items, problems",
        "columns_last": "read, rollbacks last",
        "game": "read and pack a Game",
        "peppi": "peppi read_slippi",
        "peppi_last": "peppi read_slippi, rollbacks last",
        "peek": "peek",
        "peppi_skip": "peppi skip_frames=True",
        "write": "write",
        "melee": "libmelee's file mode, one game",
    }
    ratios = {
        "columns_times_peppi": best["peppi"] / best["columns"],
        "columns_last_times_peppi_last": best["peppi_last"] / best["columns_last"],
        "peek_times_peppi_skip": best["peppi_skip"] / best["peek"],
        "columns_of_memcpy": best["copy"] / best["columns"],
    }
    if "melee" in best:
        ratios["columns_times_melee"] = best["melee"] * games / best["columns"]
    else:
        print("libmelee is not installed (pip install 'exphil[dolphin]'): its row is left out", file=sys.stderr)
    table = [
        [titles[name], seconds / games * 1e3, rows / seconds / 1e6, size / seconds / 1e9]
        for name, seconds in best.items()
        if name != "melee"
    ]
    result = {
        "games": games, "rows": rows, "megabytes": round(size / 1e6, 1),
        **{name: round(value, 3) for name, value in ratios.items()},
        "bounds": {"columns_times_peppi": 2.0, "peek_times_peppi_skip": 15.0},
        "ms_per_game": {name: round(seconds / games * 1e3, 4) for name, seconds in best.items()},
        "rows_per_cpu_second": {name: round(rows / best[name]) for name in ("columns", "game", "peppi")},
        "peppi_py_vladfi": installed("peppi-py-vladfi"), "melee": installed("melee"),
    }  # fmt: skip
    report.show(
        args, result, f"{games} full games, {rows} rows; {ratios}", ["what", "ms a game", "M rows/s", "GB/s"], table
    )


if __name__ == "__main__":
    main()
