"""``exphil replays`` as a process: what is printed where, and the exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from exphil.replays import library

NAMES = ("edge_netplay_short.slp", "edge_not_slp_text.slp", "edge_timeout_2p_nonascii_tag.slp")
RECORD = ["file", "sha256", "frames", "rows", "version", "stage", "ports", "characters", "codes", "problems"]


def exphil(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exphil", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=120)


@pytest.fixture
def folder(replays: Path, tmp_path: Path) -> Path:
    """Two games, one in a folder of its own, and a page of text that is called .slp."""
    (tmp_path / "deeper").mkdir()
    for name, place in zip(NAMES, (".", ".", "deeper"), strict=True):
        shutil.copy(replays / name, tmp_path / place)
    return tmp_path


def test_scan_as_json_is_one_object_a_file(folder, manifest):
    done = exphil("replays", "scan", folder, "--json")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(record) for record in records] == [RECORD] * 3
    other, game, bad = records  # in the order of the paths
    assert game == {
        "file": str(folder / NAMES[0]),
        "sha256": manifest[NAMES[0]]["sha256"],
        "frames": 128,
        "rows": 128,
        "version": "3.7.0",
        "stage": "fountain_of_dreams",
        "ports": [1, 2],
        "characters": ["samus", "marth"],
        "codes": ["ABCD#123", "XX#000"],
        "problems": [],
    }
    assert other["file"] == str(folder / "deeper" / NAMES[2])
    assert (other["frames"], other["codes"]) == (3724, ["DES", "フラ"])
    assert [bad[key] for key in RECORD[2:]] == [
        *(0, 0, None, None, [], [], []),
        ["not a Slippi replay (no raw element at offset 0)"],
    ]
    assert done.stderr.splitlines()[-1] == "readable: 2 games, 3852 frames; unreadable: 1"


def test_scan_as_table_gives_a_bad_file_its_line(folder):
    done = exphil("replays", "scan", folder)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if ".slp" in line}
    assert len(lines) == 3
    assert "not a Slippi replay" in lines[NAMES[1]]
    assert "1 samus ABCD#123 / 2 marth XX#000" in lines[NAMES[0]]
    assert "replays 3/3" in done.stderr
    assert "replays 3/3" not in done.stdout


def test_processes_say_the_same_as_one(folder, replays):
    for path in sorted(replays.glob("edge_v*.slp")):
        shutil.copy(path, folder)
    done = exphil("replays", "scan", folder, "--json", "--quiet", "--workers", 2)
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told == [asdict(record) for record in library.scan(library.find(folder), workers=1)]
    assert len(told) > 8


def test_a_folder_without_a_readable_game_is_a_failure(folder):
    (folder / NAMES[0]).unlink()
    (folder / "deeper" / NAMES[2]).unlink()
    done = exphil("replays", "scan", folder, "--json")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.splitlines()[-1] == "readable: 0 games, 0 frames; unreadable: 1"


def test_a_folder_without_replays_says_where_to_get_some(tmp_path):
    done = exphil("replays", "scan", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: no .slp files in {tmp_path}" in done.stderr
    assert "Slippi Dolphin saves your games" in done.stderr
    assert "Traceback" not in done.stderr


def test_info_as_json(folder):
    done = exphil("replays", "info", folder / NAMES[0], "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert list(told) == [*RECORD, "length", "names", "lacks"]
    assert (told["length"], told["names"], told["lacks"]) == ("0:02", ["abcdefghijk", "nobody"], ["hitlag"])


def test_info_as_table(folder):
    done = exphil("replays", "info", folder / "deeper" / NAMES[2])
    assert done.returncode == 0, done.stderr
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if len(line.split()) > 1)
    assert (told["frames"].strip(), told["length"].strip()) == ("3724", "1:02")
    assert told["lacks"].startswith("invulnerable (recorded from 2.1 on), items (recorded from 3.0 on), speeds")
    assert told["codes"].strip() == "DES; フラ"
    assert told["names"].strip() == "-; -"


def test_info_of_what_is_no_game_is_an_error(folder):
    done = exphil("replays", "info", folder / NAMES[1])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {folder / NAMES[1]}: not a Slippi replay (no raw element at offset 0)")
