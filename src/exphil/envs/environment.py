"""What a world is, and the one loop that drives it.

A world runs E games side by side. It is stepped with the controllers of its ports and shows a ``Frame``. The last
frame of a game is shown; the step after it ignores its controllers and opens the next game with ``is_first``. A frame
limit is a truncation, stocks and clock are an end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from exphil.errors import OptionError
from exphil.game.controller import Controller
from exphil.game.frames import Game


class Frame(NamedTuple):
    """One frame of E games.

    Attributes:
        game: Shape ``(E,)``, players in port order.
        is_first: bool ``(E,)``: a game opens with this frame.
        is_last: bool ``(E,)``: stocks or the clock ended the game.
        is_truncated: bool ``(E,)``: a frame limit ended it.
    """

    game: Game
    is_first: NDArray[np.bool_]
    is_last: NDArray[np.bool_]
    is_truncated: NDArray[np.bool_]


class Environment(Protocol):
    """A world.

    Attributes:
        ports: The two ports that play, in order; the game's player 0 sits on the first.
        delay: Frames between a controller handed over and the frame it acts on, beyond the next.
        reacts_to_actions: Whether controllers change anything; without it nobody can win, learn or be rated.
        name: What results call it.
    """

    name: str
    ports: tuple[int, int]
    delay: int
    reacts_to_actions: bool

    def reset(self, seed: int | None = None) -> Frame:
        """Open every game anew."""
        ...

    def step(self, controllers: Mapping[int, Controller]) -> Frame:
        """Press, per port, controllers of shape ``(E,)``; a port left out is driven by the world."""
        ...

    def close(self) -> None:
        """Let go of everything; a second call does nothing."""
        ...


class Decision(Protocol):
    """What an actor decided; it may say more than what is pressed."""

    @property
    def controllers(self) -> Controller:
        """Shape ``(E,)``."""
        ...


class Actor(Protocol):
    """Whoever decides: an agent, a script."""

    def step(self, frame: Frame) -> Decision:
        """What to press after seeing a frame."""
        ...


Watch = Callable[[Frame, Mapping[int, Decision]], None]


def run(
    environment: Environment,
    actors: Mapping[int, Actor],
    frames: int,
    watch: Watch | None = None,
    seed: int | None = None,
) -> int:
    """Drive a world: show a frame, let every actor decide, press.

    Args:
        environment: The world.
        actors: Who plays on which port.
        frames: Frames to show.
        watch: Called with every frame and the decisions made after seeing it.
        seed: Of the world.

    Returns:
        Games that came to an end.

    Raises:
        OptionError: an actor sits on a port that the world does not have.
    """
    unknown = set(actors) - set(environment.ports)
    if unknown:
        raise OptionError(f"nobody can play on port {min(unknown)}", "port", f"this game has ports {environment.ports}")
    frame, ended = environment.reset(seed), 0
    for shown in range(frames):
        decisions = {port: actor.step(frame) for port, actor in actors.items()}
        if watch is not None:
            watch(frame, decisions)
        ended += int((frame.is_last | frame.is_truncated).sum())
        if shown + 1 < frames:
            frame = environment.step({port: decision.controllers for port, decision in decisions.items()})
    return ended
