"""Loading: every file is answered, in order, from the store or the file, whatever happens to either meanwhile."""

from __future__ import annotations

import os
import shutil
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import py7zr
import pytest

from exphil.errors import DataError
from exphil.game.ids import Character
from exphil.replays import library, slp
from exphil.replays.choosing import Choice, Skip
from exphil.replays.library import Loaded, Reading, load, preflight
from exphil.replays.sources import Source, find
from exphil.replays.store import Store

NAMES = ["edge_v3_12_short.slp", "edge_ports_p1_p4.slp", "fox_vs_falco_fountain_of_dreams_015.slp"]
BAD = "edge_not_slp_text.slp"
ALL = Choice(allow_missing=True, both=True)


@pytest.fixture
def folder(replays, tmp_path: Path) -> Path:
    """Three games and a file that is none."""
    made = tmp_path / "games"
    made.mkdir()
    for name in (*NAMES, BAD):
        shutil.copy(replays / name, made)
    return made


def answers(place: Path, how: Reading) -> list[Loaded | Skip]:
    return list(load(find(place).sources, how))


def games(place: Path, how: Reading) -> list[Loaded]:
    return [answer for answer in answers(place, how) if isinstance(answer, Loaded)]


def told(found: list[Loaded | Skip]) -> list[object]:
    """What must be equal however files are read: all but the way to open them; and the rows."""
    return [
        answer if isinstance(answer, Skip) else (replace(answer, open=None), answer.open().game(1).rows.tobytes())
        for answer in found
    ]


def spoil(path: Path) -> None:
    """Other bytes, same size, same time of change: who reads it notices, who knows it does not look."""
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def kept(store: Store) -> list[Path]:
    return list(map(store.path, store.keys()))


def test_every_file_is_answered_in_order_for_every_number_of_workers(replays):
    found = [Source(path) for path in sorted(replays.glob("*.slp"))]
    alone = list(load(found, Reading(ALL, workers=1)))
    names = [answer.file if isinstance(answer, Skip) else str(answer.source) for answer in alone]
    assert names == [str(source) for source in found]
    assert told(alone) == told(list(load(found, Reading(ALL, workers=4))))


@pytest.mark.parametrize("compressed", [False, True])
def test_the_store_gives_what_the_files_give_and_no_file_is_read_twice(folder, tmp_path, compressed):
    plain = told(answers(folder, Reading(ALL)))
    made = [Store(tmp_path / "cache", compressed=compressed) for _ in range(2)]
    assert told(answers(folder, Reading(ALL, store=made[0]))) == plain
    assert len(made[0].keys()) == 3
    for name in NAMES:
        spoil(folder / name)
    how = Reading(ALL, store=made[1], workers=3)
    assert [answer for answer in preflight(find(folder).sources, how) if isinstance(answer, Source)] == [
        Source(folder / name) for name in sorted(NAMES)
    ]
    assert told(answers(folder, how)) == plain
    assert not any(made[1].wrote(answer.digest) for answer in games(folder, how))
    last = Reading(ALL, "last", Store(tmp_path / "cache", "last"))
    assert games(folder, last) == [], "another rollback choice is another game: the file is read"


def test_a_choice_is_made_of_kept_games_too(folder, tmp_path):
    store = Store(tmp_path / "cache")
    answers(folder, Reading(ALL, store=store))
    fox = Choice(allow_missing=True, character=Character.FALCO)
    alone = told(answers(folder, Reading(fox)))
    assert told(answers(folder, Reading(fox, store=store))) == alone
    assert [type(answer) for answer in alone].count(Skip) >= 2


@pytest.mark.parametrize("kind", ["zip", "7z"])
def test_members_of_an_archive_are_unpacked_once(folder, tmp_path, kind):
    path = tmp_path / "packed" / f"a.{kind}"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") if kind == "zip" else py7zr.SevenZipFile(path, "w") as file:
        for name in (*NAMES, BAD):
            file.write(folder / name, name)
    plain = {answer.digest: answer.open().game().rows.tobytes() for answer in games(folder, Reading(ALL))}
    sources = find(path.parent).sources
    for _ in range(2):
        found = list(load(sources, Reading(ALL, store=Store(tmp_path / "cache"), workers=2)))
        opened = {a.digest: a.open().game().rows.tobytes() for a in found if isinstance(a, Loaded)}
        assert opened == plain and sum(isinstance(answer, Skip) for answer in found) == 1
    spoil(path)
    again = list(load([s for s in sources if s.name != BAD], Reading(ALL, store=Store(tmp_path / "cache"))))
    assert {answer.digest for answer in again} == set(plain)


def test_it_looks_only_a_little_ahead(replays):
    asked = []

    def wanted():
        for source in [Source(replays / NAMES[0])] * 1000:
            asked.append(source)
            yield source

    found = load(wanted(), Reading(ALL, workers=2))
    next(found)
    assert len(asked) == 5
    next(found)
    assert len(asked) == 6
    before = threading.active_count()
    found.close()
    assert threading.active_count() < before, "a run that stops early leaves no thread behind"


