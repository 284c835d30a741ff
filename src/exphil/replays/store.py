"""The store: every game is parsed once and kept as it was packed, under the hash of its bytes.

A kept game is one file: a line that says what it is, a table of sections, and the sections. Opening maps it: nothing
is read before it is used, however long the game. Its name holds the content's hash, ``LAYOUT`` and the rollback
choice, so that a game of another kind is a miss and never a wrong row. A damaged file is a miss too: the head is
checked when it is opened, the rows before they are first used (a compressed game's whenever it is opened). A small
database beside the games knows unchanged replay files again without reading them; losing it costs time only.

A store that cannot be written to (a full disk, a read-only folder) says so once in ``trouble`` and goes on without.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from exphil.errors import DataError
from exphil.files import UNFINISHED, place, remove, size_bytes
from exphil.game.frames import SCHEMA_VERSION
from exphil.replays.index import Index
from exphil.replays.packing import SECTIONS, Bytes, Packed, lay_out
from exphil.replays.recording import Rollbacks

MAGIC = b"exphil game\n"
_READER = "../game/frames ../game/ids container events kernels recording seats slp quality duplicates packing library"


def _written_by(names: str) -> str:
    """A few letters that change with the text of modules, named from this folder."""
    made = hashlib.blake2b(digest_size=4)
    for name in names.split():
        with suppress(OSError):  # an installation without sources does not change
            made.update((Path(__file__).parent / f"{name}.py").read_bytes().replace(b"\r", b""))
    return made.hexdigest()


LAYOUT = f"{SCHEMA_VERSION}.{_written_by(_READER)}"
"""What a kept row means: the version of ``ROW``, and the text of the code that reads files and packs rows. A reader
that was mended reads every game again, whether or not anybody thought of raising a number."""
_HEAD = struct.Struct("<III")  # bytes of the table, its crc, where the sections begin
_KEY = re.compile(r"[0-9a-f]{16}-[0-9a-f.]+-(first|last)")
_MOST_NAMED = 5
_SHORTEST = 8  # letters by which a game is named to people
_MOST_TABLE = 1 << 20  # a table says a few facts; more is damage
_LEVEL = 3  # zstd: 15 bytes a frame at 0.25 us; level 9 saves one byte more and takes four times as long


@dataclass(frozen=True)
class About:
    """What is known of a kept game besides its rows; by seat where there are several.

    ``characters`` are internal numbers as chosen at the start; ``codes``, ``tags`` and ``names`` are empty texts where
    the file has none. ``quality`` and ``reasons`` are those of ``replays.quality``, ``identity`` that of
    ``replays.duplicates``.
    """

    version: str
    rows: int
    ports: tuple[int, ...]
    characters: tuple[int, ...]
    humans: tuple[bool, ...]
    codes: tuple[str, ...]
    tags: tuple[str, ...]
    names: tuple[str, ...]
    programs: tuple[bool, ...]
    quality: int
    reasons: tuple[str, ...]
    identity: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """A game of the store as ``Store.kept`` lists it."""

    key: str
    frames: int
    size_bytes: int
    modified: float  # seconds since 1970
    compressed: bool
    about: About


_NAMES = frozenset(("key", "compressed", "crc", "bytes", "places", "frames", "first_frame", "stage", "lacks", "about"))


class Damaged(Exception):  # noqa: N818  (an answer of the store to itself: a miss)
    """A file of the store that is not what was written."""


class Store:
    """A folder of kept games.

    Args:
        folder: Made when the first game is kept.
        rollbacks: Which version of a frame that netplay rolled back its games hold.
        compressed: How games are written: compressed they take an eighth of the disk and are decoded whole when they
            are opened.
        fresh: Look at nothing that is there already; what is read is written anew.
    """

    def __init__(
        self, folder: Path, rollbacks: Rollbacks = "first", *, compressed: bool = False, fresh: bool = False
    ) -> None:
        self.folder, self.rollbacks, self.compressed, self._fresh = folder, rollbacks, compressed, fresh
        self.trouble: str | None = None
        self._written: set[str] = set()
        self._checked: set[str] = set()
        self._index = Index(folder / "files.sqlite")

    @property
    def written(self) -> int:
        """Games that were put here by this object."""
        return len(self._written)

    def key(self, digest: str) -> str:
        """The name of a game: the hash of its file's bytes, the layout, the rollback choice."""
        return f"{digest}-{LAYOUT}-{self.rollbacks}"

    def path(self, key: str) -> Path:
        """Where a game is kept; a folder holds a 256th of them."""
        return self.folder / key[:2] / f"{key}.game"

    def known(self, file: str, stamp: tuple[int, int]) -> str | None:
        """The content's hash of a file that was read before and has the same size and time of change."""
        return None if self._fresh else self._index.get(os.path.abspath(file), stamp)  # noqa: PTH100 (a member too)

    def remember(self, file: str, stamp: tuple[int, int], digest: str) -> None:
        """Know a file again."""
        self._index.put(os.path.abspath(file), stamp, digest)  # noqa: PTH100

    def has(self, digest: str) -> bool:
        """Whether ``get`` would most likely give a game; only its head is looked at."""
        key = self.key(digest)
        if self._fresh and key not in self._written:
            return False
        try:
            return bool(_open(self.path(key))[0]["key"] == key)
        except (OSError, Damaged):
            return False

    def get(self, digest: str, *, whole: bool = False) -> tuple[About, Packed] | None:
        """A kept game; None when there is none, or a damaged one.

        Args:
            digest: The content's hash.
            whole: Its rows are about to be used: compare them with their check sum, the first time.
        """
        key = self.key(digest)
        if self._fresh and key not in self._written:
            return None
        try:
            table, data = _open(self.path(key))
            if table["compressed"] or (whole and digest not in self._checked):
                _check(table, data)  # a damaged compressed one may ask for any amount of memory
                self._checked.add(digest)
            return _about(table), _packed(table, data, key)
        except (OSError, Damaged):
            return None

    def put(self, digest: str, about: About, packed: Packed) -> bool:
        """Keep a game; whether that went well (if not, ``trouble`` says why)."""
        key = self.key(digest)
        try:
            _write(self.path(key), key, about, packed, self.compressed)
        except OSError as error:
            if self.verify(key) is not None:  # else somebody else has kept it meanwhile
                why = f"cannot be written ({error.strerror})"
                self.trouble = f"{self.folder}: {why}; games are held in memory or read again instead"
                return False
        self._written.add(key)
        return True

    def wrote(self, digest: str) -> bool:
        """Whether this object kept the game; False for one that was there before."""
        return self.key(digest) in self._written

    def kept(self) -> Iterator[Kept]:
        """Every readable game of the folder, whatever its rollback choice, sorted by name."""
        for key in self.keys():
            path = self.path(key)
            try:
                table, _ = _open(path)
                size = path.stat()
                if table["key"] != key:
                    continue
                compressed = bool(table["compressed"])
                yield Kept(key, table["frames"], size.st_size, size.st_mtime, compressed, _about(table))
            except (OSError, Damaged):
                continue

    def keys(self) -> list[str]:
        """The names of all files, damaged ones too."""
        paths = self.folder.glob("[0-9a-f][0-9a-f]/*.game")
        return sorted(path.stem for path in paths if _KEY.fullmatch(path.stem) and path.stem[:2] == path.parent.name)

    def size_bytes(self, *keys: str) -> int:
        """Bytes on disk of some games; none for those that are not there."""
        return size_bytes(map(self.path, keys))

    def verify(self, key: str) -> str | None:
        """What is wrong with a kept game; None when every byte is as it was written."""
        try:
            table, data = _open(self.path(key))
            _check(table, data)
            _packed(table, data, key)
        except Damaged as error:
            return str(error)
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return None

    def drop(self, key: str) -> None:
        """Forget a game.

        Raises:
            DataError: there is no such game.
            OutputError: it cannot be removed.
        """
        if not _KEY.fullmatch(key) or not self.path(key).is_file():
            raise DataError(f"no game {key}", str(self.folder), "exphil cache list names those that are there")
        remove(self.path(key))

    def find(self, word: str) -> str:
        """The one game whose name begins with a word.

        Raises:
            DataError: there is none, or several; names some of those that are there.
        """
        there = self.keys()
        meant = [key for key in there if key == word] or [key for key in there if word and key.startswith(word)]
        if len(meant) == 1:
            return meant[0]
        some, what = meant or there, f"several games begin with {word}" if meant else f"no game {word}"
        more = f" and {len(some) - _MOST_NAMED} more" if len(some) > _MOST_NAMED else ""
        listed = f"there are {', '.join(some[:_MOST_NAMED])}{more}"
        raise DataError(what, str(self.folder), listed if some else "nothing is kept there")

    def clear(self) -> int:
        """Forget all games and files; how many games there were. Touches only what a store writes.

        Raises:
            OutputError: something cannot be removed.
        """
        keys = self.keys()
        self._index.close()
        left = [self.folder / f"files.sqlite{end}" for end in ("", "-journal", "-wal", "-shm")]
        for path in self.folder.glob("[0-9a-f][0-9a-f]/.*.part"):
            meant = UNFINISHED.fullmatch(path.name)
            left += [path] if meant and _KEY.fullmatch(meant[1].removesuffix(".game")) else []
        for path in [*map(self.path, keys), *left]:
            remove(path)
        for path in self.folder.glob("[0-9a-f][0-9a-f]"):
            with suppress(OSError):
                path.rmdir()  # only when empty
        return len(keys)


