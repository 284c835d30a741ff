"""A plan and a corpus to encoded batches.

Rows are gathered and shipped packed; encoding happens on the training device. A batch is a pure function of (epoch,
step): gathering ahead in the background changes when work is done, never what comes out.

A stretch is laid out by its answers. ``most`` frames of delay fit in: decision t is answered by row ``most + 1 + t``
whatever the delay, its state is row ``most - delay + t``. So every delay is judged on the same answers, none is lost at
the end of a game, and the controllers before the answer are always those of rows ``t + 1`` to ``most + t``: the last
``delay`` of them are not seen yet, the others are.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exphil.data.corpus import Corpus
from exphil.data.sampler import Pick, Plan
from exphil.features.action import Codec
from exphil.features.augment import mirror, mirror_controllers, noisy, with_noise
from exphil.features.observation import Recent, Table
from exphil.features.view import controllers
from exphil.game.frames import ROW_BYTES, Game, playing


class Batch(NamedTuple):
    """B stretches of T decisions, on the training device.

    Attributes:
        floats: ``(B, T, F)``; ids: int64 ``(B, T, I)``.
        action: int64 ``(B, T, 13)``, what answered each state; of the last state only, ``(B, 1, 13)``, where the loss
            is taken there.
        weight: ``(B, T)``, or ``(B, 1)`` likewise: 1 where the decision counts, 0 for padding and for frames on which
            nobody plays.
        is_first: bool ``(B, T)``: the carried state restarts before this decision.
    """

    floats: Tensor
    ids: Tensor
    action: Tensor
    weight: Tensor
    is_first: Tensor

    @property
    def frames(self) -> float:
        """Decisions that count."""
        return float(self.weight.sum())


Gathered = tuple[Tensor, ...]
Fetched = tuple[Pick, Gathered]


class Encoded(NamedTuple):
    """Numbers of B stretches: ``floats``, ``ids`` and ``action`` as in ``Batch``, ``playing`` bool ``(B, T)``."""

    floats: Tensor
    ids: Tensor
    action: Tensor
    playing: Tensor


class Shown(NamedTuple):
    """What is shown of a stretch: ``states`` ``(B, window, …)``, and the controllers before each answer, if any."""

    states: Tensor
    recent: Recent | None


def states(rows: Tensor, delay: NDArray[np.int64], most: int) -> Tensor:
    """The rows ``(B, window, …)`` that are seen, of ``(B, window + 1 + most, …)`` rows of any kind.

    Args:
        rows: Of some stretches.
        delay: int64 ``(B,)``, at most ``most``.
        most: The most frames of delay that there is room for.
    """
    window, first = rows.shape[1] - 1 - most, most - delay
    if (first == first[0]).all():
        return rows[:, int(first[0]) : int(first[0]) + window]
    places = torch.from_numpy(first[:, None] + np.arange(window)).to(rows.device)
    return rows[torch.arange(len(rows), device=rows.device)[:, None], places]


def shown(rows: Tensor, controllers: Tensor, delay: NDArray[np.int64], most: int) -> Shown:
    """The states of some stretches, and the controllers before each answer.

    Args:
        rows: As ``states`` takes them.
        controllers: ``(B, window + 1 + most, 13)``: the controller floats of the same rows.
        delay: As ``states`` takes it.
        most: As ``states`` takes it.
    """
    if not most:
        return Shown(states(rows, delay, most), None)
    width = controllers.shape[-1]
    before = controllers[:, 1:-1].reshape(len(rows), -1).unfold(1, most * width, width)  # oldest first
    return Shown(states(rows, delay, most), Recent(before, torch.from_numpy(delay).to(rows.device)[:, None]))


class Source(Protocol):
    """Where the numbers of a pick come from."""

    def gather(self, pick: Pick) -> Gathered:
        """What must be copied together, in main memory, as tensors that nobody else writes to before ``free``."""
        ...

    def encode(self, gathered: Gathered, pick: Pick, device: torch.device) -> Encoded:
        """The numbers, on the device."""
        ...

    def free(self, gathered: Gathered) -> None:
        """The memory may be used for another pick."""
        ...


class Rows:
    """Rows of a corpus, encoded on the training device.

    Args:
        corpus: The games.
        window: Decisions of a stretch.
        table: The feature table.
        codec: What the classes of an action stand for.
        noise_scale: Standard deviation of the noise that a pick asks for, in numbers of the table.

    Raises:
        ValueError: the corpus and the table leave room for different delays.
    """

    def __init__(self, corpus: Corpus, window: int, table: Table, codec: Codec, noise_scale: float = 0.0) -> None:
        if corpus.delay != table.max_delay:
            raise ValueError(f"the corpus leaves room for {corpus.delay} frames of delay, the table {table.max_delay}")
        self._corpus, self._length, self._table, self._codec = corpus, window + corpus.ahead, table, codec
        self._noise_scale = noise_scale
        self._buffers: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []

    def gather(self, pick: Pick) -> Gathered:
        """Packed rows uint8 ``(B, window + ahead, ROW_BYTES)``, and which stretches are not plain.

        Memory is used again: fresh pages for every batch cost more than the copy.
        """
        shape = len(pick.first), self._length, ROW_BYTES
        free = [at for at, (rows, _) in enumerate(self._buffers) if rows.shape == shape]
        rows, touched = (
            self._buffers.pop(free[-1]) if free else (np.empty(shape, np.uint8), np.ones(shape[0], np.uint8))
        )
        self._corpus.copy(pick.first, rows, touched)
        return torch.from_numpy(rows), torch.from_numpy(touched)

    def encode(self, gathered: Gathered, pick: Pick, device: torch.device) -> Encoded:
        """T states, answered by the last T controllers; which states depends on the delay."""
        rows = gathered[0].pin_memory() if device.type == "cuda" else gathered[0]
        game, most = Game(rows.to(device, non_blocking=True)), self._table.max_delay
        held = controllers(game)
        seen, recent = shown(game.elements("int32"), held, pick.delay, most)  # four bytes at a time are picked faster
        floats, ids = self._table.encode(Game(seen.view(torch.uint8)), recent)
        answers = held[:, 1 + most :]
        if pick.mirrored.any():
            mirrored = torch.from_numpy(pick.mirrored).to(device)
            floats, answers = mirror(self._table, floats, mirrored), mirror_controllers(answers, mirrored)
        if pick.noise.any():
            floats = self._noisy(floats, pick)
        return Encoded(floats, ids, self._codec.encode_floats(answers), playing(game[:, most:-1]))

    def _noisy(self, floats: Tensor, pick: Pick) -> Tensor:
        """The same noise for the same pick, on one kind of device."""
        drawn = torch.Generator(floats.device).manual_seed(int(np.bitwise_xor.reduce(pick.noise)))
        shape = (*floats.shape[:2], len(noisy(self._table)))
        noise = torch.randn(shape, generator=drawn, device=floats.device) * self._noise_scale
        chosen = torch.from_numpy(pick.noise > 0).to(floats.device)[:, None, None]
        changed: Tensor = with_noise(self._table, floats, noise * chosen)
        return changed

    def free(self, gathered: Gathered) -> None:
        """The buffer may hold other rows now."""
        self._buffers.append((gathered[0].numpy(), gathered[1].numpy()))


class Loader:
    """Batches as a pure function of (epoch, step).

    Args:
        corpus: The games.
        plan: Which stretches make which batch.
        source: Where their numbers come from.
        device: Where batches go.
        all_frames: Count the frames before GO and after the last stock too.
        last_only: Answer only the last state of each window; a window that is not full has no such decision.
        ahead: Batches that are gathered in the background while one is used; 0 gathers when asked.
    """

    def __init__(
        self,
        corpus: Corpus,
        plan: Plan,
        source: Source,
        device: torch.device,
        *,
        all_frames: bool,
        last_only: bool,
        ahead: int = 0,
    ) -> None:
        self.corpus, self.plan, self.device = corpus, plan, device
        self._source, self._all_frames, self._last_only, self._ahead = source, all_frames, last_only, ahead
        self._thread = ThreadPoolExecutor(1, "gather") if ahead else None
        self._coming: dict[tuple[int, int], Future[Fetched]] = {}

    def steps(self, epoch: int) -> int:
        """Batches of one epoch."""
        return self.plan.steps(epoch)

    def load(self, epoch: int, step: int) -> Batch:
        """The batch of a step."""
        return self.encode(self.fetch(epoch, step))

    def fetch(self, epoch: int, step: int) -> Fetched:
        """What a step's batch is made of, copied together in main memory; ``encode`` must follow."""
        return self._gathered(epoch, step)

    def encode(self, fetched: Fetched) -> Batch:
        """The batch, on the device."""
        pick, gathered = fetched
        batch = self._batch(self._source.encode(gathered, pick, self.device), pick)
        self._source.free(gathered)
        return batch

    def _gather(self, epoch: int, step: int) -> Fetched:
        pick = self.plan.pick(epoch, step)
        return pick, self._source.gather(pick)

    def _gathered(self, epoch: int, step: int) -> Fetched:
        if self._thread is None:
            return self._gather(epoch, step)
        wanted = range(step, max(step + 1, min(step + self._ahead + 1, self.plan.steps(epoch))))
        for key in [key for key in self._coming if key[0] != epoch or key[1] not in wanted]:
            self._coming.pop(key).cancel()
        for at in wanted:
            if (epoch, at) not in self._coming:
                self._coming[epoch, at] = self._thread.submit(self._gather, epoch, at)
        return self._coming.pop((epoch, step)).result()

    def _batch(self, found: Encoded, pick: Pick) -> Batch:
        steps = torch.arange(self.plan.window, device=self.device)
        count = torch.from_numpy(pick.decisions).to(self.device)[:, None]
        weight = steps < count
        if not self._all_frames:
            weight = weight & found.playing
        is_first = torch.zeros(weight.shape, dtype=torch.bool, device=self.device)
        is_first[:, 0] = torch.from_numpy(pick.is_first).to(self.device)
        answered = slice(-1, None) if self._last_only else slice(None)
        return Batch(found.floats, found.ids, found.action[:, answered], weight[:, answered].float(), is_first)
