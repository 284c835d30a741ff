"""What a run will take: sizes as they are, updates as they come, times as steps take them; and nothing is left."""

from __future__ import annotations

import shutil
import signal
from statistics import median

import pytest
import torch

from exphil import assemble
from exphil.assemble import estimate, timing
from exphil.assemble.estimate import Cost, Counted
from exphil.config.layers import resolve
from exphil.data.forecast import frames_in
from exphil.evaluate.benchmark import saved_bytes
from exphil.replays.sources import find

GRU = {"--backbone": "gru", "--hidden": "32", "--window-size": "20", "--batch-size": "64"}
SMALL = {"--hidden": "8,8", "--batch-size": "16"}
GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"]


def train(*flags):
    typed = {"--device": "cpu", "--threads": "1"}
    for more in flags:
        typed |= more
    return resolve("train", typed, {})


@pytest.fixture
def folder(tmp_path, replays):
    for name in GAMES:
        shutil.copy(replays / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "flags", [SMALL, GRU, GRU | {"--optimizer": "muon", "--label-smoothing": "0.1", "--ema": True}]
)
def test_sizes_are_those_of_the_policy_and_its_optimiser(flags):
    settings = train(flags)
    found, built = estimate.sizes(settings), assemble.policy(settings, assemble.codec(settings))
    assert sum(found.parameters.values()) == sum(p.numel() for p in built.parameters())
    assert list(found.parameters) == ["embed", "backbone", "head"]
    assert found.weights_bytes == sum(p.nbytes for p in built.parameters())
    momenta = found.optimizer_bytes / found.weights_bytes
    assert momenta == pytest.approx(2, rel=0.01) if settings["optimizer"] == "adam" else 1 < momenta < 2
    assert found.average_bytes == (found.weights_bytes if settings["ema"] else 0)
    assert found.step_bytes > found.snapshot_bytes >= found.weights_bytes + found.optimizer_bytes


def test_what_a_batch_keeps_is_scaled_from_a_small_one():
    settings = train(GRU)
    found = estimate.sizes(settings)
    with timing.trial_of(settings) as trial:
        whole = saved_bytes(trial.policy, trial.batch(64))
        batch = trial.batch(64)
        state = timing.tensor_bytes(trial.policy.initial_state(64))
    assert found.kept_bytes == pytest.approx(whole, rel=0.25)
    assert found.batch_bytes == sum(part.nbytes for part in batch)
    assert found.carried_bytes == state > 0
    assert estimate.sizes(train(GRU, {"--sequence-mode": "windows"})).carried_bytes == 0


