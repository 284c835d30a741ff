"""What moves on four of the stages: Randall, Fountain of Dreams' platforms, Pokemon Stadium's forms and Whispy's wind.

Rows of one repetition that read only the frame's own columns. Randall follows from the frame number, so every file has
him; the other three stand in events that Slippi writes from 3.18 on, and UMI's frames hold the platforms alone of them.
Each row is zeros on other stages, and where the file does not say.

Mirroring multiplies by signs, and these rows are made so that this is all it takes: the two heights that would change
places are given as their mean and half of their difference. What is not symmetric in the game itself is taken as if it
were, see ``augment``: Randall's round and the forms of Pokemon Stadium.
"""

from __future__ import annotations

import numpy as np

from exphil.features.rows import Feature
from exphil.features.view import Constant, View
from exphil.game.frames import Array, Lacks
from exphil.game.ids import Stage
from exphil.game.stages import RANDALL, RANDALL_FRAMES

FORMS = ("normal", "fire", "grass", "rock", "water")
_FORM_OF_TYPE = {0: "normal", 3: "fire", 4: "grass", 5: "normal", 6: "rock", 9: "water"}
"""What ``Game.stadium`` holds: 0 before the first change, 5 when the stage goes back to normal (``events.STADIUM``)."""
_OTHER_TYPE = 10
_PLATFORM_SCALE, _PLATFORM_LOWEST = 0.75, 1.125
"""A recorded height to the game units that characters stand at (``events.PLATFORM``)."""

TABLES: dict[str, Constant] = {
    "randall": Constant(np.concatenate([RANDALL, np.roll(RANDALL, -1, 0) - RANDALL], 1)),
    "stadium": Constant(
        np.array(
            [FORMS.index(_FORM_OF_TYPE[n]) if n in _FORM_OF_TYPE else -1 for n in range(_OTHER_TYPE + 1)], np.int64
        )
    ),
}
"""Part of a table's fingerprint. ``randall`` (1200, 4): his centre and how far he goes in the next frame; ``stadium``
(11,): the place in ``FORMS`` of a type, or -1."""


def _on(view: View, stage: Stage, lacks: Lacks | None = None) -> Array:
    """Frames on a stage whose file holds what moves there, bool ``S``."""
    there: Array = view.stage == int(stage)
    return there if lacks is None else there & ((view.game.lacks & int(lacks)) == 0)


def _randall(view: View) -> Array:
    """``S + (4,)``: x, y, dx and dy of Randall; zeros on other stages."""
    round_ = TABLES["randall"].on(view.game.rows)[view.integer(view.game.frame) % RANDALL_FRAMES]
    return view.module.where(_on(view, Stage.YOSHIS_STORY)[..., None], round_, 0.0)


def _platforms(view: View, sign: int) -> Array:
    """Half of the right platform's height ``sign`` times the left one's, in recorded units."""
    return (view.game.platforms[..., 1] + sign * view.game.platforms[..., 0]) / 2


def _mean_height(view: View) -> Array:
    height = _PLATFORM_SCALE * _platforms(view, 1) + _PLATFORM_LOWEST
    return view.module.where(_on(view, Stage.FOUNTAIN_OF_DREAMS, Lacks.PLATFORMS), height, 0.0)


def _half_difference(view: View) -> Array:
    height = _PLATFORM_SCALE * _platforms(view, -1)
    return view.module.where(_on(view, Stage.FOUNTAIN_OF_DREAMS, Lacks.PLATFORMS), height, 0.0)


def _form(view: View) -> Array:
    number = view.integer(view.game.stadium).clip(0, _OTHER_TYPE)
    lit = view.one_hot(TABLES["stadium"].on(view.game.rows)[number], len(FORMS))
    return lit & _on(view, Stage.POKEMON_STADIUM, Lacks.STADIUM)[..., None]


def _wind(view: View) -> Array:
    direction = view.integer(view.game.whispy)  # 0 not, 1 left, 2 right
    return view.integer(direction == 2) - view.integer(direction == 1)


ROWS: tuple[Feature, ...] = (
    Feature("randall.present", 1, lambda v, _: _on(v, Stage.YOSHIS_STORY), 0, 1, "1 on Yoshi's Story"),
    Feature(
        *("randall.place", 2, lambda v, _: _randall(v)[..., :2], -10, 10, "x of his centre, y of his top, x 0.05"),
        *((-1, 1), 0.05),
    ),
    Feature(
        *("randall.motion", 2, lambda v, _: _randall(v)[..., 2:], -1, 1, "how far he goes in the next frame, x 0.5"),
        *((-1, 1), 0.5),
    ),
    Feature(
        *("platforms.present", 1, lambda v, _: _on(v, Stage.FOUNTAIN_OF_DREAMS, Lacks.PLATFORMS), 0, 1),
        "1 on Fountain of Dreams, where their heights are known",
    ),
    Feature(
        *("platforms.height", 1, lambda v, _: _mean_height(v), -10, 10),
        *("mean height of Fountain of Dreams' left and right platform, x 0.05", 1, 0.05),
    ),
    Feature(
        *("platforms.difference", 1, lambda v, _: _half_difference(v), -10, 10),
        *("half of what the right platform is higher than the left, x 0.05", -1, 0.05),
    ),
    Feature(
        *("stadium", len(FORMS), lambda v, _: _form(v), 0, 1),
        "one-hot of Pokemon Stadium's form, there or announced: " + ", ".join(FORMS),
    ),
    Feature(
        "whispy", 1, lambda v, _: _wind(v), -1, 1, "Dream Land's wind: -1 to the left, +1 to the right, 0 none", -1
    ),
)
NOT_IN_UMI: tuple[str, ...] = ("stadium", "whispy")
"""Rows that UMI's frames cannot fill."""
NEEDED: dict[Lacks, tuple[str, str]] = {
    Lacks.PLATFORMS: ("platforms.height", "the platforms of Fountain of Dreams (Slippi 3.18)"),
    Lacks.STADIUM: ("stadium", "the form of Pokemon Stadium (Slippi 3.18)"),
    Lacks.WHISPY: ("whispy", "the wind of Dream Land (Slippi 3.18)"),
}
"""What the rows read and some files lack: a row that needs it, and words for it."""
