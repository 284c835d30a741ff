"""What is said of files that are left out, for every command that reads replays: counts, names, ``--error-log``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import DataError
from exphil.files import check_writable, write
from exphil.replays.choosing import WITHOUT_FAIL_FAST, Skip, summary
from exphil.replays.sources import Found, Refused

MOST_NAMED = 20
"""Files that are named one by one on the terminal; --error-log names all."""


def check_log(settings: Settings) -> None:
    """See whether ``--error-log`` can be written, before the work starts.

    Raises:
        OutputError: it cannot.
    """
    if settings.errors.error_log is not None:
        check_writable(settings.errors.error_log, "choose another --error-log")


def stop_at_refused(settings: Settings, found: Found) -> None:
    """With ``--fail-fast`` go no further when something could not be looked into.

    Raises:
        DataError: the first of these.
    """
    if found.refused and not settings.errors.skip_errors:
        refused = found.refused[0]
        raise DataError(refused.reason, refused.where, refused.fix or WITHOUT_FAIL_FAST)


def say(terminal: Terminal, what: str, skips: Sequence[Skip]) -> None:
    """How many files were left out, and why; each of them with ``--verbose``."""
    if skips:
        terminal.say(f"{len(skips)} {what}:")
    for count, sentence in summary(skips):
        terminal.say(f"  {count} {sentence}")
    for skip in skips:
        terminal.detail(f"  {skip}")


def name_refused(terminal: Terminal, refused: Iterable[Refused]) -> None:
    """Name the folders, archives and files that could not be looked into."""
    _name(terminal, [f"{each}" for each in refused], "")


def name_errors(terminal: Terminal, settings: Settings, found: Found, skips: Sequence[Skip]) -> None:
    """Name the files that something is wrong with (``--show-errors``), and write all left out to ``--error-log``.

    Raises:
        OutputError: the log cannot be written.
    """
    lines = [f"{refused}" for refused in found.refused]
    if settings.errors.show_errors:
        _name(terminal, lines + [str(skip) for skip in skips if skip.is_error], "; --error-log FILE names them all")
    if settings.errors.error_log is not None:
        text = "".join(f"{line}\n" for line in lines + [str(skip) for skip in skips])
        write(settings.errors.error_log, lambda file: file.write(text.encode()), "choose another --error-log")


def _name(terminal: Terminal, lines: Sequence[str], more: str) -> None:
    for line in lines[:MOST_NAMED]:
        terminal.warn(f"left out: {line}")
    if len(lines) > MOST_NAMED:
        terminal.warn(f"and {len(lines) - MOST_NAMED} more{more}")
