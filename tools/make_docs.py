"""Writes the pages of ``docs/`` that are derived from the code.

``python tools/make_docs.py`` writes them; with ``--check`` it writes nothing and exits 1 when a page is not what the
code says. To add a page, add its path and a function that returns its text to ``PAGES``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from exphil.config.groups import COMMANDS, GROUPS
from exphil.config.option import Option, options_of
from exphil.config.presets import PRESETS

ROOT = Path(__file__).resolve().parent.parent


def options_page() -> str:
    """Every option by group: flags, file key, values, default, variable, commands and meaning."""
    lines = [
        "# Options",
        "",
        "Written by `python tools/make_docs.py` from `src/exphil/config/groups.py`; do not edit.",
        "",
        "A value comes from the strongest source that gives one: default < environment < preset < file < flag.",
        "A file (`--config`) is YAML, one `key: value` a line; the key is the flag without its first dashes",
        "(`--window-size` is `window_size` or `window-size`). `none` leaves an option unset where that is allowed;",
        "lists are written `512,512`.",
    ]
    titles = dict.fromkeys(group.title for group in GROUPS)
    for title in titles:
        lines += ["", f"## {title}", "", "| flag | value | default | commands | meaning |", "|---|---|---|---|---|"]
        for group in (group for group in GROUPS if group.title == title):
            commands = ", ".join(name for name, command in COMMANDS.items() if group in command.groups)
            lines += [_row(option, commands) for option in options_of(group)]
    lines += ["", "## Presets", "", "| preset | options |", "|---|---|"]
    for name, values in PRESETS.items():
        known = {option.name: option for group in GROUPS for option in options_of(group)}
        shown = " ".join(f"`{known[key].flag} {known[key].text(value)}`" for key, value in values.items())
        lines.append(f"| `{name}` | {shown} |")
    return "\n".join(lines) + "\n"


def _row(option: Option, commands: str) -> str:
    flags = ", ".join(f"`{flag}`" for flag in option.spellings())
    kinds = {int: "whole number", float: "number", bool: "yes or no", str: "text", Path: "path"}
    value = ", ".join(f"`{choice}`" for choice in option.choices) or kinds[option.kind] + (
        " list" if option.many else ""
    )
    if option.check:
        value += f"; {option.check.sentence}"
    default = "" if option.default is None else f"`{option.text(option.default)}`"
    meaning = option.help + (f" (variable `{option.env}`)" if option.env else "")
    return f"| {flags} | {value} | {default} | {commands} | {meaning} |"


PAGES: dict[str, Callable[[], str]] = {
    "docs/options.md": options_page,
}


def main(arguments: list[str]) -> int:
    """Writes or checks every page; the exit code is 1 when a checked page differs."""
    stale = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if "--check" in arguments:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    if stale:
        sys.stderr.write(f"error: {', '.join(stale)} is not what the code says\n  hint: python tools/make_docs.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
