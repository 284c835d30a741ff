"""What a run's actions stand for, and how late they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exphil.assemble.parent import parent
from exphil.config.layers import Settings
from exphil.features.action import Codec
from exphil.features.kmeans import Centres


def codec(settings: Settings, snapshot: Mapping[str, Any] | None = None) -> Codec:
    """The codec of a run: its snapshot's or that of ``--init``, else equal steps or the sticks of ``--kmeans-centers``.

    Raises:
        ExphilError: the file of centres, or the policy of ``--init``, cannot be used.
    """
    if snapshot is not None:
        return Codec.from_dict(snapshot.get("actions", {}))
    if (begins := parent(settings)) is not None:
        return Codec.from_dict(begins.actions)
    options = settings.actions
    equal = Codec.uniform(options.axis_buckets, options.shoulder_buckets)
    if options.kmeans_centers is None:
        return equal
    return Codec(Centres.load(options.kmeans_centers).axes4(), equal.shoulder)


def delays(settings: Settings) -> tuple[int, int]:
    """The least and the most frames of delay that a policy learns."""
    if settings.delays.frame_delay_augment:
        return settings.delays.frame_delay_min, settings.delays.frame_delay_max
    return (settings.delay.frame_delay,) * 2
