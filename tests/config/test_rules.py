"""What options mean together."""

from __future__ import annotations

import pytest

from exphil.config.commands import COMMANDS
from exphil.config.groups import OPTIONS
from exphil.config.layers import resolve
from exphil.config.rules import RULES
from exphil.errors import OptionError

FALLING = "cosine, linear or exponential"


def train(**flags):
    return resolve("train", {"--" + name.replace("_", "-"): value for name, value in flags.items()}, {})


def problem(**flags) -> str:
    with pytest.raises(OptionError) as caught:
        train(**flags)
    return str(caught.value)


@pytest.mark.parametrize(
    ("flags", "backbone", "temporal", "source", "notices"),
    [
        ({}, "mlp", False, "default", 0),
        ({"temporal": True}, "lstm", True, "implied by --temporal", 0),
        ({"backbone": "gru"}, "gru", True, "flag --backbone", 1),
        ({"backbone": "gru", "temporal": True}, "gru", True, "flag --backbone", 0),
        ({"backbone": "mlp"}, "mlp", False, "flag --backbone", 0),
        ({"backbone": "mlp", "temporal": True}, "mlp", True, "flag --backbone", 1),
    ],
)
def test_backbone_and_temporal(flags, backbone, temporal, source, notices):
    settings = train(**flags)
    assert (settings.backbone.backbone, settings.model.temporal) == (backbone, temporal)
    assert settings.sources["backbone"] == source and len(settings.notices) == notices


def test_an_implied_value_says_why():
    settings = train(backbone="gru")
    assert settings.sources["temporal"] == "implied by --backbone gru"
    assert settings.notices == ("--backbone gru learns from sequences: --temporal is implied",)
    assert "contradict" in problem(backbone="gru", no_temporal=True)


def test_stride_follows_the_loss():
    assert train(window_size="48")["stride"] == 48
    last = train(loss_positions="last", sequence_mode="windows")
    assert (last["stride"], last.sources["stride"]) == (1, "implied by --loss-positions last")
    assert train(stride="7").sources["stride"] == "flag --stride"


def test_one_way_to_choose_the_seat():
    assert problem(train_character="fox", dual_port=True) == (
        "--train-character fox says which player to learn from and --dual-port says both\n  hint: drop one of them"
    )
    assert train(train_character="fox", dual_port=False)["train_character"] == "fox"
    (notice,) = train(player_port="2", dual_port=True).notices
    assert notice == "--player-port 2 has no effect beside --dual-port; drop one of them"


def test_layers_match_widths():
    assert "is 2 layers and --num-layers is 3" in problem(backbone="gru", hidden="8,8", num_layers="3")
    assert train(backbone="gru", hidden="8,8", num_layers="2")["num_layers"] == 2
    assert train(hidden="8", num_layers="3")["num_layers"] == 3


def test_lanes_take_the_loss_everywhere():
    assert problem(backbone="gru", loss_positions="last").endswith("hint: --sequence-mode windows")


def test_warmup_ends_before_decay():
    assert "--warmup-steps 10 is more than --decay-steps 5" in problem(warmup_steps="10", decay_steps="5")
    assert train(warmup_steps="5", decay_steps="5")["decay_steps"] == 5


def test_styles_need_names():
    assert problem(learn_player_styles=True, num_player_names="0") == (
        "--learn-player-styles gives players numbers and --num-player-names 0 leaves no room for them\n"
        "  hint: drop one of them"
    )
    assert not train(learn_player_styles=True, player_registry="a.json", min_player_games="2").notices


def test_online_play_is_learned_with_many_delays():
    settings = train(online_robust=True)
    assert settings["frame_delay_augment"] and settings.sources["frame_delay_augment"] == "implied by --online-robust"
    assert (settings["frame_delay_min"], settings["frame_delay_max"]) == (0, 18)
    assert not train(online_robust=True, frame_delay_augment=True, frame_delay_max="30").notices
    assert problem(online_robust=True, no_frame_delay_augment=True) == (
        "--online-robust and --no-frame-delay-augment contradict\n  hint: drop one of them"
    )


