"""Whether answers can be used: what they name is there, and they fit each other.

What enters: values by the names of options. What leaves: the same ones, without what is idle. What can go wrong is the
point: an ExphilError or a ValueError whose words the person who answered is told.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from exphil import assemble
from exphil.cli.terminal import Terminal
from exphil.config import wizard
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings
from exphil.config.resume import begun_with
from exphil.errors import DataError
from exphil.replays.sources import Source, find

T = TypeVar("T")


def usable(values: dict[str, Any]) -> dict[str, Any]:
    """Values without what means nothing beside the others.

    Raises:
        ExphilError: they contradict each other, or a file or library that they need is missing.
    """
    found = wizard.settled(values)
    as_trained(found)
    return found


def as_trained(values: dict[str, Any]) -> Settings:
    """What a run with these values trains: of ``--init`` the network of its policy.

    Raises:
        ExphilError: as ``usable``.
    """
    made = wizard.settings(values)
    assemble.check_loggers(made)
    assemble.codec(made)
    if made.saving.init is None:
        return made
    from exphil.train.checkpoint import load_policy

    return begun_with(made, load_policy(made.saving.init).config)


def policy(path: Path | None) -> Path:
    """A policy that can be trained further.

    Raises:
        PolicyError: it cannot be read.
        ValueError: there is no answer.
    """
    found = needed(path)
    as_trained({"init": found})
    return found


def newest_policy() -> Path | None:
    """The policy file in the usual folder that was written last."""
    option = OPTIONS["checkpoints_dir"]
    folder = option.convert(os.environ.get(option.env or "") or option.default)
    found = [path for path in folder.glob("*_policy.safetensors") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def needed(answer: T | None) -> T:
    """An answer that is not "none".

    Raises:
        ValueError: it is.
    """
    if answer is None:
        raise ValueError("a value is needed here")
    return answer


def replays(terminal: Terminal, place: Path) -> list[Source]:
    """The replays in a place; a folder may still be empty, which is told.

    Raises:
        DataError: there is no such place.
    """
    try:
        return find(place).sources
    except DataError as error:
        if not place.is_dir():
            raise
        terminal.warn(f"{error.what}: put some there before you train")
        return []
