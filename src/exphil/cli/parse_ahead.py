"""``exphil replays parse FOLDER``: every game of two is parsed and kept, so that later runs read nothing twice.

It can be stopped and run again: what is kept already costs nothing. No filter acts here; runs choose from what is kept.
"""

from __future__ import annotations

import time
from itertools import takewhile
from pathlib import Path
from typing import Any

from exphil import assemble
from exphil.cli.running import left_out
from exphil.cli.running.stop import Stop
from exphil.cli.shown.drawing import shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import DataError, OutputError
from exphil.replays import library
from exphil.replays.choosing import WITHOUT_FAIL_FAST, Choice, Skip
from exphil.replays.library import Loaded, Reading
from exphil.replays.sources import Refused, Source, find
from exphil.replays.store import Store


def run(settings: Settings, folder: Path) -> int:
    """Fill the store; 1 when no game of two is there, 130 or 143 when stopped by a signal."""
    terminal, store = Terminal.of(settings), assemble.kept_in(settings)
    left_out.check_log(settings)
    found, begun = find(folder), time.monotonic()
    rollbacks: Any = settings.netplay.rollbacks
    how = Reading(Choice(everything=True), rollbacks, store, hold=False, workers=settings.readers.workers)
    games: list[Loaded] = []
    skips: list[Skip] = []
    try:
        with Stop(terminal, "the games that are parsed are kept") as stop:
            looked = list(takewhile(lambda _: not stop(), library.preflight(found.sources, how)))
            skips += [answer for answer in looked if isinstance(answer, Skip)]
            _stop_at(settings, found.refused, skips)
            wanted = [answer for answer in looked if isinstance(answer, Source)]
            for answer in terminal.watched(library.load(wanted, how), len(wanted), "parsing replays"):
                if isinstance(answer, Loaded):
                    games.append(answer)
                else:
                    skips.append(answer)
                    _stop_at(settings, [], [answer])
                if store.trouble:
                    raise OutputError(store.trouble.partition(";")[0], fix="choose another --cache-dir")
                if stop():
                    break
    finally:
        left_out.name_errors(terminal, settings, found, skips)
    report = _report(store, games, skips, time.monotonic() - begun)
    left_out.say(terminal, f"of {len(found.sources)} files left out", skips)
    if settings.output.json:
        terminal.data(report)
    else:
        _show(terminal, report, str(store.folder))
    return 128 + stop.signal if stop() else 0 if games else 1


def _stop_at(settings: Settings, refused: list[Refused], skips: list[Skip]) -> None:
    bad = [(each.where, each.reason) for each in refused] + [
        (each.file, each.detail) for each in skips if each.is_error
    ]
    if bad and not settings.errors.skip_errors:
        raise DataError(bad[0][1], bad[0][0], WITHOUT_FAIL_FAST)


def _report(store: Store, games: list[Loaded], skips: list[Skip], seconds: float) -> dict[str, Any]:
    """The answer; a game that is there in several files is one game."""
    distinct = {loaded.digest: loaded for loaded in games}
    new = [loaded for digest, loaded in distinct.items() if store.wrote(digest)]
    size, frames = store.size_bytes(*map(store.key, distinct)), sum(loaded.frames for loaded in distinct.values())
    return {
        "games": len(distinct),
        "parsed": len(new),
        "copies": len(games) - len(distinct),
        "frames": frames,
        "bytes": size,
        "bytes_a_frame": size / max(frames, 1),
        "left_out": [{"file": skip.file, "reason": skip.reason, "detail": skip.detail} for skip in skips],
        "seconds": seconds,
        "frames_a_second": sum(loaded.frames for loaded in new) / max(seconds, 1e-9),
    }


def _show(terminal: Terminal, report: dict[str, Any], folder: str) -> None:
    pace = report["frames_a_second"]
    rows = {
        "games": f"{report['games']:,}, {report['parsed']:,} of them parsed now",
        "files that are copies": f"{report['copies']:,}",
        "files left out": f"{len(report['left_out']):,}",
        "frames": f"{report['frames']:,}",
        "on disk": f"{shown_bytes(report['bytes'])}, {report['bytes_a_frame']:.1f} bytes a frame",
        "time": f"{report['seconds']:.1f} s" + (f", {pace:,.0f} frames parsed a second" if pace else ""),
    }
    terminal.table(folder, ("what", "number"), rows.items())
