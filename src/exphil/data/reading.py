"""Files to a corpus: what was asked for is read, seat by seat; the rest is counted with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from exphil.data.corpus import Corpus, Entry
from exphil.errors import DataError
from exphil.game.frames import Game
from exphil.replays.library import Choice, Loaded, Skip, load, summary


class Games(NamedTuple):
    """The corpus, the files that are in it (an entry's ``game`` is a file's place here), and what was left out."""

    corpus: Corpus
    files: list[Path]
    skips: list[Skip]


def read_games(
    paths: Iterable[Path], choice: Choice, workers: int | None, told: Callable[[Loaded | Skip], None], where: str
) -> Games:
    """Read the games of some files.

    Args:
        paths: The files.
        choice: Which games, and which of their players.
        workers: Files read at the same time; by default one for each core.
        told: Hears of every file.
        where: The folder, for messages.

    Raises:
        DataError: nothing is left.
    """
    games: list[tuple[Entry, Game]] = []
    files: list[Path] = []
    skips: list[Skip] = []
    for found in load(paths, choice, workers):
        told(found)
        if isinstance(found, Skip):
            skips.append(found)
            continue
        replay = found.replay
        for seat in found.seats:
            entry = Entry(len(files), replay.path.name, replay.characters[seat], replay.digest)
            games.append((entry, replay.game.seen_from(seat)))
        files.append(replay.path)
    if not games:
        reasons = "; ".join(f"{count} {sentence}" for count, sentence in summary(skips))
        raise DataError(f"no game is left to use ({reasons})", where, _remedy(choice, {skip.reason for skip in skips}))
    return Games(Corpus.of(games), files, skips)


def _remedy(choice: Choice, reasons: set[str]) -> str:
    if choice.character is not None and "character" in reasons:
        return "another --train-character, or more replays; exphil replays scan FOLDER lists who plays"
    if "columns" in reasons:
        return "a policy trained with --allow-missing takes older recordings"
    return "exphil replays scan FOLDER says what is wrong with each file"
