"""What options mean together: values that follow from others, and combinations that cannot be meant.

A rule looks at complete settings and returns ``Derived`` (values that follow), ``Problem`` (an error, or a notice
that the user should read) or None. It applies to the commands that have all the options it names in ``needs``, in the
order of ``RULES``: first the rules that derive, then those that judge. Everything is raised together with the other
problems by ``layers``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exphil.config.groups.policy import NIF
from exphil.config.hints import HINTS
from exphil.config.idle import EVERY, IDLE, KERNELS, has_no_memory
from exphil.config.judging import Derived, Problem, Rule, typed

if TYPE_CHECKING:
    from exphil.config.layers import Settings


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


JAMBA_LAYERS = 6


def _attention_follows_backbone(settings: Settings) -> Derived | None:
    every = EVERY.get(settings["backbone"])
    if every is None or settings["attention_every"] is not None:
        return None
    return Derived({"attention_every": every}, f"implied by --backbone {settings['backbone']}")


def _layers_of_a_preset_yield(settings: Settings) -> Derived | None:
    """The layers of a preset are for its own backbone and widths: what a person wrote instead is stronger."""
    backbone, layers, widths = settings["backbone"], settings["num_layers"], settings["hidden"]
    if layers is None or not settings.sources["num_layers"].startswith("preset"):
        return None
    if typed(settings, "hidden") and len(widths) not in (1, layers):
        return Derived({"num_layers": None}, "implied by --hidden")
    if backbone in EVERY and layers < settings["attention_every"]:
        return Derived({"num_layers": None}, f"implied by --backbone {backbone}")
    return None


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


def _one_kernel_of_attention(settings: Settings) -> Problem | None:
    chosen = ["--" + name.replace("_", "-") for name in KERNELS if settings[name]]
    if len(chosen) < 2:
        return None
    return Problem("error", f"{' and '.join(chosen)} are ways to compute the same", "keep one of them")


def _layers_match_widths(settings: Settings) -> Problem | None:
    widths, layers = settings["hidden"], settings["num_layers"]
    if layers is None or len(widths) in (1, layers) or has_no_memory(settings):
        return None
    text = f"--hidden {','.join(map(str, widths))} is {len(widths)} layers and --num-layers is {layers}"
    return Problem("error", text, f"drop --num-layers, or give one width: --hidden {widths[0]}")


def _lanes_take_the_loss_everywhere(settings: Settings) -> Problem | None:
    if settings["loss_positions"] != "last" or settings["sequence_mode"] != "lanes" or has_no_memory(settings):
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


def _held_out_follows_early_stopping(settings: Settings) -> Derived | Problem | None:
    if not settings["early_stopping"] or settings["val_split"] or settings["resume"] is not None:
        return None  # a resumed run that holds nothing out watches the loss of training
    if settings.given("val_split"):
        return Problem("error", "--early-stopping watches held-out games and --val-split 0 holds none out", "drop one")
    notice = "--early-stopping watches held-out games: --val-split 0.1 is implied"
    return Derived({"val_split": 0.1}, "implied by --early-stopping", notice)


def _distilling_needs_a_teacher(settings: Settings) -> Problem | None:
    if settings.command != "distill" or settings["teacher"] is not None or settings["resume"] is not None:
        return None
    fix = "--teacher FILE names a policy file, or a snapshot; exphil train learns without a teacher"
    return Problem("error", "distill learns from a teacher, and none was named", fix)


def _held_out_follows_distilling(settings: Settings) -> Derived | None:
    if settings.command != "distill" or settings["resume"] is not None or settings.given("val_split"):
        return None
    if settings["teacher"] is None:
        return None
    notice = "distill compares teacher and student on held-out games: --val-split 0.1 is implied"
    return Derived({"val_split": 0.1}, "implied by distill", notice)


def _snapshots_follow_keep_best(settings: Settings) -> Derived | None:
    if settings["keep_best"] is None or settings["save_every"] is not None:
        return None
    return Derived({"save_every": 1}, "implied by --keep-best")


def _init_is_no_resume(settings: Settings) -> Problem | None:
    if settings["init"] is None or settings["resume"] is None:
        return None
    text = "--init begins a new run with the weights of another and --resume goes on with one"
    return Problem("error", text, "drop one of them")


def _resumed_runs_keep_their_batch(settings: Settings) -> Problem | None:
    if not settings["auto_batch_size"] or settings["resume"] is None:
        return None
    return Problem("error", "--auto-batch-size and --resume: a resumed run keeps its batch", "drop --auto-batch-size")


def _resuming_overwrites_nothing(settings: Settings) -> Problem | None:
    if not settings["overwrite"] or settings["resume"] is None:
        return None
    return Problem("error", "--overwrite and --resume: a resumed run goes on in its own files", "drop one of them")


def _batches_have_an_order(settings: Settings) -> Problem | None:
    low, high = settings["auto_batch_min"], settings["auto_batch_max"]
    if not settings["auto_batch_size"] or low <= high:
        return None
    return Problem("error", f"--auto-batch-min {low} is more than --auto-batch-max {high}", "swap or change them")


def _rates_have_an_order(settings: Settings) -> Problem | None:
    low, high = settings["lr_min"], settings["lr_max"]
    if low < high:
        return None
    return Problem("error", f"--lr-min {low:g} is not below --lr-max {high:g}", "swap or change them")


def _nif_is_a_player(settings: Settings) -> Derived | None:
    if settings["backbone"] != NIF:
        return None
    fast = {"player": ("fast",)} if "player" in settings and not settings.given("player") else {}
    return Derived({"backbone": "mamba", **fast}, settings.sources["backbone"])


def _thresholds_have_an_order(settings: Settings) -> Derived | Problem | None:
    press, release = settings["press_threshold"], settings["release_threshold"]
    if release is not None and press is None:
        return Problem("error", "--release-threshold needs --press-threshold", "--press-threshold 0.45 was good once")
    if press is not None and release is None:
        return Derived({"release_threshold": press}, "implied by --press-threshold")
    if press is None or release <= press:
        return None
    return Problem("error", f"--release-threshold {release:g} is more than --press-threshold {press:g}", "swap them")


def _likeliest_has_no_temperature(settings: Settings) -> Problem | None:
    if not (settings["deterministic"] and settings["temperature"]):
        return None
    return Problem("error", "--deterministic is a temperature of 0, and --temperature says another", "drop one of them")


def _one_player_plays(settings: Settings) -> Problem | None:
    if len(settings["player"]) == 1:
        return None
    return Problem("error", "one player plays", "--player reference or --player fast")


WORLDS = {"play": ("umi",), "match": ("sim", "melee_sim")}
"""The worlds that a command plays in, by default the first."""


def _a_command_has_its_worlds(settings: Settings) -> Derived | Problem | None:
    known, wanted = WORLDS[settings.command], settings["world"]
    if wanted is None:
        return Derived({"world": known[0]}, "default")
    if wanted in known:
        return None
    text = f"exphil {settings.command} cannot play in {wanted}"
    other = next(command for command, worlds in WORLDS.items() if wanted in worlds)
    return Problem("error", text, f"--world {known[0]}; exphil {other} plays in {wanted}")


RULES: tuple[Rule, ...] = (
    Rule(("backbone",), _nif_is_a_player),
    Rule(("press_threshold", "release_threshold"), _thresholds_have_an_order),
    Rule(("deterministic", "temperature"), _likeliest_has_no_temperature),
    Rule(("player", "world"), _one_player_plays),
    Rule(("world",), _a_command_has_its_worlds),
    Rule(("mmap_embeddings", "cache_embeddings", "cache_augmented"), _embeddings_follow_mapping),
    Rule(("online_robust", "frame_delay_augment"), _augmented_delay_follows_online),
    Rule(("temporal", "backbone"), _temporal_follows_backbone),
    Rule(("temporal", "backbone"), _backbone_follows_temporal),
    Rule(("stride", "window_size", "loss_positions"), _stride_follows_loss),
    Rule(("temporal", "backbone"), _mlp_has_no_memory),
    Rule(("player_port", "train_character", "dual_port"), _one_way_to_choose_the_seat),
    Rule(("backbone", "attention_every"), _attention_follows_backbone),
    Rule(("backbone", "hidden", "num_layers", "attention_every"), _layers_of_a_preset_yield),
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
    Rule(("teacher", "resume"), _distilling_needs_a_teacher),
    Rule(("teacher", "val_split", "resume"), _held_out_follows_distilling),
    Rule(("early_stopping", "val_split", "resume"), _held_out_follows_early_stopping),
    Rule(("keep_best", "save_every"), _snapshots_follow_keep_best),
    Rule(("init", "resume"), _init_is_no_resume),
    Rule(("auto_batch_size", "resume"), _resumed_runs_keep_their_batch),
    Rule(("auto_batch_min", "auto_batch_max"), _batches_have_an_order),
    Rule(("lr_min", "lr_max"), _rates_have_an_order),
    Rule(("overwrite", "resume"), _resuming_overwrites_nothing),
    *IDLE,
    *HINTS,
)
