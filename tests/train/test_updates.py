"""Updates: several batches as one, averaged weights, gradients' length, and what stops a run."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from exphil import assemble
from exphil.errors import ExphilError, OptionError
from exphil.train import checkpoint, loop
from exphil.train.average import Average
from exphil.train.loop import BatchDone, EpochDone
from exphil.train.ranks import Ranks
from exphil.train.session import Saved
from exphil.train.step import MemoryFullError, clip

GRU = {"temporal": True, "backbone": "gru", "dropout": "0"}


def job_of(settings, corpus, files, snapshot=None):
    late = dataclasses.replace(corpus, delay=assemble.delays(settings)[1])
    corpora = late.part({0}), late.part({1}) if settings["val_split"] else None
    return assemble.training(settings, assemble.files_of(settings), corpora, files, snapshot, lambda: False)


def done(settings, corpus, files, snapshot=None):
    job = job_of(settings, corpus, files, snapshot)
    return job, list(job.events)


@pytest.mark.parametrize(
    "flags",
    [
        GRU,
        {"temporal": True, "backbone": "mlp", "dropout": "0"},
        {**GRU, "optimizer": "muon", "label_smoothing": "0.1"},
    ],
    ids=["lanes", "windows", "muon and smoothing"],
)
def test_slices_of_a_batch_make_the_update_of_the_whole(options, corpus, files, flags):
    """Losses, gradients, carried states and the learning rate: three slices of 4 rows are a batch of 12."""
    runs = [
        done(options(**flags, batch_size=batch, accumulation_steps=slices, name=f"n{slices}"), corpus, files)
        for batch, slices in (("12", "1"), ("4", "3"))
    ]
    whole, cut = ([e for e in events if isinstance(e, BatchDone)] for _, events in runs)
    assert len(whole) == len(cut) == runs[1][0].updates > 2
    for one, other in zip(whole, cut, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4) and other.frames == one.frames
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3) and other.lr == one.lr
    left, right = (job.run.policy.state_dict() for job, _ in runs)
    for name, weight in left.items():
        assert torch.allclose(weight, right[name], atol=1e-3), name  # muon computes in bf16


def test_a_batch_that_processes_cannot_share_evenly_is_refused(options, corpus):
    settings = options(batch_size="5")
    three = Ranks(0, 3, 3, None, None)
    with pytest.raises(OptionError, match="5 rows cannot be shared out evenly among 3 processes") as caught:
        assemble.sliced(settings, assemble.plan(settings, corpus, 0), three)
    assert "--batch-size 6" in caught.value.fix


def test_gradients_are_scaled_and_shortened_at_once():
    """Against torch's own clipping of scaled gradients."""
    for longest, scale in itertools.product((0.0, 0.1, 100.0), (1.0, 0.25)):
        torch.manual_seed(0)
        ours = [torch.nn.Parameter(torch.zeros(3, 4)), torch.nn.Parameter(torch.zeros(5))]
        theirs = [torch.nn.Parameter(torch.zeros(3, 4)), torch.nn.Parameter(torch.zeros(5))]
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad * scale
        norm = clip(ours, scale, longest)
        wanted = torch.nn.utils.clip_grad_norm_(theirs, longest or float("inf"))
        assert norm == pytest.approx(float(wanted), rel=1e-5)
        for one, other in zip(ours, theirs, strict=True):
            assert torch.allclose(one.grad, other.grad, atol=1e-6)


def test_the_average_follows_every_update(options, corpus, files):
    """By its formula; it is validated and saved beside the weights, and a resumed run goes on with it."""
    settings = options(**GRU, ema=True, ema_decay="0.9", val_split="0.5")
    job = job_of(settings, corpus, files)
    wanted = {name: weight.clone() for name, weight in job.run.policy.named_parameters()}
    last = None
    for event in job.events:
        if isinstance(event, BatchDone):
            share = min(0.9, event.updates / (9 + event.updates))
            for name, weight in job.run.policy.named_parameters():
                wanted[name] = share * wanted[name] + (1 - share) * weight.detach()
        elif isinstance(event, EpochDone):
            last = event
    kept = checkpoint.load_policy(job.files.average)
    plain = checkpoint.load_policy(job.files.policy)
    for name, weight in wanted.items():
        assert torch.allclose(kept.weights[name], weight, atol=1e-5), name
    assert any(not torch.equal(kept.weights[name], plain.weights[name]) for name in wanted)
    _, averaged = assemble.trained(kept, "average")
    validate = assemble.held_out(settings, corpus.part({1}), averaged.codec, job.run.device, loop.Way().ranks)
    assert last.validation == pytest.approx(validate(averaged), rel=1e-5)


