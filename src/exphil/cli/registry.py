"""``exphil registry``: looks after the list of runs in ``--checkpoints-dir``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from exphil.cli import meant
from exphil.cli.lineage import lineage
from exphil.cli.models import loss
from exphil.cli.registry_best import best
from exphil.cli.registry_tags import tag, untag
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.files import size_bytes
from exphil.train import registry
from exphil.train.registry import NAME, Entry

__all__ = ["best", "delete", "lineage", "show", "show_all", "tag", "untag"]
COLUMNS = ("id", "run", "begun", "backbone", "epochs", "held out", "tags")


def show_all(settings: Settings) -> int:
    """List the runs; what has become of their files stands behind them."""
    terminal, folder, order = Terminal.of(settings), settings.checkpointsdir.checkpoints_dir, settings.order
    wanted = settings.tagged.tagged
    entries = [entry for entry in registry.load(folder) if wanted is None or wanted in entry.tags]
    keys = {
        "date": lambda entry: entry.created_at,
        "size": lambda entry: size_bytes(registry.files_of(folder, entry)),
        "name": lambda entry: entry.name.lower(),
        "loss": lambda entry: math.inf if entry.loss is None else entry.loss,
    }
    falling = order.sort in ("date", "size")  # newest and largest first
    entries.sort(key=keys[order.sort], reverse=falling != order.reverse)
    if settings.output.json:
        terminal.data({"registry": folder / NAME, "entries": [record(entry, folder) for entry in entries]})
    elif entries:
        states = [entry.where(folder) for entry in entries]
        columns, end = ((*COLUMNS, "files"), None) if any(states) else (COLUMNS, -1)
        rows = [(*_row(entry), state)[:end] for entry, state in zip(entries, states, strict=True)]
        terminal.table(str(folder / NAME), columns, rows)
    else:
        tagged = f" with the tag {wanted}" if wanted else ""
        terminal.lines([f"no registered runs{tagged} in {folder / NAME}; exphil list shows the files"])
    return 0


def _row(entry: Entry) -> tuple[str, ...]:
    config, done = entry.training_config, entry.metrics.get("epochs_done")
    epochs = "" if done is None else f"{done}/{config.get('epochs', '?')}"
    began, backbone = entry.created_at[:10], str(config.get("backbone") or "")
    return entry.id, entry.name, began, backbone, epochs, loss(entry.loss), ", ".join(entry.tags)


def record(entry: Entry, folder: Path) -> dict[str, Any]:
    """An entry as plain values, with what has become of its files."""
    return entry.as_dict() | {"loss": entry.loss, "files": entry.where(folder) or "there"}


def show(settings: Settings, model: str) -> int:
    """Show one run."""
    terminal, folder = Terminal.of(settings), settings.checkpointsdir.checkpoints_dir
    entries, entry = meant.entry(folder, model)
    if settings.output.json:
        terminal.data(record(entry, folder))
        return 0
    parent = registry.parent_of(entries, entry)
    unknown = f"{entry.parent.get('name')} (not registered, {entry.parent.get('path')})" if entry.parent else ""
    words: dict[str, Any] = {
        "id": entry.id,
        "run": entry.name,
        "begun": entry.created_at,
        "tags": ", ".join(entry.tags),
    }
    words |= {"made from": f"{parent.name} ({parent.id})" if parent else unknown, "files": entry.where(folder)}
    words |= {"snapshot": entry.checkpoint_path, "policy": entry.policy_path, "page": entry.config_path}
    words |= {name.replace("_", " "): value for name, value in entry.metrics.items()}
    words["held-out games"] = entry.measured_on.get("games")
    terminal.lines(f"{word:<24}{value}" for word, value in words.items() if value not in ("", None))
    terminal.say(f"its options: exphil registry show {entry.id} --json, or exphil info {entry.name}")
    return 0


def delete(settings: Settings, model: str) -> int:
    """Forget a run; with ``--files`` its files too, and they are named."""
    terminal, folder = Terminal.of(settings), settings.checkpointsdir.checkpoints_dir
    _, entry = meant.entry(folder, model)
    gone = registry.delete(folder, entry.id, files=settings.deleting.files)
    terminal.lines([f"forgotten: {entry.name} ({entry.id})", *(f"removed: {path}" for path in gone)])
    if settings.deleting.files and not gone:
        terminal.warn("no file of it was removed: there are none in this folder")
    return 0
