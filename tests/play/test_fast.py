"""The fast player decides what the reference decides, keeps states as they are given, and refuses other files."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.layers import resolve
from exphil.envs.environment import run
from exphil.envs.replay import ReplayEnvironment
from exphil.errors import ExphilError, PolicyError
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.game.frames import Game
from exphil.models.export import export
from exphil.models.graph import sealed
from exphil.models.policy import TorchPlayer
from exphil.play.agent import Agent, likeliest
from exphil.play.fast import FastPlayer
from exphil.play.learned import Learned
from exphil.replays import slp

CODEC, UNEVEN = Codec.uniform(), Codec.uniform(8, 3)
CPU = torch.device("cpu")
CLOSE = 1e-5
FRAMES = 1000
WORDS = {"delay": 3, "players": {"names": ["Ä"]}}


@pytest.fixture(scope="module")
def game(replays) -> Game:
    return slp.read(replays / "fox_vs_falco_fountain_of_dreams_015.slp").game[200 : 200 + FRAMES]


def policy(name: str):
    """Every number is moved, so that nothing is left out of what is compared."""
    torch.manual_seed(1)
    asked = resolve("train", {"--temporal": True, "--backbone": name, "--hidden": "24,24,24"}, {})
    made = assemble.policy(asked, CODEC).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


@pytest.fixture(scope="module")
def gru(tmp_path_factory):
    """A policy and its file."""
    model, path = policy("gru"), tmp_path_factory.mktemp("gru") / "deep" / "gru.onnx"
    export(model, path, WORDS)
    return model, path


def leaves(state) -> list:
    return [leaf for part in state for leaf in (leaves(part) if isinstance(part, tuple) else [part])]


def check_that_they_agree(model, fast: FastPlayer, game: Game, draw: bool) -> None:
    """Both seats of a game side by side, one of which begins anew in the middle."""
    reference, table = TorchPlayer(model, CPU), model.table
    seats = [table.encode(game.seen_from(seat)) for seat in (0, 1)]
    floats, ids = (np.stack(parts, 1) for parts in zip(*seats, strict=True))
    uniforms = np.random.default_rng(0).random((FRAMES, 2, 13), np.float32)
    mine, theirs = fast.initial_state(2), reference.initial_state(2)
    taken = set()
    for time in range(FRAMES):
        is_first = np.array([time == 0, time in (0, 400)])
        given = (floats[time], ids[time]), (is_first, uniforms[time]) if draw else (is_first, *likeliest(2))
        act, mine = fast.act(*given[0], mine, *given[1])
        said, theirs = reference.act(*given[0], theirs, *given[1])
        assert act.action.dtype == np.int64 and np.array_equal(act.action, said.action), time
        assert np.abs(act.log_prob - said.log_prob).max() <= CLOSE
        assert np.array_equal(act.controller, model.codec.decode_floats(act.action))
        taken |= {tuple(row) for row in act.action.tolist()}
    for leaf, other in zip(mine.leaves, leaves(theirs), strict=True):
        assert np.abs(leaf - other.numpy()).max(initial=0) <= CLOSE
    assert len(taken) > (100 if draw else 1)


@pytest.mark.parametrize("draw", [pytest.param(True, marks=pytest.mark.slow), False], ids=["drawn", "likeliest"])
def test_identical_uniforms_give_identical_actions(gru, game, draw):
    model, path = gru
    check_that_they_agree(model, FastPlayer(path), game, draw)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in assemble.BACKBONES if name != "gru"])
def test_with_every_backbone(name, game, tmp_path):
    model, path = policy(name), tmp_path / f"{name}.onnx"
    export(model, path, {})
    for draw in (True, False):
        check_that_they_agree(model, FastPlayer(path, threads=2 if draw else 1), game, draw)


@pytest.mark.slow
def test_a_policy_without_ids_that_decides_each_component_by_itself(tmp_path):
    flags = {"--action-mode": "one_hot", "--character-mode": "one_hot", "--num-player-names": "0"}
    model = assemble.policy(resolve("train", {"--head": "independent", "--hidden": "16", **flags}, {}), UNEVEN).eval()
    export(model, tmp_path / "x.onnx", {})
    fast, reference = FastPlayer(tmp_path / "x.onnx"), TorchPlayer(model, CPU)
    random, opens = np.random.default_rng(0), np.full(50, True)
    floats = random.integers(0, 2, (50, model.table.floats)).astype(np.float32)
    given = floats, np.zeros((50, 0), np.int64)
    for drawn in (likeliest(50), (random.random((50, 13), np.float32),)):
        act, _ = fast.act(*given, fast.initial_state(50), opens, *drawn)
        said, _ = reference.act(*given, reference.initial_state(50), opens, *drawn)
        assert np.array_equal(act.action, said.action) and np.abs(act.log_prob - said.log_prob).max() <= CLOSE


def test_an_agent_does_not_notice_who_plays(gru, game):
    model, path = gru
    seen = {}
    for name, player in {"fast": FastPlayer(path), "reference": TorchPlayer(model, CPU)}.items():
        agent, found = Agent(player, Learned(model.table, CODEC, (0, 0), Registry(0)), 0, 1, 5), []
        run(ReplayEnvironment(game[:60], (1, 2)), {1: agent}, 130, lambda _, made, into=found: into.append(made[1]))
        seen[name] = found
    for mine, theirs in zip(seen["fast"], seen["reference"], strict=True):
        assert np.array_equal(mine.actions, theirs.actions)
        assert np.abs(mine.log_prob - theirs.log_prob).max() <= CLOSE
        assert all(np.array_equal(a, b) for a, b in zip(mine.controllers, theirs.controllers, strict=True))


def test_what_was_given_and_what_was_returned_stay_as_they_are(gru, game):
    """A state can be kept and gone on from twice; an answer is not written over by the next one."""
    model, path = gru
    player, table = FastPlayer(path), model.table
    floats, ids = table.encode(game.seen_from(0))
    uniforms = np.random.default_rng(1).random((20, 1, 13), np.float32)
    going, opens = np.array([False]), np.array([True])

    def walk(state, times, is_first=going):
        answers = []
        for time in times:
            act, state = player.act(floats[time : time + 1], ids[time : time + 1], state, is_first, uniforms[time])
            answers.append(act)
        return answers, state

    _, kept = walk(player.initial_state(1), range(10))
    before = [leaf.copy() for leaf in kept.leaves]
    first, _ = walk(kept, range(10, 20))
    copies = [tuple(part.copy() for part in act) for act in first]
    walk(kept, [3], opens)  # a restart does not reach back either
    again, _ = walk(kept, range(10, 20))
    assert all(np.array_equal(a, b) for a, b in zip(kept.leaves, before, strict=True))
    for act, copy, other in zip(first, copies, again, strict=True):
        assert all(np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(act, copy, other, strict=True))


def test_a_game_of_many_is_played_like_one_alone(gru, game):
    model, path = gru
    player = FastPlayer(path)
    floats, ids = model.table.encode(game.seen_from(0))
    uniforms = np.random.default_rng(1).random((FRAMES, 13), np.float32)
    for batch in (1, 7):
        state, places, found = player.initial_state(batch), np.arange(batch) * 50, []
        for time in range(30):
            at = places + time
            act, state = player.act(floats[at], ids[at], state, np.full(batch, time == 0), uniforms[at])
            found.append(act.action[0])
        if batch == 1:
            alone = found
    assert np.array_equal(alone, found)


def test_the_file_says_what_it_is(gru):
    model, path = gru
    player = FastPlayer(path)
    assert player.fingerprint == model.table.fingerprint
    assert player.codec == CODEC and player.config == WORDS
    content = path.read_bytes()
    assert b".py" not in content and str(path.parent).encode() not in content


def test_a_state_that_does_not_begin_with_zeros_does_so_in_the_file(tmp_path):
    """The writer hands over what the player cannot know."""
    model = policy("gru")
    begin = model.backbone.initial_state

    def moved(batch):
        return tuple(tuple(leaf + place for place, leaf in enumerate(layer, 1)) for layer in begin(batch))

    model.backbone.initial_state = moved
    export(model, tmp_path / "moved.onnx", {})
    state = FastPlayer(tmp_path / "moved.onnx").initial_state(3)
    for leaf, wanted in zip(state.leaves, leaves(model.initial_state(3)), strict=True):
        assert np.array_equal(leaf, wanted.numpy()) and leaf.any()


@pytest.mark.parametrize("batch", [1, 3])
def test_arrays_of_another_shape_and_ids_below_zero_are_refused(gru, batch):
    """None of them is repeated or cut until it fits, and none counts from the end."""
    model, path = gru
    player, table = FastPlayer(path), model.table
    good = {
        "floats": np.zeros((batch, table.floats), np.float32),
        "ids": np.zeros((batch, table.ids), np.int64),
        "uniform": np.full((batch, 13), 0.5, np.float32),
    }
    state, going = player.initial_state(batch), np.zeros(batch, np.bool_)
    before = player.act(good["floats"], good["ids"], state, going, good["uniform"])[0]
    below = good["ids"].copy()
    below[-1, -1] = -1
    wrong = [
        {"floats": good["floats"][:, :1]},
        {"floats": good["floats"][:, :, None]},
        {"ids": good["ids"][:, :1]},
        {"ids": good["ids"][0]},
        {"ids": np.zeros((batch + 1, table.ids), np.int64)},
        {"uniform": np.full((batch, 1), 0.5, np.float32)},
        {"uniform": np.full(13, 0.5, np.float32)},
    ]
    for part in wrong:
        given = good | part
        ((name, array),) = part.items()
        both = rf"{re.escape(str(array.shape))}.*wanted.*{re.escape(str((batch, getattr(table, name, 13))))}"
        with pytest.raises(ValueError, match=both):
            player.act(given["floats"], given["ids"], state, going, given["uniform"])
    with pytest.raises(ValueError, match="ids are from -1 to 0; the least is 0"):
        player.act(good["floats"], below, state, going, good["uniform"])
    after = player.act(good["floats"], good["ids"], state, going, good["uniform"])[0]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("content", [b"", b"not a graph", None], ids=["empty", "words", "missing"])
def test_a_file_that_is_no_graph_is_refused(content, tmp_path):
    path = tmp_path / "x.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        PolicyError,
        match=r"x\.onnx: (cannot be read|not a policy exported)(.|\n)*is what exphil export onnx writes",
    ):
        FastPlayer(path)


def test_a_cut_file_a_foreign_graph_and_another_version_are_refused(gru, tmp_path):
    import onnx

    path, content = tmp_path / "x.onnx", gru[1].read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(PolicyError, match="not a policy exported by exphil, or damaged"):
        FastPlayer(path)
    proto = onnx.load_model_from_string(content)
    words, seal = proto.metadata_props
    words.value = words.value.replace('"format": 2', '"format": 7')
    proto.metadata_props.remove(seal)
    path.write_bytes(sealed(proto.SerializeToString()))
    with pytest.raises(PolicyError, match="written in format 7; this exphil reads format 2"):
        FastPlayer(path)
    known = json.loads(words.value)
    for told in ({}, [], 5, {"format": 2}, {**known, "format": 2, "fresh": []}):
        words.value = json.dumps(told)
        del proto.metadata_props[:]
        proto.metadata_props.append(words)
        path.write_bytes(sealed(proto.SerializeToString()))
        with pytest.raises(PolicyError, match="not a policy exported by exphil"):
            FastPlayer(path)
    del proto.metadata_props[:]
    path.write_bytes(sealed(proto.SerializeToString()))
    with pytest.raises(PolicyError, match="not a policy exported by exphil"):
        FastPlayer(path)


def test_without_onnxruntime_the_error_names_the_line_that_installs_it(gru, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExphilError, match=r"the fast player needs onnxruntime(.|\n)*pip install \"exphil\[export\]\""):
        FastPlayer(gru[1])


def test_playing_never_imports_torch(gru):
    code = (
        "import sys; from pathlib import Path; from exphil.play.fast import FastPlayer; "
        "FastPlayer(Path(sys.argv[1])).initial_state(1); sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(gru[1])], check=False).returncode == 0
