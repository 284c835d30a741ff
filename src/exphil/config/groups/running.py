"""Options of the run: what is saved and said, and on which machine."""

# ruff: noqa: RUF009  (option() makes a dataclasses.field; no default is shared)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from exphil.config.groups.policy import BACKBONE_CHOICES, BACKBONE_SYNONYMS, NIF
from exphil.config.option import Check, at_least, between, option
from exphil.config.presets import PRESETS

plain_name = Check(
    "must be the name of a file, without a folder", lambda text: text == Path(text).name and text != ".."
)

_ANY_BACKBONE = BACKBONE_SYNONYMS | {NIF: "mamba"}


@dataclass(frozen=True, kw_only=True)
class CheckpointsDir:
    """Where runs are kept."""

    title: ClassVar[str] = "Saving"
    checkpoints_dir: Path = option(
        Path("./checkpoints"), "folder of snapshots", env="EXPHIL_CHECKPOINTS_DIR", metavar="FOLDER"
    )


@dataclass(frozen=True, kw_only=True)
class Name:
    """What it is called."""

    title: ClassVar[str] = "Saving"
    name: str | None = option(None, "name of the run (default: made from its time)", check=plain_name)


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What is written, and where."""

    title: ClassVar[str] = "Saving"
    checkpoint: Path | None = option(None, "output path of the snapshot", metavar="FILE")
    resume: Path | None = option(None, "snapshot to continue from", metavar="FILE")
    init: Path | None = option(
        None, "policy whose weights and network the run begins with: fine-tuning", metavar="FILE"
    )
    save_best: bool = option(True, "keep the best snapshot beside the last")
    save_every: int | None = option(
        None, "also keep a snapshot of its own every so many epochs", check=at_least(1), metavar="N"
    )
    save_every_batches: int | None = option(
        None, "also write one snapshot anew every so many batches", check=at_least(1), metavar="N"
    )
    keep_best: int | None = option(
        None, "of the snapshots of --save-every (by default of every epoch) keep the best N", check=at_least(1),
        metavar="N",
    )  # fmt: skip
    overwrite: bool = option(False, "write over a run of the same name, which is an error otherwise")
    backup: bool = option(True, "keep what --overwrite and --resume write over as FILE.bak")
    backup_count: int = option(3, "versions that --backup keeps: FILE.bak, FILE.bak.1 and so on", check=at_least(1))
    register: bool = option(True, "list the run in registry.json of --checkpoints-dir")
    save_config: Path | None = option(
        None, "also write every option of this call as a file for --config", metavar="FILE"
    )


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Which layers of values are read."""

    title: ClassVar[str] = "Layers"
    preset: str | None = option(
        None, "named bundle of option values", choices=tuple(PRESETS), env="EXPHIL_DEFAULT_PRESET"
    )
    config: Path | None = option(None, "YAML file of option values", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the computation runs on."""

    title: ClassVar[str] = "Running"
    device: str = option("auto", "where the network runs", choices=("auto", "cpu", "cuda", "mps"))
    threads: int | None = option(
        None, "torch threads (default: the physical cores that this process may use)", check=between(1, 1024)
    )


@dataclass(frozen=True, kw_only=True)
class Readers:
    """Who reads the replays."""

    title: ClassVar[str] = "Running"
    workers: int | None = option(None, "replays that are read at the same time (default: the cores)", check=at_least(1))


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a run goes and tells about itself."""

    title: ClassVar[str] = "Running"
    log_interval: int = option(100, "batches from one log line to the next", check=at_least(1))
    dry_run: bool = option(False, "print what would be done, and stop")


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """Who else hears of the numbers of a run; NAME_metrics.jsonl always does."""

    title: ClassVar[str] = "Monitoring"
    wandb: bool = option(False, "log to Weights & Biases, on disk alone when there is no network (extra wandb)")
    wandb_project: str = option("exphil", "project of --wandb and --trackio", env="EXPHIL_WANDB_PROJECT")
    wandb_name: str | None = option(None, "name of the run there (default: --name)")
    tensorboard: bool = option(False, "log for TensorBoard, beside the snapshot (extra tensorboard)")
    trackio: bool = option(False, "log to trackio, on this machine alone (extra trackio)")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Where time goes."""

    title: ClassVar[str] = "Running"
    profile: bool = option(False, "print where the time of a step goes, at the end")


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """Less talk."""

    title: ClassVar[str] = "Running"
    quiet: bool = option(False, "print errors only")


@dataclass(frozen=True, kw_only=True)
class Verbose:
    """More talk."""

    title: ClassVar[str] = "Running"
    verbose: bool = option(False, "print more: times, memory, gradients, what caches gave")


@dataclass(frozen=True, kw_only=True)
class Output:
    """The form of the answer."""

    title: ClassVar[str] = "Output"
    json: bool = option(
        False, "print the answer as JSON: one object on one line of standard output (replays scan: one a file)"
    )


@dataclass(frozen=True, kw_only=True)
class Page:
    """The answer as a page."""

    title: ClassVar[str] = "Output"
    html: Path | None = option(None, "also write the answer as a page for a browser", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where an answer that is a file goes."""

    title: ClassVar[str] = "Output"
    output: Path | None = option(
        None,
        "kmeans: file to write the centres to, as JSON whatever its name; benchmark: folder of its results and their "
        "page (default: ./checkpoints); setup: file of the answers, for --config; export: file or folder to write",
        aliases=("--out",),
        metavar="PATH",
    )


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Which backbones are compared, and for how long each one learns."""

    title: ClassVar[str] = "Benchmark"
    only: tuple[str, ...] = option(
        (), "train these backbones alone (default: all)", choices=BACKBONE_CHOICES, synonyms=_ANY_BACKBONE
    )
    skip: tuple[str, ...] = option((), "leave these backbones out", choices=BACKBONE_CHOICES, synonyms=_ANY_BACKBONE)
    seeds: int = option(3, "runs of each backbone, from other weights and in another order", check=at_least(1))
    updates: int | None = option(
        None,
        "end each run after this many updates, whatever --epochs says; a backbone with another batch than the others "
        "makes as many as take the same frames",
        check=at_least(1),
    )
    continue_on_error: bool = option(False, "when a backbone fails, say so and go on with the others")


@dataclass(frozen=True, kw_only=True)
class Order:
    """In which order runs are listed."""

    title: ClassVar[str] = "Output"
    sort: str = option("date", "what runs are listed by", choices=("date", "size", "name", "loss"))
    reverse: bool = option(False, "the other way round")


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """Which runs of the registry are meant."""

    title: ClassVar[str] = "Registry"
    tagged: str | None = option(None, "only runs with this tag", metavar="TAG")


@dataclass(frozen=True, kw_only=True)
class Deleting:
    """What goes with an entry."""

    title: ClassVar[str] = "Registry"
    files: bool = option(False, "remove the files of the run as well")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How long the machine is tried."""

    title: ClassVar[str] = "Running"
    probe_seconds: float = option(
        5.0, "seconds to try this machine for an estimate of times; 0 gives none", check=between(0, 60)
    )
