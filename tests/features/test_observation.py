"""The feature table against its declared layout, on columns written by hand and on real games."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exphil.features.observation import Table
from exphil.features.rows import CONTROLLER, NUM_PROJECTILES, Feature
from exphil.game.frames import ROW, Game
from exphil.game.ids import NUM_ACTIONS, NUM_CHARACTERS, Action, Stage, stage_from_memory
from exphil.game.stages import GEOMETRY

TABLE = Table(112, False)
ICE = "ice_climbers_vs_captain_falcon_pokemon_stadium_019"
GAMES = (
    ICE,
    "peach_vs_marth_final_destination_028",
    "samus_vs_captain_falcon_pokemon_stadium_031",
    "marth_vs_falco_yoshis_story_025",  # Slippi 2.0.1: no speeds, no items
    "sheik_vs_sheik_pokemon_stadium_035",
)


def places(table: Table) -> dict[tuple[str, str], tuple[slice, Feature]]:
    """Where each row of the table stands among the floats."""
    found, at = {}, 0
    for where, row in table.rows():
        found[where, row.name] = slice(at, at + row.width), row
        at += row.width
    return found


PLACES = places(TABLE)


def one(floats: np.ndarray, where: str, name: str) -> np.ndarray:
    """The numbers of one row of the default table."""
    part = floats[..., PLACES[where, name][0]]
    return part[..., 0] if part.shape[-1] == 1 else part


def columns(game: Game) -> np.ndarray:
    """The rows of a numpy game as a structured array that can be written."""
    return game.rows.view(ROW)[..., 0]


def plain(frames: int = 1, stage: int = Stage.BATTLEFIELD) -> Game:
    """Two players who stand somewhere."""
    made = Game.empty(frames)
    row = columns(made)
    row["stage"], row["frame"] = stage, np.arange(frames)
    for group, value in {"facing": 1, "stocks": 4, "jumps": 2, "exists": 1, "action": Action.WAIT}.items():
        row["players"][group] = value
    return made


def encode(game: Game) -> np.ndarray:
    return TABLE.encode(game)[0]


def test_the_default_layout_is_283_floats_and_4_ids():
    floats, ids = TABLE.encode(plain(3))
    assert (floats.shape, floats.dtype) == ((3, 283), np.float32)
    assert (ids.shape, ids.dtype) == ((3, 4), np.int64)
    assert (TABLE.floats, TABLE.ids) == (283, 4)


@pytest.mark.parametrize(("names", "missing", "floats"), [(112, False, 283), (0, False, 171), (112, True, 289)])
def test_the_options_of_the_table_change_its_width(names, missing, floats):
    table = Table(names, missing)
    assert table.floats == floats == sum(row.width for _, row in table.rows()) == table.encode(plain())[0].shape[-1]


def test_without_style_the_guides_widths_hold():
    """171 floats and 4 ids are the 175 numbers of the layout without player names."""
    assert Table(0, False).floats + Table(0, False).ids == 175


def test_sections_stand_in_the_documented_order_and_widths():
    """56 a player (17 and Nana's 39), 7 stage, 13 + 112 own controller and style, 4 game, 5 projectiles of 7."""
    widths = [(section.names[0], section.width // len(section.names)) for section in TABLE.sections]
    assert widths == [("own", 56), ("game", 7), ("own", 125), ("game", 4), ("projectile 1", 7)]
    assert [part.width for part in TABLE.sections[0].parts] == [17, 39]
    assert TABLE.controller == slice(119, 132)
    places = [PLACES["own", row.name][0] for row in CONTROLLER]
    assert [number for place in places for number in range(place.start, place.stop)] == list(range(119, 132))


def test_every_row_has_its_own_name():
    assert len(PLACES) == len(list(TABLE.rows()))


def test_presence_bits_say_what_a_file_holds(game):
    """An old file has the bits of what it lacks at 0, a new one has all at 1; the other floats stay the same."""
    table = Table(112, True)
    names = [row.name for _, row in table.rows()][-6:]
    assert names == ["has_action_frame", "has_state", "has_invulnerable", "has_items", "has_speeds", "has_item_owner"]
    old, new = game("marth_vs_falco_yoshis_story_025"), game("peach_vs_marth_final_destination_028")
    assert (table.encode(new)[0][:, -6:] == 1).all()
    bits = table.encode(old)[0][:, -6:]
    assert (bits == [1, 1, 0, 0, 0, 1]).all()
    assert np.array_equal(table.encode(old)[0][:, :-6], encode(old))
    owners = table.encode(game("falco_vs_fox_pokemon_stadium_009"))[0][:, -6:]  # Slippi 3.3, with lasers
    assert (owners == [1, 1, 1, 1, 0, 0]).all()


@pytest.mark.parametrize("name", GAMES)
def test_a_live_row_is_the_batch_row_bit_for_bit(game, name):
    """A frame encoded alone, without or with a leading axis, is its row of the encoded game."""
    whole = game(name).seen_from(1)
    floats, ids = TABLE.encode(whole)
    for t in [*range(400), *range(400, len(whole), 7)]:
        alone, alone_ids = TABLE.encode(whole[t])
        assert alone.tobytes() == floats[t].tobytes(), t
        assert np.array_equal(alone_ids, ids[t])
    for t in range(0, len(whole), 11):
        rowed, rowed_ids = TABLE.encode(whole[t : t + 1])
        assert rowed.tobytes() == floats[t : t + 1].tobytes()
        assert np.array_equal(rowed_ids, ids[t : t + 1])


@pytest.mark.parametrize("name", GAMES)
def test_numpy_and_torch_agree_to_1e_6(game, name):
    whole = game(name)
    floats, ids = TABLE.encode(whole)
    other, other_ids = TABLE.encode(Game(torch.from_numpy(whole.rows)))
    assert other.dtype == torch.float32
    assert np.abs(other.numpy() - floats).max() <= 1e-6
    assert np.array_equal(other_ids.numpy(), ids)


def test_the_leading_shape_changes_nothing(game):
    """A batch of stretches gives the rows of the game."""
    whole = game(ICE)[:1200]
    batch = Game(np.ascontiguousarray(whole.rows.reshape(4, 300, -1)))
    assert np.array_equal(encode(batch).reshape(1200, -1), encode(whole))


@pytest.mark.parametrize("seat", [0, 1])
def test_every_row_stays_in_its_declared_range_on_every_real_game(full_games, manifest, seat):
    """Finite, within low and high, and every id within its vocabulary."""
    from exphil.replays import slp

    table = Table(112, True)
    found = places(table)
    low = np.concatenate([np.full(row.width, row.low) for _, row in found.values()])
    high = np.concatenate([np.full(row.width, row.high) for _, row in found.values()])
    for path in full_games:
        if manifest[path.name]["slippi_version"].startswith("1."):
            continue
        floats, ids = table.encode(slp.read(path).game.seen_from(seat)[::5])
        assert np.isfinite(floats).all(), path.name
        assert (floats >= low).all() and (floats <= high).all(), path.name
        assert (ids >= 0).all() and (ids < [NUM_ACTIONS, NUM_ACTIONS, NUM_CHARACTERS, NUM_CHARACTERS]).all()


def test_facing_left_and_right_differ_in_the_facing_feature_alone():
    for player, who in enumerate(("own", "opponent")):
        left, right = plain(), plain()
        columns(left)["players"]["facing"][:, player] = -1
        changed = np.nonzero(encode(left)[0] != encode(right)[0])[0]
        at = PLACES[who, "facing"][0].start
        assert changed.tolist() == [at]
        assert (encode(left)[0, at], encode(right)[0, at]) == (-1, 1)


def test_nanas_facing_is_hers():
    left, right = plain(), plain()
    for made, facing in ((left, -1), (right, 1)):
        columns(made)["nana"]["exists"], columns(made)["nana"]["facing"] = 1, facing
    changed = np.nonzero(encode(left)[0] != encode(right)[0])[0]
    assert changed.tolist() == [PLACES[who, "nana.facing"][0].start for who in ("own", "opponent")]


def test_nana_is_zeros_where_she_is_not_and_seen_where_she_is(game):
    whole = game(ICE)
    there = whole.nana.exists[:, 0] > 0
    assert 0.1 < there.mean() < 1.0 and not whole.nana.exists[:, 1].any()
    floats = encode(whole)
    names = [name for who, name in PLACES if who == "own" and (name.startswith("nana.") or name == "nana.exists")]
    block = slice(PLACES["own", names[0]][0].start, PLACES["own", names[-1]][0].stop)
    assert block.stop - block.start == 39
    assert not floats[~there, block].any()
    assert (one(floats, "own", "nana.exists")[there] == 1).all()
    assert (one(floats, "own", "nana.category")[there].sum(-1) == 1).all()
    assert np.allclose(one(floats, "own", "nana.x")[there], (whole.nana.x[there, 0] * 0.05).clip(-10, 10))
    assert not floats[:, PLACES["opponent", names[0]][0].start : PLACES["opponent", names[-1]][0].stop].any()


def test_nana_is_synced_when_she_does_what_popo_does():
    """Synced compares each Nana with her own Popo, in groups of states."""
    made = plain()
    row = columns(made)
    row["nana"]["exists"] = 1
    row["players"]["action"], row["nana"]["action"] = (
        [[0x0E, 0x0F]],
        [[0x0F, 0x10]],
    )  # own: wait, walk; other: walk, walk
    floats = encode(made)
    assert one(floats, "own", "nana.synced") == 0
    assert one(floats, "opponent", "nana.synced") == 1


def test_projectiles_are_zeros_where_there_are_none_and_seen_where_there_are(game):
    whole = game("samus_vs_captain_falcon_pokemon_stadium_031")
    floats, first = encode(whole), PLACES["projectile 1", "exists"][0].start
    block = floats[:, first : first + 7 * NUM_PROJECTILES].reshape(-1, NUM_PROJECTILES, 7)
    there = whole.items.exists[:, :NUM_PROJECTILES] > 0
    assert there[:, 0].any() and not there.all()
    assert (block[there][:, 0] == 1).all() and not block[~there].any()
    assert np.allclose(block[there][:, 1], whole.items.owner[:, :NUM_PROJECTILES][there] * 0.5)
    assert np.allclose(block[there][:, 2], (whole.items.x[:, :NUM_PROJECTILES][there] * 0.05).clip(-10, 10))
    assert np.allclose(block[there][:, 4], whole.items.type[:, :NUM_PROJECTILES][there] * 0.01)


def test_an_owner_changes_sides_with_the_seat(game):
    whole = game("samus_vs_captain_falcon_pokemon_stadium_031")
    own, other = (one(encode(whole.seen_from(seat)), "projectile 1", "owner") for seat in (0, 1))
    assert own.any() and np.array_equal(own, -other)


def test_stage_8_is_yoshis_story_and_never_fountain_of_dreams():
    """External 8 lights Yoshi's slot; the 8 of the console's memory is another numbering, converted at the border."""
    slots = {stage: one(encode(plain(stage=stage)), "game", "stage")[0] for stage in Stage}
    assert Stage(8) is Stage.YOSHIS_STORY and stage_from_memory(8) is Stage.FOUNTAIN_OF_DREAMS
    assert slots[8].tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert slots[2].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert np.array_equal(np.stack(list(slots.values())), np.eye(6, 7))
    assert one(encode(plain(stage=19)), "game", "stage")[0].tolist() == [0] * 6 + [1]


def scrambled(game: Game, group: str, seat: int, seed: int) -> Game:
    """A copy in which one player's controller is noise."""
    random, made = np.random.default_rng(seed), Game(game.rows.copy())
    row = columns(made)[group]
    for axis in ("main_x", "main_y", "c_x", "c_y", "shoulder"):
        row[axis][:, seat] = random.uniform(-1, 1, len(game))
    row["buttons"][:, seat] = random.integers(0, 0x2000, len(game))
    return made


@pytest.mark.parametrize("group", ["players", "nana"])
def test_the_opponents_controller_never_matters(game, group):
    whole = game(ICE)
    for seen in (whole, whole.seen_from(1)):
        for table in (TABLE, Table(0, True)):
            assert np.array_equal(table.encode(scrambled(seen, group, 1, 5))[0], table.encode(seen)[0])


def test_the_own_nanas_controller_never_matters(game):
    assert np.array_equal(encode(scrambled(game(ICE), "nana", 0, 6)), encode(game(ICE)))


def test_the_own_controller_matters_in_its_block_alone(game):
    before, after = encode(game(ICE)), encode(scrambled(game(ICE), "players", 0, 7))
    changed = np.nonzero((before != after).any(0))[0]
    assert changed.tolist() == list(range(119, 132))


@pytest.mark.parametrize(("percent", "shown"), [(0.0, 0), (0.99, 0), (1.0, 1), (33.97, 33), (99.999, 99), (700.0, 500)])
def test_percent_is_floored(percent, shown):
    """As UMI shows it; 500 is the most that the row's range holds."""
    made = plain()
    columns(made)["players"]["percent"] = percent
    columns(made)["nana"]["percent"], columns(made)["nana"]["exists"] = percent, 1
    for who in ("own", "opponent"):
        for name in ("percent", "nana.percent"):
            assert one(encode(made), who, name) == pytest.approx(shown * 0.01, abs=1e-7)


@pytest.mark.parametrize("stage", Stage)
def test_ledge_distance_is_0_at_the_ledge_1_in_the_centre_and_negative_off_stage(stage):
    ledge, made = GEOMETRY[stage].ledge_x, plain(5, stage)
    columns(made)["players"]["x"] = np.array([0, ledge, -ledge, 1.5 * ledge, -1.5 * ledge])[:, None]
    assert np.allclose(one(encode(made), "own", "ledge_distance"), [1, 0, 0, -0.5, -0.5], atol=1e-6)
    assert np.allclose(one(encode(made), "opponent", "ledge_distance"), [1, 0, 0, -0.5, -0.5], atol=1e-6)


def test_style_k_lights_exactly_slot_k_minus_1():
    made = plain(114)
    columns(made)["players"]["style"][:, 0] = np.arange(114)  # 113 is more than the table holds
    columns(made)["players"]["style"][:, 1] = 7  # the opponent's is no feature
    style = one(encode(made), "own", "style")
    assert np.array_equal(style[1:113], np.eye(112))
    assert not style[0].any() and not style[113].any()


def test_a_learned_style_is_one_more_id_and_no_floats():
    """Numbers the table has no room for are nobody's, as in the one-hot, for numpy and for torch."""
    table, made = Table(112, False, "learned"), plain(116)
    assert (table.floats, table.ids) == (171, 5) and table.vocabularies[-1][:3] == ("own_style", "style", 113)
    columns(made)["players"]["style"][:, 0] = np.arange(-2, 114)
    columns(made)["players"]["style"][:, 1] = 7  # the opponent's is no feature
    floats, ids = table.encode(made)
    assert np.array_equal(ids[:, 4], [0, 0, *range(113), 0]) and ids.dtype == np.int64
    assert np.array_equal(floats, Table(0, False).encode(made)[0])
    assert np.array_equal(table.encode(Game(torch.from_numpy(made.rows)))[1].numpy(), ids)
    assert np.array_equal(ids[:, :4], TABLE.encode(made)[1])
    assert Table(0, False, "learned") != Table(0, False) and Table(0, False, "learned").ids == 4


def test_distances_are_measured_from_the_own_player():
    made = plain()
    row = columns(made)["players"]
    row["x"], row["y"] = [[10.0, 40.0]], [[0.0, 40.0]]
    assert one(encode(made), "game", "dx") == pytest.approx(30 / 200)
    assert one(encode(made), "game", "dy") == pytest.approx(40 / 100)
    assert one(encode(made), "game", "distance") == pytest.approx(50 / 200)
    assert one(encode(made.seen_from(1)), "game", "dx") == pytest.approx(-30 / 200)


def test_ids_are_actions_and_characters_of_both_players(game):
    whole = game(ICE)
    ids = TABLE.encode(whole)[1]
    assert np.array_equal(ids[:, :2], whole.players.action)
    assert np.array_equal(ids[:, 2:], whole.players.character)
    assert np.array_equal(TABLE.encode(whole.seen_from(1))[1], ids[:, [1, 0, 3, 2]])


def test_the_fingerprint_changes_with_every_parameter():
    tables = [Table(names, missing) for names in (0, 1, 112) for missing in (False, True)]
    tables += [Table(names, False, "learned") for names in (1, 112)]
    assert len({table.fingerprint for table in tables}) == len(tables)
    assert Table(112, False).fingerprint == TABLE.fingerprint
