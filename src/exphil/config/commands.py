"""Which command takes which groups of options: what is not here does not act there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exphil.config.groups import (
    Actions,
    Arena,
    Attention,
    Augment,
    Averaging,
    Backbone,
    Balance,
    Batches,
    Benchmark,
    CacheDir,
    Character,
    Characters,
    CheckpointsDir,
    Choosing,
    Data,
    Deciding,
    Delay,
    Delays,
    Deleting,
    Errors,
    Examined,
    Features,
    Feeding,
    Graph,
    HeldOut,
    Keeping,
    Layers,
    Loss,
    Machine,
    Match,
    Model,
    Monitoring,
    Name,
    Netplay,
    Order,
    Output,
    Page,
    Player,
    Players,
    Playing,
    Probe,
    Profile,
    Quiet,
    RateSweep,
    Readers,
    Run,
    Saving,
    Scan,
    Seats,
    Seed,
    Sharing,
    Stages,
    Sticks,
    Stopping,
    Store,
    Tagged,
    Teacher,
    Training,
    Validation,
    Verbose,
    Walking,
    World,
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
        says: What an option means here, where its own line tells of several commands; its default is then told there.
    """

    help: str
    groups: tuple[type, ...]
    positionals: tuple[Positional, ...] = ()
    judged: bool = True
    says: Mapping[str, str] = field(default_factory=dict)

    def option_names(self) -> tuple[str, ...]:
        """The options of this command in the order of the help page."""
        return tuple(item.name for group in self.groups for item in options_of(group))


TRAIN = (
    *(
        Data,
        Seats,
        Character,
        Characters,
        Stages,
        Choosing,
        Netplay,
        Balance,
        Errors,
        Store,
        Keeping,
        CacheDir,
        Feeding,
        Validation,
    ),
    *(
        Walking,
        Features,
        Players,
        Actions,
        Delay,
        Delays,
        Augment,
        Backbone,
        Model,
        Scan,
        Attention,
        Training,
        Seed,
        Batches,
    ),
    *(
        Averaging,
        Stopping,
        Loss,
        Teacher,
        CheckpointsDir,
        Name,
        Saving,
        Layers,
        Machine,
        Readers,
        Run,
        Monitoring,
        Profile,
    ),
    *(Quiet, Verbose),
)
AT_UMI = "frames that answers come late (default: 18 if the policy learned that, else 21, else the most)"
PLAYS = "characters that it plays (default: all)"
EITHER = "a policy (snapshot, policy file, or what exphil export onnx wrote) or a script: idle, walk, random, chaser, "
EITHER += "spacer, punisher, cpu1 to cpu9"
LIKE = "the player it is to play like (default: nobody in particular)"
BESIDE = "(default: beside the policy, under its name)"
MODEL = Positional("model", "a run's name, its snapshot or its policy file", str)
POLICY = Positional("policy", "snapshot or policy file")
PLAYABLE = Positional("policy", "snapshot, policy file, or what exphil export onnx wrote")
FOLDER = Positional("folder", "folder of replays, one archive of them, or one replay")

