"""``exphil match``: every option acts on what is played, said and written, and what cannot be played is said before.

Most of it is played over the stand-in of melee-sim-light (``melee_sim_stub``), which costs little and keeps what it
was configured with and what was pressed; its first port always wins. A slow test plays in our own simulator.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import melee_sim_stub as stub
from exphil import assemble
from exphil.config.layers import jsonable, resolve
from exphil.evaluate.outcome import Result
from exphil.features.players import Registry
from exphil.game.ids import stage_name
from exphil.replays import slp
from exphil.replays.sources import find
from exphil.train import checkpoint
from in_process import called

SHORT = ("--world", "melee_sim", "--games", "2", "--seed", "5", "--stages", "fd")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with a policy of two styles that answers 2 to 20 frames late, trained on Marth, and its graph."""
    folder = tmp_path_factory.mktemp("desk")
    flags = {"--backbone": "gru", "--hidden": "8", "--learn-player-styles": True, "--num-player-names": "4"}
    late = {"--frame-delay-augment": True, "--frame-delay-min": "2", "--frame-delay-max": "20"}
    settings = resolve("train", {**flags, **late, "--train-character": "marth"}, {})
    codec = assemble.codec(settings)
    torch.manual_seed(1)
    policy = assemble.policy(settings, codec)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    words = {"config": jsonable(settings.flat()), "fingerprint": policy.table.fingerprint, "actions": codec.as_dict()}
    players = Registry.build(["A#1", "A#1", "B#2"], 4).as_dict()
    file = checkpoint.PolicyFile(
        policy.state_dict(), baselines={}, training={"name": "small"}, players=players, **words
    )
    checkpoint.save_policy(folder / "small_policy.safetensors", file)
    assemble.exported(folder / "small_policy.safetensors", folder / "small.onnx")
    return folder


@pytest.fixture
def played(monkeypatch, tmp_path, desk):
    """Plays over the stand-in; gives the call, its JSON, and the batches that were made."""
    monkeypatch.setattr(stub, "ENDS", 100)  # hands are free by then
    stub.data(tmp_path / "data")

    def run(*words: object, batch: type = stub.EnvBatch, code: int = 0):
        monkeypatch.setitem(sys.modules, "melee_sim", stub.module(batch))
        stub.MADE.clear()
        done = called("match", *words, "--json", cwd=desk, MSL_DATA_DIR=str(tmp_path / "data"))
        assert done.returncode == code, done.stderr
        return done, json.loads(done.stdout) if done.stdout else None, list(stub.MADE)

    return run


def pressed(made) -> np.ndarray:
    return np.concatenate([np.array(batch.pressed).view(np.uint8).ravel() for batch in made])


def test_the_two_games_of_a_pair_swap_ports_and_characters(played, tmp_path):
    done, found, made = played("walk", "random", *SHORT, "--as", "marth,falco", "--output", tmp_path / "r.json")
    assert (
        found["players"] == ["walk", "random"]
        and found["world"] == "melee_sim"
        and found["characters"] == ["marth", "falco"]
    )
    casts = [[player.character for player in batch.configured[0][1].players] for batch in made]
    assert casts == [[18, 22], [22, 18]]
    assert (found["wins"], found["losses"], found["win_rate"]["value"]) == (1, 1, 0.5)
    assert "walk plays marth; walk is a script" in done.stderr and "seed 5" in done.stderr
    written = json.loads((tmp_path / "r.json").read_text())
    assert written == found and Result.from_dict(written).games == 2
    assert found["canaries"]["first"]["frames"] > 0


def test_one_character_is_for_both_and_without_one_a_script_plays_fox(played):
    assert played("walk", "idle", *SHORT, "--as", "marth")[1]["characters"] == ["marth", "marth"]
    assert played("walk", "idle", *SHORT)[1]["characters"] == ["fox", "fox"]


def test_games_stages_stocks_and_minutes_are_those_asked_for(played):
    _, found, made = played("walk", "idle", *SHORT[:2], "--games", "6", "--stages", "fd,bf,dl", "--seed", "1")
    assert found["games"] == 6 and {match.stage for _, match in made[0].configured[:3]} == {32, 31, 28}
    assert [match.stage for _, match in made[0].configured[:3]] == [match.stage for _, match in made[1].configured[:3]]
    _, found, made = played("walk", "idle", *SHORT, "--stocks", "2", "--minutes", "0.02")
    assert found["max_frames"] == 72 and found["frames"] == 2 * (-23 + 41)  # the stand-in's game ends on frame -23
    assert made[0].configured[0][1].stocks == 2
    assert {outcome["stage"] for outcome in played("walk", "idle", *SHORT)[1]["outcomes"]} == {"final_destination"}


