"""Questions in a terminal that has arrow keys; the only place that knows questionary.

What can go wrong: the terminal goes away, which is EOFError; Ctrl+C is KeyboardInterrupt. What is drawn goes to
standard error when standard output is a file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from exphil.config.option import NOTHING


def are_there() -> bool:
    """Whether somebody sits at a terminal that can draw."""
    keys = bool(sys.stdin) and sys.stdin.isatty() and os.environ.get("TERM") != "dumb"
    return keys and any(map(os.isatty, (1, 2)))


class ArrowKeys:
    """Asks with a pointer that arrow keys move, and lines that can be edited."""

    def pick(self, text: str, choices: Sequence[str], default: int = 0) -> int:
        """The number of a choice, from 0."""
        from questionary import Choice, select

        listed = [Choice(choice, value=number) for number, choice in enumerate(choices)]
        return int(_drawn(select, text, choices=listed, default=listed[default]))

    def agree(self, text: str, default: bool) -> bool:
        """Yes or no."""
        from questionary import confirm

        return bool(_drawn(confirm, text, default=default))

    def line(self, text: str, default: str = "", *, path: bool = False) -> str:
        """A line; ``default`` when nothing is left of it. With ``path`` the tab key completes names of files."""
        import questionary

        kind = questionary.path if path else questionary.text
        nothing = default in NOTHING  # who wants something else should not have to rub it out
        asked = f"{text} [{default}]" if nothing else text
        return str(_drawn(kind, asked, default="" if nothing else default)).strip() or default


def _drawn(kind: Callable[..., Any], text: str, **how: Any) -> Any:
    from prompt_toolkit.output import create_output

    return kind(text, **how, output=create_output(always_prefer_tty=True)).unsafe_ask()
