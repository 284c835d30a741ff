"""Which command takes which groups of options: what is not here does not act there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exphil.config.groups import (
    Actions,
    Attention,
    Augment,
    Balance,
    Benchmark,
    CacheDir,
    Character,
    Choosing,
    Data,
    Delay,
    Delays,
    Errors,
    Features,
    Feeding,
    Keeping,
    Layers,
    Machine,
    Model,
    Netplay,
    Output,
    Page,
    Players,
    Playing,
    Profile,
    Quiet,
    Readers,
    Run,
    Saving,
    Scan,
    Seats,
    Sticks,
    Store,
    Training,
    Validation,
    Verbose,
    Written,
)
from exphil.config.option import options_of


@dataclass(frozen=True)
class Positional:
    """A word of a command, with its name as a flag before it or without.

    Attributes:
        name: What the command's function calls it.
        help: What it is.
        kind: How it reaches the command.
        many: Any number of them, none too; the function gets a tuple. Only the last one may be.
    """

    name: str
    help: str
    kind: type[Path] | type[str] = Path
    many: bool = False


@dataclass(frozen=True)
class Command:
    """What a command takes.

    Attributes:
        help: One line for the help page.
        groups: The groups of its options.
        positionals: Its words.
        judged: Whether the rules look at its options; not where they are handed on to another command's.
    """

    help: str
    groups: tuple[type, ...]
    positionals: tuple[Positional, ...] = ()
    judged: bool = True

    def option_names(self) -> tuple[str, ...]:
        """The options of this command in the order of the help page."""
        return tuple(item.name for group in self.groups for item in options_of(group))


FOLDER = Positional("folder", "folder of replays, one archive of them, or one replay")

COMMANDS: dict[str, Command] = {
    "train": Command(
        "Train a policy from replays by imitation.",
        (
            Data,
            Seats,
            Character,
            Choosing,
            Netplay,
            Balance,
            Errors,
            Store,
            Keeping,
            CacheDir,
            Feeding,
            Validation,
            Features,
            Players,
            Actions,
            Delay,
            Delays,
            Augment,
            Model,
            Scan,
            Attention,
            Training,
            Saving,
            Layers,
            Machine,
            Readers,
            Run,
            Profile,
            Quiet,
            Verbose,
        ),
    ),
    "evaluate": Command(
        "Measure how well a policy predicts the players of recorded games.",
        (
            *(Data, Seats, Character, Choosing, Netplay, Errors, Store, Keeping, CacheDir),
            *(Playing, Delay, Machine, Readers, Quiet, Verbose, Output),
        ),
        (Positional("policy", "snapshot or policy file"),),
    ),
    "demo": Command(
        "Train a small policy on a few replays and show what it does.",
        (Data, Errors, Store, Keeping, CacheDir, Machine, Readers, Quiet, Verbose),
    ),
    "benchmark": Command(
        "Train every backbone on the same games and compare them on games held out; options of training that are not "
        "given have defaults of their own, which --dry-run prints.",
        (
            *(Benchmark, Data, Seats, Character, Choosing, Netplay, Balance, Errors, Store, Keeping, CacheDir),
            *(Feeding, Validation, Features, Actions, Delay, Delays, Augment, Model, Scan, Attention, Training),
            *(Layers, Machine, Readers, Run, Quiet, Verbose, Written, Output),
        ),
        judged=False,
    ),
    "report": Command(
        "Show again what exphil benchmark found, as a table or as a page.",
        (Quiet, Output, Page),
        (Positional("results", "the benchmark_results.json of exphil benchmark"),),
    ),
    "replays scan": Command(
        "Say what a folder of replays holds and which files cannot be used.",
        (Readers, Quiet, Output),
        (FOLDER,),
    ),
    "replays info": Command(
        "Say what one replay holds.",
        (Output,),
        (Positional("file", "a replay (.slp, .slp.gz, .slp.xz), or ARCHIVE/MEMBER"),),
    ),
    "replays stats": Command(
        "Count characters, stages, players, lengths and qualities over a folder of replays.",
        (Netplay, CacheDir, Readers, Quiet, Output, Page),
        (FOLDER,),
    ),
    "replays parse": Command(
        "Parse every game of a folder and keep it, so that later runs start at once.",
        (Netplay, Errors, Keeping, CacheDir, Readers, Quiet, Verbose, Output),
        (FOLDER,),
    ),
    "kmeans": Command(
        "Learn from games which stick positions the classes of a policy should stand for.",
        (
            *(Data, Character, Choosing, Netplay, Errors, Store, Keeping, CacheDir),
            *(Sticks, Written, Readers, Quiet, Verbose, Output),
        ),
    ),
    "cache list": Command("List the parsed games that are kept.", (CacheDir, Output)),
    "cache verify": Command(
        "Check every byte of the parsed games that are kept.",
        (CacheDir, Quiet, Output),
        (Positional("keys", "games to check, as cache list names them (default: all)", str, many=True),),
    ),
    "cache drop": Command(
        "Forget one parsed game, or all that another version of exphil kept.",
        (CacheDir,),
        (Positional("key", "the game, as cache list names it, or 'old'", str),),
    ),
    "cache clear": Command("Forget all parsed games and embeddings that are kept.", (CacheDir,)),
}
