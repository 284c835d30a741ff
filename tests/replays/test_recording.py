"""Moving stages, odd frame numbers, ends, start blocks and the words for what is wrong, on real files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from exphil.replays import container, events, slp
from exphil.replays.recording import End


def test_the_platforms_of_fountain_of_dreams_hold_until_they_move(replays):
    replay = slp.read(replays / "edge_v3_18_fod_events.slp")
    game, moves = replay.game, replay.recording.platforms
    assert (len(moves), set(moves["side"].tolist())) == (99, {0, 1})
    assert (game.platforms[: moves["row"][0]] == [20, 28]).all(), "before the first event"
    left, right = 20.0, 28.0
    told = {(row, side): height for row, side, height in moves[["row", "side", "height"]].tolist()}
    for row in range(len(game)):
        left, right = told.get((row, 1), left), told.get((row, 0), right)
        assert game.platforms[row].tolist() == [left, right]


def test_the_first_moves_of_the_platforms_begin_at_the_known_heights(replays):
    """0.15 a frame on the left, 0.1 on the right; and the surface that characters stand on follows from the height."""
    replay = slp.read(replays / "edge_v3_18_fod_events.slp")
    moves, game = replay.recording.platforms, replay.game
    assert moves["height"][moves["side"] == 1][0] == pytest.approx(20 + 0.15)
    assert moves["height"][moves["side"] == 0][0] == pytest.approx(28 - 0.1, abs=0.01)
    x, y = game.players.x, game.players.y
    height = np.where(x < 0, game.platforms[:, :1], game.platforms[:, 1:])
    standing = (game.players.on_ground == 1) & (np.abs(x) > 21) & (np.abs(x) < 49) & (y > 12) & (y < 30)
    assert standing.sum() > 100
    assert np.abs(y - (0.75 * height + 1.125))[standing].max() < 0.001


def test_the_transformations_of_pokemon_stadium(replays):
    replay = slp.read(replays / "edge_stadium_transformation_events.slp")
    game, changes = replay.game, replay.recording.stadium
    assert changes["event"].tolist()[:7] == [1, 2, 3, 4, 5, 6, 0]
    begins = [row + 1 for row in np.flatnonzero(np.diff(game.stadium))]
    assert game.stadium[[0, *begins]].tolist() == [0, 9, 5, 3, 5]
    assert game.frame[begins].tolist() == [3704, 6110, 10447, 12401]
    assert not game.platforms.any() and not game.whispy.any()


def test_whispy_blows_until_he_stops(replays):
    """No shared file has such an event; two are put into one."""
    data = (replays / "edge_stadium_transformation_events.slp").read_bytes()
    layout = container.layout(data, "x")
    at, parts, done = layout.first, [], layout.first
    blows = {0: 2, 100: 0, 150: 1}
    while data[at] != events.GAME_END:
        frame = struct.unpack(">i", data[at + 1 : at + 5])[0]
        if data[at] == events.BOOKEND and frame in blows:
            parts += [data[done:at], struct.pack(">BiB", events.WHISPY_BLOW, frame, blows[frame])]
            done = at
        at += 1 + int(layout.sizes[data[at]])
    game = slp.parse(data[:11] + bytes(4) + data[15 : layout.first] + b"".join([*parts, data[done:]]), Path("x")).game
    expected = np.select([game.frame < 0, game.frame < 100, game.frame < 150], [0, 2, 0], 1)
    assert np.array_equal(game.whispy, expected)


def test_frame_numbers_that_begin_late_are_frames_like_others(replays):
    """Slow motion in single-player modes counts from 262,433."""
    data = bytearray((replays / "edge_v3_12_short.slp").read_bytes())
    whole = slp.parse(bytes(data), Path("x"))
    layout = container.layout(bytes(data), "x")
    at = layout.first
    while data[at] != events.GAME_END:
        if data[at] not in (events.GAME_START, events.SPLITTER, events.GECKO_CODES):
            number = struct.unpack(">i", data[at + 1 : at + 5])[0]
            data[at + 1 : at + 5] = struct.pack(">i", number + 123 + 262_433)
        at += 1 + int(layout.sizes[data[at]])
    late = slp.parse(bytes(data), Path("x"))
    assert (late.frames, late.rows, late.problems) == (whole.frames, whole.rows, ())
    assert late.game.frame[0] == 262_433
    assert (late.game.rows[:, 4:] == whole.game.rows[:, 4:]).all()


def test_how_games_end_and_what_else_the_file_says(replays):
    def end(name: str) -> End | None:
        return slp.read(replays / f"{name}.slp").end

    assert end("edge_v3_16_short_lras") == End(7, 1, (0, 1, -1, -1)), "the quitter stands first there"
    assert end("edge_timeout_2p_nonascii_tag") == End(1, None, None)
    assert end("edge_v0_1_full_game") == End(3, None, None)
    assert end("edge_odd_placement_codes") == End(2, None, (17, 16, -1, -1))
    assert end("edge_target_test_one_player") == End(6, None, None)
    assert end("edge_no_game_end") is None
    start = slp.peek(replays / "edge_pal.slp")
    assert (start.pal, start.frozen_stadium, start.scene, start.language, start.game_number) == (
        True,
        None,
        *[None] * 3,
    )
    start = slp.peek(replays / "edge_homerun_contest_japanese.slp")
    assert (start.language, start.pal) == (0, False)
    start = slp.peek(replays / "edge_bot_fox_multishine.slp")
    assert (start.frozen_stadium, start.timer) == (True, 480)
    start = slp.peek(replays / "jigglypuff_vs_marth_fountain_of_dreams_022.slp")
    assert (start.match_id, start.game_number, start.tiebreak) == ("mode.ranked-2022-12-14T06:47:10.18-1", 2, 0)
    assert start.scene == (8, 2)
    teams = slp.peek(replays / "edge_teams_4p_great_bay.slp")
    assert teams.teams and {seat.team for seat in teams.seats} == {0, 2}
    cpu = slp.peek(replays / "edge_cpu_player_p1.slp").seats
    assert [(seat.kind, seat.human, seat.cpu_level is None) for seat in cpu] == [(1, False, False), (0, True, True)]


def test_faults_are_told_with_their_place_in_the_file(replays):
    def problems(name: str) -> tuple[str, ...]:
        return slp.read(replays / f"{name}.slp").problems

    unknown = ("byte 1010931: 1 event of a kind that is not known, left out",)
    assert problems("edge_unknown_event") == problems("edge_zero_size_payload") == unknown
    assert problems("edge_duplicate_game_end") == ("byte 2491575: 7 bytes after the game end event, left out",)
    assert problems("edge_raw_len_zero_but_complete") == ("byte 11: the recording was never finished (raw length 0)",)
    assert slp.read(replays / "edge_raw_len_zero_but_complete.slp").metadata["playedOn"] == "dolphin"
    assert problems("edge_multi_man_3_minute") == (
        "byte 60150: 987 events of players beyond port 4, left out",
        "byte 102914: 800 events of ports on which nobody plays, left out",
    )
    assert problems("edge_zero_filled_tail") == (
        "byte 1034744: no game end event",
        "byte 1034744: an event that cannot be read; nothing after it was",
        "byte 1034744: no metadata",
    )
