"""Every backbone of the table against the one contract: whole = steps = chunks, no future, everything learns."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from exphil import assemble
from exphil.config.layers import resolve
from exphil.features.action import Codec
from exphil.models.backbone import Backbone, State, map_state
from exphil.models.policy import Policy

SIZE, BATCH, TIME = 11, 3, 17
NAMES = tuple(assemble.BACKBONES)
CODEC = Codec.uniform()
HEADS = {"--num-heads": "2", "--window-size": "5"}
OWN: dict[str, dict[str, str]] = {
    "mamba": {"--feed-forward": "1"},
    "attention": HEADS,
    "hybrid": HEADS,
    "jamba": {**HEADS, "--attention-every": "2"},
}
"""What fits a backbone into two small layers; a reach that is shorter than the stretches of these tests."""
EXACT = 1e-12  # double precision: only the order of sums may differ


def settings(name: str, **flags: str | bool):
    """Settings of a small policy around one backbone; two layers of two widths, so that projections are there too."""
    typed = {"--temporal": True, "--backbone": name, "--hidden": "16,12", "--dropout": "0"} | OWN.get(name, {})
    typed |= {f"--{flag.replace('_', '-')}": value for flag, value in flags.items()}
    return resolve("train", typed, {})


def backbone(name: str, seed: int = 0, **flags: str | bool) -> Backbone:
    torch.manual_seed(seed)
    return assemble.BACKBONES[name](settings(name, **flags), SIZE).double().eval()


def inputs(seed: int = 1) -> Tensor:
    return torch.randn(BATCH, TIME, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def restarts(kind: str) -> Tensor | None:
    if kind == "none":
        return None
    is_first = torch.zeros(BATCH, TIME, dtype=torch.bool)
    if kind == "some":
        is_first[0, 0] = is_first[1, 5] = is_first[2, 5] = is_first[0, 16] = is_first[1, 6] = True
    if kind == "all":
        is_first[:] = True
    return is_first


def leaves(state: State) -> list[Tensor]:
    return [leaf for part in state for leaf in ([part] if isinstance(part, Tensor) else leaves(part))]


def in_pieces(model: Backbone, x: Tensor, is_first: Tensor | None, cuts: list[int]) -> tuple[Tensor, State]:
    """``forward`` over consecutive pieces, state carried."""
    state, parts = model.initial_state(BATCH), []
    for start, stop in pairwise(cuts):
        y, state = model(x[:, start:stop], state, None if is_first is None else is_first[:, start:stop])
        parts.append(y)
    return torch.cat(parts, 1), state


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["none", "never", "some", "all"])
@torch.inference_mode()
def test_whole_equals_steps_equals_chunks(name, kind):
    model, x, is_first = backbone(name), inputs(), restarts(kind)
    whole, after = model(x, model.initial_state(BATCH), is_first)
    assert whole.shape == (BATCH, TIME, model.output_size)
    for cuts in (list(range(TIME + 1)), [0, 5, 6, 16, 17], [0, 1, 17]):
        y, state = in_pieces(model, x, is_first, cuts)
        assert torch.allclose(y, whole, rtol=0, atol=EXACT)
        for mine, theirs in zip(leaves(state), leaves(after), strict=True):
            assert torch.allclose(mine, theirs, rtol=0, atol=EXACT)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_a_restart_forgets_everything_before(name):
    """From a restart on, a row is what it would be at the start of a game; the other rows go on."""
    model, x = backbone(name), inputs()
    is_first = torch.zeros(BATCH, TIME, dtype=torch.bool)
    is_first[1, 8] = True
    restarted, _ = model(x, model.initial_state(BATCH), is_first)
    going_on, _ = model(x, model.initial_state(BATCH))
    fresh, _ = model(x[:, 8:], model.initial_state(BATCH))
    assert torch.allclose(restarted[1, 8:], fresh[1], rtol=0, atol=EXACT)
    for row in (0, 2):
        assert torch.allclose(restarted[row], going_on[row], rtol=0, atol=EXACT)
    if leaves(model.initial_state(1)):
        assert not torch.allclose(restarted[1, 8:], going_on[1, 8:], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_the_future_cannot_leak(name):
    """Changing frame 9 changes nothing before it, and frame 9 itself."""
    model, x = backbone(name), inputs()
    changed = x.clone()
    changed[:, 9] += 1
    before, after = (model(part, model.initial_state(BATCH))[0] for part in (x, changed))
    assert torch.equal(before[:, :9], after[:, :9])
    assert not torch.allclose(before[:, 9], after[:, 9])


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_rows_of_a_batch_do_not_meet(name):
    model, x = backbone(name), inputs()
    changed = x.clone()
    changed[1] += 1
    before, after = (model(part, model.initial_state(BATCH), restarts("some"))[0] for part in (x, changed))
    assert torch.allclose(before[[0, 2]], after[[0, 2]], rtol=0, atol=EXACT)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_state_is_batch_first_and_of_constant_size(name):
    model = backbone(name)
    state = model.initial_state(BATCH)
    shapes = [leaf.shape for leaf in leaves(state)]
    assert all(shape[0] == BATCH for shape in shapes)
    for length in (1, 2, 40):
        _, state = model(torch.randn(BATCH, length, SIZE, dtype=torch.float64), state)
        assert [leaf.shape for leaf in leaves(state)] == shapes
    assert bool(shapes) == (name != "mlp")


@pytest.mark.filterwarnings("ignore:The tensor attributes")  # torch's own GRU and LSTM do that when traced
@pytest.mark.parametrize("name", NAMES)
def test_one_frame_can_be_exported_for_any_batch(name):
    """Traced with two games; the graph gives for three what the backbone gives."""
    model, x = backbone(name), inputs()
    rows, two = {0: torch.export.Dim("batch")}, model.initial_state(2)
    shapes = {"x_BTD": rows, "state": map_state(lambda _: rows, two), "is_first_BT": None}
    graph = torch.export.export(model, (x[:2, :1], two, None), dynamic_shapes=shapes).module()
    _, state = model(x[:, :8], model.initial_state(BATCH))
    for mine, theirs in zip(graph(x[:, 8:9], state, None), model(x[:, 8:9], state), strict=True):
        for left, right in zip(*(leaves((part,)) for part in (mine, theirs)), strict=True):
            assert torch.allclose(left, right, rtol=0, atol=EXACT)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["never", "some"])
def test_what_is_carried_keeps_its_precision(name, kind):
    """In bf16 too, so that a run can go on in another precision."""
    model, x = backbone(name).float(), inputs().float()
    with torch.autocast("cpu", torch.bfloat16):
        _, state = model(x, model.initial_state(BATCH), restarts(kind))
    assert [leaf.dtype for leaf in leaves(state)] == [leaf.dtype for leaf in leaves(model.initial_state(BATCH))]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    """Also across a restart, where what is before it no longer counts."""
    model, x = backbone(name, **({"residual": True, "layer_norm": True} if name == "mlp" else {})), inputs()
    for key, parameter in model.named_parameters():
        if ".narrow." in key:  # starts at zero and keeps gradients from what is before it until it has moved
            torch.nn.init.normal_(parameter, std=0.1)
    y, _ = model(x, model.initial_state(BATCH), restarts("some"))
    y.pow(3).sum().backward()
    without = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("name", NAMES)
def test_the_widths_asked_for_are_made(name):
    assert backbone(name).output_size == 12
    deep = assemble.BACKBONES[name](
        resolve(
            "train",
            {"--temporal": True, "--backbone": name, "--hidden": "8", "--num-layers": "3", **OWN.get(name, {})},
            {},
        )
        if name != "mlp"
        else resolve("train", {"--hidden": "8,8,8"}, {}),
        SIZE,
    )
    assert deep.output_size == 8
    counts = sum(p.numel() for p in deep.parameters())
    two = settings(name, hidden="8", **({} if name == "mlp" else {"num_layers": "2"}))
    assert counts > sum(p.numel() for p in assemble.BACKBONES[name](two, SIZE).parameters())


@pytest.fixture(scope="module")
def batch(replays):
    """Real decisions of both players of one game."""
    from exphil.data.corpus import Corpus, Entry
    from exphil.data.lanes import Lanes
    from exphil.data.loader import Loader, Rows
    from exphil.replays import slp

    replay = slp.read(replays / "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp")
    corpus = Corpus.of((Entry(0, "", 1, seat=seat), replay.game) for seat in (0, 1))
    plan = Lanes(corpus.first, corpus.decisions, 24, 60, 0.0, 0)
    table = assemble.table(settings("gru"))
    return Loader(
        corpus, plan, Rows(corpus, plan.window, table, CODEC), torch.device("cpu"), all_frames=False, last_only=False
    ).load(0, 1)


def policy(name: str, head: str) -> Policy:
    torch.manual_seed(3)
    asked = settings(name, head=head, **({"residual": True} if name == "mlp" else {}))
    return assemble.policy(asked, CODEC)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("head", ["autoregressive", "independent"])
def test_every_parameter_of_a_policy_moves(name, head, batch):
    """The matrices that start at zero among them: what was told of earlier components and the last layers.

    On the first step those last layers, being zero, pass no gradient back to the layers before them, and on the second
    nor does the end of a feed-forward; from the third step on every parameter gets one.
    """
    from exphil.train.losses import Imitation

    model = policy(name, head).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    for step in range(4):
        state = model.initial_state(batch.weight.shape[0])
        log_prob, _ = model.score(batch.floats, batch.ids, batch.action, state, batch.is_first)
        optimizer.zero_grad(set_to_none=True)
        Imitation()(log_prob, None, batch.action, batch.weight).objective.backward()
        missing = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
        if step > 1:
            assert missing == []
        optimizer.step()
    assert [key for key, p in model.named_parameters() if torch.equal(p, before[key])] == []


def test_the_triangle_among_buttons_learns_below_the_diagonal_alone(batch):
    """A button is told of the buttons before it, never of itself or of later ones."""
    from exphil.train.losses import Imitation

    model = policy("gru", "autoregressive")
    log_prob, _ = model.score(batch.floats, batch.ids, batch.action, model.initial_state(24), batch.is_first)
    Imitation()(log_prob, None, batch.action, batch.weight).objective.backward()
    grad = model.head.among.grad
    pressed = (batch.action[..., :8] * batch.weight[..., None].long()).sum((0, 1)) > 0
    assert not grad.triu().any()
    for button in range(1, 8):
        assert torch.equal(grad[button, :button] != 0, pressed[:button]), button
