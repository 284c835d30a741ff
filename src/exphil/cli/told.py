"""What a policy sees, presses and how late it answers, and what a run came to, in a few words each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exphil.cli.terminal import Terminal
from exphil.features.action import NUM_BUTTONS
from exphil.features.observation import Table

if TYPE_CHECKING:
    from exphil.assemble import Job


def sees(table: Table) -> str:
    """The sizes of what it sees, and what UMI keeps from it."""
    missing = f", without {' and '.join(table.left_out)}, which UMI does not show" if table.left_out else ""
    return f"{table.floats} floats, {table.ids} ids{missing}"


def presses(classes: Sequence[int]) -> str:
    """Its choices, from the classes of the thirteen components."""
    axes, shoulder = sorted(set(classes[NUM_BUTTONS:-1])), classes[-1]
    return f"{' to '.join(map(str, axes))} positions of a stick axis, {shoulder} depths of the trigger"


def answers(delays: Sequence[int]) -> str:
    """How late it answers, from its least and its most frames of delay."""
    low, high = min(delays), max(delays)
    if not high:
        return "on the next frame"
    frames = f"{low} to {high} frames" if low < high else f"{low} frame{'' if low == 1 else 's'}"
    return f"{frames} later than the next"


def summary(terminal: Terminal, job: Job, seconds: float) -> list[str]:
    """A finished run: what it did, how well, and where its policy is."""
    run, policy = job.run, job.files.policy
    watched = [line.get("validation", line["train"]) for line in run.history]
    best = f"final {watched[-1]:.4f}, best {run.best:.4f} nats per decision  {terminal.sparkline(watched)}"
    return [
        f"done in {seconds:.0f} s: {run.epoch} epochs, {run.updates:,} updates, {run.frames:,.0f} decisions",
        f"loss       {best}",
        "           (how well people are predicted; it does not rank how well policies play)",
        f"policy     {policy}",
        f"next       exphil evaluate {policy} --replays FOLDER",
    ]
