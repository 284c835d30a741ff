"""What every test stands on: a clean environment and the real replays.

The replays are in ``EXPHIL_TEST_REPLAYS``, else in ``../shared/replays`` beside the repository. Where they are missing
the tests that need them skip and say so; with ``EXPHIL_REQUIRE_REPLAYS`` set (as ``.ci/run`` does) that is a failure.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("EXPHIL_TEST_REPLAYS") or ROOT.parent / "shared" / "replays")
REQUIRED = bool(os.environ.get("EXPHIL_REQUIRE_REPLAYS"))  # both are read before any test takes them away


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests may change them, and torch does not fight over the cores."""
    for name in [name for name in os.environ if name.startswith("EXPHIL_")]:
        monkeypatch.delenv(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that a run writes beside itself lands in the repository, and no run finds what another one left."""
    os.chdir(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="session")
def replays() -> Path:
    """The folder of real replays, with its ``manifest.json``."""
    if not (FOLDER / "manifest.json").is_file():
        reason = f"no manifest.json in {FOLDER}: set EXPHIL_TEST_REPLAYS to the folder of test replays"
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    return FOLDER


@pytest.fixture(scope="session")
def manifest(replays: Path) -> dict[str, dict[str, Any]]:
    """What is known about each file, by its name."""
    return {entry["name"]: entry for entry in json.loads((replays / "manifest.json").read_text())["entries"]}


@pytest.fixture(scope="session")
def full_games(replays: Path, manifest: dict[str, dict[str, Any]]) -> list[Path]:
    """The full two-player games, in order (three are older than what the reader takes)."""
    return [replays / name for name, entry in manifest.items() if entry["kind"] == "game"]
