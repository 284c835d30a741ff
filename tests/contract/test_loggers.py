"""Every logger, with its real library and without a network: what was logged is read back by the library's own means.

The record of the run raises when it cannot be written; no other logger ever does, whatever happens to it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from exphil.assemble.loggers import LOGGERS, check_loggers, loggers
from exphil.config.layers import resolve
from exphil.errors import ExphilError, OutputError
from exphil.train.metrics import JsonLines, Logger, TensorBoard, Tracker, aside

ABOUT = {"lr": 1e-4, "hidden": [16, 12], "name": "bird", "model": {"backbone": "mamba"}, "path": Path("x")}
TRACKERS = pytest.mark.parametrize("name", ["wandb", "trackio"])
EVERYONE = pytest.mark.parametrize(
    "name", ["lines", "tensorboard", *(pytest.param(name, marks=pytest.mark.slow) for name in ("wandb", "trackio"))]
)
Curves = dict[str, dict[int, float]]


@pytest.fixture(autouse=True)
def _without_an_account(monkeypatch, tmp_path):
    for variable in [name for name in os.environ if name.startswith(("WANDB_", "TRACKIO_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "settings"))


def begin(name: str, folder: Path, resumed: bool = False) -> Logger:
    if name == "lines":
        return JsonLines(folder / "metrics.jsonl")
    if name == "tensorboard":
        return TensorBoard(folder=folder, about=ABOUT)
    assert name in ("wandb", "trackio")
    return Tracker(name, project="birds", name="wren", folder=folder, about=ABOUT, resumed=resumed)


def read(name: str, folder: Path) -> Curves:
    return {"lines": read_lines, "tensorboard": read_events, "wandb": read_wandb, "trackio": read_trackio}[name](folder)


def read_lines(folder: Path) -> Curves:
    found: Curves = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        words = json.loads(line)
        found.setdefault(f"{words['event']}/loss", {})[words["update"]] = words["loss"]
        found.setdefault(f"{words['event']}/parts/x", {})[words["update"]] = words["parts"]["x"]
    return found


def read_events(folder: Path) -> Curves:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TensorBoard's reader uses old numpy and importlib names
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder))
        events.Reload()
        assert b"mamba" in events.Tensors("about/text_summary")[-1].tensor_proto.string_val[0]
        return {tag: {s.step: s.value for s in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def read_wandb(folder: Path) -> Curves:
    from wandb.proto.wandb_internal_pb2 import Record

    found: Curves = {}
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for packed in records(path.read_bytes()):
            record = Record.FromString(packed)
            row = {(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in record.history.item}
            for tag in [tag for tag in row if "/" in tag]:
                found.setdefault(tag, {})[row["update"]] = float(row[tag])
    return found


def records(data: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: a header of 7 bytes, then a log in blocks of 32 KiB as LevelDB writes them."""
    assert data[:4] == b":W&B"
    place, record = 7, b""
    while place + 7 <= len(data):
        if (left := 2**15 - place % 2**15) < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def read_trackio(folder: Path) -> Curves:
    code = """import json, sys
from trackio.sqlite_storage import SQLiteStorage
assert SQLiteStorage.get_run_config("birds", "wren")["model"] == {"backbone": "mamba"}
json.dump(SQLiteStorage.get_logs("birds", "wren"), sys.stdout)"""
    where = os.environ | {"TRACKIO_DIR": str(folder)}
    told = subprocess.run([sys.executable, "-c", code], env=where, capture_output=True, text=True, check=True)
    found: Curves = {}
    for row in json.loads(told.stdout):
        for tag in [tag for tag in row if "/" in tag]:
            found.setdefault(tag, {})[row["step"]] = row[tag]
    return found


@EVERYONE
def test_what_is_logged_can_be_read_and_nothing_is_printed(name, tmp_path, capfd):
    logger = begin(name, tmp_path)
    for step in (100, 200):
        logger.log("batch", step, {"loss": step / 64, "parts": {"x": step, "y": None}, "why": "text"})
    logger.log("epoch", 200, {"loss": math.nan, "parts": {"x": math.inf}})
    logger.close()
    assert logger.trouble == ""
    assert str(tmp_path) in logger.place
    assert capfd.readouterr() == ("", "")
    found = read(name, tmp_path)
    assert found["batch/loss"] == {100: 1.5625, 200: 3.125}
    assert found["batch/parts/x"] == {100: 100, 200: 200}
    assert math.isnan(found["epoch/loss"][200])
    assert found["epoch/parts/x"] == {200: math.inf}


@EVERYONE
def test_a_resumed_run_goes_on_in_its_curves(name, tmp_path):
    for start in (0, 2):
        logger = begin(name, tmp_path, resumed=start > 0)
        for step in (start, start + 1):
            logger.log("batch", step, {"loss": step, "parts": {"x": 0}})
        logger.close()
        assert logger.trouble == ""
    assert read(name, tmp_path)["batch/loss"] == {0: 0, 1: 1, 2: 2, 3: 3}


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_folder_that_cannot_be_written_is_told_and_the_run_goes_on(name, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    logger = begin(name, tmp_path / "file" / "folder")
    for _ in range(2):
        logger.log("batch", 1, {"loss": 1.0})
        logger.close()
    assert logger.trouble.startswith(f"{name} stopped: ")
    assert capfd.readouterr() == ("", "")


def test_the_record_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OutputError):
        begin("lines", tmp_path / "missing")


