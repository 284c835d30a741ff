"""How much memory a run will want for its games, told before anything is read.

A file's size says how many frames it holds well enough: about 330 bytes a frame, rolled-back ones included.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from exphil.replays.sources import Source

FILE_BYTES_A_FRAME = 330
"""Of a plain ``.slp``: the median of 894 public files is 311 to 344 by version from 3.9 on, older ones are smaller."""
PACKED_BYTES_A_FRAME = 140
"""Of a game in memory: 128 for the leaders, and what most games have in items."""
UNPACKED = {".gz": 4.2, ".xz": 7.8}
"""How much larger a replay is than its packed file; measured on a 3.2 MB game of Slippi 3.14."""
SHARE = 0.8
"""Of the free memory: above it a run should stream."""


class Forecast(NamedTuple):
    """What the games of a run will take.

    Attributes:
        files: Files whose rows are there at a time; frames: about how many frames all files hold.
        need_bytes: Memory of their rows, or of their embeddings.
        free_bytes: What is free now; None when the system does not say.
    """

    files: int
    frames: int
    need_bytes: int
    free_bytes: int | None

    @property
    def fits(self) -> bool:
        """Whether there is room; a system that does not say is given the benefit of the doubt."""
        return self.free_bytes is None or self.need_bytes <= SHARE * self.free_bytes

    @property
    def stream_files(self) -> int:
        """Files at a time that take half of the free memory."""
        return max(1, int(self.files * 0.5 * (self.free_bytes or 0) / max(self.need_bytes, 1)))

    def __str__(self) -> str:
        free = "" if self.free_bytes is None else f"; {_size(self.free_bytes)} are free"
        need = f"about {_size(self.need_bytes)}" if self.need_bytes else "next to none (mapped files)"
        return f"{need} for about {self.frames:,} frames{free}"


def frames_in(sources: Iterable[Source]) -> int:
    """About how many frames some files hold. A file that cannot be looked at counts as none."""
    return int(sum(map(_bytes, sources)) / FILE_BYTES_A_FRAME)


def _bytes(source: Source) -> float:
    if source.claimed is not None:
        return source.claimed
    try:
        return source.path.stat().st_size * UNPACKED.get(source.path.suffix.lower(), 1.0)
    except OSError:
        return 0


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
