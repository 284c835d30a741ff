"""Runs that are killed without warning: what was saved always loads, and the run that goes on ends as if nothing was.

A real ``exphil train`` gets SIGKILL at random moments (before the first save, between saves, while a file is being
written), is resumed with the command that ``train.unfinished`` offers, and so on until it is through.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from exphil.train.checkpoint import load_policy, load_snapshot
from exphil.train.unfinished import Unfinished, unfinished

GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"]
RUN = [
    *("train", "--replays", "games", "--backbone", "gru", "--hidden", "16", "--threads", "1", "--device", "cpu"),
    *("--seed", "5", "--batch-size", "16", "--epochs", "3", "--save-every-batches", "2", "--overwrite", "--no-backup"),
]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")


def start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EXPHIL_")}
    with (folder / "talk.txt").open("wb") as talk:
        command = [sys.executable, "-m", "exphil", *words]
        return subprocess.Popen(command, cwd=folder, env=plain, stdout=talk, stderr=talk)


def ended(process: subprocess.Popen[bytes], folder: Path) -> None:
    assert process.wait(300) == 0, (folder / "talk.txt").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, replays: Path) -> Path:
    root = tmp_path_factory.mktemp("killed")
    (root / "games").mkdir()
    for name in GAMES:
        shutil.copy(replays / name, root / "games")
    return root


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Any]:
    """The last snapshot of the run that nobody disturbed."""
    ended(start([*RUN, "--name", "whole"], folder), folder)
    return load_snapshot(folder / "checkpoints" / "whole.pt")


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 300
    while process.poll() is None and not condition():
        assert time.monotonic() < until
        time.sleep(0.0005)


def kill(process: subprocess.Popen[bytes], place: Path, dice: random.Random) -> bool:
    """Kill a run at a random moment; False when it was through before."""
    batch = place / "a_batch.pt"

    def version() -> int:
        return batch.stat().st_ino if batch.exists() else 0

    wait_for(lambda: any(place.glob("a.incomplete")), process)
    for _ in range(dice.randrange(4)):
        before = version()
        wait_for(lambda before=before: version() != before, process)  # type: ignore[misc]
    if dice.random() < 0.5:
        wait_for(lambda: any(place.glob(".a*.part")), process)
        time.sleep(dice.random() * 0.003)
    else:
        time.sleep(dice.random() * 0.2)
    process.kill()
    return process.wait() != 0 and (place / "a.incomplete").exists()


def check_what_is_there(place: Path) -> Unfinished:
    """Every file loads, and the newest snapshot is the one that is offered."""
    snapshots = list(place.glob("a*.pt"))
    for path in snapshots:
        load_snapshot(path)
    for path in place.glob("a*.safetensors"):
        load_policy(path)
    (found,) = (each for each in unfinished(place) if each.name == "a")
    last = [path for path in snapshots if path.name != "a_best.pt"]
    assert found.newest == max(last, key=lambda path: path.stat().st_mtime_ns, default=None)
    return found


def same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left if key != "seconds")
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def killed_until_it_is_through(folder: Path, dice: random.Random, most: int) -> tuple[int, int]:
    """Kill and resume; how often it was killed, and how often something had been saved by then."""
    place, words, kills, saved = folder / "checkpoints", [*RUN, "--name", "a"], 0, 0
    for path in [*place.glob("a*"), *place.glob(".a*")]:
        path.unlink()
    while kills < most:
        process = start(words, folder)
        if not kill(process, place, dice):
            break
        found = check_what_is_there(place)
        kills, saved = kills + 1, saved + (found.newest is not None)
        words = shlex.split(found.go_on)[1:]
    else:
        ended(start(words, folder), folder)
    return kills, saved


@pytest.mark.parametrize(
    "kills", [pytest.param(5, marks=pytest.mark.slow), pytest.param(50, marks=[pytest.mark.nightly])]
)
def test_a_run_that_is_killed_again_and_again_ends_with_the_weights_of_one_that_was_not(folder, whole, kills):
    dice, done, loaded = random.Random(kills), 0, 0
    while done < kills:
        count, saved = killed_until_it_is_through(folder, dice, kills - done)
        done, loaded = done + count, loaded + saved
        place = folder / "checkpoints"
        found = load_snapshot(place / "a.pt")
        for part in ("policy", "optimizer", "random", "state", "run"):
            assert same(found[part], whole[part]), part
        policy = load_policy(place / "a_policy.safetensors")
        assert same(policy.weights, whole["policy"])
        assert unfinished(place) == [] and not list(place.glob(".a*.part"))
    assert loaded > kills / 2
