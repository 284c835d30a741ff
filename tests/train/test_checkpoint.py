"""Files of a run: whole or not at all, refused with a reason when damaged, and no code runs on loading."""

from __future__ import annotations

import json
import os
import pickle
import resource
import subprocess
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from exphil.errors import OutputError, PolicyError
from exphil.train import checkpoint
from exphil.train.checkpoint import PolicyFile

SNAPSHOT = {
    "policy": {"layer.weight": torch.arange(6.0).reshape(2, 3)},
    "config": {"hidden": [8], "replays": "here"},
    "fingerprint": "abc",
    "baselines": {"hold": [0.5]},
    "training": {"history": [{"epoch": 1, "train": 2.5}]},
}
POLICY = PolicyFile(weights=SNAPSHOT["policy"], **{key: SNAPSHOT[key] for key in SNAPSHOT if key != "policy"})


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    checkpoint.save_snapshot(tmp_path / "run.pt", SNAPSHOT)
    return tmp_path / "run.pt"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    checkpoint.save_policy(tmp_path / "run_policy.safetensors", POLICY)
    return tmp_path / "run_policy.safetensors"


@contextmanager
def files_no_larger_than(size_bytes: int):
    """Writing beyond that fails as on a disk that is too small."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def full_disk(folder: Path):
    """A disk of 64 KiB on ``folder``; skips where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def big() -> dict[str, object]:
    return {**SNAPSHOT, "policy": {"layer.weight": torch.zeros(200_000)}}


def test_the_registry_of_players_travels_in_both_files(tmp_path):
    """And a file from before there were styles has an empty one."""
    words = {"players": {"version": 1, "size": 4, "players": {"A#1": {"number": 1, "games": 2}}, "aliases": {}}}
    checkpoint.save_snapshot(tmp_path / "run.pt", SNAPSHOT | words)
    checkpoint.save_policy(tmp_path / "run.safetensors", replace(POLICY, **words))
    for name in ("run.pt", "run.safetensors"):
        assert checkpoint.load_policy(tmp_path / name).players == words["players"]
    checkpoint.save_snapshot(tmp_path / "run.pt", SNAPSHOT)
    assert checkpoint.load_policy(tmp_path / "run.pt").players == {}


def test_a_snapshot_comes_back_as_it_was(snapshot):
    found = checkpoint.load_snapshot(snapshot)
    assert torch.equal(found["policy"].pop("layer.weight"), SNAPSHOT["policy"]["layer.weight"])
    assert found == {**SNAPSHOT, "policy": {}, "format": checkpoint.FORMAT}


def test_a_policy_file_and_a_snapshot_say_the_same(policy, snapshot):
    for found in (checkpoint.load_policy(policy), checkpoint.load_policy(snapshot)):
        assert torch.equal(found.weights["layer.weight"], POLICY.weights["layer.weight"])
        assert (found.config, found.fingerprint, found.baselines, found.training) == (
            POLICY.config, POLICY.fingerprint, POLICY.baselines, POLICY.training,
        )  # fmt: skip


def test_a_policy_file_is_readable_by_safetensors_alone(policy):
    from safetensors import safe_open

    with safe_open(policy, framework="np") as file:
        words = json.loads(file.metadata()["exphil"])
        assert file.get_tensor("layer.weight").shape == (2, 3)
    assert words["config"] == SNAPSHOT["config"]


@pytest.mark.parametrize("kind", ["snapshot", "policy", "page"])
def test_what_cannot_be_written_whole_leaves_the_file_from_before(tmp_path, kind):
    """With the reason, the place and what to do; and nothing half-written stays beside it."""
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def save() -> None:
        if kind == "snapshot":
            checkpoint.save_snapshot(path, big())
        elif kind == "policy":
            checkpoint.save_policy(path, PolicyFile(big()["policy"], {}, "", {}, {}))
        else:
            checkpoint.save_json(path, {"long": "x" * 100_000})

    with pytest.raises(OutputError) as caught, files_no_larger_than(20_000):
        save()
    assert caught.value.where == str(path)
    assert caught.value.what.startswith("cannot be written (")
    assert caught.value.what.endswith("; the file from before is untouched")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    save()
    assert path.stat().st_size > 20_000 and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["run.pt", "run_policy.safetensors"])
def test_a_full_disk_is_said_so_and_the_snapshot_before_is_intact(tmp_path, name):
    with full_disk(tmp_path / "disk") as disk:
        path = disk / name
        save = checkpoint.save_snapshot if name == "run.pt" else lambda p, s: checkpoint.save_policy(p, s)
        small, large = (SNAPSHOT, big()) if name == "run.pt" else (POLICY, PolicyFile(big()["policy"], {}, "", {}, {}))
        save(path, small)
        before = path.read_bytes()
        with pytest.raises(OutputError) as caught:
            save(path, large)
        assert caught.value.what == "cannot be written (No space left on device); the file from before is untouched"
        assert caught.value.where == str(path)
        assert "--checkpoints-dir" in caught.value.fix
        assert path.read_bytes() == before and list(disk.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "folder").write_text("no folder")
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoint.save_json(tmp_path / "folder" / "page.json", {})


def test_a_file_has_the_permissions_of_any_other(tmp_path):
    """Not those of a temporary file, which nobody else may read."""
    (tmp_path / "other").write_text("x")
    checkpoint.save_json(tmp_path / "page.json", {"a": 1})
    assert (tmp_path / "page.json").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["snapshot", "policy"])
