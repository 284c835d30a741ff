"""Which feeding options still pay: a training step of the smallest and of a usual network under each of them.

A step is gathering, encoding, forward, backward and the optimiser, in seconds of one core; the ratio is to the same
network with the defaults. Room is what the option keeps on disk or in memory for a frame.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

import report
import training
from exphil import assemble
from exphil.data.embedded import record
from exphil.train import loop
from exphil.train.step import Way

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp 64, windows of 60": {"backbone": "mlp", "temporal": True, "hidden": "64"},
    "gru 256 x 2, windows of 60": {"backbone": "gru", "temporal": True, "hidden": "256"},
}
SHARED = {"dual_port": True, "window_size": 60, "batch_size": 64, "sequence_mode": "windows"}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "--no-prefetch": {"prefetch": False},
    "--cache-embeddings": {"cache_embeddings": True},
    "--mmap-embeddings": {"mmap_embeddings": True},
    "--augment": {"augment": True},
    "--augment --cache-augmented": {"augment": True, "cache_augmented": True},
    "--stream-chunk-size 5": {"stream_chunk_size": 5},
    "--stream-chunk-size 5 --cache-compress": {"stream_chunk_size": 5, "cache_compress": True},
    "--gc-every 1": {"gc_every": 1},
    "--gc-every 0": {"gc_every": 0},
}


def step(replays: Path, folder: Path, flags: dict[str, Any], steps: int) -> float:
    """Core-seconds of one training step, the best of several runs of ``steps``."""
    typed = {
        "no_" + name if value is False else name: True if value is False else value for name, value in flags.items()
    }
    options = training.settings(replays, SHARED | typed | {"cache_dir": folder, "precompute": True})
    corpus = training.games(options, training.full_games(replays)[:12])
    codec = assemble.codec(options)
    policy = assemble.policy(options, codec)
    run = loop.Run(policy, assemble.optimizer(options, policy), training.CPU)
    batches = assemble.loader(options, corpus, assemble.plan(options, corpus, 0), codec, training.CPU)
    carry, every = assemble.carries_state(options), options.feeding.gc_every
    events = loop.train(run, batches, lambda _: 1e-4, 1 << 30, Way(carry=carry), gc_every=every)
    next(events)
    return report.cpu_seconds(lambda: [None for _ in range(steps) if next(events)], 4) / steps


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", steps=20)
    torch.set_num_threads(args.threads)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for network, shape in NETWORKS.items():
            steps = args.steps if "mlp" in network else max(args.steps // 4, 3)
            found[network] = {}
            for name, flags in OPTIONS.items():
                place = Path(folder) / ("compressed" if "compress" in name else "plain")
                found[network][name] = step(Path(args.replays), place, shape | flags, steps)
    rows = [
        [network, name, seconds * 1e3, seconds / by_name["defaults"]]
        for network, by_name in found.items()
        for name, seconds in by_name.items()
    ]
    plain = assemble.table(training.settings(Path(args.replays), SHARED | {"backbone": "mlp"}))
    result = {"cpu_seconds_a_step": found, "embedding_bytes_a_frame": record(plain).itemsize}
    report.show(args, result, "One training step", ["network", "options", "CPU ms", "of defaults"], rows)


if __name__ == "__main__":
    main()
