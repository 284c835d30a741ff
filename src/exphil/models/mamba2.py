"""Mamba-2: a state space with one decay a head, in matrix form over stretches and as a plain step for one frame.

Shapes: B batch, T time, L frames of one chunk, D width, E inner width, H heads, K head size, N ssm state, C conv taps.

What enters: frames ``(B, T, D)`` and the state ``(before, ssm)``: the last inputs of the convolution
``(B, C - 1, E + 2 N)`` and the memory of every head ``(B, H, K, N)``. What leaves: frames of the same width, and the
state of the same size.

The recurrence, per head (Dao & Gu 2024): ``h[t] = exp(dt A) h[t - 1] + dt x[t] B[t]^T``, ``y[t] = h[t] C[t] + D x[t]``.
Within a chunk it is three matrix products (their section 6). A restart makes the decay from before it 0 and touches
nothing else, so the numbers stay finite. Everything between the two projections is computed in the precision of the
parameters, under autocast as well: decays of a long chunk do not survive bfloat16.

What can go wrong: nothing; the head size gives way where it does not divide E.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from exphil.models.backbone import Backbone, State
from exphil.models.scan import conv
from exphil.models.ssd import gated_norm, parts, scan_chunk

_DT = (0.001, 0.1)
"""Range of the step sizes at the start of training, as published."""

_EPS = 1e-5
"""Of the norm after the gate, as published."""


class Mamba2(Backbone):
    """The mixer of Mamba-2, with one group of B and C.

    Args:
        size: D, width of input and output.
        state_size: N, numbers that each channel remembers.
        expand: E over D.
        conv_size: C.
        head_size: K; the greatest common divisor of it and E is taken.
        chunk: Frames that one matrix form covers.
    """

    def __init__(
        self,
        size: int,
        state_size: int = 64,
        expand: int = 2,
        conv_size: int = 4,
        head_size: int = 64,
        chunk: int = 64,
    ) -> None:
        super().__init__()
        inner = expand * size
        self._heads = inner // math.gcd(inner, head_size)
        self._inner, self._state, self._chunk = inner, state_size, chunk
        self.in_proj = nn.Linear(size, 2 * inner + 2 * state_size + self._heads, bias=False)
        bound, mixed = conv_size**-0.5, inner + 2 * state_size
        self.taps = nn.Parameter(torch.empty(conv_size, mixed).uniform_(-bound, bound))
        self.taps_bias = nn.Parameter(torch.empty(mixed).uniform_(-bound, bound))
        dt = torch.empty(self._heads).uniform_(math.log(_DT[0]), math.log(_DT[1])).exp()
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus of it is dt
        self.A_log = nn.Parameter(torch.empty(self._heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(self._heads))
        self.norm = nn.RMSNorm(inner, eps=_EPS)
        self.out_proj = nn.Linear(inner, size, bias=False)
        self.output_size = size

    def initial_state(self, batch: int) -> State:
        """Zeros."""
        taps, mixed = self.taps.shape
        memory = self.D.new_zeros(batch, self._heads, self._inner // self._heads, self._state)
        return self.D.new_zeros(batch, taps - 1, mixed), memory

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``."""
        before_BPM, h_BHKN = state
        sizes = [self._inner, self._inner + 2 * self._state, self._heads]
        z_BTE, mixed_BTM, dt_BTH = torch.split(self.in_proj(x_BTD).to(h_BHKN.dtype), sizes, -1)
        mixed_BTM, before_BPM = conv(mixed_BTM, self.taps, self.taps_bias, before_BPM, is_first_BT)
        dt_BTH = functional.softplus(dt_BTH + self.dt_bias)
        if x_BTD.shape[1] == 1:
            y_BTE, h_BHKN = self._step(mixed_BTM, dt_BTH, h_BHKN, is_first_BT)
            return self.out_proj(self.norm(y_BTE * functional.silu(z_BTE))), (before_BPM, h_BHKN)
        y_BTE, h_BHKN = self._scan(mixed_BTM, dt_BTH, h_BHKN, is_first_BT)
        return self.out_proj(gated_norm(y_BTE, z_BTE, self.norm.weight, _EPS)), (before_BPM, h_BHKN)

    def _step(
        self, mixed_B1M: Tensor, dt_B1H: Tensor, h_BHKN: Tensor, is_first_B1: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The recurrence as it is written, for one frame."""
        if is_first_B1 is not None:
            h_BHKN = h_BHKN.masked_fill(is_first_B1[..., None, None], 0)
        x_B1HK, b_B1N, c_B1N = parts(mixed_B1M, h_BHKN)
        x_BHK, dt_BH1 = x_B1HK[:, 0], dt_B1H[:, 0, :, None]
        decay_BH1 = torch.exp(dt_BH1 * -torch.exp(self.A_log)[:, None])
        h_BHKN = h_BHKN * decay_BH1[..., None] + (x_BHK * dt_BH1)[..., None] * b_B1N[:, None]
        y_BHK = (h_BHKN @ c_B1N[:, 0, None, :, None])[..., 0] + x_BHK * self.D[:, None]
        return y_BHK.flatten(1)[:, None], h_BHKN

    def _scan(
        self, mixed_BTM: Tensor, dt_BTH: Tensor, h_BHKN: Tensor, is_first_BT: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The same for many, chunk by chunk."""
        done, a_H, length = [], -torch.exp(self.A_log), mixed_BTM.shape[1]
        chunks = zip(torch.split(mixed_BTM, self._chunk, 1), torch.split(dt_BTH, self._chunk, 1), strict=True)
        for start, (mixed, dt) in zip(range(0, length, self._chunk), chunks, strict=True):
            is_first = None if is_first_BT is None else is_first_BT[:, start : start + self._chunk]
            y_BLE, h_BHKN = scan_chunk(mixed, dt, a_H, self.D, h_BHKN, is_first)
            done.append(y_BLE)
        return torch.cat(done, 1) if len(done) > 1 else done[0], h_BHKN
