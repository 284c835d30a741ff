"""Numbers as text, lines that fit a terminal, and the pace of a run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.cli.running.ending import Ended, ending
from exphil.cli.running.pace import Pace
from exphil.cli.shown import drawing, folding
from exphil.cli.shown.drawing import Trend

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (63712345, "63.7 MB"), (123456789012, "123 GB")],
)
def test_sizes_are_for_people(count, shown):
    assert drawing.shown_bytes(count) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(-5, "now"), (59, "now"), (60, "1 min"), (7300, "2 h"), (2e5, "2 d")])
def test_ages_are_for_people(seconds, shown):
    assert drawing.shown_age(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown", "clock"),
    [
        (-1, "0.0 s", "0:00"),
        (0.44, "0.4 s", "0:00"),
        (9.96, "10 s", "0:10"),
        (45, "45 s", "0:45"),
        (59.6, "1 min 00 s", "1:00"),
        (750, "12 min 30 s", "12:30"),
        (3599.7, "1 h 00 min", "1:00:00"),
        (3840, "1 h 04 min", "1:04:00"),
        (86_399, "1 d 00 h", "23:59:59"),
        (183_600, "2 d 03 h", "51:00:00"),
        (math.inf, "unknown", "?:??"),
        (math.nan, "unknown", "?:??"),
    ],
)
def test_durations_are_for_people(seconds, shown, clock):
    assert (drawing.shown_duration(seconds), drawing.shown_clock(seconds)) == (shown, clock)


def test_a_sparkline_shows_what_is_high_and_low():
    assert drawing.sparkline(range(8), 40, True) == drawing.SPARKS
    assert drawing.sparkline(range(8), 40, False) == drawing.ASCII_SPARKS
    assert drawing.sparkline([1, 1], 40, True) == drawing.SPARKS[0] * 2
    assert drawing.sparkline([0, math.nan, 1], 40, True) == drawing.SPARKS[0] + " " + drawing.SPARKS[-1]
    assert drawing.sparkline([], 40, True) == "" and drawing.sparkline([math.nan], 40, True) == " "
    assert drawing.sparkline(range(1000), 8, True) == drawing.SPARKS
    assert drawing.sparkline([1, 2, 3], 0, True) == ""


@settings(max_examples=50, deadline=None)
@given(curves=st.lists(st.lists(NUMBERS, max_size=200), max_size=6), width=st.integers(0, 130), rows=st.integers(0, 20))
def test_whatever_the_numbers_a_graph_keeps_its_size(curves, width, rows):
    for blocks in (True, False):
        lines = drawing.graph({f"c{at}": curve for at, curve in enumerate(curves)}, width, rows, blocks)
        finite = any(abs(value) <= 1e300 for curve in curves for value in curve)
        assert len(lines) == (max(rows, 3) + 4 if finite else 1)
        assert all(folding.cells(line) <= max(width, 40) for line in lines[:-1])
        assert blocks or all(line.isascii() for line in lines)
    assert len(drawing.sparkline(curves[0], width, True)) <= width if curves else True


def drawn(curves, width=46, rows=5):
    """The rows inside the box."""
    lines = drawing.graph(curves, width, rows, True)
    return lines, [line[line.index(line.strip(" .0123456789-e+")[0]) + 1 : -1] for line in lines[1 : rows + 1]]


def test_a_graph_puts_epochs_from_left_to_right_and_high_values_on_top():
    lines, inside = drawn({"train": [3.0, 2.0, 1.0]})
    assert inside[0].startswith("●") and inside[2][len(inside[2]) // 2 - 1 : len(inside[2]) // 2 + 1].count("●") == 1
    assert inside[-1].endswith("●") and "".join(inside).count("●") == 3
    assert lines[1].startswith("3.00 ┤") and lines[3].startswith("2.00 ┤") and lines[5].startswith("1.00 ┤")
    assert lines[0].strip().startswith("┌") and lines[-3].count("┴") == 3 and lines[-2].split() == ["1", "2", "3"]
    assert lines[-1].split() == ["epoch", "●", "train"]


def test_a_graph_of_two_curves_has_a_legend_and_both_marks():
    lines, inside = drawn({"train": [2.0, 1.0], "held out": [2.5, 1.5]})
    assert lines[-1].strip() == "epoch  ● train  ○ held out"
    assert inside[0][0] == "○" and "".join(inside).count("●") == "".join(inside).count("○") == 2


def test_a_graph_of_one_point_of_equal_values_and_of_gaps():
    one, inside = drawn({"a": [0.5]})
    assert inside[2].strip() == "●" and one[-2].split() == ["1"]
    equal, inside = drawn({"a": [0.5] * 4})
    assert inside[2].count("●") == 4 and "0.500 ┤" in equal[3]
    _, inside = drawn({"a": [2, math.nan, 1.0, math.inf]})
    assert "".join(inside).count("●") == 2 and "·" not in "".join(inside), "nothing is drawn across a gap"
    assert drawing.graph({"a": [math.nan, 1e301]}, 80, 9, True) == drawing.graph({}, 80, 9, True)


def test_many_epochs_are_drawn_as_means_of_neighbours():
    lines, inside = drawn({"a": [float(at % 2) for at in range(10_000)]}, 80)
    assert inside[2].count("●") > 60 and inside[0].count("●") + inside[-1].count("●") <= 12
    assert lines[-2].split()[0] == "1" and lines[-2].split()[-1] == "10000" and "2000" in lines[-2].split()


def test_bars_are_as_long_as_their_counts():
    assert drawing.bars([("a", 4), ("bc", 1), ("d", 0)], 4, True) == [
        "  a          4 ████",
        "  bc         1 █",
        "  d          0",
    ]
    assert drawing.bars([("a", 1)], 2, False) == ["  a         1 ##"] and drawing.bars([], 2, True) == []


FACTS = [("", "1:10 left"), ("loss", Trend("0.812", range(40))), ("frames/s", "12,345"), ("run", "12:34 left")]


@pytest.mark.parametrize("width", [79, 100, 119, 200])
def test_a_bar_fills_its_line_and_never_more(width):
    line = drawing.progress_line(width, "epoch 3/10", 120, 400, FACTS, True)
    assert folding.cells(line) <= width
    for word in ("epoch 3/10", "120/400", "1:10 left", "loss 0.812", "frames/s 12,345", "run 12:34 left", "▁"):
        assert word in line
    assert ("░" in line) == (width >= 100), "the curve comes before the bar where there is little room"


def test_a_bar_without_a_total_or_without_room():
    assert drawing.progress_line(20, "frames", 7, None, [], True) == "frames 7"
    narrow = drawing.progress_line(40, "epoch 3/10", 120, 400, FACTS, True)
    assert narrow == "epoch 3/10 120/400 1:10 left loss 0.812 frames/s 12,345 run 12:34 left"
    assert "██████████" in drawing.progress_line(60, "a", 5, 5, [], True)
    assert "####" in drawing.progress_line(60, "a", 9, 5, [], False), "more than all is all"


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=200), width=st.integers(1, 60))
def test_folding_keeps_every_word_and_breaks_between_them(text, width):
    text = folding.harmless(text)
    pieces = folding.folded(text, width)
    assert " ".join(pieces).split() == text.split()
    for piece in pieces:
        assert folding.cells(piece) <= width or len(piece.split()) <= 2, "only what cannot be broken stands out"


def test_folding_goes_on_below_the_text_of_a_label():
    text = "data       12 games, 3,456 decisions, none held out"
    assert folding.folded(text, 30) == [
        "data       12 games, 3,456",
        "           decisions, none",
        "           held out",
    ]
    assert folding.folded("  a b c", 5) == ["  a b", "    c"]
    assert folding.folded("/a/long/path/that/is/one/word", 10) == ["/a/long/path/that/is/one/word"]


def test_a_table_folds_between_words_then_within_names_then_becomes_a_list():
    columns, right = ("file", "frames", "players"), (False, True, False)
    rows = [["sub/Game_20240131.slp", "12", "1 fox ABCD#123 / 2 falco EFGH#456"]]
    head, body = folding.table(columns, rows, right, 100)
    assert head == ["file                   frames  players"] and len(body) == 1
    _, body = folding.table(columns, rows, right, 50)
    assert body[0].startswith("sub/Game_20240131.slp      12  1 fox") and len(body) == 2
    _, body = folding.table(columns, rows, right, 36)
    assert body[0].startswith("sub/Game_ ") and body[1].startswith("20240131.slp")
    head, body = folding.table(columns, rows, right, 20)
    assert head == [] and body[:3] == ["", "file     sub/Game_20240131.slp", "frames   12"]
    assert body[3:5] == ["players  1 fox", "         ABCD#123 /"]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.lists(st.text(st.sampled_from("ab 日_/-"), max_size=30), min_size=3, max_size=3), max_size=5),
    width=st.integers(10, 90),
)
def test_no_line_of_a_table_is_wider_than_the_terminal_unless_a_word_is(rows, width):
    head, body = folding.table(("one", "two", "three"), rows, (False, False, True), width)
    widest = max((folding.cells(word) for row in rows for cell in row for word in cell.split()), default=0)
    for line in [*head, *body]:
        assert folding.cells(line) <= (width if head else max(width, widest + 7))
    letters = "".join(sorted("".join("".join(rows[0]).split()))) if len(rows) == 1 else None
    shown = [line if head else line[7:] for line in body]
    assert letters is None or "".join(sorted("".join("".join(shown).split()))) == letters, "nothing is lost"


def test_letters_that_steer_a_terminal_are_shown_as_question_marks():
    assert folding.harmless("a\x1b[2J\u202eb\tc\udce9 d\u00a0e") == "a?[2J?b?c? d\u00a0e"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_the_pace_of_a_run_counts_what_happens_between_epochs():
    clock = Clock()
    pace = Pace(updates=40, epochs=4, clock=clock)
    assert math.isinf(pace.left_s()) and pace.frames_per_s == 0
    for updates in range(1, 12):
        clock.now += 0.5
        if updates == 11:
            clock.now += 20  # validating and saving
        pace.saw(updates, 1 + (updates - 1) // 10, 1 / updates, 1000, 0.5)
    assert pace.frames_per_s == pytest.approx(2000)
    assert pace.left_s() == pytest.approx(29 * 0.5 + 3 * 20)
    facts = pace.facts()
    assert facts["run"] == "1:14 left" and facts["frames_per_s"] == "2,000" and facts["loss"][0] == "0.275"


def test_a_resumed_run_is_judged_by_its_own_updates():
    clock = Clock()
    pace = Pace(updates=1000, epochs=10, clock=clock)
    clock.now += 0.1
    pace.saw(901, 10, 1.0, 10, 0.1)
    assert pace.left_s() == pytest.approx(9.9)


def ended(**changes):
    plain = {
        "seconds": 3840.0,
        "whole": 3840.0,
        "epochs": 3,
        "planned": 3,
        "updates": 1200,
        "decisions": 5e6,
        "losses": [1.5, 1.25, 1.3],
        "best": 1.25,
        "baseline": None,
        "early": "",
        "policies": {"policy": Path("a_policy.safetensors")},
        "replays": Path("games"),
    }
    return "\n".join(ending(Ended(**(plain | changes)), False))


def test_the_end_of_a_run_says_what_it_did_and_where_its_policy_is():
    said = ended()
    assert "1 h 04 min: 3 epochs, 1,200 updates, 5,000,000 decisions" in said and "early" not in said
    assert "final 1.3000, best 1.2500 (epoch 2) nats per decision" in said and "#_-" in said.replace(".", "-")
    assert said.splitlines()[-1].endswith("exphil evaluate a_policy.safetensors --replays games")
    places = {"policy": Path("a.safetensors"), "best": Path("my run_best.safetensors")}
    said = ended(policies=places, early="no better", planned=9, baseline=2.5, whole=9000.0)
    assert (
        "early, after 3 of 9 epochs\n           (no better)" in said and "\nbest       my run_best.safetensors" in said
    )
    assert "1 h 04 min now, 2 h 30 min in all" in said
    assert "copying the previous controller: 2.5000; the best is 50.0 % below" in said
    assert said.endswith('exphil evaluate "my run_best.safetensors" --replays games --held-out')


def test_the_end_of_a_run_that_learned_nothing_says_no_loss():
    assert "loss" not in ended(losses=[], best=math.inf, epochs=0)
    assert "best inf nats" in ended(losses=[math.nan], best=math.inf, epochs=1).replace(" (epoch 1)", "")
