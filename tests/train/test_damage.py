"""Files that are damaged: every kind that a run reads is refused with its name, or says something that may be said.

Never another exception, never a hang, never other weights. Each test goes through flipped bits and lengths: some of
them in the fast tests, every byte of small files and thousands of large ones in the slow ones. The files of the cache
have the same tests in ``tests/replays/test_store.py``, those of cached embeddings in ``tests/data/test_embedded.py``,
replays in ``tests/replays/test_slp_damage.py``.
"""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from exphil import assemble
from exphil.config.layers import Settings, resolve
from exphil.errors import ExphilError, PolicyError
from exphil.features.action import Codec
from exphil.features.kmeans import Centres
from exphil.features.players import Registry
from exphil.models.export import export
from exphil.play.fast import FastPlayer
from exphil.train import checkpoint
from exphil.train.checkpoint import PolicyFile

WORDS: dict[str, Any] = {
    "config": {"hidden": [8], "replays": "here"},
    "fingerprint": "abc",
    "baselines": {"hold": [0.5]},
    "training": {"history": [{"epoch": 1, "train": 2.5}]},
    "players": {"version": 1, "size": 4, "players": {"A#1": {"number": 1, "games": 2}}, "aliases": {}},
    "actions": Codec.uniform().as_dict(),
}


