"""Finding replays wherever they are, and reading them in one go."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import pickle
import random
import subprocess
import sys
import threading
import zipfile
from itertools import islice
from pathlib import Path

import py7zr
import pytest

from exphil.errors import DataError, ReplayError
from exphil.replays import slp, sources
from exphil.replays.sources import Refused, Source

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a right there")
DATA = {f"{n}.slp": random.Random(n).randbytes(2000 + n) for n in range(5)}
PEAK = """
import hashlib, json, resource, sys
from pathlib import Path
from exphil.replays import sources
found = sources.find(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
digests = {source.name: hashlib.sha256(data).hexdigest() for source, data in sources.read_all(found.sources)}
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit, digests]))
"""


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder with one replay of each kind."""
    folder = tmp_path / "mixed"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "0.slp").write_bytes(DATA["0.slp"])
    (folder / "1.SLP.GZ").write_bytes(gzip.compress(DATA["1.slp"]))
    (folder / "c.slp.xz").write_bytes(lzma.compress(DATA["2.slp"]))
    (folder / "notes.txt").touch()
    (folder / "._1.slp").touch()
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        for name in ("z/4.slp", "3.slp", "notes.txt"):
            file.writestr(name, DATA.get(name[-5:], b""))
    with py7zr.SevenZipFile(folder / "b" / "s.7z", "w") as file:
        for name in ("3.slp", "2.slp", "4.slp", "1.slp"):
            file.writestr(DATA[name], name)
    return folder


def places(found: sources.Found, folder: Path) -> list[str]:
    return [str(source).removeprefix(f"{folder}{os.sep}").replace(os.sep, "/") for source in found.sources]


def members(path: Path, *names: str) -> list[Source]:
    return [Source(path, name) for name in names]


class TestFind:
    def test_every_kind_in_one_order(self, mixed):
        found = sources.find(mixed)
        assert places(found, mixed) == [
            *("1.SLP.GZ", "a.zip/3.slp", "a.zip/z/4.slp", "b/0.slp"),
            *("b/s.7z/1.slp", "b/s.7z/2.slp", "b/s.7z/3.slp", "b/s.7z/4.slp", "c.slp.xz"),
        ]
        assert found.sources == sorted(found.sources)
        assert found.refused == []
        assert sources.find(mixed, max_files=2).sources == found.sources[:2]
        answers = dict(sources.read_all(found.sources))
        assert [answers[source] for source in found.sources] == [DATA[f"{n}.slp"] for n in (1, 3, 4, 0, 1, 2, 3, 4, 2)]

    def test_one_file(self, mixed):
        assert sources.find(mixed / "b" / "0.slp").sources == [Source(mixed / "b" / "0.slp")]
        assert sources.find(mixed / "a.zip").sources == members(mixed / "a.zip", "3.slp", "z/4.slp")
        with pytest.raises(DataError, match=r"notes.txt is neither a folder"):
            sources.find(mixed / "notes.txt")

    @pytest.mark.parametrize(
        ("name", "what"),
        [
            ("gone", "no such folder: {}"),
            ("file", "{} is neither a folder, a replay nor an archive"),
            ("empty", "no .slp files in {}"),
        ],
    )
    def test_nothing_to_read_is_said_with_where_to_get_some(self, tmp_path, name, what):
        (tmp_path / "file").touch()
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError) as caught:
            sources.find(tmp_path / name)
        assert (caught.value.what, caught.value.fix) == (what.format(tmp_path / name), sources.WHERE_TO_GET)

    def test_a_bad_archive_does_not_hide_the_rest(self, mixed):
        (mixed / "a.zip").write_bytes(b"no zip")
        found = sources.find(mixed)
        assert len(found.sources) == 7
        assert [str(refused) for refused in found.refused] == [
            f"{mixed / 'a.zip'}: is damaged (File is not a zip file)"
        ]

    @LINKS
    def test_links(self, tmp_path):
        real = tmp_path / "place" / "x" / "real"
        real.mkdir(parents=True)
        (real / "0.slp").touch()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "1.slp").touch()
        place = tmp_path / "place"
        (place / "a loop").symlink_to(place)
        (place / "a second way").symlink_to(real)
        (place / "away").symlink_to(tmp_path / "elsewhere")
        (place / "file.slp").symlink_to(real / "0.slp")
        (place / "gone.slp").symlink_to(place / "nothing")
        (place / "self.slp").symlink_to(place / "self.slp")
        (place / "gone").symlink_to(place / "nothing")
        found = sources.find(place)
        assert places(found, place) == ["away/1.slp", "file.slp", "x/real/0.slp"]
        assert sorted(found.refused, key=str) == [
            Refused(str(place / name), "is a broken link") for name in ("gone.slp", "self.slp")
        ]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "a.slp")
        (tmp_path / "b.slp").touch()
        assert sources.find(tmp_path).refused == [Refused(str(tmp_path / "a.slp"), "is no plain file")]

    def test_a_folder_that_cannot_be_listed(self, tmp_path, monkeypatch):
        (tmp_path / "locked").mkdir()
        (tmp_path / "a.slp").touch()
        listing = os.scandir

        def scandir(path: Path) -> object:
            if locked in Path(path).parts:
                raise PermissionError(13, "Permission denied", str(path))
            return listing(path)

        locked = "locked"
        monkeypatch.setattr(os, "scandir", scandir)
        found = sources.find(tmp_path)
        assert places(found, tmp_path) == ["a.slp"]
        assert found.refused == [Refused(str(tmp_path / "locked"), "cannot be listed (Permission denied)")]
        locked = tmp_path.name
        with pytest.raises(DataError, match="cannot be listed"):
            sources.find(tmp_path)


