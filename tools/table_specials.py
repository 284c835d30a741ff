"""Which move a character's own action states are, and whose hitboxes stand in where libmelee has none.

The numbers of the states are in the order of the game's own lists of motion states (doldecomp/melee, ``forward.h`` of
each character), from 341 on; they were checked against the frames in which libmelee has hitboxes. A name is one of the
first column of ``tools/tables/moves``; ``name:2`` takes the third of its groups alone, ``name:0-2`` the first three.
"""

from __future__ import annotations

from exphil.game.ids import Character

_MARIO = {343: "neutralb", 344: "aneutralb", 345: "sideb", 346: "asideb"}
_MARIO |= {347: "upb", 348: "aupb", 349: "downb", 350: "adownb"}
_FALCON = {347: "neutralb", 348: "aneutralb", 349: "sideb:0", 350: "sideb:1", 351: "asideb:1", 352: "asideb:2"}
_FALCON |= {353: "upb", 354: "aupb", 357: "downb", 359: "adownb"}
_FOX = {348: "sideb", 349: "sideb", 351: "asideb", 352: "asideb", 360: "downb", 365: "adownb"}
_LINK = {341: "fsmash2", 356: "upb", 357: "aupb", 360: "zair"}
_PIKACHU = {350: "asideb:1", 353: "upb:0", 354: "upb:1", 356: "aupb:0", 357: "aupb:1", 361: "downb:1", 365: "adownb:1"}
_DANCE = ("sideb", "sideb2up", "sideb2", "sideb3up", "sideb3", "sideb3down", "sideb4up", "sideb4", "sideb4down")
_MARTH = {349 + i: name for i, name in enumerate(_DANCE)} | {358 + i: name for i, name in enumerate(_DANCE)}
_MARTH |= {358: "asideb", 367: "upb", 368: "aupb", 370: "downb", 372: "adownb"}

NEUTRAL, SIDE, UP, DOWN = range(4)
_LINKS = {NEUTRAL: (347, 344), SIDE: (353, 350), DOWN: (359, 358)}
STARTS: dict[int, dict[int, tuple[int, int]]] = {
    Character.KIRBY: {NEUTRAL: (371, 353), SIDE: (384, 383)},
    Character.BOWSER: {NEUTRAL: (344, 341)},
    Character.LINK: _LINKS,
    Character.YOUNG_LINK: _LINKS,
    Character.NESS: {NEUTRAL: (352, 348), DOWN: (372, 367)},
    Character.PEACH: {NEUTRAL: (367, 365), DOWN: (353, 352)},
    Character.ICE_CLIMBERS: {UP: (352, 347), DOWN: (358, 357)},
    Character.PIKACHU: {NEUTRAL: (342, 341)},
    Character.PICHU: {NEUTRAL: (342, 341)},
    Character.YOSHI: {NEUTRAL: (351, 346), UP: (365, 364)},
    Character.MEWTWO: {UP: (356, 353), DOWN: (360, 359)},
    Character.ZELDA: {SIDE: (346, 343)},
    Character.GAME_AND_WATCH: {DOWN: (378, 375)},
}
"""The state B goes into in the air and on the ground, for moves without hitboxes of their own, from the same lists.
Where Zelda and Sheik change into each other nothing happens."""

