"""What looks at every frame of a match: its progress, its canaries, its replays, and whether somebody wants to stop.

What can go wrong: OutputError where a replay cannot be written; ``Stopped`` after Ctrl-C, between two frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.cli.terminal import Progress
from exphil.envs.environment import Decision, Frame
from exphil.errors import OptionError
from exphil.evaluate.canaries import Canaries
from exphil.files import check_writable
from exphil.game.time import FRAMES_PER_SECOND
from exphil.replays import saving

PREFIX = "game_"


class Stopped(Exception):  # noqa: N818 - no error: somebody asked for it
    """Somebody asked to stop."""


class Replays:
    """Writes the games of a match as ``game_0001.slp`` and so on: the two of a pair one after the other.

    Args:
        folder: Where to.
        names: Of the first and the second contestant, above the heads.
        world: Name of the world, for the files.
        seed: Of the match, for the files.

    Raises:
        OptionError: games lie there already.
    """

    def __init__(self, folder: Path, names: tuple[str, str], world: str, seed: int) -> None:
        if any(folder.glob(f"{PREFIX}*.slp")):
            raise OptionError(f"{folder} holds games of a match already", "--save-replays", "name another folder")
        check_writable(folder / f"{PREFIX}0001.slp", "name another folder")
        self._folder, self._names, self._world, self._seed = folder, names, world, seed
        self._recorder, self._before, self._halves = saving.Recorder(0), 0, 0
        self.written = 0

    def begin(self, rows: int) -> None:
        """Another half of a batch opens, of so many pairs."""
        if self._halves % 2 == 0:
            self._pairs = self._before
            self._before += rows
        self._halves += 1
        self._recorder = saving.Recorder(rows)

    def see(self, frame: Frame, seat: int, counts: NDArray[np.bool_]) -> None:
        """One frame; the first contestant is on ``seat``."""
        for over in self._recorder.add(*frame):
            if counts[over.place]:
                number = 2 * (self._pairs + over.place) + seat + 1
                names = self._names[:: -1 if seat else 1]
                data = saving.to_bytes(
                    over.game, names=names, is_truncated=over.is_truncated, seed=self._seed, played_on=self._world
                )
                saving.save(self._folder / f"{PREFIX}{number:04}.slp", data)
                self.written += 1


class Watcher:
    """A ``match.Watch`` of everything that a command wants to see.

    Args:
        progress: Told how many games are over.
        stop: Whether to stop; asked at every frame.
        replays: Where games are written; None writes none.
    """

    def __init__(self, progress: Progress, stop: Callable[[], bool], replays: Replays | None = None) -> None:
        self._progress, self._stop, self._replays = progress, stop, replays
        self._canaries, self._over, self._shown = Canaries(), 0, 0

    def see(self, frame: Frame, decisions: tuple[Decision, Decision], seat: int, counts: NDArray[np.bool_]) -> None:
        """One frame of all games.

        Raises:
            Stopped: somebody asked for it.
        """
        if self._stop():
            raise Stopped
        self._canaries.see(frame, decisions, seat, counts)
        if self._replays is not None:
            if frame.is_first.all():
                self._replays.begin(len(frame.is_first))
            self._replays.see(frame, seat, counts)
        ended = int((counts & (frame.is_last | frame.is_truncated)).sum())
        self._over, self._shown = self._over + ended, self._shown + 1
        if ended or self._shown % FRAMES_PER_SECOND == 0:
            seconds = max(0, int(frame.game.frame[counts].max(initial=0))) // FRAMES_PER_SECOND
            self._progress.update(self._over, clock=f"{seconds // 60}:{seconds % 60:02}")

    def canaries(self) -> Mapping[str, Any]:
        """What the canaries noticed of the first and the second contestant."""
        return self._canaries.canaries()
