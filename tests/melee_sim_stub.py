"""A stand-in for the module ``melee_sim``: it speaks the arrays that its API.md describes, and checks what it is given.

Names, types and ranges are facts of that interface; everything that happens in a game is made up here. A game opens
like the real ones on frame -123; every number of it follows from its configuration, its frame and what was pressed.
``MADE`` holds every batch that was made, and a batch what it was configured with and what was pressed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

PLAYS = {"MARIO": 0, "FOX": 1, "FALCON": 2, "SHEIK": 7, "ICE_CLIMBERS": 10, "MARTH": 18, "ZELDA": 19, "FALCO": 22}
Character = IntEnum("Character", PLAYS)
STAGES = {
    "FOUNTAIN_OF_DREAMS": 2,
    "POKEMON_STADIUM": 3,
    "YOSHIS_STORY": 8,
    "DREAM_LAND_N64": 28,
    "BATTLEFIELD": 31,
    "FINAL_DESTINATION": 32,
}
Stage = IntEnum("Stage", STAGES)
ENDS = 12
"""Games of row r lose their last stock that many frames + 3 r after they open."""
BUTTONS = ("A", "B", "X", "Y", "Z", "L", "R", "D_UP")
STICKS = ("main_stick_x", "main_stick_y", "c_stick_x", "c_stick_y")
PAD = np.dtype([("buttons", [(name, "u1") for name in BUTTONS]), *[(n, "<f4") for n in (*STICKS, "shoulder")]])
PADS = np.dtype([("players", PAD, (4,))])
FLOATS = (
    *("pos_x", "pos_y", "speed_air_x_self", "speed_ground_x_self", "speed_y_self", "speed_x_attack"),
    *("speed_y_attack", "percent", "shield_hp"),
)
BYTES = ("char_id", "stocks", "facing", "on_ground", "jumps_left", "hurtbox_state", "invulnerable", "_pad0")
PLAYER = np.dtype(
    [
        *[(name, "u1") for name in ("present", "source_player", "team_relation", "team_id")],
        *[(name, "<f4") for name in FLOATS],
        *[("action_id", "<u2"), ("action_frame", "<i2"), ("hitlag", "<u2"), ("hitstun", "<u2")],
        *[(name, "u1") for name in BYTES],
    ]
)
ITEM = np.dtype(
    [
        *[("exists", "u1"), ("state", "u1"), ("type", "<u2"), ("owner", "i1"), ("_pad0", "u1")],
        *[(name, "<u2") for name in ("instance_id", "attack_id", "attack_instance")],
        *[(name, "<f4") for name in ("direction", "vel_x", "vel_y", "pos_x", "pos_y")],
        *[("damage", "<u2"), ("_pad1", "<u2"), ("timer", "<f4"), ("spawn_id", "<u4")],
        *[(f"misc{at}", "u1") for at in range(4)],
    ]
)
RANDALL = [("exists", "u1"), ("_pad0", "u1", (3,)), ("x", "<f4"), ("y", "<f4")]
FRAME = np.dtype(
    [
        *[("frame_id", "<i4"), ("frame_pre_random_seed", "<u4"), ("stage_id", "<u4")],
        *[(name, "u1") for name in ("num_players", "viewpoint_player", "is_teams", "_pad0")],
        ("stage", [("randall", RANDALL), ("fod_platforms", [("left", "<f4"), ("right", "<f4")])]),
        *[("slots", PLAYER, (4,)), ("items", ITEM, (15,))],
    ]
)
TOLD = np.dtype(
    [
        *[("frame_id", "<i4"), ("stage_id", "<u4")],
        *[(name, "u1") for name in ("done", "match_ended", "stockout", "max_frame_reached")],
        *[(name, "u1") for name in ("alive_count", "alive_team_count", "team_alive_mask", "_pad0")],
    ]
)
MADE: list[EnvBatch] = []


@dataclass(frozen=True)
class PlayerConfig:
    character: int
    team_id: int | None = None
    facing: int | None = None
    controller_port: int | None = None
    costume: int = 0
    handicap: int = 9


@dataclass(frozen=True)
class MatchConfig:
    stage: int = 32
    players: tuple[PlayerConfig, ...] | None = None
    seed: int | None = None
    max_frame: int = -1
    stocks: int = 4
    damage_ratio: float = 1.0
    is_teams: bool = False
    friendly_fire: bool = False
    viewpoint_player: int = 0
    ucf_cardinals_1_0_enabled: bool = False

    def check(self, num_players: int) -> None:
        assert self.stage in STAGES.values() and self.players is not None and len(self.players) == num_players
        assert isinstance(self.seed, int) and 0 <= self.seed < 2**32
        assert -1 <= self.max_frame < 2**31 and 1 <= self.stocks <= 255 and self.viewpoint_player == 0
        for player in self.players:
            assert player.character in PLAYS.values() and player.controller_port in range(4)
        assert len({player.controller_port for player in self.players}) == num_players


class EnvBatch:
    """E made-up games, with the checks that a careful library would make."""

    frame_kind = FRAME

    def __init__(
        self,
        batch_size: int,
        length: int = 256,
        num_players: int = 2,
        *,
        data_dir: Any = None,
        observation: str = "native",
    ) -> None:
        if (Path(data_dir) / "broken").exists():
            raise RuntimeError("create batch: incompatible game data or savestate")
        assert isinstance(batch_size, int) and batch_size > 0 and length > 0 and num_players == 2
        self.batch_size, self.length, self.num_players, self.t, self.closed = batch_size, length, num_players, 0, 0
        self.gamestate_view = np.zeros((length + 1, batch_size), self.frame_kind)
        self.controller_action_view = np.zeros((length, batch_size), PADS)
        self.terminal_view = np.zeros((length, batch_size), TOLD)
        for stick in STICKS:
            self.controller_action_view["players"][stick] = 0.5
        self.matches: list[MatchConfig | None] = [None] * batch_size
        self.configured: list[tuple[int, MatchConfig]] = []
        self.pressed: list[np.ndarray] = []
        self._pending = np.zeros(batch_size, np.bool_)
        MADE.append(self)

    @property
    def current_frame(self) -> np.ndarray:
        return self.gamestate_view[self.t]

    @property
    def current_action_frame(self) -> np.ndarray:
        return self.controller_action_view[0 if self.t >= self.length else self.t]

    def configure_matches(self, configs: Sequence[MatchConfig], *, env_ids: Any = None) -> None:
        assert not self.closed
        ids = np.arange(self.batch_size) if env_ids is None else np.asarray(env_ids)
        assert ids.ndim == 1 and ids.dtype.kind == "i" and len(ids) == len(configs) > 0
        assert ids.min() >= 0 and ids.max() < self.batch_size
        for row, match in zip(ids.tolist(), configs, strict=True):
            match.check(self.num_players)
            self.matches[row] = match
            self.configured.append((row, match))

    def reset_all(self) -> None:
        self.t, self._pending[:] = 0, False
        self._open(np.arange(self.batch_size))

    def step_and_reset(self) -> tuple[np.ndarray, np.ndarray]:
        assert not self.closed
        if self.t >= self.length:
            self.gamestate_view[0], self.t = self.gamestate_view[self.length], 0
        held, fresh = self.current_action_frame["players"], self._pending.copy()
        for stick in (*STICKS, "shoulder"):
            assert np.isfinite(held[stick]).all() and held[stick].min() >= 0 and held[stick].max() <= 1
        for name in BUTTONS:
            assert np.isin(held["buttons"][name], (0, 1)).all()
        self.pressed.append(held.copy())
        self.gamestate_view[self.t + 1] = self.gamestate_view[self.t]
        self.terminal_view[self.t] = np.zeros(self.batch_size, TOLD)
        self.t += 1
        self._open(np.flatnonzero(fresh))
        for row in np.flatnonzero(~fresh).tolist():
            self._advance(row, held[row])
        told = self.terminal_view[self.t - 1]
        self._pending = told["done"] != 0
        return fresh, told

    def close(self) -> None:
        self.closed += 1
        assert self.closed == 1, "closed a second time"

    def _open(self, rows: np.ndarray) -> None:
        for row in rows.tolist():
            match, frame = self.matches[row], self.gamestate_view[self.t]
            assert match is not None and match.players is not None, "a game was opened that nobody configured"
            frame[row] = np.zeros((), self.frame_kind)
            frame["frame_id"][row], frame["stage_id"][row], frame["num_players"][row] = -123, match.stage, 2
            slots = frame["slots"][row]
            for seat, player in enumerate(match.players):
                slots["present"][seat], slots["source_player"][seat], slots["char_id"][seat] = 1, seat, player.character
                slots["stocks"][seat], slots["pos_x"][seat] = match.stocks, match.seed % 89 - 40 * seat
                slots["facing"][seat] = 1 - seat
                slots["team_relation"][seat] = 2 * seat

    def _advance(self, row: int, held: np.ndarray) -> None:
        frame, match = self.gamestate_view[self.t][row], self.matches[row]
        assert match is not None
        frame["frame_id"] += 1
        passed = int(frame["frame_id"]) + 123
        random = np.random.default_rng([match.seed or 0, passed])
        for seat in range(2):
            slot, pad = frame["slots"][seat], held[seat]
            for name in set(FLOATS) - {"pos_x"}:
                slot[name] = random.uniform(0, 60)
            slot["pos_x"] += 2 * pad["main_stick_x"] - 1
            slot["action_id"], slot["action_frame"] = random.integers(399), random.integers(-1, 60)
            slot["hitlag"], slot["hitstun"] = random.integers(20, size=2)
            slot["hurtbox_state"], slot["jumps_left"] = random.integers(3), random.integers(6)
            slot["on_ground"], slot["facing"] = random.integers(2, size=2)
            slot["invulnerable"] = slot["hurtbox_state"] == 1
        heights = frame["stage"]["fod_platforms"]  # on every stage: a reader has to know where they mean something
        heights["left"], heights["right"] = random.uniform(0, 30, 2)
        self._throw(frame["items"], passed, random)
        told = self.terminal_view[self.t - 1][row]
        told["frame_id"], told["stage_id"] = frame["frame_id"], frame["stage_id"]
        told["max_frame_reached"] = 0 <= match.max_frame <= frame["frame_id"]
        if passed == ENDS + 3 * row:
            frame["slots"][1]["stocks"], told["stockout"], told["match_ended"] = 0, 1, 1
        told["done"] = told["match_ended"] | told["max_frame_reached"]

    def _throw(self, items: np.ndarray, passed: int, random: np.random.Generator) -> None:
        """A thing of player 1 in the last slot; two frames later one of player 0 and one of nobody."""
        for slot, since, owner in ((14, 3, 1), (2, 5, 0), (7, 5, -1)):
            if passed < since:
                continue
            thing = items[slot]
            thing["exists"], thing["owner"], thing["spawn_id"], thing["type"] = 1, owner, since * 20 + slot, 50 + slot
            thing["state"] = random.integers(5)
            for name in ("pos_x", "pos_y", "vel_x", "vel_y"):
                thing[name] = random.uniform(-9, 9)


class OlderBatch(EnvBatch):
    """As of a version whose frames did not show the platforms of Fountain of Dreams."""

    frame_kind = np.dtype([(name, RANDALL if name == "stage" else FRAME[name]) for name in FRAME.names or ()])


def module(batch: type = EnvBatch) -> ModuleType:
    """What ``import melee_sim`` would give."""
    made = ModuleType("melee_sim")
    for name, what in (
        *[("EnvBatch", batch), ("PlayerConfig", PlayerConfig), ("MatchConfig", MatchConfig)],
        *[("Character", Character), ("Stage", Stage)],
    ):
        setattr(made, name, what)
    return made


def data(folder: Path) -> Path:
    """An empty data folder, as far as it can be told without a disc image."""
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    (folder / "raw" / "manifest.json").write_text("{}")
    return folder


def world(games: int = 2, characters: Any = (1, 22), stages: Any = 31, **more: Any) -> Any:
    """A world over this stand-in; the module is there while the world is made, as it is needed no longer."""
    from exphil.envs.melee_sim import MeleeSimEnvironment

    before = sys.modules.get("melee_sim")
    sys.modules["melee_sim"] = module(more.pop("batch", EnvBatch))
    try:
        with tempfile.TemporaryDirectory() as folder:
            return MeleeSimEnvironment(games, characters, stages, **{"data_dir": data(Path(folder)), **more})
    finally:
        del sys.modules["melee_sim"]
        if before is not None:
            sys.modules["melee_sim"] = before
