"""``exphil replays stats FOLDER``: characters, stages, players, lengths and qualities, counted over many replays.

Games that the store has are counted from there; the others are read and not kept (``exphil replays parse`` keeps them).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exphil.cli.running.left_out import name_refused
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.files import check_writable, write
from exphil.replays.facts import gather
from exphil.replays.sources import find
from exphil.replays.stats import Stats
from exphil.replays.store import Store

FIX = "choose another --html"


def run(settings: Settings, folder: Path) -> int:
    """Count; 1 when no file can be read."""
    terminal, page = Terminal.of(settings), settings.page.html
    if page is not None:
        check_writable(page, FIX)
    found = find(folder)
    name_refused(terminal, found.refused)
    rollbacks: Any = settings.netplay.rollbacks
    store, count = Store(settings.cachedir.cache_dir, rollbacks), len(found.sources)
    told = list(terminal.watched(gather(found.sources, store, settings.readers.workers), count, "replays"))
    stats, kept = Stats.of(each.facts for each in told), sum(each.kept for each in told)
    if page is not None:
        text = stats.html(f"Replays in {folder}")
        write(page, lambda file: file.write(text.encode()), FIX)
    if settings.output.json:
        terminal.data(stats.as_dict())
    else:
        _show(terminal, str(folder), stats)
    terminal.say(f"{kept} of {count} files were parsed before; exphil replays parse {folder} keeps every game of two")
    if stats.games < count:
        terminal.say(f"{count - stats.games} cannot be read: exphil replays scan {folder} says why")
    if page is not None:
        terminal.say(f"page: {page}")
    return 0 if stats.games else 1


def _show(terminal: Terminal, title: str, stats: Stats) -> None:
    terminal.table(title, ("what", "number"), stats.facts())
    for chart in stats.bars():
        terminal.lines([""])
        terminal.bars(chart.title, [(bar.label, bar.number) for bar in chart.rows], answer=True)