def test_a_truncated_file_is_refused(kind, share, request):
    path = request.getfixturevalue(kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(PolicyError, match="damaged") as caught:
        checkpoint.load_policy(path)
    assert caught.value.where == str(path) and caught.value.fix


@pytest.mark.parametrize("kind", ["snapshot", "policy"])
def test_a_flipped_bit_in_a_weight_is_refused(kind, request):
    """Neither torch nor safetensors notices by itself."""
    path = request.getfixturevalue(kind)
    whole = path.read_bytes()
    at = whole.index(POLICY.weights["layer.weight"].numpy().tobytes())
    path.write_bytes(whole[: at + 6] + bytes([whole[at + 6] ^ 1]) + whole[at + 7 :])
    with pytest.raises(PolicyError, match="damaged"):
        checkpoint.load_policy(path)


@pytest.mark.parametrize("name", ["run.pt", "run_policy.safetensors"])
def test_other_kinds_of_files_are_refused(tmp_path, name):
    path = tmp_path / name
    for content in (b"", b"hello\n", b"\x80\x02}q\x00.", os.urandom(5000), b'{"config": {}}'):
        path.write_bytes(content)
        with pytest.raises(PolicyError, match="or damaged") as caught:
            checkpoint.load_policy(path)
        assert ("NAME.pt" if name == "run.pt" else "NAME_policy.safetensors") in caught.value.fix
    with pytest.raises(PolicyError, match="No such file"):
        checkpoint.load_policy(tmp_path / f"missing{path.suffix}")


def test_a_policy_file_given_as_a_snapshot_and_the_other_way_round_are_refused(policy, snapshot, tmp_path):
    (tmp_path / "wrong.pt").write_bytes(policy.read_bytes())
    (tmp_path / "wrong.safetensors").write_bytes(snapshot.read_bytes())
    for name in ("wrong.pt", "wrong.safetensors"):
        with pytest.raises(PolicyError, match="or damaged"):
            checkpoint.load_policy(tmp_path / name)


def test_a_torch_file_of_somebody_else_is_refused(tmp_path):
    for content in ({"weights": torch.zeros(3)}, torch.zeros(3), {"format": 99, "policy": {}}):
        torch.save(content, tmp_path / "other.pt")
        with pytest.raises(PolicyError, match="not a snapshot, or damaged"):
            checkpoint.load_snapshot(tmp_path / "other.pt")
        seal(tmp_path / "other.pt")
        with pytest.raises(PolicyError, match="not a snapshot of this version"):
            checkpoint.load_snapshot(tmp_path / "other.pt")


def seal(path: Path) -> None:
    """Somebody who means harm knows how check sums are made."""
    with path.open("r+b") as file:
        size = len(path.read_bytes())
        words = checkpoint._seal(file, size)
        file.seek(size)
        file.write(words)


def test_a_snapshot_is_readable_by_torch_alone(snapshot):
    found = torch.load(snapshot, weights_only=True)
    assert found["config"] == SNAPSHOT["config"] and zipfile.is_zipfile(snapshot)


def test_weights_without_our_words_are_no_policy_file(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "plain.safetensors")
    with pytest.raises(PolicyError, match="not a policy file"):
        checkpoint.load_policy(tmp_path / "plain.safetensors")


class Malicious:
    """What a pickle can carry: a call on loading."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["torch", "plain pickle", "within a snapshot"])
def test_loading_runs_no_code(tmp_path, snapshot, form):
    target, path = tmp_path / "done by the pickle", tmp_path / "bad.pt"
    if form == "torch":
        torch.save({**SNAPSHOT, "format": 1, "policy": Malicious(target)}, path)
    elif form == "plain pickle":
        path.write_bytes(pickle.dumps(Malicious(target)))
    else:
        with zipfile.ZipFile(snapshot) as old, zipfile.ZipFile(path, "w") as new:
            for member in old.namelist():
                bad = member.endswith("data.pkl")
                new.writestr(member, pickle.dumps(Malicious(target), 2) if bad else old.read(member))
    if form != "plain pickle":
        seal(path)
    with pytest.raises(PolicyError):
        checkpoint.load_policy(path)
    assert not target.exists()
    if form == "plain pickle":
        pickle.loads(path.read_bytes())  # the test's own witness: it would have done it
        assert target.is_dir()


def test_weights_that_do_not_fit_name_the_first_difference_and_both_sides():
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 4))
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    checkpoint.fit_weights(module, weights, "file")
    says = "parameter {}: the options make {}, the file holds {}"
    cases = [
        ({**weights, "1.weight": torch.zeros(5, 2)}, says.format("1.weight", (4, 2), (5, 2))),
        ({k: v for k, v in weights.items() if k != "0.bias"}, says.format("0.bias", (2,), "nothing")),
        ({**weights, "2.weight": torch.zeros(1)}, says.format("2.weight", "nothing", (1,))),
    ]
    for given, sentence in cases:
        before = module[0].weight.clone()
        with pytest.raises(PolicyError) as caught:
            checkpoint.fit_weights(module, given, "file")
        assert (caught.value.what, caught.value.where) == (sentence, "file")
        assert torch.equal(module[0].weight, before)
