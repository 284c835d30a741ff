"""The same game is known again in the same bytes and in other bytes, and no other game is taken for it."""

from __future__ import annotations

import struct
from collections import defaultdict
from pathlib import Path

import numpy as np
import peppi_py
import pytest
from peppi_py.parse import RollbackMode

from exphil.errors import ReplayError
from exphil.game.frames import ROW, ROW_BYTES, Game
from exphil.game.ids import Button
from exphil.game.time import FIRST_FRAME, GO_FRAME
from exphil.replays import slp
from exphil.replays.container import Seat, Start
from exphil.replays.duplicates import NETPLAY_SEEDS, PRESSES, STRETCH, Seen, identity, presses
from exphil.replays.slp import Replay

ONLINE = "fox_vs_falco_fountain_of_dreams_015.slp"
CONSOLE = "fox_vs_fox_battlefield_016.slp"
_SEED, _PLAYERS, _PLAYER_BYTES, _COSTUME = 0x13D, 0x65, 0x24, 3  # of the start event (Slippi specification)


def start_event(data: bytes) -> int:
    return 16 + data[16]


def random_seed(data: bytes) -> int:
    (seed,) = struct.unpack_from(">I", data, start_event(data) + _SEED)
    return int(seed)


def known(data: bytes) -> tuple[str, str]:
    """The digest and the identity of a file."""
    replay = slp.parse(data, Path("bytes.slp"))
    return replay.digest, identity(replay.start, replay.game, random_seed(data))


def last_versions(replay: Replay) -> Game:
    """The game with the inputs that were true in the end, instead of those that the recording client saw at first."""
    rows = replay.game.rows.copy()
    players = rows.view(ROW)[:, 0]["players"]
    frames = peppi_py.read_slippi(str(replay.path), rollback_mode=RollbackMode.LAST).frames
    for seat, port in enumerate(frames.ports):
        pre = port.leader.pre
        for name, column in (
            ("buttons", pre.buttons_physical),
            ("main_x", pre.joystick.x),
            ("main_y", pre.joystick.y),
            ("c_x", pre.cstick.x),
            ("c_y", pre.cstick.y),
        ):
            players[name][:, seat] = column.to_numpy(zero_copy_only=False).astype(players[name].dtype)
    return Game(rows)


@pytest.fixture(scope="module")
def rolled_back(replays, manifest) -> list[Path]:
    """Full netplay games with rollbacks."""
    return [
        replays / name
        for name, entry in manifest.items()
        if "rollback_rows" in entry["tags"] and entry["is_1v1"] and entry["frames"] > 3000 and entry["codes_or_tags"][0]
    ]


class TestOtherBytes:
    @pytest.mark.parametrize("name", [ONLINE, CONSOLE])
    def test_another_costume_no_names_no_metadata(self, replays, name):
        data = bytearray((replays / name).read_bytes())
        digest, found = known(bytes(data))
        at = start_event(bytes(data))
        for port in range(4):
            data[at + _PLAYERS + _PLAYER_BYTES * port + _COSTUME] ^= 1
        for words in range(at + 0x161, at + 0x1A1):  # tags
            data[words] = 0
        raw_end = 15 + struct.unpack(">i", data[11:15])[0]
        other_digest, other = known(bytes(data[:raw_end]))
        assert other_digest != digest
        assert other == found

    @pytest.mark.parametrize("name", [ONLINE, CONSOLE])
    @pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
    def test_a_recording_that_broke_off(self, replays, name, share):
        data = (replays / name).read_bytes()
        assert known(data[: int(len(data) * share)])[1] == known(data)[1]

    def test_both_clients_of_a_netplay_game(self, rolled_back):
        """A client's first versions against the truth; the other client's differ from it in the same way."""
        assert len(rolled_back) >= 17
        different = 0
        for path in rolled_back:
            replay, seed = slp.read(path), random_seed(path.read_bytes())
            truth = last_versions(replay)
            assert seed < NETPLAY_SEEDS, path.name
            different += not np.array_equal(truth.players.main_x, replay.game.players.main_x)
            assert identity(replay.start, truth, seed) == identity(replay.start, replay.game, seed), path.name
        assert different >= 12  # else nothing was tested

    @pytest.mark.parametrize("late", range(8))
    def test_inputs_that_arrive_late(self, replays, late):
        """The other hand by up to seven frames, the deepest rollback there is."""
        data = (replays / ONLINE).read_bytes()
        replay = slp.parse(data, replays / ONLINE)
        rows = replay.game.rows.copy()
        players = rows.view(ROW)[:, 0]["players"]
        for name in ("buttons", "main_x", "main_y", "c_x", "c_y", "shoulder"):
            players[name][late:, 1] = players[name][: len(players) - late, 1].copy()
        assert identity(replay.start, Game(rows), random_seed(data)) == known(data)[1]


class TestOtherGames:
    def test_shared_files_have_one_identity_exactly_when_they_are_one_game(self, replays, manifest):
        found: dict[str, set[int]] = defaultdict(set)
        groups: dict[int, set[str]] = defaultdict(set)
        for name, entry in manifest.items():
            if "fuzz_input" in entry["tags"] or not name.endswith(".slp"):
                continue
            data = (replays / name).read_bytes()
            try:
                replay = slp.parse(data, replays / name)
                game = replay.game
            except ReplayError:
                continue
            made = identity(replay.start, game, random_seed(data))
            found[made].add(entry["game_group"])
            groups[entry["game_group"]].add(made)
        assert len(found) >= 59
        assert all(len(games) == 1 for games in found.values())
        assert all(len(names) == 1 for names in groups.values())

    def test_the_start_block_decides_too(self, replays):
        game = slp.read(replays / ONLINE).game
        variants = [
            (start(), 7),
            (start(), 8),
            (start(), None),
            (start(stage=32), 7),
            (start(ports=(1, 4)), 7),
            (start(characters=(22, 1)), 7),
            (start(characters=(1, 1)), 7),
        ]
        assert len({identity(changed, game, seed) for changed, seed in variants}) == len(variants)
        assert identity(start(tag="X", match_id="other"), game, 7) == identity(start(), game, 7)


