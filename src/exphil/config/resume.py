"""The options of a run that goes on, or begins with another run's weights: the saved ones, under those asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exphil.config.commands import COMMANDS
from exphil.config.groups import (
    OPTIONS,
    Actions,
    Attention,
    Backbone,
    Delay,
    Delays,
    Features,
    Layers,
    Model,
    Players,
    Profile,
    Quiet,
    Run,
    Scan,
    Verbose,
)
from exphil.config.layers import Settings, jsonable
from exphil.config.option import options_by_name
from exphil.errors import OptionError

MAY_CHANGE = {
    *("epochs", "lr", "lr_schedule", "warmup_steps", "decay_steps", "max_grad_norm", "dropout", "augment"),
    *("restart_period", "restart_mult", "focal_loss", "focal_gamma", "label_smoothing", "button_weights", "ema"),
    *("ema_decay", "early_stopping", "patience", "min_delta", "val_concurrency", "save_every", "save_every_batches"),
    *("keep_best", "overwrite", "backup", "backup_count", "register", "save_config", "wandb", "wandb_project"),
    *("wandb_name", "tensorboard", "trackio"),
    *("noise_prob", "noise_scale", "skip_errors", "show_errors", "error_log", "show_quality_stats", "precompute"),
    *("cache", "cache_dir", "cache_compress", "prefetch", "prefetch_buffer", "gc_every", "cache_embeddings"),
    *("mmap_embeddings", "mmap_path"),
    *("mirror_prob", "replays", "max_files", "name", "checkpoint", "checkpoints_dir", "resume", "save_best", "device"),
    *("precision", "gradient_checkpoint", "checkpoint_every", "chunked_attention", "memory_efficient_attention"),
    *("flash_attention", "chunk_size", "truncate_bptt"),
    *("teacher", "teacher_weight", "teacher_temperature"),
    *("threads", "workers", "log_interval", "dry_run", "profile", "quiet", "verbose", "preset", "config"),
}
"""Options that a resumed run may be given anew; all others say what the run is."""
BATCH = ("batch_size", "accumulation_steps")
"""Options that may be given anew together, if their product stays."""
PLACE = {"name", "checkpoint", "checkpoints_dir", "overwrite", "save_config", "init", "auto_batch_size"}
"""Options of the call that began the run: a resumed run goes on in its own files unless they are named."""
_TALK = frozenset(name for group in (Run, Profile, Quiet, Verbose, Layers) for name in options_by_name([group]))
_NETWORK = options_by_name((Features, Players, Actions, Delay, Delays, Backbone, Model, Scan, Attention))
_AS_IT_LIKES = {
    *("dropout", "window_size", "stride", "sequence_mode", "loss_positions", "truncate_bptt", "player_registry"),
    *("min_player_games", "chunked_attention", "memory_efficient_attention", "flash_attention", "chunk_size"),
}
_KEPT = [name for name in _NETWORK if name not in _AS_IT_LIKES]


def resumed(settings: Settings, saved: Mapping[str, Any], done: int) -> Settings:
    """Saved options under those asked for now by flag, file or preset; how the run talks is this call's.

    Args:
        settings: Of this call.
        saved: Every option of the run by name, from its snapshot.
        done: Epochs that it has done.

    Raises:
        OptionError: something was asked for that a run keeps, or the run is through.
    """
    asked = {name for name in settings.sources if _asked(settings, name)}
    now = jsonable({name: settings[name] for name in _TALK | asked})
    then = {name: option.default for name, option in OPTIONS.items()} | dict(saved)  # of younger options the default
    rows = {name: now.get(name, then[name]) for name in BATCH}
    free = MAY_CHANGE | (set(BATCH) if rows[BATCH[0]] * rows[BATCH[1]] == then[BATCH[0]] * then[BATCH[1]] else set())
    kept = [name for name in sorted(asked - free) if now[name] != then[name]]
    if kept:
        lines = [f"{settings.sources[name]}: a resumed run keeps {_spelled(name, then[name])}" for name in kept]
        together = "--batch-size times --accumulation-steps must stay what it is, or "
        raise OptionError("\n".join(lines), fix=(together if set(kept) & set(BATCH) else "") + "start a new run")
    found = Settings.from_flat("train", {n: value for n, value in saved.items() if n not in PLACE} | now)
    if done >= found.training.epochs:
        where = str(settings.saving.resume)
        raise OptionError(f"already trained for {done} epochs", where, f"--epochs {done + 1} goes on")
    return found


def begun_with(settings: Settings, saved: Mapping[str, Any]) -> Settings:
    """Options of a new run whose weights come from ``--init``: the network is that policy's, all else is this call's.

    Args:
        settings: Of this call.
        saved: Every option of the run that the policy is from.

    Raises:
        OptionError: another network was asked for, or what was asked for does not go with it.
    """
    then = {name: option.default for name, option in OPTIONS.items()} | dict(saved)
    now, sources = jsonable(settings.flat()), settings.sources
    wrong = [name for name in _KEPT if _asked(settings, name) and now[name] != then[name]]
    if wrong:
        lines = [f"{sources[name]}: the policy was trained with {_spelled(name, then[name])}" for name in wrong]
        raise OptionError("\n".join(lines), fix="--init keeps the network of its policy: drop what differs")
    free = {name for name in _NETWORK if name not in _KEPT} - {"stride"}  # what follows from others follows again
    begun = {name: then[name] for name in (*_KEPT, *(name for name in free if not _asked(settings, name)))}
    own = {
        name: now[name]
        for name, source in sources.items()
        if name not in begun and not source.startswith(("default", "implied"))
    }
    found = Settings.from_flat("train", begun | own)
    told = {name: sources[name] for name in own} | dict.fromkeys(begun, f"of --init {settings.saving.init}")
    return Settings("train", found.flat(), found.sources | told, settings.notices)


def _asked(settings: Settings, name: str) -> bool:
    """Whether this call asked for it, by a flag, a file or a preset; a preset of the environment asks for nothing."""
    source, by_preset = settings.sources[name], settings.sources["preset"].startswith(("flag", "file"))
    return source.startswith(("flag", "file")) or (by_preset and source.startswith("preset"))


def changes(saved: Mapping[str, Any], settings: Settings) -> Iterator[tuple[str, str, str]]:
    """What a resumed run does otherwise than before: flag, the value then, the value now."""
    now = jsonable(settings.flat())
    for name, option in options_by_name(COMMANDS["train"].groups).items():
        if name in saved and name not in _TALK | PLACE | {"resume"} and saved[name] != now[name]:
            yield option.flag, option.text(option.convert(saved[name])), option.text(settings[name])


def _spelled(name: str, value: Any) -> str:
    """An option as it would be typed."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return flag if value else flag.replace("--", "--no-", 1)
    words = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    return f"{flag} {words}" if value is not None else f"its default of {flag}"
