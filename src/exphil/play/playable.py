"""A policy that is ready to play, and how an exported one becomes that. No torch.

What can go wrong: PolicyError for a file that cannot be used, or whose numbers another exphil made.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from exphil.errors import PolicyError
from exphil.features.observation import Table
from exphil.play.agent import Player
from exphil.play.fast import FastPlayer
from exphil.play.learned import Learned
from exphil.play.windowed import Windowed


class Playable(NamedTuple):
    """Who decides, and what an agent must know of it."""

    player: Player
    learned: Learned


def as_learned(player: Player, learned: Learned) -> Playable:
    """A policy as it learned: in windows, if it learned from windows."""
    return Playable(player if learned.window is None else Windowed(player, learned.window), learned)


def from_graph(path: Path, threads: int = 1) -> Playable:
    """An exported policy.

    Args:
        path: What ``exphil export onnx`` wrote.
        threads: Of one decision.

    Raises:
        ExphilError: the file cannot be used, or onnxruntime is not installed.
    """
    fast = FastPlayer(path, threads)
    learned = Learned.from_dict(fast.config.get("learned", {}), str(path))
    check_fingerprint(learned.table, fast.fingerprint, str(path))
    return as_learned(fast, learned)


def check_fingerprint(table: Table, fingerprint: str, where: str) -> None:
    """Refuse weights that were trained on other numbers.

    Raises:
        PolicyError: with both fingerprints.
    """
    if table.fingerprint != fingerprint:
        raise PolicyError(
            f"trained on feature table {fingerprint}; this exphil makes {table.fingerprint} of the same options",
            where,
            "play it with the exphil that trained it, or train it anew",
        )
