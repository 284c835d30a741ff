"""The feature table: what a policy sees of one frame, from the seat of player 0.

Every row says its name, how many numbers it gives, how they are read from the columns and the range they lie in.
``Table.encode`` works on columns of any leading shape and on the arrays that it is given: numpy for one live row,
torch for a batch on the training device. It uses only operations that both share and never imports torch.

Layout and scales are those of the earlier system's default (283 floats, 4 ids), with its mistakes mended: both facings
differ, percent is floored as UMI shows it, the ledge is each stage's own, categories come from the game's action
table, and an unknown player's style is zeros.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.features.action import COMPONENTS
from exphil.features.view import TABLES, View
from exphil.game.frames import SCHEMA_VERSION, Array, Game, Group, Lacks
from exphil.game.ids import BUTTONS, CATEGORIES, NUM_ACTIONS, NUM_CHARACTERS
from exphil.game.time import MAX_FRAMES

NUM_PROJECTILES = 5


class Feature(NamedTuple):
    """One row of the table: ``read`` gives the section's shape, with a last axis of ``width`` when that is not 1.

    ``mirror`` is what each number is multiplied by when left and right change places.
    """

    name: str
    width: int
    read: Callable[[View], Array]
    low: float
    high: float
    says: str
    mirror: tuple[int, ...] | int = 1


def _fighter(prefix: str, group: Callable[[View], Group]) -> dict[str, Feature]:
    """The rows that Popo and Nana share."""

    def row(name: str, read: Callable[[Group], Array], low: float, high: float, says: str, mirror: int = 1) -> Feature:
        return Feature(prefix + name, 1, lambda v: read(group(v)), low, high, says, mirror)

    rows = (
        row("percent", lambda p: p.percent // 1 * 0.01, 0, 5, "floor(percent) x 0.01"),
        row("facing", lambda p: p.facing, -1, 1, "-1 left, +1 right", -1),
        row("x", lambda p: p.x * 0.05, -10, 10, "x 0.05", -1),
        row("y", lambda p: p.y * 0.05, -10, 10, "x 0.05"),
        row("invulnerable", lambda p: p.invulnerable, 0, 1, "0 or 1"),
        row("jumps", lambda p: p.jumps / 6, 0, 1, "jumps left / 6"),
        row("shield", lambda p: p.shield * 0.01, 0, 1, "x 0.01"),
        row("on_ground", lambda p: p.on_ground, 0, 1, "0 or 1"),
        row("speed_air_x", lambda p: p.speed_air_x * 0.5, -10, 10, "x 0.5", -1),
        row("speed_ground_x", lambda p: p.speed_ground_x * 0.5, -10, 10, "x 0.5", -1),
        row("speed_y", lambda p: p.speed_y * 0.5, -10, 10, "x 0.5"),
        row("speed_x_attack", lambda p: p.speed_x_attack * 0.5, -10, 10, "knockback, x 0.5", -1),
        row("speed_y_attack", lambda p: p.speed_y_attack * 0.5, -10, 10, "knockback, x 0.5"),
        row("hitstun", lambda p: p.hitstun / 120, 0, 1, "frames left / 120"),
        row("action_frame", lambda p: p.action_frame // 1 / 60, 0, 2, "floor(frame of the action) / 60"),
        row("stocks", lambda p: p.stocks / 4, 0, 1, "/ 4"),
        row("exists", lambda p: p.exists, 0, 1, "0 or 1"),
    )
    return {feature.name.removeprefix(prefix): feature for feature in rows}


_OWN = _fighter("", lambda v: v.players)
_NANA = _fighter("nana.", lambda v: v.nana)

PLAYER = (
    *(_OWN[n] for n in ["percent", "facing", "x", "y", "invulnerable", "jumps", "shield", "on_ground"]),
    *(
        _OWN[n]
        for n in [
            "speed_air_x",
            "speed_ground_x",
            "speed_y",
            "speed_x_attack",
            "speed_y_attack",
            "hitstun",
            "action_frame",
            "stocks",
        ]
    ),
    Feature(
        *("ledge_distance", 1, lambda v: 1 - abs(v.players.x) / v.table("ledge_x")[v.stage][..., None]),
        *(-10, 10, "(ledge - |x|) / ledge of the stage: 1 centre, 0 at the ledge, negative off stage"),
    ),
)
NANA = (
    *(
        _NANA[n]
        for n in [
            "exists",
            "x",
            "y",
            "facing",
            "on_ground",
            "percent",
            "stocks",
            "hitstun",
            "action_frame",
            "invulnerable",
        ]
    ),
    Feature(
        *("nana.category", len(CATEGORIES), lambda v: v.one_hot(v.table("category")[v.nana_action], len(CATEGORIES))),
        *(0, 1, "one-hot group of action states: " + ", ".join(CATEGORIES)),
    ),
    Feature(
        "nana.attacking", 1, lambda v: v.table("attacking")[v.nana_action], 0, 1, "jab, tilt, smash, aerial or special"
    ),
    Feature("nana.grabbing", 1, lambda v: v.table("grabbing")[v.nana_action], 0, 1, "grab, pummel or throw"),
    Feature(
        "nana.can_act", 1, lambda v: v.table("can_act")[v.nana_action], 0, 1, "a state that a press leaves at once"
    ),
    Feature(
        *("nana.synced", 1, lambda v: v.table("category")[v.nana_action] == v.table("category")[v.action]),
        *(0, 1, "same group of action states as Popo"),
    ),
)
PROJECTILE = (
    Feature("exists", 1, lambda v: v.items.exists, 0, 1, "0 or 1"),
    Feature("owner", 1, lambda v: v.items.owner * 0.5, -0.5, 0.5, "0.5 own, -0.5 the opponent's, 0 nobody's"),
    Feature("x", 1, lambda v: v.items.x * 0.05, -10, 10, "x 0.05", -1),
    Feature("y", 1, lambda v: v.items.y * 0.05, -10, 10, "x 0.05"),
    Feature("type", 1, lambda v: v.items.type * 0.01, 0, 10, "item number x 0.01"),
    Feature("vx", 1, lambda v: v.items.vx * 0.5, -10, 10, "x 0.5", -1),
    Feature("vy", 1, lambda v: v.items.vy * 0.5, -10, 10, "x 0.5"),
)


def _controller(view: View) -> Array:
    pressed = (view.players.buttons[..., :1] & view.table("buttons")) != 0
    analog = [getattr(view.players, name)[..., :1] for name in ("main_x", "main_y", "c_x", "c_y", "shoulder")]
    return view.module.concatenate([pressed, *analog], -1)


def _between(view: View, axis: str) -> Array:
    column = getattr(view.players, axis)
    return column[..., 1] - column[..., 0]


def _distance(view: View) -> Array:
    dx, dy = _between(view, "x"), _between(view, "y")
    return view.module.sqrt(dx * dx + dy * dy)  # ** rounds one frame and a batch of frames differently in numpy


STAGE = Feature(
    "stage", 7, lambda v: v.one_hot(v.table("compact_stage")[v.stage], 7), 0, 1, "one-hot: the six legal stages, other"
)
CONTROLLER = Feature(
    *(
        "controller",
        13,
        _controller,
        -1,
        1,
        "own, as seen in this frame: A B X Y Z L R D-up, main x y, C x y, shoulder",
    ),
    mirror=(*[1] * len(BUTTONS), -1, 1, -1, 1, 1),
)
SPATIAL = (
    Feature("distance", 1, lambda v: _distance(v) / 200, 0, 1.5, "between the players / 200"),
    Feature("dx", 1, lambda v: _between(v, "x") / 200, -10, 10, "opponent - own, / 200", -1),
    Feature("dy", 1, lambda v: _between(v, "y") / 100, -10, 10, "opponent - own, / 100"),
    Feature("frame", 1, lambda v: v.game.frame / MAX_FRAMES, 0, 1, "frame number / 28800"),
)
NEEDED = {
    Lacks.ACTION_FRAME: "the frame of the action (Slippi 0.2)",
    Lacks.STATE: "ground, jumps and hitstun (Slippi 2.0)",
    Lacks.INVULNERABLE: "invulnerability (Slippi 2.1)",
    Lacks.ITEMS: "items (Slippi 3.0)",
    Lacks.SPEEDS: "speeds (Slippi 3.5)",
    Lacks.ITEM_OWNER: "owners of items (Slippi 3.6)",
}
"""What the table reads and older files lack; hitlag (3.8) is left out so that the files from 3.5 on can all be used."""


class Id(NamedTuple):
    """A number that the model looks up in a learned table; ids of one ``kind`` share it.

    ``nobody`` says that 0 stands for nothing known and is looked up as zeros.
    """

    name: str
    kind: str
    vocabulary: int
    nobody: bool = False


_IDS = (
    Id("own_action", "action", NUM_ACTIONS),
    Id("opponent_action", "action", NUM_ACTIONS),
    Id("own_character", "character", NUM_CHARACTERS),
    Id("opponent_character", "character", NUM_CHARACTERS),
)


def _style(names: int) -> Feature:
    says = "one-hot of the own player's number in the registry, counted from 1; zeros for nobody in particular"
    return Feature("style", names, lambda v: v.one_hot(v.integer(v.players.style)[..., 0] - 1, names), 0, 1, says)


def _presence(lacks: Lacks, says: str) -> Feature:
    name = f"has_{(lacks.name or '').lower()}"
    return Feature(name, 1, lambda v: (v.game.lacks & int(lacks)) == 0, 0, 1, f"1 when the file holds {says}")


class Part(NamedTuple):
    """Rows that are present or absent together: where ``present`` is zero all of them are."""

    rows: tuple[Feature, ...]
    present: Callable[[View], Array] | None = None

    @property
    def width(self) -> int:
        """Floats of one repetition."""
        return sum(row.width for row in self.rows)


class Section(NamedTuple):
    """Parts side by side, once for each name.

    What is read has one more axis, as long as ``names``, unless there is one name.
    """

    names: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def width(self) -> int:
        """Floats of all repetitions."""
        return len(self.names) * sum(part.width for part in self.parts)


_PLAYERS = Section(("own", "opponent"), (Part(PLAYER), Part(NANA, lambda v: v.nana.exists)))
_PROJECTILES = Section(
    tuple(f"projectile {slot + 1}" for slot in range(NUM_PROJECTILES)),
    (Part(PROJECTILE, lambda v: v.items.exists[..., :NUM_PROJECTILES]),),
)


@dataclass(frozen=True)
class Table:
    """The layout of one policy's input.

    Args:
        num_player_names: The highest number of a player's style; 0 leaves styles out.
        allow_missing: Adds one presence bit for each kind of column that older files lack.
        player_mode: The own player's style as a one-hot of ``num_player_names`` floats, or as one more id.
    """

    num_player_names: int
    allow_missing: bool
    player_mode: Literal["one_hot", "learned"] = "one_hot"

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The whole layout in order."""
        one_hot = self.num_player_names and self.player_mode == "one_hot"
        style = (_style(self.num_player_names),) if one_hot else ()
        presence = tuple(_presence(*needed) for needed in NEEDED.items()) if self.allow_missing else ()
        own, game = Section(("own",), (Part((CONTROLLER, *style)),)), Section(("game",), (Part((*SPATIAL,)),))
        last = (Section(("game",), (Part(presence),)),) if presence else ()
        return (_PLAYERS, Section(("game",), (Part((STAGE,)),)), own, game, _PROJECTILES, *last)

    @cached_property
    def floats(self) -> int:
        """Number of floats of one frame."""
        return sum(section.width for section in self.sections)

    @property
    def ids(self) -> int:
        """Number of ids of one frame."""
        return len(self.vocabularies)

    @cached_property
    def vocabularies(self) -> tuple[Id, ...]:
        """Every id in order."""
        learned = self.num_player_names and self.player_mode == "learned"
        return (*_IDS, Id("own_style", "style", self.num_player_names + 1, nobody=True)) if learned else _IDS

    @property
    def controller(self) -> slice:
        """Where the own controller stands among the floats."""
        first = _PLAYERS.width + STAGE.width
        return slice(first, first + CONTROLLER.width)

    def rows(self) -> Iterator[tuple[str, Feature]]:
        """Every row in order, with the name of the repetition it stands in."""
        for section in self.sections:
            for name in section.names:
                for part in section.parts:
                    yield from ((name, row) for row in part.rows)

    @cached_property
    def mirror(self) -> NDArray[np.float32]:
        """``(floats,)``: what a frame's floats are multiplied by when left and right change places."""
        signs = [f.mirror if isinstance(f.mirror, tuple) else (f.mirror,) * f.width for _, f in self.rows()]
        return np.concatenate(signs).astype(np.float32)

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of everything that gives the numbers their meaning."""
        layout = [[name, f.name, f.width, f.low, f.high, f.says] for name, f in self.rows()]
        constants = {name: table.tolist() for name, table in TABLES.items()}
        ids = [[found.name, found.vocabulary] for found in self.vocabularies]
        words = json.dumps([SCHEMA_VERSION, layout, ids, constants, COMPONENTS])
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    def encode(self, game: Game) -> tuple[Array, Array]:
        """Columns to numbers.

        Args:
            game: Any leading shape ``S``, seen from the seat of player 0.

        Returns:
            floats: float32 ``S + (floats,)``, each within its row's range.
            ids: int64 ``S + (ids,)``, in the order of ``vocabularies``.
        """
        view = View(game)
        module, shape = view.module, game.shape
        floats = module.zeros((*shape, self.floats), dtype=module.float32, device=view.device)
        first = 0
        for section in self.sections:
            block = floats[..., first : first + section.width]
            first += section.width
            if len(section.names) > 1:
                block = block.reshape((*shape, len(section.names), -1))
            at = 0
            for part in section.parts:
                _write(block[..., at : at + part.width], part, view, len(section.names))
                at += part.width
        characters = view.integer(game.players.character).clip(0, NUM_CHARACTERS - 1)
        ids = [view.action, characters]
        if self.ids > len(_IDS):
            style = view.integer(game.players.style)[..., :1]
            ids.append(style * ((style > 0) & (style <= self.num_player_names)))  # a number outside is nobody
        return floats, module.concatenate(ids, -1)


def _write(block: Array, part: Part, view: View, repetitions: int) -> None:
    present = part.present(view) if part.present else None
    if present is not None and not present.any():
        return
    at = 0
    for row in part.rows:
        read = row.read(view)
        if row.width == 1:
            block[..., at] = (read[..., :repetitions] if repetitions > 1 else read).clip(row.low, row.high)
        else:
            block[..., at : at + row.width] = read
        at += row.width
    if present is not None:
        block *= present[..., None]
