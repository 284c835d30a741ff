"""How many times a press of each button counts, written ``z=12,l=4``."""

from __future__ import annotations

from collections.abc import Sequence

from exphil.errors import OptionError

BUTTONS = ("a", "b", "x", "y", "z", "l", "r", "d_up")
"""In the order of the components of an action (tested against ``features.action``)."""


def spelled_weight(text: str) -> str:
    """One entry, checked and written the one way.

    Raises:
        OptionError: no such button, or a weight that is not a number above 0.
    """
    name, _, number = (part.strip() for part in text.partition("="))
    button = name.lower().replace("-", "_")
    if button not in BUTTONS:
        raise OptionError(f"'{text}' names no button", fix=f"one of {', '.join(BUTTONS)}, as in z=12")
    try:
        weight = float(number)
    except ValueError:
        weight = 0.0
    if not 0 < weight < 1e6:
        raise OptionError(f"'{text}' has no weight above 0", fix=f"for example {button}=12")
    return f"{button}={weight:g}"


def weights(entries: Sequence[str]) -> tuple[float, ...]:
    """The weight of every button, 1 where none is given; the last of several entries counts."""
    given = dict(entry.split("=") for entry in entries)
    return tuple(float(given.get(button, 1)) for button in BUTTONS)