COMMANDS: dict[str, Command] = {
    "train": Command(
        "Train a policy from replays by imitation.",
        TRAIN,
    ),
    "evaluate": Command(
        "Measure how well a policy predicts the players of recorded games.",
        (
            *(Data, Seats, Character, Characters, Stages, Choosing, HeldOut, Netplay, Errors, Store, Keeping, CacheDir),
            *(Playing, Delay, Machine, Readers, Quiet, Verbose, Output),
        ),
        (POLICY,),
        says={"frame_delay": "frames that answers come late (default: all that the policy learned)"},
    ),
    "demo": Command(
        "Train a small policy on a few games, show what it predicts and how it plays; without --replays the games are "
        "simulated.",
        (Data, Errors, Store, Keeping, CacheDir, CheckpointsDir, Machine, Readers, Quiet, Verbose),
        says={"replays": "folder of replays, or one archive of them (default: games that scripts play are simulated)"},
    ),
    "benchmark": Command(
        "Train every backbone on the same games and compare them on games held out; options of training that are not "
        "given have defaults of their own, which --dry-run prints.",
        (
            *(
                Benchmark,
                Player,
                Data,
                Seats,
                Character,
                Characters,
                Stages,
                Choosing,
                Netplay,
                Balance,
                Errors,
                Store,
                Keeping,
                CacheDir,
            ),
            *(
                Feeding,
                Validation,
                Features,
                Actions,
                Delay,
                Delays,
                Augment,
                Backbone,
                Model,
                Scan,
                Attention,
                Training,
                Seed,
            ),
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
    "setup": Command("Ask a few questions and write the command and the file of a training run.", (Machine, Written)),
    "presets": Command(
        "List the presets with what they set and how long they would take here.",
        (Data, Machine, Probe, Quiet, Output),
        (Positional("name", "presets to show (default: all)", str, many=True),),
    ),
    "find-lr": Command(
        "Try learning rates from small to large on a few batches, once, and say which one to begin with.",
        (
            *(
                RateSweep,
                Data,
                Seats,
                Character,
                Characters,
                Stages,
                Choosing,
                Netplay,
                Balance,
                Errors,
                Store,
                Keeping,
                CacheDir,
            ),
            *(
                Features,
                Actions,
                Delay,
                Delays,
                Augment,
                Backbone,
                Model,
                Scan,
                Attention,
                Training,
                Seed,
                Loss,
                Layers,
                Machine,
            ),
            *(Readers, Quiet, Verbose, Output, Page),
        ),
    ),
    "list": Command("List the runs and policies of a folder.", (CheckpointsDir, Order, Quiet, Output)),
    "info": Command("Say what a model is: network, training, losses.", (CheckpointsDir, Quiet, Output), (MODEL,)),
    "compare": Command(
        "Compare two models: options, games, losses.",
        (CheckpointsDir, Quiet, Output),
        (MODEL, Positional("other", "the other one", str)),
    ),
    "distill": Command(
        "Train a policy that learns from another one, its teacher, and say what was lost and what was gained.",
        TRAIN,
    ),
    "play": Command(
        "Let a policy play.",
        (
            *(World, Arena, Playing, Delay, Player, Backbone, Deciding, Seed, Characters, Name, Machine, Quiet),
            *(Verbose, Output),
        ),
        (PLAYABLE,),
        says={
            "frame_delay": AT_UMI,
            "characters": PLAYS,
            "style": LIKE,
            "name": "name of the bot (default: that of the policy)",
        },
    ),
    "match": Command(
        "Let two players play against each other, policies or scripts, and say who is better and how sure that is.",
        (*(Match, Stages, World, Playing, Delay, Player, Deciding, Seed, Machine, Written, Quiet, Verbose, Output),),
        (Positional("first", EITHER, str), Positional("second", "another one, or the same", str)),
        says={
            "world": "where it is played: sim, our simulator (default), or melee_sim, the library of this name",
            "stages": "stages, dealt out over the games by the seed (default: all six)",
            "frame_delay": "frames that answers of policies come late (default: the least that each learned)",
            "style": "the player that policies are to play like (default: nobody in particular)",
            "output": "file to write the result to, as JSON",
        },
    ),
    "export onnx": Command(
        "Write a policy as a graph that onnxruntime plays without torch.",
        (Graph, Written, Quiet, Output),
        (POLICY,),
        says={"output": f"file or folder to write {BESIDE}"},
    ),
    "export umi": Command(
        "Write a policy as an entry for the Computer Melee Championship (UMI): a zip to upload.",
        (Name, Characters, Delay, Playing, Deciding, Written, Quiet, Output),
        (PLAYABLE,),
        says={
            "frame_delay": AT_UMI,
            "characters": PLAYS,
            "style": LIKE,
            "name": "name of the bot (default: that of the policy)",
            "output": f"zip to write, or a folder for it {BESIDE}",
        },
    ),
    "export card": Command(
        "Write a policy as a folder to share: weights, config, and a page that says what it is.",
        (Name, Written, Quiet, Output),
        (POLICY,),
        says={"name": "name of the policy (default: its own)", "output": f"folder to write {BESIDE}"},
    ),
    "push": Command(
        "Share a policy on the Hugging Face hub.",
        (Name, Sharing, Quiet, Output),
        (POLICY, Positional("place", "where to: hf:USER/NAME", str)),
        says={"name": "name of the policy on its page (default: its own)"},
    ),
    "pull": Command(
        "Fetch a policy that somebody shared.",
        (CheckpointsDir, Quiet, Output),
        (Positional("place", "where from: hf:USER/NAME, or hf:USER/NAME@REVISION", str),),
    ),
    "doctor": Command(
        "Say what this machine can do, what is missing and what helps; exit code 1 when something will not work.",
        (Data, Examined, CheckpointsDir, CacheDir, Machine, Quiet, Output),
    ),
    "registry list": Command("List the registered runs.", (CheckpointsDir, Order, Tagged, Quiet, Output)),
    "registry show": Command("Show one registered run.", (CheckpointsDir, Output), (MODEL,)),
    "registry tag": Command(
        "Give a run tags.", (CheckpointsDir, Quiet), (MODEL, Positional("tags", "the tags", str, many=True))
    ),
    "registry untag": Command(
        "Take tags from a run.", (CheckpointsDir, Quiet), (MODEL, Positional("tags", "the tags", str, many=True))
    ),
    "registry best": Command("Show the run with the lowest loss.", (CheckpointsDir, Tagged, Output)),
    "registry delete": Command("Forget a run.", (CheckpointsDir, Deleting, Quiet), (MODEL,)),
    "registry lineage": Command(
        "Show what a run was made from and what was made from it.", (CheckpointsDir, Output), (MODEL,)
    ),
    "kmeans": Command(
        "Learn from games which stick positions the classes of a policy should stand for.",
        (
            *(Data, Character, Characters, Stages, Choosing, Netplay, Errors, Store, Keeping, CacheDir),
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
