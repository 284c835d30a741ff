"""Training steps of every backbone beside the matrix products that they cannot do without.

    python bench/train.py --replays FOLDER [--only gru,mamba] [--device cuda] [--json]

A step is all of it: features, forward, loss, backward, clipping, optimiser, on real games. Its floor is 6 operations a
frame for every parameter that takes part in a product (2 forward, 4 backward; tables that are looked up row by row are
not counted), done as plain matrix products at the rate that this machine reaches in the same minute. ``ratio`` is the
floor divided by the step. Steps and products take turns; medians; on a CPU one thread and process CPU time.

Then, with the same steps: bf16 beside f32, memory kept for the backward pass, waiting for data, truncated
backpropagation at both positions of the loss, the kernels of attention, and activations computed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

import report  # pins the threads before torch is imported
import training
from exphil import assemble
from exphil.data.corpus import Corpus
from exphil.evaluate.benchmark import saved_bytes
from exphil.models.policy import Policy
from exphil.train import loop, runtime
from exphil.train.optim import is_table

GAMES, WINDOW = 10, 64
PRODUCT = 4096, 256, 1024
GOALS = {"mlp": 0.7, "lstm": 0.7, "gru": 0.7, "attention": 0.6, "mamba": 0.5, "mamba2": 0.5, "jamba": 0.5}
PEER = 12_500
"""Frames per CPU second of slippi-ai's tx_small (1.04 M parameters) on a machine like this."""
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("lstm", "loss at every frame", {}),
    ("lstm", "loss at every frame, truncate 20", {"truncate_bptt": 20}),
    ("lstm", "loss at the last frame", {"sequence_mode": "windows", "loss_positions": "last"}),
    (
        "lstm",
        "loss at the last frame, truncate 20",
        {"sequence_mode": "windows", "loss_positions": "last", "truncate_bptt": 20},
    ),
    ("attention", "plain", {}),
    ("attention", "chunked", {"chunked_attention": True}),
    ("attention", "memory-efficient", {"memory_efficient_attention": True}),
    ("attention", "flash", {"flash_attention": True}),
    ("mamba", "plain", {}),
    ("mamba", "activations computed again", {"gradient_checkpoint": True}),
    ("lstm", "feed-forward 4", {"feed_forward": 4}),
]


class Steps:
    """Training steps of one policy, one after the other."""

    def __init__(self, args: Any, corpus: Corpus, flags: dict[str, Any]) -> None:
        settings = training.settings(args.replays, flags)
        codec, device = assemble.codec(settings), torch.device(args.device)
        torch.manual_seed(0)
        self.policy = assemble.policy(settings, codec).to(device)
        run = loop.Run(self.policy, assemble.optimizer(settings, self.policy), device)
        self.batches = assemble.loader(settings, corpus, assemble.plan(settings, corpus, 0), codec, device)
        self.frames = self.batches.plan.batch * WINDOW
        self._events = loop.train(
            run,
            self.batches,
            assemble.schedule(settings, 1000),
            1 << 30,
            replace(assemble.way(settings), max_grad_norm=1.0, profile=device.type == "cuda"),
        )
        self.waited: list[float] = []
        self._clock = time.process_time if device.type == "cpu" else time.perf_counter

    def step(self) -> float:
        """Seconds of one update."""
        while True:
            began = self._clock()
            event = next(self._events)
            if isinstance(event, loop.BatchDone):
                self.waited.append(event.spent.data / event.seconds)
                return self._clock() - began


def products(device: torch.device, kind: torch.dtype) -> Callable[[], float]:
    """Operations a second of plain matrix products, measured anew at every call."""
    m, k, n = PRODUCT if device.type == "cpu" else (32768, 1024, 4096)
    left, right = (torch.randn(shape, device=device).to(kind) for shape in ((m, k), (k, n)))
    out = torch.empty(m, n, device=device, dtype=kind)
    clock = time.process_time if device.type == "cpu" else time.perf_counter

    def rate() -> float:
        runtime.wait(device)
        began = clock()
        for _ in range(5):
            torch.mm(left, right, out=out)
        runtime.wait(device)
        return 5 * 2 * m * k * n / (clock() - began)

    return rate


