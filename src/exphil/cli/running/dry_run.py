"""What a training run would do: options with their sources, what the policy sees and presses, sizes, games, time.

Nothing is written, no replay is parsed. The time comes from a moment of training on made-up numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exphil import assemble
from exphil.assemble import estimate
from exphil.assemble.timing import probe
from exphil.cli.shown.drawing import shown_bytes, shown_duration
from exphil.cli.terminal import Terminal, show_settings
from exphil.config.layers import Settings
from exphil.data.forecast import SHARE
from exphil.data.memory import free_bytes
from exphil.errors import DataError
from exphil.features.action import Codec
from exphil.replays.sources import find

PROBE_S = 1.0


def show(terminal: Terminal, settings: Settings, snapshot: Mapping[str, Any] | None) -> None:
    """Print it.

    Raises:
        DataError: the file of stick centres cannot be used.
        OptionError: the device is not there.
    """
    codec, table = assemble.codec(settings, snapshot), assemble.table(settings)
    show_settings(terminal, settings)
    ids = [(f"id: {found.name}", f"1 of {found.vocabulary}") for found in table.vocabularies]
    sums = [("floats", table.floats), ("ids", table.ids), ("floats and ids", table.floats + table.ids)]
    inside = [("inside, with ids looked up", assemble.embedded(table))]
    terminal.table("Observation", ("what", "numbers"), [*table.blocks(), *ids, *sums, *inside])
    if table.left_out:
        terminal.say(f"left out, because UMI's frames do not hold them: {', '.join(table.left_out)}")
    terminal.table("Action", ("part", "classes"), [(part.name, part.classes) for part in codec.components])
    _show_sizes(terminal, settings, codec)
    _show_work(terminal, settings, 0 if snapshot is None else snapshot["run"]["epoch"])


def _show_sizes(terminal: Terminal, settings: Settings, codec: Codec) -> None:
    """Parameters and bytes."""
    sizes = estimate.sizes(settings, codec)
    rows = [(part, f"{many:,}") for part, many in sizes.parameters.items()]
    terminal.table("Policy", ("part", "parameters"), [*rows, ("all", f"{sum(sizes.parameters.values()):,}")])
    parts = {
        "policy file": sizes.weights_bytes,
        "snapshot": sizes.snapshot_bytes,
        "memory of a batch": sizes.batch_bytes,
        "kept of it for the backward pass": sizes.kept_bytes,
        "memory of training, games aside": sizes.step_bytes,
    }
    terminal.table("Size", ("what", "about"), [(what, shown_bytes(size)) for what, size in parts.items()])
    free = free_bytes() if settings["device"] == "cpu" else None
    if free is not None and sizes.step_bytes > SHARE * free:
        terminal.warn(f"training takes about {shown_bytes(sizes.step_bytes)} and {shown_bytes(free)} are free: lower "
                      "--batch-size, or --gradient-checkpoint")  # fmt: skip


def _show_work(terminal: Terminal, settings: Settings, done: int) -> None:
    """Games, updates and time; without games for as many as a run of this size typically has."""
    place = settings.data.replays
    try:
        counted = estimate.count(settings, find(place, settings.data.max_files).sources)
    except DataError as error:
        terminal.say(f"no games are counted: {error.what}")
        counted = estimate.assumed(settings)
    if settings.batches.auto_batch_size:
        terminal.say(f"--auto-batch-size searches when a run begins: this is for --batch-size {settings['batch_size']}")
    cost = probe(settings, PROBE_S)
    ahead = estimate.estimate(settings, counted, cost)
    left = (ahead.run_s or 0.0) * (settings.training.epochs - done) / settings.training.epochs
    where = "assumed" if counted.assumed else f"in {place}, by how the files begin"
    rows = [
        (f"games, {where}", f"{counted.games:,}"),
        ("frames, about", f"{counted.frames:,}"),
        ("updates an epoch, about", f"{ahead.updates:,}"),
        ("frames a second, about", f"{1 / cost.frame_s:,.0f}"),
        ("time of an epoch, about", shown_duration(ahead.epoch_s or 0.0)),
        (f"time of {settings.training.epochs - done} epochs, about", shown_duration(left)),
    ]
    terminal.table("Work", ("what", "amount"), rows)
    many = f"{cost.steps} steps, the middle half of them {cost.spread:.0%} apart" if cost.steps > 1 else "one step"
    terminal.say(f"time: {many}, on made-up numbers; without reading replays and saving, and stopping early aside")
    updates = ahead.updates * settings.training.epochs
    if updates and settings.training.warmup_steps >= updates:
        warmup = f"--warmup-steps {settings.training.warmup_steps}"
        terminal.warn(f"the run has about {updates:,} updates and ends before {warmup} is over: lower it")
