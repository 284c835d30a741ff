"""``exphil replays stats`` as a process: what is counted, from where, and the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from exphil.replays import facts, listing, sources
from exphil.replays.choosing import Choice
from exphil.replays.library import Loaded, Reading, load
from exphil.replays.store import Store
from in_process import called as exphil

GAMES = ("edge_netplay_short.slp", "edge_nonascii_tag.slp", "edge_cpu_player_p1.slp")
MANY, BAD = "edge_doubles_4p_netplay_short.slp", "edge_not_slp_text.slp"


@pytest.fixture
def desk(replays: Path, tmp_path: Path) -> Path:
    """A folder ``games`` with games of two, one of four and a page of text; one of them within an archive."""
    folder = tmp_path / "games"
    folder.mkdir()
    for name in (*GAMES[1:], MANY, BAD):
        shutil.copy(replays / name, folder)
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(replays / GAMES[0], GAMES[0])
    return tmp_path


def test_the_counts_are_those_of_the_files(desk):
    done = exphil("replays", "stats", "games", "--json", cwd=desk)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    records = [record for record in listing.scan(sources.find(desk / "games").sources) if record.readable]
    assert (told["files"], told["games"]) == (5, 4)
    assert told["frames"] == sum(record.frames for record in records)
    assert told["rows"] == sum(record.rows for record in records)
    names = [name for record in records for name in record.characters]
    assert told["characters"] == {name: names.count(name) for name in told["characters"]}
    assert sum(told["characters"].values()) == len(names) == 10
    assert told["players"]["ABCD#123"] == 1
    assert sum(told["quality"].values()) == 3, "games of two"
    assert told["problems"] == 1 + sum(bool(record.problems) for record in records)
    assert told["programs"] >= 1
    assert "0 of 5 files were parsed before" in done.stderr and "1 cannot be read" in done.stderr
    assert not (desk / "cache").exists(), "nothing is kept"


@pytest.mark.slow
def test_the_store_and_the_files_say_the_same(desk):
    found = sources.find(desk / "games").sources
    before = exphil("replays", "stats", "games", "--json", "--workers", 2, cwd=desk)
    assert exphil("replays", "parse", "games", cwd=desk).returncode == 0
    after = exphil("replays", "stats", "games", "--json", cwd=desk)
    assert json.loads(after.stdout) == json.loads(before.stdout)
    assert "3 of 5 files were parsed before" in after.stderr, "the game of four and the text are not kept"
    told = list(facts.gather(found, Store(desk / "none"), 1))
    assert [each.kept for each in told] == [False] * 5


def test_real_games_from_the_store_and_from_the_files(replays, full_games, tmp_path):
    found = [sources.Source(path) for path in full_games[:6]]
    store = Store(tmp_path)
    assert all(isinstance(each, Loaded) for each in load(found, Reading(Choice(everything=True), store=store)))
    first = list(facts.gather(found, Store(tmp_path / "none")))
    second = list(facts.gather(found, Store(tmp_path)))
    assert [each.facts for each in first] == [each.facts for each in second]
    assert [each.kept for each in second] == [True] * 6


def test_bars_and_the_page(desk):
    done = exphil("replays", "stats", "games", "--html", "out/page.html", cwd=desk)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "games"
    for title in ("Characters", "Match-ups", "Stages", "Slippi versions", "Players", "Quality", "Frames rolled back"):
        assert title in lines
    assert any(re.fullmatch(r"  samus +\d+ █+", line) for line in lines)
    assert max(map(len, lines)) <= 80
    page = (desk / "out" / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "<h1>Replays in games</h1>" in page and "samus" in page
    assert "page: out/page.html" in done.stderr


@pytest.mark.parametrize("words", [["replays", "stats", "games"], ["replays", "parse", "games"], ["cache", "list"]])
def test_none_of_this_needs_torch(desk, words):
    code = "import sys; from exphil.cli.main import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=desk, capture_output=True, check=False)
    assert done.returncode == 0


def test_quiet_leaves_the_answer(desk):
    done = exphil("replays", "stats", "games", "--quiet", cwd=desk)
    assert done.returncode == 0 and done.stderr == "" and "Characters" in done.stdout


@pytest.mark.parametrize("place", ["games/more.zip", "games/edge_nonascii_tag.slp"])
def test_an_archive_or_a_file_alone(desk, place):
    done = exphil("replays", "stats", place, "--json", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["games"] == 1


def test_a_page_that_cannot_be_written_is_an_error_before_the_work(desk):
    (desk / "file").touch()
    done = exphil("replays", "stats", "games", "--html", "file/page.html", cwd=desk)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be written" in done.stderr and "choose another --html" in done.stderr
    assert "Traceback" not in done.stderr


def test_files_that_cannot_be_read_are_no_game(desk):
    for path in (desk / "games").iterdir():
        if path.name != BAD:
            path.unlink()
    done = exphil("replays", "stats", "games", cwd=desk)
    assert done.returncode == 1
    assert "1 cannot be read: exphil replays scan games says why" in done.stderr


def test_a_file_that_is_gone_while_it_is_counted_is_a_problem(desk):
    found = sources.find(desk / "games").sources
    for path in (desk / "games").iterdir():
        path.unlink()
    told = [each.facts for each in facts.gather(found, Store(desk / "none"))]
    assert [(each.frames, each.problem) for each in told] == [(0, True)] * 5
