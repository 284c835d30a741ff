"""The page of a comparison: whole, closed, and safe from what others wrote."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from exphil.evaluate import charts, report

HOSTILE = '<script>alert("x")</script>&'


class Tags(HTMLParser):
    """Fails where a tag is not closed in its order; collects names, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.values: list[str] = []
        self.said = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.values += [str(value) for _, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.values += [str(value) for _, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said += data


@pytest.fixture
def several(run, conditions):
    names = ("gru", "lstm", HOSTILE)
    runs = [run(name, seed, 1.2 + place / 10 + seed / 50) for place, name in enumerate(names) for seed in range(3)]
    return [conditions("one", *runs), conditions("two", run("gru", 0, 1.5))]


def test_the_page_needs_nothing_else(several):
    text = report.page(several)
    for word in ("http", "url(", "@import", "<script", "<link", "<img", "src="):
        assert word not in text
    page = Tags(text)
    assert {"svg", "table", "style", "polyline", "circle", "rect"} <= page.names
    assert text.startswith("<!doctype html>") and "prefers-color-scheme: dark" in text


def test_every_chart_is_well_formed_and_holds_only_finite_numbers(several):
    found = re.findall(r"<svg viewBox=\"0 0 .*?</svg>(?=\n</section>)", report.page(several), re.DOTALL)
    assert len(found) == 2 * 9
    for drawn in found:
        assert ElementTree.fromstring(drawn).tag == "svg"
        assert "nan" not in drawn and "inf" not in drawn


def test_what_others_wrote_is_text(several):
    several[0]["failed"].append({"backbone": HOSTILE, "seed": 0, "recipe": {}, "error": HOSTILE})
    several[0]["options"]["x"] = HOSTILE
    text = report.page(several)
    assert "<script" not in text and HOSTILE in Tags(text).said


def test_the_same_results_give_the_same_page(several):
    assert report.page(several) == report.page(several)


def test_the_table_holds_the_results(several):
    found = report.table(several[0])
    assert [row[:4] for row in found.rows] == [
        ["gru", "1.2200", "1.2000 .. 1.2400", "3"],
        ["lstm", "1.3200", "1.3000 .. 1.3400", "3"],
        [HOSTILE, "1.4200", "1.4000 .. 1.4400", "3"],
    ]
    assert [row[:2] for row in found.copied] == [["copy-previous", "1.8000"], ["majority", "6.0000"]]
    assert {len(found.columns)} == {len(row) for row in (*found.rows, *found.copied)}
    assert found.rows[0][-3:] == ["0.51 / 1.02", "0.82 / 1.64", "1.78 / 3.56"]


def test_a_page_without_runs_is_a_page(conditions):
    for page in (report.page([]), report.page([conditions("one")])):
        assert {"html", "body", "h1"} <= Tags(page).names


def test_one_name_has_one_colour_on_the_whole_page(several):
    one, two = (ElementTree.fromstring(each) for each in _first_charts(report.page(several)))
    colours = [{c.get("fill") for c in drawn.iter("circle") if c.get("r") == "5.5"} for drawn in (one, two)]
    assert len(colours[1]) == 3 and colours[0] < colours[1], "the newest conditions stand first"


def _first_charts(text: str) -> list[str]:
    return [part for part in re.findall(r"<svg viewBox.*?</svg>", text, re.DOTALL) if 'aria-label="loss"' in part]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1.9, 2.05), (0, 123_456), (-3, 4), (0, 1e-6), (5, 5)])
def test_ticks_are_round_few_and_within_the_range(low, high):
    found = charts.ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low - 1e-9 <= at <= high + 1e-9 for at in found)
    steps = {round((b - a) / (found[1] - found[0]), 6) for a, b in pairwise(found)}
    assert len(steps) <= 1


def test_numbers_of_an_axis_are_short():
    assert [charts.shown(value) for value in (0, 0.05, 999, 1500, 2e6)] == ["0", "0.05", "999", "1.5 k", "2 M"]
