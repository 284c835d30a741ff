"""``exphil doctor``: every check can fail, says what helps, and none of them ends the others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest
import torch

from exphil import assemble
from exphil.assemble import playing
from exphil.cli.checks import computing, games, installed, optional, policies, processors, room
from exphil.cli.checks.deciding import Pace, measure, timed
from exphil.cli.checks.finding import Asked, Finding
from exphil.cli.checks.order import CHECKS, look
from exphil.cli.checks.requirements import Requirement, allows, requirements
from exphil.cli.doctor import page
from exphil.cli.main import main
from exphil.compiled import compiled
from exphil.config.layers import jsonable, resolve
from exphil.errors import DataError
from exphil.train import checkpoint

Doctor = Callable[..., tuple[int, dict[str, dict[str, str]]]]
TOO_MANY_THREADS = "1000"


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys) -> Doctor:
    """Runs ``exphil doctor --json`` in an empty folder: the exit code, and the findings by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def run(*words: object) -> tuple[int, dict[str, dict[str, str]]]:
        code = main(["doctor", "--json", *map(str, words)])
        found = json.loads(capsys.readouterr().out)["checks"]
        return code, {finding["name"]: finding for finding in found}

    return run


def a_policy(path: Path, **more: Any) -> Path:
    """A policy file of a tiny network."""
    settings = resolve("train", {"--temporal": True, "--backbone": "gru", "--hidden": "8"}, {})
    codec = assemble.codec(settings)
    words: dict[str, Any] = {
        "config": jsonable(settings.flat()),
        "fingerprint": assemble.table(settings).fingerprint,
        "baselines": {},
        "training": {"name": "tiny"},
        "actions": codec.as_dict(),
    }
    weights = assemble.policy(settings, codec).state_dict()
    checkpoint.save_policy(path, checkpoint.PolicyFile(weights, **(words | more)))
    return path


def test_a_machine_without_trouble_ends_with_0_and_leaves_nothing_behind(doctor, tmp_path):
    code, found = doctor()
    states = {name: finding["state"] for name, finding in found.items()}
    assert code == 0 and "problem" not in states.values()
    assert found["replays"]["found"] == "--replays FOLDER" and states["replays"] == "not looked at"
    assert found["policy"]["found"] == "--policy FILE" and states["policy"] == "not looked at"
    assert {name for name, _ in CHECKS} | {"threads", "GPU"} == set(found)
    assert list(tmp_path.iterdir()) == []


def test_every_finding_is_a_few_lines_of_80_letters_and_commands_stay_whole():
    command = "pip install " + "x" * 100
    lines = list(page(Finding("torch", "warning", "word " * 30, f"{'help ' * 30}\n{command}")))
    assert lines[0].startswith("warning       torch          word word") and lines[-1].strip() == command
    assert all(len(line) <= 80 for line in lines[:-1]) and sum("->" in line for line in lines) == 1
    assert list(page(Finding("x", "ok", "a\x1b[31mb"))) == ["ok            x              a?[31mb"]


