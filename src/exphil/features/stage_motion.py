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
from numpy.typing import NDArray

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


def _randall_table() -> NDArray[np.float32]:
    """``(1201, 5)``: 1, his centre x 0.05 and how far he goes in the next frame x 0.5; zeros in the last row."""
    moves = np.roll(RANDALL, -1, 0) - RANDALL
    there = np.concatenate([np.ones((RANDALL_FRAMES, 1)), RANDALL * 0.05, moves * 0.5], 1)
    return np.concatenate([there, np.zeros((1, 5))]).astype(np.float32)


def _stadium_table() -> NDArray[np.float32]:
    """``(12, 5)``: the one-hot of every type's form; zeros for a type without one, and in the last row."""
    table = np.zeros((_OTHER_TYPE + 2, len(FORMS)), np.float32)
    for number, form in _FORM_OF_TYPE.items():
        table[number, FORMS.index(form)] = 1
    return table


TABLES: dict[str, Constant] = {"randall": Constant(_randall_table()), "stadium": Constant(_stadium_table())}
"""Part of a table's fingerprint; the last row of each is for frames on other stages."""


def _on(view: View, stage: Stage, lacks: Lacks | None = None) -> Array:
    """Frames on a stage whose file holds what moves there, bool ``S``."""
    there: Array = view.stage == int(stage)
    return there if lacks is None else there & ((view.game.lacks & int(lacks)) == 0)


def _looked_up(view: View, name: str, place: Array, there: Array) -> Array:
    table = TABLES[name].on(view.game.rows)
    return table[view.module.where(there, place, len(table) - 1)]


def _randall(view: View) -> Array:
    return _looked_up(view, "randall", view.integer(view.game.frame) % RANDALL_FRAMES, _on(view, Stage.YOSHIS_STORY))


def _platforms(view: View) -> Array:
    """``S + (3,)``: 1, the mean of both heights and half of what the right one is higher, in game units x 0.05."""
    there = _on(view, Stage.FOUNTAIN_OF_DREAMS, Lacks.PLATFORMS)
    left, right = (_PLATFORM_SCALE * 0.05 * view.game.platforms[..., side] for side in (0, 1))
    mean = (right + left) / 2 + _PLATFORM_LOWEST * 0.05
    found = view.module.stack([view.module.ones_like(mean), mean, (right - left) / 2], -1)
    return view.module.where(there[..., None], found, 0.0)


def _form(view: View) -> Array:
    number = view.integer(view.game.stadium).clip(0, _OTHER_TYPE)
    return _looked_up(view, "stadium", number, _on(view, Stage.POKEMON_STADIUM, Lacks.STADIUM))


def _wind(view: View) -> Array:
    direction = view.integer(view.game.whispy)  # 0 not, 1 left, 2 right
    return view.integer(direction == 2) - view.integer(direction == 1)


ROWS: tuple[Feature, ...] = (
    Feature(
        name="randall",
        width=5,
        read=lambda v, _: _randall(v),
        low=-10,
        high=10,
        says="Yoshi's Story: 1, x of his centre and y of his top x 0.05, how far right and up he goes next x 0.5",
        mirror=(1, -1, 1, -1, 1),
    ),
    Feature(
        name="platforms",
        width=3,
        read=lambda v, _: _platforms(v),
        low=-10,
        high=10,
        says="Fountain of Dreams: 1, mean height of the two and half of what the right one is higher, x 0.05",
        mirror=(1, 1, -1),
    ),
    Feature(
        name="stadium",
        width=len(FORMS),
        read=lambda v, _: _form(v),
        low=0,
        high=1,
        says="one-hot of Pokemon Stadium's form, there or announced: " + ", ".join(FORMS),
    ),
    Feature(
        name="whispy",
        width=1,
        read=lambda v, _: _wind(v),
        low=-1,
        high=1,
        says="Dream Land's wind: -1 to the left, +1 to the right, 0 none",
        mirror=-1,
    ),
)
NOT_IN_UMI: tuple[str, ...] = ("stadium", "whispy")
"""Rows that UMI's frames cannot fill."""
NEEDED: dict[Lacks, tuple[str, str]] = {
    Lacks.PLATFORMS: ("platforms", "the platforms of Fountain of Dreams (Slippi 3.18)"),
    Lacks.STADIUM: ("stadium", "the form of Pokemon Stadium (Slippi 3.18)"),
    Lacks.WHISPY: ("whispy", "the wind of Dream Land (Slippi 3.18)"),
}
"""What the rows read and some files lack: a row that needs it, and words for it."""