def broken(whole: bytes, most: int, ends: int = 0) -> Iterator[bytes]:
    """Copies of a file: flipped bits, bytes that became 0 or 255, lengths, a tail too many."""
    dice, last = random.Random(len(whole)), len(whole)
    places = {*range(min(ends, last)), *range(max(last - ends, 0), last), *range(0, last, max(1, last // most))}
    for at in sorted(places):
        old = whole[at]
        for new in {old ^ (1 << dice.randrange(8)), dice.choice((0, 255))} - {old}:
            yield whole[:at] + bytes([new]) + whole[at + 1 :]
    for length in sorted({*range(0, last, max(1, last // min(most, 60))), last - 1}):
        yield whole[:length]
    yield whole + b"\0"
    yield whole + whole
    yield whole[: last // 2] + bytes(4096) + whole[last // 2 :]


def read_or_refused(path: Path, read: Callable[[Path], Any], copies: Iterator[bytes]) -> Iterator[Any]:
    """What is still read; what is refused names the file, and the file stays as it is."""
    count = refused = 0
    for content in copies:
        count += 1
        path.write_bytes(content)
        try:
            found = read(path)
        except ExphilError as error:
            refused += 1
            assert str(path) in str(error) and error.what
        else:
            yield found
        assert path.read_bytes() == content
    assert refused > count / 20


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    """A small run as it is saved."""
    model = torch.nn.GRU(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3))[0].sum().backward()
    optimizer.step()
    return {
        "policy": dict(model.state_dict()),
        "optimizer": optimizer.state_dict(),
        "random": [{"cpu": torch.get_rng_state()[:64]}],
        "state": (torch.ones(1, 2),),
        "run": {"epoch": 1, "history": []},
        "provenance": {},
        **WORDS,
    }


FEW, EVERY = 25, 1 << 20
DEPTHS = pytest.mark.parametrize("most", [FEW, pytest.param(EVERY, marks=pytest.mark.slow)], ids=["some", "every byte"])


@DEPTHS
def test_a_snapshot(run, tmp_path, most):
    """No bit may differ: within the archive one of them can move the numbers of a weight."""
    path = tmp_path / "run.pt"
    checkpoint.save_snapshot(path, run)
    copies = broken(path.read_bytes(), min(most, 1500), min(most, 200))
    for _ in read_or_refused(path, checkpoint.load_snapshot, copies):
        pytest.fail("it was read")


@DEPTHS
@pytest.mark.parametrize("name", ["run_policy.safetensors", "run_ema_policy.safetensors"])
def test_a_policy_file(run, tmp_path, name, most):
    path, file = tmp_path / name, PolicyFile(run["policy"], **WORDS)
    checkpoint.save_policy(path, file)
    for found in read_or_refused(path, checkpoint.load_policy, broken(path.read_bytes(), most, 8)):
        assert {name: getattr(found, name) for name in WORDS} == WORDS
        assert list(found.weights) == list(file.weights) or sorted(found.weights) == sorted(file.weights)
        assert all(torch.equal(weight, file.weights[name]) for name, weight in found.weights.items())


@DEPTHS
def test_centres_of_sticks(tmp_path, most):
    """The file is text: what is read after a flip is a valid set of centres, each within the stick's way."""
    path = tmp_path / "centres.json"
    Centres(((-1.0, -0.25, 0.0, 0.9875),), 12, 0.5, 3, ("fox",)).save(path)
    for found in read_or_refused(path, Centres.load, broken(path.read_bytes(), most, 8)):
        for centres in found.axes:
            assert 0.0 in centres and all(-1 <= centre <= 1 for centre in centres)


@DEPTHS
def test_a_registry_of_players(tmp_path, most):
    path = tmp_path / "players.json"
    Registry(16, aliases={"A#1": ("B#2",)}).extended(["A#1", "C#3", "D#4"]).save(path)
    for found in read_or_refused(path, Registry.load, broken(path.read_bytes(), most, 8)):
        assert all(1 <= player.number <= 16 for player in found.players.values())


@DEPTHS
def test_a_file_of_options(tmp_path, most):
    """Text again: what is read is settings that hold every rule."""
    path = tmp_path / "run.yaml"
    path.write_text(
        "backbone: gru\nhidden: [64, 32]\nlr: 3e-4\nbatch_size: 16\ntemporal: true\nname: &n fox\n"
        "replays: '/games'\ncharacters:\n  - fox\n  - falco\nstages: fd\nwindow-size: 0x20\n"
    )

    def read(path: Path) -> Settings:
        return resolve("train", {"--config": str(path)}, {})

    for found in read_or_refused(path, read, broken(path.read_bytes(), most, 8)):
        assert found["batch_size"] >= 1 and found["window_size"] >= 1 and found["lr"] > 0


BILLION = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("text", ["[" * 1200, "a: " * 3000, BILLION, "&a [*a]", "a: &a\n  b: *a\n", "? [" * 900])
def test_a_file_of_options_that_was_made_to_hurt_is_refused(tmp_path, text):
    """Nested a thousand times, or a few lines that mean a billion values."""
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ExphilError, match=r"run\.yaml"):
        resolve("train", {"--config": str(path)}, {})


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> bytes:
    """A policy as the fast player reads it."""
    path = tmp_path_factory.mktemp("graph") / "policy.onnx"
    asked = resolve("train", {"--temporal": True, "--backbone": "gru", "--hidden": "8"}, {})
    export(assemble.policy(asked, Codec.uniform()).eval(), path, {})
    return path.read_bytes()


@pytest.mark.slow
def test_an_exported_policy(graph, tmp_path):
    """Also of its weights no bit may differ, and nothing that differs reaches the library that runs it."""
    for found in read_or_refused(tmp_path / "policy.onnx", FastPlayer, broken(graph, 1000, 300)):
        pytest.fail(f"{found} was read")


class Caller:
    """What a pickle can carry: calls on loading."""

    def __init__(self, function: Any, *words: Any) -> None:
        self.function, self.words = function, words

    def __reduce__(self) -> Any:
        return self.function, self.words


@pytest.mark.parametrize("place", ["policy", "optimizer", "state", "run", "config"])
@pytest.mark.parametrize("call", ["mkdir", "eval", "system", "import"])
def test_a_pickle_that_would_call_something_is_refused_wherever_it_hides(run, tmp_path, place, call):
    target, path = tmp_path / "done", tmp_path / "run.pt"
    calls = {
        "mkdir": Caller(os.mkdir, str(target)),
        "eval": Caller(eval, f"open({str(target)!r}, 'w')"),
        "system": Caller(os.system, f"touch {target}"),
        "import": Caller(__import__, "antigravity"),
    }
    with path.open("w+b") as file:  # somebody who means harm knows how check sums are made
        checkpoint._write_sealed(file, {**run, "format": checkpoint.FORMAT, place: {"a": calls[call]}})
    for load in (checkpoint.load_snapshot, checkpoint.load_policy):
        with pytest.raises(PolicyError, match="not a snapshot, or damaged"):
            load(path)
    path.write_bytes(pickle.dumps({**WORDS, place: calls[call]}))
    with pytest.raises(PolicyError, match="not a snapshot, or damaged"):
        checkpoint.load_snapshot(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"policy": {}},
        {"policy": {"a": torch.ones(1)}, **WORDS, "config": [1]},
        {"policy": [torch.ones(1)], **WORDS},
        {"policy": {"a": 3}, **WORDS},
        {"policy": {}, **WORDS, "players": None},
    ],
)
def test_a_snapshot_that_says_other_things_holds_no_policy(tmp_path, content):
    checkpoint.save_snapshot(tmp_path / "run.pt", content)
    with pytest.raises(PolicyError, match=r"run\.pt: not a policy file, or damaged"):
        checkpoint.load_policy(tmp_path / "run.pt")


@pytest.mark.parametrize("words", ["[]", "3", "{}", '"config"', "[" * 100_000, "nothing", '{"config": 1}'])
def test_words_of_another_kind_with_the_right_check_sum_are_refused(tmp_path, words):
    from safetensors.torch import save_file

    weights = {"a": torch.ones(2)}
    metadata = {"exphil": words, "checksum": checkpoint._checksum(words, weights)}
    save_file(weights, tmp_path / "a.safetensors", metadata)
    with pytest.raises(PolicyError, match="not a policy file, or damaged"):
        checkpoint.load_policy(tmp_path / "a.safetensors")


def test_every_kind_of_number_comes_back(tmp_path):
    """And the library that owns the format reads the same."""
    from safetensors.torch import load_file

    weights = {str(dtype): torch.arange(7).to(dtype) for dtype in checkpoint.DTYPES}
    weights |= {"none": torch.zeros(0, 3), "one": torch.tensor(1.5), "turned": torch.randn(3, 4).T, "Ä": torch.ones(1)}
    path = tmp_path / "a.safetensors"
    checkpoint.save_policy(path, PolicyFile(weights, **WORDS))
    for found in (checkpoint.load_policy(path).weights, load_file(path)):
        assert found.keys() == weights.keys()
        for name, weight in weights.items():
            assert found[name].dtype == weight.dtype and torch.equal(found[name], weight)
