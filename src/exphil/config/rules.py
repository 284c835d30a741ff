"""What options mean together: values that follow from others, and combinations that cannot be meant.

A rule looks at complete settings and returns ``Derived`` (values that follow), ``Problem`` (an error, or a notice
that the user should read) or None. It applies to the commands that have all the options it names in ``needs``, in the
order of ``RULES``: first the rules that derive, then those that judge. Everything is raised together with the other
problems by ``layers``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from exphil.config.layers import Settings


@dataclass(frozen=True)
class Problem:
    """Something about a combination of options that the user should know."""

    severity: Literal["error", "notice"]
    text: str
    fix: str

    @property
    def notice(self) -> str:
        """What the user is told when this is no error."""
        return "" if self.severity == "error" else f"{self.text}; {self.fix}"


@dataclass(frozen=True)
class Derived:
    """Values that follow from others; ``because`` is their source, ``notice`` is told to the user."""

    values: Mapping[str, Any]
    because: str
    notice: str = ""


@dataclass(frozen=True)
class Rule:
    """A judgement, and the options that a command must have for it to apply."""

    needs: tuple[str, ...]
    judge: Callable[[Settings], Derived | Problem | None]


def _temporal_follows_backbone(settings: Settings) -> Derived | Problem | None:
    backbone = settings["backbone"]
    if backbone in (None, "mlp") or settings["temporal"]:
        return None
    if settings.given("temporal"):
        return Problem("error", f"--no-temporal and --backbone {backbone} contradict", "drop one, or --backbone mlp")
    notice = f"--backbone {backbone} learns from sequences: --temporal is implied"
    return Derived({"temporal": True}, f"implied by --backbone {backbone}", notice)


def _backbone_follows_temporal(settings: Settings) -> Derived | None:
    if settings["backbone"] is not None:
        return None
    if settings["temporal"]:
        return Derived({"backbone": "lstm"}, "implied by --temporal")
    return Derived({"backbone": "mlp"}, "default")


def _stride_follows_loss(settings: Settings) -> Derived | None:
    if settings["stride"] is not None:
        return None
    positions = settings["loss_positions"]
    stride = settings["window_size"] if positions == "all" else 1
    return Derived({"stride": stride}, f"implied by --loss-positions {positions}")


def _mlp_has_no_memory(settings: Settings) -> Problem | None:
    if not (settings["temporal"] and settings["backbone"] == "mlp"):
        return None
    text = "--temporal with --backbone mlp: an mlp sees one frame at a time and remembers none"
    return Problem("notice", text, "a backbone with memory, for example --backbone lstm")


def _one_way_to_choose_the_seat(settings: Settings) -> Problem | None:
    character, port = settings["train_character"], settings["player_port"]
    if character and settings["dual_port"]:
        text = f"--train-character {character} says which player to learn from and --dual-port says both"
        return Problem("error", text, "drop one of them")
    if settings.given("player_port") and (character or settings["dual_port"]):
        other = f"--train-character {character}" if character else "--dual-port"
        return Problem("notice", f"--player-port {port} has no effect beside {other}", "drop one of them")
    return None


EVERY = {"hybrid": 2, "jamba": 3}
"""In which every how manieth layer is attention, unless told."""
JAMBA_LAYERS = 6


def _attention_follows_backbone(settings: Settings) -> Derived | None:
    every = EVERY.get(settings["backbone"])
    if every is None or settings["attention_every"] is not None:
        return None
    return Derived({"attention_every": every}, f"implied by --backbone {settings['backbone']}")


def _widths_follow_layers(settings: Settings) -> Derived | None:
    """Widths that nobody typed are of two layers: another number of layers has as many of the same width."""
    backbone, layers, widths = settings["backbone"], settings["num_layers"], settings["hidden"]
    typed = not settings.sources["hidden"].startswith(("default", "preset"))
    if backbone == "mlp" or (typed and len(widths) > 1):
        return None
    if layers is None and backbone == "jamba":
        return Derived({"num_layers": JAMBA_LAYERS, "hidden": widths[:1]}, "implied by --backbone jamba")
    if layers is None or len(widths) == 1:
        return None
    return Derived({"hidden": widths[:1]}, f"default, for each of --num-layers {layers}")


def _attention_is_somewhere(settings: Settings) -> Problem | None:
    backbone, every = settings["backbone"], settings["attention_every"]
    if backbone not in EVERY:
        return None
    layers = len(settings["hidden"]) if len(settings["hidden"]) > 1 else settings["num_layers"] or 2
    if layers >= every:
        return None
    text = f"--backbone {backbone} with {layers} layers and --attention-every {every} holds no attention"
    wider = f"--hidden {settings['hidden'][0]} --num-layers {every}"
    return Problem("error", text, f"{wider} or more, or --attention-every {layers} or less")


def _heads_share_the_width(settings: Settings) -> Problem | None:
    heads, widths = settings["num_heads"], settings["hidden"]
    if settings["backbone"] not in ("attention", *EVERY):
        return None
    every = settings["attention_every"] if settings["backbone"] in EVERY and len(widths) > 1 else 1
    shared = widths[every - 1 :: every]
    wrong = next((width for width in shared if width % heads), None)
    if wrong is None:
        return None
    text = f"--num-heads {heads} cannot share a layer of {wrong}: every head takes as many numbers"
    near = heads * max(round(wrong / heads), 1)
    fitting = ",".join(str(near if width == wrong else width) for width in widths)
    return Problem("error", text, f"--hidden {fitting}, or another --num-heads")


KERNELS = ("chunked_attention", "memory_efficient_attention", "flash_attention")


def _one_kernel_of_attention(settings: Settings) -> Problem | None:
    chosen = ["--" + name.replace("_", "-") for name in KERNELS if settings[name]]
    if len(chosen) < 2:
        return None
    return Problem("error", f"{' and '.join(chosen)} are ways to compute the same", "keep one of them")


def _layers_match_widths(settings: Settings) -> Problem | None:
    widths, layers = settings["hidden"], settings["num_layers"]
    if layers is None or len(widths) in (1, layers) or _no_memory(settings):
        return None
    text = f"--hidden {','.join(map(str, widths))} is {len(widths)} layers and --num-layers is {layers}"
    return Problem("error", text, f"drop --num-layers, or give one width: --hidden {widths[0]}")


def _lanes_take_the_loss_everywhere(settings: Settings) -> Problem | None:
    if settings["loss_positions"] != "last" or settings["sequence_mode"] != "lanes" or _no_memory(settings):
        return None
    text = "--loss-positions last needs windows, and --sequence-mode is lanes, which take the loss at every frame"
    return Problem("error", text, "--sequence-mode windows")


def _warmup_ends_before_decay(settings: Settings) -> Problem | None:
    warmup, decay = settings["warmup_steps"], settings["decay_steps"]
    if decay is None or warmup <= decay:
        return None
    return Problem("error", f"--warmup-steps {warmup} is more than --decay-steps {decay}", "swap or lower them")


def _styles_need_names(settings: Settings) -> Problem | None:
    if not settings["learn_player_styles"] or settings["num_player_names"]:
        return None
    text = "--learn-player-styles gives players numbers and --num-player-names 0 leaves no room for them"
    return Problem("error", text, "drop one of them")


def _one_set_of_centres_in_a_file(settings: Settings) -> Problem | None:
    if settings["output"] is None or ".." not in settings["k"]:
        return None
    text = f"--k {settings['k']} compares numbers of centres and --output {settings['output']} holds one set of them"
    return Problem("error", text, "without --output it prints the table; then --k 21 --output FILE, or another number")


def _augmented_delay_follows_online(settings: Settings) -> Derived | Problem | None:
    if not settings["online_robust"] or settings["frame_delay_augment"]:
        return None
    if settings.given("frame_delay_augment"):
        return Problem("error", "--online-robust and --no-frame-delay-augment contradict", "drop one of them")
    return Derived({"frame_delay_augment": True}, "implied by --online-robust")


def _delays_have_an_order(settings: Settings) -> Problem | None:
    low, high = settings["frame_delay_min"], settings["frame_delay_max"]
    if not settings["frame_delay_augment"] or low <= high:
        return None
    return Problem("error", f"--frame-delay-min {low} is more than --frame-delay-max {high}", "swap or change them")


def _embeddings_follow_mapping(settings: Settings) -> Derived | None:
    if not settings["mmap_embeddings"] or settings["cache_embeddings"] or settings["cache_augmented"]:
        return None
    return Derived({"cache_embeddings": True}, "implied by --mmap-embeddings")


def _one_way_to_stream(settings: Settings) -> Problem | None:
    if settings["stream_chunk_size"] is None or settings["stream_chunk_frames"] is None:
        return None
    return Problem("error", "--stream-chunk-size counts files and --stream-chunk-frames frames", "drop one of them")


def _cached(settings: Settings) -> str:
    return "--cache-augmented" if settings["cache_augmented"] else "--cache-embeddings"


def _embeddings_are_not_augmented(settings: Settings) -> Problem | None:
    if not (settings["cache_embeddings"] and settings["augment"]) or settings["cache_augmented"]:
        return None
    text = "--cache-embeddings keeps every frame as it is, and --augment changes it anew every time"
    return Problem("error", text, "--cache-augmented instead of --cache-embeddings keeps mirrored and noisy variants")


def _embeddings_are_precomputed(settings: Settings) -> Problem | None:
    if settings["precompute"] or not (settings["cache_embeddings"] or settings["cache_augmented"]):
        return None
    text = f"{_cached(settings)} and --no-precompute contradict: nothing is computed beforehand that could be kept"
    return Problem("error", text, "drop one of them")


def _embeddings_are_not_streamed(settings: Settings) -> Problem | None:
    chunk = next((n for n in ("stream_chunk_size", "stream_chunk_frames") if settings[n] is not None), None)
    if chunk is None or not (settings["cache_embeddings"] or settings["cache_augmented"]):
        return None
    flag = "--" + chunk.replace("_", "-")
    text = f"{_cached(settings)} encodes all games beforehand, and {flag} opens some at a time"
    return Problem("error", text, f"drop one of them; --mmap-embeddings without {flag} needs no memory for them either")


def _idle(name: str, when: Callable[[Settings], bool], needs: str, *beside: str) -> Rule:
    """A notice that an option which somebody chose does nothing here; asked where the command has ``beside`` too."""

    def judge(settings: Settings) -> Problem | None:
        if settings.sources.get("resume", "default") != "default":
            return None  # what else the run was asked for stands in its snapshot
        if not (settings.sources[name].startswith(("flag", "file")) and when(settings)):
            return None
        return Problem("notice", f"{settings.sources[name]} has no effect", f"it needs {needs}")

    return Rule((name, *beside), judge)


def _no_memory(settings: Settings) -> bool:
    return bool(settings["backbone"] == "mlp")


MEMORY = "a backbone with memory, any but mlp"
IDLE = (
    _idle("layer_norm", lambda s: s["backbone"] != "mlp", "--backbone mlp"),
    _idle(
        "residual",
        lambda s: s["backbone"] != "mlp" or len(s["hidden"]) < 2,
        "--backbone mlp of two layers or more",
    ),
    *(_idle(name, _no_memory, MEMORY) for name in ("num_layers", "sequence_mode", "feed_forward", "truncate_bptt")),
    _idle(
        "truncate_bptt",
        lambda s: not _no_memory(s) and (s["truncate_bptt"] or 0) >= s["window_size"],
        "fewer frames than --window-size",
    ),
    *(
        _idle(name, lambda s: s["backbone"] not in ("mamba", "mamba2", "jamba"), "--backbone mamba, mamba2 or jamba")
        for name in ("state_size", "expand_factor", "conv_size")
    ),
    *(
        _idle(name, lambda s: s["backbone"] not in ("attention", *EVERY), "--backbone attention, hybrid or jamba")
        for name in ("num_heads", "qk_layernorm", *KERNELS)
    ),
    _idle("attention_every", lambda s: s["backbone"] not in EVERY, "--backbone hybrid or jamba"),
    _idle(
        "chunk_size",
        lambda s: not (s["chunked_attention"] or s["memory_efficient_attention"]),
        "--chunked-attention or --memory-efficient-attention",
    ),
    _idle("checkpoint_every", lambda s: not s["gradient_checkpoint"], "--gradient-checkpoint"),
    _idle("window_size", lambda s: not s["temporal"], "--temporal"),
    _idle("loss_positions", lambda s: not s["temporal"], "--temporal"),
    _idle("stride", lambda s: not s["temporal"] or (s["sequence_mode"] == "lanes" and not _no_memory(s)), "windows"),
    _idle("weight_decay", lambda s: s["optimizer"] in ("adam", "radam"), "--optimizer adamw, lamb or muon"),
    _idle("decay_steps", lambda s: s["lr_schedule"] == "constant", "another --lr-schedule"),
    _idle("axis_buckets", lambda s: s["kmeans_centers"] is not None, "equal steps, and --kmeans-centers gives others"),
    _idle("umi_safe", lambda s: not s["stage_motion"], "--stage-motion: all else is in UMI's frames"),
    _idle(
        "frame_delay",
        lambda s: s["frame_delay_augment"],
        "a single delay: --frame-delay-augment, which --online-robust turns on, draws many",
        "frame_delay_augment",
    ),
    *(
        _idle(name, lambda s: not s["frame_delay_augment"], "--frame-delay-augment")
        for name in ("frame_delay_min", "frame_delay_max")
    ),
    *(
        _idle(name, lambda s: not s["augment"], "--augment")
        for name in ("mirror_prob", "noise_prob", "noise_scale", "cache_augmented")
    ),
    _idle("num_noisy_variants", lambda s: not s["cache_augmented"], "--cache-augmented"),
    _idle("mmap_path", lambda s: not s["mmap_embeddings"], "--mmap-embeddings"),
    _idle("prefetch_buffer", lambda s: not s["prefetch"], "--prefetch"),
    *(
        _idle(name, lambda s: not s["precompute"], "--precompute", "precompute")
        for name in ("cache_compress", "cache_dir", "cache")
    ),
    *(
        _idle(name, lambda s: not s["learn_player_styles"], "--learn-player-styles")
        for name in ("player_registry", "min_player_games", "player_mode")
    ),
)

RULES: tuple[Rule, ...] = (
    Rule(("mmap_embeddings", "cache_embeddings", "cache_augmented"), _embeddings_follow_mapping),
    Rule(("online_robust", "frame_delay_augment"), _augmented_delay_follows_online),
    Rule(("temporal", "backbone"), _temporal_follows_backbone),
    Rule(("temporal", "backbone"), _backbone_follows_temporal),
    Rule(("stride", "window_size", "loss_positions"), _stride_follows_loss),
    Rule(("temporal", "backbone"), _mlp_has_no_memory),
    Rule(("player_port", "train_character", "dual_port"), _one_way_to_choose_the_seat),
    Rule(("backbone", "attention_every"), _attention_follows_backbone),
    Rule(("backbone", "hidden", "num_layers"), _widths_follow_layers),
    Rule(("backbone", "hidden", "num_layers"), _layers_match_widths),
    Rule(("backbone", "hidden", "num_layers", "attention_every"), _attention_is_somewhere),
    Rule(("backbone", "hidden", "num_heads"), _heads_share_the_width),
    Rule(KERNELS, _one_kernel_of_attention),
    Rule(("backbone", "loss_positions", "sequence_mode"), _lanes_take_the_loss_everywhere),
    Rule(("warmup_steps", "decay_steps"), _warmup_ends_before_decay),
    Rule(("frame_delay_augment", "frame_delay_min", "frame_delay_max"), _delays_have_an_order),
    Rule(("learn_player_styles", "num_player_names"), _styles_need_names),
    Rule(("stream_chunk_size", "stream_chunk_frames"), _one_way_to_stream),
    Rule(("k", "output"), _one_set_of_centres_in_a_file),
    Rule(("cache_embeddings", "cache_augmented", "augment"), _embeddings_are_not_augmented),
    Rule(("cache_embeddings", "cache_augmented", "precompute"), _embeddings_are_precomputed),
    Rule(
        ("cache_embeddings", "cache_augmented", "stream_chunk_size", "stream_chunk_frames"),
        _embeddings_are_not_streamed,
    ),
    *IDLE,
)
