"""The processes of one training run (torchrun): sums of gradients and numbers, and what rank 0 collects to save.

One process is the usual case: ``alone()`` does nothing and costs nothing. In several, every process calls the same
operations in the same order. What can go wrong: another process is gone. Its closed connections are noticed at once; a
machine that vanished, when it has not been heard of for ``GONE_S`` seconds. Being slow is not being gone: every process
says from a thread of its own that it lives, so that one may validate or save for as long as it likes.

Slices: rank r of R, with K slices each (gradient accumulation), works on slices r K to r K + K - 1 of the R K of every
batch (``data.parts``). What is carried between batches is saved whole, in the order of slices, so that a run can go on
in any number of processes.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from exphil.errors import ExphilError, OptionError
from exphil.models.backbone import State, map_state
from exphil.train import runtime

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
START_S = 60.0  # until all processes have found each other
BEAT_S = 3.0  # from one sign of life to the next
GONE_S = 35.0  # without a sign of life
EXCHANGE_S = 30.0  # for gradients between GPUs, once all processes are there
BUCKET_BYTES = 64 << 20


class Ranks:
    """The processes of a run, seen from one of them. Made by ``alone`` or ``joined``.

    Attributes:
        rank: Number of this process, from 0.
        world: Processes of the run.
        neighbours: Of these, on this machine: they share its cores.
        is_first: Whether this is the one process that writes files and talks.
    """

    def __init__(
        self, rank: int, world: int, neighbours: int, device: torch.device | None, links: _Links | None
    ) -> None:
        self.rank, self.world, self.neighbours, self.is_first = rank, world, neighbours, rank == 0
        self._device, self._links = device, links

    def device(self, name: str) -> torch.device:
        """The device of this process, by the value of ``--device``; several processes got theirs when they joined.

        Raises:
            OptionError: a device this machine or this build of torch does not have.
        """
        return self._device or runtime.device(name)

    def slices(self, each: int = 1) -> tuple[int, range]:
        """How many slices a batch has when every process works on ``each``, and the numbers of its own."""
        return self.world * each, range(self.rank * each, (self.rank + 1) * each)

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum ``.grad`` of the same parameters over all processes, in place.

        A parameter without gradient here counts as zeros; it stays without where no process has one. All processes get
        the same bits.

        Raises:
            ExphilError: another process is gone.
        """
        if self._links:
            self._links.sum_gradients(list(parameters))

    def sum_values(self, values: Sequence[float]) -> list[float]:
        """Sums of a few numbers over all processes, in float64: losses, counts, flags.

        Raises:
            ExphilError: another process is gone.
        """
        return self._links.sum_values(values) if self._links else list(values)

    def gather(self, tree: Any) -> list[Any]:
        """What every process holds, by rank, on rank 0; an empty list on the others.

        Args:
            tree: Tuples, lists, dictionaries and plain values with tensors in them, which arrive in main memory.

        Raises:
            ExphilError: another process is gone.
        """
        return self._links.gather(tree) if self._links else [tree]

    def same(self, value: str, what: str) -> None:
        """Make sure that all processes hold the same.

        Args:
            value: What they should agree on: options, or a digest of the games.
            what: What that is, for the message.

        Raises:
            ExphilError: they do not, or another process is gone.
        """
        if self._links and not self._links.agree(value):
            fix = "start every process with the same command line, version, files and EXPHIL_* variables"
            raise ExphilError(f"the processes of the run differ in {what}", "torchrun", fix)

    def close(self) -> None:
        """Take leave of the other processes; harmless when they are gone."""
        if self._links:
            self._links.close()
            self._links = None


def alone() -> Ranks:
    """A run of one process: every operation gives back what it got."""
    return Ranks(0, 1, 1, None, None)


def joined(environ: Mapping[str, str], device: str = "auto") -> Ranks:
    """This process among those that torchrun started; ``alone()`` where it started none or only this one.

    Args:
        environ: The variables of the process.
        device: Value of ``--device``: on GPUs every process takes that of its ``LOCAL_RANK``.

    Raises:
        OptionError: variables that make no sense; a device that several processes cannot use; fewer GPUs than
            processes.
        ExphilError: the other processes do not come within ``START_S`` seconds.
    """
    if not all(environ.get(name) for name in VARIABLES):
        return alone()
    numbers = []
    for name, least in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1)):
        text = environ.get(name, str(least))
        if not text.isdigit() or int(text) < least:
            raise OptionError(f"is {text!r}", name, "let torchrun set it, or take it out of the environment")
        numbers.append(int(text))
    rank, world, local, neighbours = numbers
    if world == 1:
        return alone()
    if rank >= world:
        raise OptionError(f"is {rank} of {world} processes", "RANK", "let torchrun set it")
    place = _place(device, local)
    return Ranks(rank, world, neighbours, place, _Links(rank, world, place))


