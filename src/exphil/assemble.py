"""Configuration to objects: the only file that knows both.

Constructors take plain numbers; rooms that import torch are opened inside builders.

The tables name every choice of an option and the numbers that its constructor takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from exphil.config.layers import Settings, jsonable
from exphil.data import baselines
from exphil.data.corpus import Corpus
from exphil.data.lanes import Lanes
from exphil.data.reading import Games, read_games
from exphil.data.sampler import Plan
from exphil.data.walk import Walk
from exphil.data.windows import Windows
from exphil.errors import PolicyError
from exphil.features.observation import IDS, NEEDED, Table
from exphil.game.frames import Lacks
from exphil.game.ids import character as character_by_name
from exphil.replays.library import Choice, Loaded, Skip

if TYPE_CHECKING:
    import torch
    from torch.optim import Optimizer

    from exphil.data.loader import Loader
    from exphil.models.backbone import Backbone
    from exphil.models.policy import Policy
    from exphil.play.agent import Agent
    from exphil.train.checkpoint import PolicyFile
    from exphil.train.loop import Event, Run
    from exphil.train.optim import Schedule, Together
    from exphil.train.session import Identity, Interrupted, RunFiles, Saved

EMBEDDING_WIDTH = 64
HEAD_RESIDUAL, HEAD_HIDDEN = 128, 64
WALK_GAMES, WALK_FRAMES = 32, 256
"""Games side by side and frames at once when whole games are walked; they change speed and memory only."""


def table(settings: Settings) -> Table:
    """The feature table of a run."""
    return Table(settings.features.num_player_names, settings.features.allow_missing)


def choice(settings: Settings) -> Choice:
    """Which games and seats are learned from."""
    seats = settings.seats
    needed = Lacks(0)
    for lacks in NEEDED:
        needed |= lacks
    wanted = character_by_name(seats.train_character) if seats.train_character else None
    return Choice(seats.player_port, wanted, seats.dual_port, settings.features.allow_missing, needed)


def read(settings: Settings, paths: Iterable[Path], told: Callable[[Loaded | Skip], None]) -> Games:
    """Read the games of a run.

    Raises:
        DataError: nothing is left.
    """
    return read_games(paths, choice(settings), settings.readers.workers, told, str(settings.data.replays))


def widths(settings: Settings) -> tuple[int, ...]:
    """Width of every layer: ``--hidden``, one number repeated ``--num-layers`` times in a recurrent backbone."""
    model = settings.model
    if len(model.hidden) == 1 and model.backbone != "mlp":
        return model.hidden * (model.num_layers or 2)
    return model.hidden


def _mlp(settings: Settings, size: int) -> Backbone:
    from exphil.models.mlp import MLP

    model = settings.model
    return MLP(size, widths(settings), model.dropout, model.layer_norm, model.residual)


def _recurrent(cell: Literal["gru", "lstm"], settings: Settings, size: int) -> Backbone:
    from exphil.models.recurrent import Recurrent

    return Recurrent(cell, size, widths(settings), settings.model.dropout)


BACKBONES: dict[str, Callable[[Settings, int], Backbone]] = {
    "mlp": _mlp,
    "gru": partial(_recurrent, "gru"),
    "lstm": partial(_recurrent, "lstm"),
}


def policy(settings: Settings) -> Policy:
    """A fresh policy; its numbers come from torch's random state."""
    from exphil.models.embed import Embed
    from exphil.models.head import Head
    from exphil.models.policy import Policy

    layout = table(settings)
    vocabularies = tuple(dict.fromkeys(size for _, size in IDS))
    kinds = [vocabularies.index(size) for _, size in IDS]
    embed = Embed(layout.floats, kinds, vocabularies, EMBEDDING_WIDTH)
    backbone = BACKBONES[settings.model.backbone or "mlp"](settings, embed.output_size)
    head = Head(
        backbone.output_size,
        HEAD_RESIDUAL,
        HEAD_HIDDEN,
        settings.model.dropout,
        settings.model.head == "autoregressive",
    )
    return Policy(embed, backbone, head, layout.controller)


def _undecayed(kind: Literal["Adam", "RAdam"], policy: Policy, lr: float, _: float) -> Optimizer:
    import torch

    return getattr(torch.optim, kind)(policy.parameters(), lr)  # type: ignore[no-any-return]


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
    "adam": partial(_undecayed, "Adam"),
    "adamw": _adamw,
    "radam": partial(_undecayed, "RAdam"),
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


def carries_state(settings: Settings) -> bool:
    """Whether batches go on where the ones before ended."""
    return settings.model.backbone != "mlp" and settings.model.sequence_mode == "lanes"


def window(settings: Settings) -> int:
    """Decisions in one stretch: single frames unless the run is temporal."""
    return settings.model.window_size if settings.model.temporal else 1


def plan(settings: Settings, corpus: Corpus, seed: int) -> Plan:
    """Which stretches make which batch.

    Raises:
        DataError: no stretch at all.
    """
    batch, length, model = settings.training.batch_size, window(settings), settings.model
    mirror = settings.augment.mirror_prob if settings.augment.augment else 0.0
    if carries_state(settings):
        return Lanes(corpus.first, corpus.decisions, batch, length, mirror, seed)
    last = model.temporal and model.loss_positions == "last"
    stride = (model.stride or length) if model.temporal else 1
    return Windows(corpus.first, corpus.decisions, batch, length, stride, last, mirror, seed)


