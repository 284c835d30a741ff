"""``exphil find-lr``: real games, real steps; the answer in all its forms."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from exphil.cli.main import main
from exphil.cli.parse import parse

GAMES = ("peach_vs_marth_final_destination_028.slp", "fox_vs_fox_battlefield_016.slp")
TINY = ("--backbone", "gru", "--hidden", 16, "--num-layers", 1, "--window-size", 16, "--batch-size", 8)
FEW = ("--lr-steps", 16, "--optimizer", "muon", "--dropout", 0)
RANGE = ("--lr-min", "1e-4", "--lr-max", 100)


class Done(NamedTuple):
    """What one command line left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def find_lr(replays: Path, tmp_path: Path, monkeypatch, capsys) -> Callable[..., Done]:
    """``exphil find-lr`` over two games, in an empty folder of its own."""
    (tmp_path / "games").mkdir()
    for name in GAMES:
        shutil.copy(replays / name, tmp_path / "games")
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Done:
        told = ["--replays", "games", "--device", "cpu", "--threads", "1", "--no-precompute", *TINY, *FEW, *words]
        code = main(["find-lr", *map(str, told)])
        return Done(code, *capsys.readouterr())

    return run


def test_a_rate_is_found_between_the_ends_and_one_far_too_large_explodes(find_lr):
    done = find_lr(*RANGE, "--seed", 3, "--json", "--html", "curve.html")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert 1e-4 < found["tenth"] == found["suggested"] < 10
    assert 1e-4 < found["steepest"] < found["diverged"] <= 100
    assert len(found["rates"]) == len(found["losses"]) == len(found["shares"])
    page = Path("curve.html").read_text()
    assert "<svg" in page
    assert found["command"] in page
    assert sorted(path.name for path in Path().iterdir()) == ["curve.html", "games"], "the weights are thrown away"
    again = json.loads(find_lr(*RANGE, "--seed", 3, "--json").out)
    assert again == found, "the same seed, the same curve"


def test_the_command_that_is_printed_is_one_that_trains_as_it_was_asked(find_lr):
    done = find_lr("--lr-max", 1, "--seed", 3, "--focal-loss", "--no-jumps-normalized", "--lr", 5, "--epochs", 3)
    assert done.code == 0, done.err
    assert "of no effect here: --epochs, --lr" in done.err
    line = next(line for line in done.out.splitlines() if line.startswith("next"))
    words = shlex.split(line)[1:]
    assert words[:2] == ["exphil", "train"]
    asked = parse(words[1:])
    assert asked is not None
    rate = re.search(r"tenth +(\S+):", done.out)
    assert asked.flags["--lr"] == rate[1]
    assert asked.flags["--hidden"] == "16"
    assert (asked.flags["--epochs"], asked.flags["--seed"]) == ("3", "3")
    assert asked.flags["--focal-loss"] is True
    assert "--no-jumps-normalized" in words
    assert not {"--lr-min", "--lr-max", "--lr-steps"} & set(words)


def test_where_nothing_falls_it_says_so_and_gives_no_rate(find_lr):
    done = find_lr("--lr-min", "1e-9", "--lr-max", "1e-8")
    assert done.code == 1
    assert re.search(r", seed \d+, on cpu", done.err), "the seed that was drawn can be used again"
    assert "falls at none of these rates" in done.err
    assert "next" not in done.out


def test_ends_in_the_wrong_order_are_refused_before_anything_is_read(find_lr):
    done = find_lr("--lr-min", 1, "--lr-max", 0.1)
    assert done.code == 2
    assert "--lr-min" in done.err
