"""Learned sticks and delay as a person meets them: one file of centres, one policy, the same positions everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.cli.main import main
from exphil.config.layers import resolve
from exphil.envs.environment import run
from exphil.envs.replay import ReplayEnvironment
from exphil.features.action import Codec
from exphil.features.kmeans import Centres
from exphil.features.players import Registry
from exphil.models.policy import TorchPlayer
from exphil.play.agent import Agent
from exphil.replays import slp
from exphil.train import checkpoint

GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "marth_vs_marth_dream_land_027.slp"]
TINY = ["--hidden", "16", "--threads", "1", "--device", "cpu", "--seed", "5", "--batch-size", "2048", "--epochs", "1"]


@pytest.fixture(scope="module")
def games(tmp_path_factory, replays: Path) -> Path:
    root = tmp_path_factory.mktemp("games")
    for name in GAMES:
        shutil.copy(replays / name, root)
    return root


@pytest.fixture
def exphil(games, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder of its own; gives its exit code, its answer and its talk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    (tmp_path / "games").symlink_to(games)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def loss(exphil, *words: str) -> dict:
    flags = ["--replays", "games", "--threads", "1", "--json"]
    code, out, talk = exphil("evaluate", "checkpoints/a_policy.safetensors", *flags, *words)
    assert code == 0, talk
    return json.loads(out)


def test_learned_sticks_are_the_same_in_training_evaluation_and_play(exphil, games):
    """Also when the file of centres is gone: a policy carries what its classes stand for."""
    assert exphil("kmeans", "--replays", "games", "--k", "9", "--per-axis", "--output", "sticks.json")[0] == 0
    axes = Centres.load(Path("sticks.json")).axes4()
    learn = [*TINY, "--name", "a", "--replays", "games", "--kmeans-centers", "sticks.json", "--shoulder-buckets", "2"]
    code, _, talk = exphil("train", *learn)
    assert code == 0, talk
    Path("sticks.json").unlink()
    assert loss(exphil)["loss"]["main_x"] < np.log(9)
    settings, policy = assemble.trained(checkpoint.load_policy(Path("checkpoints/a_policy.safetensors")), "a")
    assert policy.codec.axes == axes and policy.codec.classes[8:] == (9, 9, 9, 9, 3)
    world = ReplayEnvironment(slp.read(games / GAMES[0]).game[:90], (1, 2))
    player = TorchPlayer(policy, torch.device("cpu"))
    agent = Agent(player, assemble.learned(settings, policy.codec, Registry(0)), 0, 1, seed=1)
    pressed: dict[str, set[float]] = {name: set() for name in ("main_x", "main_y", "c_x", "c_y")}

    def watch(_, decisions) -> None:
        for name, seen in pressed.items():
            seen.add(float(getattr(decisions[world.ports[0]].controllers, name)[0]))

    run(world, {world.ports[0]: agent}, 90, watch)
    for (name, seen), centres in zip(pressed.items(), axes, strict=True):
        assert seen <= set(np.array(centres, np.float32).tolist()), name


def test_a_damaged_file_of_centres_is_told_before_the_games_are_read(exphil):
    Path("sticks.json").write_text('{"k": 3}')
    code, _, talk = exphil("train", *TINY, "--replays", "games", "--kmeans-centers", "sticks.json")
    assert code == 1 and "sticks.json" in talk and "reading replays" not in talk


def test_one_policy_of_many_delays_is_measured_at_each(exphil):
    """And refuses one that it did not learn, before it reads a game."""
    code, _, talk = exphil(
        "train", *TINY, "--name", "a", "--replays", "games", "--online-robust", "--frame-delay-max", "4"
    )
    assert code == 0, talk
    found = {delay: loss(exphil, "--frame-delay", str(delay)) for delay in (0, 2, 4)}
    assert len({report["loss"]["total"] for report in found.values()}) == 3
    assert len({report["frames"] for report in found.values()}) == 1, "all delays are judged on the same answers"
    assert [report["delay"] for report in found.values()] == [[0], [2], [4]]
    assert loss(exphil)["delay"] == [0, 4], "without a flag the range that was learned, spread over the games"
    late = ["--frame-delay", "5", "--replays", "games"]
    code, _, talk = exphil("evaluate", "checkpoints/a_policy.safetensors", *late)
    assert code == 2 and "0 to 4 frames late; 5 was asked for" in talk and "reading" not in talk


def test_a_policy_of_one_delay_has_that_one_and_baselines_know_the_last_controller_whatever_it_is(exphil):
    flags = ["--replays", "games", "--max-files", "1"]
    code, _, talk = exphil("train", *TINY, "--name", "a", *flags, "--frame-delay", "6")
    assert code == 0 and "6 frames later" in talk
    six = loss(exphil, "--max-files", "1")
    assert six["delay"] == loss(exphil, "--max-files", "1", "--frame-delay", "6")["delay"] == [6]
    code, out, talk = exphil("evaluate", "checkpoints/a.pt", *flags, "--frame-delay", "0")
    assert (code, out) == (2, "") and talk.splitlines() == [
        "error: --frame-delay: the policy learned to answer 6 frames late; 0 was asked for",
        "  hint: --frame-delay 6, or a policy that was trained with --frame-delay 0",
    ], "at once: no game was read"
    assert exphil("train", *TINY, "--name", "at_once", *flags)[0] == 0
    Path("checkpoints/at_once_policy.safetensors").rename("checkpoints/a_policy.safetensors")
    none = loss(exphil, "--max-files", "1")
    assert none["frames"] == six["frames"]
    for name, found in none["baselines"].items():
        assert found["loss"] == pytest.approx(six["baselines"][name]["loss"])


def test_a_resumed_run_keeps_its_sticks_when_their_file_is_gone(exphil):
    centres = (-0.95, -0.4, 0.0, 0.4, 0.95)
    Centres((centres,)).save(Path("sticks.json"))
    learn = [*TINY, "--name", "a", "--replays", "games", "--max-files", "1", "--kmeans-centers", "sticks.json"]
    assert exphil("train", *learn)[0] == 0
    Path("sticks.json").unlink()
    code, _, talk = exphil("train", "--resume", "checkpoints/a.pt", "--epochs", "2")
    assert code == 0 and "epoch 2/2" in talk, talk
    assert checkpoint.load_policy(Path("checkpoints/a.pt")).actions["axes"] == [list(centres)] * 4


def test_the_defaults_of_the_options_are_the_defaults_of_the_codec():
    assert assemble.codec(resolve("train", {}, {})) == Codec.uniform()


@pytest.mark.slow
def test_a_dry_run_says_what_is_seen_and_what_can_be_pressed(exphil):
    flags = ["--stage-motion", "--umi-safe", "--nana-mode", "enhanced", "--axis-buckets", "32", "--frame-delay", "2"]
    code, out, talk = exphil("train", "--dry-run", "--replays", "games", *flags)
    said = (out + talk).split()
    assert code == 0 and "268" in said and "stadium," in said and "whispy" in said and said.count("33") >= 4
