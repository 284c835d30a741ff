"""``exphil list``, ``info``, ``compare`` and ``registry``: what is told of models, and what is left alone."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.cli.main import MODULES
from exphil.cli.terminal import Terminal
from exphil.config.commands import COMMANDS
from exphil.config.layers import jsonable, resolve
from exphil.data import baselines
from exphil.errors import ExphilError
from exphil.train import checkpoint, registry
from exphil.train.runfiles import RunFiles

Run = Callable[..., tuple[int, str, str]]
HISTORY = ((3.0, 2.5), (2.0, 2.25), (1.5, 2.4))
NOT_PLAY = "does not rank how well policies play"


def write(folder: Path, name: str, seed: int, ending: str = "", parent: Path | None = None, **more: Any) -> None:
    """The files of a state of a tiny run, and its entry in the registry."""
    history = [{"epoch": at, "train": a, "validation": b} for at, (a, b) in enumerate(more.pop("history", HISTORY), 1)]
    games = {"learned": more.pop("learned", ["a", "b"]), "held_out": more.pop("held_out", ["c"])}
    players = more.pop("players", {})
    typed = {"backbone": "gru", "temporal": True, "hidden": "8", "num_layers": "2", "epochs": "3", "name": name}
    flags = {f"--{key.replace('_', '-')}": value for key, value in (typed | more | {"seed": str(seed)}).items()}
    settings = resolve("train", flags, {})
    codec, config = assemble.codec(settings), jsonable(settings.flat())
    torch.manual_seed(seed)
    weights = assemble.policy(settings, codec).state_dict()
    presses = np.zeros((50, len(codec.classes)), np.int64)
    words = {
        "config": config,
        "fingerprint": assemble.table(settings).fingerprint,
        "baselines": baselines.fit([(presses, presses)], codec),
        "training": {"name": name, "seed": seed, "epochs_done": 3, "updates": 1200, "frames": 9e4, "history": history}
        | games,
        "players": players,
        "actions": codec.as_dict(),
    }
    files = RunFiles(folder / f"{name}{ending}.pt")
    checkpoint.save_snapshot(files.snapshot, {"policy": weights, **words})
    checkpoint.save_policy(files.policy, checkpoint.PolicyFile(weights, **words))
    checkpoint.save_json(files.page, {"timestamp": "2026-01-01T00:00:00Z", **config, "epochs_done": 3})
    trouble = registry.register(
        folder, name=name, snapshot=folder / f"{name}.pt", created="2026-01-01T00:00:00Z", config=config,
        metrics={"best_validation_loss": min((line["validation"] for line in history), default=None), "epochs_done": 3},
        games=games, actions=codec.as_dict(), parent=parent,
    )  # fmt: skip
    assert not trouble


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its best state, one that was made from it, and one that answers later, on other games."""
    folder = tmp_path_factory.mktemp("filled") / "runs"
    write(folder, "base", 1)
    write(folder, "base", 1, "_best")
    write(folder, "tuned", 2, parent=folder / "base_best_policy.safetensors", history=((2.0, 2.0),), dropout="0.3")
    write(folder, "late", 3, frame_delay="3", hidden="16", learned=["c"], held_out=["a"])
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def exphil(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the folder: exit code, answer, talk.

    Splitting a command line takes longer than all the rest, so what ``cli.parse`` would make of it is made here.
    """

    def run(*words: object) -> tuple[int, str, str]:
        typed = [str(word) for word in words]
        name = " ".join(typed[:2]) if " ".join(typed[:2]) in COMMANDS else typed[0]
        rest, flags, given = typed[len(name.split()) :], {"--checkpoints-dir": str(folder)}, []
        while rest:
            word = rest.pop(0)
            if word in ("--sort", "--tagged"):
                flags[word] = rest.pop(0)
            elif word.startswith("--"):
                flags[word] = True
            else:
                given.append(word)
        expected = COMMANDS[name].positionals
        found = {each.name: tuple(given[at:]) if each.many else given[at] for at, each in enumerate(expected)}
        module, _, function = MODULES[name].partition(":")
        try:
            code = getattr(importlib.import_module(module), function)(resolve(name, flags, {}), **found)
        except ExphilError as error:
            Terminal().error(str(error))
            code = error.exit_code
        return code, *capsys.readouterr()

    return run


def test_list_shows_every_state_of_every_run(exphil):
    code, out, err = exphil("list", "--sort", "name")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[3:-1]]
    assert [row[:2] for row in rows] == [["base", "run"], ["base", "best"], ["late", "run"], ["tuned", "run"]]
    assert rows[0][-4:] == ["gru", "3/3", "1.5000", "2.4000"]
    assert out.splitlines()[-1].startswith("3 runs, ")


def test_list_sorts_and_turns_round(exphil, folder):
    def names(*words: str) -> list[str]:
        return [run["name"] for run in json.loads(exphil("list", "--json", *words)[1])["runs"]]

    (folder / "tuned_policy.safetensors").touch()
    assert names()[0] == "tuned" and names("--reverse")[-1] == "tuned"
    assert names("--sort", "size") == ["base", "late", "tuned"] and names("--sort", "loss")[0] == "tuned"
    assert names("--sort", "name", "--reverse") == ["tuned", "late", "base"]


def test_list_as_json_names_files_and_numbers(exphil, folder):
    told = json.loads(exphil("list", "--json", "--sort", "name")[1])
    state = told["runs"][0]["states"][1]
    assert (state["kind"], state["policy"]) == ("best", str(folder / "base_best_policy.safetensors"))
    assert (state["backbone"], state["updates"], state["best"], state["best_epoch"]) == ("gru", 1200, 2.25, 2)
    assert told["bytes"] == sum(p.stat().st_size for p in folder.iterdir() if p.name[0] != "." and p.stem != "registry")


def test_list_says_what_is_incomplete_damaged_or_kept_as_a_backup(exphil, folder):
    (folder / "late.incomplete").write_text("{}")
    (folder / "base.pt.bak").write_bytes(b"older")
    damaged = folder / "tuned_policy.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    code, out, err = exphil("list", "--sort", "name")
    assert code == 0 and "run (incomplete)" in out and "policy file: not a policy file, or damaged" in out
    assert out.splitlines()[-1].endswith("and 1 backups (.bak)") and err.startswith("late is incomplete")
    assert exphil("list", "--quiet")[2] == ""


def test_no_flipped_bit_keeps_list_from_its_answer(exphil, folder):
    path = folder / "tuned_policy.safetensors"
    whole = path.read_bytes()
    head = int.from_bytes(whole[:8], "little")
    for at in [*range(8), *range(8, head, head // 60)]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 7)]) + whole[at + 1 :])
        assert exphil("list")[0] == 0


def test_list_of_nothing_and_of_no_folder(exphil, folder):
    shutil.rmtree(folder)
    assert exphil("list") == (0, f"no runs in {folder}: there is no such folder\n", "")
    folder.mkdir()
    assert exphil("list") == (0, f"no runs in {folder}\n", "")
    folder.rmdir()
    folder.write_text("")
    code, _, err = exphil("list")
    assert code == 1 and "cannot be looked into" in err and "--checkpoints-dir" in err


def test_listing_loads_no_torch(folder):
    code = (
        "import sys; from exphil.cli.main import main\n"
        "for words in (['list'], ['registry', 'list'], ['registry', 'best'], ['registry', 'show', 'base'],\n"
        "              ['registry', 'lineage', 'base'], ['registry', 'tag', 'base', 'x']):\n"
        "    assert main([*words, '--checkpoints-dir', sys.argv[1]]) == 0\n"
        "sys.exit(9 if 'torch' in sys.modules else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, check=False).returncode == 0


def test_info_says_what_a_model_is(exphil, folder):
    code, out, err = exphil("info", "tuned")
    assert (code, err) == (0, "")
    for part in (
        "gru, layers gru 8, gru 8, autoregressive head", "283 floats, 4 ids", "17 positions of a stick axis",
        "answers    on the next frame", "3 of 3 epochs, 1,200 updates, 90,000 decisions from 2 games, 1 held out",
        "seed       2", "begun 2026-01-01T00:00:00Z, saved ", "made from base", "copy-previous, games learned from",
        NOT_PLAY, "tuned_config.json",
    ):  # fmt: skip
        assert part in out, part
    lines = [line.split() for line in out.splitlines()]
    assert ["--dropout", "0.3", "0.1"] in lines and ["last", "epoch,", "held-out", "2.0000"] in lines
    assert [line[0] for line in lines if line and line[0].startswith("backbone.")] == [
        "backbone.layers.0", "backbone.layers.1", "backbone.leave"
    ]  # fmt: skip
    policy = assemble.trained(checkpoint.load_policy(folder / "tuned_policy.safetensors"), "")[1]
    assert f"parameters {sum(p.numel() for p in policy.parameters()):,} (" in out


def test_info_as_json_and_of_every_kind_of_word(exphil, folder, tmp_path):
    elsewhere = shutil.copy(folder / "late_policy.safetensors", tmp_path / "mine.safetensors")
    words = {"late": "late_policy.safetensors", "base_best": "base_best_policy.safetensors", "late.pt": "late.pt"}
    words |= {"late_policy.safetensors": "late_policy.safetensors", str(elsewhere): "mine.safetensors"}
    for word, name in words.items():
        told = json.loads(exphil("info", word, "--json")[1])
        assert Path(told["model"]).name == name and told["network"]["parameters"] > 0
    assert told["network"]["answers"] == "3 frames later than the next" and told["registry"] == {}


def test_info_of_a_run_that_saved_only_an_interruption(exphil, folder):
    write(folder, "short", 5, "_interrupt")
    assert Path(json.loads(exphil("info", "short", "--json")[1])["model"]).name == "short_interrupt_policy.safetensors"


def test_info_of_a_wrong_name_says_what_was_probably_meant(exphil):
    code, out, err = exphil("info", "tunde")
    assert (code, out) == (1, "") and "there is no model 'tunde'; did you mean 'tuned'?" in err
    assert "did you mean" not in exphil("info", "something else")[2]


def test_info_refuses_a_damaged_file_and_lives_with_a_damaged_registry(exphil, folder):
    (folder / "registry.json").write_text("{")
    code, out, err = exphil("info", "late")
    assert code == 0 and "late_policy.safetensors" in out and "warning: " in err and "move it away" in err
    path = folder / "late_policy.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\x01\x02\x03\x04")
    code, _, err = exphil("info", "late")
    assert code == 1 and "damaged" in err


def test_info_tells_of_a_model_that_this_exphil_cannot_play(exphil, folder):
    file = checkpoint.load_policy(folder / "late_policy.safetensors")
    checkpoint.save_policy(
        folder / "younger_policy.safetensors",
        checkpoint.PolicyFile(**{**vars(file), "config": file.config | {"from_the_future": 1}}),
    )
    checkpoint.save_policy(
        folder / "older_policy.safetensors", checkpoint.PolicyFile(**{**vars(file), "fingerprint": "0000"})
    )
    assert "does not know all of its options" in exphil("info", "younger")[2]
    assert "makes other numbers of a frame" in exphil("info", "older")[2]


def test_info_leaves_out_a_table_of_many_layers_and_shows_styles_and_many_delays(exphil, folder):
    styles = {"version": 1, "size": 112, "players": {"FOX#1": {"number": 1, "games": 3}}, "aliases": {}}
    write(
        folder, "deep", 6, backbone="mlp", hidden=",".join(["4"] * 17), players=styles,
        frame_delay_augment=True, frame_delay_max="9", history=(), temporal=False, num_layers="none",
    )  # fmt: skip
    out = exphil("info", "deep")[1]
    assert "16 layers: too many" in out and "styles     FOX#1" in out and "0 to 9 frames later" in out
    assert "backbone.layers" not in out and "last epoch" not in out


def test_compare_says_what_differs_and_that_losses_compare(exphil):
    code, out, err = exphil("compare", "tuned", "base")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["--dropout", "0.3", "0.1"] in lines and ["last", "epoch,", "held-out", "2.0000", "2.4000"] in lines
    assert "2 (the same games)" in out and "A predicts better by 0.4000 nats." in out and NOT_PLAY in out
    assert "exphil evaluate" not in out


def test_compare_says_why_losses_do_not_compare_and_how_to_measure(exphil, folder):
    code, out, err = exphil("compare", "base", "late")
    assert code == 0 and "other held-out games" in out and "another delay" in out and "predicts better" not in out
    for name in ("base", "late"):
        assert f"exphil evaluate {folder / name}_policy.safetensors --replays FOLDER" in out
    assert err.count("were learned by the other") == 2
    told = json.loads(exphil("compare", "base", "late", "--json")[1])
    assert told["trouble"] == ["held-out games", "delay"]
    assert {"option": "--frame-delay", "values": [0, 3]} in told["options"]
    assert told["games"]["learned"] == {"counts": [2, 1], "common": 0, "same": False}


def test_registry_list_by_tag_and_what_has_become_of_files(exphil, folder):
    assert exphil("registry", "tag", "late", "good", "night")[1].endswith("): good, night\n")
    assert exphil("registry", "untag", "late", "night")[1].endswith("): good\n")
    (told,) = json.loads(exphil("registry", "list", "--tagged", "good", "--json")[1])["entries"]
    assert (told["name"], told["tags"], told["files"]) == ("late", ["good"], "there")
    for path in folder.glob("late*"):
        path.unlink()
    code, out, _ = exphil("registry", "list", "--sort", "loss")
    assert code == 0 and "files are gone" in out
    assert [line.split()[1] for line in out.splitlines()[3:]] == ["tuned", "base", "late"]
    assert "no registered runs with the tag bad" in exphil("registry", "list", "--tagged", "bad")[1]


def test_registry_show_by_name_and_by_the_beginning_of_an_id(exphil, folder):
    entry = registry.load(folder)[1]
    for word in ("tuned", entry.id, entry.id[:5], folder / "tuned.pt", "tuned_best"):
        code, out, _ = exphil("registry", "show", word)
        assert code == 0 and entry.id in out and "made from               base (" in out
    told = json.loads(exphil("registry", "show", "tuned", "--json")[1])
    assert told["training_config"]["dropout"] == 0.3 and told["measured_on"]["games"] == 1


def test_registry_best_names_the_best_of_each_kind_of_held_out_games(exphil, folder):
    out = exphil("registry", "best")[1]
    assert [line.split()[1:] for line in out.splitlines()[3:5]] == [
        ["tuned", "2.0000", "1", "2"], ["late", "2.2500", "1", "1"]
    ]  # fmt: skip
    assert "do not compare" in out and "not how well a policy plays" in out
    found = json.loads(exphil("registry", "best", "--json")[1])["best"]
    assert [(each["name"], len(each["compared"]), each["held_out_games"]) for each in found] == [
        ("tuned", 2, 1), ("late", 1, 1)
    ]  # fmt: skip
    code, _, err = exphil("registry", "best", "--tagged", "bad")
    assert code == 1 and "--val-split" in err


def test_registry_lineage_is_a_tree_with_ancestors_that_are_not_registered(exphil, folder, tmp_path):
    lines = exphil("registry", "lineage", "tuned")[1].splitlines()
    assert lines[0].startswith("base (") and lines[1].startswith("  tuned (") and lines[1].endswith("<- this run")
    base = registry.load(folder)[0]
    assert exphil("registry", "delete", "base")[1] == f"forgotten: base ({base.id})\n"
    lines = exphil("registry", "lineage", "tuned")[1].splitlines()
    assert lines[0] == "base (not registered, base_best_policy.safetensors)" and lines[1].startswith("  tuned (")
    tree = json.loads(exphil("registry", "lineage", "tuned", "--json")[1])["tree"]
    assert tree["registered"] is False and tree["children"][0]["name"] == "tuned"


def test_registry_delete_with_files_names_what_it_removed(exphil, folder):
    code, out, err = exphil("registry", "delete", "base", "--files")
    assert (code, err) == (0, "")
    assert out.count("removed: ") == 6 and not list(folder.glob("base*")) and (folder / "tuned.pt").exists()


def test_registry_refuses_words_that_mean_nothing_or_several(exphil, folder):
    assert "did you mean 'tuned'?" in exphil("registry", "show", "tunde")[2]
    code, _, err = exphil("registry", "tag", "tuned")
    assert code == 2 and "no tag is given" in err
    write(folder, "tuned", 9, history=((1.0, 1.0),))
    words = json.loads((folder / "registry.json").read_text())
    words["entries"].append(words["entries"][1] | {"id": "deadbeef", "checkpoint_path": "x.pt"})
    (folder / "registry.json").write_text(json.dumps(words))
    code, _, err = exphil("registry", "delete", "tuned")
    assert code == 1 and "'tuned' may mean 2 runs" in err and "deadbeef" in err


def test_a_damaged_registry_is_explained(exphil, folder):
    (folder / "registry.json").write_text("{")
    for words in (["list"], ["show", "base"], ["best"], ["lineage", "base"], ["delete", "base"], ["tag", "base", "x"]):
        code, out, err = exphil("registry", *words)
        assert (code, out) == (1, "") and "registry.json" in err and "move it away" in err
    assert exphil("list")[0] == 0
