"""Two players against each other in any world that reacts, in mirrored pairs.

A builder of worlds and two contestants enter, a ``Result`` leaves, one after every batch of pairs. The two games of a
pair share their seed, in the world and on each seat; the players swap ports, and their characters with them. So neither
a port nor the luck of a seed favours anybody, and two players that are the same score exactly one half.

A game ends with the last stock. When the clock or a limit of frames ends it, whoever has more stocks wins, then whoever
has less percent as the screen shows it (the usual rules of tournaments); where they would play on, it is a draw here.

What can go wrong: a world that does not react, that seats players elsewhere than asked, or that ends its games before
hands are free, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Actor, Decision, Environment, Frame
from exphil.errors import OptionError
from exphil.evaluate.intervals import LEVEL, check
from exphil.evaluate.outcome import TARGET, Outcome, Result
from exphil.game.ids import Character
from exphil.game.time import GO_FRAME, MAX_FRAMES, answer

ROWS = 64
"""Games side by side by default."""
_TURNS_INTO = {Character.ZELDA: Character.SHEIK, Character.SHEIK: Character.ZELDA}

Build = Callable[[tuple[int, int], int, int], Environment]
"""Makes a world of the characters in port order, the games side by side and a seed. The same games and seed must give
the same stages and luck, whatever the characters. Of a module's top level, so that processes can share it."""
Sit = Callable[[int, int, int, int], Actor]
"""Makes an actor of its seat (0 or 1, in port order), the games side by side, a seed and the delay of the world."""


class Contestant(NamedTuple):
    """Who plays.

    Attributes:
        name: As results call it.
        character: Internal number.
        sit: Makes its actors, one for each seat and batch.
    """

    name: str
    character: int
    sit: Sit


class Watch(Protocol):
    """Looks at every frame of a match."""

    def see(self, frame: Frame, decisions: tuple[Decision, Decision], seat: int, counts: NDArray[np.bool_]) -> None:
        """One frame of E games.

        Args:
            frame: Players in port order.
            decisions: What the first and the second contestant decided after seeing it.
            seat: Of the first contestant on this frame.
            counts: bool ``(E,)``: games that go on or end with this frame; the others are over and play for nothing.
        """
        ...

    def canaries(self) -> Mapping[str, Any]:
        """What it noticed so far, by name, as JSON can hold it."""
        ...


class _Setting(NamedTuple):
    build: Build
    players: tuple[Contestant, Contestant]
    max_frames: int
    watch: Watch | None


def play(
    build: Build,
    players: tuple[Contestant, Contestant],
    games: int,
    seed: int,
    *,
    rows: int = ROWS,
    max_frames: int = MAX_FRAMES,
    target: float | None = None,
    level: float = LEVEL,
    watch: Watch | None = None,
) -> Result:
    """The last result of ``batches``, whose arguments and errors it has."""
    found = batches(
        build, players, games, seed, rows=rows, max_frames=max_frames, target=target, level=level, watch=watch
    )
    *_, last = found
    return last


