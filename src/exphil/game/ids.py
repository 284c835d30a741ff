"""Characters, stages, action states and buttons: one internal numbering, and the conversions at the border.

Inside ExPhil a character is its *internal* number (what post-frame events and memory hold) and a stage its *external*
number (what a replay's start block holds). Other numberings exist and overlap: 8 is Yoshi's Story in a replay and
Fountain of Dreams in memory. They are converted where they enter, by the functions named after their source, and
nowhere else.

Sources: the Slippi replay specification (project-slippi/slippi-wiki, SPEC.md) and its linked id tables; libmelee's
``enums.Stage``.
"""

from __future__ import annotations

import difflib
import re
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from exphil.errors import OptionError


class Character(IntEnum):
    """Internal character numbers; Popo leads the Ice Climbers and Nana follows."""

    MARIO = 0
    FOX = 1
    CAPTAIN_FALCON = 2
    DONKEY_KONG = 3
    KIRBY = 4
    BOWSER = 5
    LINK = 6
    SHEIK = 7
    NESS = 8
    PEACH = 9
    ICE_CLIMBERS = 10
    NANA = 11
    PIKACHU = 12
    SAMUS = 13
    YOSHI = 14
    JIGGLYPUFF = 15
    MEWTWO = 16
    LUIGI = 17
    MARTH = 18
    ZELDA = 19
    YOUNG_LINK = 20
    DR_MARIO = 21
    FALCO = 22
    PICHU = 23
    GAME_AND_WATCH = 24
    GANONDORF = 25
    ROY = 26
    MASTER_HAND = 27
    CRAZY_HAND = 28
    WIREFRAME_MALE = 29
    WIREFRAME_FEMALE = 30
    GIGA_BOWSER = 31
    SANDBAG = 32


NUM_CHARACTERS = 33

_EXTERNAL_ORDER = """
    CAPTAIN_FALCON DONKEY_KONG FOX GAME_AND_WATCH KIRBY BOWSER LINK LUIGI MARIO MARTH MEWTWO NESS PEACH PIKACHU
    ICE_CLIMBERS JIGGLYPUFF SAMUS YOSHI ZELDA SHEIK FALCO YOUNG_LINK DR_MARIO ROY PICHU GANONDORF MASTER_HAND
    WIREFRAME_MALE WIREFRAME_FEMALE GIGA_BOWSER CRAZY_HAND SANDBAG ICE_CLIMBERS
"""
_CHARACTER_OF_EXTERNAL = tuple(_EXTERNAL_ORDER.split())


def character_from_external(number: int) -> Character | None:
    """The character of a start block's (character select screen's) number; None for a number outside 0..32."""
    return Character[_CHARACTER_OF_EXTERNAL[number]] if 0 <= number < len(_CHARACTER_OF_EXTERNAL) else None


class Stage(IntEnum):
    """External stage numbers of the six legal stages (the only ones training knows by name)."""

    FOUNTAIN_OF_DREAMS = 2
    POKEMON_STADIUM = 3
    YOSHIS_STORY = 8
    DREAM_LAND = 28
    BATTLEFIELD = 31
    FINAL_DESTINATION = 32


NUM_STAGES = 64  # width of the all-stages one-hot; larger numbers are single-player modes

_STAGE_OF_MEMORY = {
    8: Stage.FOUNTAIN_OF_DREAMS,
    18: Stage.POKEMON_STADIUM,
    6: Stage.YOSHIS_STORY,
    26: Stage.DREAM_LAND,
    24: Stage.BATTLEFIELD,
    25: Stage.FINAL_DESTINATION,
}


def stage_from_memory(number: int) -> Stage | None:
    """The stage of a number used in memory, by libmelee and by UMI; None for a stage that is not legal."""
    return _STAGE_OF_MEMORY.get(number)


def stage_name(number: int) -> str:
    """The name of an external stage number; ``stage_19`` for one without a name here."""
    return Stage(number).name.lower() if number in Stage._value2member_map_ else f"stage_{number}"


def character_name(number: int) -> str:
    """The name of an internal character number; ``character_99`` for one without a name."""
    return Character(number).name.lower() if number in Character._value2member_map_ else f"character_{number}"


_CHARACTER_ALIASES = {
    "falcon": "captain_falcon",
    "cf": "captain_falcon",
    "dk": "donkey_kong",
    "puff": "jigglypuff",
    "jiggs": "jigglypuff",
    "ics": "ice_climbers",
    "climbers": "ice_climbers",
    "popo": "ice_climbers",
    "gnw": "game_and_watch",
    "mr_game_and_watch": "game_and_watch",
    "ganon": "ganondorf",
    "yl": "young_link",
    "doc": "dr_mario",
    "pika": "pikachu",
    "m2": "mewtwo",
}
_STAGE_ALIASES = {
    "fod": "fountain_of_dreams",
    "fountain": "fountain_of_dreams",
    "ps": "pokemon_stadium",
    "stadium": "pokemon_stadium",
    "ys": "yoshis_story",
    "yoshis": "yoshis_story",
    "dl": "dream_land",
    "dl64": "dream_land",
    "dreamland": "dream_land",
    "bf": "battlefield",
    "fd": "final_destination",
}


