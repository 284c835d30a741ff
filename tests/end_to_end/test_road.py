"""The whole road as a person walks it: replays in, files out, measured, stopped and resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"]
OLD = "captain_falcon_vs_zelda_yoshis_story_005.slp"
TINY = ["--backbone", "gru", "--hidden", "16", "--threads", "1", "--device", "cpu", "--seed", "5", "--batch-size", "16"]


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EXPHIL_")}
    command = [sys.executable, "-m", "exphil", *words]
    return subprocess.Popen(command, cwd=cwd, env=plain, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(*words: str, cwd: Path) -> tuple[str, str]:
    process = start(*words, cwd=cwd)
    out, talk = process.communicate(timeout=300)
    assert process.returncode == 0, talk
    return out, talk


@pytest.fixture(scope="module")
def folder(tmp_path_factory, replays: Path) -> Path:
    """Two games that hold every column."""
    root = tmp_path_factory.mktemp("road")
    (root / "games").mkdir()
    for name in GAMES:
        shutil.copy(replays / name, root / "games")
    return root


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    finished("train", "--replays", "games", "--name", "a", "--epochs", "2", "--val-split", "0.5", *TINY, cwd=folder)
    return folder / "checkpoints"


def test_training_leaves_every_file(trained):
    names = {path.name for path in trained.iterdir()}
    both = {f"a{best}{ending}" for best in ("", "_best") for ending in (".pt", "_policy.safetensors", "_config.json")}
    assert names == both | {"a_metrics.jsonl", "registry.json", ".registry.lock"}


def test_the_provenance_page_has_every_key_of_the_guide(trained):
    page = json.loads((trained / "a_config.json").read_text())
    wanted = {
        *("timestamp", "backbone", "epochs", "batch_size", "hidden_sizes", "temporal", "window_size", "characters"),
        *("stages", "replays_dir", "max_files", "replay_count", "replay_files", "replay_manifest_hash"),
        *("character_distribution", "training_frames", "validation_frames", "final_training_loss"),
        "total_time_seconds",
    }
    assert not wanted - set(page)
    assert page["replay_count"] == 2 and page["replay_manifest_hash"].startswith("sha256:")
    assert sum(page["character_distribution"].values()) == page["training_frames"]
    assert page["seed"] == 5 and page["backbone"] == "gru" and page["lr"] == 1e-4


def test_the_metrics_file_tells_the_epochs(trained):
    lines = [json.loads(line) for line in (trained / "a_metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert all(line["validation"] > 0 and line["train"] > 0 for line in epochs)


@pytest.mark.parametrize("file", ["a_policy.safetensors", "a.pt"])
def test_evaluate_reports_losses_beside_baselines(trained, folder, file):
    out, _ = finished("evaluate", f"checkpoints/{file}", "--replays", "games", "--json", "--threads", "1", cwd=folder)
    report = json.loads(out)
    parts = dict(report["loss"])
    assert parts.pop("total") == pytest.approx(sum(parts.values()))
    assert set(report["baselines"]) == {"majority", "copy-previous", "neutral"}
    for found in report["baselines"].values():
        assert set(found["loss"]) == set(report["loss"])
    assert report["games"] == 2 and report["frames"] > 10_000
    assert {"accuracy", "top3", "buttons", "calibration"} <= set(report)
    assert set(report["buttons"]["A"]) == {"precision", "recall", "press_rate", "press_rate_predicted"}


@pytest.mark.slow
def test_evaluate_takes_files_and_seats_from_its_own_call(trained, folder):
    """What the run was limited to does not limit what it is measured on, and games it learned from are told."""
    words = ["evaluate", "checkpoints/a.pt", "--replays", "games", "--json", "--threads", "1"]
    out, talk = finished(*words, cwd=folder)
    whole = json.loads(out)
    assert (whole["games"], whole["players"], whole["learned_from"]) == (2, 2, 1)
    assert "1 of these games were learned from (--held-out leaves them out)" in talk
    report = json.loads(finished(*words, "--held-out", cwd=folder)[0])
    assert (report["games"], report["learned_from"]) == (1, 0)
    for flags, games, players in (
        (["--max-files", "1"], 1, 1),
        (["--dual-port"], 2, 4),
        (["--train-character", "falco"], 1, 1),
    ):
        report = json.loads(finished(*words, *flags, cwd=folder)[0])
        assert (report["games"], report["players"]) == (games, players), flags


@pytest.mark.slow
def test_a_run_is_resumed_in_its_own_files(trained, folder, tmp_path):
    """An older best does not overwrite the last, and another name makes other files."""
    words = ["--epochs", "3", "--quiet"]
    with start("train", "--resume", "checkpoints/a_best.pt", *words, cwd=folder) as process:
        assert "already exists" in process.communicate(timeout=60)[1]
    assert process.returncode == 1
    finished("train", "--resume", "checkpoints/a.pt", "--name", "longer", *words, cwd=folder)
    assert (trained / "longer.pt").is_file()
    for path in trained.glob("longer*"):
        path.unlink()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(trained, folder):
    finished("train", "--replays", "games", "--name", "b", "--epochs", "2", "--val-split", "0.5", *TINY, cwd=folder)
    same_weights(trained / "a.pt", trained / "b.pt")
    for path in trained.glob("b*"):
        path.unlink()


def same_weights(left: Path, right: Path) -> None:
    one, two = (torch.load(path, weights_only=True) for path in (left, right))
    assert list(one["policy"]) == list(two["policy"])
    for name, weight in one["policy"].items():
        assert torch.equal(weight, two["policy"][name]), name
    assert one["run"]["updates"] == two["run"]["updates"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_saves_and_resume_continues_bit_for_bit(folder, tmp_path):
    long = ["--replays", str(folder / "games"), "--epochs", "6", "--dual-port", "--log-interval", "1", *TINY]
    with start("train", "--name", "c", *long, cwd=tmp_path) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2/6 2/"):
                break
        process.send_signal(signal.SIGINT)
        talk = process.stderr.read()
        assert process.wait(timeout=60) == 130, talk
    stopped = tmp_path / "checkpoints" / "c_interrupt.pt"
    assert f"resume with: exphil train --resume {stopped.relative_to(tmp_path)}" in talk
    assert torch.load(stopped, weights_only=True)["run"]["step"] > 0, "it must stop within an epoch for this test"
    finished("train", "--resume", "checkpoints/c_interrupt.pt", cwd=tmp_path)
    finished("train", "--name", "whole", *long, cwd=tmp_path)
    same_weights(tmp_path / "checkpoints" / "c.pt", tmp_path / "checkpoints" / "whole.pt")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_sigterm_saves_and_a_killed_run_is_noticed_by_the_next_one(folder, tmp_path):
    """143 within a few updates and nothing left to tell; after a kill the next run names the snapshot to go on from."""
    words = ["--replays", str(folder / "games"), "--epochs", "9", "--log-interval", "1", "--save-every-batches", "2"]
    for name, number in (("ended", signal.SIGTERM), ("killed", signal.SIGKILL)):
        with start("train", "--name", name, *words, *TINY, cwd=tmp_path) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("epoch 2/9 1/"):
                    break
            process.send_signal(number)
            talk = process.stderr.read()
            assert process.wait(timeout=60) == (143 if number == signal.SIGTERM else -9), talk
        assert len([line for line in talk.splitlines() if line.startswith("epoch 2/9 ")]) <= 10
    there = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert "ended_interrupt.pt" in there and "ended.incomplete" not in there and "killed.incomplete" in there
    words[words.index("9")] = "1"
    _, talk = finished("train", "--name", "next", *words, *TINY, cwd=tmp_path)
    (told,) = [line for line in talk.splitlines() if "killed" in line]
    command = told.partition("exphil train --resume ")[2]
    assert Path(command.split()[0]).name.startswith("killed"), told


@pytest.mark.slow
def test_files_that_lack_columns_are_counted_and_taken_only_when_asked(folder, tmp_path, replays):
    (tmp_path / "games").mkdir()
    for name in (GAMES[0], OLD):
        shutil.copy(replays / name, tmp_path / "games")
    words = ["train", "--replays", "games", "--epochs", "1", "--backbone", "mlp", "--hidden", "8", "--threads", "1"]
    _, talk = finished(*words, "--name", "a", cwd=tmp_path)
    assert "1 of 2 files left out:" in talk and "lacks" in talk and "which training with --allow-missing takes" in talk
    _, talk = finished(*words, "--name", "b", "--allow-missing", cwd=tmp_path)
    assert "left out" not in talk


SMALL = """
import sys
from exphil.cli import demo
from exphil.config.layers import resolve
size = demo.Size(seconds=20, stocks=1, replays=12, epochs=2, games=2, minutes=0.1, opponents=("walk",))
sys.exit(demo.run(resolve("demo", dict(zip(sys.argv[1::2], sys.argv[2::2])), {}), size))
"""


@pytest.mark.slow
@pytest.mark.parametrize("with_replays", [True, False])
def test_demo_compares_plays_and_writes_a_page(folder, tmp_path, with_replays):
    words = ["--replays", str(folder / "games")] if with_replays else []
    command = [sys.executable, "-c", SMALL, "--threads", "1", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "copy-previous" in done.stdout and "the best baseline" in done.stdout and "held out" in done.stderr
    assert "against walk: 2 games in sim" in done.stdout
    made = tmp_path / "checkpoints"
    page = next(made.glob("demo_*_report.html")).read_text()
    assert str(next(made.glob("demo_*_report.html")).name) in done.stderr
    for words_of_it in ("Learning", "Predicting held-out games", "Playing in the simulator", "<svg", "copy-previous"):
        assert words_of_it in page
    assert "http://" not in page and "https://" not in page
    games = list(made.glob("demo_*_games/*.slp"))
    assert (not games) if with_replays else len(games) >= 12
