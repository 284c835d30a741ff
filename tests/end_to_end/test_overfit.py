"""The overfit gate, as its benchmark runs it: a game learned by heart is played back by the agent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.mark.slow
def test_a_game_learned_by_heart_is_played_back(replays):
    """At least 99 in 100 controllers are right in all 13 components, and 95 in 100 where the controller changes."""
    command = [sys.executable, str(BENCH / "overfit.py"), "--json", "--replays", str(replays)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=BENCH)
    found = json.loads(done.stdout)
    assert found["loss"] < 0.05
    assert found["right"] >= 0.99
    assert found["right_where_it_changes"] >= 0.95
