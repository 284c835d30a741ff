"""Damaged files, cut anywhere, with any bytes changed: a Replay or a ReplayError, nothing else, and no crash."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from exphil.errors import ReplayError
from exphil.game.frames import Game
from exphil.replays import container, slp

SMALL = ("edge_netplay_short.slp", "edge_v3_12_short.slp", "edge_ports_p1_p4.slp")
LARGER = (
    "edge_v3_6_1_no_end.slp",  # rollbacks
    "edge_short_pichu_vs_ice_climbers_cpu.slp",  # Nana
    "edge_v3_18_fod_events.slp",
    "edge_timeout_2p_nonascii_tag.slp",  # 2.0.1: no frame start events
    "edge_training_mode_frame_numbers.slp",
    "edge_zero_filled_tail.slp",
)


def outcome(data: bytes) -> str:
    """What the reader says; checks that a game it gives is whole."""
    try:
        replay = slp.parse(data, Path("damaged.slp"))
    except ReplayError as error:
        assert str(error).startswith("damaged.slp: ")
        return "refused"
    assert isinstance(replay.game, Game)
    assert replay.frames >= 1
    assert replay.game.players.exists.all()
    return "read" if replay.problems else "whole"


def cut(data: bytes, step: int) -> Counter[str]:
    return Counter(outcome(data[:end]) for end in range(0, len(data), step))


def flip(data: bytes, seed: int, count: int) -> Counter[str]:
    """Changes 1 to 16 bytes, half of the time anywhere, half of the time in the tables and the start block."""
    chance = random.Random(seed)
    found: Counter[str] = Counter()
    for _ in range(count):
        broken = bytearray(data)
        where = len(data) if chance.random() < 0.5 else min(len(data), 900)
        for _ in range(chance.randint(1, 16)):
            broken[chance.randrange(where)] = chance.choice(
                (0, 1, 0x35, 0x36, 0x37, 0x38, 0x3A, 0x3B, 0x7F, 0xFF, chance.randrange(256))
            )
        found[outcome(bytes(broken))] += 1
    return found


@pytest.mark.parametrize("name", SMALL)
def test_a_file_cut_anywhere(replays, name):
    found = cut((replays / name).read_bytes(), 997)
    assert found["refused"] > 0
    assert found["read"] > 0
    assert found["whole"] == 0, "a file that was cut must say so"


@pytest.mark.parametrize("name", SMALL)
def test_a_file_with_changed_bytes(replays, name):
    found = flip((replays / name).read_bytes(), seed=1, count=200)
    assert min(found["refused"], found["read"] + found["whole"]) > 10, "the changes must reach both sides of the border"


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_larger_files_cut_and_changed(replays, name):
    data = (replays / name).read_bytes()
    cut(data, 997)
    flip(data, seed=2, count=2000)


@pytest.mark.slow
def test_no_kernel_reads_beyond_an_array(replays, tmp_path):
    """The same attacks on kernels that are compiled with numba's own bounds check, which raises IndexError."""
    environment = {
        **os.environ,
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "EXPHIL_TEST_REPLAYS": str(replays),
    }
    command = [sys.executable, "-m", "pytest", "-m", "not slow", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_a_wild_frame_number_asks_for_no_memory(replays):
    """One damaged frame number just below the largest that is taken: refused in words, not with gigabytes of rows."""
    data = bytearray((replays / SMALL[0]).read_bytes())
    layout = container.layout(bytes(data), "x")
    at = layout.first
    while data[at] != container.PRE_FRAME:
        at += 1 + int(layout.sizes[data[at]])
    data[at + 1 : at + 5] = struct.pack(">i", 999_999)
    with pytest.raises(ReplayError, match=r"frame numbers run from -123 to 999999 in \d+ recorded frames"):
        slp.parse(bytes(data), Path("damaged.slp"))


def test_a_lost_event_ends_the_game_there(replays):
    """Without one player's post-frame event the frames from there on are left out, and the problem says so."""
    data = (replays / SMALL[1]).read_bytes()
    whole = slp.parse(data, Path("whole.slp"))
    layout = container.layout(data, "x")
    at = layout.first
    while not (data[at] == container.POST_FRAME and struct.unpack(">i", data[at + 1 : at + 5])[0] == -23):
        at += 1 + int(layout.sizes[data[at]])
    size = 1 + int(layout.sizes[container.POST_FRAME])
    shorter = struct.pack(">i", struct.unpack(">i", data[11:15])[0] - size)
    replay = slp.parse(data[:11] + shorter + data[15:at] + data[at + size :], Path("lost.slp"))
    assert replay.frames == 100
    assert replay.problems == (
        f"frame -23: a player's events are missing; the {whole.frames - 100} frames from there are left out",
    )
    assert (replay.game.rows == whole.game.rows[:100]).all()


def test_an_item_of_a_port_where_nobody_plays_belongs_to_nobody(replays):
    data = bytearray((replays / "edge_items.slp").read_bytes())
    layout = container.layout(bytes(data), "x")
    whole = slp.parse(bytes(data), Path("whole.slp"))
    assert whole.game.items.owner.any()
    at, end = layout.first, len(data)
    while at < end and layout.sizes[data[at]]:
        if data[at] == container.ITEM_UPDATE:
            data[at + 0x2A] = 3 if 4 not in whole.ports else 2
        at += 1 + int(layout.sizes[data[at]])
    assert not slp.parse(bytes(data), Path("damaged.slp")).game.items.owner.any()
