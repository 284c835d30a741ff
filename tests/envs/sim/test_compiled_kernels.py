"""The compiled simulator is the one that is written: bit for bit, and after every edit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_hands import digests

import exphil.compiled
from exphil.compiled import sources
from exphil.envs.sim import data, step
from exphil.envs.sim.state import GAME, ITEM, PLAYER
from exphil.game import stages

HERE = Path(__file__).parent
SIM = Path(step.__file__).parent

INNER = "from exphil.compiled import part\nBY = 2\n\n@part\ndef times(x):\n    return BY * x\n"
MIDDLE = (
    "from exphil import inner\nfrom exphil.compiled import part\n\n@part\ndef more(x):\n    return inner.times(x) + 1\n"
)
ENTRY = """
from exphil import middle
from exphil.compiled import compiled

@compiled()
def answer(x):
    return middle.more(x)

print(answer(20), sum(answer.stats.cache_hits.values()))
"""


def uncompiled(*arguments: int) -> list[str]:
    """The digests of a process in which nothing is compiled."""
    command = [sys.executable, "-W", "error", str(HERE / "random_hands.py"), *map(str, arguments)]
    found = subprocess.run(
        command, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, check=True, capture_output=True, text=True
    )
    return found.stdout.split()


def test_a_thousand_random_steps_give_the_same_bits_compiled_and_uncompiled():
    assert digests(1, list(range(26)), 40, 10) == uncompiled(1, 26, 40, 10)


@pytest.mark.slow
def test_ten_thousand_random_steps_give_the_same_bits_compiled_and_uncompiled():
    assert digests(2, list(range(26)), 400, 50) == uncompiled(2, 26, 400, 50)


def test_all_numbers_of_the_records_are_as_wide_as_pythons():
    kinds = {kind[name].base for kind in (PLAYER, GAME, ITEM) for name in kind.names}
    assert kinds <= {np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.uint64)}
    known = data.known().dtype
    inner = {known[name].base for name in known.names}
    inner |= {kind[name] for kind in inner if kind.names for name in kind.names}
    assert np.dtype(np.float32) not in inner


def test_the_machine_code_of_a_step_is_as_old_as_the_newest_file_that_it_is_made_of():
    found = sources(SIM / "step.py")
    kernels = {path for path in SIM.glob("*.py") if "\n@part\n" in path.read_text()} - {SIM / "showing.py"}
    assert found >= kernels | {SIM / "actions.py", Path(stages.__file__), Path(exphil.compiled.__file__)}
    assert SIM / "world.py" not in found and SIM / "data.py" not in found


@pytest.fixture
def package(tmp_path) -> Path:
    """A package of the same name with kernels in three files."""
    folder = tmp_path / "exphil"
    folder.mkdir()
    texts = {"__init__": "", "compiled": Path(exphil.compiled.__file__).read_text(), "inner": INNER, "middle": MIDDLE}
    for name, text in {**texts, "entry": ENTRY}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def answered(package: Path) -> tuple[int, int]:
    """What the package's kernel answers in a new process, and how often kept code was used for it."""
    places = {**os.environ, "PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(package.parent / "kept")}
    command = [sys.executable, "-c", "import exphil.entry"]
    found = subprocess.run(command, env=places, check=True, capture_output=True, text=True, cwd=package.parent)
    first, second = found.stdout.split()
    return int(first), int(second)


@pytest.mark.slow
def test_code_is_compiled_anew_when_a_file_far_below_changed_and_only_then(package):
    assert answered(package) == (41, 0)
    assert answered(package) == (41, 1)
    (package / "entry.py").touch()
    assert answered(package) == (41, 1)
    (package / "inner.py").write_text(INNER.replace("BY = 2", "BY = 3"))
    assert answered(package) == (61, 0)
    assert answered(package) == (61, 1)
    (package / "middle.py").write_text(MIDDLE.replace("+ 1", "+ 2"))
    assert answered(package) == (62, 0)


def test_a_kernel_that_others_call_can_be_called_from_python_too():
    world_free = exphil.compiled.part(lambda x: x + 1)
    assert world_free(1) == 2
