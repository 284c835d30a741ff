"""A run that was killed is told with the command that goes on; one that is alive or ended in order never is."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exphil.errors import OutputError
from exphil.train.unfinished import SILENCE_S, Unfinished, _asked, begun, ended, unfinished

ON_LINUX = Path("/proc/self/stat").exists()
BEGIN = """
import sys
from pathlib import Path
from exphil.train.unfinished import begun
begun(Path(sys.argv[1]), ["train", "--name", "a run", "--epochs", "3"], *map(Path, sys.argv[2:]))
print("begun", flush=True)
sys.stdin.read()
"""


def started(*paths: Path) -> subprocess.Popen[str]:
    """A real process that has begun a run and waits."""
    command = [sys.executable, "-c", BEGIN, *map(str, paths)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


def killed(*paths: Path) -> None:
    with started(*paths) as process:
        process.kill()


def changed(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_killed_run_is_offered_and_a_living_one_is_not(tmp_path):
    snapshot = tmp_path / "a run.pt"
    with started(snapshot) as process:
        assert unfinished(tmp_path) == []
        with pytest.raises(OutputError, match=rf"a run of this name is going on \(process {process.pid}, begun 20"):
            begun(snapshot, ["train"])
        process.kill()
        until = time.monotonic() + 20
        while ON_LINUX and not unfinished(tmp_path):
            assert time.monotonic() < until, "also a process whose parent has not asked for its end is gone"
    (found,) = unfinished(tmp_path)
    assert (found.name, found.newest, found.marker) == ("a run", None, tmp_path / "a run.incomplete")
    assert str(found) == (
        f"the run a run, begun {found.began:%Y-%m-%d %H:%M} UTC, was stopped before its end; nothing of it was saved "
        f"yet; it was started with: exphil train --name 'a run' --epochs 3 (or remove {found.marker})"
    )
    snapshot.write_bytes(b"")
    (found,) = unfinished(tmp_path)
    assert found.newest == snapshot
    assert f"stopped before its end; go on with: exphil train --resume '{snapshot}' (or remove" in str(found)


def test_halves_of_files_that_a_killed_run_was_writing_are_removed_when_it_begins_again(tmp_path):
    """Only its own: another run may be writing."""
    own = ["a.pt", "a_batch.pt", "a_epoch_0003_policy.safetensors", "a_best_ema_policy.safetensors", "a_config.json"]
    for name in [*own, "ab.pt", "a_b.pt", "a_b_policy.safetensors", "a.txt"]:
        (tmp_path / f".{name}.x12_z.part").write_text("half")
    begun(tmp_path / "a.pt", [])
    left = {path.name for path in tmp_path.glob(".*")}
    assert left == {f".{name}.x12_z.part" for name in ("ab.pt", "a_b.pt", "a_b_policy.safetensors", "a.txt")}


def test_one_that_ended_in_order_is_not_told(tmp_path):
    begun(tmp_path / "a.pt", [])
    assert (tmp_path / "a.incomplete").is_file() and unfinished(tmp_path) == []
    begun(tmp_path / "a.pt", [])
    for _ in range(2):
        ended(tmp_path / "a.pt")
        assert list(tmp_path.iterdir()) == []
    assert unfinished(tmp_path / "nowhere") == []


def test_the_newest_snapshot_of_this_run_goes_on(tmp_path):
    """Not one that stood there before it, nor one of another name."""
    (tmp_path / "a[1].pt").write_bytes(b"of an earlier run")
    os.utime(tmp_path / "a[1].pt", (1e9, 1e9))
    killed(tmp_path / "a[1].pt")
    now = time.time()
    for name in (
        "a[1]_other.pt",
        "a1_batch.pt",
        "a[1]_policy.pt",
        "a[1]_epoch_x.pt",
        "a[1]_best.pt",
        "a[1].pt.bak",
        "b.pt",
    ):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (now + 900, now + 900))
    assert unfinished(tmp_path)[0].newest is None
    for age, name in enumerate(("a[1]_epoch_12.pt", "a[1].pt", "a[1]_interrupt.pt", "a[1]_batch.pt")):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (now + 60 + age, now + 60 + age))
        assert unfinished(tmp_path)[0].newest == tmp_path / name
    os.utime(tmp_path / "a[1]_epoch_12.pt", (now + 100, now + 100))
    assert unfinished(tmp_path)[0].newest == tmp_path / "a[1]_epoch_12.pt"


@pytest.mark.parametrize("inside", [True, False])
def test_a_resumed_run_that_saved_nothing_goes_on_where_it_began(tmp_path, inside):
    folder = tmp_path / "runs"
    folder.mkdir()
    before = (folder if inside else tmp_path) / "a_interrupt.pt"
    before.write_bytes(b"")
    os.utime(before, (1e9, 1e9))
    killed(folder / "a.pt", before)
    assert unfinished(folder)[0].newest == before
    before.unlink()
    assert unfinished(folder)[0].newest is None


def test_the_latest_stands_first(tmp_path):
    for age, name in enumerate("abc"):
        killed(tmp_path / f"{name}.pt")
        os.utime(tmp_path / f"{name}.incomplete", (1e9 + age, 1e9 + age))
    assert [run.name for run in unfinished(tmp_path)] == ["c", "b", "a"]


@pytest.mark.skipif(not ON_LINUX, reason="only Linux tells when a process began")
def test_a_process_that_got_the_number_later_is_another_one(tmp_path):
    begun(tmp_path / "a.pt", [])
    assert unfinished(tmp_path) == []
    changed(tmp_path / "a.incomplete", moment="another boot 123")
    assert [run.name for run in unfinished(tmp_path)] == ["a"]
    changed(tmp_path / "a.incomplete", moment="")
    assert unfinished(tmp_path) == [], "a doubt: it may be alive"


def test_systems_that_tell_nothing_more_tell_whether_a_process_is_there():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert (_asked(os.getpid()), _asked(process.pid)) == ("", None)


def aged(folder: Path, seconds: float) -> None:
    for path in folder.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_run_of_another_machine_is_told_when_its_files_rest_for_a_day(tmp_path):
    killed(tmp_path / "a.pt")
    changed(tmp_path / "a.incomplete", host="elsewhere")
    assert unfinished(tmp_path) == []
    (tmp_path / "a_metrics.jsonl").write_text("")
    aged(tmp_path, SILENCE_S + 60)
    assert [run.name for run in unfinished(tmp_path)] == ["a"]
    (tmp_path / "a_metrics.jsonl").touch()
    assert unfinished(tmp_path) == [], "it goes on"


def test_a_damaged_marker_is_not_fatal(tmp_path):
    """Flipped bits and lengths; what tells no process counts as alive for a day."""
    killed(tmp_path / "a.pt")
    (tmp_path / "a.pt").write_bytes(b"")
    marker, dice = tmp_path / "a.incomplete", random.Random(1)
    whole = marker.read_bytes()
    broken = [whole[:at] + bytes([whole[at] ^ (1 << dice.randrange(8))]) + whole[at + 1 :] for at in range(len(whole))]
    for content in [
        *broken[::2],
        *(whole[:at] for at in range(0, len(whole), 5)),
        b"[" * 5000,
        b"null",
        b'{"pid": true}',
    ]:
        marker.write_bytes(content)
        for found in unfinished(tmp_path):
            assert isinstance(found, Unfinished) and found.name == "a" and str(found)
    begun(tmp_path / "a.pt", [])
    marker.write_bytes(b"")
    assert unfinished(tmp_path) == []
    aged(tmp_path, SILENCE_S + 60)
    (found,) = unfinished(tmp_path)
    assert (found.began, found.command, found.newest) == (None, (), tmp_path / "a.pt")
    assert str(found).startswith("the run a was stopped before its end; go on with: exphil train --resume")
    (tmp_path / "a.pt").unlink()
    assert str(unfinished(tmp_path)[0]).startswith("the run a was stopped before its end; nothing of it was saved yet")
    marker.unlink()
    marker.mkdir()
    assert unfinished(tmp_path) == []
    with pytest.raises(OutputError):
        ended(tmp_path / "a.pt")


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        begun(tmp_path / "file" / "a.pt", [])
    assert "--checkpoints-dir" in caught.value.fix
