"""Every option changes what its line says: each row builds the same thing without and with the option and looks at it.

``ELSEWHERE`` names the tests of the options whose effect is what a whole command prints or writes. Together the two
tables must hold every option there is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings, resolve
from exphil.data.sampler import split
from exphil.features.kmeans import Centres
from exphil.game.frames import Lacks
from exphil.models.dropout import Dropout
from exphil.replays.sources import Source, find
from exphil.train import checkpoint, runtime

CPU = torch.device("cpu")
GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"]
OLD = "captain_falcon_vs_zelda_yoshis_story_005.slp"
NEW = "sheik_vs_sheik_pokemon_stadium_035.slp"  # its forms are recorded
GRU = {"--backbone": "gru", "--hidden": "8"}
MAMBA = {"--backbone": "mamba", "--hidden": "8"}
ATTENTION = {"--backbone": "attention", "--hidden": "8", "--dropout": "0"}
DEEP = {**GRU, "--num-layers": "4"}
WINDOWS = {**GRU, "--sequence-mode": "windows"}

ELSEWHERE = {
    **dict.fromkeys(
        ("deterministic", "temperature", "press_threshold", "action_repeat"),
        "cli/test_play_command.py: other controllers reach the arena",
    ),
    "release_threshold": "play/test_manner.py: a button is released later; cli/test_play_command.py",
    "world": "cli/test_play_command.py: it plays in an arena of UMI; cli/test_match_command.py: in melee_sim",
    **dict.fromkeys(
        ("games", "within", "as_characters", "minutes", "stocks", "save_replays"),
        "cli/test_match_command.py: what is played and written",
    ),
    "socket": "cli/test_play_command.py: it plays there",
    **dict.fromkeys(
        ("teacher", "teacher_weight", "teacher_temperature"),
        "train/test_distill.py: test_weight_and_temperature_change_what_is_made_small_and_nats_stay_plain",
    ),
    "int8": "cli/test_export_onnx.py: a second graph, smaller",
    "private": "train/test_hub.py: a repository that is made is private",
    "policy": "cli/test_doctor.py: its lines are there, and a damaged one is a problem",
    "player_registry": "end_to_end/test_styles.py: the file is written, read and extended",
    "style": "end_to_end/test_styles.py: another style, other predictions",
    "held_out": "end_to_end/test_road.py: only those, and the baselines of the end",
    "skip_errors": "end_to_end/test_reading.py: --fail-fast stops at the first bad file",
    "show_errors": "end_to_end/test_reading.py: names bad files",
    "error_log": "end_to_end/test_reading.py: the file names all",
    "show_quality_stats": "end_to_end/test_reading.py: bars",
    "gc_every": "train/test_session.py: collections are counted",
    "resume": "end_to_end/test_road.py: Ctrl-C and resume",
    "preset": "config/test_layers.py: precedence of layers",
    "config": "config/test_layers.py: precedence of layers",
    "json": "end_to_end/test_road.py: evaluate --json; cli/test_replays.py: scan --json",
    "k": "cli/test_kmeans_command.py: as many centres; a span of them is a table",
    "per_axis": "cli/test_kmeans_command.py: four axes in the file",
    "output": "cli/test_kmeans_command.py: the file is written",
    "html": "cli/test_replay_stats.py: the page is written",
    "only": "cli/test_benchmark_command.py: the table holds these alone",
    "skip": "cli/test_benchmark_command.py: the table lacks these",
    "seeds": "cli/test_benchmark_command.py: so many runs of each",
    "updates": "cli/test_benchmark_command.py: every run ends after so many",
    "player": "cli/test_benchmark_command.py: a column for each player; cli/test_play_command.py: the same presses",
    "continue_on_error": "cli/test_benchmark_command.py: the others are trained",
    "ema": "train/test_updates.py: validated, and saved as a policy of its own",
    "ema_decay": "train/test_updates.py: the formula of the average",
    "early_stopping": "train/test_updates.py: ends after so many epochs",
    "patience": "train/test_updates.py: ends after so many epochs",
    "min_delta": "train/test_updates.py: what counts as better",
    "save_every": "train/test_updates.py: the snapshots that are there",
    "save_every_batches": "train/test_updates.py: the snapshot and its update",
    "keep_best": "train/test_updates.py: the snapshots that are there",
    "val_concurrency": "test_val_concurrency_shares_out_the_held_out_games below",
    "init": "train/test_updates.py: the weights that it begins with",
    "auto_batch_size": "test_auto_batch_size_trains_with_the_batch_that_it_finds below",
    "auto_batch_min": "train/test_batch_size.py: the least batch that is tried",
    "auto_batch_max": "train/test_batch_size.py: the largest batch that is tried",
    "auto_batch_backoff": "train/test_batch_size.py: the share of the memory",
    "lr_min": "cli/test_find_lr_command.py: the rates that are tried",
    "lr_max": "cli/test_find_lr_command.py: the rates that are tried",
    "lr_steps": "cli/test_find_lr_command.py: how many rates are tried",
    "overwrite": "test_overwriting_keeps_backups below",
    "backup": "test_overwriting_keeps_backups below",
    "backup_count": "test_overwriting_keeps_backups below",
    "register": "test_runs_are_registered_unless_told_otherwise below",
    "save_config": "test_save_config_writes_a_file_that_gives_the_same_options below",
    "wandb": "contract/test_loggers.py: what is logged is there; test_loggers_are_switched_on_by_name below",
    "wandb_project": "test_loggers_are_switched_on_by_name below",
    "wandb_name": "test_loggers_are_switched_on_by_name below",
    "tensorboard": "contract/test_loggers.py; test_loggers_are_switched_on_by_name below",
    "trackio": "contract/test_loggers.py; test_loggers_are_switched_on_by_name below",
    "sort": "cli/test_models_commands.py: the order of the list",
    "reverse": "cli/test_models_commands.py: the order of the list",
    "tagged": "cli/test_models_commands.py: only those",
    "files": "cli/test_models_commands.py: they are gone",
    "probe_seconds": "cli/test_presets_command.py: without it no times",
    "quiet": "cli/test_terminal.py and test_quiet_and_verbose below",
    "verbose": "cli/test_terminal.py and test_quiet_and_verbose below",
    "dry_run": "test_dry_run_prints_and_writes_nothing below",
    "log_interval": "test_log_interval_sets_the_lines_of_the_metrics_file below",
    "save_best": "test_save_best_writes_a_second_snapshot below",
    "epochs": "test_log_interval_sets_the_lines_of_the_metrics_file below",
    "name": "test_name_checkpoint_and_folder_say_where_the_run_goes below",
    "checkpoint": "test_name_checkpoint_and_folder_say_where_the_run_goes below",
    "checkpoints_dir": "test_name_checkpoint_and_folder_say_where_the_run_goes below",
    "flash_attention": "models/test_attention.py; test_attention_takes_the_kernel_asked_for below",
    "precision": "test_precision_changes_what_is_computed_and_not_what_is_kept below",
    "profile": "test_profile_says_where_the_time_goes below",
    "workers": "replays/test_library.py: the same games in the same order for every number of workers",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, replays: Path) -> Path:
    root = tmp_path_factory.mktemp("options")
    for name in (*GAMES, OLD):
        shutil.copy(replays / name, root)
    for within, names in {"other": GAMES[:1], "stadium": [GAMES[1], NEW]}.items():
        (root / within).mkdir()
        for name in names:
            shutil.copy(replays / name, root / within)
    Centres(((-0.9, -0.3, 0.0, 0.3, 0.9),)).save(root / "sticks.json")
    return root


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(folder: Path, *flags: dict[str, Any]) -> Settings:
    typed: dict[str, Any] = {"--replays": str(folder), "--max-files": "3"}
    for more in flags:
        typed |= more
    return resolve("train", typed, {})


def games(asked: Settings) -> Any:
    corpus, used, _ = assemble.read(asked, sources(asked))
    return (
        [file.source.path.parent.name for file in used],
        [(e.name, e.character) for e in corpus.entries],
        int(corpus.length.sum()),
    )


def loaded(asked: Settings, corpus: Any, plan: Any) -> Any:
    return assemble.loader(asked, corpus, plan, assemble.codec(asked), CPU)


def sources(asked: Settings) -> list[Source]:
    return find(asked.data.replays, asked.data.max_files).sources


def contents(asked: Settings) -> Any:
    corpus = assemble.read(asked, sources(asked)).corpus
    return [hashlib.sha256(corpus.game(at).rows.tobytes()).hexdigest() for at in range(len(corpus.entries))]


def kept(asked: Settings) -> Any:
    """The files of the store after two readings, and which of them the second one wrote."""
    shutil.rmtree("cache", ignore_errors=True)
    assemble.read(asked, sources(asked))
    before = {path: path.stat().st_mtime_ns for path in asked.cachedir.cache_dir.rglob("*.game")}
    assemble.read(asked, sources(asked))
    written = [path for path, changed in before.items() if path.stat().st_mtime_ns != changed]
    return sorted((str(path.parent.parent), path.stat().st_size) for path in before), len(written)


def fed(asked: Settings) -> Any:
    """How batches are made: from what, how far ahead, and what is open meanwhile."""
    corpus = assemble.read(asked, sources(asked)).corpus
    batches = loaded(asked, corpus, assemble.plan(asked, corpus, 0))
    source = batches._source
    batches.load(0, 0)
    rows = getattr(source, "_rows", None)
    ahead, most = len(batches._coming), batches.corpus.shelf.most
    files = sorted(path.name for path in Path().rglob("*.npy"))
    return type(source).__name__, ahead, most, files, None if rows is None else (type(rows).__name__, len(rows))


def noise(asked: Settings) -> Any:
    """Stretches that get noise, and how far the numbers are from those without."""
    corpus = assemble.read(asked, sources(asked)).corpus
    plan, still = assemble.plan(asked, corpus, 0), assemble.plan(settings_without_noise(asked), corpus, 0)
    one, two = (loaded(asked, corpus, each).load(0, 0).floats for each in (plan, still))
    return int((plan.pick(0, 0).noise > 0).sum()), round(float((one - two).std()), 6)


def settings_without_noise(asked: Settings) -> Settings:
    return asked.changed({"noise_prob": 0.0}, "test")


def structure(asked: Settings) -> Any:
    policy = assemble.policy(asked, assemble.codec(asked))
    drops = [module.share for module in policy.modules() if isinstance(module, Dropout)]
    kinds = [type(module).__name__ for module in policy.modules()]
    return [(name, tuple(p.shape)) for name, p in policy.named_parameters()], drops, kinds


def kept_for_backward(asked: Settings) -> tuple[int, int]:
    """Tensors and bytes that a training step of the backbone keeps for its backward pass."""
    model = assemble.BACKBONES[str(asked["backbone"])](asked, 8).train()
    sizes: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(torch.randn(2, 64, 8), model.initial_state(2))
    return len(sizes), sum(sizes)


def remembered(asked: Settings) -> list[tuple[int, ...]]:
    """The shapes of what the first layer carries."""
    first = assemble.BACKBONES[str(asked["backbone"])](asked, 8).initial_state(1)[0]
    return [tuple(part.shape) for part in first]


def gradients(asked: Settings) -> list[float]:
    """Gradients of a backbone's parameters from the last frames of a stretch."""
    torch.manual_seed(0)
    model = assemble.BACKBONES[str(asked["backbone"])](asked, 8).train()
    y, _ = model(torch.randn(2, 40, 8), model.initial_state(2))
    y[:, -1:].pow(3).sum().backward()
    return [float(p.grad.abs().sum()) for p in model.parameters() if p.grad is not None]


