"""What the simulator knows of characters and their moves: attributes, lengths, hitboxes, hits and throws as arrays.

``load`` reads ``tables.npz`` beside this file, once. The file is written by ``tools/make_tables.py``; where every
column comes from is in ``tools/tables/README.md``. Characters are internal numbers (``game.ids.Character``), actions
the game's action states; frames of a state are counted from 1, its first frame. Nana has Popo's figures, and the
numbers behind Roy, which nobody can play, Mario's.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ATTRIBUTE_NAMES = (
    "weight",
    "walk_init",
    "walk_accel",
    "walk_max",
    "traction",
    "dash_init",
    "run_accel_a",
    "run_accel_b",
    "run_max",
    "jump_squat",
    "jump_h",
    "jump_v",
    "jump_h_momentum",
    "jump_h_max",
    "hop_v",
    "double_jump_v",
    "double_jump_h",
    "jumps",
    "gravity",
    "fall_max",
    "air_accel_base",
    "air_accel_additional",
    "air_max",
    "air_friction",
    "fast_fall",
    "landing_lag",
    "landing_n",
    "landing_f",
    "landing_b",
    "landing_u",
    "landing_d",
    "shield_size",
    "wall_jump_h",
    "wall_jump_v",
    "edge_jump_h",
    "edge_jump_v",
    "turn_frames",
    "width",
    "height",
)
ATTRIBUTES = np.dtype([(name, "<f8") for name in ATTRIBUTE_NAMES])
"""One character. Lengths in game units, speeds in units a frame, times in frames; ``jump_h_momentum`` multiplies the
speed on the ground, ``double_jump_v`` and ``double_jump_h`` multiply ``jump_v`` and the stick; ``jumps`` counts those
on the ground too; ``width`` is half of the body's width, ``height`` its height."""

BOX = np.dtype([("x", "<f4"), ("y", "<f4"), ("size", "<f4"), ("hit", "<i4"), ("slot", "<i1")])
"""A hitbox in one frame: its centre seen from the player's position, x forwards, its radius, its row of ``hits`` (-1
for one that grabs) and its number 0..3."""

HIT = np.dtype(
    [
        ("damage", "<f4"),
        ("angle", "<f4"),  # degrees, 361 is the angle that depends on the knockback
        ("growth", "<f4"),
        ("set", "<f4"),
        ("base", "<f4"),
        ("shield", "<f4"),  # damage to shields beyond the damage
        ("effect", "<i1"),  # index of EFFECTS
    ]
)
"""What a hitbox does to whom it touches; knockback figures as in the game's formula."""

EFFECTS = ("normal", "fire", "electric", "slash", "ice", "sleep", "grab", "other")
"""Names of the numbers in ``HIT["effect"]``."""

AERIALS = (0x41, 0x42, 0x43, 0x44, 0x45)
"""Neutral, forward, back, up and down air: the order of ``auto_before`` and ``auto_after``."""

THROWS = (0xDB, 0xDC, 0xDD, 0xDE)
"""Forward, back, up and down throw: the order of ``throws`` and ``throw_frame``."""


class Tables(NamedTuple):
    """The arrays, C-contiguous; 33 characters, 399 actions.

    A figure that is nowhere known is 0 in ``length``, ``iasa``, ``auto_before`` and ``auto_after``, -1 in
    ``motion_at``.
    """

    attributes: NDArray[Any]
    """``(33,)`` of ``ATTRIBUTES``."""
    length: NDArray[np.int16]
    """``(33, 399)``: frames until the state ends by itself."""
    first: NDArray[np.float32]
    """``(33, 399)``: the action frame that is recorded on the first frame of the state."""
    rate: NDArray[np.float32]
    """``(33, 399)``: how much the action frame rises a frame."""
    iasa: NDArray[np.int16]
    """``(33, 399)``: the first frame in which another action may start."""
    auto_before: NDArray[np.int16]
    """``(33, 5)``: who lands in a frame of an aerial (``AERIALS``) before this one has plain landing lag."""
    auto_after: NDArray[np.int16]
    """``(33, 5)``: who lands in a frame of an aerial after this one has plain landing lag."""
    motion_at: NDArray[np.int32]
    """``(33, 399)``: the row of ``motion`` of the state's first frame."""
    motion_frames: NDArray[np.int16]
    """``(33, 399)``: how many rows of ``motion`` the state has."""
    motion: NDArray[np.float32]
    """``(M, 2)``: by how much the animation moves forwards and up in that frame."""
    box_at: NDArray[np.int32]
    """``(M + 1,)``: the first row of ``boxes`` of every row of ``motion``."""
    boxes: NDArray[Any]
    """``(B,)`` of ``BOX``."""
    hits: NDArray[Any]
    """``(H,)`` of ``HIT``."""
    throws: NDArray[Any]
    """``(33, 4)`` of ``HIT``, in the order of ``THROWS``."""
    throw_frame: NDArray[np.int16]
    """``(33, 4)``: the frame in which the throw lets go, at the speed of a victim of weight 100."""
    throw_before: NDArray[np.float32]
    """``(33, 4)``: damage that the throw's own hits do before it lets go."""
    throw_by_weight: NDArray[np.int8]
    """``(33, 4)``: 1 for a throw that plays 100 / weight of the victim times as fast, 0 for one of fixed speed."""
    safe: NDArray[np.int16]
    """``(33, 399, 2)``: first and last frame in which nothing touches who is in the state; 0, 0 where there is none."""


@cache
def load() -> Tables:
    """The tables that come with the package; the same object every time, its arrays read-only."""
    with files("exphil.envs.sim").joinpath("tables.npz").open("rb") as file, np.load(file, allow_pickle=False) as held:
        arrays = {name: np.ascontiguousarray(held[name]) for name in Tables._fields}
    for array in arrays.values():
        array.flags.writeable = False
    return Tables(**arrays)
