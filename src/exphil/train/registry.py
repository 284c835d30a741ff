"""The registry: ``registry.json`` in a folder of runs, one entry a run, for finding and comparing them later.

``{"version": "1.0", "entries": [...]}``; an entry has ``id``, ``name``, ``checkpoint_path``, ``policy_path``,
``config_path``, ``created_at``, ``training_config``, ``metrics``, ``tags``, ``parent_id``, and beside them ``parent``
(what the run began with: name, seed and path of it) and ``measured_on`` (``train.described``). Paths below the folder
are relative to it, so that the folder can be moved.

**Parents** are known by name and seed, which stand in every policy file and stay the same when it is moved or copied;
the path is only asked where a file says nothing. So a parent may lie elsewhere, and need not be registered.

**Two processes** change it one after the other: whoever changes it holds a lock of the operating system on
``.registry.lock`` (sqlite's, the same on every system), which ends with its process; nothing stale can stay. Reading
needs no lock: the file is replaced whole.

What can go wrong: it is damaged (it is never written over then), or it cannot be written. ``register`` says so and goes
on, because a run is worth more than its entry.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from exphil.errors import DataError, ExphilError, OutputError
from exphil.files import read_json, remove, write
from exphil.train.described import apart, header, measured_on
from exphil.train.runfiles import MARKER
from exphil.train.runs import find_run, run_of
from exphil.train.unfinished import unfinished

VERSION = "1.0"
NAME, LOCK = "registry.json", ".registry.lock"
WAIT_S = 10.0
"""How long another process may hold the lock; it does for milliseconds."""
SHORTEST = 4
"""Letters of an id that are enough, when no other begins with them."""
ENDINGS = {"checkpoint_path": ".pt", "policy_path": "_policy.safetensors", "config_path": "_config.json"}
_MEND = "mend it, or move it away: no run needs it, and exphil list shows them without it"


@dataclass(frozen=True)
class Entry:
    """A registered run; see the module for its fields. ``others`` is what another version of exphil wrote beside."""

    id: str
    name: str
    checkpoint_path: str | None
    policy_path: str | None
    config_path: str | None
    created_at: str
    training_config: dict[str, Any]
    metrics: dict[str, Any]
    tags: list[str] = field(default_factory=list)
    parent_id: str | None = None
    parent: dict[str, Any] = field(default_factory=dict)
    measured_on: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the file."""
        found = asdict(self)
        others: dict[str, Any] = found.pop("others")
        return found | others

    @property
    def loss(self) -> float | None:
        """The best loss on held-out games; None when there were none."""
        found = self.metrics.get("best_validation_loss", self.metrics.get("final_validation_loss"))
        return float(found) if isinstance(found, (int, float)) and math.isfinite(found) else None

    def snapshot(self, folder: Path) -> Path | None:
        """Where its last snapshot should be; None when another run was written over it."""
        return None if self.checkpoint_path is None else folder / self.checkpoint_path

    def where(self, folder: Path) -> str:
        """What has become of its files: empty when they are there."""
        if self.checkpoint_path is None:
            return "written over"
        there = [folder / path for path in (self.checkpoint_path, self.policy_path) if path]
        return "" if any(path.is_file() for path in there) else "files are gone"


_TEXTS, _OPTIONAL = ("id", "name", "created_at"), ("checkpoint_path", "policy_path", "config_path", "parent_id")
_TABLES = ("training_config", "metrics", "parent", "measured_on")


def load(folder: Path) -> list[Entry]:
    """The entries, in the order in which the runs were registered; nothing where there is no registry.

    Raises:
        DataError: it is damaged, or of another version.
    """
    path = folder / NAME
    if not path.exists():
        return []
    found = read_json(path, "not a registry of runs, or damaged", _MEND)
    version = found.get("version") if isinstance(found, dict) else None
    if version != VERSION:
        other = f"a registry of version {version}" if version else "not a registry of runs, or damaged"
        raise DataError(other, str(path), _MEND if not version else f"this exphil knows version {VERSION}: {_MEND}")
    entries = found.get("entries")
    rows = entries if isinstance(entries, list) else [None]
    read = [_entry(row, f"entry {at}", path) for at, row in enumerate(rows, 1)]
    if len({entry.id for entry in read}) < len(read):
        raise DataError("damaged: two entries have one id", str(path), _MEND)
    return read


def _entry(row: Any, which: str, path: Path) -> Entry:
    def wrong(what: str) -> DataError:
        return DataError(f"damaged: {which} {what}", str(path), _MEND)

    if not isinstance(row, dict):
        raise wrong("is none")
    known = {item.name for item in fields(Entry)} - {"others"}
    words: dict[str, Any] = {name: row.get(name) for name in known}
    for name in _TEXTS:
        if not isinstance(words[name], str):
            raise wrong(f"has no {name}")
    for name in _OPTIONAL:
        if not (words[name] is None or isinstance(words[name], str)):
            raise wrong(f"has a {name} that is no text")
    for name in _TABLES:
        words[name] = {} if words[name] is None else words[name]
        if not isinstance(words[name], dict):
            raise wrong(f"has a {name} that is no table")
    tags = words["tags"] if words["tags"] is not None else []
    if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise wrong("has tags that are no texts")
    return Entry(**words | {"tags": tags}, others={name: row[name] for name in row if name not in known})


