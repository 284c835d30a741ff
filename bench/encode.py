"""What the feature table costs: against the first layer that reads it, against a training step, and for one live row.

Bounds: encoding at most half of the first linear layer's forward and at most 3% of the smallest backbone's step (an mlp
of 512,512); one live row, columns to floats, at most 60 us at the median over whole games; a step with mirror and noise
at most 1.05 of a plain one. CPU time (the live row: wall time), one thread; ratios are of medians taken in turn.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import report
import training
from exphil import assemble
from exphil.features.action import Codec
from exphil.game.frames import Game
from exphil.replays import slp
from exphil.train import loop
from exphil.train.step import Way

BATCH, WINDOW = 32, 64
BASE = {"temporal": True, "backbone": "mlp", "batch_size": BATCH, "window_size": WINDOW, "dual_port": True}
ONE_HOT = {"action_mode": "one_hot", "character_mode": "one_hot", "stage_mode": "full"}
LAYOUTS: dict[str, dict[str, Any]] = {
    "default": {},
    "all one-hot": ONE_HOT,
    "enhanced Nana, learned stage": {"nana_mode": "enhanced", "stage_mode": "learned"},
    "stage motion, IC tech": {"stage_motion": True, "ic_tech": True, "allow_missing": True},
    "delay 18": {"frame_delay": 18},
    "any delay to 36": {"frame_delay_augment": True, "frame_delay_max": 36},
}


def in_turn(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median CPU seconds of each piece of work; one of each in every round, so that noise hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, piece in work.items():
            began = time.process_time()
            piece()
            found[name].append(time.process_time() - began)
    return {name: statistics.median(seconds[1:]) for name, seconds in found.items()}


def stepper(root: Path, paths: list[Path], flags: dict[str, Any]) -> dict[str, Any]:
    """The pieces of a training step that are timed, and the feature ``table``."""
    options = training.settings(root, BASE | flags)
    corpus, codec = training.games(options, paths), Codec.uniform()
    plan = assemble.plan(options, corpus, 0)
    batches = assemble.loader(options, corpus, plan, codec, training.CPU)
    policy = assemble.policy(options, codec)
    run = loop.Run(policy, assemble.optimizer(options, policy), training.CPU)
    steps = loop.train(run, batches, lambda _: 1e-4, 1 << 30, Way())
    numbers = torch.rand(BATCH * WINDOW, assemble.embedded(assemble.table(options)))
    layer, source = torch.nn.Linear(numbers.shape[1], 512), batches._source
    picks = itertools.cycle([(pick, source.gather(pick)) for pick in (plan.pick(0, step) for step in range(8))])

    @torch.inference_mode()
    def forward() -> None:
        layer(numbers)

    def encode() -> None:
        pick, gathered = next(picks)
        source.encode(gathered, pick, training.CPU)

    return {"encode": encode, "first layer": forward, "step": lambda: next(steps), "table": assemble.table(options)}


def live(root: Path, paths: list[Path], games: int) -> dict[str, float]:
    """Microseconds of one live row, every fifth of whole games: ``p50``, ``p99``, and the slowest game's median."""
    table = assemble.table(training.settings(root, {}))
    medians, everything = [], []
    for path in paths[:games]:
        rows = slp.read(path).game.seen_from(0).rows
        spent = []
        for at in range(0, len(rows), 5):
            frame = Game(rows[at : at + 1])
            began = time.perf_counter()
            table.encode(frame)
            spent.append((time.perf_counter() - began) * 1e6)
        medians.append(statistics.median(spent))
        everything += spent
    return {
        "p50": statistics.median(everything),
        "p99": sorted(everything)[-len(everything) // 100],
        "p50_slowest_game": max(medians),
    }


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", rounds=15, games=35)
    root = Path(args.replays)
    paths, rows, result = training.full_games(root), [], {}
    frames = BATCH * WINDOW
    for name, flags in LAYOUTS.items():
        made = stepper(root, paths, flags)
        table = made.pop("table")
        spent = in_turn(made, args.rounds)
        share = {"of_first_layer": spent["encode"] / spent["first layer"], "of_step": spent["encode"] / spent["step"]}
        result[name] = {"floats": table.floats, "ids": table.ids, "ns_a_frame": spent["encode"] / frames * 1e9, **share}
        rows.append([name, f"{table.floats} + {table.ids}", result[name]["ns_a_frame"], *share.values()])
    augmented = {
        name: stepper(root, paths, flags)["step"]
        for name, flags in {"plain": {}, "augmented": {"augment": True}}.items()
    }
    spent = in_turn(augmented, 2 * args.rounds)
    ratio = spent["augmented"] / spent["plain"]
    row = live(root, paths, args.games)
    rows += [
        ["augmented step of a plain one", "", "", "", ratio],
        ["one live row at the median", "", row["p50"] * 1e3, "", ""],
    ]
    report.show(
        args,
        {"batch": BATCH, "window": WINDOW, "layouts": result, "augmented_step": ratio, "live_row_us": row},
        f"Encoding {BATCH} x {WINDOW} frames",
        ["layout", "floats + ids", "ns a frame", "of the first layer", "of the mlp's step"],
        rows,
    )


if __name__ == "__main__":
    main()
