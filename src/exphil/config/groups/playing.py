"""Options of a trained policy: how and where it plays, and in which form it travels."""

# ruff: noqa: RUF009  (option() makes a dataclasses.field; no default is shared)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from exphil.config.option import between, inside, option
from exphil.config.temperatures import spelled_temperature


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
    """Where a policy plays."""

    title: ClassVar[str] = "World"
    world: str = option("umi", "where it plays: umi, in an arena of the Computer Melee Championship", choices=("umi",))
    socket: Path | None = option(None, "socket that UMI's arena listens at", env="UMI_SOCKET", metavar="FILE")


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
