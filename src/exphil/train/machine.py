"""How full the memory is while a run goes on, and what is said of that.

What enters: shares of main memory and of a GPU, asked for now and then. What leaves: sentences, each said once and
again only after there was room in between. Nothing raises: where nobody says how full a memory is, nothing is said.
"""

from __future__ import annotations

from pathlib import Path

import torch

from exphil.data.memory import ROOT, measured, used_share

FULL, RELIEVED = 0.9, 0.8
"""Shares of a memory: from the first one on it is told, below the second one it may be told again."""
LARGE_BYTES = 500_000_000
"""Of a snapshot: above it its size is told."""
MAIN_REMEDY = "lower --prefetch-buffer or --workers, or use --stream-chunk-size"
GPU_REMEDY = "lower --batch-size or use --gradient-checkpoint"


def gpu_share(device: torch.device | None = None) -> float | None:
    """How full a GPU's memory has been at most, 0 to 1; None without a GPU that says so.

    What others hold now, and what tensors of this process held at their most: between two updates little is held, and
    what torch keeps for the next one is not taken.

    Args:
        device: The GPU; by default the current one, once this process has begun to use it.
    """
    found = _gpu(device)
    return None if found is None else found[0] / found[1]


def _gpu(device: torch.device | None) -> tuple[int, int] | None:
    """Bytes used and bytes there are."""
    begun = bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
    if not begun or (device is not None and device.type != "cuda"):
        return None
    free, total = torch.cuda.mem_get_info(device)
    used = total - free - torch.cuda.memory_reserved(device) + torch.cuda.max_memory_allocated(device)
    return min(max(used, 0), total), total


class Level:
    """Notices that something is nearly full.

    Args:
        threshold: Share from which it is told.
        relieved: Share below which it may be told again.
    """

    def __init__(self, threshold: float = FULL, relieved: float = RELIEVED) -> None:
        self._threshold, self._relieved, self._told = threshold, min(relieved, threshold), False

    def saw(self, share: float | None) -> bool:
        """Whether to tell now; ``share`` is None where nobody says."""
        if share is None or (self._told and share >= self._relieved):
            return False
        self._told = share >= self._threshold
        return self._told


class MemoryWatch:
    """Looks at main memory and at a GPU's.

    Args:
        threshold: Share from which a memory is nearly full.
        device: The GPU; by default the current one, once this process has begun to use it.
        root: Of the file system.
    """

    def __init__(self, threshold: float = FULL, device: torch.device | None = None, root: Path = ROOT) -> None:
        self._main, self._gpu, self._device, self._root = Level(threshold), Level(threshold), device, root

    def look(self) -> str:
        """What to warn of, a sentence a line; empty when there is nothing new."""
        main, gpu = used_share(self._root), gpu_share(self._device)
        lines = []
        if gpu is not None and self._gpu.saw(gpu):
            lines.append(f"GPU memory is {gpu:.0%} full: {GPU_REMEDY} before it runs out")
        if main is not None and self._main.saw(main):
            lines.append(f"main memory is {main:.0%} full: {MAIN_REMEDY} before it runs out")
        return "\n".join(lines).replace("%", " %")

    def said(self) -> str:
        """How full the memories are, for whoever wants detail; empty where nobody says."""
        parts = []
        main, gpu = measured(self._root), _gpu(self._device)
        if main is not None:
            parts.append(f"{_size(main.total - main.free)} of {_size(main.total)} main memory used")
        if gpu is not None:
            parts.append(f"{_size(gpu[0])} of {_size(gpu[1])} GPU memory at most")
        return f"memory     {', '.join(parts)}" if parts else ""


def checkpoint_warning(size_bytes: int, parameters: int) -> str:
    """One sentence about a snapshot of more than 500 MB; empty for smaller ones.

    Args:
        size_bytes: Of the file.
        parameters: Numbers that the policy learns, 4 bytes each.
    """
    if size_bytes <= LARGE_BYTES:
        return ""
    weights = f"weights ({_size(4 * parameters)}), the optimiser's numbers and, with --ema, averaged weights"
    small = "the policy file is the small one to share"
    return f"the snapshot takes {_size(size_bytes)}: it holds all that resuming needs, {weights}; {small}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 999_500_000 else f"{count / 1e6:.0f} MB"
