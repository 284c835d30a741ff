"""The page of ``exphil compare``: what ``cli.compare`` found, in tables, and what may be concluded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exphil.cli.models import loss
from exphil.cli.shown.drawing import shown_bytes
from exphil.cli.shown.info_page import NOT_PLAY, option_text
from exphil.cli.terminal import Terminal

WORDS = {
    "classes": "their classes of actions differ",
    "seats": "they look at other seats of a game",
    "frames": "they count other frames",
    "delay": "they answer with another delay",
    "held-out games": "they were measured on other held-out games",
}
"""What it means that two of ``train.described.measured_on`` differ."""


def show(terminal: Terminal, found: dict[str, Any]) -> None:
    """Print it."""
    terminal.lines(f"{letter}  {path}" for letter, path in zip("AB", found["models"], strict=True))
    rows = [(row["option"], *(option_text(row["option"], each) for each in row["values"])) for row in found["options"]]
    if rows:
        terminal.table("Options that differ", ("option", "A", "B"), rows)
    else:
        terminal.lines(["Options: all the same"])
    terminal.table("Games", ("games", "A", "B", "in both"), _games(found["games"]))
    for letter, count in zip("AB", found["games"]["held_out_but_learned_by_the_other"], strict=True):
        if count:
            terminal.warn(f"{count} of the games held out from {letter} were learned by the other")
    size = [(name, *map("{:,}".format, counts)) for name, counts in found["parts"].items()]
    size = [("parameters", *map("{:,}".format, found["parameters"])), *size]
    size += [("file", *map(shown_bytes, found["bytes"])), ("epochs", *_counts(found["epochs"]))]
    size += [("updates", *_counts(found["updates"])), ("decisions", *_counts(found["frames"]))]
    size += [("seed", *map(str, found["seeds"]))]
    terminal.table("Size and training", ("what", "A", "B"), size)
    of = found["losses"]
    losses = [
        ("last epoch, games learned from", *map(loss, of["train"])),
        ("last epoch, held-out", *map(loss, of["held_out"])),
        ("best epoch, held-out", *map(loss, of["best"])),
    ]
    terminal.table("Loss, nats per decision", ("what", "A", "B"), [row for row in losses if any(row[1:])])
    terminal.lines(_verdict(found))


def _games(games: dict[str, Any]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for part, word in (("learned", "learned from"), ("held_out", "held out")):
        about = games[part]
        same = " (the same games)" if about["same"] and about["common"] else ""
        rows.append((word, *map("{:,}".format, about["counts"]), f"{about['common']:,}{same}"))
    return rows


def _counts(numbers: Sequence[float | None]) -> list[str]:
    return ["" if number is None else f"{number:,.0f}" for number in numbers]


def _verdict(found: dict[str, Any]) -> list[str]:
    """Whether the losses can be compared, which one predicts people better if so, and what to do if not."""
    if found["trouble"]:
        why = "; ".join(WORDS.get(name, name) for name in found["trouble"])
        lines = [f"These losses cannot be compared: {why}."]
        if {"classes", "delay"} & set(found["trouble"]):
            lines += ["Other classes or another delay make another task: their losses differ on any games."]
        lines += ["Measure both on the same games, which neither of them learned from:"]
        return [*lines, *(f"  {line}" for line in found["measure"]), NOT_PLAY]
    a, b = found["losses"]["held_out"]
    told = "The held-out losses can be compared: same games, seats, frames, classes and delay."
    if a is None or b is None:
        return [told, NOT_PLAY]
    better = "Both predict alike." if a == b else f"{'A' if a < b else 'B'} predicts better by {abs(a - b):.4f} nats."
    notes = ["Of a run with --ema they are those of the averaged weights."] if any(found["averaged"]) else []
    for letter, parent in zip("AB", found["parents"], strict=True):
        notes += [f"{letter} began with {parent}, which may have learned from the games held out."] if parent else []
    return [told, better, *notes, NOT_PLAY]
