"""``exphil benchmark``: every backbone learns from the same games, and is measured on the same games held out.

Every finished run is written at once, and a run that is in the file is not made again: the same command goes on where
it was stopped.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from exphil.assemble import contest
from exphil.cli import standings
from exphil.cli.running.contest import make
from exphil.cli.running.profile import judge_precision
from exphil.cli.running.reading import read_games
from exphil.cli.running.stop import Stop
from exphil.cli.terminal import Terminal, show_settings
from exphil.config.commands import COMMANDS
from exphil.config.layers import Settings
from exphil.config.option import options_by_name
from exphil.data.sampler import split
from exphil.errors import DataError
from exphil.files import check_writable

if TYPE_CHECKING:
    from exphil.evaluate.benchmark import Entry

RESULTS, PAGE = "benchmark_results.json", "benchmark_report.html"


def run(settings: Settings) -> int:
    """Make the runs that are not in the file yet, show all that share their conditions; 1 when one failed."""
    terminal, folder = Terminal.of(settings), settings.written.output or Path("./checkpoints")
    entries, wrong = contest.entries(settings, go_on=settings.benchmark.continue_on_error)
    for name, error in wrong.items():
        terminal.warn(f"{name} is left out: {error}")
    for notice in _in_vain(settings, entries):
        terminal.say(f"note: {notice}")
    if settings.run.dry_run:
        return _plan(terminal, entries)
    from exphil.evaluate.benchmark import Games
    from exphil.evaluate.results import OTHER_PLACE, Results
    from exphil.train import runtime

    asked = entries[0].config.settings
    threads, device = runtime.set_threads(settings.machine.threads), runtime.device(settings.machine.device)
    judge_precision(terminal, asked)
    for name in (RESULTS, PAGE):
        check_writable(folder / name, OTHER_PLACE)
    results = Results(folder / RESULTS)
    corpus, used, _ = read_games(terminal, asked)
    if len(used) < 2:
        raise DataError(
            "there is one game, and benchmark compares on games held out", str(asked.data.replays), "more replays"
        )
    learned, held = split(len(used), asked.validation.val_split, asked["seed"])
    games = Games(corpus.part(learned), corpus.part(held))
    terminal.say(f"{'data':<10} {len(learned)} games to learn from, {len(held)} held out")
    conditions = contest.conditions(settings, asked, games, device)
    timed = settings.player.player
    left = [each for each in entries if not results.done(conditions, vars(each), timed)]
    count = f"{len(entries)} runs, {len(entries) - len(left)} of them in {results.path}"
    terminal.say(f"{'to make':<10} {count}; on {device.type} with {threads} threads")
    for name, error in wrong.items():
        results.fail(conditions, contest.failure(name, entries[0].seed, error))
    with Stop(terminal, "stopping after this update") as stop:
        failed = make(terminal, settings, contest.fresh_once(left), games, results, conditions, stop)
    if stop.signal:
        terminal.warn(f"stopped: what is finished is in {results.path}, and the same command goes on from there")
        return 128 + stop.signal
    standings.show(terminal, settings, results.of(conditions))
    standings.draw(results.path, folder / PAGE)
    terminal.say(f"{'results':<10} {results.path}\n{'page':<10} {folder / PAGE}")
    return 1 if failed or wrong else 0


def _in_vain(settings: Settings, entries: list[Entry]) -> list[str]:
    """Notices about options that somebody chose and that do nothing for any of the backbones."""
    told = [each.config.settings.notices for each in entries]
    found: list[str] = []
    for name, option in options_by_name(COMMANDS["train"].groups).items():
        if name in settings and settings.sources[name].startswith(("flag", "file")):
            idle = [[text for text in texts if text.startswith(f"flag {option.flag} has no effect")] for texts in told]
            found += dict.fromkeys(chain(*idle)) if all(idle) else []
    return found


def _plan(terminal: Terminal, entries: list[Entry]) -> int:
    """What would be done."""
    show_settings(terminal, entries[0].config.settings)
    rows = [(each.backbone, each.seed, *each.recipe.values(), each.config.updates or "-") for each in entries]
    terminal.table("Runs", ("backbone", "seed", *entries[0].recipe, "updates"), rows)
    return 0
