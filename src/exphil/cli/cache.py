"""``exphil cache verify|drop|clear``: looks after the parsed games and embeddings in ``--cache-dir``."""

from __future__ import annotations

from exphil.cli.shown.drawing import shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.data import kept
from exphil.errors import DataError
from exphil.replays.store import Store, other_layout


def verify(settings: Settings, keys: tuple[str, ...]) -> int:
    """Check games, all by default; 1 when one is damaged."""
    terminal, store = Terminal.of(settings), opened(settings)
    asked = list(dict.fromkeys(map(store.find, keys))) or store.keys()
    old, names = parted(asked)
    wrong = {key: why for key in terminal.watched(names, len(names), "games") if (why := store.verify(key))}
    if settings.output.json:
        terminal.data({"checked": len(names), "other_versions": old, "damaged": wrong})
    else:
        terminal.lines(f"{key}: {why}" for key, why in wrong.items())
        left = f"; {len(old):,} of another version of exphil cannot be checked" if old else ""
        told = f"{len(names) - len(wrong):,} games are whole, {len(wrong):,} damaged{left}"
        terminal.lines([told if asked else nothing(store)])
    if wrong:
        terminal.warn("exphil cache drop KEY forgets a game; the next run parses its replay again")
    return 1 if wrong else 0


OLD = "old"
"""Instead of a key: all games of another version of exphil."""


def drop(settings: Settings, key: str) -> int:
    """Forget one game, or all ``OLD`` ones."""
    store = opened(settings)
    if key == OLD:
        keys, _ = parted(store.keys())
        for each in keys:
            store.drop(each)
        Terminal.of(settings).lines([f"forgotten: {len(keys):,} games of another version of exphil"])
        return 0
    whole = store.find(key)
    store.drop(whole)
    Terminal.of(settings).lines([f"forgotten: {whole}"])
    return 0


def clear(settings: Settings) -> int:
    """Forget all games and embeddings."""
    store = opened(settings)
    size = store.size_bytes(*store.keys())
    games, (embeddings, more) = store.clear(), kept.clear(store.folder)
    told = f"forgotten: {games:,} games and {embeddings:,} embeddings, {shown_bytes(size + more)}"
    Terminal.of(settings).lines([told if games or embeddings or more else nothing(store)])
    return 0


def opened(settings: Settings) -> Store:
    """The store of ``--cache-dir``, which need not be there."""
    folder = settings.cachedir.cache_dir
    if folder.exists() and not folder.is_dir():
        raise DataError("is not a folder", str(folder), "--cache-dir names the folder of parsed games")
    return Store(folder)


def parted(keys: list[str]) -> tuple[list[str], list[str]]:
    """Games of another layout, and the others."""
    return [key for key in keys if other_layout(key)], [key for key in keys if not other_layout(key)]


def nothing(store: Store) -> str:
    """What is said of an empty store."""
    return f"nothing is kept in {store.folder}" + ("" if store.folder.exists() else ": there is no such folder")
