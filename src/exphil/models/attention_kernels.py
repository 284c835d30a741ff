"""Ways to compute one attention over a window: the same numbers, other time and memory.

Shapes: B batch, T time, S slots (W - 1 remembered frames, then the T of this call), H heads, K head size, W window.

What enters: queries, keys and values with their positions already in them, and how many frames of its own game lie
before each query, ``age_BT``. Query t stands in slot ``W - 1 + t`` and sees the slot d before its own when
``0 <= d <= min(age, W - 1)``: that one sentence is causality, window, restarts and a cache that is not yet full.
What leaves: ``(B, H, T, K)``. A query always sees itself, so no row of the softmax is empty.

What can go wrong: ``flash`` on a device without fused kernels (``ExphilError``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from exphil.errors import ExphilError

FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
"""Kernels of torch that never write the scores out."""


def visible(age_BT: Tensor, window: int, queries: slice, slots: slice) -> Tensor:
    """Which slots each query sees, ``(B, 1, queries, slots)``.

    Args:
        age_BT: int64: frames of the same game before each query.
        window: W.
        queries: The queries asked about, within T.
        slots: The slots asked about, within S.
    """
    own = torch.arange(queries.start, queries.stop, device=age_BT.device)[:, None] + (window - 1)
    before = own - torch.arange(slots.start, slots.stop, device=age_BT.device)
    reach_BT1 = age_BT[:, queries, None].clamp_max(window - 1)
    return ((before >= 0) & (before <= reach_BT1))[:, None]


def plain(q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, age_BT: Tensor, window: int) -> Tensor:
    """Torch's own attention under a mask."""
    mask = visible(age_BT, window, slice(0, q_BHTK.shape[2]), slice(0, k_BHSK.shape[2]))
    return functional.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, attn_mask=mask)


def chunked(q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, age_BT: Tensor, window: int, chunk: int) -> Tensor:
    """Queries in chunks, each against the ``chunk + W - 1`` slots that its band can reach."""
    parts = []
    for start in range(0, q_BHTK.shape[2], chunk):
        stop = min(start + chunk, q_BHTK.shape[2])
        slots = slice(start, stop + window - 1)
        parts.append(
            functional.scaled_dot_product_attention(
                q_BHTK[:, :, start:stop],
                k_BHSK[:, :, slots],
                v_BHSK[:, :, slots],
                attn_mask=visible(age_BT, window, slice(start, stop), slots),
            )
        )
    return torch.cat(parts, 2)


def flash(q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, age_BT: Tensor, window: int) -> Tensor:
    """Torch's fused kernels or nothing.

    Raises:
        ExphilError: There is none for this device and number type.
    """
    try:
        with sdpa_kernel(FUSED):
            return plain(q_BHTK, k_BHSK, v_BHSK, age_BT, window)
    except RuntimeError as error:
        if "No available kernel" not in str(error):
            raise
        raise ExphilError(
            f"flash attention has no kernel for {q_BHTK.dtype} on {q_BHTK.device.type}",
            fix="choose plain, chunked or memory-efficient attention",
        ) from error


def memory_efficient(q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, age_BT: Tensor, window: int, chunk: int) -> Tensor:
    """Blocks of ``chunk`` queries by ``chunk`` slots; the backward computes them again instead of keeping them.

    The softmax is carried from block to block (Milakov & Gimelshein 2018), the backward follows from the
    log-sum-exp of every row alone (Dao et al. 2022). Autocast is left out: both ways must find the same scores.
    """
    with torch.autocast(q_BHTK.device.type, enabled=False):
        out_BHTK: Tensor = _Recomputed.apply(q_BHTK, k_BHSK, v_BHSK, age_BT, window, chunk)  # type: ignore[no-untyped-call]
    return out_BHTK


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, age_BT: Tensor, window: int, chunk: int
    ) -> Tensor:
        scale = q_BHTK.shape[-1] ** -0.5
        out_BHTK, lse_BHT = torch.empty_like(q_BHTK), q_BHTK.new_empty(q_BHTK.shape[:3])
        for queries, blocks in _blocks(q_BHTK.shape[2], window, chunk):
            q = q_BHTK[:, :, queries] * scale
            top = q.new_full((*q.shape[:3], 1), torch.finfo(q.dtype).min)
            total, mixed = torch.zeros_like(top), torch.zeros_like(q)
            for slots in reversed(blocks):
                score = q @ k_BHSK[:, :, slots].transpose(-1, -2)
                score.masked_fill_(~visible(age_BT, window, queries, slots), -torch.inf)
                higher = torch.maximum(top, score.amax(-1, keepdim=True))
                weight = score.sub_(higher).exp_()
                shrink = (top - higher).exp_()
                total = total * shrink + weight.sum(-1, keepdim=True)
                mixed = mixed * shrink + weight @ v_BHSK[:, :, slots]
                top = higher
            out_BHTK[:, :, queries] = mixed / total
            lse_BHT[:, :, queries] = (top + total.log())[..., 0]
        ctx.save_for_backward(q_BHTK, k_BHSK, v_BHSK, age_BT, out_BHTK, lse_BHT)
        ctx.window, ctx.chunk = window, chunk
        return out_BHTK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(grads[0].device.type, enabled=False):
            return *_Recomputed._gradients(grads[0], ctx.window, ctx.chunk, *ctx.saved_tensors), None, None, None

    @staticmethod
    def _gradients(
        grad_BHTK: Tensor,
        window: int,
        chunk: int,
        q_BHTK: Tensor,
        k_BHSK: Tensor,
        v_BHSK: Tensor,
        age_BT: Tensor,
        out_BHTK: Tensor,
        lse_BHT: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        scale = q_BHTK.shape[-1] ** -0.5
        dq, dk, dv = torch.empty_like(q_BHTK), torch.zeros_like(k_BHSK), torch.zeros_like(v_BHSK)
        inner_BHT1 = (grad_BHTK * out_BHTK).sum(-1, keepdim=True)
        for queries, blocks in _blocks(q_BHTK.shape[2], window, chunk):
            q, grad = q_BHTK[:, :, queries] * scale, grad_BHTK[:, :, queries]
            dq_block = torch.zeros_like(q)
            for slots in blocks:
                k, v = k_BHSK[:, :, slots], v_BHSK[:, :, slots]
                score = (q @ k.transpose(-1, -2)).sub_(lse_BHT[:, :, queries, None])
                weight = score.masked_fill_(~visible(age_BT, window, queries, slots), -torch.inf).exp_()
                dv[:, :, slots] += weight.transpose(-1, -2) @ grad
                dscore = (grad @ v.transpose(-1, -2)).sub_(inner_BHT1[:, :, queries]).mul_(weight)
                dq_block += dscore @ k
                dk[:, :, slots] += dscore.transpose(-1, -2) @ q
            dq[:, :, queries] = dq_block * scale
        return dq, dk, dv


def _blocks(length: int, window: int, chunk: int) -> list[tuple[slice, list[slice]]]:
    """Chunks of queries, and for each the chunks of slots that its band can reach."""
    blocks = []
    for start in range(0, length, chunk):
        stop = min(start + chunk, length)
        end = stop + window - 1
        blocks.append((slice(start, stop), [slice(at, min(at + chunk, end)) for at in range(start, end, chunk)]))
    return blocks
