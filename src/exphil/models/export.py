"""A policy as one ONNX graph: a frame's numbers and the state enter, the controller and the next state leave.

Shapes: B batch, F floats, I ids, A components (13), b buttons (8), x the other components (5), C the most classes that
one of them has, R residual, S steps of a stick or trigger.

What enters: ``floats`` float32 ``(B, F)``; ``ids`` int64 ``(B, I)``; ``uniform`` float32 ``(B, 13)`` in [0, 1);
``sharpness`` float32 ``(13,)``, above 0, which the log-odds of each component are multiplied by before drawing (1 draws
as learned); and one ``state.PLACE`` for each leaf of the backbone's state, where PLACE is its path in the tree.
What leaves: ``action`` int64 and ``log_prob`` float32 ``(B, 13)`` (of the policy as learned, whatever the sharpness),
``controller`` float32 ``(B, 13)`` as ``Codec.decode_floats`` gives it, and one ``next.PLACE`` a leaf.

A graph costs by the node, so the numbers of ``Policy.forward`` and ``Head.sample`` are computed in another order here,
with few operations; a test holds them to each other. What can go wrong: onnx is not installed, a backbone that
torch.export cannot follow, a place that cannot be written to.
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from exphil.errors import PolicyError, extra
from exphil.features.action import NUM_BUTTONS, NUM_COMPONENTS, Codec
from exphil.files import check_writable, write
from exphil.game.controller import STICK_STEPS, TRIGGER_STEPS
from exphil.models.backbone import State
from exphil.models.embed import Embed
from exphil.models.graph import ABOUT, FORMAT, INPUTS, NEXT, OUTPUTS, STATE, sealed
from exphil.models.head import Head
from exphil.models.policy import Policy

WHAT_FOR, OTHER_PLACE = "writing a policy for the fast player", "free some space or choose another place"
_NUM_AXES = NUM_COMPONENTS - NUM_BUTTONS
_OPSET = 20  # the first with Gelu as one node
_NEVER = -1e30
"""Log-odds of a class that a component does not have; finite, so that 0 times it is 0."""
_STEEP = 2.0**100
"""Any number below zero times this is below -1."""


def export(policy: Policy, path: Path, config: Mapping[str, Any]) -> None:
    """Write the whole decision of a policy as an ONNX graph that ``play.fast.FastPlayer`` plays.

    Args:
        policy: What is written, in float32.
        path: ``NAME.onnx``.
        config: What a player must know besides (options of the run, players, delays): plain values, kept as JSON.

    Raises:
        ExphilError: onnx or onnxscript is not installed.
        PolicyError: torch.export cannot follow the backbone.
        OutputError: it cannot be written.
    """
    for module in ("onnx", "onnxscript"):
        extra(module, "export", WHAT_FOR)
    check_writable(path, OTHER_PLACE)
    policy = copy.deepcopy(policy).cpu().eval()
    decision = _Decision(policy)
    fresh = dict(_leaves(policy.initial_state(1)))
    words = {
        "format": FORMAT,
        "fingerprint": policy.table.fingerprint,
        "actions": policy.codec.as_dict(),
        "config": dict(config),
        "fresh": {f"{STATE}{place}": leaf.tolist() for place, leaf in fresh.items() if leaf.any()},
    }
    try:
        proto = _graph(decision, policy)
    except Exception as error:  # torch.export raises many kinds
        what = "this policy's backbone cannot be written as a graph"
        raise PolicyError(what, str(path), "play the policy file itself") from error
    entry = proto.metadata_props.add()
    entry.key, entry.value = ABOUT, json.dumps(words)
    write(path, lambda file: file.write(sealed(proto.SerializeToString())), OTHER_PLACE)


def _graph(decision: _Decision, policy: Policy) -> Any:
    """The ``onnx.ModelProto`` of a decision, of any batch."""
    batch = torch.export.Dim("batch")
    floats = torch.zeros(2, policy.table.floats)
    ids = torch.zeros(2, policy.table.ids, dtype=torch.int64)
    uniform, sharpness = torch.full((2, NUM_COMPONENTS), 0.5), torch.ones(NUM_COMPONENTS)
    places, state = zip(*_leaves(policy.initial_state(2)), strict=True) if decision.places else ((), ())
    rows = {0: batch}
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the exporter's news about itself
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                decision,
                (floats, ids, uniform, sharpness, [leaf.clone() for leaf in state]),
                input_names=[*INPUTS, *(f"{STATE}{place}" for place in places)],
                output_names=[*OUTPUTS, *(f"{NEXT}{place}" for place in places)],
                dynamic_shapes=(rows, rows, rows, {}, [rows for _ in state]),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
                custom_translation_table=_as_nodes(extra("onnxscript", "export", WHAT_FOR)),
            )
    finally:
        logging.disable(before)
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    for part in (*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output, graph):
        part.ClearField("metadata_props")  # the exporter says where each stood in the source, with the whole path
        part.ClearField("doc_string")
    return proto


def _leaves(state: State, above: str = "") -> Iterator[tuple[str, Tensor]]:
    """The leaves of a state in order, each with its path (``0.1``)."""
    for index, part in enumerate(state):
        if isinstance(part, Tensor):
            yield f"{above}{index}", part
        else:
            yield from _leaves(part, f"{above}{index}.")


def _tree(like: State, leaves: Iterator[Tensor]) -> State:
    """Leaves put into the places of ``like``'s."""
    return tuple(next(leaves) if isinstance(part, Tensor) else _tree(part, leaves) for part in like)


