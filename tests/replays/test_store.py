"""The store: what was put comes back or nothing does, in few bytes, whatever happens to the disk and beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from exphil.errors import DataError, ReplayError
from exphil.game.frames import ROW, Game
from exphil.replays import slp, store
from exphil.replays.library import understand
from exphil.replays.packing import Packed, pack
from exphil.replays.store import About, Store, other_layout

ABOUT = About("3.14.0", 9, (1, 3), (1, 22), (True, True), ("A#1", ""), ("", "T"), ("n", ""), (False, True), 77, ("r",),
              "0123456789abcdef", ("byte 3: é",))  # fmt: skip
DIGEST = "0123456789abcdef"
NOT_ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs the limits of a Unix process")


def made(count: int, seed: int = 1) -> Packed:
    """A game with items, a follower for a while and a moving stage."""
    game, random = Game.empty(count), np.random.default_rng(seed)
    row = game.rows.view(ROW)[:, 0]
    row["frame"], row["stage"], row["whispy"] = np.arange(count) - 123, 28, np.arange(count) // 7 % 3
    row["players"]["x"], row["players"]["main_x"] = random.normal(size=(2, count, 2))
    row["nana"]["x"][: count // 2, 0] = 3.5
    row["items"]["x"][::3, 4], row["items"]["owner"][::3, 4] = 2.5, -1
    return pack(game)


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def kept(request, tmp_path: Path) -> tuple[Store, Packed, Path]:
    """A store with one small game, the game, and its file."""
    found, packed = Store(tmp_path / "cache", compressed=request.param), made(2)
    assert found.put(DIGEST, ABOUT, packed) and found.trouble is None
    return found, packed, found.path(found.key(DIGEST))


def opened(where: Store) -> Packed | None:
    """As a run opens a game: found, and its rows checked; by a process that never saw it before."""
    again = Store(where.folder, where.rollbacks)
    found = again.get(DIGEST, whole=True)
    assert found is None or found[0] == ABOUT
    return found[1] if found else None


def same(one: Packed, other: Packed) -> bool:
    return all(np.array_equal(one.game(seat).rows, other.game(seat).rows) for seat in (0, 1))


def test_what_was_put_comes_back(kept):
    where, packed, path = kept
    found = opened(where)
    assert found is not None and same(found, packed) and where.has(DIGEST)
    assert [(game.key, game.frames, game.size_bytes, game.about) for game in where.kept()] == [
        (path.stem, 2, path.stat().st_size, ABOUT)
    ]
    assert where.verify(path.stem) is None and where.keys() == [path.stem]
    assert where.get("f" * 16) is None and not where.has("f" * 16)
    (path.parent / "plain").touch()
    assert path.stat().st_mode == (path.parent / "plain").stat().st_mode, "a store can be shared"


def test_the_name_says_content_layout_and_rollbacks(kept, monkeypatch):
    where, packed, path = kept
    assert path.stem == f"{DIGEST}-{store.LAYOUT}-first" and not other_layout(path.stem)
    last = Store(where.folder, "last")
    assert last.get(DIGEST) is None and not last.has(DIGEST)
    monkeypatch.setattr(store, "LAYOUT", "1.00000000")
    assert where.get(DIGEST) is None and where.verify(path.stem) is not None
    assert other_layout(path.stem) and list(where.kept()) == []
    assert where.put(DIGEST, ABOUT, packed) and len(where.keys()) == 2
    monkeypatch.undo()
    old = where.path(f"{DIGEST}-1.00000000-first")
    assert opened(where) is not None and other_layout(old.stem)
    for name in (path, last.path(last.key(DIGEST))):  # another layout, another choice: under a wrong name it is a miss
        shutil.copy(old if name == path else path, name)
    assert opened(where) is None and opened(last) is None


def test_the_layout_follows_the_code_that_makes_rows(tmp_path, monkeypatch):
    """A mended reader reads every game again, and a line ending changes nothing."""
    one, other = store._written_by("seats"), store._written_by("kernels")
    assert f"{store.SCHEMA_VERSION}.{store._written_by(store._READER)}" == store.LAYOUT and one != other
    folder = Path(store.__file__).parent
    assert all((folder / f"{name}.py").is_file() for name in store._READER.split())
    monkeypatch.setattr(store, "__file__", str(tmp_path / "store.py"))
    (tmp_path / "seats.py").write_bytes((folder / "seats.py").read_bytes().replace(b"\n", b"\r\n"))
    assert store._written_by("seats") == one
    (tmp_path / "seats.py").write_bytes((folder / "seats.py").read_bytes() + b"# mended\n")
    assert store._written_by("seats") != one


def test_no_flipped_byte_and_no_truncation_gives_a_wrong_row(kept):
    """Every byte of a small file, many of its lengths, and a tail too many. A miss, never an exception."""
    where, packed, path = kept
    whole, kept_whole = path.read_bytes(), 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        found = opened(where)
        assert found is None or same(found, packed), at
        kept_whole += found is not None
    assert kept_whole < 64, "only the padding between the table and the rows means nothing"
    for length in [*range(0, len(whole), 5), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert opened(where) is None, length
    for tail in (b"\0", whole):
        path.write_bytes(whole + tail)
        assert opened(where) is None
    for rest in (b"", store.MAGIC, store.MAGIC + bytes(500), bytes(2000), b"[" * 2000):
        path.write_bytes(rest)
        assert opened(where) is None and Store(where.folder).verify(path.stem)
        assert list(where.kept()) == []
    path.unlink()
    path.mkdir()
    assert opened(where) is None


def test_damage_in_a_long_game_is_found(tmp_path):
    for compressed in (False, True):
        where, packed = Store(tmp_path / str(compressed), compressed=compressed), made(5000)
        where.put(DIGEST, ABOUT, packed)
        path, random = where.path(where.key(DIGEST)), np.random.default_rng(3)
        whole = path.read_bytes()
        for at in random.integers(0, len(whole), 150).tolist():
            path.write_bytes(whole[:at] + bytes([whole[at] ^ int(random.integers(1, 256))]) + whole[at + 1 :])
            found = opened(where)
            assert found is None or same(found, packed), at


def test_opening_reads_no_rows(tmp_path):
    """Rows full of garbage are not noticed before they are asked for, and a hundred times the length costs the same."""
    where, seconds = Store(tmp_path), []
    for digest, count in (("a" * 16, 300), ("b" * 16, 30_000)):
        where.put(digest, ABOUT, made(count))
        path = where.path(where.key(digest))
        with path.open("r+b") as file:
            file.seek(-1000, os.SEEK_END)
            file.write(bytes(999))
        taken = []
        for _ in range(60):
            begun = time.perf_counter()
            assert where.get(digest) is not None
            taken.append(time.perf_counter() - begun)
        seconds.append(min(taken))
        assert where.get(digest, whole=True) is None and where.verify(path.stem) == "its rows are damaged"
    assert seconds[1] < 3 * seconds[0] + 1e-4, seconds


def test_bytes_a_frame_of_real_games(tmp_path, full_games):
    """At most 160 for a plain game, and 20 compressed; what items and Nana take comes on top, where there are any."""
    plain, small = Store(tmp_path / "plain"), Store(tmp_path / "small", compressed=True)
    total = np.zeros(3)
    for path in full_games:
        try:
            replay = slp.read(path)
        except ReplayError:
            continue
        about, packed = understand(replay)
        bare = replay.game[:]
        bare.rows.view(ROW)[:, 0]["nana"], bare.rows.view(ROW)[:, 0]["items"] = 0, 0
        for where, most in ((plain, 160), (small, 20)):
            where.put(replay.digest, about, packed)
            where.put("0" * 16, about, pack(bare))
            size = where.size_bytes(where.key("0" * 16))
            assert size / packed.frames <= most, (path.name, where.folder.name)
        total += packed.frames, *(where.size_bytes(where.key(replay.digest)) for where in (plain, small))
    print(f"bytes a frame with everything: {total[1] / total[0]:.1f}, compressed {total[2] / total[0]:.1f}")  # noqa: T201
    assert total[0] > 250_000 and total[1] / total[0] <= 140 and total[2] / total[0] <= 16


def test_fresh_looks_at_nothing_that_was_there(kept):
    where, packed, path = kept
    where.remember("x.slp", (1, 2), DIGEST)
    fresh = Store(where.folder, fresh=True)
    assert fresh.get(DIGEST) is None and not fresh.has(DIGEST) and fresh.known("x.slp", (1, 2)) is None
    path.write_bytes(b"damaged")
    assert fresh.put(DIGEST, ABOUT, packed) and fresh.wrote(DIGEST)
    assert fresh.get(DIGEST) is not None and fresh.has(DIGEST) and opened(where) is not None


@POSIX
def test_a_full_disk_is_said_and_leaves_nothing_behind(kept):
    """A limit on the size of files stands in for it: writing fails in the middle."""
    import resource

    where, packed, path = kept
    whole, before = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    try:
        assert not where.put("e" * 16, ABOUT, packed) and not where.put("e" * 16, ABOUT, made(50))
        assert where.trouble is not None and "File too large" in where.trouble
        assert where.put(DIGEST, ABOUT, packed), "the same game is there already, whole"
        where.remember("x.slp", (1, 2), "e" * 16)
        assert where.known("x.slp", (1, 2)) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == whole and not list(where.folder.rglob("*.part"))
    assert where.get("e" * 16) is None and opened(where) is not None
    where.remember("x.slp", (1, 2), "e" * 16)
    assert where.known("x.slp", (1, 2)) == "e" * 16, "when there is room again the database works again"


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    where = Store(tmp_path / "file" / "cache")
    assert where.get(DIGEST) is None and where.keys() == [] and not where.put(DIGEST, ABOUT, made(3))
    assert where.trouble == f"{where.folder}: cannot be written (Not a directory); games are held in memory or read " \
        "again instead"  # fmt: skip
    where.remember("x.slp", (1, 2), DIGEST)
    assert where.known("x.slp", (1, 2)) is None


@NOT_ROOT
def test_a_read_only_store_is_read(kept):
    where, packed, _ = kept
    where.remember("x.slp", (1, 2), DIGEST)
    folders = [where.folder, *(path for path in where.folder.iterdir() if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        other = Store(where.folder)
        assert opened(where) is not None and other.known("x.slp", (1, 2)) == DIGEST
        assert not other.put("e" * 16, ABOUT, packed) and "Permission denied" in (other.trouble or "")
        other.remember("y.slp", (1, 2), DIGEST)
        assert other.known("x.slp", (1, 2)) == DIGEST
    finally:
        for folder in folders:
            folder.chmod(0o755)


PUT = """
import sys
from pathlib import Path
from tests.replays.test_store import ABOUT, DIGEST, Store, made
where, games = Store(Path(sys.argv[1])), [made(400)]
for turn in range(60):
    assert where.put(DIGEST, ABOUT, games[0]), where.trouble
    where.remember(f"{where.folder}/{turn}.slp", (turn, 1), DIGEST)
    assert where.known(f"{where.folder}/{turn}.slp", (turn, 1)) == DIGEST
