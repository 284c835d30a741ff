"""Answers on standard output, talk on standard error, on terminals good and poor."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from exphil.cli.terminal import ASCII_BLOCKS, BLOCKS, Terminal, show_settings, shown_age, shown_bytes
from exphil.config.layers import resolve


class Stream(io.TextIOWrapper):
    def __init__(self, encoding="utf-8", tty=False):
        super().__init__(io.BytesIO(), encoding=encoding, newline="\n", write_through=True)
        self.tty = tty

    def isatty(self):
        return self.tty

    @property
    def text(self):
        return self.buffer.getvalue().decode(self.encoding)


def terminal(quiet=False, verbose=False, **stream):
    made = Terminal(quiet, verbose, out=Stream(**stream), err=Stream(**stream))
    return made, made._out.file, made._talk.file


@pytest.mark.parametrize(
    ("quiet", "verbose", "heard"),
    [
        (False, False, "s [a]\nwarning: w\nerror: e\n"),
        (False, True, "s [a]\nd\nwarning: w\nerror: e\n"),
        (True, True, "warning: w\nerror: e\n"),
    ],
)
def test_what_quiet_and_verbose_let_through(quiet, verbose, heard):
    made, out, err = terminal(quiet, verbose)
    made.say("s [a]")
    made.detail("d")
    made.warn("w")
    made.error("e")
    assert (out.text, err.text) == ("", heard)


def test_several_errors_and_their_hints():
    made, _, err = terminal()
    made.error("one\n  hint: do\ntwo")
    assert err.text == "error: one\n  hint: do\nerror: two\n"


@pytest.mark.parametrize("answer", [False, True])
def test_bars_are_an_answer_or_talk(answer):
    made, out, err = terminal()
    made.bars("t", [("fox", 4000), ("フラ", 1), ("e\x1b[2J", 0), ("x" * 50, 2000)], width=4, answer=answer)
    told, other = (out, err) if answer else (err, out)
    assert other.text == ""
    lines = told.text.splitlines()
    assert lines[0] == "t"
    assert lines[1] == "  fox" + " " * 29 + "     4,000 ████"
    assert lines[2] == "  フラ" + " " * 28 + "         1 █", "a wide letter takes two places"
    assert lines[3] == "  e?[2J" + " " * 27 + "         0", "nothing that steers the terminal"
    assert lines[4] == "  " + "x" * 32 + "     2,000 ██"


def test_bars_of_talk_are_dropped_by_quiet_and_plain_where_blocks_cannot_be_shown():
    made, out, err = terminal(quiet=True, encoding="ascii")
    made.bars("t", [("a", 1)])
    assert (out.text, err.text) == ("", "")
    made.bars("t", [("a", 1)], width=2, answer=True)
    assert out.text == "t\n  a         1 ##\n"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (63712345, "63.7 MB"), (123456789012, "123 GB")],
)
def test_sizes_are_for_people(count, shown):
    assert shown_bytes(count) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(-5, "now"), (59, "now"), (60, "1 min"), (7300, "2 h"), (2e5, "2 d")])
def test_ages_are_for_people(seconds, shown):
    assert shown_age(seconds) == shown


def test_data_is_one_json_object_on_standard_output():
    made, out, err = terminal(quiet=True)
    made.data({"a": Path("x"), "b": (1, 2), "c": math.nan, "d": np.float32(0.5), "e": np.arange(2), "f": "é"})
    assert out.text.count("\n") == 1 and not err.text
    read = json.loads(out.text)
    assert read == {"a": "x", "b": [1, 2], "c": None, "d": 0.5, "e": [0, 1], "f": "é"}


def test_lines_are_left_as_they_are():
    made, out, _ = terminal()
    made.lines(["[bold]x[/bold] " + "y" * 300, ""])
    assert out.text == "[bold]x[/bold] " + "y" * 300 + "\n\n"


def test_a_table_is_an_answer_and_is_not_folded_in_a_file():
    made, out, err = terminal(quiet=True)
    made.table("Games", ("file", "frames", "loss"), [("a" * 150, 12, 0.123456), ("[b]", 3, 1.0)])
    rows = [line.split() for line in out.text.splitlines()]
    assert rows[0] == ["Games"] and rows[1] == ["file", "frames", "loss"]
    assert ["a" * 150, "12", "0.1235"] in rows and ["[b]", "3", "1"] in rows and not err.text


def test_settings_are_shown_by_group_with_their_sources():
    made, out, _ = terminal()
    show_settings(made, resolve("train", {"--seq-len": "80", "--backbone": "gru"}, {}))
    rows = [line.split(maxsplit=2) for line in out.text.splitlines()]
    assert ["Model"] in rows and ["Running"] in rows and rows.count(["Running"]) == 1
    assert ["--window-size", "80", "flag --seq-len"] in rows
    assert ["--temporal", "true", "implied by --backbone gru"] in rows
    assert ["--seed", "none", "default"] in [[cell.strip() for cell in row] for row in rows]


def test_the_terminal_of_settings():
    assert Terminal.of(resolve("replays scan", {"--quiet": True}, {})).quiet
    assert not Terminal.of(resolve("replays info", {}, {})).quiet
    assert Terminal.of(resolve("train", {"--verbose": True}, {})).verbose


def test_progress_is_plain_lines_in_a_file():
    made, _, err = terminal()
    with made.progress(25, "epoch 1", every=10) as progress:
        for done in range(1, 26):
            progress.update(done, loss=4 / done, file="a")
        progress.update(25)
    assert err.text == "epoch 1 10/25 loss 0.4 file a\nepoch 1 20/25 loss 0.2 file a\nepoch 1 25/25 loss 0.16 file a\n"


def test_progress_without_a_total_and_in_jumps():
    made, _, err = terminal()
    with made.progress(None, "frames", every=10) as progress:
        for done in (7, 19, 20, 55):
            progress.update(done)
    assert err.text == "frames 19\nframes 20\nframes 55\n"


def test_progress_is_a_bar_on_a_terminal_and_nothing_when_quiet(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    made, out, err = terminal(tty=True)
    with made.progress(2, "epoch [1]") as progress:
        progress.update(2, loss=0.5)
        made.say("between")
    assert "epoch [1]" in err.text and "2/2" in err.text and "loss 0.5" in err.text and "between" in err.text
    assert "\x1b[" in err.text and not out.text
    made, out, err = terminal(quiet=True, tty=True)
    with made.progress(2, "epoch") as progress:
        progress.update(2, loss=0.5)
    assert not out.text and not err.text


def test_no_color_and_dumb_terminals(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    made, _, err = terminal(tty=True)
    made.error("e")
    assert "error: " in err.text and "\x1b[31m" not in err.text and "31m" not in err.text
    monkeypatch.setenv("TERM", "dumb")
    made, _, err = terminal(tty=True)
    with made.progress(1, "epoch", every=1) as progress:
        progress.update(1)
    assert err.text == "epoch 1/1\n"


def test_an_ascii_terminal_never_raises():
    made, out, err = terminal(encoding="ascii")
    made.say("Pokémon ▁█")
    made.table("é", ("ü",), [("ß",)])
    made.lines(["é"])
    made.warn("é")
    assert err.text == "Pok?mon ??\nwarning: ?\n" and "?" in out.text
    assert set(made.sparkline([0, 1, 2])) <= set(ASCII_BLOCKS)


def test_sparkline():
    made, _, _ = terminal()
    assert made.sparkline(range(8)) == BLOCKS
    assert made.sparkline([1, 1]) == BLOCKS[0] * 2
    assert made.sparkline([0, math.nan, 1]) == BLOCKS[0] + " " + BLOCKS[-1]
    assert made.sparkline([]) == "" and made.sparkline([math.nan]) == " "
    long = made.sparkline(range(1000), width=8)
    assert long == BLOCKS
