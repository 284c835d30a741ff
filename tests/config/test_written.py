"""Settings written as YAML: read again they are the same, whatever stands in them, and people can read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from exphil.config.commands import COMMANDS
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings, resolve
from exphil.config.option import options_by_name
from exphil.config.written import EXAMPLE, OF_THIS_CALL, example, yaml_text

ROOT = Path(__file__).resolve().parents[2]
TRAIN = options_by_name(COMMANDS["train"].groups)


def again(text: str, folder: Path, command: str = "train") -> Settings:
    path = folder / "again.yaml"
    path.write_bytes(text.encode("utf-8"))
    return resolve(command, {"--config": str(path)}, {})


def values(settings: Settings) -> dict[str, object]:
    return {name: value for name, value in settings.flat().items() if name not in OF_THIS_CALL}


def check(flags: dict[str, str | bool], folder: Path, environ: dict[str, str] | None = None) -> None:
    settings = resolve("train", flags, environ or {})
    for comments in (True, False):
        assert values(again(yaml_text(settings, comments), folder)) == values(settings)


LETTERS = st.characters(exclude_characters="\0", exclude_categories=())
ODD = st.text(LETTERS, min_size=1, max_size=12).filter(
    lambda text: text.strip().lower() not in ("", "none", "null", "~") and not text.startswith("~")
)
ANY = {
    "replays": ODD,
    "cache_dir": ODD,
    "error_log": ODD,
    "train_character": st.sampled_from(["fox", "Ice Climbers", "none"]),
    "characters": st.sampled_from(["", "fox", "fox,falco"]),
    "max_files": st.sampled_from(["none", "1", "500"]),
    "hidden": st.sampled_from(["512,512", "64", "32,16,16"]),
    "button_weights": st.sampled_from(["", "z=12,l=4", "a=0.5"]),
    "lr": st.floats(1e-12, 1e3).map(repr),
    "min_delta": st.floats(0, 1e9).map(repr),
    "wandb_project": ODD,
    "wandb_name": ODD,
    "seed": st.integers(0, 2**40).map(str),
    "backup": st.booleans(),
    "backbone": st.sampled_from(["mlp", "gru", "mamba", "jamba"]),
    "preset": st.sampled_from(["none", "quick", "full", "iceclimbers"]),
}


@hypothesis_settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(flags=st.fixed_dictionaries({}, optional=ANY))
def test_whatever_is_chosen_is_read_again(flags, tmp_path_factory):
    if flags.get("hidden") in ("512,512", "64"):
        flags.pop("backbone", None)  # jamba has no attention in so few layers
    check({OPTIONS[name].flag: value for name, value in flags.items()}, tmp_path_factory.getbasetemp())


NAMES = [
    "a b",
    " a ",
    "#",
    "a #b",
    "x: y",
    "- x",
    "[a, b]",
    "{a}",
    "'",
    '"',
    "\\",
    "yes",
    "1e-4",
    "...",
    "---",
    "%a",
    "@",
    "&a",
]
NAMES += [
    "*a",
    "!a",
    "|",
    ">",
    "a\nb",
    "a\tb",
    "ä ö",
    "日本",
    "\x07",
    "\x85",
    "\u2028",
    "\ufeff",
    "🦊",
    "\udc80",
    "C:\\x",
    "=",
    "<<",
]


@pytest.mark.parametrize("name", NAMES)
def test_paths_and_names_of_any_letters_come_back(name, tmp_path):
    settings = resolve("train", {"--replays": f"games/{name}", "--wandb-project": f"{name}x"}, {})
    assert values(again(yaml_text(settings, comments=False), tmp_path)) == values(settings)


@pytest.mark.parametrize("name", ["quick", "gpu_mlp_quick", "gpu_gru_quick", "full", "iceclimbers"])
def test_a_preset_is_written_with_its_name_and_its_values(name, tmp_path):
    check({"--preset": name}, tmp_path)
    check({"--preset": name, "--epochs": "10", "--max-files": "none", "--no-augment": True}, tmp_path)


def test_a_preset_that_a_flag_changes_is_written_with_the_change(tmp_path):
    for flags in ({"--backbone": "jamba"}, {"--hidden": "512,64"}, {"--num-layers": "4"}, {"--backbone": "mlp"}):
        check({"--preset": "production"} | flags, tmp_path)
    check({"--preset": "gpu_quick", "--backbone": "hybrid"}, tmp_path)


def test_a_default_that_was_chosen_against_a_weaker_layer_stays(tmp_path):
    check({"--replays": "./replays"}, tmp_path, {"EXPHIL_REPLAYS_DIR": "elsewhere"})
    settings = resolve("train", {"--preset": "quick", "--epochs": "10"}, {})
    assert "\nepochs: 10\n" in yaml_text(settings)
    assert "\nreplays: elsewhere\n" in yaml_text(resolve("train", {}, {"EXPHIL_REPLAYS_DIR": "elsewhere"}))


def test_every_option_stands_once_under_its_title_with_its_help():
    text = yaml_text(resolve("train", {}, {}))
    for name, option in TRAIN.items():
        found = re.findall(rf"^# {name}: .*$", text, re.MULTILINE)
        assert len(found) == (name not in OF_THIS_CALL), name
        assert name in OF_THIS_CALL or " ".join(option.help.split()) in re.sub(r"\n# +", " ", text)
    titles = re.findall(r"^# ---- (.*) ----$", text, re.MULTILINE)
    assert titles == list(dict.fromkeys(titles)) and "Training" in titles
    assert max(map(len, text.splitlines())) <= 120


def test_what_nobody_chose_is_a_comment_and_changes_nothing_without_its_sign(tmp_path):
    settings = resolve("train", {"--lr": "0.001"}, {})
    text = yaml_text(settings)
    assert "\nlr: 0.001\n" in text and "\n# epochs: 10\n" in text
    assert yaml_text(settings, comments=False) == "lr: 0.001\n"
    given = "|".join(name for name in TRAIN if settings.sources[name] == "default")
    opened = re.sub(rf"^# ({given}): ", r"\1: ", text, flags=re.MULTILINE)
    assert values(again(opened, tmp_path)) == values(settings)


def test_what_follows_is_left_to_follow_and_what_a_call_does_is_left_out():
    flags = {"--backbone": "gru", "--dry-run": True, "--save-config": "x.yaml"}
    text = yaml_text(resolve("train", flags, {}))
    assert "\n# temporal: true\n" in text and "\n# stride: 60\n" in text and "\nbackbone: gru\n" in text
    assert not [name for name in OF_THIS_CALL if re.search(rf"^#? ?{name}:", text, re.MULTILINE)]
    decided = resolve("train", {}, {}).changed({"name": "x", "seed": 3}, "decided for this run")
    assert "\n# name: x\n" in yaml_text(decided), "or the next run would be of the same name"


def test_other_commands_can_be_written_too(tmp_path):
    settings = resolve("benchmark", {"--only": "gru,mlp", "--seeds": "2"}, {})
    assert yaml_text(settings, comments=False) == "only: [gru, mlp]\nseeds: 2\n"
    assert values(again(yaml_text(settings), tmp_path, "benchmark")) == values(settings)


def test_the_example_is_current_and_is_the_first_run_of_the_readme(tmp_path):
    path = ROOT / "config" / "training.example.yaml"
    assert path.read_text(encoding="utf-8") == example(), "python tools/make_docs.py"
    found = resolve("train", {"--config": str(path)}, {})
    assert values(found) == values(resolve("train", EXAMPLE, {})) and found.notices == ()
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    words = " ".join(re.search(r"exphil train (--temporal .*--name first)", readme)[1].split())
    assert words == " ".join(f"{flag}" if value is True else f"{flag} {value}" for flag, value in EXAMPLE.items())
