"""The reader against peppi, column by column, on every shared game that both read; and the exact words of refusals."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import peppi_py
import pytest
from peppi_py.parse import RollbackMode

from exphil.errors import ReplayError
from exphil.game import ids
from exphil.game.frames import NUM_ITEMS, Game, Lacks
from exphil.game.ids import character_from_external
from exphil.replays import slp


def numbers(array: Any) -> np.ndarray:
    """A column of peppi; rows without the player hold zero."""
    filled = array.fill_null(0) if array.null_count else array
    return filled.to_numpy(zero_copy_only=False)


Read = Callable[[Any, Any], np.ndarray]
PEPPI: dict[str, tuple[Read, Lacks]] = {
    "percent": (lambda pre, post: numbers(post.percent), Lacks(0)),
    "x": (lambda pre, post: numbers(post.position.x), Lacks(0)),
    "y": (lambda pre, post: numbers(post.position.y), Lacks(0)),
    "facing": (lambda pre, post: numbers(post.direction), Lacks(0)),
    "action_frame": (lambda pre, post: numbers(post.state_age), Lacks.ACTION_FRAME),
    "shield": (lambda pre, post: numbers(post.shield), Lacks(0)),
    "hitlag": (lambda pre, post: numbers(post.hitlag), Lacks.HITLAG),
    "hitstun": (
        lambda pre, post: np.where(numbers(post.state_flags[3]) & 2, numbers(post.misc_as), np.float32(0)),
        Lacks.STATE,
    ),
    "speed_air_x": (lambda pre, post: numbers(post.velocities.self_x_air), Lacks.SPEEDS),
    "speed_ground_x": (lambda pre, post: numbers(post.velocities.self_x_ground), Lacks.SPEEDS),
    "speed_y": (lambda pre, post: numbers(post.velocities.self_y), Lacks.SPEEDS),
    "speed_x_attack": (lambda pre, post: numbers(post.velocities.knockback_x), Lacks.SPEEDS),
    "speed_y_attack": (lambda pre, post: numbers(post.velocities.knockback_y), Lacks.SPEEDS),
    "main_x": (lambda pre, post: numbers(pre.joystick.x), Lacks(0)),
    "main_y": (lambda pre, post: numbers(pre.joystick.y), Lacks(0)),
    "c_x": (lambda pre, post: numbers(pre.cstick.x), Lacks(0)),
    "c_y": (lambda pre, post: numbers(pre.cstick.y), Lacks(0)),
    "shoulder": (lambda pre, post: numbers(pre.triggers), Lacks(0)),
    "action": (lambda pre, post: numbers(post.state).astype(np.int16), Lacks(0)),
    "buttons": (lambda pre, post: numbers(pre.buttons_physical).astype(np.int16), Lacks(0)),
    "style": (lambda pre, post: np.zeros(len(pre.triggers), np.int16), Lacks(0)),
    "jumps": (lambda pre, post: numbers(post.jumps), Lacks.STATE),
    "on_ground": (lambda pre, post: (numbers(post.airborne) == 0).astype(np.uint8), Lacks.STATE),
    "invulnerable": (lambda pre, post: (numbers(post.hurtbox_state) != 0).astype(np.uint8), Lacks.INVULNERABLE),
    "stocks": (lambda pre, post: numbers(post.stocks), Lacks(0)),
    "character": (lambda pre, post: numbers(post.character), Lacks(0)),
    "exists": (lambda pre, post: np.ones(len(pre.triggers), np.uint8), Lacks(0)),
}
"""Every column of a player: how it follows from peppi's columns, and the bit that says it is not recorded (and
zero)."""


class Pair(NamedTuple):
    """One file as both readers see it."""

    path: Path
    replay: slp.Replay
    frames: Any


def peppi(path: Path, mode: RollbackMode = RollbackMode.FIRST) -> Any:
    return peppi_py.read_slippi(str(path), rollback_mode=mode).frames


ONE_EVENT_LOST = {"edge_fuzz_wrong_frame_numbers.slp", "edge_fuzz_raw_len_short.slp"}
"""Mutated files whose first or last frame lacks an event."""


def version(entry: dict[str, Any]) -> tuple[int, int]:
    major, minor, _ = map(int, entry["slippi_version"].split("."))
    return major, minor


@pytest.fixture(scope="module")
def taken(replays: Path, manifest: dict[str, dict[str, Any]]) -> list[Path]:
    """The two-player files that must be read by what the manifest knows of them."""
    found = [replays / name for name, entry in manifest.items() if len(entry["ports"]) == 2 and entry["frames"]]
    found.remove(replays / "edge_unfinalised_one_frame.slp")  # its one frame lacks the second player
    found.remove(replays / "edge_fuzz_pre_size_wrong.slp")  # every second pre-frame event is swallowed by the first
    assert len(found) == 82
    return found


@pytest.fixture(scope="module")
def pairs(taken: list[Path], replays: Path, manifest: dict[str, dict[str, Any]]) -> Callable[[], Iterator[Pair]]:
    """Reads the files that peppi reads too, one after the other; also the split that a peer was measured on."""
    both = [path for path in taken if manifest[path.name]["peppi_py_vladfi_0.9.2"] == "ok"]
    both.remove(
        replays / "edge_training_mode_frame_numbers.slp"
    )  # peppi can keep the first version only from frame -123 on
    assert len(both) == 73
    both += sorted(replays.glob("peer_split/*/*.slp"))
    return lambda: (Pair(path, slp.read(path), peppi(path)) for path in both)


def same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Equal to the bit: NaN is NaN and -0 is not 0."""
    return ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()


