"""Compiled functions are kept where a place can be written to, and are there all the same where none can."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

import exphil
from exphil.compiled import compiled

SOURCE = Path(exphil.__file__).parent
KERNELS = [path for path in sorted(SOURCE.rglob("*.py")) if re.search(r"^@compiled\(", path.read_text(), re.MULTILINE)]
TWICE = "from exphil.compiled import compiled\n\n@compiled(nogil=True)\ndef twice(x):\n    return 2 * x\n"


@pytest.fixture
def nowhere(tmp_path, monkeypatch) -> Path:
    """A folder of modules, and no place for numba's files: neither beside them nor with the user."""
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for variable in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(variable, str(file))
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "__pycache__").write_text("")
    return folder


def module(path: Path, text: str) -> ModuleType:
    """A module of this text at this place."""
    path.write_text(text)
    found = importlib.util.spec_from_file_location(f"copy_of_{path.stem}", path)
    assert found is not None and found.loader is not None
    made = importlib.util.module_from_spec(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, found.name, made)  # dataclasses look there
        found.loader.exec_module(made)
    return made


def places(folder: Path) -> set[str]:
    return {path.suffix for path in folder.rglob("*") if path.is_file()}


def test_a_function_is_kept_where_a_place_can_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    assert module(tmp_path / "twice.py", TWICE).twice(21) == 42
    assert places(tmp_path / "kept") == {".nbi", ".nbc"}


def test_a_function_is_there_where_no_place_can_be_written_to(nowhere):
    made = module(nowhere / "twice.py", TWICE)
    assert made.twice(21) == 42 and made.twice.targetoptions["nogil"]
    with pytest.raises(RuntimeError, match="cannot cache"):
        module(nowhere / "bare.py", TWICE.replace("@compiled(", "import numba\n@numba.njit(cache=True, "))
    assert places(nowhere) == {".py", ""}


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_every_module_of_kernels_can_be_imported_where_nothing_can_be_written(path, nowhere):
    made = module(nowhere / path.name, path.read_text())
    assert [name for name, found in vars(made).items() if hasattr(found, "py_func")]


def test_kernels_run_where_nothing_can_be_written(nowhere):
    reader, scan = (
        module(nowhere / f"{room}.py", (SOURCE / room / name).read_text())
        for room, name in (("replays", "kernels.py"), ("models", "scan_kernels.py"))
    )
    slots = np.zeros(3, np.int8)
    assert reader.item_slots(np.array([0, 0, 1], np.int32), np.array([7, 8, 7], np.uint32), slots) == 0
    assert slots.tolist() == [0, 1, 0]
    assert scan.sigmoid(np.float32(0)) == 0.5


def test_the_options_of_a_function_are_its_own():
    made = compiled(error_model="numpy", fastmath={"nsz"})(lambda x: 1 / x)
    assert made.targetoptions["error_model"] == "numpy" and made.targetoptions["fastmath"] == {"nsz"}