def shortest(keys: Sequence[str]) -> dict[str, str]:
    """Sorted names of games, each with the beginning by which ``find`` tells it from the others."""
    found = {}
    for at, key in enumerate(keys):
        beside = [*keys[max(at - 1, 0) : at], *keys[at + 1 : at + 2]]
        alike = max((len(os.path.commonprefix([key, other])) for other in beside), default=0)  # noqa: RUF071  (letters)
        found[key] = key[: max(alike + 1, _SHORTEST)]
    return found


def other_layout(key: str) -> bool:
    """Whether a game was kept by a version of exphil with another layout: it is never looked at again."""
    return key.split("-")[1] != LAYOUT


def _write(path: Path, key: str, about: About, packed: Packed, compressed: bool) -> None:
    data = _planes(packed) if compressed else packed.data.tobytes()
    if compressed:
        data = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    table = {
        "key": key,
        "layout": LAYOUT,
        "compressed": compressed,
        "crc": zlib.crc32(data),
        "bytes": len(data),
        "places": packed.places,
        **{name: getattr(packed, name) for name in ("frames", "first_frame", "stage", "lacks")},
        "about": asdict(about),
    }
    words = json.dumps(table, separators=(",", ":")).encode()
    begin = -(-(len(MAGIC) + _HEAD.size + len(words)) // 64) * 64
    head = MAGIC + _HEAD.pack(len(words), zlib.crc32(words), begin) + words
    place(path, lambda file: file.write(head.ljust(begin, b"\0") + data), durable=False)  # check sums tell the rest


def _open(path: Path) -> tuple[dict[str, Any], Bytes]:
    """The table and the mapped sections of a file.

    Raises:
        Damaged: it is not as it was written.
        OSError: it is not there, or not given to us.
    """
    with path.open("rb") as file:
        head = file.read(len(MAGIC) + _HEAD.size)
        if len(head) < len(MAGIC) + _HEAD.size or not head.startswith(MAGIC):
            raise Damaged("not a kept game")
        size, crc, begin = _HEAD.unpack(head[len(MAGIC) :])
        words = file.read(size) if size <= _MOST_TABLE else b""
        if zlib.crc32(words) != crc or len(words) != size:
            raise Damaged("its table is damaged")
        length = file.seek(0, os.SEEK_END)
        if not words:  # zeros have the check sum of nothing
            raise Damaged("it has no table")
        table: dict[str, Any] = json.loads(words)
        if table.get("layout") != LAYOUT or not set(table) >= _NAMES:
            raise Damaged(f"kept by another version of exphil (layout {table.get('layout')}, this one is {LAYOUT})")
        if begin + table["bytes"] != length:
            raise Damaged(f"{length - begin} bytes of rows, {table['bytes']} were written")
        if table["bytes"] == 0:
            raise Damaged("it has no rows")
        data = np.memmap(file, np.uint8, "r", begin)
    return table, data.view(np.ndarray)


def _check(table: dict[str, Any], data: Bytes) -> None:
    if zlib.crc32(data.data) != table["crc"]:
        raise Damaged("its rows are damaged")


def _packed(table: dict[str, Any], data: Bytes, key: str) -> Packed:
    if table["key"] != key:
        raise Damaged(f"it holds the game {table['key']}")
    places = {name: (int(first), int(rows)) for name, (first, rows) in table["places"].items()}
    numbers = table["frames"], table["first_frame"], table["stage"], table["lacks"]
    if table["compressed"]:
        data, places = _unplaned(places, data)
    try:
        return Packed(data, places, *numbers)
    except ValueError as error:
        raise Damaged(str(error)) from error


def _about(table: dict[str, Any]) -> About:
    known: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in table["about"].items()}
    try:
        return About(**known)
    except TypeError as error:  # fields of another version
        raise Damaged("kept by another version of exphil") from error


