"""The search for a batch: what it answers, why it ends, and that running out of memory ends nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from exphil import assemble
from exphil.errors import ExphilError
from exphil.train.batch_size import CudaMemory, Found, ProcessMemory, largest, memory_of

CPU = torch.device("cpu")
GB = 1_000_000_000


class Machine:
    """A device whose steps cost what they are said to cost: ``fixed`` and ``per_row`` seconds, bytes likewise.

    It keeps the time, and refuses memory as torch does: by asking torch for more than there can be.
    """

    def __init__(
        self, fixed: float, per_row: float, *, row_bytes: int = 0, free: int | None = None, room: int = 1 << 30
    ):
        self.fixed, self.per_row, self.row_bytes, self.room, self._free = fixed, per_row, row_bytes, room, free
        self.now, self.full, self.stepped = 0.0, GB, []

    def step(self, rows: int) -> None:
        self.stepped.append(rows)
        self.full = max(self.full, GB + min(rows, self.room) * self.row_bytes)
        if rows > self.room:
            torch.empty(1 << 60)
        self.now += self.fixed + self.per_row * rows

    def free(self) -> int | None:
        return self._free

    def begin(self) -> None:
        self.full = GB

    def peak(self) -> int:
        return self.full

    def search(self, least: int = 32, most: int = 4096, backoff: float = 0.8) -> Found:
        return largest(self.step, least, most, backoff, self, lambda: self.now)


def batches(found: Found) -> list[int]:
    return [each.batch for each in found.tried]


def test_the_search_goes_on_while_twice_the_rows_bring_more_rows_a_second():
    found = Machine(fixed=1.0, per_row=0.001).search()
    assert found.batch == 4096
    assert batches(found) == [32, 64, 128, 256, 512, 1024, 2048, 4096]
    assert found.tried[0].rows_per_s == pytest.approx(32 / 1.032)


def test_the_most_is_tried_too_where_doubling_leaps_over_it():
    assert batches(Machine(fixed=1.0, per_row=0.001).search(least=30, most=100)) == [30, 60, 100]


def test_the_search_ends_where_twice_the_rows_bring_less_than_a_twentieth_more():
    found = Machine(fixed=0.0, per_row=0.01).search()
    assert batches(found) == [32, 64]
    assert "less than 5% more" in found.why


def test_rows_that_make_it_slower_are_not_the_answer():
    machine = Machine(fixed=0.0, per_row=0.01)
    plain = machine.step

    def step(rows: int) -> None:
        plain(rows)
        machine.now += 0.0005 * (rows - 32) * rows  # caches overflow

    found = largest(step, 32, 4096, 0.8, machine, lambda: machine.now)
    assert (found.batch, batches(found)) == (32, [32, 64])


def test_the_first_step_of_a_batch_is_not_timed():
    machine = Machine(fixed=1.0, per_row=0.0)
    plain = machine.step

    def step(rows: int) -> None:
        machine.now += 100.0 * (rows not in machine.stepped)
        plain(rows)

    assert largest(step, 32, 32, 0.8, machine, lambda: machine.now).tried[0].rows_per_s == pytest.approx(32.0)


def test_a_batch_whose_peak_would_pass_the_share_is_not_tried():
    """0.5 of 4 GB: 128 rows of 10 MB take 1.28 GB, 256 would take 2.56 GB."""
    machine = Machine(fixed=1.0, per_row=0.0, row_bytes=10_000_000, free=4 * GB)
    found = machine.search(backoff=0.5)
    assert found.batch == 128
    assert max(machine.stepped) == 128
    assert "256 rows would take about 2.6 GB, and 2.0 GB may be filled" in found.why
    assert [each.peak_bytes for each in found.tried] == [320_000_000, 640_000_000, 1_280_000_000]
    assert machine.search(backoff=0.9).batch == 256


def test_a_step_that_is_refused_memory_ends_the_search_with_the_batch_before():
    found = Machine(fixed=1.0, per_row=0.0, room=500).search()
    assert (found.batch, found.why) == (256, "a step of 512 rows ran out of memory")


def test_the_share_that_stays_free_counts_too_where_only_a_refusal_tells_the_limit():
    """Memory ends at 3 GB; 256 rows take 2.56, more than four fifths of it."""
    found = Machine(fixed=1.0, per_row=0.0, row_bytes=10_000_000, room=300).search(backoff=0.8)
    assert (found.batch, batches(found)) == (128, [32, 64, 128])


def test_a_batch_that_fits_only_at_first_is_not_the_answer():
    machine = Machine(fixed=1.0, per_row=0.0, room=500)
    plain = machine.step

    def step(rows: int) -> None:
        if machine.stepped and max(machine.stepped) > 500:
            machine.room = 200  # memory in pieces
        plain(rows)

    assert largest(step, 32, 4096, 0.8, machine, lambda: machine.now).batch == 128


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_every_kind_of_refusal_is_understood(error):
    machine = Machine(fixed=1.0, per_row=0.0)

    def step(rows: int) -> None:
        if rows > 64:
            raise error
        machine.step(rows)

    assert largest(step, 32, 4096, 0.8, machine, lambda: machine.now).batch == 64


def test_other_errors_of_a_step_are_not_swallowed():
    def step(rows: int) -> None:
        torch.zeros(2) @ torch.zeros(3)

    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        largest(step, 32, 64, 0.8, Machine(1.0, 0.0))


@pytest.mark.parametrize("machine", [Machine(1.0, 0.0, room=8), Machine(1.0, 0.0, row_bytes=GB, free=GB)])
def test_where_not_even_the_least_batch_fits_the_error_says_what_to_do(machine):
    with pytest.raises(ExphilError, match="32 rows") as caught:
        machine.search()
    assert all(flag in caught.value.fix for flag in ("--hidden", "--window-size", "--gradient-checkpoint"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how full memory was")
def test_the_peak_is_memory_that_was_really_there_and_is_gone_by_now():
    memory = ProcessMemory()
    memory.begin()
    before = memory.peak()
    torch.ones(50_000_000)  # freed at once
    torch.empty(500_000_000)  # promised, never there
    taken = memory.peak() - before
    assert 190_000_000 < taken < 260_000_000
    memory.begin()
    assert memory.peak() - before < 50_000_000


def test_a_system_that_says_nothing_of_memory_is_searched_all_the_same(tmp_path: Path):
    memory = ProcessMemory(tmp_path)
    assert memory.peak() is None
    machine = Machine(fixed=1.0, per_row=0.0, room=100)
    found = largest(machine.step, 32, 4096, 0.8, memory, lambda: machine.now)
    assert (found.batch, found.tried[0].peak_bytes) == (64, None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_memory_of_a_gpu_is_measured_by_its_allocator():
    memory = memory_of(torch.device("cuda"))
    assert isinstance(memory, CudaMemory)
    memory.begin()
    before = memory.peak()
    torch.ones(50_000_000, device="cuda")
    assert memory.peak() - before == pytest.approx(200_000_000, rel=0.02)


def test_a_search_with_real_batches_leaves_the_run_as_it_would_have_been(corpus, options):
    settings = options(auto_batch_min="2", auto_batch_max="8", backbone="gru", temporal=True)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = assemble.batch_size(settings, corpus, assemble.codec(settings), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.batch in (2, 4, 8)
    assert batches(found) == [2, 4, 8][: len(found.tried)]


def test_no_batch_is_larger_than_the_games_have_stretches(corpus, options):
    settings = options(auto_batch_min="64", auto_batch_max="4096", window_size="400", backbone="gru", temporal=True)
    found = assemble.batch_size(settings, corpus, assemble.codec(settings), CPU)
    assert batches(found) == [4]
    assert "these games have no more" in found.why


CHILD = """
import json, resource, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from exphil import assemble
from exphil.assemble import probing
from exphil.config.layers import resolve
from exphil.replays.sources import Source
from exphil.train.batch_size import ProcessMemory, largest

