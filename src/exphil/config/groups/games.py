"""Options of the games: which are read, how they are kept and how they are fed."""

# ruff: noqa: RUF009  (option() makes a dataclasses.field; no default is shared)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from exphil.config.option import at_least, between, from_up_to, option


def character_word(text: str) -> str:
    """The name of a character, however it is spelled."""
    from exphil.game.ids import character  # numpy is loaded only when a character is named

    return character(text).name.lower()


def _stage(text: str) -> str:
    from exphil.game.ids import stage

    return stage(text).name.lower()


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the games come from."""

    title: ClassVar[str] = "Data"
    replays: Path = option(
        Path("./replays"),
        "folder of replays, or one archive of them",
        aliases=("--replay-dir",),
        env="EXPHIL_REPLAYS_DIR",
        metavar="FOLDER",
    )
    max_files: int | None = option(None, "read at most this many replay files (default: all)", check=at_least(1))


@dataclass(frozen=True, kw_only=True)
class Seats:
    """Which players and frames of a game count."""

    title: ClassVar[str] = "Data"
    player_port: int = option(
        1,
        "which player of each game to learn from, counted over the occupied ports (1 = the lowest)",
        choices=(1, 2, 3, 4),
    )
    dual_port: bool = option(False, "learn from both players of each game (twice the data)")
    all_frames: bool = option(False, "also count the frames before GO and after the last stock")


@dataclass(frozen=True, kw_only=True)
class Character:
    """Whose play counts, by character."""

    title: ClassVar[str] = "Data"
    train_character: str | None = option(
        None,
        "learn from whichever player has this character",
        parse=character_word,
        aliases=("--character",),
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class Characters:
    """Which characters are meant."""

    title: ClassVar[str] = "Data"
    characters: tuple[str, ...] = option(
        (),
        "only games in which one of these characters plays (default: all)",
        parse=character_word,
        metavar="NAME,...",
    )


@dataclass(frozen=True, kw_only=True)
class Stages:
    """Which stages are meant."""

    title: ClassVar[str] = "Data"
    stages: tuple[str, ...] = option(
        (), "only games on one of these stages", parse=_stage, aliases=("--stage",), metavar="NAME,..."
    )


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """Which files are learned from."""

    title: ClassVar[str] = "Data"
    min_quality: int | None = option(
        None, "only games whose quality is at least this, 0 to 100 (default: all)", check=between(0, 100)
    )
    show_quality_stats: bool = option(False, "show how the quality of the games is distributed")
    skip_duplicates: bool = option(True, "take one of several recordings of the same game")


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Which games a policy is measured on."""

    title: ClassVar[str] = "Data"
    held_out: bool = option(False, "only the games that the policy's run held out")


@dataclass(frozen=True, kw_only=True)
class Netplay:
    """How recordings of netplay are read."""

    title: ClassVar[str] = "Data"
    rollbacks: str = option(
        "first",
        "of a frame that netplay rolled back, what the player saw first or what was true in the end",
        choices=("first", "last"),
    )


@dataclass(frozen=True, kw_only=True)
class Balance:
    """How often each game comes."""

    title: ClassVar[str] = "Data"
    balance_characters: bool = option(False, "draw games of rare characters more often, so that all come equally often")


@dataclass(frozen=True, kw_only=True)
class Errors:
    """What happens to files that cannot be read."""

    title: ClassVar[str] = "Data"
    skip_errors: bool = option(True, "leave out files that cannot be read, and go on", sets={"--fail-fast": False})
    show_errors: bool = option(True, "name each file that cannot be read", sets={"--hide-errors": False})
    error_log: Path | None = option(None, "file that names every file left out, and why", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class Store:
    """Whether parsed games are kept."""

    title: ClassVar[str] = "Store"
    precompute: bool = option(True, "parse every game once, keep it in --cache-dir and read it from there")


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How parsed games are kept."""

    title: ClassVar[str] = "Store"
    cache: bool = option(True, "use what --cache-dir holds; --no-cache makes all of it anew")
    cache_compress: bool = option(
        False, "keep parsed games compressed: an eighth of the disk, decoded whole when they are opened"
    )


@dataclass(frozen=True, kw_only=True)
class CacheDir:
    """Where parsed games are kept."""

    title: ClassVar[str] = "Store"
    cache_dir: Path = option(
        Path("cache/embeddings"), "folder of parsed games and embeddings", env="EXPHIL_CACHE_DIR", metavar="FOLDER"
    )


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """How batches are made and when."""

    title: ClassVar[str] = "Feeding"
    stream_chunk_size: int | None = option(
        None, "files that are mixed and open at a time (default: all)", check=at_least(1)
    )
    stream_chunk_frames: int | None = option(
        None, "frames that are mixed and open at a time, in whole files (default: all)", check=at_least(1)
    )
    prefetch: bool = option(True, "gather the next batches while one is learned from")
    prefetch_buffer: int = option(2, "batches that --prefetch keeps ready", check=at_least(1))
    cache_embeddings: bool = option(False, "encode every frame once and keep the numbers in --cache-dir")
    cache_augmented: bool = option(
        False, "as --cache-embeddings, and variants of every frame with noise; batches are mirrored as they are made"
    )
    num_noisy_variants: int = option(2, "variants with noise that --cache-augmented makes", check=at_least(0))
    mmap_embeddings: bool = option(False, "map cached embeddings from their file instead of loading them")
    mmap_path: Path | None = option(None, "file of --mmap-embeddings (default: in --cache-dir)", metavar="FILE")
    gc_every: int = option(
        100, "batches between garbage collections of our own; 0 leaves it to Python", check=at_least(0)
    )


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What is kept away from training."""

    title: ClassVar[str] = "Data"
    val_split: float = option(0.0, "share of the games held out for validation", check=from_up_to(0, 1))


@dataclass(frozen=True, kw_only=True)
class Walking:
    """How held-out games are walked."""

    title: ClassVar[str] = "Data"
    val_concurrency: int = option(
        4, "parts of the held-out games that are walked at the same time, as far as there are threads",
        check=between(1, 64),
    )  # fmt: skip
