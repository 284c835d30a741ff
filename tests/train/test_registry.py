"""The registry of runs, the files of a folder, and what a model says of itself."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from exphil.errors import DataError, ExphilError, OutputError, PolicyError
from exphil.features.action import Codec
from exphil.train import checkpoint, described, registry, runs, unfinished
from exphil.train.runfiles import RunFiles

BEGAN = "2026-01-01T00:00:00Z"
CODEC = Codec.uniform()
CONFIG = {"backbone": "gru", "epochs": 3, "frame_delay": 0, "all_frames": False, "seed": 7}
GAMES = {"learned": ["a", "b"], "held_out": ["c"]}


def register(folder: Path, name: str, *, began: str = BEGAN, seed: int = 7, loss: float | None = 2.0, **more) -> str:
    """Enter a run whose files are or are not there."""
    words = {"config": CONFIG | {"seed": seed}, "games": GAMES, "actions": CODEC.as_dict()} | more
    snapshot = words.pop("snapshot", folder / f"{name}.pt")
    return registry.register(
        folder, name=name, snapshot=snapshot, created=began, metrics={"best_validation_loss": loss}, **words
    )


def write_run(folder: Path, name: str, ending: str = "", seed: int = 7, history: list | None = None) -> Path:
    """The files of one state of a run, and the policy file among them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"epoch": 1, "train": 3.0, "validation": 2.5}] if history is None else history
    training = {"name": name, "seed": seed, "epochs_done": len(lines), "updates": 9, "history": lines, **GAMES}
    words = {"config": CONFIG, "fingerprint": "abc", "baselines": {}, "training": training, "actions": {}}
    weights = {"embed.dense.weight": torch.zeros(2, 3), "backbone.layers.10.w": torch.zeros(4)}
    weights |= {"backbone.layers.2.w": torch.ones(5), "backbone.leave.w": torch.ones(1), "head.out.w": torch.ones(2)}
    files = RunFiles(folder / f"{name}{ending}.pt")
    checkpoint.save_snapshot(files.snapshot, {"policy": weights, **words})
    checkpoint.save_policy(files.policy, checkpoint.PolicyFile(weights, **words))
    checkpoint.save_json(files.page, {"timestamp": BEGAN, **CONFIG, "epochs_done": len(lines)})
    return files.policy


def only(folder: Path) -> registry.Entry:
    (entry,) = registry.load(folder)
    return entry


def test_a_run_is_entered_with_paths_that_move_with_the_folder(tmp_path):
    folder = tmp_path / "runs"
    write_run(folder, "gru")
    assert register(folder, "gru") == ""
    words = json.loads((folder / "registry.json").read_text())
    assert words["version"] == "1.0"
    asked = "id name checkpoint_path policy_path config_path created_at training_config metrics tags parent_id"
    assert set(asked.split()) <= set(words["entries"][0])
    entry = only(folder)
    assert (entry.checkpoint_path, entry.policy_path) == ("gru.pt", "gru_policy.safetensors")
    assert entry.where(folder) == "" and entry.loss == 2.0 and entry.measured_on["games"] == 1
    folder.rename(tmp_path / "moved")
    assert only(tmp_path / "moved").where(tmp_path / "moved") == ""
    (tmp_path / "moved" / "gru.pt").unlink()
    (tmp_path / "moved" / "gru_policy.safetensors").unlink()
    assert only(tmp_path / "moved").where(tmp_path / "moved") == "files are gone"


def test_a_snapshot_outside_of_the_folder_is_entered_by_its_whole_path(tmp_path):
    assert register(tmp_path / "runs", "gru", snapshot=tmp_path / "else" / "gru.pt") == ""
    assert only(tmp_path / "runs").checkpoint_path == str(tmp_path.resolve() / "else" / "gru.pt")


MANY = """
import sys
from pathlib import Path
from exphil.train.registry import register
for turn in range(25):
    name = f"{sys.argv[2]}{turn}"
    snapshot = Path(sys.argv[1]) / f"{name}.pt"
    trouble = register(Path(sys.argv[1]), name=name, snapshot=snapshot, created="now", config={}, metrics={},
                       games={}, actions={})
    assert not trouble, trouble
assert "torch" not in sys.modules
"""


def test_two_processes_lose_no_entry_and_need_no_torch(tmp_path):
    both = [subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path), word]) for word in ("one", "two")]
    assert [process.wait(60) for process in both] == [0, 0]
    entries = registry.load(tmp_path)
    assert sorted(entry.name for entry in entries) == sorted(f"{w}{n}" for w in ("one", "two") for n in range(25))
    assert len({entry.id for entry in entries}) == 50


