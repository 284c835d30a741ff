"""``exphil export onnx``: where the graph goes, what is told of it, and that it plays a real game as torch does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from exphil import assemble
from exphil.assemble.playing import playable
from exphil.cli import export_onnx
from exphil.cli.running import placing
from exphil.config.layers import jsonable, resolve
from exphil.errors import OutputError, PolicyError
from exphil.evaluate.agreement import compare
from exphil.replays import slp
from exphil.train import checkpoint

FRAMES = 1000
GAME = "fox_vs_falco_fountain_of_dreams_015.slp"


def tiers(slow: tuple[str, ...]) -> list[Any]:
    """Every backbone: some in the slow tier, the others at night."""
    marks = {name: pytest.mark.slow if name in slow else pytest.mark.nightly for name in assemble.BACKBONES}
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


def policy_file(folder: Path, backbone: str, hidden: str, name: str = "a_policy.safetensors") -> Path:
    """A policy of which every number is somewhere else than where it starts."""
    flags = {"--backbone": backbone, "--temporal": True, "--hidden": hidden, "--threads": "1"}
    settings = resolve("train", flags, {})
    codec = assemble.codec(settings)
    torch.manual_seed(1)
    policy = assemble.policy(settings, codec)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    words = {"config": jsonable(settings.flat()), "fingerprint": policy.table.fingerprint, "actions": codec.as_dict()}
    file = checkpoint.PolicyFile(policy.state_dict(), baselines={}, training={"name": "a"}, **words)
    checkpoint.save_policy(folder / name, file)
    return folder / name


def call(policy: Path, **flags: str | bool) -> None:
    typed = {"--" + name: value for name, value in flags.items()}
    assert export_onnx.run(resolve("export onnx", typed, {}), policy) == 0


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return policy_file(tmp_path_factory.mktemp("small"), "mlp", "72,72")


@pytest.fixture(scope="module")
def graph(small) -> Path:
    """What the command writes beside a policy."""
    call(small, quiet=True)
    return small.with_name("a.onnx")


def check_that_it_plays_as_torch_does(policy: Path, graph: Path, replays: Path) -> None:
    """The numbers of the issue: a real game, a thousand frames, each carrying its own state."""
    reference, learned = playable(policy, "reference", "cpu", 1)
    game = slp.read(replays / GAME).game[200 : 200 + FRAMES]
    found = compare(reference, playable(graph, "fast", "cpu", 1).player, *learned.table.encode(game.seen_from(0)))
    assert found.frames == FRAMES
    assert found.log_prob <= 1e-4 and found.actions >= 0.999


@pytest.mark.parametrize("backbone", tiers(("gru", "mamba")))
def test_a_thousand_frames_of_a_real_game_are_decided_as_by_torch(backbone, tmp_path, replays):
    policy = policy_file(tmp_path, backbone, "64,64,64")
    call(policy, quiet=True)
    check_that_it_plays_as_torch_does(policy, tmp_path / "a.onnx", replays)


def test_the_graph_stands_beside_its_policy_and_can_be_played(small, graph):
    assert {path.name for path in small.parent.iterdir()} >= {"a_policy.safetensors", "a.onnx"}
    learned = playable(graph, "fast", "cpu", 1).learned
    assert learned == playable(small, "reference", "cpu", 1).learned and learned.name == "a"


@pytest.mark.slow
def test_int8_is_written_beside_it_and_both_are_told(small, graph, capsys):
    before = graph.read_bytes()
    call(small, int8=True, json=True)
    out, err = capsys.readouterr()
    told, place = json.loads(out), small.with_name("a_int8.onnx")
    assert (told["path"], told["replaced"], told["weights"]) == (str(place), False, "int8")
    float32, int8 = told["beside_torch"]["float32"], told["beside_torch"]["int8"]
    assert int8["bytes"] == place.stat().st_size < 0.5 * float32["bytes"]
    assert float32["log_prob"] <= 1e-4 and float32["actions"] >= 0.999 and float32["frames"] == export_onnx.FRAMES
    assert float32["log_prob"] < int8["log_prob"] < 1 and 0.98 < int8["components"] <= 1
    assert all(float32[part] > 0 for part in ("reference_ms", "other_ms"))
    assert f"written: {place}" in err and "warning" not in err
    assert graph.read_bytes() == before


@pytest.mark.slow
def test_its_own_file_is_replaced_and_nothing_else(small, graph, tmp_path, capsys):
    call(small, out=str(graph))
    out, err = capsys.readouterr()
    assert f"replaced: {graph}" in err and "float32" in out
    other = tmp_path / "notes.onnx"
    other.write_text("mine")
    with pytest.raises(OutputError, match="holds something else than an exported policy"):
        call(small, out=str(other))
    assert other.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "output", "int8", "expected"),
    [
        ("a_policy.safetensors", None, False, "a.onnx"),
        ("a_policy.safetensors", None, True, "a_int8.onnx"),
        ("a_ema_policy.safetensors", None, False, "a_ema.onnx"),
        ("a_epoch_0005.pt", None, False, "a_epoch_0005.onnx"),
        ("other.safetensors", ".", True, "other_int8.onnx"),
        ("a.pt", "b.onnx", True, "b.onnx"),
        ("a.pt", "b.v2", False, "b.v2.onnx"),
    ],
)
def test_a_graph_is_named_after_its_policy_unless_it_is_named(name, output, int8, expected, tmp_path):
    ending = "_int8.onnx" if int8 else ".onnx"
    placed = placing.place(tmp_path / name, output and tmp_path / output, ending, lambda content: True, "a graph")
    assert placed == tmp_path / expected


def test_what_is_no_policy_is_refused_and_leaves_nothing(small, graph, tmp_path):
    (tmp_path / "x.pt").write_bytes(b"no policy")
    with pytest.raises(PolicyError, match="not a snapshot"):
        call(tmp_path / "x.pt")
    with pytest.raises(PolicyError, match="exported graph already"):
        call(graph, out=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


@pytest.mark.slow
def test_a_graph_that_strays_from_torch_is_told(small, graph, capsys, monkeypatch):
    monkeypatch.setattr(export_onnx, "CLOSE", -1.0)
    call(small, out=str(graph))
    assert "the graph differs from torch by more than" in capsys.readouterr().err
