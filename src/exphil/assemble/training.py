"""A training run: optimiser, schedule, files, and everything put together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from exphil.assemble import actions
from exphil.assemble.batches import carries_state, loader, plan, sliced, walk
from exphil.assemble.games import table
from exphil.assemble.network import load_weights, policy
from exphil.assemble.parent import parent
from exphil.assemble.players import enrolled
from exphil.assemble.teacher import DIGEST, digest, lesson
from exphil.assemble.teacher import check as check_teacher
from exphil.config.layers import Settings, jsonable
from exphil.config.weights import weights
from exphil.data import baselines
from exphil.data.corpus import Corpus
from exphil.errors import OptionError
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.play.playable import check_fingerprint
from exphil.replays.library import Loaded
from exphil.train.runfiles import LAST, RunFiles, of_run

if TYPE_CHECKING:
    import torch
    from torch.optim import Optimizer

    from exphil.models.policy import Policy
    from exphil.train.checkpoint import PolicyFile
    from exphil.train.loop import Event, Run
    from exphil.train.losses import Imitation
    from exphil.train.optim import Schedule, Together
    from exphil.train.ranks import Ranks
    from exphil.train.session import Identity, Interrupted, Saved
    from exphil.train.step import Way


def _adam(policy: Policy, lr: float, _: float) -> Optimizer:
    import torch

    return torch.optim.Adam(policy.parameters(), lr, fused=True)


def _radam(policy: Policy, lr: float, _: float) -> Optimizer:
    import torch

    return torch.optim.RAdam(policy.parameters(), lr)


def _adamw(policy: Policy, lr: float, weight_decay: float) -> Optimizer:
    import torch

    from exphil.train.optim import decay_groups

    return torch.optim.AdamW(decay_groups(policy, weight_decay), lr, fused=True)


def _lamb(policy: Policy, lr: float, weight_decay: float) -> Optimizer:
    from pytorch_optimizer import Lamb

    from exphil.train.optim import decay_groups

    built: Optimizer = Lamb(decay_groups(policy, weight_decay), lr)
    return built


def _muon(policy: Policy, lr: float, weight_decay: float) -> Together:
    from exphil.train.optim import muon

    return muon(policy, lr, weight_decay)


OPTIMIZERS: dict[str, Callable[[Policy, float, float], Optimizer | Together]] = {
    "adam": _adam,
    "adamw": _adamw,
    "radam": _radam,
    "lamb": _lamb,
    "muon": _muon,
}


def optimizer(settings: Settings, policy: Policy) -> Optimizer | Together:
    """The optimiser of a run over a policy's parameters."""
    training = settings.training
    return OPTIMIZERS[training.optimizer](policy, training.lr, training.weight_decay)


def schedule(settings: Settings, updates: int) -> Schedule:
    """The learning rate over a run of so many updates."""
    from exphil.train.optim import schedule

    training = settings.training
    kind: Any = training.lr_schedule
    restarts = training.restart_period, training.restart_mult
    return schedule(kind, training.lr, training.warmup_steps, training.decay_steps, updates, restarts)


def loss(settings: Settings) -> Imitation:
    """What training makes small."""
    from exphil.train.losses import Imitation

    options, taught = settings.loss, settings.teacher
    gamma = options.focal_gamma if options.focal_loss else 0.0
    share = taught.teacher_weight if taught.teacher else 0.0
    return Imitation(gamma, options.label_smoothing, weights(options.button_weights), share)


def way(settings: Settings, ranks: Ranks | None = None) -> Way:
    """How updates are made.

    Raises:
        PolicyError: the teacher cannot be read.
    """
    from exphil.train.ranks import alone
    from exphil.train.step import Way

    options, ranks = settings.training, ranks or alone()
    return Way(
        loss=loss(settings),
        max_grad_norm=options.max_grad_norm,
        carry=carries_state(settings),
        slices=options.accumulation_steps,
        precision=options.precision,
        profile=settings.profile.profile,
        ranks=ranks,
        lesson=lesson(settings, ranks.device(settings.machine.device)),
    )


class Job(NamedTuple):
    """A training run, ready to start; ``corpora`` are the games learned from and held out, with their styles."""

    run: Run
    events: Iterator[Event | Saved | Interrupted]
    files: RunFiles
    about: Identity
    updates: int
    players: Registry
    corpora: tuple[Corpus, Corpus | None]

    def check_alike(self, ranks: Ranks) -> None:
        """Whether all processes make the same run.

        Raises:
            ExphilError: they differ, or another process is gone.
        """
        page = self.about.provenance
        ranks.same(json.dumps(self.about.config, sort_keys=True), "their options")
        ranks.same(page["replay_manifest_hash"], "the replays that they read")
        ranks.same(page.get(DIGEST, ""), "their teacher")


