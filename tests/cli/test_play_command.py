"""``exphil play``: every option is seen by the arena, and what contradicts the policy is said before it connects."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exphil import assemble
from exphil.cli.main import main
from exphil.config.layers import jsonable, resolve
from exphil.config.temperatures import COMPONENTS, temperatures
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.train import checkpoint

umi = pytest.importorskip("umi")
arena = pytest.importorskip("umi.conform.arena")
protocol = pytest.importorskip("umi.protocol")
FRAMES = 30


class Heard(NamedTuple):
    """What the arena was told: the first message, and a row of controllers a frame."""

    hello: dict[str, Any]
    rows: NDArray[np.float32]


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with a policy of two styles that answers 2 to 20 frames late, and its graph."""
    folder = tmp_path_factory.mktemp("desk")
    flags = {"--backbone": "mamba", "--hidden": "16", "--learn-player-styles": True, "--num-player-names": "4"}
    late = {"--frame-delay-augment": True, "--frame-delay-min": "2", "--frame-delay-max": "20"}
    settings = resolve("train", {**flags, **late}, {})
    codec = assemble.codec(settings)
    torch.manual_seed(1)
    policy = assemble.policy(settings, codec)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    words = {"config": jsonable(settings.flat()), "fingerprint": policy.table.fingerprint, "actions": codec.as_dict()}
    players = Registry.build(["A#1", "A#1", "B#2"], 4).as_dict()
    training = {"name": "small"}
    file = checkpoint.PolicyFile(policy.state_dict(), baselines={}, training=training, players=players, **words)
    checkpoint.save_policy(folder / "small_policy.safetensors", file)
    assemble.exported(folder / "small_policy.safetensors", folder / "small.onnx")
    return folder


@pytest.fixture
def play(desk, tmp_path, monkeypatch, capsys):
    """One session of one game in a small arena of our own; gives exit code, what was printed and what was heard."""
    monkeypatch.chdir(desk)
    frames = np.ascontiguousarray(arena.load_fixtures()["frames"][0, 300 : 300 + FRAMES, 0])

    def run(policy: str, *words: str) -> tuple[int, Any, Heard | None]:
        found: list[Heard] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(str(tmp_path / f"{len(list(tmp_path.iterdir()))}.sock"))
            server.listen(1)
            server.settimeout(20)
            worker = threading.Thread(target=lambda: found.extend(session(server, frames)), daemon=True)
            worker.start()
            code = main(["play", policy, "--socket", server.getsockname(), *words])
            worker.join(20)
        return code, capsys.readouterr(), found[0] if found else None

    return run


def session(server: socket.socket, frames: np.ndarray) -> list[Heard]:
    """Speak UMI for one game."""
    with server.accept()[0] as line:
        line.settimeout(20)
        hello = protocol.recv(line)
        welcome = {
            "t": "welcome", "delay": hello["delay"], "max_games": 1, "lanes": 1, "buckets": [1], "info_every": 6,
            "warmups": 0, "timeouts": {"ready_s": 300, "act_s": 10}, "rng_seed": 3,
        }  # fmt: skip
        protocol.send(line, welcome)
        assert protocol.recv(line)["t"] == "ready"
        game = {"game": 7, "port": 1, "character": "FOX", "opp_character": "FOX", "stage": "BATTLEFIELD"}
        protocol.send(line, {"t": "new_games", "games": [game]})
        rows = []
        for at, frame in enumerate(frames):
            games, first = np.array([7], np.uint32), np.array([at == 0])
            protocol.send(line, protocol.obs(at, 0, games, first, frame[None]))
            rows.append(protocol.act_arrays(protocol.recv(line), 1)["ctrl"][0])
        ended = {"game": 7, "result": "win", "reason": "stocks", "frame": 9, "stocks": [4, 0], "percent": [0, 0]}
        protocol.send(line, {"t": "end_games", "games": [ended]})
        protocol.send(line, {"t": "shutdown", "reason": "done"})
    return [Heard(hello, np.array(rows))]


def rows(play, *words: str) -> NDArray[np.float32]:
    code, said, heard = play("small_policy.safetensors", *words)
    assert code == 0 and heard is not None, said.err
    return heard.rows


def test_it_plays_until_it_is_sent_home_and_says_so(play):
    words = ["--characters", "fox,captain falcon", "--name", "mine", "--delay", "18", "--seed", "5", "--json"]
    code, said, heard = play("small_policy.safetensors", *words)
    assert code == 0 and "mine: mamba, answers 18 frames later than the next, seed 5" in said.err
    assert "sent home after 30 decisions, sure of them to" in said.err and "games that ended: 1 win" in said.err
    answer = json.loads(said.out)
    assert 0.1 < answer.pop("confidence") < 1
    assert answer == {"decisions": 30, "games": {"win": 1}, "seed": 5, "delay": 18}
    assert (heard.hello["name"], heard.hello["characters"], heard.hello["delay"]) == ("mine", "CPTFALCON+FOX", 18)
    assert len(np.unique(heard.rows, axis=0)) > 10


def test_a_seed_repeats_a_game_and_without_one_another_is_drawn_and_said(play):
    one, two, other = (rows(play, "--seed", seed) for seed in ("5", "5", "6"))
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    seeds = [play("small_policy.safetensors")[1].err.partition("seed ")[2].partition(";")[0] for _ in range(2)]
    assert seeds[0] != seeds[1]


