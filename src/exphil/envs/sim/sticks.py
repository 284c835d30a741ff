"""Controllers as the game reads them: fresh presses, how long a stick has been away from rest, thresholds.

Thresholds are those of the game's common data as published (SmashWiki "Control stick", "Dash", "Fast falling"; the
decompilation's names of the same figures), in stick units of [-1, 1].
"""

from __future__ import annotations

from exphil.compiled import part
from exphil.envs.sim.state import Record
from exphil.game.controller import STICK_FLOOR, TRIGGER_FLOOR, Z_DEPTH
from exphil.game.ids import Button

JUMP_BUTTONS = int(Button.X | Button.Y)
SHIELD_BUTTONS = int(Button.L | Button.R)
TRIGGERS = int(Button.L | Button.R | Button.Z)
ANY = int(Button.A | Button.B | Button.X | Button.Y | Button.L | Button.R | Button.Z)
A, B, Z = int(Button.A), int(Button.B), int(Button.Z)
TILTED = 0.25
"""From here a stick counts as away from rest; its timers start."""
SMASHED = 0.8
DASH_FRAMES, SMASH_FRAMES, TAP_FRAMES = 2, 4, 4
"""How fresh a push must be: for a dash, a smash attack, a jump by stick."""
TAP_JUMP = 0.6625
FAST_FALL = 0.6625
CROUCHED = 0.6875
DODGED = 0.7
HAIR = 1e-4
"""What float32 may miss a whole step of a stick or trigger by."""
LONG = 254


@part
def axis(value: float) -> float:
    """An axis as the game reads it: in [-1, 1], at rest within the dead zone; what is no number rests."""
    if not abs(value) >= STICK_FLOOR - HAIR:
        return 0.0
    return min(max(value, -1.0), 1.0)


@part
def depth(value: float, buttons: int) -> float:
    """The trigger as the game reads it: full while L or R is clicked, ``Z_DEPTH`` with Z, at rest below its floor."""
    if buttons & Z:
        return Z_DEPTH
    if buttons & SHIELD_BUTTONS:
        return 1.0
    if not value >= TRIGGER_FLOOR - HAIR:
        return 0.0
    return min(value, 1.0)


@part
def pushed(now: float, before: float) -> bool:
    """Whether an axis has left rest, or gone to its other side, in this frame."""
    return abs(now) >= TILTED and (abs(before) < TILTED or now * before < 0)


@part
def read(p: Record, main_x: float, main_y: float, c_x: float, c_y: float, shoulder: float, buttons: int) -> None:
    """The frame's controller comes in; timers go on."""
    p.was_main_x, p.was_main_y, p.was_c_x, p.was_c_y, p.was_buttons = p.main_x, p.main_y, p.c_x, p.c_y, p.buttons
    p.main_x, p.main_y, p.c_x, p.c_y = axis(main_x), axis(main_y), axis(c_x), axis(c_y)
    p.shoulder, p.buttons = depth(shoulder, buttons), buttons
    p.tilt_x = 0 if pushed(p.main_x, p.was_main_x) else p.tilt_x + 1
    p.tilt_y = 0 if pushed(p.main_y, p.was_main_y) else p.tilt_y + 1
    fresh = buttons & ~p.was_buttons
    p.since_trigger = 0 if fresh & TRIGGERS else p.since_trigger + 1
    p.tilt_x, p.tilt_y, p.since_trigger = min(p.tilt_x, LONG), min(p.tilt_y, LONG), min(p.since_trigger, LONG)


@part
def pressed(p: Record, mask: int) -> bool:
    """Whether one of these buttons is newly down."""
    return (p.buttons & ~p.was_buttons & mask) != 0


@part
def c_pushed(p: Record) -> int:
    """Whether the c-stick is newly away from rest: 0 no, 1 right, 2 left, 3 up, 4 down."""
    if max(abs(p.was_c_x), abs(p.was_c_y)) >= SMASHED or max(abs(p.c_x), abs(p.c_y)) < SMASHED:
        return 0
    if abs(p.c_x) >= abs(p.c_y):
        return 1 if p.c_x > 0 else 2
    return 3 if p.c_y > 0 else 4


@part
def c_tilted(p: Record) -> bool:
    """Whether the c-stick is newly away from rest, however little: what an aerial asks for."""
    return max(abs(p.was_c_x), abs(p.was_c_y)) < TILTED <= max(abs(p.c_x), abs(p.c_y))


@part
def jumped(p: Record) -> bool:
    """Whether a jump is asked for, by button or by a fresh push up."""
    return pressed(p, JUMP_BUTTONS) or (p.main_y >= TAP_JUMP and p.tilt_y < TAP_FRAMES)


@part
def shielding(p: Record) -> bool:
    """Whether a trigger is down."""
    return (p.buttons & SHIELD_BUTTONS) != 0 or p.shoulder >= TRIGGER_FLOOR - HAIR