@pytest.mark.parametrize("name", ["tensorboard", pytest.param("trackio", marks=pytest.mark.slow)])
def test_a_disk_that_fills_up_is_told_and_the_run_goes_on(name, tmp_path, capfd):
    resource = pytest.importorskip("resource", reason="limits of a process, which Windows has not")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))  # a limit on one file stands in for the disk
    try:
        logger = begin(name, tmp_path)
        for step in range(100):
            logger.log("batch", step, {"loss": 1.0, "parts": list(range(20))})
        logger.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert logger.trouble.startswith(f"{name} stopped: ")
    logger.log("batch", 100, {"loss": 1.0})
    logger.close()
    assert capfd.readouterr() == ("", "")


def test_an_earlier_end_of_the_run_is_hidden_where_it_was_resumed_before_it(tmp_path):
    for steps in (range(4), range(2, 3)):
        logger = begin("tensorboard", tmp_path)
        for step in steps:
            logger.log("batch", step, {"loss": step})
        logger.close()
    assert list(read_events(tmp_path)["batch/loss"]) == [0, 1, 2]


def wait_for_place(tracker: Logger) -> None:
    until = time.monotonic() + 30
    while not tracker.place and time.monotonic() < until:
        time.sleep(0.02)
    assert tracker.place


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")
@TRACKERS
def test_a_process_that_is_killed_or_hangs_is_told_and_the_run_goes_on(name, tmp_path, monkeypatch):
    monkeypatch.setattr(aside, "FINISH_S", 0.5)
    for sent, said in ((signal.SIGKILL, "ended early"), (signal.SIGSTOP, "did not finish")):
        tracker = begin(name, tmp_path)
        wait_for_place(tracker)
        tracker.log("batch", 1, {"loss": 1.0})
        os.kill(tracker._process.pid, sent)
        began = time.monotonic()
        for step in range(2000):  # more than a pipe holds
            tracker.log("batch", step, {"loss": 1.0, "more": list(range(20))})
        tracker.close()
        assert time.monotonic() - began < 5
        assert said in tracker.trouble


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
@TRACKERS
def test_what_was_logged_before_the_run_was_killed_is_kept(name, tmp_path):
    code = f"""import os, sys, time
from pathlib import Path
from exphil.train.metrics import Tracker
about = {{"model": {{"backbone": "mamba"}}}}
tracker = Tracker({name!r}, project="birds", name="wren", folder=Path(sys.argv[1]), about=about, resumed=False)
tracker.log("batch", 7, {{"loss": 1.5}})
while not tracker.place: time.sleep(0.02)
print(tracker._process.pid, flush=True)
os.kill(os.getpid(), 9)"""
    told = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    until = time.monotonic() + 30
    with contextlib.suppress(OSError):  # until it is gone; what nobody has buried yet has no command line
        while Path(f"/proc/{told.stdout.strip()}/cmdline").read_bytes() and time.monotonic() < until:
            time.sleep(0.05)
    assert read(name, tmp_path)["batch/loss"] == {7: 1.5}


@pytest.mark.slow
def test_a_server_that_is_not_reached_leaves_the_run_on_disk_within_ten_seconds(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    tracker = begin("wandb", tmp_path)
    assert time.monotonic() - began < 0.5, "the run does not wait for it"
    wait_for_place(tracker)
    assert time.monotonic() - began < 10
    tracker.log("batch", 7, {"loss": 1.5})
    tracker.close()
    assert "wandb is offline" in tracker.place
    assert tracker.trouble == ""
    assert read_wandb(tmp_path) == {"batch/loss": {7: 1.5}}
    assert not list(tmp_path.glob("wandb/run-*")), "what the first try left is gone"


def switched(*names: str):
    return resolve("train", {"--replays": "x", **{f"--{name}": True for name in names}}, {})


@pytest.mark.parametrize("name", LOGGERS)
def test_a_library_that_is_missing_is_told_before_the_run_starts(name, monkeypatch):
    check_loggers(switched(*LOGGERS))
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ExphilError, match=rf"--{name} needs {name}.*\n.*exphil\[{name}\]"):
        check_loggers(switched(name))
    check_loggers(switched(*(set(LOGGERS) - {name})))


def test_the_record_comes_first_and_then_what_was_switched_on(tmp_path):
    from exphil.train.runfiles import RunFiles

    files = RunFiles.at(tmp_path / "wren")
    for names, kinds in (((), [JsonLines]), (("tensorboard",), [JsonLines, TensorBoard])):
        found = loggers(switched(*names), files, ABOUT, resumed=False)
        assert [type(logger) for logger in found] == kinds
        for logger in found:
            logger.log("batch", 1, {"loss": 1.0})
            logger.close()
    assert read_events(tmp_path / "wren_tensorboard") == {"batch/loss": {1: 1.0}}
