"""The imitation loss: its value by hand, what weighs nothing, and its optimum."""

from __future__ import annotations

import math

import pytest
import torch

from exphil.train.losses import imitation


def test_the_value_by_hand():
    """Two decisions count; summed over components, averaged over those two."""
    log_prob = torch.full((1, 3, 13), -0.5)
    log_prob[0, 1, 4] = -3.5
    log_prob[0, 2] = -100.0
    loss = imitation(log_prob, torch.tensor([[1.0, 1.0, 0.0]]))
    assert loss.total == pytest.approx(13 * 0.5 + 3.0 / 2)
    assert loss.parts.tolist() == pytest.approx([0.5] * 4 + [2.0] + [0.5] * 8)
    assert loss.parts.sum() == pytest.approx(float(loss.total))


def test_decisions_without_weight_do_not_count():
    """Neither in the value nor in the gradient."""
    log_prob = torch.randn(4, 9, 13, requires_grad=True)
    weight = (torch.rand(4, 9) > 0.4).float()
    loss = imitation(log_prob, weight)
    loss.total.backward()
    assert not log_prob.grad[weight == 0].any()
    assert torch.allclose(log_prob.grad[weight == 1], torch.full((), -1 / float(weight.sum())))
    changed = log_prob.detach().clone()
    changed[weight == 0] = -1e6
    assert torch.equal(imitation(changed, weight).total, loss.total.detach())


def test_a_batch_in_which_nothing_counts_is_zero():
    assert imitation(torch.full((2, 3, 13), -1.0), torch.zeros(2, 3)).total == 0


def test_parts_carry_no_gradient():
    loss = imitation(torch.randn(2, 3, 13, requires_grad=True), torch.ones(2, 3))
    assert loss.total.requires_grad and not loss.parts.requires_grad


def test_the_optimum_is_the_players_own_distribution_and_its_entropy():
    """Every class shown as often as it is likely: the loss of the truth is its entropy, and every other is greater."""
    counts = torch.tensor([1, 2, 5, 0, 8], dtype=torch.float64)
    truth = counts / counts.sum()
    shown = torch.repeat_interleave(torch.arange(5), counts.long())
    entropy = -sum(float(p) * math.log(p) for p in truth if p)

    def loss(distribution: torch.Tensor) -> torch.Tensor:
        log_prob = torch.zeros(1, len(shown), 13, dtype=torch.float64)
        log_prob = log_prob.index_add(2, torch.tensor([0]), distribution.log()[shown][None, :, None])
        return imitation(log_prob, torch.ones(1, len(shown), dtype=torch.float64)).total

    assert float(loss(truth)) == pytest.approx(entropy, abs=1e-12)
    torch.manual_seed(1)
    for _ in range(50):
        other = torch.distributions.Dirichlet(torch.ones(5, dtype=torch.float64)).sample()
        assert float(loss(other)) > entropy
    logits = torch.randn(5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-10)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(logits.softmax(0))
        value.backward()
        return value

    optimizer.step(closure)
    assert float(closure().detach()) == pytest.approx(entropy, abs=1e-4)
    assert torch.allclose(logits.softmax(0), truth, atol=1e-4)
