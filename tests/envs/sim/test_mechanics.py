"""What experts do with a controller does here what it does in the game."""

from __future__ import annotations

import numpy as np
import pytest
from random_hands import World, everybody, hands

from exphil.envs.sim import actions as act
from exphil.envs.sim import floating, reflector
from exphil.envs.sim.state import PLAYER
from exphil.game.ids import Button, Character, Stage

FOX, FALCO, MARTH, PEACH = Character.FOX, Character.FALCO, Character.MARTH, Character.PEACH


def standing(who: int = FOX, games: int = 1, apart: float = 80.0) -> World:
    """Two on Final Destination who stand and look at each other."""
    world = World([(who, who)] * games, [Stage.FINAL_DESTINATION] * games)
    for seat, side in ((0, -1.0), (1, 1.0)):
        p = world.players[:, seat]
        p["x"], p["y"], p["facing"], p["action"] = side * apart / 2, 0.0, -side, act.WAIT
        p["on_ground"], p["surface"], p["invulnerable"], p["jumps"] = 1, 0, 0, 2
    return world


def flying(angle_y: float = 2.0) -> World:
    """One who was just hit, has five frames of hitlag before him, and is high in the air."""
    world = standing(MARTH)
    p = world.players[:, 0]
    p["y"], p["on_ground"], p["surface"], p["action"], p["length"] = 60.0, 0, -1, act.FLY_NEUTRAL, 60
    p["hitlag"], p["hitstun"], p["attack_y"], p["aloft"], p["tilt_x"], p["tilt_y"] = 5.0, 40.0, angle_y, 60, 200, 200
    return world


def pressed(world: World, frames: list[tuple[float, ...]], seat: int = 0) -> np.ndarray:
    """The player of a seat after every frame of these pads."""
    pads, seen = np.zeros((len(world.players), 2, 6)), []
    for frame in frames:
        pads[:, seat] = 0.0
        pads[:, seat, : len(frame)] = frame
        world.step(pads)
        seen.append(np.array(world.players[0])[seat].copy())
    return np.array(seen, PLAYER)


def test_a_push_in_hitlag_moves_six_units_once_and_the_last_frame_three():
    seen = pressed(flying(), [(1.0, 0.0)] * 5)
    assert np.diff(np.r_[-40.0, seen["x"][:4]]) == pytest.approx([6.0, 0, 0, 0])
    assert seen["x"][4] == pytest.approx(seen["x"][3] + 3.0 + seen["attack_x"][4], abs=0.1)
    assert (seen["y"][:4] == 60.0).all()


@pytest.mark.parametrize(("pads", "moved"), [([(0, 0, 0, 1)], 3.0), ([(0, 1, 0, -1)], -3.0), ([(0, 0.6)], 0.0)])
def test_the_c_stick_goes_before_the_main_one_as_hitlag_ends(pads, moved):
    still, held = (pressed(flying(), [*frames * 4, (0, 0)]) for frames in ([(0, 0)], pads))
    walked = 6.0 if pads[0][1] == 1 else 0.0
    assert held["y"][4] - still["y"][4] - walked == pytest.approx(moved, abs=0.05)


def test_the_stick_turns_the_flight_by_18_degrees_at_most():
    for x, degrees in ((1.0, -18.0), (-1.0, 18.0), (0.5, -4.5), (0.0, 0.0)):
        p = pressed(flying(), [(0, 0)] * 3 + [(x, 0)] * 2)[-1]
        assert np.degrees(np.arctan2(p["attack_y"], p["attack_x"])) - 90.0 == pytest.approx(degrees, abs=0.01)


def test_nobody_is_pushed_through_the_floor_in_hitlag():
    world = flying(angle_y=-2.0)
    world.players.y[0, 0] = 3.0
    seen = pressed(world, [(0, 0), (0, -1), *[(0, 0)] * 8])
    assert seen["y"][:4] == pytest.approx([3.0, 0.0, 0.0, 0.0], abs=0.01) and not seen["on_ground"][:4].any()
    assert seen["on_ground"][-1] == 1 and seen["y"][-1] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("who", [FOX, FALCO])
def test_a_reflector_is_held_cancelled_by_a_jump_and_let_go(who):
    down, jump = (0, -1, 0, 0, 0, Button.B), (0, 0, 0, 0, 0, Button.X)
    held = pressed(standing(who), [down] * 60)["action"]
    assert held[0] == 360 and (held[4:] == reflector.UP).all()
    let_go = pressed(standing(who), [down] + [(0, 0)] * 60)["action"]
    assert np.flatnonzero(let_go == reflector.UP).size == reflector.SHORTEST
    assert reflector.DOWN in let_go and let_go[-1] == act.WAIT
    cancelled = pressed(standing(who), [down] * 4 + [jump] + [(0, 0)] * 6)["action"]
    assert cancelled[3] == reflector.UP and cancelled[4] == act.JUMP_SQUAT and act.JUMP_FORWARD in cancelled
    turned = pressed(standing(who), [down] * 5 + [(-1.0, 0, 0, 0, 0, Button.B)] * 5)
    assert reflector.TURN in turned["action"] and turned["facing"][0] == -turned["facing"][-1]


