"""The presets: every one can be trained, every value arrives, and a person's word is the last."""

from __future__ import annotations

import pytest

from exphil import assemble
from exphil.config.commands import COMMANDS
from exphil.config.groups import OPTIONS
from exphil.config.layers import resolve
from exphil.config.option import nearest
from exphil.config.presets import PRESETS, PURPOSES

EARLIER = {  # number for number what the earlier system set: epochs, files, batch, width, backbone, window, layers
    "quick": (1, 5, 32, 32, "mlp", None, 2),
    "standard": (10, 50, 64, 64, "mlp", None, 2),
    "full_cpu": (30, 200, 64, 128, "mlp", None, 2),
    "gpu_quick": (3, 20, 256, 64, "mamba", 30, 1),
    "gpu_mlp_quick": (5, 50, 256, 128, "mlp", None, 2),
    "gpu_lstm_quick": (3, 30, 256, 64, "lstm", 30, 1),
    "gpu_gru_quick": (3, 30, 256, 64, "gru", 30, 1),
    "gpu_attention_quick": (3, 30, 256, 64, "attention", 30, 1),
    "gpu_standard": (20, 100, 256, 128, "mamba", 60, 2),
    "full": (50, None, 256, 256, "mamba", 60, 2),
    "production": (100, None, 256, 256, "mamba", 60, 3),
    "rtx4090_quick": (3, 30, 512, 128, "mamba", 30, 1),
    "rtx4090_standard": (20, 200, 512, 256, "mamba", 60, 2),
    "rtx4090_full": (50, None, 512, 256, "mamba", 60, 3),
    "mewtwo": (100, None, 256, 256, "mamba", 90, 3),
    "ganondorf": (100, None, 256, 256, "mamba", 60, 3),
    "link": (100, None, 256, 256, "mamba", 75, 3),
    "gameandwatch": (100, None, 256, 256, "mamba", 45, 3),
    "zelda": (100, None, 256, 256, "mamba", 60, 3),
    "iceclimbers": (100, None, 256, 256, "mamba", 60, 3),
}
LEARNING = {  # mirror, noise; smoothing; held out, patience, gain; schedule, rate, warm-up; average, best, batches
    "quick": (None, 0.0, (0.0, None, None), ("constant", 1e-4, 1), (None, None, 1)),
    "standard": ((0.5, 0.2), 0.05, (0.1, 5, 0.01), ("cosine", 3e-4, 1), (None, None, 1)),
    "full_cpu": ((0.5, 0.3), 0.1, (0.1, 7, 0.005), ("cosine", 1e-4, 500), (0.999, 3, 1)),
    "gpu_quick": ((0.5, 0.3), 0.0, (0.1, None, None), ("constant", 1e-4, 1), (None, None, 1)),
    "gpu_mlp_quick": ((0.5, 0.3), 0.0, (0.1, None, None), ("cosine", 3e-4, 100), (None, None, 1)),
    "gpu_standard": ((0.5, 0.3), 0.1, (0.1, 5, 0.01), ("cosine", 1e-4, 500), (0.999, 5, 1)),
    "full": ((0.5, 0.3), 0.1, (0.1, 7, 0.005), ("cosine", 1e-4, 1000), (0.999, 5, 2)),
    "production": ((0.5, 0.3), 0.1, (0.15, 10, 0.001), ("cosine_restarts", 1e-4, 2000), (0.9995, 10, 4)),
    "rtx4090_standard": ((0.5, 0.3), 0.1, (0.1, 5, 0.01), ("cosine", 1e-4, 500), (0.999, 5, 1)),
    "rtx4090_full": ((0.5, 0.3), 0.1, (0.15, 10, 0.001), ("cosine_restarts", 1e-4, 1000), (0.9995, 10, 4)),
}
SAME = {
    **dict.fromkeys(("gpu_lstm_quick", "gpu_gru_quick", "gpu_attention_quick", "rtx4090_quick"), "gpu_quick"),
    **dict.fromkeys(("mewtwo", "ganondorf", "link", "gameandwatch", "zelda", "iceclimbers"), "production"),
}
CHARACTERS = {"gameandwatch": "game_and_watch", "iceclimbers": "ice_climbers"}


def of(name: str, **flags):
    return resolve("train", {"--preset": name} | {f"--{key.replace('_', '-')}": v for key, v in flags.items()}, {})


@pytest.mark.parametrize("name", PRESETS)
def test_every_value_of_a_preset_arrives(name):
    settings = of(name)
    for option, value in PRESETS[name].items():
        if option == "hidden" and "num_layers" in PRESETS[name]:
            assert settings[option] == value[:1], "one width, for each of so many layers"
        else:
            assert settings[option] == value and settings.sources[option] == f"preset {name}"