def picks(asked: Settings) -> Any:
    corpus = assemble.read(asked, sources(asked))[0]
    plan = assemble.plan(asked, corpus, asked["seed"] or 0)
    first = plan.pick(0, 0)
    return type(plan).__name__, plan.window, plan.batch, plan.steps(0), first.first.tolist()


def flips(asked: Settings) -> Any:
    corpus = assemble.read(asked, sources(asked))[0]
    plan = assemble.plan(asked, corpus, 0)
    return sum(int(plan.pick(epoch, 0).mirrored.sum()) for epoch in range(20))


def weights(asked: Settings) -> Any:
    corpus = assemble.read(asked, sources(asked))[0]
    batches = loaded(asked, corpus, assemble.plan(asked, corpus, 0))
    return [batches.load(0, step).weight.sum().item() for step in range(3)]


def rates(asked: Settings) -> Any:
    rate = assemble.schedule(asked, 1000)
    return [rate(update) for update in (0, 1, 5, 100, 500, 999)]


def stepped(asked: Settings) -> Any:
    """Parameters after one optimiser step on made-up gradients."""
    torch.manual_seed(0)
    policy = assemble.policy(asked, assemble.codec(asked))
    optimizer = assemble.optimizer(asked, policy)
    for at, parameter in enumerate(policy.parameters()):
        parameter.grad = torch.full_like(parameter, 0.1 + at)
    optimizer.step()
    return type(optimizer).__name__, [parameter.detach().sum().item() for parameter in policy.parameters()]


