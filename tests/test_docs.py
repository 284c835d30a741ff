"""Every command line that the pages show is one that exphil takes, and the short ones are run.

A block of shell lines says after its language what it is: ``run`` is what a reader does, as it stands, and takes too
long here; ``run-tiny`` is run here, on two games in ``./replays`` and with the preset ``quick`` under its flags;
``show`` is an example with names to fill in. All of them must parse.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from exphil.cli.parse import parse
from exphil.config.layers import resolve

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
WRITTEN = ("registry.json",)  # by exphil, while it runs
TAGS = ("run", "run-tiny", "show")


class Block(NamedTuple):
    """A fenced block: ``info`` is what stands behind the fence."""

    page: str
    info: list[str]
    lines: list[str]


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for info, body in re.findall(FENCED, text):
            lines = [line.strip() for line in body.replace("\\\n", " ").splitlines()]
            found.append(Block(page.name, info.split(), lines))
    return found


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def command_lines() -> list[str]:
    """Lines of shell blocks that call exphil, and pieces of text in backticks that do."""
    fenced = [line for block in blocks() if block.info[:1] == ["sh"] for line in block.lines]
    prose = [re.sub(FENCED, "", page.read_text(encoding="utf-8")) for page in PAGES]
    inline = [span for text in prose for span in re.findall(r"`(exphil [^`]+)`", text)]
    return sorted({line.strip() for line in fenced + inline if line.startswith("exphil ")})


def test_every_shell_block_says_what_it_is():
    wrong = [block for block in blocks() if block.info[:1] == ["sh"] and block.info[1:] not in [[tag] for tag in TAGS]]
    assert not wrong, f"write ```sh and one of {TAGS}: {wrong}"


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_parses(line, capsys):
    asked = parse(words(line)[1:])
    capsys.readouterr()
    if asked is not None:  # None: it asked for help, and got it
        assert not asked.strays
        resolve(asked.command, asked.flags, {})


def _version(entry) -> tuple[int, ...]:
    return tuple(map(int, entry["slippi_version"].split(".")))


@pytest.fixture
def desk(tmp_path, replays, manifest) -> Path:
    """A folder with two small games in ``./replays`` that hold all columns."""
    games = [entry for entry in manifest.values() if entry["kind"] == "game" and _version(entry) >= (3, 6)]
    (tmp_path / "replays").mkdir()
    for entry in sorted(games, key=lambda entry: entry["size"])[:2]:
        shutil.copy(replays / entry["name"], tmp_path / "replays")
    return tmp_path


@pytest.mark.slow
def test_the_tiny_blocks_run(desk):
    lines = [line for block in blocks() if block.info == ["sh", "run-tiny"] for line in block.lines if words(line)]
    assert lines
    for line in lines:
        assert line.startswith("exphil "), f"{line}: a run-tiny block holds command lines of exphil only"
        environment = {**os.environ, "EXPHIL_DEFAULT_PRESET": "quick", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "exphil", *words(line)[1:]]
        result = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{line}\n{result.stderr}"


def test_every_file_that_the_pages_name_is_there():
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"`([\w./-]+\.(?:py|md|toml|json))`", page.read_text(encoding="utf-8"))
        if not name.startswith("NAME") and name not in WRITTEN
    }
    tops = ("src", "tests", "tools", "docs", "bench", "examples")
    files = [path.as_posix() for top in tops for path in (ROOT / top).rglob("*.*")]
    files += [path.as_posix() for path in ROOT.glob("*.*")]
    gone = [f"{page}: {name}" for page, name in named if not any(file.endswith(f"/{name}") for file in files)]
    assert not gone, f"{gone}: name the file that is there now"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["match.md", "simulator.md"])
def test_programs_on_the_pages_run_as_they_stand(page, tmp_path):
    programs = [body for info, body in FENCED.findall((ROOT / "docs" / page).read_text()) if info == "python"]
    assert programs
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program], check=False, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
