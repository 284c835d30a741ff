"""``exphil kmeans``: what is counted, what is shown, what is written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from exphil.cli.main import main
from exphil.config.layers import resolve
from exphil.config.spans import span, spelled
from exphil.errors import OptionError
from exphil.features import kmeans
from exphil.features.kmeans import Centres
from exphil.game.controller import controller_of
from exphil.replays import slp

GAMES = ("donkey_kong_vs_marth_final_destination_006.slp", "falco_vs_fox_final_destination_008.slp")
SHORT, MANY, BAD = "edge_netplay_short.slp", "edge_doubles_4p_netplay_short.slp", "edge_not_slp_text.slp"


class Done(NamedTuple):
    """What one command line left behind."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def exphil(desk: Path, monkeypatch, capsys) -> Command:
    """``exphil kmeans --replays games`` with more words, in this process and in ``desk``."""
    monkeypatch.chdir(desk)

    def run(*words: object) -> Done:
        code = main(["kmeans", "--replays", "games", *map(str, words)])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def desk(replays: Path, tmp_path: Path) -> Path:
    """A folder ``games`` with two games, a copy of one of them, a game of four and a page of text."""
    (tmp_path / "games").mkdir()
    for name in (*GAMES, MANY, BAD):
        shutil.copy(replays / name, tmp_path / "games")
    shutil.copy(replays / GAMES[0], tmp_path / "games" / "z_copy.slp")
    return tmp_path


def counted(desk: Path, *seats: tuple[str, int]) -> np.ndarray:
    games = {name: slp.read(desk / "games" / name).game for name in GAMES}
    return np.sum([kmeans.positions(controller_of(games[name].players, seat)) for name, seat in seats], 0)


ALL = [(name, seat) for name in GAMES for seat in (0, 1)]


def told(exphil: Command, *words: object) -> dict[str, Any]:
    done = exphil(*words, "--json", "--no-precompute")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_both_players_of_every_game_are_pooled(desk, exphil):
    done = exphil("--k", 11, "--output", "priv/centres.nx")
    assert done.returncode == 0, done.stderr
    centres, held = Centres.load(desk / "priv" / "centres.nx"), counted(desk, *ALL)
    assert centres.axes == Centres.of(held, [11])[0].axes and centres.k == 11
    assert centres.values == 2 * held.sum() and centres.files == 2 and centres.characters
    assert "3 of 5 files left out" in done.stderr and "the same game as another file" in done.stderr
    assert f"warning: left out: games/{BAD}" in done.stderr
    assert "--kmeans-centers priv/centres.nx" in done.stderr
    assert "Centres of all axes" in done.stdout and " 0.0000" in done.stdout
    assert len(list((desk / "cache").rglob("*.game"))) == 2, "games are kept, as in training"
    again = told(exphil, "--k", 11, "--no-skip-duplicates")
    assert again["files"] == 3 and again["values"] > centres.values


def test_one_character_and_own_axes(exphil):
    whole = told(exphil, "--k", 7)
    who = next(iter(whole["centres"]["characters"]))
    some = told(exphil, "--k", 7, "--train-character", who, "--per-axis")
    assert 0 < some["values"] < whole["values"] and some["centres"]["characters"] == [who]
    assert list(some["centres"]["axes"]) == ["main_x", "main_y", "c_x", "c_y"]
    assert list(whole["centres"]["axes"]) == ["all"]


def test_a_span_is_a_table_and_json_is_its_numbers(exphil):
    whole = told(exphil, "--k", "5..9")
    table = [row for row in whole["table"] if row["positions"] == "learned"]
    assert [row["k"] for row in table] == [5, 6, 7, 8, 9]
    equal = [row for row in whole["table"] if row["positions"] == "equal steps"]
    assert [row["k"] for row in equal] == [5, 9, 17] and all(row.keys() == table[0].keys() for row in equal)
    assert [row["rms_steps"] for row in table] == sorted((row["rms_steps"] for row in table), reverse=True)
    assert all(0 <= row["main_changed"] <= row["main_changed_off_rest"] <= 1 for row in table)
    one = told(exphil, "--k", 7)
    assert one["table"] == [table[2], equal[2]] and one.keys() - whole.keys() == {"centres"}
    assert whole["players"] == "both" and told(exphil, "--train-character", "fox")["players"] == "fox"
    done = exphil("--k", "5..9", "--quiet")
    lines = done.stdout.splitlines()
    assert len(lines) == 3 + 5 + 3 and done.stderr == ""
    assert re.fullmatch(r" *5 +equal steps( +\d+\.\d\d){3}", lines[3]) and re.search(" 5 +learned ", lines[4])


