"""A policy in UMI's arena: rows of controllers, games that do not disturb each other, and arenas that misbehave."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.layers import resolve
from exphil.errors import ExphilError, OptionError
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.game.controller import Controller
from exphil.game.ids import Button, Character
from exphil.models.policy import TorchPlayer
from exphil.play import umi as ours
from exphil.play.learned import Learned
from exphil.play.umi import Desk, Session, delay_of, names, rows_of, serve

umi = pytest.importorskip("umi")
arena = pytest.importorskip("umi.conform.arena")
protocol = pytest.importorskip("umi.protocol")
CODEC, DELAY = Codec.uniform(), 2
WELCOME = {
    "t": "welcome", "delay": DELAY, "max_games": 4, "lanes": 2, "buckets": [1, 2], "info_every": 6, "warmups": 1,
    "timeouts": {"ready_s": 300, "act_s": 10}, "rng_seed": 3,
}  # fmt: skip


def made_policy() -> tuple[TorchPlayer, Learned]:
    """Weights at random, drawn boldly enough that actions differ from frame to frame."""
    torch.manual_seed(1)
    flags = {"--temporal": True, "--backbone": "gru", "--hidden": "16", "--frame-delay": str(DELAY), "--umi-safe": True}
    made = assemble.policy(resolve("train", flags, {}), CODEC).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return TorchPlayer(made, torch.device("cpu")), Learned(made.table, CODEC, (DELAY, DELAY), Registry(0))


def shown_streams() -> np.ndarray:
    """``(6, 720)`` frames, each from one seat."""
    return np.ascontiguousarray(arena.load_fixtures()["frames"][:, :, 0])


@pytest.fixture(scope="module")
def policy() -> tuple[TorchPlayer, Learned]:
    return made_policy()


@pytest.fixture(scope="module")
def streams() -> np.ndarray:
    return shown_streams()


def played(policy, streams: np.ndarray, groups: Callable[[int], list[list[int]]], frames: int = 25) -> np.ndarray:
    """Six games of one arena, shown in the batches that ``groups`` gives for each time: ``(6, frames, 13)``."""
    desk = Desk(*policy, Session(DELAY, 7, 11))
    found = np.zeros((6, frames, 13), np.float32)
    for time in range(frames):
        for group in groups(time):
            rows = np.array(group)
            padded = np.append(rows, [6] * (8 - len(rows)))
            shown = np.zeros(8, streams.dtype)
            shown[: len(rows)] = streams[rows, 300 + time]
            first = np.append(np.full(len(rows), time == 0), np.zeros(8 - len(rows), np.bool_))
            found[rows, time] = desk.answer(shown, padded, first)[: len(rows)]
    return found


def test_controllers_are_rows_on_umis_grid():
    sticks = np.array([[0, 1, -1, 0.5], [0, -0.2875, 1, 0.013]], np.float32)
    pressed = np.array([0, int(Button.A | Button.L | Button.D_UP | Button.START)], np.int16)
    held = Controller(*sticks.T, np.array([0, 0.35], np.float32), pressed)
    found = rows_of(held)
    assert found.dtype == np.float32
    assert found[0].tolist() == [0.5, 1.0, 0.0, 0.75, 0.0, *[0] * 8]
    steps = found[1, :4].astype(np.float64) * 160
    assert np.abs(steps - [80, 57, 160, 81]).max() < 1e-5
    assert np.array_equal(found[1, :4], (np.rint(steps) / 160).astype(np.float32))
    assert found[1, 4] == np.float32(0.35) and found[1, 5:].tolist() == [1, 0, 0, 0, 0, 1, 0, 1]
    assert umi.BUTTONS[0] == "A" and umi.BUTTONS[5] == "L" and umi.BUTTONS[7] == "D_UP"


def test_every_step_of_a_controller_comes_back_from_a_frame():
    """What is pressed is what the next frame shows: one grid in both directions."""
    from exphil.envs import umi_frames

    steps = (np.arange(-80, 81) / 80).astype(np.float32)
    zero = np.zeros(161, np.float32)
    rows = rows_of(Controller(steps, zero, zero, zero, zero, np.zeros(161, np.int16)))
    frames = np.zeros(161, umi.FRAME)
    frames["players"]["controller"]["main_x"][:, 0] = rows[:, 0]
    shown = umi_frames.game(frames).players.main_x[:, 0]
    assert np.array_equal(shown, np.where(abs(steps) < 0.28, 0, steps))


def test_the_characters_have_umis_names():
    assert {int(number): name for number, name in ours.CHARACTERS.items()} == {
        number: name for name, number in umi.CHARACTERS.items()
    }
    assert names(["Captain Falcon", "ics", "fox"]) == ("CPTFALCON", "FOX", "POPO") and names([]) == "ALL"
    umi.canonical_characters(names([character.name for character in ours.CHARACTERS]))
    assert len(ours.CHARACTERS) == 26 and Character.NANA not in ours.CHARACTERS
    with pytest.raises(OptionError, match="is no character"):
        names(["sonic"])


@pytest.mark.parametrize(
    ("learned", "wanted", "delay"),
    [
        *[((18, 18), None, 18), ((0, 30), None, 18), ((20, 25), None, 21), ((0, 3), None, 3)],
        *[((25, 60), None, 30), ((0, 30), 5, 5)],
    ],
)
def test_an_entry_plays_at_a_leaderboards_delay_if_it_can(policy, learned, wanted, delay):
    assert delay_of(Learned(policy[1].table, CODEC, learned, Registry(0)), wanted) == delay


@pytest.mark.parametrize(("learned", "wanted"), [((0, 60), 40), ((40, 50), None), ((0, 3), 18)])
def test_a_delay_that_cannot_be_is_refused(policy, learned, wanted):
    with pytest.raises(OptionError, match="late"):
        delay_of(Learned(policy[1].table, CODEC, learned, Registry(0)), wanted)


def test_other_games_in_the_batch_change_nothing(policy, streams):
    together = played(policy, streams, lambda time: [[0, 1, 2, 3, 4, 5]])
    lanes = played(policy, streams, lambda time: [[5, 1, 3], [4, 0, 2]])
    churn = played(policy, streams, lambda time: [[game] for game in range(6)] if time % 3 else [[2, 0, 1], [5, 4, 3]])
    assert np.array_equal(together, lanes) and np.array_equal(together, churn)
    assert len(np.unique(together.reshape(-1, 13), axis=0)) > 20


ALONE = """
import sys, torch
sys.path.insert(0, {folder!r})
torch.set_num_threads(1)
from test_umi import made_policy, played, shown_streams
rows = played(made_policy(), shown_streams(), lambda time: [[0, 1, 2, 3, 4, 5]])
sys.stdout.buffer.write(rows.tobytes())
"""


@pytest.mark.slow
def test_another_process_decides_the_same(policy, streams):
    code = ALONE.format(folder=str(Path(__file__).parent))
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    wanted = played(policy, streams, lambda time: [[0, 1, 2, 3, 4, 5]])
    assert np.array_equal(np.frombuffer(said, np.float32).reshape(wanted.shape), wanted)


# ---- arenas


def sent(line: socket.socket, message: object) -> None:
    line.sendall(message if isinstance(message, bytes) else protocol.encode(message))


def obs(streams, shown: list[int], time: int, kind: str = "obs", **other) -> dict:
    frames = streams[np.array(shown) % 6, time]
    return protocol.obs(1, 0, np.array(shown), np.full(len(shown), time == 0), frames, t=kind) | other


def new_games(*games: int) -> dict:
    told = {"port": 1, "character": "FOX", "opp_character": "NOBODY", "stage": "BATTLEFIELD"}
    return {"t": "new_games", "games": [{"game": game, **told} for game in games]}


def met(
    folder: Path, policy, acts: Callable[[socket.socket], None], silence_s: float = 5.0, desk: type[Desk] = Desk
) -> ours.Played:
    """One session with an arena that does what ``acts`` says."""
    place, errors = folder / "arena.sock", []
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(place))
    door.listen(1)

    def work() -> None:
        line, _ = door.accept()
        with line:
            line.settimeout(20)
            try:
                acts(line)
            except Exception as error:
                errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return serve(lambda session: desk(*policy, session), place, name="x", delay=DELAY, silence_s=silence_s)
    finally:
        thread.join(20)
        door.close()
        assert not errors, errors


def begin(line: socket.socket, streams, **changed) -> dict:
    """Up to the bot's ``ready``."""
    hello = protocol.recv(line)
    sent(line, WELCOME | changed)
    sent(line, obs(streams, [90, 91], 0, "warmup"))
    protocol.recv(line)
    assert protocol.recv(line) == {"t": "ready"}
    return hello