def test_every_column_of_the_leaders_equals_peppis(pairs):
    wrong = []
    for path, replay, frames in pairs():
        assert np.array_equal(replay.game.frame, numbers(frames.id)), path
        for seat, port in enumerate(frames.ports):
            for name, (read, bit) in PEPPI.items():
                ours = getattr(replay.game.players, name)[:, seat]
                absent = bool(replay.lacks & bit)
                if not (not ours.any() if absent else same(ours, read(port.leader.pre, port.leader.post))):
                    wrong.append((path.name, seat, name))
    assert wrong == []


def test_the_table_names_every_column():
    from exphil.game.frames import COLUMNS

    assert set(PEPPI) == set(COLUMNS["players"]) == set(COLUMNS["nana"])


def test_every_column_of_nana_equals_peppis_where_she_is(pairs):
    wrong, seen = [], 0
    for path, replay, frames in pairs():
        for seat, port in enumerate(frames.ports):
            exists = replay.game.nana.exists[:, seat].astype(bool)
            if port.follower is None:
                assert not exists.any(), path
                continue
            there = port.follower.post.state.is_valid().to_numpy(zero_copy_only=False)
            assert np.array_equal(exists, there), path
            seen += int(exists.sum())
            for name, (read, bit) in PEPPI.items():
                ours = getattr(replay.game.nana, name)[:, seat]
                if not replay.lacks & bit and not same(ours[there], read(port.follower.pre, port.follower.post)[there]):
                    wrong.append((path.name, seat, name))
    assert wrong == []
    assert seen > 10_000


