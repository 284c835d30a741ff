"""What one decision takes, frame by frame over a real game, on one thread: the fast player and the reference.

Bounds, hidden 256, two layers, the default head, 112 player names:
- floats to controller on the fast player at the median against the bare matrix-vector products of the same weights in
  numpy, timed in turn: at most 2 for mlp and lstm, 2.5 gru, 3 mamba and attention;
- from columns (``Agent.step``) at the median: at most 0.3 ms fast, 1 ms reference;
- a carried step on the fast player at least 10 times faster than the reference's backbone over the last 60 frames anew
  and its head at the last one (beside it: than the reference's own carried step; the mlp carries nothing);
- gru, 128 games at once: p99 at most 40 ms;
- the same actions of both players for the same uniforms over 1,000 frames.

Weights are random (every number moved, but for the tables that hold a controller); wall time, because that is what a
game waits for: on a busy machine the tails are the scheduler's. Each matrix is counted once, the looked-up rows
(embeddings, what is held, what sticks told) not at all.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import report
import training
from exphil import assemble
from exphil.envs.environment import run
from exphil.envs.replay import ReplayEnvironment
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.game.frames import Game
from exphil.models.export import export
from exphil.models.policy import Policy, TorchPlayer
from exphil.play.agent import Agent
from exphil.play.fast import FastPlayer
from exphil.play.learned import Learned
from exphil.replays import slp

GOALS = {"mlp": 2.0, "lstm": 2.0, "gru": 2.5, "mamba": 3.0, "attention": 3.0}
WINDOW, COMPARED, MANY, AGAIN = 60, 1000, 128, 200
CODEC = Codec.uniform()
GOING = np.array([False])


def made(root: Path, name: str) -> Policy:
    """A policy of random weights."""
    flags: dict[str, Any] = {"temporal": True, "backbone": name, "hidden": "256,256", "num_player_names": 112}
    flags |= {"window_size": WINDOW} | ({"attention_every": 2} if name == "jamba" else {})
    torch.manual_seed(1)
    policy = assemble.policy(training.settings(root, flags), CODEC).eval()
    with torch.no_grad():
        for key, parameter in policy.named_parameters():
            if "stay" not in key:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return policy


def products(policy: Policy) -> Callable[[], None]:
    """Every weight matrix times a vector."""
    found = [
        parameter
        for module in policy.modules()
        if isinstance(module, nn.Linear | nn.RNNBase)
        for parameter in module.parameters(recurse=False)
        if parameter.ndim == 2
    ]
    found += [policy.head.told_buttons.T, policy.head.among]
    matrices = [matrix.detach().numpy().copy() for matrix in found]
    vectors = [np.ones(matrix.shape[1], np.float32) for matrix in matrices]

    def work() -> None:
        for matrix, vector in zip(matrices, vectors, strict=True):
            matrix @ vector

    return work


class Watch:
    """Seconds by the wall and of the processor, one pair for each piece of work."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def time(self, work: Callable[[], Any]) -> Any:
        cpu, wall = time.process_time(), time.perf_counter()
        found = work()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        return found

    def spread(self) -> dict[str, float]:
        """Microseconds, without those that warm up."""
        wall, cpu = (np.percentile(times[AGAIN:], [50, 99, 99.9]) * 1e6 for times in (self.wall, self.cpu))
        names = ["p50_us", "p99_us", "p99.9_us"]
        found = dict(zip(names, wall, strict=True)) | {
            f"{name[:-2]}cpu_us": us for name, us in zip(names, cpu, strict=True)
        }
        return {name: round(float(us), 1) for name, us in found.items()}

    def median(self) -> float:
        return statistics.median(self.wall[AGAIN:])


def decisions(player: Any, rows: tuple[np.ndarray, ...], before: Callable[[], None]) -> tuple[Watch, Watch]:
    """Each decision over the frames of a game, and ``before``, which takes its turn with each."""
    state, spent, other = player.initial_state(1), Watch(), Watch()
    for at in range(len(rows[0])):
        floats, ids, uniform = (part[at : at + 1] for part in rows)
        other.time(before)
        _, state = spent.time(lambda given=(floats, ids, state, GOING, uniform): player.act(*given))
    return spent, other


def steps(player: Any, policy: Policy, game: Game) -> Watch:
    """``Agent.step`` over the frames of a game."""
    agent, spent = Agent(player, Learned(policy.table, CODEC, (0, 0), Registry(0)), 0, 1, 5), Watch()

    class Timed:
        def step(self, frame: Any) -> Any:
            return spent.time(lambda: agent.step(frame))

    run(ReplayEnvironment(game, (1, 2)), {1: Timed()}, len(game), lambda *_: None)  # type: ignore[dict-item]
    return spent


