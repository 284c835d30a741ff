"""What a person is told when something is wrong: one exact sentence, what to do, and an exit code that is not zero."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from exphil.config.presets import PRESETS
from in_process import called as exphil

GAME = "fox_vs_falco_fountain_of_dreams_015.slp"
OTHER = "fox_vs_fox_battlefield_016.slp"
SMALL = ["--backbone", "gru", "--hidden", "8", "--epochs", "1", "--threads", "1", "--device", "cpu", "--seed", "1"]
WHERE = (
    "  hint: Slippi Dolphin saves your games in its replay folder; public sets exist on Hugging Face and in the Slippi "
    "Discord; name the folder they are in (--replays FOLDER in training) or set EXPHIL_REPLAYS_DIR"
)

BACKBONES = "mlp, gru, lstm, mamba, mamba2, attention, hybrid, jamba"


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines from the first error on; never a traceback."""
    lines = done.stderr.splitlines()
    assert done.returncode != 0, done.stderr
    assert not any("Traceback" in line for line in lines), done.stderr
    return lines[next(at for at, line in enumerate(lines) if line.startswith("error: ")) :]


@pytest.fixture
def one(tmp_path: Path, replays: Path) -> Path:
    """A folder with one good game."""
    (tmp_path / "one").mkdir()
    shutil.copy(replays / GAME, tmp_path / "one")
    return tmp_path


def test_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    assert errors(exphil("train", "--replays", "empty", cwd=tmp_path)) == ["error: no .slp files in empty", WHERE]


def test_missing_folder(tmp_path):
    assert errors(exphil("train", cwd=tmp_path)) == ["error: no such folder: replays", WHERE]


def test_no_readable_game(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.slp").write_text("hello")
    assert errors(exphil("train", "--replays", "bad", cwd=tmp_path)) == [
        "error: bad: no game is left to use (1 file: cannot be read, such as x.slp (not a Slippi replay (no raw "
        "element at offset 0)))",
        "  hint: exphil replays scan FOLDER says what is wrong with each file",
    ]


def test_no_game_of_the_wanted_character(one):
    assert errors(exphil("train", "--replays", "one", "--train-character", "mewtwo", cwd=one)) == [
        f"error: one: no game is left to use (1 file: nobody plays the wanted character, such as {GAME} (fox against "
        "falco; wanted mewtwo))",
        "  hint: another --train-character, or more replays; exphil replays scan FOLDER lists who plays",
    ]


def test_unwritable_output(one):
    (one / "file").write_text("in the way")
    done = exphil("train", "--replays", "one", "--checkpoints-dir", "file/x", "--name", "a", cwd=one)
    assert errors(done) == [
        "error: file/x/a.pt: cannot be written (file is not a folder)",
        "  hint: free some space or choose another --checkpoints-dir",
    ]
    assert "reading replays" not in done.stderr, "it must fail before the work starts"


def test_another_run_is_there(one):
    (one / "checkpoints").mkdir()
    (one / "checkpoints" / "a.pt").write_bytes(b"x" * 2_000_000)
    first, hint = errors(exphil("train", "--replays", "one", "--name", "a", cwd=one))
    assert first.startswith("error: checkpoints/a.pt: already exists (2.0 MB, 20")
    assert hint == (
        "  hint: --overwrite replaces it and keeps a backup, --resume goes on with it, or choose another --name"
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a full disk is made with tmpfs or a file size limit")
def test_disk_full_during_a_save_keeps_the_snapshot_from_before(one):
    """A file size limit is what a full disk looks like to the writer, and needs no root."""
    assert exphil("train", "--replays", "one", "--name", "a", *SMALL, cwd=one).returncode == 0
    before = (one / "checkpoints" / "a.pt").read_bytes()
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from exphil.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["train", "--resume", "checkpoints/a.pt", "--epochs", "2", "--threads", "1", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=one, capture_output=True, text=True, timeout=120, check=False
    )
    assert errors(done) == [
        "error: checkpoints/a.pt: cannot be written (File too large); the file from before is untouched",
        "  hint: free some space or choose another --checkpoints-dir",
    ]
    assert (one / "checkpoints" / "a.pt").read_bytes() == before
    assert not list((one / "checkpoints").glob(".*.part")), "no half-written file is left"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ephocs", "3"], "unknown option --ephocs; did you mean --epochs?"),
        (
            ["--backbone", "gruu"],
            f"flag --backbone: 'gruu' is not one of {BACKBONES}; did you mean 'gru'?",
        ),
        (["--train-character", "mewto"], "flag --train-character: 'mewto' is no character; did you mean 'mewtwo'?"),
        (["--epochs", "0"], "flag --epochs: '0' must be at least 1"),
        (["--preset", "quik"], f"flag --preset: 'quik' is not one of {', '.join(PRESETS)}; did you mean 'quick'?"),
    ],
)
def test_unknown_option_or_value(tmp_path, words, message):
    done = exphil("train", *words, cwd=tmp_path)
    assert errors(done) == [f"error: {message}"]
    assert done.returncode == 2


