"""Unpacking without trust: the bytes of one plain, ``.gz`` or ``.xz`` replay, and the limits that archives share.

A path enters, bytes leave. Whatever is wrong with a file, whatever a decoder or the system says of it, ends as a
``ReplayError`` about that file, and no file may cost more than a replay is worth: unpacked bytes come a megabyte at a
time and are counted as they come, because what a file says of its own size is only its author's word.
"""

from __future__ import annotations

import io
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from exphil.errors import ExphilError, ReplayError

MAX_REPLAY_BYTES = 256 << 20
"""The longest real files have 15 MB, eight minutes of four Ice Climbers with items and rollbacks some 40 MB."""
FREE_BYTES = 16 << 20
"""Nothing this small is a bomb, however well it packs."""
MAX_RATIO = 300
"""Games pack to a 4th (deflate) or an 8th (LZMA), an idle camera perhaps to a 100th; zeros to a 7000th."""
MAX_DICTIONARY_BYTES = 1 << 30
"""What a decoder may keep of what it gave; 7-Zip's largest preset asks for a quarter of it."""
MAX_LIST_BYTES = 32 << 20
"""An archive's list of about 300,000 members; Python needs about a kilobyte to remember each."""

KIND, REGULAR, FOLDER, LINK = 0o170000, 0o100000, 0o040000, 0o120000  # of a file, as Unix and archives write it
_PIECE = 1 << 20  # unpacked at a time
_PACKED_PIECE = 1 << 16  # read at a time


def failure(error: Exception, where: str, offset: int | None = None) -> ReplayError:
    """What a library or the system says about a file, as the error of this package.

    Args:
        error: What was raised.
        where: The file.
        offset: How far into it has been read, where that is known: damage lies before.
    """
    damaged = "is damaged" if offset is None else f"is damaged before offset {offset}"
    if isinstance(error, ExphilError):
        return ReplayError(error.what, where, error.fix)
    if isinstance(error, MemoryError):
        return ReplayError("asks for more memory than there is", where)
    if isinstance(error, EOFError):
        return ReplayError(f"{damaged} (it ends too early)", where)
    if isinstance(error, OSError) and error.strerror:
        return ReplayError(f"cannot be read ({error.strerror})", where)
    if type(error).__name__ == "PasswordRequired":  # py7zr's, which may not be installed
        return ReplayError("is encrypted", where)
    return ReplayError(f"{damaged} ({str(error).rstrip('.') or type(error).__name__})", where)


def size(count: int) -> str:
    """So many bytes, for a sentence."""
    return f"{count / (1 << 20):,.0f} MB" if count >= 1 << 20 else f"{count:,} bytes"


def limit(packed: int, max_bytes: int) -> int:
    """How large a replay may become that has ``packed`` bytes on disk."""
    return min(max_bytes, max(FREE_BYTES, MAX_RATIO * packed))


def take(read: Callable[[int], bytes], most: int, count: int | None = None) -> bytes:
    """Everything, or the first ``count`` bytes, that ``read`` gives.

    Raises:
        ReplayError: as soon as it is more than ``most``.
    """
    found = io.BytesIO()  # its value is handed out without a copy
    while count is None or found.tell() < count:
        piece = read(_PIECE if count is None else min(_PIECE, count - found.tell()))
        if not piece:
            break
        found.write(piece)
        if found.tell() > most:
            raise ReplayError(f"unpacks to more than {size(most)}, which is no replay")
    return found.getvalue()


class Decoder(Protocol):
    """What ``lzma`` and ``bz2`` call a decompressor: gives at most ``max_length`` bytes and keeps the rest packed."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether more can only come from more packed bytes."""

    @property
    def unused_data(self) -> bytes:
        """What was handed in beyond the end of the stream."""

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        """At most ``max_length`` bytes; what they leave of ``data`` is kept."""


class Inflater:
    """zlib's decoder in the shape of lzma's and bz2's."""

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Whether the stream has ended, its checksum included."""
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        """Whether everything handed in is used up."""
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What was handed in beyond the end."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        """At most ``max_length`` bytes, from what was left of the input before and ``data``."""
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


class Unpacked:
    """What decoders make of packed bytes, never more than is asked for.

    Args:
        read: Gives at most so many packed bytes; none at their end.
        decoder: Makes the decoder of one stream.
        chained: Whether another stream may follow the first, as in ``.gz`` and ``.xz``.
    """

    def __init__(self, read: Callable[[int], bytes], decoder: Callable[[], Decoder], chained: bool = False) -> None:
        self._read, self._new, self._chained = read, decoder, chained
        self._decoder, self._rest = decoder(), b""

    def read(self, most: int) -> bytes:
        """One to ``most`` bytes; none at the end.

        Raises:
            EOFError: the packed bytes end before their stream does.
        """
        while not self._decoder.eof or self._another():
            hungry = self._decoder.needs_input
            packed = (self._rest or self._read(_PACKED_PIECE)) if hungry else b""
            self._rest = b"" if hungry else self._rest
            found = self._decoder.decompress(packed, most)
            if found:
                return found
            if hungry and not packed and not self._decoder.eof:
                raise EOFError
        return b""

    def _another(self) -> bool:
        if not self._chained:
            return False
        rest = self._decoder.unused_data.lstrip(b"\0")  # streams may be padded with zeros
        while not rest:
            piece = self._read(_PACKED_PIECE)
            if not piece:
                return False
            rest = piece.lstrip(b"\0")
        self._rest, self._decoder = rest, self._new()
        return True


class Part:
    """A stretch of an open file."""

    def __init__(self, file: io.BufferedReader, start: int, length: int) -> None:
        self._file, self._at, self._end = file, start, start + length

    def read(self, most: int) -> bytes:
        """At most ``most`` bytes; none at the end of the stretch or the file."""
        self._file.seek(self._at)
        piece = self._file.read(max(0, min(most, self._end - self._at)))
        self._at += len(piece)
        return piece


def _gz() -> Decoder:
    return Inflater(31)


def _xz() -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_DICTIONARY_BYTES)


def read_file(path: Path, count: int | None = None, max_bytes: int = MAX_REPLAY_BYTES) -> bytes:
    """The bytes of a plain or compressed replay, or the first ``count`` of them.

    Raises:
        ReplayError: it cannot be read, is damaged or too large, or changed meanwhile.
    """
    where, name = str(path), path.name.lower()
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if name.endswith((".gz", ".xz")):
                stream = Unpacked(file.read, _gz if name.endswith(".gz") else _xz, chained=True)
                try:
                    return take(stream.read, limit(before.st_size, max_bytes), count)
                except Exception as error:
                    raise failure(error, where, file.tell()) from error
            if before.st_size > max_bytes:
                raise ReplayError(f"has {size(before.st_size)}, which is no replay")
            if count is not None:
                return file.read(min(count, before.st_size))
            data, after = file.read(before.st_size + 1), os.fstat(file.fileno())
            if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
                raise ReplayError("changed while it was read")
            return data
    except Exception as error:  # decoders meet hostile bytes here: whatever they raise is about this file
        raise failure(error, where) from error
