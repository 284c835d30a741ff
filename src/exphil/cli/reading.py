"""Reading a folder of replays with a bar and a count of what was left out; shared by the commands that need games."""

from __future__ import annotations

from exphil import assemble
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.data.reading import Games
from exphil.replays.library import Loaded, Skip, find, summary


def read_games(terminal: Terminal, settings: Settings) -> Games:
    """The games of ``--replays``; says how many were left out and why.

    Raises:
        DataError: no files, or no game is left.
    """
    paths, seen = find(settings.data.replays, settings.data.max_files), 0
    with terminal.progress(len(paths), "reading replays") as bar:

        def told(_: Loaded | Skip) -> None:
            nonlocal seen
            seen += 1
            bar.update(seen)

        games = assemble.read(settings, paths, told)
    if games.skips:
        terminal.say(f"{len(games.skips)} of {len(paths)} files left out:")
        for count, sentence in summary(games.skips):
            terminal.say(f"  {count} {sentence}")
        for skip in games.skips:
            terminal.detail(f"  {skip}")
    return games
