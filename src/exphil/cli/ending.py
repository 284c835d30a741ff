"""The last lines of a run: what it did, how well, where its policy is, and what to do next.

What enters: plain values (``Ended``). What leaves: lines to be shown as they are, for paths and the command in them are
there to be copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exphil.cli.drawing import shown_duration, sparkline


@dataclass(frozen=True)
class Ended:
    """A finished run in plain values.

    Attributes:
        seconds: It took.
        epochs: Passes done; planned: passes that were asked for.
        updates: Of the weights; decisions: learned from, all passes together.
        losses: Nats per decision of every pass: held out where games were held out, else of training.
        best: The least of them.
        stopped_early: Whether it ended because the loss no longer fell.
        policy: The file to play with; best_policy: the one of the best pass, None when there is none.
    """

    seconds: float
    epochs: int
    planned: int
    updates: int
    decisions: float
    losses: Sequence[float]
    best: float
    stopped_early: bool
    policy: Path
    best_policy: Path | None


def ending(ended: Ended, blocks: bool) -> list[str]:
    """The lines, at most 80 letters wide but for paths; ``blocks``: whether ``drawing.SPARKS`` can be shown."""
    lines = [
        f"{'time':<10} {shown_duration(ended.seconds)}: {_many(ended.epochs, 'epoch')}, "
        f"{_many(ended.updates, 'update')}, {_many(round(ended.decisions), 'decision')}"
    ]
    if ended.stopped_early:
        lines.append(f"{'stopped':<10} early, after {ended.epochs} of {ended.planned} epochs: the loss no longer fell")
    if ended.losses:
        found = [loss if math.isfinite(loss) else math.inf for loss in ended.losses]
        at = min(range(len(found)), key=found.__getitem__) + 1
        where = f" (epoch {at})" if found[at - 1] == ended.best else ""
        lines += [
            f"{'loss':<10} final {ended.losses[-1]:.4f}, best {ended.best:.4f}{where} nats per decision",
            f"{'':<10} {sparkline(ended.losses, 40, blocks)}",
            f"{'':<10} (how well people are predicted; that does not rank how policies play)",
        ]
    lines.append(f"{'policy':<10} {ended.policy}")
    if ended.best_policy is not None:
        lines.append(f"{'best':<10} {ended.best_policy}")
    shown = _quoted(str(ended.policy if ended.best_policy is None else ended.best_policy))
    return [*lines, f"{'next':<10} exphil evaluate {shown} --replays FOLDER"]


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _quoted(path: str) -> str:
    """A path as a word of a command line; every shell knows double quotes."""
    return f'"{path}"' if any(letter in path for letter in " &()[]{}^=;!'+,`~") else path
