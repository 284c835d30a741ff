"""``exphil list``: the runs and policies of a folder, with what each file says of itself; no file is read whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from exphil.cli.shown.drawing import shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.train.runfiles import LAST
from exphil.train.runs import SORTED, KeptRun, State, runs_in

COLUMNS = ("run", "state", "size", "saved", "backbone", "epochs", "learned", "held out")


def run(settings: Settings) -> int:
    """List them; a damaged file is named in its row."""
    terminal, folder, order = Terminal.of(settings), settings.checkpointsdir.checkpoints_dir, settings.order
    runs = sorted(runs_in(folder), key=SORTED[order.sort], reverse=order.reverse)
    size = sum(run.size_bytes for run in runs)
    if settings.output.json:
        terminal.data({"folder": folder, "bytes": size, "runs": [record(run) for run in runs]})
        return 0
    if not runs:
        terminal.lines([f"no runs in {folder}" + ("" if folder.exists() else ": there is no such folder")])
        return 0
    rows = [row(run, state) for run in runs for state in run.states]
    troubled = any(each[-1] for each in rows)
    columns, end = ((*COLUMNS, "trouble"), None) if troubled else (COLUMNS, -1)
    terminal.table(str(folder), columns, [each[:end] for each in rows])
    backups = [path for run in runs for path in run.backups]
    more = f", and {len(backups):,} backups (.bak)" if backups else ""
    terminal.lines([f"{len(runs):,} runs, {shown_bytes(size)}{more}"])
    if unended := [run.name for run in runs if run.incomplete]:
        several = f" and {len(unended) - 1:,} others are" if len(unended) > 1 else " is"
        terminal.say(f"{unended[0]}{several} incomplete: stopped before the end, or still going on")
    return 0


def row(run: KeptRun, state: State) -> tuple[str, ...]:
    """One saved state as text."""
    losses, done, wanted = state.losses(), state.number("epochs_done"), state.epochs_wanted
    epochs = "" if done is None else f"{done}/{wanted}" if wanted else str(done)
    return (
        run.name,
        kind(state) + (" (incomplete)" if run.incomplete and state is run.states[0] else ""),
        shown_bytes(state.size_bytes),
        moment(state.modified)[:10],
        state.backbone,
        epochs,
        loss(losses["train"]),
        loss(losses["held_out"]),
        state.trouble,
    )


def kind(state: State) -> str:
    """What a state is, in a word or two: without a snapshot it can be played and not resumed."""
    if state.kind == LAST:
        return "run" if state.snapshot else "policy"
    return state.kind.removeprefix(f"{LAST} ")


def loss(value: float | int | None) -> str:
    """A loss as everywhere; empty when there is none."""
    return "" if value is None else f"{value:.4f}"


def moment(seconds: float) -> str:
    """``2026-01-31T12:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(run: KeptRun) -> dict[str, Any]:
    """A run as plain values."""
    states = [
        {
            "kind": kind(state),
            **{role: getattr(state, role) for role in ("snapshot", "policy", "page")},
            "bytes": state.size_bytes,
            "saved": moment(state.modified),
            "backbone": state.backbone,
            "epochs_done": state.number("epochs_done"),
            "epochs": state.epochs_wanted,
            "updates": state.number("updates"),
            **state.losses(),
            "trouble": state.trouble,
        }
        for state in run.states
    ]
    about = {"name": run.name, "bytes": run.size_bytes, "saved": moment(run.modified), "incomplete": run.incomplete}
    return about | {"states": states, "others": run.aside, "backups": run.backups}
