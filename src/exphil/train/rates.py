"""The learning-rate range test: one short run whose rate grows with every step, and what its loss says.

What enters: a function that makes one training step at a rate and gives the loss before it, and the losses that the
untouched network has on the same batches. What leaves: the curve, and two rates read off it. What can go wrong:
nothing; a loss that explodes ends the test, and a loss that never falls gives no rate. L. Smith, "Cyclical Learning
Rates for Training Neural Networks", 2017. The comparison with the untouched network is ours: how hard a batch is
differs by more than a step teaches, and a share of what it cost at first differs little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMOOTHED = 10
"""Averages reach over a tenth of the steps."""
TOO_MUCH = 4.0
"""Times the best averaged share: above it the test ends."""
LEAST_FALL = 0.02
"""Of the untouched loss: who falls by less has learned nothing."""


class Sweep(NamedTuple):
    """A range test.

    Attributes:
        rates: The rates that a step was made with, rising.
        losses: Before the step with each rate; the last one may not be finite.
        shares: Of the untouched network's loss on the same batch, at most 1, averaged over the steps around each; as
            many as ``losses``, all finite.
        steepest: The rate at which the averaged share falls fastest against the logarithm of the rate; None when it
            does not fall.
        tenth: A tenth of the rate where the averaged share is least; None likewise.
        diverged: The rate at which the loss exploded; None when all rates were tried.
    """

    rates: list[float]
    losses: list[float]
    shares: list[float]
    steepest: float | None
    tenth: float | None
    diverged: float | None


def spaced(low: float, high: float, steps: int) -> list[float]:
    """Rates from ``low`` to ``high``, each the same factor above the one before.

    Args:
        low: Above 0.
        high: Above ``low``.
        steps: How many, from 2.
    """
    return [low * (high / low) ** (at / (steps - 1)) for at in range(steps)]


def sweep(
    step: Callable[[float], float],
    untouched: Sequence[float],
    low: float,
    high: float,
    told: Callable[[int, float], None] = lambda done, share: None,
) -> Sweep:
    """Make a step at every rate from ``low`` to ``high`` until the loss explodes.

    Args:
        step: One step of the optimiser at a rate; gives the loss before it, and may leave the step out where that is
            not finite.
        untouched: The losses of the network as it was, on the batches of the same steps; as many rates are tried.
        low: Smallest rate, above 0.
        high: Largest rate, above ``low``.
        told: Hears how many steps are made and the averaged share.
    """
    steps = len(untouched)
    keep, average, best, diverged = _keep(steps), 0.0, math.inf, None
    losses: list[float] = []
    shares: list[float] = []
    rates = spaced(low, high, steps)
    for done, (rate, before) in enumerate(zip(rates, untouched, strict=True), 1):
        losses.append(step(rate))
        shares.append(losses[-1] / before if 0 < before < math.inf else 1.0)  # a batch without decisions costs nothing
        average = keep * average + (1 - keep) * shares[-1]
        corrected = average / (1 - keep**done)  # as if there had been steps before the first
        told(done, corrected)
        best = min(best, corrected)
        if not math.isfinite(corrected) or corrected > TOO_MUCH * best:
            diverged = rate
            break
    tried, curve = rates[: len(losses)], averaged(shares, steps)
    return Sweep(tried, losses, curve.tolist(), *read_off(tried, curve), diverged)


def averaged(shares: Sequence[float], steps: int) -> NDArray[np.float64]:
    """Shares averaged over the steps before and after each, with weights that fall exponentially and sum to 1.

    An average over the steps before alone comes late, by so much that rates read off it would be three times too
    large. What is above 1 counts as 1: how far it explodes at the end says nothing about where it was least.

    Args:
        shares: In the order of the steps; they may be not finite.
        steps: Of a whole test.
    """
    known = np.nan_to_num(np.asarray(shares, np.float64), nan=1.0, posinf=1.0, neginf=1.0)
    place = np.arange(len(known))
    weight = _keep(steps) ** np.abs(place[:, None] - place)
    found: NDArray[np.float64] = weight @ np.minimum(known, 1.0) / weight.sum(1)
    return found


def read_off(rates: Sequence[float], shares: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The rate of the steepest fall before the least share, and a tenth of the rate of the least share.

    Both are None where the share does not fall.
    """
    least = int(shares.argmin())
    if least < 1 or shares[0] - shares[least] < LEAST_FALL:
        return None, None
    slope = np.gradient(shares, np.log(rates))
    return float(rates[int(slope[: least + 1].argmin())]), float(rates[least]) / 10


def _keep(steps: int) -> float:
    """Share of an average that a step leaves as it is."""
    return max(1 - SMOOTHED / steps, 0.0)
