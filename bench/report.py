"""What every benchmark shares: pinned threads, CPU time, best of k, one table or one JSON object."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, so before it is


def arguments(text: str | None, **extra: Any) -> argparse.Namespace:
    """The command line of a benchmark: ``--json``, ``--threads`` and one option for each of ``extra`` (its default)."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    for name, default in extra.items():
        kind = type(default) if default is not None else str
        parser.add_argument("--" + name.replace("_", "-"), type=kind, default=default, help=f"default {default}")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    return args


def cpu_seconds(work: Callable[[], object], best_of: int) -> float:
    """Least process CPU time of ``best_of`` calls."""
    found = []
    for _ in range(best_of):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def machine() -> dict[str, Any]:
    """Where this ran, without its name."""
    import numpy
    import torch

    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):  # noqa: PTH110
        with open("/proc/cpuinfo") as file:  # noqa: PTH123
            name = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), name)
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}
    return {"processor": name, "cores": os.cpu_count(), **versions}


def show(
    args: argparse.Namespace, result: dict[str, Any], title: str, columns: Sequence[str], rows: list[list[Any]]
) -> None:
    """Print the result: the object with ``--json``, else the table."""
    whole = {"date": time.strftime("%Y-%m-%d"), "command": " ".join(sys.argv), "machine": machine(), **result}
    if args.json:
        print(json.dumps(whole, indent=1))
        return
    cells = [[f"{cell:,.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in [list(columns), *cells]) for at in range(len(columns))]
    print(title)
    for row in [list(columns), ["-" * width for width in widths], *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
