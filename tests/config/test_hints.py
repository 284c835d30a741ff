"""Hints: they speak where a person wrote what is mostly a mistake, name a page that is there, and are silent else."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from exphil.config.hints import HINTS
from exphil.config.layers import resolve
from exphil.config.presets import PRESETS
from exphil.config.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
TEMPORAL = {"--temporal": True, "--backbone": "gru"}
MISTAKES = {  # what a person wrote, and a piece of the hint
    "long windows": (TEMPORAL | {"--window-size": "240"}, "stretches of 240 frames"),
    "short windows": (TEMPORAL | {"--window-size": "10"}, "10 frames are less than half a second"),
    "a large batch": (TEMPORAL | {"--batch-size": "512", "--device": "cpu"}, "a step of 512 sequences"),
    "epochs unseen": ({"--epochs": "50"}, "no game held out"),
    "patience too long": (
        {"--early-stopping": True, "--epochs": "4", "--val-split": "0.1"},
        "with --patience 5 a run of 4 epochs never stops",
    ),
    "a high rate": ({"--lr": "0.1"}, "adam rarely learns at a rate of 0.1"),
    "adam's rate for muon": ({"--optimizer": "muon"}, "muon learns slowly at a rate of 0.0001"),
    "much dropout": ({"--dropout": "0.8"}, "with 80% of the network dropped"),
    "much smoothing": ({"--label-smoothing": "0.5"}, "taught 50% of chance"),
}
FINE = [
    {},
    TEMPORAL | {"--window-size": "120"},
    TEMPORAL | {"--window-size": "30"},
    TEMPORAL | {"--batch-size": "512"},
    TEMPORAL | {"--batch-size": "256", "--device": "cpu"},
    {"--batch-size": "4096", "--device": "cpu"},
    {"--epochs": "29"},
    {"--epochs": "50", "--val-split": "0.1"},
    {"--epochs": "50", "--early-stopping": True},
    {"--lr": "0.01"},
    {"--lr": "0.02", "--optimizer": "muon"},
    {"--optimizer": "muon", "--lr": "1e-4"},
    {"--dropout": "0.6"},
    {"--label-smoothing": "0.2"},
    {"--resume": "run.pt", "--epochs": "100", "--dropout": "0.9"},
]


def hints(settings) -> list[str]:
    return [notice for notice in settings.notices if re.search(r"; see docs/\S+$", notice)]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_common_mistake_is_told_once_with_its_source_a_remedy_and_a_page(mistake, tmp_path):
    flags, text = MISTAKES[mistake]
    (found,) = hints(resolve("train", flags, {}))
    assert text in found and found.startswith("flag --")
    path = tmp_path / "run.yaml"
    lines = [f"{flag[2:]}: {str(value).lower()}" for flag, value in flags.items()]
    path.write_text("\n".join(lines))
    (again,) = hints(resolve("train", {"--config": str(path)}, {}))
    assert text in again and again.startswith(f"file {path}")


def test_there_is_a_mistake_here_for_every_hint():
    assert len(HINTS) == len(MISTAKES) <= 10
    assert RULES[-len(HINTS) :] == HINTS, "they come last, when everything that follows has followed"


@pytest.mark.parametrize("flags", FINE)
def test_what_can_be_meant_is_not_hinted_at(flags):
    assert hints(resolve("train", flags, {})) == []


@pytest.mark.parametrize("name", PRESETS)
def test_presets_give_no_hint(name):
    assert hints(resolve("train", {"--preset": name}, {})) == []
    assert hints(resolve("train", {"--preset": name, "--device": "cpu", "--seed": "1"}, {})) == []


def test_the_command_lines_of_the_readme_give_no_hint():
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("exphil train ")]
    assert len(lines) > 3
    for line in lines:
        words = [*shlex.split(line, comments=True)[2:], "--"]
        flags = {
            word: True if after.startswith("--") else after for word, after in pairwise(words) if word.startswith("--")
        }
        assert flags and hints(resolve("train", flags, {})) == [], line


def anchors(page: str) -> set[str]:
    """Headings as the usual renderers link them: small letters, no signs, spaces as dashes."""
    titles = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_page_that_a_hint_names_is_there_with_its_heading(mistake):
    (found,) = hints(resolve("train", MISTAKES[mistake][0], {}))
    page, _, heading = found.rpartition("; see ")[2].partition("#")
    assert heading in anchors(page), f"{page} has no such heading"
