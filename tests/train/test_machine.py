"""How full the memory is, by files as Linux writes them, and what is said of it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from statistics import median

import pytest
import torch

from exphil.data import memory
from exphil.train.machine import Level, MemoryWatch, checkpoint_warning, gpu_share

MB = 1_000_000
NO_LIMIT = 9223372036854771712


def written(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))
    return root


def machine(root, total=16_000, free=8_000, groups=""):
    """Megabytes."""
    text = f"MemTotal: {total * MB // 1024} kB\nMemFree: 1 kB\nMemAvailable: {free * MB // 1024} kB\nHugePages: 0\n"
    return written(root, {"proc/meminfo": text, "proc/self/cgroup": groups})


def megabytes(found):
    return found and [round(each / MB) for each in found]


def test_without_limits_the_machine_says_what_is_free(tmp_path):
    machine(tmp_path)
    assert megabytes(memory.measured(tmp_path)) == [16_000, 8_000]
    assert memory.used_share(tmp_path) == pytest.approx(0.5, abs=1e-3)


def v2(folder, most, used, pages=0):
    stat = f"anon 5\ninactive_file {pages * MB // 2}\nactive_file {pages * MB // 2}\n"
    return {f"{folder}/memory.max": most, f"{folder}/memory.current": used * MB, f"{folder}/memory.stat": stat}


def test_the_tightest_group_of_version_2_counts_and_pages_of_files_are_free(tmp_path):
    machine(tmp_path, groups="0::/a/b\n")
    top = "sys/fs/cgroup"
    written(tmp_path, v2(f"{top}/a/b", "max", 500) | v2(f"{top}/a", 2_000 * MB, 1_900, 1_000))
    assert megabytes(memory.measured(tmp_path)) == [2_000, 1_100]
    written(tmp_path, v2(f"{top}/a/b", 1_000 * MB, 950))
    assert megabytes(memory.measured(tmp_path)) == [1_000, 50]
    assert memory.used_share(tmp_path) == pytest.approx(0.95)
    assert memory.free_bytes(tmp_path) == 50 * MB and memory.total_bytes(tmp_path) == 1_000 * MB


def v1(folder, most, used, pages=0):
    stat = f"inactive_file 1\ntotal_inactive_file {pages * MB}\ntotal_active_file 0\n"
    return {
        f"{folder}/memory.limit_in_bytes": most,
        f"{folder}/memory.usage_in_bytes": used * MB,
        f"{folder}/memory.stat": stat,
    }


def test_groups_of_version_1_and_a_container_that_sees_only_its_own(tmp_path):
    machine(tmp_path, groups="4:cpu,memory:/docker/far/away\n3:cpuset:/\n0::/\n")
    top = "sys/fs/cgroup/memory"
    written(tmp_path, v1(top, NO_LIMIT, 100))
    assert megabytes(memory.measured(tmp_path)) == [16_000, 8_000]
    written(tmp_path, v1(top, 4_000 * MB, 3_000, 500))
    assert megabytes(memory.measured(tmp_path)) == [4_000, 1_500]


def test_a_machine_that_says_nothing_or_nonsense_is_no_error(tmp_path):
    assert memory.measured(tmp_path) is None and memory.used_share(tmp_path) is None
    assert MemoryWatch(root=tmp_path).look() == MemoryWatch(root=tmp_path).said() == ""
    written(tmp_path, {"proc/meminfo": "MemTotal: what\nMemAvailable:\n\x00\n", "proc/self/cgroup": "\n::\n1\n"})
    assert memory.measured(tmp_path) is None
    machine(tmp_path, groups="0::/../..\n")
    written(tmp_path, v2("sys/fs/cgroup", 0, 5))
    assert megabytes(memory.measured(tmp_path)) == [16_000, 8_000]
    if hasattr(os, "sysconf"):
        assert memory.free_bytes(tmp_path / "none") * 2 == pytest.approx(memory.total_bytes(tmp_path / "none"), abs=2)


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux writes")
def test_this_machine_has_memory_and_taking_some_is_seen():
    share, seen = memory.used_share(), []
    assert share is not None and 0 < share < 1
    for _ in range(5):  # others may give back what they had meanwhile
        before = memory.measured()
        assert before is not None and 0 < before.free <= before.total
        taken = bytearray(300 * MB)
        taken[::4096] = b"x" * len(taken[::4096])
        after = memory.measured()
        assert after is not None and len(taken) == 300 * MB
        seen.append(before.free - after.free)
    assert max(seen) > 100 * MB


def test_a_level_is_told_once_and_again_only_after_there_was_room():
    level = Level(0.9, 0.8)
    seen = [0.5, 0.89, 0.9, 0.95, 0.85, 0.91, None, 0.79, 0.89, 0.9, 0.92]
    assert [share for share in seen if level.saw(share)] == [0.9, 0.9]


def test_a_watch_says_one_sentence_with_what_to_do(tmp_path):
    machine(tmp_path, 1_000, 100)
    watch = MemoryWatch(root=tmp_path)
    said = watch.look()
    assert said.startswith("main memory is 90 % full: ") and "\n" not in said and "--stream-chunk-size" in said
    assert watch.look() == ""
    machine(tmp_path, 1_000, 500)
    assert watch.look() == "" and watch.said() == "memory     500 MB of 1.0 GB main memory used"
    machine(tmp_path, 1_000, 5)
    assert watch.look() != "" and watch.look() == ""


def test_a_watch_is_cheap_enough_to_be_asked_every_50_updates():
    watch, seconds = MemoryWatch(), []
    for _ in range(20):
        began = time.perf_counter()
        watch.look()
        seconds.append(time.perf_counter() - began)
    assert median(seconds) < 0.01


def test_without_a_gpu_nothing_is_said_of_one():
    assert gpu_share(torch.device("cpu")) is None
    if not torch.cuda.is_available():
        assert gpu_share() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_says_how_full_it_was():
    device = torch.device("cuda")
    size = 2**28
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.empty(1, device=device)
    before = gpu_share(device)
    held = torch.empty(size, dtype=torch.uint8, device=device)
    del held
    after, total = gpu_share(), torch.cuda.mem_get_info(device)[1]
    assert before is not None and after is not None and 0 < before < after < 1
    assert (after - before) * total == pytest.approx(size, rel=0.2), "what was held at most counts, freed or not"


def test_a_large_snapshot_gets_one_sentence_and_a_small_one_none():
    assert checkpoint_warning(500 * MB, 10**6) == ""
    said = checkpoint_warning(812 * MB, 50 * MB)
    assert "812 MB" in said and "200 MB" in said and "policy file" in said and "\n" not in said
    assert "2.4 GB" in checkpoint_warning(2_400 * MB, 50 * MB)


def test_remedies_are_options_that_exist():
    from exphil.config.groups import OPTIONS
    from exphil.train import machine as said

    for text in (said.MAIN_REMEDY, said.GPU_REMEDY):
        for word in text.replace(",", "").split():
            assert not word.startswith("--") or word[2:].replace("-", "_") in OPTIONS


def test_paths_of_groups_never_leave_their_folder():
    root = Path("root")
    assert all(".." not in folder.parts for folder, *_ in memory._groups(root))
