"""The fused scan and convolution beside their plain references in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from exphil.models import scan_kernels as kernels
from exphil.models.scan import SHORT, WORTH_A_THREAD, conv, conv_reference, scan, scan_reference

GIVEN = ("u", "dt", "bias", "a", "b", "c", "d", "z", "h")
BOUND = 1e-5  # relative, of every gradient
SIZES = [(3, 17, 40, 16), (2, 64, 96, 16), (1, 9, 5, 7), (2, SHORT, 3, 1)]


def scan_parts(batch: int, time: int, width: int, states: int, faster: float = 1.0, seed: int = 0) -> list[Tensor]:
    """Float32 inputs of a scan whose steps lie between 0.001 and 0.1, times ``faster``."""
    numbers = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=numbers, dtype=torch.float64)

    step = faster * 10 ** (2 * torch.rand(batch, time, width, generator=numbers, dtype=torch.float64) - 3)
    before_softplus = step + (-torch.expm1(-step)).log()
    a = -torch.arange(1.0, states + 1) * torch.exp(0.1 * normal(width, states))
    parts = [
        normal(batch, time, width), before_softplus + 4, torch.full((width,), -4.0), a,
        normal(batch, time, states), normal(batch, time, states), normal(width), normal(batch, time, width),
        normal(batch, width, states),
    ]  # fmt: skip
    return [part.float() for part in parts]


def conv_parts(batch: int, time: int, width: int, taps: int) -> list[Tensor]:
    numbers = torch.Generator().manual_seed(4)
    shapes = ((batch, time, width), (taps, width), (width,), (batch, taps - 1, width))
    return [torch.randn(*shape, generator=numbers) for shape in shapes]


def restarts(batch: int, time: int, kind: str) -> Tensor | None:
    if kind == "none":
        return None
    is_first = torch.rand(batch, time, generator=torch.Generator().manual_seed(2)) < 0.2
    is_first[0, 0] = is_first[0, time - 1] = True
    return is_first


def run(function, parts: list[Tensor], is_first: Tensor | None, dtype: torch.dtype) -> list[Tensor]:
    """Both results and the gradient of every input, of a sum that weighs each result differently."""
    parts = [part.to(dtype).requires_grad_() for part in parts]
    found = function(*parts, is_first)
    numbers = torch.Generator().manual_seed(3)
    weights = [torch.randn(part.shape, generator=numbers).to(dtype) for part in found]
    total = sum((part * weight).sum() for part, weight in zip(found, weights, strict=True))
    return [*(part.detach() for part in found), *torch.autograd.grad(total, parts)]


def relative(found: Tensor, exact: Tensor) -> float:
    assert found.shape == exact.shape
    return float((found.double() - exact).norm() / exact.norm().clamp(min=1e-30)) if exact.numel() else 0.0


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("faster", [1, 10, 1000])
@pytest.mark.parametrize("kind", ["none", "some"])
def test_the_scan_and_every_gradient_are_those_of_the_float64_reference(size, faster, kind):
    """At a thousand times the step most decays are far below the least float."""
    parts, is_first = scan_parts(*size, faster), restarts(*size[:2], kind)
    found = run(scan, parts, is_first, torch.float32)
    exact = run(scan_reference, parts, is_first, torch.float64)
    errors = {name: relative(*pair) for name, *pair in zip(("y", "after", *GIVEN), found, exact, strict=True)}
    assert {name: error for name, error in errors.items() if not error <= BOUND} == {}


@pytest.mark.parametrize("taps", [1, 2, 4, 6])
@pytest.mark.parametrize("kind", ["none", "some"])
@pytest.mark.parametrize("time", [SHORT, 13])
def test_the_convolution_and_every_gradient_are_those_of_the_float64_reference(taps, kind, time):
    parts, is_first = conv_parts(3, time, 37, taps), restarts(3, time, kind)
    found = run(conv, parts, is_first, torch.float32)
    exact = run(conv_reference, parts, is_first, torch.float64)
    assert max(relative(*pair) for pair in zip(found, exact, strict=True)) <= BOUND


@pytest.mark.parametrize("kind", ["none", "some"])
def test_a_state_carried_from_piece_to_piece_changes_nothing(kind):
    (u, dt, bias, a, b, c, d, z, h), is_first = scan_parts(3, 20, 9, 4), restarts(3, 20, kind)
    whole, after = scan(u, dt, bias, a, b, c, d, z, h, is_first)
    for start, stop in ((0, 7), (7, 8), (8, 20)):
        part = slice(start, stop)
        first = None if is_first is None else is_first[:, part]
        y, h = scan(u[:, part], dt[:, part], bias, a, b[:, part], c[:, part], d, z[:, part], h, first)
        assert torch.allclose(y, whole[:, part], rtol=1e-5, atol=1e-6)
    assert torch.allclose(h, after, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["none", "some"])
@pytest.mark.parametrize("taps", [1, 4])
def test_a_convolution_in_pieces_is_the_whole_one(kind, taps):
    """Pieces shorter than the taps reach among them."""
    (x, weight, bias, before), is_first = conv_parts(3, 20, 9, taps), restarts(3, 20, kind)
    whole, after = conv(x, weight, bias, before, is_first)
    for start, stop in ((0, 7), (7, 8), (8, 10), (10, 20)):
        part = slice(start, stop)
        y, before = conv(x[:, part], weight, bias, before, None if is_first is None else is_first[:, part])
        assert torch.allclose(y, whole[:, part], rtol=1e-5, atol=1e-6)
    assert torch.equal(before, after)


def test_a_half_of_a_wider_tensor_serves_as_it_is():
    u, dt, bias, a, b, c, d, z, h = scan_parts(2, 8, 6, 3)
    wide = torch.cat([u, z], -1)
    expected = scan(u, dt, bias, a, b, c, d, z, h, None)
    for gate in (wide[..., 6:], z.transpose(0, 1).contiguous().transpose(0, 1)):
        for mine, theirs in zip(scan(u, dt, bias, a, b, c, d, gate, h, None), expected, strict=True):
            assert torch.equal(mine, theirs)
    taps, bias, before = torch.randn(4, 6), torch.randn(6), torch.randn(2, 3, 6)
    assert torch.equal(conv(wide[..., :6], taps, bias, before, None)[0], conv(u, taps, bias, before, None)[0])


def test_the_number_of_threads_changes_no_bit():
    parts, is_first = scan_parts(6, 32, 4 * WORTH_A_THREAD // 192, 2), restarts(6, 32, "some")
    taps = conv_parts(*parts[0].shape, 3)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            found.append(run(scan, parts, is_first, torch.float32) + run(conv, taps, is_first, torch.float32))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(found[0], other, strict=True))


def test_nothing_with_states_at_every_frame_is_kept_for_the_way_back():
    parts = [part.requires_grad_() for part in scan_parts(2, 16, 32, 8)]
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda part: kept.append(part) or part, lambda part: part):
        scan(*parts, None)
    assert {part.data_ptr() for part in kept} == {part.data_ptr() for part in parts}


def test_under_autocast_half_precision_is_cast_up_and_gradients_come_back_in_it():
    u, dt, bias, a, b, c, d, z, h = scan_parts(2, 8, 40, 4)
    half = [part.bfloat16().requires_grad_() for part in (u, dt, b, c, z)]
    with torch.autocast("cpu", torch.bfloat16):
        u, dt, b, c, z = half
        y, after = scan(u, dt, bias, a, b, c, d, z, h, None)
    assert y.dtype == after.dtype == torch.float32
    exact = scan_reference(*(part.double() for part in (u, dt, bias, a, b, c, d, z, h)), None)
    assert relative(y.detach(), exact[0].detach()) <= BOUND
    assert [part.dtype for part in torch.autograd.grad(y.sum(), half)] == [torch.bfloat16] * 5


def test_a_second_derivative_is_refused_and_not_wrong():
    parts = [part.requires_grad_() for part in scan_parts(1, 5, 3, 2)]
    slope = torch.autograd.grad(scan(*parts, None)[0].pow(2).sum(), parts[0], create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


@pytest.mark.parametrize("index", range(9))
def test_a_shape_that_does_not_fit_is_refused(index):
    parts = scan_parts(2, 8, 6, 3)
    parts[index] = parts[index][..., :-1]
    with pytest.raises((ValueError, RuntimeError)):
        scan(*parts, None)


@pytest.mark.parametrize("index", range(4))
def test_a_shape_that_does_not_fit_a_convolution_is_refused(index):
    parts = conv_parts(2, 8, 6, 3)
    parts[index] = parts[index][..., :-1]
    with pytest.raises((ValueError, RuntimeError)):
        conv(*parts, None)


def test_the_functions_of_the_kernels_are_exact_to_a_few_units_in_the_last_place():
    x = np.concatenate([np.linspace(-90, 0, 4001), -np.geomspace(1e-9, 1, 500)]).astype(np.float32)
    both = np.concatenate([x, -x])
    for function, inputs, exact in (
        (kernels.power_of_two, x, np.exp2(x.astype(np.float64))),
        (kernels.softplus, both, np.logaddexp(0, both.astype(np.float64))),
        (kernels.sigmoid, both, np.exp(-np.logaddexp(0, -both.astype(np.float64)))),
    ):
        found = np.array([function(each) for each in inputs])
        error = np.abs(found / exact - 1)
        assert error[exact > 1e-5].max() < 1e-6
        assert error[exact > 1e-29].max() < 4e-6  # e^-60 shows the rounding of -60 / ln 2
        assert found[exact <= 1e-29].max(initial=0) < 1e-29
    assert kernels.power_of_two(np.float32(-1e30)) < 1e-30


def inputs_of_kernels() -> tuple[kernels.ScanInputs, kernels.ConvInputs, np.ndarray, np.ndarray]:
    """One row of three frames and five channels, two states and three taps, a restart among them."""
    numbers = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return numbers.standard_normal(shape).astype(np.float32)

    lanes, is_first = kernels.LANES, np.array([[False, False, True]])
    scanned = kernels.ScanInputs(
        normal(1, 3, 5), normal(1, 3, 5), normal(30), 10, normal(1, lanes), -abs(normal(1, 2, lanes)),
        normal(1, 3, 2), normal(1, 3, 2), normal(1, lanes), normal(1, 5, 2), is_first,
    )  # fmt: skip
    convolved = kernels.ConvInputs(normal(30), 10, normal(3, 5), normal(5), normal(1, 2, 5), is_first)
    return scanned, convolved, normal(1, 3, 5), normal(1, 5, 2)


def results_of_kernels(compiled: bool) -> list[np.ndarray]:
    def chosen(kernel):
        return kernel if compiled else kernel.py_func

    scanned, convolved, gy, gafter = inputs_of_kernels()
    y, after, mixed = np.zeros((1, 3, 5), np.float32), np.zeros((1, 5, 2), np.float32), np.zeros((1, 3, 5), np.float32)
    chosen(kernels.scan_forward)(0, 1, scanned, y, after)
    chosen(kernels.conv_forward)(0, 1, convolved, mixed)
    shapes = [y.shape] * 3 + [(1, *part.shape) for part in (scanned.bias, scanned.a)]
    shapes += [scanned.b.shape, scanned.c.shape, (1, *scanned.d.shape), scanned.h.shape]
    back = kernels.ScanGradients(*(np.zeros(shape, np.float32) for shape in shapes))
    chosen(kernels.scan_backward)(0, 1, scanned, gy, gafter, back)
    shapes = [y.shape, (1, 3, 5), (1, 5), convolved.before.shape]
    conv_back = kernels.ConvGradients(*(np.zeros(shape, np.float32) for shape in shapes))
    chosen(kernels.conv_backward)(0, 1, convolved, gy, conv_back)
    return [y, after, mixed, *back, *conv_back]


def test_the_compiled_kernels_do_what_their_python_says():
    for mine, theirs in zip(results_of_kernels(True), results_of_kernels(False), strict=True):
        assert np.abs(theirs).max() > 0
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_the_passes_over_the_states_do_what_their_python_says():
    """They are called by the kernels, so that those show only the compiled ones."""
    numbers = np.random.default_rng(1)
    found = []
    for again, back in ((kernels._again, kernels._back), (kernels._again.py_func, kernels._back.py_func)):
        numbers = np.random.default_rng(1)
        frames = numbers.random((3, kernels.FRAME_PARTS * kernels.LANES)).astype(np.float32)
        states = -numbers.random((2, kernels.STATE_PARTS * kernels.LANES)).astype(np.float32)
        kept, b, c, gb, gc = (
            numbers.random(shape).astype(np.float32) for shape in [(3, 2, 2 * kernels.LANES), *[(3, 2)] * 4]
        )
        is_first = np.array([False, True, False])
        again(frames, states, kept, b, c, is_first, gc)
        back(frames, states, kept, b, c, is_first, gb)
        found.append([frames, states, kept, gb, gc])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