def moved(asked: Settings) -> Any:
    """Weights after one update on a real batch."""
    from exphil.train import loop

    torch.manual_seed(0)
    corpus = assemble.read(asked, sources(asked))[0]
    policy = assemble.policy(asked, assemble.codec(asked))
    run = loop.Run(policy, assemble.optimizer(asked, policy), CPU)
    batches = loaded(asked, corpus, assemble.plan(asked, corpus, 0))
    next(loop.train(run, batches, lambda _: 1e-2, 1, assemble.way(asked)))
    return [parameter.detach().sum().item() for parameter in policy.parameters()]


def numbers(asked: Settings) -> Any:
    """The size of what the policy sees, and the shapes of what it learns: numbers and networks agree."""
    table, corpus = assemble.table(asked), assemble.read(asked, sources(asked)).corpus
    batch = loaded(asked, corpus, assemble.plan(asked, corpus, 0)).load(0, 0)
    assert batch.floats.shape[-1] == table.floats and batch.ids.shape[-1] == table.ids
    policy = assemble.policy(asked, assemble.codec(asked))
    log_prob, _ = policy.score(*batch[:3], policy.initial_state(len(batch.floats)), batch.is_first)
    assert log_prob.isfinite().all()
    return table.floats, [found.name for found in table.vocabularies], structure(asked)[0]


