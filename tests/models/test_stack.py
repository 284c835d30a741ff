"""Layers in a row: where gradients stop, what is computed again, and what neither changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from exphil import assemble
from exphil.config.layers import resolve
from exphil.models.backbone import Backbone
from exphil.models.dropout import Dropout
from exphil.models.stack import FeedForward

SIZE, BATCH, TIME = 6, 3, 20
NAMES = [name for name in assemble.BACKBONES if name != "mlp"]


def backbone(name: str, **flags: str | bool) -> Backbone:
    torch.manual_seed(0)
    typed: dict[str, Any] = {"--temporal": True, "--backbone": name, "--hidden": "8", "--window-size": "30"}
    typed |= {"--num-heads": "2", "--num-layers": "3", "--feed-forward": "1"}
    typed |= {"--" + flag.replace("_", "-"): value for flag, value in flags.items()}
    built = assemble.BACKBONES[name](resolve("train", typed, {}), SIZE).double().train()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return built


def inputs() -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(BATCH, TIME, SIZE, dtype=torch.float64, generator=random)


def learned(model: Backbone, loss: Callable[[Tensor], Tensor], is_first: Tensor | None = None) -> tuple[Tensor, ...]:
    """Output, gradient of the input, gradients of the parameters."""
    x = inputs().requires_grad_()
    torch.manual_seed(2)  # of dropout
    y, _ = model(x, model.initial_state(BATCH), is_first)
    loss(y).backward()
    assert x.grad is not None
    return y.detach(), x.grad, *(p.grad for p in model.parameters() if p.grad is not None)


def last(y: Tensor) -> Tensor:
    return y[:, -1].pow(3).sum()


@pytest.mark.parametrize("name", NAMES)
def test_truncated_gradients_reach_so_many_frames_back_and_the_numbers_stay(name):
    whole = learned(backbone(name, dropout="0"), last)
    short = learned(backbone(name, dropout="0", truncate_bptt="7"), last)
    assert torch.allclose(short[0], whole[0], rtol=0, atol=1e-12)
    reach = whole[1].abs().sum((0, 2)) > 0
    cut = short[1].abs().sum((0, 2)) > 0
    assert reach.all(), "the whole window without"
    assert cut.nonzero()[:, 0].tolist() == list(range(TIME - 7, TIME)), "7 frames with"


@pytest.mark.parametrize("name", NAMES)
def test_where_only_the_last_frame_counts_nothing_before_the_cut_is_kept(name):
    """The gradients are those of truncation alone."""
    sparing = {"truncate_bptt": "7", "sequence_mode": "windows", "loss_positions": "last", "dropout": "0"}
    plain, spared = backbone(name, dropout="0", truncate_bptt="7"), backbone(name, **sparing)
    for mine, theirs in zip(learned(plain, last), learned(spared, last), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)
    kept = []
    for model in (plain, spared):
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            model(inputs(), model.initial_state(BATCH))
        kept.append(sum(sizes))
    assert kept[1] < 0.6 * kept[0]


@pytest.mark.parametrize("name", NAMES)
def test_playing_knows_no_truncation(name):
    model, whole = backbone(name, truncate_bptt="7").eval(), backbone(name).eval()
    one, other = (m(inputs(), m.initial_state(BATCH))[0] for m in (model, whole))
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", assemble.BACKBONES)
@pytest.mark.parametrize("every", ["1", "2", "5"])
def test_computing_again_changes_no_number(name, every):
    """With dropout, restarts and truncation."""
    flags = {} if name == "mlp" else {"truncate_bptt": "9"}
    flags |= {"hidden": "8,8,8", "num_layers": "3", "dropout": "0.4"}
    again = {"gradient_checkpoint": True, "checkpoint_every": every}
    is_first = torch.zeros(BATCH, TIME, dtype=torch.bool)
    is_first[1, 4] = is_first[2, 13] = True
    plain = learned(backbone(name, **flags), last, is_first)
    saving = learned(backbone(name, **flags, **again), last, is_first)
    for mine, theirs in zip(plain, saving, strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)


def test_a_feed_forward_changes_nothing_at_the_start():
    x = torch.randn(2, 3, 8)
    assert torch.equal(FeedForward(8, 16)(x), torch.zeros_like(x))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.75])
def test_dropout_drops_its_share_and_keeps_the_mean(share):
    torch.manual_seed(0)
    drop, x = Dropout(share), torch.ones(1001, 997, requires_grad=True)
    y = drop(x)
    dropped = float((y.detach() == 0).float().mean())
    assert dropped == pytest.approx(share, abs=0.002)
    assert float(y.detach().mean()) == pytest.approx(1, abs=0.004)
    assert len(y.detach().unique()) == (2 if share else 1)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach()), "the gradient passes where the number passed"
    assert torch.equal(drop.eval()(x), x)


def test_dropout_draws_anew_and_follows_the_seed():
    drop, x = Dropout(0.5), torch.ones(64, 64)
    torch.manual_seed(1)
    one, two = drop(x), drop(x)
    torch.manual_seed(1)
    assert torch.equal(one, drop(x)) and not torch.equal(one, two)
    rows = (one == 0).float()
    assert rows.mean(0).std() < 0.1 and rows.mean(1).std() < 0.1
