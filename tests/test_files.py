"""A file is there whole or as it was before; backups lose nothing; a place that cannot be written is told early."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exphil.errors import OutputError
from exphil.files import back_up, check_writable, write


def test_a_file_is_written_with_its_folders_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    for content in (b"one", b"two"):
        write(path, lambda file, content=content: file.write(content), "")
        assert path.read_bytes() == content
    assert [found.name for found in path.parent.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_it_has_the_mode_of_any_other_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write(tmp_path / "file", lambda file: file.write(b""), "")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("a defect")])
def test_what_stops_halfway_leaves_the_file_from_before(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def half(file) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)) as caught:
        write(path, half, "do this")
    assert path.read_bytes() == b"before" and [found.name for found in tmp_path.iterdir()] == ["file"]
    if isinstance(error, OSError):
        assert str(caught.value) == (
            f"{path}: cannot be written (No space left on device); the file from before is untouched\n  hint: do this"
        )


def test_a_place_that_cannot_be_written_is_told_without_touching_it(tmp_path):
    path: Path = tmp_path / "file.json"
    path.write_bytes(b"before")
    check_writable(path, "do this")
    assert path.read_bytes() == b"before" and [found.name for found in tmp_path.iterdir()] == ["file.json"]
    with pytest.raises(OutputError, match="cannot be written") as caught:
        check_writable(path / "below.json", "do this")
    assert caught.value.fix == "do this"
    with pytest.raises(OutputError, match=f"^{tmp_path}: is a folder"):
        check_writable(tmp_path, "do this")
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(Path(), "do this")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_backups_move_up_one_by_one_and_the_oldest_goes(tmp_path):
    path = tmp_path / "run.pt"
    for version in "abcde":
        back_up(path, 3, "", keep=False)
        assert not path.exists()
        path.write_text(version)
    assert contents(tmp_path) == {"run.pt": "e", "run.pt.bak": "d", "run.pt.bak.1": "c", "run.pt.bak.2": "b"}
    back_up(path, 0, "", keep=False)
    assert path.read_text() == "e", "none were asked for"


def test_fewer_backups_than_before_remove_the_older_ones_and_nothing_else(tmp_path):
    others = ["run.pt.bak.old", "run.pt.bak.2.pt", "xrun.pt.bak.7", "run.pt.bak", "run.pt.bak.1", "run.pt.bak.4"]
    for name in others:
        (tmp_path / name).write_text(name)
    (tmp_path / "run.pt").write_text("new")
    back_up(tmp_path / "run.pt", 2, "", keep=False)
    assert contents(tmp_path) == {name: name for name in others[:3]} | {
        "run.pt.bak": "new",
        "run.pt.bak.1": "run.pt.bak",
    }
    (tmp_path / "run.pt").write_text("newer")
    back_up(tmp_path / "run.pt", 1, "", keep=True)
    assert contents(tmp_path) == {name: name for name in others[:3]} | {"run.pt": "newer", "run.pt.bak": "newer"}


def test_after_a_gap_nothing_moves_that_need_not(tmp_path):
    (tmp_path / "run.pt").write_text("new")
    (tmp_path / "run.pt.bak.1").write_text("old")
    back_up(tmp_path / "run.pt", 3, "", keep=False)
    assert contents(tmp_path) == {"run.pt.bak": "new", "run.pt.bak.1": "old"}


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_backup_of_a_file_that_stays_does_not_change_with_it(tmp_path, monkeypatch, count, links):
    """Nor is the same content kept twice."""
    if not links:
        monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    path = tmp_path / "run.pt"
    for version in (b"1", b"2"):
        write(path, lambda file, version=version: file.write(version), "")
        for _ in range(2 if links else 1):
            back_up(path, count, "", keep=True)
        assert path.read_bytes() == version
    write(path, lambda file: file.write(b"3"), "")
    assert contents(tmp_path) == {"run.pt": "3", "run.pt.bak": "2"} | ({"run.pt.bak.1": "1"} if count > 1 else {})
    if links:
        back_up(path, count, "", keep=True)
        back_up(path, count, "", keep=False)
        assert not path.exists() and (tmp_path / "run.pt.bak").read_text() == "3"


KILLED = """
import os, sys
from pathlib import Path
from exphil import files
left = int(sys.argv[2])
def counted(event, _):
    global left
    if event in ("os.rename", "os.link", "os.remove"):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(counted)
files.back_up(Path(sys.argv[1]) / "run.pt", 2, "", keep=sys.argv[3] == "True")
"""


@pytest.mark.parametrize("keep", [True, False])
def test_killed_at_any_step_the_newest_content_has_a_name(tmp_path, keep):
    """And the next backup goes on from there."""
    for before in range(6):
        folder = tmp_path / str(before)
        folder.mkdir()
        for name in ("run.pt", "run.pt.bak", "run.pt.bak.1", "run.pt.bak.2"):
            (folder / name).write_text(name)
        killed = subprocess.run([sys.executable, "-c", KILLED, folder, str(before), str(keep)], check=False)
        assert killed.returncode in (0, 9)
        assert "run.pt" in contents(folder).values()
        if killed.returncode == 0:
            break
        (folder / "run.pt").write_text("newer")
        back_up(folder / "run.pt", 2, "", keep=False)
        assert contents(folder)["run.pt.bak"] == "newer" and set(contents(folder).values()) & {"run.pt", "run.pt.bak"}
    else:
        pytest.fail("a backup takes fewer steps")
    assert before >= 2


def test_what_cannot_be_backed_up_stays_and_is_told(tmp_path):
    path = tmp_path / "run.pt"
    path.write_text("new")
    (tmp_path / "run.pt.bak").mkdir()
    (tmp_path / "run.pt.bak" / "in the way").write_text("")
    with pytest.raises(OutputError, match="cannot be backed up") as caught:
        back_up(path, 1, "do this", keep=False)
    assert (caught.value.where, caught.value.fix, path.read_text()) == (str(path), "do this", "new")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="who may do everything may write everywhere")
def test_a_folder_that_is_read_only_is_told(tmp_path):
    path = tmp_path / "run.pt"
    path.write_text("new")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot be backed up \\(Permission denied\\)"):
            back_up(path, 3, "", keep=True)
        with pytest.raises(OutputError, match="cannot be written \\(Permission denied\\)"):
            write(path, lambda file: file.write(b"newer"), "")
    finally:
        tmp_path.chmod(0o700)
    assert contents(tmp_path) == {"run.pt": "new"}