def _row_bytes(name: str) -> int:
    kind, shape = SECTIONS[name]
    return kind.itemsize * int(np.prod(shape, dtype=int))


def _planes(packed: Packed) -> bytes:
    """All first bytes of a section's rows, then all second ones, and so on: like stands beside like."""
    parts = [packed.section(name) for name in SECTIONS]
    return b"".join(part.view(np.uint8).reshape(len(part), -1).T.tobytes() for part in parts if len(part))


def _unplaned(places: dict[str, tuple[int, int]], data: Bytes) -> tuple[Bytes, dict[str, tuple[int, int]]]:
    sizes = {name: places[name][1] * _row_bytes(name) for name in SECTIONS}
    try:
        raw = zstandard.ZstdDecompressor().decompress(data.tobytes(), max_output_size=sum(sizes.values()))
    except zstandard.ZstdError as error:
        raise Damaged("its rows are damaged") from error
    if len(raw) != sum(sizes.values()):
        raise Damaged("its rows are damaged")
    parts, at = {}, 0
    for name, size in sizes.items():
        kind, shape = SECTIONS[name]
        planes = np.frombuffer(raw, np.uint8, size, at).reshape(_row_bytes(name), -1)
        parts[name] = np.ascontiguousarray(planes.T).view(kind).reshape(-1, *shape)
        at += size
    return lay_out(parts)
