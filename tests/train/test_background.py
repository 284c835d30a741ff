"""A writer saves what stood there when it was asked, in order, loses nothing, and says what went wrong."""

from __future__ import annotations

import collections
import resource
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from exphil.errors import OutputError
from exphil.train import checkpoint
from exphil.train.background import Copies, Writer


def tree() -> dict[str, Any]:
    """What a run may hold: parameters, their optimiser, rows that are carried, plain values."""
    model = nn.GRU(6, 5)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model(torch.ones(2, 6))[0].sum().backward()
    optimizer.step()
    state = (torch.arange(24.0).reshape(2, 3, 4)[:, -1], (torch.zeros(0), torch.tensor(3)))
    plain = {"history": [{"epoch": 1.0}], "best": None, "name": "a", "done": True}
    return {"policy": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state, "run": plain}


def leaves(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [leaf for part in parts for leaf in leaves(part)]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left.cpu(), right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right)) and isinstance(left, type(right))
    return left == right


def test_a_copy_says_the_same_and_does_not_change():
    torch.manual_seed(1)
    given = tree()
    copy = Copies().copied(given)
    assert same(given, copy)
    for leaf in leaves(given):
        leaf.detach().fill_(7)
    given["run"]["history"].append("later")
    torch.manual_seed(1)
    assert same(tree(), copy)
    assert all(leaf.device.type == "cpu" and not leaf.requires_grad for leaf in leaves(copy))


