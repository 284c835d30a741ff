"""What an entry for the Computer Melee Championship (UMI) answers in: through its socket, in batches of N games.

The entry runs in a process of its own, as in the championship; an arena here shows it the frames that umi-conform
shows and times every reply. In turn with them, a block of frames at a time, the bare graph is timed for as many games:
nothing can be faster than that. Goals: p99 at most 8 ms for one game, 40 ms for 128.

Where the time goes is measured in one process, step by step (medians). Weights are random, one thread each; wall time,
because that is what an arena waits for; on a busy machine the tails are the scheduler's, so the bot's own processor
time is told beside it.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from umi import protocol
from umi.conform.arena import load_fixtures

import report
import training
from exphil import assemble
from exphil.assemble.playing import learned
from exphil.envs import umi_frames
from exphil.envs.environment import Frame
from exphil.features.action import Codec
from exphil.features.observation import Recent
from exphil.features.players import Registry
from exphil.models.export import export
from exphil.play import entry
from exphil.play.playable import from_graph
from exphil.play.umi import Desk, Session, rows_of

SIZES, GOALS = (1, 8, 32, 64, 128), {1: 8.0, 128: 40.0}
DELAY, WARM, BLOCK = 18, 50, 25
MOST = 2 * SIZES[-1]


def made(root: Path, folder: Path, hidden: str) -> Path:
    """A policy of random weights as an unpacked entry."""
    flags: dict[str, Any] = {"temporal": True, "backbone": "gru", "hidden": hidden}
    settings = training.settings(root, flags | {"frame_delay": DELAY, "umi_safe": True})
    torch.manual_seed(1)
    policy = assemble.policy(settings, Codec.uniform()).eval()
    with torch.no_grad():
        for key, parameter in policy.named_parameters():
            if "stay" not in key:
                parameter.add_(0.05 * torch.randn_like(parameter))
    path = folder / "policy.onnx"
    export(policy, path, {"learned": learned(settings, policy.codec, Registry(0)).as_dict()})
    for name, content in entry.entry(path.read_bytes(), name="bench", characters="ALL", delay=DELAY).items():
        place = folder / "entry" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder / "entry"


def frames_of(streams: np.ndarray, number: int, at: int) -> np.ndarray:
    """A frame of each of so many games, at other places of the recorded ones."""
    games = np.arange(number)
    return np.ascontiguousarray(streams[games % len(streams), (at + 29 * games) % streams.shape[1]])


class Arena:
    """The other end of the socket."""

    def __init__(self, folder: Path, program: Path) -> None:
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.bind(str(folder / "socket"))
        door.listen(1)
        self.bot = subprocess.Popen([sys.executable, program, "--socket", folder / "socket"], cwd=folder)
        self.line, _ = door.accept()
        protocol.recv(self.line)
        buckets = [*SIZES, MOST]
        granted = {"delay": DELAY, "max_games": MOST, "lanes": 1, "buckets": buckets, "info_every": 6}
        protocol.send(self.line, {"t": "welcome", **granted, "warmups": 0, "rng_seed": 0})
        protocol.recv(self.line)
        self.seq = self.games = 0

    def begin(self, number: int) -> np.ndarray:
        """New games."""
        found = np.arange(self.games, self.games + number, dtype=np.uint32)
        self.games += number
        told = {"port": 1, "character": "FOX", "opp_character": "FOX", "stage": "BATTLEFIELD"}
        protocol.send(self.line, {"t": "new_games", "games": [{"game": int(game), **told} for game in found]})
        return found

    def ask(self, games: np.ndarray, frames: np.ndarray, first: bool) -> float:
        """Show a frame; seconds until the answer."""
        self.seq += 1
        began = time.perf_counter()
        protocol.send(self.line, protocol.obs(self.seq, 0, games, np.full(len(games), first), frames))
        protocol.act_arrays(protocol.recv(self.line), len(games))
        return time.perf_counter() - began

    def end(self, games: np.ndarray) -> None:
        """These games are over."""
        protocol.send(self.line, {"t": "end_games", "games": [{"game": int(game)} for game in games]})

    def cpu(self) -> float:
        """Seconds of a processor that the bot has had (Linux)."""
        return int(Path(f"/proc/{self.bot.pid}/schedstat").read_text().split()[0]) / 1e9

    def close(self) -> None:
        """Send the bot home."""
        protocol.send(self.line, {"t": "shutdown"})
        self.bot.wait(10)
        self.line.close()


def replies(arena: Arena, player: Any, table: Any, streams: np.ndarray, number: int, steps: int) -> dict[str, Any]:
    """Replies of one batch size, and the bare graph beside each."""
    games, state = arena.begin(number), player.initial_state(number)
    uniform = np.random.default_rng(0).random((number, 13), np.float32)
    going = np.zeros(number, np.bool_)
    recent = Recent(np.zeros((number, DELAY * 13), np.float32), np.array(DELAY))
    spent: list[float] = []
    bare: list[float] = []
    cpu: list[float] = []
    for begin in range(0, steps + WARM, BLOCK):
        shown = [frames_of(streams, number, at) for at in range(begin, begin + BLOCK)]
        before = arena.cpu()
        spent += [arena.ask(games, frames, begin + at == 0) for at, frames in enumerate(shown)]
        cpu.append((arena.cpu() - before) / BLOCK)
        for frames in shown:
            floats, ids = table.encode(umi_frames.game(frames), recent)
            began = time.perf_counter()
            _, state = player.act(floats, ids, state, going, uniform)
            bare.append(time.perf_counter() - began)
    arena.end(games)
    found: dict[str, Any] = {}
    for name, times in (("reply", spent), ("graph", bare)):
        found[name] = dict(
            zip(
                ("p50_ms", "p99_ms"),
                [round(float(ms), 3) for ms in np.percentile(times[WARM:], [50, 99]) * 1e3],
                strict=True,
            )
        )
    found["cpu_ms"] = round(statistics.median(cpu) * 1e3, 3)
    return found | {"p99_goal_ms": GOALS.get(number)}


def parts(player: Any, known: Any, streams: np.ndarray, number: int, steps: int) -> dict[str, float]:
    """Microseconds of every step of an answer, medians, and of the whole."""
    desk = Desk(player, known, Session(DELAY, MOST + 1, 0))
    agent, places, rows = desk._agent, umi_frames.Places(MOST + 1), np.arange(number)
    spent: dict[str, list[float]] = {}
    no, state = np.zeros(number, np.bool_), player.initial_state(MOST + 1)
    recent = Recent(np.zeros((number, DELAY * 13), np.float32), np.array(DELAY))
    uniform = np.random.default_rng(0).random((number, 13), np.float32)

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = work()
        spent.setdefault(name, []).append(time.perf_counter() - began)
        return found

    for at in range(steps + WARM):
        frames = frames_of(streams, number, at)
        message = timed("arena packs", lambda f=frames: protocol.obs(1, 0, rows, no, f))
        timed("library unpacks", lambda m=message: protocol.frames_from(m))
        game = timed("frames to columns", lambda f=frames: umi_frames.game(f, places.of(f, rows, no)))
        floats, ids = timed("columns to numbers", lambda g=game: known.table.encode(g, recent))
        before = timed("memory out", lambda: player.take(state, rows))
        _, after = timed("graph", lambda f=floats, i=ids, b=before: player.act(f, i, b, no, uniform))
        timed("memory in", lambda a=after: player.put(state, rows, a))
        decision = timed("agent, all in all", lambda g=game: agent.step(Frame(g, no, no, no), rows))
        ctrl = timed("controllers to rows", lambda d=decision: rows_of(d.controllers))
        timed("library packs", lambda c=ctrl: protocol.encode(protocol.act(1, c)))
    return {name: round(statistics.median(times[WARM:]) * 1e6, 1) for name, times in spent.items()}


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", steps=600, hidden="256,256")
    streams = load_fixtures()["frames"][:, :, 0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = made(Path(args.replays), folder, args.hidden)
        player, known = from_graph(program / entry.GRAPH)
        arena = Arena(folder, program / entry.RUN)
        result = {}
        for number in SIZES:
            result[number] = replies(arena, player, known.table, streams, number, args.steps)
            result[number]["steps_us"] = parts(player, known, streams, number, args.steps // 3)
        arena.close()
    steps = list(result[1]["steps_us"])
    rows = [
        [
            number,
            *(found[what][part] for what in ("reply", "graph") for part in ("p50_ms", "p99_ms")),
            found["p99_goal_ms"] or "",
            found["cpu_ms"],
            *(found["steps_us"][step] for step in steps),
        ]
        for number, found in result.items()
    ]
    columns = [
        "games",
        "reply p50 ms",
        "p99",
        "bare graph p50",
        "p99",
        "p99 goal",
        "cpu ms a reply",
        *(f"{step} us" for step in steps),
    ]
    told = {"hidden": args.hidden, "delay": DELAY, "replies": {str(n): found for n, found in result.items()}}
    report.show(args, told, "Replies of an entry for UMI, one thread", columns, rows)


if __name__ == "__main__":
    main()
