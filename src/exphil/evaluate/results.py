"""What comparisons of backbones found: one file of JSON that several calls write into, and what it says.

Runs stand under the *conditions* that they share (games, budget, options, kind of device); runs under other conditions
are never in one table. What can go wrong: a file that is damaged or of another kind is refused and left as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from exphil.errors import DataError
from exphil.files import read_json, write

FORMAT = 1
OTHER_PLACE = "choose another --output"
NO_RANK = "The loss says how well recorded players are predicted; it does not rank how well policies play."
_RUN = (
    *("backbone", "seed", "recipe", "held_out", "curve", "updates", "frames", "frames_per_second", "parameters"),
    *("saved_bytes", "curve_decisions", "decision_ms", "untimed", "machine", "date", "exphil"),
)
_CONDITIONS = ("key", "device", "games", "budget", "options", "baselines", "runs", "failed")


class Results:
    """The file, read anew before every change: calls that take turns do not forget what the other one found.

    Args:
        path: Where it is or will be.

    Raises:
        DataError: something else stands there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read()

    def read(self) -> list[dict[str, Any]]:
        """All conditions with their runs, oldest first; nothing when there is no file yet.

        Raises:
            DataError: something else stands there.
        """
        return load(self.path) if self.path.exists() else []

    def of(self, conditions: Mapping[str, Any]) -> dict[str, Any]:
        """These conditions with the runs that were made under them so far."""
        for found in self.read():
            if found["key"] == conditions["key"]:
                return found
        return {**conditions, "runs": [], "failed": []}

    def done(self, conditions: Mapping[str, Any], run: Mapping[str, Any], players: Iterable[str]) -> bool:
        """Whether a run (its backbone, recipe and seed) is in the file, with the decisions of these players timed."""
        return any(
            _who(each) == _who(run) and not set(players) - {*each["decision_ms"], *each["untimed"]}
            for each in self.of(conditions)["runs"]
        )

    def add(self, conditions: Mapping[str, Any], run: Mapping[str, Any]) -> None:
        """Put a finished run in the place of the same one, if there is one; an older failure of it is forgotten.

        Raises:
            OutputError: the file cannot be written.
        """
        self._put(conditions, "runs", run)

    def fail(self, conditions: Mapping[str, Any], failure: Mapping[str, Any]) -> None:
        """Note why a run was not finished.

        Raises:
            OutputError: the file cannot be written.
        """
        self._put(conditions, "failed", failure)

    def _put(self, conditions: Mapping[str, Any], kind: str, entry: Mapping[str, Any]) -> None:
        every, found = self.read(), self.of(conditions)
        for kept in ("runs", "failed"):
            found[kept] = [each for each in found[kept] if kept != kind or _who(each) != _who(entry)]
        if kind == "runs":
            found["failed"] = [each for each in found["failed"] if _who(each) != _who(entry)]
        found[kind].append(dict(entry))
        every = [found if each["key"] == found["key"] else each for each in every]
        if not any(each["key"] == found["key"] for each in every):
            every.append(found)
        text = json.dumps({"format": FORMAT, "conditions": every}, indent=1, allow_nan=False) + "\n"
        write(self.path, lambda file: file.write(text.encode()), OTHER_PLACE)


def load(path: Path) -> list[dict[str, Any]]:
    """The conditions of a file of results, each with its runs.

    Raises:
        DataError: it is not there, or is no such file.
    """
    what, fix = "not results of exphil benchmark, or damaged", "name the benchmark_results.json of exphil benchmark"
    found = read_json(path, what, fix)
    try:
        if found["format"] != FORMAT:
            raise DataError(f"results of another version of exphil (format {found['format']})", str(path), fix)
        conditions: list[dict[str, Any]] = found["conditions"]
        for each in conditions:
            missing = [name for name in _CONDITIONS if name not in each]
            missing += [name for run in each["runs"] for name in _RUN if name not in run]
            if missing:
                raise DataError(f"{what}: it lacks '{missing[0]}'", str(path), fix)
            standings(each)
    except (TypeError, KeyError, ValueError, AttributeError, IndexError):
        raise DataError(what, str(path), fix) from None
    return conditions


def key(conditions: Mapping[str, Any]) -> str:
    """The name of conditions: the same for the same content."""
    return hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:12]


def _who(run: Mapping[str, Any]) -> tuple[str, str, int]:
    return run["backbone"], json.dumps(run["recipe"], sort_keys=True), run["seed"]


class Latency(NamedTuple):
    """Milliseconds of one decision: half of them take less than ``p50``, 99 of 100 less than ``p99``."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Standing:
    """One row of the table: a backbone with one recipe, over its seeds.

    Attributes:
        name: The backbone, with its recipe where it stands there with several.
        recipe: Batch and learning rate.
        losses: Held-out nats per decision of each run, in the order of the seeds.
        parameters: How many numbers it learns.
        frames_per_second: Median over the runs; of CPU time where it learned on the processor.
        saved_bytes: What one step keeps for the way back.
        decision_ms: By player and batch, each the median over the runs.
        runs: The runs themselves, in the order of the seeds.
    """

    name: str
    recipe: Mapping[str, Any]
    losses: tuple[float, ...]
    parameters: int
    frames_per_second: float
    saved_bytes: int
    decision_ms: Mapping[str, Mapping[int, Latency]]
    runs: Sequence[Mapping[str, Any]]

    @property
    def median(self) -> float:
        """Held-out nats per decision."""
        return float(median(self.losses))

    @property
    def spread(self) -> str:
        """The least and the most loss of its seeds."""
        return f"{min(self.losses):.4f} .. {max(self.losses):.4f}"


def standings(conditions: Mapping[str, Any]) -> list[Standing]:
    """The table of one set of conditions, the least loss first."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in sorted(conditions["runs"], key=lambda run: int(run["seed"])):
        groups.setdefault(_who(run)[:2], []).append(run)
    recipes = [name for name, _ in groups]
    found = [_standing(name, recipes.count(name) > 1, runs) for (name, _), runs in groups.items()]
    return sorted(found, key=lambda row: (row.median, row.name))


