"""What the answers of ``exphil setup`` mean: every set of them is a run that train takes as it is."""

from __future__ import annotations

import random
import shlex
from itertools import product
from pathlib import Path

import pytest

from exphil.cli.parse import parse
from exphil.config import wizard
from exphil.config.groups import OPTIONS
from exphil.config.layers import resolve
from exphil.config.option import Option
from exphil.config.written import yaml_text
from exphil.errors import OptionError

GIB = 2**30
ANSWERED = [{}, {"train_character": "ice_climbers"}, {"train_character": "fox"}, {"replays": Path("a b/c'd")}]
MORE = {
    "backbone": OPTIONS["backbone"].choices,
    "lr": (1e-4, 3e-3),
    "val_split": (0.0, 0.1, 0.3),
    "patience": (1, 5, 100),
    "precision": OPTIONS["precision"].choices,
    "kmeans_centers": (None, Path("centres.json")),
    "seed": (None, 7),
    "save_every_batches": (None, 500),
}


def test_every_recommendation_is_a_run_without_notices():
    memories, goals = (None, 4, 8, 12, 24), wizard.GOALS
    for goal, gib, answers in product(goals, memories, ANSWERED[:2]):
        more = {"init": Path("p.safetensors")} if "init" in goal.asks else {}
        memory = wizard.tier(None if gib is None else gib * GIB)
        for epochs in (None, 1, 5):
            sizes = {} if epochs is None else {"epochs": epochs}
            values = wizard.recommended(goal, memory, answers | more | sizes)
            assert wizard.settings(values).notices == (), (goal.title, gib, answers, epochs)


@pytest.mark.parametrize("walks", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_no_answer_to_an_advanced_question_leaves_an_idle_or_contradicting_option(walks):
    draw, refused = random.Random(walks), set()
    for _ in range(walks):
        goal, memory = draw.choice(wizard.GOALS), draw.choice(wizard.TIERS)
        more = {"init": Path("p.safetensors")} if "init" in goal.asks else {}
        values = wizard.recommended(goal, memory, draw.choice(ANSWERED) | more)
        for name in wizard.ADVANCED:
            if wizard.applies(name, values):
                answer = draw.choice(MORE.get(name, (True, False)))
                candidate = wizard.settled(values | {name: answer})
                try:
                    notices = wizard.settings(candidate).notices
                except OptionError:
                    refused.add((name, answer))  # setup tells why and asks again
                    continue
                assert not any("no effect" in notice for notice in notices), (candidate, notices)
                values = candidate
    assert refused <= {("val_split", 0.0)}, "early stopping needs held-out games, and nothing else is refused"


@pytest.mark.parametrize(
    ("gib", "batch", "hidden", "checkpoint"),
    [
        (None, 32, (256, 256), None),
        (1.9, 32, (256, 256), True),
        (3.8, 32, (256, 256), True),
        (7.6, 64, (256, 256), None),
        (11.8, 128, (256, 256), None),
        (15.7, 128, (256, 256), None),
        (23.5, 256, (512, 512), None),
        (140, 256, (512, 512), None),
    ],
)
def test_the_memory_of_a_gpu_decides_the_sizes(gib, batch, hidden, checkpoint):
    values = wizard.tier(None if gib is None else int(gib * GIB)).values
    assert (values["batch_size"], values["hidden"], values.get("gradient_checkpoint")) == (batch, hidden, checkpoint)


def test_goals_are_as_long_as_the_guide_says():
    recommended = [wizard.recommended(goal, wizard.TIERS[-1], {}) for goal in wizard.GOALS]
    assert [values["epochs"] for values in recommended] == [1, 20, 50, 10]
    assert [values.get("max_files") for values in recommended] == [5, None, None, None]
    assert [values.get("ema") for values in recommended] == [None, None, True, None]
    assert [values.get("early_stopping") for values in recommended] == [None, True, True, True]
    assert all(values["val_split"] == 0.1 and values["augment"] for values in recommended)
    assert all(values["temporal"] and values["backbone"] == "mamba" for values in recommended)


def test_fine_tuning_says_nothing_about_the_network():
    values = wizard.recommended(
        wizard.GOALS[3], wizard.TIERS[0], {"init": Path("p"), "train_character": "ice_climbers"}
    )
    assert not {"temporal", "backbone", "hidden", "nana_mode", "ic_tech"} & set(values)
    assert not any(wizard.applies(name, values) for name in ("temporal", "backbone", "online_robust", "kmeans_centers"))


def test_ice_climbers_are_seen_as_their_preset_sees_them():
    values = wizard.recommended(wizard.GOALS[1], wizard.TIERS[0], {"train_character": "ice_climbers"})
    assert values["nana_mode"] == "enhanced" and values["ic_tech"] and "dual_port" not in values


def test_jamba_keeps_its_layers_on_a_large_gpu():
    values = wizard.recommended(wizard.GOALS[2], wizard.TIERS[-1], {}) | {"backbone": "jamba"}
    made = wizard.settings(values)
    assert made["hidden"] == (512,) and made["num_layers"] == 6


@pytest.mark.parametrize("folder", ["replays", "my games/it's $HOME", "-odd", "a&b;c", "日本"])
def test_the_command_line_the_flags_and_the_file_give_the_same_run(folder, tmp_path):
    answers = {"replays": Path(folder), "train_character": "fox", "seed": 0}
    values = wizard.recommended(wizard.GOALS[1], wizard.TIERS[1], answers)
    made = wizard.settings(values)
    asked = parse(shlex.split(wizard.command_line(values, windows=False))[1:])
    assert asked is not None and asked.strays == []
    assert resolve(asked.command, asked.flags, {}).flat() == made.flat()
    path = tmp_path / "run.yaml"
    path.write_text(yaml_text(made, comments=False), encoding="utf-8")
    loaded = resolve("train", {"--config": str(path)}, {})
    assert loaded.flat() == made.flat() | {"config": path} and loaded.notices == ()
    assert loaded["replays"] == Path(folder) and loaded["seed"] == 0


def test_windows_quotes_with_double_quotes():
    assert wizard.command_line({"replays": Path("my games")}, windows=True) == 'exphil train --replays "my games"'


def test_every_question_is_an_option_of_train():
    names = {*wizard.ADVANCED, *wizard.SIZES, *wizard.HELD_OUT, *wizard.EVERY_RUN}
    names |= {name for goal in wizard.GOALS for name in (*goal.asks, *goal.values)}
    assert all(isinstance(OPTIONS[name], Option) for name in names)
    for name in wizard.CHARACTERS:
        assert OPTIONS["train_character"].convert(name) == name
