"""Notices that an option which somebody wrote does nothing beside the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from exphil.config.judging import Problem, Rule, typed

if TYPE_CHECKING:
    from exphil.config.layers import Settings

EVERY = {"hybrid": 2, "jamba": 3}
"""In which every how manieth layer is attention, unless told."""
KERNELS = ("chunked_attention", "memory_efficient_attention", "flash_attention")


def _idle(name: str, when: Callable[[Settings], bool], needs: str, *beside: str) -> Rule:
    """A notice that an option which somebody chose does nothing here; asked where the command has ``beside`` too."""

    def judge(settings: Settings) -> Problem | None:
        if any(settings.sources.get(begun, "default") != "default" for begun in ("resume", "init")):
            return None  # what else the run was asked for stands in its snapshot
        if not (typed(settings, name) and when(settings)):
            return None
        return Problem("notice", f"{settings.sources[name]} has no effect", f"it needs {needs}")

    return Rule((name, *beside), judge)


def has_no_memory(settings: Settings) -> bool:
    """Whether every frame is answered by itself."""
    return bool(settings["backbone"] == "mlp")


MEMORY = "a backbone with memory, any but mlp"
IDLE = (
    _idle("layer_norm", lambda s: s["backbone"] != "mlp", "--backbone mlp"),
    _idle(
        "residual",
        lambda s: s["backbone"] != "mlp" or len(s["hidden"]) < 2,
        "--backbone mlp of two layers or more",
    ),
    *(_idle(name, has_no_memory, MEMORY) for name in ("num_layers", "sequence_mode", "feed_forward", "truncate_bptt")),
    _idle(
        "truncate_bptt",
        lambda s: not has_no_memory(s) and (s["truncate_bptt"] or 0) >= s["window_size"],
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
    _idle("stride", lambda s: not s["temporal"] or (s["sequence_mode"] == "lanes" and not has_no_memory(s)), "windows"),
    _idle("weight_decay", lambda s: s["optimizer"] in ("adam", "radam"), "--optimizer adamw, lamb or muon"),
    _idle(
        "decay_steps",
        lambda s: s["lr_schedule"] in ("constant", "cosine_restarts"),
        "--lr-schedule cosine, linear or exponential",
    ),
    _idle("axis_buckets", lambda s: s["kmeans_centers"] is not None, "equal steps, and --kmeans-centers gives others"),
    *(_idle(name, lambda s: s["teacher"] is None, "--teacher") for name in ("teacher_weight", "teacher_temperature")),
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
    _idle("restart_period", lambda s: s["lr_schedule"] != "cosine_restarts", "--lr-schedule cosine_restarts"),
    _idle("restart_mult", lambda s: s["lr_schedule"] != "cosine_restarts", "--lr-schedule cosine_restarts"),
    _idle("focal_gamma", lambda s: not s["focal_loss"], "--focal-loss"),
    _idle("ema_decay", lambda s: not s["ema"], "--ema"),
    *(_idle(name, lambda s: not s["early_stopping"], "--early-stopping") for name in ("patience", "min_delta")),
    *(
        _idle(name, lambda s: not s["auto_batch_size"], "--auto-batch-size")
        for name in ("auto_batch_min", "auto_batch_max", "auto_batch_backoff")
    ),
    _idle(
        "batch_size",
        lambda s: s["auto_batch_size"],
        "a batch that is not searched for: drop --auto-batch-size",
        "auto_batch_size",
    ),
    _idle("val_concurrency", lambda s: not s["val_split"], "--val-split", "val_split"),
    _idle("wandb_project", lambda s: not (s["wandb"] or s["trackio"]), "--wandb or --trackio"),
    _idle("wandb_name", lambda s: not (s["wandb"] or s["trackio"]), "--wandb or --trackio"),
    _idle("backup_count", lambda s: not s["backup"], "--backup"),
    _idle("backup", lambda s: not s["overwrite"], "--overwrite, or --resume"),
)
