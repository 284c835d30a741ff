"""Distillation as a person meets it: from a teacher's file to a table of what was lost and gained."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exphil.cli.main import main

GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"]
ALIKE = ["--replays", "games", "--threads", "1", "--device", "cpu", "--seed", "5", "--epochs", "1"]
SMALL = ["--backbone", "gru", "--batch-size", "16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, replays: Path) -> Path:
    """Two games."""
    root = tmp_path_factory.mktemp("distill")
    (root / "games").mkdir()
    for name in GAMES:
        shutil.copy(replays / name, root / "games")
    return root


@pytest.fixture
def exphil(folder, monkeypatch, capsys):
    """Runs a command in the folder; gives its exit code, its answer and its talk."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def teacher(exphil, folder) -> str:
    """Made once."""
    path = folder / "checkpoints" / "t_policy.safetensors"
    if not path.exists():
        code, _, talk = exphil("train", "--name", "t", "--hidden", "24", "--val-split", "0.5", *ALIKE, *SMALL)
        assert code == 0, talk
    return "checkpoints/t_policy.safetensors"


def test_distill_needs_a_teacher_that_is_there(exphil):
    code, _, talk = exphil("distill", *ALIKE)
    assert code == 2 and "distill learns from a teacher, and none was named" in talk and "--val-split" not in talk
    code, _, talk = exphil("distill", "--teacher", "gone.safetensors", *ALIKE)
    assert code == 1 and "the teacher gone.safetensors: cannot be read" in talk and "step 1/3" not in talk


@pytest.mark.slow
def test_distill_ends_with_what_was_lost_and_gained(exphil, folder, teacher):
    words = ["--teacher", teacher, "--name", "s", "--hidden", "8", "--val-split", "0.5", *ALIKE, *SMALL]
    code, out, talk = exphil("distill", *words)
    assert code == 0, talk
    assert "teacher    checkpoints/t_policy.safetensors, 0.7 of the objective, at temperature 2" in talk
    assert "Teacher and student (1 game held out)" in out and "copying the controller" in out
    assert "student" in out and "ms, reference" in out
    assert "of the parameters" in out and "do not rank how well policies play" in out
    assert "learned from" not in out, "teacher and student held the same game out"
    page = json.loads((folder / "checkpoints" / "s_config.json").read_text())
    assert page["teacher"] == teacher and len(page["teacher_digest"]) == 16
    batches = [json.loads(line) for line in (folder / "checkpoints" / "s_metrics.jsonl").read_text().splitlines()]
    assert all("objective" in line for line in batches if line["event"] == "batch"), "it is not the nats"


@pytest.mark.slow
def test_nothing_held_out_is_said_and_what_cannot_be_timed_is_left_out(exphil, teacher, monkeypatch):
    """An mlp that is shown windows learns from a gru; a teacher that saw the games is told of."""
    monkeypatch.setitem(sys.modules, "onnx", None)  # as where the extra is not installed
    words = ["--teacher", teacher, "--name", "m", "--temporal", "--backbone", "mlp", "--hidden", "8", *ALIKE]
    code, out, talk = exphil("distill", *words, "--val-split", "0", "--batch-size", "64")
    assert code == 0, talk
    assert "Teacher and student (2 games learned from)" in out
    assert "ms, reference" in out and "fast" not in out.splitlines()[1]
    assert "no games were held out" in talk and "the teacher learned from 1 of these games" in talk
    assert "begins afresh in every window" in talk


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torchrun in one machine")
def test_two_processes_learn_what_one_learns_from_the_same_teacher(folder, teacher, exphil):
    words = ["--teacher", teacher, "--hidden", "8", "--val-split", "0.5", "--log-interval", "1", "--dropout", "0"]
    code, out, talk = exphil("train", "--name", "one", *words, *ALIKE, *SMALL)
    assert code == 0 and not out, talk
    own = {name: value for name, value in os.environ.items() if not name.startswith("EXPHIL_")}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "exphil", "distill"]
    command = [sys.executable, *torchrun, "--name", "two", *words, *ALIKE, *SMALL]
    found = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("nats per decision") == 1, "one process answers"
    curves = []
    for name in ("one", "two"):
        lines = (folder / "checkpoints" / f"{name}_metrics.jsonl").read_text().splitlines()
        batches = [line for line in map(json.loads, lines) if line["event"] == "batch"]
        curves.append([(line["loss"], line["objective"]) for line in batches])
    assert len(curves[0]) > 5
    for one, two in zip(*curves, strict=True):
        assert two == pytest.approx(one, rel=1e-4)