def _fixed(tensors: Iterable[Tensor]) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(tensor.detach().clone(), requires_grad=False) for tensor in tensors)


class _Decision(nn.Module):
    """One frame of every row: what is in the module's docstring."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.embed, self.backbone = _Embed(policy.embed, policy.table.floats), policy.backbone
        self.answer = _Answer(policy.head, policy.codec, policy.table.held, policy.table.floats)
        self._like = policy.initial_state(1)
        self.places = [place for place, _ in _leaves(self._like)]

    def forward(
        self, floats_BF: Tensor, ids_BI: Tensor, uniform_BA: Tensor, sharpness_A: Tensor, state: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        x_BD = self.embed(floats_BF, ids_BI)
        y_BTD, after = self.backbone(x_BD[:, None], _tree(self._like, iter(state)))
        answer = self.answer(floats_BF, y_BTD[:, 0], uniform_BA, sharpness_A)
        return (*answer, *(leaf for _, leaf in _leaves(after)))


class _Embed(nn.Module):
    """``Embed`` with the dense layer applied to every row that an id can stand for: one gather, one product."""

    first: Tensor

    def __init__(self, embed: Embed, floats: int) -> None:
        super().__init__()
        tables = [_weight(embed.tables[kind]) for kind in embed.kinds]
        widths = [floats, *(table.shape[1] for table in tables)]
        of_floats, *of_ids = torch.split(embed.dense.weight, widths, 1)
        rows = [functional.linear(table, weight) for table, weight in zip(tables, of_ids, strict=True)]
        self.weight, self.bias = _fixed([of_floats.T, embed.dense.bias])
        self.rows = _fixed([torch.cat([rows[0] + embed.dense.bias, *rows[1:]])] if rows else [])
        self.register_buffer("first", torch.tensor([0, *(len(part) for part in rows)]).cumsum(0)[:-1])

    def forward(self, floats_BF: Tensor, ids_BI: Tensor) -> Tensor:
        known = self.bias
        for rows in self.rows:  # none where the table has no ids
            known = functional.embedding(ids_BI + self.first, rows).sum(1)
        return torch.addmm(known, floats_BF, self.weight)


class _Held(nn.Module):
    """What the controller that is held adds to the log-odds, and what is added always: each component's bias.

    Gives ``(B, b)`` for the buttons and x times ``(B, C)``. Each stick and the trigger is brought to the place of its
    step in one table of all. The feature table keeps them within [-1, 1], so no step is outside.
    """

    def __init__(self, head: Head, codec: Codec, held: slice, width: int) -> None:
        super().__init__()
        steps_x = torch.tensor([STICK_STEPS] * (_NUM_AXES - 1) + [TRIGGER_STEPS])
        step_S = torch.arange(-TRIGGER_STEPS, TRIGGER_STEPS + 2)  # an even number, see ``first_x``
        released, pressed = head.stay_pressed
        weight = torch.zeros(width, NUM_COMPONENTS)
        weight[held] = torch.diag(torch.cat([pressed - released, steps_x]))
        first_x = torch.arange(_NUM_AXES) * len(step_S) + TRIGGER_STEPS  # even, so that halves are rounded as without
        self.weight, self.bias = _fixed([weight, torch.cat([_bias(head.out[0]) + released, first_x])])
        grid = torch.cat([torch.zeros(len(step_S), NUM_BUTTONS), step_S[:, None] / steps_x], -1)
        class_Sx = codec.encode_floats(grid)[:, NUM_BUTTONS:]
        rows = [
            _padded(stay[class_Sx[:, index]] + _bias(out), max(codec.classes), _NEVER)
            for index, (stay, out) in enumerate(zip(head.stay, list(head.out)[1:], strict=True))
        ]
        self.rows = _fixed([torch.cat(rows)])

    def forward(self, floats_BF: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        held_BA = torch.addmm(self.bias, floats_BF, self.weight)
        buttons_Bb, place_Bx = torch.split(held_BA, [NUM_BUTTONS, _NUM_AXES], -1)
        odds = functional.embedding(place_Bx.round().long(), self.rows[0])
        return buttons_Bb, torch.split(odds.flatten(1), odds.shape[-1], -1)


class _Answer(nn.Module):
    """``Head.sample``, after which nobody need decode.

    Every stick axis and the shoulder gets C classes; the surplus is never chosen. A choice travels as a *ladder*
    ``(B, C)``: ones on the rungs that the uniform has reached, which are the sums of the classes below (the first rung
    is 0), then zeros. What a choice changes is the ladder times the differences from class to class.

    The buttons, of which each is told of those before it, are decided together and over again, as often as there are
    buttons: the first is right at the first time, the second at the second.
    """

    first: Tensor

    def __init__(self, head: Head, codec: Codec, held: slice, width: int) -> None:
        super().__init__()
        self.head, self.held = head, _Held(head, codec, held, width)
        axes, most = codec.classes[NUM_BUTTONS:], max(codec.classes)
        self.out = _fixed(_padded(_weight(out).T, most) for out in list(head.out)[1:])
        (self.out_buttons,) = _fixed([_weight(head.out[0]).T])
        self.below = _fixed(-_padded(torch.ones(most, n).triu(1), most, 2.0) for n in axes)
        self.autoregressive = head.autoregressive
        if self.autoregressive:
            self.among, self.told_buttons = _fixed([head.among.tril(-1).T, head.told_buttons])
            told = [torch.cat([rows[:1], rows.diff(dim=0)]) for rows in head.told]
            self.told = _fixed(_padded(rows.T, most).T for rows in told)
        first_A = torch.arange(NUM_COMPONENTS) * most  # of each component among all classes, one after the other
        rungs_A = torch.tensor([1] * NUM_BUTTONS + [most] * _NUM_AXES)
        off_b = torch.full((NUM_BUTTONS, most), _NEVER)
        off_b[:, 0] = off_b[:, 1] = 0
        press_bC = functional.one_hot(first_A[:NUM_BUTTONS] + 1, NUM_BUTTONS * most).float()
        self.count, self.press, self.off = _fixed(
            [torch.eye(NUM_COMPONENTS).repeat_interleave(rungs_A, 0), press_bC, off_b.flatten()]
        )
        (self.start,) = _fixed([(first_A - torch.tensor([0] * NUM_BUTTONS + [1] * _NUM_AXES)).float()])
        self.register_buffer("first", first_A)
        every = torch.arange(most)[:, None].minimum(torch.tensor(codec.classes) - 1)
        (self.values,) = _fixed([codec.decode_floats(every).T.reshape(-1, 1)])
        self.most = most

    def forward(
        self, floats_BF: Tensor, features_BD: Tensor, uniform_BA: Tensor, sharpness_A: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        sharp_b, *sharp_x = torch.split(sharpness_A, [NUM_BUTTONS] + [1] * _NUM_AXES)
        held_Bb, held_xBC = self.held(floats_BF)
        uniform_Bb, *uniform_x = torch.split(uniform_BA, [NUM_BUTTONS] + [1] * _NUM_AXES, -1)
        residual_BR = self.head.enter(features_BD)
        odds_Bb = torch.addmm(held_Bb, self._hidden(0, residual_BR), self.out_buttons)
        ladders = [self._buttons(odds_Bb, uniform_Bb, sharp_b)]
        if self.autoregressive:
            odds_Bb = torch.addmm(odds_Bb, ladders[0], self.among)
            residual_BR = torch.addmm(residual_BR, ladders[0], self.told_buttons)
        odds = [torch.addmm(self.off, odds_Bb, self.press)]
        for index in range(_NUM_AXES):
            odds.append(torch.addmm(held_xBC[index], self._hidden(1 + index, residual_BR), self.out[index]))
            share_BC = torch.softmax(odds[-1] * sharp_x[index], -1)
            ladders.append(_reached(torch.addmm(uniform_x[index], share_BC, self.below[index])))
            if self.autoregressive and index < len(self.told):
                residual_BR = torch.addmm(residual_BR, ladders[-1], self.told[index])
        return self._told(torch.cat(ladders, -1), torch.cat(odds, -1))

    def _hidden(self, index: int, residual_BR: Tensor) -> Tensor:
        hidden: Tensor = functional.gelu(self.head.layer[index](self.head.norm(residual_BR)))
        return hidden

    def _buttons(self, odds_Bb: Tensor, uniform_Bb: Tensor, sharp_b: Tensor) -> Tensor:
        """``(B, b)``: the uniform reaches the probability of not pressing where the log-odds reach its own."""
        odds_Bb = odds_Bb - ((1 - uniform_Bb) / uniform_Bb).log() / sharp_b
        pressed_Bb: Tensor = _reached(odds_Bb)
        if self.autoregressive:
            for _ in range(NUM_BUTTONS - 1):
                pressed_Bb = _reached(torch.addmm(odds_Bb, pressed_Bb, self.among))
        return pressed_Bb

    def _told(self, ladders: Tensor, odds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Action, log-probability and controller, ``(B, A)`` each."""
        place_BA = torch.addmm(self.start, ladders, self.count).long()
        log_probs = odds.reshape(-1, NUM_COMPONENTS, self.most).log_softmax(-1).flatten(1)
        return (
            place_BA - self.first,
            log_probs.gather(-1, place_BA),
            functional.embedding(place_BA, self.values)[..., 0],
        )


@torch.library.custom_op("exphil::reached", mutates_args=())
def _reached(margin: Tensor) -> Tensor:
    """1 where it is at least 0, else 0."""
    return (margin >= 0).to(margin.dtype)


@_reached.register_fake
def _(margin: Tensor) -> Tensor:
    return torch.empty_like(margin)


def _as_nodes(onnxscript: Any) -> dict[Any, Any]:
    """How a graph says ``_reached``: as one operation, which onnxruntime also joins to the product before it."""

    def reached(margin: Any) -> Any:
        return onnxscript.opset20.HardSigmoid(margin, alpha=_STEEP, beta=1.0)

    return {torch.ops.exphil.reached.default: reached}


def _weight(module: nn.Module) -> Tensor:
    weight: Tensor = module.weight  # type: ignore[assignment]
    return weight


def _bias(module: nn.Module) -> Tensor:
    bias: Tensor = module.bias  # type: ignore[assignment]
    return bias


def _padded(rows: Tensor, width: int, value: float = 0.0) -> Tensor:
    """The last axis brought to ``width``."""
    return functional.pad(rows, (0, width - rows.shape[-1]), value=value)
