"""The two sequential parts of Mamba-1: the causal depthwise convolution and the selective scan.

Shapes: B batch, T time, E inner width, N ssm state, C conv taps, P = C - 1 frames before.

``conv`` and ``scan`` are what the layer calls. ``conv_reference`` and ``scan_reference`` say in plain torch what they
compute, for any dtype and device. On the processor, in float32 (or under autocast, which is cast up) and from ``SHORT``
frames on, fused twins of both take their place: passes compiled by numba, forward and adjoint, that keep nothing for
the way back but what they were given. A wrong shape can end anywhere in memory there, so it is refused first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from exphil.models import scan_kernels as kernels

SHORT = 4
"""Below so many frames the reference takes less time than the way into the twin."""
WORTH_A_THREAD = 1 << 18
"""Elements of (B, T, E) that keep a thread busy for longer than it takes to start one."""


def conv(
    x_BTE: Tensor, taps_CE: Tensor, bias_E: Tensor, before_BPE: Tensor, is_first_BT: Tensor | None
) -> tuple[Tensor, Tensor]:
    """``silu(bias + sum over c of taps[c] * x[t - P + c])``, each channel by itself.

    Args:
        x_BTE: What comes in.
        taps_CE: The last tap is that of the frame itself.
        bias_E: Added before the SiLU.
        before_BPE: The C - 1 frames before the first one, the oldest first; zeros at the start of a game.
        is_first_BT: True where a game begins: frames before it count as zeros.

    Returns:
        ``(B, T, E)`` and the frames before the next one, ``(B, P, E)``.
    """
    if not _is_for_the_twin(x_BTE, taps_CE, bias_E, before_BPE):
        return conv_reference(x_BTE, taps_CE, bias_E, before_BPE, is_first_BT)
    full = (part.float() for part in (x_BTE, taps_CE, bias_E, before_BPE))
    y_BTE: Tensor = _Conv.apply(*full, is_first_BT)  # type: ignore[no-untyped-call]
    return y_BTE, _last_frames(x_BTE, before_BPE, is_first_BT)


def scan(
    u_BTE: Tensor,
    dt_BTE: Tensor,
    bias_E: Tensor,
    a_EN: Tensor,
    b_BTN: Tensor,
    c_BTN: Tensor,
    d_E: Tensor,
    z_BTE: Tensor,
    h_BEN: Tensor,
    is_first_BT: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The selective scan with its step, skip and gate (A. Gu and T. Dao, "Mamba", 2023, equation 2 and figure 3).

    With ``s = softplus(dt + bias)``: ``h[t] = exp(s[t] a) h[t-1] + s[t] u[t] b[t]`` and
    ``y[t] = (c[t] . h[t] + d u[t]) silu(z[t])``.

    Args:
        u_BTE: What enters the state.
        dt_BTE: The length of a step before bias and softplus.
        bias_E: Added to ``dt_BTE``; apart from it so that it keeps its precision where products are bf16.
        a_EN: How fast each state decays; negative.
        b_BTN: How ``u`` enters the states.
        c_BTN: How the states are read.
        d_E: The share of ``u`` that passes by.
        z_BTE: The gate before its SiLU.
        h_BEN: The states before the first frame.
        is_first_BT: True where a game begins: ``h[t-1]`` counts as zero there.

    Returns:
        ``(B, T, E)`` and the states after the last frame, ``(B, E, N)``.
    """
    given = (u_BTE, dt_BTE, bias_E, a_EN, b_BTN, c_BTN, d_E, z_BTE, h_BEN)
    if not _is_for_the_twin(*given):
        return scan_reference(*given, is_first_BT)
    found: tuple[Tensor, Tensor] = _Scan.apply(*(part.float() for part in given), is_first_BT)  # type: ignore[no-untyped-call]
    return found


def conv_reference(
    x_BTE: Tensor, taps_CE: Tensor, bias_E: Tensor, before_BPE: Tensor, is_first_BT: Tensor | None
) -> tuple[Tensor, Tensor]:
    """See ``conv``."""
    length, past = x_BTE.shape[1], before_BPE.shape[1]
    known = torch.cat([before_BPE, x_BTE], 1)
    windows_BTCE = known[:, None] if length == 1 else known.unfold(1, past + 1, 1).transpose(2, 3)
    if is_first_BT is not None:
        frames_TC = torch.arange(-past, length, device=x_BTE.device).unfold(0, past + 1, 1)
        windows_BTCE = windows_BTCE.where((frames_TC >= _began(is_first_BT, past)[..., None])[..., None], 0)
    y_BTE = functional.silu((windows_BTCE * taps_CE).sum(2) + bias_E)
    return y_BTE, _last_frames(x_BTE, before_BPE, is_first_BT)


def _began(is_first_BT: Tensor, past: int) -> Tensor:
    """The frame with which the game of each frame began, ``-past`` where that was before the first."""
    time = torch.arange(is_first_BT.shape[1], device=is_first_BT.device)
    return torch.where(is_first_BT, time, -past).cummax(1).values