def classes(asked: Settings) -> Any:
    """How many classes the parts of an action have, and what the sticks of a batch become."""
    corpus, codec = assemble.read(asked, sources(asked)).corpus, assemble.codec(asked)
    taken = loaded(asked, corpus, assemble.plan(asked, corpus, 0)).load(0, 0).action
    assert (taken.amax((0, 1)) < torch.tensor(codec.classes)).all()
    return codec.classes, codec.decode(taken).main_x.unique().tolist()


def lateness(asked: Settings) -> Any:
    """The delays of some epochs, the room for them, and the delay that the policy is told."""
    corpus, table = assemble.read(asked, sources(asked)).corpus, assemble.table(asked)
    plan = assemble.plan(asked, corpus, 0)
    found = sorted({int(late) for epoch in range(60) for late in plan.pick(epoch, 0).delay})
    told = loaded(asked, corpus, plan).load(0, 0).floats[..., -1].max().item() if table.max_delay else 0.0
    return assemble.delays(asked), (found[0], found[-1]), table.max_delay, corpus.ahead, round(told * 30)


def styled(asked: Settings) -> Any:
    """The number of each seat's player."""
    corpus = assemble.read(asked, sources(asked))[0]
    _, (found, _) = assemble.enrolled(asked, (corpus, None), None)
    return [entry.style for entry in found.entries]


def objective(asked: Settings) -> float:
    """What is made small of the same decisions; some press A."""
    torch.manual_seed(0)
    log_prob, spread = -torch.rand(4, 5, 13), -2 - torch.rand(4, 5, 13)
    action = torch.randint(0, 2, (4, 5, 13))
    return float(assemble.loss(asked)(log_prob, spread, action, torch.ones(4, 5)).objective)


