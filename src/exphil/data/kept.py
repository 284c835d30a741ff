"""The embeddings in a folder, as ``data.embedded`` writes them: which there are, and forgetting them.

An embedding is ``NAME.npy`` with its check sum in ``NAME.npy.json`` beside it. What else lies in the folder is not
touched.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from exphil.files import UNFINISHED, remove, size_bytes

_NAME = re.compile(r"[0-9a-f]{16}\.npy(\.json)?")


def sum_of(path: Path) -> Path:
    """Where the check sum of an embedding stands."""
    return path.with_name(path.name + ".json")


def embeddings(folder: Path) -> list[Path]:
    """The finished embeddings, sorted."""
    return sorted(path for path in folder.glob("*.npy") if _is_sum(sum_of(path)))


def clear(folder: Path) -> tuple[int, int]:
    """Forget the embeddings of a folder: how many, and their bytes.

    Raises:
        OutputError: one cannot be removed.
    """
    found = embeddings(folder)
    left = [
        path
        for path in folder.glob(".*.part")
        if (meant := UNFINISHED.fullmatch(path.name)) and _NAME.fullmatch(meant[1])
    ]
    size = size_bytes([*found, *left])
    for path in [*found, *map(sum_of, found), *left]:
        remove(path)
    return len(found), size


def _is_sum(path: Path) -> bool:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and {"key", "crc"} <= set(told)
