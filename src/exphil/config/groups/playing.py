"""Options of a trained policy: how and where it plays, and in which form it travels."""

# ruff: noqa: RUF009  (option() makes a dataclasses.field; no default is shared)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from exphil.config.groups.games import character_word
from exphil.config.option import Check, between, inside, option
from exphil.config.temperatures import spelled_temperature

_even = Check("must be an even number, 2 or more", lambda count: count >= 2 and count % 2 == 0)


@dataclass(frozen=True, kw_only=True)
class Playing:
    """How a trained policy plays."""

    title: ClassVar[str] = "Playing"
    style: str | None = option(
        None, "the player it is to play like, or nobody (default: each seat's own player)", metavar="NAME"
    )


@dataclass(frozen=True, kw_only=True)
class Player:
    """Who computes decisions."""

    title: ClassVar[str] = "Playing"
    player: tuple[str, ...] = option(
        ("reference",),
        "who decides: torch (reference) or onnxruntime (fast; needs the extra export); benchmark takes both",
        choices=("reference", "fast"),
    )


@dataclass(frozen=True, kw_only=True)
class Deciding:
    """How a decision follows from what the policy thinks likely."""

    title: ClassVar[str] = "Playing"
    deterministic: bool = option(
        False, "always take what is likeliest, which can freeze in place; else actions are drawn"
    )
    temperature: tuple[str, ...] = option(
        (),
        "how boldly actions are drawn: 1 as learned (default), less is closer to the likeliest, 0 the likeliest; one "
        "number, or one each for buttons, sticks, main, c, shoulder or a single button or axis",
        parse=spelled_temperature,
        metavar="X|sticks=X,...",
    )
    press_threshold: float | None = option(
        None, "press a button when it is at least this likely, instead of drawing", check=inside(0, 1)
    )
    release_threshold: float | None = option(
        None, "release a held button when holding it is less likely than this (default: --press-threshold)",
        check=inside(0, 1),
    )  # fmt: skip
    action_repeat: int = option(1, "frames that every decision is kept", check=between(1, 60))


@dataclass(frozen=True, kw_only=True)
class World:
    """Where games are played."""

    title: ClassVar[str] = "World"
    world: str | None = option(
        None,
        "where it is played: sim, our simulator (match); melee_sim, the library of this name (match); umi, an arena of "
        "the Computer Melee Championship (play)",
        choices=("sim", "melee_sim", "umi"),
    )


@dataclass(frozen=True, kw_only=True)
class Arena:
    """Where an arena is."""

    title: ClassVar[str] = "World"
    socket: Path | None = option(None, "socket that UMI's arena listens at", env="UMI_SOCKET", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class Match:
    """What two players play against each other."""

    title: ClassVar[str] = "Match"
    games: int = option(64, "the most games that are played, two a pair with ports swapped", check=_even)
    within: float | None = option(
        None, "stop as soon as the win rate is known to +- this, 0.05 for example", check=inside(0, 0.5)
    )
    as_characters: tuple[str, ...] = option(
        (),
        "characters of the first and the second player, or one for both (default: what a policy was trained on most, "
        "if that is known, else fox)",
        check=Check("must be one character, or two", lambda names: len(names) <= 2),
        parse=character_word,
        aliases=("--as",),
        metavar="NAME,NAME",
    )
    minutes: float = option(8.0, "clock of a game", check=between(0.01, 99))
    stocks: int = option(4, "lives of each player in a game", check=between(1, 99))
    save_replays: Path | None = option(None, "folder to write every game to, as .slp", metavar="FOLDER")


@dataclass(frozen=True, kw_only=True)
class Graph:
    """How a policy is written as a graph."""

    title: ClassVar[str] = "Output"
    int8: bool = option(False, "write the weights of its products as 8-bit numbers: smaller, and a little off")


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """What others may see."""

    title: ClassVar[str] = "Sharing"
    private: bool = option(False, "a new repository is seen by its owner alone")


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What is looked at besides the machine."""

    title: ClassVar[str] = "Examining"
    policy: Path | None = option(None, "snapshot, policy file or exported policy to load and to time", metavar="FILE")
