"""Matches in mirrored pairs: what ends a game, who wins it, what may be said of many."""

from __future__ import annotations

import json
import pickle
from functools import partial

import numpy as np
import pytest
from coin_world import CoinWorld, Presser

from exphil.errors import DataError, OptionError
from exphil.evaluate.match import Contestant, batches, decided, play
from exphil.evaluate.outcome import Result
from exphil.game.ids import Character

FOX, MARTH = int(Character.FOX), int(Character.MARTH)


def coins(characters, games, seed, **options):
    return CoinWorld(characters, games, **options)


def press(seat, games, seed, delay, *, share):
    return Presser(share, games, seed)


def player(name, share, character=FOX):
    return Contestant(name, character, partial(press, share=share))


HARD, SOFT = player("hard", 0.6), player("soft", 0.4, MARTH)


@pytest.fixture(scope="module")
def match():
    return play(coins, (HARD, SOFT), 24, seed=1, rows=5)


def test_an_edge_of_a_port_cancels_exactly():
    found = play(partial(coins, edge=2.0), (player("one", 0.5), player("other", 0.5)), 16, seed=3)
    scores = [(one.score, other.score) for one, other in zip(found.outcomes[::2], found.outcomes[1::2], strict=True)]
    assert scores.count((1.0, 0.0)) > 6  # the edge is real
    assert found.win_rate.value == 0.5 and found.net_stocks.value == 0 == found.net_damage_per_minute.value
    assert found.win_rate_of_pairs == (0.5, 0.5, 0.5)


def test_who_plays_better_wins_on_both_ports(match):
    for seat in (0, 1):
        assert np.mean([each.score for each in match.outcomes if each.seat == seat]) > 0.7
    assert match.net_stocks.low > 0 and match.net_damage_per_minute.low > 0
    assert match.net_stocks_per_minute.value == pytest.approx(
        sum(each.stocks for each in match.outcomes) / (match.frames / 3600)
    )


def test_seen_by_the_other_player_everything_is_turned_around(match):
    turned = play(coins, (SOFT, HARD), 24, seed=1, rows=5)
    assert (turned.wins, turned.draws, turned.losses) == (match.losses, match.draws, match.wins)
    assert turned.net_stocks.value == -match.net_stocks.value and turned.frames == match.frames


def test_the_seed_decides_the_match(match):
    assert play(coins, (HARD, SOFT), 24, seed=1, rows=5) == match
    assert play(coins, (HARD, SOFT), 24, seed=2, rows=5).outcomes != match.outcomes


def test_every_batch_has_its_own_luck_and_both_halves_share_it(match):
    assert len({each.seed for each in match.outcomes}) == 3
    assert all(one.seed == other.seed for one, other in zip(match.outcomes[::2], match.outcomes[1::2], strict=True))
    assert [each.frames for each in match.outcomes[:4]] != [each.frames for each in match.outcomes[10:14]]


def test_more_games_begin_with_the_same_ones(match):
    assert play(coins, (HARD, SOFT), 10, seed=1, rows=5).outcomes == match.outcomes[:10]


def test_rows_at_once_are_the_same_as_one_at_a_time(match):
    seeds = [int(word) for word in np.random.SeedSequence((1, 0)).generate_state(3)]
    for row in range(5):
        for seat in (0, 1):
            world = CoinWorld((FOX, MARTH), 1, row=row)
            shares = (0.6, 0.4) if seat == 0 else (0.4, 0.6)
            actors = [Presser(share, 1, seeds[1 + at], row) for at, share in enumerate(shares)]
            frame, frames, hurt, before = world.reset(seeds[0]), 0, np.zeros(2), np.zeros(2)
            while True:
                frames += int(frame.game.frame[0] >= -40)
                percent = frame.game.players.percent[0]
                hurt, before = hurt + np.maximum(percent - before, 0), percent
                if frame.is_last[0]:
                    break
                frame = world.step({1 + at: actor.step(frame).controllers for at, actor in enumerate(actors)})
            left = frame.game.players.stocks[0].astype(int)
            outcome = match.outcomes[2 * row + seat]
            assert (outcome.row, outcome.seat, outcome.seed) == (row, seat, seeds[0])
            assert (outcome.stocks, outcome.frames) == (left[seat] - left[1 - seat], frames)
            assert outcome.damage == hurt[1 - seat] - hurt[seat]
            assert outcome.score == float(left[seat] > 0) and not outcome.by_clock


