"""The embeddings in a folder, as ``data.embedded`` writes them: which there are, and forgetting them.

An embedding is ``NAME.npy`` with its check sum in ``NAME.npy.json`` beside it; a ``NAME.npy.*.part`` was never
finished. What else lies in the folder is not touched.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from exphil.errors import OutputError

_UNFINISHED = re.compile(r"[0-9a-f]{16}\.npy\.\w+\.part")


def embeddings(folder: Path) -> list[Path]:
    """The finished embeddings, sorted."""
    return sorted(path for path in folder.glob("*.npy") if _is_ours(path.with_name(path.name + ".json")))


def clear(folder: Path) -> tuple[int, int]:
    """Forget the embeddings of a folder: how many, and their bytes.

    Raises:
        OutputError: one cannot be removed.
    """
    found = embeddings(folder)
    left = [path for path in folder.glob("*.npy.*.part") if _UNFINISHED.fullmatch(path.name)]
    size = size_bytes([*found, *left])
    for path in [*(part for each in found for part in (each, each.with_name(each.name + ".json"))), *left]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot be removed ({error.strerror})", str(path), "check who owns it") from error
    return len(found), size


def size_bytes(paths: list[Path]) -> int:
    """Bytes of some files; none for those that are gone."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def _is_ours(path: Path) -> bool:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and {"key", "crc"} <= set(told)
