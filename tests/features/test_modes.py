"""Every mode of the feature table: how wide it is, and that it tells what the default tells in another form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from exphil.features.observation import Recent, Table
from exphil.features.view import controllers
from exphil.game.frames import Game
from exphil.game.ids import CATEGORY_OF_ACTION
from exphil.game.time import MAX_DELAY

ICE = "ice_climbers_vs_captain_falcon_pokemon_stadium_019"
DEFAULT = Table(112, False)
ONE_HOT = Table(112, False, action_mode="one_hot", character_mode="one_hot", stage_mode="full")
MODES = {
    "stage_mode": ("full", "compact", "learned"),
    "action_mode": ("one_hot", "learned"),
    "character_mode": ("one_hot", "learned"),
    "nana_mode": ("compact", "enhanced", "full"),
    "jumps_normalized": (True, False),
    "stage_motion": (False, True),
    "ic_tech": (False, True),
    "umi_safe": (False, True),
}


def part(table: Table, floats, name: str, who: str = "own"):
    """The numbers of the first row of this name."""
    at = 0
    for owner, row in table.rows():
        if (owner, row.name) == (who, name):
            return floats[..., at : at + row.width]
        at += row.width
    raise KeyError(name)


@pytest.mark.parametrize(
    ("modes", "floats", "ids"),
    [
        ({}, 283, 4),
        ({"stage_mode": "full"}, 340, 4),
        ({"stage_mode": "learned"}, 276, 5),
        ({"action_mode": "one_hot"}, 1081, 2),
        ({"character_mode": "one_hot"}, 349, 2),
        ({"action_mode": "one_hot", "character_mode": "one_hot", "stage_mode": "full"}, 1204, 0),
        ({"nana_mode": "enhanced"}, 233, 6),
        ({"nana_mode": "enhanced", "stage_mode": "learned"}, 226, 7),
        ({"nana_mode": "enhanced", "action_mode": "one_hot"}, 1031, 4),
        ({"nana_mode": "full"}, 239, 6),
        ({"nana_mode": "full", "action_mode": "one_hot", "character_mode": "one_hot"}, 1967, 0),
        ({"jumps_normalized": False}, 295, 4),
        ({"nana_mode": "full", "jumps_normalized": False}, 263, 6),
        ({"ic_tech": True}, 315, 4),
        ({"stage_motion": True}, 297, 4),
        ({"stage_motion": True, "umi_safe": True}, 291, 4),
        ({"max_delay": 18}, 283 + 18 * 13 + 1, 4),
    ],
)
def test_the_modes_have_the_stated_widths(modes, floats, ids):
    """1204 is the earlier system's all one-hot layout; enhanced Nana is 14 floats and an id, full is 17 or 449."""
    table = replace(DEFAULT, **modes)
    assert (table.floats, table.ids) == (floats, ids)
    assert sum(row.width for _, row in table.rows()) == sum(width for _, width in table.blocks()) == floats


