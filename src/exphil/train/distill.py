"""Learning from another policy beside the players: its whole distributions, made while training goes on.

What enters: a teacher, which is never trained, and a batch. What leaves: what the policy says of the pressed actions,
and how far it is from the teacher in every component of an action. Both see the recorded earlier components of an
action (teacher forcing), so each component is compared given the same past. Nothing is written: there are no files of
labels. What can go wrong: nothing here; whether teacher and policy see the same numbers and press the same classes is
asked when a run is put together (``assemble.teacher``).

Shapes: B batch, T time, A components (13), ``*`` any leading axes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from exphil.data.loader import Batch
from exphil.features.action import NUM_BUTTONS
from exphil.models.backbone import State
from exphil.models.policy import Policy


@dataclass(frozen=True)
class Lesson:
    """Who teaches, and how softly.

    Attributes:
        teacher: On the device of the run; not training, its parameters ask for no gradients.
        temperature: T, above 0: the distributions of both are compared as x^(1/T), normalised.
    """

    teacher: Policy
    temperature: float


class Compared(NamedTuple):
    """What a policy says of pressed actions, and how far it is from its teacher.

    Attributes:
        log_prob: ``(B, T, 13)``: of what was pressed, each component given those before it.
        spread: ``(B, T, 13)``: the mean log-probability of all classes.
        apart: ``(B, T, 13)``: as ``divergence`` gives it, in nats.
    """

    log_prob: Tensor
    spread: Tensor
    apart: Tensor


def with_lesson(policy: Policy, lesson: Lesson, batch: Batch, state: State | None) -> tuple[Compared, State]:
    """One batch through policy and teacher, and their states after it.

    Args:
        policy: Who learns.
        lesson: From whom.
        batch: Features and actions; ``is_first`` restarts both.
        state: The pair of their states before it; None begins afresh.
    """
    rows = batch.weight.shape[0]
    before, taught = (policy.initial_state(rows), lesson.teacher.initial_state(rows)) if state is None else state
    own, after = _distributions(policy, batch, before)
    with torch.no_grad():  # inference mode makes numbers that no backward pass may look at
        wanted, taught = _distributions(lesson.teacher, batch, taught)
    pressed = [part.gather(-1, batch.action[..., at, None])[..., 0] for at, part in enumerate(own)]
    spread = torch.stack([part.mean(-1) for part in own], -1)
    return Compared(torch.stack(pressed, -1), spread, divergence(own, wanted, lesson.temperature)), (after, taught)


def _distributions(policy: Policy, batch: Batch, state: State) -> tuple[list[Tensor], State]:
    """13 tensors ``(B, T, classes)`` of log-probabilities; fewer actions than frames answer the last frames."""
    features, held, state = policy.features(batch.floats, batch.ids, state, batch.is_first)
    last = slice(-batch.action.shape[1], None)
    return policy.head.distributions(features[:, last], held[:, last], batch.action), state


def divergence(policy: Sequence[Tensor], teacher: Sequence[Tensor], temperature: float) -> Tensor:
    """T^2 KL(t_T || p_T) of every component ``(*, 13)``, in nats.

    Formula (2) and below of Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network": soft
    targets of both at one temperature, and T^2, without which gradients would fall as 1 / T^2.

    Args:
        policy: Log-probabilities of 13 components, each ``(*, classes)``, the buttons first.
        teacher: The same of the teacher, of as many classes.
        temperature: T, above 0.
    """
    button, *axes = (
        functional.kl_div(
            _softened(own, temperature), _softened(wanted, temperature), reduction="none", log_target=True
        )
        for own, wanted in zip(_together(policy), _together(teacher), strict=True)
    )
    return temperature**2 * torch.cat([button.sum(-1), torch.stack([axis.sum(-1) for axis in axes], -1)], -1)


def _together(parts: Sequence[Tensor]) -> list[Tensor]:
    """The buttons as one tensor ``(*, 8, 2)``: a few operations less for each of them."""
    return [torch.stack(list(parts[:NUM_BUTTONS]), -2), *parts[NUM_BUTTONS:]]


def _softened(log_probs: Tensor, temperature: float) -> Tensor:
    return functional.log_softmax(log_probs / temperature, -1)


def digest(weights: Mapping[str, Tensor]) -> str:
    """16 letters that tell weights from others, in whichever file they are."""
    found = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:16]
