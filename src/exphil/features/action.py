"""Controllers to classes and back: what a policy is asked to predict.

An action is thirteen *components*: eight buttons (pressed or not), four stick axes, one shoulder. A ``Codec`` says
which stick positions and trigger depths the classes stand for. Encoding takes the nearest of them, decoding gives it
back; a value half-way between two goes to the one farther from rest, so that mirroring a stick and mirroring its class
are the same thing wherever the positions are symmetric.

The shoulder is the analog depth that the game used, and nothing else. Clicks of L and R are buttons of their own, but
the game reads full depth (1) while one of them is clicked and 0.35 while Z is held, so the recorded depth says so too.
A stick within the dead zone and a trigger shallower than its floor are read as rest. So a tilt is never encoded to a
class within the dead zone, unless rest itself is nearest, and a light shield never to a depth that raises none.

Works on numpy and torch arrays alike and never imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.features.view import Constant
from exphil.game.controller import STICK_FLOOR, STICK_STEPS, TRIGGER_FLOOR, TRIGGER_STEPS, Z_DEPTH, Controller
from exphil.game.frames import Array, namespace
from exphil.game.ids import BUTTONS, Button

AXES = ("main_x", "main_y", "c_x", "c_y")
NUM_BUTTONS = len(BUTTONS)
NUM_COMPONENTS = NUM_BUTTONS + len(AXES) + 1
AXIS_BUCKETS, SHOULDER_BUCKETS = 16, 4


class Component(NamedTuple):
    """One part of an action."""

    name: str
    classes: int


@dataclass(frozen=True)
class Codec:
    """What the classes of an action stand for.

    Attributes:
        axes: For main x, main y, C x and C y the positions in [-1, 1] that classes stand for, ascending.
        shoulder: The same for the analog trigger, in [0, 1].
    """

    axes: tuple[tuple[float, ...], ...]
    shoulder: tuple[float, ...]

    @staticmethod
    def uniform(axis_buckets: int = AXIS_BUCKETS, shoulder_buckets: int = SHOULDER_BUCKETS) -> Codec:
        """Equal steps: ``axis_buckets + 1`` classes an axis and ``shoulder_buckets + 1`` of the shoulder.

        -1 and 1 are exact always, and so is 0 when the buckets are even in number.
        """
        axis = tuple((2 * place - axis_buckets) / axis_buckets for place in range(axis_buckets + 1))
        return Codec((axis,) * len(AXES), tuple(place / shoulder_buckets for place in range(shoulder_buckets + 1)))

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """All thirteen, in order."""
        buttons = [Component(button.name or "", 2) for button in BUTTONS]
        axes = [Component(name, len(centres)) for name, centres in zip(AXES, self.axes, strict=True)]
        return (*buttons, *axes, Component("shoulder", len(self.shoulder)))

    @property
    def classes(self) -> tuple[int, ...]:
        """``(13,)``: the classes of each component."""
        return tuple(component.classes for component in self.components)

    @cached_property
    def neutral(self) -> tuple[int, ...]:
        """The action of a controller that nobody touches."""
        rest = [int(abs(np.array(centres)).argmin()) for centres in (*self.axes, self.shoulder)]
        return (*[0] * NUM_BUTTONS, *rest)

    def encode(self, controller: Controller) -> Array:
        """The nearest action of every controller: int64, the controllers' shape and a last axis of 13."""
        module = namespace(controller.main_x)
        pressed = [(controller.buttons & int(button)) != 0 for button in BUTTONS]
        analog = [getattr(controller, name) for name in (*AXES, "shoulder")]
        floats = [module.asarray(part, dtype=module.float32) for part in (*pressed, *analog)]
        return self.encode_floats(module.stack(floats, -1))

    def encode_floats(self, floats: Array) -> Array:
        """The same from the thirteen controller floats of the feature table (buttons 0 or 1, sticks, shoulder).

        Keeps their shape.
        """
        module = namespace(floats)
        steps = (floats[..., NUM_BUTTONS:] * _STEPS.on(floats)).round() + _FIRST_STEP.on(floats)
        places = module.asarray(steps, dtype=module.int64).clip(0, _MOST_STEPS - 1) + _OFFSETS.on(floats)
        pressed = module.asarray(floats[..., :NUM_BUTTONS], dtype=module.int64)
        return module.concatenate([pressed, self._class_of_step.on(floats)[places]], -1)

    def decode_floats(self, action: Array) -> Array:
        """The thirteen controller floats that actions stand for; keeps their shape."""
        places = action[..., NUM_BUTTONS:] + self._first_class.on(action)
        analog = self._value_of_class.on(action)[places]
        module = namespace(action)
        return module.concatenate([module.asarray(action[..., :NUM_BUTTONS], dtype=analog.dtype), analog], -1)

    def decode(self, action: Array) -> Controller:
        """The controllers that actions stand for, of their shape without its last axis."""
        return controller(self.decode_floats(action))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {"axes": [list(centres) for centres in self.axes], "shoulder": list(self.shoulder)}

    @staticmethod
    def from_dict(words: dict[str, Any]) -> Codec:
        """What ``as_dict`` gave; nothing means the equal steps that every policy had before there was a choice."""
        if not words:
            return Codec.uniform()
        return Codec(tuple(tuple(centres) for centres in words["axes"]), tuple(words["shoulder"]))

    @cached_property
    def _class_of_step(self) -> Constant:
        """int64 ``(5 * 161,)``: for each axis and the shoulder the class of every step."""
        sticks, depths = np.arange(-STICK_STEPS, STICK_STEPS + 1), np.arange(_MOST_STEPS)
        axes = [_classes(sticks, STICK_STEPS, centres, STICK_FLOOR, on_off=False) for centres in self.axes]
        return Constant(
            np.concatenate([*axes, _classes(depths, TRIGGER_STEPS, self.shoulder, TRIGGER_FLOOR, on_off=True)])
        )

    @cached_property
    def _first_class(self) -> Constant:
        sizes = [len(centres) for centres in self.axes]
        return Constant(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))

    @cached_property
    def _value_of_class(self) -> Constant:
        return Constant(np.concatenate([*self.axes, self.shoulder]).astype(np.float32))


