"""Making the runs of ``exphil benchmark``, aloud: a bar for each, and each in the file as soon as it is finished."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from exphil.assemble import contest
from exphil.cli.terminal import Progress, Terminal
from exphil.config.layers import Settings

if TYPE_CHECKING:
    from exphil.evaluate.benchmark import Entry, Games
    from exphil.evaluate.results import Results


def make(
    terminal: Terminal,
    settings: Settings,
    left: list[Entry],
    games: Games,
    results: Results,
    conditions: dict[str, Any],
    stop: Callable[[], bool],
) -> int:
    """Make the runs that are left and write each, until ``stop``; how many failed."""
    from exphil.evaluate import benchmark

    failed, done, held_out, bar = 0, 0, "-", Progress(lambda completed, fields: None)
    with ExitStack() as bars:
        for event in benchmark.contest(left, contest.build, games, go_on=settings.benchmark.continue_on_error):
            if isinstance(event, benchmark.Learned):
                if stop():
                    break
                held_out = held_out if event.held_out is None else f"{event.held_out:.4f}"
                bar.update(event.update, loss=f"{event.loss:.3f}", held_out=held_out)
                continue
            bars.close()
            if isinstance(event, benchmark.Begun):
                title, held_out = f"{event.entry.backbone} seed {event.entry.seed}", "-"
                bar = bars.enter_context(terminal.progress(event.updates, title, settings.run.log_interval))
            elif isinstance(event, benchmark.Finished):
                done, found = done + 1, event.result
                results.add(conditions, found)
                told = f"held out {found['held_out']:.4f}, {found['frames_per_second']:,.0f} frames/s"
                terminal.say(f"{done}/{len(left)} {found['backbone']} seed {found['seed']}: {told}")
            else:
                failed += 1
                results.fail(conditions, event.failure)
                terminal.warn(f"{event.entry.backbone} seed {event.entry.seed} failed: {event.failure['error']}")
    return failed
