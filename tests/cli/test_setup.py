"""``exphil setup``: real terminals with arrow keys, pipes with lines, and what is left on the disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from exphil.cli.main import main
from exphil.cli.parse import parse
from exphil.config.layers import resolve

DOWN, ENTER, INTERRUPT = "\x1b[B", "\r", "\x03"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
GAMES = ("edge_netplay_short.slp", "edge_v3_12_short.slp")


@pytest.fixture
def place(replays, tmp_path, monkeypatch):
    """A folder to work in, with two short games."""
    (tmp_path / "my games").mkdir()
    for name in GAMES:
        shutil.copy(replays / name, tmp_path / "my games")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["exphil", "setup"])
    return tmp_path


def told(lines, monkeypatch, capsys, *words):
    """Exit code, standard output and standard error of a wizard that reads lines."""
    with Path("answers.txt").open("w+", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.seek(0)
        monkeypatch.setattr(sys, "stdin", file)
        code = main(["setup", "--threads", "1", *words])
    return (code, *capsys.readouterr())


def options(line):
    asked = parse(shlex.split(line)[1:])
    return resolve(asked.command, asked.flags, {}).flat()


def test_lines_from_a_file_become_a_command_and_a_file_that_gives_the_same(place, monkeypatch, capsys):
    lines = ["2", "7", "fux", "samus", "y", "no such folder", "my games", "", "n", "", "n"]
    code, out, err = told(lines, monkeypatch, capsys)
    assert code == 0
    assert "did you mean 'fox'?" in err and "no such folder" in err and "1 of 2 replays can be used" in err
    assert out.startswith("exphil train ") and out.count("\n") == 1 and "--replays 'my games'" in out
    asked = options(out)
    assert asked["train_character"] == "samus" and asked["epochs"] == 20 and asked["threads"] == 1
    assert asked["val_split"] == 0, "one game cannot be split"
    loaded = resolve("train", {"--config": "exphil.yaml"}, {})
    assert loaded.flat() == asked | {"config": loaded["config"]} and loaded.notices == ()
    assert "questionary" not in sys.modules, "only where there are arrow keys"


def test_wrong_answers_are_asked_again_and_every_advanced_answer_is_written(place, monkeypatch, capsys):
    advanced = [
        *("yes", "quickest", "2", "n", "y", "fast", "2e-3", "y", "0", "1.5", "0.25", "none", "3", "bf16", "y", "n"),
        *("missing.json", "", "17", "0", "500"),
    ]
    sizes = ["n", "30", "64", "96,96"]
    (place / "taken.yaml").write_text("mine")
    (place / "empty").mkdir()
    lines = ["9", "3", *sizes, "empty", "", "y", *advanced, "taken.yaml", "n", "other.yaml", "n"]
    code, out, err = told(lines, monkeypatch, capsys)
    assert code == 0, err
    asked = options(out)
    wanted = {
        "backbone": "gru", "augment": False, "dual_port": True, "lr": 2e-3, "val_split": 0.25, "patience": 3,
        "precision": "bf16", "online_robust": True, "seed": 17, "save_every_batches": 500, "epochs": 30,
        "batch_size": 64, "hidden": (96, 96), "ema": True, "wandb": False,
    }  # fmt: skip
    assert {name: asked[name] for name in wanted} == wanted
    for reason in (
        *("'9' is no answer", "'quickest' is no answer", "'fast' is not a number", "--val-split 0 holds none out"),
        *(
            "'1.5' must be at least 0 and below 1",
            "'none' is not a whole number",
            "missing.json",
            "'0' must be at least 1",
        ),
    ):
        assert reason in err, reason
    assert (place / "taken.yaml").read_text() == "mine", "never over a file without a yes"
    assert resolve("train", {"--config": "other.yaml"}, {})["seed"] == 17


def test_answers_that_end_too_early_begin_nothing(place, monkeypatch, capsys):
    before = sorted(place.iterdir())
    code, out, err = told(["1", "y"], monkeypatch, capsys, "--output", "run.yaml")
    assert code == 1 and not out and "the answers ended before the questions did" in err
    assert [path for path in sorted(place.iterdir()) if path.name != "answers.txt"] == before


def test_without_a_last_yes_nothing_is_run(place, monkeypatch, capsys):
    (place / "empty").mkdir()
    monkeypatch.setenv("EXPHIL_REPLAYS_DIR", "empty")
    monkeypatch.setenv("EXPHIL_DEFAULT_PRESET", "quick")
    code, out, err = told(["1", "y", "", "1", "n"], monkeypatch, capsys, "--output", "run.yaml")
    assert "--replays empty" in out and "EXPHIL_DEFAULT_PRESET=quick sets what is not answered here" in err
    assert (
        code == 1
        and "--max-files 1" in out
        and "no .slp files in empty" in err
        and not (place / "checkpoints").exists()
    )


def test_a_place_that_cannot_be_written_is_told_before_the_first_question(place, monkeypatch, capsys):
    code, _, err = told(["1"], monkeypatch, capsys, "--output", "answers.txt/run.yaml")
    assert code == 1 and "answers.txt" in err and "What would you like" not in err


class Typist:
    """Somebody at a pseudo-terminal; standard output is a file."""

    def __init__(self, *words, **variables):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        environ = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "OMP_NUM_THREADS": "1", **variables}
        with Path("out.txt").open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "exphil", "setup", "--threads", "1", *words],
                stdin=theirs,
                stdout=out,
                stderr=theirs,
                env={**os.environ, **environ},
                start_new_session=True,
            )
        os.close(theirs)
        self.raw, self.read = "", 0

    def waits_for(self, text, seconds=60):
        ends = time.monotonic() + seconds
        while text not in (seen := ESCAPES.sub("", self.raw[self.read :])):
            assert time.monotonic() < ends, f"no {text!r} in {seen!r}"
            if select.select([self.ours], [], [], 1)[0]:
                try:
                    self.raw += os.read(self.ours, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"it ended without {text!r}: {seen!r}") from None
        self.read = len(self.raw)

    def types(self, keys):
        os.write(self.ours, keys.encode())

    def ends(self, seconds=60):
        """Its exit code; what it still draws is read, or it would wait for us."""
        ends = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < ends:
            if select.select([self.ours], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
                    self.raw += os.read(self.ours, 65536).decode(errors="replace")
        return self.process.poll()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


def test_arrow_keys_choose_in_a_terminal(place):
    (place / "empty").mkdir()
    with Typist(NO_COLOR="1") as typist:
        typist.waits_for("Fine-tune")
        typist.types(DOWN + ENTER)
        typist.waits_for("another one")
        typist.types(DOWN * 6 + ENTER)
        typist.waits_for("whichever player has this character [none]")
        typist.types("fux" + ENTER)
        typist.waits_for("did you mean 'fox'?")
        typist.waits_for("whichever player")
        typist.types("ics" + ENTER)
        typist.waits_for("Use recommended settings?")
        typist.types("y")
        typist.waits_for("folder of replays")
        typist.types("\x15empty" + ENTER)
        typist.waits_for("read at most")
        typist.types(ENTER)
        typist.waits_for("Advanced options?")
        typist.types("n")
        typist.waits_for("Write these settings to")
        typist.types("\x15mine.yaml" + ENTER)
        typist.waits_for("Run this command now?")
        typist.types(ENTER)
        assert typist.ends() == 0
        assert not re.search(r"\x1b\[[0-9;]*[34][0-7]m|\x1b\[[0-9;]*[34]8;", typist.raw), "NO_COLOR"
    line = (place / "out.txt").read_text()
    assert line.count("\n") == 1 and options(line)["train_character"] == "ice_climbers" and options(line)["ic_tech"]
    assert resolve("train", {"--config": "mine.yaml"}, {})["epochs"] == 20


@pytest.mark.slow
@pytest.mark.parametrize("questions", [1, 3])
def test_an_interrupt_writes_nothing(place, questions):
    before = sorted(place.iterdir())
    with Typist() as typist:
        for text, keys in [("Fine-tune", ENTER), ("Use recommended", "y"), ("folder of replays", ENTER)][:questions]:
            typist.waits_for(text)
            typist.types(INTERRUPT if text == "folder of replays" or questions == 1 else keys)
        assert typist.ends() == 130
    assert not (place / "out.txt").read_text()
    assert [path for path in sorted(place.iterdir()) if path.name != "out.txt"] == before


@pytest.mark.slow
def test_a_yes_runs_the_command_in_a_terminal(place):
    with Typist("--output", "run.yaml") as typist:
        typist.waits_for("Fine-tune")
        typist.types(ENTER)
        typist.waits_for("Use recommended")
        typist.types("y")
        typist.waits_for("folder of replays")
        typist.types("\x15my games" + ENTER)
        typist.waits_for("read at most")
        typist.types(ENTER)
        typist.waits_for("2 of 2 replays can be used")
        typist.waits_for("Advanced options?")
        typist.types("n")
        typist.waits_for("Run this command now?")
        typist.types("y")
        typist.waits_for("exphil evaluate")
        assert typist.ends() == 0
    assert len(list(place.glob("checkpoints/*_best_policy.safetensors"))) == 1


@pytest.mark.slow
def test_a_policy_is_trained_further_through_a_pipe(place):
    base = [sys.executable, "-m", "exphil"]
    small = ["--hidden", "8", "--epochs", "1", "--name", "first", "--dual-port", "--no-precompute", "--threads", "1"]
    subprocess.run([*base, "train", "--replays", "my games", *small], check=True, capture_output=True)
    answers = "4\nnone\nnothing.pt\ncheckpoints/first_policy.safetensors\n8\ny\nmy games\n\nn\n\ny\n"
    done = subprocess.run(
        [*base, "setup", "--threads", "1"], input=answers, text=True, check=False, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert "a value is needed here" in done.stderr and "nothing.pt: cannot be read" in done.stderr
    assert "--init checkpoints/first_policy.safetensors" in done.stdout and "--backbone" not in done.stdout
    assert "mlp" in done.stderr, "the network is that of the policy"
