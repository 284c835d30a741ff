"""The matrix form of Mamba-2's recurrence over one chunk, and the gate after it; both with their own backward.

Shapes: B batch, R games computed at once, L frames of the chunk, E inner width, H heads, K head size, N ssm state.

With ``cs`` the running sum of ``dt A`` in the chunk, frame j reaches frame i >= j of the same game with weight
``exp(cs[i] - cs[j])``, and the memory carried in reaches frame i with ``exp(cs[i])`` while no game began (Dao & Gu
2024, section 6). Every exponent is at most 0, so nothing overflows, with or without a restart.

Gradients of ``cs`` are sums of differences. A frame reaches itself with weight 1 whatever ``cs`` is; leaving that out
keeps large equal terms from cancelling (at ten times the usual step sizes the gradient of A is 8 times as exact).

The backward computes the weights again instead of keeping ``L x L`` numbers a head. On a processor a few games at a
time are computed, so that what is in between stays in its cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

GAMES = 2
"""Games that a thread of the processor takes at once; 1, 4 and 8 take up to 5% longer."""


def scan_chunk(
    mixed_BLM: Tensor, dt_BLH: Tensor, a_H: Tensor, skip_H: Tensor, h_BHKN: Tensor, is_first_BL: Tensor | None
) -> tuple[Tensor, Tensor]:
    """``h[t] = exp(dt a) h[t - 1] + dt x[t] b[t]^T`` and ``y[t] = h[t] c[t] + skip x[t]`` for L frames.

    Args:
        mixed_BLM: x, b and c side by side, ``E + N + N`` wide: inputs, what they are written with, what the memory
            is read with.
        dt_BLH: Step sizes, above 0.
        a_H: Rates of decay, below 0.
        skip_H: Share of the input that goes straight to the output.
        h_BHKN: The memory before the first frame.
        is_first_BL: True where a game begins: the memory is 0 before that frame.

    Returns:
        y ``(B, L, E)`` and the memory after the last frame.
    """
    game_BL = None if is_first_BL is None else is_first_BL.cumsum(1)
    y_BLE, h_BHKN = _Chunk.apply(mixed_BLM, dt_BLH, a_H, skip_H, h_BHKN, game_BL)  # type: ignore[no-untyped-call]
    return y_BLE, h_BHKN


def gated_norm(y_BLE: Tensor, z_BLE: Tensor, weight_E: Tensor, eps: float) -> Tensor:
    """RMS norm of ``y * silu(z)``: Mamba-2's gate."""
    out_BLE: Tensor = _GatedNorm.apply(y_BLE, z_BLE, weight_E, eps)  # type: ignore[no-untyped-call]
    return out_BLE


class _Given(NamedTuple):
    """What ``scan_chunk`` was given, for the games computed at once.

    Attributes:
        x: ``(R, L, H, K)``.
        b: ``(R, L, N)``.
        c: ``(R, L, N)``.
        dt: ``(R, L, H)``.
        a: ``(H,)``.
        skip: ``(H,)``.
        h: ``(R, H, K, N)``.
        game: ``(R, L)``: games begun in this chunk up to each frame; None where none begins.
    """

    x: Tensor
    b: Tensor
    c: Tensor
    dt: Tensor
    a: Tensor
    skip: Tensor
    h: Tensor
    game: Tensor | None


class _Weights(NamedTuple):
    """How frames reach frames.

    Attributes:
        between: ``exp(cs[i] - cs[j])``, and 1 where j comes later, ``(R, H, L, L)``.
        match: ``c[i] b[j]``, and 0 where j does not count, ``(R, L, L)``.
        counts: 1 where j comes no later and lies in the same game, else 0; ``(1 or R, L, L)``.
        carried: How the memory carried in reaches each frame, ``(R, H, L)``.
        last: How each frame reaches the memory carried out, ``(R, H, L)``.
    """

    between: Tensor
    match: Tensor
    counts: Tensor
    carried: Tensor
    last: Tensor


