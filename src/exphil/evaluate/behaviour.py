"""What two players do, counted frame by frame: jumps, shields, wavedashes, L-cancels, stocks thrown away, presses.

Frames of E games enter, live or recorded; sums leave, and rates made of them. Everything is read off the frames (what
was pressed stands in them), so recordings and live games are counted by one rule. Counted are the frames that are
played: from GO until a last stock is lost. Nanas are not looked at.

What can go wrong: a file without hitlag (Slippi < 3.8) hides some L-cancels; where netplay took back a stock that it
had predicted lost, one loss too many is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.game.controller import TRIGGER_FLOOR
from exphil.game.frames import ROW, Game, playing
from exphil.game.ids import BUTTONS, NUM_ACTIONS, Action, Button, Character
from exphil.game.time import FRAMES_PER_SECOND
from exphil.replays.quality import DEAD, FOOTHOLD, RECENT_HIT, STANDS, SUFFERS

Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]

_MINUTE = 60 * FRAMES_PER_SECOND
MIN_STOCKS, MIN_LANDINGS, MIN_PRESSES = 4, 10, 10
"""Stocks lost, aerials landed, presses of a button: a share or a mean of fewer is none."""
L_CANCEL_FRAMES = 6
"""Frames, those in hitlag not among them, that lie at most between the press of a trigger and the landing: the game
takes presses of the last seven frames. Against the game's own flag in the 97 public games that hold it and hitlag, this
is right in 98.1% of 5,569 aerial landings, and misses none that was cancelled."""
WAVEDASH_FRAMES = 8
"""Frames from the last one of a jump squat to landing in special fall, at most. In 155 human games 5,861 landings lie
that near, 3,270 of them on the next frame (an air dodge right into the floor is never shown as one), and 10 on the two
frames beyond: after those come landings on platforms."""

_HANDS = BUTTONS[:-1]
_BITS = np.array(_HANDS, np.int16)
_NAMES = tuple(str(button.name).lower() for button in _HANDS)
_RUNS = ("unchanged", *_NAMES)
"""What goes on for stretches of frames; counted are its frames, its stretches, and the longest one of every game."""
_SINGLE = (
    "games", "frames", "held", "presses", "shielded", "jumps", "wavedashes", "landings", "cancelled", "lost", "thrown",
)  # fmt: skip
COUNTED = (
    *(f"{run}_{what}" for what in ("frames", "times", "longest") for run in _RUNS),
    *_SINGLE,
)
"""The names of the last axis of ``Counts.sums``."""
_AT = {name: at for at, name in enumerate(COUNTED)}
_FRAMES, _TIMES, _LONGEST = (slice(at * len(_RUNS), (at + 1) * len(_RUNS)) for at in range(3))
_LONG_AGO = 1 << 20


def _actions(*numbers: int) -> Flags:
    return np.isin(np.arange(NUM_ACTIONS), numbers)


_SHIELD = _actions(*range(0xB2, 0xB7))
_JUMP = _actions(Action.KNEE_BEND, 0x1B, 0x1C)  # the squat of a jump off the ground, and both jumps in the air
_MANY_JUMPS = _actions(*range(0x155, 0x15A))  # of those who have five of them
_JUMPERS = (Character.KIRBY, Character.JIGGLYPUFF)
_AERIAL_LANDING = _actions(*range(0x46, 0x4B))
_SPECIAL_LANDING = 0x2B


class Counts:
    """What two players did in E games that are shown frame by frame, counted game by game.

    Args:
        games: E.
    """

    def __init__(self, games: int) -> None:
        self._sums = np.zeros((games, 2, len(COUNTED)))
        self._begun = np.zeros(games, np.bool_)
        self._hands, self._moves, self._lives = _Hands(games), _Moves(games), _Lives(games)

    @property
    def sums(self) -> Doubles:
        """``(E, 2, len(COUNTED))`` so far, players in port order; games that still go on are in it."""
        found = self._sums.copy()
        found[..., _LONGEST] += self._hands.longest
        found[..., _AT["games"]] += self._begun[:, None]
        return found

    def see(self, game: Game, opens: Flags, counts: Flags | None = None) -> None:
        """The next frame of every game.

        Args:
            game: Shape ``(E,)``, players in port order.
            opens: bool ``(E,)``: another game opens with this frame.
            counts: bool ``(E,)``: rows that are looked at; all when left out.
        """
        players = game.rows.view(ROW)[..., 0]["players"]
        counted = np.ones(len(game), np.bool_) if counts is None else counts
        if opens.any():
            self._open(opens)
        played = (playing(game) & counted)[:, None]
        action = players["action"].clip(0, NUM_ACTIONS - 1)
        self._begun |= played[:, 0]
        self._add(played, frames=np.ones((len(game), 2)), shielded=_SHIELD[action])
        down, stretches, starts, held = self._hands.see(players, played)
        self._sums[..., _FRAMES] += stretches
        self._sums[..., _TIMES] += starts
        self._add(played, held=held, presses=starts[..., 1:].sum(-1))
        self._add(played, **self._moves.see(players, action, down))
        self._add(counted[:, None], **self._lives.see(players, action, counted[:, None]))

    def _add(self, rows: Flags, **found: Any) -> None:
        for name, values in found.items():
            self._sums[..., _AT[name]] += values & rows if values.dtype == np.bool_ else values * rows

    def _open(self, rows: Flags) -> None:
        self._sums[rows, :, _LONGEST] += self._hands.longest[rows]
        self._sums[rows, :, _AT["games"]] += self._begun[rows, None]
        self._begun[rows] = False
        for part in (self._hands, self._moves, self._lives):
            part.open(rows)


class _Hands:
    """Stretches of a controller that stays as it is, and of each button."""

    def __init__(self, games: int) -> None:
        self.longest = np.zeros((games, 2, len(_RUNS)), np.int32)
        self._run = np.zeros_like(self.longest)
        self._last = np.full((games, 2, 6), np.nan, np.float32)

    def see(self, players: Any, played: Flags) -> tuple[Flags, Flags, Flags, Flags]:
        """Buttons ``(E, 2, 7)``, what goes on and what begins ``(E, 2, len(_RUNS))``, any button ``(E, 2)``."""
        names = ("main_x", "main_y", "c_x", "c_y", "shoulder", "buttons")
        now = np.stack([players[name] for name in names], -1, dtype=np.float32)  # the bits of buttons fit in
        down: Flags = players["buttons"][..., None] & _BITS != 0
        on: Flags = np.concatenate([(now == self._last).all(-1, keepdims=True), down], -1) & played[..., None]
        self._run = (self._run + 1) * on
        self.longest, self._last = np.maximum(self.longest, self._run), now
        return down, on, self._run == 1, np.any(on[..., 1:], -1)

    def open(self, rows: Flags) -> None:
        """Another game: nothing goes on."""
        self.longest[rows], self._run[rows], self._last[rows] = 0, 0, np.nan


class _Moves:
    """Jumps, wavedashes, aerials that land."""

    def __init__(self, games: int) -> None:
        self._action = np.zeros((games, 2), np.int16)
        self._trigger = np.zeros((games, 2), np.bool_)
        self._since_squat = np.full((games, 2), _LONG_AGO)
        self._since_press = np.full((games, 2), _LONG_AGO)

    def see(self, players: Any, action: Any, down: Flags) -> dict[str, Flags]:
        """What happens on this frame, ``(E, 2)`` each."""
        triggers = [_HANDS.index(button) for button in (Button.Z, Button.L, Button.R)]
        trigger = (players["shoulder"] >= np.float32(TRIGGER_FLOOR)) | down[..., triggers].any(-1)
        self._since_press += players["hitlag"] <= 0
        self._since_press[trigger & ~self._trigger] = 0
        self._since_squat += 1
        self._since_squat[action == Action.KNEE_BEND] = 0
        enters = action != self._action
        jumps = _JUMP[action] | (_MANY_JUMPS[action] & np.isin(players["character"], _JUMPERS))
        lands = _AERIAL_LANDING[action] & ~_AERIAL_LANDING[self._action]
        self._action, self._trigger = action, trigger
        return {
            "jumps": enters & jumps,
            "wavedashes": enters & (action == _SPECIAL_LANDING) & (self._since_squat <= WAVEDASH_FRAMES),
            "landings": lands,
            "cancelled": lands & (self._since_press <= L_CANCEL_FRAMES),
        }

    def open(self, rows: Flags) -> None:
        """Another game: nothing was done in it."""
        self._action[rows], self._trigger[rows] = 0, False
        self._since_squat[rows] = self._since_press[rows] = _LONG_AGO


class _Lives:
    """Stocks lost, and those that were thrown away by the rule of ``quality.suicides``, frame by frame."""

    def __init__(self, games: int) -> None:
        self._stocks = np.zeros((games, 2), np.uint8)
        self._percent = np.full((games, 2), np.inf, np.float32)
        self._hit, self._lived, self._struck = np.zeros((3, games, 2), np.bool_)
        self._since_hit, self._stood = np.zeros((2, games, 2), np.int32)

    def see(self, players: Any, action: Any, counted: Flags) -> dict[str, Flags]:
        """Who loses a stock on this frame, and who throws it away, ``(E, 2)`` each."""
        lost = (players["stocks"] < self._stocks) & counted
        alone = ~self._hit | ((self._since_hit >= RECENT_HIT) & (self._stood >= FOOTHOLD))
        thrown = lost & self._lived & ~self._struck & alone
        self._begin(lost)
        alive, percent = ~DEAD[action], np.nan_to_num(players["percent"])
        hit = alive & (percent > self._percent) & ~lost
        self._hit |= hit
        self._lived |= alive
        self._since_hit = (self._since_hit + alive) * ~hit
        self._stood = (self._stood + (alive & STANDS[action])) * ~hit
        flies = (players["hitstun"] > 0) | (players["speed_x_attack"] != 0) | (players["speed_y_attack"] != 0)
        self._struck = np.where(alive, flies | SUFFERS[action], self._struck)
        self._stocks, self._percent = players["stocks"].copy(), percent
        return {"lost": lost, "thrown": thrown}

    def open(self, rows: Flags) -> None:
        """Another game: everybody lives."""
        self._stocks[rows], self._percent[rows] = 0, np.inf
        self._begin(np.repeat(rows[:, None], 2, 1))

    def _begin(self, lives: Flags) -> None:
        for state in (self._hit, self._lived, self._struck, self._since_hit, self._stood):
            state[lives] = 0


def count(games: Sequence[Game]) -> Doubles:
    """Count whole games, ``(T,)`` each and of any lengths, side by side.

    Returns:
        ``(E, 2, len(COUNTED))``, for ``rates``.
    """
    counts, lengths = Counts(len(games)), np.array([len(game) for game in games])
    frame = Game.empty(len(games))
    for at in range(int(lengths.max())):
        goes = at < lengths
        for row in np.flatnonzero(goes).tolist():
            frame.rows[row] = games[row].rows[at]
        counts.see(frame, np.full(len(games), at == 0), goes)
    return counts.sums


def rates(sums: Doubles) -> dict[str, float]:
    """What the counts of one player say; a share or mean of too few events is left out.

    Args:
        sums: ``(len(COUNTED),)``: one row of ``Counts.sums`` or the sum of many.

    Returns:
        Per minute: ``jumps`` (in the air too), ``wavedashes``, ``presses`` (of all buttons but the D-pad's). Shares of
        the frames, 0..1: ``shield``, ``changes`` (the controller is not as on the frame before), ``held`` (a button
        is). Seconds: ``unchanged_longest`` and ``BUTTON_longest``, the longest stretch of a game as the mean over the
        games; ``BUTTON_mean``, how long a press is held. ``suicides``: share of the lost stocks that were thrown away
        (``quality.suicides``). ``l_cancels``: share of the aerials that landed.
    """
    of = dict(zip(COUNTED, sums.tolist(), strict=True))
    frames, games = max(of["frames"], 1), max(of["games"], 1)
    found = {name: of[name] * _MINUTE / frames for name in ("jumps", "wavedashes", "presses")}
    found["shield"] = of["shielded"] / frames
    found["changes"], found["held"] = 1 - of["unchanged_frames"] / frames, of["held"] / frames
    found |= {f"{run}_longest": of[f"{run}_longest"] / games / FRAMES_PER_SECOND for run in _RUNS}
    for name in _NAMES:
        if of[f"{name}_times"] >= MIN_PRESSES:
            found[f"{name}_mean"] = of[f"{name}_frames"] / of[f"{name}_times"] / FRAMES_PER_SECOND
    if of["lost"] >= MIN_STOCKS:
        found["suicides"] = of["thrown"] / of["lost"]
    if of["landings"] >= MIN_LANDINGS:
        found["l_cancels"] = of["cancelled"] / of["landings"]
    return found
