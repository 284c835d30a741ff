"""Ratings: how strong players are, from who met whom and how it ended.

Meetings enter, Elo points leave: ``elo`` walks through them in order and moves two ratings after each, ``rate`` finds
the ratings that make all of them likeliest at once (Bradley-Terry), with intervals. A difference of 400 points means
that the stronger one scores 10 points to 1. What can go wrong: groups that never met cannot be compared, and are
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log
from typing import NamedTuple

import numpy as np

from exphil.errors import DataError, OptionError
from exphil.evaluate.intervals import DRAWS, LEVEL, Doubles, Interval, batches, check_level, ends

POINTS = 400 / log(10)
"""Elo points of one unit of log-odds (Elo 1978, "The Rating of Chessplayers, Past and Present", logistic form)."""
START = 1500.0
PRIOR = 1.0
"""Drawn games that two players who met are taken to have played besides: half a win for each side makes the log-odds of
few games nearly unbiased (Anscombe 1956, "On estimating binomial response relations")."""
LEAST_PRIOR = 0.1
_STEPS, _FAR, _NEAR = 200, 500.0, 1e-6  # of log-odds; the step after a near one is about its square
_LEAST = 1e-6
"""The least that a draw gives to a side of the prior: odds of a million to one need no telling apart from larger ones,
and sums with them would be lost in rounding. One draw of a thousand is below it where the prior is 1."""


class Meeting(NamedTuple):
    """Games of two players that are judged together: one game, or a pair with mirrored ports.

    Attributes:
        first: A player's name.
        second: Another one's.
        points: Of the first: a win is 1, a draw 0.5.
        games: How many.
    """

    first: str
    second: str
    points: float
    games: int = 1


class Schedule(NamedTuple):
    """How far one game moves a rating (K).

    The numbers are those of FIDE (Rating Regulations in force from 1 July 2014, 8.56, and since), without its rules for
    the young and for differences above 400.

    Attributes:
        new: Of who has played fewer than ``new_games``.
        usual: Of everybody else.
        strong: Of who has ever reached ``strong_rating`` after that.
        new_games: Games.
        strong_rating: Elo points.
    """

    new: float = 40.0
    usual: float = 20.0
    strong: float = 10.0
    new_games: int = 30
    strong_rating: float = 2400.0

    def factor(self, standing: Standing) -> float:
        """What a game counts for this player."""
        if standing.games < self.new_games:
            return self.new
        return self.strong if standing.highest >= self.strong_rating else self.usual


class Standing(NamedTuple):
    """A player between two meetings: Elo points, games so far, and the highest rating held after being new."""

    rating: float = START
    games: int = 0
    highest: float = -np.inf


FIDE = Schedule()


def expected(own: float, other: float) -> float:
    """Points per game to expect of a player against another, 0 to 1: 1 / (1 + 10^((other - own) / 400))."""
    return float(1 / (1 + 10 ** (min(max(other - own, -1e5), 1e5) / 400)))


def elo(
    meetings: Iterable[Meeting], schedule: Schedule = FIDE, standings: dict[str, Standing] | None = None
) -> dict[str, Standing]:
    """Ratings that follow the meetings in their order: rating + K (points - games * expected).

    The games of a meeting are judged by the ratings before it.

    Args:
        meetings: In the order in which they were played.
        schedule: How far a game moves a rating.
        standings: Where players stand before; who is not there begins with 1500 points.

    Raises:
        DataError: a meeting of nobody, of one player with itself, or with impossible points.
    """
    found = dict(standings or {})
    for each in meetings:
        _check(each)
        first, second = (found.get(name, Standing()) for name in (each.first, each.second))
        surplus = each.points - each.games * expected(first.rating, second.rating)
        found[each.first] = _moved(first, schedule, surplus, each.games)
        found[each.second] = _moved(second, schedule, -surplus, each.games)
    return found


def _moved(standing: Standing, schedule: Schedule, surplus: float, games: int) -> Standing:
    rating, games = standing.rating + schedule.factor(standing) * surplus, standing.games + games
    return Standing(rating, games, max(standing.highest, rating) if games >= schedule.new_games else standing.highest)


def bradley_terry(points: Doubles) -> Doubles:
    """Strengths that make results likeliest: log-odds of i over j are the difference of their strengths.

    They are unique where every player is beaten, if only a little, by somebody of every group that it beats (Ford 1957,
    "Solution of a ranking problem from binary comparisons"); a prior sees to that. Newton's method finds them: the
    iteration of Hunter (2004, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics 32) has the
    same end, but needs more than 100,000 steps for a chain of players each of whom beat the next one twenty times.

    Args:
        points: ``(…, n, n)``: what i scored against j, draws as half; nothing on the diagonal.

    Returns:
        ``(…, n)`` log-odds, of mean 0.

    Raises:
        DataError: no finite strengths are likeliest, or they were not found.
    """
    games, won = points + np.swapaxes(points, -1, -2), points.sum(-1)
    strengths: Doubles = np.zeros(won.shape)
    met, same = games > 0, np.eye(points.shape[-1])
    for _ in range(_STEPS):
        apart = np.clip(strengths[..., :, None] - strengths[..., None, :], -_FAR, _FAR)
        share = 1 / (1 + np.exp(-apart))
        slope = won - (games * share).sum(-1)
        bend = games * share * (1 - share)
        # the mean strength does nothing: ones keep it where it is
        matrix = same * bend.sum(-1)[..., None] - bend + 1 / points.shape[-1]
        try:
            step = np.linalg.solve(matrix, slope[..., None])[..., 0]
        except np.linalg.LinAlgError:
            break
        widest = (np.abs(step[..., :, None] - step[..., None, :]) * met).max((-2, -1))
        # while no two who met move apart by more than 1, the likelihood grows: its bend changes by a factor e at most,
        # and that takes away e - 2 = 0.72 of what the slope promises
        strengths = strengths + step / np.maximum(widest, 1)[..., None]
        if np.abs(step).max() < _NEAR:
            found: Doubles = strengths - strengths.mean(-1, keepdims=True)
            return found
    raise DataError("no finite ratings are likeliest: a player, or a group, won or lost everything", fix="use a prior")


def rate(
    meetings: Sequence[Meeting],
    anchor: str,
    rating: float = START,
    *,
    prior: float = PRIOR,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bradley-Terry ratings in Elo points, whatever the order of the meetings, with intervals.

    The intervals are a Bayesian bootstrap (Rubin 1981) over meetings: each draw weighs every meeting with an
    exponential number of mean 1 and the win and loss of the prior with gamma numbers of mean ``prior`` / 2. For single
    games without draws that is the Jeffreys interval of two players, which keeps its level also when one of them won
    every game (Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion"). Games of a mirrored
    pair are one meeting, so what they share is not counted twice.

    Args:
        meetings: At least one.
        anchor: Who has ``rating``, without an interval: the others are known relative to this player.
        rating: Elo points.
        prior: Drawn games that two players who met are taken to have played besides, at least 0.1: an unbeaten
            player stays finite.
        level: Share of such intervals that hold the truth.
        draws: How many.
        seed: Of the draws.

    Returns:
        By player, the strongest first.

    Raises:
        DataError: no meetings, impossible ones, or groups of players that never met.
        OptionError: the anchor never played, or the prior or the level is impossible.
    """
    check_level(level)
    if not prior >= LEAST_PRIOR:
        raise OptionError(f"a prior of {prior:g} games hardly bounds unbeaten players", "prior", "say 1")
    for each in meetings:
        _check(each)
    if not meetings:
        raise DataError("nobody has played", "ratings", "play a match first")
    names = sorted({name for each in meetings for name in (each.first, each.second)})
    if anchor not in names:
        raise OptionError(f"{anchor} never played", "anchor", f"these did: {', '.join(names)}")
    table = _Table(meetings, names)
    _check_groups(table, names)
    at = names.index(anchor)
    found = _scaled(bradley_terry(table.points(np.ones(len(meetings)), prior / 2, prior / 2)), at, rating)
    random, spread = np.random.default_rng(seed), []
    for count in batches(draws, max(len(meetings), len(names) ** 2)):
        weights = random.standard_exponential((count, len(meetings)))
        won, lost = np.maximum(random.standard_gamma(prior / 2, (2, count, len(table.couples))), _LEAST)
        spread.append(_scaled(bradley_terry(table.points(weights, won, lost)), at, rating))
    low, high = ends(np.concatenate(spread), level)
    order = np.argsort(-found, kind="stable")
    return {names[i]: Interval(float(found[i]), float(low[i]), float(high[i])) for i in order}