def _word(text: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text.strip()).lower()
    plain = spaced.replace("'", "").replace("&", "_and_").replace("é", "e")
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def _by_name(text: str, kind: str, names: tuple[str, ...], aliases: dict[str, str]) -> str:
    word = _word(text)
    word = aliases.get(word, word)
    flat = {name.replace("_", ""): name for name in names}
    if word.replace("_", "") in flat:
        return flat[word.replace("_", "")].upper()
    near = difflib.get_close_matches(word, [*names, *aliases], n=1, cutoff=0.5)
    fix = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(names)}"
    raise OptionError(f"'{text}' is no {kind}", fix=fix)


def character(text: str) -> Character:
    """The playable character of a name or usual alias.

    Any spelling will do: ``"Captain Falcon"``, ``"falcon"``, ``"CaptainFalcon"``.

    Raises:
        OptionError: for an unknown name, with the nearest known one.
    """
    playable = tuple(c.name.lower() for c in Character if c < Character.MASTER_HAND and c != Character.NANA)
    return Character[_by_name(text, "character", playable, _CHARACTER_ALIASES)]


def stage(text: str) -> Stage:
    """The legal stage of a name or usual alias.

    Raises:
        OptionError: for an unknown name, with the nearest known one.
    """
    return Stage[_by_name(text, "legal stage", tuple(s.name.lower() for s in Stage), _STAGE_ALIASES)]


class Button(IntFlag):
    """Bits of the physical buttons of a pre-frame event."""

    D_LEFT = 0x0001
    D_RIGHT = 0x0002
    D_DOWN = 0x0004
    D_UP = 0x0008
    Z = 0x0010
    R = 0x0020
    L = 0x0040
    A = 0x0100
    B = 0x0200
    X = 0x0400
    Y = 0x0800
    START = 0x1000


BUTTONS = (Button.A, Button.B, Button.X, Button.Y, Button.Z, Button.L, Button.R, Button.D_UP)
"""The eight buttons a policy presses, in the order of the action."""

NUM_ACTIONS = 399  # 0..0x18E: 341 common states, then each character's own


class Action(IntEnum):
    """The action states that code names; every other number travels as it is."""

    WAIT = 0x0E
    KNEE_BEND = 0x18  # jump squat
    REBIRTH = 0x0C
    ENTRY = 0x142


_CATEGORY_RANGES = (
    ("dead", ((0x00, 0x0B),)),
    ("entry", ((0x0C, 0x0D), (0x142, 0x144))),
    ("idle", ((0x0E, 0x0E), (0x108, 0x109))),
    ("walk", ((0x0F, 0x11),)),
    ("dash", ((0x12, 0x17),)),
    ("jump_squat", ((0x18, 0x18),)),
    ("jump", ((0x19, 0x1C),)),
    ("fall", ((0x1D, 0x22), (0xF4, 0xF4), (0xFB, 0xFB))),
    ("helpless", ((0x23, 0x25),)),
    ("tumble", ((0x26, 0x26),)),
    ("crouch", ((0x27, 0x29),)),
    ("landing", ((0x2A, 0x2B), (0x46, 0x4A))),
    ("jab", ((0x2C, 0x31),)),
    ("tilt", ((0x32, 0x39),)),
    ("smash", ((0x3A, 0x40),)),
    ("aerial", ((0x41, 0x45),)),
    ("special", ((0x155, 0x18E),)),
    ("item", ((0x5C, 0xB1),)),
    ("grab", ((0xD4, 0xDE),)),
    ("grabbed", ((0xDF, 0xE8), (0xEF, 0xF3))),
    ("shield", ((0xB2, 0xB6), (0xCD, 0xD3))),
    ("dodge", ((0xE9, 0xEC),)),
    ("damage", ((0x4B, 0x5B), (0xED, 0xEE), (0xF7, 0xFA), (0x10A, 0x141), (0x145, 0x154))),
    ("down", ((0xB7, 0xCC),)),
    ("ledge", ((0xF5, 0xF6), (0xFC, 0x107))),
)

CATEGORIES = tuple(name for name, _ in _CATEGORY_RANGES)
"""Names of the 25 groups of action states, from the game's own action state table."""


def _category_of_action() -> NDArray[np.uint8]:
    table = np.full(NUM_ACTIONS, 255, np.uint8)
    for index, (_, ranges) in enumerate(_CATEGORY_RANGES):
        for first, last in ranges:
            table[first : last + 1] = index
    return table


CATEGORY_OF_ACTION = _category_of_action()
"""``(399,)`` uint8: the index into ``CATEGORIES`` of every action state."""

ATTACKING = np.isin(CATEGORY_OF_ACTION, [CATEGORIES.index(c) for c in ("jab", "tilt", "smash", "aerial", "special")])
"""``(399,)`` bool: states in which a hitbox can come out."""
GRABBING = np.isin(CATEGORY_OF_ACTION, [CATEGORIES.index("grab")])
"""``(399,)`` bool: reaching, holding, pummelling, throwing."""
CAPTURED = ((0xDF, 0xE4), (0xE7, 0xE8))
"""First and last of the action states of who is held in somebody's hands; an escape is none."""
THROWN = ((0xEF, 0xF3),)
"""The same for who is being thrown."""
CAN_ACT = np.isin(CATEGORY_OF_ACTION, [CATEGORIES.index(c) for c in ("idle", "walk", "dash", "jump", "fall", "crouch")])
"""``(399,)`` bool: states that a press can leave at once."""