@pytest.mark.parametrize(
    "flags",
    [
        SMALL,
        GRU,
        GRU | {"--sequence-mode": "windows"},
        GRU | {"--loss-positions": "last", "--sequence-mode": "windows"},
    ],
)
def test_made_up_batches_have_the_shapes_of_real_ones(flags, folder):
    settings = train(flags, {"--replays": str(folder), "--max-files": "1", "--no-precompute": True})
    corpus = assemble.read(settings, find(folder, 1).sources).corpus
    codec, cpu = assemble.codec(settings), torch.device("cpu")
    real = assemble.loader(settings, corpus, assemble.plan(settings, corpus, 0), codec, cpu).load(0, 0)
    with timing.trial_of(settings) as trial:
        made = trial.batch(len(real.weight))
    for name, one, other in zip(real._fields, real, made, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype, name


@pytest.mark.parametrize(
    "flags",
    [
        SMALL,
        GRU,
        GRU | {"--dual-port": True},
        GRU | {"--sequence-mode": "windows", "--stride": "5"},
        GRU | {"--sequence-mode": "windows", "--loss-positions": "last", "--stride": "3"},
    ],
)
def test_the_updates_of_an_epoch_are_those_of_the_plan(flags, folder):
    settings = train(flags, {"--replays": str(folder), "--no-precompute": True})
    games = assemble.read(settings, find(folder).sources)
    steps = assemble.plan(settings, games.corpus, 0).steps(0)
    frames = round(games.corpus.decisions.sum() / (2 if settings["dual_port"] else 1))
    found = estimate.estimate(settings, Counted(len(games.files), frames, False), None)
    assert found.updates == pytest.approx(steps, rel=0.05, abs=1) and found.run_s is None


def test_time_is_that_of_frames_updates_and_held_out_games():
    settings = train({"--epochs": "3", "--batch-size": "100", "--val-split": "0.5"})
    found = estimate.estimate(settings, Counted(10, 10_000, False), Cost(0.001, 0.1, 5, 0.0))
    assert found.updates == 50
    assert found.epoch_s == pytest.approx(5000 * 0.001 + 50 * 0.1 + 5000 * 0.001 / 3)
    assert found.run_s == pytest.approx(3 * found.epoch_s)
    fewer = estimate.estimate(train({"--batch-size": "100", "--accumulation-steps": "4"}), found.counted, None)
    assert fewer.updates == 25


def test_games_are_counted_by_how_they_begin(folder):
    sources = find(folder).sources
    assert estimate.count(train({"--replays": str(folder)}), sources) == Counted(2, frames_in(sources), False)
    assert estimate.count(train({"--max-files": "1"}), sources).games == 1
    assert estimate.count(train({"--train-character": "popo"}), sources).games == 1
    assert estimate.count(train({"--train-character": "mewtwo"}), sources) == Counted(0, 0, False)
    assert not (folder / "cache").exists()


def test_of_many_files_some_speak_for_all(folder, monkeypatch):
    whole = estimate.count(train(), find(folder).sources * 10)
    monkeypatch.setattr(estimate, "LOOKED_AT", 7)
    some = estimate.count(train(), find(folder).sources * 10)
    assert some.games == whole.games == 20 and some.frames == pytest.approx(whole.frames, rel=0.2)


def test_without_games_as_many_typical_ones_are_assumed():
    assert estimate.assumed(train({"--max-files": "7"})) == Counted(7, 66_500, True)
    assert estimate.assumed(train()).games == 1000
    (found,) = estimate.ahead({"x": train({"--replays": "nowhere"})}, 0).values()
    assert found.counted.assumed and found.run_s is None


def test_a_probe_leaves_random_states_and_threads_as_they_were():
    torch.set_num_threads(2)
    before = torch.get_rng_state()
    cost = timing.probe(train(SMALL), 0.05)
    estimate.sizes(train(SMALL))
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == 2
    assert cost.frame_s > 0 and cost.update_s > 0 and cost.steps >= 1


def test_a_probe_can_be_interrupted():
    def stop(*_):
        raise KeyboardInterrupt

    before, kept = torch.get_rng_state(), signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            timing.probe(train(SMALL), 60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)
    assert torch.equal(torch.get_rng_state(), before)


def test_runs_of_one_network_share_a_probe_and_without_time_a_backbone_does():
    asked = {
        "a": train(SMALL),
        "b": train(SMALL, {"--epochs": "5"}),
        "c": train({"--hidden": "64,64"}),
        "d": train(GRU),
    }
    found = timing.probes(asked, 0.001)
    assert found["a"] is found["b"] and found["a"].steps == 0 < found["c"].steps
    assert 0 < found["a"].frame_s < found["c"].frame_s, "as much a parameter as the largest of its backbone"
    assert found["d"].steps > 0


def test_seconds_of_an_update_and_frames_a_second_are_two_ways_to_say_it():
    settings = train(GRU, {"--accumulation-steps": "2"})
    assert estimate.frames_a_second(settings, 2.0) == 64 * 20 * 2 / 2.0
    assert estimate.step_seconds(train(SMALL), 0.05) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", [{"--hidden": "128,128"}, {"--backbone": "lstm", "--hidden": "64", "--window-size": "30"}]
)
def test_an_estimated_step_takes_about_as_long_as_a_real_one(flags, folder):
    """Made-up and real batches take turns, so that what else the machine does is the same for both."""
    settings = train(flags, {"--replays": str(folder), "--no-precompute": True})
    corpus = assemble.read(settings, find(folder).sources).corpus
    batches = assemble.loader(
        settings, corpus, assemble.plan(settings, corpus, 0), assemble.codec(settings), torch.device("cpu")
    )
    with timing.trial_of(settings) as trial:
        ratios = []
        for step in range(40):
            trial._batch = None
            trial.batch(settings["batch_size"])
            made = sum(trial.step(settings["batch_size"]))
            trial._batch = batches.load(0, step)
            ratios.append(made / sum(trial.step(len(trial._batch.weight))))
    assert 0.8 < median(ratios[5:]) < 1.25
