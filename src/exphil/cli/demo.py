"""``exphil demo``: the whole road on a few replays in under a minute: read, train, hold out, evaluate."""

from __future__ import annotations

import os

from exphil import assemble
from exphil.cli import train
from exphil.cli.running import prepare
from exphil.cli.shown import measured
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings, jsonable, resolve

GAMES = 12
"""Replays the demo reads unless told otherwise."""
RECIPE: dict[str, str | bool] = {
    "--temporal": True,
    "--backbone": "gru",
    "--hidden": "128",
    "--num-layers": "1",
    "--num-player-names": "0",
    "--dual-port": True,
    "--augment": True,
    "--allow-missing": True,
    "--epochs": "6",
    "--batch-size": "32",
    "--window-size": "64",
    "--optimizer": "muon",
    "--lr": "3e-3",
    "--lr-schedule": "cosine",
    "--val-split": "0.25",
}


def run(settings: Settings) -> int:
    """Train a small policy on some of the games, then measure it on those that were held out."""
    terminal = Terminal.of(settings)
    terminal.say("demo: a small gru learns from a few games and is then measured on games it has not seen")
    typed = {
        "--" + name.replace("_", "-"): value for name, value in jsonable(settings.flat()).items() if value is not None
    }
    flags = {flag: value if isinstance(value, bool) else str(value) for flag, value in typed.items()}
    places = {name: value for name, value in os.environ.items() if name == "EXPHIL_CHECKPOINTS_DIR"}
    asked = resolve("train", {"--max-files": str(GAMES), **flags, **RECIPE}, places)
    asked = asked.changed(prepare.decided(asked), "decided for this run")
    code, job, held_out = train.train(terminal, asked, None)
    if code == 0 and held_out is not None:
        from exphil.evaluate.offline import measure

        batches = assemble.walk(asked, held_out, job.run.policy.codec, job.run.device)
        measured.show(terminal, measure(job.run.policy, batches, dict(job.about.baselines)))
    return code
