"""The policy that a run begins with: what ``--init`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exphil.config.layers import Settings

if TYPE_CHECKING:
    from exphil.train.checkpoint import PolicyFile


def parent(settings: Settings) -> PolicyFile | None:
    """What the file of ``--init`` says; None for a run that begins from nothing.

    Raises:
        PolicyError: it cannot be read.
    """
    if "init" not in settings or settings["init"] is None:
        return None
    from exphil.train.checkpoint import load_policy

    return load_policy(settings["init"])
