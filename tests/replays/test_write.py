"""What is written reads back equal: by us to the bit, and by peppi."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from test_oracle import compare, peppi

from exphil.errors import ReplayError
from exphil.game.frames import ITEM, NUM_ITEMS, PLAYER, ROW, Game, Lacks
from exphil.game.ids import Stage
from exphil.replays import events, export, kernels, slp, write
from exphil.replays.container import Seat, Start
from exphil.replays.recording import End, Recording

COLUMNS = ("frame", "pre", "post", "items", "slots", "platforms", "whispy", "stadium", "present")
PER_FRAME = ("frame_start", "frame_end")


def equal(first: Recording, second: Recording, names: tuple[str, ...] = (*COLUMNS, *PER_FRAME)) -> set[str]:
    """The columns that differ in a bit."""
    return {
        name
        for name in names
        if np.ascontiguousarray(getattr(first, name)).tobytes() != np.ascontiguousarray(getattr(second, name)).tobytes()
    }


def of_318(start: Start) -> Start:
    """A start block as it reads after writing: what the file's version lacked has its default."""
    defaults = {"pal": False, "frozen_stadium": False, "scene": (2, 2), "language": 1, "game_number": 0, "tiebreak": 0}
    missing = {name: value for name, value in defaults.items() if getattr(start, name) is None}
    return start._replace(version=write.VERSION, block=b"", **missing)


class TestRealFiles:
    def test_every_column_reads_back(self, replays, tmp_path):
        path, done = tmp_path / "written.slp", 0
        for original in sorted(replays.glob("*.slp")):
            try:
                replay = slp.read(original)
            except ReplayError:
                continue
            recording = replay.recording
            data = write.write(recording)
            again = slp.parse(data, path)
            marked = (recording.marks == kernels.HAS_START | kernels.HAS_END).all()  # the last frame may be cut
            held = [name for name in PER_FRAME if marked and recording.holds(*WITNESS[name])]
            names = (*COLUMNS, *held)
            if recording.holds(events.ITEM) and not recording.holds(events.ITEM, "owner"):
                names = tuple(name for name in names if name != "items")
                assert (again.recording.items["owner"] == -1).all()
                assert again.recording.items["spawn_id"].tolist() == recording.items["spawn_id"].tolist()
            assert equal(recording, again.recording, names) == set(), original
            assert again.metadata == replay.metadata
            assert again.start._replace(block=b"") == of_318(replay.start), original
            assert again.start.fixes == tuple(fixes or (0, 0) for fixes in replay.start.fixes)
            assert again.start.uids == replay.start.uids
            assert (again.rows, again.duplicates) == (len(recording), 0)
            assert again.recording.lacks == frozenset()
            if replay.end:
                method, quitter, places = replay.end
                assert again.end == End(method, quitter, places or (-1, -1, -1, -1))
            assert [problem for problem in again.problems if "missing" not in problem] == (
                [] if replay.end else [f"byte {len(data) - METADATA(data)}: no game end event"]
            ), original
            done += 1
        assert done == 90

    @pytest.mark.parametrize(
        "name",
        [
            "edge_v3_18_fod_events.slp",  # has every column
            "edge_stadium_transformation_events.slp",
            "edge_ice_climbers_full_netplay.slp",
            "edge_teams_4p_great_bay.slp",
            "edge_v0_1_full_game.slp",
            "falco_vs_fox_pokemon_stadium_009.slp",
            "marth_vs_falco_pokemon_stadium_024.slp",
        ],
    )
    def test_peppi_reads_what_we_read(self, replays, tmp_path, name):
        path = tmp_path / name
        path.write_bytes(write.write(slp.read(replays / name).recording))
        theirs = peppi(path)
        assert theirs is not None
        assert compare(path, theirs) == set()

    def test_what_an_older_file_lacks_gets_its_default(self, replays):
        old = slp.read(replays / "edge_v0_1_full_game.slp").recording
        new = slp.parse(write.write(old), Path("x")).recording
        assert (new.frame_start["random_seed"] == old.start.random_seed).all()
        assert (new.frame_start["scene_frame"] == np.arange(len(old))).all()
        assert (new.frame_end["finalized"] == new.frame).all()
        assert not new.post["airborne"].any()

    def test_what_netplay_rolled_back_is_gone(self, replays):
        path = replays / "edge_v3_16_short_lras.slp"
        for rollbacks in ("first", "last"):
            replay = slp.read(path, rollbacks)
            again = slp.parse(write.write(replay.recording), path)
            assert (replay.duplicates, again.duplicates) == (7, 0)
            assert equal(replay.recording, again.recording) == set()

    def test_a_game_reads_back_to_the_same_game(self, replays, full_games):
        for path in [*full_games, replays / "edge_ice_climbers_full_netplay.slp", replays / "edge_items.slp"]:
            game = slp.read(path).game
            if Lacks.PLATFORMS in Lacks(int(game.lacks[0])):
                continue
            again = slp.parse(export.from_game(game), path)
            game.rows.view(ROW)["lacks"] = 0
            assert again.problems == ()
            assert (again.game.rows == game.rows).all(), path

    def test_of_a_game_without_platform_heights_none_are_written(self, replays):
        game = slp.read(replays / "fox_vs_falco_fountain_of_dreams_015.slp").game
        again = slp.parse(export.from_game(game), Path("x"))
        assert not len(again.recording.platforms)
        assert (again.game.platforms == [20, 28]).all()


