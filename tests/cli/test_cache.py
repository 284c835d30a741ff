"""``exphil cache`` as a process: what is listed, checked and forgotten, and what is left alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from exphil.cli.cache_list import COLUMNS
from exphil.replays.store import Store
from in_process import called as exphil

NAMES = ("edge_netplay_short.slp", "edge_nonascii_tag.slp", "edge_pal.slp")


def cache(word: str, folder: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return exphil("cache", word, *more, "--cache-dir", folder)


@pytest.fixture(scope="module")
def filled(replays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three games."""
    root = tmp_path_factory.mktemp("filled")
    (root / "replays").mkdir()
    for name in NAMES:
        shutil.copy(replays / name, root / "replays")
    done = exphil("replays", "parse", root / "replays", "--cache-dir", root / "cache")
    assert done.returncode == 0, done.stderr
    return root / "cache"


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "cache")
    return tmp_path / "cache"


def damage(folder: Path, key: str) -> None:
    path = Store(folder).path(key)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def make_old(folder: Path, key: str) -> str:
    """A game as another version of exphil would have kept it."""
    old = f"{key.partition('-')[0]}-1-first"
    Store(folder).path(key).rename(Store(folder).path(old))
    return old


def embedding(folder: Path) -> int:
    """An embedding, its check sum and an unfinished one; the bytes that count."""
    (folder / "0123456789abcdef.npy").write_bytes(b"x" * 1000)
    (folder / "0123456789abcdef.npy.json").write_text(json.dumps({"key": "k", "crc": 1}))
    (folder / ".fedcba9876543210.npy.ab_12.part").write_bytes(b"x" * 500)
    return 1500


def test_list(folder):
    keys = Store(folder).keys()
    done = cache("list", folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == str(folder) and lines[1].split() == list(COLUMNS)
    assert [line.split()[0] for line in lines[3:6]] == [key[:8] for key in keys]
    assert any("samus ABCD#123 / marth XX#000" in line and "3.7.0" in line for line in lines)
    frames = sum(game.frames for game in Store(folder).kept())
    assert lines[6].startswith(f"3 games, {frames:,} frames, ")


def test_list_counts_what_cannot_be_used_and_says_what_to_do(folder):
    first, second, _ = Store(folder).keys()
    Store(folder).path(first).write_bytes(b"no game")
    make_old(folder, second)
    embedding(folder)
    done = cache("list", folder)
    assert done.returncode == 0
    assert "1 games, " in done.stdout and "1 embeddings, 1.00 kB" in done.stdout
    old, damaged = done.stderr.splitlines()
    assert old.startswith("warning: 1 games of another version") and old.endswith("exphil cache drop old")
    assert damaged.startswith("warning: 1 games are damaged") and f"exphil cache drop {first[:8]}" in damaged


def test_drop_old_forgets_games_of_another_version_and_no_other(folder):
    keys = Store(folder).keys()
    make_old(folder, keys[0])
    done = cache("drop", folder, "old")
    assert (done.returncode, done.stdout) == (0, "forgotten: 1 games of another version of exphil\n")
    assert len(Store(folder).keys()) == len(keys) - 1


def test_list_as_json(folder):
    keys = Store(folder).keys()
    old = make_old(folder, keys[0])
    done = cache("list", folder, "--json")
    told = json.loads(done.stdout)
    assert [game["key"] for game in told["games"]] == keys[1:]
    assert (told["other_versions"], told["damaged"], told["embeddings"]) == ([old], [], 0)
    assert {"frames", "size_bytes", "compressed", "modified", "about"} < set(told["games"][0])
    assert all(isinstance(name, str) for game in told["games"] for name in game["about"]["characters"])


@pytest.mark.parametrize("word", ["list", "verify", "clear"])
def test_where_nothing_is_kept_it_says_so(word, tmp_path):
    done = cache(word, tmp_path / "none")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"nothing is kept in {tmp_path / 'none'}: there is no such folder\n"
    assert not (tmp_path / "none").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    done = cache("list", tmp_path / "file")
    assert done.returncode == 1 and f"error: {tmp_path / 'file'}: is not a folder" in done.stderr


def test_verify_names_the_damaged_game(folder):
    keys = Store(folder).keys()
    whole = cache("verify", folder)
    assert (whole.returncode, whole.stdout) == (0, "3 games are whole, 0 damaged\n")
    damage(folder, keys[1])
    done = cache("verify", folder)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"{keys[1]}: its rows are damaged", "2 games are whole, 1 damaged"]
    assert cache("verify", folder, keys[0], keys[2][:6]).stdout == "2 games are whole, 0 damaged\n"
    told = json.loads(cache("verify", folder, keys[1], "--json").stdout)
    assert told == {"checked": 1, "other_versions": [], "damaged": {keys[1]: "its rows are damaged"}}


def test_a_game_of_another_version_is_no_damage(folder):
    make_old(folder, Store(folder).keys()[0])
    done = cache("verify", folder)
    assert done.returncode == 0
    assert done.stdout == "2 games are whole, 0 damaged; 1 of another version of exphil cannot be checked\n"


@pytest.mark.parametrize("word", ["drop", "verify"])
@pytest.mark.parametrize("key", ["nothing", "../../etc"])
def test_a_key_that_is_not_there_is_an_error_that_names_those_that_are(folder, word, key):
    done, keys = cache(word, folder, key), Store(folder).keys()
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: {folder}: no game {key}" in done.stderr
    assert all(name in done.stderr for name in keys)
    assert len(keys) == 3


def test_drop_forgets_one_game(folder):
    first, second, third = Store(folder).keys()
    done = cache("drop", folder, second[:8])
    assert (done.returncode, done.stdout) == (0, f"forgotten: {second}\n")
    assert Store(folder).keys() == [first, third]
    assert cache("drop", folder, first).returncode == 0
    assert cache("drop", folder, first).returncode == 1


def test_clear_forgets_games_and_embeddings_and_touches_nothing_else(folder):
    size = sum(path.stat().st_size for path in folder.rglob("*.game")) + embedding(folder)
    mine = [folder / name for name in ("notes.txt", "mine.npy", "ab/mine.part", "ab/mine.game", "data.npy.json")]
    (folder / "ab").mkdir(exist_ok=True)
    for path in mine:
        path.write_text("mine")
    done = cache("clear", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"forgotten: 3 games and 1 embeddings, {size / 1000:.3g} kB\n"
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(mine)
    assert cache("clear", folder).stdout == f"nothing is kept in {folder}\n"
