"""The table of options, the presets and the page that is made from them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exphil.config.commands import COMMANDS
from exphil.config.groups import GROUPS, OPTIONS
from exphil.config.option import options_of
from exphil.config.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_holds_options_that_pass_their_checks(preset):
    for name, value in PRESETS[preset].items():
        assert name in OPTIONS and name not in ("preset", "config")
        assert OPTIONS[name].convert(value) == value


def test_every_group_is_used_and_every_command_uses_known_groups():
    used = {group for command in COMMANDS.values() for group in command.groups}
    assert used == set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_says_what_it_does(group):
    assert group.title and group.__doc__
    for item in options_of(group):
        assert item.help and not item.help.endswith(".")
        assert item.env in (None, "UMI_SOCKET") or item.env.startswith("EXPHIL_"), "an arena of UMI sets its own"


def test_the_page_of_options_is_fresh():
    result = subprocess.run(
        [sys.executable, "tools/make_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_config_needs_neither_torch_nor_numpy():
    code = (
        "import sys; from exphil.config.layers import resolve; resolve('train', {}, {});"
        "assert not {'torch', 'numpy', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