HOLD = """
import sys, time
from pathlib import Path
from exphil.train.registry import _locked
with _locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_ends_with_its_process_and_a_living_one_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "WAIT_S", 0.2)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with holder.stdout:
        trouble = register(tmp_path, "gru")
        assert trouble.startswith("the run is not in the registry: ") and "another process" in trouble
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    assert register(tmp_path, "gru") == ""


DAMAGED = {
    "empty": "",
    "cut": '{"version": "1.0", "entries": [{"id": "a',
    "no table": "[]",
    "no entries": '{"version": "1.0"}',
    "an entry of text": '{"version": "1.0", "entries": ["gru"]}',
    "no id": '{"version": "1.0", "entries": [{"name": "gru", "created_at": ""}]}',
    "bad tags": '{"version": "1.0", "entries": [{"id": "a", "name": "g", "created_at": "", "tags": [1]}]}',
    "bad path": '{"version": "1.0", "entries": [{"id": "a", "name": "g", "created_at": "", "policy_path": 1}]}',
    "one id twice": json.dumps({"version": "1.0", "entries": [{"id": "a", "name": "g", "created_at": ""}] * 2}),
    "a later version": '{"version": "2.0", "entries": []}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_registry_is_refused_and_left_and_no_run_fails_of_it(tmp_path, content):
    path = tmp_path / "registry.json"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        registry.load(tmp_path)
    assert caught.value.where == str(path) and "move it away" in caught.value.fix
    assert "the run is not in the registry: " in register(tmp_path, "gru")
    with pytest.raises(DataError):
        registry.set_tags(tmp_path, "a", ["x"])
    assert path.read_text() == content


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in register(tmp_path / "file" / "runs", "gru")


def test_numbers_that_json_lacks_become_nothing(tmp_path):
    assert register(tmp_path, "gru", loss=math.nan) == ""
    assert "NaN" not in (tmp_path / "registry.json").read_text() and only(tmp_path).loss is None


def test_a_resumed_run_keeps_its_entry(tmp_path):
    write_run(tmp_path, "base", seed=1)
    register(tmp_path, "base", seed=1)
    parent = write_run(tmp_path, "gru")
    register(tmp_path, "gru", parent=tmp_path / "base.pt")
    _, before = registry.load(tmp_path)
    registry.set_tags(tmp_path, before.id, ["good"])
    register(tmp_path, "gru", began="2026-02-02T00:00:00Z", loss=1.5, parent=tmp_path / "gru_interrupt.pt")
    _, after = registry.load(tmp_path)
    assert (after.id, after.tags, after.created_at, after.loss) == (before.id, ["good"], BEGAN, 1.5)
    assert registry.ancestors(registry.load(tmp_path), after)[0].name == "base" and parent.exists()


def test_a_run_that_is_entered_again_while_it_goes_on_has_one_entry(tmp_path):
    register(tmp_path, "gru", loss=None)
    register(tmp_path, "gru", loss=1.0)
    assert only(tmp_path).loss == 1.0


def test_a_run_that_another_was_written_over_keeps_its_entry_without_files(tmp_path):
    write_run(tmp_path, "gru")
    register(tmp_path, "gru")
    register(tmp_path, "gru", began="2026-02-02T00:00:00Z")
    old, new = registry.load(tmp_path)
    assert (old.where(tmp_path), new.where(tmp_path)) == ("written over", "") and old.id != new.id
    assert registry.delete(tmp_path, old.id, files=True) == [] and only(tmp_path).id == new.id
    assert (tmp_path / "gru.pt").exists()


def test_a_parent_is_known_by_name_and_seed_wherever_its_file_went(tmp_path):
    folder = tmp_path / "runs"
    policy = write_run(folder, "base", "_best", seed=1)
    register(folder, "base", seed=1)
    register(folder, "base", seed=2, snapshot=folder / "other.pt")  # of the same name
    policy = policy.rename(tmp_path / "downloaded.safetensors")
    register(folder, "child", parent=policy)
    entries = registry.load(folder)
    assert entries[2].parent_id == entries[0].id
    assert registry.children(entries, entries[0]) == [entries[2]] and registry.children(entries, entries[1]) == []


def test_where_no_file_says_whose_it_is_the_path_does(tmp_path):
    register(tmp_path, "base")
    register(tmp_path, "child", parent=tmp_path / "base_best.pt")
    base, child = registry.load(tmp_path)
    assert child.parent_id == base.id


def test_a_parent_that_is_not_registered_is_remembered_and_found_when_it_is(tmp_path):
    policy = write_run(tmp_path / "else", "base", seed=1)
    register(tmp_path, "child", parent=policy)
    entry = only(tmp_path)
    assert entry.parent_id is None and entry.parent["name"] == "base"
    assert registry.ancestors([entry], entry) == []
    register(tmp_path, "base", seed=1)
    assert [each.name for each in registry.ancestors(registry.load(tmp_path), entry)] == ["base"]


def test_a_ring_in_a_file_that_was_edited_ends(tmp_path):
    for name in ("a", "b"):
        register(tmp_path, name)
    words = json.loads((tmp_path / "registry.json").read_text())
    for one, other in ((0, 1), (1, 0)):
        words["entries"][one]["parent_id"] = words["entries"][other]["id"]
    (tmp_path / "registry.json").write_text(json.dumps(words))
    entries = registry.load(tmp_path)
    assert registry.ancestors(entries, entries[0]) == [entries[1]]


def test_tags_are_given_once_and_taken_and_unknown_words_stay(tmp_path):
    register(tmp_path, "gru")
    words = json.loads((tmp_path / "registry.json").read_text())
    words["entries"][0]["note"] = "of a person"
    (tmp_path / "registry.json").write_text(json.dumps(words))
    id = only(tmp_path).id
    assert registry.set_tags(tmp_path, id, ["b", "a", "b"]).tags == ["b", "a"]
    assert registry.set_tags(tmp_path, id, drop=["b", "none"]).tags == ["a"]
    assert json.loads((tmp_path / "registry.json").read_text())["entries"][0]["note"] == "of a person"
    with pytest.raises(DataError, match="no entry"):
        registry.set_tags(tmp_path, "gone", ["a"])


def test_a_word_means_an_id_its_beginning_a_name_or_a_file(tmp_path):
    for name in ("gru", "lstm"):
        register(tmp_path, name)
    first, _ = entries = registry.load(tmp_path)
    for word in (
        first.id,
        first.id[:4],
        "gru",
        str(tmp_path / "gru_best_policy.safetensors"),
        str(tmp_path / "gru.pt"),
    ):
        assert registry.find(entries, word, tmp_path) == [first]
    assert registry.find(entries, first.id[:3], tmp_path) == registry.find(entries, "", tmp_path) == []


def test_the_best_is_sought_among_runs_that_were_measured_alike(tmp_path):
    for name, loss, held in (("a", 2.0, "c"), ("b", 1.5, "c"), ("c", 0.5, "d"), ("none", None, "c")):
        register(tmp_path, name, loss=loss, games={"learned": ["a"], "held_out": [held]})
    groups = registry.best(registry.load(tmp_path))
    assert [[entry.name for entry in group] for group in groups] == [["b", "a"], ["c"]]


def test_deleting_takes_the_files_of_the_run_and_no_others(tmp_path):
    folder = tmp_path / "runs"
    for name, ending in (("gru", ""), ("gru", "_best"), ("gru", "_epoch_0002"), ("gru_2", ""), ("gr", "")):
        write_run(folder, name, ending)
    shutil.copy(folder / "gru_policy.safetensors", folder / "gru_ema_policy.safetensors")
    (folder / "gru_metrics.jsonl").write_text("")
    kept = [folder / "gru.pt.bak", folder / "gru.pt.bak.1", folder / "gru_notes.txt"]
    for path in kept:
        path.write_text("mine")
    register(folder, "gru")
    before = set(folder.iterdir())
    gone = registry.delete(folder, only(folder).id, files=True)
    assert sorted(path.name for path in gone) == sorted(
        [f"gru{state}{end}" for state in ("", "_best", "_epoch_0002") for end in registry.ENDINGS.values()]
        + ["gru_ema_policy.safetensors", "gru_metrics.jsonl"]
    )
    assert set(folder.iterdir()) == before - set(gone) and set(kept) <= before and registry.load(folder) == []


@pytest.mark.parametrize("path", ["../else/gru.pt", "{outside}/gru.pt"])
def test_no_file_outside_of_the_folder_is_ever_removed(tmp_path, path):
    """Not even when somebody edited the registry."""
    write_run(tmp_path / "else", "gru")
    register(tmp_path / "runs", "gru")
    words = json.loads((tmp_path / "runs" / "registry.json").read_text())
    words["entries"][0]["checkpoint_path"] = path.format(outside=tmp_path / "else")
    (tmp_path / "runs" / "registry.json").write_text(json.dumps(words))
    assert registry.delete(tmp_path / "runs", only(tmp_path / "runs").id, files=True) == []
    assert (tmp_path / "else" / "gru.pt").exists()


def test_the_files_of_a_run_that_goes_on_are_not_removed(tmp_path):
    write_run(tmp_path, "gru")
    register(tmp_path, "gru")
    unfinished.begun(tmp_path / "gru.pt", ["train"])
    with pytest.raises(OutputError, match="going on"):
        registry.delete(tmp_path, only(tmp_path).id, files=True)
    assert (tmp_path / "gru.pt").exists() and only(tmp_path)


@pytest.mark.parametrize(
    "stem", ["gru", "gru_best", "gru_interrupt", "gru_batch", "gru_epoch_0012", "a_b", "best", "x_epoch_y"]
)
def test_names_of_runs_are_read_as_they_are_written(stem):
    assert runs.run_of(Path(f"{stem}.pt")) == RunFiles.of_snapshot(Path(f"{stem}.pt")).snapshot.stem


def test_a_folder_is_seen_as_runs_with_their_states(tmp_path):
    late = [{"epoch": n, "train": 3.0, "validation": 2.0 + 0.1 * n} for n in (1, 2, 3)]
    for ending, history in (("", late), ("_best", late[:1]), ("_interrupt", late)):
        policy = write_run(tmp_path, "gru", ending, history=history)
    shutil.copy(policy, tmp_path / "gru_best_ema_policy.safetensors")
    shutil.copy(policy, tmp_path / "alone_policy.safetensors")
    (tmp_path / "gru.pt.bak").write_text("older")
    (tmp_path / "notes_config.json").write_text("{}")
    gru, alone = sorted(runs.runs_in(tmp_path), key=lambda run: run.name, reverse=True)
    assert [state.kind for state in gru.states] == ["last", "best", "best ema", "interrupt"]
    assert gru.states[0].losses() == {"train": 3.0, "held_out": 2.3, "best": 2.1, "best_epoch": 1}
    assert gru.loss == 2.1 and not gru.incomplete and [path.name for path in gru.backups] == ["gru.pt.bak"]
    assert alone.states[0].snapshot is None
    assert gru.size_bytes == sum(path.stat().st_size for path in gru.files)


def test_a_run_that_did_not_end_is_incomplete(tmp_path):
    write_run(tmp_path, "stopped", "_interrupt")
    write_run(tmp_path, "killed")
    (tmp_path / "killed.incomplete").write_text("{}")
    write_run(tmp_path, "whole")
    assert {run.name: run.incomplete for run in runs.runs_in(tmp_path)} == {
        "stopped": True, "killed": True, "whole": False
    }  # fmt: skip


def test_a_damaged_file_is_named_and_hides_no_other(tmp_path):
    for name in ("a", "b", "c", "d"):
        write_run(tmp_path, name)
    whole = (tmp_path / "a_policy.safetensors").read_bytes()
    (tmp_path / "a_policy.safetensors").write_bytes(whole[:-1])
    (tmp_path / "b.pt").write_bytes(b"nothing")
    (tmp_path / "c_policy.safetensors").unlink()
    (tmp_path / "d_config.json").write_text("{")
    found = {run.name: run.states[0] for run in runs.runs_in(tmp_path)}
    assert found["a"].trouble == "policy file: not a policy file, or damaged" and found["a"].backbone == "gru"
    assert found["b"].trouble == "snapshot: damaged" and found["b"].number("updates") == 9
    assert found["c"].trouble == "no policy file" and found["c"].number("epochs_done") == 1
    assert found["d"].trouble == ""


def test_a_header_says_what_the_whole_file_and_the_snapshot_say(tmp_path):
    policy = write_run(tmp_path, "gru")
    assert described.header(policy) == described.read(policy)
    of_snapshot = described.read(tmp_path / "gru.pt")
    assert of_snapshot.training == described.header(policy).training and of_snapshot.parameters == 18
    assert described.header(policy).parts() == {"embed": 6, "backbone": 10, "head": 2}
    assert list(described.header(policy).layers().items()) == [
        ("embed.dense", 6), ("backbone.layers.2", 5), ("backbone.layers.10", 4), ("backbone.leave", 1), ("head", 2)
    ]  # fmt: skip


def test_what_is_no_policy_file_is_refused_by_its_header(tmp_path):
    whole = write_run(tmp_path, "gru").read_bytes()
    path = tmp_path / "x_policy.safetensors"
    short = (2).to_bytes(8, "little")
    for content in (b"", b"hello", whole[:50], whole[:-1], whole + b"x", short + b"{}", short + b"[]", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(PolicyError, match="not a policy file, or damaged"):
            described.header(path)
    with pytest.raises(PolicyError, match="No such file"):
        described.header(tmp_path / "none")
    with pytest.raises(ExphilError):
        runs.runs_in(path)
