"""How a ``.7z`` is packed: its blocks, what stands in each, and what unpacks it.

An open file enters, ``Block``s leave. The list of members is read by py7zr (the extra ``archives``); the packed bytes
are left to the decoders of the standard library, because py7zr's own unpacking pushes whole members, reads packed
bytes ahead of need and does not bound the output of every method. Raises whatever py7zr does for a damaged list.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from exphil.errors import ReplayError, extra
from exphil.replays.unpack import (
    FOLDER,
    LINK,
    MAX_DICTIONARY_BYTES,
    MAX_LIST_BYTES,
    Decoder,
    Inflater,
    Part,
    Unpacked,
    size,
    take,
)

MAX_MEMBERS = 400_000
"""Of one archive, whatever they are: some eight seconds to list."""

_MAGIC = b"7z\xbc\xaf\x27\x1c"
_ENCODED, _STREAMS, _FILES = b"\x17", b"\x04", b"\x05"  # what stands in a list of members
_COPY, _DELTA, _LZMA2, _LZMA1 = b"\x00", b"\x03", b"\x21", b"\x03\x01\x01"
_X86, _DEFLATE, _BZIP2, _AES = b"\x03\x03\x01\x03", b"\x04\x01\x08", b"\x04\x02\x02", b"\x06\xf1\x07\x01"


@dataclass(frozen=True)
class Entry:
    """One file, link or folder that the archive lists."""

    name: str
    size: int
    mode: int
    """Its kind as Unix writes it; 0 when the archive does not say."""
    crc: int | None


@dataclass
class Block:
    """Files that were packed as one."""

    start: int
    length: int
    decoder: Callable[[], Decoder] | None
    """None when they are stored as they are."""
    refusal: str
    """Why it is not unpacked; empty when it is."""
    entries: list[Entry] = field(default_factory=list)

    def open(self, file: io.BufferedReader) -> Callable[[int], bytes]:
        """Gives at most so many of the block's bytes at each call; none at their end."""
        part = Part(file, self.start, self.length)
        return Unpacked(part.read, self.decoder).read if self.decoder else part.read


def blocks(file: io.BufferedReader) -> list[Block]:
    """The blocks in the order of the file, last one for what has no bytes; unpacks nothing but the list itself.

    Raises:
        ExphilError: not a 7z, too long a list, sizes that cannot be, or py7zr is not installed.
    """
    py7zr = extra("py7zr", "archives", "reading .7z archives")
    _check_list(file)
    file.seek(0)
    archive = py7zr.SevenZipFile(file)
    streams = archive.header.main_streams
    found: list[Block] = []
    of_folder: dict[int, Block] = {}
    start, used = archive.afterheader + (streams.packinfo.packpos if streams else 0), 0
    for folder in streams.unpackinfo.folders if streams else ():
        lengths = streams.packinfo.packsizes[used : used + max(1, len(folder.packed_indices))]
        found.append(Block(start, sum(lengths), *_decoder(folder.coders)))
        of_folder[id(folder)] = found[-1]
        start, used = start + sum(lengths), used + len(lengths)
    found.append(Block(start, 0, None, ""))
    for listed in archive.files:
        if listed.uncompressed < 0:
            raise ReplayError("is damaged (a member of negative size)")
        entry = Entry(listed.filename, listed.uncompressed, _mode(listed), listed.crc32)
        of_folder.get(id(listed.folder), found[-1]).entries.append(entry)
    return found


def _check_list(file: io.BufferedReader) -> None:
    """Refuse a list that is longer than is reasonable, before py7zr spends half a kilobyte on each of its entries."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(32)
    if head[:6] != _MAGIC:
        raise ReplayError("is not a 7z archive")
    if len(head) < 32:
        raise EOFError
    offset, count = struct.unpack_from("<QQ", head, 12)
    if 32 + offset + count > length:
        raise EOFError
    file.seek(32 + offset)
    info = extra("py7zr.archiveinfo", "archives", "reading .7z archives")
    listed = io.BytesIO(file.read(count))
    kind = listed.read(1)
    if kind == _ENCODED:
        listed = io.BytesIO(_unpacked_list(file, info.HeaderStreamsInfo.retrieve(listed)))
        kind = listed.read(1)
    kind = listed.read(1)
    if kind == _STREAMS:
        info.StreamsInfo.retrieve(listed)
        kind = listed.read(1)
    if kind == _FILES and info.read_uint64(listed) > MAX_MEMBERS:
        raise ReplayError(f"lists more than {MAX_MEMBERS:,} members")


def _unpacked_list(file: io.BufferedReader, streams: Any) -> bytes:
    folder, *others = streams.unpackinfo.folders
    block = Block(32 + streams.packinfo.packpos, streams.packinfo.packsizes[0], *_decoder(folder.coders))
    if others or block.refusal:
        raise ReplayError(block.refusal or "is damaged (its list of members comes in parts)")
    if folder.unpacksizes[-1] > MAX_LIST_BYTES:
        raise ReplayError(f"lists too many members ({size(folder.unpacksizes[-1])} of names)")
    return take(block.open(file), MAX_LIST_BYTES, folder.unpacksizes[-1])


def _mode(listed: Any) -> int:
    """The kind of a member as Unix writes it; 0 when the archive does not say."""
    if listed.st_fmt is not None:
        return int(listed.st_fmt)
    return LINK if listed.is_symlink or listed.is_junction else FOLDER if listed.is_directory else 0


def _decoder(coders: list[dict[str, Any]]) -> tuple[Callable[[], Decoder] | None, str]:
    """What unpacks a block, or why it is not read."""
    methods = [(coder["method"], coder.get("properties") or b"") for coder in reversed(coders)]
    names = [name for name, _ in methods]
    if _AES in names:
        return None, "is encrypted"
    if names == [_COPY]:
        return None, ""
    if names == [_DEFLATE]:
        return partial(Inflater, -15), ""
    if names == [_BZIP2]:
        return bz2.BZ2Decompressor, ""
    filters = [found for name, properties in methods if (found := _filter(name, properties))]
    # x86 code before LZMA1 is left out: liblzma may keep its last bytes for itself
    if len(filters) < len(names) or names[-1] not in (_LZMA1, _LZMA2) or (names[-1] == _LZMA1 and len(names) > 1):
        return None, "is packed in a way that is not read here: pack it again with LZMA2, which 7-Zip does by default"
    needed = filters[-1]["dict_size"]
    if needed > MAX_DICTIONARY_BYTES:
        return None, f"needs {size(needed)} of memory: pack it again with a smaller dictionary"
    return partial(lzma.LZMADecompressor, lzma.FORMAT_RAW, filters=filters), ""


def _filter(method: bytes, properties: bytes) -> dict[str, int] | None:
    if method == _LZMA2 and len(properties) == 1 and properties[0] <= 40:
        bits = properties[0]
        return {"id": lzma.FILTER_LZMA2, "dict_size": min((2 | bits & 1) << (bits // 2 + 11), (1 << 32) - 1)}
    if method == _LZMA1 and len(properties) == 5 and properties[0] < 225:
        rest, lc = divmod(properties[0], 9)
        pb, lp = divmod(rest, 5)
        dictionary = int.from_bytes(properties[1:], "little")
        return {"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), "lc": lc, "lp": lp, "pb": pb}
    if method == _DELTA and len(properties) == 1:
        return {"id": lzma.FILTER_DELTA, "dist": properties[0] + 1}
    return {"id": lzma.FILTER_X86} if method == _X86 and not properties else None
