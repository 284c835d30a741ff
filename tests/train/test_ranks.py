"""Several processes: sums and collections with two real ones, and what the others say when one is gone.

Run as a script, this file is one of the two processes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from exphil.errors import ExphilError, OptionError
from exphil.train import ranks
from exphil.train.ranks import Ranks, alone, joined, own_states, whole_state

SLOW_S = 1.2


def parameters(rank: int, lacking: bool) -> list[nn.Parameter]:
    """Of two types; the second has a gradient on rank 0 only, the last one nowhere."""
    sizes = [(torch.float32, (5, 3)), (torch.float32, (40,)), (torch.bfloat16, (7,)), (torch.float32, (2,))]
    made = [nn.Parameter(torch.ones(size, dtype=kind)) for kind, size in sizes]
    random = torch.Generator().manual_seed(rank)
    for at, parameter in enumerate(made[:-1]):
        drawn = torch.randn(parameter.shape, generator=random).to(parameter.dtype)
        if not (lacking and rank == 1 and at == 1):
            parameter.grad = drawn
    return made


def state(first: int, rows: int = 2):
    """A tree of which every row says its number."""
    numbers = torch.arange(first, first + rows)
    return (numbers[:, None].float().repeat(1, 3), (numbers.clone(),))


def refused(operation) -> list:
    """What an operation that must fail says, and after how many seconds."""
    began = time.monotonic()
    with pytest.raises(ExphilError) as caught:
        operation()
    error = caught.value
    return [error.what, error.where, error.fix, time.monotonic() - began]


def work(run: Ranks) -> dict:
    """All that one of two processes does; rank 1 is killed in the end."""
    found: dict = {"rank": run.rank, "world": run.world, "first": run.is_first, "slices": str(run.slices(3))}
    found["values"] = run.sum_values([run.rank + 1, 0.1, 1e9 + run.rank])
    for name, size in (("one bucket", 1 << 20), ("many buckets", 32)):
        ranks.BUCKET_BYTES = size
        mine = parameters(run.rank, lacking=True)
        run.sum_gradients(mine)
        found[name] = [None if each.grad is None else each.grad.tolist() for each in mine]
    gathered = run.gather({"random": torch.get_rng_state()[: 10 + run.rank], "name": [run.rank, "x"]})
    found["gathered"] = [[len(each["random"]), each["name"]] for each in gathered]
    whole = whole_state([state(run.rank * 4), state(run.rank * 4 + 2)], run)
    found["whole"] = whole and [whole[0][:, 2].tolist(), whole[1][0].tolist()]
    run.same("the same games", "the games")
    found["differ"] = refused(lambda: run.same(f"epochs {run.rank}", "their options"))
    if run.rank == 1:
        time.sleep(SLOW_S)  # longer than GONE_S of this test
    found["slow"] = run.sum_values([1.0])
    if run.rank == 1:
        say(found)
        os.kill(os.getpid(), signal.SIGKILL)
    found["killed"] = refused(lambda: run.sum_gradients(parameters(0, lacking=False)))
    found["still killed"] = refused(lambda: run.gather(1))
    run.close()
    return found


def stand_still(run: Ranks) -> dict:
    """What rank 0 finds when rank 1 is there no more, as when its machine vanished: no word, and nothing closed."""
    run.sum_values([1.0])
    if run.rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    found = {"rank": 0, "silent": refused(lambda: run.sum_values([1.0])), "left": time.time()}
    run.close()
    return found


def say(found: dict) -> None:
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()


def together(work: str) -> list[subprocess.Popen[str]]:
    """Two processes that do it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    about = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__)), work]
    return [
        subprocess.Popen(command, env={**os.environ, **about, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]


@pytest.fixture(scope="module")
def both() -> list[dict]:
    """What the two processes found."""
    if os.name != "posix":
        pytest.skip("stops a process by signals")
    processes = together("work")
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, -signal.SIGKILL]
    return [json.loads(each) for each in said]


def test_every_process_knows_its_number_and_rank_0_is_the_one_that_writes(both):
    assert [found["rank"] for found in both] == [0, 1] and [found["first"] for found in both] == [True, False]
    assert [found["slices"] for found in both] == ["(6, range(0, 3))", "(6, range(3, 6))"]


def test_values_are_summed_in_double_precision(both):
    assert both[0]["values"] == both[1]["values"] == [3, 0.2, 2e9 + 1]


@pytest.mark.parametrize("buckets", ["one bucket", "many buckets"])
def test_gradients_are_summed_and_a_lacking_one_counts_as_zeros(both, buckets):
    assert both[0][buckets] == both[1][buckets], "the same bits"
    left, right = parameters(0, lacking=True), parameters(1, lacking=True)
    sums, second, narrow, none = both[0][buckets]
    assert left[0].grad is not None and right[0].grad is not None and left[2].grad is not None
    assert sums == (left[0].grad + right[0].grad).tolist()
    assert second == left[1].grad.tolist(), "rank 1 had none"
    assert narrow == (left[2].grad + right[2].grad).tolist()
    assert none is None, "an optimiser leaves alone what nobody has a gradient for"


def test_rank_0_collects_what_all_hold_in_order(both):
    assert both[0]["gathered"] == [[10, [0, "x"]], [11, [1, "x"]]] and both[1]["gathered"] == []


def test_the_whole_state_is_that_of_all_slices_in_order(both):
    assert both[0]["whole"] == [list(range(8)), list(range(8))] and both[1]["whole"] is None


def test_processes_that_hold_different_things_say_so_all_of_them(both):
    for found in both:
        what, where, fix, _ = found["differ"]
        assert what == "the processes of the run differ in their options" and where == "torchrun" and "same" in fix


def test_a_slow_process_is_waited_for(both):
    assert both[0]["slow"] == both[1]["slow"] == [2]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="stops a process by a signal")
