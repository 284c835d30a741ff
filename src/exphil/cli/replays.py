"""``exphil replays scan FOLDER`` and ``exphil replays info FILE``: what many replays hold, what one of them holds."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from exphil.cli.running.left_out import name_refused
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.game.time import FRAMES_PER_SECOND
from exphil.replays import library, listing, slp, sources
from exphil.replays.listing import ReplayRecord
from exphil.replays.slp import Replay


def scan(settings: Settings, folder: Path) -> int:
    """List every replay below ``folder``; 1 when none of them can be read."""
    terminal = Terminal.of(settings)
    found = sources.find(folder)
    name_refused(terminal, found.refused)
    files = found.sources
    records: list[ReplayRecord] = []
    for record in terminal.watched(listing.scan(files, settings["workers"]), len(files), "replays"):
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
    terminal, source = Terminal.of(settings), sources.locate(file)
    data = sources.read(source)
    replay = slp.parse(data, Path(str(source)))
    told = asdict(listing.record(replay, hashlib.sha256(data).hexdigest())) | _more(replay)
    if settings["json"]:
        terminal.data(told)
        return 0
    told["lacks"] = slp.lacking(replay.lacks) or "nothing"
    told["programs"] = [port for port, program in zip(told["ports"], told["programs"], strict=True) if program]
    worth = told["quality"]
    told["quality"] = worth and [f"{worth['score']} of 100, {worth['label']}", *worth["reasons"]]
    names = {"programs": "programs on ports", "sha256": "SHA-256"}
    rows = [
        (names.get(key, key.replace("_", " ")), _text(value))
        for key, value in told.items()
        if key != "file" and value is not None
    ]
    terminal.table(source.name, ("field", "value"), rows)
    return 0


def _more(replay: Replay) -> dict[str, Any]:
    """What a listing leaves out; None for what the file or its version does not say."""
    seconds, start = replay.frames // FRAMES_PER_SECOND, replay.start
    worth = library.judged(replay) if len(replay.ports) == 2 else None
    return {
        "length": f"{seconds // 60}:{seconds % 60:02}",
        "names": [seat.name or None for seat in start.seats],
        "lacks": [(bit.name or "").lower() for bit in replay.lacks],
        "quality": worth and {"score": worth.score, "label": worth.label, "reasons": worth.reasons},
        "programs": worth.programs if worth else [not seat.human for seat in start.seats],
        "rolled_back": replay.duplicates,
        "pal": start.pal,
        "frozen_stadium": start.frozen_stadium,
        "match_id": start.match_id or None,
        "game_number": start.game_number or None,
    }


def _row(record: ReplayRecord, folder: Path) -> tuple[object, ...]:
    players = zip(record.ports, record.characters, record.codes, strict=True)
    shown = " / ".join(f"{port} {character}{f' {code}' if code else ''}" for port, character, code in players)
    inside = Path(record.file).relative_to(folder)
    file = inside if inside.name else folder.name
    return file, record.frames, record.version or "-", record.stage or "-", shown or "-", "; ".join(record.problems)


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join("-" if part is None else str(part) for part in value) or "none"
    return value
