"""The Computer Melee Championship (UMI): its arena drives us, so here a policy answers batches of frames.

``Desk`` is one policy in all games of a session: UMI's frames enter, controller rows leave. The arena applies the
delay, so nothing is queued here, but what was decided and is not yet seen is still an input of the policy. ``serve``
connects a desk to an arena and plays until it is sent home; an exported entry (``play.entry``) has a desk and the
library's own loop. The library ``umi`` is imported late, and here alone.

What can go wrong: ``ExphilError`` for an arena that cannot be reached, hangs up, falls silent or does not keep to its
protocol; ``OptionError`` for a delay or a character that the policy or UMI does not know.

Shapes: N games of one batch, first the real ones and then padding.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.envs.umi_frames import BUTTONS, Places, game
from exphil.errors import ExphilError, OptionError, extra
from exphil.game.controller import STICK_STEPS, TRIGGER_STEPS, Controller
from exphil.game.ids import Character, character
from exphil.play.agent import Agent, Manner, Player
from exphil.play.learned import Learned

DELAYS = (18, 21)
"""Frames of delay of the two leaderboards."""
MOST_DELAY = 30
"""On the imitation leaderboard any delay up to this one is played."""
_OTHERWISE = {
    Character.CAPTAIN_FALCON: "CPTFALCON",
    Character.DONKEY_KONG: "DK",
    Character.ICE_CLIMBERS: "POPO",
    Character.YOUNG_LINK: "YLINK",
    Character.DR_MARIO: "DOC",
    Character.GAME_AND_WATCH: "GAMEANDWATCH",
}
CHARACTERS: dict[Character, str] = {
    found: _OTHERWISE.get(found, found.name)
    for found in Character
    if found < Character.MASTER_HAND and found != Character.NANA
}
"""What UMI calls the 26 that can be played."""
ALL = "ALL"
SILENCE_S = 600.0
"""How long an arena may say nothing: between two games of a tournament it can take minutes."""
_BITS = np.array(BUTTONS, np.int16)
_MOST_GAMES = 1 << 16
_LONGEST_NAME = 64


class Session(NamedTuple):
    """What the arena grants: frames of delay, rows of memory (the last is scratch), and its seed."""

    delay: int
    num_slots: int
    rng_seed: int


class Played(NamedTuple):
    """What came of a session.

    Attributes:
        decisions: Frames that were answered, of all games.
        confidence: How likely the policy thought what it chose, on average, 0 to 1 (``Decision.confidence``).
        games: Finished ones by how they ended.
    """

    decisions: int
    confidence: float
    games: dict[str, int]


def names(wanted: Sequence[str]) -> str | tuple[str, ...]:
    """Characters in any spelling of ours as UMI declares them; none are all.

    Raises:
        OptionError: for an unknown name, with the nearest known one.
    """
    return tuple(sorted({CHARACTERS[character(name)] for name in wanted})) if wanted else ALL


def named(name: str) -> str:
    """The name of a bot, if it can be one.

    Raises:
        OptionError: it is longer than 64 letters, or holds some that cannot be printed.
    """
    if not name.isprintable() or not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise OptionError("no name of a bot", "--name", f"1 to {_LONGEST_NAME} letters that can be printed")
    return name


def delay_of(learned: Learned, wanted: int | None) -> int:
    """The delay to play at: what was asked for, else 18 or 21 if it was learned, else the most that UMI takes.

    Raises:
        OptionError: the policy did not learn it, or UMI has none of its delays.
    """
    low, high = learned.delays
    if wanted is None:
        wanted = next((delay for delay in DELAYS if low <= delay <= high), min(high, MOST_DELAY))
    if wanted > MOST_DELAY or low > MOST_DELAY:
        what = f"UMI plays at most {MOST_DELAY} frames late; {max(wanted, low)} was asked for or learned"
        raise OptionError(what, "--frame-delay", "train with --frame-delay 18, or 21, for its leaderboards")
    return learned.delay(wanted)


def rows_of(held: Controller) -> NDArray[np.float32]:
    """Controllers ``(N,)`` as UMI takes them, float32 ``(N, 13)`` in [0, 1].

    Sticks stand on the grid of 1/160 with 0.5 for rest, the trigger on that of 1/140, then eight buttons, 0 or 1.
    """
    found = np.empty((len(held.main_x), 5 + len(BUTTONS)), np.float32)
    for place, stick in enumerate((held.main_x, held.main_y, held.c_x, held.c_y)):
        found[:, place] = (np.rint(stick * np.float32(STICK_STEPS)) + STICK_STEPS) / (2 * STICK_STEPS)
    found[:, 4] = np.rint(held.shoulder * np.float32(TRIGGER_STEPS)) / TRIGGER_STEPS
    found[:, 5:] = (held.buttons[:, None] & _BITS) != 0
    return found.clip(0, 1, out=found)


class Desk:
    """One policy in all games of a session.

    What it does in a game follows from both seeds, the game's row, how many games the row had before, and its frames.

    Args:
        player: The policy.
        learned: What else must be known of it.
        session: What the arena grants.
        manner: How a decision follows from what is likely.
        style: Number of the player it plays like.
        seed: Of the draws, at least 0; the arena's is added to it.

    Raises:
        OptionError: the policy did not learn the session's delay.
    """

    def __init__(
        self,
        player: Player,
        learned: Learned,
        session: Session,
        manner: Manner = Manner(),  # noqa: B008  (a tuple of numbers)
        style: int = 0,
        seed: int = 0,
    ) -> None:
        delay, games = session.delay, session.num_slots
        both = np.random.SeedSequence([seed, session.rng_seed % (1 << 64)]).generate_state(2)
        drawn = int(both[0]) << 32 | int(both[1])
        self._agent = Agent(
            player, learned, 0, games, drawn, manner=manner, delay=delay, environment_delay=delay, style=style
        )
        self._places, self._scratch = Places(games), games - 1
        self.decisions, self._sure = 0, 0.0

    @property
    def confidence(self) -> float:
        """How likely it thought what it chose, on average."""
        return self._sure / max(self.decisions, 1)

    def answer(
        self, frames: NDArray[np.void], rows: NDArray[np.int64], is_first: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """See a frame of N games, decide.

        Args:
            frames: ``(N,)`` of UMI's ``FRAME``.
            rows: ``(N,)``: which row of memory each game has; padding shares the last.
            is_first: bool ``(N,)``: the game begins.

        Returns:
            ``(N, 13)``, see ``rows_of``.
        """
        seen = game(frames, self._places.of(frames, rows, is_first))
        no = np.zeros(len(frames), np.bool_)
        decision, real = self._agent.step(Frame(seen, is_first, no, no), rows), rows != self._scratch
        self.decisions += int(real.sum())
        self._sure += float(decision.confidence[real].sum())
        return rows_of(decision.controllers)


def serve(
    make: Callable[[Session], Desk],
    where: Path,
    *,
    name: str,
    characters: str | tuple[str, ...] = ALL,
    delay: int | None = None,
    silence_s: float = SILENCE_S,
) -> Played:
    """Connect to an arena and play until it sends the bot home.

    Args:
        make: A desk for what the arena grants.
        where: The socket that it listens at.
        name: Of the bot.
        characters: What ``names`` gives.
        delay: Frames of delay that are declared; None leaves it to the arena.
        silence_s: Seconds without a word after which the arena is given up.

    Raises:
        ExphilError: the arena cannot be reached, hangs up, falls silent or says what its protocol does not know; or
            what ``make`` raises.
    """
    umi = extra("umi", "umi", "playing in an arena of the Computer Melee Championship")
    failed: list[Exception] = []
    bot = _bot(umi, make, failed)
    declared = {"name": name, "characters": characters, "delay": delay}
    playing = type("Playing", (bot,), declared)()
    with contextlib.closing(_connected(where, silence_s)) as line:
        try:
            playing.run(line)
        except Exception as error:
            with contextlib.suppress(OSError, ValueError):
                line.settimeout(5)
                words = {"t": "error", "code": type(error).__name__, "msg": str(error)[:2000]}
                umi.protocol.send(line, words)
            if failed:  # what is ours to say, or a defect of ours
                raise failed[0] from None
            raise _refused(error, where, silence_s) from error
    if playing.desk is None:
        fix = "its log says why: often a name that is taken, or a character or delay that it does not want"
        raise ExphilError("the arena turned the bot away", str(where), fix)
    return Played(playing.desk.decisions, playing.desk.confidence, dict(playing.results))


def _bot(umi: Any, make: Callable[[Session], Desk], failed: list[Exception]) -> Any:
    """A bot of UMI's library that hands everything to a desk; what goes wrong there is kept in ``failed``."""

    @contextlib.contextmanager
    def ours() -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failed.append(error)
            raise

    class Bot(umi.Bot):  # type: ignore[misc]
        desk: Desk | None = None

        def setup(self, session: Any) -> None:
            granted = _granted(session)
            self.results = Counter[str]()
            with ours():
                self.desk = make(granted)

        def act(self, batch: Any, state: Any = None) -> Any:
            with ours():
                assert self.desk is not None
                ctrl = self.desk.answer(batch.frames, batch.slots, batch.first)
            return umi.Actions(ctrl=ctrl)

        def end_games(self, results: list[dict[str, Any]]) -> None:
            self.results.update(str(result.get("result")) for result in results)

    return Bot


