"""A policy against scripts in the simulator, a short match each: what ``exphil demo`` ends with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exphil import assemble
from exphil.cli import match
from exphil.cli.shown import match_table
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings, resolve

if TYPE_CHECKING:
    from exphil.evaluate.outcome import Result

STOCKS, SEED = 2, 1
POLICY = (True, False)
"""Of a policy against a script, who is a policy."""


def scripts(
    terminal: Terminal, settings: Settings, policy: Path, names: Sequence[str], games: int, minutes: float
) -> tuple[list[Result], int]:
    """Play and show the matches.

    Args:
        terminal: Where they are shown.
        settings: Of a command that says on which machine.
        policy: The file of the policy.
        names: Of the scripts.
        games: Of each match.
        minutes: Clock of a game.

    Returns:
        The results, fewer when somebody stopped, and the exit code.
    """
    flags = {"--games": games, "--minutes": minutes, "--stocks": STOCKS, "--device": settings.machine.device}
    asked, results = resolve("match", {flag: str(value) for flag, value in flags.items()}, {}), []
    asked = asked.changed({"threads": settings.machine.threads}, "this call")
    for name in names:
        who = assemble.entered(asked, (str(policy), name))
        found, signal = match.played(terminal, asked, who, SEED)
        if found is not None:
            terminal.table(match_table.title(found), match_table.FOUND, match_table.rows(found, POLICY))
            results.append(found)
        if signal:
            return results, 128 + signal
    return results, 0
