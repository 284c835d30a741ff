"""What a check is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

State = Literal["ok", "warning", "problem", "not looked at"]
OK: State = "ok"
WARNING: State = "warning"
PROBLEM: State = "problem"
UNSEEN: State = "not looked at"


class Finding(NamedTuple):
    """One line of the answer.

    Attributes:
        name: What was looked at.
        state: How it is.
        found: What is there; for what was not looked at, why.
        remedy: What helps, empty where nothing needs to. Of several lines the later ones are commands to copy.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


class Asked(NamedTuple):
    """What to look at.

    Attributes:
        checkpoints_dir: Where runs are kept.
        cache_dir: Where parsed games are kept.
        device: As ``--device`` says.
        threads: As ``--threads`` says; None for all cores.
        replays: Folder or archive; None when nobody named one.
        max_files: Replays to list at most; None for all.
        policy: Policy file, snapshot or exported policy; None when nobody named one.
    """

    checkpoints_dir: Path
    cache_dir: Path
    device: str = "auto"
    threads: int | None = None
    replays: Path | None = None
    max_files: int | None = None
    policy: Path | None = None


Check = Callable[[Asked], Iterable[Finding]]
