"""Reads what the simulator's tables are made from: attributes, moves, lengths, throws, and libmelee's frames.

The first four are the CSV files of ``tools/tables``; libmelee's (``framedata.csv``, ``actiondata.csv`` and
``characterdata.csv``) are read from its installed package or from a folder. Where each comes from is in
``tools/tables/README.md``. A file with an unknown move or a missing column raises ``KeyError`` or ``ValueError``.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from exphil.game.ids import Character

FOLDER = Path(__file__).resolve().parent / "tables"
FARTHEST = 80.0
"""Farther from its owner no hitbox is; a few of libmelee's rows hold memory that was none."""
PLAYABLE = tuple(c for c in Character if c < Character.MASTER_HAND and c != Character.NANA)


@dataclass(frozen=True)
class Group:
    """Hitboxes of a move with equal figures; ``start`` 0 where their frames are not known."""

    start: int
    end: int
    ids: str
    figures: tuple[float, float, float, float, float]  # damage, angle, growth, set, base
    effect: str


@dataclass
class Move:
    """One move of one character; 0 where a figure is not known."""

    total: int = 0
    iasa: int = 0
    auto_before: int = 0
    auto_after: int = 0
    safe: tuple[int, int] = (0, 0)  # of a dodge: first and last frame in which nothing touches
    groups: list[Group] = field(default_factory=list)


@dataclass(frozen=True)
class Box:
    """A hitbox in one frame as libmelee holds it; ``slot`` 0..3."""

    slot: int
    size: float
    x: float
    y: float


@dataclass
class Frame:
    """One frame of an action as libmelee holds it."""

    motion: tuple[float, float]
    iasa: bool
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Length:
    """What ``fit_lengths.py`` counted of an action state of a character; None where nothing was seen."""

    seen: int
    first: float
    rate: float | None
    length: int | None
    length_seen: int
    safe: tuple[int, int]
    safe_seen: int


Frames = dict[tuple[int, int], dict[int, Frame]]
"""By character and action, by frame."""


def _number(text: str) -> int:
    return int(float(text)) if text else 0


def _span(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return _number(first), _number(last)


def attributes() -> dict[int, dict[str, float]]:
    """The game's own attributes by character and column; a cell of several figures keeps the first."""
    with (FOLDER / "attributes.csv").open(encoding="utf-8", newline="") as file:
        rows = {row.pop("character"): row for row in csv.DictReader(file)}
    return {c: {key: float(cell) for key, cell in rows[c.name.lower()].items() if cell} for c in PLAYABLE}


def moves() -> dict[int, dict[str, Move]]:
    """The moves by character and the name that the source gives them."""
    found: dict[int, dict[str, Move]] = {}
    for character in PLAYABLE:
        path = FOLDER / "moves" / f"{character.name.lower()}.csv"
        held: dict[str, Move] = defaultdict(Move)
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                move = held[row["move"]]
                move.total = move.total or _number(row["total"])
                move.iasa = move.iasa or _number(row["iasa"])
                move.auto_before = move.auto_before or _number(row["auto_before"])
                move.auto_after = move.auto_after or _number(row["auto_after"])
                if row["damage"]:
                    figures = [float(row[name] or 0) for name in ("damage", "angle", "growth", "set", "base")]
                    start = _number(row["start"])
                    group = Group(start, _number(row["end"]) or start, row["ids"], tuple(figures), row["effect"])  # type: ignore[arg-type]
                    move.groups.append(group)
                elif row["start"] and row["end"]:
                    move.safe = _number(row["start"]), _number(row["end"])
        found[character] = dict(held)
    return found


def lengths() -> dict[tuple[int, int], Length]:
    """What recorded games say of action states, by character and action."""
    with (FOLDER / "lengths.csv").open(encoding="utf-8", newline="") as file:
        return {
            (int(row["character"]), int(row["action"])): Length(
                seen=int(row["seen"]),
                first=float(row["first"]),
                rate=float(row["rate"]) if row["rate"] else None,
                length=int(row["length"]) if row["length"] else None,
                length_seen=int(row["length_seen"] or 0),
                safe=_span(row["safe"]),
                safe_seen=int(row["safe_seen"] or 0),
            )
            for row in csv.DictReader(file)
        }


def releases() -> dict[tuple[int, int], tuple[int, int]]:
    """Frame of release and times seen of each throw, by character and action."""
    with (FOLDER / "throws.csv").open(encoding="utf-8", newline="") as file:
        return {
            (int(row["character"]), int(row["action"])): (int(row["release"]), int(row["seen"]))
            for row in csv.DictReader(file)
        }


@dataclass(frozen=True)
class Throw:
    """What recorded victims say of a throw; ``before`` is the damage before it lets go."""

    damage: float
    before: float
    angle: float
    growth: float
    base: float


def throw_figures() -> dict[tuple[int, int], Throw]:
    """What ``fit_throws.py`` has measured, by character and action."""
    with (FOLDER / "throw_figures.csv").open(encoding="utf-8", newline="") as file:
        names = ("damage", "before", "angle", "growth", "base")
        rows = list(csv.DictReader(file))
    return {(int(row["character"]), int(row["action"])): Throw(*(float(row[name]) for name in names)) for row in rows}


def bodies() -> dict[int, tuple[float, float]]:
    """Half width and height of the characters that ``fit_bodies.py`` has measured."""
    with (FOLDER / "bodies.csv").open(encoding="utf-8", newline="") as file:
        return {int(row["character"]): (float(row["width"]), float(row["height"])) for row in csv.DictReader(file)}


def _installed() -> Path:
    """Where the package melee lies; it is not imported, so that nothing it needs must be there."""
    found = find_spec("melee")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("libmelee is not installed: pip install 'exphil[dolphin]', or give --libmelee FOLDER")
    return Path(found.submodule_search_locations[0])


class Libmelee:
    """libmelee's tables.

    Args:
        folder: with its CSV files; None for the installed package ``melee``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder if folder is not None else _installed()

    def _rows(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(self._folder.joinpath(name).read_text(encoding="utf-8").splitlines()))

    def frames(self) -> Frames:
        """Every recorded frame; of several rows of one frame the last. Boxes that cannot be are left out."""
        found: Frames = defaultdict(dict)
        for row in self._rows("framedata.csv"):
            boxes = tuple(
                Box(slot, *(float(row[f"hitbox_{slot + 1}_{what}"]) for what in ("size", "x", "y")))
                for slot in range(4)
                if row[f"hitbox_{slot + 1}_status"] == "True"
            )
            boxes = tuple(box for box in boxes if box.size > 0 and max(abs(box.x), abs(box.y)) < FARTHEST)
            motion = (float(row["locomotion_x"]), float(row["locomotion_y"]))
            one = Frame(motion, row["iasa"] == "True", boxes)
            found[int(row["character"]), int(row["action"])][int(row["frame"])] = one
        return dict(found)

    def counted_from_zero(self) -> set[tuple[int, int]]:
        """Characters' actions whose counter starts at 0 and whose frames libmelee has counted from 1 already."""
        rows = self._rows("actiondata.csv")
        return {(int(row["character"]), int(row["action"])) for row in rows if row["zeroindex"] == "True"}

    def sizes(self) -> dict[int, float]:
        """How tall characters are, roughly."""
        return {int(row["CharacterIndex"]): float(row["size"]) for row in self._rows("characterdata.csv")}