def controller(floats: Array) -> Controller:
    """Thirteen controller floats as a controller: float32 columns and int16 button bits."""
    module = namespace(floats)
    bits = (module.asarray(floats[..., :NUM_BUTTONS], dtype=module.int64) * _BITS.on(floats)).sum(-1)
    main_x, main_y, c_x, c_y, shoulder = (floats[..., NUM_BUTTONS + index] for index in range(len(AXES) + 1))
    return Controller(main_x, main_y, c_x, c_y, shoulder, module.asarray(bits, dtype=module.int16))


def as_read(floats: Array) -> Array:
    """Controller floats as the game reads them, which is how recordings have them; a copy of their shape.

    Sticks on their grid and at rest within the dead zone, the trigger on its grid and at rest below its floor, at full
    depth while L or R is clicked and at ``Z_DEPTH`` while Z is held.
    """
    module = namespace(floats)
    sticks = (floats[..., NUM_BUTTONS:-1] * STICK_STEPS).round() / STICK_STEPS
    sticks = sticks * (abs(sticks) >= _STICK_FLOOR.on(sticks))
    clicked = module.maximum(floats[..., _L], floats[..., _R])
    held = floats[..., _Z]
    depth = (floats[..., -1] * TRIGGER_STEPS).round() / TRIGGER_STEPS
    depth = module.maximum(clicked, depth * (depth >= _TRIGGER_FLOOR.on(depth)))
    depth = held * Z_DEPTH + (1 - held) * depth
    return module.concatenate([floats[..., :NUM_BUTTONS], sticks, depth[..., None]], -1)


_Z, _L, _R = (BUTTONS.index(button) for button in (Button.Z, Button.L, Button.R))
_STICK_FLOOR, _TRIGGER_FLOOR = (Constant(np.array(floor, np.float32)) for floor in (STICK_FLOOR, TRIGGER_FLOOR))
_MOST_STEPS = 2 * STICK_STEPS + 1
_STEPS = Constant(np.array([STICK_STEPS] * len(AXES) + [TRIGGER_STEPS], np.float32))
_FIRST_STEP = Constant(np.array([STICK_STEPS] * len(AXES) + [0], np.float32))
_OFFSETS = Constant(np.arange(len(AXES) + 1, dtype=np.int64) * _MOST_STEPS)
_BITS = Constant(np.array(BUTTONS, np.int64))


def _classes(
    values: NDArray[np.int64], steps: int, centres: Sequence[float], floor: float, *, on_off: bool
) -> NDArray[np.int64]:
    """The class of every value, in whole steps of ``1 / steps``: the nearest centre.

    A centre below the floor is played as rest: a value that does something is never taken for it, but for rest itself
    where that is nearest. ``on_off``: reaching the floor is what counts, so then it is not taken for rest either.
    """
    exact, least = np.array(centres), round(floor * steps)
    idle = np.rint(abs(exact) * steps) < least
    open_to_all = np.where(idle & (on_off | (exact != 0)) & ~idle.all(), np.inf, exact)
    near = _nearest(values / steps, exact), _nearest(values / steps, open_to_all)
    return np.where(abs(values) < least, *near)


def _nearest(values: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of the nearest centre of every value; of two as near the one farther from 0.

    Nearness is judged to a billionth, so that rounding does not decide between two that are equally near.
    """
    far = abs(values[:, None] - centres).round(9)
    return np.lexsort((-abs(np.broadcast_to(centres, far.shape)), far), axis=1)[:, 0]