def loader(settings: Settings, corpus: Corpus, plan: Plan, device: torch.device) -> Loader:
    """Encoded batches of a plan."""
    from exphil.data.loader import Loader

    last = settings.model.temporal and settings.model.loss_positions == "last" and not isinstance(plan, Walk)
    return Loader(corpus, plan, table(settings), device, all_frames=settings.seats.all_frames, last_only=last)


def walk(settings: Settings, corpus: Corpus, device: torch.device) -> Loader:
    """Encoded batches that walk every game of a corpus from start to end."""
    return loader(settings, corpus, Walk(corpus.first, corpus.decisions, WALK_GAMES, WALK_FRAMES), device)


OPTIONS_OF_PART = {
    "embed": "--num-player-names or --allow-missing",
    "backbone": "--backbone, --hidden or --num-layers",
    "head": "--head",
}


def load_weights(policy: Policy, weights: dict[str, torch.Tensor], where: str) -> None:
    """Load weights strictly.

    Raises:
        PolicyError: naming the first difference, both sides, and the option that probably differs.
    """
    from exphil.train.checkpoint import fit_weights

    try:
        fit_weights(policy, weights, where)
    except PolicyError as error:
        option = OPTIONS_OF_PART[error.what.removeprefix("parameter ").partition(".")[0]]
        raise PolicyError(error.what, where, f"probably {option} differs from the run that wrote it") from None


def trained(file: PolicyFile, where: str) -> tuple[Settings, Policy]:
    """The options and the policy of a policy file.

    Raises:
        PolicyError: it was trained with another feature table, or its weights do not fit its options.
    """
    settings = Settings.from_flat("train", file.config)
    check_fingerprint(table(settings), file.fingerprint, where)
    built = policy(settings)
    load_weights(built, file.weights, where)
    return settings, built


def check_fingerprint(table: Table, fingerprint: str, where: str) -> None:
    """Refuse weights that were trained on other numbers.

    Raises:
        PolicyError: with both fingerprints.
    """
    if table.fingerprint != fingerprint:
        raise PolicyError(
            f"trained on feature table {fingerprint}; this exphil makes {table.fingerprint} of the same options",
            where,
            "play it with the exphil that trained it, or train it anew",
        )


def agent(settings: Settings, policy: Policy, device: torch.device, seat: int, games: int, seed: int | None) -> Agent:
    """A trained policy in one seat of ``games`` games; ``seed`` None plays the likeliest action."""
    from exphil.models.policy import TorchPlayer
    from exphil.play.agent import Agent

    return Agent(TorchPlayer(policy, device), table(settings), seat, games, seed)


class Job(NamedTuple):
    """A training run, ready to start."""

    run: Run
    events: Iterator[Event | Saved | Interrupted]
    files: RunFiles
    about: Identity
    updates: int


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
    used: list[Path],
    snapshot: dict[str, Any] | None,
    stop: Callable[[], bool],
) -> Job:
    """Build a run, fresh or as a snapshot left it.

    Args:
        settings: Of the command train, name and seed decided.
        files: Where it is saved.
        corpora: The games to learn from, and those held out.
        used: The files they came from.
        snapshot: What to resume.
        stop: Asked between two batches: whether to save and stop.

    Raises:
        ExphilError: a snapshot that does not fit, a device that is not there.
    """
    import torch

    from exphil.train import loop, runtime, session
    from exphil.train.validate import held_out_loss

    options, (train, validation), about = settings.training, corpora, identity(settings, corpora, used)
    device = runtime.device(settings.machine.device)
    torch.manual_seed(options.seed or 0)
    built = policy(settings).to(device)
    run = loop.Run(built, optimizer(settings, built), device)
    if snapshot is not None:
        restore(run, settings, snapshot, about)
    batches = loader(settings, train, plan(settings, train, options.seed or 0), device)
    updates = sum(batches.steps(epoch) for epoch in range(options.epochs))
    held_out = walk(settings, validation, device) if validation is not None else None
    events = loop.train(
        run,
        batches,
        schedule(settings, updates),
        options.epochs,
        max_grad_norm=options.max_grad_norm,
        carry=carries_state(settings),
        validate=(lambda policy: held_out_loss(policy, held_out)) if held_out else None,
    )
    watched = session.session(
        events,
        run,
        files,
        about,
        save_best=settings.saving.save_best,
        stop=lambda: stop() and run.epoch < options.epochs,
    )
    return Job(run, watched, files, about, updates)


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


def identity(settings: Settings, corpora: tuple[Corpus, Corpus | None], used: list[Path]) -> Identity:
    """What a run's files say about it."""
    from exphil.train.provenance import provenance
    from exphil.train.session import Identity

    config = jsonable(settings.flat())
    fitted = baselines.of_corpus(corpora[0], settings.seats.all_frames)
    games = {"learned": corpora[0].digests, "held_out": corpora[1].digests if corpora[1] else []}
    return Identity(config, table(settings).fingerprint, fitted, games, provenance(config, used, *corpora))


def embedded(table: Table) -> int:
    """Numbers of one frame after its ids are looked up: what the first layer sees."""
    return table.floats + table.ids * EMBEDDING_WIDTH
