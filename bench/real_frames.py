"""Recorded games for ``sim_truth.py``: which are used, what is known of their stages, and the situation of each frame.

What enters: a folder of replays. What leaves: ``Recorded`` games whose rows are one timeline (of a frame that netplay
rolled back the last version is kept) and the reasons for which others were left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.envs.sim import actions as act
from exphil.envs.sim.taken import taken
from exphil.errors import ReplayError
from exphil.game.frames import ROW, Lacks
from exphil.game.ids import Character, Stage
from exphil.game.time import GO_FRAME
from exphil.replays import slp

NEEDED = Lacks.SPEEDS | Lacks.HITLAG | Lacks.STATE
FLAT_STADIUM = (0.0, 25.0)
"""Heights on which one stands on Pokemon Stadium while it is not transformed."""
NEAR_TRANSFORMED = 600
"""Frames before and after a stand at another height that count as transformed where the file does not say."""
UNKNOWN_PLATFORM = (15.0, 56.0)
"""Fountain of Dreams: who is this far from the centre and above the ground may be on a platform of unknown height."""
WIND = 0.2
"""What Whispy adds to x every frame, in the shared games."""
BETWEEN, LEAST_PUSHES = 60, 5
"""More frames without a push end a blow; fewer pushes are none."""
SPEED_IS_ALL = tuple(
    np.flatnonzero(np.isin(act.KIND, (act.K_JUMP, act.K_FALL, act.K_AERIAL, act.K_STAND, act.K_SHIELD))).tolist()
)
"""States in which nothing but the recorded speeds and the wind moves a player."""

SITUATIONS: dict[str, tuple[int, ...]] = {
    "standing": (act.K_STAND, act.K_CROUCH),
    "walking": (act.K_WALK,),
    "dash": (act.K_DASH, act.K_RUN, act.K_TURN, act.K_TURN_RUN, act.K_BRAKE),
    "jump squat": (act.K_SQUAT,),
    "landing": (act.K_LANDING,),
    "free air": (act.K_JUMP, act.K_FALL),
    "helpless": (act.K_HELPLESS,),
    "aerial": (act.K_AERIAL,),
    "tumble": (act.K_TUMBLE, act.K_FLY),
    "hurt": (act.K_DAMAGE, act.K_DAMAGE_AIR),
    "shield": (act.K_SHIELD, act.K_SHIELD_OFF, act.K_SHIELD_STUN),
    "ground attack": (act.K_ATTACK,),
    "special": (act.K_SPECIAL,),
    "ledge": (act.K_LEDGE, act.K_LEDGE_JUMP),
    "grabs": (act.K_CATCH, act.K_HOLD, act.K_THROW, act.K_HELD, act.K_THROWN),
    "rolls": (act.K_MOTION, act.K_DOWN, act.K_DOWN_BOUND),
    "air dodge": (act.K_AIR_DODGE,),
    "dead": (act.K_DEAD, act.K_REBIRTH),
}
"""Situations by kind of action; ``rolls`` are dodges, techs and getups, from the ground and the ledge, as well."""
BY_STATE = ("fast fall", "hitstun", "hitlag")
"""Situations that a kind of action does not tell: they take frames from those above."""
NAMES = (*SITUATIONS, *BY_STATE, "other")
GROUND = ("standing", "walking", "dash", "jump squat", "landing")
FLIES = (act.K_DAMAGE_AIR, act.K_FLY, act.K_TUMBLE)


class Recorded(NamedTuple):
    """One game."""

    name: str
    rows: NDArray[Any]
    """``(T,)`` of ``frames.ROW``."""
    situation: NDArray[np.int64]
    """``(T, 2)``: number in ``NAMES``."""
    usable: NDArray[np.bool_]
    """``(T, 2)``: frames that may be judged."""
    wind: NDArray[np.float64]
    """``(T,)``: what Whispy adds to x in each row, where he reaches."""
    players: NDArray[Any]
    """``(T, 2)``: the simulator's records after every row."""
    games: NDArray[Any]
    """``(T,)``: likewise."""
    items: NDArray[Any]
    """``(T, 15)``: likewise."""


def files(folder: Path) -> list[Path]:
    """The full games of a folder with a manifest, else every replay below it."""
    manifest = folder / "manifest.json"
    if manifest.is_file():
        entries = json.loads(manifest.read_text())["entries"]
        named = sorted(folder / entry["name"] for entry in entries if entry.get("kind", "game") == "game")
        if any(path.is_file() for path in named):
            return [path for path in named if path.is_file()]
    return sorted(folder.rglob("*.slp"))


