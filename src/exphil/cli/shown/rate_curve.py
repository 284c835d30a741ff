"""The curve of ``exphil find-lr``: as text, and as a page."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

from exphil import pages
from exphil.cli.terminal import Terminal

if TYPE_CHECKING:
    from exphil.train.rates import Sweep

WIDTH = 72
UP = "loss, as a share of the untrained network's on the same batch"
STYLE = """
svg { display: block; width: 100%; max-width: 60rem; font-size: 12px; }
svg text { fill: currentColor; }
.grid { stroke: var(--line); }
pre { overflow-x: auto; }
"""


def spelled(rate: float) -> str:
    """A rate in two digits, 3.2e-3."""
    digits, _, power = f"{rate:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def text(terminal: Terminal, found: Sweep, command: str | None) -> list[str]:
    """The averaged loss by rate as a curve in one line, the powers of ten below it, and what it says."""
    curve = terminal.sparkline(found.shares, WIDTH)
    low, high = (f"{value:.3f}" for value in (min(found.shares), max(found.shares)))
    return [
        f"Averaged {UP} ({low} to {high}), by learning rate:",
        curve,
        _axis(found, len(curve)),
        *_said(found, command),
    ]


def _axis(found: Sweep, width: int) -> str:
    """Powers of ten, each with its mark where its rate stands."""
    first, last = (math.log10(found.rates[at]) for at in (0, -1))
    line = [" "] * (width + 6)
    for power in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1):
        at = round((power - first) / ((last - first) or 1.0) * (width - 1))
        word = f"|1e{power}"
        if not "".join(line[max(at - 1, 0) : at + len(word)]).strip():
            line[at : at + len(word)] = word
    return "".join(line).rstrip()


def _said(found: Sweep, command: str | None) -> list[str]:
    lines = [f"{'exploded':<10} at {spelled(found.diverged)}"] if found.diverged else []
    if command and found.steepest and found.tenth:
        lines += [f"{'tenth':<10} {spelled(found.tenth)}: a tenth of the rate with the least loss; take this one"]
        lines += [f"{'steepest':<10} {spelled(found.steepest)}: where the loss falls fastest"]
        lines += [f"{'next':<10} {command}"]
    return lines


def page(found: Sweep, command: str | None) -> str:
    """The curve and what it says, for a browser."""
    from exphil.evaluate.charts import COLOURS, Line, lines

    place = [math.log10(rate / found.rates[0]) for rate in found.rates]
    curve = Line("averaged", COLOURS[0], list(zip(place, found.shares, strict=True)), [])
    chart = lines([curve], f"powers of ten above {spelled(found.rates[0])}", UP, "Loss by learning rate")
    words = html.escape("\n".join(_said(found, command)))
    return pages.page("Learning rates", f"<section>{chart}</section>\n<pre>{words}</pre>", STYLE)
