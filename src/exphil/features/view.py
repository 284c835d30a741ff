"""A game as the rows of the feature table read it, on the arrays that it is given: numpy or torch.

Only operations that both share are used, and torch is never imported.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from exphil.game.frames import Array, Game, namespace
from exphil.game.ids import (
    ATTACKING,
    BUTTONS,
    CAN_ACT,
    CATEGORY_OF_ACTION,
    GRABBING,
    NUM_ACTIONS,
    NUM_STAGES,
    Stage,
)
from exphil.game.stages import GEOMETRY, OTHER_LEDGE_X

_STAGES = tuple(Stage)
_LEDGE_X = np.array(
    [GEOMETRY[Stage(n)].ledge_x if n in GEOMETRY else OTHER_LEDGE_X for n in range(NUM_STAGES)], np.float32
)
_COMPACT_STAGE = np.array(
    [_STAGES.index(Stage(n)) if n in GEOMETRY else len(_STAGES) for n in range(NUM_STAGES)], np.int64
)
TABLES: dict[str, Any] = {
    "ledge_x": _LEDGE_X,
    "compact_stage": _COMPACT_STAGE,
    "category": CATEGORY_OF_ACTION.astype(np.int64),
    "attacking": ATTACKING,
    "grabbing": GRABBING,
    "can_act": CAN_ACT,
    "buttons": np.array(BUTTONS, np.int16),
}

"""Constants that rows look up; they are part of a table's fingerprint."""


@lru_cache(maxsize=64)
def _constant(name: str, module: Any, device: Any) -> Array:
    return module.asarray(TABLES[name], device=device)


class View:
    """A game as the table's rows read it: its groups of columns, and the lookups that several rows share."""

    def __init__(self, game: Game) -> None:
        self.game, self.players, self.nana, self.items = game, game.players, game.nana, game.items
        self.module, self.device = namespace(game.rows), game.rows.device
        self.stage = self.integer(game.stage).clip(0, NUM_STAGES - 1)
        self.action = self.integer(game.players.action).clip(0, NUM_ACTIONS - 1)
        self.nana_action = self.integer(game.nana.action).clip(0, NUM_ACTIONS - 1)

    def integer(self, array: Array) -> Array:
        """The array as int64, which is what both libraries index with."""
        return self.module.asarray(array, dtype=self.module.int64)

    def table(self, name: str) -> Array:
        """A constant table on the game's device."""
        return _constant(name, self.module, self.device)

    def one_hot(self, index: Array, width: int) -> Array:
        """A new last axis of ``width``, true at ``index``; an index outside gives all false."""
        return index[..., None] == self.module.arange(width, device=self.device)