def test_an_average_puts_the_weights_back():
    module = torch.nn.Linear(2, 2)
    average = Average(module, 0.5)
    before = module.weight.detach().clone()
    with torch.no_grad():
        module.weight += 1
    average.follow(module, 10)
    with average.within(module):
        assert torch.allclose(module.weight, before + 0.5)
    assert torch.allclose(module.weight, before + 1)


def test_a_run_that_gets_no_better_ends_early(options, corpus, files):
    """After so many epochs without so many nats less; without the option it goes on."""
    flags = {**GRU, "val_split": "0.5", "epochs": "6", "lr": "1e-9", "patience": "2", "min_delta": "0.5"}
    _, events = done(options(**flags, early_stopping=True), corpus, files)
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert [event.stops for event in epochs] == [False, False, True]
    _, events = done(options(**flags, name="long"), corpus, files)
    assert len([event for event in events if isinstance(event, EpochDone)]) == 6


def test_snapshots_are_kept_as_asked(options, corpus, files):
    """Every so many updates, every so many epochs, and of those the best."""
    settings = options(**GRU, val_split="0.5", epochs="4", save_every_batches="3", keep_best="2")
    job, events = done(settings, corpus, files)
    epochs = {event.epoch: event.validation for event in events if isinstance(event, EpochDone)}
    best = sorted(epochs, key=epochs.__getitem__)[:2]
    names = {path.name for path in job.files.snapshot.parent.glob("*.pt")}
    assert names == {"run.pt", "run_best.pt", "run_batch.pt", *(f"run_epoch_{epoch:04}.pt" for epoch in best)}
    batch = checkpoint.load_snapshot(job.files.variant("_batch").snapshot)
    assert batch["run"]["updates"] == job.run.updates // 3 * 3
    assert sum(isinstance(event, Saved) for event in events) > 8
    settings = options(**GRU, epochs="4", save_every="2", name="every")
    names = {path.name for path in done(settings, corpus, files)[0].files.snapshot.parent.glob("every_epoch*.pt")}
    assert names == {"every_epoch_0002.pt", "every_epoch_0004.pt"}


def test_without_held_out_games_the_best_is_that_of_the_training_loss(options, corpus, files):
    job, events = done(options(**GRU, epochs="3"), corpus, files)
    best = min(event.train for event in events if isinstance(event, EpochDone))
    kept = checkpoint.load_snapshot(job.files.variant("_best").snapshot)
    assert kept["run"]["best"] == best == job.run.best


def test_a_loss_that_is_no_number_names_the_last_good_snapshot(options, corpus, files):
    settings = options(**GRU, save_every_batches="1")
    job = job_of(settings, corpus, files)
    next(event for event in job.events if isinstance(event, EpochDone))
    next(event for event in job.events if isinstance(event, BatchDone))
    with torch.no_grad():
        job.run.policy.head.enter.weight[0, 0] = float("nan")
    with pytest.raises(ExphilError, match="the loss is nan") as caught:
        list(job.events)
    path = job.files.snapshot
    assert f"the last good snapshot is {path}: exphil train --resume {path} --lr 0.00033" in caught.value.fix
    assert checkpoint.load_snapshot(path)["run"]["updates"] < job.run.updates, "of the weights that gave nan is another"
    job = job_of(options(**GRU, name="none", save_every_batches="1"), corpus, files)
    next(iter(job.events))
    with torch.no_grad():
        job.run.policy.head.enter.weight[0, 0] = float("nan")
    with pytest.raises(ExphilError, match="the loss is nan") as caught:
        list(job.events)
    assert caught.value.fix.startswith("nothing good was saved yet; begin again with --lr")


def test_a_gradient_that_is_no_number_is_not_learned_from(options, corpus, files):
    job = job_of(options(**GRU), corpus, files)
    next(iter(job.events))
    before = [weight.detach().clone() for weight in job.run.policy.parameters()]
    job.run.policy.head.enter.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(ExphilError, match=r"the gradient is (inf|nan) at update 2"):
        next(iter(job.events))
    assert all(torch.equal(one, other) for one, other in zip(before, job.run.policy.parameters(), strict=True))


