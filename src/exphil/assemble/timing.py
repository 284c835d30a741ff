"""Training steps of made-up numbers, timed: what a frame and an update cost on this machine, without any replay.

What enters: settings of the command train and so many seconds. What leaves: a ``Cost``. The steps are real ones:
forward, backward and optimiser, of a policy that is thrown away; per frame that is the same whatever the games are.
What can go wrong: a device that is not there. A probe can be stopped between any two operations; torch's threads and
random states are put back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

from exphil.assemble.actions import codec
from exphil.assemble.batches import carries_state, takes_last, window
from exphil.assemble.games import table
from exphil.assemble.network import policy
from exphil.assemble.training import optimizer, way
from exphil.config.layers import Settings
from exphil.features.action import Codec

if TYPE_CHECKING:
    import torch

    from exphil.data.loader import Batch

ENCODING_S = 1.4e-6
"""Gathering and encoding a frame on a processor core (``docs/scale.md``); beside a GPU it is done ahead."""
FIRST_FRAMES, MOST_FRAMES = 256, 4096
"""Frames of the first timed step, and of the largest on a processor: above that, time grows with the frames."""
LEAST_S, TIMES = 0.1, 6
"""Seconds that are worth a probe of its own, and how often a step should fit into what is left."""


class Cost(NamedTuple):
    """What training costs here.

    Attributes:
        frame_s: Features excepted, forward, loss and backward of one frame.
        update_s: Clipping and optimiser, whatever the batch.
        steps: How many steps were timed.
        spread: How far the middle half of them lies apart, in medians.
    """

    frame_s: float
    update_s: float
    steps: int
    spread: float


def step_seconds(settings: Settings, budget_s: float) -> float:
    """Seconds of one update of a run on this machine, measured for ``budget_s`` seconds; needs no replays.

    Raises:
        OptionError: the device is not there.
    """
    cost = probe(settings, budget_s)
    return cost.frame_s * _update_frames(settings) + cost.update_s


def frames_a_second(settings: Settings, step_s: float) -> float:
    """Frames that a run learns from in a second, when an update takes ``step_s`` seconds."""
    return _update_frames(settings) / step_s


def _update_frames(settings: Settings) -> int:
    return settings.training.batch_size * settings.training.accumulation_steps * window(settings)


def probe(settings: Settings, budget_s: float) -> Cost:
    """Time training steps until ``budget_s`` seconds are over, building the policy included; at least two.

    The first compiles and allocates and does not count.

    Raises:
        OptionError: the device is not there.
    """
    ends = time.perf_counter() + budget_s
    with trial_of(settings) as trial:
        rows = trial.rows(FIRST_FRAMES)
        trial.step(rows)
        worked, updated = trial.step(rows)
        left = max(ends - time.perf_counter(), 0.0)
        most = trial.rows(round(left / TIMES / max(worked, 1e-9) * rows * window(settings)))
        seconds = [(worked / rows, updated)]
        if most > rows:
            most = trial.fitting(most)
            seconds = []
        while not seconds or (time.perf_counter() + median(a * most + b for a, b in seconds) < ends):
            worked, updated = trial.step(most)
            seconds.append((worked / most, updated))
        row_s = [a for a, _ in seconds]
        cuts = quantiles(row_s, n=4) if len(row_s) > 1 else [0.0, 0.0, 0.0]
        extra = ENCODING_S if trial.device.type == "cpu" else 0.0
        each = median(row_s)
        found = each / window(settings) + extra, median(b for _, b in seconds)
        return Cost(*found, len(seconds), (cuts[2] - cuts[0]) / each)


def probes(asked: Mapping[str, Settings], budget_s: float) -> dict[str, Cost]:
    """The costs of several runs, for ``budget_s`` seconds in all.

    Runs that share a network share a probe. When time is short, every backbone is tried once, with the largest of its
    networks; the others are taken to cost as much a parameter.

    Args:
        asked: Settings of the command train, by any name.
        budget_s: Seconds.

    Raises:
        OptionError: the device is not there.
    """
    networks = {name: _network(settings) for name, settings in asked.items()}
    shared = {network: asked[name] for name, network in networks.items()}
    work = {network: _multiplying(settings) for network, settings in shared.items()}
    kinds: dict[str, list[Any]] = {}
    for network in sorted(work, key=work.__getitem__, reverse=True):
        kinds.setdefault(str(shared[network]["backbone"]), []).append(network)
    order = [kind[0] for kind in kinds.values()] + [network for kind in kinds.values() for network in kind[1:]]
    ends, costs = time.perf_counter() + budget_s, {}
    for at, network in enumerate(order):
        left = (ends - time.perf_counter()) / (len(order) - at)
        if at < len(kinds) or left > LEAST_S:
            costs[network] = probe(shared[network], max(left, 0.0))
        else:
            largest = kinds[str(shared[network]["backbone"])][0]
            share = work[network] / work[largest]
            costs[network] = costs[largest]._replace(
                frame_s=costs[largest].frame_s * share, update_s=costs[largest].update_s * share, steps=0
            )
    return {name: costs[network] for name, network in networks.items()}


def _network(settings: Settings) -> tuple[Any, ...]:
    """What decides on the cost of a frame."""
    from exphil.train import runtime

    backbone, model, training = settings.backbone.backbone, settings.model, settings.training
    how = training.optimizer, training.precision, training.gradient_checkpoint, training.checkpoint_every
    parts = settings.scan, settings.attention, settings.features, settings.delays, settings.loss, how
    batch = training.batch_size if runtime.device(settings.machine.device).type != "cpu" else None
    if batch is None and backbone in ("mlp", "gru", "lstm", "mamba"):  # a frame costs the same in any window
        model = replace(model, window_size=1, stride=None)
    return backbone, model, *parts, batch


def _multiplying(settings: Settings) -> int:
    """Parameters that take part in products: what a frame costs, roughly."""
    from exphil.train.optim import is_table

    with apart(settings):
        named = policy(settings, codec(settings)).named_parameters()
        return sum(parameter.numel() for name, parameter in named if not is_table(name, parameter))


class Trial:
    """A policy to be thrown away, and steps of made-up numbers."""

    def __init__(self, settings: Settings, device: torch.device, actions: Codec | None) -> None:
        self.settings, self.device, self.codec = settings, device, actions or codec(settings)
        self.policy = policy(settings, self.codec).to(device).train()
        self._optimizer, self._way = optimizer(settings, self.policy), way(settings)
        self._batch: Batch | None = None

    def rows(self, frames: int) -> int:
        """Rows of about so many frames, as many as a batch has at most, and as are worth it on a processor."""
        most = MOST_FRAMES if self.device.type == "cpu" else self.settings.training.batch_size * window(self.settings)
        return max(min(min(frames, most) // window(self.settings), self.settings.training.batch_size), 1)

    def fitting(self, rows: int) -> int:
        """So many rows, or half as many as often as it takes to fit into the memory of a GPU; one step is made."""
        import torch

        while True:
            try:
                self.step(rows)
                return rows
            except torch.OutOfMemoryError:
                if rows == 1:
                    raise
                rows //= 2
                self._batch = None
                torch.cuda.empty_cache()

    def batch(self, rows: int) -> Batch:
        """Numbers of the right shapes, and nothing else about them is right."""
        import torch

        from exphil.data.loader import Batch

        if self._batch is not None and len(self._batch.weight) == rows:
            return self._batch
        drawn, layout, frames = torch.Generator().manual_seed(0), table(self.settings), window(self.settings)
        answers = 1 if takes_last(self.settings) else frames

        def classes(each: Sequence[int], length: int) -> torch.Tensor:
            found = [torch.randint(count, (rows, length), generator=drawn) for count in each]
            return torch.stack(found, -1) if found else torch.zeros((rows, length, 0), dtype=torch.long)

        first = torch.zeros((rows, frames), dtype=torch.bool)
        first[:, 0] = not carries_state(self.settings)
        made = (
            torch.rand((rows, frames, layout.floats), generator=drawn),
            classes([found.vocabulary for found in layout.vocabularies], frames),
            classes(self.codec.classes, answers),
            torch.ones((rows, answers)),
            first,
        )
        self._batch = Batch(*(part.to(self.device) for part in made))
        return self._batch

    def step(self, rows: int) -> tuple[float, float]:
        """One update; seconds of forward and backward, and of clipping and optimiser."""
        from exphil.train.runtime import wait
        from exphil.train.step import clip, forward

        batch = self.batch(rows)
        wait(self.device)
        began = time.perf_counter()
        loss, _ = forward(self.policy, batch, None, self._way)
        loss.objective.backward()  # type: ignore[no-untyped-call]
        wait(self.device)
        middle = time.perf_counter()
        clip(list(self.policy.parameters()), 1 / max(batch.frames, 1.0), self._way.max_grad_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        wait(self.device)
        return middle - began, time.perf_counter() - middle

    def optimizer_bytes(self) -> int:
        """What the optimiser keeps, after a step."""
        parts: Any = getattr(self._optimizer, "parts", (self._optimizer,))
        return tensor_bytes([list(kept.values()) for part in parts for kept in part.state.values()])


@contextmanager
def trial_of(settings: Settings, actions: Codec | None = None) -> Iterator[Trial]:
    """A trial of a run's policy; ``actions`` is what the classes of an action stand for, when it is known already."""
    with apart(settings) as device:
        yield Trial(settings, device, actions)


@contextmanager
def apart(settings: Settings) -> Iterator[torch.device]:
    """The device and the threads of a run; afterwards torch is as if nothing had been."""
    import torch

    from exphil.train import runtime

    device, threads = runtime.device(settings.machine.device), torch.get_num_threads()
    drawn = runtime.random_state(device)
    try:
        runtime.set_threads(settings.machine.threads)
        yield device
    finally:
        torch.set_num_threads(threads)
        runtime.set_random_state(drawn, device)


def tensor_bytes(values: Any) -> int:
    """Of all tensors in a tree of lists and tuples."""
    if isinstance(values, (list, tuple)):
        return sum(map(tensor_bytes, values))
    return int(values.nbytes) if hasattr(values, "nbytes") else 0
