"""Damaged files, cut anywhere, with any bytes changed: a Replay or a ReplayError, nothing else, and no crash."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
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
    recording = replay.recording
    assert 1 <= replay.frames <= len(recording) <= replay.rows
    assert (recording.frame[1:] > recording.frame[:-1]).all()
    if len(replay.ports) == 2:
        assert isinstance(replay.game, Game)
        assert len(replay.game) == replay.frames
        assert replay.game.players.exists.all()
        assert np.array_equal(replay.game.frame, replay.game.frame[0] + np.arange(replay.frames))
    assert all("byte " in problem or "frame " in problem or "item events" in problem for problem in replay.problems)
    return "read" if replay.problems else "whole"


ODD = (0, 1, 0x10, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3F, 0x55, 0x7F, 0xFF)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """One of the ways in which a file goes wrong, or several; mostly of its first part, which is faster."""
    broken = bytearray(data if chance.random() < 0.3 else data[: chance.randint(1, 200_000)])
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        length, way = len(broken), chance.randrange(8)
        at = chance.randrange(length + 1)
        if way == 0:
            del broken[at:]
        elif way == 1:
            broken[11:15] = struct.pack(">i", chance.choice((0, -1, at, length * 2, 0x7FFFFFFF)))
        elif way == 2:  # the table of payload sizes
            entry = 15 + chance.randrange(40)
            broken[entry : entry + 2] = struct.pack(">H", chance.choice((0, 1, 4, 8, 0x3A, 0xFFFF, at & 0xFFFF)))
        elif way == 3:
            del broken[at : at + chance.randint(1, 300)]
        elif way == 4:
            broken[at:at] = broken[max(0, at - chance.randint(1, 300)) : at]
        elif way == 5:
            broken[at : at + 4] = struct.pack(">i", chance.choice((-124, -123, 0, 262_433, 1 << 30, -(1 << 31))))
        else:
            for _ in range(chance.randint(1, 24)):
                where = chance.randrange(min(length, 900) if way == 6 else length) if length else 0
                broken[where : where + 1] = bytes([chance.choice((*ODD, chance.randrange(256)))])
    return bytes(broken)


def attack(paths: list[Path], each: int, seed: int, memory: bool = False) -> Counter[str]:
    """Read damaged copies: none may crash or take a second, nor more memory than 32 times its size and a megabyte."""
    found: Counter[str] = Counter()
    outcome(paths[-1].read_bytes())  # what compiles or is loaded from numba's cache does so now
    for path in paths:
        data, chance = path.read_bytes(), random.Random(f"{path.name} {seed}")
        for number in range(each):
            broken = mutated(chance, data)
            if memory:
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
            began = time.process_time()
            found[outcome(broken)] += 1
            assert time.process_time() - began < 1, (path.name, number)
            if memory:
                assert tracemalloc.get_traced_memory()[1] - before < 32 * len(broken) + (1 << 20), (path.name, number)
    return found


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
    assert sum(cut(data, 997).values()) == -(-len(data) // 997)
    assert sum(flip(data, seed=2, count=2000).values()) == 2000


@pytest.mark.slow
def test_every_shared_file_damaged_two_hundred_times(replays):
    paths = sorted(path for path in replays.iterdir() if path.suffix != ".json" and path.is_file())
    assert len(paths) == 99
    found = attack(paths, 200, seed=3)
    assert sum(found.values()) == 99 * 200
    assert min(found["refused"], found["read"] + found["whole"]) > 5000, "both sides of the border"


def test_a_damaged_file_asks_for_memory_in_proportion_to_its_size(replays):
    paths = [replays / name for name in (*SMALL, *LARGER, "edge_teams_4p_great_bay.slp", "edge_items.slp")]
    tracemalloc.start()
    try:
        assert sum(attack(paths, 60, seed=4, memory=True).values()) == 60 * len(paths)
    finally:
        tracemalloc.stop()


@pytest.mark.nightly
@pytest.mark.timeout(6 * 3600)
def test_shared_files_damaged_a_hundred_thousand_times(replays):
    paths = sorted(path for path in replays.rglob("*") if path.suffix not in (".json", "") and path.is_file())
    assert sum(attack(paths, 100_000, seed=5).values()) == len(paths) * 100_000


@pytest.mark.slow
def test_no_kernel_reads_beyond_an_array(replays, tmp_path):
    """The same attacks on kernels that are compiled with numba's own bounds check, which raises IndexError."""
    environment = {
        **os.environ,
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "EXPHIL_TEST_REPLAYS": str(replays),
    }
    command = [sys.executable, "-m", "pytest", "-m", "not slow and not nightly", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_a_wild_frame_number_asks_for_no_memory_and_costs_one_frame(replays):
    """A damaged frame number: no rows between it and the others, and the game is all but the frame that lost it."""
    data = bytearray((replays / SMALL[0]).read_bytes())
    whole = slp.parse(bytes(data), Path("whole.slp"))
    layout = container.layout(bytes(data), "x")
    at = layout.first
    while data[at] != container.PRE_FRAME:
        at += 1 + int(layout.sizes[data[at]])
    data[at + 1 : at + 5] = struct.pack(">i", 2_000_000_000)
    replay = slp.parse(bytes(data), Path("damaged.slp"))
    assert (replay.recording.frame[-1], len(replay.recording)) == (2_000_000_000, whole.frames + 1)
    assert (replay.game.rows == whole.game.rows[1:]).all()
    assert replay.problems == (
        "frame -123: a player's events are missing; the 1 frames before frame -122 are left out",
        "frame 2000000000: a player's events are missing; the 1 frames from there are left out",
    )


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
