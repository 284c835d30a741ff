"""The gru against copy-previous on the shared full games that hold every column of the feature table.

A fifth of the files is held out. Bound: at least 10% below copy-previous' loss in every seed; each seed holds out
other games.
"""

from __future__ import annotations

from pathlib import Path

import report
import training
from exphil.data.sampler import split


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", updates=1000, seeds=3)
    root = Path(args.replays)
    paths = training.full_games(root)
    options = training.settings(root, training.RECIPE)
    corpus = training.games(options, paths)
    rows, seeds = [], []
    for seed in range(args.seeds):
        learned, held = split(corpus.games, 0.2, seed)
        run = training.train(options, corpus.part(learned), corpus.part(held), seed, args.updates, 250)
        loss, copy = run.report["loss"]["total"], run.report["baselines"]["copy-previous"]["loss"]["total"]
        rows.append([seed, len(learned), len(held), loss, copy, f"{1 - loss / copy:.1%}"])
        seeds.append(
            {
                "loss": run.report["loss"],
                "baselines": run.report["baselines"],
                "below_copy_previous": 1 - loss / copy,
                "curve": run.curve,
            }
        )
    result = {"recipe": training.RECIPE, "games": corpus.games, "files": len(paths), "seeds": seeds}
    report.show(
        args,
        result,
        f"{corpus.games} of {len(paths)} full games",
        ["seed", "learned", "held out", "gru", "copy-previous", "below"],
        rows,
    )


if __name__ == "__main__":
    main()
