"""What a model says of itself: its words, the shapes of its weights, and what its losses were measured on.

A policy file enters; ``header`` reads its first bytes alone (no weights, no torch), ``read`` reads and checks all of a
policy file or a snapshot through ``train.checkpoint``. No code of a file runs. What can go wrong: a file that is
missing, damaged, or not ours.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exphil.errors import PolicyError
from exphil.train.runfiles import what_a_policy_is

_MOST_HEADER = 1 << 28  # bytes; the words of a policy that learned from a million games are 30 MB
_WORDS = ("config", "fingerprint", "baselines", "training")
_SEATS = ("player_port", "dual_port", "train_character")
_DELAYS = ("frame_delay", "frame_delay_augment", "frame_delay_min", "frame_delay_max")


@dataclass(frozen=True)
class Described:
    """What a policy file or a snapshot says.

    Attributes:
        config: The options of the run, by name.
        training: Name, seed, epochs, updates, the losses of every epoch (``history``), and the digests of the games
            ``learned`` and ``held_out``.
        fingerprint: Of the feature table.
        baselines: As ``data.baselines`` counted them on the games learned from.
        players: The registry of styles; empty without styles.
        actions: The codec; empty in files from before there was a choice.
        shapes: Of every parameter, by name.
        weight_bytes: What the parameters take.
    """

    config: dict[str, Any]
    training: dict[str, Any]
    fingerprint: str
    baselines: dict[str, Any]
    players: dict[str, Any]
    actions: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    weight_bytes: int

    @property
    def history(self) -> list[dict[str, float]]:
        """One line an epoch: ``epoch``, ``train`` and, with held-out games, ``validation``."""
        return list(self.training.get("history", ()))

    @property
    def parameters(self) -> int:
        """How many numbers it learned."""
        return sum(map(math.prod, self.shapes.values()))

    def parts(self) -> dict[str, int]:
        """Parameters of embed, backbone and head."""
        return self._summed({"backbone": 1, "embed": 1})

    def layers(self) -> dict[str, int]:
        """Parameters of every step from frame to action, in its order; the head is one of them."""
        return self._summed({"backbone": 3, "embed": 2})

    @property
    def depth(self) -> int:
        """Layers of the backbone."""
        return sum(name.startswith("backbone.layers.") for name in self.layers())

    def _summed(self, depths: Mapping[str, int]) -> dict[str, int]:
        """Parameters by the first words of their names; so many of them by the first word, else one."""
        found: dict[tuple[str, ...], int] = {}
        for name, shape in self.shapes.items():
            words = name.split(".")
            deep = depths.get(words[0], 1)
            step = tuple(words[: deep if words[1:2] == ["layers"] else min(deep, 2)])
            found[step] = found.get(step, 0) + math.prod(shape)
        return {".".join(step): found[step] for step in sorted(found, key=_along)}

    def losses(self) -> dict[str, float | int | None]:
        """The last losses and the best held-out one with its epoch; None where there is none."""
        measured = bool(self.training.get("average")) or not self.config.get("ema")  # else the average was
        lines = self.history if measured else []
        held = [(found, line["epoch"]) for line in lines if (found := number(line.get("validation"))) is not None]
        best, epoch = min(held, default=(None, None))
        last = self.history[-1] if self.history else {}
        losses = {"train": number(last.get("train")), "held_out": number(last.get("validation")) if lines else None}
        return {**losses, "best": best, "best_epoch": epoch}


def number(value: Any) -> float | None:
    """A value of a file, if it is a number."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _along(step: tuple[str, ...]) -> tuple[object, ...]:
    """Sorts names of parts by the way of a frame: in at the tables, through the layers by number, out at the head."""
    order = {"embed": 0, "backbone": 1, "head": 2}
    within = {"tables": 0, "layers": 0}.get(step[1], 1) if len(step) > 1 else 0
    number = int(step[2]) if len(step) > 2 and step[2].isdigit() else 0
    return order.get(step[0], 3), within, number, step


