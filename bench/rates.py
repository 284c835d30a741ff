"""Which learning rate suits which backbone: the recipe of ``exphil benchmark``, 250 updates, one seed, several rates.

    python bench/rates.py --replays FOLDER [--only gru,mamba] [--rates 3e-3,8e-3,2e-2] [--json]

24 of the shared games are learned from and 6 held out. One seed chooses a rate; it does not compare backbones
(``exphil benchmark`` does, with three). Losses are nats per decision; they do not rank how well policies play.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import report
import training
from exphil import assemble

LEARNED, HELD_OUT, UPDATES = 24, 6, 250


def flags(backbone: str, rate: float) -> dict[str, Any]:
    """The recipe with another backbone and rate; six layers of jamba, two of the others."""
    found = training.RECIPE | {"backbone": backbone, "lr": rate}
    if backbone in ("mlp", "jamba"):
        del found["num_layers"]
    return found | ({"hidden": "256,256"} if backbone == "mlp" else {})


def main() -> None:
    args = report.arguments(__doc__, replays="replays", only="", rates="3e-3,8e-3,2e-2")
    root = Path(args.replays)
    names = args.only.split(",") if args.only else list(assemble.BACKBONES)
    paths = training.full_games(root)[: LEARNED + HELD_OUT]
    options = training.settings(root, flags("gru", 1e-3))
    learned, held = training.games(options, paths[:LEARNED]), training.games(options, paths[LEARNED:])
    found: dict[str, dict[str, float]] = {}
    for name in names:
        for rate in args.rates.split(","):
            asked = training.settings(root, flags(name, float(rate)))
            run = training.train(asked, learned, held, 0, UPDATES, UPDATES)
            found.setdefault(name, {})[f"{float(rate):g}"] = run.curve[-1]["held_out"]
    columns = sorted({rate for row in found.values() for rate in row}, key=float)
    rows = [[name, *(row.get(rate, "") for rate in columns)] for name, row in found.items()]
    shown = {"updates": UPDATES, "games": [LEARNED, HELD_OUT], "seeds": 1, "held_out": found}
    report.show(args, shown, "Held-out nats per decision by learning rate", ["backbone", *columns], rows)


if __name__ == "__main__":
    main()
