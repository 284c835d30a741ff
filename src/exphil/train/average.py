"""The average of a run's weights over its updates (EMA): what is validated and saved beside the weights themselves.

After update t (from 0) every weight of the average moves a share 1 - d towards the run's, d = min(decay,
(1 + t) / (10 + t)): the ramp of TensorFlow's ExponentialMovingAverage, so that a short run does not keep its first
random weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """An exponential average of a module's parameters.

    Args:
        module: Whose weights it begins with.
        decay: Share of the average that an update leaves as it is, [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self._names = [name for name, _ in module.named_parameters()]
        self._weights = [parameter.detach().clone() for parameter in module.parameters()]

    @torch.no_grad()
    def follow(self, module: nn.Module, updates: int) -> None:
        """Move towards the module's weights after ``updates`` updates before this one."""
        share = 1.0 - min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(self._weights, list(module.parameters()), share)

    @contextmanager
    def within(self, module: nn.Module) -> Iterator[None]:
        """The module has the averaged weights meanwhile, and its own again afterwards."""
        own = list(module.parameters())
        self._swap(own)
        try:
            yield
        finally:
            self._swap(own)

    @torch.no_grad()
    def _swap(self, own: list[nn.Parameter]) -> None:
        for at, parameter in enumerate(own):
            parameter.data, self._weights[at] = self._weights[at], parameter.data

    def state_dict(self, module: nn.Module) -> dict[str, Tensor]:
        """The weights of ``module``, its parameters averaged."""
        return module.state_dict() | dict(zip(self._names, self._weights, strict=True))

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where ``state_dict`` was taken."""
        for name, weight in zip(self._names, self._weights, strict=True):
            weight.copy_(state[name])