def batches(
    build: Build,
    players: tuple[Contestant, Contestant],
    games: int,
    seed: int,
    *,
    rows: int = ROWS,
    max_frames: int = MAX_FRAMES,
    target: float | None = None,
    level: float = LEVEL,
    watch: Watch | None = None,
) -> Iterator[Result]:
    """Play a match and give the result so far after each batch of pairs.

    With a ``target`` the match ends with the batch after which the win rate is known to +- that much. What may be said
    then is ``Result.win_rate_anytime``, whose level holds however often one looks; the other intervals are those of a
    number of games that was fixed beforehand.

    Args:
        build: Makes the worlds, two for each batch.
        players: The first and the second.
        games: The most to play, even: two a pair.
        seed: Of worlds and actors, at least 0. The same seed and rows play the same match.
        rows: Games side by side, at most.
        max_frames: Number of the frame on which the lead decides; the clock starts on frame 0.
        target: Half-width of the win rate that is enough, in (0, 0.5); None plays all games.
        level: Share of the intervals that hold the truth.
        watch: Sees every frame and fills ``Result.canaries``.

    Raises:
        OptionError: nothing to play, or a world that cannot be played in like this (when the first batch begins).
    """
    if games < 2 or games % 2:
        raise OptionError(f"a match is played in pairs, not in {games} games", "games", "say an even number")
    for name, number, least in (("rows", rows, 1), ("max_frames", max_frames, 1), ("seed", seed, 0)):
        if number < least:
            raise OptionError(f"{number} is too small, the least is {least}", name)
    check(TARGET if target is None else target, level)
    if len(players) != 2:
        raise OptionError(f"a match has two players, not {len(players)}", "players")
    setting = _Setting(build, players, max_frames, watch)
    return _batches(setting, games // 2, seed, rows, target, level)


def _batches(
    setting: _Setting, pairs: int, seed: int, rows: int, target: float | None, level: float
) -> Iterator[Result]:
    outcomes: list[Outcome] = []
    for batch, begun in enumerate(range(0, pairs, rows)):
        seeds = [int(word) for word in np.random.SeedSequence((seed, batch)).generate_state(3)]
        halves = [_half(setting, seat, min(rows, pairs - begun), seeds) for seat in (0, 1)]
        for pair in zip(*(games for _, _, games in halves), strict=True):
            outcomes += pair
        result = Result(
            players=(setting.players[0].name, setting.players[1].name),
            characters=(int(setting.players[0].character), int(setting.players[1].character)),
            world=halves[0][0],
            delay=halves[0][1],
            seed=seed,
            rows=rows,
            max_frames=setting.max_frames,
            outcomes=tuple(outcomes),
            target=target,
            level=level,
            canaries={} if setting.watch is None else dict(setting.watch.canaries()),
        )
        yield result
        if result.is_decided:
            return


def _half(setting: _Setting, seat: int, games: int, seeds: list[int]) -> tuple[str, int, list[Outcome]]:
    """One game of every pair of a batch: the world's name, its delay, the outcomes.

    Args:
        setting: Who plays where.
        seat: Of the first player.
        games: Pairs.
        seeds: Of the world, the first and the second seat: they belong to seats, so that they favour nobody.
    """
    seated = setting.players[:: -1 if seat else 1]
    world = setting.build((int(seated[0].character), int(seated[1].character)), games, seeds[0])
    try:
        if not world.reacts_to_actions:
            raise OptionError(f"nobody can win in {world.name}: it does not react", "world", "choose another world")
        actors = [player.sit(at, games, seeds[1 + at], world.delay) for at, player in enumerate(seated)]
        frame = world.reset(seeds[0])
        _check(world, frame, seated, games)
        return world.name, world.delay, _played(setting, world, frame, actors, seat, seeds[0])
    finally:
        world.close()


def _check(world: Environment, frame: Frame, seated: tuple[Contestant, ...], games: int) -> None:
    """Whether the world opened as many games as asked, with everybody on the port that was asked for."""
    if frame.game.shape != (games,) or len(set(world.ports)) != 2:
        raise OptionError(f"asked for {games} games of two ports, {world.name} opened {frame.game.shape}", "world")
    for at, player in enumerate(seated):
        asked = Character(player.character)
        there = np.unique(frame.game.players.character[:, at])
        if set(there.tolist()) - {asked, _TURNS_INTO.get(asked)}:
            raise OptionError(
                f"{player.name} was to play {asked.name} on port {world.ports[at]}, "
                f"{world.name} has {', '.join(Character(number).name for number in there)} there",
                "world",
                "build it with the characters in port order",
            )


def _played(
    setting: _Setting, world: Environment, frame: Frame, actors: list[Actor], seat: int, seed: int
) -> list[Outcome]:
    tally = _Tally(frame)
    first = int(frame.game.frame.min())
    decisions: list[Decision] = []
    for _ in range(first, setting.max_frames + 1):
        if decisions:
            frame = world.step({port: made.controllers for port, made in zip(world.ports, decisions, strict=True)})
        decisions = [actor.step(frame) for actor in actors]
        if setting.watch is not None:
            setting.watch.see(frame, (decisions[seat], decisions[1 - seat]), seat, tally.going)
        tally.see(frame)
        if not tally.going.any():
            break
    if not tally.frames.all():
        raise OptionError(f"games of {world.name} end before hands are free", "world", "give it a longer limit")
    return tally.outcomes(seat, seed)


class _Tally:
    """What happened in E games until each of them ended; what a row plays after that is not looked at."""

    def __init__(self, frame: Frame) -> None:
        players = frame.game.players
        self.going = np.ones(len(frame.game), np.bool_)
        self.frames = np.zeros(len(frame.game), np.int64)
        self._opened, self._stage = players.stocks.astype(np.int64), frame.game.stage.copy()
        self._stocks, self._percent = self._opened.copy(), players.percent.astype(np.float64)
        self._taken = np.zeros_like(self._percent)

    def see(self, frame: Frame) -> None:
        """Count a frame of the games that go on."""
        going, players = self.going, frame.game.players
        rise = np.maximum(players.percent - self._percent, 0)  # it falls with a stock, or by healing
        self._taken[going] += rise[going]
        self._stocks[going], self._percent[going] = players.stocks[going], players.percent[going]
        self.frames += going & (answer(frame.game.frame) >= GO_FRAME)
        self.going = going & ~(frame.is_last | frame.is_truncated)

    def outcomes(self, seat: int, seed: int) -> list[Outcome]:
        """How they ended, seen from a seat; those that still go on end here."""
        score = decided(self._stocks, self._percent)
        lost = self._opened - self._stocks
        own, other = seat, 1 - seat
        return [
            Outcome(
                seed=seed,
                row=row,
                seat=seat,
                score=float(score[row] if seat == 0 else 1 - score[row]),
                stocks=int(lost[row, other] - lost[row, own]),
                damage=float(self._taken[row, other] - self._taken[row, own]),
                frames=int(self.frames[row]),
                by_clock=bool(self._stocks[row].all()),
                stage=int(self._stage[row]),
            )
            for row in range(len(lost))
        ]


def decided(stocks: NDArray[np.int64], percent: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score of seat 0 in games that ended: more stocks win, then less percent as the screen shows it.

    Args:
        stocks: ``(E, 2)`` left.
        percent: ``(E, 2)`` as recorded; the screen shows whole numbers.

    Returns:
        ``(E,)``: 1 won, 0.5 drawn, 0 lost; nobody wins when both have lost their last stock.
    """
    lead = np.sign(stocks[:, 0] - stocks[:, 1])
    less = np.sign(np.floor(percent[:, 1]) - np.floor(percent[:, 0]))
    ahead = np.where((lead == 0) & (stocks[:, 0] > 0), less, lead)
    score: NDArray[np.float64] = (1.0 + ahead) / 2
    return score
