"""Learning from a teacher: its value and optimum, what fits, carried states, and a run that goes on with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from exphil import assemble
from exphil.assemble.teacher import check, digest, taught
from exphil.config.layers import Settings, jsonable
from exphil.errors import OptionError, PolicyError
from exphil.features.action import Codec
from exphil.features.kmeans import Centres
from exphil.features.players import Registry
from exphil.models.backbone import detach
from exphil.train import checkpoint
from exphil.train.distill import divergence, with_lesson
from exphil.train.loop import BatchDone
from exphil.train.losses import Imitation
from exphil.train.step import forward

GRU = {"temporal": True, "backbone": "gru", "dropout": "0"}
CPU = torch.device("cpu")
CLASSES = Codec.uniform().classes
AXIS = 9


def job_of(settings: Settings, corpus, files, snapshot=None):
    late = dataclasses.replace(corpus, delay=assemble.delays(settings)[1])
    corpora = late.part({0}), late.part({1}) if settings["val_split"] else None
    return assemble.training(settings, assemble.files_of(settings), corpora, files, snapshot, lambda: False)


def losses(settings: Settings, corpus, files, snapshot=None) -> list[tuple[float, float]]:
    """Nats and objective of every update."""
    events = job_of(settings, corpus, files, snapshot).events
    return [(event.loss, event.objective) for event in events if isinstance(event, BatchDone)]


@pytest.fixture
def teach(options, tmp_path):
    """Writes a policy file of a teacher that has learned nothing and says a lot; gives its path."""

    def make(name: str = "teacher", seed: int = 0, **flags: str | bool) -> Path:
        asked = options(**{**GRU, "hidden": "12", "num_layers": "1", **flags})
        policy = assemble.policy(asked, assemble.codec(asked))
        random = torch.Generator().manual_seed(seed)
        weights = {
            key: weight + torch.randn(weight.shape, generator=random) / 4 for key, weight in policy.state_dict().items()
        }
        words = jsonable(asked.flat()), policy.table.fingerprint, {}, {}
        path = tmp_path / f"{name}_policy.safetensors"
        checkpoint.save_policy(path, checkpoint.PolicyFile(weights, *words, actions=policy.codec.as_dict()))
        return path

    return make


def drawn(seed: int, *shape: int) -> list[Tensor]:
    """Log-probabilities of every component."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, n, generator=random, dtype=torch.float64).log_softmax(-1) for n in CLASSES]


def least(weight: float, temperature: float, player: Tensor, wanted: Tensor) -> Tensor:
    """The probabilities ``(N, K)`` of one axis that make the objective least; ``player`` and ``wanted`` likewise."""
    count, classes = player.shape
    logits = torch.zeros(count, classes, dtype=torch.float64, requires_grad=True)
    terms, at = Imitation(teacher_weight=weight), one_hot(torch.tensor(AXIS), 13).double()
    others = drawn(0, count, classes)
    taught = [*others[:AXIS], wanted.log()[:, None].expand(count, classes, classes), *others[AXIS + 1 :]]
    best = torch.optim.LBFGS([logits], max_iter=400, tolerance_grad=1e-11, tolerance_change=0,
                             line_search_fn="strong_wolfe")  # fmt: skip

    def closure() -> Tensor:
        best.zero_grad()
        log_p = logits.log_softmax(-1)
        own = [*others[:AXIS], log_p[:, None].expand(count, classes, classes), *others[AXIS + 1 :]]
        action = torch.zeros(count, classes, 13, dtype=torch.int64)
        found = terms(log_p[..., None] * at, None, action, player, divergence(own, taught, temperature))
        found.objective.backward()
        return found.objective

    best.step(closure)
    return logits.detach().softmax(-1)


def test_the_divergence_by_hand():
    """T^2 times the sum over classes of t (log t - log p), of distributions to the power of 1 / T, normalised."""
    own, wanted = drawn(1, 3), drawn(2, 3)
    found = divergence(own, wanted, 2.0)
    assert found.shape == (3, 13)
    for at, (mine, theirs) in enumerate(zip(own, wanted, strict=True)):
        p, t = (part.exp().sqrt() / part.exp().sqrt().sum(-1, keepdim=True) for part in (mine, theirs))
        assert torch.allclose(found[:, at], 4 * (t * (t / p).log()).sum(-1)), at
    assert not divergence(own, own, 3.0).abs().gt(1e-12).any()


@pytest.mark.parametrize(("weight", "temperature"), [(0.4, 1.0), (1.0, 3.0), (0.7, 2.0)])
def test_the_optimum_lies_between_player_and_teacher(weight, temperature):
    """(1 - w) (p - q) + w T (p_T - t_T) = 0: a mixture for T = 1, the teacher for w = 1."""
    q, t = (torch.stack(drawn(seed, 2)[AXIS : AXIS + 1])[0].exp() for seed in (3, 4))
    p = least(weight, temperature, q, t)
    soft = [(part.log() / temperature).softmax(-1) for part in (p, t)]
    assert torch.allclose((1 - weight) * (p - q), weight * temperature * (soft[1] - soft[0]), atol=1e-5)
    if temperature == 1:
        assert torch.allclose(p, (1 - weight) * q + weight * t, atol=1e-5)
    if weight == 1:
        assert torch.allclose(p, t, atol=1e-5)