class TestSource:
    def test_what_it_says_of_itself(self, mixed):
        source = Source(mixed / "a.zip", "z/4.slp")
        assert (str(source), source.name) == (f"{mixed / 'a.zip'}/z/4.slp", "4.slp")
        assert Source(mixed / "a.zip", "z\\4.slp").name == "4.slp"
        status = (mixed / "a.zip").stat()
        assert source.stamp == (status.st_size, status.st_mtime_ns)
        assert pickle.loads(pickle.dumps(source)) == source
        assert len({source, Source(mixed / "a.zip", "z/4.slp")}) == 1
        with pytest.raises(ReplayError, match="cannot be read"):
            _ = Source(mixed / "gone.slp").stamp

    def test_heads(self, mixed):
        found = sources.find(mixed).sources
        assert {source.path.suffix for source in found if not sources.heads_are_cheap(source)} == {".7z"}
        whole = {source: data for source, data in sources.read_all(found) if isinstance(data, bytes)}
        assert dict(sources.read_heads(found, 100)) == {source: data[:100] for source, data in whole.items()}
        assert all(sources.read_head(source, 9) == data[:9] for source, data in whole.items())
        assert all(sources.read(source) == data for source, data in whole.items())
        assert sources.read_head(found[0], 10**6) == whole[found[0]]


