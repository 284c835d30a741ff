"""Numbers as text: durations, sizes, curves in a line, bars, the box graph. Pure functions; nothing is printed here.

What enters: numbers, a width in letters, and whether the stream can show other letters than those of ASCII
(``SPARKS``, ``BARS`` and ``BOX`` are what it must be able to show). What leaves: lines without colour. A number that is
not finite, or beyond 1e300, is a gap, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from exphil.cli.shown.folding import cells, filled

SPARKS, ASCII_SPARKS = "▁▂▃▄▅▆▇█", "_.-~=+*#"
BARS, ASCII_BARS = "█░", "#."
BOX, ASCII_BOX = "┌─┐│└┘┤┴●○◆◇·", "+-+|+++^*ox%."
"""Corners, lines, ticks of y and x, the marks of four curves, and the dot between two marks."""
_SIZES = ("kB", "MB", "GB", "TB")
_WIDEST = 32  # letters of a label beside a bar
_NAME = 8  # letters between two ticks of x


class Trend(NamedTuple):
    """A number of a progress bar with where it came from.

    Attributes:
        text: The number as it is shown.
        recent: Its last values, oldest first; drawn behind it where there is room.
    """

    text: str
    recent: Sequence[float]


def shown_bytes(count: int) -> str:
    """So many bytes, for people: 980 bytes, 12.3 kB, 4.5 GB."""
    if count < 1000:
        return f"{count} bytes"
    power = min((len(str(count)) - 1) // 3, len(_SIZES))
    return f"{count / 1000**power:.{2 - (len(str(count)) - 1) % 3}f} {_SIZES[power - 1]}"


def many(count: int, word: str) -> str:
    """So many of something: 1 game, 12,000 games."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def shown_age(seconds: float) -> str:
    """How long ago, for people."""
    for length, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {name}"
    return "now"


