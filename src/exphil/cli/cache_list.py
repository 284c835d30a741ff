"""``exphil cache list``: the parsed games that are kept, and what else lies in ``--cache-dir``."""

from __future__ import annotations

import time
from typing import Any

from exphil.cli.cache import OLD, nothing, opened, parted
from exphil.cli.shown.drawing import shown_age, shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.data import kept
from exphil.files import size_bytes
from exphil.game import ids
from exphil.replays.store import Kept, shortest

COLUMNS = ("key", "frames", "size", "packed", "players", "version", "age")


def show(settings: Settings) -> int:
    """List the games."""
    terminal, store = Terminal.of(settings), opened(settings)
    games, keys = list(store.kept()), store.keys()
    short = shortest(keys)
    bad = sorted(set(keys) - {game.key for game in games})
    old, damaged = parted(bad)
    embeddings = kept.embeddings(store.folder)
    frames, size, more = sum(game.frames for game in games), store.size_bytes(*keys), size_bytes(embeddings)
    if settings.output.json:
        told = {"folder": store.folder, "games": list(map(_record, games)), "frames": frames, "bytes": size}
        left = {"other_versions": old, "damaged": damaged, "embeddings": len(embeddings), "embedding_bytes": more}
        terminal.data(told | left)
        return 0
    if games:
        terminal.table(str(store.folder), COLUMNS, [_row(game, short[game.key]) for game in games])
    total = f"{len(games):,} games, {frames:,} frames, {shown_bytes(size)}"
    total += f"; {len(embeddings):,} embeddings, {shown_bytes(more)}" if embeddings else ""
    terminal.lines([total if keys or embeddings else nothing(store)])
    if old:
        terminal.warn(f"{len(old):,} games of another version of exphil are never used: exphil cache drop {OLD}")
    if damaged:
        many = f"{len(damaged):,} games are damaged: exphil cache drop {short[damaged[0]]}"
        terminal.warn(f"{many}; the next run parses the replay again")
    return 0


def _record(game: Kept) -> dict[str, Any]:
    about = vars(game.about) | {"characters": [ids.character_name(number) for number in game.about.characters]}
    return vars(game) | {"about": about}


def _row(game: Kept, key: str) -> tuple[object, ...]:
    about, age = game.about, shown_age(time.time() - game.modified)
    seats = zip(map(ids.character_name, about.characters), about.codes, about.tags, strict=True)
    players = " / ".join(f"{name} {code or tag}".rstrip() for name, code, tag in seats)
    packed = "yes" if game.compressed else "no"
    return key, game.frames, shown_bytes(game.size_bytes), packed, players, about.version, age