def test_every_problem_at_once(tmp_path):
    done = exphil("train", "--epochs", "x", "--lr", "-3", "--backbone", "lstn", cwd=tmp_path)
    assert errors(done) == [
        f"error: flag --backbone: 'lstn' is not one of {BACKBONES}; did you mean 'lstm'?",
        "error: flag --epochs: 'x' is not a whole number",
        "error: flag --lr: '-3' must be above 0",
    ]


def test_yaml_with_an_unknown_key(tmp_path):
    (tmp_path / "bad.yaml").write_text("ephocs: 3\n")
    done = exphil("train", "--config", "bad.yaml", cwd=tmp_path)
    assert errors(done) == ["error: file bad.yaml: unknown key 'ephocs'; did you mean 'epochs'?"]


@pytest.mark.slow
def test_policy_of_another_feature_table(one):
    """A policy file from a table that this version does not make is refused with both sides."""
    from exphil.train.checkpoint import load_policy, save_policy

    assert exphil("train", "--replays", "one", "--name", "a", *SMALL, cwd=one).returncode == 0
    path = one / "checkpoints" / "a_policy.safetensors"
    file = load_policy(path)
    real = file.fingerprint
    save_policy(one / "other.safetensors", replace(file, fingerprint="0123456789abcdef"))
    assert errors(exphil("evaluate", "other.safetensors", "--replays", "one", cwd=one)) == [
        f"error: other.safetensors: trained on feature table 0123456789abcdef; this exphil makes {real} of the same "
        "options",
        "  hint: play it with the exphil that trained it, or train it anew",
    ]


@pytest.mark.parametrize("name", ["a_policy.safetensors", "a.pt"])
def test_damaged_files(one, name):
    (one / name).write_bytes(b"\x10\0\0\0\0\0\0\0{broken")
    first, hint = errors(exphil("evaluate", name, "--replays", "one", cwd=one))
    kind = "a snapshot is the NAME.pt" if name.endswith(".pt") else "a policy is the NAME_policy.safetensors"
    word = "not a snapshot, or damaged" if name.endswith(".pt") else "not a policy file, or damaged"
    more = "" if name.endswith(".pt") else "; exphil list names them"
    assert (first, hint) == (f"error: {name}: {word}", f"  hint: {kind} that exphil train writes{more}")


def test_missing_policy(one):
    assert errors(exphil("evaluate", "no.safetensors", cwd=one)) == [
        "error: no.safetensors: cannot be read (No such file or directory)",
        "  hint: a policy is the NAME_policy.safetensors that exphil train writes; exphil list names them",
    ]


@pytest.mark.slow
def test_a_resumed_run_stays_the_run_it_is(one, replays):
    assert exphil("train", "--replays", "one", "--name", "a", *SMALL, cwd=one).returncode == 0
    words = ["train", "--resume", "checkpoints/a.pt", "--epochs", "2"]
    assert errors(exphil(*words, "--hidden", "16", "--seed", "9", cwd=one)) == [
        "error: flag --hidden: a resumed run keeps --hidden 8",
        "error: flag --seed: a resumed run keeps --seed 1",
        "  hint: start a new run",
    ]
    assert errors(exphil("train", "--resume", "checkpoints/a.pt", cwd=one)) == [
        "error: checkpoints/a.pt: already trained for 1 epochs",
        "  hint: --epochs 2 goes on",
    ]
    (one / "more").mkdir()
    shutil.copy(replays / OTHER, one / "more")
    shutil.copy(one / "one" / GAME, one / "more")
    assert errors(exphil(*words, "--replays", "more", cwd=one)) == [
        "error: more: not the games of the run (1 files then, 2 now)",
        "  hint: name the folder that holds the same files: --replays FOLDER",
    ]


@pytest.mark.slow
def test_weights_that_do_not_fit_name_the_parameter_and_the_option(one):
    from exphil.train.checkpoint import load_policy, save_policy

    assert exphil("train", "--replays", "one", "--name", "a", *SMALL, cwd=one).returncode == 0
    file = load_policy(one / "checkpoints" / "a_policy.safetensors")
    save_policy(one / "other.safetensors", replace(file, config={**file.config, "hidden": [16]}))
    assert errors(exphil("evaluate", "other.safetensors", "--replays", "one", cwd=one)) == [
        "error: other.safetensors: parameter embed.dense.weight: the options make (16, 539), the file holds (8, 539)",
        "  hint: probably --hidden, or one of the options of features, or of delay, differs from the run that wrote it",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--val-split", "0.5"], "--val-split: one game cannot be split"),
        (["--name", "../x"], "flag --name: '../x' must be the name of a file, without a folder"),
        (["--backbone", "gru", "--device", "mps"], "--device: no mps device here"),
    ],
)
def test_what_cannot_be_done_is_said_before_training(one, words, message):
    done = exphil("train", "--replays", "one", *words, cwd=one)
    assert errors(done)[0] == f"error: {message}"
    assert not list(one.glob("checkpoints/*"))