@pytest.mark.parametrize(
    ("stocks", "percent", "score"),
    [
        ((2, 1), (90, 0), 1.0),
        ((1, 3), (0, 90), 0.0),
        ((2, 2), (30, 40), 1.0),
        ((2, 2), (40, 30), 0.0),
        ((2, 2), (30.9, 30.1), 0.5),
        ((0, 0), (30, 90), 0.5),
        ((1, 0), (150, 10), 1.0),
    ],
)
def test_stocks_decide_then_the_percent_on_the_screen(stocks, percent, score):
    assert decided(np.array([stocks]), np.array([percent], np.float64)) == [score]


@pytest.mark.parametrize(("limit", "last"), [(46, 28800), (10**9, 1)])
def test_a_game_that_takes_too_long_goes_to_who_leads(limit, last):
    players = (player("one", 0.3), player("other", 0.0))
    found = play(partial(coins, limit=limit), players, 4, seed=0, max_frames=last)
    assert found.wins == 4 == found.by_clock
    assert found.net_stocks.value == 0 < found.net_damage_per_minute.value
    assert all(each.frames == 42 for each in found.outcomes)


def test_the_clock_of_the_world_is_heard_on_the_frame_of_the_limit():
    ended = []

    class Note(Counting):
        def see(self, frame, decisions, seat, counts):
            ended.extend(frame.game.frame[frame.is_truncated].tolist())

        def canaries(self):
            return {}

    idle = (player("one", 0.0), player("other", 0.0))
    found = play(partial(coins, limit=55), idle, 4, seed=0, max_frames=10, watch=Note())
    assert ended == [10] * 4 and all(each.frames == 51 for each in found.outcomes)


def test_nobody_wins_when_nobody_leads():
    found = play(coins, (player("one", 0.0), player("other", 0.0)), 4, seed=0, max_frames=3)
    assert (found.wins, found.draws, found.losses) == (0, 4, 0) and found.win_rate.value == 0.5


def test_characters_follow_their_players_and_worlds_are_closed():
    built = []

    def build(characters, games, seed):
        built.append((characters, seed, CoinWorld(characters, games)))
        return built[-1][2]

    found = play(build, (HARD, SOFT), 4, seed=0)
    assert [characters for characters, _, _ in built] == [(FOX, MARTH), (MARTH, FOX)]
    assert built[0][1] == built[1][1] == found.outcomes[0].seed and all(world.closed for *_, world in built)
    assert (found.world, found.delay, found.characters) == ("coins", 0, (FOX, MARTH))
    assert all(each.stage == 31 for each in found.outcomes)


class Deaf(CoinWorld):
    reacts_to_actions = False


class Swapped(CoinWorld):
    def __init__(self, characters, games):
        super().__init__(characters[::-1], games)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (Deaf, "does not react"),
        (Swapped, "was to play FOX on port 1, coins has MARTH there"),
        (partial(CoinWorld, limit=3), "before hands are free"),
        (lambda characters, games: CoinWorld(characters, games + 1), "asked for 2 games"),
        (partial(CoinWorld, ports=(1, 1)), "two ports"),
    ],
)
def test_a_world_that_cannot_be_played_in_is_refused_and_closed(build, said):
    worlds = []

    def keep(characters, games, seed):
        worlds.append(build(characters, games))
        return worlds[-1]

    with pytest.raises(OptionError, match=said):
        play(keep, (HARD, SOFT), 4, seed=0)
    assert worlds[0].closed == 1