def test_every_option_of_the_manner_changes_what_is_pressed(play):
    plain, likely = rows(play, "--seed", "5"), rows(play, "--seed", "5", "--deterministic")
    assert np.array_equal(likely, rows(play, "--seed", "6", "--deterministic"))
    assert np.array_equal(likely, rows(play, "--seed", "5", "--temperature", "0"))
    cold, style = rows(play, "--seed", "5", "--temperature", "buttons=0.1"), rows(play, "--seed", "5", "--style", "b#2")
    assert rows(play, "--seed", "5", "--press-threshold", "0.01")[:, 5:].mean() > plain[:, 5:].mean()
    kept = rows(play, "--seed", "5", "--action-repeat", "5").reshape(-1, 5, 13)
    assert (kept == kept[:, :1]).all()
    found = [plain, likely, cold, style, kept.reshape(-1, 13)]
    assert len({part.tobytes() for part in found}) == len(found)


def test_the_fast_player_and_the_exported_graph_do_what_the_reference_does(play):
    wanted = rows(play, "--seed", "5")
    for words in (["small_policy.safetensors", "--player", "fast"], ["small.onnx"], ["small.onnx", "--threads", "2"]):
        code, said, heard = play(*words, "--seed", "5")
        assert code == 0 and np.array_equal(heard.rows, wanted), said.err


def test_the_old_word_of_the_fast_player_means_it(play):
    settings = resolve("play", {"--backbone": "mamba_nif"}, {})
    assert settings.player.player == ("fast",) and settings.backbone.backbone == "mamba"
    assert resolve("play", {"--backbone": "mamba_nif", "--player": "reference"}, {}).player.player == ("reference",)
    assert resolve("play", {"--backbone": "mamba"}, {}).player.player == ("reference",)
    assert rows(play, "--seed", "5", "--backbone", "mamba_nif").any()


def test_the_thresholds_reach_the_agent_and_one_alone_is_both():
    for more, wanted in (({"--release-threshold": "0.3"}, (0.45, 0.3)), ({}, (0.45, 0.45))):
        asked = assemble.manner(resolve("play", {"--press-threshold": "0.45", **more}, {}))
        assert (asked.press_threshold, asked.release_threshold) == wanted


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["small_policy.safetensors", "--delay", "21"], "learned to answer 2 to 20 frames late; 21 was asked for"),
        (["small_policy.safetensors", "--backbone", "gru"], "the network of the policy is mamba, not gru"),
        (["small_policy.safetensors", "--style", "C#3"], "no style 'C#3'"),
        (["small_policy.safetensors", "--player", "fast,reference"], "one player plays"),
        (["small.onnx", "--player", "reference"], "an exported policy is a graph"),
        (["small.onnx", "--characters", "foxx"], "foxx"),
        (["small_policy.safetensors", "--deterministic", "--temperature", "1"], "a temperature of 0"),
        (["small_policy.safetensors", "--release-threshold", "0.3"], "needs --press-threshold"),
        (["small_policy.safetensors", "--press-threshold", "0.2", "--release-threshold", "0.3"], "is more than"),
        (["missing.onnx"], "cannot be read"),
    ],
)
def test_what_contradicts_the_policy_is_said_before_it_connects(desk, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(desk)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "arena.sock"))
        server.listen(1)
        server.setblocking(False)
        code = main(["play", *words, "--socket", server.getsockname()])
        with pytest.raises(BlockingIOError):
            server.accept()
    said = capsys.readouterr().err
    assert code in (1, 2) and says in said and "Traceback" not in said


def test_without_a_socket_it_asks_for_one(desk, capsys, monkeypatch):
    monkeypatch.delenv("UMI_SOCKET", raising=False)
    assert main(["play", str(desk / "small.onnx")]) == 2 and "--socket" in capsys.readouterr().err


def test_temperatures_name_the_components_of_an_action():
    assert tuple(part.name.lower() for part in Codec.uniform().components) == COMPONENTS
    asked = resolve("play", {"--temperature": "0.5,sticks=2,c_y=0,shoulder=3"}, {}).deciding.temperature
    assert temperatures(asked) == (0.5,) * 8 + (2.0, 2.0, 2.0, 0.0, 3.0)


def test_an_entry_for_umi_holds_the_number_of_a_style_and_no_players(desk, tmp_path, capsys):
    out = tmp_path / "a.zip"
    words = ["--style", "b#2", "--action-repeat", "2", "--out", str(out)]
    assert main(["export", "umi", str(desk / "small_policy.safetensors"), *words]) == 0, capsys.readouterr().err
    content = out.read_bytes()  # nothing in it is squeezed
    assert b"STYLE = 2" in content and b"action_repeat=2" in content
    assert b"B#2" not in content and b"A#1" not in content
    assert b"B#2" in (desk / "small.onnx").read_bytes()


COMMANDS = (("export", "onnx"), ("export", "umi"), ("export", "card"), ("evaluate",), ("play", "--socket", "x"))


def test_weights_that_are_no_numbers_are_refused(desk, tmp_path, capsys):
    file = checkpoint.load_policy(desk / "small_policy.safetensors")
    next(iter(file.weights.values())).fill_(float("nan"))
    checkpoint.save_policy(tmp_path / "nan.safetensors", file)
    for words in COMMANDS:
        assert main([*words, str(tmp_path / "nan.safetensors")]) == 1
        assert "numbers that are none" in capsys.readouterr().err, words


def test_an_exported_policy_is_told_where_it_belongs(desk, capsys):
    for words in (("evaluate",), ("info",), ("export", "card")):
        assert main([*words, str(desk / "small.onnx")]) == 1
        assert "take an exported policy; here the policy file" in capsys.readouterr().err
