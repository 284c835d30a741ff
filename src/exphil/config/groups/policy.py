"""Options of the policy: what it sees and presses, the network, and how it learns."""

# ruff: noqa: RUF009  (option() makes a dataclasses.field; no default is shared)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from exphil.config.option import above, at_least, between, each, from_up_to, option
from exphil.config.spans import span, spelled
from exphil.config.weights import spelled_weight
from exphil.game.time import MAX_DELAY

AXIS_BUCKET_CHOICES = (2, 4, 8, 10, 16, 20, 32, 40, 80, 160)
"""Divisors of the 160 steps of a stick, so that every class is a position that it can take. 1 and 5 divide 160 too, but
have no class for rest."""

BACKBONE_CHOICES = ("mlp", "gru", "lstm", "mamba", "mamba2", "attention", "hybrid", "jamba")
BACKBONE_SYNONYMS = {"sliding_window": "attention", "lstm_hybrid": "hybrid"}
NIF = "mamba_nif"
"""The old word for playing a mamba by the fast player."""


def _numbers_of_centres(text: str) -> str:
    from exphil.game.controller import CENTRES  # numpy is loaded only when a number is given

    return spelled(span(text, *CENTRES))


@dataclass(frozen=True, kw_only=True)
class Features:
    """How a game becomes numbers."""

    title: ClassVar[str] = "Features"
    allow_missing: bool = option(False, "use games that lack a column of the feature table, with a presence bit")
    num_player_names: int = option(
        112, "player names that the feature table has room for; 0 leaves styles out", check=between(0, 32767)
    )
    stage_mode: str = option(
        "compact", "the stage as one of all 64, as one of the legal six or other, or as a learned table",
        choices=("full", "compact", "learned"),
    )  # fmt: skip
    action_mode: str = option(
        "learned", "action states as 399 floats each or as a learned table", choices=("one_hot", "learned")
    )
    character_mode: str = option(
        "learned", "characters as 33 floats each or as a learned table", choices=("one_hot", "learned")
    )
    nana_mode: str = option(
        "compact", "Nana in 39 floats, in 14 and her action in the learned table, or as much as of Popo",
        choices=("compact", "enhanced", "full"),
    )  # fmt: skip
    jumps_normalized: bool = option(True, "jumps left as one number; --no-jumps-normalized makes them 7 floats")
    stage_motion: bool = option(
        False, "add what moves on the stages: Randall, Fountain of Dreams' platforms, Pokemon Stadium, Whispy"
    )
    ic_tech: bool = option(False, "add 32 floats on Ice Climbers: grabs, regrabs, desyncs")
    umi_safe: bool = option(
        False, "leave out of --stage-motion what the Computer Melee Championship (UMI) does not show"
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
        "one_hot", "how the network is told who plays: as --num-player-names floats or as a learned table",
        choices=("one_hot", "learned"),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Actions:
    """What a policy can press."""

    title: ClassVar[str] = "Actions"
    axis_buckets: int = option(16, "equal steps of a stick axis, one class more than that", choices=AXIS_BUCKET_CHOICES)
    shoulder_buckets: int = option(4, "equal steps of the analog trigger, one class more", check=between(1, 140))
    kmeans_centers: Path | None = option(
        None, "file of stick centres that exphil kmeans wrote, instead of equal steps", metavar="FILE"
    )


@dataclass(frozen=True, kw_only=True)
class Delay:
    """How late a policy answers."""

    title: ClassVar[str] = "Delay"
    frame_delay: int = option(
        0,
        "frames that answers come late; commands that take a policy take what it learned",
        check=between(0, MAX_DELAY),
        aliases=("--delay",),
    )


@dataclass(frozen=True, kw_only=True)
class Delays:
    """Many delays at once."""

    title: ClassVar[str] = "Delay"
    frame_delay_augment: bool = option(
        False, "learn every delay from --frame-delay-min to --frame-delay-max; the policy plays any of them"
    )
    frame_delay_min: int = option(0, "least delay of --frame-delay-augment, in frames", check=between(0, MAX_DELAY))
    frame_delay_max: int = option(18, "most delay of --frame-delay-augment, in frames", check=between(0, MAX_DELAY))
    online_robust: bool = option(
        False, "prepare for online play: turns on --frame-delay-augment, by default every delay from 0 to 18"
    )


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Games that were never played, made from those that were."""

    title: ClassVar[str] = "Augmentation"
    augment: bool = option(False, "mirror games and add noise to them while training")
    mirror_prob: float = option(
        0.5, "share that --augment mirrors: of the games on lanes, else of the windows", check=between(0, 1)
    )
    noise_prob: float = option(0.3, "share of the stretches that --augment adds noise to", check=between(0, 1))
    noise_scale: float = option(
        0.01, "standard deviation of that noise, in numbers of the feature table", check=at_least(0)
    )


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """Which network."""

    title: ClassVar[str] = "Model"
    backbone: str | None = option(
        None,
        "the network between features and actions (default: mlp, with --temporal lstm); hybrid is lstm and jamba mamba "
        "with attention in between; sliding_window means attention, lstm_hybrid hybrid, mamba_nif mamba, and at play "
        "--player fast",
        choices=BACKBONE_CHOICES,
        synonyms=BACKBONE_SYNONYMS | {NIF: NIF},  # a rule tells what it means here
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network, and how it is fed."""

    title: ClassVar[str] = "Model"
    temporal: bool = option(False, "learn from sequences of frames instead of single frames")
    hidden: tuple[int, ...] = option(
        (512, 512),
        "layer widths; one number is the width of every layer",
        check=each(at_least(1)),
        aliases=("--hidden-sizes",),
        metavar="N,N",
    )
    num_layers: int | None = option(
        None,
        "layers of a backbone with memory when --hidden is one number (default: 2, jamba 6)",
        check=at_least(1),
    )
    feed_forward: int | None = option(
        None,
        "width of a feed-forward after every layer, in widths of the layer; 0 is none "
        "(default: 2 after attention, else 0)",
        check=between(0, 16),
    )
    dropout: float = option(0.1, "share of activations dropped while training", check=from_up_to(0, 1))
    layer_norm: bool = option(False, "normalise the layers of an mlp")
    residual: bool = option(False, "skip connections between the layers of an mlp")
    head: str = option(
        "autoregressive",
        "whether each part of an action sees the parts before it",
        choices=("autoregressive", "independent"),
    )
    window_size: int = option(
        60, "frames in one training sequence, and that attention sees", check=between(1, 4095), aliases=("--seq-len",)
    )
    stride: int | None = option(
        None,
        "frames from one window to the next (default: the window, with --loss-positions last 1)",
        check=at_least(1),
    )
    sequence_mode: str = option("lanes", "how a backbone with state is fed", choices=("lanes", "windows"))
    loss_positions: str = option("all", "frames of a window that the loss is taken at", choices=("all", "last"))
    truncate_bptt: int | None = option(
        None, "frames that gradients go back, at most (default: the whole window)", check=at_least(1), metavar="N"
    )


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The layers of mamba and mamba2."""

    title: ClassVar[str] = "Mamba"
    state_size: int | None = option(
        None, "numbers that every channel of mamba, every head of mamba2 carries (default: 16, mamba2 64)",
        check=between(1, 1024),
    )  # fmt: skip
    expand_factor: int = option(2, "inner width of a layer, in widths of the layer", check=between(1, 16))
    conv_size: int = option(4, "frames that the convolution before the scan sees", check=between(1, 64))


@dataclass(frozen=True, kw_only=True)
class Attention:
    """The layers of attention."""

    title: ClassVar[str] = "Attention"
    num_heads: int = option(4, "heads of an attention layer", check=at_least(1))
    attention_every: int | None = option(
        None, "in hybrid and jamba of how many layers one is attention (default: hybrid 2, jamba 3)", check=at_least(1)
    )
    qk_layernorm: bool = option(True, "normalise queries and keys, which keeps training stable")
    chunked_attention: bool = option(False, "attend in chunks of queries: less memory, the same numbers")
    memory_efficient_attention: bool = option(
        False, "attend with memory that grows with the window and not with its square: the same numbers"
    )
    flash_attention: bool = option(
        False,
        "attend with torch's fused kernels and no other",
        aliases=("--flash-attention-nif",),
        sets={"--no-flash-attention-nif": False},
    )
    chunk_size: int = option(
        32, "frames in a chunk of --chunked-attention and --memory-efficient-attention", check=at_least(1)
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """The optimisation."""

    title: ClassVar[str] = "Training"
    epochs: int = option(10, "passes over the training games", check=at_least(1))
    batch_size: int = option(64, "frames, windows or lanes in one step", check=at_least(1))
    lr: float = option(1e-4, "learning rate", check=above(0), aliases=("--learning-rate",))
    optimizer: str = option("adam", "the optimiser", choices=("adam", "adamw", "radam", "lamb", "muon"))
    weight_decay: float = option(1e-5, "weight decay of adamw, lamb and muon", check=at_least(0))
    accumulation_steps: int = option(
        1, "batches whose gradients make one step: as one batch so many times as large", check=at_least(1)
    )
    lr_schedule: str = option(
        "constant",
        "how the learning rate changes",
        choices=("constant", "cosine", "linear", "exponential", "cosine_restarts"),
    )
    warmup_steps: int = option(1, "steps over which the learning rate rises to its value", check=at_least(0))
    decay_steps: int | None = option(
        None, "step at which the schedule ends (default: the run's last step)", check=at_least(1)
    )
    restart_period: int = option(1000, "steps of the first cosine of --lr-schedule cosine_restarts", check=at_least(1))
    restart_mult: int = option(2, "how many times as long every further cosine is", check=at_least(1))
    precision: str = option(
        "f32",
        "numbers that a step computes with; weights and optimiser stay f32",
        choices=("f32", "bf16"),
        sets={"--mixed-precision": "bf16", "--no-mixed-precision": "f32"},
    )
    gradient_checkpoint: bool = option(False, "compute activations again in the backward pass instead of keeping them")
    checkpoint_every: int = option(1, "layers that --gradient-checkpoint computes again together", check=at_least(1))
    max_grad_norm: float = option(1.0, "longest gradient before it is shortened; 0 is off", check=at_least(0))


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What is drawn."""

    title: ClassVar[str] = "Training"
    seed: int | None = option(None, "seed of everything random (default: drawn and printed)", check=at_least(0))


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Learning from a policy beside the players."""

    title: ClassVar[str] = "Teacher"
    teacher: Path | None = option(
        None, "policy whose distributions are learned beside what was pressed: distillation", metavar="FILE"
    )
    teacher_weight: float = option(
        0.7, "share of the loss that is the teacher's; the rest is what was pressed", check=between(0, 1)
    )
    teacher_temperature: float = option(
        2.0, "how much the distributions of both are softened before they are compared; 1 is not at all",
        check=between(0.1, 20),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What the loss makes of rare and hard actions."""

    title: ClassVar[str] = "Loss"
    focal_loss: bool = option(False, "weigh what is predicted well less: the focal loss, for rare actions")
    focal_gamma: float = option(2.0, "how much less; 0 is the plain loss", check=between(0, 10))
    label_smoothing: float = option(
        0.0, "share of the target spread over all classes of sticks and trigger, never of buttons",
        check=from_up_to(0, 1),
    )  # fmt: skip
    button_weights: tuple[str, ...] = option(
        (), "how many times a press of a button counts (default: once)", parse=spelled_weight, metavar="z=12,l=4"
    )


@dataclass(frozen=True, kw_only=True)
class Averaging:
    """A second set of weights: the average of the run's."""

    title: ClassVar[str] = "Training"
    ema: bool = option(
        False, "average the weights over the steps; the average is validated, and saved as a policy of its own"
    )
    ema_decay: float = option(0.999, "share of the average that a step leaves as it is", check=from_up_to(0, 1))


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When a run ends before its last epoch."""

    title: ClassVar[str] = "Training"
    early_stopping: bool = option(
        False, "stop when the held-out loss gets no better; without --val-split holds out a tenth of the games"
    )
    patience: int = option(5, "epochs without improvement that --early-stopping waits for", check=at_least(1))
    min_delta: float = option(0.01, "nats that count as an improvement for --early-stopping", check=at_least(0))


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The batch that the machine holds."""

    title: ClassVar[str] = "Training"
    auto_batch_size: bool = option(
        False, "try steps of more and more rows, and take the batch that is fastest and fits into the memory"
    )
    auto_batch_min: int = option(32, "least batch that --auto-batch-size tries", check=at_least(1))
    auto_batch_max: int = option(4096, "largest batch that --auto-batch-size tries", check=at_least(1))
    auto_batch_backoff: float = option(
        0.8, "share of the free memory that --auto-batch-size may fill", check=from_up_to(0.05, 1.0001)
    )


@dataclass(frozen=True, kw_only=True)
class RateSweep:
    """Which learning rates exphil find-lr tries."""

    title: ClassVar[str] = "Learning rate"
    lr_min: float = option(1e-6, "smallest learning rate that is tried", check=above(0))
    lr_max: float = option(1.0, "largest learning rate that is tried", check=above(0))
    lr_steps: int = option(100, "steps from the smallest to the largest", check=at_least(10))


@dataclass(frozen=True, kw_only=True)
class Sticks:
    """Stick centres that are learned from games."""

    title: ClassVar[str] = "Sticks"
    k: str = option(
        "21",
        "centres of an axis, 3 to 161; a span as in 5..41 compares all numbers in it",
        parse=_numbers_of_centres,
        metavar="N",
    )
    per_axis: bool = option(False, "own centres for main x, main y, C x and C y (default: shared by all)")
