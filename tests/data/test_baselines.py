"""The three baselines: honest distributions, counted by hand, and the peer's figure for holding the controller."""

from __future__ import annotations

import numpy as np
import pytest

from exphil.data import baselines
from exphil.data.corpus import Corpus, Entry
from exphil.features.action import Codec
from exphil.game.controller import controller_of
from exphil.replays import slp

CODEC = Codec.uniform()

PEER_SPLIT_COPY_PREVIOUS = 1.96
"""Nats per decision; the peer's own counting on the same files gives 1.993 with a fixed share for held buttons."""


def drawn(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.stack([random.integers(0, c.classes, count) for c in CODEC.components], -1)


@pytest.fixture(scope="module")
def fits() -> dict[str, dict]:
    """Fitted on nothing at all, on noise, and on one action that never changes."""
    noise, still = drawn(500, 1), np.tile(CODEC.neutral, (500, 1))
    return {
        "nothing": baselines.fit([], CODEC),
        "noise": baselines.fit([(noise[:-1], noise[1:])], CODEC),
        "still": baselines.fit([(still[:-1], still[1:])], CODEC),
    }


@pytest.mark.parametrize("name", ["nothing", "noise", "still"])
def test_probabilities_sum_to_one_and_nothing_is_impossible(fits, name):
    """Over the classes of every component, whatever class is held."""
    for index, component in enumerate(CODEC.components):
        for held in range(component.classes):
            before = np.tile(CODEC.neutral, (component.classes, 1))
            after = before.copy()
            before[:, index], after[:, index] = held, np.arange(component.classes)
            for baseline, found in baselines.log_probs(fits[name], CODEC, before, after).items():
                assert np.isfinite(found).all(), baseline
                assert np.exp(found[:, index]).sum() == pytest.approx(1, abs=1e-12), (baseline, component.name)


def test_a_hand_computed_example():
    """Button A over four decisions: 0 1, 1 1, 1 0, 0 0."""
    before, after = np.tile(CODEC.neutral, (4, 1)), np.tile(CODEC.neutral, (4, 1))
    before[:, 0], after[:, 0] = [0, 1, 1, 0], [1, 1, 0, 0]
    fitted = baselines.fit([(before[:2], after[:2]), (before[2:], after[2:])], CODEC)
    assert fitted["decisions"] == 4
    assert fitted["hold"][0] == (1 + 2) / (2 + 4)
    assert fitted["marginal"][0] == [3 / 6, 3 / 6]
    assert fitted["changed"][0] == [2 / 4, 2 / 4]
    assert fitted["hold"][1] == 5 / 6 and fitted["marginal"][1] == [5 / 6, 1 / 6]  # B was never touched
    found = baselines.log_probs(fitted, CODEC, before, after)
    assert np.allclose(np.exp(found["majority"][:, 0]), 0.5)
    assert np.allclose(np.exp(found["copy-previous"][:, 0]), 0.5)
    assert np.allclose(np.exp(found["copy-previous"][:, 1]), 5 / 6)
    assert np.allclose(np.exp(found["neutral"][:, 1]), 5 / 6)


def test_an_axis_by_hand():
    """The main stick goes from rest to class 16, stays, and goes to 0."""
    before, after = np.tile(CODEC.neutral, (3, 1)), np.tile(CODEC.neutral, (3, 1))
    before[:, 8], after[:, 8] = [8, 16, 16], [16, 16, 0]
    fitted = baselines.fit([(before, after)], CODEC)
    assert fitted["hold"][8] == 2 / 5
    assert fitted["changed"][8][16] == fitted["changed"][8][0] == 2 / 19
    found = baselines.log_probs(fitted, CODEC, before, after)
    moved = (1 - 2 / 5) * (2 / 19)
    assert np.allclose(np.exp(found["copy-previous"][:, 8]), [moved / (1 - 1 / 19), 2 / 5, moved / (1 - 2 / 19)])
    assert np.allclose(np.exp(found["neutral"][:, 8]), (1 - 1 / 20) / 16)  # rest was never taken


def test_a_corpus_is_counted_over_the_decisions_that_weigh(make):
    small, lay = make
    games = [small(200, 1, first_frame=-123), small(90, 2, dead_from=50)]
    corpus = lay(games)
    assert baselines.of_corpus(corpus, CODEC, all_frames=True)["decisions"] == 199 + 89
    assert baselines.of_corpus(corpus, CODEC, all_frames=False)["decisions"] == (199 - (123 - 40)) + 50


def test_copying_the_previous_controller_costs_what_the_peer_found(replays):
    """Fitted on its training files, all frames, measured on its test files."""

    def corpus(part: str) -> Corpus:
        found = [slp.read(path) for path in sorted((replays / "peer_split" / part).glob("*.slp"))]
        return Corpus.of(
            (Entry(number, replay.path.name, replay.characters[seat], seat=seat), replay.game)
            for number, replay in enumerate(found)
            for seat in (0, 1)
        )

    fitted, test = baselines.of_corpus(corpus("train"), CODEC, all_frames=True), corpus("test")
    taken = [CODEC.encode(controller_of(test.game(i).players, 0)) for i in range(len(test.entries))]
    before, after = (np.concatenate([part[cut] for part in taken]) for cut in (slice(None, -1), slice(1, None)))
    losses = {
        name: -float(found.sum(1).mean()) for name, found in baselines.log_probs(fitted, CODEC, before, after).items()
    }
    print(f"nats per decision on peer_split/test: {losses}")  # noqa: T201
    assert losses["copy-previous"] == pytest.approx(PEER_SPLIT_COPY_PREVIOUS, abs=0.05)
    assert losses["copy-previous"] < losses["majority"] and losses["copy-previous"] < losses["neutral"]
