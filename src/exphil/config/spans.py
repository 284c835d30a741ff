"""Numbers that are written as one ("21") or as a span of them with both ends ("5..41")."""

from __future__ import annotations

from exphil.errors import OptionError


def span(text: str, least: int, most: int) -> range:
    """The numbers that ``text`` names.

    Raises:
        OptionError: no number and no span, not within ``least`` and ``most``, or the larger end first.
    """
    first, dots, last = (part.strip() for part in text.partition(".."))
    one, other = (_number(part) for part in (first, last if dots else first))
    if not (least <= one <= most and least <= other <= most):
        raise OptionError(f"'{text}' is not one number from {least} to {most}, nor a span of them as in 5..41")
    if one > other:
        raise OptionError(f"'{text}' has the larger number first", fix=f"the smaller first: {other}..{one}")
    return range(one, other + 1)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def spelled(numbers: range) -> str:
    """The text of a span, such that ``span`` gives it back."""
    return f"{numbers[0]}..{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
