"""What a policy has to beat: three players that look at nothing but the last controller, with honest probabilities.

The last controller is the one held on the frame before the answer, whatever the delay: who decided it knows it.

* ``majority`` draws every component from its marginal distribution in the training games.
* ``copy-previous`` holds a component with the share with which it was held there, else draws from the marginal of what
  it changed to.
* ``neutral`` lets go of a component with the share with which it was let go of, else takes any other class.

All counts begin at one, so that nothing unseen is impossible.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.data.corpus import Corpus
from exphil.features.action import Codec
from exphil.features.view import controllers
from exphil.game.frames import playing

NAMES = ("majority", "copy-previous", "neutral")
Actions = NDArray[np.int64]


def fit(decisions: Iterable[tuple[Actions, Actions]], codec: Codec) -> dict[str, Any]:
    """Count over (action held, action taken next), each ``(n, 13)``; plain values for the policy file."""
    classes = [np.ones(number) for number in codec.classes]
    changed = [np.ones(number) for number in codec.classes]
    held, total = np.ones(len(classes)), 2.0
    for before, after in decisions:
        same = before == after
        held += same.sum(0)
        total += len(after)
        for index, number in enumerate(codec.classes):
            classes[index] += np.bincount(after[:, index], minlength=number)
            changed[index] += np.bincount(after[~same[:, index], index], minlength=number)
    return {
        "decisions": int(total - 2),
        "hold": (held / total).tolist(),
        "marginal": [(count / count.sum()).tolist() for count in classes],
        "changed": [(count / count.sum()).tolist() for count in changed],
    }


def log_probs(fitted: dict[str, Any], codec: Codec, before: Actions, after: Actions) -> dict[str, NDArray[np.float64]]:
    """Log-probability of every taken component under each baseline, ``(n, 13)``."""
    found = {name: np.zeros(after.shape) for name in NAMES}
    for index, (number, rest) in enumerate(zip(codec.classes, codec.neutral, strict=True)):
        marginal, changed = np.array(fitted["marginal"][index]), np.array(fitted["changed"][index])
        hold, neutral = fitted["hold"][index], marginal[rest]
        held, taken = before[:, index], after[:, index]
        found["majority"][:, index] = np.log(marginal[taken])
        other = (1 - hold) * changed[taken] / (1 - changed[held])
        found["copy-previous"][:, index] = np.log(np.where(held == taken, hold, other))
        others = (1 - neutral) / (number - 1)
        found["neutral"][:, index] = np.log(np.where(taken == rest, neutral, others))
    return found


def of_corpus(corpus: Corpus, codec: Codec, all_frames: bool) -> dict[str, Any]:
    """``fit`` over every decision of a corpus that counts."""

    def decisions() -> Iterable[tuple[Actions, Actions]]:
        for index in range(len(corpus.entries)):
            game = corpus.game(index)
            taken = codec.encode_floats(controllers(game))
            counts = slice(None) if all_frames else playing(game[:-1])
            yield taken[:-1][counts], taken[1:][counts]

    return fit(decisions(), codec)