def files_of(settings: Settings, ranks: Ranks | None = None) -> RunFiles:
    """Where a run is saved: ``--checkpoint``, else ``--checkpoints-dir`` and its name.

    A resumed run goes on beside its snapshot, in its own files, unless one of these was named. Of several processes
    only the first one looks at what is there.

    Raises:
        OutputError: another run is there, or the folder cannot be written.
    """
    found, own = _places(settings)
    if of_run(found.snapshot.stem)[1] != LAST or found.snapshot.stem.endswith(("_ema", "_policy")):
        what = f"'{found.snapshot.stem}' is what another file of a run could be called"
        fix = "choose a name that does not end in _best, _interrupt, _batch, _epoch_ and a number, _ema or _policy"
        raise OptionError(what, "--checkpoint" if settings.saving.checkpoint else "--name", fix)
    new = _resumes_elsewhere(settings, found, own) and not settings.saving.overwrite
    if new and (ranks is None or ranks.is_first):
        found.check_new()
    return found


def claim(settings: Settings, files: RunFiles) -> list[Path]:
    """Back up what stands in the places of a run that is about to begin or to go on; gives what made way.

    Raises:
        OutputError: the folder cannot be written.
    """
    from exphil.train.unfinished import check_alone

    saving = settings.saving
    check_alone(files.snapshot)
    backups = saving.backup_count if saving.backup else 0
    if _resumes_elsewhere(settings, *_places(settings)):
        if not saving.overwrite:
            files.check_new()  # once more: another run may have begun while this one read its games
        return files.make_way(backups)
    files.keep_copy(backups)
    return []


def _places(settings: Settings) -> tuple[RunFiles, RunFiles | None]:
    """Where a run is saved, and where the one that it resumes was."""
    saving = settings.saving
    own = RunFiles.of_snapshot(saving.resume) if saving.resume else None
    named = settings.given("checkpoints_dir") or own is None
    folder = settings.checkpointsdir.checkpoints_dir if named or own is None else own.snapshot.parent
    return RunFiles.at(saving.checkpoint or folder / f"{settings.name.name}.pt"), own


def _resumes_elsewhere(settings: Settings, found: RunFiles, own: RunFiles | None) -> bool:
    """Whether the places are not those of the run that goes on: a best epoch goes on in places of its own."""
    resume = settings.saving.resume
    from_best = resume is not None and resume.stem.endswith("_best") and found.snapshot.exists()
    return found != own or from_best


def training(
    settings: Settings,
    files: RunFiles,
    corpora: tuple[Corpus, Corpus | None],
    used: Sequence[Loaded],
    snapshot: dict[str, Any] | None,
    stop: Callable[[], bool],
    told: Callable[[int], None] = lambda _: None,
    ranks: Ranks | None = None,
) -> Job:
    """Build a run, fresh or as a snapshot left it.

    Args:
        settings: Of the command train, name and seed decided.
        files: Where it is saved.
        corpora: The games to learn from, and those held out.
        used: The files they came from.
        snapshot: What to resume.
        stop: Asked between two batches: whether to save and stop.
        told: Hears how many rows are encoded while embeddings are made.
        ranks: The processes of the run; None is this one alone.

    Raises:
        ExphilError: a snapshot or policy that does not fit, a device that is not there.
    """
    from exphil.train import loop, session

    players, (train, validation) = enrolled(settings, corpora, snapshot)
    check_teacher(settings, snapshot, players)
    codec = actions.codec(settings, snapshot)
    about = identity(settings, (train, validation), used, players, codec, snapshot)
    updating, order = way(settings, ranks), plan(settings, train, settings.seed.seed or 0)
    run = fresh(settings, codec, updating)
    if snapshot is not None:
        restore(run, settings, snapshot, about, updating, order.batch)
    updates = sum(order.steps(epoch) for epoch in range(settings.training.epochs))
    patience = loop.Patience(settings.stopping.patience, settings.stopping.min_delta)
    walks = held_out(settings, validation, codec, run.device, updating.ranks) if validation else None
    events = loop.train(
        run,
        loader(settings, train, sliced(settings, order, updating.ranks), codec, run.device, told),
        schedule(settings, updates),
        settings.training.epochs,
        updating,
        validate=walks,
        patience=patience if settings.stopping.early_stopping else None,
        gc_every=settings.feeding.gc_every,
    )
    saving = settings.saving
    watched = session.session(
        events,
        run,
        files,
        about,
        keep=session.Keep(saving.save_best, saving.save_every, saving.save_every_batches, saving.keep_best),
        stop=lambda: stop() and run.epoch < settings.training.epochs,
        ranks=updating.ranks,
        resumed=saving.resume,
    )
    return Job(run, watched, files, about, updates, players, (train, validation))


