"""The feature table: what a policy sees of one frame, from the seat of player 0.

``Table`` chooses the rows of ``features.rows`` by the options of a run and encodes columns of any leading shape, on the
arrays that it is given: numpy for one live row, torch for a batch on the training device. It uses only operations that
both share and never imports torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from exphil.features import climbers, rows, stage_motion
from exphil.features.rows import CONTROLLER, CONTROLLER_FLOATS, Feature, Part, Section
from exphil.features.view import TABLES, Constant, View
from exphil.features.writer import Writer
from exphil.game.frames import SCHEMA_VERSION, Array, Game, Lacks, namespace
from exphil.game.ids import NUM_ACTIONS, NUM_CHARACTERS, NUM_STAGES

BOTH = ("own", "opponent")
_WIDE = 128  # floats: a one-hot of more is not scaled and bounded: that would cost more than writing it


class Id(NamedTuple):
    """A number that the model looks up in a learned table; ids of one ``kind`` share it.

    ``nobody`` says that 0 stands for nothing known and is looked up as zeros.
    """

    name: str
    kind: str
    vocabulary: int
    nobody: bool = False


class Recent(NamedTuple):
    """The own controllers before an answer: those that are decided and not yet seen, and before them seen ones.

    Attributes:
        controllers: float32 ``S + (max_delay * 13,)``, oldest first; the last ``delay`` of them are not seen yet.
        delay: int ``S``, or what broadcasts to it: frames of delay, at most ``max_delay``.
    """

    controllers: Array
    delay: Array


@dataclass(frozen=True)
class Table:
    """The layout of one policy's input.

    Args:
        num_player_names: The highest number of a player's style; 0 leaves styles out.
        allow_missing: Adds one presence bit for each kind of column that older files lack.
        player_mode: The own player's style as a ``one_hot`` of ``num_player_names`` floats, or ``learned``: one id.
        stage_mode: The stage as a one-hot of all 64 (``full``), of the legal six and other (``compact``), or an id
            (``learned``).
        action_mode: Action states as a ``one_hot`` of 399 each, or ids (``learned``).
        character_mode: Characters as a ``one_hot`` of 33 each, or ids (``learned``).
        nana_mode: ``compact``, ``enhanced`` or ``full``, see ``rows.nana``.
        jumps_normalized: Jumps left as one number, else as a one-hot of 7.
        stage_motion: Adds what moves on the stages.
        ic_tech: Adds what Ice Climbers players look at.
        umi_safe: Leaves out what UMI's frames do not hold.
        max_delay: The most frames of delay that the policy can have, 0 to 60: room for as many controllers.
    """

    num_player_names: int
    allow_missing: bool
    player_mode: str = "one_hot"
    stage_mode: str = "compact"
    action_mode: str = "learned"
    character_mode: str = "learned"
    nana_mode: str = "compact"
    jumps_normalized: bool = True
    stage_motion: bool = False
    ic_tech: bool = False
    umi_safe: bool = False
    max_delay: int = 0

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The rows that are read from columns, in order."""
        modes = {
            "action": self.action_mode == "one_hot",
            "character": self.character_mode == "one_hot",
            "jumps": not self.jumps_normalized,
        }
        one_hot = self.num_player_names and self.player_mode == "one_hot"
        stage = () if self.stage_mode == "learned" else (rows.STAGES[self.stage_mode],)
        style = (rows.style(self.num_player_names),) if one_hot else ()
        presence = tuple(rows.presence(*needed) for needed in self.needed.items()) if self.allow_missing else ()
        motion = tuple(row for row in stage_motion.ROWS if row.name not in self.left_out) if self.stage_motion else ()
        projectiles = tuple(f"projectile {slot + 1}" for slot in range(rows.NUM_PROJECTILES))
        found = (
            Section(BOTH, (rows.player(**modes), rows.nana(self.nana_mode, **modes))),
            Section(("game",), (Part("stage", stage),)),
            Section(("own",), (Part("controller", CONTROLLER), Part("style", style, where="style"))),
            Section(("game",), (Part("space", rows.SPATIAL),)),
            Section(projectiles, (rows.PROJECTILE,)),
            Section(BOTH, (climbers.PART,) if self.ic_tech else ()),
            Section(("game",), (Part("stage motion", motion), Part("presence", presence))),
        )
        return tuple(section for section in found if section.width)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Rows that were asked for and that UMI cannot fill."""
        return stage_motion.NOT_IN_UMI if self.umi_safe and self.stage_motion else ()

    @cached_property
    def needed(self) -> dict[Lacks, str]:
        """What the table reads and some files lack, in words."""
        motion = {lacks: says for lacks, (row, says) in stage_motion.NEEDED.items() if row not in self.left_out}
        return rows.NEEDED | (motion if self.stage_motion else {})

    @cached_property
    def _read(self) -> int:
        """Floats that are read from columns."""
        return sum(section.width for section in self.sections)

    @cached_property
    def _writers(self) -> list[Writer]:
        found, first = [], 0
        for section in self.sections:
            place, at = slice(first, first + section.width), 0
            for part in section.parts:
                found.append(Writer(part, len(section.names), place, slice(at, at + part.width)))
                at += part.width
            first += section.width
        return found

    @cached_property
    def floats(self) -> int:
        """Number of floats of one frame."""
        return self._read + sum(row.width for row in rows.recent(self.max_delay))

    @property
    def ids(self) -> int:
        """Number of ids of one frame."""
        return len(self.vocabularies)

    @cached_property
    def _id_blocks(self) -> tuple[tuple[Callable[[View], Array], tuple[Id, ...]], ...]:
        """How ids are read, some at a time, and what they are."""
        actions = tuple(Id(f"{who}_action", "action", NUM_ACTIONS) for who in BOTH)
        nana = tuple(Id(f"{who}_nana_action", "action", NUM_ACTIONS) for who in BOTH)
        characters = tuple(Id(f"{who}_character", "character", NUM_CHARACTERS) for who in BOTH)
        style = Id("own_style", "style", self.num_player_names + 1, nobody=True)
        learned = self.action_mode == "learned"
        found = (
            (learned, lambda v: v.action(v.players), actions),
            (self.nana_mode == "enhanced" or (self.nana_mode == "full" and learned), lambda v: v.action(v.nana), nana),
            (self.character_mode == "learned", lambda v: v.character(v.players), characters),
            (self.stage_mode == "learned", lambda v: v.stage[..., None], (Id("stage", "stage", NUM_STAGES),)),
            (self.num_player_names and self.player_mode == "learned", self._style, (style,)),
        )
        return tuple((read, ids) for wanted, read, ids in found if wanted)

    @cached_property
    def vocabularies(self) -> tuple[Id, ...]:
        """Every id in order."""
        return tuple(found for _, ids in self._id_blocks for found in ids)

    @cached_property
    def controller(self) -> slice:
        """Where the own controller, as seen in the frame, stands among the floats."""
        return self._place(CONTROLLER[0].name)

    def _place(self, name: str) -> slice:
        """The controller that begins with a row of this name."""
        listed = [row for _, row in self.rows()]
        first = sum(row.width for row in listed[: [row.name for row in listed].index(name)])
        return slice(first, first + CONTROLLER_FLOATS)

    @cached_property
    def held(self) -> slice:
        """Where the controller stands that is held when the answer begins: the newest decided, else the one seen."""
        return self._place(f"recent 1 {CONTROLLER[0].name}") if self.max_delay else self.controller

    def blocks(self) -> list[tuple[str, int]]:
        """What the floats are for, and how many of them, in order."""
        read = [(part.name, len(section.names) * part.width) for section in self.sections for part in section.parts]
        late = sum(row.width for row in rows.recent(self.max_delay))
        return [(name, width) for name, width in (*read, ("recent controllers, delay", late)) if width]

    def rows(self) -> Iterator[tuple[str, Feature]]:
        """Every row in order, with the name of the repetition it stands in."""
        for section in self.sections:
            for name in section.names:
                for part in section.parts:
                    yield from ((name, row) for row in part.rows)
        yield from (("own", row) for row in rows.recent(self.max_delay))

    @cached_property
    def mirror(self) -> Constant:
        """``(floats,)``: what a frame's floats are multiplied by when left and right change places."""
        signs = [f.mirror if isinstance(f.mirror, tuple) else (f.mirror,) * f.width for _, f in self.rows()]
        return Constant(np.concatenate(signs).astype(np.float32))

    @cached_property
    def _bounds(self) -> list[tuple[slice, Constant, Constant, Constant]]:
        """Stretches of what is read, with scale, least and greatest of every float; wide one-hots need none of it."""
        listed = [row for _, row in self.rows()]
        widths = [row.width for row in listed]
        numbers = np.repeat(np.array([(row.scale, row.low, row.high) for row in listed], np.float32), widths, 0).T
        wide = np.repeat(np.array(widths) > _WIDE, widths)[: self._read]
        edges = np.flatnonzero(np.diff(wide, prepend=True, append=True)).reshape(-1, 2)
        return [
            (slice(first, last), *(Constant(part[first:last].copy()) for part in numbers))  # type: ignore[misc]
            for first, last in edges.tolist()
        ]

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of everything that gives the numbers their meaning."""
        layout = [[name, f.name, f.width, f.low, f.high, f.says, f.scale] for name, f in self.rows()]
        used = TABLES | (stage_motion.TABLES if self.stage_motion else {}) | (climbers.TABLES if self.ic_tech else {})
        constants = {name: table.array.tolist() for name, table in used.items()}
        ids = [[found.name, found.vocabulary] for found in self.vocabularies]
        words = json.dumps([SCHEMA_VERSION, layout, ids, constants])
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    def encode(self, game: Game, recent: Recent | None = None) -> tuple[Array, Array]:
        """Columns to numbers.

        Args:
            game: Any leading shape ``S``, seen from the seat of player 0.
            recent: The own controllers before the answer; needed when ``max_delay`` is not 0.

        Returns:
            floats: float32 ``S + (floats,)``, each within its row's range.
            ids: int64 ``S + (ids,)``, in the order of ``vocabularies``.

        Raises:
            ValueError: there is room for recent controllers and none were given.
        """
        view = View(game)
        module = view.module
        floats = module.empty((*game.shape, self.floats), dtype=module.float32, device=view.device)
        read = floats[..., : self._read]
        read[...] = 0
        for writer in self._writers:
            writer.write(floats, view)
        for place, scale, low, high in self._bounds:
            part = read[..., place]
            part *= scale.on(part)
            module.maximum(part, low.on(part), out=part)
            module.minimum(part, high.on(part), out=part)
        self._add(floats, recent)
        return floats, self._ids(view)

    def with_recent(self, read: Array, recent: Recent | None) -> Array:
        """What was read of the columns ``S + (F,)``, and behind it the recent controllers if there is room for them."""
        if not self.max_delay:
            return read
        module = namespace(read)
        floats = module.empty((*read.shape[:-1], self.floats), dtype=module.float32, device=read.device)
        floats[..., : self._read] = read
        self._add(floats, recent)
        return floats

    def _add(self, floats: Array, recent: Recent | None) -> None:
        """Fill in the recent controllers, when there is room for them."""
        if not self.max_delay:
            return
        if recent is None:
            raise ValueError(f"this table has room for {self.max_delay} recent controllers and got none")
        floats[..., self._read : -1] = recent.controllers
        floats[..., -1] = recent.delay / 30

    def _ids(self, view: View) -> Array:
        found = view.module.zeros((*view.game.shape, self.ids), dtype=view.module.int64, device=view.device)
        first = 0
        for read, ids in self._id_blocks:
            found[..., first : first + len(ids)] = read(view)
            first += len(ids)
        return found

    def _style(self, view: View) -> Array:
        style = view.integer(view.players.style)[..., :1]
        return style * ((style > 0) & (style <= self.num_player_names))  # a number outside is nobody
