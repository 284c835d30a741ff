"""Numbers that are written as one ("21") or as a span of them with both ends ("5..41")."""

from __future__ import annotations

from exphil.errors import OptionError


def span(text: str, least: int, most: int) -> range:
    """The numbers that ``text`` names.

    Raises:
        OptionError: no number and no span, or not within ``least`` and ``most``.
    """
    first, dots, last = (part.strip() for part in text.partition(".."))
    ends = [int(part) if part.isdecimal() else least - 1 for part in (first, last if dots else first)]
    if not least <= ends[0] <= ends[1] <= most:
        raise OptionError(f"'{text}' is not a number from {least} to {most}, nor two of them as in 5..41")
    return range(ends[0], ends[1] + 1)


def spelled(numbers: range) -> str:
    """The text of a span, such that ``span`` gives it back."""
    return f"{numbers[0]}..{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
