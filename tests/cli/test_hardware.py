"""What the wizard says of this machine."""

from __future__ import annotations

import os

import pytest

from exphil.cli.questions.hardware import Hardware, described, detect
from exphil.errors import OptionError


def test_this_machine_has_memory_and_cores():
    found = detect("cpu", threads=3)
    assert found.gpu == "" and found.gpu_bytes is None and found.threads == 3
    assert 1 <= found.cores <= (os.cpu_count() or 1) and (found.memory_bytes is None or found.memory_bytes > 2**26)
    assert detect("cpu").threads == found.cores


def test_a_gpu_is_named_with_its_memory_where_there_is_one():
    import torch

    if torch.cuda.is_available():
        found = detect("auto")
        assert found.gpu == torch.cuda.get_device_name() and found.gpu_bytes == torch.cuda.mem_get_info()[1]
    else:
        with pytest.raises(OptionError, match="no cuda device here"):
            detect("cuda")


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (
            Hardware("", None, 16_000_000_000, 8, 8),
            ["GPU        no GPU", "memory     16.0 GB", "cores      8, torch computes with 8 threads"],
        ),
        (
            Hardware("NVIDIA GeForce RTX 4090", 25_300_000_000, None, 1, 1),
            [
                "GPU        NVIDIA GeForce RTX 4090 (25.3 GB)",
                "memory     unknown",
                "cores      1, torch computes with 1 thread",
            ],
        ),
        (
            Hardware("Apple", None, 8_000_000_000, 8, 4),
            [
                "GPU        Apple (shares the main memory)",
                "memory     8.00 GB",
                "cores      8, torch computes with 4 threads",
            ],
        ),
    ],
)
def test_what_is_said_of_a_machine(found, lines):
    assert list(described(found)) == lines
