"""The backbones: which layers each is made of, and how wide."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from exphil.config.layers import Settings

if TYPE_CHECKING:
    from exphil.models.backbone import Backbone
    from exphil.models.stack import Stack

INTERLEAVED = {"hybrid": "lstm", "jamba": "mamba"}
"""Backbones with an attention layer after every few of another kind."""
FEED_FORWARD = 2
"""Width of the feed-forward after an attention layer, in widths of the layer; the others have none unless told."""


def widths(settings: Settings) -> tuple[int, ...]:
    """Width of every layer: ``--hidden``, one number repeated ``--num-layers`` times in a backbone with memory.

    The first of an mlp is the dense layer of the embedding.
    """
    model = settings.model
    if len(model.hidden) == 1 and settings.backbone.backbone != "mlp":
        return model.hidden * (model.num_layers or 2)
    return model.hidden


def kinds(settings: Settings) -> tuple[str, ...]:
    """The kind of every layer, a key of ``LAYERS``."""
    count = len(widths(settings))
    backbone, every = settings.backbone.backbone or "mlp", settings.attention.attention_every or count
    other = INTERLEAVED.get(backbone)
    if other is None:
        return (backbone,) * count
    return tuple("attention" if place % every == 0 else other for place in range(1, count + 1))


def _recurrent(cell: Literal["gru", "lstm"], settings: Settings, size: int) -> Backbone:
    from exphil.models.recurrent import Recurrent

    return Recurrent(cell, size)


def _mamba(settings: Settings, size: int) -> Backbone:
    from exphil.models.mamba import Mamba

    scan = settings.scan
    return Mamba(size, scan.state_size or 16, scan.expand_factor, scan.conv_size)


def _mamba2(settings: Settings, size: int) -> Backbone:
    from exphil.models.mamba2 import Mamba2

    scan = settings.scan
    return Mamba2(size, scan.state_size or 64, scan.expand_factor, scan.conv_size)


def _attention(settings: Settings, size: int) -> Backbone:
    from exphil.models.attention import Attention

    options = settings.attention
    kernels = {
        "chunked": options.chunked_attention,
        "memory_efficient": options.memory_efficient_attention,
        "flash": options.flash_attention,
    }
    kernel: Any = next((name for name, wanted in kernels.items() if wanted), "plain")
    reach = settings.model.window_size
    return Attention(
        size, options.num_heads, reach, qk_layernorm=options.qk_layernorm, kernel=kernel, chunk_size=options.chunk_size
    )


LAYERS: dict[str, Callable[[Settings, int], Backbone]] = {
    "gru": partial(_recurrent, "gru"),
    "lstm": partial(_recurrent, "lstm"),
    "mamba": _mamba,
    "mamba2": _mamba2,
    "attention": _attention,
}


def _mlp(settings: Settings, size: int) -> Stack:
    from exphil.models.mlp import Activation, Dense
    from exphil.models.stack import Stack

    model, wide = settings.model, (size, *widths(settings)[1:])
    layers = [Dense(a, b, model.dropout, model.layer_norm, model.residual) for a, b in pairwise(wide)]
    leave = Activation(wide[-1], model.dropout, model.layer_norm)
    return Stack(layers, leave, wide[-1], checkpoint_every=_checkpoint_every(settings))


def _layered(settings: Settings, size: int) -> Stack:
    from torch import nn

    from exphil.models.stack import Layer, Stack

    model, wide = settings.model, widths(settings)
    layers = []
    for before, width, kind in zip((size, *wide), wide, kinds(settings), strict=False):
        feed = FEED_FORWARD if model.feed_forward is None and kind == "attention" else model.feed_forward or 0
        layers.append(Layer(before, LAYERS[kind](settings, width), model.dropout, feed))
    return Stack(
        layers,
        nn.LayerNorm(wide[-1]),
        wide[-1],
        checkpoint_every=_checkpoint_every(settings),
        truncate=model.truncate_bptt or 0,
        last_only=model.loss_positions == "last",
    )


def _checkpoint_every(settings: Settings) -> int:
    return settings.training.checkpoint_every if settings.training.gradient_checkpoint else 0


# name -> builder of the settings and the width of what enters
BACKBONES: dict[str, Callable[[Settings, int], Backbone]] = {
    "mlp": _mlp,
    **dict.fromkeys((*LAYERS, *INTERLEAVED), _layered),
}