def shown_duration(seconds: float) -> str:
    """How long, for people: 0.4 s, 45 s, 12 min 30 s, 1 h 04 min, 2 d 03 h; "unknown" when it is not finite."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes < 1440 else _days(round(seconds / 3600))


def _days(hours: int) -> str:
    return f"{hours // 24} d {hours % 24:02} h"


def shown_clock(seconds: float) -> str:
    """How long, in the fewest letters: 0:45, 12:34, 1:04:10; ?:?? when it is not finite."""
    if not math.isfinite(seconds):
        return "?:??"
    whole = max(round(seconds), 0)
    minutes, rest = f"{whole // 60 % 60}", f"{whole % 60:02}"
    return f"{whole // 3600}:{minutes:0>2}:{rest}" if whole >= 3600 else f"{minutes}:{rest}"


def sparkline(values: Iterable[float], width: int, blocks: bool) -> str:
    """A curve in one line of at most ``width`` letters; a value that is not finite is a blank."""
    numbers = _resampled([float(value) for value in values], width)
    finite = [value for value in numbers if _is_drawn(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    letters = SPARKS if blocks else ASCII_SPARKS
    return "".join(letters[_level(v, low, high, len(letters))] if _is_drawn(v) else " " for v in numbers)


def bars(rows: Iterable[tuple[str, int]], width: int, blocks: bool) -> list[str]:
    """Label, count and bar, a line a row; the longest bar has ``width`` letters, and what is not 0 at least one."""
    listed = [(filled(label, min(cells(label), _WIDEST)), count) for label, count in rows]
    most = max((count for _, count in listed), default=0)
    name = max((cells(label) for label, _ in listed), default=0)
    block = (BARS if blocks else ASCII_BARS)[0]
    return [
        f"  {filled(label, name)} {count:>9,} {block * -(-count * width // most) if most else ''}".rstrip()
        for label, count in listed
    ]


def progress_line(
    width: int, name: str, done: int, total: int | None, facts: Sequence[tuple[str, object]], blocks: bool
) -> str:
    """One line about a piece of work, of ``width`` letters unless its words alone are longer.

    Args:
        width: Letters of the line. What is left beside the words goes to the curve of a ``Trend``, then to the bar.
        name: What the work is.
        done: Parts done.
        total: Parts in all; None when nobody knows.
        facts: Name and value in the order of the line; a name may be empty.
        blocks: Whether other letters than those of ASCII can be shown.
    """
    count = f"{done}" if total is None else f"{done}/{total}"
    curve = next((value.recent for _, value in facts if isinstance(value, Trend)), ())
    words = [f"{what} {value.text if isinstance(value, Trend) else value}".strip() for what, value in facts]
    room = width - sum(cells(word) + 1 for word in (name, count, *words)) + 1
    gap = " " if room < 2 * len(words) + 12 else "  "
    room -= (len(gap) - 1) * len(words)
    spark = sparkline(list(curve)[-64:], min(16, room - 7 if room >= 11 else room - 1), blocks) if room > 3 else ""
    if spark:
        at = next(at for at, (_, value) in enumerate(facts) if isinstance(value, Trend))
        words[at] += f" {spark}"
        room -= len(spark) + 1
    full = min(40, room - 1)
    bar = [_bar(full, done, total, blocks)] if total and full >= 5 else []
    return gap.join([" ".join([name, *bar, count]), *words])


def _bar(width: int, done: int, total: int, blocks: bool) -> str:
    on, off = list(BARS if blocks else ASCII_BARS)
    reached = width * min(max(done, 0), total) // total
    return on * reached + off * (width - reached)


def graph(curves: Mapping[str, Sequence[float]], width: int, height: int, blocks: bool) -> list[str]:
    """Curves over epochs in a box, with values at its left, epochs below and a legend.

    Args:
        curves: Name and one value an epoch; shorter ones end earlier. Where two meet, the later one is seen.
        width: Letters of the longest line, 40 at least.
        height: Rows inside the box, 3 at least.
        blocks: Whether other letters than those of ASCII can be shown.

    Returns:
        ``height + 4`` lines; one line that says so when there is nothing finite to draw.
    """
    finite = [float(value) for values in curves.values() for value in values if _is_drawn(value)]
    if not finite:
        return ["(no finite value to draw)"]
    height, epochs, letters = max(height, 3), max(map(len, curves.values())), BOX if blocks else ASCII_BOX
    low, high = min(finite), max(finite)
    if high - low <= 1e-12 * max(abs(high), abs(low)):
        low, high = low - max(abs(low), 1.0) / 20, high + max(abs(high), 1.0) / 20
    labels = _labels(low, high, height)
    margin = max(map(len, labels.values()))
    inside = max(width, 40) - margin - 3
    cell = [[" "] * inside for _ in range(height)]
    for mark, values in zip(_marks(letters, len(curves)), curves.values(), strict=True):
        _plot(cell, [float(value) for value in values], epochs, low, high, mark, letters[12])
    corner, line, right, side, below, end, tick, up = list(letters[:8])
    ticks, numbers = _under(epochs, inside)
    lines = [f"{'':{margin}} {corner}{line * inside}{right}"]
    lines += [
        f"{labels.get(at, ''):>{margin}} {tick if at in labels else side}{''.join(row)}{side}"
        for at, row in enumerate(cell)
    ]
    lines.append(f"{'':{margin}} {below}{''.join(up if at in ticks else line for at in range(inside))}{end}")
    lines.append(f"{'':{margin}}  {numbers}".rstrip())
    named = "  ".join(f"{mark} {name}" for mark, name in zip(_marks(letters, len(curves)), curves, strict=True))
    return [*lines, f"{'':{margin}}  epoch  {named}"]


def _marks(letters: str, count: int) -> list[str]:
    return [letters[8 + at % 4] for at in range(count)]


def _is_drawn(value: float) -> bool:
    return abs(value) <= 1e300  # neither NaN nor so large that differences overflow


def _level(value: float, low: float, high: float, levels: int) -> int:
    """Which of so many levels a value is on."""
    return round((value - low) / (high - low) * (levels - 1)) if high > low else 0


def _resampled(values: list[float], width: int) -> list[float]:
    """At most ``width`` values: means of neighbours, without those that are not finite."""
    if len(values) <= width or width < 1:
        return values[: max(width, 0)]
    cuts = [len(values) * at // width for at in range(width + 1)]
    return [_mean(values[first:last]) for first, last in pairwise(cuts)]


def _mean(values: list[float]) -> float:
    finite = [value for value in values if _is_drawn(value)]
    return sum(value / len(finite) for value in finite) if finite else math.nan


def _labels(low: float, high: float, height: int) -> dict[int, str]:
    """Values at some of the rows, all with as many digits as tell them apart."""
    count = min(height, 5 if height >= 9 else 3)
    rows = [round(at * (height - 1) / (count - 1)) for at in range(count)]
    values = [high + (low - high) * (row / (height - 1)) for row in rows]
    digits = 2 - math.floor(math.log10(max(high - low, 1e-300)))
    plain = 0 <= digits <= 6 and max(abs(low), abs(high)) < 1e6
    return {row: f"{value:.{digits}f}" if plain else f"{value:.3e}" for row, value in zip(rows, values, strict=True)}


def _column(epoch: int, epochs: int, inside: int) -> int:
    """Where an epoch, counted from 0, stands; a lone one in the middle."""
    return inside // 2 if epochs == 1 else round(epoch * (inside - 1) / (epochs - 1))


def _plot(
    cell: list[list[str]], values: list[float], epochs: int, low: float, high: float, mark: str, dot: str
) -> None:
    height, inside = len(cell), len(cell[0])
    gathered: dict[int, list[float]] = {}
    for epoch, value in enumerate(values):
        gathered.setdefault(_column(epoch, epochs, inside), []).append(value)
    means = {column: mean for column, found in gathered.items() if _is_drawn(mean := _mean(found))}
    rows = {column: height - 1 - _level(mean, low, high, height) for column, mean in means.items()}
    gaps = set(gathered) - set(means)
    for first, last in pairwise(sorted(rows)):
        if any(first < gap < last for gap in gaps):
            continue
        for column in range(first + 1, last):
            row = round(rows[first] + (rows[last] - rows[first]) * (column - first) / (last - first))
            cell[row][column] = dot if cell[row][column] == " " else cell[row][column]
    for column, row in rows.items():
        cell[row][column] = mark


def _under(epochs: int, inside: int) -> tuple[set[int], str]:
    """Columns of the ticks and the line below them: the first epoch, the last and round ones where there is room."""
    step = next(n * 10**power for power in range(400) for n in (1, 2, 5) if n * 10**power * inside >= epochs * _NAME)
    line, ticks = [" "] * inside, set()
    for epoch in dict.fromkeys((1, epochs, *range(step, epochs, step))):
        column, number = _column(epoch - 1, epochs, inside), str(epoch)
        first = max(0, min(column - len(number) // 2, inside - len(number)))
        if all(letter == " " for letter in line[max(first - 1, 0) : first + len(number) + 1]):
            line[first : first + len(number)] = number
            ticks.add(column)
    return ticks, "".join(line)
