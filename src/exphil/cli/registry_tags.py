"""``exphil registry tag|untag``: words by which runs are found again."""

from __future__ import annotations

from exphil.cli import meant
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import OptionError
from exphil.train import registry


def tag(settings: Settings, model: str, tags: tuple[str, ...]) -> int:
    """Give a run tags."""
    return _tagged(settings, model, tags, "add")


def untag(settings: Settings, model: str, tags: tuple[str, ...]) -> int:
    """Take tags from a run."""
    return _tagged(settings, model, tags, "drop")


def _tagged(settings: Settings, model: str, tags: tuple[str, ...], how: str) -> int:
    folder = settings.checkpointsdir.checkpoints_dir
    if not tags:
        raise OptionError("no tag is given", fix=f"exphil {settings.command} {model} TAG")
    _, entry = meant.entry(folder, model)
    changed = registry.set_tags(folder, entry.id, **{how: tags})
    Terminal.of(settings).lines([f"{changed.name} ({changed.id}): {', '.join(changed.tags) or 'no tags'}"])
    return 0
