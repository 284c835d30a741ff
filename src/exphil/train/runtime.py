"""The machine: device, threads, random state."""

from __future__ import annotations

import os
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


def set_threads(threads: int | None) -> int:
    """Pin torch's threads: the number wanted, else the processors that this process may use.

    More than those is many times slower.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(threads or available)
    return torch.get_num_threads()


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
