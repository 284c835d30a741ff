"""Canaries: rates of simple behaviour that people keep within known ranges, so that a broken player shows.

Frames of a match or of any world enter; rates (``behaviour.py``) and verdicts leave. A player whom every canary passes
need not play well; one who fails plays as hardly anybody in the recordings did. What can go wrong: too little play
gives no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from exphil.envs.environment import Frame
from exphil.evaluate.behaviour import COUNTED, Counts, Doubles, Flags, rates
from exphil.game.time import FRAMES_PER_SECOND

_FRAMES = COUNTED.index("frames")
MIN_FRAMES = 60 * FRAMES_PER_SECOND
"""Frames played before anything is judged: the ranges are those of games longer than a minute."""
MARGIN = 1.5
"""What passes is wider than the percentiles by this factor on both sides. Of held-out player-games of people 71% pass
every canary without it, 92% with 1.25, 95% with 1.5 (and no canary fails in more than 1%), 99% with 2; of matches of
five held-out games all pass, for means lie closer together than games (``bench/results/canaries.json``)."""


class Range(NamedTuple):
    """What people do.

    Attributes:
        first: The first percentile over player-games.
        last: The ninety-ninth.
        games: Player-games in which there was enough of it.
        says: What is counted.
        margin: How much wider than the percentiles is what passes.
    """

    first: float
    last: float
    games: int
    says: str
    margin: float = MARGIN

    @property
    def low(self) -> float:
        """The least that passes."""
        return self.first / self.margin

    @property
    def high(self) -> float:
        """The most that passes."""
        return self.last * self.margin


# fmt: off
RANGES = {
    "jumps": Range(15.62, 61.97, 300, "jumps a minute"),
    "wavedashes": Range(0, 19.19, 300, "wavedashes a minute"),
    "presses": Range(75.76, 199.9, 300, "presses of buttons a minute"),
    "shield": Range(0.006342, 0.1089, 300, "share of frames in shield"),
    "changes": Range(0.1436, 0.4567, 300, "share of frames on which the controller changes"),
    "unchanged_longest": Range(0.866, 6.119, 300, "longest stretch without a change, in seconds"),
    "held": Range(0.1567, 0.4843, 300, "share of frames with a button held"),
    "suicides": Range(0, 0.5, 148, "share of lost stocks thrown away"),
    "l_cancels": Range(0.07276, 1, 278, "share of landing aerials cancelled"),
    "a_mean": Range(0.06109, 0.264, 297, "mean press of A in seconds"),
    "a_longest": Range(0.1332, 1.533, 300, "longest press of A in seconds"),
    "b_mean": Range(0.07221, 0.515, 270, "mean press of B in seconds"),
    "b_longest": Range(0.1, 2.467, 300, "longest press of B in seconds"),
    "x_mean": Range(0.04, 0.3508, 82, "mean press of X in seconds"),
    "x_longest": Range(0, 1.085, 300, "longest press of X in seconds"),
    "y_mean": Range(0.05164, 0.3106, 253, "mean press of Y in seconds"),
    "y_longest": Range(0, 2.02, 300, "longest press of Y in seconds"),
    "z_mean": Range(0.05744, 0.3905, 73, "mean press of Z in seconds"),
    "z_longest": Range(0, 1.787, 300, "longest press of Z in seconds"),
    "l_mean": Range(0.06876, 0.6878, 133, "mean press of L in seconds"),
    "l_longest": Range(0, 2.801, 300, "longest press of L in seconds"),
    "r_mean": Range(0.06843, 0.7807, 246, "mean press of R in seconds"),
    "r_longest": Range(0, 2.85, 300, "longest press of R in seconds"),
}
# fmt: on
"""Of the 300 player-games of 150 public games between people (two sets of 32 and 118 games; 33 are without hitlag).
Where the first percentile is 0, doing none of it passes: some characters are played without wavedashes, and few people
use all of X, Y, L and R. Made by ``tools/measure_canaries.py``."""


class Verdict(NamedTuple):
    """Whether one rate is one of people.

    Attributes:
        name: Of the rate.
        value: None when there was too little to say.
        low: The least that passes.
        high: The most.
        passed: None when there was too little to say.
        said: The same as a sentence.
    """

    name: str
    value: float | None
    low: float
    high: float
    passed: bool | None
    said: str


def judge(found: Mapping[str, float], frames: float, ranges: Mapping[str, Range] = RANGES) -> list[Verdict]:
    """Compare the rates of one player with those of people.

    Args:
        found: What ``rates`` gave.
        frames: That it was measured on; with fewer than ``MIN_FRAMES`` nothing is judged.
        ranges: Of people.
    """
    verdicts = []
    for name, people in ranges.items():
        value = found.get(name) if frames >= MIN_FRAMES else None
        if value is None:
            verdicts.append(Verdict(name, None, people.low, people.high, None, f"{people.says}: not enough games"))
            continue
        passed = people.low <= value <= people.high
        said = f"{people.says}: {value:.3g}, people {people.low:.3g} to {people.high:.3g}"
        verdicts.append(Verdict(name, value, people.low, people.high, passed, said))
    return verdicts


class Canaries:
    """Watches a match, or any world, and says whether its two players behave like people.

    It is a ``match.Watch`` by ``see`` and ``canaries``, where the first player is the first contestant on whichever
    port; ``watch`` goes into ``envs.environment.run``, where the first player is that of the first port.
    """

    def __init__(self) -> None:
        self._total = np.zeros((2, len(COUNTED)))
        self._counts, self._games, self._seat = Counts(0), 0, 0

    def watch(self, frame: Frame, decisions: Mapping[int, Any]) -> None:
        """One frame of a world; what was decided is read off the next one."""
        self.see(frame, (), 0, np.ones(len(frame.game), np.bool_))

    def see(self, frame: Frame, decisions: Sequence[Any], seat: int, counts: Flags) -> None:
        """One frame of a match: players in port order, the first contestant on ``seat``, rows that count."""
        if (len(frame.game), seat) != (self._games, self._seat) or frame.is_first.all():
            self._total = self.totals()  # another world
            self._games, self._seat = len(frame.game), seat
            self._counts = Counts(self._games)
        self._counts.see(frame.game, frame.is_first, counts)

    def totals(self) -> Doubles:
        """``(2, len(COUNTED))``: what the first and the second player did so far."""
        here = self._counts.sums.sum(0)
        found: Doubles = self._total + (here[::-1] if self._seat else here)
        return found

    def rates(self, player: int = 0) -> dict[str, float]:
        """The rates of the first or second player; see the function of this name."""
        return rates(self.totals()[player])

    def judge(self, player: int = 0) -> list[Verdict]:
        """The verdicts on the first or second player."""
        return judge(self.rates(player), float(self.totals()[player, _FRAMES]))

    def canaries(self) -> dict[str, Any]:
        """What a result holds of each player: frames, rates, and the sentences of what failed and was not judged."""
        found = {}
        for player, name in enumerate(("first", "second")):
            verdicts = self.judge(player)
            found[name] = {
                "frames": int(self.totals()[player, _FRAMES]),
                "rates": {name: round(value, 4) for name, value in self.rates(player).items()},
                "failed": [verdict.said for verdict in verdicts if verdict.passed is False],
                "not_judged": [verdict.name for verdict in verdicts if verdict.passed is None],
            }
        return found
