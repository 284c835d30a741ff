"""The policy: embed, backbone, head.

Pure: state goes in and comes out. Shapes: B batch, T time, F floats, I ids, A components (13).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from exphil.features.action import Codec
from exphil.features.observation import Table
from exphil.models.backbone import Backbone, State, map_state, restart
from exphil.models.embed import Embed
from exphil.models.head import Choice, Head, Scored


class Policy(nn.Module):
    """What a person would press next, as a distribution.

    Args:
        embed: Floats and ids to one vector a frame.
        backbone: Frames to frames with memory.
        head: Features to actions.
        table: The layout of the floats: where the controller stands that is held before the answer.
        codec: What the classes of an action stand for.
    """

    def __init__(self, embed: Embed, backbone: Backbone, head: Head, table: Table, codec: Codec) -> None:
        super().__init__()
        self.embed, self.backbone, self.head = embed, backbone, head
        self.table, self.codec = table, codec

    def initial_state(self, batch: int) -> State:
        """The state before the first frame of ``batch`` games."""
        return self.backbone.initial_state(batch)

    def features(
        self, floats_BTF: Tensor, ids_BTI: Tensor, state: State, is_first_BT: Tensor | None
    ) -> tuple[Tensor, Tensor, State]:
        """Features ``(B, T, D)``, the action held before each answer ``(B, T, 13)``, and the state afterwards."""
        features_BTD, state = self.backbone(self.embed(floats_BTF, ids_BTI), state, is_first_BT)
        return features_BTD, self.codec.encode_floats(floats_BTF[..., self.table.held]), state

    @overload
    def score(
        self, floats_BTF: Tensor, ids_BTI: Tensor, action_BTA: Tensor, state: State, is_first_BT: Tensor | None
    ) -> tuple[Tensor, State]: ...

    @overload
    def score(
        self,
        floats_BTF: Tensor,
        ids_BTI: Tensor,
        action_BTA: Tensor,
        state: State,
        is_first_BT: Tensor | None,
        *,
        spread: Literal[True],
    ) -> tuple[Scored, State]: ...

    def score(
        self,
        floats_BTF: Tensor,
        ids_BTI: Tensor,
        action_BTA: Tensor,
        state: State,
        is_first_BT: Tensor | None,
        *,
        spread: bool = False,
    ) -> tuple[Tensor | Scored, State]:
        """Log-probability of the given actions, and the state afterwards.

        Where there are fewer actions than frames they answer the last frames. With ``spread`` it comes as a ``Scored``,
        ``(log_prob_BTA, spread_BTA)``: beside it the mean log-probability of all classes of every component.
        """
        features_BTD, previous_BTA, state = self.features(floats_BTF, ids_BTI, state, is_first_BT)
        last = slice(-action_BTA.shape[1], None)
        seen = features_BTD[:, last], previous_BTA[:, last], action_BTA
        return self.head.spread(*seen) if spread else self.head.score(*seen).log_prob, state

    def forward(
        self,
        floats_BTF: Tensor,
        ids_BTI: Tensor,
        state: State,
        is_first_BT: Tensor | None,
        uniform_BTA: Tensor,
        sharpness_A: Tensor | None = None,
    ) -> tuple[Choice, State]:
        """Draw actions."""
        features_BTD, previous_BTA, state = self.features(floats_BTF, ids_BTI, state, is_first_BT)
        return self.head.sample(features_BTD, previous_BTA, uniform_BTA, sharpness_A), state


class Act(NamedTuple):
    """numpy results of one decision: action int64 ``(E, 13)``, log_prob ``(E, 13)``."""

    action: NDArray[np.int64]
    log_prob: NDArray[np.float32]


class TorchPlayer:
    """A policy as the agent needs it: numpy in, numpy out, one frame at a time."""

    def __init__(self, policy: Policy, device: torch.device) -> None:
        self._policy, self._device = policy.eval(), device

    def initial_state(self, batch: int) -> State:
        """The state before the first frame of ``batch`` games."""
        return map_state(torch.clone, self._policy.initial_state(batch))  # a row each, to be written to

    @torch.inference_mode()
    def act(
        self,
        floats: NDArray[np.float32],
        ids: NDArray[np.int64],
        state: State,
        is_first: NDArray[np.bool_],
        uniform: NDArray[np.float32],
        sharpness: NDArray[np.float32] | None = None,
    ) -> tuple[Act, State]:
        """Decide for E games.

        Args:
            floats: ``(E, F)``.
            ids: ``(E, I)``.
            state: What the call before returned.
            is_first: ``(E,)``: a game begins with this frame.
            uniform: ``(E, 13)`` in [0, 1).
            sharpness: ``(13,)``, above 0: what log-odds are multiplied by before drawing; None draws as learned.
        """

        def tensor(array: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(array).to(self._device)[:, None]

        if is_first.any():
            state = restart(state, self._policy.initial_state(len(floats)), torch.from_numpy(is_first).to(self._device))
        sharper = None if sharpness is None else torch.from_numpy(sharpness).to(self._device)
        drawn, state = self._policy(tensor(floats), tensor(ids), state, None, tensor(uniform), sharper)
        return Act(drawn.action[:, 0].cpu().numpy(), drawn.log_prob[:, 0].cpu().numpy()), state

    def take(self, state: State, rows: NDArray[np.int64]) -> State:
        """The state of some rows, a copy."""
        at = torch.from_numpy(rows).to(self._device)
        return map_state(lambda leaf: leaf[at], state)

    @torch.inference_mode()
    def put(self, state: State, rows: NDArray[np.int64], part: State) -> None:
        """Write the state of some rows into a state that ``initial_state`` made."""
        at = torch.from_numpy(rows).to(self._device)
        map_state(lambda leaf, new: leaf.index_copy_(0, at, new), state, part)
