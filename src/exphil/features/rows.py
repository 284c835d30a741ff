"""The rows of the feature table: what is read of a frame, how it is scaled, and the range it lies in.

A row is one line here: its name, how many numbers it gives, what it reads, the least and the greatest it can be, what
it means, its sign under a mirror and its scale. Rows stand in *parts* (present or absent together), parts in *sections*
(once for each player or item). Which sections a policy sees is ``observation``'s business.

Scales are those of the earlier system's default, with its mistakes mended: both facings differ, percent is floored as
UMI shows it, the ledge is each stage's own, categories come from the game's action table, and an unknown player's style
is zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from exphil.features.view import View
from exphil.game.frames import Array, Group, Lacks
from exphil.game.ids import BUTTONS, CATEGORIES, NUM_ACTIONS, NUM_CHARACTERS, NUM_STAGES
from exphil.game.time import MAX_DELAY, MAX_FRAMES

NUM_PROJECTILES = 5
NUM_JUMPS = 7  # 0 to 6: Jigglypuff and Kirby leave the ground with one jump and five more
Read = Callable[[View, Group], Array]


class Lit(NamedTuple):
    """A one-hot that is read as the place of its one, which must be within the row.

    One number is written instead of hundreds compared: one-hots of all action states would otherwise take longer than
    the rest of the table.
    """

    place: Read


class Feature(NamedTuple):
    """One row of the table.

    ``read`` names a column of the part's group, or gives the section's shape from the view and that group, with a last
    axis of ``width`` when that is not 1. What is read is multiplied by ``scale`` and kept within ``low`` and ``high``.
    ``mirror`` is what each number is multiplied by when left and right change places.
    """

    name: str
    width: int
    read: str | Read | Lit
    low: float
    high: float
    says: str
    mirror: tuple[int, ...] | int = 1
    scale: float = 1.0


class Part(NamedTuple):
    """Rows of one group of columns that stand together; all are zero where the column ``where`` of the group is."""

    name: str
    rows: tuple[Feature, ...]
    group: str = "players"
    where: str = ""

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


def _rows(*rows: Feature) -> dict[str, Feature]:
    return {row.name: row for row in rows}


_FIGHTER = _rows(
    Feature("percent", 1, lambda v, p: v.module.floor(p.percent), 0, 5, "floor(percent) x 0.01", scale=0.01),
    Feature("facing", 1, "facing", -1, 1, "-1 left, +1 right", -1),
    Feature("x", 1, "x", -10, 10, "x 0.05", -1, 0.05),
    Feature("y", 1, "y", -10, 10, "x 0.05", scale=0.05),
    Feature("action", NUM_ACTIONS, Lit(lambda v, p: v.action(p)), 0, 1, "one-hot of the action state"),
    Feature("character", NUM_CHARACTERS, Lit(lambda v, p: v.character(p)), 0, 1, "one-hot of the character"),
    Feature("invulnerable", 1, "invulnerable", 0, 1, "0 or 1"),
    Feature("jumps", 1, "jumps", 0, 1, "jumps left / 6", scale=1 / 6),
    Feature("shield", 1, "shield", 0, 1, "x 0.01", scale=0.01),
    Feature("on_ground", 1, "on_ground", 0, 1, "0 or 1"),
    Feature("speed_air_x", 1, "speed_air_x", -10, 10, "x 0.5", -1, 0.5),
    Feature("speed_ground_x", 1, "speed_ground_x", -10, 10, "x 0.5", -1, 0.5),
    Feature("speed_y", 1, "speed_y", -10, 10, "x 0.5", scale=0.5),
    Feature("speed_x_attack", 1, "speed_x_attack", -10, 10, "knockback, x 0.5", -1, 0.5),
    Feature("speed_y_attack", 1, "speed_y_attack", -10, 10, "knockback, x 0.5", scale=0.5),
    Feature("hitstun", 1, "hitstun", 0, 1, "frames left / 120", scale=1 / 120),
    Feature(
        name="action_frame",
        width=1,
        read=lambda v, p: v.module.floor(p.action_frame),
        low=0,
        high=2,
        says="floor(frame of the action) / 60",
        scale=1 / 60,
    ),
    Feature("stocks", 1, "stocks", 0, 1, "/ 4", scale=1 / 4),
)
"""What is read of Popo, and of Nana where she is ``full``: a row that is added here is read of both."""
_EXISTS = Feature("exists", 1, "exists", 0, 1, "0 or 1")
_JUMPS_LEFT = Feature(
    name="jumps",
    width=NUM_JUMPS,
    read=lambda v, p: v.one_hot(v.integer(p.jumps).clip(0, NUM_JUMPS - 1), NUM_JUMPS),
    low=0,
    high=1,
    says="one-hot of the jumps left, 0 to 6",
)
_LEDGE = Feature(
    name="ledge_distance",
    width=1,
    read=lambda v, p: 1 - abs(p.x) / v.table("ledge_x")[v.stage][..., None],
    low=-10,
    high=10,
    says="(ledge - |x|) / ledge of the stage: 1 centre, 0 at the ledge, negative off stage",
)


def fighter(*, action: bool, character: bool, jumps: bool) -> tuple[Feature, ...]:
    """All that is read of a fighter: each flag asks for a one-hot, which else is an id or one scaled number."""
    left_out = {name for name, kept in {"action": action, "character": character}.items() if not kept}
    chosen = _FIGHTER | ({"jumps": _JUMPS_LEFT} if jumps else {})
    return tuple(row for name, row in chosen.items() if name not in left_out)


def player(*, action: bool, character: bool, jumps: bool) -> Part:
    """The leader of one side."""
    return Part("player", (*fighter(action=action, character=character, jumps=jumps), _LEDGE))


_NANA = ("x", "y", "facing", "on_ground", "percent", "stocks", "hitstun", "action_frame", "invulnerable")
_COMPACT_NANA = (_EXISTS, *(_FIGHTER[name] for name in _NANA))
_CATEGORY = Feature(
    name="category",
    width=len(CATEGORIES),
    read=lambda v, p: v.one_hot(v.table("category")[v.action(p)], len(CATEGORIES)),
    low=0,
    high=1,
    says="one-hot group of action states: " + ", ".join(CATEGORIES),
)
_DOING = (
    Feature("attacking", 1, lambda v, p: v.table("attacking")[v.action(p)], 0, 1, "jab, tilt, smash, aerial, special"),
    Feature("grabbing", 1, lambda v, p: v.table("grabbing")[v.action(p)], 0, 1, "grab, pummel or throw"),
    Feature("can_act", 1, lambda v, p: v.table("can_act")[v.action(p)], 0, 1, "a state that a press leaves at once"),
)
_SAME_GROUP = Feature(
    name="synced",
    width=1,
    read=lambda v, p: v.table("category")[v.action(p)] == v.table("category")[v.action(v.players)],
    low=0,
    high=1,
    says="same group of action states as Popo",
)
_SAME_ACTION = Feature(
    "synced", 1, lambda v, p: v.action(p) == v.action(v.players), 0, 1, "the same action state as Popo"
)


def nana(mode: str, *, action: bool, character: bool, jumps: bool) -> Part:
    """The follower of one side, zeros where there is none.

    Args:
        mode: ``compact`` (39 floats: her action as one of 25 groups), ``enhanced`` (14: her action is an id) or
            ``full`` (all that is read of Popo, but his distance from the ledge).
        action: ``full`` has her action as a one-hot, else it is an id.
        character: ``full`` has a one-hot of the character.
        jumps: ``full`` has a one-hot of the jumps.
    """
    if mode == "compact":
        rows: tuple[Feature, ...] = (*_COMPACT_NANA, _CATEGORY, *_DOING, _SAME_GROUP)
    elif mode == "enhanced":
        rows = (*_COMPACT_NANA, *_DOING, _SAME_ACTION)
    else:
        rows = (*fighter(action=action, character=character, jumps=jumps), _EXISTS)
    return Part("nana", tuple(row._replace(name=f"nana.{row.name}") for row in rows), "nana", "exists")


PROJECTILE = Part(
    "projectiles",
    (
        Feature("exists", 1, "exists", 0, 1, "0 or 1"),
        Feature("owner", 1, "owner", -0.5, 0.5, "0.5 own, -0.5 the opponent's, 0 nobody's", scale=0.5),
        Feature("x", 1, "x", -10, 10, "x 0.05", -1, 0.05),
        Feature("y", 1, "y", -10, 10, "x 0.05", scale=0.05),
        Feature("type", 1, "type", 0, 10, "item number x 0.01", scale=0.01),
        Feature("vx", 1, "vx", -10, 10, "x 0.5", -1, 0.5),
        Feature("vy", 1, "vy", -10, 10, "x 0.5", scale=0.5),
    ),
    "items",
    "exists",
)


def _distance(view: View, _: Group) -> Array:
    dx, dy = view.dx, view.dy
    return view.module.sqrt(dx * dx + dy * dy)  # ** rounds one frame and a batch of frames differently in numpy


STAGES = {
    "compact": Feature(
        name="stage",
        width=7,
        read=lambda v, _: v.one_hot(v.table("compact_stage")[v.stage], 7),
        low=0,
        high=1,
        says="one-hot: the six legal stages, other",
    ),
    "full": Feature(
        name="stage",
        width=NUM_STAGES,
        read=lambda v, _: v.one_hot(v.stage, NUM_STAGES),
        low=0,
        high=1,
        says="one-hot of the stage number",
    ),
}
CONTROLLER = (
    Feature("buttons", len(BUTTONS), lambda v, _: v.buttons(), 0, 1, "own, as seen in this frame: A B X Y Z L R D-up"),
    Feature("main_x", 1, "main_x", -1, 1, "own, as seen in this frame", -1),
    Feature("main_y", 1, "main_y", -1, 1, "own, as seen in this frame"),
    Feature("c_x", 1, "c_x", -1, 1, "own, as seen in this frame", -1),
    Feature("c_y", 1, "c_y", -1, 1, "own, as seen in this frame"),
    Feature("shoulder", 1, "shoulder", 0, 1, "own, as seen in this frame"),
)
CONTROLLER_FLOATS = sum(row.width for row in CONTROLLER)
SPATIAL = (
    Feature("distance", 1, _distance, 0, 1.5, "between the players / 200", scale=1 / 200),
    Feature("dx", 1, lambda v, _: v.dx, -10, 10, "opponent - own, / 200", -1, 1 / 200),
    Feature("dy", 1, lambda v, _: v.dy, -10, 10, "opponent - own, / 100", scale=1 / 100),
    Feature("frame", 1, lambda v, _: v.game.frame, 0, 1, "frame number / 28800", scale=1 / MAX_FRAMES),
)
NEEDED = {
    Lacks.ACTION_FRAME: "the frame of the action (Slippi 0.2)",
    Lacks.STATE: "ground, jumps and hitstun (Slippi 2.0)",
    Lacks.INVULNERABLE: "invulnerability (Slippi 2.1)",
    Lacks.ITEMS: "items (Slippi 3.0)",
    Lacks.SPEEDS: "speeds (Slippi 3.5)",
    Lacks.ITEM_OWNER: "owners of items (Slippi 3.6)",
}
"""What the table always reads and older files lack; hitlag (3.8) is left out so that the files from 3.5 on can be
used."""


def style(names: int) -> Feature:
    """The own player's style as a one-hot."""
    says = "one-hot of the own player's number in the registry, counted from 1; zeros for nobody in particular"
    return Feature("style", names, lambda v, p: v.one_hot(v.integer(p.style)[..., 0] - 1, names), 0, 1, says)


def presence(lacks: Lacks, says: str) -> Feature:
    """A bit for a kind of column that some files lack."""
    name = f"has_{(lacks.name or '').lower()}"
    return Feature(name, 1, lambda v, _: (v.game.lacks & int(lacks)) == 0, 0, 1, f"1 when the file holds {says}")


def recent(most: int) -> tuple[Feature, ...]:
    """The own controllers before the answer, oldest first, and the delay: no columns, handed over apart."""
    found = [
        row._replace(name=f"recent {place} {row.name}", read="", says=f"own, {place} before the answer, seen or not")
        for place in range(most, 0, -1)
        for row in CONTROLLER
    ]
    return (*found, Feature("delay", 1, "", 0, MAX_DELAY / 30, "frames of delay / 30")) if most else ()
