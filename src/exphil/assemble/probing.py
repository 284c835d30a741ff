"""Trial runs before a run: the batch that the machine trains fastest with, and the learning rate.

Both make real training steps on real batches with a policy that is thrown away. Torch's random states are put back, so
that the run that follows is the one it would have been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exphil.assemble.batches import loader, plan, sliced
from exphil.assemble.network import policy
from exphil.assemble.training import optimizer, way
from exphil.config.commands import COMMANDS
from exphil.config.layers import Settings, jsonable
from exphil.data.corpus import Corpus
from exphil.features.action import Codec

if TYPE_CHECKING:
    import torch

    from exphil.data.loader import Loader
    from exphil.train.batch_size import Found
    from exphil.train.rates import Sweep

PLAIN = {"cache_embeddings": False, "cache_augmented": False, "profile": False}
"""Trial batches are encoded as they come: making embeddings may take longer than the trial."""


def for_training(settings: Settings) -> Settings:
    """The same options as those of the command train; what only train has is at its default."""
    known = set(COMMANDS["train"].option_names())
    return Settings.from_flat("train", jsonable({name: v for name, v in settings.flat().items() if name in known}))


def batch_size(settings: Settings, corpus: Corpus, codec: Codec, device: torch.device) -> Found:
    """The batch with the most rows a second that fits into the memory.

    Args:
        settings: Of the command train, seed decided.
        corpus: The games to learn from; where they have fewer stretches than ``--auto-batch-max``, these are the most.
        codec: What the classes of an action stand for.
        device: What it trains on.

    Raises:
        ExphilError: not even ``--auto-batch-min`` fits.
    """
    from exphil.train.batch_size import largest, memory_of

    options = settings.batches
    settings = settings.changed({"accumulation_steps": 1}, "a trial")  # slices follow each other: one takes the memory
    whole = plan(settings.changed({"batch_size": options.auto_batch_max}, "a trial"), corpus, 0).batch
    most = min(options.auto_batch_max, whole)
    least = min(options.auto_batch_min, most)
    with _trial(settings, corpus, codec, device) as trial:
        found = largest(trial.batch, least, most, options.auto_batch_backoff, memory_of(device))
    if found.tried[-1].batch == most < options.auto_batch_max and found.why.startswith(str(most)):
        found = found._replace(why=f"these games have no more than {most} stretches")
    return found


def rates(
    settings: Settings,
    bounds: tuple[float, float, int],
    corpus: Corpus,
    codec: Codec,
    device: torch.device,
    told: Callable[[int, float], None],
) -> Sweep:
    """The learning-rate range test of a run.

    Args:
        settings: Of the command train, seed decided.
        bounds: Smallest rate, largest rate, steps.
        corpus: The games to learn from.
        codec: What the classes of an action stand for.
        device: What it trains on.
        told: Hears how many steps are made, of twice as many (first without learning, then with it), and the averaged
            share of the untouched loss.
    """
    from exphil.train.rates import sweep

    low, high, steps = bounds
    untouched = []
    with _trial(settings, corpus, codec, device) as trial:
        trial.feed(settings.training.batch_size)
        for done in range(1, steps + 1):
            untouched.append(trial.rate(0.0))
            told(done, 1.0)
    with _trial(settings, corpus, codec, device) as trial:  # the same weights, batches and dropout once more
        trial.feed(settings.training.batch_size)
        return sweep(trial.rate, untouched, low, high, lambda done, share: told(steps + done, share))


class _Trial:
    """Updates of a throw-away policy, of any batch and at any rate."""

    def __init__(self, settings: Settings, corpus: Corpus, codec: Codec, device: torch.device) -> None:
        import torch

        from exphil.train.loop import Run

        self._settings, self._corpus, self._codec = settings, corpus, codec
        torch.manual_seed(settings.seed.seed or 0)
        built = policy(settings, codec).to(device)
        self._run, self._way = Run(built, optimizer(settings, built), device), way(settings)
        self._loader: Loader | None = None
        self._rows = 0

    def feed(self, rows: int) -> None:
        """Batches of so many rows from here on, from the start of the first epoch."""
        asked, run = self._settings.changed({"batch_size": rows}, "a trial"), self._run
        order = plan(asked, self._corpus, asked.seed.seed or 0)
        run.epoch, run.step, run.states, self._rows = 0, 0, [], rows
        self._loader = None  # its memory is for the next one
        self._loader = loader(asked, self._corpus, sliced(asked, order, self._way.ranks), self._codec, run.device)

    def batch(self, rows: int) -> None:
        """An update of so many rows; comes back when the device is done."""
        from exphil.train.runtime import wait

        if rows != self._rows:
            self.feed(rows)
        self._update(self._settings.training.lr)
        wait(self._run.device)

    def rate(self, rate: float) -> float:
        """An update at a rate; gives the loss before it, per decision. There is no update where that is infinite."""
        from exphil.train.step import NotFiniteError

        try:
            return self._update(rate)
        except NotFiniteError:
            return math.inf

    def _update(self, rate: float) -> float:
        from exphil.train.step import update

        run, slices = self._run, self._way.slices
        assert self._loader is not None, "feed comes first"
        if run.step * slices >= self._loader.steps(run.epoch):
            run.epoch, run.step, run.states = run.epoch + 1, 0, []
        done = update(run, self._loader, rate, self._way)
        run.step, run.updates = run.step + 1, run.updates + 1
        return done.objective


@contextmanager
def _trial(settings: Settings, corpus: Corpus, codec: Codec, device: torch.device) -> Iterator[_Trial]:
    """A policy to try something with; afterwards torch draws on as if it had not been there."""
    from exphil.train.runtime import random_state, set_random_state

    before = random_state(device)
    try:
        yield _Trial(settings.changed(PLAIN, "a trial"), corpus, codec, device)
    finally:
        set_random_state(before, device)
