"""Options of the run: what is saved and said, and on which machine."""

# ruff: noqa: RUF009  (option() makes a dataclasses.field; no default is shared)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from exphil.config.groups.policy import Model
from exphil.config.option import Check, at_least, option, options_of
from exphil.config.presets import PRESETS

plain_name = Check(
    "must be the name of a file, without a folder", lambda text: text == Path(text).name and text != ".."
)

_BACKBONE = next(found for found in options_of(Model) if found.name == "backbone")


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What is written, and where."""

    title: ClassVar[str] = "Saving"
    name: str | None = option(None, "name of the run (default: made from its time)", check=plain_name)
    checkpoint: Path | None = option(None, "output path of the snapshot", metavar="FILE")
    checkpoints_dir: Path = option(
        Path("./checkpoints"), "folder of snapshots", env="EXPHIL_CHECKPOINTS_DIR", metavar="FOLDER"
    )
    resume: Path | None = option(None, "snapshot to continue from", metavar="FILE")
    save_best: bool = option(True, "keep the best snapshot beside the last")


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
        None, "torch threads (default: the physical cores that this process may use)", check=at_least(1)
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
class Profile:
    """Where time goes."""

    title: ClassVar[str] = "Running"
    profile: bool = option(False, "print where the time of a step goes, at the end")


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """Less talk."""

    title: ClassVar[str] = "Running"
    quiet: bool = option(False, "print warnings and errors only")


@dataclass(frozen=True, kw_only=True)
class Verbose:
    """More talk."""

    title: ClassVar[str] = "Running"
    verbose: bool = option(False, "print more detail")


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
        "page (default: ./checkpoints)",
        metavar="PATH",
    )


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Which backbones are compared, and for how long each one learns."""

    title: ClassVar[str] = "Benchmark"
    only: tuple[str, ...] = option(
        (), "train these backbones alone (default: all)", choices=_BACKBONE.choices, synonyms=_BACKBONE.synonyms
    )
    skip: tuple[str, ...] = option(
        (), "leave these backbones out", choices=_BACKBONE.choices, synonyms=_BACKBONE.synonyms
    )
    seeds: int = option(3, "runs of each backbone, from other weights and in another order", check=at_least(1))
    updates: int | None = option(
        None,
        "end each run after this many updates, whatever --epochs says; a backbone with another batch than the others "
        "makes as many as take the same frames",
        check=at_least(1),
    )
    player: tuple[str, ...] = option(
        ("reference",),
        "who decides when decisions are timed: torch (reference), onnxruntime (fast; needs the extra export), or both",
        choices=("reference", "fast"),
    )
    continue_on_error: bool = option(False, "when a backbone fails, say so and go on with the others")
