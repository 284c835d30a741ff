"""Metrics as JSON lines: one object a line, appended, readable while the run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exphil.errors import OutputError
from exphil.train.metrics import JsonLines


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_as_such(tmp_path):
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    lines = JsonLines(tmp_path / "full.jsonl")
    with pytest.raises(OutputError, match="No space left on device"):
        lines.log("batch", {"loss": 1.0})
    lines.close()


def test_every_event_is_one_line_and_a_resumed_run_goes_on(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for start in (0, 2):
        logger = JsonLines(path)
        for step in (start, start + 1):
            logger.log("batch", {"step": step, "loss": 1.5})
        lines = path.read_text().splitlines()  # before it is closed
        assert [json.loads(line)["step"] for line in lines] == list(range(start + 2))
        logger.close()
    assert json.loads(path.read_text().splitlines()[0]) == {"event": "batch", "step": 0, "loss": 1.5}


def test_a_place_that_cannot_be_written_is_said_so(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        JsonLines(tmp_path / "missing" / "metrics.jsonl")