def _standing(name: str, several: bool, runs: Sequence[Mapping[str, Any]]) -> Standing:
    recipe = runs[0]["recipe"]
    told = ", ".join(f"{word.replace('_', ' ')} {value:g}" for word, value in recipe.items())
    players: dict[str, dict[int, Latency]] = {}
    for player in dict.fromkeys(player for run in runs for player in run["decision_ms"]):
        timed = [run["decision_ms"][player] for run in runs if player in run["decision_ms"]]
        players[player] = {
            int(batch): Latency(*(float(median(each[batch][at] for each in timed)) for at in ("p50", "p99")))
            for batch in timed[0]
        }
    return Standing(
        f"{name} ({told})" if several else name,
        recipe,
        tuple(float(run["held_out"]) for run in runs),
        int(runs[0]["parameters"]),
        float(median(run["frames_per_second"] for run in runs)),
        int(median(run["saved_bytes"] for run in runs)),
        players,
        runs,
    )


def verdicts(rows: Sequence[Standing]) -> list[str]:
    """Which differences exceed the spread over seeds, in words.

    One backbone is told apart from another when the worst run of the one is better than the best run of the other, and
    both have more than one. Of two equal backbones with n seeds each that happens in 2 of (2n over n) cases by chance.
    """
    if len(rows) < 2:
        return []
    told: list[str] = []
    for row in rows:
        beaten = [other.name for other in rows if _below(row, other)]
        if beaten:
            told.append(f"{row.name} predicts better than {_listed(beaten)}: each of its seeds, than each of theirs.")
    alike: dict[str, list[str]] = {}
    for left, right in combinations((row for row in rows if len(row.losses) > 1), 2):
        if not _below(left, right) and not _below(right, left):
            alike.setdefault(left.name, []).append(right.name)
    if alike:
        pairs = "; ".join(f"{name} from {_listed(others)}" for name, others in alike.items())
        told.append(f"Not told apart by these seeds: {pairs}.")
    single = [row.name for row in rows if len(row.losses) == 1]
    if single:
        told.append(f"One seed says nothing about chance: {_listed(single)} cannot be told from the others.")
    least = min((len(row.losses) for row in rows if len(row.losses) > 1), default=0)
    if len(rows) - len(single) > 1:
        chance = 2 / comb(2 * least, least)
        told.append(f"With {least} seeds each, two that are alike are told apart by chance in {chance:.0%} of cases.")
    return told


def _below(one: Standing, other: Standing) -> bool:
    return min(len(one.losses), len(other.losses)) > 1 and max(one.losses) < min(other.losses)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def facts(conditions: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the runs share, as words and numbers."""
    games, budget, runs = conditions["games"], conditions["budget"], conditions["runs"]
    machines = _each(f"{run['machine']['processor']}, {run['machine']['cores']} cores" for run in runs)
    learning = _each(f"{conditions['device']}, {run['machine']['threads']} threads" for run in runs)
    return [
        ("Games learned from", f"{games['learned']['games']:,} ({games['learned']['decisions']:,} decisions)"),
        ("Games held out", f"{games['held_out']['games']:,} ({games['held_out']['decisions']:,} decisions)"),
        ("Budget of a run", ", ".join(f"{value:,} {word}" for word, value in budget.items())),
        ("Seeds", ", ".join(str(seed) for seed in sorted({int(run["seed"]) for run in runs})) or "none"),
        ("Date", " to ".join(_ends(run["date"] for run in runs)) or "none"),
        ("exphil", ", ".join(_each(run["exphil"] for run in runs)) or "none"),
        ("Processor", "; ".join(machines) or "none"),
        ("Learning on", "; ".join(learning) or "none"),
        ("torch", ", ".join(_each(run["machine"]["torch"] for run in runs)) or "none"),
    ]


def warnings(conditions: Mapping[str, Any]) -> list[str]:
    """What the reader of the table must know: failures, and speeds of more than one machine."""
    said = []
    machines = {json.dumps(run["machine"], sort_keys=True) for run in conditions["runs"]}
    if len(machines) > 1:
        said.append("These runs were made on machines or settings that differ: compare their losses, not their speeds.")
    for player, error in dict(pair for run in conditions["runs"] for pair in run["untimed"].items()).items():
        said.append(f"Decisions of the {player} player could not be timed everywhere: {error}")
    for each in conditions["failed"]:
        said.append(f"{each['backbone']} (seed {each['seed']}) failed: {each['error']}")
    return said


def _each(words: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(word) for word in words))


def _ends(dates: Iterable[str]) -> list[str]:
    ordered = sorted({date[:10] for date in dates})
    return ordered[:1] + ordered[1:][-1:]
