"""Every column of peppi against ours, under both choices of rolled-back frames, and what only ours reads."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peppi_py
import pytest
from peppi_py._peppi import read_slippi

from exphil.errors import ReplayError
from exphil.game.time import FIRST_FRAME
from exphil.replays import events, kernels, slp
from exphil.replays.container import KINDS, Seat
from exphil.replays.recording import METHODS
from exphil.replays.slp import Replay

PRE = {
    "random_seed": "random_seed", "action": "state", "x": "position.x", "y": "position.y", "facing": "direction",
    "main_x": "joystick.x", "main_y": "joystick.y", "c_x": "cstick.x", "c_y": "cstick.y", "shoulder": "triggers",
    "processed_buttons": "buttons", "buttons": "buttons_physical", "trigger_l": "triggers_physical.l",
    "trigger_r": "triggers_physical.r", "raw_main_x": "raw_analog_x", "percent": "percent",
    "raw_main_y": "raw_analog_y", "raw_c_x": "raw_analog_cstick_x", "raw_c_y": "raw_analog_cstick_y",
}  # fmt: skip
POST = {
    "character": "character", "action": "state", "x": "position.x", "y": "position.y", "facing": "direction",
    "percent": "percent", "shield": "shield", "last_attack": "last_attack_landed", "combo": "combo_count",
    "last_hit_by": "last_hit_by", "stocks": "stocks", "action_frame": "state_age", "misc": "misc_as",
    "airborne": "airborne", "ground": "ground", "jumps": "jumps", "l_cancel": "l_cancel", "hurtbox": "hurtbox_state",
    "speed_air_x": "velocities.self_x_air", "speed_y": "velocities.self_y",
    "speed_x_attack": "velocities.knockback_x", "speed_y_attack": "velocities.knockback_y",
    "speed_ground_x": "velocities.self_x_ground", "hitlag": "hitlag", "animation": "animation_index",
    "hit_by_instance": "last_hit_by_instance", "instance": "instance_id",
    **{f"flags_{n + 1}": f"state_flags.{n}" for n in range(5)},
}  # fmt: skip
ITEM = {
    "type": "type", "state": "state", "facing": "direction", "vx": "velocity.x", "vy": "velocity.y", "x": "position.x",
    "y": "position.y", "damage": "damage", "timer": "timer", "spawn_id": "id", "owner": "owner",
    "instance": "instance_id", **{f"misc_{n + 1}": f"misc.{n}" for n in range(4)},
}  # fmt: skip
LISTS = (
    (events.ITEM, "items", "item", ITEM),
    (events.PLATFORM, "platforms", "fod_platform", {"side": "platform", "height": "height"}),
    (events.WHISPY, "whispy", "dreamland_whispy", {"direction": "direction"}),
    (events.STADIUM, "stadium", "stadium_transformation", {"event": "event", "type": "type"}),
)
ONLY_OURS = {
    "edge_fuzz_raw_len_short.slp", "edge_fuzz_wrong_frame_numbers.slp", "edge_homerun_contest_japanese.slp",
    "edge_multi_man_3_minute.slp", "edge_odd_placement_codes.slp", "edge_target_test_one_player.slp",
    "edge_truncated_declared_len.slp", "edge_unfinalised_midgame.slp", "edge_zero_filled_tail.slp",
    "edge_zero_size_payload.slp",
}  # fmt: skip
"""Shared files of which peppi reads nothing."""


def peppi(path: Path) -> Any:
    """What peppi reads, all versions of rolled-back frames; None for what it refuses."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return read_slippi(str(path), False)
        except BaseException as error:  # its panics are not an Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            return None


