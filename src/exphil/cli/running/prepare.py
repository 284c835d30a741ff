"""What a training run begins from: nothing, a snapshot or a policy; and what was left open."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exphil import assemble
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.config.resume import begun_with, changes, resumed
from exphil.data.corpus import Corpus
from exphil.errors import ExphilError, OptionError

if TYPE_CHECKING:
    from exphil.train.ranks import Ranks

Snapshot = dict[str, Any]


def begin(terminal: Terminal, settings: Settings) -> tuple[Settings, Snapshot | None]:
    """The options of a run under those of what it begins from, and the snapshot that it goes on from.

    Raises:
        ExphilError: it cannot be read, or was asked for what it cannot be.
    """
    saving = settings.saving
    if saving.init:
        from exphil.train.checkpoint import load_policy

        return begun_with(settings, load_policy(saving.init).config), None
    if not saving.resume:
        return settings, None
    from exphil.train.checkpoint import load_snapshot

    snapshot = load_snapshot(saving.resume)
    if settings.given("kmeans_centers"):
        terminal.warn(f"the snapshot holds its own stick centres: {settings['kmeans_centers']} is not read")
    _warn_of_newer(terminal, saving.resume, snapshot["run"]["updates"])
    found = resumed(settings, snapshot["config"], snapshot["run"]["epoch"])
    terminal.say(f"resuming {saving.resume} after {snapshot['run']['updates']:,} updates")
    lines = [f"{flag}: {then} -> {now}" for flag, then, now in changes(snapshot["config"], found)]
    for line in lines or ["with the options that it had"]:
        terminal.say(f"  {line}")
    return found, snapshot


def _warn_of_newer(terminal: Terminal, snapshot: Path, updates: int) -> None:
    """Say that the run of a snapshot went on after it."""
    from exphil.train.described import header
    from exphil.train.runfiles import RunFiles

    last = RunFiles.of_snapshot(snapshot)
    with suppress(ExphilError):
        done = header(last.policy).training.get("updates", 0)
        if done > updates:
            terminal.warn(
                f"{last.snapshot} is {done - updates:,} updates further: they are made again and written over"
            )


def decided(settings: Settings, ranks: Ranks | None = None) -> dict[str, Any]:
    """Name and seed of a run that were left open; the first of its processes decides."""
    from exphil.train.runfiles import RunFiles

    name, place, resume = settings["name"], settings["checkpoint"], settings["resume"]
    if not name and (place or resume):
        name = (RunFiles.at(place) if place else RunFiles.of_snapshot(resume)).snapshot.stem
    draws = [time.time(), secrets.randbelow(2**31 - 1) + 1.0]
    now, drawn = ranks.sum_values(draws if ranks.is_first else [0.0, 0.0]) if ranks else draws
    who = f"_{settings['train_character']}" if settings["train_character"] else ""
    made = f"{settings['backbone']}{who}_{time.strftime('%Y%m%d_%H%M%S', time.localtime(now))}"
    seed = settings["seed"]
    found = {"name": name or made, "seed": int(drawn) if seed is None else seed}
    return {key: value for key, value in found.items() if settings[key] is None}


def offer_unfinished(terminal: Terminal, snapshot: Path) -> None:
    """Say which other runs in the folder of a run did not end, and how to go on with them."""
    from exphil.train.unfinished import unfinished

    for found in unfinished(snapshot.parent):
        if found.name != snapshot.stem:
            terminal.warn(str(found))


def with_batch(terminal: Terminal, settings: Settings, learned: Corpus, ranks: Ranks) -> Settings:
    """The options with the batch that ``--auto-batch-size`` finds.

    Raises:
        ExphilError: not even the least batch fits, or the run has several processes.
    """
    if ranks.world > 1:
        raise OptionError("tries one process", "--auto-batch-size", "start without torchrun, or give --batch-size")
    found = assemble.batch_size(settings, learned, assemble.codec(settings), ranks.device(settings.machine.device))
    terminal.say(f"{'batch':<10} {found.batch}: {found.why}")
    return settings.changed({"batch_size": found.batch}, "found by --auto-batch-size")
