"""``exphil replays parse`` as a process: what is kept, what is said, and that stopping it loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from exphil.replays.store import Store
from in_process import called as exphil

GAME, CPU, STAGE = "edge_netplay_short.slp", "edge_cpu_player_p1.slp", "edge_fuzz_bad_stage_id.slp"
MANY, BAD = "edge_doubles_4p_netplay_short.slp", "edge_not_slp_text.slp"


def kept(folder: Path) -> Store:
    return Store(folder / "cache" / "embeddings")


@pytest.fixture
def desk(replays: Path, tmp_path: Path) -> Path:
    """``games`` with a game twice, one of them in an archive, games that no run learns from, and what is none."""
    folder = tmp_path / "games"
    folder.mkdir()
    for name in (GAME, CPU, STAGE, MANY, BAD):
        shutil.copy(replays / name, folder)
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(replays / GAME, GAME)
    return tmp_path


def test_every_game_of_two_is_kept_whatever_runs_learn_from(desk):
    done = exphil("replays", "parse", "games", "--json", "--error-log", "log.txt", cwd=desk)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    games = list(kept(desk).kept())
    assert (told["games"], told["parsed"], told["copies"]) == (3, 3, 1) and len(games) == 3
    assert told["frames"] == sum(game.frames for game in games)
    assert told["bytes"] == sum(game.size_bytes for game in games)
    assert told["bytes_a_frame"] == pytest.approx(told["bytes"] / told["frames"])
    assert sorted((Path(each["file"]).name, each["reason"]) for each in told["left_out"]) == [
        (MANY, "players"),
        (BAD, "unreadable"),
    ]
    assert f"warning: left out: games/{BAD}: cannot be read" in done.stderr
    log = (desk / "log.txt").read_text(encoding="utf-8")
    assert log.count("\n") == 2 and MANY in log and BAD in log


def test_a_second_run_costs_nothing(desk):
    assert exphil("replays", "parse", "games", cwd=desk).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in kept(desk).folder.rglob("*.game")}
    done = exphil("replays", "parse", "games", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert "3, 0 of them parsed now" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in kept(desk).folder.rglob("*.game")}
    anew = exphil("replays", "parse", "games", "--no-cache", "--workers", 1, cwd=desk)
    assert "3, 3 of them parsed now" in anew.stdout
    assert not before.items() & {(path, path.stat().st_mtime_ns) for path in before}


@pytest.mark.slow
def test_compressed_and_last(desk):
    plain = json.loads(exphil("replays", "parse", "games", "--json", cwd=desk).stdout)
    small = exphil("replays", "parse", "games", "--json", "--cache-compress", "--cache-dir", "small", cwd=desk)
    assert json.loads(small.stdout)["bytes"] < plain["bytes"] / 2
    last = exphil("replays", "parse", "games", "--rollbacks", "last", cwd=desk)
    assert last.returncode == 0
    keys = kept(desk).keys()
    assert sorted(key.rpartition("-")[2] for key in keys) == ["first"] * 3 + ["last"] * 3


def test_the_table(desk):
    done = exphil("replays", "parse", "games", "--hide-errors", cwd=desk)
    rows = dict(line.split("  ", 1) for line in done.stdout.splitlines() if "  " in line)
    assert list(rows)[1:] == ["games", "files that are copies", "files left out", "frames", "on disk", "time"]
    assert rows["files left out"].strip() == "2" and "bytes a frame" in rows["on disk"]
    assert "2 of 6 files left out:" in done.stderr and "warning" not in done.stderr
    assert "parsing replays 5/5" in done.stderr or "parsing replays 4/4" in done.stderr


def test_fail_fast_stops_at_the_bad_file_and_names_it(desk):
    done = exphil("replays", "parse", "games", "--fail-fast", cwd=desk)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: games/{BAD}: not a Slippi replay" in done.stderr and "--fail-fast" in done.stderr


def test_a_store_that_cannot_be_written_is_an_error(desk):
    (desk / "file").touch()
    done = exphil("replays", "parse", "games", "--cache-dir", "file/store", cwd=desk)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: file/store: cannot be written" in done.stderr and "choose another --cache-dir" in done.stderr


def test_no_game_of_two_is_a_failure(desk):
    for path in (desk / "games").iterdir():
        if path.name not in (MANY, BAD):
            path.unlink()
    done = exphil("replays", "parse", "games", cwd=desk)
    assert done.returncode == 1 and "0, 0 of them parsed now" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for other processes")
def test_a_signal_keeps_what_is_done_and_the_next_run_goes_on(full_games, tmp_path):
    folder = tmp_path / "games"
    folder.mkdir()
    for path in full_games[3:9]:
        for copy in range(12):  # different bytes each: what stands after the game is not read
            (folder / f"{path.stem}_{copy}.slp").write_bytes(path.read_bytes() + bytes([copy]))
    command = [sys.executable, "-m", "exphil", "replays", "parse", "games", "--workers", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store, late = kept(tmp_path), time.monotonic() + 60
    while not store.keys() and time.monotonic() < late:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "SIGINT: the games that are parsed are kept" in err and "parsed now" in out
    done = len(store.keys())
    assert 0 < done < 72
    again = exphil("replays", "parse", "games", "--json", cwd=tmp_path)
    assert again.returncode == 0
    assert (json.loads(again.stdout)["games"], json.loads(again.stdout)["parsed"]) == (72, 72 - done)