def leaves(array: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every column of a struct array by its dotted name."""
    for field in array.type:
        name = f"{path}.{field.name}" if path else field.name
        child = array.field(field.name)
        if str(field.type).startswith("struct"):
            yield from leaves(child, name)
        elif name != "_dummy":  # peppi's filling of an event without fields
            yield name, child


def numbers(array: Any) -> np.ndarray:
    filled = array.fill_null(0) if array.null_count else array
    return filled.to_numpy(zero_copy_only=False)


def same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Equal to the bit: NaN is NaN and -0 is not 0."""
    return ours.dtype == theirs.dtype and np.ascontiguousarray(ours).tobytes() == theirs.tobytes()


def kept(ids: np.ndarray, rollbacks: str) -> np.ndarray:
    """The rows of peppi's that hold the first or the last version of each frame, told without our code."""
    order = range(len(ids)) if rollbacks == "first" else range(len(ids) - 1, -1, -1)
    found: dict[int, int] = {}
    for row in order:
        found.setdefault(int(ids[row]), row)
    return np.array([found[frame] for frame in sorted(found)])


def compare_data(ours: np.ndarray, theirs: Any, rows: np.ndarray, names: dict[str, str], there: np.ndarray) -> set[str]:
    """The columns of one character's pre- or post-frame events that differ; all that peppi has must be in the table."""
    columns = dict(leaves(theirs))
    wrong = set(columns) - set(names.values())
    for name, their_name in names.items():
        if their_name in columns:
            if not same(ours[name][there], numbers(columns[their_name])[rows][there]):
                wrong.add(name)
        elif ours[name].any():
            wrong.add(f"{name} is not masked")
    return wrong


def compare_frames(replay: Replay, theirs: Any, rollbacks: str) -> set[str]:
    recording, frames = replay.recording, theirs.frames
    ids = numbers(frames.field("id"))
    rows = kept(ids, rollbacks)
    wrong = set() if same(recording.frame, ids[rows]) else {"frame"}
    ports = frames.field("ports")
    assert [field.name for field in ports.type] == [f"P{port}" for port in replay.ports]
    for seat, port in enumerate(replay.ports):
        characters = ports.field(f"P{port}")
        for follower, name in enumerate(["leader", "follower"][: characters.type.num_fields]):
            one = characters.field(name)
            there = one.is_valid().to_numpy(zero_copy_only=False)[rows]
            for part, table, has in (("pre", PRE, recording.has_pre), ("post", POST, recording.has_post)):
                ours = getattr(recording, part)[:, seat, follower]
                if not np.array_equal(has[:, seat, follower], there):
                    wrong.add(f"{name} {part} is there")
                wrong |= {f"{name} {part} {bad}" for bad in compare_data(ours, one.field(part), rows, table, there)}
        if characters.type.num_fields == 1 and recording.present[:, seat, 1].any():
            wrong.add("a follower")
    for part, ours, table in (
        ("start", recording.frame_start, ("random_seed", "scene_frame:scene_frame_counter")),
        ("end", recording.frame_end, ("finalized:latest_finalized_frame",)),
    ):
        names = {pair.split(":")[0]: pair.split(":")[-1] for pair in table}
        if any(field.name == part for field in frames.type):
            wrong |= {
                f"{part} {b}" for b in compare_data(ours, frames.field(part), rows, names, np.ones(len(rows), bool))
            }
    for event, attribute, their_name, table in LISTS:
        ours = getattr(recording, attribute)
        if not any(field.name == their_name for field in frames.type):
            wrong |= {f"{attribute} from nowhere"} if len(ours) or recording.holds(event) else set()
            continue
        lists = frames.field(their_name)
        offsets = lists.offsets.to_numpy()
        counts = np.diff(offsets)[rows]
        flat = np.concatenate([np.arange(offsets[row], offsets[row + 1]) for row in rows]).astype(np.int64)
        if not same(ours["row"], np.repeat(np.arange(len(rows)), counts).astype(np.int32)):
            wrong.add(f"{attribute} rows")
        else:
            whole = np.ones(len(ours), bool)
            wrong |= {f"{attribute} {bad}" for bad in compare_data(ours, lists.values, flat, table, whole)}
    return wrong


RATIOS = {"offense": "offense_ratio", "defense": "defense_ratio", "scale": "model_scale"}


def single(value: float | None) -> float:
    """Peppi writes a number of 32 bits in as few digits as tell it from its neighbours."""
    return float(np.float32(math.nan if value is None else value))


def seat_of(player: dict[str, Any]) -> dict[str, Any]:
    """A player of peppi's start block in our words."""
    net = player.get("netplay") or {}
    plain = str.maketrans({chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)})
    return {
        "port": int(player["port"][1]), "kind": KINDS.index(player["type"].lower()), "stocks": player["stocks"],
        "costume": player["costume"], "team": player["team"] and player["team"]["color"],
        "handicap": player["handicap"], "bits": player["bitfield"], "cpu_level": player["cpu_level"],
        "damage_start": player["damage_start"], "damage_spawn": player["damage_spawn"],
        **{name: single(player[key]) for name, key in RATIOS.items()},
        "tag": (player.get("name_tag") or "").translate(plain).strip(),
        "code": (net.get("code") or "").translate(plain).strip(),
        "name": (net.get("name") or "").translate(plain).strip(),
    }  # fmt: skip


def fixes_of(player: dict[str, Any]) -> tuple[int, int] | None:
    number = {None: 0, "Ucf": 1, "Arduino": 2}
    ucf = player.get("ucf")
    return ucf and (number[ucf["dash_back"]], number[ucf["shield_drop"]])


