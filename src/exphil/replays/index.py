"""The files whose content is known: a small database beside the kept games.

It spares reading a file that has not changed. Whatever goes wrong with it is a miss and costs time only: a damaged one
is made anew, one that others are writing to or that lies on a read-only disk is left alone.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

_PASSING = {
    getattr(sqlite3, f"SQLITE_{name}")
    for name in ("BUSY", "LOCKED", "PERM", "READONLY", "FULL", "IOERR", "CANTOPEN", "NOMEM", "INTERRUPT")
}
"""What is wrong with the place or the moment, not with the database."""


class Index:
    """File -> (size, time of change, content's hash). Safe to use from several threads and processes.

    Args:
        path: Made, with its folder, when the first file is put there.
    """

    def __init__(self, path: Path) -> None:
        self._database: sqlite3.Connection | None = None
        self._path, self._lock = path, threading.Lock()

    def close(self) -> None:
        """Let go of the file; it is opened again when it is asked for."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def __del__(self) -> None:
        self.close()

    def get(self, file: str, stamp: tuple[int, int]) -> str | None:
        """The content's hash of a file of this size and time of change; None when it is not known."""
        asked = "select digest from files where file = ? and size = ? and changed = ?"
        with self._lock:
            try:
                database = self._open(write=False)
                found = database.execute(asked, (file, *stamp)).fetchone() if database else None
            except (sqlite3.Error, OSError) as error:
                found = None
                self._lost(error)
        return found[0] if found and isinstance(found[0], str) else None

    def put(self, file: str, stamp: tuple[int, int], digest: str) -> None:
        """Know a file again."""
        with self._lock:
            try:
                database = self._open(write=True)
                if database:
                    database.execute("insert or replace into files values (?, ?, ?, ?)", (file, *stamp, digest))
            except (sqlite3.Error, OSError) as error:
                self._lost(error)

    def _open(self, write: bool) -> sqlite3.Connection | None:
        if self._database is None and (write or self._path.is_file()):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=1, check_same_thread=False, isolation_level=None)
            self._database = database
            database.execute("pragma synchronous = off")  # it can be made again from the files
            database.execute("create table if not exists files (file text primary key, size, changed, digest text)")
        return self._database

    def _lost(self, error: Exception) -> None:
        """Close a database that did not answer; remove it when it never will."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if isinstance(error, OSError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
            return
        for path in (self._path, self._path.with_name(self._path.name + "-journal")):
            with suppress(OSError):
                path.unlink(missing_ok=True)
