"""A training run: optimiser, schedule, files, and everything put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from exphil.assemble import actions
from exphil.assemble.batches import carries_state, loader, plan, walk
from exphil.assemble.games import table
from exphil.assemble.network import check_fingerprint, load_weights, policy
from exphil.assemble.players import enrolled
from exphil.config.layers import Settings, jsonable
from exphil.data import baselines
from exphil.data.corpus import Corpus
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.replays.library import Loaded

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from exphil.models.policy import Policy
    from exphil.train.loop import Event, Run
    from exphil.train.optim import Schedule, Together
    from exphil.train.session import Identity, Interrupted, RunFiles, Saved


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
    return schedule(kind, training.lr, training.warmup_steps, training.decay_steps, updates)


class Job(NamedTuple):
    """A training run, ready to start."""

    run: Run
    events: Iterator[Event | Saved | Interrupted]
    files: RunFiles
    about: Identity
    updates: int
    players: Registry


def files_of(settings: Settings) -> RunFiles:
    """Where a run is saved: ``--checkpoint``, else ``--checkpoints-dir`` and its name.

    A resumed run goes on beside its snapshot, in its own files, unless one of these was named.

    Raises:
        OutputError: another run is there, or the folder cannot be written.
    """
    from exphil.train.session import RunFiles

    saving = settings.saving
    own = RunFiles.of_snapshot(saving.resume) if saving.resume else None
    folder = own.snapshot.parent if own and not settings.given("checkpoints_dir") else saving.checkpoints_dir
    found = RunFiles.at(saving.checkpoint or folder / f"{saving.name}.pt")
    resumes_best = saving.resume is not None and saving.resume.stem.endswith("_best")
    if found != own or (resumes_best and found.snapshot.exists()):
        found.check_new()
    return found


def training(
    settings: Settings,
    files: RunFiles,
    corpora: tuple[Corpus, Corpus | None],
    used: Sequence[Loaded],
    snapshot: dict[str, Any] | None,
    stop: Callable[[], bool],
    told: Callable[[int], None] = lambda _: None,
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

    Raises:
        ExphilError: a snapshot that does not fit, a device that is not there.
    """
    import torch

    from exphil.train import loop, runtime, session
    from exphil.train.validate import held_out_loss

    players, (train, validation) = enrolled(settings, corpora, snapshot)
    codec = actions.codec(settings, snapshot)
    options, about = settings.training, identity(settings, (train, validation), used, players, codec)
    device = runtime.device(settings.machine.device)
    torch.manual_seed(options.seed or 0)
    built = policy(settings, codec).to(device)
    run = loop.Run(built, optimizer(settings, built), device)
    if snapshot is not None:
        restore(run, settings, snapshot, about)
    batches = loader(settings, train, plan(settings, train, options.seed or 0), codec, device, told)
    updates = sum(batches.steps(epoch) for epoch in range(options.epochs))
    held_out = walk(settings, validation, codec, device) if validation else None
    events = loop.train(
        run,
        batches,
        schedule(settings, updates),
        options.epochs,
        max_grad_norm=options.max_grad_norm,
        carry=carries_state(settings),
        validate=(lambda policy: held_out_loss(policy, held_out)) if held_out else None,
        gc_every=settings.feeding.gc_every,
        precision=options.precision,
        profile=settings.profile.profile,
    )
    early, best = (lambda: stop() and run.epoch < options.epochs), settings.saving.save_best
    watched = session.session(events, run, files, about, save_best=best, stop=early)
    return Job(run, watched, files, about, updates, players)


def restore(run: Run, settings: Settings, snapshot: dict[str, Any], about: Identity) -> None:
    """Put a fresh run where a snapshot was taken.

    Raises:
        ExphilError: other games, another feature table, weights that do not fit.
    """
    from exphil.train.provenance import check_same_games

    where = str(settings.saving.resume)
    check_same_games(about.provenance, snapshot["provenance"], str(settings.data.replays))
    check_fingerprint(table(settings), snapshot["fingerprint"], where)
    load_weights(run.policy, snapshot["policy"], where)
    run.restore(snapshot)


def identity(
    settings: Settings,
    corpora: tuple[Corpus, Corpus | None],
    used: Sequence[Loaded],
    players: Registry,
    codec: Codec,
) -> Identity:
    """What a run's files say about it."""
    from exphil.train.provenance import provenance
    from exphil.train.session import Identity

    config = jsonable(settings.flat())
    fitted = baselines.of_corpus(corpora[0], codec, settings.seats.all_frames)
    games = {"learned": corpora[0].digests, "held_out": corpora[1].digests if corpora[1] else []}
    known = players.as_dict() if settings.players.learn_player_styles else {}
    page = provenance(config, used, *corpora, known)
    return Identity(config, table(settings).fingerprint, fitted, games, page, known, codec.as_dict())
