"""Files to a corpus: what was asked for is read, seat by seat; the rest is counted with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from exphil.data.corpus import Corpus, Entry
from exphil.data.shelf import Shelf
from exphil.errors import DataError
from exphil.features.players import player_key
from exphil.replays.choosing import WITHOUT_FAIL_FAST, Choice, Skip, summary
from exphil.replays.duplicates import Seen
from exphil.replays.library import Loaded, Reading, load
from exphil.replays.sources import Source

Told = Callable[[Loaded | Skip], None]


class Games(NamedTuple):
    """The corpus, the files that are in it (an entry's ``game`` is a file's place here), and what was left out."""

    corpus: Corpus
    files: list[Loaded]
    skips: list[Skip]


def read_games(
    wanted: Iterable[Source],
    how: Reading,
    told: Told,
    where: str,
    *,
    before: Iterable[Skip] = (),
    skip_duplicates: bool,
    skip_errors: bool,
) -> Games:
    """Read the games of some files.

    Args:
        wanted: The files; games stand in the corpus in this order, whatever order they come in.
        how: Which games, which of their players, and where they are kept.
        told: Hears of every file.
        where: The folder, for messages.
        before: Files that were left out already.
        skip_duplicates: Take one of several recordings of a game.
        skip_errors: Go on after a file that cannot be read.

    Raises:
        DataError: nothing is left, or a file cannot be read and ``skip_errors`` is off.
    """
    order = {source: place for place, source in enumerate(wanted)}
    found: list[Loaded] = []
    skips: list[Skip] = []
    for answer in chain(before, load(order, how)):
        if isinstance(answer, Loaded):
            found.append(answer)
        else:
            skips.append(answer)
        told(answer)
        if isinstance(answer, Skip) and answer.is_error and not skip_errors:
            raise DataError(answer.detail, answer.file, WITHOUT_FAIL_FAST)
    found.sort(key=lambda loaded: order[loaded.source])
    if skip_duplicates:
        copies = dict(_copies(found))
        found = [loaded for loaded in found if loaded.source not in copies]
        for skip in copies.values():
            told(skip)
            skips.append(skip)
    if not found:
        raise nothing_left(how.choice, skips, where)
    return Games(_corpus(found), found, skips)


def _copies(found: list[Loaded]) -> Iterator[tuple[Source, Skip]]:
    seen = Seen()
    for loaded in found:
        name, digest, same = str(loaded.source), loaded.digest, loaded.about.identity
        first = seen.first_of(digest, same)
        if first is None:
            seen.add(name, digest, same)
        else:
            yield loaded.source, Skip(name, "duplicate", first)


def _corpus(found: list[Loaded]) -> Corpus:
    entries, length = [], []
    for game, loaded in enumerate(found):
        about = loaded.about
        for seat in loaded.seats:
            player = player_key(about.codes[seat], about.tags[seat])
            name, character = loaded.source.name, about.characters[seat]
            entries.append(Entry(game, name, character, loaded.digest, seat, player))
            length.append(loaded.frames)
    return Corpus(Shelf([loaded.open for loaded in found]), tuple(entries), np.array(length, np.int64))


def nothing_left(choice: Choice, skips: list[Skip], where: str) -> DataError:
    """The error that no game of ``where`` is left to use: why, and what to do."""
    reasons = "; ".join(f"{count} {sentence}" for count, sentence in summary(skips))
    return DataError(f"no game is left to use ({reasons})", where, remedy(choice, skips))


def remedy(choice: Choice, skips: Iterable[Skip]) -> str:
    """What to do when no game is left."""
    reasons = {skip.reason for skip in skips}
    if choice.character is not None and "character" in reasons:
        return "another --train-character, or more replays; exphil replays scan FOLDER lists who plays"
    if "columns" in reasons:
        return "--allow-missing in training takes older recordings; without --stage-motion more of them are taken"
    if "quality" in reasons:
        return "a lower --min-quality; --show-quality-stats shows what there is"
    return "exphil replays scan FOLDER says what is wrong with each file"
