"""Which games a run learns from, and which of their players: one judgement by the start block, one by the game.

What is not wanted is a ``Skip`` with a reason, never an error. ``summary`` counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exphil.game import ids
from exphil.game.frames import Lacks
from exphil.game.ids import Character, Stage
from exphil.game.time import FRAMES_PER_SECOND
from exphil.replays import slp
from exphil.replays.seats import MOVES_ON
from exphil.replays.store import About

MIN_FRAMES = 2 * FRAMES_PER_SECOND
"""Shorter recordings hold nothing to learn from: hands are free from the 85th frame on."""


MOVES = Lacks(sum(MOVES_ON))
"""Columns of what moves on stages."""


@dataclass(frozen=True)
class Choice:
    """Which games and which of their two players a run learns from.

    ``character`` wins over ``player``; with ``both`` it still chooses the games, and both of their players are taken.
    """

    player: int = 1
    """The N-th occupied port."""
    character: Character | None = None
    """Every seat that plays it by the start block; a ditto gives both."""
    both: bool = False
    characters: frozenset[Character] = frozenset()
    """Games in which one of these plays; all when empty."""
    stages: frozenset[Stage] = frozenset()
    """Games on one of these; all when empty."""
    min_quality: int | None = None
    """Games whose quality is at least this, 0 to 100."""
    allow_missing: bool = False
    """Take games that lack columns of ``needed`` all the same."""
    needed: Lacks = ~(Lacks.HITLAG | MOVES)
    """The columns that are read; all by default but those that the default feature table does not read."""
    everything: bool = False
    """Every game of two that can be read, both players, whatever else stands here: for filling a store."""


@dataclass(frozen=True)
class Skip:
    """A file that is left out: ``reason`` is a key of ``REASONS``, ``detail`` what it is in this file."""

    file: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}: {REASONS[self.reason]} ({self.detail})"

    @property
    def is_error(self) -> bool:
        """Whether something is wrong with the file itself."""
        return self.reason == "unreadable"


REASONS = {
    "unreadable": "cannot be read",
    "players": "not a game of two",
    "stage": "played on a stage that is not one of the six legal ones",
    "stages": "played on a stage that --stages does not name",
    "computer": "a computer plays in it",
    "player": "has no such player",
    "characters": "nobody in it plays a character that --characters names",
    "character": "nobody plays the wanted character",
    "short": f"shorter than {MIN_FRAMES} frames",
    "columns": "recorded before Slippi wrote columns that are read, which training with --allow-missing takes",
    "quality": "below --min-quality",
    "duplicate": "the same game as another file; --no-skip-duplicates takes both",
}
"""Why a file is left out: a stable key, and half a sentence whose subject is the file."""


WITHOUT_FAIL_FAST = "without --fail-fast the file is left out and counted"
"""What to do about a file that ended a run."""


class Skipped(Exception):  # noqa: N818  (an answer, not an error)
    """A file is not wanted: a key of ``REASONS``, and what it is in this file."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def seats(
    stage: int, ports: Sequence[int], characters: Sequence[int], humans: Sequence[bool], choice: Choice
) -> tuple[int, ...]:
    """The seats that are wanted, by what a start block says.

    Raises:
        Skipped: none.
    """
    if len(ports) != 2:
        raise Skipped("players", f"players: {len(ports)}")
    if choice.everything:
        return (0, 1)
    if stage not in Stage._value2member_map_:
        raise Skipped("stage", ids.stage_name(stage))
    if choice.stages and Stage(stage) not in choice.stages:
        raise Skipped("stages", ids.stage_name(stage))
    computers = [port for port, human in zip(ports, humans, strict=True) if not human]
    if computers:
        raise Skipped("computer", f"port {' and '.join(map(str, computers))}")
    names = " against ".join(map(ids.character_name, characters))
    if choice.characters and not choice.characters & set(characters):
        raise Skipped("characters", names)
    if choice.character is not None:
        playing = tuple(index for index, number in enumerate(characters) if number == choice.character)
        if not playing:
            raise Skipped("character", f"{names}; wanted {ids.character_name(choice.character)}")
        return (0, 1) if choice.both else playing
    if choice.both:
        return (0, 1)
    if not 1 <= choice.player <= len(ports):
        raise Skipped("player", f"player {choice.player} of {len(ports)}")
    return (choice.player - 1,)


def judge(about: About, frames: int, lacks: Lacks, choice: Choice) -> None:
    """Judge a game whose start block was not against it.

    Raises:
        Skipped: it is not wanted.
    """
    if choice.everything:
        return
    if frames < MIN_FRAMES:
        raise Skipped("short", f"{frames}")
    judge_columns(about.version, lacks, choice)
    if choice.min_quality is not None and about.quality < choice.min_quality:
        why = f": {about.reasons[0]}" if about.reasons else ""
        raise Skipped("quality", f"{about.quality} of 100{why}")


def judge_columns(version: str, lacks: Lacks, choice: Choice) -> None:
    """Judge a game of some Slippi version by the columns that it does not hold.

    Raises:
        Skipped: one of them is needed.
    """
    missing = lacks & choice.needed
    if missing and not (choice.allow_missing or choice.everything):
        moves = ", read because of --stage-motion" if missing & MOVES else ""
        raise Skipped("columns", f"Slippi {version} lacks {slp.lacking(missing)}{moves}")


def summary(skips: Iterable[Skip]) -> list[tuple[int, str]]:
    """How many files were left out for each reason, most frequent first, with the first file as an example."""
    listed = list(skips)
    first = {skip.reason: skip for skip in reversed(listed)}
    counts = Counter(skip.reason for skip in listed).most_common()
    return [
        (count, f"{'file' if count == 1 else 'files'}: {REASONS[key]}, such as {_name(example)} ({example.detail})")
        for key, count in counts
        if (example := first[key])
    ]


def _name(skip: Skip) -> str:
    return skip.file.replace("\\", "/").rpartition("/")[2]