def _granted(session: Any) -> Session:
    """What the arena grants, looked at: it decides how much memory is taken.

    Raises:
        ValueError: it cannot be meant.
    """
    bounds = {"delay": (0, MOST_DELAY), "max_games": (1, _MOST_GAMES), "lanes": (1, _MOST_GAMES)}
    for word, (low, high) in bounds.items():
        value = getattr(session, word)
        if not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a welcome with {word} {value!r}")
    if not isinstance(session.rng_seed, int) or not all(isinstance(size, int) for size in session.buckets):
        raise ValueError("a welcome whose seed or batch sizes are no whole numbers")
    return Session(session.delay, session.num_slots, session.rng_seed)


def _connected(where: Path, silence_s: float) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ExphilError(
            "this system has no sockets of the kind that UMI uses", fix="play on Linux or macOS, or in WSL"
        )
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(silence_s)
    try:
        line.connect(str(where))
    except OSError as error:
        line.close()
        said = error.strerror or str(error)
        fix = "start the arena first; its socket is the file that --socket names, or UMI_SOCKET"
        raise ExphilError(f"no arena listens there ({said})", str(where), fix) from None
    return line


def _refused(error: Exception, where: Path, silence_s: float) -> ExphilError:
    """What the arena did, in our words."""
    if isinstance(error, TimeoutError):
        return ExphilError(f"the arena has said nothing for {silence_s:g} seconds", str(where), "is it still running?")
    if isinstance(error, OSError):
        return ExphilError("the arena hung up in the middle of a session", str(where), "its own log says why")
    fix = "this exphil speaks UMI 1.0 (umi-melee 0.1); is it an arena that listens there?"
    said = f"{type(error).__name__}: {error}" if isinstance(error, LookupError | TypeError) else str(error)
    return ExphilError(f"the arena does not keep to UMI's protocol ({said[:200]})", str(where), fix)
