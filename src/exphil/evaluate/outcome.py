"""What a match found: how every game ended, and what follows from all of them.

Outcomes of mirrored pairs enter; counts, rates with intervals and a page of JSON leave. What can go wrong: a page that
is no result is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from exphil.errors import DataError, OptionError
from exphil.evaluate.intervals import LEVEL, Anytime, Doubles, Interval, anytime, games_for, resampled, wilson
from exphil.evaluate.ratings import Meeting
from exphil.game.ids import character, character_name, stage, stage_name
from exphil.game.time import FRAMES_PER_SECOND

TARGET = 0.05
"""The half-width of the win rate that is planned for where nobody named one."""
FORMAT = 1
_MINUTE = 60 * FRAMES_PER_SECOND


class Outcome(NamedTuple):
    """One game, seen by the first player.

    Attributes:
        seed: Of its world.
        row: Which of the world's games it was.
        seat: Of the first player, in port order: 0 or 1.
        score: 1 won, 0.5 drawn, 0 lost.
        stocks: Net: taken less lost.
        damage: Net percent: what the opponent took less what it took itself, whoever caused it; leaders only.
        frames: From the first on which hands are free, at least 1.
        by_clock: Both still had stocks: the lead decided.
        stage: External number.
    """

    seed: int
    row: int
    seat: int
    score: float
    stocks: int
    damage: float
    frames: int
    by_clock: bool
    stage: int


@dataclass(frozen=True)
class Result:
    """A match so far. Rates and counts are those of the first player.

    Attributes:
        players: Names of the first and the second.
        characters: Their internal numbers.
        world: Name of the world.
        delay: Frames that it adds.
        seed: That everything follows from, together with ``rows``.
        rows: Games that stood side by side, at most.
        max_frames: Number of the frame on which the lead decides.
        outcomes: Two of a pair one after the other: the same seed and row, ports swapped.
        target: Half-width of the win rate that ends the match; None plays all games.
        level: Share of the intervals that hold the truth.
        canaries: What a watch noticed, by name.
    """

    players: tuple[str, str]
    characters: tuple[int, int]
    world: str
    delay: int
    seed: int
    rows: int
    max_frames: int
    outcomes: tuple[Outcome, ...]
    target: float | None = None
    level: float = LEVEL
    canaries: Mapping[str, Any] | None = None

    @property
    def games(self) -> int:
        """Games played, two a pair."""
        return len(self.outcomes)

    @property
    def wins(self) -> int:
        """Games that the first player won."""
        return self._scored(1.0)

    @property
    def losses(self) -> int:
        """Games that it lost."""
        return self._scored(0.0)

    @property
    def draws(self) -> int:
        """Games that nobody won."""
        return self._scored(0.5)

    @property
    def by_clock(self) -> int:
        """Games that the lead decided."""
        return sum(each.by_clock for each in self.outcomes)

    @property
    def frames(self) -> int:
        """Frames of play of all games."""
        return sum(each.frames for each in self.outcomes)

    @property
    def win_rate(self) -> Interval:
        """Share of points, a draw as half, with Wilson's interval: for games that share nothing, of a fixed number."""
        return wilson(self.wins + self.draws / 2, self.games, self.level)

    @cached_property
    def win_rate_of_pairs(self) -> Interval:
        """The same, resampled over pairs: for any dependence inside a pair, of a fixed number."""
        return self._over_pairs(self._column("score"))

    @cached_property
    def win_rate_anytime(self) -> Anytime:
        """The same over pairs, right however often one looked and whyever one stopped; decides when to stop."""
        scores = self._column("score").reshape(-1, 2).mean(1)
        return anytime(scores, TARGET if self.target is None else self.target, self.level)

    @cached_property
    def net_stocks(self) -> Interval:
        """Stocks taken less stocks lost, per game."""
        return self._over_pairs(self._column("stocks"))

    @cached_property
    def net_stocks_per_minute(self) -> Interval:
        """The same per minute of play."""
        return self._over_pairs(self._column("stocks"), self._column("frames") / _MINUTE)

    @cached_property
    def net_damage_per_minute(self) -> Interval:
        """Percent dealt less percent taken, per minute of play."""
        return self._over_pairs(self._column("damage"), self._column("frames") / _MINUTE)

    @property
    def is_decided(self) -> bool:
        """Whether the win rate is known to +- the target."""
        return self.target is not None and self.win_rate_anytime.more == 0

    def more_games(self, target: float) -> int:
        """About how many more games until the win rate is known to +- ``target``, a multiple of two.

        By the interval that goes with the match: with a target, that over pairs which is right at any time; without,
        Wilson's.

        Raises:
            OptionError: the target is not in (0, 0.5).
        """
        if self.target is None:
            return max(0, 2 * ceil((games_for(self.win_rate.value, target, self.level) - self.games) / 2))
        scores = self._column("score").reshape(-1, 2).mean(1)
        return 2 * anytime(scores, target, self.level).more

    def meetings(self) -> list[Meeting]:
        """The pairs, for ratings."""
        scores = self._column("score").reshape(-1, 2).sum(1)
        return [Meeting(*self.players, float(points), 2) for points in scores]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it: what was played, and what follows from it; characters and stages by name."""
        found: dict[str, Any] = {"format": FORMAT, **{each.name: getattr(self, each.name) for each in fields(self)}}
        found["players"], found["characters"] = list(self.players), list(map(character_name, self.characters))
        found["canaries"] = dict(self.canaries or {})
        for name in ("games", "wins", "losses", "draws", "by_clock", "frames", "is_decided"):
            found[name] = getattr(self, name)
        for name in ("win_rate", "win_rate_of_pairs", "net_stocks", "net_stocks_per_minute", "net_damage_per_minute"):
            found[name] = getattr(self, name)._asdict()
        found["win_rate_anytime"] = self.win_rate_anytime.interval._asdict()
        found["more_games"] = self.more_games(TARGET if self.target is None else self.target)
        found["outcomes"] = [{**each._asdict(), "stage": stage_name(each.stage)} for each in found.pop("outcomes")]
        return found

    @staticmethod
    def from_dict(page: Mapping[str, Any]) -> Result:
        """A result from what ``as_dict`` gave; what follows from the outcomes is counted again.

        Raises:
            DataError: it is no such page.
        """
        try:
            if page["format"] != FORMAT:
                raise DataError(f"a result of another version of exphil (format {page['format']})")
            words = {each.name: page[each.name] for each in fields(Result)}
            words["players"], words["characters"] = tuple(page["players"]), tuple(map(character, page["characters"]))
            words["outcomes"] = tuple(
                Outcome(**{**each, "stage": int(stage(each["stage"]))}) for each in page["outcomes"]
            )
            if len(words["players"]) != 2 or not words["outcomes"] or len(words["outcomes"]) % 2:
                raise DataError("a result without mirrored pairs of two players")
        except (AttributeError, KeyError, TypeError, OptionError):
            raise DataError("not the result of a match, or damaged") from None
        return Result(**words)

    def _scored(self, score: float) -> int:
        return sum(each.score == score for each in self.outcomes)

    def _column(self, name: str) -> Doubles:
        return np.array([getattr(each, name) for each in self.outcomes], np.float64)

    def _over_pairs(self, tops: Doubles, bottoms: Doubles | None = None) -> Interval:
        """A ratio of sums over games, resampled over pairs."""
        below = np.ones(self.games) if bottoms is None else bottoms
        return resampled(tops.reshape(-1, 2).sum(1), below.reshape(-1, 2).sum(1), self.seed, self.level)