@contextmanager
def _changing(folder: Path) -> Iterator[list[Entry]]:
    """The entries, to be changed in place; written when they were, while nobody else may."""
    with _locked(folder):
        entries = load(folder)
        before = list(entries)
        yield entries
        if entries != before:
            content = _plain({"version": VERSION, "entries": [entry.as_dict() for entry in entries]})
            text = json.dumps(content, indent=2, allow_nan=False) + "\n"
            write(folder / NAME, lambda file: file.write(text.encode()), "choose another --checkpoints-dir")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise OutputError(f"cannot be written ({error})", str(path), "check who owns the folder") from None
    with closing(lock):
        try:
            lock.execute("begin exclusive")
        except sqlite3.Error as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            why = f"another process has held it for {WAIT_S:g} s" if busy else f"cannot be used ({error})"
            raise OutputError(why, str(path), "try again" if busy else "remove it, and check who owns it") from None
        yield


def _plain(value: Any) -> Any:
    """As JSON has it: no paths, no numbers that are none."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def register(
    folder: Path,
    *,
    name: str,
    snapshot: Path,
    created: str,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    games: Mapping[str, Sequence[str]],
    actions: Mapping[str, Any],
    parent: Path | None = None,
) -> str:
    """Enter a run, or bring its entry up to date: the same snapshot, begun at the same time or resumed from itself.

    Another run that had this snapshot's name before keeps its entry, without files.

    Args:
        folder: ``--checkpoints-dir``.
        name: Of the run.
        snapshot: Its ``NAME.pt``; policy file and page are found beside it by name.
        created: When it began, in UTC: ``2026-01-31T12:00:00Z``.
        config: Every option by name; ``seed`` is half of what identifies the run.
        metrics: Plain values. ``best_validation_loss`` (else ``final_validation_loss``) is what ``best`` looks at:
            nats per decision on held-out games, or None.
        games: The digests of the files ``learned`` from and ``held_out``.
        actions: The codec as ``features.action`` wrote it.
        parent: The snapshot or policy file that it was resumed from or fine-tuned from.

    Returns:
        What went wrong, as a sentence; empty when nothing did. Never raises: the run goes on.
    """
    paths = {role: _relative(folder, snapshot.with_name(snapshot.stem + ending)) for role, ending in ENDINGS.items()}
    try:
        said = {
            "training_config": _plain(config),
            "metrics": _plain(metrics),
            "measured_on": measured_on(config, games, actions),
        }
        with _changing(folder) as entries:
            mine = paths["checkpoint_path"]
            at = next((at for at, entry in enumerate(entries) if entry.checkpoint_path == mine), None)
            resumed = parent is not None and _same_run(parent, snapshot)
            if at is not None and (resumed or entries[at].created_at == created):
                entries[at] = replace(entries[at], **{"name": name, **paths, **said})
                return ""
            if at is not None:
                lost: dict[str, Any] = dict.fromkeys(paths)
                entries[at] = replace(entries[at], **lost)
            words = {} if parent is None or resumed else _parent(folder, parent)
            known = _registered(entries, words)
            of: dict[str, Any] = {"parent_id": known.id if known else None, "parent": words}
            new = _new_id(entries, f"{name} {created} {mine}")
            entries.append(Entry(**{"id": new, "name": name, "created_at": created, **paths, **said, **of}))
    except (ExphilError, OSError, ValueError, TypeError) as error:
        return f"the run is not in the registry: {error}"
    return ""


def _new_id(entries: Sequence[Entry], text: str) -> str:
    taken = {entry.id for entry in entries}
    ids = (hashlib.sha256(f"{text} {turn}".encode()).hexdigest()[:8] for turn in range(len(taken) + 1))
    return next(found for found in ids if found not in taken)


def _relative(folder: Path, path: Path) -> str:
    inner, outer = path.absolute().resolve(), folder.absolute().resolve()
    return inner.relative_to(outer).as_posix() if inner.is_relative_to(outer) else str(inner)


def _same_run(path: Path, snapshot: Path) -> bool:
    return path.resolve().parent == snapshot.resolve().parent and run_of(path) == run_of(snapshot)


def _parent(folder: Path, path: Path) -> dict[str, Any]:
    """Name, seed and path of what a run began with."""
    policy = path if path.suffix == ".safetensors" else path.with_name(f"{path.stem}_policy.safetensors")
    try:
        said = header(policy).training
    except ExphilError:
        said = {}
    name, seed = said.get("name"), said.get("seed")
    whose = name if isinstance(name, str) else run_of(path)
    return {"name": whose, "seed": seed if isinstance(seed, int) else None, "path": _relative(folder, path)}


def parent_of(entries: Sequence[Entry], entry: Entry) -> Entry | None:
    """The registered run that a run began with; None when it began from nothing or its parent is not registered."""
    found = next((other for other in entries if other.id == entry.parent_id), None)
    return found or _registered([other for other in entries if other.id != entry.id], entry.parent)


def _registered(entries: Sequence[Entry], parent: Mapping[str, Any]) -> Entry | None:
    if not parent:
        return None
    if parent.get("seed") is not None:
        who = parent.get("name"), parent["seed"]
        alike = [entry for entry in entries if (entry.name, entry.training_config.get("seed")) == who]
    else:
        path = PurePosixPath(str(parent.get("path", "")))
        own = str(path.with_name(f"{run_of(Path(path.name))}.pt")) if path.name else None
        alike = [entry for entry in entries if entry.checkpoint_path == own]
    return alike[-1] if alike else None


def find(entries: Sequence[Entry], word: str, folder: Path) -> list[Entry]:
    """What a word may mean: an id or its beginning, a name, or a file of the run; several where it is not clear."""
    path = _relative(folder, Path(word).with_name(f"{run_of(Path(word))}.pt")) if Path(word).name else ""
    exact = [entry for entry in entries if word in (entry.id, entry.name) or entry.checkpoint_path == path]
    started = [entry for entry in entries if len(word) >= SHORTEST and entry.id.startswith(word.lower())]
    return exact or started


def set_tags(folder: Path, id: str, add: Sequence[str] = (), drop: Sequence[str] = ()) -> Entry:
    """Give and take tags; the entry afterwards.

    Raises:
        ExphilError: the registry cannot be read or written, or the entry is gone.
    """
    with _changing(folder) as entries:
        at = _place(entries, id, folder)
        kept = [tag for tag in entries[at].tags if tag not in drop]
        entries[at] = replace(entries[at], tags=list(dict.fromkeys([*kept, *add])))
        return entries[at]


def delete(folder: Path, id: str, *, files: bool) -> list[Path]:
    """Forget a run.

    Args:
        folder: Of the registry.
        id: Of the entry.
        files: Also remove the files of the run; never one outside of the folder, and no backup.

    Returns:
        The files that were removed.

    Raises:
        ExphilError: the run goes on, a file cannot be removed (the entry stays then), or the registry not written.
    """
    with _changing(folder) as entries:
        at = _place(entries, id, folder)
        gone = files_of(folder, entries[at]) if files else []
        for marker in (path for path in gone if path.name.endswith(MARKER)):
            _check_gone(marker)
        for path in gone:
            remove(path)
        del entries[at]
    return gone


def _check_gone(marker: Path) -> None:
    if marker not in {run.marker for run in unfinished(marker.parent)}:
        raise OutputError("the run is going on, or was a moment ago", str(marker), "stop it first")


def files_of(folder: Path, entry: Entry) -> list[Path]:
    """The files of a run that lie in the folder of the registry."""
    snapshot = entry.snapshot(folder)
    if snapshot is None or not snapshot.resolve().is_relative_to(folder.resolve()):
        return []
    found = find_run(snapshot.parent, snapshot.stem)
    return found.files if found else []


def _place(entries: Sequence[Entry], id: str, folder: Path) -> int:
    for at, entry in enumerate(entries):
        if entry.id == id:
            return at
    raise DataError(f"there is no entry {id} any more", str(folder / NAME), "exphil registry list shows what there is")


def best(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Runs with a held-out loss, lowest first; in one list those whose losses can be compared, the largest first."""
    groups: list[list[Entry]] = []
    for entry in (entry for entry in entries if entry.loss is not None):
        alike = next((group for group in groups if not apart(group[0].measured_on, entry.measured_on)), None)
        if alike is None:
            groups.append([entry])
        else:
            alike.append(entry)
    for group in groups:
        group.sort(key=lambda entry: entry.loss if entry.loss is not None else math.inf)
    return sorted(groups, key=len, reverse=True)


def ancestors(entries: Sequence[Entry], entry: Entry) -> list[Entry]:
    """What a run was made from, nearest first, as far as it is registered; a ring in a file is left where it closes."""
    found = [entry]
    while (above := parent_of(entries, found[-1])) is not None and above.id not in {each.id for each in found}:
        found.append(above)
    return found[1:]


def children(entries: Sequence[Entry], entry: Entry) -> list[Entry]:
    """What was made from a run directly."""
    return [
        other
        for other in entries
        if (above := parent_of(entries, other)) is not None and above.id == entry.id != other.id
    ]