def test_a_process_that_gives_no_sign_of_life_is_named_and_nobody_waits_for_it():
    first, still = together("stand_still")
    try:
        found = json.loads(first.communicate(timeout=60)[0])
        ended = time.time()
    finally:
        for process in (first, still):
            process.kill()
            process.communicate()
    what, where, fix, seconds = found["silent"]
    assert what == "process 1 of the run is gone" and where == "torchrun" and "--resume NAME.pt" in fix
    assert seconds < 10 and ranks.GONE_S + 3 * ranks.BEAT_S < 60
    assert first.returncode == 0 and ended - found["left"] < 10


@pytest.mark.parametrize("operation", ["killed", "still killed"])
def test_a_killed_process_ends_the_operations_of_the_others(both, operation):
    what, where, fix, seconds = both[0][operation]
    assert what == "another of the 2 processes of the run is gone" and where == "torchrun"
    assert "start it again with --resume NAME.pt of the last save" in fix and seconds < 10


def test_one_process_alone_gets_back_what_it_gave():
    run, mine = alone(), parameters(0, lacking=False)
    before = [each.grad for each in mine]
    run.sum_gradients(mine)
    assert all(each.grad is grad for each, grad in zip(mine, before, strict=True))
    assert run.is_first and run.world == 1 and run.sum_values([1.5]) == [1.5] and run.gather(7) == [7]
    assert run.slices(4) == (4, range(4)) and run.device("cpu") == torch.device("cpu")
    run.same("x", "anything")
    run.close()


@pytest.mark.parametrize("environ", [{}, {"RANK": "0"}, dict.fromkeys(ranks.VARIABLES, "1") | {"RANK": "0"}])
def test_without_torchrun_or_with_one_process_the_run_is_alone(environ):
    assert joined(environ).world == 1


@pytest.mark.parametrize(("name", "value"), [("RANK", "x"), ("RANK", "2"), ("WORLD_SIZE", "0"), ("LOCAL_RANK", "-1")])
def test_variables_that_make_no_sense_are_refused_by_name(name, value):
    about = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", name: value}
    with pytest.raises(OptionError) as caught:
        joined(about, "cpu")
    assert caught.value.where == name


def test_a_batch_that_the_processes_cannot_share_is_refused_with_one_that_they_can(options, corpus):
    from exphil.assemble.batches import plan, sliced

    asked = options(batch_size="15", accumulation_steps="2")
    with pytest.raises(OptionError) as caught:
        sliced(asked, plan(asked, corpus, 0), Ranks(1, 2, 2, None, None))
    assert caught.value.where == "--batch-size" and "--batch-size 16" in caught.value.fix
    asked = options(batch_size="4", accumulation_steps="2")
    own = sliced(asked, plan(asked, corpus, 0), Ranks(1, 2, 2, None, None))
    assert own.batch == 2 and own.own == range(2, 4)


@pytest.mark.parametrize(("parts", "batch"), [(1, 8), (2, 8), (4, 8), (3, 8), (5, 3)])
def test_a_whole_state_is_cut_as_batches_are(parts, batch):
    whole = state(0, batch)
    found = [own_states(whole, parts, range(at, at + 1), batch)[0] for at in range(parts)]
    assert {len(each[0]) for each in found} == {-(-batch // parts)}
    again = whole_state(found, alone())
    assert again is not None and len(again[0]) >= batch
    assert again[1][0][:batch].tolist() == list(range(batch)) and not again[1][0][batch:].any()
    for other in (1, 2, 7):  # whatever padding it was saved with
        left, right = (own_states(each, other, range(other), batch) for each in (whole, again))
        assert [each[1][0].tolist() for each in left] == [each[1][0].tolist() for each in right]


if __name__ == "__main__":
    torch.set_num_threads(1)
    ranks.BEAT_S, ranks.GONE_S = 0.1, 0.8
    say({"work": work, "stand_still": stand_still}[sys.argv[1]](joined(os.environ, "cpu")))
