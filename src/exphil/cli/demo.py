"""``exphil demo``: the whole road in a few minutes: games, training, what was held out, matches, and a page of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from exphil import assemble
from exphil.cli import train
from exphil.cli.running import against, prepare, scripted
from exphil.cli.shown import demo_page, measured
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings, jsonable, resolve
from exphil.files import write

if TYPE_CHECKING:
    from exphil.assemble import Job
    from exphil.evaluate.outcome import Result


class Size(NamedTuple):
    """How much of everything.

    Attributes:
        seconds: That scripts play, where there are no replays.
        stocks: Lives of a script in these games.
        replays: That are read.
        epochs: Passes over them.
        games: Of a match against each of the opponents.
        minutes: Clock of such a game.
        opponents: Scripts.
    """

    seconds: int = 120
    stocks: int = 4
    replays: int = 12
    epochs: int = 6
    games: int = 8
    minutes: float = 1.0
    opponents: tuple[str, ...] = ("walk", "random", "chaser")


WHOLE = Size()
RECIPE: dict[str, str | bool] = {
    "--temporal": True,
    "--backbone": "gru",
    "--hidden": "128",
    "--num-layers": "1",
    "--num-player-names": "0",
    "--dual-port": True,
    "--augment": True,
    "--allow-missing": True,
    "--batch-size": "32",
    "--window-size": "64",
    "--optimizer": "muon",
    "--lr": "3e-3",
    "--lr-schedule": "cosine",
    "--val-split": "0.25",
}


def run(settings: Settings, size: Size = WHOLE) -> int:
    """Train a small policy, measure it on games that were held out, and let it play against scripts."""
    terminal, began = Terminal.of(settings), time.monotonic()
    name = time.strftime("demo_%Y%m%d_%H%M%S")
    folder, page = (settings.checkpointsdir.checkpoints_dir / f"{name}_{what}" for what in ("games", "report.html"))
    games = (
        settings.data.replays
        if settings.given("replays")
        else scripted.played(terminal, folder, size.seconds, size.stocks)
    )
    typed = {"--" + key.replace("_", "-"): value for key, value in jsonable(settings.flat()).items()}
    flags = {key: each if isinstance(each, bool) else str(each) for key, each in typed.items() if each is not None}
    own = {"--replays": str(games), "--name": name, "--epochs": str(size.epochs)}
    asked = resolve("train", {"--max-files": str(size.replays), "--threads": "1", **flags, **RECIPE, **own}, {})
    asked = asked.changed(prepare.decided(asked), "decided for this run")
    code, job, held_out = train.train(terminal, asked, None)
    if code:
        return code
    report = None
    if held_out is not None:
        from exphil.evaluate.offline import measure

        batches = assemble.walk(asked, held_out, job.run.policy.codec, job.run.device)
        report = measure(job.run.policy, batches, dict(job.about.baselines))
        measured.show(terminal, report)
    results, code = against.scripts(terminal, settings, job.files.policy, size.opponents, size.games, size.minutes)
    _draw(page, job, games, report, results)
    said = {"took": f"{time.monotonic() - began:.0f} seconds", "games": games, "page": f"{page} (for a browser)"}
    said["next"] = f"exphil match {job.files.policy} cpu3"
    terminal.say("\n".join(f"{name:<10} {text}" for name, text in said.items()))
    return code


def _draw(page: Path, job: Job, games: Path, report: Any, results: list[Result]) -> None:
    facts = [("policy", str(job.files.policy)), ("games", str(games)), ("updates", f"{job.run.updates:,}")]
    shown = demo_page.Shown(facts, job.run.history, report, results, demo_page.notes(results, job.files.policy))
    write(page, lambda file: file.write(demo_page.page(shown).encode()), "choose another --checkpoints-dir")