def test_a_session_is_played_to_its_end(tmp_path, policy, streams):
    hellos, rows = [], []

    def acts(line):
        hellos.append(begin(line, streams))
        sent(line, new_games(7, 8, 9))
        for time in range(30):
            sent(line, obs(streams, [7, 8], time))
            sent(line, obs(streams, [9], time, lane=1))
            rows.append([protocol.act_arrays(protocol.recv(line), n)["ctrl"] for n in (2, 1)])
        over = {"reason": "stocks", "frame": 30, "stocks": [1, 0], "percent": [3, 0]}
        sent(line, {"t": "end_games", "games": [{"game": 7, "result": "win", **over}]})
        sent(line, {"t": "shutdown", "reason": "done"})

    found = met(tmp_path, policy, acts)
    assert found.decisions == 90 and 0 < found.confidence < 1 and found.games == {"win": 1}
    assert hellos[0]["name"] == "x" and hellos[0]["characters"] == "ALL" and hellos[0]["delay"] == DELAY
    flat = np.concatenate([row for pair in rows for row in pair])
    assert (flat >= 0).all() and (flat <= 1).all() and np.isfinite(flat).all()
    assert np.array_equal((np.rint(flat[:, :4] * 160) / 160).astype(np.float32), flat[:, :4])


LENGTH = struct.Struct("<I")
BROKEN = {
    "no msgpack": (LENGTH.pack(3) + b"\xc1\xc1\xc1", "does not keep to UMI's protocol"),
    "a huge length": (b"\xff" * 4, "does not keep to UMI's protocol"),
    "no t": ({"x": 1}, "does not keep to UMI's protocol"),
    "no map": (LENGTH.pack(1) + b"\x01", "does not keep to UMI's protocol"),
    "an unknown word": ({"t": "dance"}, "unexpected message 'dance'"),
    "a field missing": ({"t": "obs", "seq": 1}, "KeyError"),
    "games without fields": ({"t": "new_games", "games": [{}]}, "KeyError"),
    "games that are none": ({"t": "new_games", "games": 3}, "does not keep"),
    "half frames": (lambda s: obs(s, [7], 0, frames=b"\0" * 769), "does not keep"),
    "too few frames": (lambda s: obs(s, [7], 0, games=b"\0" * 8), "obs with 2 games"),
    "a game that did not begin": (lambda s: obs(s, [4000], 0), "unknown game 4000"),
    "a lane beyond": (lambda s: obs(s, [7], 0, lane=9), "IndexError"),
    "a game twice": (new_games(7), "started twice"),
    "too many games": (new_games(20, 21, 22, 23, 24), "more concurrent games"),
    "an end of nothing": ({"t": "end_games", "games": [{"game": 99}]}, "KeyError"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_arena_that_talks_rubbish_is_an_error_in_words(tmp_path, policy, streams, case):
    message, says = BROKEN[case]

    def acts(line):
        begin(line, streams)
        sent(line, new_games(7))
        sent(line, message(streams) if callable(message) else message)
        assert protocol.recv(line)["t"] == "error"  # the arena hears of it as well

    with pytest.raises(ExphilError, match=says) as caught:
        met(tmp_path, policy, acts)
    assert str(tmp_path) in caught.value.where and caught.value.fix


@pytest.mark.parametrize(
    "changed",
    [{"max_games": -3}, {"max_games": "4"}, {"max_games": 1 << 40}, {"lanes": 0}, {"delay": None}, {"rng_seed": "x"}],
)
def test_a_welcome_that_cannot_be_meant_is_refused(tmp_path, policy, streams, changed):
    def acts(line):
        protocol.recv(line)
        sent(line, WELCOME | changed)
        assert protocol.recv(line)["t"] == "error"

    with pytest.raises(ExphilError, match="does not keep to UMI's protocol"):
        met(tmp_path, policy, acts)


def test_a_delay_that_the_policy_did_not_learn_is_refused(tmp_path, policy, streams):
    def acts(line):
        protocol.recv(line)
        sent(line, WELCOME | {"delay": 21})
        assert "21" in protocol.recv(line)["msg"]

    with pytest.raises(OptionError, match="learned to answer 2 frames late; 21"):
        met(tmp_path, policy, acts)


def test_an_arena_that_hangs_up_falls_silent_or_turns_us_away_is_an_error_in_words(tmp_path, policy, streams):
    def hangs_up(line):
        begin(line, streams)
        sent(line, new_games(7))
        sent(line, LENGTH.pack(1000) + b"half")

    def falls_silent(line):
        hangs_up(line)
        assert protocol.recv(line)["code"] == "TimeoutError"

    def turns_away(line):
        protocol.recv(line)
        sent(line, {"t": "shutdown", "reason": "no"})

    for number, (acts, says) in enumerate(
        [(hangs_up, "hung up"), (falls_silent, r"said nothing for 0\.2 seconds"), (turns_away, "turned the bot away")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(ExphilError, match=says):
            met(folder, policy, acts, silence_s=0.2 if acts is falls_silent else 5)


def test_no_arena_is_an_error_in_words(tmp_path, policy):
    def make(session: Session) -> Desk:
        return Desk(*policy, session)

    (tmp_path / "file").write_text("")
    for where in (tmp_path / "nothing", tmp_path / "file", tmp_path / ("long" * 60)):
        with pytest.raises(ExphilError, match="no arena listens there"):
            serve(make, where, name="x")


def test_a_defect_of_ours_is_not_blamed_on_the_arena(tmp_path, policy, streams):
    def acts(line):
        begin(line, streams)
        sent(line, new_games(7))
        sent(line, obs(streams, [7], 0))
        assert protocol.recv(line)["code"] == "ZeroDivisionError"

    class Broken(Desk):
        def answer(self, frames, rows, is_first):
            return super().answer(frames, rows, is_first) if len(frames) > 1 else 1 // 0

    with pytest.raises(ZeroDivisionError):
        met(tmp_path, policy, acts, desk=Broken)