def multiplied(policy: Policy) -> int:
    """Parameters that take part in matrix products."""
    return sum(parameter.numel() for name, parameter in policy.named_parameters() if not is_table(name, parameter))


def measure(args: Any, corpus: Corpus, flags: dict[str, Any]) -> dict[str, Any]:
    """One network: step, products, ratio, and what else is worth knowing."""
    device, steps = torch.device(args.device), Steps(args, corpus, flags)
    precision = str(flags.get("precision", "f32"))
    rate = products(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    for _ in range(3):
        steps.step()
    steps.waited.clear()
    took, rates = [], []
    for _ in range(args.rounds):
        rates.append(rate())
        took += [steps.step(), steps.step()]
    multiplying = multiplied(steps.policy)
    floor = 6 * multiplying * steps.frames / median(rates)
    step = median(took)
    return {
        "parameters": sum(parameter.numel() for parameter in steps.policy.parameters()),
        "multiplying": multiplying,
        "step_ms": round(1000 * step, 1),
        "floor_ms": round(1000 * floor, 1),
        "ratio": round(floor / step, 3),
        "frames_per_second": round(steps.frames / step),
        "product_gflops": round(median(rates) / 1e9, 1),
        "waiting_share": round(median(steps.waited), 5),
        "kept_mb": round(saved_bytes(steps.policy, steps.batches.load(0, 0), precision) / 1e6, 1),
    }


def recipe(args: Any, backbone: str, **more: Any) -> dict[str, Any]:
    """Flags of the network that is measured: so many layers of one width, the default features and head."""
    layers = args.layers
    wide = {"hidden": ",".join([str(args.hidden)] * layers), "residual": True, "layer_norm": True}
    deep = {"hidden": str(args.hidden), "num_layers": 6 if backbone == "jamba" else layers}
    shape = wide if backbone == "mlp" else deep
    return {
        "temporal": True,
        "backbone": backbone,
        "dual_port": True,
        "batch_size": args.batch,
        "window_size": WINDOW,
        **shape,
        **more,
    }


def main() -> None:
    args = report.arguments(
        __doc__, replays="replays", only="", device="cpu", hidden=256, layers=2, batch=64, rounds=9, variants=1
    )
    args.replays = Path(args.replays)
    names = args.only.split(",") if args.only else list(assemble.BACKBONES)
    settings = training.settings(args.replays, recipe(args, "gru"))
    corpus = training.games(settings, training.full_games(args.replays)[:GAMES])
    device, found, rows = torch.device(args.device), {}, []
    for name in names:
        exact = measure(args, corpus, recipe(args, name))
        coarse = measure(args, corpus, recipe(args, name, precision="bf16"))
        gain = exact["step_ms"] / coarse["step_ms"]
        found[name] = {"f32": exact, "bf16": coarse, "bf16_gain": round(gain, 2), "goal": GOALS.get(name)}
        rows.append([name, *(exact[key] for key in COLUMNS), coarse["frames_per_second"], round(gain, 2)])
    asked = [row for row in VARIANTS if args.variants and row[0] in names]
    ways = [
        {"backbone": name, "how": how, **measure(args, corpus, recipe(args, name, **more))} for name, how, more in asked
    ]
    shown = {
        "shape": {"batch": args.batch, "window": WINDOW, "hidden": args.hidden, "layers": args.layers, "jamba": 6},
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "bf16_products_over_f32": round(runtime.gain_of_bf16(device), 2),
        "peer_frames_per_cpu_second": PEER,
        "backbones": found,
        "ways": ways,
    }
    title = f"Training steps, {args.batch} x {WINDOW} frames, hidden {args.hidden}"
    report.show(args, shown, title, ["backbone", *COLUMNS, "bf16 frames/s", "bf16 gain"], rows)
    if not args.json:
        for way in ways:
            print(f"{way['backbone']:<10} {way['how']:<38} {way['step_ms']:>8} ms  {way['kept_mb']:>8} MB kept")


COLUMNS = ("parameters", "step_ms", "floor_ms", "ratio", "frames_per_second", "waiting_share", "kept_mb")

if __name__ == "__main__":
    main()
