"""``exphil train --dry-run``: sizes, games and time, and nothing is written."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time

import pytest

from exphil.cli.main import main
from exphil.cli.running import dry_run

GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"]
SMALL = ("--device", "cpu", "--threads", "1", "--hidden", "8,8")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dry_run, "PROBE_S", 0.02)


def shown(capsys, *words: str) -> tuple[str, str]:
    assert main(["train", "--dry-run", *words]) == 0
    return capsys.readouterr()


def row(text: str, start: str) -> str:
    return next(line[len(start) :].strip() for line in text.splitlines() if line.startswith(start))


def test_it_tells_parameters_sizes_games_and_time(capsys, replays, tmp_path):
    folder = tmp_path / "games"
    folder.mkdir()
    for name in GAMES:
        shutil.copy(replays / name, folder)
    out, err = shown(capsys, *SMALL, "--replays", str(folder), "--val-split", "0.5", "--epochs", "3")
    parts = [int(row(out, part).replace(",", "")) for part in ("embed", "backbone", "head", "all")]
    assert sum(parts[:3]) == parts[3] > 0
    assert row(out, "snapshot").endswith(("kB", "MB")) and row(out, "memory of training").endswith(("kB", "MB"))
    assert row(out, f"games, in {folder}, by how the files begin") == "2"
    assert int(row(out, "frames, about").replace(",", "")) > 5000
    assert int(row(out, "updates an epoch, about").replace(",", "")) > 50
    assert re.search(r"^time of 3 epochs, about +\d", out, re.MULTILINE)
    assert "made-up numbers" in err and [path.name for path in tmp_path.iterdir()] == ["games"]


def test_without_games_it_says_so_and_assumes_some(capsys, tmp_path):
    out, err = shown(capsys, *SMALL, "--max-files", "4", "--replays", "nowhere")
    assert "no games are counted: no such folder: nowhere" in err
    assert row(out, "games, assumed") == "4" and row(out, "frames, about") == "38,000"
    assert not list(tmp_path.iterdir())


def test_a_warm_up_that_never_ends_is_told(capsys):
    _, err = shown(capsys, *SMALL, "--max-files", "1", "--epochs", "1", "--warmup-steps", "5000")
    assert "ends before --warmup-steps 5000 is over" in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="asks what a child process used")
def test_it_is_quick(tmp_path):
    import resource

    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "exphil", "train", "--dry-run", "--preset", "production", "--device", "cpu"]
    subprocess.run([*command, "--threads", "1"], cwd=tmp_path, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert time.process_time() - began < 1 and spent < 12
