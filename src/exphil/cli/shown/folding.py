"""Text that fits into a width: lines folded between words, tables that become lists. Pure functions.

What enters: words, cells, a width in letters of a terminal (a wide letter takes two places). A word that is wider than
the width stays whole and stands out, so that a path or a command can still be copied.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

GAP = 2
"""Blanks between two columns."""
_BLANKS, _PARTS = re.compile(r"\s+"), re.compile(r"\s+|(?<=[/\\_-])")
_LEAST = 8  # letters that a folded column keeps, where its cells have them
_LABEL = re.compile(r"\s*\S.{0,18}?\s{2,}|\s*")  # "data       ", or blanks that begin a line


def harmless(text: str) -> str:
    """What others wrote (names of players and files), without letters that steer a terminal."""
    return "".join(letter if letter.isprintable() or unicodedata.category(letter) == "Zs" else "?" for letter in text)


def cells(text: str) -> int:
    """How many places of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_places, text))


def _places(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def filled(text: str, width: int) -> str:
    """A text cut or filled with blanks to exactly ``width`` places."""
    while cells(text) > width:
        text = text[:-1]
    return text + " " * (width - cells(text))


def folded(text: str, width: int, indent: int | None = None) -> list[str]:
    """A line in pieces of at most ``width`` places, broken between words.

    Args:
        text: One line.
        width: Places of a piece.
        indent: Blanks before the second and later pieces; by default as many as stand before the text behind a label
            (``data       12 games``), else two more than the line has.
    """
    if cells(text) <= width:
        return [text]
    found = _LABEL.match(text)
    begin = found.group() if found else ""
    hang = (cells(begin) if begin.strip() else len(begin) + 2) if indent is None else indent
    pieces, line = [], begin
    for word in text[len(begin) :].split():
        if line.strip() and line != begin and cells(line) + 1 + cells(word) > width:
            pieces.append(line)
            line = " " * hang + word
        else:
            line += word if line == begin else f" {word}"
    return [*pieces, line]


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], width: int
) -> tuple[list[str], list[str]]:
    """A table of at most ``width`` places: folded between words where it is too wide, else a list.

    Args:
        columns: Names.
        rows: Cells.
        right: Which columns are aligned to the right; these are never folded.
        width: Places of a line.

    Returns:
        The lines of the names and those of the rows. Where even parts of words have no room side by side there are no
        lines of names, and a row is an empty line and one ``name  value`` for each cell that is not empty.
    """
    whole = [[name, *(row[at] for row in rows)] for at, name in enumerate(columns)]
    sizes = [max(map(cells, column)) for column in whole]
    over = sum(sizes) + GAP * (len(sizes) - 1) - width
    for broken in (_BLANKS, _PARTS):  # between words, and if need be within paths and long names
        least = [_least(column, broken) for column in whole]
        least = [size if fixed else min(size, few) for size, fixed, few in zip(sizes, right, least, strict=True)]
        while over > 0 and sizes != least:  # the widest gives first
            at = max((at for at in range(len(sizes)) if sizes[at] > least[at]), key=sizes.__getitem__)
            sizes[at], over = sizes[at] - 1, over - 1
    if over > 0:
        return [], _listed(columns, rows, width)
    return _row(columns, sizes, right), [line for row in rows for line in _row(row, sizes, right)]


def _least(column: Sequence[str], broken: re.Pattern[str]) -> int:
    return max(_LEAST, *(cells(part) for cell in column for part in broken.split(cell)))


def _cut(text: str, width: int) -> str:
    """A cell whose words that are too wide are cut behind the separators of paths and names."""
    words = []
    for word in text.split(" "):
        line = ""
        for part in _PARTS.split(word) if cells(word) > width else [word]:
            if line and cells(line) + cells(part) > width:
                words.append(line)
                line = ""
            line += part
        words.append(line)
    return " ".join(words)


def _row(row: Sequence[str], sizes: Sequence[int], right: Sequence[bool]) -> list[str]:
    parts = [
        folded(_cut(cell, size) if cells(cell) > size else cell, size, 0) for cell, size in zip(row, sizes, strict=True)
    ]
    lines = []
    for at in range(max(map(len, parts), default=0)):
        texts = [part[at] if at < len(part) else "" for part in parts]
        shown = zip(texts, sizes, right, strict=True)
        lines.append((" " * GAP).join(" " * (n - cells(t)) + t if r else filled(t, n) for t, n, r in shown).rstrip())
    return lines


def _listed(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    name = max(map(cells, columns))
    lines = []
    for row in rows:
        lines.append("")
        for column, cell in zip(columns, row, strict=True):
            if cell.strip():
                lines += folded(f"{filled(column, name)}{' ' * GAP}{cell.strip()}", width, name + GAP)
    return lines
