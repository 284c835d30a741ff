"""Every option and its default, in groups.

One option lives in exactly one group, one word has one type and one meaning in every command, and a command takes
only groups that act in it. ``OPTIONS`` is built at import and raises when two options share a word. Add an option to
a group in ``games``, ``policy`` or ``running`` and its flag, file key, variable, check, help and documentation exist;
a new group is listed here and in ``Settings``.
"""

from __future__ import annotations

from exphil.config.groups.games import (
    Balance,
    CacheDir,
    Character,
    Choosing,
    Data,
    Errors,
    Feeding,
    Keeping,
    Netplay,
    Seats,
    Store,
    Validation,
)
from exphil.config.groups.policy import (
    Actions,
    Attention,
    Augment,
    Delay,
    Delays,
    Features,
    Model,
    Players,
    Playing,
    Scan,
    Sticks,
    Training,
)
from exphil.config.groups.running import (
    Benchmark,
    Layers,
    Machine,
    Output,
    Page,
    Profile,
    Quiet,
    Readers,
    Run,
    Saving,
    Verbose,
    Written,
)
from exphil.config.option import options_by_name

__all__ = [
    "GROUPS",
    "OPTIONS",
    "Actions",
    "Attention",
    "Augment",
    "Balance",
    "Benchmark",
    "CacheDir",
    "Character",
    "Choosing",
    "Data",
    "Delay",
    "Delays",
    "Errors",
    "Features",
    "Feeding",
    "Keeping",
    "Layers",
    "Machine",
    "Model",
    "Netplay",
    "Output",
    "Page",
    "Players",
    "Playing",
    "Profile",
    "Quiet",
    "Readers",
    "Run",
    "Saving",
    "Scan",
    "Seats",
    "Sticks",
    "Store",
    "Training",
    "Validation",
    "Verbose",
    "Written",
]

GROUPS: tuple[type, ...] = (
    *(Data, Seats, Character, Choosing, Netplay, Balance, Errors, Store, Keeping, CacheDir, Feeding, Validation),
    *(Features, Players, Actions, Delay, Delays, Playing, Augment, Model, Scan, Attention, Training),
    *(Saving, Layers, Machine, Readers, Run, Profile, Quiet, Verbose, Output, Page, Sticks, Written, Benchmark),
)
OPTIONS = options_by_name(GROUPS)
