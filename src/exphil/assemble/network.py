"""The policy: its parts and its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exphil.assemble.backbones import BACKBONES, widths
from exphil.assemble.games import table
from exphil.config.layers import Settings
from exphil.errors import PolicyError
from exphil.features.action import Codec
from exphil.features.observation import Table
from exphil.play.playable import check_fingerprint

if TYPE_CHECKING:
    import torch

    from exphil.models.policy import Policy
    from exphil.train.checkpoint import PolicyFile

EMBEDDING_WIDTH = 64
HEAD_RESIDUAL, HEAD_HIDDEN = 128, 64


def policy(settings: Settings, codec: Codec) -> Policy:
    """A fresh policy; its numbers come from torch's random state."""
    from exphil.models.embed import Embed
    from exphil.models.head import Head
    from exphil.models.policy import Policy

    layout = table(settings)
    tables = {found.kind: found for found in layout.vocabularies}
    kinds = [list(tables).index(found.kind) for found in layout.vocabularies]
    sizes = [found.vocabulary for found in tables.values()]
    nobody = [at for at, found in enumerate(tables.values()) if found.nobody]
    embed = Embed(layout.floats, kinds, sizes, EMBEDDING_WIDTH, widths(settings)[0], nobody)
    backbone = BACKBONES[settings.backbone.backbone or "mlp"](settings, embed.output_size)
    head = Head(
        backbone.output_size,
        codec.classes,
        HEAD_RESIDUAL,
        HEAD_HIDDEN,
        settings.model.dropout,
        settings.model.head == "autoregressive",
    )
    return Policy(embed, backbone, head, layout, codec)


OPTIONS_OF_PART = {
    "embed": "--hidden, or one of the options of features, or of delay,",
    "backbone": "--backbone or another option of the network",
    "head": "--head, --axis-buckets, --shoulder-buckets or --kmeans-centers",
}


def load_weights(policy: Policy, weights: dict[str, torch.Tensor], where: str) -> None:
    """Load weights strictly.

    Raises:
        PolicyError: naming the first difference, both sides, and the option that probably differs.
    """
    from exphil.train.checkpoint import fit_weights

    try:
        fit_weights(policy, weights, where)
    except PolicyError as error:
        option = OPTIONS_OF_PART[error.what.removeprefix("parameter ").partition(".")[0]]
        raise PolicyError(error.what, where, f"probably {option} differs from the run that wrote it") from None


def trained(file: PolicyFile, where: str) -> tuple[Settings, Policy]:
    """The options and the policy of a policy file.

    Raises:
        PolicyError: it was trained with another feature table, or its weights do not fit its options or are no numbers.
    """
    settings = Settings.from_flat("train", file.config)
    check_fingerprint(table(settings), file.fingerprint, where)
    built = policy(settings, Codec.from_dict(file.actions))
    load_weights(built, file.weights, where)
    if not all(bool(part.isfinite().all()) for part in file.weights.values()):
        raise PolicyError("its weights hold numbers that are none", where, "train it anew, or take an earlier snapshot")
    return settings, built


def embedded(table: Table) -> int:
    """Numbers of one frame after its ids are looked up: what the first layer sees."""
    return table.floats + table.ids * EMBEDDING_WIDTH