def test_the_clock_ends_games_that_go_on(played, monkeypatch):
    monkeypatch.setattr(stub, "ENDS", 10_000)
    found = played("walk", "idle", *SHORT, "--minutes", "0.02")[1]
    assert found["by_clock"] == 2 and found["frames"] == 2 * (72 + 41)


def test_within_stops_as_soon_as_the_win_rate_is_known(played):
    done, found, _ = played("idle", "idle", *SHORT[:2], "--games", "66", "--within", "0.3", "--seed", "1")
    assert found["games"] == 64 and found["is_decided"] and "at most 66 games" in done.stderr
    assert found["players"] == ["idle", "idle (second)"]


def test_a_seed_repeats_a_match_and_without_one_another_is_drawn_and_said(played):
    one, two, other = (played("random", "walk", *SHORT[:4], "--seed", seed) for seed in ("5", "5", "6"))
    assert one[1] == two[1] and np.array_equal(pressed(one[2]), pressed(two[2]))
    assert not np.array_equal(pressed(one[2]), pressed(other[2]))
    drawn = played("random", "walk", *SHORT[:4])
    assert f"seed {drawn[1]['seed']}" in drawn[0].stderr


def test_every_game_can_be_saved_with_the_names_of_its_players(played, tmp_path):
    folder = tmp_path / "saved"
    words = ("walk", "random", *SHORT[:2], "--games", "4", "--seed", "5", "--save-replays", folder)
    done, found, _ = played(*words)
    assert "4 replays in" in done.stderr
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"game_000{at}.slp" for at in (1, 2, 3, 4)]
    heads = [slp.peek(file) for file in files]
    assert [tuple(seat.name for seat in head.seats) for head in heads] == [("walk", "random"), ("random", "walk")] * 2
    assert [stage_name(head.stage) for head in heads] == [outcome["stage"] for outcome in found["outcomes"]]
    assert len(find(folder).sources) == 4
    assert "holds games of a match already" in played(*words, code=2)[0].stderr


@pytest.mark.slow
def test_a_policy_plays_with_every_option_of_its_manner(played):
    def of(*words: str) -> bytes:
        return pressed(played("small_policy.safetensors", "idle", *SHORT, *words)[2]).tobytes()

    plain = of()
    assert plain == of()
    changed = [
        of("--deterministic"),
        of("--temperature", "buttons=0.1"),
        of("--press-threshold", "0.01"),
        of("--action-repeat", "5"),
        of("--frame-delay", "9"),
        of("--style", "b#2"),
    ]
    assert len({plain, *changed}) == len(changed) + 1


@pytest.mark.slow
def test_a_policy_plays_what_it_was_trained_on_and_its_graph_decides_alike(played):
    done, found, made = played("small_policy.safetensors", "idle", *SHORT)
    assert found["characters"] == ["marth", "fox"] and "small plays marth; small is a policy (gru)" in done.stderr
    graph = played("small.onnx", "idle", *SHORT, "--as", "marth,fox")
    assert np.array_equal(pressed(made), pressed(graph[2])) and graph[1]["outcomes"] == found["outcomes"]
    assert played("small.onnx", "small_policy.safetensors", *SHORT)[1]["characters"] == ["fox", "marth"]


def test_ctrl_c_keeps_the_batches_that_are_complete(played):
    class Interrupted(stub.EnvBatch):
        """Presses Ctrl-C in the middle of the third world, which is of the second batch."""

        def step_and_reset(self):
            if len(stub.MADE) == 3 and self.t == 9:
                os.kill(os.getpid(), signal.SIGINT)
            return super().step_and_reset()

    done, found, _ = played("idle", "walk", *SHORT[:2], "--games", "1000", "--seed", "1", batch=Interrupted)
    assert found["games"] == 64 and found["stopped"] and "SIGINT: stopping" in done.stderr

    class Sooner(stub.EnvBatch):
        def step_and_reset(self):
            if self.t == 9 and len(stub.MADE) == 1:
                os.kill(os.getpid(), signal.SIGINT)
            return super().step_and_reset()

    done, found, _ = played("idle", "walk", *SHORT, batch=Sooner, code=130)
    assert found is None and "there is no result" in done.stderr


