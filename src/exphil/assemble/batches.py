"""Which stretches of games make a batch, and who encodes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exphil.assemble.games import table
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.data.lanes import Lanes
from exphil.data.sampler import Plan
from exphil.data.walk import Walk
from exphil.data.windows import Windows

if TYPE_CHECKING:
    import torch

    from exphil.data.loader import Loader

WALK_GAMES, WALK_FRAMES = 32, 256
"""Games side by side and frames at once when whole games are walked; they change speed and memory only."""


def carries_state(settings: Settings) -> bool:
    """Whether batches go on where the ones before ended."""
    return settings.model.backbone != "mlp" and settings.model.sequence_mode == "lanes"


def window(settings: Settings) -> int:
    """Decisions in one stretch: single frames unless the run is temporal."""
    return settings.model.window_size if settings.model.temporal else 1


def plan(settings: Settings, corpus: Corpus, seed: int) -> Plan:
    """Which stretches make which batch.

    Raises:
        DataError: no stretch at all.
    """
    batch, length, model = settings.training.batch_size, window(settings), settings.model
    mirror = settings.augment.mirror_prob if settings.augment.augment else 0.0
    if carries_state(settings):
        return Lanes(corpus.first, corpus.decisions, batch, length, mirror, seed)
    last = model.temporal and model.loss_positions == "last"
    stride = (model.stride or length) if model.temporal else 1
    return Windows(corpus.first, corpus.decisions, batch, length, stride, last, mirror, seed)


def loader(settings: Settings, corpus: Corpus, plan: Plan, device: torch.device) -> Loader:
    """Encoded batches of a plan."""
    from exphil.data.loader import Loader

    last = settings.model.temporal and settings.model.loss_positions == "last" and not isinstance(plan, Walk)
    return Loader(corpus, plan, table(settings), device, all_frames=settings.seats.all_frames, last_only=last)


def walk(settings: Settings, corpus: Corpus, device: torch.device) -> Loader:
    """Encoded batches that walk every game of a corpus from start to end."""
    return loader(settings, corpus, Walk(corpus.first, corpus.decisions, WALK_GAMES, WALK_FRAMES), device)
