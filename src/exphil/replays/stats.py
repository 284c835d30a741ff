"""What a collection of replays holds: counts, as data, as bars for the terminal, and as one HTML page.

``Stats.of`` counts ``Facts``, one a file. Nothing here reads a file or prints. Player names are other people's text:
the page escapes every one of them and runs no script.
"""

from __future__ import annotations

import html as text
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from exphil.game.time import FIRST_FRAME, FRAMES_PER_SECOND
from exphil.pages import page, totals

_MINUTE = 60 * FRAMES_PER_SECOND
_LAST_MINUTE = 8
"""Eight minutes are the tournament clock; what reaches it shares the last bin."""
_ROLLBACKS = ((0.0, "none"), (0.01, "up to 1%"), (0.05, "1-5%"), (0.1, "5-10%"), (0.2, "10-20%"), (0.4, "20-40%"))
"""Upper ends of the bins of the share of recorded rows that netplay rolled back, and their names. Public netplay games
have a median of 0.25%, a ninth decile of 17% and at most 59%."""
_MOST_ROLLBACKS = "over 40%"

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Facts:
    """What is counted of one file. One that cannot be read has a problem and zeros."""

    file: str
    frames: int = 0
    """Distinct frame numbers, the 123 before the clock starts among them."""
    rows: int = 0
    """Recorded frames: those that netplay rolled back count each time."""
    version: str = ""
    stage: str = ""
    characters: tuple[str, ...] = ()
    """By port."""
    players: tuple[str, ...] = ()
    """By port: the connect code, else the in-game tag, else empty."""
    quality: int | None = None
    """0..100; None when it was not measured."""
    problem: bool = False
    """Something is wrong with the file, if only that it ends early."""
    programs: tuple[bool, ...] = ()
    """By port, whether a computer or a program plays."""

    @property
    def rollback_share(self) -> float:
        """Share of the recorded frames that were rolled back, 0..1."""
        return max(0, self.rows - self.frames) / self.rows if self.rows > 0 else 0.0


class Bar(NamedTuple):
    """One row of a chart; ``share`` is of the chart's whole, 0..1."""

    label: str
    number: int
    share: float


class Chart(NamedTuple):
    """A titled list of bars."""

    title: str
    rows: tuple[Bar, ...]


