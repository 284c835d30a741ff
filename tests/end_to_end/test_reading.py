"""What a person sees of reading: bad files, copies, archives, a cache that is damaged or cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import py7zr
import pytest
import torch

from exphil.replays.store import Store

GAMES = ["edge_ports_p1_p4.slp", "edge_v3_12_short.slp", "peach_vs_marth_final_destination_028.slp"]
SHORT, BAD = GAMES[1], "edge_not_slp_text.slp"
TINY = ["--backbone", "gru", "--hidden", "8", "--epochs", "1", "--threads", "1", "--device", "cpu", "--seed", "1",
        "--batch-size", "16", "--allow-missing"]  # fmt: skip


def exphil(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EXPHIL_")}
    command = [sys.executable, "-m", "exphil", *words]
    done = subprocess.run(command, cwd=cwd, env=plain, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def train(cwd: Path, name: str, *words: str, replays: str = "games") -> str:
    """One tiny run that must succeed; what it said."""
    done = exphil("train", "--replays", replays, "--name", name, *TINY, *words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stderr


def weights(cwd: Path, name: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(cwd / "checkpoints" / f"{name}.pt", weights_only=True)["policy"]
    return found


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def mixed(tmp_path: Path, replays: Path) -> Path:
    """A game, the same one again, one that is none, and an archive that is none."""
    (tmp_path / "games" / "deep").mkdir(parents=True)
    shutil.copy(replays / SHORT, tmp_path / "games" / "b.slp")
    shutil.copy(replays / SHORT, tmp_path / "games" / "deep" / "copy.slp")
    shutil.copy(replays / BAD, tmp_path / "games" / "bad.slp")
    (tmp_path / "games" / "cut.zip").write_bytes(b"PK\3\4 and no more")
    return tmp_path


@pytest.mark.slow
def test_what_is_left_out_is_counted_named_and_logged(mixed):
    """The counts always; the names unless they are hidden; all of them in the log, with what a copy is a copy of."""
    said = train(mixed, "a", "--error-log", "log.txt", "--show-quality-stats")
    assert "3 found, 2 may be used by what they begin with" in said
    assert "1 of 3 files left out:" in said and "1 file: cannot be read, such as bad.slp" in said
    assert "1 of 2 files left out:" in said and "1 file: the same game as another file; --no-skip-duplicates" in said
    assert f"such as copy.slp ({Path('games') / 'b.slp'})" in said
    assert said.count("left out: ") == 2 and "bad.slp: cannot be read (not a Slippi replay" in said
    assert "Quality of the games" in said and "90-100" in said and "memory " in said
    log = (mixed / "log.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in log] == [
        str(Path("games") / n) for n in ("cut.zip", "bad.slp", "deep/copy.slp")
    ]
    assert log[2].endswith(f"({Path('games') / 'b.slp'})")
    said = train(mixed, "b", "--hide-errors", "--no-skip-duplicates", "--max-files", "3")
    assert "left out: " not in said and "1 of 3 files left out:" in said and "Quality" not in said
    assert "same game" not in said and "2 games" in said


@pytest.mark.slow
def test_fail_fast_stops_at_the_first_bad_file_and_still_logs_it(mixed):
    words = ["--fail-fast", "--error-log", "log.txt", "--name", "a", *TINY]
    done = exphil("train", "--replays", "games", *words, cwd=mixed)
    assert done.returncode == 1 and not (mixed / "checkpoints" / "a.pt").exists()
    where = Path("games")
    assert f"error: {where / 'cut.zip'}: " in done.stderr and "cut.zip: " in (mixed / "log.txt").read_text()
    (mixed / "games" / "cut.zip").unlink()
    done = exphil("train", "--replays", "games", *words, cwd=mixed)
    assert done.returncode == 1
    assert f"error: {where / 'bad.slp'}: not a Slippi replay (no raw element at offset 0)" in done.stderr
    assert "without --fail-fast the file is left out and counted" in done.stderr
    (mixed / "games" / "bad.slp").unlink()
    shutil.copy(mixed / "games" / "b.slp", mixed / "games" / "broken.slp")
    with (mixed / "games" / "broken.slp").open("r+b") as file:  # its head is whole
        file.truncate(2000)
    done = exphil("train", "--replays", "games", *words, cwd=mixed)
    assert done.returncode == 1 and f"error: {where / 'broken.slp'}: no " in done.stderr
    assert "broken.slp" in (mixed / "log.txt").read_text(), "the log names the file at which it stopped"
    (mixed / "games" / "broken.slp").unlink()
    assert exphil("train", "--replays", "games", *words, cwd=mixed).returncode == 0, "a copy is no error"


def games_in(root: Path, replays: Path) -> Path:
    (root / "games").mkdir()
    for name in GAMES:
        shutil.copy(replays / name, root / "games")
    return root


@pytest.fixture
def folder(tmp_path: Path, replays: Path) -> Path:
    return games_in(tmp_path, replays)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, replays: Path) -> Path:
    """Where one worker learned, with nothing cached before."""
    root = games_in(tmp_path_factory.mktemp("plain"), replays)
    train(root, "a", "--workers", "1")
    return root


@pytest.fixture(scope="module")
def plain(trained: Path) -> dict[str, torch.Tensor]:
    """What it learned."""
    return weights(trained, "a")


@pytest.mark.slow
def test_a_second_run_reads_the_cache_and_repairs_what_is_damaged(trained, plain):
    """The replays are spoiled behind its back: it does not look. One kept game is damaged: its file is read again."""
    store = Store(trained / "cache" / "embeddings")
    keys = store.keys()
    assert len(keys) == 3
    for path in map(store.path, keys):
        whole = path.read_bytes()
        path.write_bytes(whole[:-700] + bytes([whole[-700] ^ 1]) + whole[-699:])
    said = train(trained, "b")
    warned = [line for line in said.splitlines() if line.startswith("warning") and "updates an epoch" not in line]
    assert not warned and same(weights(trained, "b"), plain)
    assert [store.verify(key) for key in keys] == [None] * 3
    for path in (trained / "games").iterdir():
        before = path.stat()
        path.write_bytes(bytes(before.st_size))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    said = train(trained, "c")
    assert "left out" not in said and same(weights(trained, "c"), plain)
    done = exphil("train", "--replays", "games", "--name", "d", "--no-cache", *TINY, cwd=trained)
    assert done.returncode == 1 and "no game is left to use (3 files: cannot be read" in done.stderr


@pytest.mark.slow
def test_other_ways_to_feed_learn_the_same(folder, plain):
    """Without a cache, compressed, without gathering ahead, from embeddings: the same weights, bit for bit."""
    ways = (["--no-precompute", "--workers", "4"], ["--cache-compress", "--cache-dir", "small", "--no-prefetch"])
    for at, words in enumerate(ways):
        train(folder, f"way{at}", *words)
        assert same(weights(folder, f"way{at}"), plain), words
    train(folder, "kept", "--mmap-embeddings")
    kept = weights(folder, "kept")
    assert all((kept[name] - plain[name]).abs().max() <= 1e-5 for name in plain)


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_said_once(folder, plain):
    (folder / "file").touch()
    said = train(folder, "a", "--cache-dir", "file/cache")
    assert said.count("cannot be written (Not a directory)") == 1
    assert same(weights(folder, "a"), plain)


@pytest.mark.slow
def test_archives_are_read_once(folder, plain):
    """A second run needs no more of them than their tables of contents."""
    (folder / "packed").mkdir()
    with zipfile.ZipFile(folder / "packed" / "a.zip", "w") as file:
        file.write(folder / "games" / GAMES[0], f"sub/{GAMES[0]}")
    path = folder / "packed" / "b.7z"
    with py7zr.SevenZipFile(path, "w") as file:
        for name in GAMES[1:]:
            file.write(folder / "games" / name, f"sub/{name}")
    train(folder, "first", replays="packed")
    before, data = path.stat(), bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 5000] = bytes(5000)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    said = train(folder, "second", replays="packed")
    assert "left out" not in said
    for name in ("first", "second"):
        assert same(weights(folder, name), plain)
