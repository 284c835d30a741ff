"""Every option and its default, in groups.

One option lives in exactly one group, one word has one type and one meaning in every command, and a command takes
only groups that act in it. ``OPTIONS`` is built at import and raises when two options share a word. Add an option
here and its flag, file key, variable, check, help and documentation exist.
"""

# ruff: noqa: RUF009  (option() makes a dataclasses.field; no default is shared)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from exphil.config.option import Check, above, at_least, between, each, from_up_to, option, options_by_name
from exphil.config.presets import PRESETS

plain_name = Check(
    "must be the name of a file, without a folder", lambda text: text == Path(text).name and text != ".."
)


def _character(text: str) -> str:
    from exphil.game.ids import character  # numpy is loaded only when a character is named

    return character(text).name.lower()


def _stage(text: str) -> str:
    from exphil.game.ids import stage

    return stage(text).name.lower()


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the games come from."""

    title: ClassVar[str] = "Data"
    replays: Path = option(
        Path("./replays"), "folder of replays, or one archive of them", env="EXPHIL_REPLAYS_DIR", metavar="FOLDER"
    )
    max_files: int | None = option(None, "read at most this many replay files (default: all)", check=at_least(1))


@dataclass(frozen=True, kw_only=True)
class Seats:
    """Which players and frames of a game count."""

    title: ClassVar[str] = "Data"
    player_port: int = option(
        1,
        "which player of each game to learn from, counted over the occupied ports (1 = the lowest)",
        choices=(1, 2, 3, 4),
        aliases=("--player",),
    )
    train_character: str | None = option(
        None, "learn from whichever player has this character", parse=_character, metavar="NAME"
    )
    dual_port: bool = option(False, "learn from both players of each game (twice the data)")
    all_frames: bool = option(False, "also count the frames before GO and after the last stock")


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """Which files are learned from."""

    title: ClassVar[str] = "Data"
    characters: tuple[str, ...] = option(
        (), "only games in which one of these characters plays", parse=_character, metavar="NAME,..."
    )
    stages: tuple[str, ...] = option((), "only games on one of these stages", parse=_stage, metavar="NAME,...")
    min_quality: int | None = option(
        None, "only games whose quality is at least this, 0 to 100 (default: all)", check=between(0, 100)
    )
    show_quality_stats: bool = option(False, "show how the quality of the games is distributed")
    skip_duplicates: bool = option(True, "take one of several recordings of the same game")


@dataclass(frozen=True, kw_only=True)
class Netplay:
    """How recordings of netplay are read."""

    title: ClassVar[str] = "Data"
    rollbacks: str = option(
        "first",
        "of a frame that netplay rolled back, what the player saw first or what was true in the end",
        choices=("first", "last"),
    )


@dataclass(frozen=True, kw_only=True)
class Balance:
    """How often each game comes."""

    title: ClassVar[str] = "Data"
    balance_characters: bool = option(False, "draw games of rare characters more often, so that all come equally often")


@dataclass(frozen=True, kw_only=True)
class Errors:
    """What happens to files that cannot be read."""

    title: ClassVar[str] = "Data"
    skip_errors: bool = option(True, "leave out files that cannot be read, and go on", sets={"--fail-fast": False})
    show_errors: bool = option(True, "name each file that cannot be read", sets={"--hide-errors": False})
    error_log: Path | None = option(None, "file that names every file left out, and why", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class Store:
    """Whether parsed games are kept."""

    title: ClassVar[str] = "Store"
    precompute: bool = option(True, "parse every game once, keep it in --cache-dir and read it from there")


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How parsed games are kept."""

    title: ClassVar[str] = "Store"
    cache: bool = option(True, "use what --cache-dir holds; --no-cache makes all of it anew")
    cache_compress: bool = option(
        False, "keep parsed games compressed: an eighth of the disk, decoded whole when they are opened"
    )


