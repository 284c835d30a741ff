"""Where the time of a training step goes, and whether bf16 would save some."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings

if TYPE_CHECKING:
    from exphil.train.loop import BatchDone
    from exphil.train.step import Spent

PARTS = ("waiting for data", "features", "forward and loss", "backward", "clipping and optimiser")
WORTH_IT = 1.2


def show(terminal: Terminal, spent: Sequence[Spent]) -> None:
    """The medians over all steps, if there are any."""
    if not spent:
        return
    seconds = [median(part) for part in zip(*spent, strict=True)]
    whole = sum(seconds)
    rows = [[word, f"{1000 * part:.2f}", f"{part / whole:.1%}"] for word, part in zip(PARTS, seconds, strict=True)]
    title = f"Where a step's time goes (medians of {len(spent):,} steps)"
    terminal.table(title, ["part", "milliseconds", "share"], [*rows, ["together", f"{1000 * whole:.2f}", ""]])


def detail(terminal: Terminal, event: BatchDone, norms: Sequence[float], spent: Sequence[Spent]) -> None:
    """With ``--verbose``: where the last updates' time went, and how long their gradients were."""
    seconds = [sum(part) for part in zip(*spent, strict=True)]
    whole = max(sum(seconds), 1e-9)
    shares = ", ".join(f"{word} {part / whole:.1%}" for word, part in zip(PARTS, seconds, strict=True))
    lengths = f"gradient {median(norms):.3f} ({min(norms):.3f} to {max(norms):.3f})"
    each = 1000 * whole / len(spent)
    terminal.detail(f"update {event.updates}: lr {event.lr:.2e}, {lengths}, {each:.1f} ms each: {shares}")


def judge_precision(terminal: Terminal, settings: Settings) -> None:
    """Warn where bf16 was asked for and this machine's products are hardly faster in it."""
    from exphil.train import runtime

    if settings.training.precision != "bf16":
        return
    gain = runtime.gain_of_bf16(runtime.device(settings.machine.device))
    terminal.detail(f"bf16: products take 1/{gain:.1f} of their time in f32 here")
    if gain < WORTH_IT:
        said = f"products in bf16 are {gain:.1f} times as fast as in f32 on this machine"
        terminal.warn(f"--precision bf16 would not pay: {said}; --precision f32 is exact and as fast")
