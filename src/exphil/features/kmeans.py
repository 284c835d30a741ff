"""Stick centres learned from games: the exact one-dimensional k-means of stick positions.

What enters: how often each position of the sticks was held, counted on the controller's grid of 1/80. What leaves:
``Centres``, the positions in [-1, 1] that the classes of an axis stand for, and a file of them that people can read.
What can go wrong: fewer different positions than centres, or a file that is damaged or contradicts itself; both raise a
``DataError``.

A stick has at most 161 different values, so the values are counted once and the best partition of the counts is found
by a dynamic programme: the result is the optimum, whatever the order of the games, without a seed.

One centre is exactly 0, and the others are chosen best beside it. Without this the optimum moves off rest as soon as
the class of 0 holds more than 0 (few centres), and a policy that lets go of the stick would drift.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil import files
from exphil.errors import DataError
from exphil.features.action import AXES, Codec
from exphil.game.controller import CENTRES, STICK_STEPS, Controller
from exphil.game.frames import Array

VERSION = 1
PLACES = 2 * STICK_STEPS + 1
"""Steps of an axis: place 0 is -1, place 80 is rest, place 160 is 1."""
SHARED = "all"
"""What the file calls centres that all axes share."""
_MOST = 2**63  # of any number in a file
_NOT = "no stick centres, or damaged"
_MEND = "mend it, put back a copy, or make one with exphil kmeans; this one was not touched"
_MAKE = "make one with exphil kmeans --output "
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def places(values: Array) -> Ints:
    """The step of every stick value as a place from 0 to 160, int64 of the same shape.

    A value off the grid (a program plays) belongs to the nearest step, as for the codec; what is no number is rest.
    """
    steps = np.asarray(values, np.float32) * np.float32(STICK_STEPS)
    numbers = np.where(np.isfinite(steps), steps, np.float32(0))
    found: Ints = np.rint(numbers.clip(-STICK_STEPS, STICK_STEPS)).astype(np.int64) + STICK_STEPS
    return found


def positions(controller: Controller) -> Ints:
    """How often each place was held by the main stick and by the C-stick, int64 ``(2, 161, 161)``: stick, x, y."""
    pairs = ((controller.main_x, controller.main_y), (controller.c_x, controller.c_y))
    joint = (places(x) * PLACES + places(y) for x, y in pairs)
    return np.stack([np.bincount(each.reshape(-1), minlength=PLACES**2).reshape(PLACES, PLACES) for each in joint])


def histograms(held: Ints) -> Ints:
    """The steps of main x, main y, C x and C y, int64 ``(4, 161)``, from ``positions``."""
    return np.stack([held[0].sum(1), held[0].sum(0), held[1].sum(1), held[1].sum(0)])


def rms_steps(codec: Codec, held: Ints) -> float:
    """How far encoding and decoding moves an axis: root mean square over all that was held, in steps of 1/80."""
    steps = np.arange(PLACES) - STICK_STEPS
    stick, rest = (steps / STICK_STEPS).astype(np.float32), np.zeros(PLACES, np.float32)
    played = codec.decode(codec.encode(Controller(stick, stick, stick, stick, rest, rest.astype(np.int16))))
    away = np.stack([getattr(played, name) * np.float64(STICK_STEPS) - steps for name in AXES])
    counts = histograms(held)
    return float(np.sqrt((counts * away**2).sum() / max(counts.sum(), 1)))


class Fit(NamedTuple):
    """The best centres of one number of them, ascending, and the squared distances to them, summed over all values."""

    centres: tuple[float, ...]
    squared_error: float


def fits(counts: Ints, most: int) -> list[Fit]:
    """The best 1, 2, ... centres, at most ``most`` and at most as many as there are different steps (0 is always one).

    Args:
        counts: int64 ``(161,)``, how often each step was held: a row of ``histograms``.
        most: How many centres the last one has.
    """
    held = np.flatnonzero((counts > 0) | (np.arange(PLACES) == STICK_STEPS))
    steps, weight = (held - STICK_STEPS).astype(np.float64), counts[held].astype(np.float64)
    cost, centre = _segments(steps, weight)
    least, cuts = np.full(len(held) + 1, np.inf), []
    least[0] = 0.0
    found = []
    for _ in range(min(most, len(held))):
        through = least[:, None] + cost
        cut = through.argmin(0)
        least = through[cut, np.arange(len(cut))]
        cuts.append(cut)
        end, chosen = len(held), []
        for before in reversed(cuts):
            chosen.append(centre[before[end], end])
            end = int(before[end])
        exact = tuple(float(step) / STICK_STEPS for step in reversed(chosen))
        found.append(Fit(exact, float(least[-1]) / STICK_STEPS**2))
    return found


def _segments(steps: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Cost and centre of every segment a..b-1 of n distinct steps, float64 ``(n + 1, n + 1)``; infinite for b <= a.

    The centre is the mean, but 0 for a segment that holds 0. Means are updated step by step for every start at once:
    only positive terms are added up, so that nothing cancels however many values there are.
    """
    n = len(steps)
    cost, centre = np.full((n + 1, n + 1), np.inf), np.zeros((n + 1, n + 1))
    total, mean, spread, around_rest = (np.zeros(n) for _ in range(4))
    rest = int(np.flatnonzero(steps == 0)[0])
    for at in range(n):
        begun = slice(at + 1)
        before = total[begun].copy()
        total[begun] += weight[at]
        share = np.divide(weight[at], total[begun], out=np.ones(at + 1), where=total[begun] > 0)
        away = steps[at] - mean[begun]
        mean[begun] += share * away
        spread[begun] += before * share * away**2
        around_rest[begun] += weight[at] * steps[at] ** 2
        holds_rest = (np.arange(at + 1) <= rest) & (rest <= at)
        cost[begun, at + 1] = np.where(holds_rest, around_rest[begun], spread[begun])
        centre[begun, at + 1] = np.where(holds_rest, 0.0, mean[begun])
    return cost, centre


