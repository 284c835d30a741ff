"""Which model or registered run a word of a command line means."""

from __future__ import annotations

from pathlib import Path

from exphil.config.option import nearest
from exphil.errors import DataError
from exphil.train import registry
from exphil.train.registry import Entry
from exphil.train.runfiles import of_run
from exphil.train.runs import find_run, names_in


def model(folder: Path, word: str) -> Path:
    """The snapshot or policy file that is meant: a file, or a name in the folder.

    A name alone is the last state of a run, ``NAME_best`` its best one.

    Raises:
        DataError: there is none; with the nearest name.
    """
    given = Path(word).expanduser()
    for path in (given, folder / given, folder / f"{word}_policy.safetensors", folder / f"{word}.pt"):
        if path.is_file():
            return path
    run = find_run(folder, word)
    if run is not None:  # it was stopped before the end of its first epoch
        return run.states[0].policy or run.states[0].files[0]
    raise _unknown(f"there is no model '{word}'", str(folder), word, names_in(folder), "exphil list")


def entry(folder: Path, word: str) -> tuple[list[Entry], Entry]:
    """The registry, and the entry that is meant: an id or its beginning, a name, or a file of the run.

    Raises:
        DataError: there is none, with the nearest name; or several, with their ids.
    """
    entries = registry.load(folder)
    found = registry.find(entries, word, folder)
    if not found:
        found = registry.find(entries, of_run(word)[0], folder)
    where = str(folder / registry.NAME)
    if not found:
        words = [each for entry in entries for each in (entry.name, entry.id)]
        raise _unknown(f"no registered run is meant by '{word}'", where, word, words, "exphil registry list")
    if len(found) > 1:
        ids = ", ".join(f"{entry.id} ({entry.created_at})" for entry in found)
        raise DataError(f"'{word}' may mean {len(found)} runs", where, f"say which by its id: {ids}")
    return entries, found[0]


def _unknown(what: str, where: str, word: str, names: list[str], listing: str) -> DataError:
    near = nearest(word, names)
    asked = f"; did you mean '{near}'?" if near else ""
    return DataError(what + asked, where, f"{listing} --checkpoints-dir FOLDER shows what there is")
