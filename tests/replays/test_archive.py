"""Archives and compressed files: whatever is in them comes back equal, and whatever is hostile is refused in words."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exphil.errors import DataError, ReplayError
from exphil.replays import archive, sevenzip, sources, unpack
from exphil.replays.sources import Found, Source

Members = dict[str, bytes]
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.text(st.sampled_from("abß試 _-'#"), min_size=1, max_size=12).map(lambda text: f"g/{text}x.slp")
CONTENTS = st.one_of(
    st.binary(max_size=300),
    st.integers(500, 1500).map(lambda count: random.Random(count).randbytes(1009) * count),  # around one piece
    st.integers(1 << 19, 3 << 19).map(bytes),
)
MEMBERS = st.dictionaries(NAMES, CONTENTS, min_size=1, max_size=5)
FILTERS = {
    "py7zr's default": None,
    "LZMA2": [{"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "delta and LZMA2": [{"id": py7zr.FILTER_DELTA, "dist": 4}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "LZMA": [{"id": py7zr.FILTER_LZMA, "preset": 1}],
    "deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "stored": [{"id": py7zr.FILTER_COPY}],
}


def make_zip(path: Path, members: Members, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def make_7z(path: Path, members: Members, filters: list[dict[str, int]] | None = None, **how: object) -> Path:
    with py7zr.SevenZipFile(path, "w", filters=filters, **how) as file:
        for name, data in members.items():
            file._writestr(data, name)  # the public one has scruples about hostile names
    return path


def answers(found: Found, **how: int) -> dict[str | None, bytes | str]:
    """What each source gives: its bytes or what is wrong with it."""
    given = list(sources.read_all(found.sources, **how))
    for source, answer in given:
        assert isinstance(answer, bytes) or answer.where == str(source)
    return {source.member: answer.what if isinstance(answer, ReplayError) else answer for source, answer in given}


def refusals(path: Path) -> dict[str, str]:
    return {refused.where.removeprefix(f"{path}/"): refused.reason for refused in sources.find(path).refused}


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        sources.find(path)
    text = caught.value.what
    assert text.startswith(f"no replay in {path} can be read; {path}: ")
    return text.removeprefix(f"no replay in {path} can be read; {path}: ")


class TestEqual:
    @QUICK
    @given(members=MEMBERS, method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    def test_zip(self, tmp_path, members, method):
        found = sources.find(make_zip(tmp_path / "a.zip", members, method))
        assert (answers(found), found.refused) == (members, [])

    @pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
    @settings(QUICK, max_examples=5)
    @given(members=MEMBERS)
    def test_7z(self, tmp_path, filters, members):
        found = sources.find(make_7z(tmp_path / "a.7z", members, filters))
        assert (answers(found), found.refused) == (members, [])
        assert [source.member for source, _ in sources.read_all(found.sources)] == list(members), "the archive's order"

    @pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
    @QUICK
    @given(parts=st.lists(CONTENTS, min_size=1, max_size=3), padding=st.sampled_from([b"", bytes(4)]))
    def test_one_file_of_one_or_more_streams(self, tmp_path, suffix, pack, parts, padding):
        path = tmp_path / f"a.slp{suffix}"
        path.write_bytes(b"".join(pack(part) + padding for part in parts))
        assert sources.read(Source(path)) == b"".join(parts)
        assert sources.read_head(Source(path), 1000) == b"".join(parts)[:1000]

    def test_several_blocks_of_which_only_the_wanted_are_unpacked(self, tmp_path, monkeypatch):
        path = make_7z(tmp_path / "a.7z", {"1.slp": b"one" * 999, "2.slp": b"two" * 999})
        with py7zr.SevenZipFile(path, "a") as file:
            file.writestr(b"three" * 999, "3.slp")
        opened = []
        inner = sevenzip.Block.open
        monkeypatch.setattr(sevenzip.Block, "open", lambda block, file: opened.append(block) or inner(block, file))
        assert sources.read(Source(path, "3.slp")) == b"three" * 999
        assert [[entry.name for entry in block.entries] for block in opened if block.entries] == [["3.slp"]]
        opened.clear()
        assert answers(sources.find(path))["2.slp"] == b"two" * 999
        assert len([block for block in opened if block.entries]) == 2

    def test_only_what_is_asked_for_is_unpacked(self, tmp_path, monkeypatch):
        given_out: list[int] = []
        inner = unpack.Unpacked.read

        def read(stream: unpack.Unpacked, most: int) -> bytes:
            data = inner(stream, most)
            given_out.append(len(data))
            return data

        path = make_7z(tmp_path / "a.7z", {f"{n}.slp": bytes(5 << 20) for n in range(4)})
        monkeypatch.setattr(unpack.Unpacked, "read", read)
        with archive.open_archive(path) as opened:
            given_out.clear()  # the list of members
            assert list(opened.read(["1.slp"], 10)) == [("1.slp", bytes(10))]
        assert sum(given_out) == (5 << 20) + 10
        assert max(given_out) <= 1 << 20


class TestHostile:
    @pytest.mark.parametrize("make", [make_zip, make_7z])
    def test_names(self, tmp_path, make):
        hostile = {
            "../a.slp": "its name leads out of the archive",
            "a/../../b.slp": "its name leads out of the archive",
            "..\\c.slp": "its name leads out of the archive",
            "/etc/d.slp": "its name is absolute",
            "\\e.slp": "its name is absolute",
            "C:f.slp": "its name begins with a drive",
            "g\x1b[31m.slp": "its name holds control characters",
            "h\u2028.slp": "its name holds control characters",
            "i" * 2000 + ".slp": "its name has 2004 letters",
            "k.zip": "is packed once more inside the archive: unpack it first",
            "l.SLP.gz": "is packed once more inside the archive: unpack it first",
            "m.tar.xz": "is packed once more inside the archive: unpack it first",
        }
        fine = {"good/n.slp": b"1", "README.txt": b"2", "..slp": b"3", "__MACOSX/._n.slp": b"4", "o..p.slp": b"5"}
        path = make(tmp_path / f"a.{make.__name__[5:]}", {**dict.fromkeys(hostile, b"x"), **fine})
        found = sources.find(path)
        assert [source.member for source in found.sources] == ["..slp", "good/n.slp", "o..p.slp"]
        told = refusals(path)
        assert sorted(told.values()) == sorted(hostile.values())
        assert all(where.isprintable() and len(where) <= 201 for where in told)
        for name, reason in hostile.items():
            if make is make_zip or "\\" not in name:  # py7zr gives the other stroke
                with pytest.raises(ReplayError) as caught:
                    sources.read(Source(path, name))
                assert caught.value.what == reason

    def test_a_name_that_zipfile_would_cut(self, tmp_path):
        path = make_zip(tmp_path / "a.zip", {"a.slpXb.slp": b"1", "c.slp": b"2"})
        path.write_bytes(path.read_bytes().replace(b"slpX", b"slp\0"))
        assert refusals(path) == {r"a.slp\x00b.slp": "its name holds control characters"}

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            (stat.S_IFLNK, "is a link"),
            (stat.S_IFCHR, "is not a plain file"),
            (stat.S_IFIFO, "is not a plain file"),
            (stat.S_IFREG, None),
            (stat.S_IFDIR, None),
        ],
    )
    def test_kinds_of_zip_members(self, tmp_path, kind, reason):
        info = zipfile.ZipInfo("a.slp")
        info.external_attr = (kind | 0o644) << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            file.writestr(info, "/etc/passwd")
            file.writestr("b.slp", b"b")
        assert refusals(tmp_path / "a.zip") == ({"a.slp": reason} if reason else {})

    @pytest.mark.skipif(sys.platform == "win32", reason="making a link needs a right there")
    def test_a_link_in_a_7z(self, tmp_path):
        (tmp_path / "a.slp").symlink_to("/etc/passwd")
        (tmp_path / "folder.slp").mkdir()
        with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as file:
            file.write(tmp_path / "a.slp", "a.slp")
            file.write(tmp_path / "folder.slp", "folder.slp")
            file.writestr(b"b", "b.slp")
        assert refusals(tmp_path / "a.7z") == {"a.slp": "is a link"}
        assert answers(sources.find(tmp_path / "a.7z")) == {"b.slp": b"b"}

    @pytest.mark.parametrize("make", [make_zip, make_7z])
    def test_twice_the_same_name(self, tmp_path, make):
        path = make(tmp_path / f"a.{make.__name__[5:]}", {"a.slp": b"first", "b.slp": b"second"})
        if make is make_zip:
            path.write_bytes(path.read_bytes().replace(b"b.slp", b"a.slp"))
        else:
            with py7zr.SevenZipFile(path, "w") as file:
                file.writestr(b"first", "a.slp")
                file.writestr(b"second", "a.slp")
        assert refusals(path) == {"a.slp": "stands in the archive twice"}
        assert answers(sources.find(path)) == {"a.slp": b"first"}

    def test_a_member_that_claims_too_much(self, tmp_path):
        zipped = make_zip(tmp_path / "a.zip", {"a.slp": bytes(30 << 20), "b.slp": b"b"})  # a thousandth of it
        packed = make_7z(tmp_path / "a.7z", {"a.slp": bytes(2000), "b.slp": b"b"})
        assert refusals(zipped) == {"a.slp": "claims 30 MB, which is no replay"}
        found = sources.find(packed, max_bytes=1000)
        assert [refused.reason for refused in found.refused] == ["claims 2,000 bytes, which is no replay"]
        assert answers(found, max_bytes=1000) == {"b.slp": b"b"}

    def test_an_archive_that_claims_too_much_in_all(self, tmp_path, monkeypatch):
        monkeypatch.setattr(archive, "MAX_REPLAY_BYTES", 20 << 20)
        members = {f"{n}.slp": bytes(8 << 20) for n in range(3)}
        for path in (make_zip(tmp_path / "a.zip", members), make_7z(tmp_path / "a.7z", members)):
            assert refusal(path).startswith("claims to hold 24 MB in ")

    @pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
    def test_a_bomb_is_stopped_while_it_unpacks(self, tmp_path, suffix, pack):
        path = tmp_path / f"a.slp{suffix}"
        path.write_bytes(pack(bytes(40 << 20)))
        with pytest.raises(ReplayError, match=r"^.*: unpacks to more than 16 MB, which is no replay$"):
            sources.read(Source(path))
        with pytest.raises(ReplayError, match="unpacks to more than 2 MB"):
            sources.read(Source(path), max_bytes=2 << 20)
        assert sources.read_head(Source(path), 100) == bytes(100)

    def test_a_zip_that_lies_about_its_sizes(self, tmp_path):
        path = make_zip(tmp_path / "a.zip", {"a.slp": bytes(3 << 20)})
        path.write_bytes(path.read_bytes().replace(struct.pack("<I", 3 << 20), struct.pack("<I", 7)))
        assert answers(sources.find(path)) == {"a.slp": "is damaged (Bad CRC-32 for file 'a.slp')"}

    def test_a_plain_file_that_is_too_large(self, tmp_path):
        (tmp_path / "a.slp").write_bytes(bytes(2000))
        with pytest.raises(ReplayError, match="has 2,000 bytes, which is no replay"):
            sources.read(Source(tmp_path / "a.slp"), max_bytes=1999)

    def test_dictionaries_that_no_memory_holds(self, tmp_path):
        assert sevenzip._decoder([{"method": b"\x21", "properties": b"\x28"}]) == (
            None,
            "needs 4,096 MB of memory: pack it again with a smaller dictionary",
        )
        block = bytearray(lzma.compress(b"x" * 100))
        assert block[14:16] == b"\x21\1", "the LZMA2 filter and the length of its properties"
        block[16] = 38  # 2 GB
        block[20:24] = struct.pack("<I", zlib.crc32(block[12:20]))
        (tmp_path / "a.slp.xz").write_bytes(block)
        with pytest.raises(ReplayError, match=r"is damaged .*[Mm]emory usage limit"):
            sources.read(Source(tmp_path / "a.slp.xz"))

    def test_too_many_members(self, tmp_path, monkeypatch):
        members = {f"{n}.slp": b"" for n in range(50)}
        monkeypatch.setattr(archive, "MAX_LIST_BYTES", 2000)
        assert refusal(make_zip(tmp_path / "a.zip", members)) == "lists too many members (2,590 bytes of names)"
        monkeypatch.setattr(sevenzip, "MAX_MEMBERS", 49)
        assert refusal(make_7z(tmp_path / "a.7z", members)) == "lists more than 49 members"
        monkeypatch.setattr(sevenzip, "MAX_LIST_BYTES", 900)
        assert refusal(make_7z(tmp_path / "a.7z", members)).startswith("lists too many members (")

    def test_encrypted(self, tmp_path):
        members = {"a.slp": b"a" * 99, "b.slp": b"b"}
        assert refusal(make_7z(tmp_path / "a.7z", members, password="x")) == "every replay in it is encrypted"
        hidden = make_7z(tmp_path / "b.7z", members, password="x", header_encryption=True)
        assert refusal(hidden) == "is encrypted"
        path = make_zip(tmp_path / "a.zip", members)
        path.write_bytes(_flagged(path.read_bytes()))
        assert refusal(path) == "every replay in it is encrypted"

    def test_methods_that_are_not_read(self, tmp_path):
        path = make_zip(tmp_path / "a.zip", {"a.slp": b"a" * 99}, zipfile.ZIP_BZIP2)
        assert refusal(path) == "every replay in it is neither stored nor deflated, the two ways in which zips are read"
        path = make_7z(tmp_path / "a.7z", {"a.slp": b"a" * 99}, [{"id": py7zr.FILTER_ZSTD, "level": 3}])
        assert "pack it again with LZMA2" in refusal(path)


def _flagged(data: bytes) -> bytes:
    """A zip whose list says that every member is encrypted."""
    changed, at = bytearray(data), data.find(b"PK\1\2")
    while at >= 0:
        changed[at + 8] |= 1
        at = data.find(b"PK\1\2", at + 1)
    return bytes(changed)


def contents(seed: int) -> Members:
    chance = random.Random(seed)
    return {f"{n}.slp": chance.randbytes(30) * chance.randint(1, 200) for n in range(4)}


def packed(folder: Path, kind: str, members: Members) -> Path:
    path = folder / f"a.{kind}"
    if kind == "zip":
        return make_zip(path, members)
    if kind == "7z":
        return make_7z(path, members, FILTERS["LZMA2"])
    pack: Callable[[bytes], bytes] = gzip.compress if kind.endswith("gz") else lzma.compress
    path.write_bytes(pack(b"".join(members.values())))
    return path


def outcome(path: Path, members: Members) -> list[bytes | str]:
    """Bytes that were put in, or sentences; nothing else and no other exception."""
    try:
        found = sources.find(path)
    except DataError as error:
        return [error.what]
    values = [*members.values(), b"".join(members.values())]
    given = list(answers(found).values())
    assert all(isinstance(answer, str) or answer in values for answer in given)
    return given


@pytest.mark.parametrize("kind", ["zip", "7z", "slp.gz", "slp.xz"])
class TestDamage:
    def test_cut_anywhere(self, tmp_path, kind):
        members = contents(1)
        path = packed(tmp_path, kind, members)
        whole = path.read_bytes()
        for end in range(0, len(whole), max(1, len(whole) // 60)):
            path.write_bytes(whole[:end])
            assert all(isinstance(answer, str) for answer in outcome(path, members)), end

    def test_bytes_changed_anywhere(self, tmp_path, kind):
        members, chance = contents(2), random.Random(3)
        path = packed(tmp_path, kind, members)
        whole, refused = path.read_bytes(), 0
        for _ in range(150):
            broken = bytearray(whole)
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            path.write_bytes(broken)
            refused += any(isinstance(answer, str) for answer in outcome(path, members))
        assert refused > 75


def test_damage_costs_one_member_where_the_packing_allows(tmp_path):
    members = {f"{n}.slp": random.Random(n).randbytes(1000) for n in range(3)}
    path = make_7z(tmp_path / "a.7z", members, FILTERS["stored"])
    path.write_bytes(path.read_bytes().replace(members["1.slp"], members["1.slp"][:-1] + b"?"))
    assert answers(sources.find(path)) == {**members, "1.slp": "is damaged (its checksum differs)"}


def test_a_7z_without_py7zr(tmp_path, monkeypatch):
    path = make_7z(tmp_path / "a.7z", {"a.slp": b"a"})
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(DataError) as caught:
        sources.find(path)
    assert caught.value.what.endswith("reading .7z archives needs py7zr, which is not installed")
    assert caught.value.fix == 'pip install "exphil[archives]"'
    with pytest.raises(ReplayError, match="needs py7zr") as caught_reading:
        sources.read(Source(path, "a.slp"))
    assert caught_reading.value.fix == 'pip install "exphil[archives]"'


def test_nothing_in_it(tmp_path):
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("README.txt", "nothing")
    for name in ("a.7z", "a.zip"):
        with pytest.raises(DataError, match=r"no .slp files in"):
            sources.find(tmp_path / name)


def test_decoders_of_one_shape():
    data = random.Random(5).randbytes(1000) * 50
    wrapped = zlib.compressobj(wbits=-15)
    for packed_bytes, decoder in (
        (bz2.compress(data), bz2.BZ2Decompressor),
        (wrapped.compress(data) + wrapped.flush(), lambda: unpack.Inflater(-15)),
        (lzma.compress(data), lzma.LZMADecompressor),
    ):
        stream = unpack.Unpacked(io.BytesIO(packed_bytes).read, decoder)
        pieces = [stream.read(777) for _ in range(70)]
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 777
