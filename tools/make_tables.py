"""Writes ``src/exphil/envs/sim/tables.npz``, what the simulator knows of characters and moves.

``python tools/make_tables.py`` reads ``tools/tables`` and the installed package ``melee`` (the extra ``dolphin``);
``--libmelee FOLDER`` takes libmelee's CSV files from a folder. ``--check`` writes nothing and exits 1 when the file is
not what its inputs give. Where every column comes from is in ``tools/tables/README.md``.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from pathlib import Path
from statistics import median, mode
from typing import Any

import numpy as np
from numpy.typing import NDArray
from table_inputs import (
    PLAYABLE,
    Frame,
    Group,
    Length,
    Libmelee,
    Move,
    attributes,
    bodies,
    lengths,
    moves,
    releases,
    throw_figures,
)
from table_moves import DRAWN, GENERIC, SPECIAL, THROWS, assign, drawn, is_grab, kind, move_of, numbered
from table_specials import MIRRORED, STAND_INS, UNLISTED_THROWS

from exphil.envs.sim.tables import AERIALS, ATTRIBUTE_NAMES, ATTRIBUTES, BOX, EFFECTS, HIT, Tables, load
from exphil.game.ids import NUM_ACTIONS, NUM_CHARACTERS, Character

TARGET = Path(__file__).resolve().parent.parent / "src" / "exphil" / "envs" / "sim" / "tables.npz"

COLUMN = {
    "walk_init": "walk_min",
    "walk_max": "walk_speed",
    "run_max": "run_speed",
    "jump_squat": "jump_frames",
    "double_jump_v": "double_jump_mult",
    "fall_max": "fall_speed",
    "air_max": "air_speed",
    "fast_fall": "fast_fall_speed",
    "landing_n": "nair_lag",
    "landing_f": "fair_lag",
    "landing_b": "bair_lag",
    "landing_u": "uair_lag",
    "landing_d": "dair_lag",
}
"""Columns of attributes.csv by our name, where it is another one."""

EFFECT = {"": 0, "flame": 1, "freezing": 4}
JUMP_SQUAT = 0x18
LANDING = 0x2A
LANDINGS = (0x46, 0x47, 0x48, 0x49, 0x4A)
TECH = 0xC7
BACKWARD = (0xBD, 0xC5, 0xC9, 0xEA)
"""Rolls away from where one looks: lying face up and down, after a tech, out of a shield."""
ON_GROUND = (*range(0xB7, 0xCA), 0xE9, 0xEA, 0xEB)
"""States that keep to the ground."""


def effect_number(name: str) -> int:
    """The index in ``EFFECTS`` of the source's word."""
    return EFFECT.get(name, EFFECTS.index(name) if name in EFFECTS else len(EFFECTS) - 1)


def moved(action: int, x: float, y: float) -> tuple[float, float]:
    """Forwards and up: libmelee counts backward rolls along themselves, and a tech's landing as a rise."""
    if action in BACKWARD:
        x = -x
    return (0.0 if action == TECH else x), (0.0 if action in ON_GROUND else y)


