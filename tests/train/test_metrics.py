"""The record of the run: one object a line, appended, readable while the run goes on; and what charts are given."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from exphil.errors import OutputError
from exphil.train.metrics import JsonLines
from exphil.train.metrics.lines import curves


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_as_such(tmp_path):
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    lines = JsonLines(tmp_path / "full.jsonl")
    with pytest.raises(OutputError, match="No space left on device"):
        lines.log("batch", 1, {"loss": 1.0})
    lines.close()


def test_every_event_is_one_line_and_a_resumed_run_goes_on(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for start in (0, 2):
        logger = JsonLines(path)
        for step in (start, start + 1):
            logger.log("batch", step, {"loss": 1.5})
        lines = path.read_text().splitlines()  # before it is closed
        assert [json.loads(line)["update"] for line in lines] == list(range(start + 2))
        logger.close()
    assert json.loads(path.read_text().splitlines()[0]) == {"event": "batch", "update": 0, "loss": 1.5}


def test_a_place_that_cannot_be_written_is_said_so(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        JsonLines(tmp_path / "missing" / "metrics.jsonl")


def test_charts_get_the_numbers_however_deep_and_nothing_else():
    values = {"loss": np.float32(1.5), "held": None, "why": "patience", "best": True}
    values |= {"parts": {"main": {"x": 2}}, "rates": [0.5, 0.25]}
    expected = {"epoch/loss": 1.5, "epoch/best": 1.0, "epoch/parts/main/x": 2.0}
    assert curves("epoch", values) == expected | {"epoch/rates/0": 0.5, "epoch/rates/1": 0.25}


def test_charts_show_a_loss_that_blew_up():
    assert math.isnan(curves("batch", {"loss": math.nan})["batch/loss"])
    assert curves("batch", {"loss": math.inf}) == {"batch/loss": math.inf}
