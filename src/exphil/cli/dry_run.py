"""What a training run would do: every option with its source, what the policy would see and what it could press."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exphil import assemble
from exphil.cli.terminal import Terminal, show_settings
from exphil.config.layers import Settings


def show(terminal: Terminal, settings: Settings, snapshot: Mapping[str, Any] | None) -> None:
    """Print it; nothing is read but a file of stick centres.

    Raises:
        DataError: that file cannot be used.
    """
    codec, table = assemble.codec(settings, snapshot), assemble.table(settings)
    show_settings(terminal, settings)
    ids = [(f"id: {found.name}", f"1 of {found.vocabulary}") for found in table.vocabularies]
    sums = [("floats", table.floats), ("ids", table.ids), ("floats and ids", table.floats + table.ids)]
    inside = [("inside, with ids looked up", assemble.embedded(table))]
    terminal.table("Observation", ("what", "numbers"), [*table.blocks(), *ids, *sums, *inside])
    if table.left_out:
        terminal.say(f"left out, because UMI's frames do not hold them: {', '.join(table.left_out)}")
    terminal.table("Action", ("part", "classes"), [(part.name, part.classes) for part in codec.components])
