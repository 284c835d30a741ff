"""A saved game read by slippi-js, Slippi's own reader, equals the game.

slippi-js is installed once, at the version and check sums of slippi_js/package-lock.json and without running a script
of any package, into EXPHIL_TEST_CACHE, else the user's cache folder. Without node, npm or a network the tests skip and
say so.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from test_saving import made, named

from exphil.game.frames import ITEM, Game
from exphil.game.ids import Stage, character_from_external
from exphil.replays import saving, slp
from exphil.replays.seats import START_HEIGHTS

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "slippi_js"
CACHE = Path(
    os.environ.get("EXPHIL_TEST_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "exphil-tests"
)  # read before any test takes the variable away
INSTALL = ("ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund")
OURS_TO_MEND = ("EUSAGE", "EINTEGRITY", "ETARGET", "EJSONPARSE")
"""What npm says when package.json or its lock is wrong; whatever else keeps it from installing is a reason to skip."""

CHARACTER = {
    "percent": "post.percent", "x": "post.positionX", "y": "post.positionY", "facing": "post.facingDirection",
    "action_frame": "post.actionStateCounter", "shield": "post.shieldSize", "hitlag": "post.hitlagRemaining",
    "hitstun": "post.miscActionState", "speed_air_x": "post.selfInducedSpeeds.airX",
    "speed_ground_x": "post.selfInducedSpeeds.groundX", "speed_y": "post.selfInducedSpeeds.y",
    "speed_x_attack": "post.selfInducedSpeeds.attackX", "speed_y_attack": "post.selfInducedSpeeds.attackY",
    "main_x": "pre.joystickX", "main_y": "pre.joystickY", "c_x": "pre.cStickX", "c_y": "pre.cStickY",
    "shoulder": "pre.trigger", "action": "post.actionStateId", "buttons": "pre.physicalButtons",
    "jumps": "post.jumpsRemaining", "on_ground": "post.isAirborne", "invulnerable": "post.hurtboxCollisionState",
    "stocks": "post.stocksRemaining", "character": "post.internalCharacterId",
}  # fmt: skip
ITEMS = {
    "x": "positionX", "y": "positionY", "vx": "velocityX", "vy": "velocityY", "type": "typeId", "state": "state",
    "owner": "owner",
}  # fmt: skip
TABLE = {
    "character": list(CHARACTER.values()),
    "item": ["frame", *ITEMS.values(), "spawnId"],
    "stage": ["frame", "platform", "height", "direction", "event", "transformation"],
}

PORTS = ((1, 2), (2, 4), (1, 3))


class Read(NamedTuple):
    """What slippi-js reads of a file."""

    told: dict[str, Any]
    frames: np.ndarray  # (T, 1 + 4 * 2 * (1 + columns))
    items: np.ndarray  # (N, columns of TABLE["item"])
    stage: np.ndarray  # (M, columns of TABLE["stage"])


@pytest.fixture(scope="module")
def installed() -> Path:
    """The folder in which node finds slippi-js."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("slippi-js needs node and npm: one of them is not installed")
    locked = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = CACHE / f"slippi-js-{locked}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as building:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, building)
        try:
            done = subprocess.run(
                [npm, *INSTALL], cwd=building, check=False, capture_output=True, text=True, timeout=120
            )
        except subprocess.TimeoutExpired:
            pytest.skip("npm did not install slippi-js within two minutes")
        if done.returncode:
            assert not any(code in done.stderr for code in OURS_TO_MEND), done.stderr
            told = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            pytest.skip(f"npm cannot install slippi-js: {'; '.join(told[:2])}")
        with contextlib.suppress(OSError):  # another run was quicker
            Path(building).rename(folder)
        Path(building).mkdir(exist_ok=True)
    return folder


