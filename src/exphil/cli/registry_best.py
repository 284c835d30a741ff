"""``exphil registry best``: the lowest held-out loss, among runs whose losses can be compared."""

from __future__ import annotations

from exphil.cli.models import loss
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import DataError
from exphil.train import registry
from exphil.train.registry import NAME

COLUMNS = ("id", "run", "held out", "games held out", "runs compared")


def best(settings: Settings) -> int:
    """Show it; where there are several kinds of held-out games, the best of each."""
    terminal, folder = Terminal.of(settings), settings.checkpointsdir.checkpoints_dir
    wanted = settings.tagged.tagged
    entries = [entry for entry in registry.load(folder) if wanted is None or wanted in entry.tags]
    groups = registry.best(entries)
    if not groups:
        tagged = f" with the tag {wanted}" if wanted else ""
        fix = "train with --val-split 0.1, or measure runs with exphil evaluate"
        raise DataError(f"no registered run{tagged} has a loss on held-out games", str(folder / NAME), fix)
    counts = [group[0].measured_on.get("games") for group in groups]
    if settings.output.json:
        rows = [
            {"id": group[0].id, "name": group[0].name, "loss": group[0].loss, "held_out_games": count}
            | {"policy": group[0].policy_path, "compared": [entry.id for entry in group]}
            for group, count in zip(groups, counts, strict=True)
        ]
        terminal.data({"best": rows, "runs": len(entries)})
        return 0
    rows_shown = [
        (group[0].id, group[0].name, loss(group[0].loss), str(count), str(len(group)))
        for group, count in zip(groups, counts, strict=True)
    ]
    terminal.table("Lowest held-out loss, nats per decision", COLUMNS, rows_shown)
    lines = ["It says how well people are predicted, not how well a policy plays."]
    if len(groups) > 1:
        lines = ["Losses on other held-out games, classes, seats or delays do not compare: one line for each.", *lines]
    if left := len(entries) - sum(map(len, groups)):
        lines += [f"{left} runs without a held-out loss are left out."]
    terminal.lines(lines)
    return 0