RESTARTS = {"--lr-schedule": "cosine_restarts", "--restart-period": "20"}
STYLES = {"--learn-player-styles": True}
ONE_BATCH = {**GRU, "--batch-size": "2"}
LATE = {**GRU, "--frame-delay-augment": True}
ACTS: list[tuple[str, Callable[[Settings], Any], dict[str, Any], dict[str, Any]]] = [
    ("replays", games, {}, {"--replays": "other"}),
    ("max_files", games, {}, {"--max-files": "2"}),
    ("player_port", games, {}, {"--player-port": "2"}),
    ("train_character", games, {}, {"--train-character": "falco"}),
    ("dual_port", games, {}, {"--dual-port": True}),
    ("allow_missing", games, {}, {"--allow-missing": True}),
    ("all_frames", weights, {**GRU, "--batch-size": "512"}, {"--all-frames": True}),
    ("val_split", lambda s: split(10, s.validation.val_split, 1), {}, {"--val-split": "0.3"}),
    ("num_player_names", lambda s: assemble.table(s).floats, {}, {"--num-player-names": "5"}),
    ("stage_mode", numbers, ONE_BATCH, {"--stage-mode": "full"}),
    ("stage_mode", numbers, ONE_BATCH, {"--stage-mode": "learned"}),
    ("action_mode", numbers, ONE_BATCH, {"--action-mode": "one_hot"}),
    ("character_mode", numbers, ONE_BATCH, {"--character-mode": "one_hot"}),
    ("nana_mode", numbers, ONE_BATCH, {"--nana-mode": "enhanced"}),
    ("nana_mode", numbers, ONE_BATCH, {"--nana-mode": "full"}),
    ("jumps_normalized", numbers, ONE_BATCH, {"--no-jumps-normalized": True}),
    ("stage_motion", numbers, {**ONE_BATCH, "--allow-missing": True}, {"--stage-motion": True}),
    ("ic_tech", numbers, ONE_BATCH, {"--ic-tech": True}),
    ("umi_safe", numbers, {**ONE_BATCH, "--allow-missing": True, "--stage-motion": True}, {"--umi-safe": True}),
    ("umi_safe", games, {"--stage-motion": True, "--replays": "stadium"}, {"--umi-safe": True}),
    ("axis_buckets", classes, GRU, {"--axis-buckets": "32"}),
    ("axis_buckets", structure, {}, {"--axis-buckets": "2"}),
    ("shoulder_buckets", classes, GRU, {"--shoulder-buckets": "1"}),
    ("shoulder_buckets", structure, {}, {"--shoulder-buckets": "10"}),
    ("kmeans_centers", classes, GRU, {"--kmeans-centers": "sticks.json"}),
    ("kmeans_centers", structure, {}, {"--kmeans-centers": "sticks.json"}),
    ("frame_delay", lateness, GRU, {"--frame-delay": "7"}),
    ("frame_delay_augment", lateness, GRU, {"--frame-delay-augment": True}),
    ("frame_delay_min", lateness, LATE, {"--frame-delay-min": "4"}),
    ("frame_delay_max", lateness, LATE, {"--frame-delay-max": "9"}),
    ("online_robust", lateness, GRU, {"--online-robust": True}),
    ("learn_player_styles", styled, {}, STYLES),
    ("min_player_games", styled, {**STYLES, "--dual-port": True}, {"--min-player-games": "2"}),
    ("player_mode", lambda s: assemble.table(s).ids, STYLES, {"--player-mode": "learned"}),
    ("characters", games, {}, {"--characters": "ice_climbers,kirby"}),
    ("stages", games, {}, {"--stages": "fod"}),
    ("min_quality", games, {}, {"--min-quality": "90"}),
    ("skip_duplicates", games, {"--max-files": "9"}, {"--no-skip-duplicates": True}),
    ("rollbacks", contents, {}, {"--rollbacks": "last"}),
    ("balance_characters", picks, {**GRU, "--dual-port": True}, {"--balance-characters": True}),
    ("precompute", kept, {}, {"--no-precompute": True}),
    ("cache", kept, {}, {"--no-cache": True}),
    ("cache_dir", kept, {}, {"--cache-dir": "elsewhere"}),
    ("cache_compress", kept, {}, {"--cache-compress": True}),
    ("stream_chunk_size", fed, GRU, {"--stream-chunk-size": "1"}),
    ("stream_chunk_size", picks, GRU, {"--stream-chunk-size": "1"}),
    ("stream_chunk_frames", picks, GRU, {"--stream-chunk-frames": "3000"}),
    ("prefetch", fed, GRU, {"--no-prefetch": True}),
    ("prefetch_buffer", fed, ONE_BATCH, {"--prefetch-buffer": "4"}),
    ("cache_embeddings", fed, GRU, {"--cache-embeddings": True}),
    ("cache_augmented", fed, {**GRU, "--augment": True}, {"--cache-augmented": True}),
    ("num_noisy_variants", fed, {**GRU, "--augment": True, "--cache-augmented": True}, {"--num-noisy-variants": "1"}),
    ("mmap_embeddings", fed, {**GRU, "--cache-embeddings": True}, {"--mmap-embeddings": True}),
    ("mmap_path", fed, {**GRU, "--mmap-embeddings": True}, {"--mmap-path": "own.npy"}),
    ("noise_prob", noise, {**GRU, "--augment": True}, {"--noise-prob": "1"}),
    ("noise_scale", noise, {**GRU, "--augment": True}, {"--noise-scale": "0.1"}),
    ("augment", flips, {}, {"--augment": True}),
    ("augment", flips, GRU, {"--augment": True}),
    ("mirror_prob", flips, {**GRU, "--augment": True}, {"--mirror-prob": "1"}),
    ("temporal", picks, {"--backbone": "mlp"}, {"--temporal": True}),
    ("backbone", structure, GRU, {"--backbone": "lstm"}),
    ("hidden", structure, {}, {"--hidden": "32,16"}),
    ("num_layers", structure, GRU, {"--num-layers": "3"}),
    ("feed_forward", structure, GRU, {"--feed-forward": "2"}),
    ("truncate_bptt", gradients, {**GRU, "--dropout": "0"}, {"--truncate-bptt": "10"}),
    ("state_size", structure, MAMBA, {"--state-size": "8"}),
    ("state_size", structure, {**MAMBA, "--backbone": "mamba2"}, {"--state-size": "8"}),
    ("expand_factor", structure, MAMBA, {"--expand-factor": "3"}),
    ("conv_size", structure, MAMBA, {"--conv-size": "2"}),
    ("num_heads", gradients, ATTENTION, {"--num-heads": "2"}),
    ("attention_every", structure, {"--backbone": "jamba", "--hidden": "8"}, {"--attention-every": "2"}),
    ("qk_layernorm", structure, ATTENTION, {"--no-qk-layernorm": True}),
    ("chunked_attention", kept_for_backward, ATTENTION, {"--chunked-attention": True}),
    ("memory_efficient_attention", kept_for_backward, ATTENTION, {"--memory-efficient-attention": True}),
    ("chunk_size", kept_for_backward, {**ATTENTION, "--chunked-attention": True}, {"--chunk-size": "16"}),
    ("gradient_checkpoint", kept_for_backward, DEEP, {"--gradient-checkpoint": True}),
    ("checkpoint_every", kept_for_backward, {**DEEP, "--gradient-checkpoint": True}, {"--checkpoint-every": "2"}),
    ("dropout", structure, {}, {"--dropout": "0.3"}),
    ("layer_norm", structure, {}, {"--layer-norm": True}),
    ("residual", structure, {}, {"--residual": True}),
    ("head", structure, {}, {"--head": "independent"}),
    ("window_size", picks, GRU, {"--window-size": "32"}),
    ("window_size", remembered, ATTENTION, {"--window-size": "32"}),
    ("stride", picks, WINDOWS, {"--stride": "7"}),
    ("sequence_mode", picks, GRU, {"--sequence-mode": "windows"}),
    ("loss_positions", weights, {**WINDOWS, "--stride": "1"}, {"--loss-positions": "last"}),
    ("batch_size", picks, GRU, {"--batch-size": "8"}),
    ("seed", picks, {**GRU, "--seed": "1"}, {"--seed": "2"}),
    ("lr", rates, {}, {"--lr": "1e-3"}),
    ("lr_schedule", rates, {}, {"--lr-schedule": "cosine"}),
    ("lr_schedule", rates, {}, {"--lr-schedule": "linear"}),
    ("lr_schedule", rates, {}, {"--lr-schedule": "exponential"}),
    ("warmup_steps", rates, {}, {"--warmup-steps": "10"}),
    ("decay_steps", rates, {"--lr-schedule": "cosine"}, {"--decay-steps": "200"}),
    ("optimizer", stepped, {}, {"--optimizer": "adamw", "--weight-decay": "0.1"}),
    ("optimizer", stepped, {}, {"--optimizer": "radam"}),
    ("optimizer", stepped, {}, {"--optimizer": "lamb"}),
    ("optimizer", stepped, {}, {"--optimizer": "muon"}),
    ("weight_decay", stepped, {"--optimizer": "adamw"}, {"--weight-decay": "0.1"}),
    ("lr_schedule", rates, {}, {"--lr-schedule": "cosine_restarts"}),
    ("restart_period", rates, RESTARTS, {"--restart-period": "50"}),
    ("restart_mult", rates, RESTARTS, {"--restart-mult": "3"}),
    ("accumulation_steps", picks, GRU, {"--accumulation-steps": "2"}),
    ("focal_loss", objective, {}, {"--focal-loss": True}),
    ("focal_gamma", objective, {"--focal-loss": True}, {"--focal-gamma": "1"}),
    ("label_smoothing", objective, {}, {"--label-smoothing": "0.1"}),
    ("button_weights", objective, {}, {"--button-weights": "z=12,a=2"}),
    ("max_grad_norm", moved, {**ONE_BATCH, "--optimizer": "adam"}, {"--max-grad-norm": "0.001"}),
    ("device", lambda s: s.machine.device == "auto" or runtime.device(s.machine.device), {}, {"--device": "cpu"}),
]


