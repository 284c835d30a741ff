"""Devices that are not there, threads, and the random state that dropout draws from."""

from __future__ import annotations

import pytest
import torch

from exphil.errors import OptionError
from exphil.train import runtime


def test_auto_takes_a_device_that_is_there():
    assert runtime.device("auto").type in ("cpu", "cuda", "mps")
    assert runtime.device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_by_name(name):
    there = torch.cuda.is_available() if name == "cuda" else torch.backends.mps.is_available()
    if there:
        pytest.skip(f"this machine has {name}")
    with pytest.raises(OptionError) as caught:
        runtime.device(name)
    assert caught.value.what == f"no {name} device here"
    assert caught.value.where == "--device"
    assert caught.value.fix.endswith("have: cpu") or "cpu" in caught.value.fix


def test_threads_are_what_is_asked_for_and_never_more_than_there_are_by_default():
    import os

    try:
        assert runtime.set_threads(1) == torch.get_num_threads() == 1
        assert runtime.set_threads(None) <= (os.cpu_count() or 1)
    finally:
        torch.set_num_threads(1)


def test_threads_of_one_core_count_once_and_a_container_counts_its_share(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 9}, raising=False)
    limit = tmp_path / "cpu.max"
    assert runtime.cores(tmp_path, limit) == 5, "nothing is known: every processor"
    for cpu, siblings in {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}.items():
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(f"{siblings}\n")
    assert runtime.cores(tmp_path, limit) == 3
    for text, wanted in {"max 100000": 3, "150000 100000": 2, "20000 100000": 1, "900000 100000": 3}.items():
        limit.write_text(f"{text}\n")
        assert runtime.cores(tmp_path, limit) == wanted


def test_the_random_state_goes_on_where_it_was_taken():
    cpu = torch.device("cpu")
    torch.manual_seed(5)
    torch.rand(3)
    state = runtime.random_state(cpu)
    wanted = torch.rand(7)
    torch.manual_seed(99)
    runtime.set_random_state(state, cpu)
    assert torch.equal(torch.rand(7), wanted)
