"""The page of a comparison of backbones, drawn from its results alone: the same results give the same page.

What enters: the conditions of a file of results (``evaluate.results``). What leaves: HTML that needs nothing else. All
text comes from a file that anyone may have written, and is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from exphil import pages
from exphil.evaluate import charts
from exphil.evaluate.charts import Line, Row, bars, dots, lines
from exphil.evaluate.results import NO_RANK, Standing, facts, standings, verdicts, warnings

TITLE = "Backbones compared"
RECIPE = ("batch_size", "lr")
BATCHES = (1, 32, 128)
_STYLE = """
section { margin: 0 0 1rem; overflow-x: auto; }
h2.part { font-size: 1.25rem; margin: 2rem 0 .75rem; overflow-wrap: anywhere; }
dd { font-size: 1rem; overflow-wrap: anywhere; }
dl { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { padding: .25rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; text-align: right; white-space: normal; vertical-align: bottom; }
td { text-align: right; font-variant-numeric: tabular-nums; }
tbody th { text-align: left; font-weight: 500; }
thead th:first-child { text-align: left; }
tr.copied { color: var(--soft); }
svg { display: block; width: 100%; max-width: 60rem; height: auto; font-size: 12px; }
svg text { fill: currentColor; }
.grid { stroke: var(--line); }
.mark { stroke: var(--soft); stroke-dasharray: 4 3; }
p { margin: .3rem 0; }
p.note { color: var(--soft); }
"""


class Table(NamedTuple):
    """Columns, one row a backbone, and one row a player that looks at nothing; all as text."""

    columns: list[str]
    rows: list[list[str]]
    copied: list[list[str]]


def table(conditions: Mapping[str, Any]) -> Table:
    """What the terminal and the page show of one set of conditions."""
    found = standings(conditions)
    players = [(name, batch) for name in _players(found) for batch in BATCHES]
    speed = "frames per CPU-second" if conditions["device"] == "cpu" else "frames per second"
    columns = ["backbone", "held out", "least .. most", "seeds", *(name.replace("_", " ") for name in RECIPE)]
    columns += ["parameters", speed, "MB kept a step", *(f"{name} x{batch}, ms" for name, batch in players)]
    rows = [_cells(row, players) for row in found]
    losses = sorted(conditions["baselines"].items(), key=lambda item: item[1])
    copied = [[name, f"{loss:.4f}", *[""] * (len(columns) - 2)] for name, loss in losses]
    return Table(columns, rows, copied)


def _cells(row: Standing, players: Sequence[tuple[str, int]]) -> list[str]:
    times = [row.decision_ms.get(name, {}).get(batch) for name, batch in players]
    return [
        *(row.name, f"{row.median:.4f}", row.spread, str(len(row.losses))),
        *(f"{row.recipe.get(name, ''):g}" for name in RECIPE),
        *(f"{row.parameters:,}", f"{row.frames_per_second:,.0f}", f"{row.saved_bytes / 1e6:,.1f}"),
        *("-" if time is None else f"{time.p50:.2f} / {time.p99:.2f}" for time in times),
    ]


def _players(rows: Sequence[Standing]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.decision_ms))


def page(every: Sequence[Mapping[str, Any]]) -> str:
    """All conditions of a file of results, one below the other, the newest first."""
    names = sorted({run["backbone"] for conditions in every for run in conditions["runs"]})
    colours = {name: charts.COLOURS[at % len(charts.COLOURS)] for at, name in enumerate(names)}
    parts = [_part(conditions, colours, len(every) > 1) for conditions in reversed(every)]
    return pages.page(TITLE, "\n".join(parts) or "<p>No runs.</p>", _STYLE)


def _part(conditions: Mapping[str, Any], colours: Mapping[str, str], several: bool) -> str:
    rows, found = standings(conditions), table(conditions)
    colour = {row.name: colours[row.runs[0]["backbone"]] for row in rows}
    head = [f'<h2 class="part">Conditions {html.escape(str(conditions["key"]))}</h2>'] if several else []
    unlike = {name: _plain(value) for name, value in conditions["options"].items()}
    notes = [
        "Held out: nats per decision on games held out, the median over seeds. ms: half of the decisions / 99 of 100 "
        "take less, on one thread, for 1, 32 and 128 games at once, from floats to classes. Kept a step: what the way "
        "there keeps for the way back.",
        "Options: " + (", ".join(f"{name} {value}" for name, value in unlike.items()) or "the defaults") + ".",
    ]
    return "\n".join(
        [
            *head,
            pages.totals(facts(conditions)),
            _card("Table", _table(found) + _lines("note", notes)),
            _card("What can be said", _lines("", [*verdicts(rows), *warnings(conditions), NO_RANK])),
            *(_card(title, drawn) for title, drawn in _drawn(conditions, rows, colour) if drawn),
        ]
    )


def _drawn(conditions: Mapping[str, Any], rows: Sequence[Standing], colour: Mapping[str, str]) -> list[tuple[str, str]]:
    """Titles and charts."""

    def simple(value: Callable[[Standing], float]) -> list[Row]:
        return [_bar(row.name, colour[row.name], value(row)) for row in sorted(rows, key=value)]

    losses = [
        Row(row.name, colour[row.name], row.median, min(row.losses), max(row.losses), f"{row.median:.4f}", row.losses)
        for row in rows
    ]
    marks, axis = list(conditions["baselines"].items()), "nats per decision"
    per = "CPU-second" if conditions["device"] == "cpu" else "second"
    seeds = "each seed thin, their median thick; the axis does not begin at 0"
    part = min((run["curve_decisions"] for row in rows for run in row.runs), default=0)
    over = f" (on {part:,} decisions of them)" if part < conditions["games"]["held_out"]["decisions"] else ""
    return [
        ("Held-out loss: median and every seed (the axis does not begin at 0)", dots(losses, marks, axis, "loss")),
        (f"Held-out loss while learning{over}: {seeds}", _curves(rows, colour, "held_out")),
        (f"Training loss: {seeds}", _curves(rows, colour, "train")),
        *_latency(rows, colour),
        (f"Learning speed: frames per {per}", bars(simple(_speed)[::-1], f"frames per {per}", "speed")),
        ("Memory kept for the way back", bars(simple(lambda row: row.saved_bytes / 1e6), "MB a step", "memory")),
        ("Parameters", bars(simple(lambda row: row.parameters), "numbers that are learned", "parameters")),
    ]


def _speed(row: Standing) -> float:
    return row.frames_per_second


def _bar(name: str, colour: str, value: float) -> Row:
    return Row(name, colour, value, value, value, charts.shown(value))


def _curves(rows: Sequence[Standing], colour: Mapping[str, str], what: str) -> str:
    """One curve a backbone: what was measured after so many frames."""
    series = []
    for row in rows:
        single = [[(float(point["frames"]), float(point[what])) for point in run["curve"]] for run in row.runs]
        middle = [
            (float(median(x for x, _ in points)), float(median(y for _, y in points)))
            for points in zip(*single, strict=False)  # runs of one row have their points after the same updates
        ]
        series.append(Line(row.name, colour[row.name], middle, single if len(single) > 1 else []))
    return lines(series, "frames learned from", "nats per decision", f"{what} loss while learning".replace("_", " "))


def _latency(rows: Sequence[Standing], colour: Mapping[str, str]) -> list[tuple[str, str]]:
    found = []
    for player in _players(rows):
        for batch in BATCHES:
            timed = [
                Row(row.name, colour[row.name], time.p50, time.p50, time.p99, f"{time.p50:.2f} / {time.p99:.2f}")
                for row in rows
                if (time := row.decision_ms.get(player, {}).get(batch)) is not None
            ]
            games = "1 game" if batch == 1 else f"{batch} games at once"
            title = f"A decision for {games}, {player} player: p50, and a line to p99"
            found.append((title, bars(sorted(timed, key=lambda row: row.value), "ms", title)))
    return found


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _card(title: str, body: str) -> str:
    return f"<section>\n<h2>{html.escape(title)}</h2>\n{body}\n</section>"


def _lines(kind: str, sentences: Sequence[str]) -> str:
    opened = f'<p class="{kind}">' if kind else "<p>"
    return "\n".join(f"{opened}{html.escape(sentence)}</p>" for sentence in sentences)


def _table(found: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in found.columns)
    body = [_row(row, "") for row in found.rows] + [_row(row, ' class="copied"') for row in found.copied]
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table>"


def _row(cells: Sequence[str], kind: str) -> str:
    rest = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells[1:])
    return f'<tr{kind}><th scope="row">{html.escape(cells[0])}</th>{rest}</tr>'
