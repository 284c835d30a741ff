"""Presets: named bundles of option values, between the environment and a file in strength.

What enters: nothing; what leaves: literal tables. A preset may name options of several commands; a command takes the
ones it has, and every flag and every line of a file beats it. Values pass the same converter and checks as any other
source (tested). Those of the earlier system are here number for number; its character presets filtered no games, these
learn from whoever has the character. Presets for a GPU run without one too, slowly: the device is not among the values.

``hidden`` beside ``num_layers`` says how wide each layer is (``rules.py``); its two numbers are for ``--backbone mlp``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MIRRORED: Mapping[str, Any] = {"augment": True, "mirror_prob": 0.5, "noise_prob": 0.3, "noise_scale": 0.01}
_TENTH: Mapping[str, Any] = {"val_split": 0.1}
_AVERAGED: Mapping[str, Any] = {"ema": True, "ema_decay": 0.999}
_QUICK: Mapping[str, Any] = {"epochs": 3, "max_files": 30, "batch_size": 256, "hidden": (64, 64)}
_ONE_LAYER: Mapping[str, Any] = {"window_size": 30, "num_layers": 1, **_MIRRORED, **_TENTH}
_STEADY: Mapping[str, Any] = {
    **_MIRRORED, "label_smoothing": 0.1, **_TENTH, "early_stopping": True, "patience": 5,
    "lr_schedule": "cosine", "lr": 1e-4, "warmup_steps": 500, **_AVERAGED, "keep_best": 5,
}  # fmt: skip
_PATIENT: Mapping[str, Any] = {
    "epochs": 100, "batch_size": 256, "hidden": (256, 256),
    "backbone": "mamba", "window_size": 60, "num_layers": 3, "state_size": 32,
    **_MIRRORED, "label_smoothing": 0.1,
    "val_split": 0.15, "early_stopping": True, "patience": 10, "min_delta": 0.001,
    "lr_schedule": "cosine_restarts", "lr": 1e-4, "warmup_steps": 2000, "restart_period": 5000, "restart_mult": 2,
    "ema": True, "ema_decay": 0.9995, "keep_best": 10, "accumulation_steps": 4,
}  # fmt: skip

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"epochs": 1, "max_files": 5, "batch_size": 32, "hidden": (32, 32)},
    "standard": {
        "epochs": 10, "max_files": 50, "batch_size": 64, "hidden": (64, 64),
        **_MIRRORED, "noise_prob": 0.2, "label_smoothing": 0.05,
        **_TENTH, "early_stopping": True, "patience": 5, "lr_schedule": "cosine", "lr": 3e-4,
    },
    "full_cpu": {
        "epochs": 30, "max_files": 200, "batch_size": 64, "hidden": (128, 128),
        **_STEADY, "patience": 7, "min_delta": 0.005, "keep_best": 3,
    },
    "gpu_quick": {**_QUICK, "max_files": 20, "backbone": "mamba", **_ONE_LAYER},
    "gpu_mlp_quick": {
        "epochs": 5, "max_files": 50, "batch_size": 256, "hidden": (128, 128), "precompute": True,
        "augment": True, "mirror_prob": 0.5, **_TENTH,
        "lr_schedule": "cosine", "lr": 3e-4, "warmup_steps": 100,
    },
    "gpu_lstm_quick": {**_QUICK, "backbone": "lstm", **_ONE_LAYER},
    "gpu_gru_quick": {**_QUICK, "backbone": "gru", **_ONE_LAYER},
    "gpu_attention_quick": {**_QUICK, "backbone": "attention", "num_heads": 4, **_ONE_LAYER},
    "gpu_standard": {
        "epochs": 20, "max_files": 100, "batch_size": 256, "hidden": (128, 128),
        "backbone": "mamba", "window_size": 60, "num_layers": 2, **_STEADY,
    },
    "full": {
        "epochs": 50, "batch_size": 256, "hidden": (256, 256),
        "backbone": "mamba", "window_size": 60, "num_layers": 2, **_STEADY,
        "patience": 7, "min_delta": 0.005, "warmup_steps": 1000, "accumulation_steps": 2,
    },
    "production": _PATIENT,
    "rtx4090_quick": {**_QUICK, "batch_size": 512, "hidden": (128, 128), "backbone": "mamba", **_ONE_LAYER},
    "rtx4090_standard": {
        "epochs": 20, "max_files": 200, "batch_size": 512, "hidden": (256, 256),
        "backbone": "mamba", "window_size": 60, "num_layers": 2, "state_size": 16, **_STEADY,
    },
    "rtx4090_full": {**_PATIENT, "epochs": 50, "batch_size": 512, "warmup_steps": 1000},
    "mewtwo": {**_PATIENT, "window_size": 90, "train_character": "mewtwo"},
    "ganondorf": {**_PATIENT, "window_size": 60, "train_character": "ganondorf"},
    "link": {**_PATIENT, "window_size": 75, "train_character": "link"},
    "gameandwatch": {**_PATIENT, "window_size": 45, "train_character": "game_and_watch"},
    "zelda": {**_PATIENT, "window_size": 60, "train_character": "zelda"},
    # One controller moves two climbers: what Nana does decides what a press does. Her action comes as itself instead
    # of one of 25 groups, and what a grab, a regrab or a desync hangs on comes with it.
    "iceclimbers": {
        **_PATIENT, "window_size": 60, "train_character": "ice_climbers",
        "nana_mode": "enhanced", "ic_tech": True,
    },
}  # fmt: skip

PURPOSES: Mapping[str, str] = {
    "quick": "see that everything works: one epoch of a tiny network",
    "standard": "a first policy on a laptop: single frames, mirrored games, stops by itself",
    "full_cpu": "single frames for longer, at a small learning rate, with averaged weights",
    "gpu_quick": "see that a GPU works: one layer of mamba",
    "gpu_mlp_quick": "as fast as a GPU goes: single frames",
    "gpu_lstm_quick": "a short run with memory: one layer of lstm",
    "gpu_gru_quick": "a short run with memory: one layer of gru",
    "gpu_attention_quick": "a short run with memory: one layer of attention",
    "gpu_standard": "a good policy on a GPU",
    "full": "all games, two layers of mamba",
    "production": "all games, three layers of mamba, learned for as long as it helps",
    "rtx4090_quick": "a short run for a GPU of 24 GB",
    "rtx4090_standard": "a good policy on a GPU of 24 GB",
    "rtx4090_full": "production with batches for a GPU of 24 GB",
    "mewtwo": "production from Mewtwo's games alone, in windows of 90 frames",
    "ganondorf": "production from Ganondorf's games alone, in windows of 60 frames",
    "link": "production from Link's games alone, in windows of 75 frames",
    "gameandwatch": "production from Mr. Game & Watch's games alone, in windows of 45 frames",
    "zelda": "production from Zelda's games alone, in windows of 60 frames",
    "iceclimbers": "production from Ice Climbers' games alone; sees all that Nana does",
}
"""What each preset is for, in a line."""
