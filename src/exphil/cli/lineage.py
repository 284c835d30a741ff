"""``exphil registry lineage``: what a run was made from and what was made from it, as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from exphil.cli import meant
from exphil.cli.models import loss
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.train import registry
from exphil.train.registry import Entry


def lineage(settings: Settings, model: str) -> int:
    """Show it, from the oldest ancestor that is known; one that is not registered is named as such."""
    terminal, folder = Terminal.of(settings), settings.checkpointsdir.checkpoints_dir
    entries, entry = meant.entry(folder, model)
    line = [entry, *registry.ancestors(entries, entry)]
    oldest = line[-1]
    root = tree(entries, oldest, frozenset())
    if oldest.parent and registry.parent_of(entries, oldest) is None:
        root = {**oldest.parent, "id": None, "registered": False, "children": [root]}
    if settings.output.json:
        terminal.data({"run": entry.id, "tree": root})
    else:
        terminal.lines(_lines(root, entry.id, 0))
    return 0


def tree(entries: Sequence[Entry], entry: Entry, above: frozenset[str]) -> dict[str, Any]:
    """A run and what was made from it; what would come round again (a file that was edited) is left out."""
    seen = above | {entry.id}
    below = [tree(entries, child, seen) for child in registry.children(entries, entry) if child.id not in seen]
    return {"id": entry.id, "name": entry.name, "registered": True, "loss": entry.loss, "children": below}


def _lines(node: dict[str, Any], asked: str, depth: int) -> Iterator[str]:
    about = f"({node['id']})" if node["registered"] else f"(not registered, {node['path']})"
    held = f", held out {loss(node['loss'])}" if node.get("loss") is not None else ""
    yield f"{'  ' * depth}{node['name']} {about}{held}{'  <- this run' if node['id'] == asked else ''}"
    for child in node["children"]:
        yield from _lines(child, asked, depth + 1)
