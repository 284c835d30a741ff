"""What is said of a training run before it begins and after it ended, and the files that say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exphil import assemble, files
from exphil.cli.shown import told
from exphil.cli.shown.drawing import many
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.config.written import yaml_text
from exphil.data.corpus import Corpus

if TYPE_CHECKING:
    from exphil.assemble import Job
    from exphil.train.ranks import Ranks

FEW = 10
"""Updates of an epoch: with fewer the batch is too large for the games."""


def run(
    terminal: Terminal,
    settings: Settings,
    job: Job,
    corpora: tuple[Corpus, Corpus | None],
    threads: int,
    ranks: Ranks,
) -> None:
    """What it is: games, network, what it sees and presses, how long."""
    learned, held = corpora
    parameters = sum(parameter.numel() for parameter in job.run.policy.parameters())
    kept = (
        f", {many(held.games, 'game')} held out" if held else ", none held out (--val-split 0.1 would hold out a tenth)"
    )
    where = f"on {job.run.device.type} with {many(threads, 'thread')}"
    each = f"{where}, each of {ranks.world} processes" if ranks.world > 1 else where
    rows = settings["batch_size"] * settings["accumulation_steps"]
    left, epochs = job.updates - job.run.updates, settings["epochs"] - job.run.epoch
    slices = f", in {settings['accumulation_steps']} slices" if settings["accumulation_steps"] > 1 else ""
    for word, text in {
        "run": settings["name"],
        "seed": f"{settings['seed']} (use --seed {settings['seed']} to reproduce)",
        "data": f"{many(learned.games, 'game')}, {learned.decisions.sum():,} decisions{kept}",
        "policy": f"{settings['backbone']}, {parameters:,} parameters, {each}",
        "sees": told.sees(job.run.policy.table),
        "presses": told.presses(job.run.policy.codec.classes),
        "answers": told.answers(assemble.delays(settings)),
        "updates": f"{left:,} in {many(epochs, 'epoch')}, {many(rows, 'row')} each{slices}",
    }.items():
        terminal.say(f"{word:<10} {text}")
    if settings.saving.init:
        terminal.say(f"{'begins':<10} with the weights of {settings.saving.init}")
    taught = settings.teacher
    if taught.teacher:
        text = f"{taught.teacher}, {taught.teacher_weight:g} of the objective, at temperature"
        terminal.say(f"{'teacher':<10} {text} {taught.teacher_temperature:g}")
        if not assemble.carries_state(settings):
            terminal.say(f"{'':<10} begins afresh in every window, as the student does")
    if left < FEW * epochs:
        terminal.warn(f"fewer than {FEW} updates an epoch: a smaller --batch-size learns more from so few games")
    if settings.saving.save_best and not held:
        terminal.say(f"{'best':<10} by the training loss, because no games are held out")
    if settings.players.learn_player_styles:
        _styles(terminal, job, learned)


def _styles(terminal: Terminal, job: Job, learned: Corpus) -> None:
    known = sum(job.players.number(entry.player) > 0 for entry in learned.entries)
    seats = f"{known} of {len(learned.entries)} seats are theirs"
    terminal.say(f"{'styles':<10} {len(job.players.players)} players known, {seats}")
    if not known:
        terminal.warn("nobody in these games is known by connect code or tag: there is no style to learn")


def write_config(terminal: Terminal, settings: Settings, ranks: Ranks) -> None:
    """Write the options of a run for ``--config``, where ``--save-config`` says; the first of its processes does.

    Raises:
        OutputError: it cannot be written.
    """
    path, text = settings.saving.save_config, yaml_text(settings)
    if path is None or not ranks.is_first:
        return
    files.write(path, lambda file: file.write(text.encode()), "choose another --save-config")
    terminal.say(f"wrote {path}; --config {path} gives these options again")


def registered(terminal: Terminal, settings: Settings, job: Job) -> None:
    """List the run in the registry of its folder unless told not to; what is wrong with that is told, stops nothing."""
    trouble = assemble.register(settings, job) if settings.saving.register else None
    if trouble:
        terminal.warn(trouble)
