"""What every world of ours checks before it opens games: how many, on which ports, who plays where.

What enters: what a caller asks for. What leaves: arrays with one entry a game. What can go wrong: OptionError for
numbers that nobody can play with, and for lists of another length than there are games.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.errors import OptionError
from exphil.game.controller import Controller
from exphil.game.time import FIRST_FRAME

MOST_STOCKS = 255


def check(games: int, ports: tuple[int, int], stocks: int, max_frames: int) -> None:
    """Whether games can be opened like this.

    Raises:
        OptionError: fewer than one game, a last frame before the second, stocks outside 1 to 255,
            ports that are not two of 1 to 4 in order.
    """
    for name, number, least, most in (
        ("games", games, 1, None),
        ("stocks", stocks, 1, MOST_STOCKS),
        ("max_frames", max_frames, FIRST_FRAME + 1, None),
    ):
        if number < least or (most and number > most):
            fix = f"{least} to {most}" if most else f"at least {least}"
            raise OptionError(f"{number} {name} cannot be played", name, fix)
    if not 1 <= ports[0] < ports[1] <= 4:
        raise OptionError(f"nobody can play on ports {ports}", "ports", "two of 1 to 4, the lower one first")


def of_games(given: Any, shape: tuple[int, ...], games: int, where: str) -> NDArray[np.int64]:
    """Whole numbers ``(games, *shape)`` of one for all or of one a game.

    Raises:
        OptionError: they are no whole numbers, or neither one nor as many as games.
    """
    found = np.asarray(given)
    if found.dtype.kind not in "iu":
        fix = "the numbers of exphil.game.ids, where character() and stage() know their names"
        raise OptionError(f"{given!r} are no whole numbers", where, fix)
    if found.shape not in (shape, (games, *shape)):
        one = "pair" if shape else "number"
        raise OptionError(
            f"{given} is neither one {one} nor {games} of them", where, f"one {one} for each of the games"
        )
    return np.array(np.broadcast_to(found, (games, *shape)), np.int64)


def check_pressed(controllers: Mapping[int, Controller], games: int) -> None:
    """Whether there is one controller for each game.

    Raises:
        OptionError: more or fewer.
    """
    for port, held in controllers.items():
        if np.shape(held.main_x) != (games,):
            what = f"controllers of shape {np.shape(held.main_x)} on port {port} for {games} games"
            raise OptionError(what, "controllers", f"arrays of shape ({games},)")