def _place(name: str, local: int) -> torch.device:
    kind = runtime.device(name).type
    if kind == "mps":
        if name != "auto":
            raise OptionError("mps takes one process", "--device", "start without torchrun, or with --device cpu")
        kind = "cpu"
    if kind != "cuda":
        return torch.device("cpu")
    if local >= (there := torch.cuda.device_count()):
        fix = f"torchrun --nproc-per-node {there}, or --device cpu"
        raise OptionError(f"process {local} of this machine finds {there} GPUs", "torchrun", fix)
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


class _Links:
    """The connections of a process to the others.

    Numbers and gradients in main memory go over one group, what is saved over another: two kinds of traffic on one
    group can wait for each other for ever. Gradients on GPUs have a group of their own (nccl).
    """

    def __init__(self, rank: int, world: int, device: torch.device) -> None:
        import torch.distributed as dist

        self._dist, self._rank, self._world = dist, rank, world
        start, patient = timedelta(seconds=START_S), timedelta(days=7)
        try:
            dist.init_process_group("gloo", timeout=start)
            self._values = dist.new_group(backend="gloo", timeout=patient)
            self._saves = dist.new_group(backend="gloo", timeout=patient)
            self._gradients = self._values
            if device.type == "cuda":
                # otherwise a thread of nccl's ends the process, without a word of ours
                os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
                self._gradients = dist.new_group(backend="nccl", timeout=timedelta(seconds=EXCHANGE_S))
            store = dist.distributed_c10d._get_default_store()
        except (RuntimeError, ValueError) as error:
            what = f"process {rank} of {world} does not find the others: {str(error).splitlines()[0]}"
            raise ExphilError(what, "torchrun", "look for the first error of another process above") from error
        self._life = _Life(store, rank, world)
        self._pending: Any = None  # what somebody has not come to

    def sum_gradients(self, parameters: list[Tensor]) -> None:
        on_gpu = self._gradients is not self._values
        if on_gpu:  # nccl takes whoever is late for gone: begin together
            self.sum_values([0.0])
        with self._watched():
            sent = []
            for bucket in _buckets(parameters):
                grads = [torch.zeros_like(each) if each.grad is None else each.grad for each in bucket]
                there = grads[0].new_tensor([float(each.grad is not None) for each in bucket])
                flat = torch.cat([there, *(grad.reshape(-1) for grad in grads)])
                sent.append((bucket, grads, flat, self._dist.all_reduce(flat, group=self._gradients, async_op=True)))
            for bucket, grads, flat, work in sent:
                self._finish(work, on_gpu)
                _unpack(bucket, grads, flat)

    def sum_values(self, values: Sequence[float]) -> list[float]:
        sums = torch.tensor(list(values), dtype=torch.float64)
        with self._watched():
            self._finish(self._dist.all_reduce(sums, group=self._values, async_op=True))
        found: list[float] = sums.tolist()
        return found

    def gather(self, tree: Any) -> list[Any]:
        file = io.BytesIO()
        torch.save(tree, file)
        own = torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)
        with self._watched():
            sizes = self._exchanged(torch.tensor([len(own)]), self._saves)
            most = int(max(sizes))
            padded = torch.cat([own, own.new_zeros(most - len(own))])
            rows = [own.new_empty(most) for _ in sizes] if self._rank == 0 else None
            self._finish(self._dist.gather(padded, rows, group=self._saves, group_dst=0, async_op=True))
        found = zip(rows or [], sizes, strict=False)
        return [torch.load(io.BytesIO(row[: int(n)].numpy().tobytes()), "cpu", weights_only=True) for row, n in found]

    def agree(self, value: str) -> bool:
        own = torch.frombuffer(bytearray(hashlib.sha256(value.encode()).digest()), dtype=torch.uint8)
        with self._watched():
            return all(torch.equal(own, other) for other in self._exchanged(own, self._values))

    def close(self) -> None:
        self._life.end()
        if self._pending is None:
            with suppress(RuntimeError):
                self._dist.destroy_process_group()
            return
        for group in (self._values, self._saves):  # taking them down would wait for what never comes, at exit too
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(group))

    def _exchanged(self, own: Tensor, group: Any) -> list[Tensor]:
        rows = [torch.empty_like(own) for _ in range(self._world)]
        self._finish(self._dist.all_gather(rows, own, group=group, async_op=True))
        return rows

    def _finish(self, work: Any, on_gpu: bool = False) -> None:
        """Wait until an operation is done, for as long as all processes live."""
        if on_gpu:
            work.wait()
            return
        self._pending = work
        while not work.is_completed():
            with suppress(RuntimeError):  # not within this time
                work.wait(timedelta(seconds=BEAT_S))
                break
            if not work.is_completed():
                self._life.check()
        self._pending = None
        work.wait()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # of torch.distributed: it has one kind for all that ends a connection
            raise _gone(f"another of the {self._world} processes") from error


