"""Inside a ``.zip`` or ``.7z``: which members are replays, and their bytes.

A path enters; ``Member``s, each with the reason if it is refused, and bytes leave. Nothing is ever written to disk.
Members are read, never followed: a link, a device, a name that leads elsewhere or an archive inside the archive is
refused. What is wrong with an archive or a member ends as a ``ReplayError`` about it.

Bytes are pulled, a megabyte at a time, so nothing needs a thread and nothing is read that nobody asked for.
"""

from __future__ import annotations

import io
import os
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

from exphil.errors import ReplayError
from exphil.replays import sevenzip
from exphil.replays.unpack import (
    FOLDER,
    KIND,
    LINK,
    MAX_LIST_BYTES,
    MAX_RATIO,
    MAX_REPLAY_BYTES,
    REGULAR,
    failure,
    limit,
    size,
    take,
)

_LONGEST_NAME = 1024
_PIECE = 1 << 20
_REPLAYS = (".slp", ".slp.gz", ".slp.xz")
_ARCHIVES = (".zip", ".7z")
_NESTED = (".slp.gz", ".slp.xz", ".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst")
_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of characters, separators of lines


def is_replay(name: str) -> bool:
    """Whether a file of this name is one replay, plain or compressed (macOS's ``._`` companions are not)."""
    return name.lower().endswith(_REPLAYS) and not _base(name).startswith("._")


def is_archive(name: str) -> bool:
    """Whether a file of this name can be looked into."""
    return name.lower().endswith(_ARCHIVES) and not _base(name).startswith("._")


def is_solid(name: str) -> bool:
    """Whether a member's first byte may cost the unpacking of all that stand before it."""
    return name.lower().endswith(".7z")


