"""Files of a run: the snapshot (all to resume), the policy file (all to play) and the provenance page.

Loading runs no code.

``NAME.pt`` is torch's format read with ``weights_only``; ``NAME_policy.safetensors`` holds weights, and in its
metadata the options, the feature table's fingerprint and the baselines; ``NAME_config.json`` is for people. Every file
is written whole or not at all (``exphil.files``). Both carry check sums, which torch and safetensors do not look at
themselves: one flipped bit is refused.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from exphil.errors import PolicyError
from exphil.files import write
from exphil.train.runfiles import OTHER_PLACE, what_a_policy_is

FORMAT = 1
DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What safetensors calls the numbers that a policy may hold."""


@dataclass(frozen=True)
class PolicyFile:
    """What a policy file (or a snapshot) says.

    Attributes:
        weights: Parameters by name.
        config: The options of the run, by name.
        fingerprint: Of the feature table that it was trained with.
        baselines: As ``data.baselines`` wrote them.
        training: Name, seed, updates, losses and the like, for people.
        players: The registry of player styles as ``features.players`` wrote it; empty without styles.
        actions: The codec of actions as ``features.action`` wrote it; empty in files from before there was a choice.
    """

    weights: dict[str, Tensor]
    config: dict[str, Any]
    fingerprint: str
    baselines: dict[str, Any]
    training: dict[str, Any]
    players: dict[str, Any] = field(default_factory=dict)
    actions: dict[str, Any] = field(default_factory=dict)


def save_snapshot(path: Path, snapshot: Mapping[str, Any]) -> None:
    """Write ``NAME.pt``.

    Raises:
        OutputError: it cannot be written.
    """
    write(path, lambda file: _write_sealed(file, {"format": FORMAT, **snapshot}), OTHER_PLACE)


def _write_sealed(file: BinaryIO, content: Mapping[str, Any]) -> None:
    """Write torch's format and the check sum of its bytes behind it, where torch does not look.

    The sums within the archive do not cover the places of its parts: one flipped bit there moves a weight's numbers.
    """
    torch.save(content, file)
    size = file.seek(0, os.SEEK_END)
    seal = _seal(file, size)
    file.seek(size)
    file.write(seal)


def _seal(file: BinaryIO, size: int) -> bytes:
    """The check sum of a file's first bytes, as it stands behind them."""
    total, left, chunk = 0, size, memoryview(bytearray(1 << 20))
    file.seek(0)
    while left > 0:
        read = file.readinto(chunk[: min(left, len(chunk))])  # type: ignore[attr-defined]
        if not read:
            raise ValueError("cut off")
        total, left = zlib.crc32(chunk[:read], total), left - read
    return b"exphil %08x" % total


def load_snapshot(path: Path) -> dict[str, Any]:
    """Read ``NAME.pt``.

    Raises:
        PolicyError: missing, damaged, or not a snapshot.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END) - len(b"exphil 00000000")
            if _seal(file, size) != file.read():
                raise ValueError("check sum")
            file.seek(0)
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise PolicyError(f"cannot be read ({error.strerror})", str(path)) from None
    except Exception as error:  # a damaged file can raise anything here
        raise PolicyError(
            "not a snapshot, or damaged", str(path), "a snapshot is the NAME.pt that exphil train writes"
        ) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or "policy" not in found:
        raise PolicyError(
            "not a snapshot of this version of exphil", str(path), "a snapshot is the NAME.pt that exphil train writes"
        )
    return found


def save_policy(path: Path, file: PolicyFile) -> None:
    """Write ``NAME_policy.safetensors``.

    Raises:
        OutputError: it cannot be written.
    """
    words = {
        "config": file.config,
        "fingerprint": file.fingerprint,
        "baselines": file.baselines,
        "training": file.training,
        "players": file.players,
        "actions": file.actions,
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in file.weights.items()}
    text = json.dumps(words)
    metadata = {"format": str(FORMAT), "exphil": text, "checksum": _checksum(text, weights)}
    write(path, lambda out: _write_tensors(out, weights, metadata), OTHER_PLACE)


def _write_tensors(file: BinaryIO, weights: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the format of safetensors (https://huggingface.co/docs/safetensors): header size, header, rows of numbers.

    The library's own writer stops every other thread while it copies all numbers twice.
    """
    table: dict[str, Any] = {"__metadata__": dict(metadata)}
    ordered = sorted(weights.items(), key=lambda item: (-item[1].element_size(), item[0]))  # so that all are aligned
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.nbytes
        table[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    file.write(len(header).to_bytes(8, "little") + header)
    for _, tensor in ordered:
        file.write(_bytes(tensor))


def _checksum(words: str, weights: Mapping[str, Tensor]) -> str:
    total = zlib.crc32(words.encode())
    for name, tensor in sorted(weights.items()):
        total = zlib.crc32(f"{name} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(_bytes(tensor), total)
    return f"{total:08x}"


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def load_policy(path: Path) -> PolicyFile:
    """Read a policy file, or the policy within a snapshot.

    Raises:
        PolicyError: missing, damaged, or neither.
    """
    where = str(path)
    try:
        if path.suffix == ".pt":
            found = load_snapshot(path)
            return _policy_file(found["policy"], found)
        path.open("rb").close()
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if metadata["checksum"] != _checksum(metadata["exphil"], weights):
            raise ValueError("check sum")
        words = json.loads(metadata["exphil"])
        return _policy_file(weights, words)
    except OSError as error:
        raise PolicyError(f"cannot be read ({error.strerror})", where, what_a_policy_is(path)) from None
    except (SafetensorError, LookupError, ValueError, TypeError, RecursionError) as error:
        raise PolicyError("not a policy file, or damaged", where, what_a_policy_is(path)) from error


def _policy_file(weights: Any, words: Any) -> PolicyFile:
    known = {name: words[name] for name in ("config", "fingerprint", "baselines", "training")}
    younger = {name: words.get(name, {}) for name in ("players", "actions")}  # older files have none
    kinds = {name: str if name == "fingerprint" else dict for name in (*known, *younger)}
    if not all(isinstance(part, kinds[name]) for name, part in (known | younger).items()):
        raise TypeError("words of another kind")
    if not (isinstance(weights, dict) and all(isinstance(weight, Tensor) for weight in weights.values())):
        raise TypeError("weights that are no tensors")
    return PolicyFile(weights, **known, **younger)


def save_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a page for people.

    Raises:
        OutputError: it cannot be written.
    """
    write(path, lambda file: file.write((json.dumps(content, indent=2) + "\n").encode()), OTHER_PLACE)


def fit_weights(module: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Load weights strictly.

    Raises:
        PolicyError: naming the first parameter that differs, and both sides.
    """
    own = module.state_dict()
    for name in [*own, *weights]:
        here, there = own.get(name), weights.get(name)
        sides = [tuple(side.shape) if side is not None else "nothing" for side in (here, there)]
        if sides[0] != sides[1]:
            raise PolicyError(f"parameter {name}: the options make {sides[0]}, the file holds {sides[1]}", where)
    module.load_state_dict(dict(weights))
