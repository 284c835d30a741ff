"""What Ice Climbers players look at: each row by hand, then a real game, mirrored, on numpy and on torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exphil.features import climbers
from exphil.features.observation import Table
from exphil.features.view import Constant
from exphil.game.frames import ROW, Game
from exphil.game.ids import CATEGORIES, CATEGORY_OF_ACTION, Stage

TABLE = Table(0, False, ic_tech=True)
FIRST = Table(0, False).floats
NAMES = [row.name.removeprefix("ic.") for row in climbers.PART.rows]
GAMES = ("ice_climbers_vs_captain_falcon_pokemon_stadium_019", "edge_ice_climbers_full_netplay")

WAIT, FALL, GRAB, PULL, HOLD, PUMMEL, ESCAPE, THROW_DOWN = 0x0E, 0x1D, 0xD4, 0xD5, 0xD8, 0xD9, 0xDA, 0xDE
IS_HELD, IS_THROWN, IS_FREED, REELS = 0xE3, 0xF2, 0xE5, 0x55


def made(popo: dict | None = None, nana: dict | None = None, other: dict | None = None, side: int = 0) -> Game:
    """One frame of two climbers and somebody else."""
    game = Game.empty(1)
    row = game.rows.view(ROW)[..., 0]
    row["stage"] = Stage.BATTLEFIELD
    row["players"]["exists"], row["players"]["action"], row["players"]["facing"] = 1, WAIT, 1
    row["nana"]["exists"][:, side], row["nana"]["action"], row["nana"]["facing"] = 1, WAIT, 1
    for group, seat, values in (("players", side, popo), ("nana", side, nana), ("players", 1 - side, other)):
        for name, value in (values or {}).items():
            row[group][name][:, seat] = value
    return game


def told(game: Game, side: int = 0) -> dict[str, np.ndarray]:
    """The sixteen numbers of one side: they stand after those of the default table, own first."""
    floats = TABLE.encode(game)[0][..., FIRST + 16 * side : FIRST + 16 * (side + 1)]
    return dict(zip(NAMES, np.moveaxis(floats, -1, 0), strict=True))


def changes(**given: dict) -> dict[str, float]:
    """What differs from three who stand in one place and do nothing."""
    still, now = told(made()), told(made(**given))
    return {name: round(float(now[name][0]), 5) for name in NAMES if now[name] != still[name]}


def test_the_option_adds_16_floats_a_side():
    assert TABLE.floats - FIRST == 32 and climbers.PART.width == 16 == len(NAMES)
    quiet = {name: float(value[0]) for name, value in told(made()).items() if value}
    assert quiet == {"same_facing": 1, "same_action": 1, "popo_can_act": 1, "in_reach": 1}


def test_where_nana_is():
    place = {"x": 3.0, "y": -4.0}
    found = changes(nana=place, other=place)  # the other stands where she does
    assert found == {"dx": 0.15, "dy": -0.2, "distance": 0.25}
    assert changes(nana={"facing": -1}) == {"same_facing": -1}


def test_what_is_not_in_step():
    assert changes(nana={"action_frame": 36.9}) == {"action_frame_gap": 0.6}
    assert changes(popo={"action_frame": 6.5}) == {"action_frame_gap": -0.1}
    assert changes(nana={"action": FALL}) == {"same_action": 0}


def test_who_can_act():
    assert changes(popo={"action": REELS}) == {"same_action": 0, "popo_can_act": 0, "one_can_act": 1}
    assert changes(nana={"action": REELS}) == {"same_action": 0, "one_can_act": -1}
    assert changes(popo={"action": REELS}, nana={"action": REELS}) == {"popo_can_act": 0}


@pytest.mark.parametrize(
    ("action", "step"), [(GRAB, 0.25), (PULL, 0.5), (HOLD, 0.5), (PUMMEL, 0.75), (THROW_DOWN, 1), (ESCAPE, 0)]
)
def test_who_grabs(action, step):
    assert told(made(popo={"action": action}))["popo_grab"] == step
    found = told(made(nana={"action": action}))
    assert found["nana_grab"] == step and found["popo_grab"] == 0


def test_the_tables_name_states_of_the_right_groups():
    for name, group in (("grab", "grab"), ("held", "grabbed")):
        table = climbers.TABLES[name]
        assert isinstance(table, Constant) and table.array.shape == (399,)
        states = np.flatnonzero(table.array)
        assert (CATEGORY_OF_ACTION[states] == CATEGORIES.index(group)).all()


def test_the_other_is_held_and_for_how_long():
    assert changes(other={"action": IS_HELD, "action_frame": 24.5}) == {"held": 0.5, "held_frames": 0.4}
    assert changes(other={"action": IS_THROWN, "action_frame": 6}) == {"held": 1, "held_frames": 0.1}
    assert changes(other={"action": IS_FREED, "action_frame": 6}) == {}


@pytest.mark.parametrize(
    ("x", "y", "facing", "reach"),
    [(15, 0, 1, 1), (16, 0, 1, 0), (-1, 0, 1, 0), (-15, 0, -1, 1), (5, 11, 1, 1), (5, -11, 1, 1), (5, 12, 1, 0)],
)
def test_who_is_in_nanas_reach(x, y, facing, reach):
    found = told(made(nana={"facing": facing}, other={"x": x, "y": y}))
    assert found["in_reach"] == reach
    assert (found["ahead"], found["above"]) == (pytest.approx(0.05 * x * facing), pytest.approx(0.05 * y))


@pytest.mark.parametrize("thrower", ["popo", "nana"])
def test_a_handoff_is_open_from_the_release_to_the_end_of_the_throw(thrower):
    throws, reels = {"action": THROW_DOWN}, {"action": REELS, "hitstun": 30}
    assert told(made(**{thrower: throws}, other=reels))["handoff"] == 0.5
    assert told(made(**{thrower: throws}, other=reels | {"action": IS_THROWN}))["handoff"] == 0
    assert told(made(**{thrower: {"action": WAIT}}, other=reels))["handoff"] == 0


def test_both_sides_are_told_alike_and_nobody_without_nana(game):
    given = {"popo": {"x": 4.0, "action": THROW_DOWN}, "nana": {"x": 9.0}, "other": {"hitstun": 9, "y": 3.0}}
    own, theirs = told(made(**given), 0), told(made(**given, side=1), 1)
    assert own == theirs
    assert not any(value.any() for value in told(made(**given), 1).values()), "the other side has no Nana"
    whole = game(GAMES[0])
    there = whole.nana.exists[:, 0] > 0
    block = np.stack(list(told(whole).values()), -1)
    assert not there.all() and not block[~there].any() and block[there].any(-1).all()
    assert not game("peach_vs_marth_final_destination_028").nana.exists.any()
    assert not any(v.any() for s in (0, 1) for v in told(game("peach_vs_marth_final_destination_028"), s).values())


def test_a_real_game_has_desyncs_grabs_and_handoffs(game):
    found = told(game(GAMES[0]))
    assert set(np.unique(found["popo_grab"])) == set(np.unique(found["nana_grab"])) == {0, 0.25, 0.5, 0.75, 1}
    assert set(np.unique(found["held"])) == {0, 0.5, 1} and set(np.unique(found["one_can_act"])) == {-1, 0, 1}
    held = (found["popo_grab"] == 0.5) | (found["nana_grab"] == 0.5)
    assert (found["held"][held] > 0).mean() > 0.9, "who is held is in somebody's hands"
    assert 20 < (found["handoff"] > 0).sum() < 300
    assert 0.05 < found["in_reach"].mean() < 0.5


def test_hitlag_controllers_and_the_other_nana_do_not_matter(game):
    whole = game(GAMES[0])
    noise, random = Game(whole.rows.copy()), np.random.default_rng(3)
    row = noise.rows.view(ROW)[..., 0]
    for group in ("players", "nana"):
        for name in ("hitlag", "main_x", "main_y", "c_x", "c_y", "shoulder", "buttons"):
            row[group][name] = random.integers(0, 2, row[group][name].shape)
    assert np.array_equal(TABLE.encode(noise)[0][:, FIRST:], TABLE.encode(whole)[0][:, FIRST:])


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("seat", [0, 1])
def test_a_mirrored_game_is_the_rows_times_their_signs(game, name, seat):
    whole = game(name).seen_from(seat)
    turned = Game(whole.rows.copy())
    for group in (turned.players, turned.nana):
        for column in ("x", "facing", "speed_air_x", "speed_ground_x", "speed_x_attack"):
            getattr(group, column)[...] *= -1
    signs = TABLE.mirror.array[FIRST:]
    assert np.array_equal(TABLE.encode(whole)[0][:, FIRST:] * signs, TABLE.encode(turned)[0][:, FIRST:])
    assert (signs == -1).sum() == 2, "the distance from Popo, once for each side; what is in front stays in front"


@pytest.mark.parametrize("name", GAMES)
def test_one_frame_a_batch_and_torch_agree_within_the_ranges(game, name):
    for whole in (game(name), game(name).seen_from(1)):
        floats = TABLE.encode(whole)[0]
        for t in range(0, len(whole), 47):
            assert TABLE.encode(whole[t])[0].tobytes() == floats[t].tobytes(), t
        other = TABLE.encode(Game(torch.from_numpy(whole.rows)))[0]
        assert np.abs(other.numpy() - floats).max() <= 1e-6
        assert np.isfinite(floats).all()
        for at, row in enumerate(climbers.PART.rows * 2):
            part = floats[:, FIRST + at]
            assert row.low <= part.min() and part.max() <= row.high, row.name
