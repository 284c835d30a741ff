"""One run in two processes, as torchrun starts them: the curve of one process, one writer, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the processes of a run in /proc"),
]

GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"]
TINY = ["--hidden", "16", "--threads", "1", "--device", "cpu", "--seed", "5", "--dropout", "0", "--log-interval", "1"]
EPOCHS = "6"
LANES = ["--backbone", "gru", *TINY]
FRAMES = ["--backbone", "mlp", *TINY]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "exphil"]


@contextmanager
def started(*words: str, cwd: Path, processes: int = 1) -> Iterator[subprocess.Popen[str]]:
    """``exphil`` with these words; whatever is left of it in the end is killed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("EXPHIL_")}
    environ = own | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [*(TORCHRUN if processes > 1 else [sys.executable, "-m", "exphil"]), *words]
    with (cwd / "talk.txt").open("w") as talk:
        process = subprocess.Popen(command, cwd=cwd, env=environ, stdout=subprocess.DEVNULL, stderr=talk, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            for each in [process.pid, *workers(process)]:
                os.kill(each, signal.SIGKILL)
            process.wait()


def talk(cwd: Path) -> str:
    return (cwd / "talk.txt").read_text()


def train(*words: str, cwd: Path, processes: int = 1) -> str:
    with started("train", *words, cwd=cwd, processes=processes) as process:
        assert process.wait(timeout=120) == 0, talk(cwd)
    return talk(cwd)


def workers(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun started, by rank."""
    found = {}
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        environ = dict(each.partition("=")[::2] for each in Path(f"/proc/{child}/environ").read_text().split("\0"))
        if "RANK" in environ:
            found[int(environ["RANK"])] = int(child)
    return [found[rank] for rank in sorted(found)]


def lines(cwd: Path, name: str, event: str = "batch") -> list[dict]:
    path = cwd / "checkpoints" / f"{name}_metrics.jsonl"
    whole = (
        [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")] if path.exists() else []
    )
    return [line for line in map(json.loads, whole) if line["event"] == event]


def curve(cwd: Path, name: str) -> dict[int, float]:
    """Loss by update; of an update that a resumed run did again, the last."""
    return {line["update"]: line["loss"] for line in lines(cwd, name)}


def until(cwd: Path, name: str, updates: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has made so many updates."""
    ends = time.monotonic() + 60
    while len(lines(cwd, name)) < updates:
        assert process.poll() is None and time.monotonic() < ends, talk(cwd)
        time.sleep(0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, replays: Path) -> Path:
    """Two games and what one process makes of them, which every run here is compared with."""
    root = tmp_path_factory.mktemp("ranks")
    (root / "games").mkdir()
    for name in GAMES:
        shutil.copy(replays / name, root / "games")
    words = ["--replays", "games", "--epochs", EPOCHS, "--val-split", "0.5"]
    train("--name", "lanes", "--batch-size", "16", *words, *LANES, cwd=root)
    train("--name", "frames", "--batch-size", "512", *words, *FRAMES, cwd=root)
    return root


@pytest.mark.parametrize(
    ("whole", "words"),
    [
        ("lanes", ["--batch-size", "8", "--accumulation-steps", "2", *LANES]),
        ("frames", ["--batch-size", "512", *FRAMES]),
    ],
    ids=["lanes, accumulated", "windows"],
)
def test_two_processes_learn_what_one_learns_from_the_same_batches(folder, whole, words):
    name = f"two_{len(words)}_{whole}"
    said = train("--name", name, "--replays", "games", "--epochs", EPOCHS, "--val-split", "0.5", *words, cwd=folder,
                 processes=2)  # fmt: skip
    one, two = curve(folder, whole), curve(folder, name)
    assert len(one) > 30 and two == pytest.approx(one, rel=1e-4)
    assert [line["update"] for line in lines(folder, name)] == list(two), "one process writes"
    assert said.count("exphil evaluate") == 1, f"one process talks:\n{said}"
    ends = [[(line["train"], line["validation"]) for line in lines(folder, each, "epoch")] for each in (whole, name)]
    assert len(ends[0]) == int(EPOCHS) and [*sum(ends[1], ())] == pytest.approx([*sum(ends[0], ())], rel=1e-4)
    left = {path.name.removeprefix(name) for path in (folder / "checkpoints").glob(f"{name}*")}
    assert left == {path.name.removeprefix(whole) for path in (folder / "checkpoints").glob(f"{whole}*")}


def stopped(folder: Path) -> dict:
    """What a run in two processes saves at a Ctrl-C of torchrun, which it hands on to them."""
    words = ["--replays", "games", "--batch-size", "16", "--val-split", "0.5", "--save-every-batches", "3", *LANES]
    with started("train", "--name", "ended", "--epochs", "500", *words, cwd=folder, processes=2) as process:
        until(folder, "ended", 4, process)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    said = talk(folder)
    assert said.count("resume with") == 1 and "is gone" not in said and "defect" not in said, said
    stood: dict = torch.load(folder / "checkpoints" / "ended_interrupt.pt", weights_only=True)["run"]
    assert stood["updates"] == len(lines(folder, "ended")), "it stops where it was"
    return stood


def killed(folder: Path, made: int) -> dict:
    """What is there of the run that went on from there in two processes, one of which was killed."""
    words = ["--resume", "checkpoints/ended_interrupt.pt", "--log-interval", "1"]
    with started("train", *words, cwd=folder, processes=2) as process:
        until(folder, "ended", made + 6, process)
        os.kill(workers(process)[1], signal.SIGKILL)
        assert process.wait(timeout=60) != 0, "within a minute"
    said = talk(folder)
    assert "of the run is gone" in said and "--resume NAME.pt" in said and "defect" not in said, said
    stood: dict = torch.load(folder / "checkpoints" / "ended_batch.pt", weights_only=True)["run"]
    assert stood["updates"] > made
    return stood


def test_a_run_that_was_stopped_in_two_processes_and_killed_goes_on_in_one(folder):
    made = stopped(folder)["updates"]
    stood = killed(folder, made)
    before = len(lines(folder, "ended"))
    words = ["--resume", "checkpoints/ended_batch.pt", "--epochs", str(stood["epoch"] + 2), "--log-interval", "1"]
    train(*words, cwd=folder)
    again = [line["update"] for line in lines(folder, "ended")[before:]]
    assert again == list(range(stood["updates"] + 1, again[-1] + 1)), "one process goes on where two had saved"
    whole, found = curve(folder, "lanes"), curve(folder, "ended")
    both = [update for update in found if update in whole]
    assert max(both) > stood["updates"], "the one that is compared with must be longer"
    assert [found[at] for at in both] == pytest.approx([whole[at] for at in both], rel=1e-4)
