"""Reading a folder of replays, aloud, for every command that needs games.

What was found, what is left out and why, what memory it will take; then the reading itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exphil import assemble
from exphil.cli.running import left_out
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.data.reading import Games
from exphil.replays import library
from exphil.replays.choosing import Skip
from exphil.replays.library import Loaded
from exphil.replays.sources import Source, find


def read_games(terminal: Terminal, settings: Settings) -> Games:
    """The games of ``--replays``.

    Raises:
        DataError: no files, no game is left, or one cannot be read and ``--fail-fast`` was said.
        OutputError: ``--error-log`` cannot be written.
    """
    left_out.check_log(settings)
    found, how = find(settings.data.replays, settings.data.max_files), assemble.reading(settings)
    looked = list(library.preflight(found.sources, how))
    wanted = [answer for answer in looked if isinstance(answer, Source)]
    skips = [answer for answer in looked if isinstance(answer, Skip)]
    terminal.say(f"{'files':<10} {len(found.sources)} found, {len(wanted)} may be used by what they begin with")
    left_out.say(terminal, f"of {len(found.sources)} files left out", skips)
    _forecast(terminal, settings, wanted)
    early, answers = len(skips), 0
    try:
        with terminal.progress(len(wanted), "reading replays") as bar:

            def told(answer: Loaded | Skip) -> None:
                nonlocal answers
                answers += 1
                bar.update(min(max(answers - early, 0), len(wanted)))
                if isinstance(answer, Skip) and answers > early:
                    skips.append(answer)

            left_out.stop_at_refused(settings, found)
            games = assemble.read(settings, wanted, told, how, tuple(skips))
    finally:
        left_out.name_errors(terminal, settings, found, skips)
    left_out.say(terminal, f"of {len(wanted)} files left out", skips[early:])
    _after(terminal, settings, games, how)
    return games


def _forecast(terminal: Terminal, settings: Settings, wanted: Sequence[Source]) -> None:
    """What memory the games will take, and what to do when there is less."""
    told = assemble.forecast(settings, wanted)
    terminal.say(f"{'memory':<10} {told}")
    if not told.fits:
        remedy = f"--stream-chunk-size {told.stream_files} keeps so many files open at a time"
        if settings.feeding.cache_embeddings or settings.feeding.cache_augmented:
            remedy = "--mmap-embeddings leaves their numbers on the disk"
        terminal.warn(f"these games do not fit into the free memory: {remedy}")
    chunk = settings["stream_chunk_size"]
    if chunk is not None and chunk >= len(wanted):
        said = f"--stream-chunk-size {chunk} counts files and there are {len(wanted)}: all are open at once"
        terminal.warn(f"{said}; --stream-chunk-frames counts frames")


def _after(terminal: Terminal, settings: Settings, games: Games, how: library.Reading) -> None:
    if how.store and how.store.trouble:
        terminal.warn(how.store.trouble)
    if how.store:
        there = len(games.files)
        terminal.detail(f"{'cache':<10} {max(there - how.store.written, 0)} of {there} games were kept from before")
    warn_of_programs(terminal, sum(any(loaded.about.programs) for loaded in games.files))
    if settings.choosing.show_quality_stats:
        show_quality(terminal, Counter(loaded.about.quality for loaded in games.files))


def warn_of_programs(terminal: Terminal, programs: int) -> None:
    """Say that in so many games a program plays, if in any."""
    if programs:
        terminal.warn(f"in {programs} games a program plays: its stick leaves the grid of a controller")


def show_quality(terminal: Terminal, games: Counter[int]) -> None:
    """Bars of the games by quality, 0 to 100."""
    tens: Counter[int] = Counter()
    for quality, count in games.items():
        tens[min(quality // 10, 9) * 10] += count
    rows = [(f"{low}-{low + 9 if low < 90 else 100}", tens[low]) for low in range(0, 100, 10)]
    terminal.bars("Quality of the games", rows)
