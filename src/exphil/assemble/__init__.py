"""Configuration to objects: the only room that knows both.

Constructors take plain numbers; rooms that import torch are opened inside builders. ``games`` says what is read and as
what numbers, ``network`` what answers, ``batches`` what it learns from, ``training`` puts a run together. The literal
tables (``BACKBONES``, ``OPTIMIZERS``) name every choice of an option and its builder.
"""

from exphil.assemble.batches import carries_state, loader, plan, walk, window
from exphil.assemble.games import choice, read, table
from exphil.assemble.network import BACKBONES, agent, check_fingerprint, embedded, load_weights, policy, trained, widths
from exphil.assemble.training import OPTIMIZERS, Job, files_of, identity, optimizer, restore, schedule, training

__all__ = [
    "BACKBONES",
    "OPTIMIZERS",
    "Job",
    "agent",
    "carries_state",
    "check_fingerprint",
    "choice",
    "embedded",
    "files_of",
    "identity",
    "load_weights",
    "loader",
    "optimizer",
    "plan",
    "policy",
    "read",
    "restore",
    "schedule",
    "table",
    "trained",
    "training",
    "walk",
    "widths",
    "window",
]
