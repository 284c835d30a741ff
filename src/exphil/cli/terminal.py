"""The only place that prints: answers go to standard output, talk about the work goes to standard error.

What enters: text, tables, JSON-able objects, progress. In a terminal lines are folded between words; in a file nothing
is. What can go wrong: a closed standard output raises BrokenPipeError (``main`` ends quietly); a closed standard error
ends the talk, not the work. Letters that the terminal cannot show are replaced, never an error. Colour only repeats
what the words say, and NO_COLOR removes it.
"""

from __future__ import annotations

import io
import json
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from exphil.cli.shown import drawing, folding
from exphil.config.commands import COMMANDS
from exphil.config.layers import Settings
from exphil.config.option import options_of

T = TypeVar("T")
WIDEST_GRAPH, GRAPH_ROWS = 120, 12
_ENDLESS = 10_000  # a file has no width: nothing is folded or cut
_BLINK_S = 0.1  # between two drawings of a bar
_SAMPLES = 64  # updates that the time left is judged by


class Progress:
    """How far a piece of work is; made by ``Terminal.progress``."""

    def __init__(self, show: Callable[[int, Mapping[str, object]], None]) -> None:
        self._show = show

    def update(self, completed: int, **facts: object) -> None:
        """Says that ``completed`` parts are done, and some numbers about them.

        Args:
            completed: Parts done since the start, not since the last call.
            facts: What to show beside it, in this order: ``loss=0.123``; ``frames_per_s`` is read "frames/s". A
                ``drawing.Trend`` has its curve drawn where there is room.
        """
        self._show(completed, facts)


