"""The options of a run that is resumed: the saved ones, under what was asked for now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exphil.config.groups import OPTIONS, Layers, Profile, Quiet, Run, Verbose
from exphil.config.layers import Settings, jsonable
from exphil.config.option import options_by_name
from exphil.errors import OptionError

MAY_CHANGE = {
    *("epochs", "lr", "lr_schedule", "warmup_steps", "decay_steps", "max_grad_norm", "dropout", "augment"),
    *("noise_prob", "noise_scale", "skip_errors", "show_errors", "error_log", "show_quality_stats", "precompute"),
    *("cache", "cache_dir", "cache_compress", "prefetch", "prefetch_buffer", "gc_every", "cache_embeddings"),
    *("mmap_embeddings", "mmap_path"),
    *("mirror_prob", "replays", "max_files", "name", "checkpoint", "checkpoints_dir", "resume", "save_best", "device"),
    *("precision", "gradient_checkpoint", "checkpoint_every", "chunked_attention", "memory_efficient_attention"),
    *("flash_attention", "chunk_size", "truncate_bptt"),
    *("threads", "workers", "log_interval", "dry_run", "profile", "quiet", "verbose", "preset", "config"),
}
"""Options that a resumed run may be given anew; all others say what the run is."""
PLACE = {"name", "checkpoint", "checkpoints_dir"}
"""Options that say where a run is saved: a resumed run goes on in its own files unless they are named."""
_TALK = frozenset(name for group in (Run, Profile, Quiet, Verbose, Layers) for name in options_by_name([group]))


def resumed(settings: Settings, saved: Mapping[str, Any], done: int) -> Settings:
    """Saved options under those asked for now by flag, file or preset; how the run talks is this call's.

    Args:
        settings: Of this call.
        saved: Every option of the run by name, from its snapshot.
        done: Epochs that it has done.

    Raises:
        OptionError: something was asked for that a run keeps, or the run is through.
    """
    asked = {name for name, source in settings.sources.items() if source.startswith(("flag", "file", "preset"))}
    now = jsonable({name: settings[name] for name in _TALK | asked})
    then = {name: option.default for name, option in OPTIONS.items()} | dict(saved)  # of younger options the default
    kept = [name for name in sorted(asked - MAY_CHANGE) if now[name] != then[name]]
    if kept:
        lines = [f"{settings.sources[name]}: a resumed run keeps {_spelled(name, then[name])}" for name in kept]
        raise OptionError("\n".join(lines), fix="start a new run for that")
    found = Settings.from_flat("train", {n: value for n, value in saved.items() if n not in PLACE} | now)
    if done >= found.training.epochs:
        where = str(settings.saving.resume)
        raise OptionError(f"already trained for {done} epochs", where, f"--epochs {done + 1} goes on")
    return found


def _spelled(name: str, value: Any) -> str:
    """An option as it would be typed."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return flag if value else flag.replace("--", "--no-", 1)
    words = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    return f"{flag} {words}" if value is not None else f"its default of {flag}"
