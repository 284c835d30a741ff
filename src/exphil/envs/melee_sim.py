"""melee-sim-light as a world: the real game's rules without an emulator, where the user has that library and its data.

The library (github.com/kyhavlov/melee-sim-light, module ``melee_sim``) grants no licence. So nothing of it is here:
it is imported when a world is made, and only names, types and ranges of its arrays are used, as its API.md gives them.
It needs data that its user takes from a disc image of their own.

Controllers of the ports enter, a ``Frame`` of E games leaves: its rows hold the columns that a recording has. Numbers
of characters (internal), stages (external), actions, items and frames are the same here and there; the module's own
lists say which characters and stages it plays.

What differs from a recording, and how it is met:

- Sticks are 0..1 with rest at 0.5 there (steps of 1/160), the trigger 0..1 (steps of 1/140); both analog triggers are
  one, the clicks of L and R are two. Buttons are the eight that a policy presses; others are not pressed. A row shows
  the controller as the game reads it (dead zone, floor, full depth on a click), as ``as_read`` of ``features.action``
  says it of decided ones; a test compares the two.
- Nana is not shown. Her absence would read as her death, so Ice Climbers are refused.
- Whispy's wind is not shown: ``Lacks`` says so on Dream Land. Pokemon Stadium is frozen there, so its form is known.
- Frames of actions, hitlag and hitstun are whole numbers. Players have no style.
- Items keep their place for life, but not the place that a recording gives them; ``umi_frames.Places`` moves them.

What can go wrong: ``OptionError`` for what the library cannot play, before anything starts; ``ExphilError`` for a
missing module, missing data, or a version with other arrays.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.envs.opening import check, of_games
from exphil.envs.umi_frames import Places
from exphil.errors import ExphilError, OptionError
from exphil.game.controller import (
    STICK_FLOOR,
    STICK_STEPS,
    TRIGGER_FLOOR,
    TRIGGER_STEPS,
    Z_DEPTH,
    Controller,
    neutral,
)
from exphil.game.frames import ROW, ROW_BYTES, Game, Lacks
from exphil.game.ids import BUTTONS, Button, Character, Stage, character_name, stage_name
from exphil.game.time import MAX_FRAMES

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
MODULE = "melee_sim"
WHERE = "https://github.com/kyhavlov/melee-sim-light"
DATA_VARIABLE = "MSL_DATA_DIR"
"""The library's own variable for its data folder; without it, ``data`` in the current folder."""
KEPT = 16
"""Frames that the library's ring of arrays holds; every frame is copied out at once, so few are enough."""
_SAME = {
    "percent": "percent",
    "x": "pos_x",
    "y": "pos_y",
    "action_frame": "action_frame",
    "shield": "shield_hp",
    "hitlag": "hitlag",
    "hitstun": "hitstun",
    "speed_air_x": "speed_air_x_self",
    "speed_ground_x": "speed_ground_x_self",
    "speed_y": "speed_y_self",
    "speed_x_attack": "speed_x_attack",
    "speed_y_attack": "speed_y_attack",
    "action": "action_id",
    "jumps": "jumps_left",
    "on_ground": "on_ground",
    "stocks": "stocks",
    "character": "char_id",
    "exists": "present",
}
"""Columns of a player, and what they are called there."""
_SAME_ITEM = {
    "x": "pos_x",
    "y": "pos_y",
    "vx": "vel_x",
    "vy": "vel_y",
    "type": "type",
    "state": "state",
    "exists": "exists",
}
_NEEDED = {
    "": ("frame_id", "stage_id", "stage", "slots", "items"),
    "slots": (*_SAME.values(), "facing", "hurtbox_state", "source_player"),
    "items": (*_SAME_ITEM.values(), "owner", "spawn_id"),
    "stage": ("fod_platforms",),
}
_AXES = {"main_x": "main_stick_x", "main_y": "main_stick_y", "c_x": "c_stick_x", "c_y": "c_stick_y"}


