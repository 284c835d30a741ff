"""All that the kernels know, as one record: a pointer to it travels through them, not forty arrays.

The record has the fields of ``tables.Tables``, those of ``states.npz``, and ``moves``. Fitted from recorded games by
``tools/fit_states.py`` are:

- ``dash_frames`` (33,): frames of a dash before it becomes a run.
- ``hang`` (33, 2): where a player hangs, outwards and up from the edge; ``cling`` (C, 2) where the body is in each
  frame of catching it and of jumping up from it, ``cling_at`` (33, 399) the row of the first frame, and
  ``cling_frames`` (33, 399) how many there are, 0 for unknown; ``reach`` (33, 3): how far out a ledge is
  caught, and how far below it at least and at most.
- ``charged`` (33, 399): the frame in which a smash attack can be held, 0 for none.
- ``feet`` (33, 399): how high the feet are above the position.
- ``special`` (33, 4, 2): the state B goes into: neutral, side, up, down; in the air, on the ground.
- ``whole`` (33, 399): frames of animation that a landing or a stun plays, however long it lasts.
- ``after`` (33, 399): what follows a special move that has lasted its time, 0 for unknown.
- ``carry`` (P, 3): where a grab or throw has its victim in each frame of its animation, forwards and up from who
  throws, and how far ahead that one has come by then (0 throughout for who stands); ``carry_at`` (33, 399) the row
  of the first frame, ``carry_frames`` (33, 399) how many there are, 0 for unknown; ``middle`` (33, 2) how much lower a
  victim's position is than a usual one's.
- ``drive`` (D, 6): speed forward and up in a frame of a move, and whether it prescribes each; then by how much it
  changes the speed up, and whether it does. ``drive_at`` (33, 399) the row of a move's first frame, -1 for none, and
  ``drive_frames`` (33, 399) how many rows it has.
- ``steers`` (33, 399): whether one steers in the air during a special move; ``lands`` (33, 399) the state that it leads
  to on landing, 0 for unknown, and ``lands_on`` whether that goes on where the move was.

``moves`` (33, 399) says whether an action's animation moves its player.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.envs.sim import tables
from exphil.envs.sim.state import Record


def load() -> Record:
    """The record; the same one every time."""
    return known().view(np.recarray)[0]


@cache
def known() -> NDArray[Any]:
    """The record in an array of one: what ``step`` takes."""
    base = tables.load()
    with files("exphil.envs.sim").joinpath("states.npz").open("rb") as file, np.load(file, allow_pickle=False) as held:
        found: dict[str, NDArray[Any]] = {**base._asdict(), **{name: held[name] for name in held.files}}
    found["moves"] = _moves(base)
    kind = np.dtype([(name, _wide(array.dtype), array.shape) for name, array in found.items()], align=True)
    made = np.zeros(1, kind)
    for name, array in found.items():
        made[0][name][...] = array
    return made


def _wide(kind: np.dtype[Any]) -> np.dtype[Any]:
    """The same with float64 for float32: numpy keeps float32 beside a Python number, compiled code does not."""
    if kind.names is not None and kind.fields is not None:
        return np.dtype([(name, _wide(kind.fields[name][0])) for name in kind.names], align=True)
    return np.dtype(np.float64) if kind == np.float32 else kind


def _moves(base: tables.Tables) -> NDArray[np.int8]:
    moves = np.zeros(base.motion_at.shape, np.int8)
    for who, action in zip(*np.nonzero(base.motion_at >= 0), strict=True):
        at, count = base.motion_at[who, action], base.motion_frames[who, action]
        moves[who, action] = np.abs(base.motion[at : at + count]).sum() > 0.1
    return moves
