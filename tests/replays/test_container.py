"""The outside of a file: the size table, the start block, the metadata, on bytes made here and on real ones."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from exphil.errors import ReplayError
from exphil.replays import container, slp
from exphil.replays.container import Seat, Start

SEATS = (Seat(1, 1, True, 4), Seat(3, 22, True, 4))


def start(version: tuple[int, int, int], seats: tuple[Seat, ...] = SEATS) -> Start:
    return Start(version, 32, False, seats)


def file_of(declared: int, events: bytes, table: dict[int, int]) -> bytes:
    entries = b"".join(struct.pack(">BH", command, size) for command, size in table.items())
    return (
        container.MAGIC + struct.pack(">i", declared) + bytes([container.PAYLOADS, 1 + len(entries)]) + entries + events
    )


def metadata_of(element: bytes) -> dict[str, object] | None:
    return container.metadata(b"raw" + b"U\x08metadata" + element, 3)


def test_the_size_table_is_read_whole():
    data = file_of(1000, b"", {0x36: 0x1A0, 0x37: 0x3F, 0x38: 0xFFFF})
    found = container.layout(data, "x")
    assert found.first == len(data)
    assert {command: int(found.sizes[command]) for command in (0x35, 0x36, 0x37, 0x38, 0x39)} == {
        0x35: 10,
        0x36: 0x1A0,
        0x37: 0x3F,
        0x38: 0xFFFF,
        0x39: 0,
    }
    assert np.flatnonzero(found.declared).tolist() == [0x35, 0x36, 0x37, 0x38]


def test_a_table_that_does_not_end_with_an_entry_is_told(replays):
    data = file_of(1000, b"", {0x36: 0x1A0, 0x37: 0x3F})
    data = data[:16] + bytes([data[16] + 1]) + data[17:] + b"\x38"
    found = container.layout(data, "x")
    assert found.problems[-1] == "byte 16: the table of payload sizes has 1 bytes too many"
    assert found.first == len(data)
    assert np.flatnonzero(found.declared).tolist() == [0x35, 0x36, 0x37]


def test_the_start_events_size_is_told_by_the_table_alone():
    data = file_of(1000, b"", {0x37: 0x3636, 0x36: 0x1A0, 0x38: 0x3F})
    assert container.start_size(data, "x") == (len(data), 0x1A0)
    assert container.start_size(file_of(1000, b"", {0x37: 0x3636}), "x")[1] == 0


@pytest.mark.parametrize(
    ("declared", "end", "problems"),
    [
        (15, 30, ()),
        (20, 35, ()),
        (0, 35, ("byte 11: the recording was never finished (raw length 0)",)),
        (-1, 35, ("byte 11: the recording was never finished (raw length 0)",)),
        (21, 35, ("byte 35: the file ends 1 bytes early",)),
    ],
)
def test_the_events_end_where_the_header_says_or_with_the_file(declared, end, problems):
    data = file_of(declared, bytes(12), {0x36: 2, 0x37: 2})
    assert len(data) == 35
    found = container.layout(data, "x")
    assert (found.end, found.problems) == (end, problems)


@pytest.mark.parametrize(
    "data", [b"", b"{U\x03raw", container.MAGIC, b"<!DOCTYPE html>" * 9, container.MAGIC + bytes(5)]
)
def test_what_is_no_replay_is_refused(data):
    with pytest.raises(ReplayError, match="x: not a Slippi replay"):
        container.layout(data, "x")


@pytest.mark.parametrize("table", [b"\x36\x0d", b"\x35\x03", b"\x35\xff"])
def test_a_table_that_cannot_be_is_refused(table):
    with pytest.raises(ReplayError, match=r"no table of payload sizes at offset 15 \(0x3[56]\)"):
        container.layout(container.MAGIC + struct.pack(">i", 50) + table + bytes(20), "x")


@pytest.mark.parametrize(
    ("version", "taken"), [((0, 1, 0), 1), ((1, 7, 1), 1), ((3, 19, 9), 1), ((3, 20, 0), 1), ((4, 0, 0), 0)]
)
def test_versions_at_the_border(version, taken):
    if taken:
        container.check_version(start(version), "x")
    else:
        with pytest.raises(ReplayError) as caught:
            container.check_version(start(version), "x")
        assert caught.value.what == "recorded by Slippi 4.0.0; versions 0.1 to 3.19 are read"


def test_a_newer_minor_version_is_read_and_told(replays):
    data = bytearray((replays / "edge_v3_12_short.slp").read_bytes())
    whole = slp.parse(bytes(data), Path("x"))
    first = container.layout(bytes(data), "x").first
    data[first + 2] = 20
    newer = slp.parse(bytes(data), Path("x"))
    assert newer.problems == (f"byte {first}: a version newer than 3.19; what it added is not read",)
    assert (newer.game.rows == whole.game.rows).all()


def test_a_game_that_nobody_plays_is_refused(replays):
    data = bytearray((replays / "edge_v3_12_short.slp").read_bytes())
    first = container.layout(bytes(data), "x").first
    for port in range(4):
        data[first + 0x66 + 0x24 * port] = 3
    with pytest.raises(ReplayError, match=f"nobody plays by the start event at offset {first}"):
        slp.parse(bytes(data), Path("x"))


def test_a_head_is_enough_to_peek(replays):
    for path in sorted(replays.glob("*.slp")):
        data = path.read_bytes()
        try:
            told = slp.peek(path)
        except ReplayError as error:
            with pytest.raises(ReplayError) as caught:
                slp.peek_bytes(data, str(path))
            assert caught.value.what == error.what
            continue
        assert slp.peek_bytes(data[: slp.HEAD_BYTES], "x")._replace(block=b"") == told._replace(block=b"")
        assert slp.peek_bytes(data, "x") == told
        assert repr(container.start_block(data, container.layout(data, "x"), "x")) == repr(told)


def test_a_start_event_beyond_the_head(replays):
    """A damaged table says that it is longer than any we know: a peek takes what it knows."""
    path = replays / "edge_fuzz_wrong_frame_numbers.slp"
    assert len(slp.peek(path).block) == 1 + 16801
    head = path.read_bytes()[: slp.HEAD_BYTES]
    assert slp.peek_bytes(head, "x").seats == slp.peek(path).seats
    with pytest.raises(ReplayError, match="no game start event at offset"):
        slp.peek_bytes(head[:-1], "x")  # a whole file then, and cut


def test_tags_and_codes_are_read_as_they_were_typed(replays):
    data = (replays / "edge_timeout_2p_nonascii_tag.slp").read_bytes()
    found = container.start_block(data, container.layout(data, "x"), "x")
    assert [(seat.port, seat.tag) for seat in found.seats] == [(3, "DES"), (4, "フラ")]
    data = (replays / "fox_vs_peach_battlefield_018.slp").read_bytes()
    found = container.start_block(data, container.layout(data, "x"), "x")
    assert [seat.code for seat in found.seats] == ["SEKE#688", "LLOD#74"], (
        "the full-width number sign is an ordinary one"
    )


def test_metadata_of_a_real_file(replays, manifest):
    name = "captain_falcon_vs_captain_falcon_dream_land_001.slp"
    data = (replays / name).read_bytes()
    found = container.metadata(data, container.layout(data, "x").end)
    assert found["playedOn"] == manifest[name]["played_on"]
    assert found["lastFrame"] == manifest[name]["frames"] - 124
    assert [found["players"][key]["names"]["code"] for key in "01"] == manifest[name]["codes_or_tags"]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (b"{}", {}),
        (b"{U\x01ai\xffU\x01bl\x00\x01\x00\x00}", {"a": -1.0, "b": 65536.0}),
        (b"{U\x01aSU\x02hiU\x01bTU\x01cZ}", {"a": "hi", "b": True, "c": None}),
        (b"{U\x01a{U\x01bd\x3f\x80\x00\x00}}", {"a": {"b": 1.0}}),
    ],
)
def test_metadata_of_every_type(element, expected):
    assert metadata_of(element) == expected


@pytest.mark.parametrize(
    "element",
    [
        b"",
        b"{",
        b"{U",
        b"{U\x05ab",
        b"SU\x02hi",
        b"{U\x01a[]}",
        b"{U\x01aZi\xfd}",  # a length of -3: back to the value before it, for ever
        b"{U\x01aSd\x7f\x80\x00\x00}",  # a length of infinity
        b"{U\x01aSd\x7f\xc0\x00\x00}",  # and of no number
        b"{U\x01a" * 50,
    ],
)
@pytest.mark.timeout(20)
def test_damaged_metadata_is_none(element):
    assert metadata_of(element) is None
