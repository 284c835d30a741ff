"""How sure a number is: intervals for a share, for sums that are resampled, and for a mean that is looked at often.

Scores and sums of games enter, an ``Interval`` leaves. What can go wrong: resampling sees only what was sampled, so
from fewer than about ten units its intervals are too narrow, and from units that are all alike they have no width.
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.errors import OptionError

Doubles = NDArray[np.float64]
LEVEL = 0.95
DRAWS = 2000
"""Resamples of an interval: the ends of a 95% interval then rest on 50 draws each."""
_AT_ONCE = 1 << 21
"""Weights that are in memory at a time, 16 MiB."""


class Interval(NamedTuple):
    """An estimate with its ends; without ends where nothing can be said about them."""

    value: float
    low: float | None
    high: float | None


def check_level(level: float) -> None:
    """Whether this is a share of intervals that hold the truth.

    Raises:
        OptionError: it is not inside (0, 1).
    """
    if not 0 < level < 1:
        raise OptionError(f"an interval cannot hold the truth in {level:g} of cases", "level", "say 0.95")


def check(target: float, level: float) -> None:
    """Whether a win rate can be known to +- ``target`` in this share of cases.

    Raises:
        OptionError: the target is not in (0, 0.5), or the level not in (0, 1).
    """
    check_level(level)
    if not 0 < target < 0.5:
        raise OptionError(f"a win rate cannot be known to +-{target:g}", "target", "say 0.05")


def wilson(points: float, games: int, level: float = LEVEL) -> Interval:
    """The score interval of a share (Wilson 1927, "Probable inference, the law of succession").

    It takes the games as independent and their number as fixed beforehand. With draws as half points it is a little
    too wide, since a draw varies less than a win and a loss.

    Args:
        points: Wins and half the draws, 0 to ``games``.
        games: At least 1.
        level: Share of such intervals that hold the truth.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = points / games, z * z / games
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(max(share * (1 - share), 0) / games + spread / games / 4)
    return Interval(share, min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share))


def games_for(share: float, target: float, level: float = LEVEL) -> int:
    """The fewest games after which Wilson's interval of this share is +- ``target`` or narrower.

    Args:
        share: In [0, 1].
        target: Half-width, > 0.
        level: As for ``wilson``.

    Raises:
        OptionError: the target is not in (0, 0.5), or the level not in (0, 1).
    """
    check(target, level)

    def is_known(games: int) -> bool:
        found = wilson(share * games, games, level)
        return (found.high or 0.0) - (found.low or 0.0) <= 2 * target

    most = 1
    while not is_known(most):
        most *= 2
    return most // 2 + bisect_left(range(most // 2, most + 1), True, key=lambda games: games > 0 and is_known(games))


def resampled(tops: Doubles, bottoms: Doubles, seed: int, level: float = LEVEL, draws: int = DRAWS) -> Interval:
    """A ratio of two sums over units, with the percentile interval of the Bayesian bootstrap (Rubin 1981).

    Every draw weighs each unit with an exponential number of mean 1, where the plain bootstrap weighs with counts.

    Args:
        tops: ``(n,)``, what each unit adds above the line.
        bottoms: ``(n,)``, what it adds below, > 0.
        seed: Of the draws.
        level: Share of such intervals that hold the truth.
        draws: How many.

    Returns:
        The ratio; without ends when there is one unit only.
    """
    value = float(tops.sum() / bottoms.sum())
    if len(tops) < 2:
        return Interval(value, None, None)
    random, found = np.random.default_rng(seed), []
    for at in batches(draws, len(tops)):
        weights = random.standard_exponential((at, len(tops)))
        found.append((weights @ tops) / (weights @ bottoms))
    low, high = ends(np.concatenate(found), level)
    return Interval(value, float(low), float(high))


