"""Mamba-2: the matrix form says what the recurrence says, in numbers and gradients, across restarts."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from exphil.models.backbone import State
from exphil.models.mamba2 import Mamba2
from exphil.models.ssd import gated_norm, scan_chunk

SIZE, BATCH, TIME = 12, 5, 17  # more games than are computed at once, and not a multiple of it
EXACT = 1e-12


def layer(chunk: int = 64, size: int = SIZE, seed: int = 0) -> Mamba2:
    torch.manual_seed(seed)
    return Mamba2(size, state_size=8, head_size=8, chunk=chunk).double()


def frames(length: int = TIME, size: int = SIZE, batch: int = BATCH) -> Tensor:
    return torch.randn(batch, length, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def some_restarts() -> Tensor:
    is_first = torch.zeros(BATCH, TIME, dtype=torch.bool)
    is_first[0, 0] = is_first[1, 5] = is_first[2, 5] = is_first[1, 6] = is_first[0, 16] = is_first[4, 15] = True
    return is_first


def in_pieces(
    model: Mamba2, x: Tensor, is_first: Tensor | None, cuts: list[int], state: State | None = None
) -> tuple[Tensor, State]:
    state, parts = model.initial_state(len(x)) if state is None else state, []
    for start, stop in pairwise(cuts):
        y, state = model(x[:, start:stop], state, None if is_first is None else is_first[:, start:stop])
        parts.append(y)
    return torch.cat(parts, 1), state


def as_published(model: Mamba2, x: Tensor) -> Tensor:
    """One row, frame by frame, head by head."""
    heads = len(model.D)
    inner = model.out_proj.in_features
    size, states = inner // heads, (model.taps.shape[1] - inner) // 2
    z, mixed, dt = model.in_proj(x).split([inner, inner + 2 * states, heads], -1)
    taps, h, out = len(model.taps), torch.zeros(heads, size, states, dtype=x.dtype), []
    for t in range(len(x)):
        total = model.taps_bias.clone()
        for k in range(taps):
            if t - taps + 1 + k >= 0:
                total = total + model.taps[k] * mixed[t - taps + 1 + k]
        u, b, c = functional.silu(total).split([inner, states, states])
        y = []
        for head in range(heads):
            step = functional.softplus(dt[t, head] + model.dt_bias[head])
            own = u[head * size : (head + 1) * size]
            h[head] = torch.exp(-step * model.A_log[head].exp()) * h[head] + step * torch.outer(own, b)
            y.append(h[head] @ c + model.D[head] * own)
        gated = torch.cat(y) * functional.silu(z[t])
        out.append(model.out_proj(gated * torch.rsqrt(gated.square().mean() + 1e-5) * model.norm.weight))
    return torch.stack(out)


@torch.no_grad()
def test_it_is_the_published_recurrence():
    model, x = layer(), frames(batch=1)
    y, _ = model(x, model.initial_state(1))
    assert torch.allclose(y[0], as_published(model, x[0]), rtol=0, atol=EXACT)


def test_it_begins_with_the_published_numbers():
    torch.manual_seed(0)
    model = Mamba2(1024, head_size=2)
    step, rate = functional.softplus(model.dt_bias.detach()), model.A_log.detach().exp()
    assert step.min() >= 0.00099 and step.max() <= 0.101 and abs(float(step.log10().mean()) + 2) < 0.1
    assert rate.min() >= 1 and rate.max() <= 16.001 and abs(float(rate.mean()) - 8.5) < 0.5
    assert torch.equal(model.D.detach(), torch.ones(1024))


@torch.inference_mode()
@pytest.mark.parametrize("chunk", [1, 4, 5, 64])
@pytest.mark.parametrize("is_first", [None, some_restarts(), torch.ones(BATCH, TIME, dtype=torch.bool)])
def test_whole_equals_steps_equals_chunks(chunk, is_first):
    model, x = layer(chunk), frames()
    whole, after = in_pieces(model, x, is_first, [0, TIME])
    for cuts in (list(range(TIME + 1)), [0, 5, 6, 16, 17], [0, 1, 17]):
        y, state = in_pieces(model, x, is_first, cuts)
        assert torch.allclose(y, whole, rtol=0, atol=EXACT)
        for mine, theirs in zip(state, after, strict=True):
            assert torch.allclose(mine, theirs, rtol=0, atol=EXACT)


@torch.inference_mode()
def test_the_future_cannot_leak():
    model, x = layer(chunk=6), frames()
    changed = x.clone()
    changed[:, 9] += 1
    before, after = (in_pieces(model, part, None, [0, TIME])[0] for part in (x, changed))
    assert torch.equal(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 16], after[:, 16], atol=1e-9)


@torch.inference_mode()
def test_a_restart_forgets_everything_before():
    model, x = layer(), frames()
    is_first = torch.zeros(BATCH, TIME, dtype=torch.bool)
    is_first[1, 8] = True
    restarted, _ = in_pieces(model, x, is_first, [0, TIME])
    going_on, _ = in_pieces(model, x, None, [0, TIME])
    fresh, _ = in_pieces(model, x[:, 8:], None, [0, TIME - 8])
    assert torch.allclose(restarted[1, 8:], fresh[1], rtol=0, atol=EXACT)
    assert torch.allclose(restarted[[0, 2, 3, 4]], going_on[[0, 2, 3, 4]], rtol=0, atol=EXACT)
    assert not torch.allclose(restarted[1, 8:], going_on[1, 8:], atol=1e-6)


@torch.inference_mode()
def test_a_long_game_is_as_exact_as_its_first_second():
    """5,000 single frames in single precision against the whole at once."""
    model = layer().float()
    x = frames(5000, batch=1).float()
    whole, after = in_pieces(model, x, None, [0, 5000])
    steps, state = in_pieces(model, x, None, list(range(5001)))
    assert torch.allclose(steps, whole, rtol=0, atol=1e-5)
    assert torch.allclose(state[1], after[1], rtol=1e-5, atol=1e-5)


def gradients(model: Mamba2, is_first: Tensor | None, cuts: list[int]) -> dict[str, Tensor]:
    """Of a random sum of outputs and of the last state, by parameters, inputs and the first state."""
    dtype, draw = model.D.dtype, torch.Generator().manual_seed(5)
    length, size = cuts[-1], model.output_size

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw).to(dtype)

    x = drawn(BATCH, length, size).requires_grad_()
    first = tuple(drawn(*part.shape).requires_grad_() for part in model.initial_state(BATCH))
    y, last = in_pieces(model, x, is_first, cuts, first)
    model.zero_grad()
    ((y * drawn(*y.shape)).sum() + sum((part * drawn(*part.shape)).sum() for part in last)).backward()
    found = {"x": x.grad, "before": first[0].grad, "memory": first[1].grad}
    return found | {key: p.grad.clone() for key, p in model.named_parameters()}


@pytest.mark.parametrize("faster", [1, 10])
@pytest.mark.parametrize("restarts", [False, True])
def test_gradients_in_single_precision_are_those_of_the_recurrence_in_double(faster, restarts):
    """The matrix form against single steps: 1e-5 of each gradient, also at ten times the usual step sizes."""
    torch.manual_seed(0)
    model = Mamba2(64, state_size=16, head_size=16)
    with torch.no_grad():
        model.dt_bias.copy_((functional.softplus(model.dt_bias) * faster).expm1().log())
    is_first = torch.rand(BATCH, 64, generator=torch.Generator().manual_seed(2)) < 0.03 if restarts else None
    mine = gradients(model, is_first, [0, 64])
    reference = gradients(model.double(), is_first, list(range(65)))
    for key, exact in reference.items():
        assert (mine[key] - exact).norm() <= 1e-5 * exact.norm(), key


def test_the_derivatives_of_chunk_and_gate_are_exact():
    torch.manual_seed(0)
    length, heads, size, states = 5, 2, 3, 2
    mixed = torch.randn(3, length, heads * size + 2 * states, dtype=torch.float64, requires_grad=True)
    dt = torch.rand(3, length, heads, dtype=torch.float64, requires_grad=True)
    a, skip = (torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([-1.0, -4.0], [1.0, 0.5]))
    h = torch.randn(3, heads, size, states, dtype=torch.float64, requires_grad=True)
    is_first = torch.zeros(3, length, dtype=torch.bool)
    is_first[1, 2] = is_first[2, 0] = True
    assert torch.autograd.gradcheck(lambda *given: scan_chunk(*given, is_first), (mixed, dt, a, skip, h))
    y, z = (torch.randn(3, length, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weight = torch.rand(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *given: gated_norm(*given, 1e-5), (y, z, weight))


def test_nothing_overflows_where_memory_dies_within_a_frame():
    """Decays of exp(-1,000) a frame, and restarts among them: numbers and gradients stay finite."""
    model = layer().float()
    with torch.no_grad():
        model.dt_bias.fill_(100.0)
        model.A_log.fill_(math.log(10.0))
    x = frames().float().requires_grad_()
    y, state = model(x, model.initial_state(BATCH), some_restarts())
    (y.sum() + state[1].sum()).backward()
    for tensor in (y, state[1], x.grad, *(p.grad for p in model.parameters())):
        assert torch.isfinite(tensor).all()


def test_every_parameter_gets_a_gradient():
    model = layer(chunk=5)
    y, _ = model(frames(), model.initial_state(BATCH), some_restarts())
    y.pow(3).sum().backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@torch.inference_mode()
@pytest.mark.parametrize("size", [1, 3, 7, 11, 32])
def test_any_width_finds_a_head_size(size):
    model = Mamba2(size, state_size=4).double()
    y, state = model(frames(4, size), model.initial_state(BATCH))
    steps, _ = in_pieces(model, frames(4, size), None, [0, 1, 2, 3, 4])
    assert torch.allclose(y, steps, rtol=0, atol=EXACT)
    assert state[1].shape[1] * state[1].shape[2] == 2 * size


@torch.inference_mode()
def test_the_state_never_changes_its_size():
    model = layer(chunk=7)
    state = model.initial_state(BATCH)
    shapes = [part.shape for part in state]
    assert all(shape[0] == BATCH for shape in shapes)
    for length in (1, 2, 40):
        _, state = model(frames(length), state)
        assert [part.shape for part in state] == shapes


def with_rounded_projections(model: Mamba2) -> Mamba2:
    """The same layer, all in single precision, whose two products take and give numbers of bfloat16."""

    def rounded(tensor: Tensor) -> Tensor:
        return tensor.bfloat16().float()

    model = copy.deepcopy(model)
    for product in (model.in_proj, model.out_proj):
        product.weight.data = rounded(product.weight.data)
        product.register_forward_pre_hook(lambda _, given: (rounded(given[0]),))
        product.register_forward_hook(lambda _, __, made: rounded(made))
    return model


@pytest.mark.parametrize("length", [1, 17, 128])
def test_under_autocast_nothing_but_the_projections_loses_precision(length):
    """0.5% is lost by the projections; the gate and norm alone in bfloat16 would lose as much again."""
    model, x = layer().float(), frames(length).float()
    wanted, memory = with_rounded_projections(model)(x, model.initial_state(BATCH))
    with torch.autocast("cpu", torch.bfloat16):
        y, state = model(x, model.initial_state(BATCH))
        y.float().pow(2).sum().backward()
    for mine, theirs in zip((y.float(), *state), (wanted, *memory), strict=True):
        assert (mine - theirs).norm() <= 5e-4 * theirs.norm()
    assert all(part.dtype == torch.float32 for part in state)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