class TestReadAll:
    def test_order_and_how_often_an_archive_is_opened(self, mixed, monkeypatch):
        zipped, packed, plain = mixed / "a.zip", mixed / "b" / "s.7z", Source(mixed / "b" / "0.slp")
        opened = []
        inner = sources.archive.open_archive
        monkeypatch.setattr(
            sources.archive, "open_archive", lambda path, most: opened.append(path.name) or inner(path, most)
        )
        asked = [
            *members(zipped, "z/4.slp", "3.slp"),
            *members(packed, "1.slp", "3.slp", "gone.slp", "4.slp"),
            plain,
            *members(packed, "2.slp"),
        ]
        given = list(sources.read_all(iter(asked)))
        assert [source for source, _ in given] == [
            *members(zipped, "z/4.slp", "3.slp"),
            *members(packed, "gone.slp", "3.slp", "4.slp", "1.slp"),
            plain,
            *members(packed, "2.slp"),
        ]
        assert opened == ["a.zip", "s.7z", "s.7z"]
        assert [answer.what for _, answer in given if isinstance(answer, ReplayError)] == ["is not in the archive"]

    def test_what_is_asked_for_twice_comes_twice(self, mixed):
        twice = members(mixed / "b" / "s.7z", "2.slp", "2.slp")
        assert list(sources.read_all(twice)) == [(source, DATA["2.slp"]) for source in twice]

    def test_errors_are_about_one_source(self, mixed):
        found = sources.find(mixed).sources
        (mixed / "1.SLP.GZ").unlink()
        (mixed / "a.zip").write_bytes(b"")
        (mixed / "c.slp.xz").unlink()
        (mixed / "c.slp.xz").mkdir()
        given = dict(sources.read_all(found))
        assert list(given)[:4] == found[:4]
        wrong = {source: str(answer) for source, answer in given.items() if isinstance(answer, ReplayError)}
        assert [source.path.name for source in wrong] == ["1.SLP.GZ", "a.zip", "a.zip", "c.slp.xz"]
        assert all(text.startswith(f"{source}: ") for source, text in wrong.items())
        assert wrong[found[0]] == f"{found[0]}: cannot be read (No such file or directory)"

    def test_a_file_that_grows_while_it_is_read(self, tmp_path, monkeypatch):
        path = tmp_path / "a.slp"
        path.write_bytes(bytes(100))
        status = os.fstat

        def fstat(number: int) -> os.stat_result:
            found = status(number)
            with path.open("ab") as file:
                file.write(b"more")
            return found

        monkeypatch.setattr(os, "fstat", fstat)
        with pytest.raises(ReplayError, match="changed while it was read"):
            sources.read(Source(path))

    @pytest.mark.parametrize("name", ["a.zip", "b/s.7z"])
    def test_leaving_early_closes_everything(self, mixed, name):
        path, threads = mixed / name, threading.active_count()
        reading = sources.read_all(sources.find(path).sources)
        assert len(list(islice(reading, 1))) == 1
        reading.close()
        assert threading.active_count() == threads
        if Path("/proc/self/fd").is_dir():
            assert str(path) not in [
                str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()
            ]


class TestReal:
    def test_xz_and_zip(self, replays, manifest):
        packed = (
            sources.find(replays / "edge_xz_replay.slp.xz").sources
            + sources.find(replays / "edge_zip_with_one_replay.zip").sources
        )
        given = list(sources.read_all(packed))
        assert [source.name for source, _ in given] == [
            "edge_xz_replay.slp.xz",
            "diamond-diamond-0006b3a3007d0b1bb14630a5.slp",
        ]
        assert all(isinstance(data, bytes) and data[:11] == b"{U\x03raw[$U#l" for _, data in given)
        game = slp.parse(given[1][1], packed[1].path)
        assert game.frames > 1000

    def test_the_folder(self, replays, manifest):
        found = sources.find(replays)
        assert found.refused == []
        digests = {source.name: hashlib.sha256(data).hexdigest() for source, data in sources.read_all(found.sources)}
        named = {name: digest for name, digest in digests.items() if name in manifest and name.endswith(".slp")}
        assert len(named) == 97
        assert named == {name: manifest[name]["sha256"] for name in named}

    @pytest.mark.slow
    def test_a_solid_archive_of_400_mb_in_little_memory(self, replays):
        pytest.importorskip("resource")
        corpus = replays.parent / "corpus"
        if not (corpus / "games.7z").is_file():
            pytest.skip(f"no games.7z in {corpus}")
        run = subprocess.run(
            [sys.executable, "-c", PEAK, str(corpus / "games.7z")], capture_output=True, text=True, check=True
        )
        peak, digests = json.loads(run.stdout)
        entries = json.loads((corpus / "manifest.json").read_text())
        assert digests == {entry["name"]: entry["sha256"] for entry in entries}
        assert len(digests) == 120
        assert peak < 100 << 20, "one block's dictionary and a few games, not the block"