def parts(mixed_BLM: Tensor, h_BHKN: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What lies side by side: x ``(B, L, H, K)``, b and c ``(B, L, N)``."""
    _, heads, size, state = h_BHKN.shape
    x_BLE, b_BLN, c_BLN = torch.split(mixed_BLM, [heads * size, state, state], -1)
    return x_BLE.view(*mixed_BLM.shape[:2], heads, size), b_BLN, c_BLN


def _slices(batch: Tensor) -> list[slice]:
    """A batch in pieces on a processor, whole elsewhere."""
    games = GAMES * torch.get_num_threads() if batch.device.type == "cpu" else max(len(batch), 1)
    return [slice(start, start + games) for start in range(0, len(batch), games)]


def _given(rows: slice, mixed: Tensor, dt: Tensor, a: Tensor, skip: Tensor, h: Tensor, game: Tensor | None) -> _Given:
    return _Given(*parts(mixed[rows], h), dt[rows], a, skip, h[rows], None if game is None else game[rows])


def _weights(given: _Given) -> _Weights:
    cs_RHL = (given.dt * given.a).transpose(1, 2).contiguous().cumsum(-1)
    between = (cs_RHL[..., :, None] - cs_RHL[..., None, :]).clamp_max_(0).exp_()
    carried, last = cs_RHL.exp(), between[:, :, -1]
    length = cs_RHL.shape[-1]
    counts = torch.ones(length, length, dtype=cs_RHL.dtype, device=cs_RHL.device).tril()[None]
    if given.game is not None:
        counts = counts * (given.game[:, :, None] == given.game[:, None])
        carried = carried * (given.game == 0)[:, None]
        last = last * counts[:, None, -1]
    return _Weights(between, (given.c @ given.b.transpose(1, 2)) * counts, counts, carried, last)


class _Chunk(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mixed: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(mixed, *rest)
        h = rest[3]
        y, after = mixed.new_empty(*mixed.shape[:2], *h.shape[1:3]), torch.empty_like(h)
        with torch.autocast(mixed.device.type, enabled=False):
            for rows in _slices(mixed):
                y[rows], after[rows] = _forward(_given(rows, mixed, *rest))
        return y.flatten(2), after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        mixed, dt, a_H, skip_H, h, game = ctx.saved_tensors
        grad_y, grad_h = grads
        d_mixed, d_dt, d_h = torch.empty_like(mixed), torch.empty_like(dt), torch.empty_like(h)
        d_a, d_skip = torch.zeros_like(a_H), torch.zeros_like(skip_H)
        if grad_y is None:
            grad_y = mixed.new_zeros(*mixed.shape[:2], h.shape[1] * h.shape[2])
        with torch.autocast(mixed.device.type, enabled=False):
            for rows in _slices(mixed):
                given = _given(rows, mixed, dt, a_H, skip_H, h, game)
                grad = grad_y[rows].unflatten(-1, h.shape[1:3])
                into = parts(d_mixed[rows], h)
                d_dt[rows], a, skip, d_h[rows] = _backward(given, grad, None if grad_h is None else grad_h[rows], into)
                d_a += a
                d_skip += skip
        return d_mixed, d_dt, d_a, d_skip, d_h, None


def _forward(given: _Given) -> tuple[Tensor, Tensor]:
    x, b, c, dt, _, skip_H, h, _ = given
    between, match, _, carried, last = _weights(given)
    entering_RHLK = (x * dt[..., None]).transpose(1, 2).contiguous()
    within_RHLK = (between * match[:, None]) @ entering_RHLK
    y = torch.addcmul(within_RHLK.transpose(1, 2), x, skip_H[:, None])
    y.addcmul_((c @ h.flatten(1, 2).transpose(1, 2)).view(y.shape), carried.transpose(1, 2)[..., None])
    kept = (x * (dt * last.transpose(1, 2))[..., None]).flatten(2)
    remaining = (h * carried[..., -1, None, None]).flatten(1, 2)
    return y, torch.baddbmm(remaining, kept.transpose(1, 2), b).view(h.shape)


def _backward(
    given: _Given, grad_y: Tensor, grad_h: Tensor | None, into: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, b, c, dt, a_H, skip_H, h, _ = given
    between, match, counts, carried, last = _weights(given)
    flat_REN = h.flatten(1, 2)
    grad_RHLK = grad_y.transpose(1, 2).contiguous()
    entering_RHLK = (x * dt[..., None]).transpose(1, 2).contiguous()
    d_entering = ((between * match[:, None]).transpose(-1, -2) @ grad_RHLK).transpose(1, 2)
    d_within = (grad_RHLK @ entering_RHLK.transpose(-1, -2)).mul_(between)
    d_match = d_within.sum(1).mul_(counts)
    d_within.mul_(match.tril(-1)[:, None])  # without the frames themselves: see the top

    read = (grad_y * carried.transpose(1, 2)[..., None]).flatten(2)
    recalled = (read * (c @ flat_REN.transpose(1, 2))).view(x.shape).sum(-1).transpose(1, 2)
    d_cs = d_within.sum(-1) - d_within.sum(-2) + recalled
    d_h = (read.transpose(1, 2) @ c).view(h.shape)
    d_x, d_b, d_c = into
    d_c[:] = torch.baddbmm(read @ flat_REN, d_match, b)
    d_b[:] = d_match.transpose(1, 2) @ c

    if grad_h is not None:
        last_RLH1 = last.transpose(1, 2)[..., None]
        flat_grad = grad_h.flatten(1, 2)
        d_kept = (b @ flat_grad.transpose(1, 2)).view(x.shape) * last_RLH1
        d_entering = d_entering + d_kept
        d_b += (x * dt[..., None] * last_RLH1).flatten(2) @ flat_grad
        d_last = (d_kept * x).sum(-1).mul_(dt).transpose(1, 2)
        d_last[..., -1] = 0  # the last frame itself: see the top
        d_h += grad_h * carried[..., -1, None, None]
        d_cs -= d_last
        d_cs[..., -1] += d_last.sum(-1) + (grad_h * h).sum((-1, -2)) * carried[..., -1]

    d_log_decay = d_cs.flip(-1).cumsum(-1).flip(-1).transpose(1, 2)
    d_x[:] = torch.addcmul(grad_y * skip_H[:, None], d_entering, dt[..., None])
    d_dt = d_log_decay * a_H + (d_entering * x).sum(-1)
    return d_dt, (d_log_decay * dt).sum((0, 1)), (grad_y * x).sum((0, 1, 3)), d_h


class _GatedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor, weight_E: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(y, z, weight_E)
        ctx.eps = eps
        out = torch.empty_like(y)
        for rows in _slices(y):
            gated = functional.silu(z[rows]).mul_(y[rows])
            out[rows] = gated.mul_(_shrink(gated, eps)).mul_(weight_E)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        y, z, weight_E = ctx.saved_tensors
        d_y, d_z, d_weight = torch.empty_like(y), torch.empty_like(y), torch.zeros_like(weight_E)
        for rows in _slices(y):
            open_, grad = functional.silu(z[rows]), grads[0][rows]
            gated = open_ * y[rows]
            shrink = _shrink(gated, ctx.eps)
            normed = gated.mul_(shrink)
            scaled = grad * normed
            d_weight += scaled.sum((0, 1))
            along = scaled.mul_(weight_E).mean(-1, keepdim=True)
            d_gated = (grad * weight_E).addcmul_(normed, along, value=-1).mul_(shrink)
            d_y[rows] = d_gated * open_
            d_z[rows] = torch.ops.aten.silu_backward(d_gated.mul_(y[rows]), z[rows])
        return d_y, d_z, d_weight, None


def _shrink(x: Tensor, eps: float) -> Tensor:
    return (x * x).mean(-1, keepdim=True).add_(eps).rsqrt_()
