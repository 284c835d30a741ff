"""Runs that are compared: the same games for all, measured as evaluate measures, errors where they belong."""

from __future__ import annotations

import math
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from exphil import assemble
from exphil.assemble import contest
from exphil.config.commands import COMMANDS
from exphil.config.layers import Settings, resolve
from exphil.data import baselines
from exphil.data.sampler import split
from exphil.errors import ExphilError
from exphil.evaluate import benchmark
from exphil.evaluate.benchmark import Begun, Entry, Failed, Finished, Games, Learned
from exphil.evaluate.offline import measure
from exphil.replays.sources import find

GAMES = ("falco_vs_fox_final_destination_008.slp", "pikachu_vs_falco_dream_land_029.slp")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(replays: Path, tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("games")
    for name in GAMES:
        shutil.copy(replays / name, found)
    return found


def asked(folder: Path, **flags: Any) -> Settings:
    typed = {
        "replays": folder,
        "hidden": "8",
        "batch_size": "4",
        "updates": "2",
        "seeds": "1",
        "device": "cpu",
        **flags,
    }
    return resolve("benchmark", {"--" + name.replace("_", "-"): str(value) for name, value in typed.items()}, {})


@pytest.fixture(scope="module")
def games(folder) -> Games:
    settings = contest.entrant(asked(folder), "gru")
    corpus = assemble.read(settings, find(folder).sources).corpus
    learned, held = split(corpus.games, settings.validation.val_split, settings["seed"])
    return Games(corpus.part(learned), corpus.part(held))


def events(folder: Path, games: Games, **flags: Any) -> list[benchmark.Event]:
    """What happens; decisions are timed in a test of their own."""
    entries, _ = contest.entries(asked(folder, **flags), go_on=False)
    untimed = [replace(each, config=replace(each.config, timed=())) for each in entries]
    return list(benchmark.contest(untimed, contest.build, games, go_on=False))


@pytest.fixture(scope="module")
def finished(folder, games) -> list[benchmark.Event]:
    return events(folder, games, only="gru,mlp", updates=3, seeds=2)


def test_every_backbone_with_one_seed_then_with_the_next(finished):
    order = [(each.entry.backbone, each.entry.seed) for each in finished if isinstance(each, Finished)]
    assert order == [("mlp", 0), ("gru", 0), ("mlp", 1), ("gru", 1)]
    assert sum(isinstance(each, Begun) for each in finished) == 4


def test_every_update_is_told_and_the_last_one_is_a_point_of_the_curve(finished):
    updates = [each.update for each in finished if isinstance(each, Learned)]
    assert updates == [1, 2, 3] * 4
    for each in (each for each in finished if isinstance(each, Finished)):
        curve = each.result["curve"]
        assert curve[-1]["updates"] == each.result["updates"] == 3 and curve[-1]["held_out"] == each.result["held_out"]
        assert all(math.isfinite(point["train"]) and math.isfinite(point["held_out"]) for point in curve)


def test_a_result_says_what_it_cost(finished):
    for each in (each for each in finished if isinstance(each, Finished)):
        found = each.result
        assert found["parameters"] > 10_000 and found["frames"] > 3 * 4 * 32 and found["frames_per_second"] > 0
        assert found["saved_bytes"] > 4 * 64 * 8 * 4
        assert found["decision_ms"] == found["untimed"] == {}


def test_the_seed_decides_everything_that_is_random(folder, games, finished):
    losses = {(e.entry.backbone, e.entry.seed): e.result["held_out"] for e in finished if isinstance(e, Finished)}
    assert losses["gru", 0] != losses["gru", 1]
    (again,) = (e for e in events(folder, games, only="gru", updates=3) if isinstance(e, Finished))
    assert again.result["held_out"] == losses["gru", 0]


def test_the_loss_is_the_one_that_evaluate_shows(folder, games):
    (entry,) = contest.entries(asked(folder, only="gru"), go_on=False)[0]
    built = contest.build(entry.config, games, entry.seed)
    fitted = baselines.of_corpus(games.learned, built.run.policy.codec, False)
    told = measure(built.run.policy, built.held_out, fitted)
    losses = benchmark.baseline_losses(built.run.policy, built.held_out, fitted)
    assert losses == pytest.approx({name: found["loss"]["total"] for name, found in told["baselines"].items()})


def test_what_is_held_out_is_not_learned_from(games):
    assert games.learned.games and games.held_out.games
    assert not set(games.learned.digests) & set(games.held_out.digests)


def test_entries_can_be_handed_to_another_process(folder):
    entries, _ = contest.entries(asked(folder, only="gru,mlp"), go_on=False)
    assert pickle.loads(pickle.dumps(entries)) == entries
    assert pickle.loads(pickle.dumps(contest.build)) is contest.build


def test_a_backbone_that_fails_ends_the_contest_or_is_left_out_of_it(folder, games):
    entries = contest.entries(asked(folder, only="mlp", seeds=2), go_on=False)[0]
    wrong = [
        Entry(
            "too fast", each.seed, each.recipe, contest.Wanted(each.config.settings.changed({"lr": 1e30}, "t"), 9, ())
        )
        for each in entries
    ]
    right = replace(entries[0], config=replace(entries[0].config, timed=()))
    mixed = [wrong[0], right, wrong[1]]
    with pytest.raises(ExphilError, match="the loss is"):
        list(benchmark.contest(mixed, contest.build, games, go_on=False))
    found = list(benchmark.contest(mixed, contest.build, games, go_on=True))
    assert [each.failure["backbone"] for each in found if isinstance(each, Failed)] == ["too fast"]
    assert [each.entry.backbone for each in found if isinstance(each, Finished)] == ["mlp"]
    assert [each.entry.backbone for each in found if isinstance(each, Begun)] == ["too fast", "mlp"]


def test_twice_the_batch_keeps_twice_as_much_for_the_way_back(folder, games):
    kept = []
    for size in (4, 8):
        (entry,) = contest.entries(asked(folder, only="gru", batch_size=size), go_on=False)[0]
        built = contest.build(entry.config, games, 0)
        kept.append(benchmark.saved_bytes(built.run.policy, built.batches.load(0, 0)))
    assert 1.7 < kept[1] / kept[0] < 2.1


def test_decisions_are_timed_on_one_thread_and_torch_gets_its_own_back(folder, games):
    (entry,) = contest.entries(asked(folder, only="mlp"), go_on=False)[0]
    built, seen = contest.build(entry.config, games, 0), []

    def make():
        seen.append(torch.get_num_threads())
        return built.players["reference"]()

    torch.set_num_threads(2)
    try:
        found = benchmark.latencies(make, built.held_out)
        assert set(found) == {"1", "32", "128"} and all(0 < each["p50"] <= each["p99"] for each in found.values())
        assert seen == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_budget_in_updates_is_the_same_number_of_frames_for_every_batch(folder, monkeypatch):
    monkeypatch.setitem(contest.RECIPES, "gru", {"batch_size": 64, "lr": 1e-3})
    settings = resolve("benchmark", {"--only": "gru,mlp", "--updates": "100", "--seeds": "1"}, {})
    entries, _ = contest.entries(settings, go_on=False)
    assert {each.backbone: (each.config.updates, each.recipe["batch_size"]) for each in entries} == {
        "mlp": (100, 32),
        "gru": (50, 64),
    }


def test_what_is_given_is_stronger_than_the_recipe():
    settings = resolve("benchmark", {"--lr": "0.5", "--dropout": "0", "--hidden": "32", "--num-layers": "3"}, {})
    gru, mlp = contest.entrant(settings, "gru"), contest.entrant(settings, "mlp")
    assert (gru["lr"], gru["dropout"], gru["optimizer"], gru["window_size"]) == (0.5, 0.0, "muon", 64)
    assert (gru.sources["lr"], gru.sources["optimizer"]) == ("flag --lr", "recipe of benchmark")
    assert assemble.widths(gru) == assemble.widths(mlp) == (32, 32, 32)


@pytest.mark.parametrize(
    ("flags", "changed"),
    [
        ({"--cache-embeddings": True}, {"augment": False, "cache_embeddings": True}),
        ({"--cache-augmented": True}, {"augment": True, "cache_augmented": True}),
        ({"--train-character": "fox"}, {"dual_port": False}),
        ({"--lr-schedule": "linear", "--decay-steps": "10"}, {"warmup_steps": 10}),
    ],
    ids=str,
)
def test_the_recipe_gives_way_where_it_would_contradict(flags, changed):
    found = contest.entrant(resolve("benchmark", flags, {}), "gru")
    assert {name: found[name] for name in changed} == changed


def test_the_command_has_every_option_that_training_a_backbone_has():
    missing = set(COMMANDS["train"].groups) - set(COMMANDS["benchmark"].groups)
    apart = {"Players", "Profile", "Name", "Saving", "Teacher", "CheckpointsDir", "Monitoring", "Walking"}
    apart |= {"Averaging", "Batches", "Loss", "Stopping"}
    assert {group.__name__ for group in missing} == apart, "it compares networks and nothing else"
    assert set(COMMANDS["train"].option_names()) > contest.APART


def test_conditions_are_told_apart_by_what_changes_the_loss_alone(folder, games):
    def key(**flags: Any) -> str:
        settings = asked(folder, **flags)
        return contest.conditions(settings, contest.entrant(settings, "gru"), games, CPU)["key"]

    first = key()
    for same in ({"threads": 1}, {"cache_dir": "x"}, {"seeds": 9}, {"only": "mlp"}, {"lr": 0.1}):
        assert key(**same) == first, same
    for other in ({"window_size": 32}, {"updates": 3}, {"hidden": 9}, {"frame_delay": 0, "dropout": 0.5}):
        assert key(**other) != first, other


def test_the_curve_of_many_games_is_measured_on_some_of_them(games, monkeypatch):
    assert contest.curve_games(games.learned) is games.learned
    monkeypatch.setattr(contest, "CURVE_DECISIONS", 1)
    assert contest.curve_games(games.learned).games == 1