def test_delays_have_an_order():
    assert problem(frame_delay_augment=True, frame_delay_min="9", frame_delay_max="8") == (
        "--frame-delay-min 9 is more than --frame-delay-max 8\n  hint: swap or change them"
    )
    assert problem(online_robust=True, frame_delay_min="19").startswith("--frame-delay-min 19 is more than")
    assert train(frame_delay_augment=True, frame_delay_min="8", frame_delay_max="8")["frame_delay_min"] == 8
    for name in ("frame_delay", "frame_delay_min", "frame_delay_max"):
        assert "must be between 0 and 60" in problem(**{name: "61"})


def test_rules_apply_only_where_their_options_are():
    settings = resolve("evaluate", {"--dual-port": True}, {})
    assert "backbone" not in settings and settings["dual_port"]
    with pytest.raises(OptionError):
        resolve("evaluate", {"--dual-port": True, "--train-character": "fox"}, {})
    for rule in RULES:
        assert set(rule.needs) <= set(OPTIONS)
        assert any(set(rule.needs) <= set(command.option_names()) for command in COMMANDS.values())


@pytest.mark.parametrize(
    ("flags", "notice"),
    [
        (
            {"--hidden": "8", "--residual": True},
            "flag --residual has no effect; it needs --backbone mlp of two layers or more",
        ),
        ({"--num-layers": "3"}, "flag --num-layers has no effect; it needs a backbone with memory, any but mlp"),
        ({"--layer-norm": True, "--backbone": "gru"}, "flag --layer-norm has no effect; it needs --backbone mlp"),
        *(
            ({flag: "3", "--hidden": "8"}, f"flag {flag} has no effect; it needs a backbone with memory, any but mlp")
            for flag in ("--num-layers", "--feed-forward", "--truncate-bptt")
        ),
        (
            {"--truncate-bptt": "90", "--backbone": "gru"},
            "flag --truncate-bptt has no effect; it needs fewer frames than --window-size",
        ),
        (
            {"--state-size": "9", "--backbone": "gru"},
            "flag --state-size has no effect; it needs --backbone mamba, mamba2 or jamba",
        ),
        (
            {"--num-heads": "2", "--backbone": "gru"},
            "flag --num-heads has no effect; it needs --backbone attention, hybrid or jamba",
        ),
        (
            {"--attention-every": "2", "--backbone": "attention"},
            "flag --attention-every has no effect; it needs --backbone hybrid or jamba",
        ),
        (
            {"--chunk-size": "2", "--backbone": "attention"},
            "flag --chunk-size has no effect; it needs --chunked-attention or --memory-efficient-attention",
        ),
        ({"--checkpoint-every": "2"}, "flag --checkpoint-every has no effect; it needs --gradient-checkpoint"),
        ({"--window-size": "9"}, "flag --window-size has no effect; it needs --temporal"),
        ({"--weight-decay": "1"}, "flag --weight-decay has no effect; it needs --optimizer adamw, lamb or muon"),
        (
            {"--decay-steps": "9"},
            "flag --decay-steps has no effect; it needs --lr-schedule cosine, linear or exponential",
        ),
        ({"--mirror-prob": "1"}, "flag --mirror-prob has no effect; it needs --augment"),
        ({"--player-registry": "a"}, "flag --player-registry has no effect; it needs --learn-player-styles"),
        ({"--min-player-games": "2"}, "flag --min-player-games has no effect; it needs --learn-player-styles"),
        ({"--player-mode": "learned"}, "flag --player-mode has no effect; it needs --learn-player-styles"),
        ({"--stride": "9", "--backbone": "gru"}, "flag --stride has no effect; it needs windows"),
        ({"--umi-safe": True}, "flag --umi-safe has no effect; it needs --stage-motion: all else is in UMI's frames"),
        (
            {"--axis-buckets": "32", "--kmeans-centers": "a.json"},
            "flag --axis-buckets has no effect; it needs equal steps, and --kmeans-centers gives others",
        ),
        ({"--frame-delay-min": "3"}, "flag --frame-delay-min has no effect; it needs --frame-delay-augment"),
        ({"--frame-delay-max": "9"}, "flag --frame-delay-max has no effect; it needs --frame-delay-augment"),
        (
            {"--frame-delay": "3", "--frame-delay-augment": True},
            "flag --frame-delay has no effect; it needs a single delay: --frame-delay-augment, "
            "which --online-robust turns on, draws many",
        ),
    ],
)
def test_an_option_that_does_nothing_here_is_told(flags, notice):
    assert notice in resolve("train", flags, {}).notices


