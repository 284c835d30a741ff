"""Charts as SVG: lines over an axis, dots with their range, bars; nothing but text, shapes and colours of the page.

What enters: numbers and names. What leaves: one ``svg`` element, which scales with the page. Colours are those of Okabe
and Ito (2008), which people with any kind of colour vision tell apart; every mark also has its name beside it. Text of
others is escaped here.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from math import floor, log10
from typing import NamedTuple

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "currentColor", "#8c8c8c")
"""Okabe and Ito's, their black in the colour of the text; their yellow cannot be seen on white: grey."""
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 64, 150, 14, 46
ROW = 26
_LETTER = 7.2
"""Width of a letter, about; text is placed by it where nothing may overlap."""

Point = tuple[float, float]


class Line(NamedTuple):
    """A named curve: ``middle`` is drawn thick, each of ``single`` thin."""

    name: str
    colour: str
    middle: Sequence[Point]
    single: Sequence[Sequence[Point]]


class Row(NamedTuple):
    """One row of dots or bars: ``value`` is its mark, ``low`` and ``high`` the ends of its range."""

    name: str
    colour: str
    value: float
    low: float
    high: float
    text: str
    dots: Sequence[float] = ()


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers within a range: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if span <= 0:
        return [low]
    unit = 10 ** floor(log10(span / most))
    step = next(unit * factor for factor in (1, 2, 5, 10) if span / (unit * factor) <= most)
    first = -(-low // step)
    count = int((high - first * step) / step + 1e-9) + 1
    return [round((first + at) * step, 12) for at in range(count)]


def shown(value: float) -> str:
    """A number of an axis: 1.5 M, 20 k, 0.05."""
    for unit, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{letter}"
    return f"{value:.4g}"


def lines(series: Sequence[Line], across: str, up: str, label: str) -> str:
    """Curves. The axis of values begins where the curves end, not at 0; what lies above it at the start is cut off.

    Args:
        series: The curves; they may be empty.
        across: What the axis from left to right says, with its unit.
        up: What the axis from below says, with its unit.
        label: What the chart shows, for who cannot see it.
    """
    points = [point for line in series for curve in (line.middle, *line.single) for point in curve]
    if not points:
        return ""
    height, right = 340, max(x for x, _ in points)
    late = [y for x, y in points if x >= 0.12 * right] or [y for _, y in points]
    x = _scale(0.0, right, LEFT, WIDTH - RIGHT)
    y = _scale(*_around(late), height - BOTTOM, TOP)
    parts = [_grid(x.of, ticks(0, right), height), _levels(y.of, ticks(y.low, y.high))]
    inside = f'<svg x="{LEFT}" y="{TOP}" width="{WIDTH - RIGHT - LEFT}" height="{height - TOP - BOTTOM}" '
    inside += f'viewBox="{LEFT} {TOP} {WIDTH - RIGHT - LEFT} {height - TOP - BOTTOM}">'  # cuts off what is outside
    parts.append(inside)
    for line in series:
        for curve, width, opacity in [*((each, 1.0, 0.35) for each in line.single), (line.middle, 2.4, 1.0)]:
            path = " ".join(f"{x.of(a):.1f},{y.of(b):.1f}" for a, b in curve)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="{width}" '
                f'stroke-opacity="{opacity}" stroke-linejoin="round"/>'
            )
    ends = [(line.name, line.colour, y.of(line.middle[-1][1])) for line in series if line.middle]
    parts += ["</svg>", _names(ends, height - BOTTOM)]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 8, across, "middle"))
    parts.append(_text(14, height / 2, up, "middle", f' transform="rotate(-90 14 {height / 2:.0f})"'))
    return _svg(height, label, parts)


