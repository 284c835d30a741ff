"""The files of one run, by name: where they stand, what stands there already, and how it makes way. No torch."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from exphil.errors import OutputError
from exphil.files import back_up, check_writable, remove

OTHER_PLACE = "free some space or choose another --checkpoints-dir"
POLICY, AVERAGE, PAGE, METRICS = "_policy.safetensors", "_ema_policy.safetensors", "_config.json", "_metrics.jsonl"
GRAPH = ".onnx"
"""How the name of an exported policy ends."""
MARKER = ".incomplete"
"""Tells of a run that did not end: ``train.unfinished``."""
VARIANTS = ("_best", "_interrupt", "_batch")
LAST = "last"
_VARIANT = re.compile(r"(?P<run>.+?)_(?P<kind>best|interrupt|batch|epoch_\d+)")


def of_run(stem: str) -> tuple[str, str]:
    """The run that a snapshot of this name belongs to, and which of its snapshots it is."""
    found = _VARIANT.fullmatch(stem)
    return (found["run"], found["kind"].replace("_", " ")) if found else (stem, LAST)


@dataclass(frozen=True)
class RunFiles:
    """The paths of one run; all of them begin with the snapshot's name."""

    snapshot: Path

    @staticmethod
    def at(path: Path) -> RunFiles:
        """The run whose snapshot stands at a path; ``.pt`` is added when missing."""
        return RunFiles(path if path.suffix == ".pt" else path.with_name(path.name + ".pt"))

    @staticmethod
    def of_snapshot(path: Path) -> RunFiles:
        """The run that a snapshot belongs to: its last, its best, one of an epoch, or an interrupted one."""
        return RunFiles(path.with_name(f"{of_run(RunFiles.at(path).snapshot.stem)[0]}.pt"))

    def beside(self, ending: str) -> Path:
        """``NAME`` with another ending in the same folder."""
        return self.snapshot.with_name(self.snapshot.stem + ending)

    def variant(self, ending: str) -> RunFiles:
        """The files of another snapshot of the same run."""
        return RunFiles(self.beside(f"{ending}.pt"))

    @property
    def policy(self) -> Path:
        """``NAME_policy.safetensors``."""
        return self.beside(POLICY)

    @property
    def average(self) -> Path:
        """``NAME_ema_policy.safetensors``: the averaged weights."""
        return self.beside(AVERAGE)

    @property
    def page(self) -> Path:
        """``NAME_config.json``."""
        return self.beside(PAGE)

    @property
    def metrics(self) -> Path:
        """``NAME_metrics.jsonl``."""
        return self.beside(METRICS)

    def own(self) -> tuple[Path, Path, Path, Path]:
        """What is written together with the snapshot."""
        return self.snapshot, self.policy, self.average, self.page

    def remove(self) -> None:
        """Remove the snapshot and what is written together with it.

        Raises:
            OutputError: one cannot be removed.
        """
        for path in self.own():
            remove(path)

    def present(self) -> Iterator[Path]:
        """Files of a run of this name, the snapshot first."""
        like = self.snapshot.parent.glob(f"{glob.escape(self.snapshot.stem)}_epoch_*.pt")
        epochs = sorted(path for path in like if of_run(path.stem)[0] == self.snapshot.stem)
        variants = [self, *map(self.variant, VARIANTS), *map(RunFiles, epochs)]
        places = [path for files in variants for path in files.own()]
        yield from (path for path in (*places, self.metrics) if path.exists())

    def check_new(self) -> None:
        """Refuse to write over another run.

        Raises:
            OutputError: a file of a run of this name exists, or the folder cannot be written.
        """
        for path in self.present():
            if path == self.metrics:
                continue  # of a run that was killed before it saved anything
            found = path.stat()
            when = datetime.fromtimestamp(found.st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise OutputError(
                f"already exists ({found.st_size / 1e6:.1f} MB, {when})",
                str(path),
                "--overwrite replaces it and keeps a backup, --resume goes on with it, or choose another --name",
            )
        check_writable(self.snapshot, OTHER_PLACE)

    def make_way(self, backups: int) -> list[Path]:
        """Let a new run of this name begin: what was there is kept as backups, or is gone with none.

        Args:
            backups: Versions to keep of every file.

        Returns:
            The files that made way.

        Raises:
            OutputError: the folder cannot be written.
        """
        check_writable(self.snapshot, OTHER_PLACE)
        there = list(self.present())
        for path in there:
            back_up(path, backups, OTHER_PLACE, keep=False)
            remove(path)
        return there

    def keep_copy(self, backups: int) -> None:
        """Back up what a resumed run is going to write over; it stays in its place.

        Raises:
            OutputError: the folder cannot be written.
        """
        check_writable(self.snapshot, OTHER_PLACE)
        for path in (path for files in (self, *map(self.variant, VARIANTS)) for path in files.own()):
            if path.exists():  # what is continued or never written over needs no copy
                back_up(path, backups, OTHER_PLACE, keep=True)


def stem(policy: Path) -> str:
    """What a policy is called by its file."""
    own = policy.name.removesuffix(POLICY)
    return policy.stem if own in ("", policy.name) else own


def what_a_policy_is(path: Path) -> str:
    """What helps where a file is no policy file."""
    if path.suffix == GRAPH:
        return "exphil play, doctor and export umi take an exported policy; here the policy file that it was made of"
    return "a policy is the NAME_policy.safetensors that exphil train writes; exphil list names them"
