"""``exphil match FIRST SECOND``: two players, policies or scripts, against each other in mirrored pairs of games."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from exphil import assemble
from exphil.cli.running.stop import Stop
from exphil.cli.running.watching import Replays, Stopped, Watcher
from exphil.cli.shown import match_table
from exphil.cli.shown.drawing import many
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.files import check_writable, write
from exphil.game.ids import character_name, stage_name

if TYPE_CHECKING:
    from exphil.evaluate.outcome import Result

ROWS = 32
"""Pairs that are played side by side."""
EVERY = 8
"""Games from one line of progress to the next, where there is no terminal."""
FIX = "choose another --output"
PROMISE = "stopping; what counts are the batches of pairs that are complete"


def run(settings: Settings, first: str, second: str) -> int:
    """Play, show, write; 0 whoever won, 130 or 143 when stopped before a batch was complete."""
    terminal, out = Terminal.of(settings), settings.written.output
    if out is not None:
        check_writable(out, FIX)
    seed = secrets.randbits(31) if settings.seed.seed is None else settings.seed.seed
    who = assemble.entered(settings, (first, second))
    result, signal = played(terminal, settings, who, seed)
    if result is None:
        terminal.warn("no batch of pairs was complete: there is no result")
        return 128 + signal
    policies = [each.is_policy for each in who]
    page = {**result.as_dict(), "said": [each.said for each in who], "stopped": bool(signal)}
    if out is not None:
        write(out, lambda file: file.write(json.dumps(page, allow_nan=False).encode()), FIX)
    for said in match_table.failed(result, policies):
        terminal.warn(said)
    if settings.output.json:
        terminal.data(page)
    else:
        terminal.table(match_table.title(result), match_table.FOUND, match_table.rows(result, policies))
        terminal.lines(match_table.sentences(result, policies))
    if out is not None:
        terminal.say(f"result: {out}")
    return 0


def played(
    terminal: Terminal, settings: Settings, who: tuple[assemble.Entered, assemble.Entered], seed: int
) -> tuple[Result | None, int]:
    """The last result, if a batch was complete, and the signal that ended the match early, or 0."""
    from exphil.evaluate import match

    options, found, world = settings.match, None, str(settings.world.world)
    contestants = (who[0].contestant, who[1].contestant)
    names, folder = (contestants[0].name, contestants[1].name), options.save_replays
    replays = None if folder is None else Replays(folder, names, world, seed)
    build = assemble.world(settings)
    _announce(terminal, settings, who, seed)
    with Stop(terminal, PROMISE) as stop, terminal.progress(options.games, "games", EVERY) as progress:
        batches: Any = match.batches(
            build,
            contestants,
            options.games,
            seed,
            rows=ROWS,
            max_frames=assemble.clock(settings),
            target=options.within,
            watch=Watcher(progress, stop, replays),
        )
        try:
            for found in batches:
                terminal.detail(f"after {many(found.games, 'game')}: {found.win_rate.value:.1%}")
        except Stopped:
            batches.close()
    if replays is not None:
        terminal.say(f"{many(replays.written, 'replay')} in {folder}")
    return found, stop.signal


def _announce(terminal: Terminal, settings: Settings, who: tuple[assemble.Entered, ...], seed: int) -> None:
    options = settings.match
    for each in who:
        terminal.say(f"{each.contestant.name} plays {character_name(each.contestant.character)}; {each.said}")
    stages = ", ".join(map(stage_name, assemble.stages_of(settings))) if settings.given("stages") else "all six"
    most = f"{'at most ' if options.within else ''}{options.games} games"
    minutes = "1 minute" if options.minutes == 1 else f"{options.minutes:g} minutes"
    lives = f"{many(options.stocks, 'stock')} and {minutes} each"
    terminal.say(f"in {settings.world.world}: {most}, {lives}, stages dealt from {stages}, seed {seed}")
    if settings.world.world == "sim":
        terminal.detail("the first time the simulator is compiled, which takes about half a minute")
