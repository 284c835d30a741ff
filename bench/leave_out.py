"""How much each part of the feature table helps to predict people: the same games without it.

    python bench/leave_out.py --replays FOLDER [--json]

A part that is left out is zeros in training and in measuring; the network stays the same. ``minimal`` keeps the two
players, what their own controller held, and the ids (action states and characters). Three seeds, equal updates, games
held out by file. Losses are nats per decision; they do not rank how well policies play.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import torch

import report
import training
from exphil import assemble
from held_out import SMALL, split

SEEDS, UPDATES = 3, 300
ARMS: dict[str, tuple[str, ...]] = {
    "everything": (),
    "without distances": ("space",),
    "without projectiles": ("projectiles",),
    "without Nana": ("nana",),
    "without the stage": ("stage",),
    "minimal": ("space", "projectiles", "nana", "stage"),
}


def main() -> None:
    args = report.arguments(__doc__, replays="replays", updates=UPDATES)
    root = Path(args.replays)
    options = training.settings(root, SMALL | {"lr": 8e-3})
    games = split(root)
    learned, held = games.read(options)
    blocks = assemble.table(options).blocks()
    found, rows = {}, []
    for name, left_out in ARMS.items():
        keep = torch.cat([torch.full((width,), float(part not in left_out)) for part, width in blocks])
        losses = [
            training.train(options, learned, held, seed, args.updates, args.updates, keep=keep).curve[-1]["held_out"]
            for seed in range(SEEDS)
        ]
        found[name] = {"floats": int(keep.sum()), "held_out": losses}
        rows.append([name, int(keep.sum()), median(losses), min(losses), max(losses)])
    shown = {"updates": args.updates, "games": [len(games.learned), len(games.held_out)], "arms": found}
    report.show(args, shown, "Held-out nats per decision", ["arm", "floats", "median", "least", "most"], rows)


if __name__ == "__main__":
    main()