def test_weight_and_temperature_change_what_is_made_small_and_nats_stay_plain(options, corpus, files, teach):
    """The first update is made before anything was learned: its nats are those of a run without a teacher."""
    path = str(teach())
    first = {}
    for name, flags in {
        "alone": {}, "taught": {"teacher": path}, "less": {"teacher": path, "teacher_weight": "0.2"},
        "none": {"teacher": path, "teacher_weight": "0"}, "soft": {"teacher": path, "teacher_temperature": "5"},
    }.items():  # fmt: skip
        first[name] = next(job_of(options(**GRU, **flags, name=name), corpus, files).events)
    assert all(found.loss == pytest.approx(first["alone"].loss, rel=1e-6) for found in first.values())
    objectives = {name: round(found.objective, 6) for name, found in first.items()}
    assert objectives["none"] == objectives["alone"] == pytest.approx(first["alone"].loss, rel=1e-5)
    assert len(set(objectives.values())) == 4


def test_a_student_comes_closer_to_its_teacher(options, corpus, files, teach):
    """Taught by it alone, in the games that both saw; the teacher stays what it was."""
    path = teach()
    asked = options(**GRU, teacher=str(path), teacher_weight="1", teacher_temperature="1", lr="1e-2", epochs="3")
    job = job_of(asked, corpus, files)
    way = assemble.way(asked)
    before = [weight.clone() for weight in way.lesson.teacher.parameters()]
    found = [event.objective for event in job.events if isinstance(event, BatchDone)]
    assert found[-1] < 0.6 * found[0]
    assert not any(weight.requires_grad for weight in way.lesson.teacher.parameters())
    assert all(torch.equal(*pair) for pair in zip(before, way.lesson.teacher.parameters(), strict=True))
    assert not way.lesson.teacher.training


def test_carried_stretches_are_the_whole(options, corpus, files, teach):
    """Teacher and student go on where they were, and begin anew where a game does."""
    asked = options(**GRU, teacher=str(teach()))
    way, codec = assemble.way(asked), assemble.codec(asked)
    torch.manual_seed(1)
    policy = assemble.policy(asked, codec).eval()
    batch = assemble.loader(asked, corpus, assemble.plan(asked, corpus, 0), codec, CPU).load(0, 0)
    first = batch.is_first.clone()
    first[0, 12] = True
    batch = batch._replace(is_first=first)
    whole, after = forward(policy, batch, None, way)
    state, sums = None, 0.0
    for part in (slice(0, 7), slice(7, None)):
        piece = batch._replace(**{name: value[:, part] for name, value in batch._asdict().items()})
        found, state = forward(policy, piece, state, way)
        state, sums = detach(state), sums + float(found.objective.detach())
    assert sums == pytest.approx(float(whole.objective.detach()), rel=1e-5)
    for one, other in zip(state, after, strict=True):
        assert torch.allclose(one[0][0], other[0][0], atol=1e-5)
    alone = batch._replace(**{name: value[:1, 12:] for name, value in batch._asdict().items()})
    parts = [with_lesson(policy, way.lesson, each, None)[0] for each in (batch, alone)]
    for one, other in zip(*parts, strict=True):
        assert torch.allclose(one[:1, 12:], other, atol=1e-5)


def test_what_is_compared_is_what_the_policy_scores(options, corpus, files, teach):
    """Log-probabilities and their spread as without a teacher; the last frame of a window answers alone."""
    asked = options(**GRU, teacher=str(teach()), sequence_mode="windows", loss_positions="last")
    way, codec = assemble.way(asked), assemble.codec(asked)
    policy = assemble.policy(asked, codec).eval()
    batch = assemble.loader(asked, corpus, assemble.plan(asked, corpus, 0), codec, CPU).load(0, 0)
    found, _ = with_lesson(policy, way.lesson, batch, None)
    seen = batch.floats, batch.ids, batch.action, policy.initial_state(len(batch.floats)), batch.is_first
    (log_prob, spread), _ = policy.score(*seen, spread=True)
    assert found.apart.shape == log_prob.shape == batch.action.shape and batch.action.shape[1] == 1
    assert torch.allclose(found.log_prob, log_prob, atol=1e-5) and torch.allclose(found.spread, spread, atol=1e-5)
    assert torch.allclose(with_lesson(way.lesson.teacher, way.lesson, batch, None)[0].apart, torch.zeros(()), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [{}, {"precision": "bf16"}, {"label_smoothing": "0.1", "focal_loss": True}], ids=str)