def test_a_preset_names_options_of_train_and_never_what_the_machine_is():
    known = set(COMMANDS["train"].option_names())
    for name, values in PRESETS.items():
        assert set(values) <= known - {"preset", "config", "device", "threads", "workers", "replays", "seed"}, name
        for option, value in values.items():
            assert OPTIONS[option].convert(value) == value


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_the_earlier_systems_number_for_number(name):
    settings = of(name)
    epochs, files, batch, width, backbone, window, layers = EARLIER[name]
    assert (settings["epochs"], settings["max_files"], settings["batch_size"]) == (epochs, files, batch)
    assert assemble.widths(settings) == (width,) * layers and settings["backbone"] == backbone
    assert settings["temporal"] == (backbone != "mlp")
    assert window is None or settings["window_size"] == window
    mirrored, smoothing, stopping, rate, kept = LEARNING[SAME.get(name, name)]
    assert settings["augment"] == (mirrored is not None)
    if mirrored:
        assert (settings["mirror_prob"], settings["noise_prob"], settings["noise_scale"]) == (*mirrored, 0.01)
    assert settings["label_smoothing"] == smoothing and settings["val_split"] == stopping[0]
    stops = settings["early_stopping"]
    assert (settings["patience"] if stops else None, settings["min_delta"] if stops else None) == stopping[1:]
    assert (settings["lr_schedule"], settings["lr"], settings["warmup_steps"]) == rate
    average = settings["ema_decay"] if settings["ema"] else None
    assert (average, settings["keep_best"], settings["accumulation_steps"]) == kept
    if rate[0] == "cosine_restarts":
        assert (settings["restart_period"], settings["restart_mult"], settings["state_size"]) == (5000, 2, 32)


def test_there_is_no_other_preset_and_each_says_what_it_is_for():
    assert set(EARLIER) == set(PRESETS) and list(PURPOSES) == list(PRESETS)
    assert all(text and not text.endswith(".") for text in PURPOSES.values())


@pytest.mark.parametrize("name", ["mewtwo", "ganondorf", "link", "gameandwatch", "zelda", "iceclimbers"])
def test_a_characters_preset_learns_from_that_character(name):
    assert of(name)["train_character"] == CHARACTERS.get(name, name)
    assert assemble.choice(of(name)).character is not None


def test_ice_climbers_see_nana_as_she_is():
    settings = of("iceclimbers")
    assert (settings["nana_mode"], settings["ic_tech"]) == ("enhanced", True)
    assert assemble.table(settings).fingerprint != assemble.table(of("zelda")).fingerprint


def another(option: str, value: object) -> object:
    """A value that is not the preset's."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        choices = [choice for choice in OPTIONS[option].choices if choice != value]
        return choices[0] if choices else "fox"
    if isinstance(value, tuple):
        return (16, 8)
    return value / 2 if isinstance(value, float) else value * 2


@pytest.mark.parametrize("name", ["standard", "gpu_attention_quick", "iceclimbers"])
def test_a_flag_and_a_file_beat_every_value_of_a_preset(name, tmp_path):
    path = tmp_path / "run.yaml"
    for option, value in PRESETS[name].items():
        wanted = another(option, value)
        text = OPTIONS[option].text(wanted)
        flag = OPTIONS[option].flag
        found = resolve("train", {"--preset": name, flag: wanted if isinstance(wanted, bool) else text}, {})
        assert found[option] == wanted and found.sources[option] == f"flag {flag}"
        path.write_text(f"{option}: {text}\npreset: {name}\n")
        found = resolve("train", {"--config": str(path)}, {})
        assert found[option] == wanted and found.sources[option] == f"file {path}"


@pytest.mark.parametrize("backbone", OPTIONS["backbone"].choices)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_takes_every_backbone(name, backbone):
    settings = of(name, backbone=backbone)
    assert settings["backbone"] == backbone and len(assemble.widths(settings)) >= 1


def test_other_commands_take_what_they_have():
    settings = resolve("find-lr", {"--preset": "mewtwo"}, {})
    assert settings["train_character"] == "mewtwo" and "ema" not in settings


@pytest.mark.parametrize(
    ("typed", "meant"), [("mewtow", "mewtwo"), ("rtx4090-ful", "rtx4090_full"), ("stndard", "standard")]
)
def test_a_preset_that_is_misspelled_is_recognised(typed, meant):
    assert nearest(typed, PRESETS) == meant
