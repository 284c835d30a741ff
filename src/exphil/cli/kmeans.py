"""``exphil kmeans``: stick positions learned from games, so that the classes of a policy lie where hands hold a stick.

One number of centres is shown and written; for a span of numbers a table says what each of them costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exphil.cli.counting import count_sticks
from exphil.cli.terminal import Terminal
from exphil.config.groups.policy import CENTRES
from exphil.config.layers import Settings
from exphil.config.spans import span
from exphil.data.sticks import Sticks
from exphil.errors import DataError, OutputError
from exphil.features import zones
from exphil.features.action import AXES, Codec
from exphil.features.kmeans import VALUES_A_CENTRE, Centres
from exphil.files import check_writable

EQUAL = Codec.uniform()
FIX = "choose another --output"
TITLE = "What is lost when the sticks of these games are encoded and decoded"
COLUMNS = {
    "k": "k",
    "rms_steps": "error in 1/80",
    "variance_lost": "variance lost %",
    "main_changed": "main stick changed %",
    "main_changed_off_rest": "off rest %",
    "c_changed": "C-stick changed %",
}
CHANGED = "changed: the game would do something else (dash for walk, another angle); off rest: of the frames in use"


def run(settings: Settings) -> int:
    """Count the sticks of ``--replays``, find the centres, show and write them."""
    terminal, options = Terminal.of(settings), settings.sticks
    ks = span(options.k, *CENTRES)
    if options.output is not None:
        _check(options.output)
    sticks = count_sticks(terminal, settings)
    found = Centres.of(sticks.held, ks, options.per_axis, files=sticks.files, characters=sticks.names)
    if len(found) < len(ks):
        terminal.say(f"these games have {found[-1].k} different stick positions: the table ends there")
    if sticks.values < VALUES_A_CENTRE * found[-1].k:
        terminal.warn(f"{sticks.values} stick values are few for {found[-1].k} centres: more replays say more")
    rows = [_row(each, sticks) for each in found]
    if settings.output.json:
        counted = {"files": sticks.files, "frames": sticks.frames, "values": sticks.values}
        told = {"table": rows} if len(ks) > 1 else rows[0] | {"centres": found[0].as_dict()}
        terminal.data(counted | {"left_out": len(sticks.skips)} | told)
    else:
        _show(terminal, rows, sticks)
        if len(ks) == 1:
            _show_centres(terminal, found[0])
    if options.output is not None:
        found[0].save(options.output)
        terminal.say(f"centres: {options.output}; exphil train --kmeans-centers {options.output} learns with them")
    return 0


def _check(output: Path) -> None:
    """That the file can be written, and that nothing but centres stands there."""
    check_writable(output, FIX)
    if output.exists():
        try:
            Centres.load(output)
        except DataError as error:
            raise OutputError(f"is not replaced: {error.what}", str(output), FIX) from None


def _row(centres: Centres, sticks: Sticks) -> dict[str, Any]:
    shares = zones.shares(Codec(centres.axes4(), EQUAL.shoulder), sticks.held)
    lost = {"rms_steps": centres.rms_steps, "variance_lost": centres.variance_lost(sticks.held)}
    main, c = shares["main"], shares["c"]
    changed = {"main_changed": main["any"], "main_changed_off_rest": main["any_off_rest"], "c_changed": c["any"]}
    return {"k": centres.k, **lost, **changed, "zones": shares}


def _show(terminal: Terminal, rows: Sequence[dict[str, Any]], sticks: Sticks) -> None:
    shown = [[row[name] if name in ("k", "rms_steps") else 100 * row[name] for name in COLUMNS] for row in rows]
    terminal.table(TITLE, tuple(COLUMNS.values()), shown)
    terminal.say(CHANGED)
    equal = zones.shares(EQUAL, sticks.held)["main"]
    changed = f"{100 * equal['any']:.1f} % of the frames and {100 * equal['any_off_rest']:.1f} % of those off rest"
    terminal.say(f"beside it {len(EQUAL.axes[0])} classes in equal steps: the main stick changed in {changed}")
    terminal.say(f"{sticks.files} games, {sticks.frames:,} frames of players, {sticks.values:,} stick values")


def _show_centres(terminal: Terminal, centres: Centres) -> None:
    named = AXES if len(centres.axes) > 1 else ("all axes",)
    for name, values in zip(named, centres.axes, strict=True):
        parts = [values[at : at + 8] for at in range(0, len(values), 8)]
        lines = ["  ".join(f"{value:7.4f}" for value in part) for part in parts]
        terminal.lines(["", f"Centres of {name.replace('_', ' ')}", *lines])