def _last_frames(x_BTE: Tensor, before_BPE: Tensor, is_first_BT: Tensor | None) -> Tensor:
    length, past = x_BTE.shape[1], before_BPE.shape[1]
    after_BPE = torch.cat([before_BPE, x_BTE[:, max(length - past, 0) :]], 1)[:, min(length, past) :]
    if is_first_BT is None:
        return after_BPE
    frames_P = torch.arange(length - past, length, device=x_BTE.device)
    return after_BPE.where((frames_P >= _began(is_first_BT, past)[:, -1:])[..., None], 0)


def scan_reference(
    u_BTE: Tensor,
    dt_BTE: Tensor,
    bias_E: Tensor,
    a_EN: Tensor,
    b_BTN: Tensor,
    c_BTN: Tensor,
    d_E: Tensor,
    z_BTE: Tensor,
    h_BEN: Tensor,
    is_first_BT: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """See ``scan``."""
    step_BTE = functional.softplus(dt_BTE + bias_E)
    enters_BTE = step_BTE * u_BTE
    frames = zip(step_BTE.unbind(1), enters_BTE.unbind(1), b_BTN.unbind(1), c_BTN.unbind(1), strict=True)
    read = []
    for time, (step_BE, enters_BE, b_BN, c_BN) in enumerate(frames):
        if is_first_BT is not None:
            h_BEN = h_BEN.masked_fill(is_first_BT[:, time, None, None], 0)
        h_BEN = torch.exp(step_BE[..., None] * a_EN) * h_BEN + enters_BE[..., None] * b_BN[:, None]
        read.append((h_BEN * c_BN[:, None]).sum(-1))
    return (torch.stack(read, 1) + d_E * u_BTE) * functional.silu(z_BTE), h_BEN


def _is_for_the_twin(entering: Tensor, *others: Tensor) -> bool:
    """Whether the compiled passes can do it, and faster. An exported graph knows nothing of them."""
    if entering.device.type != "cpu" or entering.shape[1] < SHORT or torch.compiler.is_exporting():
        return False
    cast = torch.is_autocast_enabled("cpu")
    return all(part.dtype == torch.float32 or (cast and part.dtype.itemsize < 4) for part in (entering, *others))


def _refuse(found: Sequence[Tensor], wanted: Sequence[tuple[int, ...]]) -> None:
    shapes = [tuple(part.shape) for part in found]
    if shapes != list(wanted):
        raise ValueError(f"shapes {shapes} where {list(wanted)} belong together")


def _share_out(kernel: Callable[..., None], elements: int, batch: int, *rest: Any) -> None:
    """Call a kernel for all rows of a batch, on as many threads as torch may use and as have enough to do.

    A pool for each call: one that outlived a fork would wait for threads that the child does not have.
    """
    threads = min(torch.get_num_threads(), batch, elements // WORTH_A_THREAD)
    if threads < 2:
        kernel(0, batch, *rest)
        return
    with ThreadPoolExecutor(threads) as pool:
        cuts = pairwise(batch * part // threads for part in range(threads + 1))
        for done in [pool.submit(kernel, first, stop, *rest) for first, stop in cuts]:
            done.result()


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().contiguous().numpy()
    return array


def _flat(tensor_BTE: Tensor) -> tuple[NDArray[np.float32], int]:
    """A tensor, or a half of a wider one, as one flat array and the distance of two frames in it; copied if need be."""
    batch, length, width = tensor_BTE.shape
    apart = tensor_BTE.stride(1)
    if tensor_BTE.stride() != (length * apart, apart, 1):
        tensor_BTE, apart = tensor_BTE.contiguous(), width
    span = max(batch * length - 1, 0) * apart + width
    return _array(tensor_BTE.detach().as_strided((span,), (1,))), apart


def _flags(is_first_BT: Tensor | None, batch: int, length: int) -> NDArray[np.bool_]:
    return np.zeros((batch, length), np.bool_) if is_first_BT is None else _array(is_first_BT)


def _tiles(channels: Tensor) -> NDArray[np.float32]:
    """``(E,)`` to ``(G, L)`` and ``(E, N)`` to ``(G, N, L)``, filled up with zeros."""
    rows = channels.detach().reshape(len(channels), -1)
    filled = functional.pad(rows, (0, 0, 0, -len(rows) % kernels.LANES))
    tiles = filled.view(-1, kernels.LANES, rows.shape[1]).transpose(1, 2)
    return _array(tiles if channels.ndim > 1 else tiles[:, 0])


def _untiled(tiles: NDArray[np.float32], channels: int) -> Tensor:
    """The sum over the batch of ``(B, G, L)`` or ``(B, G, N, L)``, as ``(E,)`` or ``(E, N)``."""
    total = torch.from_numpy(tiles).sum(0)
    return (total.flatten() if total.ndim == 2 else total.transpose(1, 2).flatten(0, 1))[:channels].contiguous()


class _Conv(torch.autograd.Function):
    """``conv`` without the frames that are left for the next call."""

    @staticmethod
    def forward(
        ctx: Any, x_BTE: Tensor, taps_CE: Tensor, bias_E: Tensor, before_BPE: Tensor, is_first_BT: Tensor | None
    ) -> Tensor:
        batch, length, width = x_BTE.shape
        past = before_BPE.shape[1]
        _refuse([taps_CE, bias_E, before_BPE], [(past + 1, width), (width,), (batch, past, width)])
        ctx.save_for_backward(x_BTE, taps_CE, bias_E, before_BPE, is_first_BT)
        y_BTE = np.empty((batch, length, width), np.float32)
        given = _conv_inputs(x_BTE, taps_CE, bias_E, before_BPE, is_first_BT)
        _share_out(kernels.conv_forward, y_BTE.size, batch, given, y_BTE)
        return torch.from_numpy(y_BTE)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy_BTE: Tensor) -> tuple[Tensor | None, ...]:
        x_BTE, taps_CE, bias_E, before_BPE, is_first_BT = ctx.saved_tensors
        batch = len(x_BTE)
        shapes = (x_BTE.shape, (batch, *taps_CE.shape), (batch, *bias_E.shape), before_BPE.shape)
        found = kernels.ConvGradients(*(np.zeros(tuple(shape), np.float32) for shape in shapes))
        given = _conv_inputs(x_BTE, taps_CE, bias_E, before_BPE, is_first_BT)
        _share_out(kernels.conv_backward, x_BTE.numel(), batch, given, _array(gy_BTE), found)
        gx_BTE, gtaps_BCE, gbias_BE, gbefore_BPE = map(torch.from_numpy, found)
        return gx_BTE, gtaps_BCE.sum(0), gbias_BE.sum(0), gbefore_BPE, None


def _conv_inputs(
    x_BTE: Tensor, taps_CE: Tensor, bias_E: Tensor, before_BPE: Tensor, is_first_BT: Tensor | None
) -> kernels.ConvInputs:
    flags = _flags(is_first_BT, *x_BTE.shape[:2])
    return kernels.ConvInputs(*_flat(x_BTE), _array(taps_CE), _array(bias_E), _array(before_BPE), flags)


class _Scan(torch.autograd.Function):
    """``scan``."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor | None) -> tuple[Tensor, Tensor]:
        u_BTE, h_BEN = given[0], given[8]
        assert u_BTE is not None and h_BEN is not None
        (batch, length, width), states = u_BTE.shape, h_BEN.shape[-1]
        frame, in_and_out = (batch, length, width), (batch, length, states)
        _refuse(
            [part for part in given[:9] if part is not None],
            [frame, frame, (width,), (width, states), in_and_out, in_and_out, (width,), frame, (batch, width, states)],
        )
        ctx.save_for_backward(*given)
        y_BTE, after_BEN = np.empty(frame, np.float32), np.empty((batch, width, states), np.float32)
        _share_out(kernels.scan_forward, y_BTE.size, batch, _scan_inputs(given), y_BTE, after_BEN)
        return torch.from_numpy(y_BTE), torch.from_numpy(after_BEN)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy_BTE: Tensor, gafter_BEN: Tensor) -> tuple[Tensor | None, ...]:
        given = _scan_inputs(ctx.saved_tensors)
        batch, channels = len(given.u), given.u.shape[2]
        empty = np.empty_like
        found = kernels.ScanGradients(
            empty(given.u), empty(given.u), empty(given.u),
            np.empty((batch, *given.bias.shape), np.float32), np.empty((batch, *given.a.shape), np.float32),
            empty(given.b), empty(given.c), np.empty((batch, *given.d.shape), np.float32),
            empty(given.h),
        )  # fmt: skip
        _share_out(kernels.scan_backward, given.u.size, batch, given, _array(gy_BTE), _array(gafter_BEN), found)
        gu, gdt, gz, gb, gc, gh = map(torch.from_numpy, (found.u, found.dt, found.z, found.b, found.c, found.h))
        gbias, ga, gd = (_untiled(part, channels) for part in (found.bias, found.a, found.d))
        return gu, gdt, gbias, ga, gb, gc, gd, gz, gh, None


def _scan_inputs(given: Sequence[Any]) -> kernels.ScanInputs:
    u_BTE, dt_BTE, bias_E, a_EN, b_BTN, c_BTN, d_E, z_BTE, h_BEN, is_first_BT = given
    return kernels.ScanInputs(
        _array(u_BTE), _array(dt_BTE), *_flat(z_BTE), _tiles(bias_E), _tiles(a_EN * float(kernels.LOG2_E)),
        _array(b_BTN), _array(c_BTN), _tiles(d_E), _array(h_BEN), _flags(is_first_BT, *u_BTE.shape[:2]),
    )  # fmt: skip