class MeleeSimEnvironment:
    """E games of melee-sim-light.

    A game that reaches ``max_frames`` is truncated, unless that is the end of the tournament clock.

    Args:
        games: How many games run side by side, at least 1.
        characters: A pair of internal numbers for all games, or one pair a game; the first sits on the first port.
        stages: An external number for all games, or one a game.
        ports: The two ports that play, in order, 1 to 4.
        stocks: Of each player, 1 to 255.
        max_frames: Number of the last frame of a game; the clock starts on frame 0.
        data_dir: The library's data folder; None for ``MSL_DATA_DIR``, else ``data``.

    Raises:
        OptionError: what cannot be played there, or another number of characters or stages than games.
        ExphilError: the module or its data is missing, or its arrays are others.
    """

    delay = 0
    reacts_to_actions = True
    name = "melee_sim"

    def __init__(
        self,
        games: int,
        characters: Sequence[int] | Sequence[tuple[int, int]],
        stages: int | Sequence[int],
        *,
        ports: tuple[int, int] = (1, 2),
        stocks: int = 4,
        max_frames: int = MAX_FRAMES,
        data_dir: str | Path | None = None,
    ) -> None:
        check(games, ports, stocks, max_frames)
        self._library = library()
        self._characters = of_games(characters, (2,), games, "characters")
        self._stages = of_games(stages, (), games, "stages")
        _check_playable(self._library, self._characters, self._stages)
        self.ports, self._stocks, self._max_frames = ports, stocks, max_frames
        self._batch: Any = _batch(self._library, games, data_dir)
        self._places = Places(games)
        self._ended = np.zeros(games, np.bool_)
        self._played = np.zeros(games, np.int64)  # games that began in each row since the last reset
        self._entropy: int = 0
        self._open = True

    def reset(self, seed: int | None = None) -> Frame:
        """Open every game anew; chance in a game follows from the seed, its row and its number in that row."""
        self._entropy = int(np.random.SeedSequence(seed).entropy)  # type: ignore[arg-type]
        self._played[:] = 0
        self._ended[:] = False
        self._configure(np.arange(len(self._ended)))
        self._batch.reset_all()
        shown = self._batch.current_frame
        sources = shown["slots"]["source_player"][:, :2]
        if (sources != (0, 1)).any():
            raise _other_version(f"its players stand in the order {sources[0].tolist()}")
        first = np.ones(len(shown), np.bool_)
        return Frame(self._game(shown, first), first, ~first, ~first)

    def step(self, controllers: Mapping[int, Controller]) -> Frame:
        """Press; a port left out presses nothing. A game that has ended opens the next one instead."""
        untouched = neutral(len(self._ended))
        held = [_on_grid(controllers.get(port, untouched)) for port in self.ports]
        self._configure(np.flatnonzero(self._ended))
        pressed = self._batch.current_action_frame["players"]
        for seat, controller in enumerate(held):
            _press(pressed[:, seat], controller)
        is_first, told = self._batch.step_and_reset()
        is_first = np.array(is_first, np.bool_)
        over = told["done"] != 0
        cut = over & (told["match_ended"] == 0) & (told["stockout"] == 0) & (self._max_frames < MAX_FRAMES)
        game = self._game(self._batch.current_frame, is_first)
        for seat, controller in enumerate(held):
            for column, values in zip(Controller._fields, _as_read(controller), strict=True):
                getattr(game.players, column)[:, seat] = np.where(is_first, 0, values)
        self._ended[:] = over
        return Frame(game, is_first, over & ~cut, cut)

    def close(self) -> None:
        """Let go of the library's games; a second call does nothing."""
        if self._open:
            self._open = False
            self._batch.close()

    def _configure(self, rows: Ints) -> None:
        """Say what the next game of these rows is."""
        if not len(rows):
            return
        matches = []
        for row in rows.tolist():
            chance = np.random.SeedSequence([self._entropy, row, int(self._played[row])])
            players = tuple(
                self._library.PlayerConfig(character, controller_port=port - 1)
                for character, port in zip(self._characters[row].tolist(), self.ports, strict=True)
            )
            match = self._library.MatchConfig(
                stage=int(self._stages[row]),
                players=players,
                seed=int(chance.generate_state(1)[0]),
                max_frame=self._max_frames,
                stocks=self._stocks,
                ucf_cardinals_1_0_enabled=True,  # what its EnvBatch plays with unless told otherwise
            )
            matches.append(match)
        self._batch.configure_matches(matches, env_ids=rows)
        self._played[rows] += 1

    def _game(self, shown: NDArray[np.void], is_first: Bools) -> Game:
        return _game(shown, self._places.of(shown, np.arange(len(shown)), is_first))


def library() -> Any:
    """The module.

    Raises:
        ExphilError: it is not installed, or cannot be imported.
    """
    fix = f"install a checkout of {WHERE} (see its README), or choose another world"
    try:
        return import_module(MODULE)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == MODULE
        what = "is not installed" if missing else f"cannot be imported: {error}"
        raise ExphilError(f"the world {MODULE} needs the module {MODULE}, which {what}", fix=fix) from error


def _check_playable(library: Any, characters: Ints, stages: Ints) -> None:
    """Raise for what the library does not play; it says itself what it does."""
    plays = {int(character) for character in library.Character} - {Character.ICE_CLIMBERS, Character.NANA}
    for number in np.unique(characters).tolist():
        if number not in plays:
            why = ": it does not show Nana" if number == Character.ICE_CLIMBERS else ""
            fix = f"one of {', '.join(character_name(one) for one in sorted(plays))}"
            raise OptionError(f"{character_name(number)} cannot be played in {MODULE}{why}", "characters", fix)
    there = {int(stage) for stage in library.Stage}
    for number in np.unique(stages).tolist():
        if number not in there:
            fix = f"one of {', '.join(stage_name(one) for one in sorted(there))}"
            raise OptionError(f"{stage_name(number)} cannot be played in {MODULE}", "stages", fix)


