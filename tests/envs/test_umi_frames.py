"""Frames of UMI hold the same columns as a replay: what a policy sees of both is the same, bit for bit.

A frame of UMI is made here of a recording: percent and frames of actions cut to whole numbers, sticks moved to 0..1,
items put in the places that UMI gives them, and what UMI does not show left out. Not equal: sticks that no hand holds
(off the grid or within the dead zone: programs, computers, old controllers), which are first put where a hand could
have them; and what no table of numbers reads: Nana's controller, Start and the d-pad but up. Recordings without the
platforms of Fountain of Dreams get heights written into them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exphil.envs import umi_frames
from exphil.errors import DataError, ReplayError
from exphil.features import action
from exphil.features.observation import Recent, Table
from exphil.game.controller import STICK_STEPS, TRIGGER_STEPS
from exphil.game.frames import Game, Lacks
from exphil.game.ids import Character
from exphil.replays import slp

umi = pytest.importorskip("umi")
frame = pytest.importorskip("umi.frame")

PLAIN = Table(0, allow_missing=False)
TABLES = {
    "default": PLAIN,
    "stage motion": Table(0, allow_missing=False, stage_motion=True, umi_safe=True),
    "all one-hot": Table(
        0,
        allow_missing=False,
        action_mode="one_hot",
        character_mode="one_hot",
        stage_mode="full",
        jumps_normalized=False,
    ),
    "nana full": Table(0, allow_missing=False, nana_mode="full", ic_tech=True),
    "delay": Table(0, allow_missing=False, nana_mode="enhanced", max_delay=3),
}
KEPT = Lacks.HITLAG | Lacks.STADIUM | Lacks.WHISPY
"""What the default table can do without."""
GAMES = (
    "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp",
    "fox_vs_falco_fountain_of_dreams_015.slp",
    "captain_falcon_vs_peach_dream_land_004.slp",
    "edge_items.slp",
    "edge_v3_18_fod_events.slp",
)
INTERNAL = {ours: number for number in range(256) if (ours := umi_frames.stage_from_memory(number))}


def to_umi(game: Game) -> np.ndarray:
    """A game as UMI shows it, but for its items."""
    made = np.zeros(len(game), frame.FRAME)
    made["frame"], made["stage"] = game.frame, [INTERNAL.get(number, 0) for number in game.stage.tolist()]
    made["fod_left"], made["fod_right"] = game.platforms[:, 0], game.platforms[:, 1]
    for name, group in (("players", game.players), ("nana", game.nana)):
        to, there = made[name], np.asarray(group.exists) > 0
        for ours, theirs in umi_frames._SAME.items() | umi_frames._WHOLE.items():
            to[theirs] = np.where(there, getattr(group, ours), 0).astype(to[theirs].dtype)
        to["facing"] = np.asarray(group.facing) > 0
    pad = made["players"]["controller"]
    for axis in ("main_x", "main_y", "c_x", "c_y"):
        pad[axis] = (np.rint(getattr(game.players, axis) * 80) + 80) / 160
    pad["shoulder"] = game.players.shoulder
    for bit, button in enumerate(umi_frames.BUTTONS):
        pad["buttons"] |= ((np.asarray(game.players.buttons) & int(button)) != 0).astype(np.uint8) << bit
    made["players"]["controller"] = pad
    return made


def put_items(made: np.ndarray, game: Game, numbers: np.ndarray) -> None:
    """Items in UMI's places: the place that became free last comes first. ``numbers`` ``(T, 15)``: which item it is."""
    free, held = list(range(14, -1, -1)), {}
    for time, shown in enumerate(numbers.tolist()):
        now = sorted((number, slot) for slot, number in enumerate(shown) if number >= 0)
        for number in sorted(set(held) - {number for number, _ in now}, key=held.__getitem__):
            free.append(held.pop(number))
        for number, slot in now:
            place = held[number] if number in held else held.setdefault(number, free.pop())
            to, at = made["items"][time, place : place + 1], (time, slot)
            for name in umi_frames._SAME_ITEM:
                to[name] = getattr(game.items, name)[at]
            to["owner"], to["spawn_id"] = {1: 0, -1: 1, 0: -1}[int(game.items.owner[at])], number