class Terminal:
    """Standard output for answers, standard error for talk.

    Args:
        quiet: Whether to drop talk, progress and warnings (errors and answers stay).
        verbose: Whether to add detail.
        out: Where answers go; standard output by default.
        err: Where talk goes; standard error by default.
        width: Letters of a line of both; by default what each of them is wide.
        clock: Seconds, for the time that is left.
    """

    def __init__(
        self,
        quiet: bool = False,
        verbose: bool = False,
        *,
        out: TextIO | None = None,
        err: TextIO | None = None,
        width: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.quiet, self.verbose, self._clock = quiet, verbose, clock
        self._out, self._talk = _console(out or sys.stdout, width), _console(err or sys.stderr, width)
        self._live: Live | None = None

    @classmethod
    def of(cls, settings: Settings) -> Terminal:
        """The terminal that a command's ``--quiet`` and ``--verbose`` ask for (as far as it has them)."""
        return cls(
            quiet="quiet" in settings and settings["quiet"], verbose="verbose" in settings and settings["verbose"]
        )

    @property
    def shows_sparks(self) -> bool:
        """Whether the talk can show the letters of ``drawing.SPARKS``."""
        return _can_show(drawing.SPARKS, self._talk.file)

    def say(self, text: str, *, whole: bool = False) -> None:
        """A line about the work; dropped by ``quiet``.

        Args:
            text: One line, or several.
            whole: Whether it stays in one piece although it is wider than the terminal: a command to copy, a drawing.
        """
        if not self.quiet:
            for line in _tamed(text):
                for piece in [line] if whole else folding.folded(line, self._talk.width):
                    self._tell(Text(piece))

    def step(self, number: int, of: int, title: str) -> None:
        """The header of a step of the work, "step 2/5  reading replays"; dropped by ``quiet``."""
        if not self.quiet:
            self._tell(Text(f"step {number}/{of}  {folding.harmless(title)}", style="cyan"))

    def detail(self, text: str) -> None:
        """A line that is only printed with ``verbose``."""
        if self.verbose:
            self.say(text)

    def warn(self, text: str) -> None:
        """Something that the user should look at although the work goes on; dropped by ``quiet``."""
        if not self.quiet:
            self._marked("warning: ", "yellow", text)

    def error(self, text: str) -> None:
        """Why the work stops; several lines are several problems, indented ones (hints) belong to the line before."""
        self._marked("error: ", "bold red", text)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """An answer in rows on standard output; numbers are aligned to the right.

        A terminal that is too narrow gets cells folded between words, or a block of lines for each row.
        """
        listed = list(rows)
        right = [
            bool(listed) and all(isinstance(row[at], (int, float)) for row in listed) for at in range(len(columns))
        ]
        head, body = folding.table(columns, [[_number(cell) for cell in row] for row in listed], right, self._out.width)
        self._answer(Text(folding.harmless(title), style="bold"))
        for line in head:
            self._answer(Text(line, style="bold"))
        if head:
            rule = "─" if _can_show("─", self._out.file) else "-"
            self._answer(Text(rule * max(map(folding.cells, [*head, *body]))))
        self.lines(body)

    def bars(self, title: str, rows: Iterable[tuple[str, int]], width: int = 30, *, answer: bool = False) -> None:
        """Counts as bars.

        Args:
            title: What is counted.
            rows: Label and count.
            width: Letters of the longest bar.
            answer: On standard output; else like the rest of the talk, which ``quiet`` drops.
        """
        blocks = _can_show(drawing.BARS, (self._out if answer else self._talk).file)
        lines = [title, *drawing.bars(((folding.harmless(label), count) for label, count in rows), width, blocks)]
        if answer:
            self.lines(lines)
        else:
            self.say("\n".join(lines), whole=True)

    def graph(self, title: str, curves: Mapping[str, Sequence[float]]) -> None:
        """Curves over epochs in a box, as talk; see ``drawing.graph``. In a file it is 80 letters wide."""
        wide = min(self._talk.width, WIDEST_GRAPH) if self._talk.width < _ENDLESS else 80
        drawn = drawing.graph(curves, wide, GRAPH_ROWS, _can_show(drawing.BOX, self._talk.file))
        self.say("\n".join([title, *drawn]), whole=True)

    def data(self, answer: object) -> None:
        """An answer as one JSON object on one line; numbers that JSON lacks become null."""
        self.lines([json.dumps(_plain(answer), allow_nan=False)])

    def lines(self, answers: Iterable[str]) -> None:
        """An answer in lines on standard output, exactly as they are."""
        for answer in answers:
            if self._live is not None and _is_terminal(self._out.file):
                self._answer(Text(answer))  # written past the bar it would stand in the bar's line
            else:
                self._out.file.write(answer + "\n")
        self._out.file.flush()

    @contextmanager
    def progress(self, total: int | None, description: str, every: int = 100) -> Iterator[Progress]:
        """Shows how far a piece of work is, and what time is left.

        Args:
            total: How many parts there are; None when nobody knows.
            description: What the parts are, "epoch 3".
            every: On a standard error that is no terminal: parts between two plain lines.

        Yields:
            The object to tell; with ``quiet`` it says nothing, nor does a second one within a first one's bar.
        """
        if self.quiet or self._live is not None:
            yield Progress(lambda completed, facts: None)
        elif not _is_terminal(self._talk.file) or self._talk.is_dumb_terminal:
            yield Progress(self._plain_lines(total, description, every))
        else:
            live = Live(Text(), console=self._talk, auto_refresh=False, redirect_stdout=False)
            self._safely(live.start)
            self._live = live
            try:
                yield Progress(self._live_line(live, total, description))
            finally:
                self._live = None
                self._safely(live.stop)

    def watched(self, parts: Iterable[T], total: int, description: str) -> Iterator[T]:
        """The parts of a piece of work as they come, with their progress."""
        with self.progress(total, description) as progress:
            for done, part in enumerate(parts, 1):
                yield part
                progress.update(done)

    def sparkline(self, values: Iterable[float], width: int = 40) -> str:
        """A curve in one line of at most ``width`` letters; a value that is not finite is a blank."""
        return drawing.sparkline(values, width, self.shows_sparks)

    def _marked(self, mark: str, style: str, text: str) -> None:
        for line in _tamed(text):
            begin = "" if line.startswith("  ") else mark
            first, *rest = folding.folded(begin + line, self._talk.width, 2 if begin else 4)
            self._tell(Text.assemble((first[: len(begin)], style), first[len(begin) :]))
            for piece in rest:
                self._tell(Text(piece))

    def _tell(self, line: Text) -> None:
        self._safely(lambda: self._talk.print(line, soft_wrap=True))

    def _safely(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and not self._talk.file.closed:
                raise
            self._talk.quiet = True  # nobody reads any more: the work is worth more than the talk about it

    def _answer(self, line: Text) -> None:
        (self._out if self._live is None else self._live.console).print(line, soft_wrap=True)

    def _live_line(self, live: Live, total: int | None, name: str) -> Callable[[int, Mapping[str, object]], None]:
        left, blocks = self._left(total), _can_show(drawing.BARS + drawing.SPARKS, self._talk.file)
        drawn = -math.inf

        def show(completed: int, facts: Mapping[str, object]) -> None:
            nonlocal drawn
            now, rest = self._clock(), left(completed)
            if now - drawn < _BLINK_S and completed != total:
                return
            drawn = now
            told = [*rest, *_facts(facts)]
            line = drawing.progress_line(self._talk.width - 1, name, completed, total, told, blocks)
            live.update(Text(folding.harmless(line), no_wrap=True, overflow="crop"))
            self._safely(live.refresh)

        return show

    def _plain_lines(self, total: int | None, name: str, every: int) -> Callable[[int, Mapping[str, object]], None]:
        last, left = 0, self._left(total)

        def show(completed: int, facts: Mapping[str, object]) -> None:
            nonlocal last
            rest = left(completed)
            if completed // every > last // every or (completed == total and completed != last):
                of = "" if total is None else f"/{total}"
                words = [f"{what} {_shown(value)}".strip() for what, value in [*rest, *_facts(facts)]]
                self.say(f"{name} {completed}{of} {', '.join(words)}".rstrip(), whole=True)
            last = completed

        return show

    def _left(self, total: int | None) -> Callable[[int], list[tuple[str, str]]]:
        """What to say of the time that is left, by the pace of the last updates; nothing when nobody can know."""
        seen: deque[tuple[int, float]] = deque(maxlen=_SAMPLES)

        def left(completed: int) -> list[tuple[str, str]]:
            seen.append((completed, self._clock()))
            parts, seconds = completed - seen[0][0], seen[-1][1] - seen[0][1]
            if total is None or parts <= 0 or completed >= total:
                return []
            return [("", f"{drawing.shown_clock(seconds / parts * (total - completed))} left")]

        return left


def show_settings(terminal: Terminal, settings: Settings) -> None:
    """One table a group on standard output: option, value, and where the value came from."""
    tables: dict[str, list[tuple[str, str, str]]] = {}
    for group in COMMANDS[settings.command].groups:
        rows = tables.setdefault(getattr(group, "title", group.__name__), [])
        for option in options_of(group):
            rows.append((option.flag, option.text(settings[option.name]), settings.sources[option.name]))
    for title, rows in tables.items():
        terminal.table(title, ("option", "value", "source"), rows)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to ``main``, which knows the exit code; rich would end the process with 1."""
        raise  # noqa: PLE0704 - rich calls this where it catches BrokenPipeError


def _console(stream: TextIO | None, width: int | None) -> Console:
    if stream is None:  # closed by whoever started us
        console = _Console(file=io.StringIO(), quiet=True)
        console.width = _ENDLESS
        return console
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    console = _Console(file=stream, highlight=False, markup=False, emoji=False)
    if width is not None or not _is_terminal(stream):
        console.width = width or _ENDLESS
    return console


def _is_terminal(stream: Any) -> bool:
    """Whether somebody looks at it. FORCE_COLOR asks for colour in a file, not for bars that are drawn anew."""
    try:
        return bool(stream.isatty())
    except ValueError:  # closed
        return False


def _can_show(text: str, stream: Any) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _tamed(text: str) -> list[str]:
    return [folding.harmless(line.expandtabs(4)) for line in text.splitlines()] or [""]


def _number(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else folding.harmless(str(cell))


def _facts(facts: Mapping[str, object]) -> list[tuple[str, object]]:
    return [
        (name.replace("_per_", "/").replace("_", " "), value if isinstance(value, drawing.Trend) else _number(value))
        for name, value in facts.items()
    ]


def _shown(value: object) -> str:
    return value.text if isinstance(value, drawing.Trend) else str(value)


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
