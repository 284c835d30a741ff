"""Frames that were encoded beforehand: the numbers of every row of a corpus in one file, loaded or mapped.

Encoding costs two to three percent of a training step and the numbers take nine times the room of the rows, so this
pays only where the processor that encodes is much slower than the one that trains. With variants, a row is there as
it is and with noise several times; what a pick asks for chooses among them. Mirrored rows are not kept: left and
right change places by a sign when a batch is made. Neither are actions: the own controller is among the numbers.

The file is numpy's own format: one record a row and variant. Its name says what it holds (games, seats, rollbacks,
table, variants), and a check sum beside it is compared when it is opened: a damaged one is made anew.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exphil.data.corpus import Corpus
from exphil.data.kept import sum_of
from exphil.data.loader import Encoded, Gathered, shown, states
from exphil.data.sampler import Pick
from exphil.errors import OutputError
from exphil.features.action import Codec
from exphil.features.augment import mirror, mirror_controllers, noisy, with_noise
from exphil.features.observation import Table
from exphil.files import place
from exphil.game.frames import Game, playing
from exphil.replays.recording import Rollbacks
from exphil.replays.store import LAYOUT

_AT_ONCE = 4096  # rows encoded in one go
_FORMAT = 4
Put = Callable[[int, int, NDArray[Any]], object]
"""Gets a plane, the number of a row, and records from there on."""


class Variants(NamedTuple):
    """What is kept of every row besides itself.

    Attributes:
        noisy: How many copies with noise.
        noise_scale: Its standard deviation. The noise is the same in every run, so that runs share a file.
    """

    noisy: int = 0
    noise_scale: float = 0.0

    @property
    def planes(self) -> int:
        """Planes of the file: the row as it is, then its copies."""
        return 1 + self.noisy


def record(table: Table) -> np.dtype[Any]:
    """One row of one variant."""
    fields: list[Any] = [
        ("floats", "<f4", (table.floats,)),
        ("ids", "<i2", (table.ids,)),
        ("playing", "u1"),
    ]
    size = np.dtype(fields).itemsize
    return np.dtype([*fields, ("padding", "u1", (-size % 4,))])


def size_bytes(rows: int, table: Table, variants: Variants) -> int:
    """Bytes of the embeddings of so many rows."""
    return (rows + 1) * variants.planes * record(read_of(table)).itemsize


def key(corpus: Corpus, table: Table, variants: Variants, rollbacks: Rollbacks) -> str:
    """The name of a file: everything that its numbers depend on."""
    seats = [(entry.digest, entry.seat, entry.style) for entry in corpus.entries]
    rows = [_FORMAT, LAYOUT, rollbacks, seats, corpus.length.tolist()]
    told = json.dumps([*rows, read_of(table).fingerprint, list(variants)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def read_of(table: Table) -> Table:
    """The same layout without delay: recent controllers are in other rows, and are put there when a batch is made."""
    return replace(table, max_delay=0)


def build(corpus: Corpus, table: Table, variants: Variants, put: Put, told: Callable[[int], None]) -> None:
    """Encode every row of a corpus.

    Args:
        corpus: The games.
        table: The feature table, without delay.
        variants: What else is kept of a row.
        put: Keeps records.
        told: Hears how many rows are done.
    """
    done = 0
    for index in range(len(corpus.entries)):
        rows = corpus.game(index).rows
        for first in range(0, len(rows), _AT_ONCE):
            game = Game(torch.from_numpy(rows[first : first + _AT_ONCE]))
            floats, ids = table.encode(game)
            part = np.zeros(len(game.rows), record(table))
            part["ids"], part["playing"] = ids.numpy(), playing(game).numpy()
            for plane in range(variants.planes):
                part["floats"] = (_noised(table, floats, variants, plane, done) if plane else floats).numpy()
                put(plane, done, part)
            done += len(game.rows)
            told(done)


def _noised(table: Table, floats: Tensor, variants: Variants, plane: int, at: int) -> Tensor:
    random = np.random.default_rng([plane, at])
    noise = random.normal(0, variants.noise_scale, (len(floats), len(noisy(table))))
    changed: Tensor = with_noise(table, floats, torch.from_numpy(noise.astype(np.float32)))
    return changed


def opened(
    corpus: Corpus,
    table: Table,
    variants: Variants,
    path: Path,
    *,
    rollbacks: Rollbacks,
    mapped: bool,
    fresh: bool,
    told: Callable[[int], None],
) -> NDArray[Any]:
    """The embeddings of a corpus: read, or made and kept.

    Args:
        corpus: The games.
        table: The feature table.
        variants: What else is kept of a row.
        path: The file.
        rollbacks: Which version of a frame that netplay rolled back the rows hold.
        mapped: Map the file instead of loading it.
        fresh: Make them anew whatever is there.
        told: Hears how many rows are done.

    Raises:
        OutputError: the file cannot be written, or is somebody else's.
    """
    shape = variants.planes, int(corpus.length.sum()) + 1
    name, table = key(corpus, table, variants, rollbacks), read_of(table)
    if fresh or not _holds(path, name, shape, record(table)):
        if path.exists() and path.name != f"{name}.npy" and not sum_of(path).exists():
            what = "is there already and holds no embeddings; it was not touched"
            raise OutputError(what, str(path), "choose another --mmap-path")
        try:
            _make(path, name, shape, lambda put: build(corpus, table, variants, put, told), record(table))
        except OSError as error:
            fix = "a disk with more room: --cache-dir, --mmap-path; or without --cache-embeddings and --cache-augmented"
            raise OutputError(f"embeddings cannot be written ({error.strerror or error})", str(path), fix) from error
    kept: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None)
    return kept


def _make(path: Path, name: str, shape: tuple[int, int], fill: Callable[[Put], None], kind: np.dtype[Any]) -> None:
    """Write a file and its check sum, each whole or not at all.

    It is written, not mapped: a full disk kills a process that writes to a mapped file.
    """

    def content(file: BinaryIO) -> None:
        head = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, head)
        begin, size = file.tell(), kind.itemsize

        def put(plane: int, at: int, records: NDArray[Any]) -> None:
            file.seek(begin + (plane * shape[1] + at) * size)
            file.write(records.tobytes())

        for plane in range(shape[0]):  # the row that stands behind the last one
            put(plane, shape[1] - 1, np.zeros(1, kind))
        fill(put)
        file.seek(0)
        told = json.dumps({"key": name, "crc": _crc(file)}).encode()
        place(sum_of(path), lambda beside: beside.write(told), durable=False)

    place(path, content, durable=False)


def _crc(file: BinaryIO) -> int:
    crc = 0
    while data := file.read(1 << 22):
        crc = zlib.crc32(data, crc)
    return crc


def _holds(path: Path, name: str, shape: tuple[int, int], kind: np.dtype[Any]) -> bool:
    """Whether a file holds these embeddings, every byte as it was written."""
    try:
        told = json.loads(sum_of(path).read_text(encoding="utf-8"))
        with path.open("rb") as file:
            if told["key"] != name or _crc(file) != told["crc"]:
                return False
        rows = np.load(path, mmap_mode="r")
        return bool(rows.shape == shape and rows.dtype == kind)
    except (OSError, ValueError, KeyError, TypeError):
        return False


class Embeddings:
    """A source of encoded stretches.

    Args:
        rows: Records ``(variants, rows + 1)`` as ``opened`` gives them.
        window: Decisions of a stretch.
        table: The feature table they were encoded with.
        codec: What the classes of an action stand for.
    """

    def __init__(self, rows: NDArray[Any], window: int, table: Table, codec: Codec) -> None:
        self._table, self._codec, self._rows, self._kind = table, codec, rows, record(read_of(table))
        self._length = window + 1 + table.max_delay
        self._planes, self._fields = len(rows), dict(self._kind.fields or {})

    def gather(self, pick: Pick) -> Gathered:
        """Records uint8 ``(B, window + 1 + delay, size)``; what lies beyond a game's end weighs nothing."""
        copies = self._planes - 1
        plane = np.where(pick.noise > 0, 1 + pick.noise % copies, 0) if copies else np.zeros(len(pick.first), np.int64)
        out = np.zeros((len(pick.first), self._length), self._kind)
        for at, (which, first) in enumerate(zip(plane.tolist(), pick.first.tolist(), strict=True)):
            part = self._rows[which, first : first + self._length]
            out[at, : len(part)] = part
        return (torch.from_numpy(out.view(np.uint8).reshape(*out.shape, self._kind.itemsize)),)

    def encode(self, gathered: Gathered, pick: Pick, device: torch.device) -> Encoded:
        """The numbers as they were kept: T states, answered by the last T controllers, and those before each answer."""
        rows, most = gathered[0].to(device, non_blocking=True), self._table.max_delay

        def column(name: str, kind: torch.dtype) -> Tensor:
            leaf, at = self._fields[name][:2]
            return rows[..., at : at + leaf.itemsize].contiguous().view(kind)

        read = column("floats", torch.float32)
        held, played = read[..., self._table.controller], column("playing", torch.uint8)[..., 0].bool()
        seen, recent = shown(read, held, pick.delay, most)
        floats, answers = self._table.with_recent(seen, recent), held[:, 1 + most :]
        if pick.mirrored.any():
            mirrored = torch.from_numpy(pick.mirrored).to(device)
            floats, answers = mirror(self._table, floats, mirrored), mirror_controllers(answers, mirrored)
        ids = states(column("ids", torch.int16).long(), pick.delay, most)
        return Encoded(floats, ids, self._codec.encode_floats(answers), played[:, most:-1])

    def free(self, gathered: Gathered) -> None:
        """Nothing is used again: the numbers are in the batch."""
