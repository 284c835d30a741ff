"""Replays: how many there are, of which kind, and how many of a sample can be read.

What enters: the folder or archive that was named. What leaves: a finding. What can go wrong, and is told: there is no
such folder, nothing in it is a replay, or it cannot be listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from exphil.cli.checks.finding import OK, PROBLEM, UNSEEN, WARNING, Asked, Finding
from exphil.cli.shown.drawing import many

if TYPE_CHECKING:
    from exphil.replays.sources import Source

SAMPLE = 20
"""Replays that are read: a tenth of a second, once the reader is compiled."""
KINDS = (".slp", ".slp.gz", ".slp.xz", ".zip", ".7z")


def replays(asked: Asked) -> Iterator[Finding]:
    """Find them and read a few; nothing is kept."""
    if asked.replays is None:
        yield Finding("replays", UNSEEN, "--replays FOLDER")
        return
    from exphil.replays import sources
    from exphil.replays.listing import describe_bytes

    found = sources.find(asked.replays, asked.max_files)
    kinds = Counter(kind(source.path.name) for source in found.sources)
    read = [describe_bytes(source, data) for source, data in sources.read_all(sample(found.sources))]
    bad = [(record.file, "; ".join(record.problems)) for record in read if not record.readable]
    refused = [(each.where, each.reason) for each in found.refused]
    yield judge_replays(kinds, len(read), bad, refused)


def kind(name: str) -> str:
    """Of a file, by its name."""
    return next(each for each in sorted(KINDS, key=len, reverse=True) if name.lower().endswith(each))


def sample(found: Sequence[Source], count: int = SAMPLE) -> list[Source]:
    """A few from the whole of them; the first ones where reaching a later one costs unpacking those before it."""
    from exphil.replays.sources import heads_are_cheap

    cheap = [source for source in found if heads_are_cheap(source)]
    if not cheap:
        return list(found[:count])
    taken = min(count, len(cheap))
    return [cheap[at * len(cheap) // taken] for at in range(taken)]


def judge_replays(
    kinds: Counter[str], read: int, bad: Sequence[tuple[str, str]], refused: Sequence[tuple[str, str]]
) -> Finding:
    """One bad file is normal; a sample in which nothing can be read is a problem.

    Args:
        kinds: How many there are of each kind.
        read: How many of them were tried.
        bad: Those of them that cannot be read, and why.
        refused: Folders, archives and members that were passed over, and why.
    """
    listed = ", ".join(f"{count:,} {kind if kind in KINDS[:3] else f'in {kind}'}" for kind, count in kinds.items())
    words = f"{listed}; {read - len(bad)} of {read} that were tried can be read"
    trouble = [*bad, *refused]
    if not trouble:
        return Finding("replays", OK, words)
    if refused:
        words += f"; {many(len(refused), 'place')} passed over"
    where, why = trouble[0]
    state = PROBLEM if len(bad) == read else WARNING
    return Finding(
        "replays", state, f"{words}; {where}: {why}", "exphil replays scan names every file and what it lacks"
    )