def fresh(settings: Settings, codec: Codec, updating: Way) -> Run:
    """A run before its first update: weights from the seed, or from ``--init``.

    Raises:
        ExphilError: a policy that does not fit, a device that is not there.
    """
    import torch

    from exphil.train.average import Average
    from exphil.train.loop import Run

    device, seed = updating.ranks.device(settings.machine.device), settings.seed.seed or 0
    torch.manual_seed(seed)
    built = policy(settings, codec).to(device)
    if (begins := parent(settings)) is not None:
        begin_with(settings, begins, built)
    average = Average(built, settings.averaging.ema_decay) if settings.averaging.ema else None
    if updating.ranks.rank:  # every process drops other activations
        torch.manual_seed(seed + updating.ranks.rank)
    return Run(built, optimizer(settings, built), device, average)


def held_out(
    settings: Settings, corpus: Corpus, codec: Codec, device: torch.device, ranks: Ranks
) -> Callable[[Policy], float]:
    """The held-out loss of a policy: every process walks its share of the games, in ``--val-concurrency`` threads."""
    import torch

    from exphil.train.validate import walked

    mine = range(ranks.rank, len(corpus.entries), ranks.world)
    count = max(min(settings.walking.val_concurrency, torch.get_num_threads(), len(mine)), 1)
    parts = [slice(ranks.rank + at * ranks.world, None, count * ranks.world) for at in range(count)]
    loaders = [walk(settings, corpus, codec, device, part=part) for part in parts] if mine else []

    def loss(policy: Policy) -> float:
        nats, decisions = ranks.sum_values(walked(policy, loaders))
        return nats / max(decisions, 1.0)

    return loss


def begin_with(settings: Settings, file: PolicyFile, policy: Policy) -> None:
    """Give a fresh policy the weights of ``--init``.

    Raises:
        PolicyError: another feature table, or weights that do not fit.
    """
    where = str(settings.saving.init)
    check_fingerprint(table(settings), file.fingerprint, where)
    load_weights(policy, file.weights, where)


def restore(run: Run, settings: Settings, snapshot: dict[str, Any], about: Identity, updating: Way, batch: int) -> None:
    """Put a fresh run where a snapshot was taken; ``batch`` rows are a whole batch.

    Raises:
        ExphilError: other games, another feature table, weights that do not fit.
    """
    from exphil.train.provenance import check_same_games

    where = str(settings.saving.resume)
    check_same_games(about.provenance, snapshot["provenance"], str(settings.data.replays))
    check_fingerprint(table(settings), snapshot["fingerprint"], where)
    load_weights(run.policy, snapshot["policy"], where)
    run.restore(snapshot, updating, batch)


def identity(
    settings: Settings,
    corpora: tuple[Corpus, Corpus | None],
    used: Sequence[Loaded],
    players: Registry,
    codec: Codec,
    snapshot: Mapping[str, Any] | None = None,
) -> Identity:
    """What a run's files say about it; a resumed run keeps the parent of its snapshot."""
    from exphil.train.provenance import provenance
    from exphil.train.session import Identity

    config = jsonable(settings.flat())
    fitted = baselines.of_corpus(corpora[0], codec, settings.seats.all_frames)
    games = {"learned": corpora[0].digests, "held_out": corpora[1].digests if corpora[1] else []}
    known = players.as_dict() if settings.players.learn_player_styles else {}
    init = settings.saving.init
    begun = (str(init) if init else None) if snapshot is None else snapshot["provenance"].get("parent")
    page = {**provenance(config, used, *corpora, known), "parent": begun}
    page |= {DIGEST: found} if (found := digest(settings)) else {}
    return Identity(config, table(settings).fingerprint, fitted, games, page, known, codec.as_dict())
