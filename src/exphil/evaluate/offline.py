"""A policy against recorded players: whole games from first frame to last, state carried, everything per component.

What leaves is one plain dictionary, the same that ``exphil evaluate --json`` prints. Losses are nats per decision,
summed over components for ``total``. Every component is judged given the components before it as the player chose them
(how the loss is defined). These numbers say how well people are predicted; they do not rank how well policies play.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from exphil.data import baselines
from exphil.data.loader import Loader
from exphil.errors import DataError
from exphil.features.action import NUM_BUTTONS, Codec
from exphil.models.policy import Policy

TOP = 3
BINS = 10
Counts = NDArray[np.float64]


class _Tally:
    """Sums over decisions."""

    def __init__(self, codec: Codec) -> None:
        self.names, self.classes = [component.name for component in codec.components], codec.classes
        n = len(self.names)
        self.frames = 0.0
        self.loss = np.zeros(n)
        self.right = np.zeros(n)
        self.top = np.zeros(n)
        self.whole = 0.0
        self.predicted, self.pressed, self.both, self.expected = (np.zeros(NUM_BUTTONS) for _ in range(4))
        self.confidence, self.hits, self.count = (np.zeros((n, BINS)) for _ in range(3))
        self.baselines = {name: np.zeros(n) for name in baselines.NAMES}

    def add(self, log_probs: list[Counts], taken: NDArray[np.int64]) -> None:
        """``log_probs``: 13 arrays ``(n, classes)``; ``taken`` ``(n, 13)``."""
        self.frames += len(taken)
        rows = np.arange(len(taken))
        all_right = np.ones(len(taken), np.bool_)
        for index, log_prob in enumerate(log_probs):
            answer = taken[:, index]
            mine = log_prob[rows, answer]
            likeliest = log_prob.argmax(1)
            right = likeliest == answer
            all_right &= right
            self.loss[index] -= mine.sum()
            self.right[index] += right.sum()
            self.top[index] += ((log_prob > mine[:, None]).sum(1) < TOP).sum()
            best = np.exp(log_prob.max(1))
            bins = np.minimum((best * BINS).astype(np.int64), BINS - 1)
            self.count[index] += np.bincount(bins, minlength=BINS)
            self.confidence[index] += np.bincount(bins, best, BINS)
            self.hits[index] += np.bincount(bins, right, BINS)
            if index < NUM_BUTTONS:
                self.predicted[index] += likeliest.sum()
                self.pressed[index] += answer.sum()
                self.both[index] += (likeliest & answer).sum()
                self.expected[index] += np.exp(log_prob[:, 1]).sum()
        self.whole += all_right.sum()

    def by_component(self, sums: Counts) -> dict[str, float]:
        """The mean over decisions of each component."""
        means = sums / max(self.frames, 1.0)
        return {name: float(mean) for name, mean in zip(self.names, means, strict=True)}

    def loss_of(self, sums: Counts) -> dict[str, float]:
        """The same, and their sum."""
        return {"total": float(sums.sum() / max(self.frames, 1.0))} | self.by_component(sums)


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _report(tally: _Tally, games: int, entries: int) -> dict[str, Any]:
    frames = tally.frames
    buttons = {
        name: {
            "precision": _share(tally.both[index], tally.predicted[index]),
            "recall": _share(tally.both[index], tally.pressed[index]),
            "press_rate": _share(tally.pressed[index], frames),
            "press_rate_predicted": _share(tally.expected[index], frames),
        }
        for index, name in enumerate(tally.names[:NUM_BUTTONS])
    }
    calibration = {}
    for index, name in enumerate(tally.names):
        count, gap = tally.count[index], np.abs(tally.confidence[index] - tally.hits[index])
        calibration[name] = {
            "expected_error": float(gap.sum() / max(frames, 1.0)),
            "bins": [
                {
                    "confidence": float(tally.confidence[index, b] / count[b]),
                    "accuracy": float(tally.hits[index, b] / count[b]),
                    "frames": int(count[b]),
                }
                for b in range(BINS)
                if count[b]
            ],
        }
    return {
        "games": games,
        "players": entries,
        "frames": int(frames),
        "classes": list(tally.classes),
        "loss": tally.loss_of(tally.loss),
        "baselines": {name: {"loss": tally.loss_of(sums)} for name, sums in tally.baselines.items()},
        "accuracy": {"whole_action": tally.whole / max(frames, 1.0)} | tally.by_component(tally.right),
        "top3": {c: v for c, v in tally.by_component(tally.top).items() if c not in buttons},
        "buttons": buttons,
        "calibration": calibration,
    }


@torch.inference_mode()
def measure(policy: Policy, loader: Loader, fitted: dict[str, Any]) -> dict[str, Any]:
    """Walk every game of a loader (``data.walk``).

    Args:
        policy: The policy, on the loader's device.
        loader: Walks whole games.
        fitted: Baselines from the policy file.

    Raises:
        DataError: no decision counts.
    """
    policy.eval()
    tally = _Tally(policy.codec)
    state = policy.initial_state(loader.plan.batch)
    for step in range(loader.steps(0)):
        batch = loader.load(0, step)
        features, held, state = policy.features(batch.floats, batch.ids, state, batch.is_first)
        log_probs = policy.head.distributions(features, held, batch.action)
        counts = batch.weight > 0
        taken, before = batch.action[counts].cpu().numpy(), held[counts].cpu().numpy()
        tally.add([part[counts].cpu().double().numpy() for part in log_probs], taken)
        for name, found in baselines.log_probs(fitted, policy.codec, before, taken).items():
            tally.baselines[name] -= found.sum(0)
    if not tally.frames:
        raise DataError("no decision in these games counts", fix="--all-frames counts what is played by nobody, too")
    return _report(tally, loader.corpus.games, len(loader.corpus.entries))