def test_nana_is_39_or_14_or_as_wide_as_popo():
    widths = {mode: dict(replace(ONE_HOT, nana_mode=mode).blocks())["nana"] // 2 for mode in MODES["nana_mode"]}
    assert widths == {"compact": 39, "enhanced": 14, "full": 449}


@pytest.mark.parametrize("late", [0, 5])
@pytest.mark.parametrize("seed", range(6))
def test_any_mix_of_modes_encodes_alike_alone_in_a_batch_and_in_torch(game, seed, late):
    """Bit for bit within numpy, to 1e-6 in torch, within the declared ranges; on games with Nana and with items."""
    random = np.random.default_rng(seed)
    modes = {name: random.choice(np.array(choices, object)) for name, choices in MODES.items()}
    table = Table(int(random.choice([0, 7])), bool(seed % 2), max_delay=late, **modes)
    name = (ICE, "samus_vs_captain_falcon_pokemon_stadium_031", "marth_vs_fox_yoshis_story_026")[seed % 3]
    seen = game(name).seen_from(seed % 2)[::23]
    held = random.choice([0.0, 0.25, 1.0], (len(seen), late * 13)).astype(np.float32)
    waits = Recent(held, random.integers(0, late + 1, len(seen))) if late else None
    floats, ids = table.encode(seen, waits)
    assert floats.shape == (len(seen), table.floats) and ids.shape == (len(seen), table.ids)
    for at in range(0, len(seen), 7):
        one = Recent(held[at], waits.delay[at]) if waits else None
        alone, alone_ids = table.encode(seen[at], one)
        assert alone.tobytes() == floats[at].tobytes() and np.array_equal(alone_ids, ids[at])
    other = Recent(*map(torch.from_numpy, waits)) if waits else None
    tensors, tensor_ids = table.encode(Game(torch.from_numpy(seen.rows)), other)
    assert np.abs(tensors.numpy() - floats).max() <= 1e-6 and np.array_equal(tensor_ids.numpy(), ids)
    low, high = (
        np.concatenate([np.full(r.width, getattr(r, end)) for _, r in table.rows()]) for end in ("low", "high")
    )
    assert (floats >= low - 1e-6).all() and (floats <= high + 1e-6).all()


def test_ids_are_where_the_one_hots_are_lit(game):
    """The two forms of actions, characters and stages are equal; expanding the ids gives the one-hots, in torch too."""
    seen = game(ICE).seen_from(0)[::31]
    learned = replace(DEFAULT, stage_mode="learned", nana_mode="full")
    floats, _ = replace(ONE_HOT, nana_mode="full").encode(seen)
    _, ids = learned.encode(Game(torch.from_numpy(seen.rows)))
    named = {found.name: ids[:, at] for at, found in enumerate(learned.vocabularies)}
    table = replace(ONE_HOT, nana_mode="full")
    for who in ("own", "opponent"):
        for kind, width in (("action", 399), ("character", 33)):
            lit = torch.nn.functional.one_hot(named[f"{who}_{kind}"], width)
            assert np.array_equal(part(table, floats, kind, who), lit.numpy())
    there = seen.nana.exists[:, 0] > 0
    lit = torch.nn.functional.one_hot(named["own_nana_action"], 399).numpy()
    assert there.any() and np.array_equal(part(table, floats, "nana.action")[there], lit[there])
    assert np.array_equal(part(table, floats, "stage", "game"), torch.nn.functional.one_hot(named["stage"], 64).numpy())


def test_enhanced_nana_is_synced_only_in_the_same_action_state(game):
    seen = game(ICE).seen_from(0)
    there = seen.nana.exists[:, 0] > 0
    same = seen.nana.action[:, 0] == seen.players.action[:, 0]
    alike = CATEGORY_OF_ACTION[seen.nana.action[:, 0]] == CATEGORY_OF_ACTION[seen.players.action[:, 0]]
    for mode, expected in (("enhanced", same), ("compact", alike)):
        table = replace(DEFAULT, nana_mode=mode)
        synced = part(table, table.encode(seen)[0], "nana.synced")[:, 0]
        assert np.array_equal(synced[there], expected[there]) and not synced[~there].any()
    assert (same != alike)[there].any()


def test_full_nana_is_read_as_popo_is(game):
    """On the other player's rows: what is Nana in one game is Popo in a game with the two swapped."""
    seen = game(ICE).seen_from(0)
    there = seen.nana.exists[:, 0] > 0
    table = replace(ONE_HOT, nana_mode="full", jumps_normalized=False)
    floats = table.encode(seen)[0]
    row = seen.rows.copy().view(seen_dtype())[..., 0]
    row["players"][:, 0], row["nana"][:, 0] = row["nana"][:, 0].copy(), row["players"][:, 0].copy()
    swapped = table.encode(Game(row.view(np.uint8).reshape(seen.rows.shape)))[0]
    for name in ("percent", "x", "action", "jumps", "shield", "speed_y", "hitstun", "action_frame", "stocks"):
        assert np.array_equal(part(table, floats, f"nana.{name}")[there], part(table, swapped, name)[there]), name


def seen_dtype():
    """One row, named."""
    from exphil.game.frames import ROW

    return ROW


def test_jumps_are_a_share_of_six_or_one_of_seven(game):
    seen = game(ICE).seen_from(1)
    one_of = replace(DEFAULT, jumps_normalized=False)
    lit, share = part(one_of, one_of.encode(seen)[0], "jumps"), part(DEFAULT, DEFAULT.encode(seen)[0], "jumps")
    assert np.array_equal(lit.argmax(1), seen.players.jumps[:, 0]) and (lit.sum(1) == 1).all()
    assert np.allclose(lit.argmax(1) / 6, share[:, 0])


def test_recent_controllers_stand_oldest_first_with_the_delay_and_the_newest_is_held(game):
    seen = game(ICE).seen_from(0)[:4]
    table = replace(DEFAULT, max_delay=3)
    held = np.arange(1, 1 + 4 * 3 * 13, dtype=np.float32).reshape(4, 39) / 1000
    floats, _ = table.encode(seen, Recent(held, np.array([0, 1, 2, 3])))
    assert np.array_equal(floats[:, :283], DEFAULT.encode(seen)[0])
    assert np.array_equal(floats[:, 283:-1], held) and np.array_equal(floats[:, table.held], held[:, -13:])
    assert np.allclose(floats[:, -1] * 30, [0, 1, 2, 3])
    assert DEFAULT.held == DEFAULT.controller == table.controller != table.held


def test_a_table_with_room_for_delay_wants_the_recent_controllers(game):
    with pytest.raises(ValueError, match="2 recent controllers"):
        replace(DEFAULT, max_delay=2).encode(game(ICE)[:1])
    assert replace(DEFAULT, max_delay=MAX_DELAY).floats == 283 + 60 * 13 + 1


def test_umi_safe_names_what_umi_lacks_and_leaves_only_that_out():
    whole = replace(DEFAULT, stage_motion=True)
    safe = replace(whole, umi_safe=True)
    names = [row.name for _, row in whole.rows()]
    assert [row.name for _, row in safe.rows()] == [name for name in names if name not in safe.left_out]
    assert safe.left_out == ("stadium", "whispy") and whole.left_out == () == replace(DEFAULT, umi_safe=True).left_out
    assert set(safe.needed) < set(whole.needed)


def test_the_fingerprint_changes_with_every_mode():
    made = [replace(DEFAULT, **{name: choice}) for name, choices in MODES.items() for choice in choices]
    made += [replace(DEFAULT, max_delay=most) for most in (1, 2)]
    made += [replace(DEFAULT, stage_motion=True, umi_safe=True)]
    prints = {table.fingerprint for table in made}
    defaults = sum(DEFAULT.fingerprint == table.fingerprint for table in made)
    assert defaults == len(MODES) + 1, "every default, and umi_safe, which leaves nothing of the default out"
    assert len(prints) == len(made) - defaults + 1


def test_controllers_beyond_the_ends_are_the_ends_seen_or_recent(game):
    """Old files hold triggers of 5e24; no input may be that large."""
    made = Game(game(ICE).seen_from(0).rows[:2].copy())
    made.players.main_x[..., 0], made.players.shoulder[..., 0] = -9, 5e24
    floats = controllers(made)
    assert (floats[:, 8] == -1).all() and (floats[:, 12] == 1).all()
    assert np.array_equal(DEFAULT.encode(made)[0][:, DEFAULT.controller], floats)
