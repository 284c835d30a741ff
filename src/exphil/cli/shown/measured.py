"""How well a policy predicts people, as tables."""

from __future__ import annotations

from typing import Any

from exphil.cli.shown import told
from exphil.cli.terminal import Terminal


def show(terminal: Terminal, report: dict[str, Any]) -> None:
    """The report as tables."""
    losses = {"policy": report["loss"]} | {name: found["loss"] for name, found in report["baselines"].items()}
    rows = [[name, *(f"{loss[name]:.4f}" for loss in losses.values())] for name in report["loss"]]
    terminal.table(
        f"Loss, nats per decision ({report['games']} games, {report['frames']:,} decisions)",
        ["component", *losses],
        rows,
    )
    accuracy = [
        [name, f"{value:.2%}", f"{report['top3'][name]:.2%}" if name in report["top3"] else ""]
        for name, value in report["accuracy"].items()
    ]
    terminal.table(
        "Share of decisions in which the likeliest is what was done", ["component", "first", "among three"], accuracy
    )
    buttons = [
        [name, *(_percent(found[key]) for key in ("precision", "recall", "press_rate", "press_rate_predicted"))]
        for name, found in report["buttons"].items()
    ]
    terminal.table("Buttons", ["button", "precision", "recall", "pressed", "pressed, predicted"], buttons)
    gaps = [[name, f"{found['expected_error']:.2%}"] for name, found in report["calibration"].items()]
    terminal.table("Calibration: mean gap between confidence and accuracy", ["component", "gap"], gaps)
    best = min((found["loss"]["total"], name) for name, found in report["baselines"].items())
    gain = 1 - report["loss"]["total"] / best[0]
    sides = f"{abs(gain):.1%} {'below' if gain >= 0 else 'above'} the best baseline ({best[1]})"
    choices = told.presses(report["classes"])
    same = f"Losses can be compared only between policies with the same choices, here {choices}."
    terminal.lines([f"{sides}. Predicting people well does not rank how well a policy plays.", same])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
