"""``exphil kmeans``: stick positions learned from games, so that the classes of a policy lie where hands hold a stick.

One number of centres is shown and written; for a span of numbers a table says what each of them costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exphil.cli.running.counting import count_sticks
from exphil.cli.shown.drawing import many
from exphil.cli.terminal import Terminal
from exphil.config.groups.policy import AXIS_BUCKET_CHOICES
from exphil.config.layers import Settings
from exphil.config.spans import span
from exphil.data.sticks import lost
from exphil.errors import DataError, OutputError
from exphil.features import zones
from exphil.features.action import AXES
from exphil.features.kmeans import Centres
from exphil.files import check_writable
from exphil.game.controller import CENTRES, STICK_FLOOR, STICK_STEPS

FIX = "choose another --output"
FEW_GAMES = 10
TITLE = "What is lost when the sticks of these games are encoded and decoded"
COLUMNS = ("classes", "positions", "main stick changed %", "C-stick changed %", "distance")
NOTES = f"""\
look at main stick changed: of 100 frames with that stick off rest, so many land where the game can do something else \
(walk for dash, tilt for smash, a direction more than {zones.ANGLE_DEGREES:g} degrees off); C-stick changed likewise
distance: how far a stick axis lands from where it was held, in steps of 1/{STICK_STEPS} ({STICK_STEPS} is full tilt, \
{zones.DEAD} the edge of the dead zone); root mean square, frames at rest included
measured on the games that the positions were learned from: expect more on other games
one class more can change more: the search makes the distance least and knows no borders between moves""".splitlines()
SCALE = f"Positions: 0 is rest, 1 full tilt, about {STICK_FLOOR:.2f} the edge of the dead zone"


def run(settings: Settings) -> int:
    """Count the sticks of ``--replays``, find the centres, show and write them."""
    terminal, options = Terminal.of(settings), settings.sticks
    ks = span(options.k, *CENTRES)
    place = settings.written.output
    if place is not None:
        _check(place)
    sticks = count_sticks(terminal, settings)
    found = Centres.of(sticks.held, ks, options.per_axis, files=sticks.files, characters=sticks.names)
    if len(found) < len(ks):
        terminal.say(f"the table ends at {found[-1].k}: these games have no more different positions of a stick axis")
    if sticks.files < FEW_GAMES:
        terminal.warn(f"learned from {many(sticks.files, 'game')}, so from few players: more games fit more players")
    rows = lost(found, sticks.held, AXIS_BUCKET_CHOICES)
    if settings.output.json:
        counted = {"files": sticks.files, "frames": sticks.frames, "values": sticks.values}
        told = {"players": settings.character.train_character or "both", "left_out": len(sticks.skips), "table": rows}
        terminal.data(counted | told | ({"centres": found[0].as_dict()} if len(ks) == 1 else {}))
    else:
        _show(terminal, rows, found[0] if len(ks) == 1 else None)
    if place is None:
        how = "--output FILE writes these centres" if len(ks) == 1 else "--k N --output FILE writes N centres"
        terminal.say(f"nothing was written: {how}, and exphil train --kmeans-centers FILE learns with them")
    else:
        done = "replaced" if place.exists() else "written"
        found[0].save(place)
        terminal.say(f"{done}: {place}; exphil train --kmeans-centers {place} learns with them")
    return 0


def _check(output: Path) -> None:
    """That the file can be written, and that nothing but centres stands there."""
    check_writable(output, FIX)
    if output.exists():
        try:
            Centres.load(output)
        except DataError:
            what = "holds something else than stick centres that can be read, so it is not replaced"
            raise OutputError(what, str(output), FIX) from None


def _show(terminal: Terminal, rows: Sequence[dict[str, Any]], centres: Centres | None) -> None:
    shares = [(100 * row["main_changed_off_rest"], 100 * row["c_changed_off_rest"], row["rms_steps"]) for row in rows]
    shown = [[row["k"], row["positions"], *map("{:6.2f}".format, part)] for row, part in zip(rows, shares, strict=True)]
    terminal.table(TITLE, COLUMNS, shown)
    for note in NOTES[:-1] if centres else NOTES:
        terminal.say(note)
    if centres is None:
        return
    terminal.lines(["", SCALE])
    for name, values in zip(AXES if len(centres.axes) > 1 else ("all axes",), centres.axes, strict=True):
        parts = [values[at : at + 8] for at in range(0, len(values), 8)]
        lines = ["  ".join(f"{value:7.4f}" for value in part) for part in parts]
        terminal.lines(["", f"Centres of {name.replace('_', ' ')}", *lines])
