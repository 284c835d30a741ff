"""The database of files whose content is known: whatever happens to it costs time and never a wrong answer."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from exphil.replays.store import Store

DIGEST = "0123456789abcdef"


def test_size_time_and_place_must_be_the_same(tmp_path, monkeypatch):
    where = Store(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "a")
    where.remember("1.slp", (10, 20), DIGEST)
    where.remember("x.zip/1.slp", (10, 20), "f" * 16)
    assert where.known("1.slp", (10, 20)) == DIGEST and where.known("x.zip/1.slp", (10, 20)) == "f" * 16
    assert where.known("1.slp", (11, 20)) is None and where.known("1.slp", (10, 21)) is None
    monkeypatch.chdir(tmp_path / "b")
    assert where.known("1.slp", (10, 20)) is None, "the same name in another folder is another file"
    assert where.known(str(tmp_path / "a" / "1.slp"), (10, 20)) == DIGEST


@pytest.mark.parametrize("spoil", ["text", "cut", "empty", "gone", "other table", "journal"])
def test_a_damaged_one_is_a_miss_and_made_anew(tmp_path, spoil):
    path = tmp_path / "files.sqlite"
    Store(tmp_path).remember("1.slp", (1, 2), DIGEST)
    if spoil == "text":
        path.write_bytes(b"no database at all" * 500)
    elif spoil == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif spoil == "journal":
        (tmp_path / "files.sqlite-journal").write_bytes(b"rubbish" * 1000)
    elif spoil == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        if spoil == "other table":
            with sqlite3.connect(path) as database:
                database.execute("create table files (name)")
            database.close()
    where = Store(tmp_path)
    assert where.known("1.slp", (1, 2)) in (None, DIGEST)
    for _ in range(2):  # the first may find out that it must be made anew
        where.remember("1.slp", (1, 2), DIGEST)
    assert Store(tmp_path).known("1.slp", (1, 2)) == DIGEST


def test_one_that_is_locked_is_a_miss_and_left_alone(tmp_path):
    where = Store(tmp_path)
    where.remember("1.slp", (1, 2), DIGEST)
    other = sqlite3.connect(tmp_path / "files.sqlite", isolation_level=None)
    other.execute("begin exclusive")
    other.execute("insert into files values ('/x', 1, 2, 'theirs')")
    locked = Store(tmp_path)
    assert locked.known("1.slp", (1, 2)) is None
    other.execute("commit")
    other.close()
    assert locked.known("1.slp", (1, 2)) == DIGEST and locked.known("/x", (1, 2)) == "theirs"


def test_several_threads(tmp_path):
    where, wrong = Store(tmp_path), []

    def work(number: int) -> None:
        for turn in range(40):
            where.remember(f"{number}-{turn}", (turn, number), f"{number:016x}")
            wrong.extend([turn] * (where.known(f"{number}-{turn}", (turn, number)) != f"{number:016x}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
