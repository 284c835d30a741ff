"""The same game twice: in the same bytes (a digest finds it) or in other bytes (an identity does).

One match reaches a collection in several files: both clients of a netplay game save it, tools save it again without
names or with another costume, uploads break off. ``identity`` is equal for these and differs between games. It is made
of the stage, the ports, the characters, the random seed of the start block, and what was pressed:

* Netplay draws its seed from 65,536 numbers, so the seed alone would confuse games of a large collection. The two
  clients recorded different inputs for a while: each wrote its own hand as it was, and the other's as predicted until
  it arrived, later by some frames, with a value skipped where the network made up for lost time. Sticks and times
  therefore differ (up to 39% of the frames of a bad connection); the order of button presses nearly never does. The
  first ``PRESSES`` presses of each port are taken, without their times: in 105 public netplay games with rollbacks
  they were the same for the first version of every frame (what a client saw) and for the last (what was true) in all;
  with eight presses they were not in three. Sixteen bits of seed and, measured, twelve of presses tell apart what has
  the same players' characters, ports and stage.
* Every other recording has a seed of 32 bits and no rollbacks: buttons and sticks of the first ``STRETCH`` frames after
  GO are taken as they are. Bots may start from the same seed every time; what they do then tells them apart. Where
  nobody touches anything in that time, or the recording ends within it, everything that was pressed in the game is
  taken instead.

A recording that broke off is recognised when it holds that much: on netplay mostly 3 s, on other recordings
``STRETCH`` frames from GO. The costume, names, codes, the match id, the metadata and everything after that are not
looked at.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from exphil.game.frames import Game
from exphil.game.ids import BUTTONS
from exphil.game.time import FRAMES_PER_SECOND, GO_FRAME
from exphil.replays.container import Start

NETPLAY_SEEDS = 1 << 16
"""Seeds below it are netplay's. Of 212 public recordings 133 are below, netplay every one; one in 65,536 of the others
falls here by chance and is then told apart by its presses as well."""
PRESSES = 4
"""Button presses of each port. More tell more games apart and survive rollbacks less; see the module."""
STRETCH = 5 * FRAMES_PER_SECOND
"""Frames from GO on that identify a recording without rollbacks."""

_INPUTS = ("buttons", "main_x", "main_y", "c_x", "c_y")


def presses(game: Game, seat: int, count: int = PRESSES) -> bytes:
    """The first ``count`` presses of a seat in the order they came, one byte each: an index into ``ids.BUTTONS``.

    Buttons that go down on one frame are in the order of ``BUTTONS``.
    """
    buttons = np.asarray(game.players.buttons)[:, seat]
    pressed = buttons[1:] & ~buttons[:-1]
    found: list[int] = []
    for frame in np.flatnonzero(pressed & int(sum(BUTTONS))):
        found += [index for index, button in enumerate(BUTTONS) if pressed[frame] & button]
        if len(found) >= count:
            break
    return bytes(found[:count])


def _inputs(game: Game) -> NDArray[np.float32]:
    """``(10, T)``: buttons and sticks of both seats; -0 is 0, so that a tool may write either."""
    inputs: NDArray[np.float32] = np.concatenate(
        [np.asarray(getattr(game.players, name)).astype(np.float32).T for name in _INPUTS]
    )
    inputs[inputs == 0] = 0
    return inputs


def _held(game: Game) -> bytes:
    """The inputs of the stretch after GO, or all of them where the stretch tells nothing."""
    frames = np.asarray(game.frame)
    stretch = _inputs(game[np.flatnonzero((frames >= GO_FRAME) & (frames < GO_FRAME + STRETCH))])
    whole = stretch.shape[1] < STRETCH or not (stretch != 0).any()
    return (_inputs(game) if whole else stretch).tobytes()


def identity(start: Start, game: Game, random_seed: int | None) -> str:
    """Sixteen letters that two recordings of one game share.

    Args:
        start: The start block: stage, ports and characters are read.
        game: The rows of the match, shape ``(T,)``, seats in port order; the first version of rolled-back frames or
            the last.
        random_seed: The start block's; None when the recording has none, which is treated as one without rollbacks.
    """
    seats = [(seat.port, seat.character) for seat in start.seats]
    made = hashlib.blake2b(repr((start.stage, seats, random_seed)).encode(), digest_size=8)
    if random_seed is not None and 0 <= random_seed < NETPLAY_SEEDS:
        made.update(b"".join(b"/" + presses(game, seat) for seat in (0, 1)))
    else:
        made.update(_held(game))
    return made.hexdigest()


class Seen:
    """The games met so far, in order, by the bytes of their files and by identity."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._first: dict[tuple[str, str], int] = {}

    def first_of(self, digest: str, identity: str | None = None) -> str | None:
        """The name of the earliest game with this digest or this identity, None for a new one.

        Leave out the identity of a file whose game is not read: then only its bytes can be known.
        """
        known = (self._first.get(key) for key in (("digest", digest), ("identity", identity or "")))
        met = [index for index in known if index is not None]
        return self._names[min(met)] if met else None

    def add(self, name: str, digest: str, identity: str | None = None) -> None:
        """Remember a game; what an earlier one had keeps the earlier one's name."""
        self._names.append(name)
        for kind, value in (("digest", digest), ("identity", identity)):
            if value:
                self._first.setdefault((kind, value), len(self._names) - 1)
