"""Canaries: people pass them, and for each there is a broken player who fails it."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest

from exphil.envs.environment import Frame, run
from exphil.envs.replay import ReplayEnvironment
from exphil.evaluate.behaviour import COUNTED, Counts, count, rates
from exphil.evaluate.canaries import MIN_FRAMES, RANGES, Canaries, judge
from exphil.game.controller import Controller, neutral
from exphil.game.frames import ROW, Game, Lacks
from exphil.game.ids import BUTTONS, Action, Button, Character, Stage
from exphil.replays import slp
from exphil.replays.quality import suicides

FRAMES = COUNTED.index("frames")
AT = {name: at for at, name in enumerate(COUNTED)}
NEVER_HIT = ("percent", "hitstun", "speed_x_attack", "speed_y_attack")
STICKS = ("main_x", "main_y", "c_x", "c_y", "shoulder", "buttons")


@pytest.fixture(scope="module")
def replays_of_people(full_games):
    shortest = sorted(full_games, key=lambda path: path.stat().st_size)[:14]
    read = [slp.read(path) for path in shortest if "captain_falcon_vs" not in path.name]
    return [replay for replay in read if not replay.lacks & (Lacks.HITLAG | Lacks.STATE)][:5]


@pytest.fixture(scope="module")
def people(replays_of_people):
    return count([replay.game for replay in replays_of_people])


@pytest.fixture(scope="module")
def loser(replays_of_people):
    """A game and the seat that loses all its stocks in it."""
    for replay in replays_of_people:
        gone = np.flatnonzero(replay.game.players.stocks[-1] == 0)
        if len(gone):
            return replay.game, int(gone[0])
    raise AssertionError("nobody loses")


def failed(sums):
    return [verdict.name for verdict in judge(rates(sums), sums[FRAMES]) if verdict.passed is False]


# ---- people ------------------------------------------------------------------------------------------------------


def test_people_pass(people):
    rows = people.reshape(-1, len(COUNTED))
    assert sum(not failed(row) for row in rows) >= len(rows) - 1
    assert failed(rows.sum(0)) == []


def test_stocks_are_thrown_away_by_the_rule_of_quality(replays_of_people, people):
    for replay, sums in zip(replays_of_people, people, strict=True):
        for seat, thrown in enumerate(suicides(replay.game)):
            assert (sums[seat, AT["lost"]], sums[seat, AT["thrown"]]) == (len(thrown), sum(thrown))


def test_l_cancels_agree_with_the_games_own_flag(replays_of_people, people):
    done, failures = 0, 0
    for replay in replays_of_people:
        flags, action = replay.recording.post["l_cancel"][replay.recording.whole, :, 0], replay.game.players.action
        lands = (action >= 0x46) & (action <= 0x4A)
        enters = lands[1:] & ~lands[:-1]
        done += int((flags[1:][enters] == 1).sum())
        failures += int((flags[1:][enters] == 2).sum())
    sums = people.sum((0, 1))
    assert done > 50
    assert sums[AT["landings"]] == pytest.approx(done + failures, rel=0.05)
    assert rates(sums)["l_cancels"] == pytest.approx(done / (done + failures), abs=0.05)


# ---- one broken player for each canary ---------------------------------------------------------------------------


def pressed_always(rows, button):
    rows["buttons"] |= np.int16(button)


def pressed_long(rows, button):
    """Held for a second and a half, again and again."""
    on = np.arange(len(rows)) % 180 < 90
    rows["buttons"] = np.where(on, rows["buttons"] | np.int16(button), rows["buttons"] & ~np.int16(button))


def jumps_without_end(rows):
    rows["action"] = np.where(np.arange(len(rows)) % 30 < 4, Action.KNEE_BEND, 0x19)


def never_jumps(rows):
    rows["action"][np.isin(rows["action"], (Action.KNEE_BEND, 0x1B, 0x1C))] = Action.WAIT


def wavedashes_without_end(rows):
    at = np.arange(len(rows)) % 30
    rows["action"][at < 4] = Action.KNEE_BEND
    rows["action"][(at >= 4) & (at < 14)] = 0x2B


def stays_in_shield(rows):
    rows["action"] = 0xB3


def never_shields(rows):
    rows["action"][(rows["action"] >= 0xB2) & (rows["action"] <= 0xB6)] = Action.WAIT


def touches_nothing(rows):
    for name in STICKS:
        rows[name] = 0


def trembles(rows):
    rows["main_x"] = np.where(np.arange(len(rows)) % 2, 0.5, -0.5)


def presses_every_other_frame(rows):
    rows["buttons"] = np.where(np.arange(len(rows)) % 2, Button.A, 0)


def walks_off(rows):
    """Loses the same stocks without ever being touched."""
    for name in NEVER_HIT:
        rows[name] = 0
    rows["action"][rows["action"] > 0x0D] = 0x1D


def never_l_cancels(rows):
    rows["shoulder"] = 0
    rows["buttons"] &= ~np.int16(Button.Z | Button.L | Button.R)


BROKEN = {
    "jumps": (jumps_without_end, never_jumps),
    "wavedashes": (wavedashes_without_end,),
    "presses": (presses_every_other_frame, touches_nothing),
    "shield": (stays_in_shield, never_shields),
    "changes": (touches_nothing, trembles),
    "unchanged_longest": (touches_nothing, trembles),
    "held": (touches_nothing, lambda rows: pressed_always(rows, Button.D_UP | Button.A)),
    "suicides": (walks_off,),
    "l_cancels": (never_l_cancels,),
}
for _button in BUTTONS[:-1]:
    BROKEN[f"{_button.name.lower()}_mean"] = (lambda rows, button=_button: pressed_long(rows, button),)
    BROKEN[f"{_button.name.lower()}_longest"] = (lambda rows, button=_button: pressed_always(rows, button),)


def changed(game, seat, change):
    found = Game(game.rows.copy())
    rows = found.rows.view(ROW)[:, 0]["players"][:, seat]
    change(rows)
    return found


@pytest.fixture(scope="module")
def broken(loser):
    """The counts of every broken player and, first, of who they were made of."""
    game, seat = loser
    changes = [(name, change) for name, several in BROKEN.items() for change in several]
    sums = count([game, *(changed(game, seat, change) for _, change in changes)])[:, seat]
    return sums[0], [(name, one) for (name, _), one in zip(changes, sums[1:], strict=True)]


def test_every_canary_passes_a_person_and_fails_a_broken_player(broken):
    person, players = broken
    assert {name for name, _ in players} == set(RANGES)
    assert failed(person) == []
    for name, sums in players:
        assert name in failed(sums), f"{name}: {rates(sums)[name]} passes"


def test_what_a_broken_player_does_right_still_passes(broken):
    _, players = broken
    marks = {name: failed(sums) for name, sums in players}
    assert marks["l_cancels"][0] != "jumps" and "jumps" not in marks["l_cancels"]
    assert marks["wavedashes"] and "l_cancels" not in marks["a_longest"]
    assert marks["suicides"].count("shield") <= 1 and "presses" not in marks["suicides"]


# ---- counting ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces(replays_of_people):
    return [replay.game[:length] for replay, length in zip(replays_of_people, (800, 600), strict=False)]


def test_games_side_by_side_are_counted_as_alone(pieces):
    assert np.array_equal(count(pieces), np.concatenate([count([piece]) for piece in pieces]))


def test_a_world_that_opens_game_after_game_is_counted_as_its_games(pieces):
    canaries, piece = Canaries(), pieces[1]
    run(ReplayEnvironment(piece, (1, 2)), {}, 2 * len(piece), canaries.watch)
    assert np.array_equal(canaries.totals(), 2 * count([piece])[0])


def test_a_contestant_is_followed_from_port_to_port(pieces):
    canaries, piece = Canaries(), pieces[0]
    for seat in (0, 1):
        game = piece.seen_from(seat)
        for at in range(len(game)):
            first = np.array([at == 0])
            frame = Frame(game[at : at + 1], first, ~first & False, ~first & False)
            canaries.see(frame, (), seat, np.array([True]))
    assert np.array_equal(canaries.totals(), 2 * count([piece])[0])


def test_rows_that_do_not_count_are_not_looked_at(pieces):
    counts = Counts(2)
    for at in range(400):
        both = Game(np.repeat(pieces[0].rows[at : at + 1], 2, 0))
        counts.see(both, np.full(2, at == 0), np.array([True, at < 200]))
    assert np.array_equal(counts.sums[0], count([pieces[0][:400]])[0])
    assert np.array_equal(counts.sums[1], count([pieces[0][:200]])[0])


def test_a_stretch_ends_with_its_game_and_the_longest_is_a_mean_over_games(pieces):
    held = changed(pieces[1], 0, lambda rows: pressed_always(rows, Button.A))
    canaries = Canaries()
    run(ReplayEnvironment(held, (1, 2)), {}, 2 * len(held), canaries.watch)
    once = count([held])[0, 0]
    assert canaries.rates(0)["a_longest"] == rates(once)["a_longest"] == once[FRAMES] / 60


# ---- verdicts ----------------------------------------------------------------------------------------------------


def test_too_little_play_gives_no_verdict():
    assert all(verdict.passed is None for verdict in judge(dict.fromkeys(RANGES, 1e9), MIN_FRAMES - 1))
    assert all("not enough games" in verdict.said for verdict in judge({}, MIN_FRAMES))


def test_too_few_events_give_no_verdict_on_them_alone(people):
    sums = people[0, 0].copy()
    sums[[AT["lost"], AT["landings"], AT["z_times"]]] = 3, 9, 9
    silent = {verdict.name for verdict in judge(rates(sums), sums[FRAMES]) if verdict.passed is None}
    assert {"suicides", "l_cancels", "z_mean"} <= silent and "jumps" not in silent


def test_both_ends_of_a_range_pass_and_what_lies_beyond_fails():
    for name, known in RANGES.items():
        for value, passes in ((known.low, True), (known.high, True), (known.high * 1.001, False)):
            [verdict] = judge({name: value}, MIN_FRAMES, {name: known})
            assert verdict.passed is passes and known.says in verdict.said


def test_a_result_holds_what_failed_as_json(pieces):
    canaries, idle, rows = Canaries(), changed(pieces[0], 1, touches_nothing), 8
    for at in range(len(idle)):
        first, game = np.full(rows, at == 0), Game(np.repeat(idle.rows[at : at + 1], rows, 0))
        canaries.watch(Frame(game, first, ~first & False, ~first & False), {})
    page = json.loads(json.dumps(canaries.canaries()))
    assert page["second"]["frames"] >= MIN_FRAMES
    assert any(said.startswith("presses of buttons a minute: 0,") for said in page["second"]["failed"])
    assert page["second"]["rates"]["held"] == 0 and "a_mean" in page["second"]["not_judged"]


def test_nothing_seen_is_nothing_judged():
    page = Canaries().canaries()
    assert page["first"]["failed"] == [] and set(page["first"]["not_judged"]) == set(RANGES)


# ---- in the simulator --------------------------------------------------------------------------------------------


class Pressed(NamedTuple):
    controllers: Controller


class Habits:
    """Row by row a player with one bad habit."""

    NAMES = ("jump", "shield", "nothing", "off the stage", "hold A", "aerials")

    def step(self, frame):
        at = int(frame.game.frame[0])
        found = {name: np.zeros(len(self.NAMES), np.float32) for name in STICKS}
        row = {name: number for number, name in enumerate(self.NAMES)}
        buttons = found["buttons"]
        buttons[row["jump"]] = Button.X if at % 2 else 0
        if at % 220 < 50:  # so that it grows back and does not break
            buttons[row["shield"]], found["shoulder"][row["shield"]] = Button.L, 1
        buttons[row["hold A"]] = Button.A
        buttons[row["aerials"]] = {0: Button.X, 2: Button.X, 8: Button.A}.get(at % 50, 0)
        found["main_x"][row["off the stage"]] = at % 20 > 1  # a dash each time
        found["buttons"] = buttons.astype(np.int16)
        return Pressed(Controller(**found))


class Nobody:
    def step(self, frame):
        return Pressed(neutral(len(Habits.NAMES)))


@pytest.mark.slow
def test_bad_habits_show_in_the_simulator():
    world = pytest.importorskip("exphil.envs.sim.world").SimEnvironment(
        len(Habits.NAMES), (int(Character.FALCO), int(Character.MARTH)), int(Stage.BATTLEFIELD)
    )
    counts = Counts(len(Habits.NAMES))
    run(world, {1: Habits(), 2: Nobody()}, 4500, lambda frame, _: counts.see(frame.game, frame.is_first), seed=1)
    marks = dict(zip(Habits.NAMES, map(failed, counts.sums[:, 0]), strict=True))
    assert "jumps" in marks["jump"] and "presses" in marks["jump"]
    assert "shield" in marks["shield"]
    assert {"changes", "unchanged_longest", "held"} <= set(marks["nothing"])
    assert "suicides" in marks["off the stage"] and "suicides" not in marks["nothing"]
    assert "a_longest" in marks["hold A"] and "held" in marks["hold A"]
    assert "l_cancels" in marks["aerials"]