def same(fast: FastPlayer, reference: TorchPlayer, rows: tuple[np.ndarray, ...]) -> int:
    """Frames with another action."""
    mine, theirs, differ = fast.initial_state(1), reference.initial_state(1), 0
    for at in range(COMPARED):
        floats, ids, uniform = (part[at : at + 1] for part in rows)
        act, mine = fast.act(floats, ids, mine, GOING, uniform)
        said, theirs = reference.act(floats, ids, theirs, GOING, uniform)
        differ += not np.array_equal(act.action, said.action)
    return differ


@torch.inference_mode()
def anew(policy: Policy, rows: tuple[np.ndarray, ...]) -> Watch:
    """The backbone over the last frames and the head at the last of them."""
    floats, ids, uniforms = (torch.from_numpy(part)[None] for part in rows)
    fresh, spent = policy.initial_state(1), Watch()

    def work(window: slice) -> None:
        features, previous, _ = policy.features(floats[:, window], ids[:, window], fresh, None)
        policy.head.sample(features[:, -1], previous[:, -1], uniforms[:, window.stop - 1])

    for last in range(WINDOW, WINDOW + 3 * AGAIN):
        spent.time(lambda window=slice(last - WINDOW, last): work(window))
    return spent


def many(player: Any, rows: tuple[np.ndarray, ...]) -> dict[str, float]:
    """A thousand decisions for 128 games at once: as many places of one game."""
    first, state, spent = np.arange(MANY) * 50, player.initial_state(MANY), Watch()
    going = np.zeros(MANY, np.bool_)
    for at in range(COMPARED + AGAIN):
        floats, ids, uniform = (part[(first + at) % len(part)] for part in rows)
        _, state = spent.time(lambda given=(floats, ids, state, going, uniform): player.act(*given))
    return spent.spread()


def measure(root: Path, name: str, game: Game, folder: Path) -> dict[str, Any]:
    """Everything about one backbone."""
    policy, path = made(root, name), folder / f"{name}.onnx"
    export(policy, path, {})
    fast, reference = FastPlayer(path), TorchPlayer(policy, training.CPU)
    floats, ids = policy.table.encode(game.seen_from(0))
    rows = (floats, ids, np.random.default_rng(0).random((len(game), 13), np.float32))
    spent, bare = decisions(fast, rows, products(policy))
    found: dict[str, Any] = {
        "parameters": sum(parameter.numel() for parameter in policy.parameters()),
        "floats_to_controller": spent.spread(),
        "products": bare.spread(),
        "ratio": round(spent.median() / bare.median(), 3),
        "ratio_goal": GOALS.get(name),
        "from_columns_fast": steps(fast, policy, game).spread(),
        "from_columns_reference": steps(reference, policy, game).spread(),
        "frames_with_another_action": same(fast, reference, rows),
    }
    if fast.initial_state(1).leaves:
        carried, _ = decisions(reference, tuple(part[: 5 * AGAIN] for part in rows), lambda: None)
        window = anew(policy, rows)
        found |= {"step_reference": carried.spread(), "window_anew": window.spread()}
        found["window_of_step_reference"] = round(window.median() / carried.median(), 1)
        found["window_of_step_fast"] = round(window.median() / spent.median(), 1)
    if name == "gru":
        found |= {"games_128_fast": many(fast, rows), "games_128_reference": many(reference, rows)}
    return found


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", frames=10_000, only="")
    root = Path(args.replays)
    games = (slp.read(path).game for path in training.full_games(root))
    game = next(found for found in games if len(found) >= args.frames)[: args.frames]
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(",") if args.only else assemble.BACKBONES:
            result[name] = measure(root, name, game, Path(folder))
    table = [
        [
            name,
            *(found["floats_to_controller"][part] for part in ("p50_us", "p99_us", "p99.9_us", "p99_cpu_us")),
            found["ratio"],
            found["ratio_goal"] or "",
            *(found[f"from_columns_{who}"][part] for who in ("fast", "reference") for part in ("p50_us", "p99_us")),
            *(found.get(f"window_of_step_{who}", "") for who in ("fast", "reference")),
            found["frames_with_another_action"],
        ]
        for name, found in result.items()
    ]
    columns = ["backbone", "p50 us", "p99", "p99.9", "p99 cpu", "of products", "goal", "columns fast p50", "p99"]
    columns += ["reference p50", "p99", "window / step fast", "reference", "differ"]
    report.show(args, {"frames": len(game), "backbones": result}, "One decision, batch 1, one thread", columns, table)


if __name__ == "__main__":
    main()