@pytest.mark.parametrize(
    ("name", "look", "given", "changed"), ACTS, ids=[f"{row[0]}-{at}" for at, row in enumerate(ACTS)]
)
def test_the_option_acts(folder, name, look, given, changed):
    given, changed = (
        {
            flag: str(folder / value) if flag in ("--replays", "--kmeans-centers") else value
            for flag, value in each.items()
        }
        for each in (given, changed)
    )
    before, after = settings(folder, given), settings(folder, given, changed)
    assert name in {option for option in before.flat() if before[option] != after[option]}
    assert look(before) != look(after)


def test_every_option_has_a_test():
    assert {row[0] for row in ACTS} | set(ELSEWHERE) | {"threads"} == set(OPTIONS)


def test_threads_pins_torch():
    try:
        assert runtime.set_threads(2) == 2 and torch.get_num_threads() == 2
        assert runtime.set_threads(1) == 1
    finally:
        torch.set_num_threads(1)


def test_allow_missing_adds_presence_bits_that_tell_old_from_new(folder):
    asked = settings(folder, {"--allow-missing": True})
    corpus, used, _ = assemble.read(asked, sources(asked))
    table = assemble.table(asked)
    lacking = {file.source.name: Lacks(int(corpus.game(at).lacks[0])) for at, file in enumerate(used)}
    assert lacking[OLD] & Lacks.SPEEDS and not lacking[GAMES[0]] & Lacks.SPEEDS
    bits = {file.source.name: table.encode(corpus.game(at)[:1])[0][0, -6:] for at, file in enumerate(used)}
    assert np.all(bits[GAMES[0]] == 1) and bits[OLD].min() == 0


