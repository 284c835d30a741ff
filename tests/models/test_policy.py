"""The policy: one forward for training and play; stepping frame by frame gives the numbers of the whole stretch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.layers import resolve
from exphil.features.action import Codec
from exphil.game.controller import controller_of
from exphil.models.policy import Policy, TorchPlayer
from exphil.play.agent import likeliest
from exphil.replays import slp

CODEC = Codec.uniform()

FRAMES = 240
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stretches(replays):
    """Floats and ids ``(2, FRAMES, …)`` of both seats of a game, and what they held."""
    game = slp.read(replays / "sheik_vs_sheik_pokemon_stadium_035.slp").game[400 : 400 + FRAMES]
    table = assemble.table(resolve("train", {}, {}))
    seen = [game.seen_from(seat) for seat in (0, 1)]
    floats, ids = (np.stack(parts) for parts in zip(*(table.encode(part) for part in seen), strict=True))
    held = np.stack([CODEC.encode(controller_of(part.players, 0)) for part in seen])
    return floats, ids, held


def policy(name: str, head: str = "autoregressive") -> Policy:
    """A policy with every parameter moved, so that nothing is left out of what is compared."""
    flags = {"--temporal": True, "--backbone": name, "--hidden": "24,24" if name == "mlp" else "24", "--head": head}
    torch.manual_seed(1)
    made = assemble.policy(resolve("train", flags, {}), CODEC).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def openings(middle: bool) -> np.ndarray:
    is_first = np.zeros((2, FRAMES), np.bool_)
    is_first[:, 0] = True
    if middle:
        is_first[1, 100] = is_first[0, 101] = is_first[1, 239] = True
    return is_first


@pytest.mark.parametrize("name", assemble.BACKBONES)
@pytest.mark.parametrize("middle", [False, True])
@pytest.mark.parametrize("draw", [True, False])
def test_playing_frame_by_frame_is_the_whole_stretch(stretches, name, middle, draw):
    """Same actions, log-probabilities within 1e-5, also where one of two games starts anew in the middle."""
    floats, ids, _ = stretches
    model, is_first = policy(name), openings(middle)
    uniform, sharpness = likeliest(2, FRAMES)
    if draw:
        uniform = np.random.default_rng(4).random((2, FRAMES, 13), np.float32)
        sharpness = np.ones_like(sharpness)
    player = TorchPlayer(model, CPU)
    state, taken, log_prob = player.initial_state(2), [], []
    for t in range(FRAMES):
        act, state = player.act(floats[:, t], ids[:, t], state, is_first[:, t], uniform[:, t], sharpness)
        assert (act.action.shape, act.log_prob.shape) == ((2, 13), (2, 13))
        taken.append(act.action)
        log_prob.append(act.log_prob)
    actions, stepped = np.stack(taken, 1), np.stack(log_prob, 1)
    tensors = torch.from_numpy(floats), torch.from_numpy(ids)
    with torch.inference_mode():
        start, first = model.initial_state(2), torch.from_numpy(is_first)
        choice, _ = model(*tensors, start, first, torch.from_numpy(uniform), torch.from_numpy(sharpness))
        score, _ = model.score(*tensors, torch.from_numpy(actions), start, first)
    assert np.array_equal(choice.action.numpy(), actions)
    assert np.abs(choice.log_prob.numpy() - stepped).max() <= 1e-5
    assert np.abs(score.numpy() - stepped).max() <= 1e-5


def test_a_restart_in_the_middle_changes_what_follows(stretches):
    """Else the test above would hold of a player that never restarts."""
    floats, ids, _ = (torch.from_numpy(part) for part in stretches)
    model, halves = policy("gru"), torch.full((2, FRAMES, 13), 0.5)
    with torch.inference_mode():
        one, two = (
            model(floats, ids, model.initial_state(2), torch.from_numpy(openings(middle)), halves)[0].log_prob
            for middle in (False, True)
        )
    assert torch.allclose(one[1, :100], two[1, :100], atol=1e-6) and not torch.allclose(one[1, 100], two[1, 100])


@pytest.mark.parametrize("head", ["autoregressive", "independent"])
def test_a_fresh_policy_holds_what_the_features_say_is_held(stretches, head):
    """The previous action is read from the own controller among the floats."""
    floats, ids, held = stretches
    torch.manual_seed(2)
    made = assemble.policy(resolve("train", {"--head": head, "--hidden": "24"}, {}), CODEC).eval()
    with torch.inference_mode():
        choice, _ = made(
            torch.from_numpy(floats),
            torch.from_numpy(ids),
            made.initial_state(2),
            None,
            *map(torch.from_numpy, likeliest(2, FRAMES)),
        )
    assert np.array_equal(choice.action.numpy(), held)


def test_a_player_does_not_drop(stretches):
    """It is in evaluation mode whatever the policy was before."""
    floats, ids, _ = stretches
    model = policy("mlp").train()
    player = TorchPlayer(model, CPU)
    given = np.ones(2, np.bool_), np.full((2, 13), 0.5, np.float32)
    one, two = (player.act(floats[:, 0], ids[:, 0], player.initial_state(2), *given)[0] for _ in range(2))
    assert np.array_equal(one.log_prob, two.log_prob) and not model.training


def test_ids_of_one_kind_share_a_table():
    """Own and opponent's action look the same number up, as do both characters."""
    made = policy("mlp")
    assert [table.num_embeddings for table in made.embed.tables] == [399, 33]
    assert made.embed.dense.in_features == assemble.embedded(assemble.table(resolve("train", {}, {})))


@pytest.mark.parametrize("names", ["7", "32", "398"])
def test_learned_styles_have_a_table_of_their_own_in_which_nobody_is_zeros(names):
    """Also where it is as large as the one of characters or of actions; and nobody stays zeros."""
    flags = {"--learn-player-styles": True, "--player-mode": "learned", "--num-player-names": names, "--hidden": "8"}
    asked = resolve("train", flags, {})
    made = assemble.policy(asked, CODEC)
    assert [table.num_embeddings for table in made.embed.tables] == [399, 33, int(names) + 1]
    layout = assemble.table(asked)
    assert made.embed.dense.in_features == assemble.embedded(layout) == 171 + 5 * 64
    table = made.embed.tables[2].weight
    assert not table[0].any() and table[2].any()
    ids = torch.zeros(400, 3, 5, dtype=torch.int64)
    ids[..., 4] = torch.tensor([0, 2, 5])
    for games in (1, 400):  # fewer frames than rows, and more
        table.grad = None
        made.embed(torch.zeros(games, 3, layout.floats), ids[:games]).pow(2).sum().backward()
        assert table.grad.abs().sum(1).nonzero().flatten().tolist() == [2, 5]


def test_many_frames_and_few_are_embedded_alike():
    """Looked up after the product or before it; values and gradients."""
    made = policy("mlp").double().embed
    random = torch.Generator().manual_seed(0)
    floats = torch.randn(2, 600, made.dense.in_features - 4 * 64, dtype=torch.float64, generator=random)
    ids = torch.stack([torch.randint(0, rows, (2, 600), generator=random) for rows in (399, 399, 33, 33)], -1)
    found = []
    for pieces in (1, 100):
        made.zero_grad()
        out = torch.cat([made(*part) for part in zip(floats.chunk(pieces, 1), ids.chunk(pieces, 1), strict=True)], 1)
        out.pow(2).sum().backward()
        found.append([out.detach(), *(p.grad.clone() for p in made.parameters())])
    for many, few in zip(*found, strict=True):
        assert torch.allclose(many, few, rtol=1e-9, atol=1e-9)