@dataclass(frozen=True)
class Centres:
    """What the classes of the stick axes stand for.

    Attributes:
        axes: The centres that all axes share, or those of main x, main y, C x and C y; each ascending in [-1, 1] with
            an exact 0, all of one number.
        values: Stick values they were made from: four a frame and player.
        squared_error: Squared distances of those values to their centres, summed.
        files: Replays they were made from.
        characters: Who played in them, most frequent first.
    """

    axes: tuple[tuple[float, ...], ...]
    values: int = 0
    squared_error: float = 0.0
    files: int = 0
    characters: tuple[str, ...] = ()

    @staticmethod
    def of(held: Ints, ks: Iterable[int], per_axis: bool = False, **source: Any) -> list[Centres]:
        """The best centres of each number in ``ks``, as far as there are different positions.

        Args:
            held: What was counted, as ``positions`` gives it.
            ks: Numbers of centres.
            per_axis: Own centres for each axis instead of shared ones.
            source: ``files`` and ``characters``.

        Raises:
            DataError: there are fewer different positions than the smallest number.
        """
        wanted, rows = list(ks), histograms(held)
        counted = rows if per_axis else rows.sum(0, keepdims=True)
        found = [fits(row, max(wanted)) for row in counted]
        most = min(map(len, found))
        if most < min(wanted):
            what = f"{min(wanted)} centres are more than the {most} different positions of a stick axis in these games"
            raise DataError(what, fix="fewer centres, or more replays")
        chosen = [[row[k - 1] for row in found] for k in wanted if k <= most]
        values = int(rows.sum())
        return [
            Centres(tuple(part.centres for part in parts), values, sum(part.squared_error for part in parts), **source)
            for parts in chosen
        ]

    @property
    def k(self) -> int:
        """Centres of an axis."""
        return len(self.axes[0])

    def axes4(self) -> tuple[tuple[float, ...], ...]:
        """The centres of main x, main y, C x and C y, as a ``Codec`` takes them."""
        return self.axes if len(self.axes) == len(AXES) else self.axes * len(AXES)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        names = AXES if len(self.axes) == len(AXES) else (SHARED,)
        return {
            "version": VERSION,
            "k": self.k,
            "values": self.values,
            "squared_error": self.squared_error,
            "files": self.files,
            "characters": list(self.characters),
            "axes": {name: list(centres) for name, centres in zip(names, self.axes, strict=True)},
        }

    @staticmethod
    def from_dict(words: Any, where: str = "") -> Centres:
        """What ``as_dict`` gave.

        Raises:
            DataError: not centres, of another version, or they contradict themselves; says what is wrong.
        """
        if isinstance(words, dict) and words.get("version", VERSION) != VERSION:
            what = f"stick centres of version {words['version']}; this exphil reads version {VERSION}"
            raise DataError(what, where, "make them again with exphil kmeans; the file was not touched")
        try:
            return _checked(words)
        except ValueError as error:
            raise DataError(f"{_NOT}: {error}", where, _MEND) from None

    def save(self, path: Path) -> None:
        """Write the file, one axis a line.

        Raises:
            OutputError: it cannot be written; what stood there before is untouched.
        """
        words = self.as_dict()
        axes = ",\n".join(f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in words.pop("axes").items())
        lines = [f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}," for name, value in words.items()]
        page = "\n".join(["{", *lines, f'  "axes": {{\n{axes}\n  }}', "}\n"])
        files.write(path, lambda file: file.write(page.encode()), "choose another --output")

    @staticmethod
    def load(path: Path) -> Centres:
        """Read a file.

        Raises:
            DataError: it cannot be read, is damaged or of another version; it is never written to.
        """
        if path.is_dir():
            raise DataError("is a folder, no file of stick centres", str(path), f"name a file, or {_MAKE}FILE")
        words = files.read_json(path, _NOT, _MEND, missing=f"{_MAKE}{path}")
        return Centres.from_dict(words, str(path))