def _batch(library: Any, games: int, data_dir: str | Path | None) -> Any:
    """The library's games, with arrays that have every field which is read here."""
    folder = Path(data_dir or os.environ.get(DATA_VARIABLE) or "data").expanduser()
    extract = f"python -m {MODULE}.extract_data --iso YOUR.iso --out-dir {folder}"
    if not any((folder / below / "manifest.json").is_file() for below in ("", "raw")):
        fix = f"`{extract}` makes it from your own disc image; {DATA_VARIABLE} names another folder"
        raise ExphilError(f"the world {MODULE} finds no game data here", str(folder), fix)
    if not hasattr(library.EnvBatch, "step_and_reset"):
        raise _other_version("its EnvBatch has no step_and_reset")
    try:
        batch = library.EnvBatch(games, length=KEPT, num_players=2, data_dir=folder)
    except (OSError, RuntimeError) as error:
        fix = f"build its library as its README says, and make the data anew: `{extract}`"
        raise ExphilError(f"{MODULE} does not start: {error}", str(folder), fix) from error
    kind = batch.gamestate_view.dtype
    for group, names in _NEEDED.items():
        fields = (kind[group].base if group else kind).names or ()
        if missing := [name for name in names if name not in fields]:
            batch.close()
            raise _other_version(f"its {group or 'frame'} has no field '{missing[0]}'")
    return batch


def _other_version(why: str) -> ExphilError:
    fix = f"this exphil knows the arrays of {WHERE} as of September 2026"
    return ExphilError(f"this version of {MODULE} is another one than expected: {why}", fix=fix)


def _on_grid(controller: Controller) -> Controller:
    """A controller that hands can hold: sticks as whole steps of 1/80, the trigger of 1/140, no button of no use."""
    held = {name: np.rint(np.clip(getattr(controller, name), -1, 1) * np.float32(STICK_STEPS)) for name in _AXES}
    depth = np.rint(np.clip(controller.shoulder, 0, 1) * np.float32(TRIGGER_STEPS))
    return Controller(**held, shoulder=depth, buttons=controller.buttons & int(sum(BUTTONS)))


def _press(player: NDArray[np.void], held: Controller) -> None:
    """Write the steps of ``_on_grid`` into the library's controllers of one player, ``(E,)``."""
    for ours, theirs in _AXES.items():
        player[theirs] = (getattr(held, ours) + STICK_STEPS) / (2 * STICK_STEPS)
    player["shoulder"] = held.shoulder / TRIGGER_STEPS
    for button in BUTTONS:
        player["buttons"][button.name] = (held.buttons & int(button)) != 0


def _as_read(held: Controller) -> Controller:
    """What the game reads of the steps of ``_on_grid``: floats as a recording has them."""
    rest, floor = round(STICK_FLOOR * STICK_STEPS), round(TRIGGER_FLOOR * TRIGGER_STEPS)
    steps = {name: getattr(held, name) for name in _AXES}
    read = {name: np.where(abs(at) < rest, 0, at / np.float32(STICK_STEPS)) for name, at in steps.items()}
    depth = np.where(held.shoulder < floor, 0, held.shoulder / np.float32(TRIGGER_STEPS))
    depth = np.where(held.buttons & int(Button.L | Button.R), 1, depth)
    depth = np.where(held.buttons & int(Button.Z), Z_DEPTH, depth)
    return Controller(**read, shoulder=depth, buttons=held.buttons)


def _game(shown: NDArray[np.void], places: Ints) -> Game:
    """The library's frames ``(E,)`` as a game, nothing pressed; ``places`` as of ``umi_frames.Places``."""
    made = np.zeros(len(shown), ROW)
    stage = shown["stage_id"]
    made["frame"], made["stage"] = shown["frame_id"], stage
    made["lacks"] = np.where(stage == Stage.DREAM_LAND, int(Lacks.WHISPY), 0)
    for at, side in enumerate(("left", "right")):
        height = shown["stage"]["fod_platforms"][side]
        made["platforms"][:, at] = np.where(stage == Stage.FOUNTAIN_OF_DREAMS, height, 0)
    players, slots = made["players"], shown["slots"][:, :2]
    for ours, theirs in _SAME.items():
        players[ours] = slots[theirs]
    players["facing"] = np.where(slots["facing"] != 0, 1, -1) * (slots["present"] != 0)
    players["invulnerable"] = slots["hurtbox_state"] != 0  # as of a recording, 0 is vulnerable
    row, slot = np.nonzero(shown["items"]["exists"])
    if len(row):
        place = places[row, slot]
        row, slot, place = row[place >= 0], slot[place >= 0], place[place >= 0]
        here, there = made["items"], shown["items"][row, slot]
        for ours, theirs in _SAME_ITEM.items():
            here[ours][row, place] = there[theirs]
        here["owner"][row, place] = np.select([there["owner"] == 0, there["owner"] == 1], [1, -1], 0)
    return Game(made.view(np.uint8).reshape(len(made), ROW_BYTES))