def test_what_appears_twice_is_copied_once_and_written_once(tmp_path):
    weights = torch.randn(100, 1000)
    copy = Copies().copied({"a": weights, "b": [nn.Parameter(weights).detach(), weights.T.T], "c": weights.clone()})
    assert copy["a"] is copy["b"][0] is copy["b"][1] and copy["c"] is not copy["a"]
    torch.save(copy, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 2.1 * weights.nbytes


def test_of_a_part_only_the_part_is_copied_and_what_lies_otherwise_lies_so_again():
    """The file of rows that a chunk of frames ended with does not hold the chunk."""
    part, turned = torch.randn(8, 100, 4)[:, -1], torch.randn(4, 5).T
    copy = Copies().copied([part, turned])
    assert copy[0].untyped_storage().nbytes() == part.nbytes and copy[1].stride() == turned.stride()
    assert same([part, turned], copy)


def test_the_memory_of_an_earlier_copy_is_used_again():
    memory, given = Copies(), tree()
    first = [leaf.data_ptr() for leaf in leaves(memory.copied(given))]
    second = [leaf.data_ptr() for leaf in leaves(memory.copied(given)) if leaf.numel()]
    assert not set(first) & set(second), "nobody said that the first is done with"
    memory.released()
    third = leaves(memory.copied([tree(), torch.zeros(99)]))
    assert {leaf.data_ptr() for leaf in third[:-1]} <= {*first, *second}


def test_what_cannot_be_saved_is_a_defect():
    with pytest.raises(TypeError, match="a set cannot be saved"):
        Copies().copied({"a": [1, {2}]})
    assert type(Copies().copied(collections.OrderedDict(a=1))) is dict


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_what_lies_on_a_gpu_arrives_whole():
    memory = Copies()
    for number in range(3):
        given = [torch.full((5_000_000,), float(number), device="cuda") for _ in range(4)]
        copy = memory.copied({"given": given, "same": given[0], "here": torch.ones(3)})
        assert same(given, copy["given"]) and copy["same"] is copy["given"][0]
        assert copy["given"][0].is_pinned() and not copy["here"].is_pinned()
        memory.released()


class Gate:
    """A job that says when it begins and ends when it is told."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.open.wait(60)


def test_jobs_are_done_in_order_and_one_waits_at_most():
    order: list[int] = []
    with Writer[int]() as writer:
        gate = Gate()
        writer.submit(gate, 0)
        assert gate.begun.wait(60)
        writer.submit(lambda: order.append(1), 1)
        assert writer.finished() == []
        threading.Timer(0.1, gate.open.set).start()
        writer.submit(lambda: order.append(2), 2)
        assert gate.open.is_set(), "there was no room before"
        for number in range(3, 100):
            writer.submit(lambda number=number: order.append(number), number)
        assert writer.finished(wait=True) == list(range(100)) and order == list(range(1, 100))
        assert writer.finished() == []
        writer.submit(gate, 100)
    assert not [each for each in threading.enumerate() if each.name == "writer"]


def test_nothing_is_written_over_while_it_is_written():
    """The copies of two jobs stand beside each other; a third waits for room."""
    weights, seen = torch.zeros(1000), []
    with Writer[int]() as writer:
        gates = [Gate() for _ in range(6)]
        for number, gate in enumerate(gates):
            weights.fill_(number)
            if number > 1:
                threading.Timer(0.02, gates[number - 2].open.set).start()
            copies = writer.copied(weights), writer.copied({"again": weights + 0.5})

            def job(gate=gate, copies=copies) -> None:
                gate()
                seen.append((copies[0].unique().tolist(), copies[1]["again"].unique().tolist()))

            writer.submit(job, number)
        for gate in gates[-2:]:
            gate.open.set()
    assert seen == [([float(number)], [number + 0.5]) for number in range(6)]


def test_a_run_that_goes_on_is_saved_as_it_was(tmp_path):
    """Every snapshot and policy file that was asked for holds the weights of one update."""
    weights = {f"layer{number}": torch.zeros(50_000) for number in range(8)}
    with Writer[Path]() as writer:
        for update in range(12):
            for weight in weights.values():
                weight.fill_(update)
            copy = writer.copied({"policy": weights, "run": {"updates": update}, "again": weights["layer0"]})
            path = tmp_path / f"{update}.pt"

            def job(path=path, copy=copy) -> None:
                checkpoint.save_snapshot(path, copy)
                file = checkpoint.PolicyFile(copy["policy"], {}, "", {}, copy["run"])
                checkpoint.save_policy(path.with_suffix(".safetensors"), file)

            writer.submit(job, path)
        assert writer.close() == [tmp_path / f"{update}.pt" for update in range(12)]
    for update in range(12):
        found = checkpoint.load_snapshot(tmp_path / f"{update}.pt")
        policy = checkpoint.load_policy(tmp_path / f"{update}.safetensors")
        assert found["run"]["updates"] == policy.training["updates"] == update
        for weight in [*found["policy"].values(), *policy.weights.values(), found["again"]]:
            assert weight.unique().tolist() == [update]


def refused() -> None:
    raise OutputError("the disk is full", "here", "buy one")


@pytest.mark.parametrize(
    "ask",
    [
        lambda writer: writer.finished(),
        lambda writer: writer.submit(lambda: None, 3),
        lambda writer: writer.copied(torch.ones(1)),
        lambda writer: writer.close(),
    ],
    ids=["finished", "submit", "copied", "close"],
)
def test_the_loop_hears_of_a_failure_the_next_time_it_asks_and_only_once(ask):
    """What waited behind it is done nevertheless."""
    done: list[int] = []
    with Writer[int]() as writer:
        gate = Gate()
        writer.submit(lambda: (gate(), refused()), 1)
        assert gate.begun.wait(60)
        writer.submit(lambda: done.append(2), 2)
        assert writer.finished() == []
        gate.open.set()
        while not done:
            time.sleep(0.001)
        with pytest.raises(OutputError, match="the disk is full"):
            ask(writer)
        assert writer.finished(wait=True) == [2]


def test_a_failure_that_nobody_asked_for_is_told_at_the_end():
    with pytest.raises(OutputError, match="the disk is full"), Writer[int]() as writer:
        writer.submit(refused, 1)


def test_leaving_waits_also_when_the_loop_failed_and_then_its_own_error_is_the_one_told():
    done: list[int] = []
    with pytest.raises(KeyError) as caught, Writer[int]() as writer:
        writer.submit(lambda: (time.sleep(0.05), done.append(1)), 1)
        writer.submit(refused, 2)
        raise KeyError("the loop")
    assert done == [1]
    assert caught.value.__notes__ == ["besides, saving failed: here: the disk is full\n  hint: buy one"]


def test_a_closed_writer_takes_nothing():
    writer = Writer[int]()
    writer.close()
    writer.close()
    with pytest.raises(RuntimeError, match="closed"):
        writer.submit(refused, 1)


def test_a_disk_that_is_too_small_is_told_and_the_file_from_before_is_untouched(tmp_path):
    path, limits = tmp_path / "run.pt", resource.getrlimit(resource.RLIMIT_FSIZE)
    with Writer[int]() as writer:
        copy = writer.copied({"policy": {"a": torch.zeros(10)}})
        writer.submit(lambda: checkpoint.save_snapshot(path, copy), 1)
        assert writer.finished(wait=True) == [1]
        before = path.read_bytes()
        large = writer.copied({"policy": {"a": torch.zeros(100_000)}})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            writer.submit(lambda: checkpoint.save_snapshot(path, large), 2)
            with pytest.raises(OutputError, match="the file from before is untouched") as caught:
                writer.finished(wait=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert caught.value.where == str(path) and path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
