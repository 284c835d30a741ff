"""What a run will take, before it begins: parameters, bytes, updates and time.

What enters: settings of the command train and the files there are. What leaves: numbers. ``timing`` says what a frame
costs here, ``count`` how many there are, by how the replays begin and how large they are, ``estimate`` what follows;
``sizes`` builds the policy and makes one small step. Nothing is written and no replay is parsed. What can go wrong: a
device that is not there.

What it is worth: steps repeat within some percent on a quiet machine; sizes of files tell frames within a third
(``data/forecast.py``); a run that stops early takes less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import NamedTuple

from exphil.assemble.batches import carries_state, window
from exphil.assemble.games import reading
from exphil.assemble.timing import FIRST_FRAMES, Cost, frames_a_second, probes, step_seconds, tensor_bytes, trial_of
from exphil.config.layers import Settings
from exphil.data.forecast import frames_in
from exphil.errors import DataError
from exphil.features.action import Codec
from exphil.replays.library import preflight
from exphil.replays.sources import Source, find

__all__ = [
    "Cost",
    "Counted",
    "Estimate",
    "Sizes",
    "ahead",
    "assumed",
    "count",
    "estimate",
    "frames_a_second",
    "sizes",
    "step_seconds",
]

TYPICAL_FRAMES, TYPICAL_GAMES = 9_500, 1_000
"""Of a full game, the median of ``docs/scale.md``; and the games assumed where all are asked for and none is there."""
FORWARD = 1 / 3
"""Of a training step's work, for games held out: no backward pass, which takes twice as long."""
LOOKED_AT = 2_000
"""Files whose beginning is looked at; of more, so many evenly spread ones speak for all."""


class Counted(NamedTuple):
    """Games to learn from, and about how many frames they hold; ``assumed`` where none was looked at."""

    games: int
    frames: int
    assumed: bool


class Sizes(NamedTuple):
    """How large a policy and its training are.

    Attributes:
        parameters: By part of the policy.
        weights_bytes: The policy file, about.
        optimizer_bytes: What the optimiser keeps.
        average_bytes: The average of ``--ema``.
        carried_bytes: The states that the rows of a batch carry; 0 where every batch starts afresh.
        batch_bytes: Floats, ids and actions of one batch.
        kept_bytes: What a batch keeps from the forward for the backward pass.
    """

    parameters: dict[str, int]
    weights_bytes: int
    optimizer_bytes: int
    average_bytes: int
    carried_bytes: int
    batch_bytes: int
    kept_bytes: int

    @property
    def snapshot_bytes(self) -> int:
        """A snapshot on disk."""
        return self.weights_bytes + self.optimizer_bytes + self.average_bytes + self.carried_bytes

    @property
    def step_bytes(self) -> int:
        """Memory of a step: all that a snapshot holds, the gradients, the batch and what it keeps."""
        return self.snapshot_bytes + self.weights_bytes + self.batch_bytes + self.kept_bytes


class Estimate(NamedTuple):
    """A run ahead.

    Attributes:
        counted: Its games, those held out included.
        updates: In an epoch.
        epoch_s: With the games held out; None without a probe.
        run_s: Of all epochs, at most; None without a probe.
    """

    counted: Counted
    updates: int
    epoch_s: float | None
    run_s: float | None


def sizes(settings: Settings, actions: Codec | None = None) -> Sizes:
    """How large the policy of a run and a step of it are; one small step is made.

    Args:
        settings: Of the command train.
        actions: What the classes of an action stand for, when it is known already.

    Raises:
        OptionError: the device is not there.
    """
    from exphil.evaluate.benchmark import saved_bytes

    rows = settings.training.batch_size
    with trial_of(settings, actions) as trial:
        few = min(trial.rows(FIRST_FRAMES), rows)
        trial.step(few)
        batch = trial.batch(few)
        share = rows / few
        weights = tensor_bytes(list(trial.policy.parameters()))
        state = tensor_bytes(trial.policy.initial_state(few)) if carries_state(settings) else 0
        return Sizes(
            {name: sum(p.numel() for p in part.parameters()) for name, part in trial.policy.named_children()},
            weights,
            trial.optimizer_bytes(),
            weights if settings.averaging.ema else 0,
            round(state * share) * settings.training.accumulation_steps,
            round(tensor_bytes(list(batch)) * share),
            round(saved_bytes(trial.policy, batch, settings.training.precision) * share),
        )


def count(settings: Settings, found: Sequence[Source]) -> Counted:
    """The games of a run among some files, by how they begin and how large they are.

    Args:
        settings: Of the command train.
        found: All files there are; ``--max-files`` is obeyed here.
    """
    found = found[: settings.data.max_files]
    every = max(ceil(len(found) / LOOKED_AT), 1)
    how = replace(reading(settings), store=None)
    wanted = [answer for answer in preflight(found[::every], how) if isinstance(answer, Source)]
    share = len(found) / max(len(found[::every]), 1)
    return Counted(round(len(wanted) * share), round(frames_in(wanted) * share), False)


def assumed(settings: Settings) -> Counted:
    """As many typical games as a run asks for, where there are none to look at."""
    games = settings.data.max_files or TYPICAL_GAMES
    return Counted(games, games * TYPICAL_FRAMES, True)


def estimate(settings: Settings, counted: Counted, cost: Cost | None) -> Estimate:
    """Updates and seconds of a run.

    Args:
        settings: Of the command train.
        counted: Its games.
        cost: What a frame and an update cost; None leaves times out.
    """
    training, model, length = settings.training, settings.model, window(settings)
    held = settings.validation.val_split
    seats = 2 if settings.seats.dual_port else 1
    decisions = counted.frames * seats
    learned = decisions * (1 - held)
    stride = length if carries_state(settings) or not model.temporal else model.stride or length
    rows = learned / stride
    if model.temporal:
        rows += counted.games * seats * (1 - held) / 2  # the last stretch of a game is half full
    updates = ceil(rows / (training.batch_size * training.accumulation_steps)) if rows else 0
    if cost is None:
        return Estimate(counted, updates, None, None)
    epoch_s = rows * length * cost.frame_s + updates * cost.update_s + decisions * held * cost.frame_s * FORWARD
    return Estimate(counted, updates, epoch_s, epoch_s * training.epochs)


def ahead(asked: Mapping[str, Settings], budget_s: float) -> dict[str, Estimate]:
    """What several runs on the games of one place will take; of typical games where none are there.

    Args:
        asked: Settings of the command train, by any name.
        budget_s: Seconds of trying this machine, for all of them together; 0 gives no times.

    Raises:
        OptionError: the device is not there.
    """
    costs: Mapping[str, Cost] = probes(asked, budget_s) if budget_s else {}
    try:
        sources: list[Source] | None = find(next(iter(asked.values())).data.replays).sources
    except DataError:
        sources = None
    counted: dict[tuple[object, ...], Counted] = {}
    for each in asked.values():
        key = _which(each)
        if key not in counted:
            counted[key] = assumed(each) if sources is None else count(each, sources)
    return {name: estimate(each, counted[_which(each)], costs.get(name)) for name, each in asked.items()}


def _which(settings: Settings) -> tuple[object, ...]:
    """Everything that decides which games of a place are taken."""
    parts = settings.data, settings.seats, settings.character, settings.choosing, settings.features
    return *parts, settings.netplay, settings.players
