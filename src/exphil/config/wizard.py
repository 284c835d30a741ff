"""The questions of ``exphil setup`` as data, and what answers mean; nothing here asks, prints or looks at a machine.

What enters: a goal, the memory of the GPU, values by the names of options. What leaves: values that fit each other,
flags, the words of a command. Everything about an option (its text, choices and check) is asked of its field. What can
go wrong: values that contradict each other raise OptionError, as the same flags of ``exphil train`` would.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from exphil.config.commands import COMMANDS
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings, resolve
from exphil.config.presets import PRESETS

Values = Mapping[str, Any]


class Goal(NamedTuple):
    """What somebody wants to do.

    Attributes:
        title: In a line.
        asks: Options that are asked at once because the goal is nothing without them.
        values: What it sets.
    """

    title: str
    asks: tuple[str, ...]
    values: Values


class Tier(NamedTuple):
    """How much a GPU holds, and what fits.

    Attributes:
        title: In some words.
        gib: Memory of the smallest such GPU, in GiB as the box says.
        values: What it sets.
        why: Half a sentence.
    """

    title: str
    gib: int
    values: Values
    why: str


QUICK = Goal("Quick experiment: see that everything works", (), {"epochs": 1, "max_files": 5})
GOALS = (
    QUICK,
    Goal("Train on the games of one character", ("train_character",), {"epochs": 20}),
    Goal("Train on everybody's games", (), {"epochs": 50, "ema": True}),
    Goal(
        "Fine-tune a policy that was trained before",
        ("init", "train_character"),
        {"epochs": 10, "lr": 1e-3},  # at the rate of a fresh run a policy forgets what it can
    ),
)

CHARACTERS: Mapping[str, str] = {
    "mewtwo": "floats, comes back by teleport, long tail",
    "ganondorf": "slow and heavy, wins with few hits",
    "link": "bombs, boomerang and arrows",
    "game_and_watch": "light, without shield pressure, lives by its reach",
    "zelda": "kicks that must hit just right",
    "ice_climbers": "two climbers on one controller",
}
"""The characters that this project began with, with a word each; every other one can be named."""

OF_CHARACTER: Mapping[str, Values] = {
    "ice_climbers": {name: PRESETS["iceclimbers"][name] for name in ("nana_mode", "ic_tech")}
}

TIERS = (
    Tier(
        "no GPU with memory of its own",
        0,
        {"batch_size": 32, "hidden": (256, 256)},
        "small batches and a small network, so that a processor makes many steps",
    ),
    Tier(
        "a GPU of 4 GB",
        4,
        {"batch_size": 32, "hidden": (256, 256), "gradient_checkpoint": True},
        "little memory: small batches, and activations are computed twice instead of kept",
    ),
    Tier("a GPU of 8 GB", 8, {"batch_size": 64, "hidden": (256, 256)}, "batches that fit into 8 GB"),
    Tier("a GPU of 12 GB", 12, {"batch_size": 128, "hidden": (256, 256)}, "batches that fit into 12 GB"),
    Tier("a GPU of 24 GB or more", 24, {"batch_size": 256, "hidden": (512, 512)}, "large batches, and room to learn"),
)
QUICK_WITHOUT_GPU: Values = {"hidden": (128, 128)}

EVERY_RUN: Values = {
    "temporal": True,
    "backbone": "mamba",  # the best of docs/backbones.md, and on a processor about as fast as gru
    "dual_port": True,
    "augment": True,
    "optimizer": "muon",
    "lr": 3e-3,
    "lr_schedule": "cosine",
    "early_stopping": True,
    "val_split": 0.1,
}
WHY = "mamba predicts best of all backbones, muon and a cosine learn fast (docs/backbones.md)"

SIZES = ("epochs", "batch_size", "hidden")
"""What is asked when the recommended settings are not wanted."""
ADVANCED = (
    *("temporal", "backbone", "augment", "dual_port", "lr", "early_stopping", "val_split", "patience", "precision"),
    *("online_robust", "wandb", "kmeans_centers", "seed", "save_every_batches"),
)
HELD_OUT = ("val_split", "early_stopping", "patience")
"""Options that need two games."""
_OF_THE_NETWORK = {"temporal", "backbone", "hidden", "online_robust", "kmeans_centers", "nana_mode", "ic_tech"}


def tier(gpu_bytes: int | None) -> Tier:
    """The tier of a GPU by its memory; of none without one.

    A GPU has a little less than its box says, and the smallest one is still a GPU.
    """
    if gpu_bytes is None:
        return TIERS[0]
    return next((each for each in reversed(TIERS[2:]) if gpu_bytes >= 0.9 * each.gib * 2**30), TIERS[1])


def recommended(goal: Goal, memory: Tier, answers: Values) -> dict[str, Any]:
    """What is trained when nobody wants anything else.

    Args:
        goal: Of the run.
        memory: Of the machine.
        answers: What was answered so far; it beats everything.
    """
    small = QUICK_WITHOUT_GPU if goal is QUICK and memory is TIERS[0] else {}
    character = OF_CHARACTER.get(answers.get("train_character") or "", {})
    values = {**EVERY_RUN, **memory.values, **small, **goal.values, **character, **answers}
    if 1 < values["epochs"] <= OPTIONS["patience"].default:
        values.setdefault("patience", values["epochs"] - 1)  # waiting as long as the run never stops it
    return settled(values)


def applies(name: str, values: Values) -> bool:
    """Whether an option means anything beside the other values; what does not is not asked and not written."""
    if name in _OF_THE_NETWORK and values.get("init") is not None:
        return False  # a policy that is trained further keeps its network
    if name == "backbone":
        return bool(values.get("temporal"))
    if name == "dual_port":
        return values.get("train_character") is None
    if name == "patience":
        return bool(values.get("early_stopping")) and applies("early_stopping", values)
    if name == "early_stopping":
        return bool(values.get("epochs", OPTIONS["epochs"].default) > 1)
    return True


def settled(values: Values) -> dict[str, Any]:
    """Values without those that mean nothing beside the others, in the order of the help page."""
    order = COMMANDS["train"].option_names()
    left = {name: values[name] for name in order if name in values and applies(name, values)}
    left = {name: value for name, value in left.items() if value is not None and value is not False}
    if left.get("backbone") == "jamba" and "hidden" in left:
        left["hidden"] = left["hidden"][:1]  # of two layers, the third of which is attention, none is
    return left


def flags(values: Values) -> dict[str, str | bool]:
    """Values as flags, as ``resolve`` takes them."""
    return {
        OPTIONS[name].flag: True if value is True else OPTIONS[name].text(value)
        for name, value in settled(values).items()
    }


def settings(values: Values) -> Settings:
    """What ``exphil train`` makes of values; the environment has no say.

    Raises:
        OptionError: they contradict each other.
    """
    return resolve("train", flags(values), {})


def words(values: Values) -> list[str]:
    """The words after "exphil" of the command that trains with these values."""
    found = ["train"]
    for flag, value in flags(values).items():
        if isinstance(value, bool):
            found.append(flag)
        elif value.startswith("-"):
            found.append(f"{flag}={value}")  # by itself it would be taken for a flag
        else:
            found += [flag, value]
    return found


def command_line(values: Values, windows: bool = sys.platform == "win32") -> str:
    """The command, quoted for the shell that it is copied into."""
    line = ["exphil", *words(values)]
    return subprocess.list2cmdline(line) if windows else shlex.join(line)
