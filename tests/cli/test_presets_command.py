"""``exphil presets``: what each is for, what it sets, how long it takes here; nothing is written."""

from __future__ import annotations

import json
import shutil

import pytest

from exphil.cli.main import main
from exphil.config.groups import OPTIONS
from exphil.config.presets import PRESETS, PURPOSES

GAME = "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def presets(capsys, *words: str) -> tuple[int, str, str]:
    code = main(["presets", *words])
    return code, *capsys.readouterr()


def test_all_presets_are_listed_with_their_games_and_their_time(capsys, tmp_path):
    code, out, err = presets(capsys, "--probe-seconds", "0.01", "--device", "cpu", "--threads", "1")
    rows = {line.split()[0]: line for line in out.splitlines() if line and line.split()[0] in PRESETS}
    assert code == 0 and list(rows) == list(PRESETS)
    for name, line in rows.items():
        assert PURPOSES[name] in line and not line.rstrip().endswith("-")
    assert "mamba 256 256 256, window 60" in rows["production"] and " 1000 " in rows["production"]
    assert "estimates for this machine" in err and "there is no game in replays" in err
    assert not list(tmp_path.iterdir())


def test_a_preset_is_shown_with_every_option_it_sets_and_what_it_means(capsys):
    code, out, err = presets(capsys, "mewtwo", "quick", "--probe-seconds", "0")
    assert code == 0 and "estimate" not in err
    first, second = out.split("quick: ")
    for name in PRESETS["mewtwo"]:
        (line,) = [line for line in first.splitlines() if line.startswith(OPTIONS[name].flag + " ")]
        assert OPTIONS[name].help in line
    assert "--train-character mewtwo" in " ".join(first.split()) and "--max-files 5 " in " ".join(second.split())


def test_its_games_are_those_in_the_folder_as_many_as_it_takes(capsys, replays, tmp_path):
    for number in range(7):
        shutil.copy(replays / GAME, tmp_path / f"{number}.slp")
    flags = ("--replays", str(tmp_path), "--probe-seconds", "0", "--json")
    code, out, _ = presets(capsys, *flags)
    found = {each["name"]: each for each in json.loads(out)}
    assert code == 0 and list(found) == list(PRESETS)
    assert [found[name]["games"] for name in ("quick", "standard", "iceclimbers", "mewtwo")] == [5, 7, 7, 0]
    assert found["full"]["options"]["backbone"] == "mamba" and found["full"]["run_s"] is None
    assert not any(each["assumed"] for each in found.values())
    _, out, _ = presets(capsys, *flags, "--max-files", "2", "full-cpu")
    assert [(each["name"], each["games"]) for each in json.loads(out)] == [("full_cpu", 2)]


def test_an_unknown_preset_is_an_error_with_the_nearest_one(capsys):
    code, _, err = presets(capsys, "mewtow")
    assert code == 2 and "'mewtow' is no preset; did you mean 'mewtwo'?" in err