class Generous(ProcessMemory):  # says that nothing is short, so that torch has to
    def free(self):
        return None

settings = resolve("train", {
    "--replays": sys.argv[1], "--backbone": "gru", "--hidden": "256", "--window-size": "60", "--device": "cpu",
    "--no-precompute": True, "--seed": "1", "--dual-port": True,
    "--no-prefetch": True,
}, {})
corpus, codec = assemble.read(settings, [Source(Path(sys.argv[1]))]).corpus, assemble.codec(settings)
with probing._trial(settings, corpus, codec, torch.device("cpu")) as trial:
    trial.batch(4)  # what every first step leaves behind
    has = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
    room = has * 1024 + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    found = largest(trial.batch, 4, 256, 0.8, Generous(), clock=iter(range(10**6)).__next__)
    trial.batch(found.batch)
print(json.dumps([found.batch, found.why, len(found.tried)]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
def test_a_process_that_really_runs_out_of_memory_finds_a_batch_and_trains_with_it(replays: Path):
    """Every step takes as long by its clock, so that only memory can end the search."""
    words = [sys.executable, "-c", CHILD, str(replays / "fox_vs_fox_battlefield_016.slp"), str(300_000_000)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    batch, why, tried = json.loads(done.stdout)
    refused = re.fullmatch(r"a step of (\d+) rows ran out of memory", why)
    assert refused, why
    assert 4 <= batch <= int(refused[1]) / 2
    assert tried > 0
