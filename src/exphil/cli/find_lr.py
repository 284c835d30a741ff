"""``exphil find-lr``: rates from small to large, one step each, and which one to train with.

One run with one seed, whose weights are thrown away. The answer is a place to start, rather too small than too large.
"""

from __future__ import annotations

import secrets
import shlex

from exphil import assemble
from exphil.assemble import probing
from exphil.cli.running.reading import read_games
from exphil.cli.shown import rate_curve
from exphil.cli.terminal import Terminal
from exphil.config.commands import COMMANDS
from exphil.config.layers import Settings
from exphil.config.option import Option, options_by_name
from exphil.files import check_writable, write

FIX = "choose another --html"
LATER = ("lr", "epochs", "lr_schedule", "warmup_steps", "decay_steps", "restart_period", "restart_mult")
"""What only the run afterwards looks at."""


def run(settings: Settings) -> int:
    """Try the rates, show the curve and what it says; 1 when it says nothing."""
    from exphil.train import runtime

    terminal, path, options = Terminal.of(settings), settings.page.html, settings.ratesweep
    if path is not None:
        check_writable(path, FIX)
    asked = probing.for_training(settings)
    seed = secrets.randbelow(2**31 - 1) + 1 if asked["seed"] is None else asked["seed"]
    asked = asked.changed({"seed": seed}, "decided for this run")
    later = [option.flag for name, option in _of_train().items() if name in LATER and _typed(settings, name)]
    if later:
        terminal.say(f"note: of no effect here: {', '.join(later)}")
    threads, device = runtime.set_threads(settings.machine.threads), runtime.device(settings.machine.device)
    codec, corpus = assemble.codec(asked), read_games(terminal, asked).corpus
    bounds = options.lr_min, options.lr_max, options.lr_steps
    told = f"{bounds[2]} steps of {asked['backbone']} with {asked['optimizer']}, seed {seed}, on {device.type}"
    terminal.say(f"{'rates':<10} {bounds[0]:g} to {bounds[1]:g} in {told} with {threads} threads")
    with terminal.progress(2 * bounds[2], "steps", every=50) as bar:
        found = probing.rates(asked, bounds, corpus, codec, device, lambda done, share: bar.update(done, share=share))
    command = train_command(settings, found.tenth) if found.tenth else None
    if path is not None:
        text = rate_curve.page(found, command)
        write(path, lambda file: file.write(text.encode()), FIX)
        terminal.say(f"page: {path}")
    if settings.output.json:
        terminal.data({"suggested": found.tenth, "seed": seed, "command": command} | found._asdict())
    else:
        terminal.lines(rate_curve.text(terminal, found, command))
    if command is None:
        terminal.warn("the loss falls at none of these rates: try others with --lr-min, --lr-max or --lr-steps")
    return 0 if command else 1


def train_command(settings: Settings, rate: float) -> str:
    """The command line that trains with a rate and the flags that were given here."""
    words = ["exphil", "train"]
    for name, option in _of_train().items():
        if name == "lr" or not _typed(settings, name):
            continue
        value = settings[name]
        yes_or_no = [option.flag if value else f"--no-{option.flag[2:]}"]
        words += yes_or_no if isinstance(value, bool) else [option.flag, option.text(value)]
    return shlex.join([*words, "--lr", rate_curve.spelled(rate)])


def _of_train() -> dict[str, Option]:
    return options_by_name(COMMANDS["train"].groups)


def _typed(settings: Settings, name: str) -> bool:
    return name in settings and settings.sources[name].startswith("flag")