class Made:
    """The tables while they are made; ``tables`` gives them."""

    def __init__(self, libmelee: Libmelee) -> None:
        self.moves, self.lengths, self.releases = moves(), lengths(), releases()
        self.thrown = throw_figures()
        self.frames, self.zeros, sizes = libmelee.frames(), libmelee.counted_from_zero(), libmelee.sizes()
        self.attributes = np.zeros(NUM_CHARACTERS, ATTRIBUTES)
        shape = (NUM_CHARACTERS, NUM_ACTIONS)
        self.length, self.iasa = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
        self.first, self.rate = np.ones(shape, np.float32), np.ones(shape, np.float32)
        self.auto = np.zeros((2, NUM_CHARACTERS, len(AERIALS)), np.int16)
        self.motion_at = np.full(shape, -1, np.int32)
        self.motion_frames = np.zeros(shape, np.int16)
        self.motion: list[tuple[float, float]] = []
        self.box_at = [0]
        self.boxes: list[tuple[float, float, float, int, int]] = []
        self.hits: dict[tuple[float, ...], int] = {}
        self.throws = np.zeros((NUM_CHARACTERS, len(THROWS)), HIT)
        self.throw_frame = np.zeros((NUM_CHARACTERS, len(THROWS)), np.int16)
        self.throw_before = np.zeros((NUM_CHARACTERS, len(THROWS)), np.float32)
        self.by_weight = np.zeros((NUM_CHARACTERS, len(THROWS)), np.int8)
        self.safe = np.zeros((*shape, 2), np.int16)
        self._attributes(sizes)
        self._counters()
        self._safe()
        self._common_lengths()
        for character in PLAYABLE:
            for action in range(NUM_ACTIONS):
                self._action(int(character), action)
            self._throws(int(character))
        self._landings()
        self._repeat()

    def _attributes(self, sizes: dict[int, float]) -> None:
        measured = bodies()
        usual = median(width for width, _ in measured.values())
        ratio = median(height / sizes[character] for character, (_, height) in measured.items())
        for character, row in attributes().items():
            one = {name: row.get(COLUMN.get(name, name), 0.0) for name in ATTRIBUTE_NAMES}
            one["width"], one["height"] = measured.get(character, (usual, ratio * sizes[character]))
            self.attributes[character] = tuple(one[name] for name in ATTRIBUTE_NAMES)
            fixed = f"{int(row['const_throws_dufb']):04d}"  # down, up, back, forward
            self.by_weight[character] = [fixed[place] == "0" for place in (3, 2, 1, 0)]

    def _seen(self, action: int) -> list[Length]:
        return [one for (_, a), one in self.lengths.items() if a == action]

    def _counters(self) -> None:
        """``first`` and ``rate``: as counted; of common actions that were not seen what most characters have."""
        for action in range(NUM_ACTIONS):
            seen = self._seen(action) if action < SPECIAL else []
            if seen:
                often = [one for one in seen if one.seen >= 3] or seen
                self.first[:, action] = mode(one.first for one in often)
                self.rate[:, action] = mode(one.rate or 1.0 for one in often)
        for (character, action), one in self.lengths.items():
            if one.seen >= 3 or action >= SPECIAL:
                self.first[character, action] = one.first
                self.rate[character, action] = one.rate or 1.0
        self.rate[:, 0x0F:0x12] = self.rate[:, 0x15] = 1.0  # these follow the speed
        self.rate[:, 0xDB:0xDF] = 1.0  # and these the victim's weight

    def _safe(self) -> None:
        """``safe`` as counted; of common actions that were not seen what most characters have."""
        for action in range(SPECIAL):
            seen = [one for one in self._seen(action) if one.safe_seen]
            often = [one.safe for one in seen if one.safe_seen >= 2] or [one.safe for one in seen]
            self.safe[:, action] = mode(often) if often else (0, 0)
        for (character, action), one in self.lengths.items():
            if one.safe_seen >= 3:
                self.safe[character, action] = one.safe

    def _common_lengths(self) -> None:
        """``length`` as counted; of common actions that were not seen the median over characters."""
        for action in range(SPECIAL):
            seen = [one for one in self._seen(action) if one.length is not None]
            often = [one.length or 0 for one in seen if one.length_seen >= 2] or [one.length or 0 for one in seen]
            self.length[:, action] = int(median(often)) if often else 0
        for (character, action), one in self.lengths.items():
            if one.length is not None and (one.length_seen >= 2 or action >= SPECIAL):
                self.length[character, action] = one.length

    def _hit(self, group: Group) -> int:
        row = (*group.figures, 0.0, float(effect_number(group.effect)))
        return self.hits.setdefault(row, len(self.hits))

    def _frames(self, character: int, action: int, move: Move | None) -> dict[int, Frame]:
        """The frames of an action, of its stand-in when it has no hitboxes, or drawn when that has none either."""
        held: dict[int, Frame] = {}
        for key in ((character, action), STAND_INS.get((character, action), (character, action))):
            held = numbered(self.frames.get(key, {}), key in self.zeros, move) or held
            if any(one.boxes for one in held.values()):
                return held
        if action in DRAWN and move and move.groups:
            places = drawn(action, move, float(self.attributes["height"][character]))
            return {f: Frame(held[f].motion, one.iasa, one.boxes) if f in held else one for f, one in places.items()}
        return held

    def _action(self, character: int, action: int) -> None:
        move = move_of(character, action, self.moves[character])
        frames = self._frames(character, action, move)
        counted = self.lengths.get((character, action))
        known = counted.length or 0 if counted and counted.length_seen >= 2 else 0
        if move and move.total:
            self.length[character, action] = move.total
        elif (
            frames
            and (character, action) in self.frames
            and (not known or (action >= SPECIAL and abs(max(frames) - known) > 2))
        ):
            self.length[character, action] = max(frames)
        if move and any(move.safe):
            self.safe[character, action] = move.safe
        if 0x2C <= action <= 0x45 or (move and move.iasa):
            early = move.iasa if move else min((frame for frame, one in frames.items() if one.iasa), default=0)
            self.iasa[character, action] = early if early < self.length[character, action] else 0
        if action in AERIALS and move:
            self.auto[:, character, AERIALS.index(action)] = move.auto_before, move.auto_after
        if frames:
            self._rows(character, action, move, frames)

    def _rows(self, character: int, action: int, move: Move | None, frames: dict[int, Frame]) -> None:
        groups = move.groups if move else []
        of_box = assign(groups, frames)
        side = -1.0 if (character, action) in MIRRORED else 1.0
        generic = Group(0, 0, "", GENERIC[kind(action)], "normal")
        self.motion_at[character, action] = len(self.motion)
        self.motion_frames[character, action] = max(frames)
        for frame in range(1, max(frames) + 1):
            one = frames.get(frame, Frame((0.0, 0.0), False, ()))
            self.motion.append(moved(action, *one.motion))
            for box in one.boxes:
                hit = -1 if is_grab(character, action) else self._hit(of_box.get((frame, box.slot), generic))
                self.boxes.append((side * box.x, box.y, box.size, hit, box.slot))
            self.box_at.append(len(self.boxes))

    def _throws(self, character: int) -> None:
        """The last group of a throw is what lets go; its frame is as counted, else as listed, else usual."""
        shares = [
            frame / self.moves[c][THROWS[a]].total
            for (c, a), (frame, seen) in self.releases.items()
            if c in self.moves and a in THROWS and THROWS[a] in self.moves[c] and self.moves[c][THROWS[a]].total
        ]
        for place, (action, name) in enumerate(THROWS.items()):
            held = self.moves[character]
            move = held.get(name) or held.get(f"cargo_{name}", Move())  # Donkey Kong carries before he throws forwards
            if move.groups:
                group = move.groups[-1]
                self.throws[character, place] = (*group.figures, 0.0, effect_number(group.effect))
            seen = self.thrown.get((character, action))
            if seen:
                self.throw_before[character, place] = seen.before
            if seen and (character, action) in UNLISTED_THROWS:
                figures = (seen.damage, seen.angle, seen.growth, 0.0, seen.base)
                self.throws[character, place] = (*figures, 0.0, 0)
            self.length[character, action] = move.total or self.length[character, action]
            listed = move.groups[-1].end if move.groups else 0
            usual = round(median(shares) * self.length[character, action])
            self.throw_frame[character, place] = self.releases.get((character, action), (listed or usual, 0))[0]

    def _landings(self) -> None:
        """Landings last as the attributes say; the counter of those after an aerial rises to fit (uncancelled)."""
        self.length[:, JUMP_SQUAT] = self.attributes["jump_squat"].astype(np.int16)
        self.iasa[:, LANDING] = self.attributes["landing_lag"].astype(np.int16) + 1
        for action, name in zip(
            LANDINGS, ("landing_n", "landing_f", "landing_b", "landing_u", "landing_d"), strict=True
        ):
            for character in PLAYABLE:
                lag, one = int(self.attributes[name][character]), self.lengths.get((int(character), action))
                if one and one.rate and one.length == lag // 2:
                    self.rate[character, action] = one.rate * one.length / lag
                self.length[character, action] = lag

    def _repeat(self) -> None:
        """Nana has Popo's rows, those whom nobody plays Mario's."""
        tables = (self.attributes, self.length, self.iasa, self.motion_at, self.motion_frames)
        for table in (
            *tables,
            self.throws,
            self.throw_frame,
            self.by_weight,
            self.safe,
            self.auto[0],
            self.auto[1],
            self.first,
            self.rate,
        ):
            table[Character.NANA] = table[Character.ICE_CLIMBERS]
            table[Character.MASTER_HAND :] = table[Character.MARIO]

    def tables(self) -> Tables:
        """All of it as arrays."""
        hits = np.array([(*row[:6], int(row[6])) for row in self.hits], HIT)
        return Tables(
            attributes=self.attributes,
            length=self.length,
            first=self.first,
            rate=self.rate,
            iasa=self.iasa,
            auto_before=np.ascontiguousarray(self.auto[0]),
            auto_after=np.ascontiguousarray(self.auto[1]),
            motion_at=self.motion_at,
            motion_frames=self.motion_frames,
            motion=np.array(self.motion, np.float32),
            box_at=np.array(self.box_at, np.int32),
            boxes=np.array(self.boxes, BOX),
            hits=hits,
            throws=self.throws,
            throw_frame=self.throw_frame,
            throw_before=self.throw_before,
            throw_by_weight=self.by_weight,
            safe=self.safe,
        )


