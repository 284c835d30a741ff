"""Games between scripts in the simulator, written as replays: what ``exphil demo`` learns from where there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from exphil.cli.terminal import Terminal
from exphil.envs import ladder
from exphil.envs.environment import Decision, Frame, run
from exphil.envs.sim.world import SimEnvironment
from exphil.game.ids import Character as Who
from exphil.game.ids import Stage
from exphil.game.time import FIRST_FRAME, FRAMES_PER_SECOND
from exphil.replays import saving

PAIRS = (("chaser", "spacer"), ("punisher", "chaser"))
"""Who plays whom, on every stage."""
CHARACTERS = (
    (Who.FOX, Who.FALCO),
    (Who.MARTH, Who.FOX),
    (Who.FOX, Who.CAPTAIN_FALCON),
    (Who.SHEIK, Who.FOX),
    (Who.FOX, Who.MARTH),
    (Who.FALCO, Who.FOX),
)
"""On each stage: Fox is in every game, so that most is learned of him."""
SEED = 1


def played(terminal: Terminal, folder: Path, seconds: int, stocks: int) -> Path:
    """Write the games, and say so; arguments as for ``write``."""
    terminal.say(f"scripts play games in the simulator, as .slp in {folder} (the first time it is compiled: a minute)")
    with terminal.progress(None, "games", 4) as progress:
        write(folder, seconds, stocks, progress.update)
    return folder


def write(folder: Path, seconds: int, stocks: int, told: Callable[[int], None]) -> int:
    """Play on all stages side by side, and write every game that comes to an end.

    Args:
        folder: Where to; a new one.
        seconds: Each place plays one game after the other for so long; the clock of a game is as long.
        stocks: Lives of each player.
        told: Hears how many games are written.

    Returns:
        How many games there are.

    Raises:
        OutputError: the folder cannot be written.
    """
    written = 0
    for names in PAIRS:
        rows = len(CHARACTERS)
        last = seconds * FRAMES_PER_SECOND
        world = SimEnvironment(rows, CHARACTERS, tuple(Stage), stocks=stocks, max_frames=last)
        recorder = saving.Recorder(rows)

        def save(
            frame: Frame,
            _: Mapping[int, Decision],
            names: tuple[str, str] = names,
            recorder: saving.Recorder = recorder,
            name: str = world.name,
        ) -> None:
            nonlocal written
            for over in recorder.add(*frame):
                path = folder / f"{'_'.join(names)}_{over.place + 1}_{over.number + 1}.slp"
                saving.save(path, saving.to_bytes(over.game, names=names, seed=SEED, played_on=name))
                written += 1
                told(written)

        actors = {
            port: ladder.script(name, seat, rows, SEED + seat)
            for seat, (port, name) in enumerate(zip(world.ports, names, strict=True))
        }
        run(world, actors, last - FIRST_FRAME + 1, save, SEED)
        world.close()
    return written
