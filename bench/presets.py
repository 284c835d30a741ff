"""How long presets take from a cold start, and how soon they show progress.

    python bench/presets.py --threads 2 --json > bench/results/presets.json

Each preset runs as a person starts it, in an empty folder without kept games, on the shared replays: process, reading,
training, held-out games, saving. Bounds: ``quick`` ends within 5 minutes on two cores and shows progress within 10
seconds; ``standard`` has none, its time is what is stated here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import report

BOUND_S, FIRST_S = 300.0, 10.0


def timed(preset: str, replays: Path, threads: int) -> dict[str, Any]:
    """Seconds to the first count of progress, to the first update that is shown, and to the end."""
    words = ["train", "--replays", str(replays), "--preset", preset, "--threads", str(threads), "--seed", "1"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EXPHIL_")}
    command = [sys.executable, "-m", "exphil", *words, "--log-interval", "10"]
    first = learning = 0.0
    said = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=plain, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            now = time.perf_counter() - began
            first = first or (now if line.startswith(("reading replays", "epoch ")) else 0.0)
            learning = learning or (now if line.startswith("epoch ") else 0.0)
            said.append(line.rstrip())
        assert process.wait() == 0, "\n".join(said)
        seconds = time.perf_counter() - began
    kept = [line for line in said if line.startswith(("data", "updates", "time", "loss"))]
    return {"first_progress_s": first, "first_update_s": learning, "seconds": seconds, "said": kept}


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays")
    found = {name: timed(name, Path(args.replays).resolve(), args.threads) for name in ("quick", "standard")}
    rows = [[name, each["first_progress_s"], each["first_update_s"], each["seconds"]] for name, each in found.items()]
    met = found["quick"]["seconds"] <= BOUND_S and found["quick"]["first_progress_s"] <= FIRST_S
    result = {"presets": found, "bounds": {"quick_s": BOUND_S, "first_progress_s": FIRST_S, "met": met}}
    columns = ["preset", "first progress", "first update", "whole"]
    report.show(args, result, "Presets from a cold start, seconds", columns, rows)


if __name__ == "__main__":
    main()
