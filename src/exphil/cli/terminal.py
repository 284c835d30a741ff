"""The only place that prints: answers go to standard output, talk about the work goes to standard error.

What enters: text, tables, JSON-able objects, progress. What can go wrong: a closed pipe raises BrokenPipeError
(``main`` ends quietly); letters that the terminal cannot show are replaced, never an error. Colour only repeats what
the words say, and NO_COLOR removes it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO, TypeVar

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from exphil.config.commands import COMMANDS
from exphil.config.layers import Settings
from exphil.config.option import options_of

T = TypeVar("T")
_UNITS = ("kB", "MB", "GB", "TB")
_WIDEST = 32  # letters of a label beside a bar
BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-~=+*#"


class Progress:
    """How far a piece of work is; made by ``Terminal.progress``."""

    def __init__(self, show: Callable[[int, Mapping[str, object]], None]) -> None:
        self._show = show

    def update(self, completed: int, **fields: object) -> None:
        """Says that ``completed`` parts are done, and some numbers about them.

        Args:
            completed: Parts done since the start, not since the last call.
            fields: What to show beside it, in this order: ``loss=0.123``.
        """
        self._show(completed, fields)


class Terminal:
    """Standard output for answers, standard error for talk.

    Args:
        quiet: Whether to drop talk and progress (warnings and errors stay).
        verbose: Whether to add detail.
        out: Where answers go; standard output by default.
        err: Where talk goes; standard error by default.
    """

    def __init__(
        self, quiet: bool = False, verbose: bool = False, *, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.quiet, self.verbose = quiet, verbose
        self._out, self._talk = _console(out or sys.stdout), _console(err or sys.stderr)

    @classmethod
    def of(cls, settings: Settings) -> Terminal:
        """The terminal that a command's ``--quiet`` and ``--verbose`` ask for (as far as it has them)."""
        return cls(
            quiet="quiet" in settings and settings["quiet"], verbose="verbose" in settings and settings["verbose"]
        )

    def say(self, text: str) -> None:
        """One line about the work; dropped by ``quiet``."""
        if not self.quiet:
            self._talk.print(Text(text), soft_wrap=True)

    def detail(self, text: str) -> None:
        """A line that is only printed with ``verbose``."""
        if self.verbose:
            self.say(text)

    def warn(self, text: str) -> None:
        """Something that the user should look at although the work goes on."""
        self._marked("warning: ", "yellow", text)

    def error(self, text: str) -> None:
        """Why the work stops; several lines are several problems, indented ones (hints) belong to the line before."""
        self._marked("error: ", "bold red", text)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """An answer in rows on standard output; numbers are aligned to the right."""
        body = [[cell if isinstance(cell, (int, float)) else str(cell) for cell in row] for row in rows]
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for at, column in enumerate(columns):
            numbers = bool(body) and all(isinstance(row[at], (int, float)) for row in body)
            table.add_column(Text(column), justify="right" if numbers else "left", overflow="fold")
        for row in body:
            table.add_row(*(Text(_number(cell)) for cell in row))
        with self._out.capture() as drawn:
            self._out.print(Text(title, style="bold"), soft_wrap=True)
            self._out.print(table)
        self.lines(line.rstrip() for line in drawn.get().splitlines())

    def bars(self, title: str, rows: Iterable[tuple[str, int]], width: int = 30, *, answer: bool = False) -> None:
        """Counts as bars.

        Args:
            title: What is counted.
            rows: Label and count.
            width: Letters of the longest bar.
            answer: On standard output; else like the rest of the talk, which ``quiet`` drops.
        """
        listed = [(set_cell_size(shown, min(cell_len(shown), _WIDEST)), count) for shown, count in _printable(rows)]
        most = max((count for _, count in listed), default=0)
        name = max((cell_len(label) for label, _ in listed), default=0)
        block = "█" if _can_show("█", (self._out if answer else self._talk).file) else "#"
        lines = [title]
        for label, count in listed:
            bar = block * -(-count * width // most) if most else ""
            lines.append(f"  {set_cell_size(label, name)} {count:>9,} {bar}".rstrip())
        if answer:
            self.lines(lines)
        else:
            for line in lines:
                self.say(line)

    def data(self, answer: object) -> None:
        """An answer as one JSON object on one line; numbers that JSON lacks become null."""
        self.lines([json.dumps(_plain(answer), allow_nan=False)])

    def lines(self, answers: Iterable[str]) -> None:
        """An answer in lines on standard output, exactly as they are."""
        for answer in answers:
            self._out.file.write(answer + "\n")
        self._out.file.flush()

    @contextmanager
    def progress(self, total: int | None, description: str, every: int = 100) -> Iterator[Progress]:
        """Shows how far a piece of work is.

        Args:
            total: How many parts there are; None when nobody knows.
            description: What the parts are, "epoch 3".
            every: On a standard error that is no terminal: parts between two plain lines.

        Yields:
            The object to tell; with ``quiet`` it says nothing.
        """
        if self.quiet:
            yield Progress(lambda completed, fields: None)
        elif not self._talk.is_terminal or self._talk.is_dumb_terminal:
            yield Progress(self._plain_lines(total, description, every))
        else:
            shown = TextColumn("{task.fields[shown]}", markup=False)
            name = TextColumn("{task.description}", markup=False)
            with Bar(name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), shown, console=self._talk) as bar:
                task = bar.add_task(description, total=total, shown="")
                yield Progress(lambda done, fields: bar.update(task, completed=done, shown=_fields(fields)))

    def watched(self, parts: Iterable[T], total: int, description: str) -> Iterator[T]:
        """The parts of a piece of work as they come, with their progress."""
        with self.progress(total, description) as progress:
            for done, part in enumerate(parts, 1):
                yield part
                progress.update(done)

    def sparkline(self, values: Iterable[float], width: int = 40) -> str:
        """A curve in one line of at most ``width`` letters; a value that is not finite is a blank."""
        numbers = [float(value) for value in values]
        if len(numbers) > width:
            cuts = [len(numbers) * at // width for at in range(width + 1)]
            numbers = [sum(numbers[a:b]) / (b - a) for a, b in pairwise(cuts)]
        finite = [value for value in numbers if math.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
        blocks = BLOCKS if _can_show(BLOCKS, self._talk.file) else ASCII_BLOCKS
        scale = (len(blocks) - 1) / (high - low) if high > low else 0.0
        return "".join(blocks[round((v - low) * scale)] if math.isfinite(v) else " " for v in numbers)

    def _marked(self, mark: str, style: str, text: str) -> None:
        for line in text.splitlines() or [""]:
            prefix = Text() if line.startswith("  ") else Text(mark, style=style)
            self._talk.print(prefix + Text(line), soft_wrap=True)

    def _plain_lines(
        self, total: int | None, description: str, every: int
    ) -> Callable[[int, Mapping[str, object]], None]:
        last = 0

        def show(completed: int, fields: Mapping[str, object]) -> None:
            nonlocal last
            if completed // every > last // every or (completed == total and completed != last):
                of = "" if total is None else f"/{total}"
                self.say(f"{description} {completed}{of} {_fields(fields)}".rstrip())
            last = completed

        return show


def show_settings(terminal: Terminal, settings: Settings) -> None:
    """One table a group on standard output: option, value, and where the value came from."""
    tables: dict[str, list[tuple[str, str, str]]] = {}
    for group in COMMANDS[settings.command].groups:
        rows = tables.setdefault(getattr(group, "title", group.__name__), [])
        for option in options_of(group):
            rows.append((option.flag, option.text(settings[option.name]), settings.sources[option.name]))
    for title, rows in tables.items():
        terminal.table(title, ("option", "value", "source"), rows)


def _console(stream: TextIO) -> Console:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 10_000  # a file has no width: nothing is folded or cut
    return console


def _can_show(text: str, stream: Any) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _number(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else _harmless(str(cell))


def _harmless(text: str) -> str:
    """What others wrote (names of players and files), without letters that steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _printable(rows: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    return ((_harmless(label), count) for label, count in rows)


def shown_bytes(count: int) -> str:
    """So many bytes, for people: 980 bytes, 12.3 kB, 4.5 GB."""
    if count < 1000:
        return f"{count} bytes"
    power = min((len(str(count)) - 1) // 3, len(_UNITS))
    return f"{count / 1000**power:.{2 - (len(str(count)) - 1) % 3}f} {_UNITS[power - 1]}"


def shown_age(seconds: float) -> str:
    """How long ago, for people."""
    for length, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {name}"
    return "now"


def _fields(fields: Mapping[str, object]) -> str:
    return " ".join(f"{name} {_number(value)}" for name, value in fields.items())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