def packed(tables: Tables) -> bytes:
    """The bytes of the file: an npz whose members carry no date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in tables._asdict().items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            about = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            about.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(about, member.getvalue())
    return buffer.getvalue()


def differing(one: Tables, other: Tables) -> list[str]:
    """Names of the arrays that are not equal."""
    pairs: list[tuple[str, NDArray[Any], NDArray[Any]]] = [(n, getattr(one, n), getattr(other, n)) for n in one._fields]
    return [name for name, a, b in pairs if a.shape != b.shape or a.dtype != b.dtype or a.tobytes() != b.tobytes()]


def main() -> int:
    """Writes or checks the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--libmelee", type=Path, help="folder with libmelee's CSV files (default: the package melee)")
    parser.add_argument("--check", action="store_true", help="say whether the file is what its inputs give")
    asked = parser.parse_args()
    tables = Made(Libmelee(asked.libmelee)).tables()
    if asked.check:
        names = differing(tables, load())
        sys.stdout.write(f"differs: {', '.join(names)}\n" if names else "the file is what its inputs give\n")
        return int(bool(names))
    data = packed(tables)
    TARGET.write_bytes(data)
    counts = f"{len(tables.motion)} frames, {len(tables.boxes)} hitboxes, {len(tables.hits)} hits"
    sys.stdout.write(f"{counts}, {len(data)} bytes -> {TARGET}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