def start(
    stage: int = 31,
    ports: tuple[int, int] = (1, 2),
    characters: tuple[int, int] = (1, 22),
    tag: str = "",
    match_id: str = "",
) -> Start:
    seats = [
        Seat(port=port, character=character, human=True, stocks=4, tag=tag, code=tag, name=tag)
        for port, character in zip(ports, characters, strict=True)
    ]
    return Start(version=(3, 18, 0), stage=stage, teams=False, seats=tuple(seats), match_id=match_id)


START = start()


def still(frames: int = 1000) -> tuple[Game, np.ndarray]:
    """A game in which nobody touches anything, and its players to change."""
    rows = np.zeros((frames, ROW_BYTES), np.uint8)
    named = rows.view(ROW)[:, 0]
    named["frame"] = np.arange(FIRST_FRAME, FIRST_FRAME + frames)
    return Game(rows), named["players"]


class TestWhatIsCompared:
    def test_presses_come_in_order_and_holding_is_none(self):
        game, players = still()
        players["buttons"][100:150, 0] = Button.A
        players["buttons"][120:130, 0] |= Button.L | Button.B
        players["buttons"][200:, 0] = Button.A
        players["buttons"][300:, 0] |= Button.START | Button.D_LEFT  # a policy has neither
        assert presses(game, 0, 8) == bytes([0, 1, 5, 0])
        assert presses(game, 0, 2) == bytes([0, 1])
        assert presses(game, 1) == b""

    def test_netplay_games_of_one_seed_differ_by_what_is_pressed(self):
        game, players = still()
        before = identity(START, game, 1234)
        players["buttons"][500, 1] = Button.X
        assert identity(START, game, 1234) != before

    def test_netplay_looks_at_no_stick_and_no_later_press(self):
        game, players = still()
        players["buttons"][100 : 100 + 2 * PRESSES : 2] = Button.A
        before = identity(START, game, 1234)
        players["main_x"][50:90], players["buttons"][900] = 1, Button.B
        assert identity(START, game, 1234) == before

    @pytest.mark.parametrize("seed", [NETPLAY_SEEDS, 2**32 - 1, None])
    def test_elsewhere_every_stick_of_the_stretch_counts(self, seed):
        game, players = still()
        players["main_x"][GO_FRAME - FIRST_FRAME + 5, 0] = 1
        before = identity(START, game, seed)
        last = GO_FRAME - FIRST_FRAME + STRETCH - 1
        players["c_y"][last + 1, 1] = 1 / 80
        assert identity(START, game, seed) == before
        players["c_y"][last, 1] = 1 / 80
        assert identity(START, game, seed) != before
        players["c_y"][last, 1] = -0.0
        assert identity(START, game, seed) == before

    def test_where_the_stretch_is_still_the_whole_game_counts(self):
        game, players = still()
        before = identity(START, game, None)
        players["main_y"][999, 1] = -1
        assert identity(START, game, None) != before

    def test_any_bytes_have_an_identity(self):
        random = np.random.default_rng(5)
        for frames in (0, 1, 2, 400):
            game = Game(random.integers(0, 256, (frames, ROW_BYTES), np.uint8))
            for seed in (None, 0, 2**31):
                assert len(identity(START, game, seed)) == 16


class TestSeen:
    def test_the_earlier_one_is_named(self):
        seen = Seen()
        assert seen.first_of("d1", "i1") is None
        seen.add("a.slp", "d1", "i1")
        assert seen.first_of("d1", "i1") == seen.first_of("d1") == seen.first_of("d2", "i1") == "a.slp"
        assert seen.first_of("d2", "i2") is None

    def test_a_chain_leads_to_its_first(self):
        seen = Seen()
        seen.add("a.slp", "d1", "i1")
        seen.add("b.slp", "d2", "i1")
        assert seen.first_of("d2") == "b.slp"
        assert seen.first_of("d2", "i1") == "a.slp"

    def test_files_without_identity_are_known_by_their_bytes_alone(self):
        seen = Seen()
        seen.add("broken.slp", "d1")
        seen.add("empty.slp", "d2", "")
        assert seen.first_of("d3", "") is None
        assert seen.first_of("d3") is None
        assert seen.first_of("d1", "i9") == "broken.slp"

    def test_a_digest_is_no_identity(self):
        seen = Seen()
        seen.add("a.slp", "same", "other")
        assert seen.first_of("other", "same") is None

    def test_shared_files(self, replays):
        """Two files of the split are byte for byte edge files; nothing else among these is there twice."""
        seen, same = Seen(), []
        names = ["edge_duplicate_game_end.slp", "edge_ice_climbers_full_netplay.slp", ONLINE, CONSOLE]
        for path in [*(replays / name for name in names), *sorted(replays.glob("peer_split/*/*.slp"))]:
            digest, made = known(path.read_bytes())
            first = seen.first_of(digest, made)
            if first:
                same.append((path.name, first))
            seen.add(path.name, digest, made)
        assert same == [("peer_05.slp", names[0]), ("peer_10.slp", names[1])]
