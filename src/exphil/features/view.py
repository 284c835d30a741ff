"""A game as the rows of the feature table read it, on the arrays that it is given: numpy or torch.

Only operations that both share are used, and torch is never imported.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.game.frames import COLUMNS, Array, Game, Group, namespace
from exphil.game.ids import (
    ATTACKING,
    BUTTONS,
    CAN_ACT,
    CATEGORY_OF_ACTION,
    GRABBING,
    NUM_ACTIONS,
    NUM_CHARACTERS,
    NUM_STAGES,
    Stage,
)
from exphil.game.stages import GEOMETRY, OTHER_LEDGE_X


class Constant:
    """An array that never changes, on whatever device it is needed."""

    __slots__ = ("_on", "array")

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self._on: dict[Any, Array] = {array.device: array}

    def __reduce__(self) -> tuple[type[Constant], tuple[NDArray[Any]]]:
        return Constant, (self.array,)

    def on(self, like: Array) -> Array:
        """The array where ``like`` is, as what ``like`` is: numpy or torch."""
        device = like.device
        found = self._on.get(device)
        if found is None:
            found = self._on[device] = namespace(like).asarray(self.array, device=device)
        return found


_STAGES = tuple(Stage)
_LEDGE_X = np.array(
    [GEOMETRY[Stage(n)].ledge_x if n in GEOMETRY else OTHER_LEDGE_X for n in range(NUM_STAGES)], np.float32
)
_COMPACT_STAGE = np.array(
    [_STAGES.index(Stage(n)) if n in GEOMETRY else len(_STAGES) for n in range(NUM_STAGES)], np.int64
)
TABLES = {
    "ledge_x": Constant(_LEDGE_X),
    "compact_stage": Constant(_COMPACT_STAGE),
    "category": Constant(CATEGORY_OF_ACTION.astype(np.int64)),
    "attacking": Constant(ATTACKING),
    "grabbing": Constant(GRABBING),
    "can_act": Constant(CAN_ACT),
    "buttons": Constant(np.array(BUTTONS, np.int16)),
}
"""Constants that rows look up; they are part of a table's fingerprint."""


_ZERO, _LAST_STAGE, _LAST_ACTION, _LAST_CHARACTER = (
    Constant(np.array(last, np.int64)) for last in (0, NUM_STAGES - 1, NUM_ACTIONS - 1, NUM_CHARACTERS - 1)
)


_ANALOG = Constant(
    np.array([COLUMNS["players"][name].first for name in ("main_x", "main_y", "c_x", "c_y", "shoulder")], np.int64)
)


def controllers(game: Game) -> Array:
    """The own controllers, float32 ``S + (13,)``: buttons 0 or 1, sticks, shoulder, as the feature table has them."""
    module, analog = namespace(game.rows), game.elements("float32")
    analog = analog[..., _ANALOG.on(analog)].clip(-1, 1)
    return module.concatenate([module.asarray(View(game).buttons(), dtype=analog.dtype), analog], -1)


class View:
    """A game as the table's rows read it: its groups of columns, and the lookups that several rows share."""

    def __init__(self, game: Game) -> None:
        self.game, self.players, self.nana, self.items = game, game.players, game.nana, game.items
        self.module, self.device = namespace(game.rows), game.rows.device

    @cached_property
    def stage(self) -> Array:
        """int64 ``S``: the external stage number, at most 63."""
        return self._within(self.game.stage, _LAST_STAGE)

    @cached_property
    def _popo_action(self) -> Array:
        return self._within(self.players.action, _LAST_ACTION)

    @cached_property
    def _nana_action(self) -> Array:
        return self._within(self.nana.action, _LAST_ACTION)

    def action(self, group: Group) -> Array:
        """int64 ``S + (2,)``: action states of ``players`` or ``nana``, at most 398."""
        return self._nana_action if group is self.nana else self._popo_action

    def character(self, group: Group) -> Array:
        """int64 ``S + (2,)``: characters of ``players`` or ``nana``, at most 32."""
        found = self.integer(group.character)  # a byte, never negative
        return self.module.minimum(found, _LAST_CHARACTER.on(found))

    def _within(self, array: Array, last: Constant) -> Array:
        """int64, 0 to ``last``; ``clip`` is the same and takes numpy four times as long for one row."""
        found = self.integer(array)
        return self.module.minimum(self.module.maximum(found, _ZERO.on(found)), last.on(found))

    @cached_property
    def dx(self) -> Array:
        """``S``: how far to the right of the own player the opponent is."""
        x = self.players.x
        return x[..., 1] - x[..., 0]

    @cached_property
    def dy(self) -> Array:
        """``S``: how far above the own player the opponent is."""
        y = self.players.y
        return y[..., 1] - y[..., 0]

    def buttons(self) -> Array:
        """Bool ``S + (8,)``: which buttons the own player holds."""
        return (self.players.buttons[..., :1] & self.table("buttons")) != 0

    def integer(self, array: Array) -> Array:
        """The array as int64, which is what both libraries index with."""
        return self.module.asarray(array, dtype=self.module.int64)

    def table(self, name: str) -> Array:
        """A constant table on the game's device."""
        return TABLES[name].on(self.game.rows)

    def lines(self, floats: Array) -> Array:
        """int64 ``S + (1,)``: where each frame of contiguous ``floats``, ``S + (F,)``, begins in memory."""
        shape = floats.shape[:-1]
        frames = self.module.arange(math.prod(shape), device=self.device)
        return frames.reshape((*shape, 1)) * floats.shape[-1]

    def one_hot(self, index: Array, width: int) -> Array:
        """A new last axis of ``width``, true at ``index``; an index outside gives all false."""
        return index[..., None] == self.module.arange(width, device=self.device)
