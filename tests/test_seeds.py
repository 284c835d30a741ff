"""Every command line and every flag of the two pages that the user wrote is one that exphil takes.

The pages show the commands of an earlier system; a script is named as its command here. What belongs to a command that
is not there yet stands in ``LATER``, with the issue that brings it and takes it from the list.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from exphil.cli.parse import parse
from exphil.config.commands import COMMANDS
from exphil.config.groups import OPTIONS
from exphil.config.layers import resolve

SCRIPTS = {
    "scripts/train_from_replays.exs": "train",
    "scripts/train_kmeans.exs": "kmeans",
    "scripts/benchmark_architectures.exs": "benchmark",
    "scripts/eval_model.exs": "evaluate",
    "scripts/play_dolphin_async.exs": "play",
    "exphil.setup": "setup",
    "exphil.list": "list",
    "exphil.info": "info",
    "exphil.compare": "compare",
}
LATER = {
    "scripts/train_ppo.exs": "exphil ppo comes with reinforcement learning",
    "scripts/train_self_play.exs": "exphil selfplay comes with self-play",
}
LATER_FLAGS = {
    **dict.fromkeys(("--num-games", "--game-type", "--max-episode-frames", "--track-elo"), "self-play"),
    **dict.fromkeys(("--ppo-epochs", "--clip-epsilon", "--gae-lambda", "--pretrained", "--timesteps"), "PPO"),
    **dict.fromkeys(("--mock", "--dolphin", "--iso", "--opponent"), "PPO"),
}
NO_OPTIONS = {"--port", "--cover", "--include", "--xla", "--ephocs", "--policy"}
"""Flags of other programs, a slip of the pen that is to be corrected, and the name of a word of a command."""


@pytest.fixture(scope="module")
def pages(replays: Path) -> str:
    """Both pages, continued lines joined."""
    folder = replays.parent / "seeds"
    if not folder.is_dir():
        pytest.skip(f"{folder}: the user's pages are not here")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md")))
    return re.sub(r"\\\n\s*", " ", text)


def command_lines(pages: str) -> dict[str, list[str]]:
    """Script or task to the words behind it, of every line that shows one."""
    found: dict[str, list[str]] = {}
    for script, rest in re.findall(r"mix (?:run )?(scripts/\w+\.exs|exphil\.\w+)([^`|\n]*)", pages):
        found.setdefault(script, []).append(rest.partition(" 2>&1")[0].strip())
    return found


def test_every_command_line_parses(pages):
    shown = command_lines(pages)
    assert set(shown) <= set(SCRIPTS) | set(LATER), "a script that stands in neither table"
    count, wrong = 0, []
    for script, lines in shown.items():
        for rest in sorted(set(lines)) if script in SCRIPTS else ():
            count += 1
            try:
                asked = parse([SCRIPTS[script], *shlex.split(rest, comments=True)])
                assert asked is not None and not asked.strays
                resolve(asked.command, asked.flags, {})
            except Exception as error:
                wrong.append(f"exphil {SCRIPTS[script]} {rest}: {error}")
    assert not wrong, "\n".join(wrong)
    assert count > 70


def test_what_is_not_there_yet_is_listed_with_a_reason(pages):
    shown = command_lines(pages)
    assert set(LATER) <= set(shown), "drop from LATER what the pages do not show"
    there = {"ppo", "selfplay"} & set(COMMANDS)
    assert not there, f"{there} are commands now: move their scripts from LATER to SCRIPTS"


def test_every_flag_of_the_pages_is_an_option(pages):
    known = {flag for option in OPTIONS.values() for flag in option.spellings()}
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", pages))
    unknown = shown - known - set(LATER_FLAGS) - NO_OPTIONS
    assert not unknown, f"{sorted(unknown)}: owed, or LATER_FLAGS with a reason"
    assert not set(LATER_FLAGS) & known, "a flag of LATER_FLAGS is there now: drop it from the list"
