"""A resumed run is the run it was: some options may change, the others are refused by name."""

from __future__ import annotations

import pytest

from exphil.config.groups import OPTIONS
from exphil.config.layers import jsonable, resolve
from exphil.config.resume import MAY_CHANGE, resumed
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
