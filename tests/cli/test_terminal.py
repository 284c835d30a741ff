"""Answers on standard output, talk on standard error, on terminals good and poor."""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from exphil.cli.shown import drawing
from exphil.cli.shown.drawing import ASCII_SPARKS, Trend
from exphil.cli.terminal import Terminal, show_settings
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
        (True, True, "error: e\n"),
    ],
)
def test_what_quiet_and_verbose_let_through(quiet, verbose, heard):
    made, out, err = terminal(quiet, verbose)
    made.say("s [a]")
    made.detail("d")
    made.warn("w")
    made.error("e")
    assert (out.text, err.text) == ("", heard)


def test_quiet_means_errors_and_answers_only():
    made, out, err = terminal(quiet=True)
    made.step(1, 5, "settings")
    made.graph("g", {"a": [1.0, 2.0]})
    made.bars("b", [("a", 1)])
    made.warn("w")
    with made.progress(2, "p", every=1) as progress:
        progress.update(2)
    assert (out.text, err.text) == ("", "")
    made.lines(["answer"])
    made.error("e")
    assert (out.text, err.text) == ("answer\n", "error: e\n")


def test_a_step_has_a_number_and_a_title():
    made, out, err = terminal()
    made.step(2, 5, "reading\x1b replays")
    assert (out.text, err.text) == ("", "step 2/5  reading? replays\n")


def test_a_graph_is_talk_and_80_letters_wide_in_a_file():
    made, out, err = terminal()
    made.graph("Loss", {"train": [2.0, 1.0]})
    lines = err.text.splitlines()
    assert not out.text and lines[0] == "Loss" and "┌" in lines[1] and max(map(len, lines)) == 80
    for width, wide in ((80, 80), (97, 97), (300, 120)):
        err = Stream()
        Terminal(out=Stream(), err=err, width=width).graph("Loss", {"train": [2.0, 1.0]})
        assert max(map(len, err.text.splitlines())) == wide


def test_talk_is_folded_between_words_in_a_terminal_and_left_whole_in_a_file():
    text = "a sentence of some words that goes on and on"
    for width, heard in ((None, text + "\n"), (20, "a sentence of some\n  words that goes on\n  and on\n")):
        err = Stream()
        made = Terminal(out=Stream(), err=err, width=width)
        made.say(text)
        made.say(text, whole=True)
        assert err.text == heard + text + "\n"
    made.warn("look at this very long warning\n  hint: do this and then that\n")
    assert err.text.splitlines()[4:] == [
        *("warning: look at", "  this very long", "  warning", "  hint: do this and", "    then that"),
    ]


def test_talk_of_names_that_others_gave_steers_nothing():
    made, _, err = terminal(tty=True)
    made.say("left out: a\x1b[2Jb\tc")
    made.error("a\x07b")
    assert "\x1b[2J" not in err.text and "a?[2Jb" in err.text and "\x07" not in err.text


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


class Clock:
    now = 0.0

    def __call__(self):
        self.now += 0.25
        return self.now


def test_progress_is_plain_lines_in_a_file():
    err = Stream()
    made = Terminal(out=Stream(), err=err, clock=Clock())
    with made.progress(25, "epoch 1", every=10) as progress:
        for done in range(1, 26):
            progress.update(done, loss=Trend(f"{4 / done:.2f}", [1, 2]), frames_per_s="1,234", file="a")
        progress.update(25)
    assert err.text.splitlines() == [
        "epoch 1 10/25 0:04 left, loss 0.40, frames/s 1,234, file a",
        "epoch 1 20/25 0:01 left, loss 0.20, frames/s 1,234, file a",
        "epoch 1 25/25 loss 0.16, frames/s 1,234, file a",
    ]


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


