"""``exphil presets``: what each preset is for, what it sets, and how long it would take on this machine.

Nothing is written and no replay is parsed: the time is that of some seconds of training on made-up numbers, for the
games in ``--replays``, else for typical ones.
"""

from __future__ import annotations

from typing import Any

from exphil import assemble
from exphil.assemble import estimate
from exphil.assemble.estimate import TYPICAL_FRAMES, TYPICAL_GAMES, Estimate
from exphil.cli.shown.drawing import shown_duration
from exphil.cli.terminal import Terminal
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings, jsonable, resolve
from exphil.config.option import nearest
from exphil.config.presets import PRESETS, PURPOSES
from exphil.errors import OptionError

PASSED_ON = ("replays", "max_files", "device", "threads")
COLUMNS = ("preset", "for", "epochs", "games", "network", "time, about")


def run(settings: Settings, name: tuple[str, ...]) -> int:
    """List the presets of these names, or all."""
    terminal, seconds = Terminal.of(settings), settings.probe.probe_seconds
    names = dict.fromkeys(map(_preset, name or PRESETS))
    given = {OPTIONS[each].flag: OPTIONS[each].text(settings[each]) for each in PASSED_ON if settings[each] is not None}
    asked = {each: resolve("train", given | {"--preset": each}, {}) for each in names}
    if seconds:
        terminal.say(f"trying this machine for {seconds:g} s")
    found = estimate.ahead(asked, seconds)
    if settings.output.json:
        terminal.data([_record(each, asked[each], found[each]) for each in names])
        return 0
    if name:
        for each in names:
            _show(terminal, each, asked[each], found[each])
    else:
        terminal.table("Presets", COLUMNS, [_row(each, asked[each], found[each]) for each in names])
        terminal.say("all that one sets: exphil presets NAME; exphil setup writes the recipe that learned best here")
    games = f"the games in {settings.data.replays}, as many as each takes"
    if any(each.counted.assumed for each in found.values()):
        games = f"games of {TYPICAL_FRAMES:,} frames, {TYPICAL_GAMES:,} of them where all are taken"
        games += f" (there is no game in {settings.data.replays})"
    if seconds:
        terminal.say(f"times are estimates for this machine and {games}; a run that stops early takes less")
    return 0


def _preset(name: str) -> str:
    """The name of a preset, however it is written.

    Raises:
        OptionError: it is none.
    """
    known = {each.lower(): each for each in PRESETS}
    found = known.get(name.lower().replace("-", "_"))
    if found is None:
        near = nearest(name, PRESETS)
        meant = f"; did you mean '{near}'?" if near else ""
        raise OptionError(f"'{name}' is no preset{meant}", fix=f"one of {', '.join(PRESETS)}")
    return found


def _row(name: str, settings: Settings, ahead: Estimate) -> tuple[object, ...]:
    network = f"{settings['backbone']} {' '.join(map(str, assemble.widths(settings)))}"
    network += f", window {settings['window_size']}" if settings["temporal"] else ""
    return name, PURPOSES[name], settings["epochs"], ahead.counted.games, network, _time(ahead)


def _time(ahead: Estimate) -> str:
    if not ahead.counted.games:
        return "no games"
    return "-" if ahead.run_s is None else shown_duration(ahead.run_s)


def _sets(name: str, settings: Settings) -> dict[str, Any]:
    return {each: settings[each] for each in PRESETS[name]}


def _record(name: str, settings: Settings, ahead: Estimate) -> dict[str, Any]:
    options = {"name": name, "for": PURPOSES[name], "options": jsonable(_sets(name, settings))}
    return (
        options | ahead.counted._asdict() | {"updates": ahead.updates, "epoch_s": ahead.epoch_s, "run_s": ahead.run_s}
    )


def _show(terminal: Terminal, name: str, settings: Settings, ahead: Estimate) -> None:
    options = [(OPTIONS[each], value) for each, value in _sets(name, settings).items()]
    rows = [(option.flag, option.text(value), option.help) for option, value in options]
    terminal.table(f"{name}: {PURPOSES[name]}", ("option", "value", "meaning"), rows)
    if ahead.run_s is not None:
        terminal.lines([f"about {_time(ahead)} for {ahead.counted.games:,} games", ""])