def test_a_reflector_in_the_air_hardly_falls_and_goes_on_when_it_lands():
    world = standing(FOX)
    world.players.y[0, 0], world.players.on_ground[0, 0], world.players.action[0, 0] = 6.0, 0, act.FALL
    seen = pressed(world, [(0, -1, 0, 0, 0, Button.B)] * 60)
    assert 365 in seen["action"] and reflector.UP_AIR in seen["action"] and seen["action"][-1] == reflector.UP
    assert not seen["on_ground"][:12].any()
    jumped = pressed(standing(FOX), [(0, 0, 0, 0, 0, Button.X)] * 12 + [(0, -1, 0, 0, 0, Button.B)] * 6
                     + [(0, 0, 0, 0, 0, Button.X)])  # fmt: skip
    assert jumped["action"][-1] in (act.AIR_JUMP_FORWARD, act.AIR_JUMP_BACK)


def test_peach_floats_while_a_jump_is_held_and_attacks_land_at_once():
    hold, down = (0, 0, 0, 0, 0, Button.X), (0, -1, 0, 0, 0, Button.X)
    seen = pressed(standing(PEACH), [hold] * 220)
    float_ = seen["action"] == floating.FLOAT
    assert float_.sum() in range(floating.LONGEST - 2, floating.LONGEST + 2)
    assert (seen["speed_y"][float_] == 0).all() and floating.END_FORWARD in seen["action"]
    low = pressed(standing(PEACH), [hold] * 5 + [down] * 20)
    assert low["action"][-1] == floating.FLOAT and 0 < low["y"][-1] < 6
    attack = pressed(
        standing(PEACH), [hold] * 5 + [down] * 5 + [(0, -1, 0, 0, 0, Button.X | Button.A)] * 3 + [(0, 0)] * 40
    )
    assert floating.LAST_ATTACK in attack["action"]
    landed = attack["action"][np.flatnonzero(attack["on_ground"])]
    assert act.LANDING in landed and act.LANDING_AIR_NEUTRAL + 4 not in landed
    again = pressed(standing(PEACH), [hold] * 60 + [(0, 0)] * 3 + [hold] * 5 + [(0, 0), *[down] * 5])
    assert again["action"][-1] != floating.FLOAT, "once in every time in the air"


def throw_up(seat: int) -> tuple[list[float], list[tuple[float, ...]]]:
    """How far a grab of one seat holds the other, and where that one flies when it is thrown."""
    world, pads = standing(FOX, apart=8.0), np.zeros((1, 2, 6))
    held, flown = [], []
    for at in range(70):
        pads[0, seat, 5] = Button.Z if at == 0 else 0
        pads[0, seat, 1] = 1.0 if at > 35 else 0.0
        pads[0, 1 - seat, 0] = world.players[0, seat].facing if at > 35 else 0.0
        world.step(pads)
        p, q = world.players[0, seat], world.players[0, 1 - seat]
        if p.action == act.CATCH_WAIT:
            held.append(float((q.x - p.x) * p.facing))
        if act.KIND[q.action] == act.K_FLY:
            flown.append((float((q.x - p.x) * p.facing), float(q.y), float(q.attack_x * p.facing)))
    return held, flown


def test_whoever_is_held_is_where_the_hands_are_and_is_thrown_alike_from_either_seat():
    first, second = throw_up(0), throw_up(1)
    assert set(np.round(first[0], 3)) == {8.28}, "as Fox holds everybody in recorded games"
    assert np.allclose(first[0], second[0]) and np.allclose(first[1], second[1])
    assert first[1][0][2] > 0.2, "a throw is turned by the stick as well"


def test_whoever_struggles_is_free_sooner():
    def held(*pads: tuple[float, ...]) -> int:
        world, at = standing(FOX, apart=8.0), 0
        for at in range(200):
            pad = np.zeros((1, 2, 6))
            pad[0, 0, 5] = Button.Z if at == 0 else 0
            pad[0, 1, : len(pads[at % len(pads)])] = pads[at % len(pads)] if at > 12 else 0.0
            world.step(pad)
            if at > 20 and world.players[0, 1].action not in (act.PULLED, act.HELD):
                break
        return at

    still, buttons = held((0,)), held((0, 0, 0, 0, 0, Button.X), (0,))
    sticks, both = held((1.0,), (-1.0,)), held((1.0, 0, 0, 0, 0, Button.A), (-1.0,))
    assert 76 < still < 90, "76 frames at no percent, after the reach"
    assert still > buttons > sticks > both > 20


