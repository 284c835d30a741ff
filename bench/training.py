"""Training within a benchmark: one policy from settings, held-out loss along the way, CPU seconds of training alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from exphil import assemble
from exphil.config.layers import Settings, resolve
from exphil.data import baselines
from exphil.data.corpus import Corpus
from exphil.data.loader import Batch, Fetched, Loader
from exphil.evaluate.offline import measure
from exphil.models.policy import Policy
from exphil.replays.sources import Source
from exphil.train import loop
from exphil.train.validate import held_out_loss

CPU = torch.device("cpu")
RECIPE: dict[str, Any] = {
    "temporal": True,
    "backbone": "gru",
    "hidden": "256",
    "num_layers": 2,
    "dual_port": True,
    "num_player_names": 0,
    "batch_size": 32,
    "window_size": 64,
    "lr": 3e-3,
    "lr_schedule": "cosine",
    "warmup_steps": 30,
    "optimizer": "muon",
    "weight_decay": 0.1,
    "dropout": 0.3,
    "augment": True,
}
"""About one million parameters, batch 32 x 64: the shape of slippi-ai's tx_small. The rest is ours."""


class Trained(NamedTuple):
    """A finished run: its policy and curve, the full report at the end, and what it cost."""

    policy: Policy
    baselines: dict[str, Any]
    curve: list[dict[str, float]]
    report: dict[str, Any]
    cpu_seconds: float
    frames: float
    parameters: int


def settings(replays: Path, flags: dict[str, Any]) -> Settings:
    """Settings of the command train, from flags as they are typed."""
    typed = {
        "--" + name.replace("_", "-"): value if isinstance(value, bool) else str(value) for name, value in flags.items()
    }
    kept = {} if "precompute" in flags else {"--no-precompute": True}  # no run of a benchmark finds another one's games
    return resolve("train", {"--replays": str(replays), "--device": "cpu", **kept, **typed}, {})


def full_games(root: Path) -> list[Path]:
    """The full games of the shared replays."""
    entries = json.loads((root / "manifest.json").read_text())["entries"]
    return sorted(root / entry["name"] for entry in entries if entry["kind"] == "game")


def games(options: Settings, paths: list[Path]) -> Corpus:
    """The games of some files."""
    return assemble.read(options, [Source(path) for path in paths]).corpus


class Partly:
    """A loader whose batches show some of the floats; the others are zeros."""

    def __init__(self, loader: Loader, keep: torch.Tensor) -> None:
        self._loader, self._keep = loader, keep
        self.plan, self.corpus, self.steps, self.fetch = loader.plan, loader.corpus, loader.steps, loader.fetch

    def encode(self, fetched: Fetched) -> Batch:
        """The batch."""
        batch = self._loader.encode(fetched)
        return batch._replace(floats=batch.floats * self._keep)

    def load(self, epoch: int, step: int) -> Batch:
        """The batch of a step."""
        return self.encode(self.fetch(epoch, step))


def train(
    options: Settings,
    learned: Corpus,
    held: Corpus,
    seed: int,
    updates: int,
    every: int,
    keep: torch.Tensor | None = None,
) -> Trained:
    """Train for so many updates, measuring on the held-out games every ``every``; only training counts as CPU time.

    ``keep`` ``(F,)`` is 0 at floats that are not shown.
    """
    torch.manual_seed(seed)
    codec = assemble.codec(options)
    policy = assemble.policy(options, codec)
    run = loop.Run(policy, assemble.optimizer(options, policy), CPU)
    batches = assemble.loader(options, learned, assemble.plan(options, learned, seed), codec, CPU)
    walked = assemble.walk(options, held, codec, CPU)
    if keep is not None:
        batches, walked = Partly(batches, keep), Partly(walked, keep)
    events = loop.train(
        run,
        batches,
        assemble.schedule(options, updates),
        1 << 30,
        assemble.way(options),
    )
    curve, spent = [], 0.0
    while run.updates < updates:
        began = time.process_time()
        next(events)
        spent += time.process_time() - began
        if run.updates % every == 0 or run.updates == updates:
            loss = held_out_loss(policy, walked)
            line = {
                "updates": run.updates,
                "frames": run.frames,
                "cpu_seconds": round(spent, 1),
                "held_out": round(loss, 4),
            }
            if not curve or curve[-1]["updates"] != run.updates:
                curve.append(line)
    fitted = baselines.of_corpus(learned, codec, options.seats.all_frames)
    report = measure(policy, walked, fitted)
    return Trained(
        policy, fitted, curve, report, spent, run.frames, sum(parameter.numel() for parameter in policy.parameters())
    )