def dots(rows: Sequence[Row], marks: Sequence[tuple[str, float]], across: str, label: str) -> str:
    """A dot for each value, a line over its range, small dots for what it is the middle of.

    Args:
        rows: From top to bottom.
        marks: Lines from top to bottom through the chart, those that lie near the rows.
        across: What the axis says, with its unit.
        label: What the chart shows, for who cannot see it.
    """
    if not rows:
        return ""
    low, high = _around([end for row in rows for end in (row.low, row.high)])
    near = [(name, at) for name, at in marks if low <= at <= high + 0.75 * (high - low)]
    low, high = _around([low, high, *(at for _, at in near)])
    left, height = _left(rows), TOP + 16 + ROW * len(rows) + BOTTOM
    x = _scale(low, high, left, WIDTH - RIGHT)
    parts = [_grid(x.of, ticks(low, high), height)]
    for name, at in near:
        parts.append(
            f'<line x1="{x.of(at):.1f}" x2="{x.of(at):.1f}" y1="{TOP + 6}" y2="{height - BOTTOM}" class="mark"/>'
        )
        parts.append(_text(x.of(at), TOP + 2, name, "middle"))
    for place, row in enumerate(rows):
        y = TOP + 16 + ROW * (place + 0.5)
        parts.append(_text(left - 8, y + 4, row.name, "end"))
        parts.append(_range(x.of(row.low), x.of(row.high), y, row.colour))
        parts += [f'<circle cx="{x.of(at):.1f}" cy="{y}" r="3" fill="{row.colour}" opacity=".5"/>' for at in row.dots]
        parts.append(f'<circle cx="{x.of(row.value):.1f}" cy="{y}" r="5.5" fill="{row.colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 10, y + 4, row.text))
    parts.append(_text((left + WIDTH - RIGHT) / 2, height - 8, across, "middle"))
    return _svg(height, label, parts)


def bars(rows: Sequence[Row], across: str, label: str) -> str:
    """Bars from 0 to each value, and a thin line on to the end of its range; arguments as for ``dots``."""
    if not rows:
        return ""
    left, height = _left(rows), TOP + ROW * len(rows) + BOTTOM
    x = _scale(0.0, max(max(row.high, row.value) for row in rows) or 1.0, left, WIDTH - RIGHT)
    parts = [_grid(x.of, ticks(0, x.high), height)]
    for place, row in enumerate(rows):
        y = TOP + ROW * (place + 0.5)
        parts.append(_text(left - 8, y + 4, row.name, "end"))
        parts.append(
            f'<rect x="{left}" y="{y - 7:.1f}" width="{x.of(row.value) - left:.1f}" height="14" rx="2" '
            f'fill="{row.colour}"/>'
        )
        if row.high > row.value:
            parts.append(_range(x.of(row.value), x.of(row.high), y, row.colour))
        parts.append(_text(WIDTH - RIGHT + 10, y + 4, row.text))
    parts.append(_text((left + WIDTH - RIGHT) / 2, height - 8, across, "middle"))
    return _svg(height, label, parts)


class _Scale(NamedTuple):
    """An axis: its ends in numbers, and where a number lies."""

    low: float
    high: float
    of: Callable[[float], float]


def _scale(low: float, high: float, start: float, end: float) -> _Scale:
    per = (end - start) / ((high - low) or 1.0)
    return _Scale(low, high, lambda value: start + (value - low) * per)


def _around(values: Sequence[float]) -> tuple[float, float]:
    """A little more than the range of some values."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _left(rows: Sequence[Row]) -> float:
    return min(max(LEFT, 16 + _LETTER * max(len(row.name) for row in rows)), 300)


def _grid(x: Callable[[float], float], at: Sequence[float], height: float) -> str:
    """Lines from top to bottom, and their numbers below."""
    return "".join(
        f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{height - BOTTOM}" class="grid"/>'
        + _text(x(value), height - BOTTOM + 16, shown(value), "middle")
        for value in at
    )


def _levels(y: Callable[[float], float], at: Sequence[float]) -> str:
    """Lines from left to right, and their numbers beside them."""
    return "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>'
        + _text(LEFT - 6, y(value) + 4, shown(value), "end")
        for value in at
    )


def _names(ends: Sequence[tuple[str, str, float]], lowest: float) -> str:
    """The names of curves at their right ends, moved apart where they would overlap, none below ``lowest``."""
    ordered, places = sorted(ends, key=lambda end: end[2]), [float("-inf")]
    for _, _, y in ordered:
        places.append(max(y, places[-1] + 16))
    for at in range(len(ordered), 0, -1):
        places[at] = min(places[at], lowest - 16 * (len(ordered) - at))
    return "".join(
        f'<circle cx="{WIDTH - RIGHT + 12}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'
        + _text(WIDTH - RIGHT + 21, y + 4, name)
        for (name, colour, _), y in zip(ordered, places[1:], strict=True)
    )


def _range(start: float, end: float, y: float, colour: str) -> str:
    return (
        f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
        f'<line x1="{end:.1f}" x2="{end:.1f}" y1="{y - 5}" y2="{y + 5}" stroke="{colour}" stroke-width="2"/>'
    )


def _text(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{html.escape(words)}</text>'


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{html.escape(label)}">'
        + "\n".join(parts)
        + "</svg>"
    )
