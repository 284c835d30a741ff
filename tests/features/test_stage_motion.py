"""What moves on the stages, as the table gives it: by hand, in recorded games, mirrored, on numpy and on torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exphil.features import stage_motion
from exphil.features.observation import Table
from exphil.game.frames import ROW, Game, Lacks
from exphil.game.ids import Stage
from exphil.game.stages import RANDALL

TABLE = Table(0, False, stage_motion=True)
DEFAULT = Table(0, False).floats
STADIUM = "edge_stadium_transformation_events"
FOUNTAIN = "edge_v3_18_fod_events"
YOSHIS = "jigglypuff_vs_fox_yoshis_story_021"
DREAM_LAND = "captain_falcon_vs_captain_falcon_dream_land_001"  # Slippi 3.7: nobody knows the wind


def made(stage: Stage, frames: int = 1, **columns: object) -> Game:
    """An empty stage with some columns."""
    game = Game.empty(frames)
    row = game.rows.view(ROW)[..., 0]
    row["stage"], row["frame"] = stage, np.arange(frames) - 123
    for name, value in columns.items():
        row[name] = value
    return game


def rows(game: Game, table: Table = TABLE) -> dict[str, np.ndarray]:
    """The rows that the option adds, by name: they stand after those of the default table."""
    floats, at, found = np.asarray(table.encode(game)[0]), DEFAULT, {}
    for row in stage_motion.ROWS:
        if row.name not in table.left_out:
            found[row.name] = floats[..., at] if row.width == 1 else floats[..., at : at + row.width]
            at += row.width
    return found


def test_the_option_adds_14_floats_after_all_others_and_8_for_umi():
    assert TABLE.floats - DEFAULT == 14 == sum(row.width for row in stage_motion.ROWS)
    safe = Table(0, False, stage_motion=True, umi_safe=True)
    assert safe.floats - DEFAULT == 8 and safe.left_out == ("stadium", "whispy")
    assert set(stage_motion.NOT_IN_UMI) < {row.name for row in stage_motion.ROWS}
    assert {row for row, _ in stage_motion.NEEDED.values()} < {row.name for row in stage_motion.ROWS}


def test_randall_is_where_the_frame_says_and_goes_where_he_is_next():
    found = rows(made(Stage.YOSHIS_STORY, 3000))
    present, place, motion = np.split(found["randall"], [1, 3], -1)
    assert (present == 1).all()
    assert np.array_equal(place, RANDALL[(np.arange(3000) - 123) % 1200] * np.float32(0.05))
    step = np.diff(place / 0.05, axis=0)
    assert np.allclose(motion[:-1] / 0.5, step, atol=1e-4)
    assert np.hypot(*step.T).max() < 0.36


@pytest.mark.parametrize("stage", Stage)
def test_nothing_moves_on_another_stage(stage):
    """Whatever stands in the columns; the wind's column is only ever written on Dream Land."""
    found = rows(made(stage, 400, platforms=(20.0, 28.0), stadium=3))
    owner = {Stage.YOSHIS_STORY: "randall", Stage.FOUNTAIN_OF_DREAMS: "platforms", Stage.POKEMON_STADIUM: "stadium"}
    for name, values in found.items():
        assert bool(values.any()) == (name == owner.get(stage)), name


def test_the_heights_are_their_mean_and_half_of_their_difference():
    found = rows(made(Stage.FOUNTAIN_OF_DREAMS, platforms=(20.0, 28.0)))
    present, mean, half = found["platforms"][0] / (1, 0.05, 0.05)
    assert (mean - half, mean + half) == pytest.approx((16.125, 22.125), abs=1e-4) and present == 1


def test_characters_stand_on_the_platforms_where_the_rows_say_they_are(game):
    whole = game(FOUNTAIN)
    found, players = rows(whole), whole.players
    _, mean, half = found["platforms"].T / 0.05
    stands = 0
    for side, height in ((-1, mean - half), (1, mean + half)):
        there = (side * players.x > 22) & (side * players.x < 48) & (players.on_ground > 0) & (players.action > 0x0D)
        there &= (players.y > 3) & (players.y < 35)
        stands += there.sum()
        there &= players.action != 0xF2  # being thrown
        assert np.abs(players.y - height[:, None])[there].max() < 0.001, side
    assert stands > 30
    assert np.ptp(mean) > 1, "the platforms move, though nobody stands on one then"