def METADATA(data: bytes) -> int:
    return len(data) - data.rindex(b"U\x08metadata")


WITNESS = {"frame_start": (events.START, "scene_frame"), "frame_end": (events.END, "finalized")}

text = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="#"), max_size=9)
keys = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=8)
metadata = st.recursive(
    st.one_of(st.text(max_size=300), st.integers(-(1 << 62), 1 << 62), st.booleans(), st.none(), st.floats(width=64)),
    lambda inner: st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def filled(draw: Any, kind: np.dtype, shape: Any) -> np.ndarray:
    """Records of any bits: a few drawn words, repeated over the fields."""
    seed = draw(st.integers(0, 1 << 32))
    made = np.random.default_rng(seed).integers(0, 256, (*np.zeros(shape).shape, kind.itemsize), np.uint8)
    return made.view(kind)[..., 0]


def per_row(draw: Any, event: events.Event, count: int, most: int) -> np.ndarray:
    columns = filled(draw, event.columns(events.ROW_FIELD), draw(st.integers(0, most)))
    columns["row"] = np.sort(columns["row"] % count)
    if "padding" in columns.dtype.names:
        columns["padding"] = 0
    return columns


@st.composite
def recordings(draw: Any) -> Recording:
    """Any columns of 3.18: NaN, gaps in the frame numbers, characters who are not there, up to four ports."""
    count, ports = draw(st.integers(1, 12)), draw(st.sets(st.integers(1, 4), min_size=1))
    frame = np.cumsum(draw(arrays.arrays(np.int32, count, elements=st.integers(1, 3)))).astype(np.int32) - 124
    shape = (count, len(ports), 2)
    both = draw(arrays.arrays(np.bool_, shape))
    both[:, 0, 0] = True
    if len(ports) == 2:
        both[0, :, 0] = True  # one frame that is whole
    present = np.where(both, kernels.HAS_PRE | kernels.HAS_POST, 0).astype(np.uint8)
    pre, post = filled(draw, events.PRE_COLUMNS, shape), filled(draw, events.POST_COLUMNS, shape)
    post["padding"] = 0
    pre[~both], post[~both] = 0, 0
    items = per_row(draw, events.ITEM, count, 40)
    slots = np.empty(len(items), np.int8)
    if len(items):
        kernels.item_slots(items["row"], items["spawn_id"], slots)
    seats = tuple(
        Seat(port, draw(st.integers(0, 26).filter(lambda n: n != 11)), True, 4, tag=draw(text).strip(),
             name=draw(text).strip(), code=f"{draw(keys)[:4].upper()}#{draw(st.integers(0, 999))}")
        for port in sorted(ports)
    )  # fmt: skip
    start = Start(
        write.VERSION, draw(st.sampled_from([*Stage, 84, 285])), False, seats, "mode.x",
        draw(st.integers(0, 0xFFFFFFFF)), 480, (1, 2, 3, 4), False, -1, -2,
        (9, 8, 7, 6, 5), 0.5, True, False, (8, 2), 0, 3, 1,
    )  # fmt: skip
    marks = np.full(count, kernels.HAS_START | kernels.HAS_END, np.uint8)
    end = draw(st.one_of(st.none(), st.builds(End, st.integers(0, 9), st.one_of(st.none(), st.integers(1, 4)))))
    if end:
        end = end._replace(placements=(0, 1, -1, 17))
    return Recording(
        start, frame, pre, post, present, filled(draw, events.START_COLUMNS, count),
        filled(draw, events.END_COLUMNS, count), marks, items, slots, per_row(draw, events.PLATFORM, count, 5),
        per_row(draw, events.WHISPY, count, 3), per_row(draw, events.STADIUM, count, 3), frozenset(), end,
        draw(st.dictionaries(keys, metadata, max_size=4)),
    )  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(recordings())
def test_any_columns_read_back_to_the_bit(recording):
    again = slp.parse(write.write(recording), Path("x"))
    assert equal(recording, again.recording) == set()
    assert again.end == recording.end
    assert again.start._replace(block=b"") == recording.start
    assert again.recording.lacks == frozenset()
    assert repr(again.metadata) == repr(recording.metadata), "NaN is not equal to itself"


@st.composite
def games(draw: Any) -> Game:
    """Any game of two as a simulator might make it."""
    count, stage = draw(st.integers(1, 20)), draw(st.sampled_from(list(Stage)))
    game = Game.empty(count)
    rows = game.rows.view(ROW)[:, 0]
    rows["frame"], rows["stage"] = np.arange(count) - 123, stage
    for group in ("players", "nana"):
        made = filled(draw, PLAYER, (count, 2))
        for name in ("on_ground", "invulnerable"):
            made[name] &= 1
        made["style"], made["exists"] = 0, 1
        if group == "nana":
            made[draw(arrays.arrays(np.bool_, (count, 2)))] = 0
        else:
            made["character"][0] = draw(st.sampled_from([0, 1, 7, 10, 19, 26]))
        rows[group] = made
    slots = draw(st.integers(0, NUM_ITEMS))  # filled from the first on, for life: what a reader makes of them
    made = filled(draw, ITEM, (count, slots))
    made["owner"] = made["owner"] % 3 - 1
    made["exists"], made["padding"] = 1, 0
    rows["items"][:, :slots] = made
    if stage == Stage.FOUNTAIN_OF_DREAMS:
        rows["platforms"] = draw(arrays.arrays(np.float32, (count, 2), elements=st.floats(-8, 35, width=32)))
    rows["whispy"] = draw(arrays.arrays(np.uint8, count, elements=st.integers(0, 2)))
    rows["stadium"] = draw(arrays.arrays(np.int16, count, elements=st.sampled_from([3, 4, 5, 6, 9])))
    return game


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(games(), st.sampled_from([(1, 2), (2, 4), (3, 4)]))
def test_any_game_reads_back_to_the_bit(game, ports):
    first, second = export.seats_of(game)
    data = export.from_game(game, (first._replace(port=ports[0]), second._replace(port=ports[1])))
    again = slp.parse(data, Path("x"))
    assert again.problems == ()
    assert again.ports == ports
    assert (again.game.rows == game.rows).all()
    assert data == export.from_game(game, (first._replace(port=ports[0]), second._replace(port=ports[1])))


class TestGame:
    def test_who_plays_and_what_is_told_about_it(self, replays, tmp_path):
        game = slp.read(replays / "fox_vs_fox_battlefield_016.slp").game
        first, second = export.seats_of(game)
        seats = (
            first._replace(port=2, name="ExPhil", code="XPHL#001", costume=2),
            second._replace(port=4, human=False, kind=1, cpu_level=9, tag="フラ"),
        )
        path = tmp_path / "made.slp"
        path.write_bytes(export.from_game(game, seats, random_seed=7, started="2024-01-02T03:04:05Z"))
        replay = slp.read(path)
        assert replay.start.seats == seats
        assert replay.start.fixes == ((1, 1), (1, 1))
        assert replay.start.random_seed == 7
        assert replay.metadata == {
            "startAt": "2024-01-02T03:04:05Z",
            "lastFrame": int(game.frame[-1]),
            "players": {
                "1": {"names": {"netplay": "ExPhil", "code": "XPHL#001"}, "characters": {"1": len(game)}},
                "3": {"names": {}, "characters": {"1": len(game)}},
            },
            "playedOn": "exphil",
        }
        assert compare(path, peppi(path)) == set()

    @pytest.mark.parametrize(
        ("stocks", "percent", "last", "expected"),
        [
            ((0, 2), (0, 90), 5000, End(2, None, (1, 0, -1, -1))),
            ((1, 0), (0, 90), 5000, End(2, None, (0, 1, -1, -1))),
            ((2, 2), (50, 20), 28_799, End(1, None, (1, 0, -1, -1))),
            ((2, 2), (20, 50), 100, End(7, None, (0, 1, -1, -1))),
        ],
    )
    def test_how_it_ends(self, stocks, percent, last, expected):
        game = Game.empty(1)
        row = game.rows.view(ROW)[0, 0]
        row["players"]["stocks"], row["players"]["percent"], row["frame"] = stocks, percent, last
        row["players"]["exists"] = 1
        assert export.ending(game, export.seats_of(game)) == expected
        assert slp.parse(export.from_game(game), Path("x")).end == expected
        assert slp.parse(export.from_game(game, end=End(3)), Path("x")).end == End(3, None, (-1, -1, -1, -1))

    def test_what_cannot_be_written_is_said(self):
        with pytest.raises(ReplayError, match="a game without frames cannot be written"):
            export.from_game(Game.empty(0))
        game = Game.empty(1)
        game.rows.view(ROW)["players"]["character"] = 99
        with pytest.raises(ReplayError, match="character 99 has no number in a start block"):
            export.from_game(game)

    def test_a_name_that_is_too_long_is_cut_between_characters(self):
        game = Game.empty(1)
        game.rows.view(ROW)["players"]["exists"] = 1
        first, second = export.seats_of(game)
        data = export.from_game(game, (first._replace(name="あ" * 20, tag="A" + "フ" * 9), second))
        seat = slp.parse(data, Path("x")).start.seats[0]
        assert (seat.name, seat.tag) == ("あ" * 15, "A" + "フ" * 7)
