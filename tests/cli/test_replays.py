"""``exphil replays``: what is printed where, and the exit code."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

from exphil.replays import listing
from exphil.replays.sources import find
from in_process import called as exphil

NAMES = ("edge_netplay_short.slp", "edge_not_slp_text.slp", "edge_timeout_2p_nonascii_tag.slp")
MORE = ["length", "names", "lacks", "quality", "programs", "rolled_back", "pal", "frozen_stadium", "match_id"]
RECORD = ["file", "sha256", "frames", "rows", "version", "stage", "ports", "characters", "codes", "problems"]


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


@pytest.mark.slow
def test_processes_say_the_same_as_one(folder, replays):
    for path in sorted(replays.glob("edge_v*.slp")):
        shutil.copy(path, folder)
    done = exphil("replays", "scan", folder, "--json", "--quiet", "--workers", 2)
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told == [asdict(record) for record in listing.scan(find(folder).sources, workers=1)]
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
    assert list(told) == [*RECORD, *MORE, "game_number"]
    assert (told["length"], told["names"]) == ("0:02", ["abcdefghijk", "nobody"])
    assert told["lacks"] == ["hitlag", "platforms"]
    assert (told["quality"]["score"], told["quality"]["label"]) == (0, "Poor")
    assert "play lasts only 1 s" in told["quality"]["reasons"]
    assert (told["programs"], told["rolled_back"]) == ([False, False], 0)
    assert (told["pal"], told["frozen_stadium"], told["match_id"]) == (False, False, None)


def test_info_as_table(folder):
    done = exphil("replays", "info", folder / "deeper" / NAMES[2])
    assert done.returncode == 0, done.stderr
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if len(line.split()) > 1)
    assert (told["frames"].strip(), told["length"].strip()) == ("3724", "1:02")
    assert told["lacks"].startswith("invulnerable (recorded from 2.1 on), items (recorded from 3.0 on), speeds")
    assert told["codes"].strip() == "DES; フラ"
    assert told["names"].strip() == "-; -"
    assert re.match(r"\d+ of 100, (Excellent|Good|Fair|Poor)", told["quality"])
    assert "match" not in told, "older than match ids"


@pytest.mark.slow
def test_info_names_programs_and_rolled_back_frames(replays, manifest):
    done = exphil("replays", "info", replays / "edge_cpu_player_p1.slp")
    assert re.search(r"^programs on ports +1$", done.stdout, re.MULTILINE)
    assert "player 1 is a computer" in done.stdout
    pal = exphil("replays", "info", replays / "edge_pal.slp")
    assert re.search(r"^pal +yes$", pal.stdout, re.MULTILINE)
    netplay = json.loads(exphil("replays", "info", replays / "edge_zip_with_one_replay.zip", "--json").stdout)
    assert netplay["file"].startswith(str(replays / "edge_zip_with_one_replay.zip/"))


def test_info_of_four_players_has_no_quality(replays):
    told = json.loads(exphil("replays", "info", replays / "edge_doubles_4p_netplay_short.slp", "--json").stdout)
    assert told["quality"] is None and len(told["programs"]) == 4


@pytest.fixture
def packed(folder: Path) -> Path:
    """An archive with three members, one of them no replay, in a folder of its own."""
    with zipfile.ZipFile(folder / "deeper" / "games.zip", "w") as archive:
        archive.write(folder / NAMES[0], f"day/{NAMES[0]}")
        archive.write(folder / "deeper" / NAMES[2], NAMES[2])
        archive.writestr("notes.txt", "notes")
    with gzip.open(folder / "deeper" / "packed.slp.gz", "wb") as file:
        file.write((folder / NAMES[0]).read_bytes())
    return folder / "deeper" / "games.zip"


def test_scan_looks_into_archives_and_compressed_files(packed):
    done = exphil("replays", "scan", packed.parent, "--json")
    files = [Path(json.loads(line)["file"]).relative_to(packed.parent).as_posix() for line in done.stdout.splitlines()]
    assert files == [NAMES[2], f"games.zip/day/{NAMES[0]}", f"games.zip/{NAMES[2]}", "packed.slp.gz"]
    assert done.stderr.splitlines()[-1].startswith("readable: 4 games")


@pytest.mark.parametrize("name", ["games.zip", "packed.slp.gz", NAMES[2]])
def test_scan_of_one_archive_or_file(packed, name):
    done = exphil("replays", "scan", packed.parent / name)
    assert done.returncode == 0, done.stderr
    rows = [line.split()[0] for line in done.stdout.splitlines()[3:]]
    assert rows == ([f"day/{NAMES[0]}", NAMES[2]] if name == "games.zip" else [name])


@pytest.mark.parametrize("inside", ["games.zip/day/" + NAMES[0], "packed.slp.gz"])
def test_info_of_a_packed_replay(packed, folder, inside):
    plain = json.loads(exphil("replays", "info", folder / NAMES[0], "--json").stdout)
    done = exphil("replays", "info", packed.parent / inside, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == plain | {"file": str(packed.parent / inside)}


@pytest.mark.parametrize(
    ("place", "what", "fix"),
    [
        ("games.zip", "is an archive; name one of its replays", "lists the 2 replays in it, such as"),
        (f"games.zip/{NAMES[0]}", f"has no replay {NAMES[0]}", f"did you mean day/{NAMES[0]}?"),
        ("games.zip/no", "has no replay no", "lists the 2 replays in it"),
        ("none.slp", "no such file", ""),
        ("none.zip/none.slp", "no such file", ""),
        (".", "is a folder", "exphil replays scan"),
    ],
)
def test_info_of_what_is_not_there_says_what_there_is(packed, place, what, fix):
    done = exphil("replays", "info", packed.parent / place)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and what in done.stderr and fix in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_archive_is_an_error(tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    for words in (("info", "bad.zip"), ("info", "bad.zip/a.slp"), ("scan", "bad.zip"), ("stats", "bad.zip")):
        done = exphil("replays", words[0], tmp_path / words[1])
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr and "defect" not in done.stderr


def test_info_of_what_is_no_game_is_an_error(folder):
    done = exphil("replays", "info", folder / NAMES[1])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {folder / NAMES[1]}: not a Slippi replay (no raw element at offset 0)")
