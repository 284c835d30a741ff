"""``exphil replays scan FOLDER`` and ``exphil replays info FILE``: what many replays hold, what one of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.game.time import FRAMES_PER_SECOND
from exphil.replays import library, slp
from exphil.replays.library import ReplayRecord


def scan(settings: Settings, folder: Path) -> int:
    """List every replay below ``folder``; 1 when none of them can be read."""
    terminal = Terminal.of(settings)
    files = library.find(folder)
    records: list[ReplayRecord] = []
    for record in _watched(terminal, library.scan(files, settings["workers"]), len(files)):
        records.append(record)
        if settings["json"]:
            terminal.data(asdict(record))
    if not settings["json"]:
        terminal.table(
            str(folder),
            ("file", "frames", "version", "stage", "players", "problems"),
            (_row(r, folder) for r in records),
        )
    readable = [record for record in records if record.readable]
    frames = sum(record.frames for record in readable)
    terminal.say(f"readable: {len(readable)} games, {frames} frames; unreadable: {len(records) - len(readable)}")
    return 0 if readable else 1


def info(settings: Settings, file: Path) -> int:
    """Tell all about one replay; one that cannot be read is an error here."""
    replay, terminal = slp.read(file), Terminal.of(settings)
    record = asdict(library.describe(file))
    seconds = replay.frames // FRAMES_PER_SECOND
    record["length"] = f"{seconds // 60}:{seconds % 60:02}"
    record["names"] = [seat.name or None for seat in replay.start.seats]
    record["lacks"] = [(bit.name or "").lower() for bit in replay.lacks]
    if settings["json"]:
        terminal.data(record)
        return 0
    record["lacks"] = [slp.lacking(replay.lacks) or "nothing"]
    terminal.table(
        file.name, ("field", "value"), [(key, _text(value)) for key, value in record.items() if key != "file"]
    )
    return 0


def _watched(terminal: Terminal, records: Iterable[ReplayRecord], total: int) -> Iterator[ReplayRecord]:
    with terminal.progress(total, "replays") as progress:
        for done, record in enumerate(records, 1):
            yield record
            progress.update(done)


def _row(record: ReplayRecord, folder: Path) -> tuple[object, ...]:
    players = zip(record.ports, record.characters, record.codes, strict=True)
    shown = " / ".join(f"{port} {character}{f' {code}' if code else ''}" for port, character, code in players)
    file = Path(record.file).relative_to(folder)
    return file, record.frames, record.version or "-", record.stage or "-", shown or "-", "; ".join(record.problems)


def _text(value: object) -> object:
    if isinstance(value, list):
        return "; ".join("-" if part is None else str(part) for part in value) or "none"
    return value