def test_what_is_printed_ends_with_a_sentence_on_all_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--replays", "nowhere"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("something will not work (1 problem")


def test_an_error_in_a_check_is_a_problem_of_that_check_and_the_others_go_on():
    def broken(asked: Asked):
        yield Finding("first", "ok", "")
        raise ZeroDivisionError("by nothing")

    def refuses(asked: Asked):
        raise DataError("is gone", "games", "look again")

    last = ("last", lambda asked: [Finding("last", "ok", "")])
    found = list(look(Asked(Path(), Path()), (("broken", broken), ("refuses", refuses), last)))
    assert [finding.name for finding in found] == ["first", "broken", "refuses", "last"]
    assert found[1].state == "problem" and found[1].found == "ZeroDivisionError: by nothing"
    assert found[2] == Finding("refuses", "problem", "games: is gone", "look again")


@pytest.mark.parametrize(
    ("module", "spoiled"),
    [("torch", {"torch", "policy"}), pytest.param("numba", {"compiled code"}, marks=pytest.mark.slow)],
)
def test_a_library_that_cannot_be_imported_is_a_line(module, spoiled, tmp_path):
    (tmp_path / f"{module}.py").write_text("raise ImportError('libfoo.so.1: no such file')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    policy = a_policy(tmp_path / "tiny_policy.safetensors") if module == "torch" else None
    asked = [sys.executable, "-m", "exphil", "doctor", "--json", *(["--policy", str(policy)] if policy else [])]
    result = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    found = {finding["name"]: finding for finding in json.loads(result.stdout)["checks"]}
    assert result.returncode == 1
    assert {name for name, finding in found.items() if finding["state"] == "problem"} == spoiled
    assert "libfoo.so.1" in found["torch" if module == "torch" else "compiled code"]["found"]
    if module == "torch":
        assert {found[name]["state"] for name in ("threads", "GPU")} == {"not looked at"}
        assert "pip install --force-reinstall" in found["torch"]["remedy"]
        assert "needs torch" in found["policy"]["found"] and "export onnx" in found["policy"]["remedy"]


def test_an_old_python_is_a_problem():
    assert installed.judge_python((3, 10, 4), "Linux").state == "problem"
    assert installed.judge_python((3, 14, 0), "Linux") == Finding("Python", "ok", "3.14.0, Linux")


def test_packages_that_are_missing_or_do_not_fit_are_named():
    needed = [Requirement("rich", ">=14", ""), Requirement("cyclopts", ">=5.4,<6", "")]
    assert installed.judge_packages("1", needed, {"rich": "14.0", "cyclopts": "5.9"}).state == "ok"
    unfit = installed.judge_packages("1", needed, {"rich": "13.9", "cyclopts": "6.0"})
    assert unfit.state == "warning" and "rich 13.9 (>=14), cyclopts 6.0 (>=5.4,<6)" in unfit.found
    missing = installed.judge_packages("1", needed, {"rich": None, "cyclopts": "5.9"})
    assert missing.state == "problem" and "missing rich" in missing.found and "pip install -e ." in missing.remedy
    assert installed.judge_packages(None, [], {}).state == "warning"


def test_an_extra_is_whole_in_parts_or_not_there():
    offered = [Requirement(name, ">=1", "export") for name in ("onnx", "onnxruntime")] + [Requirement("x", "", "hub")]
    whole = optional.judge_extras(offered, {"onnx": "1.2", "onnxruntime": "1.0", "x": None})
    assert whole.state == "ok" and whole.found == "installed: export; not installed: hub"
    assert 'pip install "exphil[NAME]"' in whole.remedy
    parts = optional.judge_extras(offered, {"onnx": None, "onnxruntime": "1.0", "x": "1"})
    assert parts.state == "warning" and "export will not work (onnx is missing)" in parts.found
    assert parts.remedy.endswith('pip install "exphil[export]"')
    old = optional.judge_extras(offered, {"onnx": "0.9", "onnxruntime": "1.0", "x": "1"})
    assert old.state == "warning" and "onnx 0.9" in old.found


def test_two_peppi_packages_are_a_clash(tmp_path, monkeypatch, doctor):
    for name, version in (("peppi_py", "0.8.6"), ("peppi_py_vladfi", "0.9.2")):
        folder = tmp_path / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (found,) = optional.peppi(Asked(Path(), Path()))
    assert found.state == "warning" and "peppi-py 0.8.6 and peppi-py-vladfi 0.9.2" in found.found
    assert "pip uninstall -y peppi-py peppi-py-vladfi\npip install peppi-py-vladfi" in found.remedy
    assert optional.judge_peppi({"peppi-py": "0.8.6"}).state == optional.judge_peppi({}).state == "ok"


def test_requirements_are_read_from_metadata():
    lines = [
        "torch<2.14,>=2.9",
        "onnx>=1.20; extra == 'export'",
        'a[b]>=1; python_version < "4" and extra == "hub"',
        "rich",
    ]
    assert requirements(lines) == [
        Requirement("torch", ">=2.9,<2.14", ""),
        Requirement("onnx", ">=1.20", "export"),
        Requirement("a", ">=1", "hub"),
        Requirement("rich", "", ""),
    ]
    assert {"torch", "numpy", "numba"} <= {each.name for each in requirements()}


@pytest.mark.parametrize(
    ("allowed", "version", "fits"),
    [
        (">=2.9,<2.14", "2.13.0+cpu", True),
        (">=2.9,<2.14", "2.14.0", False),
        (">=2.9,<2.14", "2.8.1", False),
        (">=9", "9", True),
        (">=1.2", "1.2.0", True),
        ("<6,>=5.4", "5.10", True),
        ("", "0", True),
    ],
)
def test_versions_are_compared_by_their_numbers(allowed, version, fits):
    assert allows(allowed, version) is fits


CARD = "NVIDIA H200"


@pytest.mark.parametrize(
    ("version", "kind", "usable", "cards", "state", "said"),
    [
        ("2.13.0+cpu", "", False, (), "ok", "made for the processor"),
        ("2.13.0+cu130", "CUDA 13.0", True, (), "ok", "made for CUDA 13.0"),
        ("2.15.0", "", False, (), "warning", 'pip install "torch>=2.9,<2.14"'),
        ("2.13.0+cpu", "", False, (CARD,), "warning", "whl/cu130"),
        ("2.13.0+cu130", "CUDA 13.0", False, (), "warning", "whl/cpu"),
        ("2.13.0+cu130", "CUDA 13.0", False, (CARD,), "warning", "whl/cu126"),
    ],
)
def test_the_build_of_torch_has_to_fit_the_machine(version, kind, usable, cards, state, said):
    found = computing.judge_torch(version, ">=2.9,<2.14", kind, usable, cards, "driver too old")
    assert found.state == state and said in f"{found.found}\n{found.remedy}"
    assert (CARD in found.found) == bool(cards)
    assert ("driver too old" in found.found) == bool(kind and cards)


def test_cards_are_found_where_the_driver_lists_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert processors.nvidia(tmp_path) == ()
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text(f"Model: \t\t {CARD}\nIRQ:   \t\t 40\n")
    assert processors.nvidia(tmp_path) == (CARD,)


@pytest.mark.parametrize("answer", [f"echo '{CARD}'", "exit 9"])
@pytest.mark.skipif(os.name != "posix", reason="a program of one line of shell")
def test_cards_are_asked_for_where_nobody_lists_them(answer, tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert processors.nvidia(tmp_path / "none") == ((CARD,) if "echo" in answer else ())


def test_more_threads_than_cores_are_told(doctor, monkeypatch):
    assert doctor("--threads", TOO_MANY_THREADS)[1]["threads"]["state"] == "warning"
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    code, found = doctor()
    assert code == 0 and found["threads"]["state"] == "warning" and "OMP_NUM_THREADS=4096" in found["threads"]["found"]
    assert processors.judge_threads(None, 8, "8,4").state == processors.judge_threads(2, 2, "").state == "ok"


def test_a_device_that_is_not_there_is_a_problem(doctor):
    device = "mps" if torch.cuda.is_available() else "cuda"
    code, found = doctor("--device", device)
    assert code == 1 and found["GPU"]["state"] == "problem" and f"--device {device}" in found["GPU"]["found"]


@pytest.mark.parametrize(
    ("name", "memory", "state", "said"),
    [
        ("", None, "ok", "none: networks run on the processor"),
        ("Apple", None, "ok", "shares the main memory"),
        (CARD, (140_000_000_000, 150_000_000_000), "ok", "140 GB free of 150 GB"),
        (CARD, (400_000_000, 150_000_000_000), "warning", "400 MB free"),
    ],
)
def test_a_gpu_is_named_with_what_is_free(name, memory, state, said):
    found = processors.judge_gpu(name, memory, "auto", there=True)
    assert found.state == state and said in found.found


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [
        (9_000_000_000, 16_000_000_000, "ok"),
        (10**9, 4 * 10**9, "warning"),
        (10**8, 10**9, "problem"),
        (None, None, "ok"),
    ],
)
def test_little_memory_is_told(free, total, state):
    assert room.judge_memory(free, total, None).state == state


def test_the_limit_of_a_container_is_told():
    found = room.judge_memory(3 * 10**9, 4 * 10**9, 64 * 10**9)
    assert found.found == "3.00 GB free of 4.00 GB that a container may use (the machine has 64.0 GB)"


@pytest.mark.parametrize(("name", "flag"), [("checkpoints", "--checkpoints-dir"), ("cache", "--cache-dir")])
def test_a_folder_that_cannot_be_made_is_a_problem(name, flag, doctor, tmp_path):
    (tmp_path / "file").write_text("")
    code, found = doctor(flag, tmp_path / "file" / "below")
    assert code == 1 and found[name]["state"] == "problem" and f"another {flag}" in found[name]["remedy"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="who may do everything may write everywhere")
def test_a_folder_that_is_read_only_is_a_problem(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert room.look_at_folder("cache", tmp_path / "deep", "--cache-dir").state == "problem"
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(("free", "state"), [(10**7, "problem"), (10**9, "warning"), (10**11, "ok")])
def test_a_disk_that_is_nearly_full_is_told(free, state):
    assert room.judge_disk("cache", Path("games"), free, "choose another").state == state


def test_compiled_code_without_a_place_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    assert str(tmp_path / "kept") in (room.kept_in(compiled()(test_versions_are_compared_by_their_numbers)) or "")
    fleeting = numba.njit(lambda x: x)
    assert room.kept_in(fleeting) is None
    assert room.judge_compiled(None).state == "warning" and "NUMBA_CACHE_DIR" in room.judge_compiled(None).remedy


def test_replays_that_were_named_are_counted_and_tried(doctor, replays, tmp_path):
    names = ["fox_vs_falco_fountain_of_dreams_015.slp", "peach_vs_marth_final_destination_028.slp"]
    (tmp_path / "games").mkdir()
    for name in names:
        shutil.copy(replays / name, tmp_path / "games")
    code, found = doctor("--replays", "games")
    assert code == 0 and found["replays"]["state"] == "ok"
    assert found["replays"]["found"] == "2 .slp; 2 of 2 that were tried can be read"
    (tmp_path / "games" / "a.slp").write_bytes(b"no game")
    code, found = doctor("--replays", "games")
    assert code == 0 and found["replays"]["state"] == "warning" and "a.slp" in found["replays"]["found"]
    code, found = doctor("--replays", "games", "--max-files", 1)
    assert code == 1 and found["replays"]["state"] == "problem" and "0 of 1" in found["replays"]["found"]


@pytest.mark.parametrize(("made", "said"), [(False, "no such folder"), (True, "no .slp files")])
def test_a_folder_without_replays_is_a_problem_where_it_was_named(made, said, doctor, tmp_path, monkeypatch):
    if made:
        (tmp_path / "games").mkdir()
    monkeypatch.setenv("EXPHIL_REPLAYS_DIR", "games")
    code, found = doctor()
    assert code == 1 and found["replays"]["state"] == "problem" and said in found["replays"]["found"]
    assert found["replays"]["remedy"]


def test_what_was_passed_over_and_what_is_packed_is_told():
    found = games.judge_replays(Counter({".slp": 1200, ".7z": 3}), 20, [], [("b.zip", "is encrypted")])
    assert found.state == "warning" and found.found.startswith("1,200 .slp, 3 in .7z; 20 of 20")
    assert "b.zip: is encrypted" in found.found and games.kind("A.SLP.GZ") == ".slp.gz"


def test_a_sample_is_taken_from_all_of_a_folder_and_from_the_front_of_what_is_packed_together():
    from exphil.replays.sources import Source

    plain = [Source(Path(f"{number:03}.slp")) for number in range(100)]
    assert [source.path.stem for source in games.sample(plain, 4)] == ["000", "025", "050", "075"]
    packed = [Source(Path("a.7z"), f"{number}.slp") for number in range(100)]
    assert games.sample(packed, 4) == packed[:4] and games.sample(plain[:2], 4) == plain[:2]


def test_a_policy_that_was_named_is_loaded_and_timed(tmp_path):
    file, learned = a_policy(tmp_path / "tiny_policy.safetensors"), None
    player, learned = playing.playable(file, "reference", "cpu", 1)
    assert "gru, sees frames as this exphil shows them, answers 0 frames late" in policies.described(file, learned)
    assert len(timed(player, learned, 2, 25, 0.0)) == 20 and len(timed(player, learned, 1, 25, 60)) == 25


@pytest.mark.slow
def test_a_policy_file_and_its_exported_graph_are_timed_by_every_player(doctor, tmp_path):
    file = a_policy(tmp_path / "tiny_policy.safetensors")
    code, found = doctor("--policy", file, "--threads", 1)
    assert code in (0, 1) and found["policy"]["state"] == "ok"
    assert all("a frame lasts 16.7 ms" in found[name]["found"] for name in ("latency", "latency, fast"))
    playing.exported(file, tmp_path / "tiny.onnx")
    _, found = doctor("--policy", tmp_path / "tiny.onnx")
    assert found["policy"]["state"] == "ok" and "latency" not in found and "latency, fast" in found
    graph = bytearray((tmp_path / "tiny.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (tmp_path / "tiny.onnx").write_bytes(graph)
    code, found = doctor("--policy", tmp_path / "tiny.onnx")
    assert code == 1 and found["policy"]["state"] == "problem" and "damaged" in found["policy"]["found"]


def flipped(path: Path) -> Path:
    """One bit of a file is another one."""
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path, "cannot be read"),
        (lambda path: flipped(a_policy(path)), "damaged"),
        (lambda path: a_policy(path, fingerprint="another"), "trained on feature table another"),
        (lambda path: a_policy(path, config={"from_the_future": 1}), "from_the_future"),
    ],
    ids=["missing", "damaged", "fingerprint", "options"],
)
def test_a_policy_that_cannot_be_played_is_a_problem(make, said, doctor, tmp_path):
    code, found = doctor("--policy", make(tmp_path / "tiny_policy.safetensors"))
    assert code == 1 and found["policy"]["state"] == "problem" and said in found["policy"]["found"]
    assert not {"latency", "latency, fast"} & set(found)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [([0.001] * 100, "ok"), ([0.001] * 95 + [0.03] * 5, "warning"), ([0.02] * 100, "problem")],
)
def test_decisions_that_come_too_late_are_told(seconds, state):
    found = policies.judge_pace("latency", Pace(seconds, {4: 0.002, 16: 0.01, 64: 0.1}), None)
    assert found.state == state and ("16 games at once keep up" in found.found) == (state == "ok")
    assert ("--threads 1" in found.remedy) == (state != "ok")


@pytest.mark.slow
def test_a_player_that_cannot_keep_up_is_not_asked_for_more_games(tmp_path):
    player, learned = playing.playable(a_policy(tmp_path / "tiny_policy.safetensors"), "reference", "cpu", 1)

    class Late:
        def __init__(self) -> None:
            self.games: set[int] = set()

        def initial_state(self, batch: int) -> Any:
            self.games.add(batch)
            return player.initial_state(batch)

        def act(self, *given: Any) -> Any:
            time.sleep(0.02)
            return player.act(*given)

    late = Late()
    pace = measure(late, learned)
    assert late.games == {1} and 20 <= len(pace.seconds) < 300 and pace.many == {} and pace.at(0.5) >= 0.02
