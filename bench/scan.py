"""The fused scan and convolution of Mamba-1 beside their plain references, and a Mamba layer beside its products.

Forward and backward in float32. ``worst_error`` is the largest relative error of a gradient against the float64
reference, at the steps of a new layer and at ten times these. The layers' step is forward and backward of two layers
with norm and residual; ``of_gemm`` is the time of its 6 x parameters x frames operations as one plain product, divided
by it. ``saved_bytes`` is what both layers keep for the way back. ``first_call_s`` is the compilation, once a machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

import report
from exphil.models.mamba import Mamba
from exphil.models.scan import conv, conv_reference, scan, scan_reference

BOUND, GOAL = 3.0, 5.0
GEMM_BOUND, SAVED_BOUND = 0.5, 1.6 * 142e6  # 1.6 times what attention keeps at these sizes (reference/performance.md)
Both = Callable[..., tuple[Tensor, Tensor]]


def scan_parts(batch: int, length: int, width: int, states: int, faster: float) -> list[Tensor]:
    """Inputs of a scan whose steps lie evenly, on a logarithmic scale, between 0.001 and 0.1, times ``faster``."""
    step = faster * 10 ** (2 * torch.rand(batch, length, width) - 3)
    a = -torch.arange(1.0, states + 1).repeat(width, 1)
    frame, state = (batch, length, width), (batch, length, states)
    return [
        torch.randn(frame), step + (-torch.expm1(-step)).log(), torch.zeros(width), a, torch.randn(state),
        torch.randn(state), torch.ones(width), torch.randn(frame), torch.randn(batch, width, states),
    ]  # fmt: skip


def gradients(function: Both, parts: list[Tensor], weight: Tensor) -> tuple[Tensor, ...]:
    parts = [part.requires_grad_() for part in parts]
    return torch.autograd.grad(function(*parts, None)[0], parts, weight)


def worst_error(length: int, faster: float) -> float:
    """Of few rows and channels: the reference in float64 is slow."""
    parts, weight = scan_parts(4, length, 96, 16, faster), torch.randn(4, length, 96)
    found = gradients(scan, parts, weight)
    exact = gradients(scan_reference, [part.detach().double() for part in parts], weight.double())
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))


def step(layers: nn.ModuleList, x: Tensor) -> None:
    y = x
    for layer in layers:
        y = y + layer(functional.layer_norm(y, y.shape[-1:]), layer.initial_state(len(x)))[0]
    y.sum().backward()


def saved_bytes(layers: nn.ModuleList, x: Tensor) -> int:
    own, kept = {part.data_ptr() for part in layers.parameters()}, {}

    def keep(part: Tensor) -> Tensor:
        kept[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
        return part

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda part: part):
        step(layers, x)
    return sum(size for at, size in kept.items() if at not in own)


def first_call_s() -> float:
    """Wall time of the first forward and backward of a process that finds nothing compiled."""
    program = f"""if True:
        import time, torch
        from {Mamba.__module__} import Mamba
        layer, began = Mamba(16), time.perf_counter()
        layer(torch.randn(2, 8, 16), layer.initial_state(2))[0].sum().backward()
        print(time.perf_counter() - began)
    """
    with tempfile.TemporaryDirectory() as empty:
        command, places = [sys.executable, "-c", program], {**os.environ, "NUMBA_CACHE_DIR": empty}
        return float(subprocess.run(command, env=places, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    args = report.arguments(__doc__, batch=64, window=64, hidden=256, state=16, best_of=7)
    compiling_s = first_call_s()
    torch.manual_seed(0)
    width = 2 * args.hidden
    parts, weight = (
        scan_parts(args.batch, args.window, width, args.state, 1),
        torch.randn(args.batch, args.window, width),
    )
    mixed = [torch.randn(args.batch, args.window, 2 * width)[..., :width], torch.randn(4, width), torch.randn(width)]
    mixed.append(torch.randn(args.batch, 3, width))
    layers, x = (
        nn.ModuleList(Mamba(args.hidden, args.state) for _ in range(2)),
        torch.randn(args.batch, args.window, args.hidden),
    )
    left, right = torch.randn(args.batch * args.window, args.hidden), torch.randn(args.hidden, 4 * args.hidden)
    works: dict[str, Callable[[], object]] = {
        "scan fused": lambda: gradients(scan, parts, weight),
        "scan reference": lambda: gradients(scan_reference, parts, weight),
        "conv fused": lambda: gradients(conv, mixed, weight),
        "conv reference": lambda: gradients(conv_reference, mixed, weight),
        "two layers": lambda: step(layers, x),
        "product": lambda: left @ right,
    }
    for work in works.values():
        work()
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(args.best_of):  # in turns, so that a slow moment of the machine is shared
        seconds = {name: min(seconds[name], report.cpu_seconds(work, 1)) for name, work in works.items()}
    parameters = sum(part.numel() for part in layers.parameters())
    operations = 6 * parameters * len(left)
    product_s = seconds["product"] * operations / (2 * left.numel() * right.shape[1])
    result = {
        "sizes": {"batch": args.batch, "window": args.window, "width": width, "states": args.state},
        "milliseconds": {name: round(spent * 1e3, 2) for name, spent in seconds.items()},
        "scan_times_faster": round(seconds["scan reference"] / seconds["scan fused"], 2),
        "bound": BOUND,
        "goal": GOAL,
        "conv_times_faster": round(seconds["conv reference"] / seconds["conv fused"], 2),
        "worst_error": {f"dt x{faster}": float(f"{worst_error(args.window, faster):.1e}") for faster in (1, 10)},
        "error_bound": 1e-5,
        "parameters": parameters,
        "of_gemm": round(product_s / seconds["two layers"], 3),
        "of_gemm_bound": GEMM_BOUND,
        "saved_bytes": saved_bytes(layers, x),
        "saved_bound": round(SAVED_BOUND),
        "first_call_s": round(compiling_s, 1),
    }
    rows = [[name, spent * 1e3] for name, spent in seconds.items()]
    title = (
        f"scan {result['scan_times_faster']} times faster; two layers at {result['of_gemm']} of a product's speed, "
        f"{result['saved_bytes'] / 1e6:.0f} MB kept; errors {result['worst_error']}; compiled in {compiling_s:.1f} s"
    )
    report.show(args, result, title, ["what", "ms"], rows)


if __name__ == "__main__":
    main()
