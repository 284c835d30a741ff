"""Sliding-window attention: what is seen, how positions count, and that every kernel says the same."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from exphil.errors import ExphilError
from exphil.models import attention_kernels as kernels
from exphil.models.attention import Attention, ages
from exphil.models.backbone import State

SIZE, HEADS, BATCH, TIME = 16, 2, 3, 17
KERNELS = ("plain", "chunked", "memory_efficient", "flash")
EXACT = 1e-12


def layer(window: int, kernel: str = "plain", size: int = SIZE, chunk: int = 5, norm: bool = True) -> Attention:
    torch.manual_seed(0)
    return Attention(size, HEADS, window, qk_layernorm=norm, kernel=kernel, chunk_size=chunk).double()


def frames(length: int = TIME, size: int = SIZE, batch: int = BATCH) -> Tensor:
    return torch.randn(batch, length, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def some_restarts(length: int = TIME) -> Tensor:
    is_first = torch.zeros(BATCH, length, dtype=torch.bool)
    is_first[0, 0] = is_first[1, 5] = is_first[2, 5] = is_first[1, 6] = is_first[0, 16] = True
    return is_first


def in_pieces(model: Attention, x: Tensor, is_first: Tensor | None, cuts: list[int]) -> tuple[Tensor, State]:
    state, parts = model.initial_state(len(x)), []
    for start, stop in pairwise(cuts):
        y, state = model(x[:, start:stop], state, None if is_first is None else is_first[:, start:stop])
        parts.append(y)
    return torch.cat(parts, 1), state


def written_out(model: Attention, x: Tensor, window: int) -> Tensor:
    """Frame by frame, with complex numbers, from distances alone; one row, no restart."""
    size = SIZE // HEADS
    period = 2 ** math.ceil(math.log2(16 * window))
    turns = [max(round((period / (2 * math.pi)) ** (1 - 2 * i / size)), 1) for i in range(size // 2)]
    rates = torch.tensor(turns, dtype=torch.float64) * (2 * math.pi / period)
    q, k, v = model.qkv(x).view(len(x), 3, HEADS, size).unbind(1)
    q, k = model.norm_q(q), model.norm_k(k)
    out = []
    for t in range(len(x)):
        seen = range(max(0, t - window + 1), t + 1)
        mixed = torch.zeros(HEADS, size, dtype=torch.float64)
        for head in range(HEADS):
            scores = []
            for s in seen:
                here, there = (torch.complex(p[: size // 2], p.flip(-1)[: size // 2]) for p in (q[t, head], k[s, head]))
                turned = here * there.conj() * torch.polar(torch.ones_like(rates), rates * (t - s))
                scores.append(turned.real.sum() / math.sqrt(size))
            weights = torch.stack(scores).softmax(0)
            mixed[head] = sum(weight * v[s, head] for weight, s in zip(weights, seen, strict=True))
        out.append(model.out(mixed.flatten()))
    return torch.stack(out)


@torch.no_grad()
@pytest.mark.parametrize("window", [1, 4, 30])
def test_it_is_what_its_definition_says(window):
    """To single precision: the table of turns is kept in it."""
    model, x = layer(window), frames(batch=1)
    y, _ = model(x, model.initial_state(1))
    assert torch.allclose(y[0], written_out(model, x[0], window), rtol=0, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("window", [1, 4, 6, 30])
@pytest.mark.parametrize("is_first", [None, some_restarts(), torch.ones(BATCH, TIME, dtype=torch.bool)])
def test_whole_equals_steps_equals_chunks(kernel, window, is_first):
    """Also for a window of one frame, and one longer than the game."""
    model, x = layer(window, kernel), frames()
    whole, after = in_pieces(model, x, is_first, [0, TIME])
    for cuts in (list(range(TIME + 1)), [0, 5, 6, 16, 17], [0, 1, 17]):
        y, state = in_pieces(model, x, is_first, cuts)
        assert torch.allclose(y, whole, rtol=0, atol=EXACT)
        assert torch.equal(state[2], after[2])
        for mine, theirs in zip(state[:2], after[:2], strict=True):
            assert torch.allclose(mine, theirs, rtol=0, atol=EXACT)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("window", [1, 7, 40])
@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_every_kernel_gives_the_numbers_and_gradients_of_the_plain_one(kernel, window, chunk):
    """With a filled cache and restarts, and chunks that do not divide the frames."""

    def run(name: str) -> list[Tensor]:
        model, x, state = (
            layer(window, name, chunk=chunk),
            frames().requires_grad_(),
            layer(window).initial_state(BATCH),
        )
        _, state = model(frames(9), state)
        y, _ = model(x, state, some_restarts())
        y.pow(3).sum().backward()
        return [y, x.grad, *(p.grad for p in model.parameters())]

    for mine, plain in zip(run(kernel), run("plain"), strict=True):
        assert torch.allclose(mine, plain, rtol=1e-11, atol=1e-11)


def test_the_memory_efficient_gradient_is_the_derivative():
    q, k, v = (torch.randn(2, 2, n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 8, 8))
    age = ages(torch.tensor([9, 1]), 5, torch.tensor([[False] * 5, [False, False, True, False, False]]))
    assert torch.autograd.gradcheck(lambda *args: kernels.memory_efficient(*args, age, 4, 3), (q, k, v))


def test_memory_efficient_keeps_nothing_that_grows_with_both_frames_and_window():
    length, kept = 64, []
    q, k, v = (torch.randn(2, 2, n, 4, requires_grad=True) for n in (length, 2 * length - 1, 2 * length - 1))
    age = torch.arange(length).expand(2, length)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        kernels.memory_efficient(q, k, v, age, length, 16)
    assert max(kept) <= k.numel() < 2 * 2 * length * length


@pytest.mark.filterwarnings("ignore")  # torch's own reasons
def test_flash_without_a_kernel_says_so():
    x = torch.zeros(1, 2, 4, 8, dtype=torch.int32)
    with pytest.raises(ExphilError, match=r"no kernel for torch\.int32 on cpu"):
        kernels.flash(x, x, x, torch.zeros(1, 4, dtype=torch.int64), 1)


@torch.inference_mode()
@pytest.mark.parametrize("kernel", KERNELS)
def test_exactly_the_last_frames_are_seen(kernel):
    """Frame 3 counts for frames 3 to 6 of a window of 4: none before, none after."""
    model, x = layer(4, kernel), frames()
    changed = x.clone()
    changed[:, 3] += 1
    before, after = (in_pieces(model, part, None, [0, TIME])[0] for part in (x, changed))
    differs = [not torch.allclose(before[:, t], after[:, t], atol=1e-9) for t in range(TIME)]
    assert differs == [3 <= t <= 6 for t in range(TIME)]


@torch.inference_mode()
def test_a_restart_forgets_everything_before():
    model, x = layer(6), frames()
    is_first = torch.zeros(BATCH, TIME, dtype=torch.bool)
    is_first[1, 8] = True
    restarted, state = in_pieces(model, x, is_first, [0, 5, TIME])
    going_on, _ = in_pieces(model, x, None, [0, TIME])
    fresh, _ = in_pieces(model, x[:, 8:], None, [0, TIME - 8])
    assert torch.allclose(restarted[1, 8:], fresh[1], rtol=0, atol=EXACT)
    assert torch.allclose(restarted[[0, 2]], going_on[[0, 2]], rtol=0, atol=EXACT)
    assert not torch.allclose(restarted[1, 8:], going_on[1, 8:], atol=1e-6)
    assert state[2].tolist() == [17, 9, 17]


@torch.inference_mode()
def test_only_distances_count():
    """The same frames late in a game and later still give the same; to the precision of the table of turns."""
    model, x = layer(6), frames()
    late, _ = in_pieces(model, torch.cat([frames(40) + 1, x], 1), None, [0, 40 + TIME])
    later, _ = in_pieces(model, torch.cat([frames(151) - 1, x], 1), None, [0, 151 + TIME])
    assert torch.allclose(late[:, -10:], later[:, -10:], rtol=0, atol=1e-6)


@torch.inference_mode()
def test_a_long_game_is_as_exact_as_its_first_second():
    """5,000 single frames in single precision against the whole at once."""
    model = layer(8).float()
    x = frames(5000, batch=1).float()
    whole, _ = model(x, model.initial_state(1))
    steps, state = in_pieces(model, x, None, list(range(5001)))
    assert torch.allclose(steps, whole, rtol=0, atol=1e-5)
    assert state[2].item() == 5000


@torch.inference_mode()
def test_the_state_never_changes_its_size():
    model = layer(9)
    state = model.initial_state(BATCH)
    shapes = [part.shape for part in state]
    assert all(shape[0] == BATCH for shape in shapes)
    for length in (1, 2, 40):
        _, state = model(frames(length), state)
        assert [part.shape for part in state] == shapes


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [16, 6])
def test_every_parameter_gets_a_gradient(kernel, size):
    """Also where a head is of odd size, whose middle number does not turn."""
    model = layer(5, kernel, size)
    y, _ = model(frames(size=size), model.initial_state(BATCH), some_restarts())
    y.pow(3).sum().backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize(("size", "window", "chunk"), [(15, 4, 8), (16, 0, 8), (16, 4, 0)])
def test_sizes_that_do_not_fit_are_refused(size, window, chunk):
    with pytest.raises(ValueError, match=f"width {size}"):
        Attention(size, HEADS, window, qk_layernorm=False, chunk_size=chunk)


def test_the_age_of_a_frame_counts_from_its_own_game():
    is_first = torch.tensor([[False, False, True, False], [True, False, False, True], [False] * 4])
    assert ages(torch.tensor([7, 7, 0]), 4, is_first).tolist() == [[7, 8, 0, 1], [0, 1, 2, 0], [0, 1, 2, 3]]
    assert ages(torch.tensor([7]), 3, None).tolist() == [[7, 8, 9]]


def test_under_autocast_the_cache_keeps_its_precision():
    model, x = layer(6, norm=False).float(), frames().float()
    exact, _ = model(x, model.initial_state(BATCH), some_restarts())
    for kernel in KERNELS:
        model = layer(6, kernel, norm=False).float()
        with torch.autocast("cpu", torch.bfloat16):
            y, state = model(x, model.initial_state(BATCH), some_restarts())
        assert state[0].dtype == state[1].dtype == torch.float32
        assert torch.allclose(y.float(), exact, rtol=0, atol=0.05)
