"""The imitation loss: its value by hand, what weighs nothing, safe numbers, and the optimum of every term."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from exphil import assemble
from exphil.config.layers import resolve
from exphil.features.action import Codec
from exphil.train.losses import Imitation, Loss

WEIGHTED = (1.0, 1.0, 1.0, 1.0, 12.0, 4.0, 4.0, 10.0)
TERMS = {
    "plain": Imitation(),
    "focal": Imitation(focal_gamma=2.0),
    "weak focal": Imitation(focal_gamma=0.3),
    "smoothing": Imitation(smoothing=0.1),
    "weights": Imitation(button_weights=WEIGHTED),
    "all": Imitation(focal_gamma=0.5, smoothing=0.2, button_weights=WEIGHTED),
}
EVERY = pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
BUTTON, AXIS = 5, 9


def batch(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities, spreads and actions ``(*shape, 13)``."""
    random = torch.Generator().manual_seed(seed)
    log_prob, spread = (-3 * torch.rand(*shape, 13, generator=random) for _ in range(2))
    return log_prob, spread, torch.randint(2, (*shape, 13), generator=random)


def optimum(terms: Imitation, component: int, shares: Tensor) -> Tensor:
    """What probabilities make the loss of a component least when its classes are pressed in these shares.

    ``shares`` ``(N, K)``: N independent situations, each decision counting as much as it is likely.
    """
    count, classes = shares.shape
    action = torch.zeros(count, classes, 13, dtype=torch.int64)
    action[..., component] = torch.arange(classes)
    at = torch.nn.functional.one_hot(torch.tensor(component), 13).double()
    logits = torch.zeros(count, classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logits], max_iter=600, tolerance_grad=1e-11, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        log_p = logits.log_softmax(-1)
        spread = log_p.mean(-1, keepdim=True).expand_as(log_p)
        found = terms(log_p[..., None] * at, spread[..., None] * at, action, shares)
        found.objective.backward()
        return found.objective

    optimizer.step(closure)
    return logits.detach().softmax(-1)


def binary(*likely: float) -> Tensor:
    """Shares of not pressed and pressed, of buttons that are pressed so often."""
    q = torch.tensor(likely, dtype=torch.float64)
    return torch.stack([1 - q, q], -1)


def drawn(count: int, classes: int, seed: int = 3, sharpest: float = 4) -> Tensor:
    """Shares of classes, from nearly even to nearly certain."""
    random = torch.Generator().manual_seed(seed)
    sharp = torch.linspace(0.3, sharpest, count, dtype=torch.float64)[:, None]
    return (sharp * torch.randn(count, classes, generator=random, dtype=torch.float64)).softmax(-1)


def slope(p: Tensor, gamma: float) -> Tensor:
    """How fast the focal loss of a class falls at p: f of the docstring, written anew."""
    return (1 - p) ** gamma / p - gamma * (1 - p) ** (gamma - 1) * p.log()


def test_the_value_by_hand():
    """Two decisions count; summed over them."""
    log_prob = torch.full((1, 3, 13), -0.5)
    log_prob[0, 1, 4] = -3.5
    log_prob[0, 2] = -100.0
    loss = Imitation()(log_prob, None, torch.zeros(1, 3, 13, dtype=torch.int64), torch.tensor([[1.0, 1.0, 0.0]]))
    assert isinstance(loss, Loss)
    assert float(loss.objective) == pytest.approx(2 * 13 * 0.5 + 3)
    assert loss.nats.tolist() == pytest.approx([1.0] * 4 + [4.0] + [1.0] * 8)
    assert float(loss.count) == 2


def test_focal_by_hand():
    """What was given a quarter counts nine sixteenths; what was certain nothing."""
    log_prob = torch.zeros(1, 1, 13)
    log_prob[..., 0] = log_prob[..., 12] = math.log(0.25)
    loss = Imitation(focal_gamma=2.0)(log_prob, None, torch.zeros(1, 1, 13, dtype=torch.int64), torch.ones(1, 1))
    assert float(loss.objective) == pytest.approx(2 * 9 / 16 * math.log(4))


def test_smoothing_by_hand_leaves_buttons_alone():
    """Whatever is said of the spread of buttons."""
    log_prob, spread, action = batch(4, 5)
    spread[..., :8] = float("nan")
    cost = -log_prob
    cost[..., 8:] = 0.9 * cost[..., 8:] - 0.1 * spread[..., 8:]
    loss = Imitation(smoothing=0.1)(log_prob, spread, action, torch.ones(4, 5))
    assert float(loss.objective) == pytest.approx(float(cost.sum()), rel=1e-5)


def test_a_press_counts_as_often_as_its_weight_and_a_rest_once():
    """Presses of buttons; classes of axes count once."""
    log_prob, _, action = batch(4, 5)
    times = torch.where(action == 1, torch.tensor([*WEIGHTED, *[1.0] * 5]), 1.0)
    loss = Imitation(button_weights=WEIGHTED)(log_prob, None, action, torch.ones(4, 5))
    assert float(loss.objective) == pytest.approx(float(-(times * log_prob).sum()), rel=1e-5)


