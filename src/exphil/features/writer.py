"""From rows to floats: one part of the feature table at a time, columns that stand side by side in one lookup."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exphil.features.rows import Lit, Part, Read
from exphil.features.view import Constant, View
from exphil.game.frames import COLUMNS, Array, Group


class _Run(NamedTuple):
    """Columns of one type whose rows stand side by side: one lookup reads them all."""

    type: str
    places: Constant  # int64 ``(repetitions, n)``, or ``(n,)`` when there is one


class Writer:
    """Writes one part into its place among the floats of a frame.

    Args:
        part: The part.
        repetitions: How many of its group are read: 2 players, 5 items; 1 leaves that axis out.
        place: Of its section among the floats.
        inside: Of the part within one repetition of its section.
    """

    def __init__(self, part: Part, repetitions: int, place: slice, inside: slice) -> None:
        self._part, self._repetitions, self._place, self._inside = part, repetitions, place, inside
        self._where = COLUMNS[part.group][part.where] if part.where else None
        each = (place.stop - place.start) // repetitions
        self._starts = Constant(place.start + inside.start + each * np.arange(repetitions))
        self._pieces: list[tuple[int, int, _Run | Read | Lit]] = []
        places: list[list[int]] = []
        at, kind = 0, ""
        for row in (*part.rows, None):
            column = COLUMNS[part.group][row.read] if row and isinstance(row.read, str) else None
            if places and (column is None or column.type != kind):
                index = np.array(places, np.int64).T
                self._pieces.append(
                    (at - len(places), at, _Run(kind, Constant(index[0] if repetitions == 1 else index)))
                )
                places = []
            if column:
                kind = column.type
                places.append([column.first + column.step * seat for seat in range(repetitions)])
            elif row:
                self._pieces.append((at, at + row.width, row.read))  # type: ignore[arg-type]
            at += row.width if row else 0

    def write(self, floats: Array, view: View) -> None:
        """Fill this part of ``floats``, contiguous ``S + (F,)`` and zeros so far, with what is read, not scaled yet."""
        group: Group = getattr(view, self._part.group)
        there = None
        if self._where:
            kind, first, step, _ = self._where
            there = view.game.elements(kind)[..., first : first + step * self._repetitions : step] != 0
            if not there.any():
                return
        block = floats[..., self._place]
        if self._repetitions > 1:
            block = block.reshape((*floats.shape[:-1], self._repetitions, -1))
        block = block[..., self._inside]
        for first, last, found in self._pieces:
            if isinstance(found, _Run):
                elements = view.game.elements(found.type)
                block[..., first:last] = elements[..., found.places.on(elements)]
            elif isinstance(found, Lit):
                place = found.place(view, group)[..., : self._repetitions]
                floats.reshape(-1)[view.lines(floats) + self._starts.on(place) + first + place] = 1.0
            elif last - first > 1:
                block[..., first:last] = found(view, group)
            else:
                read = found(view, group)
                block[..., first] = read[..., : self._repetitions] if self._repetitions > 1 else read
        if there is not None:
            block *= there if self._repetitions == 1 else there[..., None]
            block += 0.0  # a negative number times 0 is -0.0, which a frame alone does not have
