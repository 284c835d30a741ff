"""Which stretches of games make a batch, and who encodes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exphil.assemble.actions import delays
from exphil.assemble.games import streams, table
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.data.delayed import Delayed, Delays, by_epoch, spread
from exphil.data.forecast import PACKED_BYTES_A_FRAME, Forecast, frames_in
from exphil.data.lanes import Lanes
from exphil.data.memory import free_bytes
from exphil.data.parts import Parts
from exphil.data.sampler import Noisy, Plan, balanced
from exphil.data.streamed import Streamed
from exphil.data.walk import Walk
from exphil.data.windows import Windows
from exphil.errors import OptionError
from exphil.features.action import Codec
from exphil.play.learned import delay_among
from exphil.replays.sources import Source as ReplaySource

if TYPE_CHECKING:
    import torch

    from exphil.data.embedded import Embeddings, Variants
    from exphil.data.loader import Loader, Source
    from exphil.train.ranks import Ranks

WALK_GAMES, WALK_FRAMES = 32, 256
"""Games side by side and frames at once when whole games are walked; they change speed and memory only."""
EVERY_GAME = slice(None)


def carries_state(settings: Settings) -> bool:
    """Whether batches go on where the ones before ended."""
    return settings.backbone.backbone != "mlp" and settings.model.sequence_mode == "lanes"


def window(settings: Settings) -> int:
    """Decisions in one stretch: single frames unless the run is temporal."""
    return settings.model.window_size if settings.model.temporal else 1


def plan(settings: Settings, corpus: Corpus, seed: int) -> Plan:
    """Which stretches make which batch.

    Raises:
        DataError: no stretch at all.
    """
    batch = settings.training.batch_size * settings.training.accumulation_steps
    length, model, augment = window(settings), settings.model, settings.augment
    mirror = augment.mirror_prob if augment.augment else 0.0
    stride = (model.stride or length) if model.temporal else 1
    weights = None
    if settings.balance.balance_characters:
        weights = balanced(np.array([entry.character for entry in corpus.entries]), corpus.decisions)

    def over(entries: NDArray[np.int64], seed: int) -> Plan:
        first, decisions = corpus.first[entries], corpus.decisions[entries]
        share = None if weights is None else weights[entries]
        if carries_state(settings):
            return Lanes(first, decisions, batch, length, mirror, seed, share)
        return Windows(first, decisions, batch, length, stride, takes_last(settings), mirror, seed, share)

    if streams(settings):
        games, feeding = np.array([entry.game for entry in corpus.entries]), settings.feeding
        bounds = feeding.stream_chunk_size, feeding.stream_chunk_frames
        found: Plan = Streamed(games, corpus.decisions, *bounds, over, length, batch, seed)
    else:
        found = over(np.arange(len(corpus.entries)), seed)
    if augment.augment and augment.noise_scale:
        found = Noisy(found, augment.noise_prob, seed)
    return _late(found, corpus, by_epoch(*delays(settings), seed, len(corpus.entries)))


def sliced(settings: Settings, plan: Plan, ranks: Ranks) -> Plan:
    """What one process of a run gathers of each batch of a plan, in so many slices as ``--accumulation-steps`` says.

    Raises:
        OptionError: the batch cannot be shared out evenly.
    """
    each, batch = settings.training.accumulation_steps, settings.training.batch_size
    if batch % ranks.world:
        near = max(round(batch / ranks.world), 1) * ranks.world
        what = f"{batch} rows cannot be shared out evenly among {ranks.world} processes"
        raise OptionError(what, "--batch-size", f"--batch-size {near}: it is the batch of all processes together")
    parts, own = ranks.slices(each)
    return plan if parts == 1 else Parts(plan, parts, own)


def _late(plan: Plan, corpus: Corpus, late: Delays) -> Plan:
    return Delayed(plan, corpus.first, late) if corpus.delay else plan


def takes_last(settings: Settings) -> bool:
    """Whether the loss is taken at the last frame of a window only."""
    return settings.model.temporal and settings.model.loss_positions == "last"


def loader(
    settings: Settings,
    corpus: Corpus,
    plan: Plan,
    codec: Codec,
    device: torch.device,
    told: Callable[[int], None] = lambda _: None,
) -> Loader:
    """Encoded batches of a plan to learn from.

    Args:
        settings: Of the command train.
        corpus: The games.
        plan: Which stretches make which batch.
        codec: What the classes of an action stand for.
        device: Where batches go.
        told: Hears how many rows are encoded while embeddings are made.
    """
    from exphil.data.loader import Loader, Rows

    feeding = settings.feeding
    if streams(settings):
        corpus = replace(corpus, shelf=corpus.shelf.limited(files_at_once(settings, corpus)))
    if feeding.cache_embeddings or feeding.cache_augmented:
        source: Source = embeddings(settings, corpus, codec, told)
    else:
        source = Rows(corpus, plan.window, table(settings), codec, settings.augment.noise_scale)
    return Loader(
        corpus,
        plan,
        source,
        device,
        all_frames=settings.seats.all_frames,
        last_only=takes_last(settings),
        ahead=feeding.prefetch_buffer if feeding.prefetch else 0,
    )


def files_at_once(settings: Settings, corpus: Corpus) -> int:
    """Games that are open at a time: those of one chunk, or all."""
    files, frames = settings.feeding.stream_chunk_size, settings.feeding.stream_chunk_frames
    if files is not None:
        return min(files, corpus.games)
    return min(int((frames or 0) / max(corpus.length.mean(), 1)) + 2, corpus.games) if frames else corpus.games


def forecast(settings: Settings, wanted: Sequence[ReplaySource]) -> Forecast:
    """What memory the games of some files will take: rows that are not mapped, and embeddings that are not."""
    frames = frames_in(wanted)
    mapped = settings.store.precompute and not settings.keeping.cache_compress
    need = 0 if mapped else frames * PACKED_BYTES_A_FRAME
    feeding, share = settings.feeding, 1.0
    if streams(settings):
        files, bound = feeding.stream_chunk_size, feeding.stream_chunk_frames
        share = min(files / max(len(wanted), 1) if files else (bound or 0) / max(frames, 1), 1.0)
        need = int(need * share)
    if (feeding.cache_embeddings or feeding.cache_augmented) and not feeding.mmap_embeddings:
        from exphil.data.embedded import size_bytes

        seats = 2 if settings.seats.dual_port else 1
        need += size_bytes(frames * seats, table(settings), variants(settings))
    return Forecast(round(len(wanted) * share), frames, need, free_bytes())


def variants(settings: Settings) -> Variants:
    """What cached embeddings hold of every row besides itself."""
    from exphil.data.embedded import Variants

    feeding, augment = settings.feeding, settings.augment
    if not (feeding.cache_augmented and augment.augment and augment.noise_scale):
        return Variants()
    return Variants(feeding.num_noisy_variants, augment.noise_scale)


def embeddings(settings: Settings, corpus: Corpus, codec: Codec, told: Callable[[int], None]) -> Embeddings:
    """The cached embeddings of a corpus, made first if they are not there.

    Raises:
        OutputError: they cannot be written.
    """
    from exphil.data.embedded import Embeddings, key, opened

    layout, kinds = table(settings), variants(settings)
    rollbacks: Any = settings.netplay.rollbacks
    own = settings.cachedir.cache_dir / f"{key(corpus, layout, kinds, rollbacks)}.npy"
    path = settings.feeding.mmap_path or own
    mapped = settings.feeding.mmap_embeddings
    anew = not settings.keeping.cache
    rows = opened(corpus, layout, kinds, path, rollbacks=rollbacks, mapped=mapped, fresh=anew, told=told)
    return Embeddings(rows, window(settings), layout, codec)


def measured(settings: Settings, corpus: Corpus, delay: int | None = None) -> NDArray[np.int64]:
    """The frames of delay ``(n,)`` that each entry of a corpus is measured at; arguments as for ``walk``.

    Raises:
        OptionError: the policy did not learn this delay.
    """
    bounds = delays(settings) if delay is None else (delay_among(delays(settings), delay),) * 2
    return spread(*bounds, len(corpus.entries))


def walk(
    settings: Settings,
    corpus: Corpus,
    codec: Codec,
    device: torch.device,
    delay: int | None = None,
    part: slice = EVERY_GAME,
) -> Loader:
    """Encoded batches that walk the games of a corpus from start to end.

    Args:
        settings: Of the run that trains or trained the policy.
        corpus: The games.
        codec: What the classes of an action stand for.
        device: Where batches go.
        delay: Frames of delay of every answer; by default those that the policy learns, one game like this and the
            next like that.
        part: Which of its entries; by default all.

    Raises:
        OptionError: the policy did not learn this delay.
    """
    from exphil.data.loader import Loader, Rows

    late = measured(settings, corpus, delay)
    plan = _late(Walk(corpus.first[part], corpus.decisions[part], WALK_GAMES, WALK_FRAMES), corpus, lambda _: late)
    shelved = replace(corpus, shelf=corpus.shelf.limited(WALK_GAMES))
    source = Rows(shelved, plan.window, table(settings), codec)
    return Loader(shelved, plan, source, device, all_frames=settings.seats.all_frames, last_only=False)
