"""What a person sees of a run, compared with the screens of tests/golden/screens; tools/make_screens.py writes them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from exphil.cli.shown.folding import cells

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "golden" / "screens"
TOOL = runpy.run_path(str(ROOT / "tools" / "make_screens.py"))
COPIED = "next       exphil evaluate "  # one command in one piece, however wide


@pytest.mark.parametrize("name", TOOL["SCREENS"])
def test_a_screen_is_what_it_was(name):
    now = TOOL["screen"](*TOOL["SCREENS"][name]).splitlines()
    kept = (KEPT / name).read_text(encoding="utf-8").splitlines()
    assert now == kept, "make golden writes them; read the diff before you commit it"


@pytest.mark.parametrize("name", TOOL["SCREENS"])
def test_nothing_is_wider_than_the_terminal_but_a_command_to_copy(name):
    width, encoding = TOOL["SCREENS"][name]
    lines = (KEPT / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if cells(line) > width and not line.startswith(COPIED)] == []
    assert encoding == "utf-8" or all(line.isascii() for line in lines)
    assert not any("\x1b" in line or line != line.rstrip() for line in lines)


def test_every_screen_has_its_file_and_the_other_way_round():
    assert {path.name for path in KEPT.iterdir()} == set(TOOL["SCREENS"])


def test_a_screen_that_differs_is_shown_and_written_anew(tmp_path, capsys):
    main = TOOL["main"]
    main.__globals__["FOLDER"] = tmp_path / "screens"
    try:
        assert main(["--check"]) == 1 and "python tools/make_screens.py" in capsys.readouterr().err
        assert main([]) == main(["--check"]) == 0
        (tmp_path / "screens" / "80-ascii.txt").write_text("another\n")
        assert main(["--check"]) == 1 and "-another" in capsys.readouterr().err
    finally:
        main.__globals__["FOLDER"] = KEPT
