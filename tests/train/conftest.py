"""Two short stretches of real games as a corpus, and settings of small runs over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exphil.config.layers import Settings, resolve
from exphil.data.corpus import Corpus, Entry
from exphil.replays.choosing import Choice
from exphil.replays.library import Loaded, Reading, load
from exphil.replays.sources import Source

NAMES = ("peach_vs_marth_final_destination_028.slp", "fox_vs_fox_battlefield_016.slp")


@pytest.fixture(scope="session")
def files(replays: Path) -> list[Loaded]:
    """The two replays."""
    how = Reading(Choice(allow_missing=True))
    return [found for found in load([Source(replays / name) for name in NAMES], how) if isinstance(found, Loaded)]


@pytest.fixture(scope="session")
def corpus(files: list[Loaded]) -> Corpus:
    """One seat of 700 and one of 500 frames."""
    return Corpus.of(
        (Entry(number, file.source.name, 1), file.open().game(number)[300 : 1000 - 200 * number])
        for number, file in enumerate(files)
    )


@pytest.fixture
def options(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a small run that saves in the test's own folder; keywords are flags."""

    def make(**flags: str | bool) -> Settings:
        typed: dict[str, str | bool] = {
            "--epochs": "2", "--batch-size": "5", "--lr": "1e-3", "--hidden": "24", "--dropout": "0.3",
            "--lr-schedule": "cosine", "--warmup-steps": "4", "--window-size": "30", "--device": "cpu",
            "--name": "run", "--seed": "11", "--checkpoints-dir": str(tmp_path / "checkpoints"),
        }  # fmt: skip
        typed |= {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
        return resolve("train", typed, {})

    return make
