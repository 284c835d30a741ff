"""Mamba-1: the published recurrence, its beginning, its state, what it keeps."""

from __future__ import annotations

import math
import operator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from exphil.models.mamba import Mamba


def layer(seed: int = 0, size: int = 6, **sizes: int) -> Mamba:
    torch.manual_seed(seed)
    return Mamba(size, **sizes)


def as_published(model: Mamba, x: Tensor) -> list[list[float]]:
    """Algorithm 2 of the paper in plain numbers: one row, channel by channel, state by state."""
    x_TE, z_TE = model.in_proj(x).chunk(2, -1)
    taps, out = len(model.taps), []
    h = [[0.0] * model.A_log.shape[1] for _ in model.D]
    rank = model.dt_proj.in_features
    for t in range(len(x)):
        u = []
        for e in range(len(h)):
            seen = [(k, t - taps + 1 + k) for k in range(taps)]
            total = sum(float(model.taps[k, e] * x_TE[at, e]) for k, at in seen if at >= 0)
            total += float(model.taps_bias[e])
            u.append(total / (1 + math.exp(-total)))
        low, b, c = model.x_proj(torch.tensor(u, dtype=x.dtype)).split([rank, len(h[0]), len(h[0])])
        steps, y = functional.softplus(model.dt_proj(low)), []
        for e, states in enumerate(h):
            for n in range(len(states)):
                decay = math.exp(-float(steps[e]) * math.exp(float(model.A_log[e, n])))
                states[n] = decay * states[n] + float(steps[e]) * u[e] * float(b[n])
            read = sum(state * float(c[n]) for n, state in enumerate(states)) + float(model.D[e]) * u[e]
            y.append(read * float(functional.silu(z_TE[t, e])))
        out.append(model.out_proj(torch.tensor(y, dtype=x.dtype)).tolist())
    return out


@torch.no_grad()
def test_it_is_the_published_recurrence():
    model = layer(state_size=3).double()
    x = torch.randn(1, 7, 6, dtype=torch.float64)
    y, _ = model(x, model.initial_state(1))
    assert torch.allclose(y[0], torch.tensor(as_published(model, x[0]), dtype=torch.float64), rtol=0, atol=1e-12)


def test_it_begins_with_the_published_numbers():
    model = layer(size=256)
    step = functional.softplus(model.dt_proj.bias)
    assert step.min() >= 0.00099 and step.max() <= 0.101
    logs = step.detach().log10()
    assert abs(float(logs.mean()) + 2) < 0.1  # the middle of -3 and -1
    assert torch.allclose(model.A_log.exp(), torch.arange(1.0, 17).expand(512, 16))
    assert torch.equal(model.D, torch.ones(512))
    assert model.dt_proj.in_features == 16
    assert layer(size=17).dt_proj.in_features == 2


@pytest.mark.parametrize("sizes", [{}, {"state_size": 5, "expand": 3}, {"conv_size": 1}, {"conv_size": 2, "expand": 1}])
@pytest.mark.parametrize("restarting", [False, True])
@torch.inference_mode()
def test_training_over_a_stretch_is_playing_frame_by_frame(sizes, restarting):
    """In float32, where a stretch goes through the fused twin and a frame through the reference."""
    model, x = layer(**sizes), torch.randn(3, 20, 6)
    is_first = torch.rand(3, 20) < 0.2 if restarting else None
    whole, after = model(x, model.initial_state(3), is_first)
    state = model.initial_state(3)
    for t in range(20):
        y, state = model(x[:, t : t + 1], state, None if is_first is None else is_first[:, t : t + 1])
        assert torch.allclose(y, whole[:, t : t + 1], rtol=1e-4, atol=1e-5)
    for mine, theirs in zip(state, after, strict=True):
        assert mine.shape == theirs.shape
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_gradients_of_every_parameter_are_those_of_float64():
    model, exact = layer(size=24), layer(size=24).double()
    x = torch.randn(2, 30, 24)
    is_first = torch.rand(2, 30) < 0.1
    for each in (model, exact):
        dtype = each.D.dtype
        y, _ = each(x.to(dtype), each.initial_state(2), is_first)
        y.pow(2).sum().backward()
    for (name, mine), theirs in zip(model.named_parameters(), exact.parameters(), strict=True):
        error = (mine.grad.double() - theirs.grad).norm() / theirs.grad.norm()
        assert error < 1e-5, (name, float(error))


def test_a_layer_keeps_no_more_than_twelve_widths_a_frame():
    """Input 1, both halves 4, after the convolution 2, steps 2, what leaves 2, and the small product."""
    model, x = layer(size=128), torch.randn(4, 32, 128, requires_grad=True)
    kept: dict[int, int] = {}

    def keep(part: Tensor) -> Tensor:
        kept[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
        return part

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda part: part):
        model(x, model.initial_state(4))
    frames = sum(size for at, size in kept.items() if at not in {p.data_ptr() for p in model.parameters()})
    frames -= sum(part.nbytes for part in model.initial_state(4)) + model.A_log.nbytes
    assert frames / (4 * 4 * 32 * 128) <= 12


def test_bf16_trains_every_parameter():
    model, x = layer(size=16), torch.randn(2, 9, 16)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = model(x, model.initial_state(2))
        y, _ = model(x, state)
    y.float().pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("length", [1, 8])
def test_an_exported_graph_holds_torch_operations_only(length):
    model = layer().eval()
    given = torch.randn(2, length, 6), model.initial_state(2)
    graph = torch.export.export(model, given)
    expected, found = model(*given), graph.module()(*given)
    assert torch.allclose(expected[0], found[0], atol=1e-6)
    targets = {node.target for node in graph.graph.nodes if node.op == "call_function"} - {operator.getitem}
    assert {target.namespace for target in targets} == {"aten"}