def batches(draws: int, units: int) -> list[int]:
    """How many draws of weights are made at a time, so that few are in memory."""
    most = max(1, _AT_ONCE // max(units, 1))
    return [min(most, draws - first) for first in range(0, draws, most)]


def ends(draws: Doubles, level: float) -> Doubles:
    """Low and high end, ``(2, …)``, that leave out equal shares of the draws, ``(n, …)``."""
    found: Doubles = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return found


class Anytime(NamedTuple):
    """What may be said of a mean at any time, however often it was looked at.

    Attributes:
        interval: The plain mean of the scores, and ends in [0, 1].
        more: About how many more scores until the interval is +- the target, 0 when it is; early on
            rather too many, since the variance begins at its largest.
    """

    interval: Interval
    more: int

    @property
    def half_width(self) -> float:
        """Half the distance of the ends."""
        return ((self.interval.high or 0.0) - (self.interval.low or 0.0)) / 2


def anytime(scores: Doubles, target: float, level: float = LEVEL) -> Anytime:
    """A confidence sequence for a mean: with probability ``level`` it holds the truth at every length at once.

    So one may look after every score and stop for whatever reason, also because the interval is narrow enough: the
    interval at that moment is still right with at least this probability. The price: two and a half times the scores
    that an interval of a fixed length would need, more where one side wins nearly everything. It is the empirical
    Bernstein sequence with predictable bets of Waudby-Smith and Ramdas (2024, "Estimating means of bounded random
    variables by betting", theorem 2), of the family of Howard, Ramdas, McAuliffe and Sekhon (2021, "Time-uniform,
    nonparametric, nonasymptotic confidence sequences"):

        (sum b x +- (log(2 / a) + sum (x - m)^2 p(b))) / sum b,   p(b) = -log(1 - b) - b,   a = 1 - level

    with m the mean of the scores before x and one score of 1/2 more, b a bet in (0, 1) that depends on the scores
    before x only. Here b = min(w / (w + s), sqrt(2 log(2 / a) / (s t))), with w the target, s the variance of the
    scores before x and one of 1/4 more, t the number of x. The first term is where b w - s p(b) is largest, which makes
    the interval +- w after the fewest scores of variance s; the second lets it shrink on after that. From here on it
    takes about

        (log(2 / a) + sum (x - m)^2 p(b) - h sum b) / (b h - s p(b))   scores more,

    with h = w, or 2 w - d where the centre is only d < w away from 0 or 1: there the interval is cut off.

    Args:
        scores: ``(n,)`` in [0, 1], in the order in which they came; n may be 0.
        target: The half-width that the bets are made for, in (0, 0.5). Another one is right too, and wider.
        level: Probability that it holds the truth.

    Raises:
        OptionError: the target is not in (0, 0.5), or the level not in (0, 1).
    """
    check(target, level)
    bar = log(2 / (1 - level))
    count = np.arange(1, len(scores) + 1)
    means = np.append(0.5, (0.5 + np.cumsum(scores)) / (1 + count))
    variances = np.append(0.25, (0.25 + np.cumsum((scores - means[1:]) ** 2)) / (1 + count))
    following = np.arange(1, len(scores) + 2)
    bets = np.minimum(target / (target + variances), np.sqrt(2 * bar / (variances * following)))
    prices = -np.log1p(-bets) - bets
    bet, paid = float(bets[:-1].sum()), bar + float(((scores - means[:-1]) ** 2 * prices[:-1]).sum())
    interval, wanted = Interval(0.5, 0.0, 1.0), target
    if len(scores):
        centre, half = float(bets[:-1] @ scores) / bet, paid / bet
        interval = Interval(float(scores.mean()), max(centre - half, 0.0), min(centre + half, 1.0))
        wanted = max(target, 2 * target - min(centre, 1 - centre))
    if Anytime(interval, 0).half_width <= target:
        return Anytime(interval, 0)
    gain = bets[-1] * wanted - variances[-1] * prices[-1]
    return Anytime(interval, max(1, ceil((paid - wanted * bet) / gain)))
