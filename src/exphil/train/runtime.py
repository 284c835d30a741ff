"""The machine: device, threads, random state."""

from __future__ import annotations

import math
import os
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from exphil.errors import OptionError


def device(name: str) -> torch.device:
    """The device of a name, ``cpu``, ``cuda`` or ``mps``; ``auto`` takes a GPU when there is one.

    Raises:
        OptionError: a device this machine or this build of torch does not have.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there[name]:
        have = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise OptionError(f"no {name} device here", "--device", f"this machine and this build of torch have: {have}")
    return torch.device(name)


def set_threads(threads: int | None, neighbours: int = 1) -> int:
    """Pin torch's threads: the number wanted, else the cores that this process may use, shared with its neighbours."""
    torch.set_num_threads(threads or max(cores() // neighbours, 1))
    return torch.get_num_threads()


def cores(cpus: Path = Path("/sys/devices/system/cpu"), limit: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Physical cores that this process may use, at least 1.

    Two threads of one core share its arithmetic units, so products gain nothing from the second; and more threads than
    a container is given time for make everything many times slower. What Linux does not tell is not subtracted; on
    other systems every processor counts.

    Args:
        cpus: Where Linux says which processors are threads of one core.
        limit: Where it says how much time a container is given: microseconds, of every so many.
    """
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings = [cpus / f"cpu{each}" / "topology" / "thread_siblings_list" for each in processors]
    found = len({path.read_text() if path.is_file() else path for path in siblings})
    quota, _, period = limit.read_text().partition(" ") if limit.is_file() else ("max", "", "")
    return max(1, min(found, math.ceil(int(quota) / int(period))) if quota.isdigit() else found)


def computing(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The numbers that products are computed with: ``f32``, or ``bf16`` with f32 weights, sums and losses."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def gain_of_bf16(device: torch.device) -> float:
    """How many times faster than in f32 a product is in bf16 here, measured in a moment."""
    seconds = []
    for kind in (torch.float32, torch.bfloat16):
        left, right = (torch.ones(shape, dtype=kind, device=device) for shape in ((1024, 256), (256, 1024)))
        found = []
        for _ in range(4):
            wait(device)
            began = time.perf_counter()
            for _ in range(4):
                torch.mm(left, right)
            wait(device)
            found.append(time.perf_counter() - began)
        seconds.append(min(found))
    return seconds[0] / seconds[1]


def wait(device: torch.device) -> None:
    """Until everything that was handed to a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, on a GPU or in main memory."""
    words = ["can't allocate memory", "not enough memory", "out of memory", "alloc_failed", "can't start new thread"]
    words += ["could not create a primitive", "could not create a memory"]  # oneDNN's words for it
    said = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(word in said for word in words)


def random_state(device: torch.device) -> dict[str, Any]:
    """Everything that torch draws from next (dropout)."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Go on drawing where ``random_state`` was taken."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