def _gone(who: str) -> ExphilError:
    fix = "its own message is above, if it had one; start it again with --resume NAME.pt of the last save"
    return ExphilError(f"{who} of the run is gone", "torchrun", fix)


class _Life:
    """Signs of life: every process counts up a number in the run's common store; whose number stands still is gone.

    A thread of its own talks to the store, which may be on the machine that vanished: that call would not come back.
    """

    def __init__(self, store: Any, rank: int, world: int) -> None:
        self._ended = threading.Event()
        self._heard = {other: time.monotonic() for other in range(world) if other != rank}
        self._thread = threading.Thread(target=self._beat, args=(store.clone(), rank), name="life", daemon=True)
        self._thread.start()

    def _beat(self, store: Any, rank: int) -> None:
        counts: dict[int, int] = {}
        with suppress(RuntimeError):  # without a store nobody is heard of any more
            while True:
                store.add(f"exphil/life/{rank}", 1)
                for other in self._heard:
                    count = store.add(f"exphil/life/{other}", 0)
                    if count != counts.get(other):
                        counts[other], self._heard[other] = count, time.monotonic()
                if self._ended.wait(BEAT_S):
                    return

    def check(self) -> None:
        """Look whether all the others live.

        Raises:
            ExphilError: one has not given a sign for ``GONE_S`` seconds.
        """
        silent = [other for other, last in self._heard.items() if time.monotonic() - last > GONE_S]
        if silent:
            raise _gone(f"process {silent[0]}" if len(silent) == 1 else "more than one process")

    def end(self) -> None:
        self._ended.set()
        self._thread.join(BEAT_S)  # it must not be in the store when Python ends


def _buckets(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters of one type and device, in order, at most ``BUCKET_BYTES`` or one of them at a time."""
    kinds: dict[object, list[Tensor]] = {}
    for parameter in parameters:
        kinds.setdefault((parameter.dtype, parameter.device), []).append(parameter)
    for kind in kinds.values():
        bucket: list[Tensor] = []
        held = 0
        for parameter in kind:
            size = parameter.numel() * parameter.element_size()
            if bucket and held + size > BUCKET_BYTES:
                yield bucket
                bucket, held = [], 0
            bucket.append(parameter)
            held += size
        yield bucket


@torch.no_grad()
def _unpack(bucket: list[Tensor], grads: list[Tensor], flat: Tensor) -> None:
    there, *sums = torch.split(flat, [len(bucket), *(grad.numel() for grad in grads)])
    for parameter, grad, found, total in zip(bucket, grads, there.tolist(), sums, strict=True):
        if found:
            parameter.grad = grad.copy_(total.view_as(grad))


def whole_state(states: Sequence[State], ranks: Ranks) -> State | None:
    """The carried states of all slices as one, on rank 0 in main memory; None on the others.

    Args:
        states: Of this process' slices, in order, ``(rows, …)`` each.
        ranks: The processes; all of them call this.

    Raises:
        ExphilError: another process is gone.
    """
    found = [state for held in ranks.gather(list(states)) for state in held]
    return map_state(lambda *leaves: torch.cat([leaf.detach().cpu() for leaf in leaves]), *found) if found else None


def own_states(whole: State, parts: int, own: range, batch: int) -> list[State]:
    """Cut a whole state into those of some slices, as ``data.parts`` cuts batches; ``whole_state`` the other way round.

    Args:
        whole: ``(rows, …)``, at least ``batch`` rows: what was saved, with padding of that time's slices or without.
        parts: Slices of one batch.
        own: Numbers of the slices wanted.
        batch: Rows of a whole batch (``Parts.plan.batch``).

    Returns:
        States of ``ceil(batch / parts)`` rows; rows of padding repeat the first.
    """
    rows = -(-batch // parts)

    def cut(at: int) -> State:
        row = torch.arange(at * rows, (at + 1) * rows)
        row[row >= batch] = 0
        return map_state(lambda leaf: leaf[row.to(leaf.device)], whole)

    return [cut(at) for at in own]