@EVERY
def test_decisions_without_weight_do_not_count(terms):
    """Neither in the values nor in the gradient."""
    log_prob, spread, action = batch(4, 9)
    log_prob.requires_grad_()
    weight = (torch.rand(4, 9, generator=torch.Generator().manual_seed(1)) > 0.4).float()
    loss = terms(log_prob, spread, action, weight)
    loss.objective.backward()
    assert not log_prob.grad[weight == 0].any() and log_prob.grad[weight == 1].all()
    changed = log_prob.detach().clone()
    changed[weight == 0] = -1e6
    other = terms(changed, spread, action, weight)
    assert all(torch.equal(*pair) for pair in zip(other, (part.detach() for part in loss), strict=True))


@EVERY
def test_a_batch_in_which_nothing_counts_is_zero(terms):
    log_prob, spread, action = batch(2, 3)
    loss = terms(log_prob, spread, action, torch.zeros(2, 3))
    assert not loss.objective and not loss.nats.any() and not loss.count


@EVERY
def test_nats_are_the_plain_ones_and_carry_no_gradient(terms):
    log_prob, spread, action = batch(2, 3)
    loss = terms(log_prob.requires_grad_(), spread, action, torch.ones(2, 3))
    assert loss.objective.requires_grad and not loss.nats.requires_grad
    assert torch.allclose(loss.nats, -log_prob.detach().sum((0, 1)))


@EVERY
def test_sums_of_parts_are_the_sum_of_the_whole(terms):
    """So that micro-batches and ranks add up, whatever number of decisions each has."""
    log_prob, spread, action = batch(6, 5)
    weight = (torch.arange(30).reshape(6, 5) % 7 > 2).float()
    whole = terms(log_prob, spread, action, weight)
    parts = [terms(*(x[rows] for x in (log_prob, spread, action, weight))) for rows in (slice(0, 1), slice(1, 6))]
    for at, value in enumerate(whole):
        assert torch.allclose(parts[0][at] + parts[1][at], value, rtol=1e-5)


def test_the_spread_is_asked_for_by_smoothing_alone():
    assert {name for name, terms in TERMS.items() if terms.needs_spread} == {"smoothing", "all"}
    assert {name for name, terms in TERMS.items() if terms.plain} == {"plain"}


@EVERY
def test_terms_that_are_off_are_the_plain_loss(terms):
    """As parameters of the terms go to nothing, so does what they change."""
    log_prob, spread, action = batch(3, 4)
    nearly = Imitation(terms.focal_gamma * 1e-7, terms.smoothing * 1e-7, tuple(w**1e-7 for w in terms.button_weights))
    loss = nearly(log_prob, spread, action, torch.ones(3, 4))
    assert float(loss.objective) == pytest.approx(float(loss.nats.sum()), rel=1e-4)


@EVERY
@pytest.mark.parametrize("log_p", [0.0, -1e-38, -1e-8, -1e-3, -60.0, -1e4])
def test_certain_and_impossible_presses_have_finite_losses_and_gradients(terms, log_p):
    log_prob = torch.full((2, 2, 13), log_p, requires_grad=True)
    spread = torch.full((2, 2, 13), -60.0, requires_grad=True)
    loss = terms(log_prob, spread, torch.ones(2, 2, 13, dtype=torch.int64), torch.ones(2, 2))
    loss.objective.backward()
    assert loss.objective.isfinite() and loss.nats.isfinite().all() and log_prob.grad.isfinite().all()
    assert spread.grad is None or spread.grad.isfinite().all()


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(terms, dtype):
    log_prob, spread, action = batch(64, 64)
    halves, weight = (log_prob.to(dtype), spread.to(dtype)), torch.ones(64, 64)
    loss, wide = terms(*halves, action, weight), terms(*(half.float() for half in halves), action, weight)
    assert loss.objective.dtype == loss.nats.dtype == torch.float32
    assert torch.equal(loss.objective, wide.objective) and torch.equal(loss.nats, wide.nats)


@pytest.mark.parametrize("component", [BUTTON, AXIS])
def test_the_optimum_is_the_players_own_distribution_and_its_entropy(component):
    """The loss of the truth is its entropy, and every other is greater."""
    shares = drawn(20, 2 if component == BUTTON else 17)
    assert torch.allclose(optimum(Imitation(), component, shares), shares, atol=1e-5)

    def loss(p: Tensor) -> float:
        log_prob = torch.zeros(*shares.shape, 13, dtype=torch.float64)
        log_prob[..., component] = p.log()
        return float(Imitation()(log_prob, None, torch.zeros_like(log_prob).long(), shares).objective)

    entropy = float(-(shares * shares.log()).sum())
    assert loss(shares) == pytest.approx(entropy, abs=1e-12)
    assert all(loss(drawn(20, shares.shape[1], seed)) > entropy for seed in range(4, 20))