def recorded(path: Path) -> tuple[Game, np.ndarray]:
    """A game, and which item stands in each place."""
    replay = slp.read(path)
    game, items, first = replay.game, replay.recording.items, replay.recording.whole.start
    numbers = np.full((len(game), 15), -1, np.int64)
    row = items["row"] - first
    kept = (replay.recording.slots >= 0) & (row >= 0) & (row < len(game))
    numbers[row[kept], replay.recording.slots[kept]] = items["spawn_id"][kept]
    for axis in ("main_x", "main_y", "c_x", "c_y"):
        stick = getattr(game.players, axis)
        steps = np.rint(stick * 80)
        stick[...] = steps * (abs(steps) >= 23) / 80
    if game.lacks[0] & Lacks.PLATFORMS:
        game.lacks[...] &= ~int(Lacks.PLATFORMS)
        game.platforms[...] = np.random.default_rng(1).uniform(0, 30, game.platforms.shape)
    return game, numbers


def seen(made: np.ndarray) -> Game:
    """Frames as they come, one after the other."""
    places, row, first = umi_frames.Places(1), np.zeros(1, np.int64), np.arange(len(made)) == 0
    parts = [
        umi_frames.game(frames, places.of(frames, row, first[time : time + 1])).rows
        for time, frames in enumerate(made[:, None])
    ]
    return Game(np.concatenate(parts))


def of_one_order(game: Game, numbers: np.ndarray) -> bool:
    """Whether items that appear together were listed as they were spawned, so that their places follow from that."""
    new = (numbers >= 0) & (numbers != np.vstack([np.full((1, 15), -1), numbers[:-1]]))
    return all((np.diff(shown[fresh]) > 0).all() for shown, fresh in zip(numbers, new, strict=True) if fresh.sum() > 1)


def check_what_is_seen(game: Game, numbers: np.ndarray, tables: list[str]) -> None:
    for seat in (0, 1):
        mine = game.seen_from(seat)
        made = to_umi(mine)
        put_items(made, mine, numbers)
        found = seen(made)
        recent = Recent(np.random.default_rng(0).random((len(game), 39), np.float32), np.array(3))
        for name in tables:
            for ours, theirs in zip(TABLES[name].encode(mine, recent), TABLES[name].encode(found, recent), strict=True):
                assert np.array_equal(ours, theirs), (name, seat)


@pytest.mark.parametrize("name", GAMES)
def test_a_policy_sees_the_same_of_a_replay_and_of_umi(replays, name):
    game, numbers = recorded(replays / name)
    check_what_is_seen(game[:700], numbers[:700], list(TABLES))


@pytest.mark.slow
def test_a_policy_sees_the_same_of_all_shared_games(replays):
    stages, climbers, items, disordered = set(), 0, 0, 0
    for path in sorted(replays.glob("*.slp")):
        try:
            game, numbers = recorded(path)
        except ReplayError:
            continue
        if int(game.lacks[0]) & ~int(KEPT) or game.stage[0] not in INTERNAL or len(game) < 100:
            continue
        if not of_one_order(game, numbers):
            disordered += 1
            continue
        check_what_is_seen(game[:1200], numbers[:1200], list(TABLES))
        stages.add(int(game.stage[0]))
        climbers += bool((np.asarray(game.players.character) == Character.ICE_CLIMBERS).any())
        items += bool((numbers >= 0).any())
    assert stages == set(INTERNAL) and climbers >= 2 and items >= 10 and disordered <= 3, (climbers, items, disordered)


def test_what_umi_does_not_show_is_said_to_lack(replays):
    for number, bit in ((18, Lacks.STADIUM), (26, Lacks.WHISPY), (8, 0), (6, 0), (24, 0), (25, 0)):
        made = np.zeros(2, frame.FRAME)
        made["stage"] = number
        found = umi_frames.game(made)
        assert (found.lacks == int(bit)).all() and (found.stage == INTERNAL_TO_OURS[number]).all()
        assert not found.stadium.any() and not found.whispy.any() and not found.players.style.any()