def test_a_move_that_hits_again_and_again_deals_less_but_knocks_as_far():
    world = standing(MARTH, apart=12.0)
    dealt, hits = [], 0
    for at in range(500):
        pad = np.zeros((1, 2, 6))
        pad[0, 0, 5] = Button.A if at % 50 == 0 else 0
        before = float(world.players[0, 1].percent)
        world.step(pad)
        p = world.players[0]
        if p[1].percent > before:
            dealt.append(p[1].percent - before)
            p.percent[1], p.x[1], p.y[1], p.action[1], p.hitstun[1] = (
                0.0,
                p.x[0] + 12.0 * p.facing[0],
                0.0,
                act.WAIT,
                0.0,
            )
            p.on_ground[1], p.surface[1], p.length[1], p.hitlag[1], p.attack_x[1], p.ground_x[1] = (
                1,
                0,
                0,
                0.0,
                0.0,
                0.0,
            )
            hits += 1
    assert hits >= 5 and dealt == sorted(dealt, reverse=True)
    assert np.array(dealt[:5]) / dealt[0] == pytest.approx([1.0, 0.91, 0.83, 0.76, 0.70])


@pytest.mark.parametrize(("stick", "state"), [(-0.7, act.PASS), (-1.0, act.SPOT_DODGE), (-0.6, act.GUARD)])
def test_a_small_push_down_behind_a_shield_drops_through_the_platform(stick, state):
    world = standing(FOX)
    world.games.stage[0] = Stage.BATTLEFIELD
    world.players.x[0, 0], world.players.y[0, 0], world.players.surface[0, 0] = -38.8, 27.2, 1
    seen = pressed(world, [(0, 0, 0, 0, 0, Button.L)] * 20 + [(0, stick, 0, 0, 0, Button.L)] * 2)
    assert seen["y"][10] == pytest.approx(27.2, abs=0.01) and seen["action"][-1] == state


def test_a_smash_attack_that_is_held_deals_more_but_not_with_the_c_stick():
    found = []
    for frames, c_stick in ((1, False), (200, False), (20, False), (30, True)):
        world, struck = standing(FOX, apart=13.0), 0.0
        for at in range(140):
            pad = np.zeros((1, 2, 6))
            if at < frames:
                pad[0, 0] = (0, 0, 1, 0, 0, 0) if c_stick else (1 if at == 0 else 0, 0, 0, 0, 0, Button.A)
            world.step(pad)
            struck = max(struck, float(world.players[0, 1].percent))
        found.append(struck)
    least, most, some, quick = found
    assert most == pytest.approx(least * 1.3671) and least < some < most and quick == least > 0


def test_a_trigger_before_the_ground_halves_the_lag_of_an_aerial():
    def lag(trigger: bool) -> int:
        hop = [(0, 0, 0, 0, 0, Button.X)] * 2 + [(0, 0)] * 14
        fall = [(0, 0, 0, -1)] + [(0, 0)] * 8 + [(0, 0, 0, 0, 0, Button.L if trigger else 0)] * 6 + [(0, 0)] * 40
        return int((pressed(standing(FALCO), hop + fall)["action"] == act.LANDING_AIR_NEUTRAL + 4).sum())

    assert lag(True) == lag(False) // 2 == 9, "Falco's down aerial: 18 frames"


def test_a_dash_can_be_danced():
    seen = pressed(standing(FOX), [(-1.0 if at // 8 % 2 else 1.0, 0) for at in range(64)])
    assert (seen["action"] == act.DASH).sum() > 45 and {1.0, -1.0} == set(seen["facing"])
    assert abs(seen["x"]).max() < 70 and act.RUN not in seen["action"]


def test_no_state_lasts_for_ever_under_random_hands():
    pairs, stages = everybody()
    world, games = World(pairs, stages, stocks=50), list(range(len(pairs)))
    pads = hands(4, games, 1500)
    last, since = np.full((len(pairs), 2), -1), np.zeros((len(pairs), 2), np.int64)
    for pad in pads:
        world.step(pad)
        now = np.array(world.players.action)
        since = np.where(now == last, since + 1, 0)
        last = now
        stuck = since > 450  # a broken shield makes dizzy for 400 frames
        assert not stuck.any(), [(pairs[game], int(now[game, seat])) for game, seat in np.argwhere(stuck)]