@pytest.mark.parametrize(
    "wrong",
    [
        *({"games": games} for games in (0, 1, 3, -2)),
        *({"rows": 0}, {"max_frames": 0}, {"seed": -1}, {"level": 1.0}, {"target": 0.0}, {"target": 0.5}),
        *({"players": (HARD,)}, {"players": (HARD, SOFT, HARD)}),
    ],
)
def test_what_cannot_be_played_is_refused_before_a_world_is_built(wrong):
    with pytest.raises(OptionError):
        batches(**{"build": None, "players": (HARD, SOFT), "games": 4, "seed": 0, **wrong})


def test_a_match_stops_when_the_win_rate_is_known_well_enough():
    given = {"seed": 0, "rows": 8, "max_frames": 60}
    results = list(batches(coins, (player("one", 0.7), player("other", 0.1)), 400, target=0.15, **given))
    assert [result.games for result in results] == [16 * (at + 1) for at in range(len(results))]
    assert [result.is_decided for result in results] == [False] * (len(results) - 1) + [True]
    assert results[-1].games < 200 and results[-1].win_rate_anytime.half_width <= 0.15
    more = [result.more_games(0.15) for result in results]
    assert more[-1] == 0 < more[-2] and results[0].games + more[0] == pytest.approx(results[-1].games, rel=0.25)
    assert results[-1].more_games(0.01) > 1000
    all_of_them = play(coins, (player("one", 0.7), player("other", 0.1)), 48, **given)
    assert all_of_them.games == 48 and not all_of_them.is_decided


def test_a_result_survives_json(match):
    page = json.loads(json.dumps(match.as_dict(), allow_nan=False))
    assert Result.from_dict(page) == match and Result.from_dict(page).as_dict() == match.as_dict()
    assert page["games"] == 24 == page["wins"] + page["draws"] + page["losses"]
    assert page["win_rate"]["low"] < page["win_rate"]["value"] < page["win_rate"]["high"]
    one = play(coins, (HARD, SOFT), 2, seed=0, max_frames=9)
    assert json.loads(json.dumps(one.as_dict(), allow_nan=False))["net_stocks"]["low"] is None


def test_another_page_is_refused(match):
    page = match.as_dict()
    for broken in (
        {},
        {"format": 2},
        {"outcomes": []},
        {"outcomes": page["outcomes"][:3]},
        {"outcomes": [{"seed": 1}]},
    ):
        with pytest.raises(DataError):
            Result.from_dict({**page, **broken} if broken else {})


def test_a_result_gives_its_pairs_as_meetings(match):
    meetings = match.meetings()
    assert len(meetings) == 12 and all(each[:2] == ("hard", "soft") and each.games == 2 for each in meetings)
    assert sum(each.points for each in meetings) == match.wins + match.draws / 2


class Counting:
    """Notes what a watch is shown."""

    def __init__(self):
        self.frames, self.pressed, self.ended = 0, np.zeros(2), 0

    def see(self, frame, decisions, seat, counts):
        free = counts & (frame.game.frame >= -40)
        self.frames += int(free.sum())
        self.pressed += [(each.controllers.buttons[free] != 0).sum() for each in decisions]
        self.ended += int((counts & frame.is_last).sum())
        assert (frame.game.players.character[:, seat] == FOX).all()

    def canaries(self):
        return {"presses": (self.pressed / self.frames).tolist()}


def test_a_watch_sees_every_frame_that_counts_with_both_decisions():
    watch = Counting()
    found = play(coins, (HARD, SOFT), 12, seed=1, rows=4, watch=watch)
    assert watch.frames == found.frames and watch.ended == found.games == 12
    assert found.canaries["presses"] == pytest.approx([0.6, 0.4], abs=0.05)


def test_builders_and_results_can_be_sent_to_another_process(match):
    build, players, found = pickle.loads(pickle.dumps((coins, (HARD, SOFT), match)))
    assert play(build, players, 10, seed=1, rows=5).outcomes == found.outcomes[:10]