@dataclass(frozen=True, kw_only=True)
class CacheDir:
    """Where parsed games are kept."""

    title: ClassVar[str] = "Store"
    cache_dir: Path = option(
        Path("cache/embeddings"), "folder of parsed games and embeddings", env="EXPHIL_CACHE_DIR", metavar="FOLDER"
    )


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """How batches are made and when."""

    title: ClassVar[str] = "Feeding"
    stream_chunk_size: int | None = option(
        None, "files that are mixed and open at a time (default: all)", check=at_least(1)
    )
    stream_chunk_frames: int | None = option(
        None, "frames that are mixed and open at a time, in whole files (default: all)", check=at_least(1)
    )
    prefetch: bool = option(True, "gather the next batches while one is learned from")
    prefetch_buffer: int = option(2, "batches that --prefetch keeps ready", check=at_least(1))
    cache_embeddings: bool = option(False, "encode every frame once and keep the numbers in --cache-dir")
    cache_augmented: bool = option(False, "the same with variants of every frame: mirrored and with noise")
    num_noisy_variants: int = option(2, "variants with noise that --cache-augmented makes", check=at_least(0))
    mmap_embeddings: bool = option(False, "map cached embeddings from their file instead of loading them")
    mmap_path: Path | None = option(None, "that file (default: in --cache-dir)", metavar="FILE")
    gc_every: int = option(
        100, "batches between garbage collections of our own; 0 leaves it to Python", check=at_least(0)
    )


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What is kept away from training."""

    title: ClassVar[str] = "Data"
    val_split: float = option(0.0, "share of the games held out for validation", check=from_up_to(0, 1))


@dataclass(frozen=True, kw_only=True)
class Features:
    """How a game becomes numbers."""

    title: ClassVar[str] = "Features"
    allow_missing: bool = option(False, "use games that lack a column of the feature table, with a presence bit")
    num_player_names: int = option(
        112, "player names that the feature table has room for; 0 leaves styles out", check=between(0, 32767)
    )


@dataclass(frozen=True, kw_only=True)
class Players:
    """Who plays like whom."""

    title: ClassVar[str] = "Features"
    learn_player_styles: bool = option(False, "learn how each player plays, told apart by connect code, else tag")
    player_registry: Path | None = option(
        None, "file of the players' numbers: read if it is there, extended and written", metavar="FILE"
    )
    min_player_games: int = option(1, "games that a player must have to get a number", check=at_least(1))
    player_mode: str = option(
        "one_hot", "how the network is told who plays: as that many floats or as a learned table",
        choices=("one_hot", "learned"),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Playing:
    """How a trained policy plays."""

    title: ClassVar[str] = "Playing"
    style: str | None = option(
        None, "the player it is to play like, or nobody (default: each seat's own player)", metavar="NAME"
    )


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Games that were never played, made from those that were."""

    title: ClassVar[str] = "Augmentation"
    augment: bool = option(False, "mirror games and add noise to them while training")
    mirror_prob: float = option(0.5, "share of the games that --augment mirrors", check=between(0, 1))
    noise_prob: float = option(0.3, "share of the stretches that --augment adds noise to", check=between(0, 1))
    noise_scale: float = option(
        0.01, "standard deviation of that noise, in numbers of the feature table", check=at_least(0)
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network, and how it is fed."""

    title: ClassVar[str] = "Model"
    temporal: bool = option(False, "learn from sequences of frames instead of single frames")
    backbone: str | None = option(
        None,
        "the network between features and actions (default: mlp, with --temporal lstm)",
        choices=("mlp", "gru", "lstm"),
    )
    hidden: tuple[int, ...] = option(
        (512, 512),
        "layer widths; one number is the width of every layer",
        check=each(at_least(1)),
        aliases=("--hidden-sizes",),
        metavar="N,N",
    )
    num_layers: int | None = option(
        None, "layers of a recurrent backbone when --hidden is one number (default: 2)", check=at_least(1)
    )
    dropout: float = option(0.1, "share of activations dropped while training", check=from_up_to(0, 1))
    layer_norm: bool = option(False, "normalise the layers of an mlp")
    residual: bool = option(False, "skip connections between the layers of an mlp")
    head: str = option(
        "autoregressive",
        "whether each part of an action sees the parts before it",
        choices=("autoregressive", "independent"),
    )
    window_size: int = option(60, "frames in one training sequence", check=between(1, 4095), aliases=("--seq-len",))
    stride: int | None = option(
        None,
        "frames from one window to the next (default: the window, with --loss-positions last 1)",
        check=at_least(1),
    )
    sequence_mode: str = option("lanes", "how a backbone with state is fed", choices=("lanes", "windows"))
    loss_positions: str = option("all", "frames of a window that the loss is taken at", choices=("all", "last"))


@dataclass(frozen=True, kw_only=True)
class Training:
    """The optimisation."""

    title: ClassVar[str] = "Training"
    epochs: int = option(10, "passes over the training games", check=at_least(1))
    batch_size: int = option(64, "frames, windows or lanes in one step", check=at_least(1))
    lr: float = option(1e-4, "learning rate", check=above(0), aliases=("--learning-rate",))
    optimizer: str = option("adam", "the optimiser", choices=("adam", "adamw", "radam", "lamb", "muon"))
    weight_decay: float = option(1e-5, "weight decay of adamw, lamb and muon", check=at_least(0))
    lr_schedule: str = option(
        "constant", "how the learning rate changes", choices=("constant", "cosine", "linear", "exponential")
    )
    warmup_steps: int = option(1, "steps over which the learning rate rises to its value", check=at_least(0))
    decay_steps: int | None = option(
        None, "step at which the schedule ends (default: the run's last step)", check=at_least(1)
    )
    max_grad_norm: float = option(1.0, "longest gradient before it is shortened; 0 is off", check=at_least(0))
    seed: int | None = option(None, "seed of everything random (default: drawn and printed)", check=at_least(0))


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
    threads: int | None = option(None, "torch threads (default: decided from the cores)", check=at_least(1))


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


GROUPS: tuple[type, ...] = (
    Data, Seats, Choosing, Netplay, Balance, Errors, Store, Keeping, CacheDir, Feeding, Validation, Features, Players,
    Playing, Augment, Model, Training, Saving, Layers, Machine, Readers, Run, Quiet, Verbose, Output, Page,
)  # fmt: skip
OPTIONS = options_by_name(GROUPS)
