"""The page of ``exphil demo``: what was learned from, how well people or scripts are predicted, and who was beaten."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from exphil import pages
from exphil.cli.shown import match_table
from exphil.evaluate import charts
from exphil.evaluate.outcome import Result
from exphil.game.ids import character_name
from exphil.game.time import FRAMES_PER_SECOND

STYLE = """
section { margin: 0 0 1rem; overflow-x: auto; }
dd { font-size: 1rem; overflow-wrap: anywhere; }
dl { grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { padding: .25rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg { display: block; width: 100%; max-width: 60rem; height: auto; font-size: 12px; }
svg text { fill: currentColor; }
.grid { stroke: var(--line); }
.mark { stroke: var(--soft); stroke-dasharray: 4 3; }
p { margin: .3rem 0; }
"""


LOSSES = (
    "Losses say how well hands are predicted; they do not rank how well a policy plays.",
    "A policy of a few games and a minute of training loses to scripts, even to one that presses anything: it copies "
    "hands, and off the stage it has seen too little to come back. More games and longer training are the cure.",
)
"""What holds for every page."""


class Shown(NamedTuple):
    """What the page tells.

    Attributes:
        facts: Words and numbers of the run.
        history: One line an epoch: ``epoch``, ``train`` and, with held-out games, ``validation``, in nats.
        report: What ``evaluate.offline.measure`` found on held-out games; None without them.
        results: The matches of the policy.
        notes: Sentences.
    """

    facts: list[tuple[str, str]]
    history: Sequence[Mapping[str, float]]
    report: Mapping[str, Any] | None
    results: Sequence[Result]
    notes: Sequence[str]


def notes(results: Sequence[Result], policy: Path) -> list[str]:
    """What the page says in words; what is said of matches is said of the last one."""
    said = list(LOSSES)
    for result in results[-1:]:
        said += [*match_table.failed(result, (True, False)), *match_table.sentences(result, (True, False))[1:]]
    return [*said, f"Next: exphil match {policy} cpu3, or a policy of more games: exphil train --replays FOLDER"]


def page(shown: Shown) -> str:
    """The page as HTML that needs nothing else."""
    cards = [("Learning", _learning(shown.history))]
    if shown.report is not None:
        cards.append(("Predicting held-out games, nats per decision", _predicting(shown.report)))
    cards += [("Playing in the simulator", _playing(shown.results)), ("What this says", _sentences(shown.notes))]
    body = "\n".join(f"<section>\n<h2>{html.escape(title)}</h2>\n{part}\n</section>" for title, part in cards if part)
    return pages.page("A small bot, from games to play", f"{pages.totals(shown.facts)}\n{body}", STYLE)


def _learning(history: Sequence[Mapping[str, float]]) -> str:
    names = {"train": "learned from", "validation": "held out"}
    series = [
        charts.Line(said, colour, [(line["epoch"], line[name]) for line in history if name in line], [])
        for (name, said), colour in zip(names.items(), charts.COLOURS, strict=False)
    ]
    there = [line for line in series if line.middle]
    return charts.lines(there, "epoch", "nats per decision", "loss by epoch") if there else ""


def _predicting(report: Mapping[str, Any]) -> str:
    losses = {"policy": report["loss"]} | {name: found["loss"] for name, found in report["baselines"].items()}
    rows = [[part, *(f"{loss[part]:.4f}" for loss in losses.values())] for part in report["loss"]]
    return _table(["part of an action", *losses], rows)


def _playing(results: Sequence[Result]) -> str:
    rows = [
        charts.Row(name, charts.COLOURS[0], rate.value, rate.low or 0.0, rate.high or 1.0, f"{rate.value:.1%}")
        for name, rate in ((result.players[1], result.win_rate) for result in results)
    ]
    drawn = charts.dots(rows, [("even", 0.5)], "win rate, with its interval of 95%", "win rate by opponent")
    tables = [
        f"<h3>{html.escape(match_table.title(result))}, {_cast(result)}, "
        f"at most {result.max_frames / (60 * FRAMES_PER_SECOND):g} min each</h3>"
        + _table(["", "", "from", "to"], match_table.rows(result, (True, False)))
        for result in results
    ]
    return drawn + "\n".join(tables)


def _cast(result: Result) -> str:
    return html.escape(" against ".join(map(character_name, result.characters)))


def _sentences(notes: Sequence[str]) -> str:
    return "\n".join(f"<p>{html.escape(note)}</p>" for note in notes)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line("td", row) for row in rows)
    return f"<table>\n<thead>{line('th', columns)}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
