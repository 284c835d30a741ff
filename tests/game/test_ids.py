"""Numbers and names: every conversion there and back, and the overlaps that a numbering can be mistaken by."""

from __future__ import annotations

import numpy as np
import pytest

from exphil.errors import OptionError
from exphil.game import ids
from exphil.game.ids import Action, Button, Character, Stage

PLAYABLE = [c for c in Character if c < Character.MASTER_HAND and c != Character.NANA]
EXTERNAL = {  # Slippi's table of external character numbers, typed again from its source
    0: "CAPTAIN_FALCON",
    1: "DONKEY_KONG",
    2: "FOX",
    3: "GAME_AND_WATCH",
    4: "KIRBY",
    5: "BOWSER",
    6: "LINK",
    7: "LUIGI",
    8: "MARIO",
    9: "MARTH",
    10: "MEWTWO",
    11: "NESS",
    12: "PEACH",
    13: "PIKACHU",
    14: "ICE_CLIMBERS",
    15: "JIGGLYPUFF",
    16: "SAMUS",
    17: "YOSHI",
    18: "ZELDA",
    19: "SHEIK",
    20: "FALCO",
    21: "YOUNG_LINK",
    22: "DR_MARIO",
    23: "ROY",
    24: "PICHU",
    25: "GANONDORF",
}


def test_every_playable_character_has_one_external_number():
    assert {number: ids.character_from_external(number) for number in EXTERNAL} == {
        n: Character[name] for n, name in EXTERNAL.items()
    }
    assert {Character[name] for name in EXTERNAL.values()} == set(PLAYABLE)


def test_external_numbers_beyond_the_playable_ones():
    assert [ids.character_from_external(number) for number in range(26, 33)] == [
        Character.MASTER_HAND,
        Character.WIREFRAME_MALE,
        Character.WIREFRAME_FEMALE,
        Character.GIGA_BOWSER,
        Character.CRAZY_HAND,
        Character.SANDBAG,
        Character.ICE_CLIMBERS,
    ]
    assert [ids.character_from_external(number) for number in (-1, 33, 255)] == [None, None, None]


def test_internal_numbers_are_dense():
    assert [int(c) for c in Character] == list(range(ids.NUM_CHARACTERS))


def test_eight_is_another_stage_in_memory_than_in_a_replay():
    assert Stage(8) is Stage.YOSHIS_STORY
    assert ids.stage_from_memory(8) is Stage.FOUNTAIN_OF_DREAMS


def test_every_legal_stage_has_one_number_in_memory():
    found = {number: stage for number in range(-1, 300) if (stage := ids.stage_from_memory(number)) is not None}
    assert set(found.values()) == set(Stage)
    assert len(found) == len(Stage)
    assert max(Stage) < ids.NUM_STAGES


@pytest.mark.parametrize("character", Character)
def test_a_characters_name_leads_back_to_it(character):
    name = ids.character_name(character)
    if character in PLAYABLE:
        spellings = (
            name,
            name.upper(),
            name.replace("_", " ").title(),
            name.title().replace("_", ""),
            name.replace("_", "-"),
            f" {name} ",
        )
        assert {ids.character(spelling) for spelling in spellings} == {character}
    else:
        with pytest.raises(OptionError):
            ids.character(name)


@pytest.mark.parametrize("stage", Stage)
def test_a_stages_name_leads_back_to_it(stage):
    name = ids.stage_name(stage)
    spellings = (name, name.upper(), name.replace("_", " ").title(), name.title().replace("_", ""))
    assert {ids.stage(spelling) for spelling in spellings} == {stage}


def test_numbers_without_a_name_keep_their_number():
    assert ids.stage_name(19) == "stage_19"
    assert ids.stage_name(32770) == "stage_32770"
    assert (ids.character_name(99), ids.character_name(-1)) == ("character_99", "character_-1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(
            ("falcon", Character.CAPTAIN_FALCON),
            ("CaptainFalcon", Character.CAPTAIN_FALCON),
            ("Dr. Mario", Character.DR_MARIO),
        ),
        *(
            ("Mr. Game & Watch", Character.GAME_AND_WATCH),
            ("GameAndWatch", Character.GAME_AND_WATCH),
            ("ICs", Character.ICE_CLIMBERS),
        ),
        *(
            ("Popo", Character.ICE_CLIMBERS),
            ("DK", Character.DONKEY_KONG),
            ("puff", Character.JIGGLYPUFF),
            ("doc", Character.DR_MARIO),
        ),
    ],
)
def test_usual_names_of_characters(text, expected):
    assert ids.character(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FD", Stage.FINAL_DESTINATION),
        ("Yoshi's Story", Stage.YOSHIS_STORY),
        ("Pokémon Stadium", Stage.POKEMON_STADIUM),
        ("fod", Stage.FOUNTAIN_OF_DREAMS),
    ],
)
def test_usual_names_of_stages(text, expected):
    assert ids.stage(text) is expected


@pytest.mark.parametrize("aliases", [ids._CHARACTER_ALIASES, ids._STAGE_ALIASES])
def test_every_alias_names_something(aliases):
    find = ids.character if aliases is ids._CHARACTER_ALIASES else ids.stage
    for alias, name in aliases.items():
        assert find(alias).name.lower() == name


def test_an_unknown_name_gets_the_nearest_or_all():
    with pytest.raises(OptionError, match="'mart' is no character") as caught:
        ids.character("mart")
    assert caught.value.fix == "did you mean 'marth'?"
    with pytest.raises(OptionError, match="'hyrule' is no legal stage") as caught:
        ids.stage("hyrule")
    assert "battlefield" in caught.value.fix
    with pytest.raises(OptionError):
        ids.character("")


def test_every_action_state_has_exactly_one_category():
    assert ids.CATEGORY_OF_ACTION.shape == (ids.NUM_ACTIONS,)
    assert set(ids.CATEGORY_OF_ACTION.tolist()) == set(range(len(ids.CATEGORIES)))
    covered = sorted(
        number for _, ranges in ids._CATEGORY_RANGES for first, last in ranges for number in range(first, last + 1)
    )
    assert covered == list(range(ids.NUM_ACTIONS)), "no state twice, none left out"


def test_known_states_are_in_their_category():
    named = {
        Action.WAIT: "idle",
        Action.KNEE_BEND: "jump_squat",
        Action.REBIRTH: "entry",
        Action.ENTRY: "entry",
        0x41: "aerial",
        0xD4: "grab",
    }
    assert {action: ids.CATEGORIES[ids.CATEGORY_OF_ACTION[action]] for action in named} == named
    assert ids.ATTACKING[0x2C]
    assert ids.GRABBING[0xD4]
    assert ids.CAN_ACT[Action.WAIT]
    assert not (ids.ATTACKING & ids.CAN_ACT).any()


def test_states_of_real_games_are_in_the_table(replays):
    from exphil.replays import slp

    for name in ("edge_ice_climbers_full_netplay.slp", "fox_vs_game_and_watch_fountain_of_dreams_017.slp"):
        actions = slp.read(replays / name).game.players.action
        assert actions.min() >= 0
        assert actions.max() < ids.NUM_ACTIONS
        share = np.bincount(ids.CATEGORY_OF_ACTION[actions].ravel(), minlength=len(ids.CATEGORIES)) / actions.size
        assert share[ids.CATEGORIES.index("idle")] < 0.5


def test_a_button_is_one_bit():
    assert len({int(button) for button in Button}) == 12
    assert all(int(button).bit_count() == 1 for button in Button)
    assert [button.name for button in ids.BUTTONS] == ["A", "B", "X", "Y", "Z", "L", "R", "D_UP"]