@dataclass(frozen=True)
class Stats:
    """Counts over a collection; every table is label to count, in the order in which it is shown.

    Characters and players count once for each port, so a ditto counts its character twice; everything else counts once
    a game. Files that cannot be read count in ``files`` and ``problems`` alone.
    """

    files: int
    games: int
    """Files with at least one frame."""
    problems: int
    programs: int
    """Games in which a computer or a program plays."""
    frames: int
    rows: int
    characters: dict[str, int]
    matchups: dict[str, int]
    stages: dict[str, int]
    versions: dict[str, int]
    """Oldest first."""
    players: dict[str, int]
    """Those with a code or a tag."""
    unnamed: int
    """Ports without either."""
    lengths: dict[str, int]
    """By minutes since the clock started."""
    quality: dict[str, int]
    """By tens; empty when no file was measured."""
    rollbacks: dict[str, int]
    """By the share of recorded frames that were rolled back."""

    @staticmethod
    def of(facts: Iterable[Facts]) -> Stats:
        """Count."""
        listed = list(facts)
        games = [each for each in listed if each.frames > 0]
        names = [name for each in games for name in each.players]
        scores = [each.quality for each in games if each.quality is not None]
        return Stats(
            files=len(listed),
            games=len(games),
            problems=sum(each.problem for each in listed),
            programs=sum(any(each.programs) for each in games),
            frames=sum(each.frames for each in games),
            rows=sum(each.rows for each in games),
            characters=_most_first(name for each in games for name in each.characters),
            matchups=_most_first(" - ".join(sorted(each.characters)) for each in games if each.characters),
            stages=_most_first(each.stage for each in games),
            versions=_by_version(each.version for each in games),
            players=_most_first(name for name in names if name),
            unnamed=sum(not name for name in names),
            lengths=_histogram((_minute(each.frames) for each in games), _MINUTES),
            quality=_histogram((_ten(score) for score in scores), _TENS) if scores else {},
            rollbacks=_histogram((_rollback(each.rollback_share) for each in games), _ROLLBACK_BINS),
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON takes it: numbers, and tables in the order in which they are shown."""
        return {name: dict(value) if isinstance(value, dict) else value for name, value in vars(self).items()}

    def bars(self, most: int | None = 20) -> list[Chart]:
        """The tables as charts, empty ones left out.

        Args:
            most: Rows of the charts without a natural order; the others are summed up in a last row. None shows all.
        """
        ports = sum(self.characters.values())
        charts = [
            _chart("Characters", self.characters, ports, most),
            _chart("Match-ups", self.matchups, self.games, most),
            _chart("Stages", self.stages, self.games, most),
            _chart("Slippi versions", self.versions, self.games, None),
            _chart("Players", self.players, ports, most),
            _chart("Length in minutes", self.lengths, self.games, None),
            _chart("Quality", self.quality, sum(self.quality.values()), None),
            _chart("Frames rolled back", self.rollbacks, self.games, None),
        ]
        return [chart for chart in charts if chart.rows]

    def facts(self) -> list[tuple[str, str]]:
        """The totals, as words and numbers."""
        share = max(0, self.rows - self.frames) / self.rows if self.rows else 0.0
        hours = self.frames / (60 * _MINUTE)
        return [
            ("Files", f"{self.files:,}"),
            ("Games", f"{self.games:,}"),
            ("Files with problems", f"{self.problems:,}"),
            ("Games with a program", f"{self.programs:,}"),
            ("Frames", f"{self.frames:,}"),
            ("Hours", f"{hours:,.1f}"),
            ("Rolled back", f"{share:.1%}"),
            ("Unnamed ports", f"{self.unnamed:,}"),
        ]

    def html(self, title: str = "Replays") -> str:
        """One page that needs nothing else: all rows of all charts, light and dark, for phones and wide screens."""
        charts = "\n".join(map(_section, self.bars(most=None)))
        return page(title, f"{totals(self.facts())}\n<main>\n{charts}\n</main>", _STYLE)


_MINUTES = (*(f"{minute}-{minute + 1}" for minute in range(_LAST_MINUTE)), f"{_LAST_MINUTE} and more")
_TENS = (*(f"{ten}-{ten + 9}" for ten in range(0, 90, 10)), "90-100")
_ROLLBACK_BINS = (*(name for _, name in _ROLLBACKS), _MOST_ROLLBACKS)


def _minute(frames: int) -> str:
    return _MINUTES[min(max(0, frames + FIRST_FRAME) // _MINUTE, _LAST_MINUTE)]


def _ten(score: int) -> str:
    return _TENS[min(max(score, 0) // 10, len(_TENS) - 1)]


def _rollback(share: float) -> str:
    return next((name for end, name in _ROLLBACKS if share <= end), _MOST_ROLLBACKS)


def _most_first(names: Iterable[T]) -> dict[T, int]:
    """Most frequent first, then by name."""
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], str(item[0]))))


def _by_version(versions: Iterable[str]) -> dict[str, int]:
    def order(version: str) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in version.split(".")]

    return dict(sorted(Counter(versions).items(), key=lambda item: order(item[0])))


def _histogram(bins: Iterable[str], order: tuple[str, ...]) -> dict[str, int]:
    """Every bin, empty ones too: a histogram without its gaps lies."""
    counts = Counter(bins)
    return {name: counts[name] for name in order} if counts else {}


def _chart(title: str, table: dict[str, int], whole: int, most: int | None) -> Chart:
    rows = [Bar(label, count, count / whole) for label, count in table.items()]
    if most is not None and len(rows) > most + 1:  # one left-out row is as short as the row that would stand for it
        rest = sum(row.number for row in rows[most:])
        rows = [*rows[:most], Bar(f"{len(rows) - most} others", rest, rest / whole)]
    return Chart(title, tuple(rows))


_STYLE = """
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem;
  align-items: start; }
.rows { max-height: 32rem; overflow-y: auto; }
table { width: 100%; border-collapse: collapse; }
th { width: 40%; padding: .15rem .6rem .15rem 0; text-align: left; font-weight: 400; overflow-wrap: anywhere; }
td { padding: .15rem 0; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.bar { width: 40%; }
td.share { width: 3.2rem; color: var(--soft); }
td.count { padding: .15rem .1rem .15rem .6rem; }
.rail { height: .7rem; border-radius: .35rem; background: var(--rail); overflow: hidden; }
.rail i { display: block; height: 100%; background: var(--bar); }
"""


def _section(chart: Chart) -> str:
    """A card with one row a bar; the longest bar fills its rail. Long charts scroll within the card."""
    longest = max(bar.number for bar in chart.rows) or 1
    rows = "\n".join(
        f'<tr><th scope="row"><bdi>{text.escape(bar.label)}</bdi></th>'  # bdi: a right-to-left tag stays in its cell
        f'<td class="bar"><div class="rail"><i style="width:{100 * bar.number / longest:.1f}%"></i></div></td>'
        f'<td class="count">{bar.number:,}</td><td class="share">{bar.share:.1%}</td></tr>'
        for bar in chart.rows
    )
    return (
        f'<section>\n<h2>{text.escape(chart.title)}</h2>\n<div class="rows">\n'
        f"<table>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n</section>"
    )
