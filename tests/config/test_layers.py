"""Five layers, for every option; all problems at once; what is saved comes back."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from exphil.config.commands import COMMANDS
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings, jsonable, resolve
from exphil.config.presets import PRESETS
from exphil.errors import OptionError

# Two values of every option, different from each other and from the default; a new option must be added here.
TWO: dict[str, tuple[str, str]] = {
    "replays": ("a", "b"),
    "max_files": ("3", "4"),
    "player_port": ("2", "3"),
    "train_character": ("fox", "captain_falcon"),
    "dual_port": ("true", "false"),
    "allow_missing": ("true", "false"),
    "all_frames": ("true", "false"),
    "val_split": ("0.1", "0.25"),
    "characters": ("fox,captain_falcon", "marth"),
    "stages": ("battlefield", "final_destination,dream_land"),
    "held_out": ("true", "false"),
    "min_quality": ("40", "80"),
    "show_quality_stats": ("true", "false"),
    "skip_duplicates": ("false", "true"),
    "rollbacks": ("last", "first"),
    "balance_characters": ("true", "false"),
    "skip_errors": ("false", "true"),
    "show_errors": ("false", "true"),
    "error_log": ("a.txt", "b.txt"),
    "precompute": ("false", "true"),
    "cache": ("false", "true"),
    "cache_dir": ("a", "b"),
    "cache_compress": ("true", "false"),
    "stream_chunk_size": ("3", "4"),
    "stream_chunk_frames": ("1000", "2000"),
    "prefetch": ("false", "true"),
    "prefetch_buffer": ("1", "3"),
    "cache_embeddings": ("true", "false"),
    "cache_augmented": ("true", "false"),
    "num_noisy_variants": ("0", "4"),
    "mmap_embeddings": ("true", "false"),
    "mmap_path": ("a.npy", "b.npy"),
    "gc_every": ("0", "50"),
    "noise_prob": ("0.1", "0.5"),
    "noise_scale": ("0.0", "0.1"),
    "num_player_names": ("0", "7"),
    "stage_mode": ("full", "learned"),
    "action_mode": ("one_hot", "learned"),
    "character_mode": ("one_hot", "learned"),
    "nana_mode": ("enhanced", "full"),
    "jumps_normalized": ("false", "true"),
    "stage_motion": ("true", "false"),
    "ic_tech": ("true", "false"),
    "umi_safe": ("true", "false"),
    "axis_buckets": ("32", "8"),
    "shoulder_buckets": ("10", "1"),
    "kmeans_centers": ("a.json", "b.json"),
    "frame_delay": ("6", "60"),
    "frame_delay_augment": ("true", "false"),
    "frame_delay_min": ("3", "5"),
    "frame_delay_max": ("9", "60"),
    "online_robust": ("true", "false"),
    "learn_player_styles": ("true", "false"),
    "player_registry": ("a.json", "b.json"),
    "min_player_games": ("2", "3"),
    "player_mode": ("learned", "one_hot"),
    "style": ("MANG#0", "nobody"),
    "augment": ("true", "false"),
    "mirror_prob": ("0.25", "0.75"),
    "temporal": ("true", "false"),
    "backbone": ("lstm", "gru"),
    "hidden": ("32,16", "8"),
    "num_layers": ("1", "3"),
    "feed_forward": ("0", "4"),
    "truncate_bptt": ("10", "20"),
    "state_size": ("8", "32"),
    "expand_factor": ("1", "3"),
    "conv_size": ("2", "3"),
    "num_heads": ("2", "8"),
    "attention_every": ("1", "2"),
    "qk_layernorm": ("false", "true"),
    "chunked_attention": ("true", "false"),
    "memory_efficient_attention": ("true", "false"),
    "flash_attention": ("true", "false"),
    "chunk_size": ("8", "16"),
    "precision": ("bf16", "f32"),
    "gradient_checkpoint": ("true", "false"),
    "checkpoint_every": ("2", "3"),
    "profile": ("true", "false"),
    "dropout": ("0.0", "0.5"),
    "layer_norm": ("true", "false"),
    "residual": ("true", "false"),
    "head": ("independent", "autoregressive"),
    "window_size": ("30", "80"),
    "stride": ("1", "2"),
    "sequence_mode": ("windows", "lanes"),
    "loss_positions": ("last", "all"),
    "epochs": ("1", "2"),
    "batch_size": ("1", "2"),
    "lr": ("0.001", "0.01"),
    "optimizer": ("adamw", "lamb"),
    "weight_decay": ("0.0", "0.1"),
    "lr_schedule": ("cosine", "linear"),
    "warmup_steps": ("0", "5"),
    "decay_steps": ("100", "200"),
    "max_grad_norm": ("0.0", "2.0"),
    "accumulation_steps": ("2", "4"),
    "restart_period": ("100", "200"),
    "restart_mult": ("1", "3"),
    "focal_loss": ("true", "false"),
    "focal_gamma": ("1.0", "3.0"),
    "label_smoothing": ("0.05", "0.1"),
    "button_weights": ("z=12,l=4", "a=0.5"),
    "ema": ("true", "false"),
    "ema_decay": ("0.9", "0.99"),
    "early_stopping": ("true", "false"),
    "patience": ("2", "3"),
    "min_delta": ("0.0", "0.1"),
    "auto_batch_size": ("true", "false"),
    "auto_batch_min": ("8", "16"),
    "auto_batch_max": ("64", "128"),
    "auto_batch_backoff": ("0.5", "0.6"),
    "lr_min": ("1e-05", "0.0001"),
    "lr_max": ("0.1", "2.0"),
    "lr_steps": ("20", "50"),
    "val_concurrency": ("1", "2"),
    "init": ("a.safetensors", "b.safetensors"),
    "save_every": ("2", "3"),
    "save_every_batches": ("100", "200"),
    "keep_best": ("2", "3"),
    "overwrite": ("true", "false"),
    "backup": ("false", "true"),
    "backup_count": ("1", "5"),
    "register": ("false", "true"),
    "save_config": ("a.yaml", "b.yaml"),
    "wandb": ("true", "false"),
    "wandb_project": ("mine", "ours"),
    "wandb_name": ("one", "two"),
    "tensorboard": ("true", "false"),
    "trackio": ("true", "false"),
    "sort": ("size", "name"),
    "reverse": ("true", "false"),
    "tagged": ("good", "bad"),
    "files": ("true", "false"),
    "probe_seconds": ("0.0", "2.0"),
    "seed": ("0", "1"),
    "name": ("one", "two"),
    "checkpoint": ("a.pt", "b.pt"),
    "checkpoints_dir": ("a", "b"),
    "resume": ("a.pt", "b.pt"),
    "save_best": ("false", "true"),
    "preset": ("quick", "quick"),
    "config": ("", ""),
    "device": ("cpu", "cuda"),
    "threads": ("1", "2"),
    "workers": ("1", "2"),
    "log_interval": ("1", "2"),
    "dry_run": ("true", "false"),
    "quiet": ("true", "false"),
    "verbose": ("true", "false"),
    "json": ("true", "false"),
    "k": ("5", "5..41"),
    "per_axis": ("true", "false"),
    "output": ("a.json", "b.json"),
    "html": ("a.html", "b.html"),
    "only": ("gru,mlp", "lstm"),
    "skip": ("gru,mlp", "lstm"),
    "seeds": ("1", "5"),
    "updates": ("10", "20"),
    "player": ("fast", "reference,fast"),
    "continue_on_error": ("true", "false"),
    "deterministic": ("true", "false"),
    "temperature": ("all=0.5", "sticks=0.7,shoulder=0"),
    "press_threshold": ("0.5", "0.7"),
    "release_threshold": ("0.3", "0.4"),
    "action_repeat": ("2", "3"),
    "teacher": ("a.safetensors", "b.safetensors"),
    "teacher_weight": ("0.5", "1.0"),
    "teacher_temperature": ("1.0", "4.0"),
    "world": ("umi", "umi"),
    "games": ("2", "10"),
    "within": ("0.05", "0.1"),
    "as_characters": ("fox,falco", "marth"),
    "minutes": ("1.0", "2.5"),
    "stocks": ("1", "2"),
    "save_replays": ("a", "b"),
    "socket": ("a.sock", "b.sock"),
    "int8": ("true", "false"),
    "private": ("true", "false"),
    "policy": ("a.safetensors", "b.onnx"),
}
BESIDE = {  # flags that a value needs beside it to be allowed
    "loss_positions": {"--sequence-mode": "windows"},
    "sequence_mode": {},
    "num_layers": {"--hidden": "8"},
    "release_threshold": {"--press-threshold": "0.9"},
}
FREE = [name for name in OPTIONS if name != "config"]


def owner(name: str) -> str:
    return next(command for command, spec in COMMANDS.items() if name in spec.option_names())


def with_layers(name: str) -> bool:
    return "config" in COMMANDS[owner(name)].option_names()


def written(folder: Path, text: str) -> str:
    path = folder / "run.yaml"
    path.write_text(text)
    return str(path)


def lines_of(command, flags, environ=None) -> list[str]:
    with pytest.raises(OptionError) as caught:
        resolve(command, flags, environ or {})
    return str(caught.value).splitlines()


def test_every_option_has_two_values_here():
    assert set(TWO) == set(OPTIONS)


@pytest.mark.parametrize("name", FREE)
def test_a_flag_sets_every_option(name):
    item = OPTIONS[name]
    for text in TWO[name]:
        for flag in (item.flag, *item.aliases):
            settings = resolve(owner(name), {flag: text, **BESIDE.get(name, {})}, {})
            assert settings[name] == item.convert(text)
            assert settings.sources[name] == f"flag {flag}"
            assert getattr(getattr(settings, item.group.lower()), name) == settings[name]
    for flag, value in item.spellings().items():
        if value is not None:
            settings = resolve(owner(name), {flag: True}, {})
            assert settings[name] == value and settings.sources[name] == f"flag {flag}"


@pytest.mark.parametrize("name", [name for name in FREE if with_layers(name)])
def test_a_file_sets_every_option_and_a_flag_is_stronger(name, tmp_path):
    item, (first, second) = OPTIONS[name], TWO[name]
    for key in (name, name.replace("_", "-"), *(alias[2:] for alias in item.aliases)):
        path = written(tmp_path, f"{key}: {first}\n")
        beside = {"--config": path, **BESIDE.get(name, {})}
        settings = resolve(owner(name), beside, {})
        assert settings[name] == item.convert(first) and settings.sources[name] == f"file {path}"
        settings = resolve(owner(name), {**beside, item.flag: second}, {})
        assert settings[name] == item.convert(second) and settings.sources[name] == f"flag {item.flag}"


@pytest.mark.parametrize("name", [name for name in FREE if with_layers(name) and name != "preset"])
def test_preset_is_over_default_and_under_file_and_flag(name, tmp_path, monkeypatch):
    item, (first, second) = OPTIONS[name], TWO[name]
    monkeypatch.setitem(PRESETS, "quick", {name: item.convert(first)})
    beside = {"--preset": "quick", **BESIDE.get(name, {})}
    settings = resolve(owner(name), beside, {})
    assert settings[name] == item.convert(first) and settings.sources[name] == "preset quick"
    path = written(tmp_path, f"{name}: {second}\n")
    settings = resolve(owner(name), {**beside, "--config": path}, {})
    assert settings[name] == item.convert(second) and settings.sources[name] == f"file {path}"
    settings = resolve(owner(name), {**beside, item.flag: second}, {})
    assert settings[name] == item.convert(second) and settings.sources[name] == f"flag {item.flag}"


@pytest.mark.parametrize("name", [name for name in FREE if OPTIONS[name].env])
def test_the_environment_is_over_default_and_under_everything_else(name, tmp_path, monkeypatch):
    item, (first, second) = OPTIONS[name], TWO[name]
    environ = {item.env: first}
    settings = resolve(owner(name), {}, environ)
    assert settings[name] == item.convert(first) and settings.sources[name] == f"environment {item.env}"
    assert resolve(owner(name), {}, {item.env: ""}).sources[name] == "default"
    assert resolve(owner(name), {item.flag: second}, environ).sources[name] == f"flag {item.flag}"
    if not with_layers(name):
        return
    if name != "preset":
        monkeypatch.setitem(PRESETS, "quick", {name: second})
        settings = resolve("train", {"--preset": "quick"}, environ)
        assert settings[name] == item.convert(second) and settings.sources[name] == "preset quick"
    path = written(tmp_path, f"{name}: {second}\n")
    assert resolve("train", {"--config": path}, environ).sources[name] == f"file {path}"


def test_the_preset_may_be_named_by_variable_file_or_flag(tmp_path):
    path = written(tmp_path, "preset: quick\nepochs: 7\n")
    settings = resolve("train", {"--config": path}, {})
    assert (settings["epochs"], settings["max_files"], settings.sources["max_files"]) == (7, 5, "preset quick")
    settings = resolve("train", {}, {"EXPHIL_DEFAULT_PRESET": "quick"})
    assert settings["hidden"] == (32, 32)
    assert resolve("train", {"--preset": "none"}, {"EXPHIL_DEFAULT_PRESET": "quick"})["max_files"] is None
    assert "preset" not in resolve("evaluate", {}, {"EXPHIL_DEFAULT_PRESET": "quick"})


def test_words_of_yaml_mean_what_the_converter_says(tmp_path):
    text = "lr: 1e-3\nname: 007\ntemporal: yes\nhidden: [64, 32]\nmax_files: null\nseed: 12\n"
    settings = resolve("train", {"--config": written(tmp_path, text)}, {"EXPHIL_DEFAULT_PRESET": "quick"})
    assert (settings["lr"], settings["name"], settings["temporal"]) == (1e-3, "007", True)
    assert (settings["hidden"], settings["max_files"], settings["seed"]) == ((64, 32), None, 12)


def test_an_empty_file_changes_nothing(tmp_path):
    assert not resolve("train", {"--config": written(tmp_path, "# nothing\n")}, {}).given("epochs")


def test_exact_sentences(tmp_path):
    path = written(tmp_path, "ephocs: 3\n")
    assert lines_of("train", {"--config": path}) == [f"file {path}: unknown key 'ephocs'; did you mean 'epochs'?"]
    assert lines_of("train", {"--ephocs": "3"}) == ["unknown option --ephocs; did you mean --epochs?"]
    assert lines_of("train", {"--xyzzy": "3"}) == ["unknown option --xyzzy"]
    assert lines_of("evaluate", {"--epochs": "3"}) == [
        "unknown option --epochs; it belongs to train, benchmark, find-lr, distill, not to evaluate"
    ]
    names = "mlp, gru, lstm, mamba, mamba2, attention, hybrid, jamba"
    wrong = f"flag --backbone: 'lstn' is not one of {names}; did you mean 'lstm'?"
    assert lines_of("train", {"--backbone": "lstn"}) == [wrong]
    presets = ", ".join(PRESETS)
    assert lines_of("train", {"--preset": "quik"}) == [
        f"flag --preset: 'quik' is not one of {presets}; did you mean 'quick'?"
    ]
    variable = lines_of("train", {}, {"EXPHIL_DEFAULT_PRESET": "qick"})
    assert variable == [f"environment EXPHIL_DEFAULT_PRESET: 'qick' is not one of {presets}; did you mean 'quick'?"]
    assert lines_of("train", {"--train-character": "foxx"}) == [
        "flag --train-character: 'foxx' is no character; did you mean 'fox'?"
    ]
    assert lines_of("train", {"--epochs": True}) == ["flag --epochs: a value is needed here"]
    assert lines_of("train", {"--no-residual": "x"}) == ["flag --no-residual: takes no value"]
    assert lines_of("train", {"--seq-len": "5", "--window-size": "6"}) == [
        "flag --seq-len and flag --window-size set the same option; give one of them"
    ]
    with pytest.raises(OptionError, match="unknown command 'tarin'"):
        resolve("tarin", {}, {})


def test_a_flag_can_be_taken_back():
    assert resolve("train", {"--save-best": False}, {})["save_best"] is False
    assert resolve("train", {"--no-save-best": False}, {})["save_best"] is True


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"- a\n- b\n", "is not a list of 'option: value' lines"),
        (b"just words\n", "is not a list of 'option: value' lines"),
        (b"a: [1\n", "is not YAML: "),
        (b"a: \xff\n", "cannot be read: it is not UTF-8 text"),
        (b"lr: 1\nlearning-rate: 2\n", "lr and file"),
        (b"epochs: 1\nepochs: 2\n", "epochs and file"),
        (b"config: other.yaml\n", "unknown key 'config'"),
        (b"epochs: {a: 1}\n", "epochs: '{'a': '1'}' is not a single value"),
        (b"epochs:\n", "epochs: '' is not a whole number"),
        (b"no_residual: true\n", "unknown key 'no_residual'; did you mean 'residual'?"),
    ],
)
def test_files_that_cannot_be_used_are_named(content, sentence, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    (line,) = lines_of("train", {"--config": str(path)})
    assert line.startswith(f"file {path}: ") and sentence in line


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "no.yaml"
    assert lines_of("train", {"--config": str(path)}) == [f"file {path}: cannot be read: No such file or directory"]
    (line,) = lines_of("train", {"--config": str(tmp_path)})
    assert line.startswith(f"file {tmp_path}: cannot be read: ")


def test_all_problems_of_all_layers_come_together(tmp_path):
    path = written(tmp_path, "ephocs: 3\nbatch_size: 0\n")
    flags = {
        "--config": path,
        "--lr": "0",
        "--nonsense": True,
        "--backbone": "gru",
        "--hidden": "8,8",
        "--num-layers": "3",
    }
    lines = lines_of("train", flags, {"EXPHIL_DEFAULT_PRESET": "no_such"})
    assert lines == [
        "unknown option --nonsense",
        f"file {path}: unknown key 'ephocs'; did you mean 'epochs'?",
        f"environment EXPHIL_DEFAULT_PRESET: 'no_such' is not one of {', '.join(PRESETS)}",
        f"file {path}: batch_size: '0' must be at least 1",
        "flag --lr: '0' must be above 0",
        "--hidden 8,8 is 2 layers and --num-layers is 3",
        "  hint: drop --num-layers, or give one width: --hidden 8",
    ]


def test_what_is_saved_comes_back_whole():
    flags = {"--backbone": "gru", "--hidden": "8,4", "--replays": "r", "--resume": "x.pt", "--seed": "3"}
    settings = resolve("train", flags, {})
    saved = json.loads(json.dumps(jsonable(settings.flat())))
    again = Settings.from_flat("train", saved)
    assert again.flat() == settings.flat() and again.notices == ()
    assert set(again.sources.values()) == {"saved configuration"}
    assert Settings.from_flat("train", {"epochs": 3})["epochs"] == 3
    with pytest.raises(OptionError) as caught:
        Settings.from_flat("train", {"ephocs": 3, "lr": 0})
    assert str(caught.value).splitlines() == [
        "saved configuration: unknown key 'ephocs'; did you mean 'epochs'?",
        "saved configuration: lr: '0' must be above 0",
    ]


def test_settings_are_frozen_comparable_and_picklable():
    settings = resolve("train", {"--epochs": "3"}, {})
    assert pickle.loads(pickle.dumps(settings)) == settings != resolve("train", {}, {})
    with pytest.raises(AttributeError):
        settings.command = "demo"
    with pytest.raises(AttributeError):
        del settings.command
    with pytest.raises(AttributeError):
        settings.training.epochs = 4
    settings.sources["epochs"] = settings.flat()["epochs"] = "x"
    assert settings.sources["epochs"] == "flag --epochs" and settings["epochs"] == 3
    assert not hasattr(resolve("replays info", {}, {}), "training")
    assert "'epochs': 3" in repr(settings)


def test_changed_converts_checks_and_says_where_from():
    settings = resolve("train", {"--epochs": "3"}, {})
    seeded = settings.changed({"seed": 5}, "drawn")
    assert (seeded["seed"], seeded.seed.seed, seeded.sources["seed"]) == (5, 5, "drawn")
    assert settings["seed"] is None and seeded["epochs"] == 3
    with pytest.raises(OptionError, match="drawn: epochs: '0' must be at least 1"):
        settings.changed({"epochs": 0}, "drawn")
    with pytest.raises(OptionError, match="drawn: unknown key 'seeed'; did you mean 'seed'"):
        settings.changed({"seeed": 0}, "drawn")
