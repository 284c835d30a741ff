"""Brings the moves of ``tools/tables/moves`` and the actions of libmelee's frames together.

Enters: moves by name and frames by action, of one character. Leaves: which move an action is (``names``), and for every
hitbox of every frame the group of figures it belongs to (``assign``). Where a move has no frames for its groups they
are taken in their order, one set for each change of the hitboxes; what cannot be known is a documented generic hit.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from table_inputs import Box, Frame, Group, Move
from table_specials import CATCHES, SPECIALS

from exphil.game.ids import Character

COMMON = {
    0x2C: ("jab1",),
    0x2D: ("jab2",),
    0x2E: ("jab3",),
    0x2F: ("rjab",),
    0x30: ("rjab",),
    0x32: ("dattack",),
    0x33: ("uaft", "ftilt"),
    0x34: ("uaft", "ftilt"),
    0x35: ("ftilt",),
    0x36: ("daft", "ftilt"),
    0x37: ("daft", "ftilt"),
    0x38: ("utilt",),
    0x39: ("dtilt",),
    **dict.fromkeys(range(0x3A, 0x3F), ("fsmash",)),
    0x3F: ("usmash",),
    0x40: ("dsmash",),
    0x41: ("nair",),
    0x42: ("fair",),
    0x43: ("bair",),
    0x44: ("uair",),
    0x45: ("dair",),
    0xBB: ("fgetup",),
    0xC3: ("fgetup",),
    0xD4: ("grab",),
    0xD6: ("dashgrab",),
    0xD9: ("pummel",),
    0xC7: ("neutraltech",),
    0xE9: ("rollforward",),
    0xEA: ("rollbackwards",),
    0xEB: ("spotdodge",),
    0xEC: ("airdodge",),
    0x100: ("edge",),
    0x101: ("edge",),
}
"""The names that the moves of the common actions may have, best first."""

DRAWN = frozenset((*range(0x2C, 0x46), 0xD9)) - {0x2F, 0x31, 0x33, 0x34, 0x36, 0x37, 0x3A, 0x3B, 0x3D, 0x3E}
"""Attacks that every character who has such a move must be able to hit with."""

THROWS = {0xDB: "fthrow", 0xDC: "bthrow", 0xDD: "uthrow", 0xDE: "dthrow"}

NORMAL = {name for names in COMMON.values() for name in names}
"""Names whose length and interruption hold for one state; those of a special are for several states together."""

SHARED = ("edge", "fgetup")
SECOND_HALF = (0x100, 0xC3)
"""Actions whose figures are the second half of the groups of a name that two actions share: the slow attack from the
ledge, the attack from lying face down."""

SPECIAL = 0x155

GENERIC = {
    "jab": (4.0, 70.0, 50.0, 0.0, 10.0),
    "tilt": (9.0, 361.0, 100.0, 0.0, 10.0),
    "smash": (15.0, 361.0, 100.0, 0.0, 20.0),
    "aerial": (10.0, 361.0, 100.0, 0.0, 10.0),
    "getup": (6.0, 361.0, 50.0, 0.0, 80.0),
    "ledge": (8.0, 361.0, 100.0, 90.0, 0.0),
    "special": (8.0, 361.0, 70.0, 0.0, 40.0),
}
"""Damage, angle, growth, set and base of a hit that no source has, by kind of move: about what is usual."""


def kind(action: int) -> str:
    """The kind of an attack, a key of ``GENERIC``."""
    if action >= SPECIAL:
        return "special"
    for first, name in ((0x100, "ledge"), (0xB7, "getup"), (0x41, "aerial"), (0x3A, "smash"), (0x32, "tilt")):
        if action >= first:
            return name
    return "jab"


def is_grab(character: int, action: int) -> bool:
    """Whether the hitboxes of an action hold and do no damage."""
    return action in (0xD4, 0xD6) or action in CATCHES.get(Character(character), ())


def _part(groups: list[Group], span: str) -> list[Group]:
    first, _, last = span.partition("-")
    return groups[int(first) : int(last or first) + 1]


def move_of(character: int, action: int, held: dict[str, Move]) -> Move | None:
    """The move of an action, with those of its groups that belong to the action.

    Args:
        character: its internal number.
        action: the action state.
        held: the character's moves by name.
    """
    special = SPECIALS.get(character, {}).get(action)
    if special:
        name, _, span = special.partition(":")
        if name not in held:
            return None
        move = held[name]
        groups = _part(move.groups, span) if span else move.groups
        return replace(move, groups=groups) if name in NORMAL else Move(groups=groups)
    for name in COMMON.get(action, ()):
        if name in held:
            move, middle = held[name], len(held[name].groups) // 2
            if name in SHARED and len(move.groups) == 2 * middle > 0:
                return replace(move, groups=move.groups[middle:] if action in SECOND_HALF else move.groups[:middle])
            return move
    return None


def _sets(groups: list[Group]) -> list[list[Group]]:
    """Groups without frames, cut wherever a hitbox comes a second time."""
    found: list[list[Group]] = []
    used: set[str] = set()
    for group in groups:
        if not found or used & set(group.ids):
            found.append([])
            used = set()
        found[-1].append(group)
        used |= set(group.ids)
    return found


def _stretches(frames: dict[int, Frame]) -> list[list[int]]:
    """Frames with hitboxes, cut wherever there is a pause or the hitboxes' numbers or sizes change."""
    active = [frame for frame in sorted(frames) if frames[frame].boxes]
    found = [active[:1]]
    for before, frame in pairwise(active):
        looks = [[(box.slot, round(box.size, 2)) for box in frames[f].boxes] for f in (before, frame)]
        if frame > before + 1 or looks[0] != looks[1]:
            found.append([])
        found[-1].append(frame)
    return found


