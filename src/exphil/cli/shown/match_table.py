"""What a match found, as a table and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from exphil.cli.shown.drawing import many
from exphil.evaluate.canaries import RANGES
from exphil.evaluate.intervals import Interval
from exphil.evaluate.outcome import TARGET, Result

WORLDS = {"sim": "sim, which is near the game and not the game", "melee_sim": "melee_sim"}
FOUND = ("", "", "from", "to")
ODD = (
    "a canary failed: something simple, named above, happens more or less often than with any person in recorded "
    "games, so this is the result of a player who plays as no person does."
)


def title(result: Result) -> str:
    """Who against whom, where."""
    first, second = result.players
    return f"{first} against {second}: {many(result.games, 'game')} in {result.world}"


def rows(result: Result, policies: Sequence[bool]) -> list[list[str]]:
    """Four cells each: what, its value, the ends of its interval; canaries for policies only.

    Args:
        result: The match.
        policies: Of the first and the second, whether it is a policy: of a script nobody asks that it is like people.
    """
    rate = result.win_rate_anytime.interval if result.target is not None else result.win_rate
    wins = f"{result.wins}, {result.draws}, {result.losses}"
    return [
        _row(f"win rate of {result.players[0]}", rate, "{:.1%}"),
        ["wins, draws, losses", wins, "", ""],
        ["games that the clock ended", str(result.by_clock), "", ""],
        _row("net stocks per game", result.net_stocks, "{:+.2f}"),
        _row("net stocks per minute", result.net_stocks_per_minute, "{:+.2f}"),
        _row("net damage per minute", result.net_damage_per_minute, "{:+.1f}%"),
        *(
            [f"canaries that failed: {name}", _failed(result, which), "", ""]
            for (name, which), is_policy in zip(_players(result), policies, strict=True)
            if is_policy
        ),
    ]


def sentences(result: Result, policies: Sequence[bool]) -> list[str]:
    """How sure it is, and what it does not say.

    Args:
        result: The match.
        policies: As for ``rows``.
    """
    target = TARGET if result.target is None else result.target
    more = result.more_games(target)
    sure = "The win rate is known to" if more == 0 else f"About {many(more, 'more game')} for"
    ends = "right whenever one stops" if result.target is not None else "for a number of games fixed beforehand"
    said = [f"{sure} +-{target:g}. Intervals are those of {result.level:.0%}; that of the win rate is {ends}."]
    if failed(result, policies):
        said.append(f"MARKED: {ODD}")
    where = WORLDS.get(result.world, result.world)
    return [*said, f"This ranks play in {where}; it does not rank play in the game."]


def failed(result: Result, policies: Sequence[bool]) -> list[str]:
    """The canaries that failed for policies, a sentence each."""
    return [
        f"canary: {name}: {said}"
        for (name, which), is_policy in zip(_players(result), policies, strict=True)
        if is_policy
        for said in (result.canaries or {}).get(which, {}).get("failed", ())
    ]


def _players(result: Result) -> list[tuple[str, str]]:
    return list(zip(result.players, ("first", "second"), strict=True))


def _failed(result: Result, which: str) -> str:
    found = (result.canaries or {}).get(which)
    if found is None:
        return "-"
    judged = len(RANGES) - len(found["not_judged"])
    return f"{len(found['failed'])} of {judged}" if judged else "not enough games"


def _row(name: str, found: Interval, form: str) -> list[str]:
    return [name, *("-" if value is None else form.format(value) for value in found)]
