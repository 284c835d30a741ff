"""``exphil setup``: a few questions become the command of a training run, and a file that gives it again.

The command goes to standard output, everything else to standard error. What can go wrong: the answers end too early,
or the file cannot be written; then nothing is begun.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from exphil.assemble import estimate, timing
from exphil.assemble.estimate import Counted
from exphil.cli.main import main
from exphil.cli.questions import answering, hardware, usable
from exphil.cli.questions.asking import Asking
from exphil.cli.shown.drawing import shown_duration
from exphil.cli.terminal import Terminal
from exphil.config import wizard
from exphil.config.layers import Settings
from exphil.config.written import yaml_text
from exphil.errors import ExphilError, OutputError
from exphil.files import check_writable, write

FILE, OTHER_PLACE = "exphil.yaml", "choose another file"
PROBE_S = 2.0
"""Of trying this machine, for the estimate."""


def run(settings: Settings) -> int:
    """Ask, show the command, write the file; run it when that is wanted, and give its exit code."""
    terminal, output = Terminal.of(settings), settings.written.output
    if output:
        check_writable(output, OTHER_PLACE)
    try:
        values = _ask(terminal, settings, asking := Asking(terminal))
        path = _place(terminal, asking, output)
        terminal.say("the command:")
        terminal.lines([wizard.command_line(values)])
        text = f"# Written by exphil setup; begin the run with: exphil train --config {path}\n"
        text += yaml_text(wizard.settings(values), comments=False)
        write(path, lambda file: file.write(text.encode()), OTHER_PLACE)
        terminal.say(f"wrote {path}; exphil train --config {path} is the same")
        wanted = asking.agree("Run this command now?", default=False)
    except EOFError:
        fix = "no run was begun; answer every question (an empty line takes what stands in brackets)"
        raise ExphilError("the answers ended before the questions did", "standard input", fix) from None
    if not wanted:
        return 0
    sys.argv[1:] = wizard.words(values)  # from here a run learns which command began it
    return main()


def _ask(terminal: Terminal, settings: Settings, asking: Asking) -> dict[str, Any]:
    machine = settings.machine
    terminal.say("looking at this machine")
    found = hardware.detect(machine.device, machine.threads)
    terminal.say("\n".join(hardware.described(found)))
    if preset := os.environ.get("EXPHIL_DEFAULT_PRESET"):
        terminal.warn(f"EXPHIL_DEFAULT_PRESET={preset} sets what is not answered here")
    device = None if machine.device == "auto" else machine.device
    given = {"device": device, "threads": machine.threads}
    values, counted = answering.ask(terminal, asking, found.gpu_bytes, given)
    for notice in wizard.settings(values).notices:
        terminal.say(f"note: {notice}")
    if counted.games:
        _foretell(terminal, usable.as_trained(values), counted, found.threads)
    return values


def _foretell(terminal: Terminal, made: Settings, counted: Counted, threads: int) -> None:
    from exphil.train import runtime

    runtime.set_threads(threads)
    ahead = estimate.estimate(made, counted, timing.probe(made, PROBE_S))
    if ahead.run_s is not None:
        sooner = " at most" if made.stopping.early_stopping else ""
        terminal.say(f"that will take about {shown_duration(ahead.run_s)}{sooner} on this machine")


def _place(terminal: Terminal, asking: Asking, path: Path | None) -> Path:
    """Where the file goes; over another one only when that is wanted."""
    while True:
        path = path or Path(asking.line("Write these settings to", FILE, path=True)).expanduser()
        try:
            check_writable(path, OTHER_PLACE)
            if not path.exists() or asking.agree(f"{path} is there. Write over it?", default=False):
                return path
        except OutputError as error:
            terminal.warn(str(error))
        path = None
