"""A file is there whole or as it was before; a place that cannot be written is told before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exphil.errors import OutputError
from exphil.files import check_writable, write


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