def test_the_form_of_the_stadium_is_what_was_last_announced(game):
    forms = rows(game(STADIUM))["stadium"]
    assert (forms.sum(-1) == 1).all()
    changes = np.flatnonzero((forms[1:] != forms[:-1]).any(-1)) + 1
    assert changes.tolist() == [3827, 6233, 10570, 12524]
    names = [stage_motion.FORMS[forms[at].argmax()] for at in (0, *changes)]
    assert names == ["normal", "water", "normal", "fire", "normal"]


def test_every_form_has_its_place_and_an_unknown_one_none():
    forms = rows(made(Stage.POKEMON_STADIUM, 8, stadium=[0, 5, 3, 4, 6, 9, 7, 999]))["stadium"]
    assert np.array_equal(forms[:6], np.eye(5)[[0, 0, 1, 2, 3, 4]]) and not forms[6:].any()


def test_the_wind_has_a_direction():
    assert rows(made(Stage.DREAM_LAND, 3, whispy=[0, 1, 2]))["whispy"].tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("stage", "bit", "name"),
    [
        (Stage.FOUNTAIN_OF_DREAMS, Lacks.PLATFORMS, "platforms"),
        (Stage.POKEMON_STADIUM, Lacks.STADIUM, "stadium"),
        (Stage.DREAM_LAND, Lacks.WHISPY, "whispy"),
    ],
)
def test_what_the_file_does_not_say_is_zeros_and_has_a_presence_bit(stage, bit, name):
    columns = {"platforms": (20.0, 28.0), "stadium": 3}
    for lacks, there in ((0, True), (int(bit), False)):
        game = made(stage, lacks=lacks, **(columns if bit != Lacks.WHISPY else {"whispy": there * 2}))
        shown = [values.any() for key, values in rows(game).items() if key == name]
        assert all(shown) == any(shown) == there
        table = Table(0, True, stage_motion=True)
        found = [row.name for _, row in table.rows()]
        assert found[-3:] == ["has_platforms", "has_stadium", "has_whispy"]
        assert table.encode(game)[0][0, found.index(f"has_{name}") - len(found)] == there


def test_only_what_umi_holds_is_needed_for_umi():
    assert set(stage_motion.NEEDED) & set(TABLE.needed) == set(stage_motion.NEEDED)
    needed = Table(0, False, stage_motion=True, umi_safe=True).needed
    assert Lacks.PLATFORMS in needed and not {Lacks.STADIUM, Lacks.WHISPY} & set(needed)
    assert not set(stage_motion.NEEDED) & set(Table(0, False).needed)


def test_a_mirrored_stage_is_the_rows_times_their_signs(game):
    """The platforms change places and the wind turns; doing it by signs is exact."""
    whole = Game(game(FOUNTAIN).rows.copy())
    turned = Game(whole.rows.copy())
    turned.platforms[...] = whole.platforms[:, ::-1]
    wind = made(Stage.DREAM_LAND, 3, whispy=[0, 1, 2])
    turned_wind = made(Stage.DREAM_LAND, 3, whispy=[0, 2, 1])
    for left, right in ((whole, turned), (wind, turned_wind)):
        at = slice(DEFAULT, None)
        assert np.array_equal((TABLE.encode(left)[0] * TABLE.mirror.array)[:, at], TABLE.encode(right)[0][:, at])
    signs = {row.name: row.mirror for row in stage_motion.ROWS}
    assert signs["randall"] == (1, -1, 1, -1, 1), "his x and where it goes"


@pytest.mark.parametrize("name", [STADIUM, FOUNTAIN, YOSHIS, DREAM_LAND])
def test_one_frame_a_batch_and_torch_agree_within_the_ranges(game, name):
    whole = game(name)
    floats = TABLE.encode(whole)[0]
    for t in range(0, len(whole), 97):
        assert TABLE.encode(whole[t])[0].tobytes() == floats[t].tobytes(), t
    other = TABLE.encode(Game(torch.from_numpy(whole.rows)))[0]
    assert np.abs(other.numpy() - floats).max() <= 1e-6
    at = DEFAULT
    for row in stage_motion.ROWS:
        part = floats[:, at : at + row.width]
        assert row.low < part.min() + 1e-6 and part.max() <= row.high, row.name
        if "place" in row.name or "height" in row.name:
            assert np.abs(part).max() < 6, "well within: nothing is cut off"
        at += row.width