def items_by_life(frames: Any) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Each item of peppi from its first to its last frame: the row numbers, and its columns over them."""
    items = frames.items
    counts = np.diff(items.id.offsets.to_numpy())
    rows = np.repeat(np.arange(len(counts)), counts)
    columns = {
        "type": items.type,
        "state": items.state,
        "x": items.position.x,
        "y": items.position.y,
        "vx": items.velocity.x,
        "vy": items.velocity.y,
    }
    flat = {name: numbers(column.values) for name, column in columns.items()}
    if items.owner is not None:
        flat["owner"] = numbers(items.owner.values)
    alive: dict[int, list[int]] = defaultdict(list)
    for at, (row, spawn_id) in enumerate(zip(rows.tolist(), numbers(items.id.values).tolist(), strict=True)):
        if alive[spawn_id] and rows[alive[spawn_id][-1]] < row - 1:
            life = alive.pop(spawn_id)
            yield rows[life], {name: column[life] for name, column in flat.items()}
        alive[spawn_id].append(at)
    for life in alive.values():
        yield rows[life], {name: column[life] for name, column in flat.items()}


def slots_of(game: Game, rows: np.ndarray, item: dict[str, np.ndarray], ports: tuple[int, ...]) -> list[int]:
    """The slots that hold exactly this item on each of these rows."""
    if "owner" in item:
        owner = np.select([item["owner"] == port - 1 for port in ports], [1, -1], 0)
        item = {**item, "owner": owner.astype(np.int8)}
    expected = {name: column.astype(np.int16) if name == "type" else column for name, column in item.items()}
    held = {name: getattr(game.items, name)[rows] for name in ("exists", *expected)}
    return [
        slot
        for slot in range(NUM_ITEMS)
        if held["exists"][:, slot].all() and all(same(held[name][:, slot], expected[name]) for name in expected)
    ]


def test_an_item_keeps_one_slot_for_life_and_is_as_peppi_says(pairs):
    lives = 0
    for path, replay, frames in pairs():
        exists = replay.game.items.exists
        if frames.items is None:
            assert Lacks.ITEMS in replay.lacks, path
            assert not exists.any()
            continue
        counts = np.diff(frames.items.id.offsets.to_numpy())
        assert np.array_equal(exists.sum(axis=1), counts), path
        for rows, item in items_by_life(frames):
            lives += 1
            assert slots_of(replay.game, rows, item, replay.ports), (path.name, int(rows[0]))
    assert lives > 1000


def test_what_lies_in_an_empty_slot_is_zero(pairs):
    for path, replay, _ in pairs():
        items = replay.game.items
        for name in ("x", "y", "vx", "vy", "type", "state", "owner"):
            assert not getattr(items, name)[items.exists == 0].any(), (path.name, name)


def test_who_plays_where_is_as_the_manifest_says(taken, manifest):
    wrong = []
    for path in taken:
        replay, entry = slp.read(path), manifest[path.name]
        start = replay.start
        ours = {
            "slippi_version": ".".join(map(str, start.version)),
            "frames": replay.frames + (path.name in ONE_EVENT_LOST),
            "rows_raw": replay.rows,
            "stage_id": start.stage,
            "ports": list(replay.ports),
            "player_types": ["human" if seat.human else "cpu" for seat in start.seats],
            "codes_or_tags": [seat.code or seat.tag for seat in start.seats],
        }
        wrong += [(path.name, key, value, entry[key]) for key, value in ours.items() if value != entry[key]]
        internal = tuple(-1 if (c := character_from_external(n)) is None else int(c) for n in entry["character_ids"])
        assert replay.characters == internal, path
        assert (replay.game.stage == min(entry["stage_id"], 0x7FFF)).all()
        for number, name in zip(internal, entry["characters"], strict=True):
            if name not in ("MasterHand", "Sandbag", "GigaBowser"):
                assert ids.character(name) == number
        assert slp.peek(path).seats[0].port == replay.ports[0]
    assert wrong == []


def test_what_is_lacking_follows_from_the_version(taken, manifest):
    for path in taken:
        replay, recorded = slp.read(path), version(manifest[path.name])
        frozen = replay.start.frozen_stadium
        expected = {
            Lacks.ACTION_FRAME: recorded < (0, 2),
            Lacks.STATE: recorded < (2, 0),
            Lacks.INVULNERABLE: recorded < (2, 1),
            Lacks.ITEMS: recorded < (3, 0),
            Lacks.SPEEDS: recorded < (3, 5),
            Lacks.HITLAG: recorded < (3, 8),
            Lacks.ITEM_OWNER: recorded < (3, 6) and bool(replay.game.items.exists.any()),
            Lacks.PLATFORMS: recorded < (3, 18) and replay.start.stage == ids.Stage.FOUNTAIN_OF_DREAMS,
            Lacks.STADIUM: recorded < (3, 18) and replay.start.stage == ids.Stage.POKEMON_STADIUM and not frozen,
            Lacks.WHISPY: recorded < (3, 18) and replay.start.stage == ids.Stage.DREAM_LAND,
        }
        assert set(expected) == set(Lacks)
        assert {bit: bit in replay.lacks for bit in expected} == expected, path
        assert (replay.game.lacks == replay.lacks).all()


def test_lacking_columns_are_told_in_words():
    assert slp.lacking(Lacks(0)) == ""
    assert (
        slp.lacking(Lacks.HITLAG | Lacks.ITEM_OWNER)
        == "item owner (recorded from 3.6 on), hitlag (recorded from 3.8 on)"
    )
    assert all(slp.lacking(bit) for bit in Lacks)


def test_other_numbers_of_players_have_columns_and_no_game(replays, manifest):
    seen = 0
    for name, entry in manifest.items():
        if not entry["ports"] or len(entry["ports"]) == 2 or "multi_man" in name:  # more than four are in there
            continue
        replay = slp.read(replays / name)
        seen += 1
        assert list(replay.ports) == entry["ports"] == [seat.port for seat in slp.peek(replays / name).seats]
        assert (replay.frames, replay.rows) == (entry["frames"], entry["rows_raw"]), name
        assert replay.recording.has_post[:, :, 0].all(), name
        with pytest.raises(ReplayError) as caught:
            _ = replay.game
        assert caught.value.what == f"players in the game: {len(entry['ports'])}; a Game holds two"
        assert caught.value.where == str(replays / name)
    assert seen == 7


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("edge_fuzz_pre_size_wrong.slp", "no complete frame from offset 29 on"),
        ("edge_fuzz_bad_payload_table.slp", "no game start event at offset 157"),
        ("edge_v0_1_odd_layout.slp", "no pre-frame events are declared (the table of payload sizes at offset 15)"),
        ("edge_not_slp_text.slp", "not a Slippi replay (no raw element at offset 0)"),
        ("edge_xz_replay.slp.xz", "not a Slippi replay (no raw element at offset 0)"),
        ("edge_unfinalised_no_frames.slp", "no frames between offset 44 and 28383"),
        ("edge_unfinalised_one_frame.slp", "no complete frame from offset 44 on"),
        ("edge_fuzz_tiny_payload_table.slp", "no game start event at offset 21"),
        ("missing.slp", "cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_game_is_refused_with_its_reason(replays, name, sentence):
    with pytest.raises(ReplayError) as caught:
        slp.read(replays / name)
    assert caught.value.what == sentence


def test_smaller_faults_are_listed_and_the_game_is_read(replays):
    cut = slp.read(replays / "edge_truncated_declared_len.slp")
    assert cut.frames == 501
    assert cut.problems[0] == "byte 201660: the file ends 3067806 bytes early"
    assert slp.read(replays / "edge_no_game_end.slp").problems == ("byte 166004: no game end event",)
    assert "never finished" in slp.read(replays / "edge_unfinalised_midgame.slp").problems[0]


def test_the_first_version_of_a_rolled_back_frame_is_kept(replays, manifest):
    rolled = [
        name for name, entry in manifest.items() if (entry.get("rollback_rows") or 0) > 0 and entry["kind"] == "game"
    ]
    differ = 0
    for name in rolled:
        replay = slp.read(replays / name)
        assert replay.rows - replay.frames == manifest[name]["rollback_rows"]
        last = peppi(replays / name, RollbackMode.LAST)
        for seat, port in enumerate(last.ports):
            differ += int((replay.game.players.main_x[:, seat] != numbers(port.leader.pre.joystick.x)).sum())
    assert len(rolled) > 10
    assert differ > 1000, "FIRST and LAST must differ in what was pressed, or this test shows nothing"


def test_the_last_version_of_a_rolled_back_frame_is_kept_on_request(replays):
    path = replays / "edge_duplicate_game_end.slp"
    first, last = slp.read(path), slp.read(path, rollbacks="last")
    assert (
        (first.rows, first.frames, first.duplicates) == (6517, 5023, 1494) == (last.rows, last.frames, last.duplicates)
    )
    assert np.array_equal(first.game.frame, last.game.frame)
    theirs = peppi(path, RollbackMode.LAST)
    for seat, port in enumerate(theirs.ports):
        assert same(np.ascontiguousarray(last.game.players.x[:, seat]), numbers(port.leader.post.position.x))
    assert (first.game.rows != last.game.rows).any()


def test_the_manifest_is_the_one_these_tests_were_written_for(replays):
    told = json.loads((replays / "manifest.json").read_text())
    assert (told["files"], told["games"], told["edges"]) == (99, 35, 62)
