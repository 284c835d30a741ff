"""Quality: which games are good, which are not and why, whose stocks were thrown away, and which ports are programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.errors import ReplayError
from exphil.game.frames import ROW, ROW_BYTES, Game
from exphil.game.time import FIRST_FRAME, MAX_FRAMES
from exphil.replays import slp
from exphil.replays.quality import (
    FOOTHOLD,
    LONGEST,
    POINTS,
    Quality,
    active,
    dealt,
    off_grid,
    programs,
    quality,
    suicides,
)
from exphil.replays.slp import Replay

IDLE, WALK, FALL, TUMBLE, DEAD, REBIRTH, THROWN = 0x0E, 0x0F, 0x1D, 0x26, 0x00, 0x0C, 0xEF


def computers(replay: Replay) -> tuple[bool, bool]:
    first, second = replay.start.seats
    return not first.human, not second.human


def judge(path: Path) -> Quality:
    replay = slp.read(path)
    return quality(replay.game, computers(replay))


def scene(frames: int = 400, **columns: Any) -> tuple[Game, Any]:
    """A game on a stage where two players stand, and its rows as named columns to change."""
    rows = np.zeros((frames, ROW_BYTES), np.uint8)
    named = rows.view(ROW)[:, 0]
    named["frame"] = np.arange(frames)
    named["players"]["stocks"], named["players"]["action"], named["players"]["on_ground"] = 4, IDLE, 1
    return Game(rows), named


def dies(named: Any, at: int, seat: int = 0, percent: float = 0.0) -> None:
    """The player crosses the blast zone: is dead from ``at`` on, 60 frames long, and keeps the percent meanwhile."""
    player = named["players"][:, seat]
    player["stocks"][at:] -= 1
    player["action"][at : at + 60], player["action"][at + 60 : at + 90] = DEAD, REBIRTH
    player["percent"][at : at + 60], player["percent"][at + 60 :] = percent, 0


class TestWhoseStock:
    """One stock of player 1, lost at frame 300."""

    def judge(self, change: Callable[[Any], None]) -> bool:
        game, named = scene()
        change(named["players"][:, 0])
        dies(named, 300, percent=float(named["players"]["percent"][299, 0]))
        ((thrown,), nothing) = suicides(game)
        assert nothing == []
        return thrown

    @staticmethod
    def hit(player: Any, at: int, percent: float = 30.0) -> None:
        player["percent"][at:] = percent

    def test_never_hit_is_thrown_away_even_at_any_percent_of_the_life_before(self):
        assert self.judge(lambda player: None)

    def test_hit_and_never_back_on_the_stage_is_the_opponents(self):
        def edgeguarded(player):
            self.hit(player, 150)
            player["action"][150:300] = FALL

        assert not self.judge(edgeguarded)

    def test_back_on_the_stage_and_then_dead_is_thrown_away_at_any_percent(self):
        def walks_off(player):
            self.hit(player, 100, 120.0)
            player["action"][100:180], player["action"][180:200], player["action"][200:300] = FALL, WALK, FALL

        assert self.judge(walks_off)

    @pytest.mark.parametrize(("ground", "thrown"), [(FOOTHOLD - 1, False), (FOOTHOLD, True)])
    def test_a_bounce_is_no_foothold(self, ground, thrown):
        def touches(player):
            self.hit(player, 150)
            player["action"][151:300] = FALL
            player["action"][200 : 200 + ground] = IDLE

        assert self.judge(touches) is thrown

    def test_a_hit_in_the_last_second_is_the_opponents(self):
        def late(player):
            self.hit(player, 250)

        assert not self.judge(late)

    @pytest.mark.parametrize(
        ("column", "value"),
        [("action", TUMBLE), ("action", THROWN), ("hitstun", 12.0), ("speed_x_attack", -3.5), ("speed_y_attack", 2.0)],
    )
    def test_crossing_the_blast_zone_launched_or_held_is_the_opponents(self, column, value):
        def launched(player):
            player[column][290:300] = value

        assert not self.judge(launched)

    def test_a_star_ko_counts_from_where_the_player_left(self):
        game, named = scene()
        player = named["players"][:, 0]
        player["percent"][200:] = 90
        player["action"][200:240], player["action"][240:300] = TUMBLE, DEAD  # the stock goes at the end of the state
        dies(named, 300, percent=90)
        assert suicides(game)[0] == [False]

    def test_every_life_is_judged_for_itself(self):
        game, named = scene(900)
        player = named["players"][:, 0]
        player["percent"][250:300] = 50
        dies(named, 300, percent=50)
        dies(named, 700)
        assert suicides(game) == ([False, True], [])

    def test_a_loss_that_netplay_took_back_is_none(self):
        game, named = scene()
        named["players"]["stocks"][200:203, 1] = 3
        assert suicides(game) == ([], [])


class TestDamage:
    def test_it_is_the_others_percent_life_by_life(self):
        game, named = scene(900)
        for at, percent in ((50, 10), (90, 45.5)):
            named["players"]["percent"][at:, 0] = percent
        dies(named, 300, percent=45.5)
        named["players"]["percent"][500:, 0] = 20
        named["players"]["percent"][600:, 1] = 7
        assert dealt(game).tolist() == [7, 65.5]


class TestActivity:
    def test_neutral_sticks_are_not_active(self):
        game, _ = scene()
        assert not active(game).any()

    @pytest.mark.parametrize("column", ["main_x", "main_y", "c_x", "c_y", "shoulder", "buttons"])
    def test_everything_a_hand_moves_counts(self, column):
        game, named = scene()
        named["players"][column][100:110, 1] = 1
        assert np.flatnonzero(active(game)[:, 1]).tolist() == list(range(100, 111))  # letting go is a change
        assert not active(game)[:, 0].any()

    def test_a_controller_that_lies_on_its_stick_is_not_a_hand(self):
        game, named = scene(2000)
        named["players"]["main_x"][10:, 0] = 1
        assert active(game)[:, 0].mean() < 0.02


class TestPrograms:
    def test_every_step_of_the_grid_is_a_hands(self):
        game, named = scene(161)
        for name in ("main_x", "main_y", "c_x", "c_y"):
            named["players"][name] = (np.arange(-80, 81, dtype=np.float32) / np.float32(80))[:, None]
        assert off_grid(game).tolist() == [0, 0]

    @pytest.mark.parametrize("value", [-127 / 128, 80 / 127, 0.5 + 1 / 160, 1.0125, float("nan"), float("inf")])
    @pytest.mark.parametrize("name", ["main_x", "c_y"])
    def test_nothing_else_is(self, name, value):
        game, named = scene(2000)
        named["players"][name][:2, 1] = value
        assert programs(game) == (False, False)  # 0.1% may be a glitch
        named["players"][name][2, 1] = value
        assert programs(game) == (False, True)

    def test_the_shared_files_against_what_is_known_of_their_ports(self, replays, manifest):
        """Human or computer by the start block; columns: the program is found."""
        table: Counter[tuple[str, bool]] = Counter()
        for name, entry in manifest.items():
            if len(entry["ports"]) != 2 or "fuzz_input" in entry["tags"]:
                continue
            try:
                replay = slp.read(replays / name)
            except ReplayError:
                continue
            table.update(zip(entry["player_types"], programs(replay.game), strict=True))
        assert table["human", True] == 0
        assert table["human", False] >= 90
        assert table["cpu", True] >= 10
        assert table["cpu", False] <= 2  # a sandbag and one frame of training mode: nobody moves a stick


class TestSharedGames:
    def test_full_games_are_good_and_say_what_costs_points(self, full_games):
        judged = {}
        for path in full_games:
            try:
                judged[path.name] = judge(path)
            except ReplayError:
                continue
        assert len(judged) >= 32
        assert min(each.score for each in judged.values()) >= 80
        assert np.median([each.score for each in judged.values()]) >= 95
        for each in judged.values():
            assert each.label == "Excellent"
            assert (each.score == 100) == (not each.reasons)
            assert each.programs == (False, False)

    @pytest.mark.parametrize(
        ("name", "most", "reason"),
        [
            ("edge_short_kirby_vs_ness.slp", 20, "player 2 presses something on 0% of frames"),
            ("edge_short_game_and_watch.slp", 20, "player 2 presses something on 0% of frames"),
            ("edge_items.slp", 45, "player 2 is a computer"),
            ("edge_stadium_transformation_events.slp", 45, "player 1 is a computer"),
            ("edge_cpu_player_p1.slp", 45, "player 1 is a computer"),
            ("edge_homerun_contest_japanese.slp", 20, "player 2 is a computer"),
            ("edge_training_mode_frame_numbers.slp", 5, "player 2 is a computer"),
            ("edge_bot_fox_multishine.slp", 45, "player 1 throws away 3 of 4 lost stocks"),
            ("edge_netplay_short.slp", 5, "play lasts only 1 s"),
            ("peer_split/train/peer_01.slp", 45, "player 2 presses something on 0.8% of frames"),
            ("peer_split/train/peer_03.slp", 45, "player 2 presses something on 0% of frames"),
            ("peer_split/train/peer_00.slp", 45, "player 1 throws away 4 of 4 lost stocks"),
            ("peer_split/train/peer_09.slp", 45, "player 2 throws away 4 of 4 lost stocks"),
        ],
    )
    def test_idle_ports_computers_and_lab_recordings_are_far_below(self, replays, name, most, reason):
        found = judge(replays / name)
        assert found.score <= most
        assert reason in found.reasons

    def test_a_program_is_told_by_its_sticks_when_the_start_block_says_nothing(self, replays):
        found = quality(slp.read(replays / "edge_items.slp").game)
        assert found.programs == (False, True)
        assert found.reasons[0].startswith("player 2 is a program (stick off the controller's grid on 36%")
        assert found.score == judge(replays / "edge_items.slp").score > 0

    def test_the_order_of_the_seats_does_not_matter(self, replays):
        replay = slp.read(replays / "falco_vs_fox_final_destination_008.slp")
        one, other = quality(replay.game), quality(replay.game.seen_from(1))
        assert (one.score, one.parts) == (other.score, other.parts)
        assert one.reasons == ("player 1 throws away 2 of 4 lost stocks",)
        assert other.reasons == ("player 2 throws away 2 of 4 lost stocks",)

    def test_columns_that_older_files_lack_change_nothing_much(self, replays, full_games):
        """Without speeds, hitstun, hitlag and on_ground (Slippi 1.7) the same stocks are thrown away."""
        for path in full_games[6:20]:
            game = slp.read(path).game
            rows = game.rows.copy()
            for column in ("hitstun", "hitlag", "on_ground", "speed_x_attack", "speed_y_attack", "jumps"):
                rows.view(ROW)[:, 0]["players"][column] = 0
            assert suicides(Game(rows)) == suicides(game), path.name


class TestLength:
    def tile(self, replays: Path, frames: int) -> Game:
        game = slp.read(replays / "fox_vs_peach_battlefield_018.slp").game[200:1400]
        rows = np.tile(game.rows, (frames // 1200 + 1, 1))[:frames].copy()
        rows.view(ROW)[:, 0]["frame"] = np.arange(FIRST_FRAME, FIRST_FRAME + frames)
        return Game(rows)

    def test_up_to_the_tournament_clock_nothing_is_lost(self, replays):
        for frames in (3200, 15_001, MAX_FRAMES - FIRST_FRAME):
            assert quality(self.tile(replays, frames)).parts["length"] == POINTS["length"], frames

    def test_beyond_it_half_is(self, replays):
        longer = quality(self.tile(replays, MAX_FRAMES - FIRST_FRAME + 600))
        assert longer.parts["length"] == POINTS["length"] / 2
        assert any("tournament clock" in reason for reason in longer.reasons)
        assert LONGEST > MAX_FRAMES

    def test_shorter_ones_lose_points_and_are_not_refused(self, replays):
        scores = [quality(self.tile(replays, frames)).score for frames in (124, 600, 1200, 2400, 3200)]
        assert scores == sorted(scores)
        assert 0 < scores[1] < scores[-1]


class TestAnyBytes:
    def whole(self, game: Game) -> None:
        found = quality(game)
        assert 0 <= found.score <= 100
        assert list(found.parts) == list(POINTS)
        assert all(0 <= found.parts[part] <= POINTS[part] for part in POINTS)
        assert found.score == round(sum(found.parts.values()))
        assert len(set(found.reasons)) == len(found.reasons)
        assert all(reason and reason[0].islower() and not reason.endswith(".") for reason in found.reasons)
        assert bool(found.reasons) == (sum(found.parts.values()) < 100)
        assert found.label in ("Excellent", "Good", "Fair", "Poor")

    @settings(max_examples=150, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), frames=st.integers(0, 60), tamed=st.booleans())
    def test_the_score_is_a_score_without_a_warning(self, seed, frames, tamed):
        random = np.random.default_rng(seed)
        rows = random.integers(0, 256, (frames, ROW_BYTES), np.uint8)
        if tamed:  # play happens: frames in order, few stocks
            named = rows.view(ROW)[:, 0]
            named["frame"] = np.arange(frames)
            named["players"]["stocks"] = random.integers(0, 5, (frames, 2))
        self.whole(Game(rows))

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_nor_with_the_worst_floats(self, data):
        game, named = scene(30)
        for name in ("percent", "main_x", "c_y", "shoulder", "hitstun", "speed_x_attack", "x"):
            values = st.lists(st.floats(width=32) | st.just(float("nan")), min_size=30, max_size=30)
            named["players"][name][:, data.draw(st.integers(0, 1))] = data.draw(values)
        self.whole(game)

    def test_an_empty_game_and_one_without_play_have_nothing(self):
        for game in (Game.empty(0), Game.empty(1), Game.empty(500)):
            assert quality(game).score == 0
            assert quality(game).reasons == ("nothing is played",)
            assert quality(game).label == "Poor"
