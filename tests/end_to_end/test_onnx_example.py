"""The example plays a graph where there is neither torch nor exphil, and plays it as our own player does."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.layers import resolve
from exphil.evaluate.agreement import made_up
from exphil.models.export import export
from exphil.play.fast import FastPlayer

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "play_onnx.py"
ALONE = """
import runpy, sys
for name in ("torch", "exphil", "onnx"):
    sys.modules[name] = None  # importing it raises
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A gru whose state does not begin with zeros, and its graph."""
    asked = resolve("train", {"--temporal": True, "--backbone": "gru", "--hidden": "16", "--num-layers": "1"}, {})
    torch.manual_seed(1)
    model = assemble.policy(asked, assemble.codec(asked)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    begin = model.backbone.initial_state
    model.backbone.initial_state = lambda batch: tuple(tuple(leaf + 1 for leaf in layer) for layer in begin(batch))
    path = tmp_path_factory.mktemp("example") / "gru.onnx"
    export(model, path, {})
    return model, path


@pytest.mark.slow
def test_it_runs_without_torch_and_without_exphil(exported, tmp_path):
    _, path = exported
    command = [sys.executable, "-I", "-W", "error", "-c", ALONE, str(EXAMPLE), str(path), "30"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(frame) for frame in range(30)]
    assert len({line.partition(" ")[2] for line in lines}) > 10
    values = [float(part.rpartition("=")[2]) for line in lines for part in line.split()[1:] if "=" in part]
    assert all(-1 <= value <= 1 for value in values)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_it_decides_as_our_player_does(exported, temperature):
    model, path = exported
    theirs, ours = runpy.run_path(str(EXAMPLE))["Player"](path, 7, temperature), FastPlayer(path)
    floats, ids = made_up(model.table, 200, 0)
    random, state = np.random.default_rng(7), ours.initial_state(1)
    sharpness = np.full(13, 1 / temperature, np.float32)
    for at in range(200):
        if at == 100:
            theirs.begin()
        uniform, is_first = random.random((1, 13), np.float32), np.array([at == 100])
        act, state = ours.act(floats[at : at + 1], ids[at : at + 1], state, is_first, uniform, sharpness)
        assert np.array_equal(theirs.decide(floats[at], ids[at]), act.controller[0]), at


def test_it_has_sixty_lines_and_needs_numpy_and_onnxruntime_alone():
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    words = [line.split()[1] for line in lines if line.startswith(("import ", "from "))]
    assert set(words) - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}