def read(folder: Path, paths: list[Path]) -> list[Read]:
    """What slippi-js makes of files; one process reads them all."""
    command = ["node", str(HERE / "read.mjs"), str(folder), json.dumps(TABLE), *map(str, paths)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = []
    for path in paths:
        widths = (1 + 8 * (1 + len(CHARACTER)), len(TABLE["item"]), len(TABLE["stage"]))
        parts = zip(("frames", "items", "stage"), widths, strict=True)
        arrays = [np.fromfile(f"{path}.{name}", "<f8").reshape(-1, width) for name, width in parts]
        found.append(Read(json.loads(Path(f"{path}.json").read_text()), *arrays))
    return found


def as_game(found: Read, ports: tuple[int, int]) -> Game:
    """The characters that slippi-js has read, as a game without items whose stage stands still."""
    game = Game.empty(len(found.frames))
    rows = named(game)
    rows["frame"], rows["stage"] = found.frames[:, 0], found.told["settings"]["stageId"]
    by_port = found.frames[:, 1:].reshape(len(game), 4, 2, -1)
    for seat, port in enumerate(ports):
        for follower, group in enumerate(("players", "nana")):
            there, columns = by_port[:, port - 1, follower, 0] == 1, by_port[:, port - 1, follower, 1:]
            for at, name in enumerate(CHARACTER):
                read_there = columns[there, at]
                rows[group][name][there, seat] = 1 - read_there if name == "on_ground" else read_there
            rows[group]["exists"][:, seat] = there
    return game


def without_surroundings(game: Game) -> Game:
    bare = Game(np.array(game.rows))
    rows = named(bare)
    rows["platforms"], rows["whispy"], rows["stadium"], rows["items"] = 0, 0, 0, np.zeros((), ITEM)
    return bare


def items_of(game: Game, ports: tuple[int, int]) -> np.ndarray:
    """Frame and columns of every item, in the order of the rows and slots."""
    row, slot = np.nonzero(game.items.exists)
    columns = {name: getattr(game.items, name)[row, slot] for name in ITEMS}
    owner = columns["owner"]
    columns["owner"] = np.select([owner > 0, owner < 0], [ports[0] - 1, ports[1] - 1], -1)
    return np.stack([game.frame[row], *columns.values()], 1).astype(np.float64)


def held(found: Read, column: str, first: float, side: int | None = None) -> np.ndarray:
    """The value on each frame of what events of the stage change."""
    names = TABLE["stage"]
    values, number = np.full(len(found.frames), first), found.frames[:, 0]
    for event in found.stage:
        value = event[names.index(column)]
        if not np.isnan(value) and side in (None, event[names.index("platform")]):
            values[number >= event[0]] = value
    return values


@pytest.fixture(scope="module")
def games() -> list[tuple[Game, tuple[int, int], bool]]:
    """Games of random values, their ports and whether they were cut off: every stage three times and more."""
    return [(made(seed, 80, list(Stage)[seed % 6]), PORTS[seed % len(PORTS)], seed % 5 == 0) for seed in range(20)]


@pytest.fixture(scope="module")
def readings(
    games: list[tuple[Game, tuple[int, int], bool]], installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Read]:
    """What slippi-js makes of them."""
    folder, paths = tmp_path_factory.mktemp("made"), []
    for number, (game, ports, cut) in enumerate(games):
        paths.append(folder / f"{number}.slp")
        data = saving.to_bytes(game, ports, ("chaser", f"bot {number}"), is_truncated=cut, seed=number)
        saving.save(paths[-1], data)
    return read(installed, paths)


class TestMadeGames:
    def test_every_column_of_the_characters_is_equal(self, games, readings):
        for (game, ports, _), found in zip(games, readings, strict=True):
            assert (as_game(found, ports).rows == without_surroundings(game).rows).all()

    def test_items_are_equal_and_keep_their_number_for_life(self, games, readings):
        for (game, ports, _), found in zip(games, readings, strict=True):
            assert (found.items[:, :-1] == items_of(game, ports)).all()
            slots = np.nonzero(game.items.exists)[1]
            for number in np.unique(found.items[:, -1]):
                one = found.items[:, -1] == number
                assert len(np.unique(slots[one])) == 1
                assert (np.diff(found.items[one, 0]) == 1).all()

    def test_the_stage_moves_alike(self, games, readings):
        for (game, _, _), found in zip(games, readings, strict=True):
            assert (held(found, "direction", 0) == game.whispy).all()
            assert (held(found, "transformation", 0) == game.stadium).all()
            if game.stage[0] == Stage.FOUNTAIN_OF_DREAMS:
                for at, side in enumerate((1, 0)):
                    assert (held(found, "height", START_HEIGHTS[at], side) == game.platforms[:, at]).all()

    def test_settings_and_metadata_are_equal(self, games, readings):
        for number, ((game, ports, _), found) in enumerate(zip(games, readings, strict=True)):
            told, metadata = found.told["settings"], found.told["metadata"]
            assert told["slpVersion"] == "3.18.0"
            assert (told["stageId"], told["startingTimerSeconds"], told["randomSeed"]) == (game.stage[0], 480, number)
            players = told["players"]
            assert tuple(player["port"] for player in players) == ports
            assert [character_from_external(player["characterId"]) for player in players] == [
                *game.players.character[0]
            ]
            assert [player["startStocks"] for player in players] == [*game.players.stocks[0]]
            assert [player["displayName"] for player in players] == ["chaser", f"bot {number}"]
            assert [player["type"] for player in players] == [0, 0]
            assert (metadata["lastFrame"], metadata["playedOn"]) == (game.frame[-1], "exphil")

    def test_the_end_and_the_winner_are_equal(self, games, readings):
        for (game, ports, cut), found in zip(games, readings, strict=True):
            end = slp.parse(saving.to_bytes(game, ports, is_truncated=cut), Path("x")).end
            told = found.told["end"]
            assert end is not None
            assert (told["gameEndMethod"], told["lrasInitiatorIndex"]) == (end.method, -1)
            assert tuple(place["position"] for place in told["placements"]) == end.placements
            stocks, percent = game.players.stocks[-1], game.players.percent[-1]
            better = 0 if (stocks[0], -percent[0]) > (stocks[1], -percent[1]) else 1
            winners = [winner["playerIndex"] for winner in found.told["winners"]]
            if end.method != 7:  # of a game without contest slippi-js names the one who did not quit; nobody did
                assert winners == ([ports[better] - 1] if stocks.any() else [])


def carried(stats: dict[str, Any]) -> dict[str, Any]:
    """Statistics without what rests on columns that a Game does not hold.

    These are L-cancels, the numbers of the moves that landed, and how far a trigger was pulled before the game read it.
    """
    for actions in stats["actionCounts"]:
        del actions["lCancelCount"]
    for player in stats["overall"]:
        del player["inputsPerMinute"], player["inputCounts"]["triggers"], player["inputCounts"]["total"]
    for landed in (*stats["conversions"], *stats["combos"]):
        for move in landed["moves"]:
            del move["moveId"], move["hitCount"]
    return stats


class TestRealGames:
    NAMES = (
        "edge_ice_climbers_full_netplay.slp",
        "edge_v3_18_fod_events.slp",
        "fox_vs_falco_fountain_of_dreams_015.slp",
        "marth_vs_falco_pokemon_stadium_024.slp",
    )

    def test_a_real_game_that_is_saved_again_has_the_same_statistics(self, installed, replays, tmp_path):
        paths = []
        for name in self.NAMES:
            replay = slp.read(replays / name, "last")  # as slippi-js reads it
            paths += [tmp_path / f"real_{name}", tmp_path / f"saved_{name}"]
            paths[-2].write_bytes(replay.data)
            saving.save(paths[-1], saving.to_bytes(replay.game, (replay.ports[0], replay.ports[1])))
        found = read(installed, paths)
        for name, real, saved in zip(self.NAMES, found[::2], found[1::2], strict=True):
            assert (saved.frames[:, 0] == real.frames[:, 0]).all()
            told, ours = carried(real.told["stats"]), carried(saved.told["stats"])
            assert ours == told, name
            assert sum(player["killCount"] for player in told["overall"]) > 0 or "fod_events" in name