def test_without_a_store_games_are_held_or_read_again(folder):
    held, again = (games(folder, Reading(ALL, hold=hold)) for hold in (True, False))
    rows = [answer.open().game().rows.tobytes() for answer in held]
    assert [answer.open().game().rows.tobytes() for answer in again] == rows
    assert held[0].open() is held[0].open() and again[0].open() is not again[0].open()
    for name in NAMES:
        spoil(folder / name)
    assert [answer.open().game().rows.tobytes() for answer in held] == rows
    with pytest.raises(DataError, match="changed while it was being used") as caught:
        again[0].open()
    assert caught.value.fix == "start the run again"
    (folder / again[0].source.name).unlink()
    with pytest.raises(DataError, match="was readable before and is no longer"):
        again[0].open()


def test_a_store_that_cannot_be_written_is_said_once_and_games_are_held(folder, tmp_path):
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "cache")
    found = games(folder, Reading(ALL, store=store))
    assert store.trouble is not None and "cannot be written" in store.trouble
    for name in NAMES:
        (folder / name).unlink()
    assert [len(answer.open().game()) for answer in found] == [answer.frames for answer in found] and len(found) == 3


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_game_is_read_from_its_file_again_and_kept_anew(folder, tmp_path, compressed):
    """Found when it is opened: by this run that saw it whole, or by the next."""
    plain = told(answers(folder, Reading(ALL)))
    for turn in range(4):
        store = Store(tmp_path / "cache", compressed=compressed)
        found = answers(folder, Reading(ALL, store=store))
        for path in kept(store):
            data = path.read_bytes()
            at = [len(data) - 200, 300, 2, len(data) // 2][turn]
            path.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        assert told(found) == plain
        assert list(map(store.verify, store.keys())) == [None] * 3
        kept(store)[0].unlink()


def test_a_game_whose_file_and_kept_copy_are_both_gone_is_an_error(folder, tmp_path):
    store = Store(tmp_path / "cache")
    found = games(folder, Reading(ALL, store=store))
    for name in NAMES:
        (folder / name).unlink()
    assert [len(answer.open().game()) for answer in found] == [answer.frames for answer in found]
    store.clear()
    with pytest.raises(DataError, match="was readable before and is no longer") as caught:
        found[0].open()
    assert str(found[0].source) in str(caught.value)


def test_a_folder_that_changes_while_it_is_read(folder, tmp_path):
    """A file that vanishes is left out with its reason; one that is new is not there yet."""
    sources = find(folder).sources
    (folder / NAMES[1]).unlink()
    shutil.copy(folder / NAMES[0], folder / "new.slp")
    how = Reading(ALL, store=Store(tmp_path / "cache"))
    looked = list(preflight(sources, how))
    assert [answer.reason for answer in looked if isinstance(answer, Skip)] == ["unreadable", "unreadable"]
    for found in (load(sources, how), load(sources, how)):
        reasons = {a.file: (a.reason, a.detail) for a in found if isinstance(a, Skip)}
        assert reasons[str(folder / NAMES[1])] == ("unreadable", "cannot be read (No such file or directory)")
        assert len(reasons) == 2


def test_a_file_that_is_written_while_it_is_read_is_not_known_by_its_new_time(folder, tmp_path, monkeypatch):
    """Else the next run would take the old game for the new file."""
    path, digest = folder / NAMES[0], slp.digest
    old, new = path.read_bytes(), (folder / NAMES[2]).read_bytes()

    def slow(data: bytes) -> str:
        path.write_bytes(new)  # somebody writes between our reading and our remembering
        return digest(data)

    monkeypatch.setattr(library.slp, "digest", slow)
    store = Store(tmp_path / "cache")
    (first,) = load([Source(path)], Reading(ALL, store=store))
    monkeypatch.undo()
    assert isinstance(first, Loaded) and first.digest == digest(old)
    (second,) = load([Source(path)], Reading(ALL, store=store))
    assert isinstance(second, Loaded) and second.digest == digest(new)
    assert np.array_equal(second.open().game().rows, slp.read(path).game.rows)


def test_fresh_reads_every_file_again(folder, tmp_path):
    answers(folder, Reading(ALL, store=Store(tmp_path / "cache")))
    before = {path: path.stat().st_mtime_ns for path in kept(Store(tmp_path / "cache"))}
    fresh = Store(tmp_path / "cache", fresh=True)
    found = games(folder, Reading(ALL, store=fresh))
    assert all(fresh.wrote(answer.digest) for answer in found)
    assert all(path.stat().st_mtime_ns > changed for path, changed in before.items())
    assert [answer.open().frames for answer in found] == [answer.frames for answer in found]
