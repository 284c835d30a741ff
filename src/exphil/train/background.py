"""Saving beside the training: one thread writes while the loop goes on.

Trees of tensors and plain values enter, copies of them in main memory leave, and jobs that write such copies are done
in the order they were handed over. The loop stands still for the copy only. Nothing that was asked for is lost: where
the disk is slower than the loop, the loop waits.

What can go wrong: a job fails; the loop hears of it the next time it asks, submits or copies, and at the latest when
the writer is closed.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Label = TypeVar("Label")
Fit = tuple[torch.dtype, torch.Size, tuple[int, ...], bool]
PLAIN = (bool, int, float, str, bytes, torch.dtype, torch.device, type(None))
SETS = 2
"""Of memory for copies: one is being written while the next is filled."""


class Copies:
    """Memory that copies are made in, again and again: fresh pages take ten times as long as those from before."""

    def __init__(self) -> None:
        self._free: dict[Fit, list[Tensor]] = defaultdict(list)
        self._taken: list[tuple[Fit, Tensor]] = []

    def copied(self, tree: Any) -> Any:
        """A tree of the same values that nothing else changes; every tensor in main memory.

        What appears twice is copied once and appears twice again; of a tensor that shows a part of its storage, only
        that part is copied.

        Args:
            tree: Dictionaries, lists, tuples, tensors and plain values.

        Raises:
            TypeError: something else is in it.
        """
        seen: dict[tuple[Any, ...], Tensor] = {}
        copy = self._copy(tree, seen)
        for index in {key[1] for key in seen if key[0] == "cuda"}:  # what they hold arrives by itself
            torch.cuda.current_stream(index).synchronize()
        return copy

    def released(self) -> None:
        """Nobody reads the copies any more."""
        for fit, buffer in self._taken:
            self._free[fit].append(buffer)
        self._taken.clear()

    def _copy(self, value: Any, seen: dict[tuple[Any, ...], Tensor]) -> Any:
        if isinstance(value, Tensor):
            where = value.device.type, value.device.index, value.data_ptr(), value.shape, value.stride(), value.dtype
            if where not in seen:
                seen[where] = self._buffer(value).copy_(value.detach(), non_blocking=value.device.type == "cuda")
            return seen[where]
        if isinstance(value, dict):
            return {key: self._copy(part, seen) for key, part in value.items()}
        if isinstance(value, list | tuple):
            parts = [self._copy(part, seen) for part in value]
            return parts if isinstance(value, list) else tuple(parts)
        if not isinstance(value, PLAIN):
            raise TypeError(f"a {type(value).__name__} cannot be saved")
        return value

    def _buffer(self, like: Tensor) -> Tensor:
        pinned = like.device.type == "cuda"
        strides = torch.empty_like(like, device="meta").stride()  # dense: without the gaps of a part of something
        fit = like.dtype, like.shape, strides, pinned
        free = self._free[fit]
        buffer = free.pop() if free else torch.empty_strided(like.shape, strides, dtype=like.dtype, pin_memory=pinned)
        self._taken.append((fit, buffer))
        return buffer


class Writer(Generic[Label]):
    """A thread that does one job after the other; at most one waits beside the one that is being done.

    A context manager: leaving it waits for all jobs, also when the loop failed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._free = [Copies() for _ in range(SETS)]  # the last one is warm
        self._open: Copies | None = None  # belongs to the job that is handed over next
        self._waiting: tuple[Callable[[], object], Label, Copies | None] | None = None
        self._busy = self._closed = False
        self._done: list[Label] = []
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def copied(self, tree: Any) -> Any:
        """A copy for the job that is submitted next, see ``Copies.copied``; good until that job is through.

        Waits while two jobs that hold copies are not through.

        Raises:
            ExphilError: an earlier job failed.
            TypeError: something that cannot be saved.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failures or self._open or self._free)
            self._tell()
            if self._open is None:
                self._open = self._free.pop()
        return self._open.copied(tree)

    def submit(self, job: Callable[[], object], label: Label) -> None:
        """Hand over a job; waits while another one is waiting.

        Args:
            job: Writes what was copied. What it raises, the loop will hear.
            label: What ``finished`` gives when it is through.

        Raises:
            ExphilError: an earlier job failed; this one was not taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failures or self._waiting is None)
            self._tell()
            if self._closed:
                raise RuntimeError("the writer is closed")
            self._waiting, self._open = (job, label, self._open), None
            self._changed.notify_all()

    def finished(self, *, wait: bool = False) -> list[Label]:
        """The jobs that are through since this was last asked, in order.

        Args:
            wait: Until all are through.

        Raises:
            ExphilError: a job failed; those that are through are given the next time.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._waiting is None and not self._busy)
            self._tell()
            done, self._done = self._done, []
            return done

    def close(self) -> list[Label]:
        """``finished`` with all of them, and the end of the thread. Closing twice does nothing.

        Raises:
            ExphilError: a job failed.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        try:
            return self.finished()
        finally:
            self._failures.clear()

    def __enter__(self) -> Writer[Label]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except BaseException as own:
            if error is None:
                raise
            error.add_note(f"besides, saving failed: {own}")  # what stopped the loop is what the user must hear

    def _tell(self) -> None:
        if self._failures:
            raise self._failures.pop(0)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._waiting is None:
                    return
                (job, label, copies), self._waiting, self._busy = self._waiting, None, True
                self._changed.notify_all()
            failure = None
            try:
                job()
            except BaseException as error:
                failure = error
            with self._changed:
                self._busy = False
                if failure is None:
                    self._done.append(label)
                else:
                    self._failures.append(failure)
                if copies is not None:
                    copies.released()
                    self._free.append(copies)
                self._changed.notify_all()
            del job, copies, failure  # what they hold is not kept until the next one