def _of_slot(groups: list[Group], slot: int) -> Group:
    return next((group for group in groups if str(slot) in group.ids), groups[0])


def _timed(groups: list[Group], frame: int, box: Box) -> Group:
    def far(group: Group) -> tuple[int, bool]:
        away = max(group.start - frame, frame - group.end, 0)
        return away, str(box.slot) not in group.ids

    return min(groups, key=far)


def assign(groups: list[Group], frames: dict[int, Frame]) -> dict[tuple[int, int], Group]:
    """The group of every hitbox, by frame and slot; empty without groups.

    Groups with frames are taken by their frames (the nearest ones). Of groups without, the sets follow each other with
    the stretches of equal hitboxes; with more stretches than sets the later stretches share the last set, with fewer
    the sets are spread evenly over the frames.
    """
    found: dict[tuple[int, int], Group] = {}
    timed = [group for group in groups if group.start > 0]
    if timed:
        for frame, one in frames.items():
            found.update({(frame, box.slot): _timed(timed, frame, box) for box in one.boxes})
        return found
    sets, stretches = _sets(groups), _stretches(frames)
    if not sets:
        return found
    active = [frame for stretch in stretches for frame in stretch]
    for place, frame in enumerate(active):
        at = place * len(sets) // len(active)
        if len(stretches) >= len(sets):
            at = min(next(i for i, stretch in enumerate(stretches) if frame in stretch), len(sets) - 1)
        found.update({(frame, box.slot): _of_slot(sets[at], box.slot) for box in frames[frame].boxes})
    return found


def numbered(frames: dict[int, Frame], from_zero: bool, move: Move | None) -> dict[int, Frame]:
    """Frames counted from 1, the first of the state.

    libmelee's numbers are the game's counter, and in some states that starts at 0. Where a move says when its hitboxes
    come out and that is a frame earlier or later, the move is right.
    """
    shift = int(from_zero)
    active = [frame for frame, one in frames.items() if one.boxes]
    starts = [group.start for group in move.groups if group.start > 0] if move else []
    if active and starts and abs(min(starts) - min(active)) <= 1:
        shift = min(starts) - min(active)
    return {frame + shift: one for frame, one in frames.items() if frame + shift >= 1}


REACH = {"jab": 0.8, "tilt": 0.8, "smash": 1.0, "aerial": 0.6, "getup": 0.8, "ledge": 0.8, "special": 0.8}
"""How far before the body an unknown hitbox stands, as a share of the height."""


def drawn(action: int, move: Move, height: float) -> dict[int, Frame]:
    """Frames for a move that libmelee has no hitboxes of: one box where its groups say that there is one.

    The box stands before the body (behind it for a back air, above it for upward and below it for downward moves); its
    radius is a third of the height.
    """
    x, y = REACH[kind(action)] * height, 0.5 * height
    places = {0x43: (-x, y), 0x3F: (0.0, 1.1 * height), 0x44: (0.0, 1.1 * height), 0x38: (0.2 * x, height)}
    places |= {0x45: (0.0, 0.0), 0x41: (0.0, y), 0x40: (0.0, 0.2 * height)}
    at = places.get(action, (x, y))
    timed = [group for group in move.groups if group.start > 0]
    third = max(move.total // 4, 1)  # an attack that nobody timed is out in its second quarter
    late = int(action == 0xD9)  # the frames of pummels are listed as the counter, which starts at 0
    spans = [(g.start + late, g.end + late, g.ids) for g in timed] or [
        (third, 2 * third, g.ids) for g in move.groups[:1]
    ]
    found: dict[int, Frame] = {f: Frame((0.0, 0.0), False, ()) for f in range(1, max(move.total, spans[-1][1]) + 1)}
    for start, end, ids in spans:
        slot = next((int(c) for c in ids if c in "0123"), 0)
        for frame in range(start, end + 1):
            found[frame] = Frame((0.0, 0.0), False, (Box(slot, height / 3, *at),))
    return found
