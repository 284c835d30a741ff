"""A small policy taught by a large one, against the same small one that learns from players alone.

Equal games, updates, first weights and order of batches; of every four files one is held out. A gru of width 256 is
the teacher and has learned from the same games, for longer and with dropout (``--teacher-dropout 0`` makes one that has
learned them by heart); students are narrower. Arms: players alone, the teacher at the defaults of its options and, with
``--with-alone 1``, the teacher alone. Measured on the held-out games: nats per decision; milliseconds of a decision for
one game on one thread; and CPU milliseconds of an update, which is what a teacher costs while it teaches. Nats do not
rank how well policies play.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

import report
import training
from exphil import assemble
from exphil.assemble.playing import PLAYERS
from exphil.config.layers import Settings, jsonable
from exphil.data import baselines
from exphil.data.corpus import Corpus
from exphil.data.loader import Loader
from exphil.evaluate.benchmark import baseline_losses, latencies
from exphil.models.policy import Policy
from exphil.train import checkpoint, loop
from exphil.train.validate import held_out_loss

RECIPE: dict[str, Any] = {**training.RECIPE, "num_layers": 1, "augment": False, "dropout": 0, "lr": 8e-3}
EVERY = 4  # one file of so many is held out
TEACHER, STUDENTS = "256", ("32", "64")
ARMS: dict[str, dict[str, Any]] = {
    "players alone": {},
    "with the teacher": {"teacher": ""},
    "the teacher alone": {"teacher": "", "teacher_weight": 1},
}
"""Options of each arm; the path of the teacher is filled in."""


def learn(options: Settings, learned: Corpus, seed: int, updates: int) -> tuple[Policy, float]:
    """A policy after so many updates, and the median CPU seconds of one."""
    codec, way = assemble.codec(options), assemble.way(options)
    torch.manual_seed(seed)
    policy = assemble.policy(options, codec)
    run = loop.Run(policy, assemble.optimizer(options, policy), training.CPU)
    batches = assemble.loader(options, learned, assemble.plan(options, learned, seed), codec, training.CPU)
    events, took = loop.train(run, batches, assemble.schedule(options, updates), 1 << 30, way), []
    while run.updates < updates:
        began = time.process_time()
        next(events)
        took.append(time.process_time() - began)
    return policy.eval(), statistics.median(took)


def saved(options: Settings, policy: Policy, fitted: dict[str, Any], path: Path) -> None:
    """Write a policy as a run does."""
    words = jsonable(options.flat()), policy.table.fingerprint, fitted, {}
    checkpoint.save_policy(path, checkpoint.PolicyFile(policy.state_dict(), *words, actions=policy.codec.as_dict()))


def judge(walked: Loader, policy: Policy, seconds: float) -> dict[str, float]:
    """What it comes to; fast is onnxruntime."""
    took = {
        f"ms_{name}": latencies(partial(PLAYERS[name], policy, training.CPU, 1), walked)["1"]["p50"] for name in PLAYERS
    }
    size = sum(parameter.numel() for parameter in policy.parameters())
    return {"nats": held_out_loss(policy, walked), "update_ms": 1000 * seconds, "parameters": size, **took}


def table(found: dict[str, list[dict[str, float]]], copying: float) -> list[list[Any]]:
    """Medians over seeds; of nats the least and the most too."""
    rows: list[list[Any]] = []
    for name, runs in found.items():
        nats = [run["nats"] for run in runs]
        middle = [statistics.median(run[key] for run in runs) for key in ("ms_reference", "ms_fast", "update_ms")]
        rows.append([name, statistics.median(nats), min(nats), max(nats), *middle, f"{runs[0]['parameters']:,}"])
    return [*rows, ["copying the controller", copying, copying, copying, "", "", "", ""]]


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", teacher_updates=800, updates=250, teacher_dropout=0.3,
                            with_alone=0, seeds=3)  # fmt: skip
    folder = Path(args.replays)
    files = training.full_games(folder)
    options = training.settings(folder, {**RECIPE, "hidden": TEACHER, "dropout": args.teacher_dropout})
    learned = training.games(options, [path for at, path in enumerate(files) if at % EVERY])
    held = training.games(options, files[::EVERY])
    codec = assemble.codec(options)
    fitted = baselines.of_corpus(learned, codec, options.seats.all_frames)
    walked = assemble.walk(options, held, codec, training.CPU)
    teacher, seconds = learn(options, learned, 0, args.teacher_updates)
    found = {f"gru {TEACHER}, the teacher": [judge(walked, teacher, seconds)]}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "teacher_policy.safetensors"
        saved(options, teacher, fitted, path)
        for hidden in STUDENTS:
            for name, flags in list(ARMS.items())[: 3 if args.with_alone else 2]:
                own = {**RECIPE, "hidden": hidden, **flags} | ({"teacher": path} if flags else {})
                asked = training.settings(folder, own)
                runs = [judge(walked, *learn(asked, learned, seed, args.updates)) for seed in range(args.seeds)]
                found[f"gru {hidden}, {name}"] = runs
    copying = baseline_losses(teacher, walked, fitted)["copy-previous"]
    result = {
        "recipe": RECIPE, "teacher_updates": args.teacher_updates, "teacher_dropout": args.teacher_dropout,
        "updates": args.updates, "copying": copying,
        "games_learned": learned.games, "games_held_out": held.games, "seeds": found,
    }  # fmt: skip
    columns = ["policy", "nats", "least", "most", "ms reference", "ms fast", "update ms", "parameters"]
    report.show(args, result, f"{args.seeds} seeds, {args.updates} updates", columns, table(found, copying))


if __name__ == "__main__":
    main()