def test_a_bar_shows_the_curve_and_a_second_one_waits(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    made, out, err = terminal(tty=True)
    with made.progress(10, "epoch 1") as progress, made.progress(5, "inner") as inner:
        for done in range(1, 11):
            progress.update(done, loss=Trend("0.5", [3, 2, 1]))
            inner.update(1)
        made.lines(["answer"])
    assert "10/10" in err.text and "0.5 █▅▁" in err.text and "inner" not in err.text
    assert "answer" in err.text and not out.text, "an answer is written above the bar and not into it"
    made.lines(["later"])
    assert out.text == "later\n"


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
    assert set(made.sparkline([0, 1, 2])) <= set(ASCII_SPARKS)


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("tty", [False, True])
def test_no_encoding_makes_talk_or_answers_fail(encoding, tty, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    made, out, err = terminal(encoding=encoding, tty=tty)
    everything(made)
    for stream in (out, err):
        assert "Pok" in stream.text
    marks = [mark for mark in drawing.BOX + drawing.SPARKS if mark in err.text]
    assert bool(marks) == (encoding == "utf-8") or encoding == "cp437"
    assert "?" * 3 not in err.text, "what cannot be shown is drawn with other letters"


def everything(made):
    """One of each."""
    made.step(1, 2, "Pok\u00e9mon")
    made.say("Pok\u00e9mon \u30d5")
    made.warn("a warning")
    made.graph("graph", {"train": [2.0, 1.0], "held out": [2.0, 1.5]})
    made.bars("bars", [("Pok\u00e9", 3)])
    made.table("Pok\u00e9mon", ("stage", "n"), [("Pok\u00e9mon Stadium", 3)])
    made.say(f"curve {made.sparkline([1, 2, 3])}")
    with made.progress(3, "work", every=1) as progress:
        for done in range(1, 4):
            progress.update(done, loss=Trend("0.5", [3, 2, 1]))
    made.error("an error\n  hint: do something")


def test_an_old_windows_console_gets_no_escape_codes_from_us(monkeypatch):
    """Rich steers such a console by calls of Windows, so what it is not handed must hold no codes."""
    monkeypatch.setenv("TERM", "xterm")
    made, out, err = terminal(encoding="cp437", tty=True)
    handed = []
    for console in (made._out, made._talk):
        console.legacy_windows = True
        monkeypatch.setattr(console, "_write_buffer", lambda console=console: handed.append(console._buffer[:]))
    everything(made)
    assert handed and "\x1b" not in out.text + err.text


def test_talk_that_nobody_reads_does_not_stop_the_work():
    made, out, err = terminal()
    err.close()
    everything(made)
    assert "Stadium" in out.text


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_was_never_open_is_no_error(stream, monkeypatch, capsys):
    monkeypatch.setattr(sys, stream, None)
    everything(Terminal())
    heard = capsys.readouterr()
    assert (heard.out == "") == (stream == "stdout") and (heard.err == "") == (stream == "stderr")


CASES = {
    "colour": {"TERM": "xterm-256color"},
    "no_color": {"TERM": "xterm-256color", "NO_COLOR": "1"},
    "dumb": {"TERM": "dumb"},
    "force": {"TERM": "xterm-256color", "FORCE_COLOR": "1"},
}
SCRIPT = """
import os, sys
from exphil.cli.shown.drawing import Trend
from exphil.cli.terminal import Terminal
for name, words in eval(sys.argv[1]).items():
    for key in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(key, None)
    os.environ |= words
    print(f"<{name}>", file=sys.stderr, flush=True)
    made = Terminal()
    made.step(2, 5, "reading replays")
    made.warn("these games do not fit into the free memory: --stream-chunk-size 300 keeps so many files open")
    made.graph("graph", {"train": [2.0, 1.0]})
    with made.progress(2, "epoch", every=1) as progress:
        progress.update(2, loss=Trend("0.5", [3, 2, 1]))
    print("warned by a library", file=sys.stderr)
    made.error("no")
"""


def heard(text):
    """What each case said, by name."""
    parts = re.split(r"<(\w+)>\r?\n", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_a_real_terminal_of_80_columns():
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", SCRIPT, repr(CASES)]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env | {"PYTHONUTF8": "1"}
    ) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # Linux ends a terminal whose other side is gone with EIO
            while part := os.read(ours, 65536):
                said += part
        os.close(ours)
        assert process.wait(60) == 0
    told = heard(said.decode())
    plain = {name: re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text) for name, text in told.items()}
    for name, text in plain.items():
        for line in re.split(r"[\r\n]+", text):
            assert len(line) <= 80, (name, line)
        assert "step 2/5  reading replays" in text and "┌" in text and "error: no" in text
    assert "\x1b[36mstep" in told["colour"] and "\x1b[33mwarning" in told["colour"]
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", told["no_color"]), "no colour, though the bar is still drawn"
    assert "\x1b" not in told["dumb"] and "epoch 2/2 loss 0.5" in told["dumb"]
    assert "█" in told["colour"] and "█" in told["no_color"] and told["force"].count("\x1b[36m") >= 1


def test_a_pipe_gets_plain_ascii_lines_and_colour_only_by_force():
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", SCRIPT, repr({name: CASES[name] for name in ("colour", "dumb", "force")})]
    done = subprocess.run(command, capture_output=True, env=env, check=True)
    told = heard(done.stderr.decode("ascii"))
    assert told["colour"].replace("\r", "") == told["dumb"].replace("\r", "") and "\x1b" not in told["dumb"]
    assert "epoch 2/2 loss 0.5\n" in told["dumb"].replace("\r", "") and "+---" in told["dumb"]
    assert "\x1b[36mstep" in told["force"] and "\x1b[2K" not in told["force"], "colour, but no bar"
    assert "keeps so many files open\n" in told["force"].replace("\r", "")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_of_the_talk_that_goes_away_ends_the_talk_only():
    code = "from exphil.cli.terminal import Terminal\nmade = Terminal()\n"
    code += "for n in range(5_000): made.say('talk ' * 10)\nmade.lines(['answer'])\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stderr.readline().startswith(b"talk")
        process.stderr.close()
        assert process.stdout.read() == b"answer\n"
        assert process.wait(60) == 0
