"""A game that a world has shown is saved to a file that reads back equal: by us to the bit, and by peppi."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_oracle import compare, leaves, numbers, peppi

from exphil.errors import OutputError, ReplayError
from exphil.game.controller import STICK_STEPS, TRIGGER_STEPS
from exphil.game.frames import ITEM, NUM_ITEMS, PLAYER, ROW, Game, Lacks
from exphil.game.ids import NUM_ACTIONS, Button, Character, Stage
from exphil.game.stages import GEOMETRY
from exphil.game.time import FIRST_FRAME, MAX_FRAMES
from exphil.replays import saving, slp
from exphil.replays.recording import End
from exphil.replays.seats import START_HEIGHTS
from exphil.replays.write import VERSION

EVERYBODY = [number for number in range(Character.MASTER_HAND) if number != Character.NANA]


def read(data: bytes) -> Game:
    """The game of a file in which nothing is wrong."""
    replay = slp.parse(data, Path("x"))
    assert replay.problems == ()
    return replay.game


def named(game: Game) -> np.ndarray:
    return game.rows.view(ROW)[:, 0]


def as_saved(game: Game) -> Game:
    """A game without what a file has no place for, its slots aside."""
    saved = Game(np.array(game.rows))
    rows = named(saved)
    for group in ("players", "nana"):
        rows[group]["style"] = 0
    if Lacks.PLATFORMS in Lacks(int(rows["lacks"][0])):
        rows["platforms"] = START_HEIGHTS
    rows["lacks"] = 0
    return saved


def on_grid(random: np.random.Generator, shape: tuple[int, ...], steps: int, low: int = 0) -> np.ndarray:
    return (random.integers(low, steps + 1, shape) / steps).astype(np.float32)


def fill_characters(random: np.random.Generator, group: Any, stage: Stage) -> None:
    """Any values in the ranges of the game, columns of ``(T, 2)``."""
    shape, place = group.shape, GEOMETRY[stage]
    group["percent"] = random.uniform(0, 999, shape)
    group["x"] = random.uniform(place.blast_left, place.blast_right, shape)
    group["y"] = random.uniform(place.blast_bottom, place.blast_top, shape)
    group["facing"] = random.choice([-1, 1], shape)
    group["action_frame"] = random.choice([-1, 0, 1, 7.5, 40], shape)
    group["shield"], group["hitlag"] = random.uniform(0, 60, shape), random.integers(0, 21, shape)
    group["hitstun"] = random.choice([0, 0, 1, 31, 120], shape)
    for name in ("speed_air_x", "speed_ground_x", "speed_y", "speed_x_attack", "speed_y_attack"):
        group[name] = random.choice([0, 1], shape) * random.uniform(-6, 6, shape)
    for name in ("main_x", "main_y", "c_x", "c_y"):
        group[name] = on_grid(random, shape, STICK_STEPS, -STICK_STEPS)
    group["shoulder"] = on_grid(random, shape, TRIGGER_STEPS)
    group["action"], group["jumps"] = random.integers(0, NUM_ACTIONS, shape), random.integers(0, 7, shape)
    group["buttons"] = random.integers(0, 1 << 13, shape) & sum(Button)
    group["on_ground"], group["invulnerable"] = random.integers(0, 2, (2, *shape))
    group["stocks"] = 4 - np.sort(random.integers(0, 4, shape), axis=0)


def fill_items(random: np.random.Generator, items: np.ndarray) -> None:
    """Items ``(T, 15)`` that come and go; a new one takes the lowest slot that is free and was free a frame ago."""
    for row in range(len(items)):
        before = items["exists"][row - 1] != 0 if row else np.zeros(NUM_ITEMS, bool)
        stays = before & (random.random(NUM_ITEMS) < 0.9)
        new = np.flatnonzero(~before)[: random.choice([0, 0, 0, 1, 2, 15])]
        there = stays.copy()
        there[new] = True
        count = int(there.sum())
        now = items[row : row + 1, there][0]
        for name, most in (("x", 300), ("y", 300), ("vx", 9), ("vy", 9)):
            now[name] = random.uniform(-most, most, count)
        now["type"], now["state"] = random.integers(0, 0xEC, count), random.integers(0, 12, count)
        now["owner"], now["exists"] = random.integers(-1, 2, count), 1
        items[row, there] = now


def made(seed: int, frames: int, stage: Stage | None = None) -> Game:
    """A short game of random values: characters, Nanas, transformations, items, the moving parts of its stage."""
    random, game = np.random.default_rng(seed), Game.empty(frames)
    stage = stage or random.choice(list(Stage))
    rows = named(game)
    rows["frame"], rows["stage"] = np.arange(FIRST_FRAME, FIRST_FRAME + frames), stage
    characters = random.choice(EVERYBODY, 2)
    fill_characters(random, rows["players"], stage)
    rows["players"]["exists"], rows["players"]["character"] = 1, characters
    for seat in range(2):
        if characters[seat] == Character.ICE_CLIMBERS:
            with_nana = np.zeros((frames, 2), PLAYER)
            fill_characters(random, with_nana, stage)
            with_nana["exists"], with_nana["character"] = 1, Character.NANA
            with_nana[frames // 2 :] = 0  # she is gone
            rows["nana"][:, seat] = with_nana[:, seat]
        elif characters[seat] in (Character.ZELDA, Character.SHEIK):
            other = Character.ZELDA + Character.SHEIK - characters[seat]
            rows["players"]["character"][frames // 2 :, seat] = other
    fill_items(random, rows["items"])
    if stage == Stage.FOUNTAIN_OF_DREAMS:
        rows["platforms"] = random.choice([0, 20, 28, 33.25], (frames, 2))
    elif stage == Stage.DREAM_LAND:
        rows["whispy"] = np.sort(random.integers(0, 3, frames))
    elif stage == Stage.POKEMON_STADIUM:
        rows["stadium"] = np.sort(random.choice([0, 3, 4, 5, 6, 9], frames))
    return game


PLANNED = st.tuples(st.integers(0, 1 << 32), st.integers(1, 30), st.booleans())
"""A game by its seed and length, and whether a frame limit cuts it off."""


class World:
    """Shows given games side by side, each place its own list, as an environment does."""

    def __init__(self, places: list[list[tuple[Game, bool]]]) -> None:
        self.places = places
        self.shows = [
            [
                (game[row : row + 1].rows, row == 0, row == len(game) - 1, cut)
                for game, cut in games
                for row in range(len(game))
            ]
            for games in places
        ]

    def record(self) -> list[saving.Over]:
        recorder, found = saving.Recorder(len(self.places)), []
        for step in range(max(map(len, self.shows))):
            now = [shows[step % len(shows)] for shows in self.shows]  # the shorter ones begin again
            ended = np.array([last for _, _, last, _ in now])
            cut = np.array([cut for *_, cut in now])
            game = Game(np.concatenate([rows for rows, *_ in now]))
            found += recorder.add(game, np.array([first for _, first, *_ in now]), ended & ~cut, ended & cut)
            game.rows[:] = 0xFF  # a world may write its next frame over this one
        return found


class TestAWorld:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.lists(PLANNED, min_size=1, max_size=3), min_size=1, max_size=3))
    def test_every_game_reads_back_to_the_bit(self, plan):
        places = [[(made(seed, frames), cut) for seed, frames, cut in games] for games in plan]
        seen: dict[int, int] = {}
        for over in World(places).record():
            game, cut = places[over.place][over.number % len(places[over.place])]
            assert over.number == seen.get(over.place, 0)
            seen[over.place] = over.number + 1
            assert over.is_truncated == cut
            assert (over.game.rows == game.rows).all()
            assert (read(saving.to_bytes(over.game, is_truncated=cut)).rows == game.rows).all()
        assert all(seen[place] >= len(games) for place, games in enumerate(places)), "none was left out"

    def test_real_games_shown_side_by_side_are_saved_apart(self, replays):
        names = ("edge_ice_climbers_full_netplay", "edge_items", "fox_vs_falco_fountain_of_dreams_015")
        games = [slp.read(replays / f"{name}.slp").game[:3000] for name in names]
        for over in World([[(game, False)] for game in games]).record():
            again = read(saving.to_bytes(over.game, (2, 3)))
            assert (again.rows == as_saved(games[over.place]).rows).all(), names[over.place]

    def test_what_did_not_begin_or_opens_anew_is_forgotten(self):
        recorder, game = saving.Recorder(1), made(1, 6)
        yes, no = np.ones(1, bool), np.zeros(1, bool)
        assert recorder.add(game[:1], no, yes, no) == [], "its beginning was not seen"
        recorder.add(game[:1], yes, no, no)
        recorder.add(game[1:2], no, no, no)
        recorder.add(game[:1], yes, no, no)
        (over,) = recorder.add(game[1:2], no, yes, yes)
        assert (over.game.rows == game.rows[:2]).all()
        assert (over.number, over.is_truncated) == (0, False)
        assert recorder.add(game[2:3], no, yes, no) == [], "nothing goes on after the last frame"

    def test_games_that_are_over_are_let_go(self):
        recorder, game = saving.Recorder(2), Game.empty(2)
        tracemalloc.start()
        for step in range(3000):  # two games of ten frames that never begin together
            at = (np.array([step, step + 5])) % 10
            recorder.add(game, at == 0, at == 9, np.zeros(2, bool))
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert held < 40 * game.rows.nbytes

    def test_a_game_of_one_frame_is_a_game(self):
        recorder, yes, no = saving.Recorder(1), np.ones(1, bool), np.zeros(1, bool)
        (over,) = recorder.add(made(2, 1), yes, no, yes)
        assert (len(over.game), over.is_truncated) == (1, True)


class TestAFile:
    def test_peppi_reads_the_game_that_was_saved(self, tmp_path):
        path = tmp_path / "made.slp"
        for seed, stage in enumerate(Stage):
            game = made(seed + 40, 60, stage)
            saving.save(path, saving.to_bytes(game, (1, 4)))
            theirs = peppi(path)
            assert compare(path, theirs) == set(), "as our reader"
            frames = theirs.frames
            assert numbers(frames.field("id")).tolist() == game.frame.tolist()
            for seat, port in enumerate(("P1", "P4")):
                leader = frames.field("ports").field(port).field("leader")
                post, pre = dict(leaves(leader.field("post"))), dict(leaves(leader.field("pre")))
                for ours, their_name in (("x", "position.x"), ("percent", "percent"), ("action", "state"),
                                         ("stocks", "stocks"), ("hitstun", "misc_as")):  # fmt: skip
                    assert (numbers(post[their_name]) == getattr(game.players, ours)[:, seat]).all(), ours
                assert (numbers(pre["joystick.x"]) == game.players.main_x[:, seat]).all()
                assert (numbers(pre["buttons_physical"]) == game.players.buttons[:, seat]).all()
            assert len(frames.field("item").values) == (game.items.exists != 0).sum()

    def test_equal_games_give_equal_bytes_and_others_do_not(self):
        game = made(3, 20)
        data = saving.to_bytes(game, seed=5)
        assert data == saving.to_bytes(made(3, 20), seed=5)
        assert len({data, saving.to_bytes(game, seed=6), saving.to_bytes(game, (1, 3), seed=5)}) == 3

    def test_who_plays_and_where_is_told(self, tmp_path):
        game, path = made(4, 10), tmp_path / "new" / "folder" / "one.slp"
        saving.save(path, saving.to_bytes(game, (2, 4), ("chaser", "ExPhil フ"), seed=(1 << 32) + 9, played_on="sim"))
        replay = slp.read(path)
        assert replay.start.version == VERSION
        assert replay.ports == (2, 4)
        assert replay.characters == tuple(game.players.character[0].tolist())
        assert [seat.name for seat in replay.start.seats] == ["chaser", "ExPhil フ"]
        assert all(seat.human for seat in replay.start.seats)
        assert [seat.stocks for seat in replay.start.seats] == game.players.stocks[0].tolist()
        assert (replay.start.stage, replay.start.timer, replay.start.random_seed) == (game.stage[0], 480, 9)
        assert replay.metadata["playedOn"] == "sim"
        assert replay.metadata["lastFrame"] == game.frame[-1]
        assert set(replay.metadata["players"]) == {"1", "3"}

    @pytest.mark.parametrize(
        ("stocks", "percent", "cut", "end"),
        [
            ((0, 2), (0, 90), False, End(2, None, (1, 0, -1, -1))),
            ((1, 0), (50, 0), False, End(2, None, (0, 1, -1, -1))),
            ((1, 0), (50, 0), True, End(2, None, (0, 1, -1, -1))),
            ((0, 0), (0, 0), False, End(2, None, (0, 0, -1, -1))),
            ((1, 2), (0, 90), False, End(1, None, (1, 0, -1, -1))),
            ((2, 2), (50, 20), False, End(1, None, (1, 0, -1, -1))),
            ((2, 2), (20, 20), False, End(1, None, (0, 0, -1, -1))),
            ((2, 2), (20, 50), True, End(7, None, (0, 1, -1, -1))),
        ],
    )
    def test_how_it_ended(self, stocks, percent, cut, end):
        for last in (100, MAX_FRAMES - 1):
            game = made(5, 3)
            rows = named(game)
            rows["players"]["stocks"][-1], rows["players"]["percent"][-1] = stocks, percent
            rows["frame"] += last - rows["frame"][-1]
            assert slp.parse(saving.to_bytes(game, is_truncated=cut), Path("x")).end == end

    def test_nothing_is_written_that_cannot_be_read(self, tmp_path):
        game = made(6, 3)
        for ports in ((2, 1), (1, 1), (0, 1), (3, 5)):
            with pytest.raises(ReplayError, match="cannot be written"):
                saving.to_bytes(game, ports)
        with pytest.raises(ReplayError, match="without frames"):
            saving.to_bytes(game[:0])
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OutputError, match="cannot be written"):
            saving.save(tmp_path / "file" / "below.slp", saving.to_bytes(game))


class TestWhatAFileHasNoPlaceFor:
    def test_styles_and_what_is_lacking_are_dropped(self):
        game = made(7, 5, Stage.FOUNTAIN_OF_DREAMS)
        rows = named(game)
        rows["players"]["style"], rows["lacks"] = 3, int(Lacks.HITLAG | Lacks.PLATFORMS)
        again = read(saving.to_bytes(game))
        assert not again.players.style.any()
        assert not again.lacks.any()
        assert (again.platforms == START_HEIGHTS).all()
        assert (again.rows == as_saved(game).rows).all()

    def test_platforms_move_on_fountain_of_dreams_alone(self):
        game = made(8, 5, Stage.BATTLEFIELD)
        named(game)["platforms"] = 9
        assert not read(saving.to_bytes(game)).platforms.any()

    def test_yes_is_one(self):
        game = made(9, 5)
        rows = named(game)
        for name in ("on_ground", "invulnerable", "exists"):
            rows["players"][name] = 2
        again = read(saving.to_bytes(game))
        assert (again.players.on_ground == 1).all() and (again.players.invulnerable == 1).all()
        assert (again.players.exists == 1).all()

    def test_hitstun_is_kept_whatever_the_state(self):
        game = made(10, 8)
        rows = named(game)
        rows["players"]["action"], rows["players"]["hitstun"] = 14, np.arange(16).reshape(8, 2)
        assert (read(saving.to_bytes(game)).players.hitstun == game.players.hitstun).all()

    def test_items_in_careless_slots_come_back_in_others(self):
        random, game = np.random.default_rng(11), made(11, 12)
        items = named(game)["items"]
        items[:] = 0
        for row, slots in enumerate([[9, 4], [9, 4], [4], [14], [0, 14], [14], [], [3], [3], [7, 2, 3], [7], [7]]):
            made_up = np.zeros(len(slots), ITEM)
            made_up["x"], made_up["type"], made_up["exists"] = random.uniform(-9, 9, len(slots)), slots, 1
            items[row, slots] = made_up
        found = named(read(saving.to_bytes(game)))["items"]
        for row in range(len(game)):
            ours, theirs = ({item.tobytes() for item in rows[row] if item["exists"]} for rows in (items, found))
            assert ours == theirs
        for type_ in (9, 4, 14, 7):  # each keeps one slot for life, as it did
            assert len(set(np.nonzero((found["type"] == type_) & (found["exists"] == 1))[1])) == 1
