"""The batch that a machine trains fastest with: larger and larger ones are tried with real training steps.

What enters: a function that makes one training step of so many rows, and how memory is counted. What leaves: the batch
with the most rows a second among those that fit, what was tried, and why the search ended. What can go wrong: not even
the least batch fits, which is an error with what to do. A step that runs out of memory ends the search and nothing
else. The exception is a Linux that promises more memory than it has and ends the process when it is used: that is
why the memory of the next batch is predicted from those before and not tried out.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import torch

from exphil.data.memory import free_bytes
from exphil.errors import ExphilError
from exphil.train.runtime import is_out_of_memory

LEAST_GAIN = 0.05
"""Of the rows a second: a batch twice as large that brings less is not worth fewer updates."""
TIMED_SECONDS, TIMED_STEPS = 0.4, (2, 5)
"""Steps are timed until so much time has passed, at least and at most so many; the fastest counts."""
SMALLER = "--gradient-checkpoint, or a smaller --auto-batch-min, --hidden or --window-size"


class Tried(NamedTuple):
    """A batch that was trained with.

    Attributes:
        batch: Rows of one step.
        rows_per_s: Of its fastest step.
        peak_bytes: Memory at its fullest, beyond what was taken before the search; None where nobody says.
    """

    batch: int
    rows_per_s: float
    peak_bytes: int | None


class Found(NamedTuple):
    """What the search came to: the batch, all that fitted in the order of trying, and why it ended, as a sentence."""

    batch: int
    tried: list[Tried]
    why: str


class Memory(Protocol):
    """Memory of the device that trains."""

    def free(self) -> int | None:
        """Bytes that can still be had; None when nobody says."""
        ...

    def begin(self) -> None:
        """Forget the fullest moment so far."""
        ...

    def peak(self) -> int | None:
        """Bytes taken at the fullest moment since ``begin``, all of this process; None when nobody says."""
        ...


class CudaMemory:
    """Memory of an NVIDIA GPU, as torch's allocator knows it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def free(self) -> int:
        """What the driver has, and what torch keeps unused."""
        kept = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return int(torch.cuda.mem_get_info(self._device)[0]) + kept

    def begin(self) -> None:
        """From here on."""
        torch.cuda.reset_peak_memory_stats(self._device)

    def peak(self) -> int:
        """Of tensors; torch's own rounding is left to the share that stays free."""
        return torch.cuda.max_memory_allocated(self._device)