def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **flags: Any) -> tuple[int, Path]:
    """One tiny run of ``exphil train`` in this process."""
    from exphil.cli import train

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    typed = {"--" + name.replace("_", "-"): value for name, value in flags.items()}
    tiny = {"--replays": str(folder / "other"), "--threads": "1", "--device": "cpu", "--epochs": "2", **GRU}
    asked = resolve("train", {**tiny, **typed}, {})
    return train.run(asked), tmp_path


def test_name_checkpoint_and_folder_say_where_the_run_goes(folder, tmp_path, monkeypatch):
    run(folder, tmp_path, monkeypatch, name="one", epochs="1")
    run(folder, tmp_path, monkeypatch, name="two", epochs="1", checkpoints_dir="elsewhere")
    run(folder, tmp_path, monkeypatch, checkpoint="deep/three.pt", epochs="1")
    for path in ("checkpoints/one", "elsewhere/two", "deep/three"):
        assert (tmp_path / f"{path}.pt").is_file() and (tmp_path / f"{path}_policy.safetensors").is_file()


def test_log_interval_sets_the_lines_of_the_metrics_file(folder, tmp_path, monkeypatch):
    counts = []
    for interval in ("1", "1000"):
        run(folder, tmp_path, monkeypatch, name=f"every_{interval}", log_interval=interval)
        lines = (tmp_path / "checkpoints" / f"every_{interval}_metrics.jsonl").read_text().splitlines()
        counts.append(sum('"event": "batch"' in line for line in lines))
        assert sum('"event": "epoch"' in line for line in lines) == 2, "--epochs 2"
    assert counts[0] > counts[1] == 2, "at least the end of every epoch"


def test_save_best_writes_a_second_snapshot(folder, tmp_path, monkeypatch):
    run(folder, tmp_path, monkeypatch, name="with")
    run(folder, tmp_path, monkeypatch, name="without", no_save_best=True)
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert "with_best.pt" in names and "without_best.pt" not in names


def test_overwriting_keeps_backups(folder, tmp_path, monkeypatch):
    """``.bak`` is the run before, ``.bak.1`` the one before that; no more than asked for, none if told so."""
    root, seeds = tmp_path / "checkpoints", []
    for at, flags in enumerate(
        ({}, {"overwrite": True}, {"overwrite": True}, {"overwrite": True, "backup_count": "2"})
    ):
        run(folder, tmp_path, monkeypatch, name="a", epochs="1", seed=str(at), **flags)
        there = [root / name for name in ("a.pt", "a.pt.bak", "a.pt.bak.1", "a.pt.bak.2")]
        seeds.append([checkpoint.load_snapshot(path)["config"]["seed"] for path in there if path.exists()])
    assert seeds == [[0], [1, 0], [2, 1, 0], [3, 2, 1]] or seeds[-1][:3] == [3, 2, 1]
    for path in root.iterdir():
        path.unlink()
    run(folder, tmp_path, monkeypatch, name="a", epochs="1")
    run(folder, tmp_path, monkeypatch, name="a", epochs="1", overwrite=True, no_backup=True)
    assert not list(root.glob("*.bak*"))


def test_auto_batch_size_trains_with_the_batch_that_it_finds(folder, tmp_path, monkeypatch, capsys):
    bounds = {"auto_batch_min": "3", "auto_batch_max": "6"}
    run(folder, tmp_path, monkeypatch, name="found", epochs="1", auto_batch_size=True, **bounds)
    config = checkpoint.load_snapshot(tmp_path / "checkpoints" / "found.pt")["config"]
    assert config["batch_size"] in (3, 6)
    assert f"batch      {config['batch_size']}: " in capsys.readouterr().err


def test_runs_are_registered_unless_told_otherwise(folder, tmp_path, monkeypatch):
    run(folder, tmp_path, monkeypatch, name="known", epochs="1")
    run(folder, tmp_path, monkeypatch, name="unknown", epochs="1", no_register=True)
    page = json.loads((tmp_path / "checkpoints" / "registry.json").read_text())
    assert [entry["name"] for entry in page["entries"]] == ["known"]


def test_save_config_writes_a_file_that_gives_the_same_options(folder, tmp_path, monkeypatch):
    flags = {"name": "a", "epochs": "3", "button_weights": "z=12", "dry_run": True, "save_config": "mine.yaml"}
    run(folder, tmp_path, monkeypatch, **flags)
    again = resolve("train", {"--config": "mine.yaml"}, {})
    wanted = {"backbone": "gru", "hidden": (8,), "epochs": 3, "button_weights": ("z=12",), "threads": 1}
    assert {name: again[name] for name in wanted} == wanted


