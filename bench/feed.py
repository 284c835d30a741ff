"""Feeding: gathering rows against a plain memory copy, and gather plus encode against what the gru consumes.

Bounds: gather at least 50% of memcpy; gather and encode at least 30 times the frames per second that the gru's
training step takes.
"""

from __future__ import annotations

from pathlib import Path

import torch

import report
import training
from exphil import assemble
from exphil.data.loader import Rows
from exphil.game.frames import ROW_BYTES
from exphil.train import loop
from exphil.train.step import Way

RECIPE = {"temporal": True, "backbone": "gru", "hidden": "256", "dual_port": True, "batch_size": 64, "window_size": 60}


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", best_of=20)
    root = Path(args.replays)
    paths = training.full_games(root)
    options = training.settings(root, RECIPE)
    corpus = training.games(options, paths)
    plan, codec = assemble.plan(options, corpus, 0), assemble.codec(options)
    batches = assemble.loader(options, corpus, plan, codec, training.CPU)
    stretch, repeat = plan.window + 1, 20
    rows = Rows(corpus, plan.window, assemble.table(options), codec)
    picks = [plan.pick(0, step) for step in range(repeat)]
    size = plan.batch * stretch * ROW_BYTES
    source = torch.randint(0, 255, (repeat, size), dtype=torch.uint8)
    target = torch.empty(size, dtype=torch.uint8)
    copied = report.cpu_seconds(lambda: [target.copy_(part[:size]) for part in source], args.best_of) / repeat
    gathered = report.cpu_seconds(lambda: [rows.free(rows.gather(pick)) for pick in picks], args.best_of) / repeat
    loaded = report.cpu_seconds(lambda: [batches.load(0, step) for step in range(repeat)], args.best_of) / repeat
    policy = assemble.policy(options, codec)
    run = loop.Run(policy, assemble.optimizer(options, policy), training.CPU)
    events = loop.train(run, batches, lambda _: 1e-4, 1 << 30, Way(carry=True))
    next(events)
    stepped = report.cpu_seconds(lambda: next(events), max(args.best_of // 2, 3))
    frames = plan.batch * plan.window
    consumed = frames / (stepped - loaded)
    rows = [
        ["memory copy of a batch", copied * 1e3, size / copied / 1e9, ""],
        ["gather", gathered * 1e3, size / gathered / 1e9, f"{copied / gathered:.0%} of the copy"],
        ["gather and encode", loaded * 1e3, frames / loaded / 1e6, f"{frames / loaded / consumed:.0f} x the gru"],
        ["gru step without feeding", (stepped - loaded) * 1e3, consumed / 1e6, ""],
    ]
    result = {
        "batch": plan.batch, "window": plan.window, "row_bytes": ROW_BYTES, "games": corpus.games,
        "gather_of_memcpy": copied / gathered, "feed_times_gru": frames / loaded / consumed,
        "ms": {
            "memcpy": copied * 1e3, "gather": gathered * 1e3,
            "gather_encode": loaded * 1e3, "gru_step": (stepped - loaded) * 1e3,
        },
        "frames_per_cpu_second": {"gather_encode": frames / loaded, "gru": consumed},
    }  # fmt: skip
    report.show(
        args,
        result,
        f"One batch of {plan.batch} x {plan.window}",
        ["what", "CPU ms", "GB/s or M frames/s", "ratio"],
        rows,
    )


if __name__ == "__main__":
    main()
