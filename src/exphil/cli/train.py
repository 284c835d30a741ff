"""``exphil train``: replays to a policy file. Talk goes to standard error; the files are the answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from exphil import assemble
from exphil.assemble.teacher import taught
from exphil.cli.running import announce, dry_run, prepare, profile
from exphil.cli.running.reading import read_games
from exphil.cli.running.stop import Stop
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.data.sampler import split

if TYPE_CHECKING:
    from exphil.assemble import Job
    from exphil.train.ranks import Ranks


def run(settings: Settings, then: Callable[[Terminal, Settings, Job], None] | None = None) -> int:
    """Train, and do what comes ``then``; 130 or 143 when stopped by a signal, after saving."""
    from exphil.train.ranks import joined

    ranks = joined(os.environ, settings.machine.device)
    try:
        terminal = Terminal.of(settings) if ranks.is_first else Terminal(quiet=True)
        settings, snapshot = prepare.begin(terminal, settings)
        settings = taught(settings, snapshot).changed(prepare.decided(settings, ranks), "decided for this run")
        announce.write_config(terminal, settings, ranks)
        if settings.run.dry_run:
            if ranks.is_first:
                dry_run.show(terminal, settings, snapshot)
            return 0
        code, job, _ = train(terminal, settings, snapshot, ranks)
        if then is not None and code == 0 and ranks.is_first:
            then(terminal, settings, job)
        return code
    finally:
        ranks.close()


def train(
    terminal: Terminal, settings: Settings, snapshot: dict[str, Any] | None, ranks: Ranks | None = None
) -> tuple[int, Job, Corpus | None]:
    """Read, build, follow; gives the exit code, the finished job and the held-out games."""
    from exphil.cli.running.follow import Follower
    from exphil.train import runtime, step, unfinished
    from exphil.train.ranks import alone

    ranks = ranks or alone()
    files = assemble.files_of(settings, ranks)
    threads = runtime.set_threads(settings.machine.threads, ranks.neighbours)
    ranks.device(settings.machine.device)  # before the work starts
    assemble.check_loggers(settings)
    assemble.check_registry(settings, snapshot)
    assemble.codec(settings, snapshot)
    unfinished.check_alone(files.snapshot)
    prepare.offer_unfinished(terminal, files.snapshot)
    terminal.step(1, 3, "replays")
    corpus, used, _ = read_games(terminal, settings)
    learned, held = split(len(used), settings.validation.val_split, settings["seed"])
    corpora = corpus.part(learned), corpus.part(held) if held else None
    if settings.batches.auto_batch_size:
        settings = prepare.with_batch(terminal, settings, corpora[0], ranks)
    terminal.step(2, 3, "network")
    stop = Stop(terminal)
    job = assemble.training(settings, files, corpora, used, snapshot, stop, ranks=ranks)
    job.check_alike(ranks)
    profile.judge_precision(terminal, settings)
    announce.run(terminal, settings, job, corpora, threads, ranks)
    if not ranks.is_first:
        with stop:
            for _ in job.events:
                pass
        return _code(stop, job, settings), job, corpora[1]
    for path in assemble.claim(settings, files):
        terminal.detail(f"made way: {path}")
    unfinished.begun(files.snapshot, sys.argv[1:], settings.saving.resume)
    terminal.step(3, 3, "training")
    with stop, Follower(terminal, settings, job, corpora[1]) as follower:
        try:
            for event in job.events:
                follower.see(event)
        except step.NotFiniteError:
            unfinished.ended(files.snapshot)  # its newest snapshot would end alike: the error names a good one
            raise
        if not stop.signal or job.run.epoch == settings["epochs"]:
            follower.end()
    announce.registered(terminal, settings, job)
    unfinished.ended(files.snapshot)
    return _code(stop, job, settings), job, corpora[1]


def _code(stop: Stop, job: Job, settings: Settings) -> int:
    return 128 + stop.signal if stop.signal and job.run.epoch < settings["epochs"] else 0
