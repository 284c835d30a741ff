"""Counting the sticks of a folder of replays, aloud: what is found, what is left out and why, one game at a time."""

from __future__ import annotations

from itertools import chain

from exphil import assemble
from exphil.cli.running import left_out
from exphil.cli.running.reading import show_quality, warn_of_programs
from exphil.cli.shown.drawing import many
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.data.reading import nothing_left
from exphil.data.sticks import Sticks, count
from exphil.replays import library
from exphil.replays.choosing import Skip
from exphil.replays.sources import Source, find


def count_sticks(terminal: Terminal, settings: Settings) -> Sticks:
    """The sticks of ``--replays``, of both players or of those with ``--train-character``.

    Raises:
        DataError: no files, no game is left, or one cannot be read and ``--fail-fast`` was said.
        OutputError: ``--error-log`` cannot be written.
    """
    left_out.check_log(settings)
    found, how = find(settings.data.replays, settings.data.max_files), assemble.stick_reading(settings)
    looked = list(library.preflight(found.sources, how))
    wanted = [answer for answer in looked if isinstance(answer, Source)]
    sticks = Sticks()
    try:
        left_out.stop_at_refused(settings, found)
        early = (answer for answer in looked if isinstance(answer, Skip))
        answers = terminal.watched(chain(early, library.load(wanted, how)), len(looked), "counting replays")
        choosing, errors = settings.choosing, settings.errors
        count(answers, sticks, skip_duplicates=choosing.skip_duplicates, skip_errors=errors.skip_errors)
    finally:
        left_out.name_errors(terminal, settings, found, sticks.skips)
    left_out.say(terminal, f"of {len(looked)} files left out", sticks.skips)
    if not sticks.files:
        raise nothing_left(how.choice, sticks.skips, str(settings.data.replays))
    if how.store and how.store.trouble:
        terminal.warn(how.store.trouble)
    warn_of_programs(terminal, sticks.programs)
    who = settings.character.train_character
    seats = f"players with {who.replace('_', ' ')}" if who else "both players of each"
    terminal.say(f"{many(sticks.files, 'game')}, {seats}: {sticks.frames:,} frames, {sticks.values:,} stick values")
    if not who:
        terminal.say("exphil train learns from one player of each game, unless --dual-port is given")
    terminal.detail(
        "players: " + ", ".join(f"{sticks.characters[name]} {name.replace('_', ' ')}" for name in sticks.names)
    )
    if settings.choosing.show_quality_stats:
        show_quality(terminal, sticks.qualities)
    return sticks