def compare_start(replay: Replay, theirs: dict[str, Any]) -> set[str]:
    start, match, scene = replay.start, theirs.get("match") or {}, theirs.get("scene")
    language = theirs.get("language")
    pairs = {
        "version": (list(start.version), theirs["slippi"]["version"]),
        "stage": (start.stage, theirs["stage"]),
        "teams": (start.teams, theirs["is_teams"]),
        "bits": (list(start.bits), theirs["bitfield"]),
        "bombs": (start.bombs, theirs["is_raining_bombs"]),
        "item_frequency": (start.item_frequency, theirs["item_spawn_frequency"]),
        "suicide_score": (start.suicide_score, theirs["self_destruct_score"]),
        "timer": (start.timer, theirs["timer"]),
        "item_bits": (list(start.item_bits), theirs["item_spawn_bitfield"]),
        "damage_ratio": (start.damage_ratio, single(theirs["damage_ratio"])),
        "random_seed": (start.random_seed, theirs["random_seed"]),
        "pal": (start.pal, theirs.get("is_pal")),
        "frozen_stadium": (start.frozen_stadium, theirs.get("is_frozen_ps")),
        "scene": (start.scene, scene and (scene["major"], scene["minor"])),
        "language": (start.language, language and ("Japanese", "English").index(language)),
        "match_id": (start.match_id, match.get("id", "")),
        "game_number": (start.game_number, match.get("game")),
        "tiebreak": (start.tiebreak, match.get("tiebreaker")),
        "seats": (len(start.seats), len(theirs["players"])),
    }
    uids = tuple((player.get("netplay") or {}).get("suid") or "" for player in theirs["players"])
    pairs |= {"uids": (start.uids, uids), "fixes": (start.fixes, tuple(map(fixes_of, theirs["players"])))}
    wrong = {name for name, (ours, other) in pairs.items() if not (ours == other or both_nan(ours, other))}
    for seat, player in zip(start.seats, theirs["players"], strict=True):
        for name, value in seat_of(player).items():
            ours = getattr(seat, name)
            from_metadata = name in ("code", "name") and start.version < (3, 9, 0)
            if ours != value and not from_metadata and not both_nan(ours, value):
                wrong.add(f"seat {name}")
    return wrong


def both_nan(ours: object, theirs: object) -> bool:
    return isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours) and math.isnan(theirs)


def compare_end(replay: Replay, theirs: dict[str, Any] | None) -> set[str]:
    end = replay.end
    if end is None or theirs is None:
        return set() if end is theirs else {"end"}
    wrong = set()
    if METHODS.get(end.method, "").replace(" ", "") != theirs["method"].lower():
        wrong.add("end method")
    if (end.quitter and f"P{end.quitter}") != theirs.get("lras_initiator"):
        wrong.add("quitter")
    places = theirs.get("players")
    if places is not None:
        ours = [(f"P{port + 1}", place) for port, place in enumerate(end.placements or ()) if place >= 0]
        if ours != [(entry["port"], entry["placement"]) for entry in places]:
            wrong.add("placements")
    return wrong


def compare(path: Path, theirs: Any) -> set[str]:
    """Everything in which a file differs between the readers."""
    wrong = set()
    for rollbacks in ("first", "last"):
        replay = slp.read(path, rollbacks=rollbacks)  # type: ignore[arg-type]
        wrong |= {f"{rollbacks}: {bad}" for bad in compare_frames(replay, theirs, rollbacks)}
    wrong |= compare_start(replay, theirs.start) | compare_end(replay, theirs.end)
    if replay.metadata != (theirs.metadata or {}):
        wrong.add("metadata")
    if replay.rows != len(theirs.frames):
        wrong.add("rows")
    return wrong


def test_every_column_of_every_shared_file_equals_peppis(replays, manifest):
    paths = [*sorted(replays.glob("*.slp")), *sorted(replays.glob("peer_split/*/*.slp"))]
    wrong, both, ours, neither = {}, 0, set(), set()
    for path in paths:
        theirs = peppi(path)
        if theirs is not None:
            both += 1
            if found := compare(path, theirs):
                wrong[path.name] = sorted(found)
            continue
        try:
            slp.read(path)
            ours.add(path.name)
        except ReplayError:
            neither.add(path.name)
    assert wrong == {}
    assert ours == ONLY_OURS
    assert (both, len(neither)) == (91, 7)


@pytest.mark.slow
def test_every_column_of_the_corpus_equals_peppis(replays, tmp_path):
    py7zr = pytest.importorskip("py7zr")
    archive = replays.parent / "corpus" / "games.7z"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    wrong, path = {}, tmp_path / "member.slp"
    with archive.open("rb") as file, py7zr.SevenZipFile(file) as opened:
        names = [name for name in opened.getnames() if name.endswith(".slp")]
    assert len(names) == 120
    for at in range(0, len(names), 20):
        factory = py7zr.io.BytesIOFactory(limit=1 << 26)
        with archive.open("rb") as file, py7zr.SevenZipFile(file) as opened:
            opened.extract(targets=names[at : at + 20], factory=factory)
        for name, held in factory.products.items():
            path.write_bytes(held.read())
            if found := compare(path, peppi(path)):
                wrong[name] = sorted(found)
    assert wrong == {}


def test_peppi_gives_no_column_that_this_test_does_not_know(replays):
    """With the newest version, whose columns are all there."""
    frames = peppi(replays / "edge_v3_18_fod_events.slp").frames
    assert {field.name for field in frames.type} == {"id", "ports", "start", "end", *(name for _, _, name, _ in LISTS)}
    assert set(PRE) == {field.name for field in events.PRE.fields}
    assert set(POST) == {field.name for field in events.POST.fields}
    assert set(ITEM) == {field.name for field in events.ITEM.fields}
    seat = seat_of(peppi(replays / "edge_v3_18_fod_events.slp").start["players"][0])
    assert set(Seat._fields) - set(seat) == {"character", "human", "shade"}


def test_the_reader_and_the_game_count_from_the_same_frame():
    assert kernels.OLDEST_FRAME == FIRST_FRAME
    assert peppi_py.RollbackMode.FIRST.value == "first"
