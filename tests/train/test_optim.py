"""Learning rates at their corners, and which parameters decay."""

from __future__ import annotations

import math

import pytest
import torch

from exphil import assemble
from exphil.config.layers import resolve
from exphil.features.action import Codec
from exphil.train.optim import EXPONENTIAL_RATE, EXPONENTIAL_STEPS, decay_groups, is_table, muon, schedule

CODEC = Codec.uniform()
KINDS = ("constant", "cosine", "linear", "exponential")
LR, WARMUP, TOTAL = 3e-4, 10, 110


@pytest.mark.parametrize("kind", KINDS)
def test_warm_up_rises_in_equal_steps_to_the_rate(kind):
    """The first update is not lost on a rate of 0."""
    rate = schedule(kind, LR, WARMUP, None, TOTAL)
    assert [rate(update) for update in range(WARMUP)] == pytest.approx([LR * (n + 1) / 10 for n in range(10)])
    assert rate(WARMUP) == pytest.approx(LR)


@pytest.mark.parametrize("kind", KINDS)
def test_without_warm_up_the_first_update_has_the_rate(kind):
    assert schedule(kind, LR, 0, None, TOTAL)(0) == pytest.approx(LR)


@pytest.mark.parametrize(("kind", "half", "end"), [("constant", 1, 1), ("cosine", 0.5, 0), ("linear", 0.5, 0)])
def test_shapes_half_way_and_at_the_end(kind, half, end):
    rate = schedule(kind, LR, WARMUP, None, TOTAL)
    assert rate(60) == pytest.approx(LR * half)
    assert rate(TOTAL) == pytest.approx(LR * end, abs=1e-12)
    assert rate(10 * TOTAL) == pytest.approx(LR * end, abs=1e-12)  # a run made longer stays at the end


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_the_end_can_be_set(kind):
    rate = schedule(kind, LR, 0, 40, TOTAL)
    assert rate(20) == pytest.approx(LR / 2) and rate(40) == rate(100) == pytest.approx(0, abs=1e-12)


def test_exponential_falls_by_its_factor():
    rate = schedule("exponential", LR, 0, None, TOTAL)
    assert rate(EXPONENTIAL_STEPS) == pytest.approx(LR * EXPONENTIAL_RATE)
    assert schedule("exponential", LR, 0, 20, TOTAL)(40) == pytest.approx(LR * EXPONENTIAL_RATE**2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_never_rises_after_warm_up_and_is_pure(kind):
    """Resuming asks for an update in the middle and gets what the uninterrupted run got."""
    rate = schedule(kind, LR, WARMUP, None, TOTAL)
    first = [rate(update) for update in range(TOTAL)]
    assert [rate(update) for update in reversed(range(TOTAL))] == first[::-1]
    assert first[WARMUP:] == sorted(first[WARMUP:], reverse=True) and min(first) > 0


def test_matrices_decay_and_the_rest_does_not():
    made = assemble.policy(resolve("train", {"--temporal": True, "--backbone": "gru", "--hidden": "8"}, {}), CODEC)
    decayed, free = decay_groups(made, 0.1)
    names = {id(p): name for name, p in made.named_parameters()}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(free["params"]) == len(names)
    kept = {names[id(p)] for p in free["params"]}
    tables = {"head.stay.0", "head.stay_pressed", "head.among", "head.told.0", "embed.tables.0.weight"}
    assert tables | {"head.norm.weight", "embed.dense.bias"} <= kept
    assert all(p.ndim == 2 for p in decayed["params"])


@pytest.mark.parametrize("name", assemble.BACKBONES)
def test_muon_takes_every_matrix_of_a_backbone(name):
    made = assemble.policy(resolve("train", {"--backbone": name, "--hidden": "8"}, {}), CODEC)
    taken = {id(p) for group in muon(made, 1e-3, 0.1).parts[0].param_groups for p in group["params"]}
    inner = {key for key, p in made.named_parameters() if key.startswith("backbone.") and not is_table(key, p)}
    assert inner == {key for key, p in made.named_parameters() if key.startswith("backbone.") and id(p) in taken}


@pytest.mark.parametrize("name", ["mamba", "mamba2"])
def test_decays_and_taps_of_mamba_do_not_decay(name):
    made = assemble.policy(resolve("train", {"--backbone": name, "--hidden": "8"}, {}), CODEC)
    free = {id(p) for p in decay_groups(made, 0.1)[1]["params"]}
    kept = {key.rpartition(".")[2] for key, p in made.named_parameters() if id(p) in free}
    assert {"A_log", "D", "taps", "taps_bias"} <= kept


@pytest.mark.parametrize("name", assemble.OPTIMIZERS)
def test_every_optimizer_of_the_table_decays_only_when_it_says_so(name):
    """Of those that take weight decay only matrices decay; Adam and RAdam take none, whatever is given."""
    settings = resolve("train", {"--optimizer": name, "--weight-decay": "0.5", "--hidden": "8"}, {})
    groups = assemble.optimizer(settings, assemble.policy(settings, CODEC)).param_groups
    assert {g["weight_decay"] for g in groups} == ({0.0} if name in ("adam", "radam") else {0.5, 0.0})


@pytest.mark.parametrize("name", assemble.OPTIMIZERS)
def test_every_optimizer_holds_every_parameter_once_and_follows_the_rate(name):
    """What the loop writes into the groups is the size of the step: at rate 0 nothing moves, above it everything."""
    settings = resolve("train", {"--optimizer": name, "--hidden": "8"}, {})
    torch.manual_seed(0)
    model = assemble.policy(settings, CODEC)
    optimizer = assemble.optimizer(settings, model)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    for rate in (0.0, 1e-2):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        moved = [key for key, p in model.named_parameters() if not torch.equal(p, before[key])]
        assert moved == ([] if rate == 0 else list(before))


@pytest.mark.parametrize(("period", "times"), [(10, 1), (10, 2), (7, 3)])
def test_cosine_restarts_fall_and_begin_again(period, times):
    """From the rate itself along half a cosine, each as long as said: Loshchilov and Hutter 2017, equation 5."""
    rate, begin, length = schedule("cosine_restarts", LR, WARMUP, None, TOTAL, (period, times)), WARMUP, period
    assert [rate(update) for update in range(WARMUP)] == pytest.approx([LR * (n + 1) / WARMUP for n in range(WARMUP)])
    for _ in range(4):
        assert rate(begin) == pytest.approx(LR)
        falling = [rate(update) for update in range(begin, begin + length)]
        assert falling == pytest.approx([LR * (1 + math.cos(math.pi * n / length)) / 2 for n in range(length)])
        begin, length = begin + length, length * times