def recorded(paths: list[Path], left_out: Counter[str], tables: Any) -> Iterator[Recorded]:
    """The games that can be judged, one after the other; ``left_out`` counts the others by reason.

    Args:
        paths: Files.
        left_out: Is added to.
        tables: ``data.load()``.
    """
    for path in paths:
        try:
            replay = slp.read(path, "last")
        except ReplayError as error:
            left_out[f"games: {error.what}"] += 1
            continue
        reason = unfit(replay)
        if reason:
            left_out[f"games: {reason}"] += 1
            continue
        rows = replay.game.rows.view(ROW)[..., 0].copy()
        judged = usable(rows, left_out)
        actions = rows["players"]["action"]
        actions[:] = np.minimum(actions, len(act.KIND) - 1)  # beyond the tables: not judged
        situation = situations(rows["players"], tables.attributes["fast_fall"])
        yield Recorded(path.stem, rows, situation, judged, blown(rows), *taken(rows, tables))


def unfit(replay: slp.Replay) -> str:
    """Why a game cannot be judged, empty for one that can."""
    if len(replay.ports) != 2:
        return "not two players"
    if replay.start.stage not in tuple(Stage):
        return "another stage"
    if max(replay.characters) > Character.ROY:
        return "a character that nobody can choose"
    if replay.lacks & NEEDED:
        return "a version that lacks " + slp.lacking(replay.lacks & NEEDED).partition(" (")[0] + " or more"
    return ""


def usable(rows: NDArray[Any], left_out: Counter[str]) -> NDArray[np.bool_]:
    """Frames that may be judged, ``(T, 2)``: hands free, the frame before recorded, a stage that is known."""
    players = rows["players"]
    going = (rows["frame"] > GO_FRAME) & (np.diff(rows["frame"], prepend=rows["frame"][0] - 1) == 1)
    known = players["action"] < len(act.KIND)
    whole = np.repeat((going & known.all(1))[:, None], 2, 1)
    left_out["frames: action number beyond the tables"] += int((going & ~known.all(1)).sum()) * 2
    changed = transformed(rows)
    left_out["frames: Pokemon Stadium transformed, or not known not to be"] += int((whole & changed[:, None]).sum())
    whole = whole & ~changed[:, None]
    hidden = np.zeros_like(whole)
    if rows["lacks"][0] & Lacks.PLATFORMS:
        nearest, farthest = UNKNOWN_PLATFORM
        far = np.abs(players["x"])
        hidden = (far > nearest) & (far < farthest) & ((players["on_ground"] == 0) | (players["y"] > 1.0))
    left_out["frames: near a platform of unknown height"] += int((whole & hidden).sum())
    return whole & ~hidden


def transformed(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Frames in which Pokemon Stadium is or may be transformed, ``(T,)``."""
    if rows["stage"][0] != Stage.POKEMON_STADIUM:
        return np.zeros(len(rows), np.bool_)
    if not rows["lacks"][0] & Lacks.STADIUM:
        return rows["stadium"] != 0
    players = rows["players"]
    stands = (players["on_ground"] != 0) & (players["action"] == act.WAIT)
    off = np.min([np.abs(players["y"] - height) for height in FLAT_STADIUM], 0) > 0.1
    odd = np.flatnonzero((stands & off).any(1))
    found = np.zeros(len(rows), np.bool_)
    for at in odd:
        found[max(at - NEAR_TRANSFORMED, 0) : at + NEAR_TRANSFORMED] = True
    return found


def blown(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Whispy's wind, ``(T,)``: as recorded, else from the first to the last push of each blow that is seen.

    A push shows in a player who moved ``WIND`` farther than by the speeds recorded of the same frame.
    """
    if rows["stage"][0] != Stage.DREAM_LAND or not rows["lacks"][0] & Lacks.WHISPY:
        return WIND * np.array([0, -1, 1])[rows["whispy"] % 3]
    players, found = rows["players"], np.zeros(len(rows))
    moved = np.diff(players["x"], axis=0) - (players["speed_air_x"] + players["speed_x_attack"])[1:]
    free = (players["hitlag"][1:] == 0) & np.isin(players["action"][1:], SPEED_IS_ALL)
    for way in (-1, 1):
        pushes = np.flatnonzero((free & (np.abs(moved - way * WIND) < 0.003)).any(1)) + 1
        for blow in np.split(pushes, np.flatnonzero(np.diff(pushes) > BETWEEN) + 1):
            if len(blow) >= LEAST_PUSHES:
                found[blow[0] : blow[-1] + 1] = way * WIND
    return found


def situations(players: NDArray[Any], fast_falls: NDArray[np.float64]) -> NDArray[np.int64]:
    """The situation of each player and frame, as a number in ``NAMES``; the same shape as ``players``."""
    kinds = act.KIND[players["action"]]
    found = np.full(kinds.shape, NAMES.index("other"))
    for name, members in SITUATIONS.items():
        found[np.isin(kinds, members)] = NAMES.index(name)
    fast = np.abs(players["speed_y"] + fast_falls[players["character"]]) < 1e-3
    found[(found == NAMES.index("free air")) & fast] = NAMES.index("fast fall")
    aloft = (players["on_ground"] == 0) & np.isin(kinds, FLIES)
    found[aloft & (players["hitstun"] > 0)] = NAMES.index("hitstun")
    found[players["hitlag"] > 0] = NAMES.index("hitlag")
    return found