class ProcessMemory:
    """Main memory of this process: pages that are really there (resident), not those that were promised.

    Linux says their fullest moment since it was last asked to forget it (``VmHWM``, ``clear_refs``): no moment is
    missed, which looking every few milliseconds would. Elsewhere nobody says, and only refused memory ends a search.

    Args:
        root: Of the file system.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root, self._process = root, root / "proc" / "self"

    def free(self) -> int | None:
        """What the system has, or what is left of what a container is given."""
        return free_bytes(self._root)

    def begin(self) -> None:
        """From here on."""
        with suppress(OSError):  # else the fullest moment is that of the whole process: batches grow, it is not older
            (self._process / "clear_refs").write_text("5", encoding="ascii")

    def peak(self) -> int | None:
        """The fullest moment."""
        try:
            lines = (self._process / "status").read_text(encoding="ascii", errors="replace").splitlines()
            return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024
        except (OSError, StopIteration):
            return None


class MetalMemory:
    """Memory of an Apple GPU: torch keeps what it took, so what it holds is what it held at most."""

    def free(self) -> int:
        """Of what the system recommends to take."""
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())

    def begin(self) -> None:
        """Give back what is kept."""
        torch.mps.empty_cache()

    def peak(self) -> int:
        """What is held."""
        return int(torch.mps.driver_allocated_memory())


def memory_of(device: torch.device) -> Memory:
    """The memory that a step on a device fills."""
    kinds: dict[str, Callable[[], Memory]] = {"cuda": lambda: CudaMemory(device), "mps": MetalMemory}
    return kinds.get(device.type, ProcessMemory)()


def largest(
    step: Callable[[int], None],
    least: int,
    most: int,
    backoff: float,
    memory: Memory,
    clock: Callable[[], float] = time.perf_counter,
) -> Found:
    """Try ``least`` rows, twice as many, and so on up to ``most``, and take the batch with the most rows a second.

    Each batch is stepped once to warm up and then timed. The search ends when a step is refused memory, when the peak
    of the next batch would pass ``backoff`` times what was free at the start (a line through the last two peaks; the
    first is taken to grow with its rows), when twice the rows bring less than 5 % more rows a second, or at ``most``.
    After a refusal the same share counts of what was taken when memory ended, and the answer is tried once more.

    Args:
        step: A whole training step of so many rows: forward, backward, optimiser; it returns when all is done.
        least: Rows to begin with, from 1.
        most: Rows to end with, from ``least``.
        backoff: Share of the free memory that may be filled, (0, 1].
        memory: Memory of the device.
        clock: Seconds.

    Raises:
        ExphilError: not even the least batch fits.
    """
    memory.begin()
    before, free = memory.peak() or 0, memory.free()
    budget = None if free is None else backoff * free
    tried: list[Tried] = []
    why = f"{most} rows are the most that it was to try"
    for rows in _sizes(least, most):
        if tried and budget is not None and (next_peak := _predicted(tried, rows)) > budget:
            why = f"{rows} rows would take about {_size(next_peak)}, and {_size(budget)} may be filled"
            break
        memory.begin()
        seconds = _seconds(step, rows, clock)
        peak = memory.peak()
        taken = None if peak is None else max(peak - before, 0)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # blocks of this size would lie idle beside those of the next
        if seconds is None:
            why = f"a step of {rows} rows ran out of memory"
            tried = _safe(tried, None if taken is None else backoff * taken, step, clock)
            break
        if taken is not None and budget is not None and taken > budget:
            why = f"{rows} rows take {_size(taken)}, and {_size(budget)} may be filled"
            break
        tried.append(Tried(rows, rows / max(seconds, 1e-9), taken))
        if len(tried) > 1 and not _worth(*tried[-2:]):
            why = f"{rows} rows bring less than {LEAST_GAIN:.0%} more rows a second than {tried[-2].batch}"
            break
    if not tried:
        raise ExphilError(f"the least batch does not fit into the memory: {why}", "--auto-batch-size", SMALLER)
    return Found(_fastest(tried), tried, why)


def _safe(
    tried: list[Tried], budget: float | None, step: Callable[[int], None], clock: Callable[[], float]
) -> list[Tried]:
    """What is left after a refusal: what just fitted may be too near the edge, where it depends on how memory lies.

    Args:
        tried: What fitted.
        budget: Bytes that may be filled, now that the end of memory was seen; the least batch may fill more.
        step: As ``largest`` takes it.
        clock: As ``largest`` takes it.
    """
    left = [each for each in tried if budget is None or (each.peak_bytes or 0) <= budget] or tried[:1]
    while left and _seconds(step, _fastest(left), clock) is None:
        edge = _fastest(left)
        left = [each for each in left if each.batch < edge]
    return left


def _fastest(tried: list[Tried]) -> int:
    return max(tried, key=lambda each: each.rows_per_s).batch


def _seconds(step: Callable[[int], None], rows: int, clock: Callable[[], float]) -> float | None:
    """Of the fastest of a few steps after a first one; None when memory is refused."""
    try:
        step(rows)
        found: list[float] = []
        while len(found) < TIMED_STEPS[0] or (len(found) < TIMED_STEPS[1] and sum(found) < TIMED_SECONDS):
            began = clock()
            step(rows)
            found.append(clock() - began)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    else:
        return min(found)
    gc.collect()  # with the error went its traceback, which held the tensors of the step
    return None


def _sizes(least: int, most: int) -> Iterator[int]:
    rows = least
    while rows < most:
        yield rows
        rows *= 2
    yield most


def _predicted(tried: list[Tried], rows: int) -> float:
    """Peak bytes of a batch that was not tried yet; 0 when peaks are not known."""
    peaks = [(each.batch, float(each.peak_bytes or 0)) for each in tried[-2:]]
    batch, peak = peaks[-1]
    if len(peaks) == 1:
        return peak * rows / batch
    a_row = (peak - peaks[0][1]) / (batch - peaks[0][0])
    return peak + max(a_row, 0.0) * (rows - batch)


def _worth(smaller: Tried, larger: Tried) -> bool:
    """Whether more rows bring more a second, for so many more."""
    return larger.rows_per_s >= smaller.rows_per_s * math.pow(1 + LEAST_GAIN, math.log2(larger.batch / smaller.batch))


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
