"""The head: one walk that scores and draws, honest distributions, and who is told of whom."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from exphil.features.action import Codec
from exphil.models.head import Head
from exphil.play.agent import likeliest

CODEC = Codec.uniform()

SIZE = 9
KINDS = [True, False]


def head(autoregressive: bool, noise: float = 0.7, seed: int = 0) -> Head:
    """A head in double precision with every parameter drawn; ``noise`` 0 leaves it as training begins."""
    torch.manual_seed(seed)
    made = Head(SIZE, CODEC.classes, 16, 12, 0.3, autoregressive).double().eval()
    if noise:
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.normal_(0, noise)
    return made


def drawn(*shape: int, seed: int = 1) -> Tensor:
    """Actions drawn evenly."""
    random = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(c.classes, shape, generator=random) for c in CODEC.components], -1)


def features(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniforms(*shape: int, seed: int = 3) -> Tensor:
    return torch.rand(*shape, 13, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("autoregressive", KINDS)
@torch.inference_mode()
def test_the_score_of_a_drawn_action_is_its_log_prob(autoregressive):
    model, x, previous = head(autoregressive), features(40, 5), drawn(40, 5)
    coldest = [torch.from_numpy(part) for part in likeliest(40, 5)]
    for uniform, sharpness in ((uniforms(40, 5), None), (uniforms(40, 5), torch.full((13,), 3.0)), coldest):
        choice = model.sample(x, previous, uniform, sharpness)
        assert choice.action.shape == choice.log_prob.shape == (40, 5, 13)
        assert torch.equal(model.score(x, previous, choice.action).log_prob, choice.log_prob)


@pytest.mark.parametrize("autoregressive", KINDS)
@torch.inference_mode()
def test_every_components_probabilities_sum_to_one(autoregressive):
    model, x, previous, taken = head(autoregressive), features(50), drawn(50), drawn(50, seed=9)
    found = model.distributions(x, previous, taken)
    assert [part.shape[-1] for part in found] == [c.classes for c in CODEC.components]
    for index, part in enumerate(found):
        assert torch.allclose(part.exp().sum(-1), torch.ones(50, dtype=torch.float64), atol=1e-12)
        scored = model.score(x, previous, taken).log_prob[:, index]
        assert torch.allclose(part.gather(-1, taken[:, index, None])[:, 0], scored, atol=1e-12)


@pytest.mark.parametrize("autoregressive", KINDS)
@torch.inference_mode()
def test_the_spread_is_the_mean_over_every_components_classes(autoregressive):
    """And comes with the very log-probabilities that ``score`` gives."""
    model, x, previous, taken = head(autoregressive), features(50, 3), drawn(50, 3), drawn(50, 3, seed=9)
    found = model.spread(x, previous, taken)
    means = torch.stack([part.mean(-1) for part in model.distributions(x, previous, taken)], -1)
    assert torch.allclose(found.spread, means, atol=1e-12)
    assert torch.equal(found.log_prob, model.score(x, previous, taken).log_prob)


@pytest.mark.parametrize("autoregressive", KINDS)
@torch.inference_mode()
def test_draws_follow_the_distribution(autoregressive):
    """Of one state: the share of every class lies within five standard deviations of its probability."""
    count = 20_000
    model = head(autoregressive)
    x, previous = features(1).expand(count, SIZE), drawn(1).expand(count, 13)
    taken = model.sample(x, previous, uniforms(count)).action
    expected = model.distributions(x, previous, taken)
    for index, component in enumerate(CODEC.components):
        probability = expected[index].exp()  # given what each draw took before
        share = torch.bincount(taken[:, index], minlength=component.classes) / count
        spread = (probability * (1 - probability)).mean(0).div(count).sqrt()
        assert ((share - probability.mean(0)).abs() <= 5 * spread + 1e-9).all(), component.name


@pytest.mark.parametrize("autoregressive", KINDS)
@torch.inference_mode()
def test_the_same_uniforms_draw_the_same_actions(autoregressive):
    """Whatever the batch they come in; others draw others."""
    model, x, previous, uniform = head(autoregressive), features(64), drawn(64), uniforms(64)
    whole = model.sample(x, previous, uniform).action
    assert torch.equal(whole, model.sample(x, previous, uniform).action)
    one_by_one = [model.sample(x[i], previous[i], uniform[i]).action for i in range(64)]
    assert torch.equal(whole, torch.stack(one_by_one))
    assert not torch.equal(whole, model.sample(x, previous, uniforms(64, seed=8)).action)


@pytest.mark.parametrize("uniform", [0.0, float(np.nextafter(np.float32(1), np.float32(0)))])
@torch.inference_mode()
def test_the_ends_of_the_uniforms_draw_classes_that_exist(uniform):
    model, x, previous = head(True).float(), features(200).float(), drawn(200)
    taken = model.sample(x, previous, torch.full((200, 13), uniform)).action
    for index, component in enumerate(CODEC.components):
        assert taken[:, index].min() >= 0 and taken[:, index].max() < component.classes
    assert uniform or not taken.any()  # 0 draws the first class


@pytest.mark.parametrize("autoregressive", KINDS)
@torch.inference_mode()
def test_the_sharpest_draw_takes_the_likeliest_class(autoregressive):
    """Of every component, given those taken before it."""
    model, x, previous = head(autoregressive), features(80), drawn(80)
    taken = model.sample(x, previous, *map(torch.from_numpy, likeliest(80))).action
    for index, part in enumerate(model.distributions(x, previous, taken)):
        assert torch.equal(part.argmax(-1), taken[:, index])


def influence(model: Head) -> np.ndarray:
    """``(13, 13)`` bool: whether the class of component [row] changes the distribution of component [column]."""
    x, previous, taken = features(60), drawn(60), drawn(60, seed=9)
    before = model.distributions(x, previous, taken)
    found = np.zeros((13, 13), np.bool_)
    for row, component in enumerate(CODEC.components):
        other = taken.clone()
        other[:, row] = (other[:, row] + 1) % component.classes
        after = model.distributions(x, previous, other)
        found[row] = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    return found


@torch.inference_mode()
def test_the_autoregressive_head_tells_every_component_of_all_before_it():
    """And of none after it; before training nobody is told anything."""
    assert np.array_equal(influence(head(True)), np.triu(np.ones((13, 13), np.bool_), 1))
    assert not influence(head(True, noise=0)).any()


@torch.inference_mode()
def test_the_independent_head_tells_nobody():
    assert not influence(head(False)).any()


@pytest.mark.parametrize("autoregressive", KINDS)
@torch.inference_mode()
def test_before_training_holding_the_previous_action_is_the_likeliest(autoregressive):
    model, previous = head(autoregressive, noise=0), drawn(100)
    choice = model.sample(features(100), previous, *map(torch.from_numpy, likeliest(100)))
    assert torch.equal(choice.action, previous)
    assert (choice.log_prob.exp() > 0.7).all()


@torch.inference_mode()
def test_what_is_held_matters_to_its_own_component():
    model, x, taken = head(True), features(60), drawn(60, seed=9)
    held = drawn(60)
    before = model.distributions(x, held, taken)
    for row, component in enumerate(CODEC.components):
        other = held.clone()
        other[:, row] = (other[:, row] + 1) % component.classes
        after = model.distributions(x, other, taken)
        assert [i for i in range(13) if not torch.equal(before[i], after[i])] == [row]