"""


def test_two_processes_put_the_same_game(tmp_path):
    """While a third one reads it: it is always there, whole."""
    root = Path(__file__).resolve().parents[2]
    where, packed = Store(tmp_path), made(400)
    where.put(DIGEST, ABOUT, packed)
    writers = [subprocess.Popen([sys.executable, "-c", PUT, str(tmp_path)], cwd=root) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        found = opened(where)
        assert found is not None and same(found, packed)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert not list(tmp_path.rglob("*.part"))
    assert all(where.known(f"{tmp_path}/{turn}.slp", (turn, 1)) == DIGEST for turn in range(60))


def test_forgetting_touches_only_what_a_store_writes(kept):
    where, packed, path = kept
    where.put("ab" * 8, ABOUT, packed)
    where.remember("x.slp", (1, 2), DIGEST)
    theirs = ["notes.txt", "01/notes.game", "my/level.game", "01/x.part", "ab.game", f"cd/{path.name}"]
    for name in theirs:
        (where.folder / name).parent.mkdir(exist_ok=True)
        (where.folder / name).write_text("mine")
    (where.folder / "zz").mkdir()
    (where.folder / "01" / f".{path.name}.ab_12.part").write_text("never finished")
    where.drop(path.stem)
    assert not path.exists() and len(where.keys()) == 1
    with pytest.raises(DataError, match="no game"):
        where.drop(path.stem)
    for wrong in ("../notes", "notes"):
        with pytest.raises(DataError, match="no game"):
            where.drop(wrong)
    assert where.clear() == 1 and where.keys() == [] and where.clear() == 0
    left = {file.relative_to(where.folder).as_posix() for file in where.folder.rglob("*") if file.is_file()}
    assert left == set(theirs) and (where.folder / "zz").is_dir()
    assert where.known("x.slp", (1, 2)) is None
    assert where.put(DIGEST, ABOUT, packed) and opened(where) is not None, "a store that was cleared goes on"
