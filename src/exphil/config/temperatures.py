"""How boldly each component of an action is drawn, written ``0.7`` or ``buttons=0.5,main=1``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from exphil.config.weights import BUTTONS
from exphil.errors import OptionError

COMPONENTS = (*BUTTONS, "main_x", "main_y", "c_x", "c_y", "shoulder")
"""In the order of an action (tested against ``features.action``)."""
TOGETHER: dict[str, tuple[str, ...]] = {
    "all": COMPONENTS,
    "buttons": BUTTONS,
    "sticks": ("main_x", "main_y", "c_x", "c_y"),
    "main": ("main_x", "main_y"),
    "c": ("c_x", "c_y"),
    **{name: (name,) for name in COMPONENTS},
}
"""What an entry may name, and the components that it is about."""
HIGHEST = 100.0


def spelled_temperature(text: str) -> str:
    """One entry, checked and written the one way: ``NAME=X``.

    Raises:
        OptionError: no such component, or a number outside 0 to 100.
    """
    name, equals, number = (part.strip() for part in text.partition("="))
    if not equals:
        name, number = "all", name
    name = name.lower().replace("-", "_")
    if name not in TOGETHER:
        raise OptionError(f"'{text}' names no part of an action", fix=f"one of {', '.join(TOGETHER)}")
    try:
        temperature = float(number)
    except ValueError:
        temperature = math.nan
    if not 0 <= temperature <= HIGHEST:
        raise OptionError(f"'{text}' is no temperature from 0 to {HIGHEST:g}", fix=f"for example {name}=0.7")
    return f"{name}={temperature:g}"


def temperatures(entries: Sequence[str]) -> tuple[float, ...]:
    """The temperature of every component, 1 where none is given; of several entries about one the last counts."""
    found = dict.fromkeys(COMPONENTS, 1.0)
    for entry in entries:
        name, _, number = entry.partition("=")
        found.update(dict.fromkeys(TOGETHER[name], float(number)))
    return tuple(found.values())