def _base(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


@dataclass(frozen=True)
class Member:
    """One file of an archive that is a replay, or would be if ``refusal`` did not say why it is not read."""

    name: str
    size: int
    """As the archive claims."""
    refusal: str = ""


def _judge(name: str, claimed: int, mode: int, most: int, seen: set[str]) -> Member | None:
    """A member, refused or not; None for what nobody would take for a replay."""
    kind = mode & KIND
    if not name.lower().endswith((".slp", *_NESTED)) or kind == FOLDER or _base(name).startswith("._"):
        return None
    refusal = _hostile(name)
    if refusal:
        pass
    elif kind == LINK:
        refusal = "is a link"
    elif kind not in (0, REGULAR):
        refusal = "is not a plain file"
    elif name.lower().endswith(_NESTED):
        refusal = "is packed once more inside the archive: unpack it first"
    elif claimed > most:
        refusal = f"claims {size(claimed)}, which is no replay"
    elif name in seen:
        refusal = "stands in the archive twice"
    seen.add(name)
    return Member(name, claimed, refusal)


def _hostile(name: str) -> str:
    if any(unicodedata.category(letter) in _INVISIBLE for letter in name):
        return "its name holds control characters"
    if len(name) > _LONGEST_NAME:
        return f"its name has {len(name)} letters"
    if name[0] in "/\\":
        return "its name is absolute"
    if re.match(r"[A-Za-z]:", name):
        return "its name begins with a drive"
    return "its name leads out of the archive" if ".." in re.split(r"[/\\]", name) else ""


def _check_claims(total: int, file: io.BufferedReader) -> None:
    """Each member may be small enough and all of them together a bomb."""
    packed = os.fstat(file.fileno()).st_size
    if total > max(MAX_REPLAY_BYTES, MAX_RATIO * packed):
        raise ReplayError(f"claims to hold {size(total)} in {size(packed)}, which replays do not")


class Archive(Protocol):
    """An open archive; a context manager that closes it."""

    @property
    def members(self) -> list[Member]:
        """In the order of the archive; of members with one name only the first can be read."""

    def read(self, names: Iterable[str], count: int | None = None) -> Iterator[tuple[str, bytes | ReplayError]]:
        """The bytes of these members, or the first ``count`` of each; an error where there are none.

        A zip gives them in the order of ``names``, a 7z those that are not there first, then in its own order.
        """

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...


def open_archive(path: Path, max_bytes: int = MAX_REPLAY_BYTES) -> Archive:
    """Open a ``.zip`` or ``.7z`` and read its list of members; unpacks nothing.

    Raises:
        ReplayError: it cannot be read, is damaged, encrypted or a bomb, or py7zr is not installed.
    """
    file = None
    try:
        file = _Wary(path.open("rb", buffering=0))
        return _SevenZip(path, file, max_bytes) if is_solid(path.name) else _Zip(path, file, max_bytes)
    except Exception as error:  # both libraries raise nearly anything for a damaged list
        if file:
            file.close()
        raise failure(error, str(path)) from error


class _Wary(io.BufferedReader):
    """A file that hands out no more at once than a list of members may have: zipfile reads it in one go."""

    def read(self, count: int | None = -1, /) -> bytes:
        if count is not None and count > MAX_LIST_BYTES:
            raise ReplayError(f"lists too many members ({size(count)} of names)")
        return super().read(count)


class _Zip:
    """Members come in the order of the question."""

    def __init__(self, path: Path, file: io.BufferedReader, max_bytes: int) -> None:
        self._path, self._max_bytes, self._file = path, max_bytes, file
        self._zip = zipfile.ZipFile(file)
        self._listed: dict[str, tuple[Member, zipfile.ZipInfo]] = {}
        self.members: list[Member] = []
        seen: set[str] = set()
        for info in self._zip.infolist():
            name = info.orig_filename if "\0" in info.orig_filename else info.filename  # zipfile cuts at the zero
            most = limit(info.compress_size, max_bytes)
            member = None if info.is_dir() else _judge(name, info.file_size, info.external_attr >> 16, most, seen)
            if member is None:
                continue
            if not member.refusal and info.flag_bits & 1:
                member = replace(member, refusal="is encrypted")
            elif not member.refusal and info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                member = replace(member, refusal="is neither stored nor deflated, the two ways in which zips are read")
            self.members.append(member)
            self._listed.setdefault(name, (member, info))
        _check_claims(sum(member.size for member in self.members if not member.refusal), file)

    def read(self, names: Iterable[str], count: int | None = None) -> Iterator[tuple[str, bytes | ReplayError]]:
        for name in names:
            try:
                answer: bytes | ReplayError = self._read(name, count)
            except Exception as error:  # see open_archive
                answer = failure(error, f"{self._path}/{name}")
            yield name, answer

    def _read(self, name: str, count: int | None) -> bytes:
        if name not in self._listed:
            raise ReplayError("is not in the archive")
        member, info = self._listed[name]
        if member.refusal:
            raise ReplayError(member.refusal)
        with self._zip.open(info) as file:
            data = take(file.read, limit(info.compress_size, self._max_bytes), count)
        if count is None and len(data) != info.file_size:
            raise EOFError
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()
        self._file.close()


class _SevenZip:
    """Members come in the order of the archive, so that each block is unpacked once."""

    def __init__(self, path: Path, file: io.BufferedReader, max_bytes: int) -> None:
        self._path, self._file = path, file
        self._blocks: list[tuple[sevenzip.Block, list[Member | None]]] = []
        self._listed: dict[str, Member] = {}
        self.members: list[Member] = []
        seen: set[str] = set()
        for block in sevenzip.blocks(file):
            judged = [_judge(entry.name, entry.size, entry.mode, max_bytes, seen) for entry in block.entries]
            if block.refusal:
                judged = [member and replace(member, refusal=member.refusal or block.refusal) for member in judged]
            self._blocks.append((block, judged))
            self.members += [member for member in judged if member]
        for member in self.members:
            self._listed.setdefault(member.name, member)
        _check_claims(sum(entry.size for block, _ in self._blocks for entry in block.entries), file)

    def read(self, names: Iterable[str], count: int | None = None) -> Iterator[tuple[str, bytes | ReplayError]]:
        wanted = set()
        for name in dict.fromkeys(names):
            refusal = self._listed[name].refusal if name in self._listed else "is not in the archive"
            if refusal:
                yield name, ReplayError(refusal, f"{self._path}/{name}")
            else:
                wanted.add(name)
        for block, members in self._blocks:
            yield from self._read_block(block, members, wanted, count)

    def _read_block(
        self, block: sevenzip.Block, members: list[Member | None], wanted: set[str], count: int | None
    ) -> Iterator[tuple[str, bytes | ReplayError]]:
        read: Callable[[int], bytes] | None = None
        waiting = 0  # bytes between here and the next member that is wanted
        broken: ReplayError | None = None  # why the rest of the block is lost
        for entry, member in zip(block.entries, members, strict=True):
            if not member or member.refusal or member.name not in wanted:
                waiting += entry.size
                continue
            where, kept = f"{self._path}/{member.name}", entry.size if count is None else min(count, entry.size)
            answer: bytes | ReplayError
            if broken:
                yield member.name, failure(broken, where)
                continue
            try:
                read = read or block.open(self._file)
                _skip(read, waiting)
                answer = _exactly(read, kept)
                waiting = entry.size - kept
                if kept == entry.size and entry.crc is not None and zlib.crc32(answer) != entry.crc:
                    answer = ReplayError("is damaged (its checksum differs)", where)
            except Exception as error:  # see open_archive
                answer = broken = failure(error, where)
            yield member.name, answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _skip(read: Callable[[int], bytes], count: int) -> None:
    while count:
        piece = read(min(_PIECE, count))
        if not piece:
            raise EOFError
        count -= len(piece)


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    data = take(read, count, count)
    if len(data) != count:
        raise EOFError
    return data
