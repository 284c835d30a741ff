"""Counts of a collection, their charts, and the page that shows them: complete, well formed, and safe."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.game.time import FIRST_FRAME
from exphil.replays.stats import Bar, Chart, Facts, Stats

MINUTE = 3600
NASTY = "<script>alert('x')</script>&\"</bdi>"
GAMES = [
    Facts("a", 5000, 5000, "3.14.0", "battlefield", ("fox", "falco"), ("ZIFF#549", "KAII#147"), 95),
    Facts("b", 6000, 8000, "3.9.0", "battlefield", ("falco", "fox"), ("ZIFF#549", ""), 100),
    Facts("c", 28_923, 28_923, "3.14.0", "dream_land", ("fox", "fox"), (NASTY, "フラ"), 41, problem=True),
    Facts("d", 300, 300, "2.0.1", "stage_84", ("peach", "fox"), ("", ""), 3, programs=(False, True)),
    Facts("e", problem=True),
]
STATS = Stats.of(GAMES)


class Page(HTMLParser):
    """Checks that every element is closed in order; keeps texts, rows and whatever could load or run something."""

    EMPTY = ("meta", "br", "img", "link", "input", "hr")

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and "style" not in self.open:
            self.texts.append(data.strip())
            if "tr" in self.open:
                self.rows[-1].append(data)


class TestCounts:
    def test_totals(self):
        assert (STATS.files, STATS.games, STATS.problems, STATS.programs) == (5, 4, 2, 1)
        assert (STATS.frames, STATS.rows, STATS.unnamed) == (40_223, 42_223, 3)

    def test_characters_and_players_count_by_port_the_rest_by_game(self):
        assert STATS.characters == {"fox": 5, "falco": 2, "peach": 1}
        assert STATS.matchups == {"falco - fox": 2, "fox - fox": 1, "fox - peach": 1}
        assert STATS.stages == {"battlefield": 2, "dream_land": 1, "stage_84": 1}
        assert STATS.players == {"ZIFF#549": 2, NASTY: 1, "KAII#147": 1, "フラ": 1}

    def test_the_order_is_most_first_and_then_by_name(self):
        assert list(STATS.characters) == ["fox", "falco", "peach"]
        assert list(STATS.stages) == ["battlefield", "dream_land", "stage_84"]

    def test_versions_are_in_their_own_order(self):
        assert list(STATS.versions.items()) == [("2.0.1", 1), ("3.9.0", 1), ("3.14.0", 2)]
        odd = Stats.of([Facts("x", 1, 1, version) for version in ("3.10.0", "", "3.x", "²", "0.1.0")])
        assert sum(odd.versions.values()) == 5

    @pytest.mark.parametrize(
        ("frames", "label"),
        [
            (1, "0-1"),
            (MINUTE - FIRST_FRAME - 1, "0-1"),
            (MINUTE - FIRST_FRAME, "1-2"),
            (8 * MINUTE - FIRST_FRAME - 1, "7-8"),
            (8 * MINUTE - FIRST_FRAME, "8 and more"),
            (10**6, "8 and more"),
        ],
    )
    def test_lengths_are_minutes_since_the_clock_started(self, frames, label):
        lengths = Stats.of([Facts("x", frames, frames)]).lengths
        assert [name for name, count in lengths.items() if count] == [label]
        assert len(lengths) == 9

    @pytest.mark.parametrize(
        ("score", "label"), [(0, "0-9"), (9, "0-9"), (10, "10-19"), (89, "80-89"), (100, "90-100")]
    )
    def test_quality_is_in_tens(self, score, label):
        quality = Stats.of([Facts("x", 1, 1, quality=score), Facts("y", 1, 1)]).quality
        assert [name for name, count in quality.items() if count] == [label]
        assert len(quality) == 10

    def test_without_quality_there_is_no_chart_of_it(self):
        stats = Stats.of([Facts("x", 1, 1)])
        assert stats.quality == {}
        assert "Quality" not in [chart.title for chart in stats.bars()]

    @pytest.mark.parametrize(
        ("frames", "rows", "label"),
        [
            (100, 100, "none"),
            (100, 0, "none"),
            (100, 90, "none"),
            (99, 100, "up to 1%"),
            (97, 100, "1-5%"),
            (75, 100, "20-40%"),
            (41, 100, "over 40%"),
        ],
    )
    def test_rollbacks_are_shares_of_the_recorded_frames(self, frames, rows, label):
        table = Stats.of([Facts("x", frames, rows)]).rollbacks
        assert [name for name, count in table.items() if count] == [label]

    def test_as_dict_is_json_and_keeps_the_order(self):
        read = json.loads(json.dumps(STATS.as_dict()))
        assert read == STATS.as_dict()
        assert list(read["characters"]) == list(STATS.characters)
        assert read["files"] == 5

    def test_nothing_is_no_error(self):
        for stats in (Stats.of([]), Stats.of([Facts("x", problem=True)])):
            assert stats.bars() == []
            assert stats.games == 0
            Page(stats.html())


class TestBars:
    def test_every_row_has_its_share(self):
        charts = {chart.title: chart for chart in STATS.bars()}
        assert charts["Characters"].rows[0] == ("fox", 5, 5 / 8)
        assert charts["Stages"].rows[0] == Bar("battlefield", 2, 0.5)
        for title in ("Characters", "Match-ups", "Stages", "Slippi versions", "Length in minutes", "Quality"):
            assert sum(bar.share for bar in charts[title].rows) == pytest.approx(1)
        assert sum(bar.share for bar in charts["Players"].rows) == pytest.approx(5 / 8)  # three ports have no name

    def test_long_charts_end_in_a_sum(self):
        stats = Stats.of(Facts(str(n), 1, 1, stage=f"stage_{n}", version=f"3.{n}.0") for n in range(30))
        charts = {chart.title: chart for chart in stats.bars(most=5)}
        assert len(charts["Stages"].rows) == 6
        assert charts["Stages"].rows[-1] == ("25 others", 25, 25 / 30)
        assert len(charts["Slippi versions"].rows) == 30  # a natural order has no tail
        assert len({chart.title: chart for chart in stats.bars(most=None)}["Stages"].rows) == 30
        assert [bar.number for bar in {chart.title: chart for chart in stats.bars(most=29)}["Stages"].rows] == [1] * 30

    def test_a_chart_is_a_title_and_triples(self):
        title, rows = STATS.bars()[0]
        assert title == "Characters"
        assert [(label, number) for label, number, _ in rows] == [("fox", 5), ("falco", 2), ("peach", 1)]
        assert isinstance(STATS.bars()[0], Chart)


class TestPage:
    def test_every_count_and_name_is_on_it(self):
        page = Page(STATS.html("My <replays>"))
        for chart in STATS.bars(most=None):
            assert chart.title in page.texts
            for bar in chart.rows:
                assert [bar.label, f"{bar.number:,}", f"{bar.share:.1%}"] in page.rows
        assert sum(len(chart.rows) for chart in STATS.bars(most=None)) == len(page.rows)
        for word, number in STATS.facts():
            assert word in page.texts
            assert number in page.texts
        assert page.texts.count("My <replays>") == 2  # the title and the heading

    def test_it_loads_and_runs_nothing(self):
        page = Page(STATS.html())
        assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "a", "form"})
        assert page.attributes <= {"lang", "charset", "name", "content", "class", "style", "scope"}
        assert "http" not in STATS.html()
        assert "url(" not in STATS.html()
        assert "<script" not in STATS.html()

    def test_it_is_made_for_phones_and_for_the_dark(self):
        page = STATS.html()
        assert 'name="viewport"' in page
        assert "prefers-color-scheme: dark" in page
        assert "width=device-width" in page

    @settings(max_examples=60, deadline=None)
    @given(name=st.text(min_size=1, max_size=40), title=st.text(max_size=20))
    def test_any_name_stays_a_name(self, name, title):
        facts = Facts("x", 10, 10, "3.0.0", name, (name, "fox"), (name, ""), 50)
        plain = Stats.of([Facts("x", 10, 10, "3.0.0", "s", ("c", "fox"), ("p", ""), 50)])
        page, usual = Page(Stats.of([facts]).html(title)), Page(plain.html("t"))
        assert (page.tags, page.attributes) == (usual.tags, usual.attributes)
        assert len(page.rows) == len(usual.rows)
