"""What ``exphil benchmark`` found, shown; and ``exphil report RESULTS``, which shows it again without training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.evaluate import report
from exphil.evaluate.results import NO_RANK, facts, load, standings, verdicts, warnings
from exphil.files import check_writable, write

FIX = "choose another --html"


def run(settings: Settings, results: Path) -> int:
    """Show every set of conditions of a file of results; 1 when it holds no run."""
    terminal, page = Terminal.of(settings), settings.page.html
    if page is not None:
        check_writable(page, FIX)
    found = load(results)
    if settings.output.json:
        terminal.data({"conditions": found})
    else:
        for conditions in found:
            _table(terminal, conditions)
    if page is not None:
        draw(results, page)
        terminal.say(f"page: {page}")
    return 0 if any(conditions["runs"] for conditions in found) else 1


def show(terminal: Terminal, settings: Settings, conditions: Mapping[str, Any]) -> None:
    """One set of conditions as a table or, with ``--json``, as an object."""
    if settings.output.json:
        terminal.data(conditions)
    else:
        _table(terminal, conditions)


def draw(results: Path, page: Path) -> None:
    """Write the page of a file of results.

    Raises:
        OutputError: it cannot be written.
    """
    text = report.page(load(results))
    write(page, lambda file: file.write(text.encode()), FIX)


def _table(terminal: Terminal, conditions: Mapping[str, Any]) -> None:
    for word, number in facts(conditions):
        terminal.say(f"{word:<18} {number}")
    found = report.table(conditions)
    terminal.table("Held-out nats per decision; decisions p50 / p99", found.columns, [*found.rows, *found.copied])
    terminal.lines(["", *verdicts(standings(conditions)), *warnings(conditions), NO_RANK])
