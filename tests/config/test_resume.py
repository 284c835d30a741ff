"""A resumed run is the run it was: some options may change, the others are refused by name."""

from __future__ import annotations

import pytest

from exphil.config.groups import OPTIONS
from exphil.config.layers import jsonable, resolve
from exphil.config.resume import MAY_CHANGE, begun_with, changes, resumed
from exphil.errors import OptionError

SAVED = jsonable(
    resolve("train", {"--backbone": "gru", "--name": "run", "--seed": "1", "--batch-size": "8"}, {}).flat()
)


def again(*flags: tuple[str, str], done: int = 3):
    return resumed(resolve("train", {"--resume": "run.pt", **dict(flags)}, {}), SAVED, done)


def test_what_is_not_asked_for_is_as_it_was():
    found = again()
    assert (found["backbone"], found["batch_size"], found["seed"]) == ("gru", 8, 1)
    assert not any(found.given(name) for name in ("name", "checkpoint", "checkpoints_dir"))


def test_what_may_change_changes():
    found = again(("--epochs", "20"), ("--lr", "0.5"), ("--name", "other"))
    assert (found["epochs"], found["lr"], found["name"]) == (20, 0.5, "other")


def test_the_environment_of_today_is_not_the_run():
    found = resumed(resolve("train", {"--resume": "run.pt"}, {"EXPHIL_REPLAYS_DIR": "elsewhere"}), SAVED, 0)
    assert str(found["replays"]) == "replays"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("--batch-size", "16"), ("--seed", "2"), ("--val-split", "0.5"), ("--hidden", "9")),
        *(("--player-mode", "learned"), ("--player-registry", "other.json")),
        *(("--stage-mode", "full"), ("--action-mode", "one_hot"), ("--character-mode", "one_hot")),
        *(("--nana-mode", "full"), ("--no-jumps-normalized", True), ("--stage-motion", True), ("--ic-tech", True)),
        *(("--umi-safe", True), ("--axis-buckets", "32"), ("--shoulder-buckets", "10"), ("--kmeans-centers", "a.json")),
        *(("--frame-delay", "3"), ("--frame-delay-augment", True), ("--online-robust", True)),
        *(("--frame-delay-min", "3"), ("--frame-delay-max", "9")),
    ],
)
def test_what_the_run_is_made_of_is_kept(flag, value):
    with pytest.raises(OptionError, match=f"flag {flag}: a resumed run keeps "):
        again((flag, value))


def test_the_same_value_is_no_change():
    assert again(("--batch-size", "8"))["batch_size"] == 8


def test_an_option_younger_than_the_run_is_kept_at_its_default():
    old = {name: value for name, value in SAVED.items() if name not in ("learn_player_styles", "player_registry")}
    asked = {"--resume": "run.pt", "--player-registry": "a.json", "--learn-player-styles": True}
    with pytest.raises(OptionError, match="flag --learn-player-styles: a resumed run keeps --no-learn-player-styles"):
        resumed(resolve("train", asked, {}), old, 3)


def test_a_run_that_is_through_says_how_it_goes_on():
    with pytest.raises(OptionError, match="already trained for 10 epochs") as caught:
        again(done=10)
    assert caught.value.fix == "--epochs 11 goes on"


def test_the_table_names_options():
    assert set(OPTIONS) >= MAY_CHANGE


POLICY = jsonable(resolve("train", {"--backbone": "gru", "--hidden": "8", "--sequence-mode": "windows",
                                   "--window-size": "30", "--dropout": "0.2", "--lr": "0.1"}, {}).flat())  # fmt: skip


def begun(**flags):
    typed = {"--" + name.replace("_", "-"): value for name, value in flags.items()}
    return begun_with(resolve("train", {"--init": "p.safetensors", **typed}, {}), POLICY)


def test_a_run_that_begins_with_a_policy_has_its_network_and_options_of_its_own():
    found = begun(lr="0.5", epochs="3")
    assert (found["backbone"], found["hidden"], found["temporal"]) == ("gru", (8,), True)
    assert (found["window_size"], found["sequence_mode"], found["dropout"]) == (30, "windows", 0.2)
    assert found["stride"] == 30, "what follows from others follows from those of the policy"
    assert (found["lr"], found["epochs"], found["batch_size"]) == (0.5, 3, 64)
    assert found.sources["backbone"] == "of --init p.safetensors" and found.sources["lr"] == "flag --lr"


def test_what_does_not_change_the_network_may_be_asked_for():
    assert begun(window_size="40")["stride"] == 40 and begun(stride="7")["stride"] == 7
    assert begun(learn_player_styles=False, dropout="0")["dropout"] == 0


def test_another_network_is_refused_and_so_is_what_does_not_go_with_it():
    with pytest.raises(OptionError, match="the policy was trained with --hidden 8"):
        begun(hidden="16")
    with pytest.raises(OptionError, match="the policy was trained with --backbone gru"):
        begun(backbone="lstm")
    with pytest.raises(OptionError, match="--sequence-mode is lanes"):
        begun(loss_positions="last", sequence_mode="lanes")


def test_a_preset_of_the_environment_asks_a_resumed_run_for_nothing():
    flags, variables = {"--resume": "x.pt"}, {"EXPHIL_DEFAULT_PRESET": "quick"}
    assert resumed(resolve("train", flags, variables), POLICY, 1)["hidden"] == (8,)
    with pytest.raises(OptionError, match="a resumed run keeps"):
        resumed(resolve("train", {**flags, "--preset": "quick"}, {}), POLICY, 0)


def test_smaller_batches_of_the_same_updates_may_be_asked_for():
    flags = {"--resume": "x.pt", "--batch-size": "16", "--accumulation-steps": "4"}
    found = resumed(resolve("train", flags, {}), POLICY, 1)
    assert (found["batch_size"], found["accumulation_steps"]) == (16, 4)
    with pytest.raises(OptionError, match="a resumed run keeps --batch-size 64"):
        resumed(resolve("train", {"--resume": "x.pt", "--batch-size": "16"}, {}), POLICY, 1)


def test_what_a_resumed_run_does_otherwise_is_told():
    found = resumed(resolve("train", {"--resume": "x.pt", "--lr": "0.2", "--epochs": "12"}, {}), POLICY, 1)
    assert list(changes(POLICY, found)) == [("--epochs", "10", "12"), ("--lr", "0.1", "0.2")]
