"""``exphil train``: replays to a policy file. Talk goes to standard error; the files are the answer."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from exphil import assemble
from exphil.cli import dry_run, profile, told
from exphil.cli.reading import read_games
from exphil.cli.stop import Stop
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.config.resume import resumed
from exphil.data.corpus import Corpus
from exphil.data.sampler import split

if TYPE_CHECKING:
    from exphil.assemble import Job


def run(settings: Settings) -> int:
    """Train; 130 or 143 when stopped by a signal, after saving."""
    terminal, snapshot = Terminal.of(settings), None
    if settings.saving.resume:
        from exphil.train.checkpoint import load_snapshot

        snapshot = load_snapshot(settings.saving.resume)
        if settings.given("kmeans_centers"):
            terminal.warn(f"the snapshot holds its own stick centres: {settings['kmeans_centers']} is not read")
        settings = resumed(settings, snapshot["config"], snapshot["run"]["epoch"])
    settings = settings.changed(decided(settings), "decided for this run")
    if settings.run.dry_run:
        dry_run.show(terminal, settings, snapshot)
        return 0
    return train(terminal, settings, snapshot)[0]


def train(terminal: Terminal, settings: Settings, snapshot: dict[str, Any] | None) -> tuple[int, Job, Corpus | None]:
    """Read, build, follow; gives the exit code, the finished job and the held-out games."""
    from exphil.cli.follow import Follower
    from exphil.train import runtime

    files, threads = assemble.files_of(settings), runtime.set_threads(settings.machine.threads)
    runtime.device(settings.machine.device)  # before the work starts
    assemble.check_registry(settings, snapshot)
    assemble.codec(settings, snapshot)
    corpus, used, _ = read_games(terminal, settings)
    learned, held = split(len(used), settings.validation.val_split, settings["seed"])
    corpora = corpus.part(learned), corpus.part(held) if held else None
    stop = Stop(terminal)
    job = assemble.training(settings, files, corpora, used, snapshot, stop)
    profile.judge_precision(terminal, settings)
    parameters = sum(parameter.numel() for parameter in job.run.policy.parameters())
    kept = f", {len(held)} games held out" if held else ", none held out (--val-split 0.1 would hold out a tenth)"
    for word, text in {
        "run": settings["name"],
        "seed": f"{settings['seed']} (use --seed {settings['seed']} to reproduce)",
        "data": f"{len(learned)} games, {corpora[0].decisions.sum():,} decisions{kept}",
        "policy": f"{settings['backbone']}, {parameters:,} parameters, on {job.run.device.type} with {threads} threads",
        "sees": told.sees(job.run.policy.table),
        "presses": told.presses(job.run.policy.codec.classes),
        "answers": told.answers(assemble.delays(settings)),
        "updates": f"{job.updates - job.run.updates:,} in {settings['epochs'] - job.run.epoch} epochs",
    }.items():
        terminal.say(f"{word:<10} {text}")
    if settings.players.learn_player_styles:
        _say_styles(terminal, job, corpora[0])
    with stop, Follower(terminal, settings, job) as follower:
        for event in job.events:
            follower.see(event)
    return 128 + stop.signal if stop.signal and job.run.epoch < settings["epochs"] else 0, job, corpora[1]


def _say_styles(terminal: Terminal, job: Job, learned: Corpus) -> None:
    known = sum(job.players.number(entry.player) > 0 for entry in learned.entries)
    seats = f"{known} of {len(learned.entries)} seats are theirs"
    terminal.say(f"{'styles':<10} {len(job.players.players)} players known, {seats}")
    if not known:
        terminal.warn("nobody in these games is known by connect code or tag: there is no style to learn")


def decided(settings: Settings) -> dict[str, Any]:
    """Name and seed of a run that were left open."""
    from exphil.train.session import RunFiles

    name, place, resume = settings["name"], settings["checkpoint"], settings["resume"]
    if not name and (place or resume):
        name = (RunFiles.at(place) if place else RunFiles.of_snapshot(resume)).snapshot.stem
    who = f"{settings['train_character']}_" if settings["train_character"] else ""
    drawn = f"{who}{settings['backbone']}_{time.strftime('%Y%m%d_%H%M%S')}"
    seed = settings["seed"]
    return {"name": name or drawn, "seed": secrets.randbelow(2**31 - 1) + 1 if seed is None else seed}
