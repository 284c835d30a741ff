"""A run from start to end: what it yields and saves, and that it goes on bit for bit from anywhere."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.layers import Settings, resolve
from exphil.config.resume import resumed as resumed_settings
from exphil.envs.environment import Frame
from exphil.errors import DataError, ExphilError, OutputError
from exphil.features.action import Codec
from exphil.features.kmeans import Centres
from exphil.features.players import Registry
from exphil.models.policy import TorchPlayer
from exphil.play.agent import Agent
from exphil.train import checkpoint
from exphil.train.loop import BatchDone, EpochDone
from exphil.train.session import Interrupted, Saved

CODEC = Codec.uniform()
RUNS = {
    "gru lanes with dropout, adam": {"temporal": True, "backbone": "gru"},
    "gru lanes mirrored, muon": {"temporal": True, "backbone": "gru", "augment": True, "optimizer": "muon"},
    "lstm lanes with dropout, lamb": {"temporal": True, "backbone": "lstm", "optimizer": "lamb"},
    "mlp windows, adamw": {"temporal": True, "backbone": "mlp", "optimizer": "adamw", "augment": True},
    "mlp frames, radam": {"optimizer": "radam", "batch_size": "40"},
    "gru lanes that answer late": {"temporal": True, "backbone": "gru", "frame_delay": "6"},
    "mlp windows of many delays": {
        "temporal": True, "backbone": "mlp", "frame_delay_augment": True, "frame_delay_max": "9", "augment": True,
    },
    "gru windows, last position": {
        "temporal": True, "backbone": "gru", "sequence_mode": "windows", "loss_positions": "last", "stride": "25",
    },
}  # fmt: skip


def train(settings: Settings, corpus, files, snapshot=None, stop_after: int | None = None) -> tuple[Any, list]:
    """A job that ran until it was through or ``stop_after`` events were seen; and its events."""
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] == stop_after

    late = dataclasses.replace(corpus, delay=assemble.delays(settings)[1])  # as assemble.read has it
    corpora = late.part({0}), late.part({1})
    job = assemble.training(settings, assemble.files_of(settings), corpora, files, snapshot, stop)
    return job, list(job.events)


def tensors(tree: Any) -> list[Any]:
    """Every leaf of nested dictionaries, lists and tuples, in order."""
    if isinstance(tree, dict):
        return [leaf for key in tree for leaf in [key, *tensors(tree[key])]]
    if isinstance(tree, list | tuple):
        return [leaf for part in tree for leaf in tensors(part)]
    return [tree]


def same(one: Any, other: Any) -> bool:
    """Equal bit for bit."""
    a, b = tensors(one), tensors(other)
    return len(a) == len(b) and all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(a, b, strict=True)
    )


def left(job: Any) -> dict[str, Any]:
    """Everything a run leaves but the time it took."""
    found = job.run.snapshot()
    del found["run"]["seconds"]
    return found


def numbers(events: list) -> list[tuple]:
    """Updates and epochs without the time they took."""
    return [
        event._replace(seconds=0.0, **({"spent": None} if isinstance(event, BatchDone) else {}))[:]
        for event in events
        if isinstance(event, BatchDone | EpochDone)
    ]


def again(snapshot, flags):
    """The settings of a resumed run, with its name, as the command makes them."""
    settings = resumed_settings(resolve("train", flags, {}), snapshot["config"], snapshot["run"]["epoch"])
    return settings.changed({"name": snapshot["config"]["name"]}, "the run's")


QUICK = ("gru lanes mirrored, muon",)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in RUNS]
)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(name, options, corpus, files, tmp_path):
    """Stopped in the middle of the first epoch and again in the middle of the second; weights, optimiser, losses."""
    straight, events = train(options(**RUNS[name], name="straight"), corpus, files)
    wanted, batches = numbers(events), [e for e in events if isinstance(e, BatchDone)]
    assert len(batches) == straight.updates >= 8 and any(e.step < e.steps for e in batches)
    settings, snapshot, seen = options(**RUNS[name]), None, []
    for stop_after in (3, batches[0].steps + 2, None):
        torch.manual_seed(987)  # whatever this process drew since
        job, part = train(settings, corpus, files, snapshot, stop_after)
        seen += numbers(part)
        if stop_after:
            path = next(e.path for e in part if isinstance(e, Interrupted))
            assert path.name == "run_interrupt.pt" and 0 < job.run.step < batches[0].steps
            snapshot = checkpoint.load_snapshot(path)
            settings = again(snapshot, {"--resume": str(path)})
    assert [row[:2] for row in seen] == [row[:2] for row in wanted]
    assert same(seen, wanted)
    assert same(left(job), left(straight))


def test_the_snapshot_of_an_epoch_resumes_too(options, corpus, files):
    """With more epochs typed than it was begun with; under a constant rate this is the longer run."""
    flags = {"temporal": True, "backbone": "gru", "lr_schedule": "constant"}
    straight, _ = train(options(**flags, epochs="3", name="straight"), corpus, files)
    job, _ = train(options(**flags), corpus, files)
    snapshot = checkpoint.load_snapshot(job.files.snapshot)
    settings = again(snapshot, {"--resume": str(job.files.snapshot), "--epochs": "3"})
    resumed, events = train(settings, corpus, files, snapshot)
    assert {event.epoch for event in events if isinstance(event, BatchDone)} == {3}
    assert same(left(resumed), left(straight))
    assert resumed.files.snapshot == job.files.snapshot


def test_the_same_seed_gives_the_same_run_and_another_gives_another(options, corpus, files):
    flags = {"temporal": True, "backbone": "gru"}
    runs = [train(options(**flags, name=f"n{i}", seed=seed), corpus, files)[0] for i, seed in enumerate("778")]
    assert same(left(runs[0]), left(runs[1]))
    assert not same(left(runs[0])["policy"], left(runs[2])["policy"])


def test_events_tell_what_happened(options, corpus, files):
    job, events = train(options(temporal=True, backbone="gru"), corpus, files)
    batches, epochs = ([e for e in events if isinstance(e, kind)] for kind in (BatchDone, EpochDone))
    assert [e.updates for e in batches] == list(range(1, job.updates + 1))
    assert [e.step for e in batches if e.epoch == 1] == list(range(1, batches[0].steps + 1))
    assert all(e.loss == pytest.approx(sum(e.parts), rel=1e-5) and len(e.parts) == 13 for e in batches)
    assert all(math.isfinite(e.grad_norm) and e.grad_norm > 0 for e in batches)
    assert batches[0].lr == pytest.approx(1e-3 / 4) and max(e.lr for e in batches) == pytest.approx(1e-3)
    for epoch in epochs:
        own = [e for e in batches if e.epoch == epoch.epoch]
        mean = sum(e.loss * e.frames for e in own) / sum(e.frames for e in own)
        assert epoch.train == pytest.approx(mean) and epoch.validation is not None
    learned = corpus.part({0}).decisions.sum()
    assert job.run.frames == 2 * learned
    assert epochs[1].train < epochs[0].train


def test_every_epoch_saves_and_the_best_is_kept(options, corpus, files):
    job, events = train(options(temporal=True, backbone="gru"), corpus, files)
    saved = [event for event in events if isinstance(event, Saved)]
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert sum(not event.best for event in saved) == 2
    assert sum(event.best for event in saved) == sum(event.improved for event in epochs) >= 1
    names = {path.name for path in job.files.snapshot.parent.iterdir()}
    assert names == {
        f"run{ending}" for best in ("", "_best") for ending in
        (f"{best}.pt", f"{best}_policy.safetensors", f"{best}_config.json")
    }  # fmt: skip
    page = json.loads(job.files.beside("_config.json").read_text())
    assert page["final_training_loss"] == epochs[-1].train and page["updates"] == job.updates
    assert page["hidden_sizes"] == [24] and page["training_frames"] == int(corpus.part({0}).decisions.sum())


def test_a_saved_policy_is_the_policy(options, corpus, files):
    """Built again from its file alone it gives the numbers of the run."""
    job, _ = train(options(temporal=True, backbone="gru"), corpus, files)
    for path in (job.files.policy, job.files.snapshot):
        settings, policy = assemble.trained(checkpoint.load_policy(path), str(path))
        assert settings["backbone"] == "gru" and settings["hidden"] == (24,)
        assert same(policy.state_dict(), job.run.policy.state_dict())


LATE = {"temporal": True, "backbone": "gru", "frame_delay_augment": True, "frame_delay_max": "4"}


@pytest.mark.parametrize("sticks", [pytest.param("equal", marks=pytest.mark.slow), "learned"])
def test_what_the_actions_stand_for_is_kept_in_the_files(options, corpus, files, tmp_path, sticks):
    """And a resumed run goes on with it bit for bit, also when the file of stick centres is gone."""
    centres, path = (-1.0, -0.4, 0.0, 0.3, 0.95), tmp_path / "sticks.json"
    flags = {"axis_buckets": "32", "shoulder_buckets": "2"}
    wanted = Codec.uniform(32, 2)
    if sticks == "learned":
        Centres((centres,)).save(path)
        flags, wanted = {"kmeans_centers": str(path)}, Codec((centres,) * 4, CODEC.shoulder)
    straight, _ = train(options(**LATE, **flags, name="straight"), corpus, files)
    job, events = train(options(**LATE, **flags), corpus, files, stop_after=3)
    path.unlink(missing_ok=True)
    snapshot = checkpoint.load_snapshot(next(event.path for event in events if isinstance(event, Interrupted)))
    resumed, _ = train(again(snapshot, {"--resume": str(tmp_path / "run.pt")}), corpus, files, snapshot)
    assert resumed.run.policy.codec == job.run.policy.codec == wanted
    assert same(left(resumed), left(straight))
    for place in (resumed.files.policy, resumed.files.snapshot):
        settings, policy = assemble.trained(checkpoint.load_policy(place), str(place))
        assert policy.codec == wanted and same(policy.state_dict(), straight.run.policy.state_dict())
        assert tuple(out.out_features for out in policy.head.out) == (8, *wanted.classes[8:])
        player = TorchPlayer(policy, torch.device("cpu"))
        agent = Agent(player, assemble.learned(settings, policy.codec, Registry(0)), 0, 1, 5)
        pressed = [[float(part[0]) for part in _step(agent, corpus, at).controllers[:5]] for at in range(120)]
        for axis, values in enumerate(zip(*pressed, strict=True)):
            allowed = np.float32((*wanted.axes, wanted.shoulder)[axis])
            assert set(values) <= set(allowed.tolist()) and len(set(values)) > 1
    with pytest.raises(ExphilError, match="--kmeans-centers" if sticks == "learned" else "--axis-buckets"):
        other = {"--kmeans-centers": "b.json"} if sticks == "learned" else {"--axis-buckets": "16"}
        again(snapshot, {"--resume": str(tmp_path / "run.pt"), **other})


def _step(agent: Any, corpus: Any, at: int) -> Any:
    flag = np.zeros(1, np.bool_)
    return agent.step(Frame(corpus.game(0)[at : at + 1], np.array([at == 0]), flag, flag))


def test_a_file_from_before_there_was_a_choice_stands_for_equal_steps(options, corpus, files):
    job, _ = train(options(temporal=True, backbone="gru", epochs="1"), corpus, files)
    file = checkpoint.load_policy(job.files.policy)
    assert Codec.from_dict(file.actions) == CODEC
    _, policy = assemble.trained(dataclasses.replace(file, actions={}), "old")
    assert policy.codec == CODEC
    with pytest.raises(ExphilError, match="--axis-buckets"):
        assemble.trained(dataclasses.replace(file, actions=Codec.uniform(32).as_dict()), "other")


def test_held_out_games_are_not_learned_from(options, corpus, files):
    """Their loss is measured walking whole games, without dropout, and does not depend on how they are cut."""
    from exphil.data.walk import Walk
    from exphil.train.validate import held_out_loss

    settings = options(temporal=True, backbone="gru")
    job, events = train(settings, corpus, files)
    told = [event.validation for event in events if isinstance(event, EpochDone)][-1]
    held, device = corpus.part({1}), torch.device("cpu")
    for batch, window in ((1, 1000), (3, 7)):
        loader = assemble.loader(settings, held, Walk(held.first, held.decisions, batch, window), CODEC, device)
        assert held_out_loss(job.run.policy, loader) == pytest.approx(told, rel=1e-5)


def test_another_run_is_not_written_over(options, corpus, files):
    train(options(temporal=True), corpus, files)
    with pytest.raises(OutputError, match="already exists") as caught:
        train(options(temporal=True), corpus, files)
    assert "--resume" in caught.value.fix


def test_windows_longer_than_every_game_are_refused_before_training(options, corpus, files):
    """Else nothing would be learned, epoch after epoch."""
    settings = options(temporal=True, backbone="gru", sequence_mode="windows", loss_positions="last", window_size="700")
    with pytest.raises(DataError, match="700 decisions, the longest game has 699") as caught:
        train(settings, corpus, files)
    assert "--window-size 699 or less" in caught.value.fix


def test_a_loss_that_is_no_number_stops_the_run(options, corpus, files):
    """And nothing is learned from it."""
    settings = options()
    job = assemble.training(settings, assemble.files_of(settings), (corpus, None), files, None, lambda: False)
    next(job.events)
    with torch.no_grad():
        job.run.policy.head.enter.weight[0, 0] = float("nan")
    with pytest.raises(ExphilError, match="the loss is nan at update 2") as caught:
        next(job.events)
    assert "--lr" in caught.value.fix


@pytest.mark.parametrize(("every", "collections"), [("0", 0), ("5", 1 + 3), ("100", 1)])
def test_garbage_is_collected_every_so_many_updates(options, corpus, files, monkeypatch, every, collections):
    """Once before the first update, then every so many."""
    seen: list[int] = []
    monkeypatch.setattr("gc.collect", lambda *_: seen.append(1))
    job, _ = train(options(temporal=True, backbone="gru", gc_every=every, epochs="3"), corpus, files)
    assert job.run.updates // 5 == 3, "the numbers below are of this run"
    assert len(seen) == collections