@pytest.mark.slow
def test_a_failed_canary_marks_the_result_of_a_policy_and_not_that_of_a_script(desk, monkeypatch, tmp_path):
    monkeypatch.setattr(stub, "ENDS", 5000)
    monkeypatch.setitem(sys.modules, "melee_sim", stub.module())
    environment = {"MSL_DATA_DIR": str(stub.data(tmp_path / "data"))}
    words = ("match", "small.onnx", "idle", *SHORT, "--minutes", "0.6", "--deterministic")
    done = called(*words, cwd=desk, **environment)
    assert done.returncode == 0, done.stderr
    assert "MARKED: a canary failed" in done.stdout and "warning: canary: small:" in done.stderr
    assert "canary: idle" not in done.stderr and "canaries that failed: idle" not in done.stdout
    assert "it does not rank play in the game" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["chasr", "walk"], "'chasr' is no file and no script"),
        (["chasr", "walk"], "did you mean 'chaser'?"),
        (["walk", "idle", "--games", "3"], "'3' must be an even number, 2 or more"),
        (["walk", "idle", "--within", "0.5"], "'0.5' must be above 0 and below 0.5"),
        (["walk", "idle", "--as", "fox,falco,marth"], "must be one character, or two"),
        (["walk", "idle", "--temperature", "0.5"], "only scripts play"),
        (["walk", "idle", "--world", "umi"], "exphil match cannot play in umi"),
        (["small.onnx", "idle", "--player", "reference"], "an exported policy is a graph"),
        (["small_policy.safetensors", "idle", "--delay", "21"], "learned to answer 2 to 20 frames late"),
        (["small_policy.safetensors", "idle", "--style", "C#3"], "no style 'C#3'"),
        (["small_policy.safetensors", "idle", "--player", "fast,reference"], "one player plays"),
        (["small_policy.safetensors", "idle", "--out", "."], "a folder"),
    ],
)
def test_what_cannot_be_played_is_said_before_it_starts(desk, words, says):
    done = called("match", *words, cwd=desk)
    assert done.returncode in (1, 2) and says in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_the_library_that_is_not_there_is_named(desk, monkeypatch):
    monkeypatch.setitem(sys.modules, "melee_sim", None)
    done = called("match", "walk", "idle", *SHORT, cwd=desk)
    assert done.returncode == 1 and "melee-sim-light" in done.stderr


def test_play_refuses_the_worlds_of_a_match(desk):
    done = called("play", "small.onnx", "--world", "sim", cwd=desk)
    assert done.returncode == 2 and "exphil play cannot play in sim" in done.stderr


def test_stages_are_dealt_out_evenly_and_anew_for_every_seed():
    stages = (2, 3, 8, 28, 31, 32)
    for games in (6, 30):
        assert sorted(assemble.worlds.dealt(stages, games, 3)) == sorted(stages * (games // 6))
    assert assemble.worlds.dealt(stages, 30, 3) == assemble.worlds.dealt(stages, 30, 3)
    assert assemble.worlds.dealt(stages, 30, 3) != assemble.worlds.dealt(stages, 30, 4)


@pytest.mark.slow
def test_the_fast_player_plays_the_same_match(played):
    words = ("small_policy.safetensors", "idle", *SHORT)
    reference, fast = (pressed(played(*words, *more)[2]) for more in ((), ("--player", "fast")))
    assert np.array_equal(reference, fast)


@pytest.mark.slow
def test_a_match_in_the_simulator(desk, tmp_path):
    words = ("--games", "4", "--stocks", "1", "--minutes", "1", "--seed", "3")
    done = called("match", "chaser", "idle", *words, "--save-replays", tmp_path / "games", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert "win rate of chaser" in done.stdout and "100.0%" in done.stdout and "near the game" in done.stdout
    games = [slp.read(path) for path in sorted((tmp_path / "games").iterdir())]
    assert len(games) == 4 and all(len(replay.game) > 200 for replay in games)
    assert [(replay.game.players.stocks[-1] == 0).tolist() for replay in games] == [[False, True], [True, False]] * 2
