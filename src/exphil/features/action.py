"""Controllers to classes and back: what a policy is asked to predict.

An action is thirteen *components*: eight buttons (pressed or not), four stick axes of 17 classes, one shoulder of 5.
Class ``c`` of an axis stands for ``(c - 8) / 8``; class ``c`` of the shoulder for ``c / 4``. Encoding takes the
nearest class; a value half-way between two goes to the one farther from the centre, so that mirroring a stick and
mirroring its class are the same thing. -1, 0 and 1 survive exactly.

Works on numpy and torch arrays alike and never imports torch.
"""

from __future__ import annotations

from typing import NamedTuple

from exphil.game.controller import STICK_STEPS, TRIGGER_STEPS, Controller
from exphil.game.frames import Array, namespace
from exphil.game.ids import BUTTONS

AXIS_CLASSES = 17
SHOULDER_CLASSES = 5


class Component(NamedTuple):
    """One part of an action."""

    name: str
    classes: int


COMPONENTS = (
    *(Component(button.name or "", 2) for button in BUTTONS),
    *(Component(axis, AXIS_CLASSES) for axis in ("main_x", "main_y", "c_x", "c_y")),
    Component("shoulder", SHOULDER_CLASSES),
)
NUM_BUTTONS = len(BUTTONS)
NEUTRAL = (*[0] * NUM_BUTTONS, *[AXIS_CLASSES // 2] * 4, 0)
"""The action of a controller that nobody touches."""


def _axis_class(value: Array) -> Array:
    half = AXIS_CLASSES // 2
    steps = (value * STICK_STEPS).round()
    magnitude = (abs(steps) * half / STICK_STEPS + 0.5) // 1
    return (half + namespace(value).sign(steps) * magnitude).clip(0, AXIS_CLASSES - 1)


def _shoulder_class(value: Array) -> Array:
    steps = (value * TRIGGER_STEPS).round()
    return ((steps * (SHOULDER_CLASSES - 1) / TRIGGER_STEPS + 0.5) // 1).clip(0, SHOULDER_CLASSES - 1)


def encode(controller: Controller) -> Array:
    """The nearest action of every controller: int64, the controllers' shape and a last axis of 13."""
    module = namespace(controller.main_x)
    pressed = [(controller.buttons & int(button)) != 0 for button in BUTTONS]
    axes = [_axis_class(getattr(controller, component.name)) for component in COMPONENTS[NUM_BUTTONS:-1]]
    parts = [*pressed, *axes, _shoulder_class(controller.shoulder)]
    return module.stack([module.asarray(part, dtype=module.int64) for part in parts], -1)


def encode_floats(floats: Array) -> Array:
    """The same from the thirteen controller floats of the feature table (buttons 0 or 1, sticks, shoulder).

    Keeps their shape.
    """
    module = namespace(floats)
    axes = _axis_class(floats[..., NUM_BUTTONS:-1])
    parts = [floats[..., :NUM_BUTTONS], axes, _shoulder_class(floats[..., -1:])]
    return module.asarray(module.concatenate(parts, -1), dtype=module.int64)


def decode(action: Array) -> Controller:
    """The controllers that actions stand for.

    Float32 columns and int16 button bits of the actions' shape without its last axis.
    """
    module = namespace(action)
    half = AXIS_CLASSES // 2
    axes = module.asarray(action[..., NUM_BUTTONS:-1] - half, dtype=module.float32) / half
    shoulder = module.asarray(action[..., -1], dtype=module.float32) / (SHOULDER_CLASSES - 1)
    bits = sum(action[..., index] * int(button) for index, button in enumerate(BUTTONS))
    main_x, main_y, c_x, c_y = (axes[..., index] for index in range(4))
    return Controller(main_x, main_y, c_x, c_y, shoulder, module.asarray(bits, dtype=module.int16))