def test_slices_of_a_batch_make_the_update_of_the_whole(options, corpus, files, teach, flags):
    """And with other terms of the loss, and in half precision, nothing but numbers comes out."""
    path = str(teach())
    runs = [
        losses(options(**GRU, **flags, teacher=path, batch_size=batch, accumulation_steps=slices, name=f"n{slices}",
                       epochs="1"), corpus, files)
        for batch, slices in (("12", "1"), ("4", "3"))
    ]  # fmt: skip
    assert len(runs[0]) > 1
    for one, other in zip(*runs, strict=True):
        assert other == pytest.approx(one, rel=5e-2 if "precision" in flags else 1e-4)


def test_a_run_goes_on_as_if_it_had_not_stopped_and_only_with_its_teacher(options, corpus, files, teach):
    """The teacher's memory is in the snapshot, its weights are not; one that is gone or another is refused."""
    path = teach()
    asked = options(**GRU, teacher=str(path), save_every_batches="3", epochs="1")
    job = job_of(asked, corpus, files)
    whole = [(event.updates, event.loss, event.objective) for event in job.events if isinstance(event, BatchDone)]
    place = job.files.variant("_batch").snapshot
    snapshot = checkpoint.load_snapshot(place)
    made = snapshot["run"]["updates"]
    assert 0 < made < len(whole) and len(snapshot["state"]) == 2
    assert not any(tensor.shape == (12,) for tensor in snapshot["policy"].values()), "the teacher is 12 wide"
    again = asked.changed({"resume": str(place)}, "test")
    resumed = job_of(again, corpus, files, snapshot)
    rest = [(event.updates, event.loss, event.objective) for event in resumed.events if isinstance(event, BatchDone)]
    assert rest == whole[made:]
    other = teach("other", seed=1)
    path.write_bytes(other.read_bytes())
    with pytest.raises(PolicyError, match="not those that the run began with"):
        check(again, snapshot)
    path.unlink()
    with pytest.raises(PolicyError, match=r"the teacher .*cannot be read"):
        check(again, snapshot)
    path.write_bytes(other.read_bytes())
    with pytest.raises(OptionError, match="began without a teacher"):
        check(again, {**snapshot, "provenance": {}})


def test_the_same_weights_are_known_in_either_file(options, corpus, files, teach, tmp_path):
    path = teach()
    found = checkpoint.load_policy(path)
    words = {name: value for name, value in vars(found).items() if name != "weights"}
    checkpoint.save_snapshot(tmp_path / "teacher.pt", {"policy": found.weights, **words})
    hashes = [digest(options(**GRU, teacher=str(place))) for place in (path, tmp_path / "teacher.pt")]
    assert hashes[0] == hashes[1] != digest(options(**GRU, teacher=str(teach("other", seed=1))))
    pages = [job_of(options(**GRU, **flags), corpus, files).about.provenance for flags in ({"teacher": str(path)}, {})]
    assert pages[0]["teacher_digest"] == hashes[0] and "teacher_digest" not in pages[1]


def test_a_student_sees_answers_and_presses_as_its_teacher_unless_asked_otherwise(options, teach, tmp_path):
    Centres(((-0.9, 0.0, 0.9),)).save(tmp_path / "sticks.json")
    flags = {"stage_mode": "full", "kmeans_centers": str(tmp_path / "sticks.json"), "frame_delay": "2"}
    path = str(teach(**flags))
    found = taught(options(**GRU, teacher=path), None)
    assert assemble.table(found).fingerprint == checkpoint.load_policy(Path(path)).fingerprint
    assert found["stage_mode"] == "full" and assemble.delays(found) == (2, 2)
    assert assemble.codec(found).classes[AXIS] == 3 and "--teacher" in found.sources["frame_delay"]
    for flag, words in {
        "stage_mode": ("compact", "flag --stage-mode: compact in this run, full in that of the teacher"),
        "frame_delay": ("1", "flag --frame-delay: 1 in this run, 2 in that of the teacher"),
        "axis_buckets": ("32", "presses 3 positions .* this run 33 positions"),
        "learn_player_styles": (True, "--learn-player-styles"),
    }.items():  # fmt: skip
        value, said = words
        with pytest.raises(OptionError, match=said):
            taught(options(**GRU, teacher=path, **{flag: value}), None)


def test_a_teacher_that_remembers_is_not_shown_single_frames(options, teach):
    path = str(teach())
    with pytest.raises(OptionError, match="single frames") as caught:
        taught(options(backbone="mlp", teacher=path), None)
    assert "--temporal" in caught.value.fix
    assert taught(options(backbone="mlp", temporal=True, teacher=path), None)["window_size"] == 30


def test_players_keep_the_numbers_that_the_teacher_learned(options, teach):
    path = teach(learn_player_styles=True)
    students = Registry(112).extended(["P#9", "P#0", "P#9"])
    known = dataclasses.replace(checkpoint.load_policy(path), players=Registry(112).extended(["P#0"]).as_dict())
    checkpoint.save_policy(path, known)
    asked = taught(options(**GRU, teacher=str(path)), None)
    assert asked["learn_player_styles"]
    with pytest.raises(OptionError, match="player P#0 has number 1 there and 2 in this run") as caught:
        check(asked, None, students)
    assert "--player-registry" in caught.value.fix
    check(asked, None, Registry(112).extended(["P#0"]).extended(["P#9"]))
