"""Loading at 10, 100 and 1,000 games: memory of our own, frames per CPU second, and how well streaming shuffles.

Games are copies of the full games of the shared replays, kept in a temporary store under made-up digests, so that
every one is a file of its own. Each size runs in a process of its own; memory is what the process holds that no file
backs (RssAnon of Linux), which the system cannot take back.

Memory is measured in a second run, in which glibc gives every freed block above 1 MB back at once: else it keeps 0 to
400 MB of freed batches, by chance, whatever the number of games.

Bounds: memory and frames per second flat from 10 to 1,000 games (within 15% and 64 MB). ``--train`` measures instead
the memory of training on every game of one folder or archive with windows of 60, stride 1: at most 1.5 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import report
import training
from exphil import assemble
from exphil.data.corpus import Corpus, Entry
from exphil.data.shelf import Shelf
from exphil.data.streamed import Streamed
from exphil.replays.choosing import Choice
from exphil.replays.library import Loaded, Reading, load
from exphil.replays.sources import Source
from exphil.replays.store import Store

SIZES = (10, 100, 1000)
BATCHES = 200
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
RECIPE = {"temporal": True, "backbone": "gru", "hidden": "256", "batch_size": 64, "window_size": 60}
KINDS = {"lanes": {}, "windows": {"sequence_mode": "windows"}, "streamed": {"stream_chunk_size": 50}}


def own_mb() -> float:
    """Memory of this process that no file backs, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


def fill(folder: Path, replays: Path, games: int) -> None:
    """Keep so many copies of the same ten full games: what is encoded (Nana, items) must not differ between sizes."""
    how = Reading(Choice(allow_missing=True))
    found = [
        loaded
        for loaded in load([Source(path) for path in training.full_games(replays)], how)
        if isinstance(loaded, Loaded)
    ]
    store = Store(folder)
    ten = found[:: len(found) // min(SIZES)][: min(SIZES)]
    for number in range(games):
        loaded = ten[number % len(ten)]
        store.put(f"{number:016x}", loaded.about, loaded.open())


def corpus(folder: Path, games: int) -> Corpus:
    """The first so many games of a store; nothing is opened but their heads."""
    store, entries, length, openers = Store(folder), [], [], []
    for number in range(games):
        digest = f"{number:016x}"
        kept = store.get(digest)
        assert kept is not None
        entries.append(Entry(number, digest, kept[0].characters[0], digest))
        length.append(kept[1].frames)
        openers.append(lambda digest=digest: store.get(digest)[1])  # type: ignore[index]
    return Corpus(Shelf(openers), tuple(entries), np.array(length, np.int64))


def measure(folder: Path, games: int, kind: str) -> dict[str, float]:
    """Load batches of one plan: frames per CPU second, MB before and after."""
    options = training.settings(folder, RECIPE | KINDS[kind])
    held = corpus(folder, games)
    plan = assemble.plan(options, held, 0)
    batches = assemble.loader(options, held, plan, assemble.codec(options), training.CPU)
    batches.load(0, 0)
    steps = [step % plan.steps(0) for step in range(BATCHES)]

    def all_of_them() -> None:
        for step in steps:
            batches.load(0, step)

    seconds = report.cpu_seconds(all_of_them, 3)
    frames = BATCHES * plan.batch * plan.window
    return {"frames_per_cpu_second": frames / seconds, "own_mb": own_mb()}


def neighbours(folder: Path, games: int) -> dict[str, float]:
    """How alike the stretches of one batch are: the share of its pairs that come from one game.

    All games mixed, and streamed 10 files at a time. A perfect shuffle has 1 / games that are mixed.
    """
    shares = {}
    for name, more in {"all mixed": {}, "10 files at a time": {"stream_chunk_size": 10}}.items():
        options = training.settings(folder, RECIPE | {"sequence_mode": "windows"} | more)
        held = corpus(folder, games)
        plan = assemble.plan(options, held, 0)
        assert isinstance(plan, Streamed) == bool(more)
        found = []
        for step in np.linspace(0, plan.steps(0) - 1, 200).astype(int):
            pick = plan.pick(0, int(step))
            game = np.searchsorted(held.first, pick.first[pick.decisions > 0], "right")
            same = game[:, None] == game[None, :]
            found.append((same.sum() - len(game)) / max(len(game) * (len(game) - 1), 1))
        shares[name] = float(np.mean(found))
    return shares


def train(replays: str) -> dict[str, Any]:
    """Memory of a training run on every game, windows of 60 at every frame."""
    flags = RECIPE | {"sequence_mode": "windows", "stride": 1, "allow_missing": True, "hidden": "64", "batch_size": 256}
    options = training.settings(Path(replays), flags | {"precompute": True})
    from exphil.replays.sources import find
    from exphil.train import loop
    from exphil.train.step import Way

    with tempfile.TemporaryDirectory() as folder:
        options = options.changed({"cache_dir": folder}, "bench")
        corpus = assemble.read(options, find(Path(replays)).sources).corpus
        read = own_mb()
        codec = assemble.codec(options)
        policy = assemble.policy(options, codec)
        run = loop.Run(policy, assemble.optimizer(options, policy), training.CPU)
        batches = assemble.loader(options, corpus, assemble.plan(options, corpus, 0), codec, training.CPU)
        events = loop.train(run, batches, lambda _: 1e-4, 1, Way())
        most = 0.0
        for _ in range(60):
            next(events)
            most = max(most, own_mb())
    windows = int(corpus.decisions.sum())
    return {"games": corpus.games, "windows": windows, "own_mb_after_reading": read, "own_mb_training": most}


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", train="", child="")
    torch.set_num_threads(args.threads)
    if args.child:
        folder, games, kind = args.child.split(":")
        found = neighbours(Path(folder), int(games)) if kind == "mix" else measure(Path(folder), int(games), kind)
        print(json.dumps(found))
        return
    if args.train:
        found = train(args.train)
        report.show(args, found, "Training on everything", list(found), [list(found.values())])
        return
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), Path(args.replays), max(SIZES))

        def child(games: int, kind: str, **environment: str) -> dict[str, float]:
            command = [sys.executable, __file__, "--child", f"{folder}:{games}:{kind}"]
            told = subprocess.run(
                command, check=True, capture_output=True, text=True, env={**os.environ, **environment}
            )
            return json.loads(told.stdout)

        def both(games: int, kind: str) -> dict[str, float]:
            return child(games, kind) | {"own_mb": child(games, kind, **GIVES_BACK)["own_mb"]}

        sizes = {kind: {str(games): both(games, kind) for games in SIZES} for kind in KINDS}
        mixed = child(100, "mix")
    rows = [
        [kind, games, found["frames_per_cpu_second"] / 1e3, found["own_mb"]]
        for kind, by_size in sizes.items()
        for games, found in by_size.items()
    ]
    result = {"batches": BATCHES, "sizes": sizes, "pairs_of_a_batch_from_one_game": mixed}
    report.show(args, result, f"Loading; pairs from one game: {mixed}", ["plan", "games", "k frames/s", "own MB"], rows)


if __name__ == "__main__":
    main()