@settings(max_examples=8, deadline=None)
@given(weight=st.floats(0.2, 30))
def test_a_weight_puts_a_toss_up_where_its_buttons_are_rarely_pressed(weight):
    """p* = w q / (w q + 1 - q)."""
    shares = binary(0.001, 0.05, 0.3, 0.7, 0.99, 1 / (1 + weight))
    q, terms = shares[:, 1], Imitation(button_weights=(1.0,) * BUTTON + (weight,) + (1.0,) * (7 - BUTTON))
    found = optimum(terms, BUTTON, shares)[:, 1]
    assert torch.allclose(found, weight * q / (weight * q + 1 - q), atol=1e-4)
    assert float(found[-1]) == pytest.approx(0.5, abs=1e-4)


@settings(max_examples=8, deadline=None)
@given(smoothing=st.floats(0.01, 0.6), classes=st.sampled_from([5, 17]))
def test_smoothing_mixes_the_player_with_all_classes_evenly(smoothing, classes):
    """p* = (1 - eps) q + eps / K, for what nobody presses too."""
    shares = drawn(12, classes)
    shares[0] = torch.eye(classes, dtype=torch.float64)[1]
    found = optimum(Imitation(smoothing=smoothing), AXIS, shares)
    assert torch.allclose(found, (1 - smoothing) * shares + smoothing / classes, atol=1e-4)


@settings(max_examples=8, deadline=None)
@given(gamma=st.floats(0.2, 5), weight=st.sampled_from([1.0, 6.0]))
def test_focal_is_less_sure_of_buttons_and_keeps_their_ranks(gamma, weight):
    """For q, the weighted share, q f(p) = (1 - q) f(1 - p), and p lies between q and a half."""
    shares = binary(0.02, 0.1, 0.3, 0.5, 0.6, 0.85, 0.97)
    terms = Imitation(gamma, button_weights=(1.0,) * BUTTON + (weight,) + (1.0,) * (7 - BUTTON))
    p, q = optimum(terms, BUTTON, shares)[:, 1], weight * shares[:, 1] / (weight * shares[:, 1] + shares[:, 0])
    assert torch.allclose(q * slope(p, gamma) / ((1 - q) * slope(1 - p, gamma)), torch.ones_like(q), atol=2e-3)
    assert (p.diff() > 0).all()
    assert ((p - 0.5).abs() <= (q - 0.5).abs() + 1e-6).all() and ((p - 0.5) * (q - 0.5) >= -1e-6).all()


@settings(max_examples=6, deadline=None)
@given(gamma=st.floats(0.3, 4))
def test_focal_over_many_classes_keeps_ranks_and_equalises_slopes(gamma):
    """And is less sure of a class that leads."""
    shares = drawn(12, 5, sharpest=2)
    shares[0] = torch.tensor([0.9, 0.04, 0.03, 0.02, 0.01], dtype=torch.float64)
    p = optimum(Imitation(gamma), AXIS, shares)
    slopes = shares * slope(p, gamma)
    assert (slopes.max(-1).values / slopes.min(-1).values < 1.02).all()
    assert torch.equal(p.argsort(-1), shares.argsort(-1))
    assert p[0, 0] < 0.9


def test_focal_can_be_surer_than_the_player_where_every_class_is_rare():
    shares = torch.tensor([[0.08, *[0.92 / 16] * 16]], dtype=torch.float64)
    assert optimum(Imitation(2.0), AXIS, shares)[0, 0] > 0.081


def test_focal_undoes_smoothing_where_the_answer_is_certain():
    """Smoothing alone stops at 1 - eps + eps / K; together there is nothing to stop at."""
    shares = torch.eye(5, dtype=torch.float64)[:1]
    assert float(optimum(Imitation(smoothing=0.1), AXIS, shares)[0, 0]) == pytest.approx(0.92, abs=1e-4)
    assert float(optimum(Imitation(2.0, 0.1), AXIS, shares)[0, 0]) > 0.98


def test_a_policy_gives_the_loss_what_it_asks_for():
    """The same log-probabilities with the spread as without, and a gradient for every parameter that has one."""
    options = resolve("train", {"--temporal": True, "--backbone": "gru", "--hidden": "16"}, {})
    torch.manual_seed(2)
    policy = assemble.policy(options, Codec.uniform()).eval()
    floats, ids = torch.rand(2, 6, policy.table.floats), torch.zeros(2, 6, policy.table.ids, dtype=torch.int64)
    seen = floats, ids, torch.ones(2, 4, 13, dtype=torch.int64), policy.initial_state(2), None
    log_prob, _ = policy.score(*seen)
    (again, spread), _ = policy.score(*seen, spread=True)
    assert log_prob.shape == spread.shape == (2, 4, 13) and torch.equal(log_prob, again)
    TERMS["all"](again, spread, seen[2], torch.ones(2, 4)).objective.backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in policy.head.parameters())