@pytest.mark.parametrize(
    ("flags", "widths", "every"),
    [
        ({"--backbone": "jamba"}, (512,) * 6, 3),
        ({"--backbone": "jamba", "--hidden": "256"}, (256,) * 6, 3),
        ({"--backbone": "jamba", "--num-layers": "4"}, (512,) * 4, 3),
        ({"--backbone": "jamba", "--hidden": "64,32,16", "--attention-every": "2"}, (64, 32, 16), 2),
        ({"--backbone": "hybrid"}, (512, 512), 2),
        ({"--backbone": "mamba", "--num-layers": "3"}, (512,) * 3, None),
        ({"--backbone": "lstm", "--hidden": "64"}, (64, 64), None),
        ({"--backbone": "mlp"}, (512, 512), None),
        ({"--preset": "quick", "--backbone": "jamba"}, (32,) * 6, 3),
        ({"--preset": "quick", "--backbone": "gru", "--num-layers": "3"}, (32,) * 3, None),
        ({"--backbone": "hybrid", "--hidden": "100,64", "--num-heads": "8"}, (100, 64), 2),
    ],
)
def test_layers_and_widths_follow_each_other(flags, widths, every):
    from exphil import assemble

    settings = resolve("train", flags, {})
    assert assemble.widths(settings) == widths and settings["attention_every"] == every


@pytest.mark.parametrize(("word", "meant"), [("sliding_window", "attention"), ("lstm-hybrid", "hybrid")])
def test_other_words_for_a_backbone(word, meant):
    assert resolve("train", {"--backbone": word}, {})["backbone"] == meant
    assert resolve("train", {"--backbone": "mamba_nif"}, {})["backbone"] == "mamba"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"--backbone": "jamba", "--num-layers": "2"}, "with 2 layers and --attention-every 3 holds no attention"),
        ({"--backbone": "hybrid", "--attention-every": "5"}, "with 2 layers and --attention-every 5 holds no"),
        ({"--backbone": "jamba", "--hidden": "64,64"}, "--hidden 64 --num-layers 3 or more, or --attention-every 2"),
        ({"--backbone": "attention", "--hidden": "102"}, "--num-heads 4 cannot share a layer of 102"),
        ({"--backbone": "attention", "--hidden": "64,30"}, "--hidden 64,32, or another --num-heads"),
        (
            {"--backbone": "attention", "--chunked-attention": True, "--flash-attention-nif": True},
            "--chunked-attention and --flash-attention are ways to compute the same",
        ),
    ],
)
def test_what_cannot_be_attention_is_an_error(flags, sentence):
    with pytest.raises(OptionError, match=sentence):
        resolve("train", flags, {})


def test_no_truncation_can_be_said():
    assert resolve("train", {"--backbone": "gru", "--truncate-bptt": "none"}, {})["truncate_bptt"] is None


def test_an_mlp_may_take_the_loss_at_the_last_frame():
    """It is fed windows whatever --sequence-mode says."""
    assert resolve("train", {"--temporal": True, "--backbone": "mlp", "--loss-positions": "last"}, {})["stride"] == 1


def test_mixed_precision_is_another_word_for_bf16():
    assert resolve("train", {"--mixed-precision": True}, {})["precision"] == "bf16"
    with pytest.raises(OptionError, match="set the same option"):
        resolve("train", {"--mixed-precision": True, "--precision": "f32"}, {})
