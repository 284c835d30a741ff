"""Two processes of one thread against one process of one thread and of two, on the same batches.

    python bench/ranks.py --replays FOLDER [--json]

Whole updates on real games: features, forward, loss, backward, sums over the processes, clipping, optimiser; a batch of
64 x 60 decisions is that of all processes together. The three take turns, a few updates each; frames per second of wall
time, medians, and the ratio to one thread within each round; that needs two cores on which nothing else runs. ``of CPU
time`` compares the processor time of an update in one process with that of the slower of two: what there is to gain
however busy the machine is. ``exchange`` is what two processes spend on sums alone.
Bound: two processes at least 1.5 times as fast as one of one thread.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

import report  # pins the threads before torch is imported
import training
from exphil import assemble
from exphil.data.parts import Parts
from exphil.train import loop
from exphil.train.ranks import joined
from exphil.train.step import Way

BATCH, WINDOW, GAMES = 64, 60, 6
UPDATES = {"gru": 2, "mlp": 8}  # of one turn
SHAPES = {"one thread": (1, 1), "two threads": (1, 2), "two processes": (2, 1)}


class Team:
    """The processes of one shape, waiting for their turn."""

    def __init__(self, args: Any, backbone: str, processes: int, threads: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, __file__, "--replays", args.replays, "--work", backbone, "--threads", str(threads)]
        about = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        self._processes = [
            subprocess.Popen(
                command,
                env={**os.environ, **about, "RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(processes)
        ]
        self.turn()  # the first updates are slower

    def turn(self) -> dict[str, Any]:
        """What the slowest found in its turn."""
        for process in self._processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        found = [json.loads(process.stdout.readline()) for process in self._processes if process.stdout]
        return {name: max(each[name] for each in found) for name in found[0]}

    def end(self) -> None:
        for process in self._processes:
            process.communicate(timeout=30)


def work(args: Any) -> None:
    """One process of a team: a turn for every line that comes in."""
    options = training.settings(
        Path(args.replays),
        {"backbone": args.work, "temporal": True, "hidden": "256", "batch_size": BATCH, "window_size": WINDOW,
         "dual_port": True, "dropout": 0.0},
    )  # fmt: skip
    ranks, codec = joined(os.environ, "cpu"), assemble.codec(options)
    corpus = training.games(options, training.full_games(Path(args.replays))[-GAMES:])
    torch.manual_seed(0)
    policy = assemble.policy(options, codec)
    run = loop.Run(policy, assemble.optimizer(options, policy), training.CPU)
    plan = Parts(assemble.plan(options, corpus, 0), *ranks.slices())
    batches = assemble.loader(options, corpus, plan, codec, training.CPU)
    way = Way(carry=assemble.carries_state(options), ranks=ranks)
    events = loop.train(run, batches, lambda _: 1e-4, 1 << 30, way)
    for _ in sys.stdin:
        began, busy, updates = time.perf_counter(), time.process_time(), UPDATES[args.work]
        while updates:
            updates -= isinstance(next(events), loop.BatchDone)
        seconds = (time.perf_counter() - began) / UPDATES[args.work]
        busy = (time.process_time() - busy) / UPDATES[args.work]
        began = time.perf_counter()
        for _ in range(5):
            ranks.sum_values([0.0] * 15)
            ranks.sum_gradients(policy.parameters())
        exchange = (time.perf_counter() - began) / 5
        parameters = sum(parameter.numel() for parameter in policy.parameters())
        print(json.dumps({"seconds": seconds, "cpu": busy, "exchange": exchange, "parameters": parameters}), flush=True)
    ranks.close()


def measured(args: Any, backbone: str) -> dict[str, Any]:
    """Frames per second of the three shapes."""
    teams = {name: Team(args, backbone, *shape) for name, shape in SHAPES.items()}
    turns = [{name: team.turn() for name, team in teams.items()} for _ in range(args.rounds)]
    for team in teams.values():
        team.end()
    frames = BATCH * WINDOW
    return {
        "parameters": turns[0]["one thread"]["parameters"],
        "exchange_ms": median(turn["two processes"]["exchange"] for turn in turns) * 1e3,
        "frames_per_second": {name: frames / median(turn[name]["seconds"] for turn in turns) for name in SHAPES},
        "times_one_thread": {
            name: median(turn["one thread"]["seconds"] / turn[name]["seconds"] for turn in turns) for name in SHAPES
        },
        "times_one_thread_of_cpu": {  # threads that wait for each other are busy too: nothing to learn from them
            name: median(turn["one thread"]["cpu"] / turn[name]["cpu"] for turn in turns)
            for name in SHAPES
            if name != "two threads"
        },
    }


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", rounds=5, work="")
    if args.work:
        work(args)
        return
    found = {backbone: measured(args, backbone) for backbone in UPDATES}
    rows = [
        [
            *(backbone, name, each["frames_per_second"][name], each["times_one_thread"][name]),
            *(each["times_one_thread_of_cpu"].get(name, ""), each["exchange_ms"]),
        ]
        for backbone, each in found.items()
        for name in SHAPES
    ]
    report.show(
        args,
        {"batch": BATCH, "window": WINDOW, "rounds": args.rounds, "load": os.getloadavg()[0], "backbones": found},
        f"Batch {BATCH} x {WINDOW} in all",
        ["backbone", "shape", "frames/s", "x one thread", "of CPU time", "exchange ms"],
        rows,
    )


if __name__ == "__main__":
    main()