def test_loggers_are_switched_on_by_name(folder, tmp_path):
    """One for each, with project and name of the run as they were given; TensorBoard's really writes."""
    from exphil.train.runfiles import RunFiles

    files = RunFiles.at(tmp_path / "a")
    for flags, kinds in (({}, 1), ({"--tensorboard": True}, 2)):
        made = assemble.loggers(settings(folder, flags), files, {"lr": 1}, False)
        assert len(made) == kinds
        for logger in made:
            logger.log("batch", 1, {"loss": 1.0})
            logger.close()
    assert list(files.beside("_tensorboard").iterdir())
    flags = {"--wandb": True, "--trackio": True, "--wandb-project": "mine", "--wandb-name": "one"}
    for name in ("wandb", "trackio"):
        tracker = assemble.LOGGERS[name](settings(folder, flags), files, {}, False)
        assert (tracker.project, tracker.name) == ("mine", "one")
        tracker.close()


def test_val_concurrency_shares_out_the_held_out_games(folder):
    import threading

    seen = []
    for parts in ("1", "2"):
        asked = settings(folder, {**GRU, "--val-concurrency": parts, "--val-split": "0.3", "--dual-port": True})
        corpus, policy = assemble.read(asked, sources(asked)).corpus, assemble.policy(asked, assemble.codec(asked))
        threads: set[str] = set()
        policy.backbone.register_forward_pre_hook(lambda *_, seen=threads: seen.add(threading.current_thread().name))
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            assemble.held_out(asked, corpus, policy.codec, CPU, assemble.way(asked).ranks)(policy)
        finally:
            torch.set_num_threads(before)
        seen.append(len(threads))
    assert seen == [1, 2]


def test_precision_changes_what_is_computed_and_not_what_is_kept(folder, tmp_path, monkeypatch):
    losses = []
    for kind in ("f32", "bf16"):
        run(folder, tmp_path, monkeypatch, name=kind, epochs="1", precision=kind, seed="1")
        lines = (tmp_path / "checkpoints" / f"{kind}_metrics.jsonl").read_text().splitlines()
        losses.append(json.loads(lines[-1])["train"])
        kept = checkpoint.load_policy(tmp_path / "checkpoints" / f"{kind}_policy.safetensors")
        assert {weight.dtype for weight in kept.weights.values()} == {torch.float32}
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.01)


def test_bf16_is_warned_of_where_it_would_not_pay(folder, capsys, monkeypatch):
    from exphil.cli.running import profile
    from exphil.cli.terminal import Terminal

    said = []
    for worth in (0.0, 1e9):
        monkeypatch.setattr(profile, "WORTH_IT", worth)
        for precision in ("f32", "bf16"):
            asked = settings(folder, {"--precision": precision, "--device": "cpu"})
            profile.judge_precision(Terminal.of(asked), asked)
            said.append("would not pay" in capsys.readouterr().err)
    assert said == [False, False, False, True]


def test_profile_says_where_the_time_goes(folder, tmp_path, monkeypatch, capsys):
    run(folder, tmp_path, monkeypatch, name="plain", epochs="1")
    assert "Where a step's time goes" not in capsys.readouterr().out
    run(folder, tmp_path, monkeypatch, name="timed", epochs="1", profile=True)
    out = capsys.readouterr().out
    for word in ("waiting for data", "features", "forward and loss", "backward", "clipping and optimiser", "%"):
        assert word in out


@pytest.mark.parametrize("flag", ["chunked", "memory-efficient", "flash"])
def test_attention_takes_the_kernel_asked_for(folder, flag):
    asked = settings(folder, ATTENTION, {f"--{flag}-attention": True})
    model = assemble.BACKBONES["attention"](asked, 8)
    assert {layer.inner._kernel for layer in model.layers} == {flag.replace("-", "_")}


def test_dry_run_prints_and_writes_nothing(folder, tmp_path, monkeypatch, capsys):
    code, where = run(folder, tmp_path, monkeypatch, name="dry", dry_run=True)
    out = capsys.readouterr().out
    assert code == 0 and not list(where.iterdir())
    for word in ("--backbone", "flag --backbone", "implied by --backbone gru", "283", "539"):
        assert word in out


def test_quiet_and_verbose_say_less_and_more(folder, tmp_path, monkeypatch, capsys):
    said = []
    for at, flags in enumerate(({"quiet": True}, {}, {"verbose": True})):
        run(folder, tmp_path, monkeypatch, name=f"talk{at}", **flags)
        said.append(len(capsys.readouterr().err.splitlines()))
    assert said[0] == 0 < said[1] < said[2]
