"""The layers with a cell that is carried from frame to frame: GRU and LSTM. Shapes: B batch, T time, D width."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from exphil.models.backbone import Backbone, State, restart, stretches

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(Backbone):
    """One layer of cells.

    Args:
        cell: ``gru`` or ``lstm``.
        size: Width of input, output and carried rows.
    """

    def __init__(self, cell: Literal["gru", "lstm"], size: int) -> None:
        super().__init__()
        self.cell, self.output_size = CELLS[cell](size, size, batch_first=True), size
        self._tensors = 2 if cell == "lstm" else 1

    def initial_state(self, batch: int) -> State:
        """Zeros ``(B, D)``: the hidden rows, and for an LSTM its cells."""
        like: Tensor = self.cell.weight_hh_l0
        return tuple(like.new_zeros(batch, self.output_size) for _ in range(self._tensors))

    def forward(self, x_BTD: Tensor, state: State, is_first_BT: Tensor | None = None) -> tuple[Tensor, State]:
        """See ``Backbone.forward``; stretches between restarts run in one call each."""
        fresh, parts, start = self.initial_state(x_BTD.shape[0]), [], 0
        for stop in stretches(is_first_BT, x_BTD.shape[1]):
            if stop > start:
                y_BTD, state = self._run(x_BTD[:, start:stop], state)
                parts.append(y_BTD)
            if is_first_BT is not None and stop < x_BTD.shape[1]:
                state = restart(state, fresh, is_first_BT[:, stop])
            start = stop
        return (torch.cat(parts, 1) if len(parts) > 1 else parts[0]), state

    def _run(self, x_BTD: Tensor, state: State) -> tuple[Tensor, State]:
        if x_BTD.shape[1] == 1 and not (torch.is_grad_enabled() or torch.compiler.is_exporting()):
            return self._step(x_BTD[:, 0], state)
        before = tuple(part[None].contiguous() for part in state)
        y_BTD, after = self.cell(x_BTD, before if self._tensors == 2 else before[0])
        kept = state[0].dtype  # autocast computes in bf16; what is carried on stays as it was
        return y_BTD, tuple(part[0].to(kept) for part in (after if self._tensors == 2 else (after,)))

    def _step(self, x_BD: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame as it is played: the module's way into its library takes longer than the frame."""
        weights: list[Tensor] = self.cell.all_weights[0]
        after = (
            torch.lstm_cell(x_BD, state, *weights) if self._tensors == 2 else (torch.gru_cell(x_BD, *state, *weights),)
        )
        return after[0][:, None], tuple(after)
