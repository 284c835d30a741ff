"""Mamba-1 as published: a causal convolution, a selective scan and a gate.

Shapes: B batch, T time, D width, E inner width, N ssm state, C conv taps.

A mixer: it stands without norm and residual, which the stack around it adds. The two sequential parts are in
``scan.py``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from exphil.models.backbone import Backbone, State
from exphil.models.scan import conv, scan

SHORTEST, LONGEST = 0.001, 0.1
"""Steps at the start of training lie between these, evenly on a logarithmic scale (Gu and Dao 2023, section 3.6)."""
CHANNELS_A_RANK = 16
"""The step of a channel is a product of rank D / 16."""


class Mamba(Backbone):
    """One layer (A. Gu and T. Dao, "Mamba: linear-time sequence modeling with selective state spaces", 2023).

    Its state is the C - 1 frames before the convolution, ``(B, C - 1, E)``, and the states of the scan ``(B, E, N)``.

    Args:
        size: Width of the input and of the output.
        state_size: N, states of each channel.
        expand: E / D.
        conv_size: C, frames that the convolution sees; 1 or more.
    """

    def __init__(self, size: int, state_size: int = 16, expand: int = 2, conv_size: int = 4) -> None:
        super().__init__()
        inner, rank = expand * size, math.ceil(size / CHANNELS_A_RANK)
        self.in_proj = nn.Linear(size, 2 * inner, bias=False)
        self.taps = nn.Parameter(torch.empty(conv_size, inner).uniform_(-1, 1) / math.sqrt(conv_size))
        self.taps_bias = nn.Parameter(torch.empty(inner).uniform_(-1, 1) / math.sqrt(conv_size))
        self.x_proj = nn.Linear(inner, rank + 2 * state_size, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, state_size + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, size, bias=False)
        nn.init.uniform_(self.dt_proj.weight, -1 / math.sqrt(rank), 1 / math.sqrt(rank))
        with torch.no_grad():
            step = torch.empty(inner).uniform_(math.log(SHORTEST), math.log(LONGEST)).exp()
            self.dt_proj.bias.copy_(step + (-torch.expm1(-step)).log())  # softplus backwards
        self.output_size = size
        self._parts = (rank, state_size, state_size)

    def initial_state(self, batch: int) -> State:
        """Zeros: the frames before, and the states of the scan."""
        taps, inner = self.taps.shape
        return self.D.new_zeros(batch, taps - 1, inner), self.D.new_zeros(batch, *self.A_log.shape)

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``."""
        before_BPE, h_BEN = state
        x_BTE, z_BTE = self.in_proj(x_BTD).chunk(2, -1)
        u_BTE, before_BPE = conv(x_BTE, self.taps, self.taps_bias, before_BPE, is_first_BT)
        dt_BTR, b_BTN, c_BTN = self.x_proj(u_BTE).split(self._parts, -1)
        dt_BTE = functional.linear(dt_BTR, self.dt_proj.weight)
        a_EN = -torch.exp(self.A_log)
        y_BTE, h_BEN = scan(u_BTE, dt_BTE, self.dt_proj.bias, a_EN, b_BTN, c_BTN, self.D, z_BTE, h_BEN, is_first_BT)
        y_BTD: Tensor = self.out_proj(y_BTE)
        return y_BTD, (before_BPE, h_BEN)