def test_what_the_numbers_mean_is_said(exphil):
    span, one = (exphil("--k", k, "--verbose") for k in ("5..6", 5))
    for done in (span, one):
        assert "look at main stick changed" in done.stderr and "(80 is full tilt, 23 the edge" in done.stderr
        assert "measured on the games that the positions were learned from" in done.stderr
        assert "2 games, both players of each: " in done.stderr and "unless --dual-port is given" in done.stderr
        assert "warning: learned from 2 games, so from few players" in done.stderr
        assert "nothing was written: " in done.stderr and "--output FILE" in done.stderr
        assert re.search(r"players: 1 \w+", done.stderr)
    assert "one class more can change more" in span.stderr and "one class more" not in one.stderr
    assert "about 0.29 the edge of the dead zone" in one.stdout and "Positions:" not in span.stdout
    fox = exphil("--k", 5, "--train-character", "fox")
    assert "1 game, players with fox: " in fox.stderr and "--dual-port" not in fox.stderr


def test_more_than_there_is(desk, exphil, replays):
    shutil.rmtree(desk / "games")
    (desk / "games").mkdir()
    shutil.copy(replays / SHORT, desk / "games")
    done = exphil("--k", 160, "--output", "none.json")
    assert done.returncode == 1 and "Traceback" not in done.stderr and not (desk / "none.json").exists()
    there = int(re.findall(r"160 centres are more than the (\d+) different positions", done.stderr)[0])
    most = exphil("--k", f"{there - 1}..{there + 4}", "--json")
    learned = [row["k"] for row in json.loads(most.stdout)["table"] if row["positions"] == "learned"]
    assert learned == [there - 1, there]
    assert f"the table ends at {there}: these games have no more different positions" in most.stderr
    few = exphil("--k", there, "--max-files", 1)
    values = 4 * slp.read(desk / "games" / SHORT).frames * 2
    assert f"{values:,} stick values" in few.stderr and "learned from 1 game, so from few players" in few.stderr


def test_only_centres_are_written_over(desk, exphil):
    (desk / "notes.txt").write_text("mine")
    done = exphil("--output", "notes.txt")
    assert done.returncode == 1 and "holds something else than stick centres" in done.stderr
    assert "so it is not replaced" in done.stderr
    assert "choose another --output" in done.stderr and (desk / "notes.txt").read_text() == "mine"
    below = exphil("--output", "notes.txt/x.json")
    assert below.returncode == 1 and "cannot be written (notes.txt is not a folder)" in below.stderr
    one, other = (exphil("--k", k, "--output", "a.json") for k in (3, 4))
    assert "written: a.json" in one.stderr and "replaced: a.json" in other.stderr
    assert Centres.load(desk / "a.json").k == 4


def test_fail_fast_and_nothing_left(exphil):
    done = exphil("--fail-fast")
    assert done.returncode == 1 and BAD in done.stderr and "--fail-fast" in done.stderr
    none = exphil("--characters", "pichu", "--stages", "dream_land")
    assert none.returncode == 1 and "no game is left to use" in none.stderr and none.stdout == ""


def test_as_a_process_it_needs_no_torch(desk):
    code = "import sys; from exphil.cli.main import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    words = ["kmeans", "--replays", "games", "--k", "5"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=desk, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Centres of all axes" in done.stdout


def test_k_is_a_number_or_a_span():
    assert resolve("kmeans", {"--k": " 5 .. 41"}, {})["k"] == "5..41"
    assert resolve("kmeans", {}, {})["k"] == "21" and resolve("kmeans", {"--k": "007"}, {})["k"] == "7"
    assert (span("5..41", 3, 161), spelled(range(9, 10))) == (range(5, 42), "9")
    for bad in ("2", "162", "9..2", "3..", "..9", "x", "5.9", "-5", "5..6..7", "²", "5,9,13", "9" * 5000):
        with pytest.raises(OptionError, match="not one number from 3 to 161, nor a span of them as in"):
            resolve("kmeans", {"--k": bad}, {})
    with pytest.raises(OptionError, match=r"'9..5' has the larger number first; the smaller first: 5\.\.9"):
        resolve("kmeans", {"--k": "9..5"}, {})
    with pytest.raises(OptionError, match="holds one set of them"):
        resolve("kmeans", {"--k": "5..9", "--output": "a"}, {})
