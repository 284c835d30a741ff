"""Games to counts of stick positions, one game after the other: nothing of a game is kept but what it adds.

And what is lost of them when they are encoded and decoded, by the number of classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.errors import DataError
from exphil.features import zones
from exphil.features.action import AXIS_BUCKETS, Codec
from exphil.features.kmeans import PLACES, Centres, positions, rms_steps
from exphil.game import ids
from exphil.game.controller import controller_of
from exphil.replays.choosing import WITHOUT_FAIL_FAST, Skip
from exphil.replays.duplicates import Seen
from exphil.replays.library import Loaded


@dataclass
class Sticks:
    """What was counted.

    Attributes:
        held: int64 ``(2, 161, 161)``: how often each position was held, as ``kmeans.positions`` counts it.
        files: Replays that were counted.
        frames: Frames of players.
        characters: Players by character.
        programs: Replays in which a program plays.
        qualities: Replays by quality, 0 to 100.
        skips: Files that were left out.
    """

    held: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, PLACES, PLACES), np.int64))
    files: int = 0
    frames: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    programs: int = 0
    qualities: Counter[int] = field(default_factory=Counter)
    skips: list[Skip] = field(default_factory=list)

    @property
    def values(self) -> int:
        """Stick values: four a frame."""
        return 2 * int(self.held.sum())

    @property
    def names(self) -> tuple[str, ...]:
        """The characters, most frequent first."""
        return tuple(sorted(self.characters, key=lambda name: (-self.characters[name], name)))

    def add(self, loaded: Loaded) -> None:
        """Count one game: the seats that were asked for, every frame."""
        players = loaded.open().game().players
        for seat in loaded.seats:
            self.held += positions(controller_of(players, seat))
            self.characters[ids.character_name(loaded.about.characters[seat])] += 1
        self.files += 1
        self.frames += loaded.frames * len(loaded.seats)
        self.programs += any(loaded.about.programs)
        self.qualities[loaded.about.quality] += 1


def count(answers: Iterable[Loaded | Skip], found: Sticks, *, skip_duplicates: bool, skip_errors: bool) -> None:
    """Count the games of some files.

    Args:
        answers: Games and files that were left out, as ``library.load`` gives them.
        found: What to add them to.
        skip_duplicates: Count the first of several recordings of a game only.
        skip_errors: Go on after a file that cannot be read.

    Raises:
        DataError: a file cannot be read and ``skip_errors`` is off.
    """
    seen = Seen()
    for answer in answers:
        if isinstance(answer, Loaded):
            same = (answer.digest, answer.about.identity)
            first = seen.first_of(*same) if skip_duplicates else None
            if first is None:
                seen.add(str(answer.source), *same)
                found.add(answer)
            else:
                found.skips.append(Skip(str(answer.source), "duplicate", first))
        else:
            found.skips.append(answer)
            if answer.is_error and not skip_errors:
                raise DataError(answer.detail, answer.file, WITHOUT_FAIL_FAST)


def lost(found: Sequence[Centres], held: NDArray[np.int64], buckets: Container[int]) -> list[dict[str, Any]]:
    """What encoding and decoding takes from sticks: a row for each of ``found``, and for equal steps beside them.

    Args:
        found: Centres, one of each number.
        held: What was counted, as ``kmeans.positions`` gives it.
        buckets: Equal steps that an axis can have: those with as many classes are shown, and the default in any case.

    Returns:
        Rows by classes ``k``, "equal steps" before "learned" ``positions``; ``zones`` holds all of ``zones.shares``.
    """
    equal = {AXIS_BUCKETS + 1} | {each.k for each in found if each.k - 1 in buckets}
    codecs = [(k, "equal steps", Codec.uniform(k - 1)) for k in equal]
    codecs += [(each.k, "learned", Codec(each.axes4(), Codec.uniform().shoulder)) for each in found]
    rows = []
    for k, name, codec in sorted(codecs, key=lambda row: row[:2]):
        shares, row = zones.shares(codec, held), {"k": k, "positions": name}
        for stick, kinds in shares.items():
            row |= {f"{stick}_changed": kinds["any"], f"{stick}_changed_off_rest": kinds["any_off_rest"]}
        rows.append(row | {"rms_steps": rms_steps(codec, held), "zones": shares})
    return rows
