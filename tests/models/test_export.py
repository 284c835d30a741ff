"""What is written as a graph computes the numbers of the reference policy.

Here the module that is traced; that onnxruntime computes the same of the file is tested with the player.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from exphil import assemble
from exphil.config.layers import resolve
from exphil.errors import ExphilError, OutputError
from exphil.features.action import NUM_BUTTONS, Codec
from exphil.game.controller import STICK_STEPS, TRIGGER_STEPS
from exphil.models import export as written
from exphil.models.export import export
from exphil.play.agent import likeliest

GAMES, FRAMES = 40, 12
UNEVEN = Codec(
    (tuple(np.linspace(-1, 1, 7)), (-1.0, 0.0, 1.0), (-1.0, -0.3, 0.0, 0.31, 1.0), tuple(np.linspace(-1, 1, 9))),
    (0.0, 0.4, 1.0),
)
CLOSE = 1e-5  # only the order of sums differs


def policy(codec: Codec, **flags: str | bool):
    """A policy whose every number is somewhere else than where it starts."""
    typed = {"--" + name.replace("_", "-"): value for name, value in flags.items()}
    torch.manual_seed(1)
    made = assemble.policy(resolve("train", {"--temporal": True, "--hidden": "24,24,24", **typed}, {}), codec).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def seen(model, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Floats with a real controller in the place of the held one, ids and uniforms: ``(GAMES, FRAMES, ...)``."""
    random, shape = np.random.default_rng(seed), (GAMES, FRAMES)
    floats = random.uniform(-1, 1, (*shape, model.table.floats))
    steps = np.concatenate([random.integers(-STICK_STEPS, STICK_STEPS + 1, (*shape, 4)) / STICK_STEPS,
                            random.integers(0, TRIGGER_STEPS + 1, (*shape, 1)) / TRIGGER_STEPS], -1)  # fmt: skip
    floats[..., model.table.held] = np.concatenate([random.integers(0, 2, (*shape, NUM_BUTTONS)), steps], -1)
    ids = [random.integers(0, found.vocabulary, shape) for found in model.table.vocabularies]
    stacked = np.stack(ids, -1) if ids else np.zeros((*shape, 0), np.int64)
    uniform = random.random((*shape, 13), np.float32)
    return torch.from_numpy(floats).float(), torch.from_numpy(stacked), torch.from_numpy(uniform)


def leaves(state) -> list[Tensor]:
    return [leaf for part in state for leaf in ([part] if isinstance(part, Tensor) else leaves(part))]


@torch.inference_mode()
def check(model, sharpness: Tensor | None = None, uniform: Tensor | None = None) -> None:
    decision = written._Decision(model)
    floats, ids, drawn_with = seen(model)
    given = drawn_with if uniform is None else uniform
    drawn, after = model(floats, ids, model.initial_state(GAMES), None, given, sharpness)
    sharper = torch.ones(13) if sharpness is None else sharpness
    state = leaves(model.initial_state(GAMES))
    for time in range(FRAMES):
        action, log_prob, controller, *state = decision(floats[:, time], ids[:, time], given[:, time], sharper, state)
        assert torch.equal(action, drawn.action[:, time])
        assert torch.allclose(log_prob, drawn.log_prob[:, time], rtol=0, atol=CLOSE)
        assert torch.equal(controller, model.codec.decode_floats(action))
    for mine, theirs in zip(state, leaves(after), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("name", assemble.BACKBONES)
def test_every_backbone_decides_as_the_reference_does(name):
    check(policy(Codec.uniform(), backbone=name))


@pytest.mark.parametrize(
    "flags",
    [
        {"head": "independent"},
        {"action_mode": "one_hot", "character_mode": "one_hot", "num_player_names": "0"},  # no ids at all
        {"learn_player_styles": True, "player_mode": "learned", "stage_mode": "learned", "nana_mode": "full"},
        {"frame_delay": "3"},  # the controller that is held is a decided one
    ],
    ids=lambda flags: next(iter(flags)),
)
@pytest.mark.parametrize("codec", [Codec.uniform(), UNEVEN], ids=["even", "uneven"])
def test_so_does_every_head_table_and_codec(flags, codec):
    check(policy(codec, backbone="mlp", **flags))


@pytest.mark.parametrize("codec", [Codec.uniform(), UNEVEN], ids=["even", "uneven"])
def test_the_sharpest_draw_is_the_same(codec):
    uniform, sharpness = map(torch.from_numpy, likeliest(GAMES, FRAMES))
    check(policy(codec, backbone="gru"), sharpness, uniform)


def test_so_is_a_sharpness_of_its_own_for_every_component():
    check(policy(UNEVEN, backbone="gru"), torch.linspace(0.1, 4, 13))


@torch.inference_mode()
def test_the_ends_of_the_uniforms_draw_the_first_and_the_last_class_that_can_be():
    model = policy(UNEVEN, backbone="mlp")
    floats, ids, _ = (part[:, 0] for part in seen(model))
    decision, one = written._Decision(model), torch.ones(13)
    least, most = (torch.full((GAMES, 13), end) for end in (0.0, 1 - 2**-24))
    for uniform in (least, most):
        drawn, _ = model(floats[:, None], ids[:, None], model.initial_state(GAMES), None, uniform[:, None])
        action, log_prob, _ = decision(floats, ids, uniform, one, [])
        assert torch.equal(action, drawn.action[:, 0]) and bool(log_prob.isfinite().all())


def test_without_the_extra_the_error_names_the_line_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExphilError, match=r"needs onnxscript(.|\n)*pip install \"exphil\[export\]\""):
        export(policy(UNEVEN, backbone="mlp"), tmp_path / "x.onnx", {})
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        export(policy(UNEVEN, backbone="mlp"), tmp_path / "file" / "x.onnx", {})