def test_a_plateau_is_no_improvement(options, corpus, files):
    """Also where nothing at all need be gained."""
    flags = {**GRU, "val_split": "0.5", "epochs": "5", "patience": "2", "min_delta": "0", "early_stopping": True}
    job = job_of(options(**flags), corpus, files)
    job.run.optimizer.step = lambda *_: None
    assert len([event for event in job.events if isinstance(event, EpochDone)]) == 3


def test_files_of_runs_with_like_names_are_let_be(options, corpus, files):
    other, _ = done(options(**GRU, name="run_epoch_lr", epochs="1"), corpus, files)
    job, _ = done(options(**GRU, epochs="1"), corpus, files)
    again = options(**GRU, epochs="1", overwrite=True, no_backup=True)
    assemble.claim(again, job.files)
    assert other.files.snapshot.exists() and other.files.policy.exists() and not job.files.snapshot.exists()
    for name in ("run_best", "run_epoch_0003", "run_ema", "run_policy"):
        with pytest.raises(OptionError, match="another file of a run could be called"):
            assemble.files_of(options(name=name))


def test_averages_of_a_run_that_averages_no_more_are_gone(options, corpus, files):
    job, _ = done(options(**GRU, ema=True, epochs="1"), corpus, files)
    assert job.files.average.exists()
    snapshot = checkpoint.load_snapshot(job.files.snapshot)
    settings = options(**GRU, epochs="2", resume=str(job.files.snapshot))
    again = assemble.training(settings, job.files, (corpus.part({0}), None), files, snapshot, lambda: False)
    list(again.events)
    assert not job.files.average.exists()


def test_a_full_memory_names_the_option_to_change_and_keeps_what_was_learned(options, corpus, files, monkeypatch):
    settings = options(**GRU, batch_size="6")
    job = job_of(settings, corpus, files)
    events = iter(job.events)
    first = [next(events) for _ in range(3)]
    monkeypatch.setattr(type(job.run.policy), "score", lambda *_, **__: torch.empty(1 << 55))
    with pytest.raises(MemoryFullError, match="out of memory at update 4") as caught:
        list(events)
    path = job.files.variant("_interrupt").snapshot
    assert f"exphil train --resume {path} --batch-size 3 --accumulation-steps 2" in caught.value.fix
    assert checkpoint.load_snapshot(path)["run"]["updates"] == len(first) == 3


def test_a_run_resumes_in_other_slices_of_the_same_batch(options, corpus, files):
    """What is carried between batches is saved whole: the losses after it are those of the run that went on."""
    flags = {**GRU, "epochs": "1", "window_size": "10"}
    job, events = done(options(**flags, batch_size="12", save_every_batches="4"), corpus, files)
    wanted = [event.loss for event in events if isinstance(event, BatchDone)]
    snapshot = checkpoint.load_snapshot(job.files.variant("_batch").snapshot)
    cut = options(**flags, batch_size="4", accumulation_steps="3", name="cut")
    _, events = done(cut, corpus, files, snapshot)
    found = [event.loss for event in events if isinstance(event, BatchDone)]
    assert found == pytest.approx(wanted[snapshot["run"]["updates"] :], rel=1e-3) and len(found) > 1


def test_fine_tuning_begins_with_the_weights_and_the_network_of_the_policy(options, corpus, files):
    first, _ = done(options(**GRU), corpus, files)
    path = str(first.files.policy)
    tuned = options(**GRU, init=path, name="tuned", lr="1e-9", epochs="1")
    job = job_of(tuned, corpus, files)
    for name, weight in first.run.policy.state_dict().items():
        assert torch.equal(weight, job.run.policy.state_dict()[name])
    assert job.run.updates == 0 and job.about.provenance["parent"] == path
    with pytest.raises(ExphilError, match="the options make"):
        job_of(options(**GRU | {"backbone": "lstm"}, init=path, name="other"), corpus, files)


@pytest.mark.parametrize("parts", ["1", "2", "7"])
def test_the_held_out_loss_does_not_depend_on_how_many_walk(options, corpus, files, parts):
    settings = options(**GRU, val_concurrency=parts, val_split="0.5")
    torch.manual_seed(0)
    policy = assemble.policy(settings, assemble.codec(settings))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = loop.Way().ranks
        loss = assemble.held_out(settings, corpus, policy.codec, torch.device("cpu"), alone)(policy)
    finally:
        assert torch.get_num_threads() == 2
        torch.set_num_threads(threads)
    whole = assemble.walk(settings, corpus, policy.codec, torch.device("cpu"))
    from exphil.train.validate import held_out_loss

    assert loss == pytest.approx(held_out_loss(policy, whole), rel=1e-6)
