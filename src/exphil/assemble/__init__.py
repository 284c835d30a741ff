"""Configuration to objects: the only room that knows both.

Constructors take plain numbers; rooms that import torch are opened inside builders. ``games`` says what is read and
as what numbers, ``actions`` what it presses and how late, ``players`` in whose style, ``backbones`` and ``network``
what answers, ``batches`` what it learns from, ``training`` puts a run together, ``contest`` compares backbones,
``worlds`` and ``contestants`` say where and by whom a match is played. The literal tables (``BACKBONES``,
``OPTIMIZERS``, ``ENVIRONMENTS``) name every choice of an option and its builder.
"""

from exphil.assemble.actions import codec, delays
from exphil.assemble.backbones import BACKBONES, widths
from exphil.assemble.batches import carries_state, forecast, loader, measured, plan, sliced, walk, window
from exphil.assemble.contestants import Entered, entered, loaded
from exphil.assemble.games import choice, kept_in, read, reading, stick_reading, store, streams, table
from exphil.assemble.loggers import LOGGERS, check_loggers, loggers
from exphil.assemble.network import embedded, load_weights, policy, trained
from exphil.assemble.players import check_registry, enrolled, registry_before, styles
from exphil.assemble.playing import (
    PLAYERS,
    asked_delay,
    exported,
    known_of,
    learned,
    learned_in,
    manner,
    playable,
    style,
)
from exphil.assemble.probing import batch_size
from exphil.assemble.registering import register
from exphil.assemble.training import (
    OPTIMIZERS,
    Job,
    claim,
    files_of,
    held_out,
    identity,
    loss,
    optimizer,
    restore,
    schedule,
    training,
    way,
)
from exphil.assemble.worlds import ENVIRONMENTS, clock, stages_of, world

__all__ = [
    "BACKBONES",
    "ENVIRONMENTS",
    "LOGGERS",
    "OPTIMIZERS",
    "PLAYERS",
    "Entered",
    "Job",
    "asked_delay",
    "batch_size",
    "carries_state",
    "check_loggers",
    "check_registry",
    "choice",
    "claim",
    "clock",
    "codec",
    "delays",
    "embedded",
    "enrolled",
    "entered",
    "exported",
    "files_of",
    "forecast",
    "held_out",
    "identity",
    "kept_in",
    "known_of",
    "learned",
    "learned_in",
    "load_weights",
    "loaded",
    "loader",
    "loggers",
    "loss",
    "manner",
    "measured",
    "optimizer",
    "plan",
    "playable",
    "policy",
    "read",
    "reading",
    "register",
    "registry_before",
    "restore",
    "schedule",
    "sliced",
    "stages_of",
    "stick_reading",
    "store",
    "streams",
    "style",
    "styles",
    "table",
    "trained",
    "training",
    "walk",
    "way",
    "widths",
    "window",
    "world",
]