class _Table:
    """Meetings by couple of players. Shapes: m meetings, c couples, n players."""

    def __init__(self, meetings: Sequence[Meeting], names: Sequence[str]) -> None:
        number = {name: at for at, name in enumerate(names)}
        pairs = np.array([(number[each.first], number[each.second]) for each in meetings])
        points, games = (np.array([float(each[at]) for each in meetings]) for at in (2, 3))
        turned = pairs[:, 0] > pairs[:, 1]
        self.players = len(names)
        self.couples, couple = np.unique(np.sort(pairs, 1), axis=0, return_inverse=True)
        # the draws of a seed belong to meetings in a fixed order, so that theirs does not matter
        points = np.where(turned, games - points, points)
        self._order = np.lexsort((games, points, couple))
        self._starts = np.searchsorted(couple[self._order], np.arange(len(self.couples)))
        self._points, self._games = points[self._order], games[self._order]

    def points(self, weights: Doubles, won: Doubles | float, lost: Doubles | float) -> Doubles:
        """What i scored against j, ``(…, n, n)``.

        Args:
            weights: ``(…, m)`` of the meetings, sorted by couple, points and games.
            won: ``(…, c)``: points of the prior for the first of each couple.
            lost: The same for the second.
        """
        ours = np.add.reduceat(weights * self._points, self._starts, -1)
        all_ = np.add.reduceat(weights * self._games, self._starts, -1)
        found = np.zeros((*weights.shape[:-1], self.players, self.players))
        found[..., self.couples[:, 0], self.couples[:, 1]] = ours + won
        found[..., self.couples[:, 1], self.couples[:, 0]] = np.maximum(all_ - ours, 0) + lost
        return found


def _scaled(strengths: Doubles, anchor: int, rating: float) -> Doubles:
    return rating + POINTS * (strengths - strengths[..., anchor, None])


def _check(meeting: Meeting) -> None:
    where = f"{meeting.first} - {meeting.second}"
    if meeting.first == meeting.second:
        raise DataError("a player cannot be rated by games against itself", where)
    if meeting.games < 1 or not 0 <= meeting.points <= meeting.games:
        raise DataError(f"nobody can score {meeting.points:g} points in {meeting.games} games", where)


def _check_groups(table: _Table, names: Sequence[str]) -> None:
    reached = {0}
    while True:
        near = {int(i) for couple in table.couples if reached & set(couple.tolist()) for i in couple}
        if near <= reached:
            break
        reached |= near
    if len(reached) < len(names):
        one, other = ([name for i, name in enumerate(names) if (i in reached) is side] for side in (True, False))
        raise DataError(
            f"nobody of {', '.join(one)} met anybody of {', '.join(other)}",
            "ratings",
            "play a match between them, or rate the groups apart",
        )