SPECIALS: dict[int, dict[int, str]] = {
    Character.MARIO: _MARIO,
    Character.DR_MARIO: _MARIO,
    Character.FOX: _FOX | {353: "upb:0", 354: "aupb:0", 355: "upb:1", 356: "aupb:1"},
    Character.FALCO: _FOX | {355: "upb", 356: "aupb"},
    Character.CAPTAIN_FALCON: _FALCON,
    Character.GANONDORF: _FALCON,
    Character.DONKEY_KONG: {
        372: "neutralb:0",
        373: "neutralb:3",
        377: "aneutralb:0",
        378: "aneutralb:3",
        379: "sideb",
        380: "asideb",
        381: "upb",
        382: "aupb",
        384: "downb",
    },
    Character.KIRBY: {351: "dattack", 390: "aupb:1-4", 397: "adownb"},
    Character.BOWSER: {347: "sideb", 353: "asideb", 359: "upb", 360: "aupb", 362: "downb:0", 363: "downb:1"},
    Character.LINK: _LINK,
    Character.YOUNG_LINK: _LINK,
    Character.SHEIK: {
        **dict.fromkeys((349, 350, 351), "sideb"),
        **dict.fromkeys((352, 353, 354), "asideb"),
        355: "upb",
        358: "aupb",
        359: "aupb",
    },
    Character.NESS: {341: "fsmash", 342: "usmash", 345: "dsmash"},
    Character.PEACH: {
        344: "nair",
        345: "fair",
        346: "bair",
        347: "uair",
        348: "dair",
        349: "fsmash:0-2",
        350: "fsmash:3-5",
        351: "fsmash:6-7",
        360: "asideb",
        361: "upb",
        363: "aupb",
        369: "upb:1",
        370: "upb:1",
    },
    Character.ICE_CLIMBERS: {341: "neutralb:0", 342: "neutralb:0", 344: "sideb", 345: "asideb", 346: "asideb"},
    Character.PIKACHU: _PIKACHU,
    Character.PICHU: _PIKACHU,
    Character.SAMUS: {353: "upb", 354: "aupb", 357: "zair"},
    Character.YOSHI: {357: "sideb:1-2", 362: "asideb:1-2", 366: "downb:0", 368: "adownb:0"},
    Character.JIGGLYPUFF: {
        350: "neutralb",
        358: "aneutralb",
        363: "sideb",
        364: "asideb",
        **dict.fromkeys((365, 367), "upb"),
        **dict.fromkeys((366, 368), "aupb"),
        **dict.fromkeys((369, 371), "downb"),
        **dict.fromkeys((370, 372), "adownb"),
    },
    Character.MEWTWO: {
        **dict.fromkeys((342, 343), "neutralb:0"),
        **dict.fromkeys((347, 348), "neutralb:0"),
        351: "sideb",
        352: "asideb",
    },
    Character.LUIGI: {351: "asideb:2", 355: "upb", 356: "aupb", 357: "downb", 358: "adownb"},
    Character.MARTH: _MARTH | {343: "neutralb:0-2", 344: "neutralb:3-5", 347: "neutralb:0-2", 348: "neutralb:3-5"},
    Character.ROY: _MARTH | {343: "neutralb:0", 344: "neutralb:1", 347: "neutralb:0", 348: "neutralb:1"},
    Character.ZELDA: {341: "neutralb", 342: "neutralb", 349: "upb", 352: "aupb"},
    Character.GAME_AND_WATCH: {
        341: "jab1",
        343: "rjab",
        345: "dtilt",
        346: "fsmash",
        347: "nair",
        348: "bair",
        349: "uair",
        353: "neutralb:0",
        354: "aneutralb:0",
        **{355 + i: f"sideb:{i}" for i in range(9)},
        **{364 + i: f"asideb:{i}" for i in range(9)},
        373: "upb",
        374: "aupb",
    },
}
"""Move by character and action state."""

CATCHES = {
    Character.KIRBY: (353, 354, 371, 372),
    Character.YOSHI: (346, 351),
    Character.BOWSER: (347, 353),
}
"""Own states whose hitboxes hold: inhaling, swallowing, the claw."""

STAND_INS: dict[tuple[int, int], tuple[int, int]] = {
    (Character.MARIO, 0x32): (Character.DR_MARIO, 0x32),
    (Character.DR_MARIO, 0x2D): (Character.MARIO, 0x2D),
    (Character.DR_MARIO, 0x2E): (Character.MARIO, 0x2E),
    (Character.ROY, 0x32): (Character.MARTH, 0x32),
    (Character.ROY, 0x45): (Character.MARTH, 0x45),
    (Character.KIRBY, 0x32): (Character.KIRBY, 351),
    (Character.NESS, 0x3C): (Character.NESS, 341),
    (Character.NESS, 0x3F): (Character.NESS, 342),
    (Character.NESS, 0x40): (Character.NESS, 345),
    (Character.PEACH, 0x3C): (Character.PEACH, 349),
    (Character.GAME_AND_WATCH, 0x2C): (Character.GAME_AND_WATCH, 341),
    (Character.GAME_AND_WATCH, 0x39): (Character.GAME_AND_WATCH, 345),
    (Character.GAME_AND_WATCH, 0x3C): (Character.GAME_AND_WATCH, 346),
    (Character.GAME_AND_WATCH, 0x41): (Character.GAME_AND_WATCH, 347),
    (Character.GAME_AND_WATCH, 0x43): (Character.GAME_AND_WATCH, 348),
    (Character.GAME_AND_WATCH, 0x44): (Character.GAME_AND_WATCH, 349),
    (Character.MARTH, 0x100): (Character.ROY, 0x100),
    (Character.MARTH, 348): (Character.MARTH, 347),
    **{(Character.JIGGLYPUFF, action): (Character.JIGGLYPUFF, 371) for action in (369, 370, 372)},
}
"""Whose frames an action without hitboxes of its own takes: a near twin's, or the character's own state that the game
itself uses for this attack (Ness, Peach, Kirby and Game & Watch have such)."""

MIRRORED = ((Character.SAMUS, 357),)
"""Actions that libmelee holds as seen on somebody who faces left."""

UNLISTED_THROWS = (
    (Character.FOX, 0xDB),
    (Character.FALCO, 0xDB),
    (Character.CAPTAIN_FALCON, 0xDC),
    (Character.CAPTAIN_FALCON, 0xDD),
    (Character.GANONDORF, 0xDC),
    *((Character.SHEIK, action) for action in (0xDB, 0xDC, 0xDD, 0xDE)),
    *((Character.PEACH, action) for action in (0xDB, 0xDC, 0xDD)),
    (Character.SAMUS, 0xDD),
    (Character.JIGGLYPUFF, 0xDE),
)
"""Throws of which the moves list only the hits before they let go: recorded victims left with another knockback."""