INTERNAL_TO_OURS = {number: ours for ours, number in INTERNAL.items()}


def test_every_controller_is_taken_as_the_game_reads_it():
    rng = np.random.default_rng(0)
    made = np.zeros(4000, frame.FRAME)
    pad = made["players"]["controller"]
    steps = rng.integers(0, 161, (4, 4000, 2))
    for name, values in zip(("main_x", "main_y", "c_x", "c_y"), steps, strict=True):
        pad[name] = (values / 160).astype(np.float32)
    depth = rng.integers(0, TRIGGER_STEPS + 1, (4000, 2))
    pad["shoulder"], pad["buttons"] = depth / TRIGGER_STEPS, rng.integers(0, 256, (4000, 2))
    made["players"]["controller"] = pad
    found = umi_frames.game(made)
    for seat in (0, 1):
        pressed = frame.unpack_buttons(pad["buttons"][:, seat])
        sticks = ((steps[..., seat] - STICK_STEPS) / STICK_STEPS).T
        floats = np.concatenate([pressed, sticks, depth[:, seat, None] / TRIGGER_STEPS], 1).astype(np.float32)
        wanted, players = action.controller(action.as_read(floats)), found.players
        for name in wanted._fields:
            assert np.array_equal(getattr(wanted, name), getattr(players, name)[:, seat]), name


def test_the_tables_of_names_agree_with_umis():
    assert tuple(button.name for button in umi_frames.BUTTONS) == frame.BUTTONS
    assert {number: stage.name for stage, number in INTERNAL.items()} == {
        number: name.replace("DREAMLAND", "DREAM_LAND") for number, name in frame.STAGE_NAMES.items()
    }


def test_padding_and_rubbish_make_no_trouble():
    """Rows of zeros are what a batch is padded with, and numbers that are none may come from a bot."""
    made = np.zeros(3, frame.FRAME)
    made["players"]["controller"]["main_x"][1] = np.nan
    made["players"]["controller"]["shoulder"][2] = np.inf
    made["items"]["exists"][:, :2] = 1
    made["items"]["owner"][:, :2] = [[7, -100], [3, -128], [127, -2]]
    found = umi_frames.game(made)
    assert np.isfinite(PLAIN.encode(found)[0]).all()
    with pytest.raises(DataError, match=r"has no field.*players"):
        umi_frames.game(np.zeros(2, [("frame", "<i4")]))


def test_a_game_that_begins_knows_nothing_of_the_items_of_the_game_before():
    """The item of the game before stood in the second place; the same number begins in the first one."""
    places, frames = umi_frames.Places(1), np.zeros(1, frame.FRAME)
    row, at = np.zeros(1, np.int64), lambda *slots: [int(slot in slots) for slot in range(15)]
    frames["items"]["spawn_id"] = np.arange(15) + 5
    for slots, first, wanted in (((0, 1), True, 1), ((1,), False, 1), ((1,), True, 0)):
        frames["items"]["exists"] = at(*slots)
        assert places.of(frames, row, np.array([first]))[0, 1] == wanted


def test_items_keep_their_places_through_games_that_come_and_go():
    """UMI's fixtures have items of every kind: no two share a place, an item never moves, and the first are taken."""
    arena = pytest.importorskip("umi.conform.arena")
    streams = arena.load_fixtures()["frames"][:, :400, 0]
    places, rows = umi_frames.Places(7), np.arange(6)
    stood: dict[tuple[int, int], int] = {}
    for time in range(400):
        frames = streams[:, time]
        found = places.of(frames, rows, np.full(6, time == 0))
        for game in range(6):
            there = np.flatnonzero(frames["items"]["exists"][game])
            assert len({*found[game, there].tolist()}) == len(there)
            for slot in there:
                number = game, int(frames["items"]["spawn_id"][game, slot])
                assert stood.setdefault(number, int(found[game, slot])) == found[game, slot]
        shown = umi_frames.game(frames, found).items
        assert np.array_equal(np.sort(shown.type, 1), np.sort(frames["items"]["type"], 1))
    assert max(stood.values()) <= 8
