"""What lies around a model: the other files of its run, its dates, and its entry in the registry of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exphil.cli import models
from exphil.cli.terminal import Terminal
from exphil.errors import ExphilError
from exphil.train import registry
from exphil.train.runs import find_run, run_of


def place(terminal: Terminal, path: Path) -> dict[str, Any]:
    """Plain values; a registry that is damaged is a warning."""
    words: dict[str, Any] = {}
    own = find_run(path.parent, run_of(path))
    files = [{"file": each.name, "bytes": each.stat().st_size} for each in (own.files if own else [path])]
    pages = [state.about for state in own.states if path in state.files] if own else []
    dates = {"began": pages[0].get("timestamp") if pages else None, "saved": models.moment(path.stat().st_mtime)}
    version = pages[0].get("exphil_version") if pages else None
    try:
        entries = registry.load(path.parent)
        entry = next(iter(registry.find(entries, str(path), path.parent)), None)
        if entry is not None:
            above = [{"id": each.id, "name": each.name} for each in registry.ancestors(entries, entry)]
            below = [{"id": each.id, "name": each.name} for each in registry.children(entries, entry)]
            words = {"id": entry.id, "tags": entry.tags, "made_from": above, "made_of_it": below}
    except ExphilError as error:
        terminal.warn(str(error))
    return {"files": files, "dates": dates, "version": version, "registry": words}
