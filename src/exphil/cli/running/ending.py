"""The last lines of a run: what it did, how well, where its policy is, and what to do next.

What enters: plain values (``Ended``). What leaves: lines to be shown as they are, for paths and the command in them are
there to be copied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exphil.cli.shown.drawing import many, shown_duration, sparkline


@dataclass(frozen=True)
class Ended:
    """A finished run in plain values.

    Attributes:
        seconds: From its first update to its end, in this process; whole: in all processes that it was resumed in.
        epochs: Passes done; planned: passes that were asked for.
        updates: Of the weights; decisions: learned from, all passes together.
        losses: Nats per decision of every pass: held out where games were held out, else of training.
        best: The least of them.
        baseline: Of copying the previous controller, on the held-out games; None when there are none.
        early: Why it ended before its last epoch; empty when it did not.
        policies: What the files are, and where: "policy", "best", "averaged"; the last one is that of the losses.
        replays: Where its games are.
    """

    seconds: float
    whole: float
    epochs: int
    planned: int
    updates: int
    decisions: float
    losses: Sequence[float]
    best: float
    baseline: float | None
    early: str
    policies: Mapping[str, Path]
    replays: Path


def ending(ended: Ended, blocks: bool) -> list[str]:
    """The lines, at most 80 letters wide but for paths; ``blocks``: whether ``drawing.SPARKS`` can be shown."""
    now = shown_duration(ended.seconds)
    took = f"{now} now, {shown_duration(ended.whole)} in all" if ended.whole > 1.5 * ended.seconds else now
    lines = [
        f"{'time':<10} {took}: {many(ended.epochs, 'epoch')}, "
        f"{many(ended.updates, 'update')}, {many(round(ended.decisions), 'decision')}"
    ]
    if ended.early:
        lines.append(f"{'stopped':<10} early, after {ended.epochs} of {ended.planned} epochs")
        lines.append(f"{'':<10} ({ended.early})")
    lines += _losses(ended, blocks)
    lines += [f"{word:<10} {path}" for word, path in ended.policies.items()]
    shown, held_out = list(ended.policies.values())[-1], "" if ended.baseline is None else " --held-out"
    words = f"{_quoted(str(shown))} --replays {_quoted(str(ended.replays))}{held_out}"
    return [*lines, f"{'next':<10} exphil evaluate {words}"]


def _losses(ended: Ended, blocks: bool) -> list[str]:
    if not ended.losses:
        return []
    found = [loss if math.isfinite(loss) else math.inf for loss in ended.losses]
    at = min(range(len(found)), key=found.__getitem__) + 1
    where = f" (epoch {at})" if found[at - 1] == ended.best else ""
    lines = [f"{'loss':<10} final {ended.losses[-1]:.4f}, best {ended.best:.4f}{where} nats per decision"]
    if ended.baseline is not None:
        gain = 1 - ended.best / ended.baseline
        side = f"{abs(gain):.1%} {'below' if gain >= 0 else 'above'}".replace("%", " %")
        lines.append(f"{'':<10} copying the previous controller: {ended.baseline:.4f}; the best is {side}")
    if len(found) > 1:
        lines.append(f"{'':<10} {sparkline(ended.losses, 40, blocks)}")
    return [*lines, f"{'':<10} (how well people are predicted; that does not rank how policies play)"]


def _quoted(path: str) -> str:
    """A path as a word of a command line; every shell knows double quotes."""
    return f'"{path}"' if any(letter in path for letter in " &()[]{}^=;!'+,`~") else path
