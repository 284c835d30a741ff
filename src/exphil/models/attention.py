"""Attention over the last W frames, with a cache, so that one frame costs the same on every frame of a game.

Shapes: B batch, T time, S slots (W - 1 remembered frames, then the T of this call), D width, H heads, K head size,
W window, P frames after which the positions repeat.

What enters: frames ``(B, T, D)`` and the state ``(keys, values, age)``: the last ``W - 1`` keys and values in order,
``(B, H, W - 1, K)`` each, and how many frames of its game each row has seen, int64 ``(B,)``. What leaves: frames of
the same width, and the state of the same size. Slots older than ``age`` are not real and never seen.

Positions are rotations (RoFormer, Su et al. 2021): a score depends on the distance of two frames only. The slowest
rotation turns once in P frames and every other one a whole number of times, so a position is ``age`` modulo P, exact
however long a game lasts, and a key is rotated once, when it is made.

What can go wrong: a width that the heads do not divide (``ValueError``).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from exphil.models import attention_kernels
from exphil.models.backbone import Backbone, State

Kernel = Literal["plain", "chunked", "memory_efficient", "flash"]

_PERIODS = 16
"""P is at least this many windows, so that the slowest rotation hardly moves within one."""


class Attention(Backbone):
    """Causal attention of several heads over a sliding window.

    Args:
        size: D, width of input and output.
        heads: H; each has ``size / heads`` numbers.
        window: W, frames that are seen, the present one among them.
        qk_layernorm: Normalise queries and keys of every head, which keeps scores bounded at high learning rates
            (Dehghani et al. 2023).
        kernel: How to compute it; every one gives the same numbers.
        chunk_size: Queries that ``chunked`` and ``memory_efficient`` take at once.

    Raises:
        ValueError: ``heads`` do not divide ``size``, or ``window`` or ``chunk_size`` is below 1.
    """

    def __init__(
        self,
        size: int,
        heads: int,
        window: int,
        *,
        qk_layernorm: bool,
        kernel: Kernel = "plain",
        chunk_size: int = 32,
    ) -> None:
        super().__init__()
        if size % heads or window < 1 or chunk_size < 1:
            raise ValueError(f"attention of width {size}, {heads} heads, window {window}, chunks of {chunk_size}")
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.norm_q = nn.LayerNorm(size // heads) if qk_layernorm else None
        self.norm_k = nn.LayerNorm(size // heads) if qk_layernorm else None
        self.out = nn.Linear(size, size, bias=False)
        self._turns_PE: Tensor
        self._before_W: Tensor
        self.register_buffer("_turns_PE", _turns(size // heads, window), persistent=False)
        self.register_buffer("_before_W", torch.arange(window - 1, -1, -1), persistent=False)
        self.output_size = size
        self._heads, self._window, self._kernel, self._chunk = heads, window, kernel, chunk_size

    def initial_state(self, batch: int) -> State:
        """An empty cache: zeros that no query sees, because age is 0."""
        empty = self.out.weight.new_zeros(batch, self._heads, self._window - 1, self.output_size // self._heads)
        return empty, empty.clone(), torch.zeros(batch, dtype=torch.int64, device=empty.device)

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``."""
        keys, values, age_B = state
        batch, length, _ = x_BTD.shape
        age_BT = ages(age_B, length, is_first_BT)
        qk_BTGHK, v_BTHK = self._project(x_BTD)
        q_BHTK, k_BHTK = self._turned(qk_BTGHK, age_BT).permute(2, 0, 3, 1, 4).unbind(0)
        k_BHSK, v_BHSK = torch.cat([keys, k_BHTK], 2), torch.cat([values, v_BTHK.transpose(1, 2)], 2)
        mixed_BHTK = self._attend(q_BHTK, k_BHSK.to(q_BHTK.dtype), v_BHSK.to(q_BHTK.dtype), age_BT)
        y_BTD = self.out(mixed_BHTK.transpose(1, 2).reshape(batch, length, -1))
        return y_BTD, (k_BHSK[:, :, length:], v_BHSK[:, :, length:], age_BT[:, -1] + 1)

    def _project(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys in one, G = 2, and values."""
        batch, length, width = x_BTD.shape
        qk_BTE, v_BTD = torch.split(self.qkv(x_BTD), [2 * width, width], -1)
        qk_BTGHK = qk_BTE.view(batch, length, 2, self._heads, -1)
        if self.norm_q is not None and self.norm_k is not None:
            qk_BTGHK = torch.stack([self.norm_q(qk_BTGHK[:, :, 0]), self.norm_k(qk_BTGHK[:, :, 1])], 2)
        return qk_BTGHK, v_BTD.view(batch, length, self._heads, -1)

    def _turned(self, qk_BTGHK: Tensor, age_BT: Tensor) -> Tensor:
        """Number i and number ``K - 1 - i`` of a head are one point of a plane; turn it."""
        turn_BTE = functional.embedding(age_BT % self._turns_PE.shape[0], self._turns_PE)
        cos, sin = turn_BTE[:, :, None, None].chunk(2, -1)
        return qk_BTGHK * cos + qk_BTGHK.flip(-1) * sin

    def _attend(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, age_BT: Tensor) -> Tensor:
        if q_BHTK.shape[2] == 1:
            hidden_B11W = (self._before_W > age_BT)[:, None, None]
            score_BH1W = (q_BHTK * q_BHTK.shape[-1] ** -0.5) @ k_BHSK.transpose(-1, -2)
            weight_BH1W: Tensor = score_BH1W.masked_fill(hidden_B11W, -torch.inf).softmax(-1)
            return weight_BH1W @ v_BHSK
        if self._kernel == "chunked":
            return attention_kernels.chunked(q_BHTK, k_BHSK, v_BHSK, age_BT, self._window, self._chunk)
        if self._kernel == "memory_efficient":
            return attention_kernels.memory_efficient(q_BHTK, k_BHSK, v_BHSK, age_BT, self._window, self._chunk)
        if self._kernel == "flash":
            return attention_kernels.flash(q_BHTK, k_BHSK, v_BHSK, age_BT, self._window)
        return attention_kernels.plain(q_BHTK, k_BHSK, v_BHSK, age_BT, self._window)


def ages(age_B: Tensor, length: int, is_first_BT: Tensor | None) -> Tensor:
    """Frames of the same game before each of ``length`` frames, int64 ``(B, T)``.

    Args:
        age_B: Frames of the game before the first of them.
        length: T.
        is_first_BT: True where a game begins.
    """
    if length == 1 and is_first_BT is None:
        return age_B[:, None]
    at_T = torch.arange(length, device=age_B.device)
    if is_first_BT is None:
        return age_B[:, None] + at_T
    began_BT = torch.where(is_first_BT, at_T, -1).cummax(1).values
    return torch.where(began_BT >= 0, at_T - began_BT, age_B[:, None] + at_T)


def _turns(head_size: int, window: int) -> Tensor:
    """Cosines and signed sines of every position, ``(P, 2 K)``.

    Pair i turns ``(P / 2 pi) ** (1 - 2 i / K)`` times in P frames, rounded: RoFormer's rates with base P / 2 pi. An
    odd head size leaves the number in the middle alone; it does not turn.
    """
    period = 2 ** math.ceil(math.log2(_PERIODS * window))
    pairs = head_size // 2
    turns = (period / (2 * math.pi)) ** (1 - torch.arange(pairs, dtype=torch.float64) * 2 / head_size)
    phase = torch.arange(period)[:, None] * turns.round().clamp_min(1).long() % period
    angle = torch.zeros(period, head_size, dtype=torch.float64)
    angle[:, :pairs] = phase * (-2 * math.pi / period)
    angle[:, head_size - pairs :] = -angle[:, :pairs].flip(-1)
    return torch.cat([angle.cos(), angle.sin()], 1).to(torch.get_default_dtype())