def header(path: Path) -> Described:
    """What a policy file says, from its header and its length; whether its weights are whole, ``read`` knows.

    Raises:
        PolicyError: missing, cut off, or not a policy file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= _MOST_HEADER:
                raise ValueError("no header")
            table = json.loads(file.read(length))
        words = json.loads(table.pop("__metadata__")["exphil"])
        shapes = {name: tuple(map(int, row["shape"])) for name, row in table.items()}
        end = max((row["data_offsets"][1] for row in table.values()), default=0)
        if path.stat().st_size != 8 + length + end:
            raise ValueError("cut off")
        return _described(words, shapes, end)
    except OSError as error:
        raise PolicyError(f"cannot be read ({error.strerror})", str(path), what_a_policy_is(path)) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise PolicyError("not a policy file, or damaged", str(path), what_a_policy_is(path)) from error


def read(path: Path) -> Described:
    """What a policy file or a snapshot says, every byte of it checked.

    Raises:
        PolicyError: missing, damaged, or neither.
    """
    from exphil.train.checkpoint import load_policy

    file = load_policy(path)
    words = {name: getattr(file, name) for name in (*_WORDS, "players", "actions")}
    shapes = {name: tuple(tensor.shape) for name, tensor in file.weights.items()}
    try:
        return _described(words, shapes, sum(tensor.nbytes for tensor in file.weights.values()))
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError("does not say what a policy says", str(path), what_a_policy_is(path)) from error


def _described(words: Mapping[str, Any], shapes: dict[str, tuple[int, ...]], size_bytes: int) -> Described:
    known: dict[str, Any] = {name: words[name] for name in _WORDS}
    younger: dict[str, Any] = {name: dict(words.get(name) or {}) for name in ("players", "actions")}
    lines = known["training"].get("history", [])
    if not (isinstance(known["config"], dict) and all(isinstance(line["epoch"], int) for line in lines)):
        raise ValueError("words of another shape")
    return Described(**known, **younger, shapes=shapes, weight_bytes=size_bytes)


def measured_on(
    config: Mapping[str, Any], games: Mapping[str, Sequence[str]], actions: Mapping[str, Any]
) -> dict[str, Any]:
    """What the held-out losses of a run were measured on: where all of it is the same, they can be compared.

    Args:
        config: Every option by name.
        games: The digests of the files ``learned`` from and ``held_out``.
        actions: The codec as ``features.action`` wrote it.

    Returns:
        ``held-out games``, ``classes``, ``seats``, ``frames`` and ``delay``: short texts; and ``games``, how many were
        held out.
    """
    held = sorted(set(games.get("held_out", ())))
    frames = "all" if config.get("all_frames") else "playing"
    late = {name: config.get(name) for name in _DELAYS[: 1 if not config.get("frame_delay_augment") else 4]}
    return {
        "games": len(held),
        "held-out games": _digest(held),
        "classes": _digest(dict(actions)),
        "seats": _digest({name: config.get(name) for name in _SEATS}),
        "frames": f"{frames}, of rollbacks the {config.get('rollbacks', 'first')}",
        "delay": " ".join(str(value) for value in late.values()),
    }


def apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """In what two of ``measured_on`` differ, in words; empty when their losses can be compared."""
    if not one.get("games") or not other.get("games"):
        return ["held-out games: one of them has none"]
    names = ("held-out games", "classes", "seats", "frames", "delay")
    return [name for name in names if one.get(name) != other.get(name)]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def baseline_losses(baselines: Mapping[str, Any], rest: Sequence[int]) -> dict[str, float]:
    """Nats per decision of the players that look at nothing, on the games learned from, from their own counts.

    Of ``copy-previous`` only a bound is known: how often each class follows each other is not counted. A component
    that changes costs ``-log((1 - hold) changed[taken] / (1 - changed[held]))``; leaving out the last factor, which is
    at most 1, can only make it more. Of two classes the other one is certain.

    Args:
        baselines: As ``data.baselines.fit`` made them; empty gives nothing.
        rest: ``(13,)``: the class of every component that nobody touches (``Codec.neutral``).

    Returns:
        ``majority``, ``neutral``, and ``copy-previous``, which is at most this.
    """
    if not baselines:
        return {}
    majority = neutral = copied = 0.0
    for hold, marginal, changed, at in zip(
        baselines["hold"], baselines["marginal"], baselines["changed"], rest, strict=True
    ):
        majority += _entropy(marginal)
        let_go = marginal[at]
        neutral += _entropy([let_go, 1 - let_go]) + (1 - let_go) * math.log(len(marginal) - 1)
        copied += _entropy([hold, 1 - hold]) + ((1 - hold) * _entropy(changed) if len(changed) > 2 else 0.0)
    return {"majority": majority, "neutral": neutral, "copy-previous": copied}


def _entropy(shares: Sequence[float]) -> float:
    return -sum(share * math.log(share) for share in shares if share > 0)
