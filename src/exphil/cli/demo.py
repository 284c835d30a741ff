"""``exphil demo``: the whole road on a few replays in about two minutes: read, train, hold out, evaluate."""

from __future__ import annotations

from exphil import assemble
from exphil.cli import evaluate, train
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings, jsonable

GAMES = 12
"""Replays the demo reads unless told otherwise."""
RECIPE = {
    "temporal": True,
    "backbone": "gru",
    "hidden": [128],
    "num_layers": 1,
    "num_player_names": 0,
    "dual_port": True,
    "epochs": 3,
    "batch_size": 32,
    "window_size": 64,
    "lr": 1e-3,
    "lr_schedule": "cosine",
    "val_split": 0.25,
    "allow_missing": True,
}


def run(settings: Settings) -> int:
    """Train a small policy on some of the games, then measure it on those that were held out."""
    terminal, shared = Terminal.of(settings), jsonable(settings.flat())
    terminal.say("demo: a small gru learns from a few games and is then measured on games it has not seen")
    asked = Settings.from_flat("train", {**shared, **RECIPE, "max_files": shared["max_files"] or GAMES})
    asked = asked.changed(train.decided(asked), "decided for this run")
    code, job, held_out = train.train(terminal, asked, None)
    if code == 0 and held_out is not None:
        from exphil.evaluate.offline import measure

        batches = assemble.walk(asked, held_out, job.run.device)
        evaluate.show(terminal, measure(job.run.policy, batches, dict(job.about.baselines)))
    return code
