"""Settings as the text of a file for ``--config``.

What enters: settings of a command. What leaves: YAML in which every option stands once, under the title of its group,
with its help above it. What nobody chose stands as a comment with its value, so that taking the # away changes nothing
until the value is changed too. Loaded again, the file gives the same values; nothing can go wrong.

YAML is written by hand, for only ``layers.py`` knows the library: words that are plain in every YAML stand as they are,
all else in double quotes.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from exphil.config.commands import COMMANDS
from exphil.config.layers import Settings, resolve
from exphil.config.option import Option, options_of

OF_THIS_CALL = frozenset({"config", "save_config", "dry_run"})
"""Options that say what one call does and nothing about the run: never in a file."""
FOLLOWS = ("default", "implied by", "decided")
"""How the source of a value begins that follows from the others, or is decided anew for every run."""
WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./=+-]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}

EXAMPLE: Mapping[str, str | bool] = {
    "--temporal": True, "--backbone": "gru", "--hidden": "256", "--dual-port": True, "--augment": True,
    "--dropout": "0.3", "--optimizer": "muon", "--lr": "3e-3", "--lr-schedule": "cosine", "--val-split": "0.1",
    "--name": "first",
}  # fmt: skip
"""The run of config/training.example.yaml: the first one of the README."""


def example() -> str:
    """The text of config/training.example.yaml."""
    lines = [
        "# Written by `python tools/make_docs.py` from `src/exphil/config/`; copy it and change the copy:",
        "#   exphil train --config my_run.yaml",
        "# A line without # is chosen, one with # shows the default. A flag beats the file.",
    ]
    return "\n".join(lines) + "\n\n" + yaml_text(resolve("train", EXAMPLE, {}))


def yaml_text(settings: Settings, comments: bool = True) -> str:
    """Every option of a command as ``key: value``, what nobody chose as a comment.

    Args:
        settings: Of any command.
        comments: Whether titles, help and what nobody chose are written too.
    """
    parts: dict[str, list[str]] = {}
    for group in COMMANDS[settings.command].groups:
        lines = parts.setdefault(getattr(group, "title", group.__name__), [])
        for option in options_of(group):
            if option.name not in OF_THIS_CALL:
                lines += _lines(settings, option, comments)
    if not comments:
        return "".join(f"{line}\n" for lines in parts.values() for line in lines)
    return "\n".join("\n".join([f"# ---- {title} ----", "", *lines]) for title, lines in parts.items() if lines)


def _lines(settings: Settings, option: Option, comments: bool) -> Iterator[str]:
    pair = f"{option.name}: {_value(settings[option.name])}"
    if not comments:
        if _chosen(settings, option):
            yield pair
        return
    told = option.help + (f" ({', '.join(map(str, option.choices))})" if 0 < len(option.choices) <= 12 else "")
    yield from textwrap.wrap(told, WIDTH, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)
    yield pair if _chosen(settings, option) else f"# {pair}"
    yield ""


def _chosen(settings: Settings, option: Option) -> bool:
    """Whether somebody chose a value; then it stands in the file, its being the default notwithstanding.

    A weaker layer could say something else, and rules may ask whether it was chosen.
    """
    return not settings.sources[option.name].startswith(FOLLOWS)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    return _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return "none"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    """A letter between double quotes: as it is where people can read it."""
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter == " " or (letter.isprintable() and letter != "\ufeff"):
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
