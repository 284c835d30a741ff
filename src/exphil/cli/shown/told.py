"""What a policy sees, presses and how late it answers, in a few words each."""

from __future__ import annotations

from collections.abc import Sequence

from exphil.features.action import NUM_BUTTONS
from exphil.features.observation import Table


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