def _checked(words: Any) -> Centres:
    fields = ("version", "k", "values", "squared_error", "files", "characters", "axes")
    if not isinstance(words, dict):
        raise ValueError("the file is not a list of names with values")
    for name in (*fields, *words):
        if name not in words or name not in fields:
            raise ValueError(f"unknown key '{name}'" if name in words else f"no '{name}'")
    axes, characters = words["axes"], words["characters"]
    if not isinstance(axes, Mapping) or set(axes) not in ({SHARED}, set(AXES)):
        raise ValueError(f"its axes are not '{SHARED}' alone, nor {', '.join(AXES)}")
    if not isinstance(characters, list) or not all(isinstance(name, str) for name in characters):
        raise ValueError("its characters are not a list of names")
    values, replays, k = (_number(words[name], name, whole=True) for name in ("values", "files", "k"))
    error = _number(words["squared_error"], "squared_error")
    if not CENTRES[0] <= k <= CENTRES[1]:
        raise ValueError(f"its k is {reprlib.repr(k)}, not from {CENTRES[0]} to {CENTRES[1]}")
    named = [name for name in AXES if name in axes] or [SHARED]
    found = tuple(_axis(axes[name], name) for name in named)
    for name, centres in zip(named, found, strict=True):
        if len(centres) != k:
            raise ValueError(f"axis '{name}' has {len(centres)} centres and k is {k}")
    return Centres(found, int(values), error, int(replays), tuple(characters))


def _number(value: Any, name: str, *, whole: bool = False) -> float:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < _MOST:
        sort = "whole number" if whole else "number"
        raise ValueError(f"its {name} is {reprlib.repr(value)}, not a {sort} from 0 up to 2**63")
    return value


def _axis(centres: Any, name: str) -> tuple[float, ...]:
    what = f"axis '{name}'"
    if not isinstance(centres, Sequence) or isinstance(centres, str) or not centres:
        raise ValueError(f"{what} is not a list of numbers")
    for value in centres:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1 <= value <= 1:
            raise ValueError(f"{what} holds {reprlib.repr(value)}, not a number from -1 to 1")
    for low, high in pairwise(centres):
        if low >= high:
            raise ValueError(f"{what} has {high} after {low}: centres ascend, each once")
    if 0 not in centres:
        raise ValueError(f"{what} has no centre that is exactly 0: a stick that is let go would drift")
    for low, high in pairwise(centres):
        if round(low * STICK_STEPS) == round(high * STICK_STEPS):
            raise ValueError(f"{what} has {low} and {high}: both are the same step of 1/{STICK_STEPS}")
    return tuple(float(value) for value in centres)
