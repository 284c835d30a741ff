"""Reading a folder of replays with a bar and a count of what was left out; shared by the commands that need games."""

from __future__ import annotations

from pathlib import Path

from exphil import assemble
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.replays.library import Loaded, Skip, find, summary


def read_games(terminal: Terminal, settings: Settings) -> tuple[Corpus, list[Path], list[Skip]]:
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

        corpus, used, skips = assemble.read_games(settings, paths, told)
    if skips:
        terminal.say(f"{len(skips)} of {len(paths)} files left out:")
        for count, sentence in summary(skips):
            terminal.say(f"  {count} {sentence}")
        for skip in skips:
            terminal.detail(f"  {skip}")
    return corpus, used, skips
