"""What a frame costs on the road from a replay to an update, one core at a time: the numbers behind docs/scale.md.

Everything is measured on the full games of the shared replays; what 100,000 replays take is these numbers multiplied.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import report
import training
from exphil import assemble
from exphil.replays import library, slp
from exphil.replays.choosing import Choice
from exphil.replays.library import Reading, understand
from exphil.replays.sources import Source
from exphil.replays.store import Store
from exphil.train import loop
from exphil.train.step import Way

FRAMES_A_GAME = 9500
"""Of a public full game, in the median (612 games measured)."""
BACKBONES: dict[str, dict[str, Any]] = {
    "mlp 512,512 single frames": {"backbone": "mlp", "hidden": "512,512", "batch_size": 2048},
    "gru 256 x 2, windows of 60": {"temporal": True, "backbone": "gru", "hidden": "256", "window_size": 60},
    "lstm 256 x 2, windows of 60": {"temporal": True, "backbone": "lstm", "hidden": "256", "window_size": 60},
}


def parsing(paths: list[Path], best_of: int) -> dict[str, float]:
    """Seconds of one core and bytes, each per frame, from file to store and back."""
    sources = [Source(path) for path in paths]
    data = [path.read_bytes() for path in paths]
    understood = [understand(slp.parse(whole, path)) for whole, path in zip(data, paths, strict=True)]
    frames = sum(packed.frames for _, packed in understood)
    how = Reading(Choice(both=True, allow_missing=True))
    found: dict[str, float] = {"file_bytes": sum(map(len, data)) / frames}
    found["look_s_a_file"] = report.cpu_seconds(lambda: list(library.preflight(sources, how)), best_of) / len(paths)

    def parse() -> None:
        for whole, path in zip(data, paths, strict=True):
            understand(slp.parse(whole, path))

    found["parse_s"] = report.cpu_seconds(parse, best_of) / frames
    for name, compressed in (("plain", False), ("compressed", True)):
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder), compressed=compressed)

            def put(store: Store = store) -> None:
                for number, (about, packed) in enumerate(understood):
                    store.put(f"{number:016x}", about, packed)

            def get(store: Store = store) -> None:
                for number in range(len(understood)):
                    assert store.get(f"{number:016x}")

            found[f"{name}_put_s"] = report.cpu_seconds(put, best_of) / frames
            found[f"{name}_open_s_a_game"] = report.cpu_seconds(get, best_of) / len(paths)
            size = sum(file.stat().st_size for file in Path(folder).rglob("*.game"))
            found[f"{name}_bytes"] = size / frames
    return found


def learning(replays: Path, flags: dict[str, Any], updates: int) -> float:
    """Decisions that one core learns from in a second."""
    options = training.settings(replays, {"dual_port": True, "allow_missing": True, **flags})
    corpus = training.games(options, training.full_games(replays))
    codec = assemble.codec(options)
    policy = assemble.policy(options, codec)
    run = loop.Run(policy, assemble.optimizer(options, policy), training.CPU)
    batches = assemble.loader(options, corpus, assemble.plan(options, corpus, 0), codec, training.CPU)
    carry = assemble.carries_state(options)
    events = loop.train(run, batches, lambda _: 1e-4, 1 << 30, Way(carry=carry))
    next(events)
    before, began = run.frames, time.process_time()
    for _ in range(updates):
        next(events)
    return (run.frames - before) / (time.process_time() - began)


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", best_of=3, updates=12)
    torch.set_num_threads(args.threads)
    root = Path(args.replays)
    costs = parsing(training.full_games(root), args.best_of)
    speeds = {name: learning(root, flags, args.updates) for name, flags in BACKBONES.items()}
    rows = []
    for games in (10, 100, 1000, 10_000, 100_000):
        frames = games * FRAMES_A_GAME
        epochs = [frames * 2 / speed / 3600 for speed in speeds.values()]
        sizes = [costs[name] * frames / 1e9 for name in ("file_bytes", "plain_bytes", "compressed_bytes")]
        parse = (costs["parse_s"] + costs["plain_put_s"]) * frames / 60
        rows.append([f"{games:,}", f"{frames / 1e6:,.1f}", *(f"{size:,.2f}" for size in sizes), f"{parse:,.1f}"])
        rows[-1] += [f"{hours:,.2f}" for hours in epochs]
    columns = ["games", "M frames", ".slp GB", "store GB", "compressed GB", "parse core-min"]
    columns += [f"epoch core-h: {name}" for name in BACKBONES]
    result = {"per_frame": costs, "decisions_per_cpu_second": speeds, "frames_a_game": FRAMES_A_GAME}
    report.show(args, result, "What it takes", columns, rows)


if __name__ == "__main__":
    main()
