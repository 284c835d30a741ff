"""How long the loop stands still for a save in the background, at 50 million parameters, batch 64 x 64, on a CPU.

    python bench/saving.py --replays FOLDER [--threads 2] [--json]

Bound: a pause (copying the run and handing it over) takes at most 5% of a step, at the median. Beside it: the first
pause, which gets fresh memory; how much longer a step is while the thread writes; what writing the same files takes
when the loop waits for it; the time by the wall of everything, on the disk that ``--folder`` lies on.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import torch

import report  # pins the threads before torch is imported
import training
from exphil import assemble
from exphil.train import loop
from exphil.train.ranks import alone
from exphil.train.runfiles import RunFiles
from exphil.train.session import Identity, Keep, Saved, session, written

BOUND = 0.05
GAMES, EVERY, SAVES, BLOCKING = 8, 2, 4, 2
SHAPE = {
    "temporal": True, "backbone": "gru", "hidden": "2048", "num_layers": 2, "dual_port": True, "num_player_names": 0,
    "batch_size": 64, "window_size": 64, "optimizer": "adam",
}  # fmt: skip


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", folder=tempfile.gettempdir())
    options = training.settings(Path(args.replays), SHAPE)
    corpus, codec = training.games(options, training.full_games(Path(args.replays))[:GAMES]), assemble.codec(options)
    torch.manual_seed(0)
    policy = assemble.policy(options, codec)
    run = loop.Run(policy, assemble.optimizer(options, policy), training.CPU)
    batches = assemble.loader(options, corpus, assemble.plan(options, corpus, 0), codec, training.CPU)
    events = loop.train(run, batches, assemble.schedule(options, 1000), 1 << 30, assemble.way(options))
    identity = Identity({"name": "bench"}, "none", {}, {"learned": [], "held_out": []}, {})
    plain, beside, pauses = [], [], []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        files, keep = RunFiles.at(Path(folder) / "run"), Keep(every_batches=EVERY)
        watched = session(events, run, files, identity, keep=keep, stop=lambda: False, ranks=alone())
        while len(pauses) < SAVES:
            event = next(watched)
            if isinstance(event, Saved):
                pauses.append(event.paused)
            elif run.updates > 1:  # the first one gets its memory
                (beside if run.updates % EVERY == 1 else plain).append(event.seconds)
        blocking = []
        for _ in range(BLOCKING):
            began = time.perf_counter()
            written(run.snapshot(), files.variant("_waited"), identity)
            blocking.append(time.perf_counter() - began)
        size = sum(path.stat().st_size for path in Path(folder).glob("run_batch*"))
        watched.close()
    step, pause = median(plain), median(pauses[1:])
    result = {
        "parameters": sum(parameter.numel() for parameter in policy.parameters()),
        "threads": args.threads,
        "file_mb": round(size / 1e6),
        "step_s": step,
        "pause_s": pause,
        "pause_of_step": pause / step,
        "bound": BOUND,
        "holds": pause <= BOUND * step,
        "first_pause_s": pauses[0],
        "step_while_writing_s": median(beside),
        "slower_while_writing": median(beside) / step - 1,
        "waiting_s": median(blocking),
        "waiting_of_step": median(blocking) / step,
        "seconds": {"plain": plain, "beside": beside, "pauses": pauses, "waiting": blocking},
    }
    names = ["step s", "pause s", "of a step", "first pause s", "step while writing s", "longer", "waiting s"]
    row = [step, pause, f"{pause / step:.1%}", pauses[0], median(beside), f"{median(beside) / step - 1:.0%}"]
    title = f"{result['parameters']:,} parameters, {args.threads} threads, {result['file_mb']:,} MB a save"
    report.show(args, result, title, names, [[*row, median(blocking)]])


if __name__ == "__main__":
    main()
