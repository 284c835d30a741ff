"""The runs of a folder: which files belong together, and what each says without being read whole.

``NAME.pt`` is the last snapshot of a run; ``NAME_best``, ``NAME_interrupt``, ``NAME_batch`` and ``NAME_epoch_0005`` are
others of it, each with a policy file, perhaps one of averaged weights (``_ema``), and a page. What can go wrong stands
in the row of the file: one damaged file hides no other. torch is not needed.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exphil.errors import DataError, ExphilError
from exphil.files import size_bytes
from exphil.train.described import Described, header, number
from exphil.train.runfiles import LAST, MARKER, METRICS, PAGE, POLICY, of_run

_BACKUP = re.compile(r"(?P<name>.+)\.bak(\.\d+)?")
_ENDINGS = {POLICY: "policy", ".safetensors": "policy", PAGE: "page", ".pt": "snapshot"}
_ASIDE = (METRICS, MARKER)
"""Other files that a run leaves."""


def run_of(path: Path) -> str:
    """The name of the run that a snapshot, a policy file or a page belongs to."""
    stem, role = _stem(path.name)
    return of_run(stem.removesuffix("_ema") if role == "policy" else stem)[0]


def _stem(name: str) -> tuple[str, str]:
    for ending, role in _ENDINGS.items():
        if name.endswith(ending) and name != ending:
            return name.removesuffix(ending), role
    return name, ""


@dataclass(frozen=True)
class State:
    """One saved state of a run: a snapshot with what was written together with it.

    Attributes:
        kind: ``last``, ``best``, ``interrupt``, ``batch``, ``epoch 0005``; with `` ema`` that of averaged weights.
        snapshot: All to resume; None when there is none.
        policy: All to play.
        page: For people.
        size_bytes: Of these files.
        modified: Seconds since 1970, of the newest of them.
        said: What the policy file says; None when it is damaged or missing.
        trouble: What is wrong with it, in words; empty when nothing is.
        about: What the page says; empty without one.
    """

    kind: str
    snapshot: Path | None
    policy: Path | None
    page: Path | None
    size_bytes: int
    modified: float
    said: Described | None
    trouble: str
    about: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """Those that are there."""
        return [path for path in (self.snapshot, self.policy, self.page) if path is not None]

    @property
    def backbone(self) -> str:
        """Its backbone; empty when nothing says it."""
        return str((self.said.config if self.said else self.about).get("backbone") or "")

    def number(self, name: str) -> int | None:
        """``epochs_done`` or ``updates``."""
        found = (self.said.training if self.said else self.about).get(name)
        return found if isinstance(found, int) else None

    @property
    def epochs_wanted(self) -> int | None:
        """``--epochs``."""
        found = (self.said.config if self.said else self.about).get("epochs")
        return found if isinstance(found, int) else None

    def losses(self) -> dict[str, float | int | None]:
        """As ``Described.losses``; a page alone knows the last ones."""
        if self.said:
            return self.said.losses()
        last = {"train": "final_training_loss", "held_out": "final_validation_loss"}
        return {word: number(self.about.get(key)) for word, key in last.items()} | {"best": None, "best_epoch": None}


@dataclass(frozen=True)
class KeptRun:
    """A run of a folder.

    Attributes:
        name: What all its files begin with.
        states: The last first, if there is one.
        aside: Its other files.
        backups: What an older run of the name, or an older state of this one, was kept as.
        incomplete: Whether it did not come to its end: it was killed, was interrupted after its last epoch, or goes on.
    """

    name: str
    states: tuple[State, ...]
    aside: tuple[Path, ...]
    backups: tuple[Path, ...]
    incomplete: bool

    @property
    def files(self) -> list[Path]:
        """All its files, without backups."""
        return [*(path for state in self.states for path in state.files), *self.aside]

    @property
    def size_bytes(self) -> int:
        """Of ``files``."""
        return size_bytes(self.files)

    @property
    def modified(self) -> float:
        """Seconds since 1970 of its newest state."""
        return max(state.modified for state in self.states)

    @property
    def was_measured(self) -> bool:
        """Whether a held-out loss is known."""
        return any(state.losses()["best"] is not None for state in self.states)

    @property
    def loss(self) -> float:
        """Its best held-out loss, else its last training loss; infinite when neither is known."""
        found = [state.losses() for state in self.states]
        held = [value for each in found for value in (each["best"], each["held_out"]) if value is not None]
        train = [each["train"] for each in found if each["train"] is not None]
        return min(held or train[:1], default=float("inf"))


SORTED = {
    "date": lambda run: (-run.modified, run.name),
    "size": lambda run: (-run.size_bytes, run.name),
    "name": lambda run: (run.name.lower(), run.name),
    "loss": lambda run: (not run.was_measured, run.loss, run.name),
}
"""Newest, largest, first by name, or lowest loss first: of held-out games before those of games learned from."""


def runs_in(folder: Path) -> list[KeptRun]:
    """Every run of a folder, newest first; nothing when there is no such folder.

    Raises:
        DataError: it is no folder, or cannot be looked into.
    """
    there = _files(folder)
    found = [_run(name, kinds, there) for name, kinds in _grouped(there).items()]
    return sorted((run for run in found if run.states), key=SORTED["date"])


def names_in(folder: Path) -> list[str]:
    """What the runs and the single states of a folder may be called; no file is opened.

    Raises:
        DataError: as ``runs_in``.
    """
    there = _files(folder)
    states = [_stem(name) for name in there]
    return sorted({*_grouped(there), *(stem for stem, role in states if role in ("policy", "snapshot"))})


def find_run(folder: Path, name: str) -> KeptRun | None:
    """The run of a name.

    Raises:
        DataError: as ``runs_in``.
    """
    there = _files(folder)
    kinds = _grouped(there).get(name)
    found = _run(name, kinds, there) if kinds else None
    return found if found and found.states else None


def _files(folder: Path) -> dict[str, Path]:
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except FileNotFoundError:
        return {}
    except OSError as error:
        fix = "--checkpoints-dir names the folder of runs"
        raise DataError(f"cannot be looked into ({error.strerror})", str(folder), fix) from None
    return {path.name: path for path in found}


def _grouped(there: dict[str, Path]) -> dict[str, dict[str, dict[str, Path]]]:
    """By run and state: snapshot, policy file and page."""
    parts: dict[str, dict[str, dict[str, Path]]] = {}
    for path in there.values():
        stem, role = _stem(path.name)
        average = role == "policy" and stem.endswith("_ema")
        run, kind = of_run(stem.removesuffix("_ema") if average else stem)
        if role:
            parts.setdefault(run, {}).setdefault(f"{kind} ema" if average else kind, {})[role] = path
    return parts


def _run(name: str, kinds: dict[str, dict[str, Path]], there: dict[str, Path]) -> KeptRun:
    order = {LAST: 0, f"{LAST} ema": 1, "best": 2, "best ema": 3}
    listed = sorted(kinds.items(), key=lambda item: (order.get(item[0], 9), item[0]))
    made = (_state(kind, files) for kind, files in listed if set(files) != {"page"})
    states = tuple(state for state in made if state is not None)
    mine = {path.name for state in states for path in state.files} | {name + ending for ending in _ASIDE}
    backups = [path for path in there.values() if (meant := _BACKUP.fullmatch(path.name)) and meant["name"] in mine]
    aside = tuple(there[name + ending] for ending in _ASIDE if name + ending in there)
    marked = any(path.name.endswith(MARKER) for path in aside)
    return KeptRun(name, states, aside, tuple(sorted(backups)), marked or _went_on(states))


def _went_on(states: Iterable[State]) -> bool:
    """Whether an interruption was saved after the last epoch that was, or before the first."""
    updates = {state.kind: state.number("updates") or 0 for state in states}
    return "interrupt" in updates and updates["interrupt"] > updates.get(LAST, -1)


def _state(kind: str, files: dict[str, Path]) -> State | None:
    snapshot, policy, page = (files.get(role) for role in ("snapshot", "policy", "page"))
    said, trouble, about = None, [], {}
    if page is not None:
        with suppress(OSError, ValueError, RecursionError):
            words = json.loads(page.read_text(encoding="utf-8"))
            about = words if isinstance(words, dict) else {}
    try:
        if policy is not None:
            said = header(policy)
        elif snapshot is not None:
            trouble.append("no policy file")
    except ExphilError as error:
        trouble.append(f"policy file: {error.what}")
    with suppress(OSError):
        if snapshot is not None and not zipfile.is_zipfile(snapshot):
            trouble.append("snapshot: damaged")
    there = [path for path in (snapshot, policy, page) if path is not None]
    try:
        modified = max(path.stat().st_mtime for path in there)
    except OSError:
        return None  # it was removed a moment ago
    return State(kind, snapshot, policy, page, size_bytes(there), modified, said, "; ".join(trouble), about)
