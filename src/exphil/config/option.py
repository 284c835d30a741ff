"""An option is one typed field; flags, file key, variable, converter, check, help and docs follow from it.

What enters: the fields of frozen dataclasses made with ``option(...)``. What leaves: ``Option`` descriptions
(``options_of``), one converter for every source (``Option.convert``) and the nearest right word for a wrong one
(``nearest``). What can go wrong: a value that cannot be converted raises ValueError with a sentence that quotes it; a
field whose type has no converter raises TypeError when the options are read, so at import. Nothing here knows about
Melee or about training.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from exphil.errors import ExphilError

YES, NO, NOTHING = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), ("none", "null", "~")


@dataclass(frozen=True)
class Check:
    """A condition on one value and the words that say it.

    Attributes:
        sentence: What follows the quoted value when the condition fails ("must be at least 1").
        holds: Whether a converted value is allowed.
    """

    sentence: str
    holds: Callable[[Any], bool]


def at_least(low: float) -> Check:
    """Values of ``low`` and more."""
    return Check(f"must be at least {low:g}", lambda value: bool(value >= low))


def above(low: float) -> Check:
    """Values greater than ``low``."""
    return Check(f"must be above {low:g}", lambda value: bool(value > low))


def between(low: float, high: float) -> Check:
    """Values from ``low`` to ``high``, both allowed."""
    return Check(f"must be between {low:g} and {high:g}", lambda value: bool(low <= value <= high))


def from_up_to(low: float, high: float) -> Check:
    """Values from ``low`` (allowed) to ``high`` (not allowed)."""
    return Check(f"must be at least {low:g} and below {high:g}", lambda value: bool(low <= value < high))


def inside(low: float, high: float) -> Check:
    """Values between ``low`` and ``high``, neither allowed."""
    return Check(f"must be above {low:g} and below {high:g}", lambda value: bool(low < value < high))


def each(check: Check) -> Check:
    """One value or more, every one of which passes ``check``."""
    sentence = f"must be one number or more, and every one {check.sentence}"
    return Check(sentence, lambda values: len(values) > 0 and all(check.holds(value) for value in values))


@dataclass(frozen=True, kw_only=True)
class Option:
    """Everything that is known about one option.

    Attributes:
        default: The value when no source gives one; already of the right type.
        help: One line for the help page, without a final full stop.
        check: The condition on a value, applied to everything but None.
        aliases: Other flags with the same meaning ("--seq-len").
        sets: Flags without a value that set this option to a constant ({"--fail-fast": False}).
        env: The environment variable that gives it, or None.
        choices: The only allowed values; empty when any value of the type is.
        synonyms: Other words for some of the choices ({"sliding_window": "attention"}).
        parse: Turns the text of one value into the official word, or raises ExphilError (names of characters).
        metavar: What stands for the value on the help page.
        name: The field, which is also the file key; unique over all groups.
        group: The class name of its group.
        kind: int, float, bool, str or Path.
        many: Whether the value is a tuple of ``kind``.
        optional: Whether None is a value.
    """

    default: Any
    help: str
    check: Check | None = None
    aliases: tuple[str, ...] = ()
    sets: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    env: str | None = None
    choices: tuple[Any, ...] = ()
    synonyms: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    parse: Callable[[str], str] | None = None
    metavar: str | None = None
    name: str = ""
    group: str = ""
    kind: type = str
    many: bool = False
    optional: bool = False

    @property
    def flag(self) -> str:
        """The flag that the documentation uses, "--window-size"."""
        return "--" + self.name.replace("_", "-")

    def spellings(self) -> dict[str, Any]:
        """Every flag of this option with the constant that it sets; None for a flag that needs a value."""
        if self.kind is bool and not self.many:
            plain: dict[str, Any] = dict.fromkeys((self.flag, *self.aliases), True)
            return plain | {"--no-" + self.flag[2:]: False} | dict(self.sets)
        return dict.fromkeys((self.flag, *self.aliases)) | dict(self.sets)

    def convert(self, raw: object) -> Any:
        """The typed value of what a flag, a variable, a file, a preset or a saved configuration holds.

        Args:
            raw: Text, or a value that JSON or a literal table can hold.

        Raises:
            ValueError: with one sentence that quotes the value.
        """
        if raw is None or (isinstance(raw, str) and self.optional and raw.strip().lower() in NOTHING):
            if self.optional:
                return None
            raise ValueError("a value is needed here")
        value = tuple(self._one(part) for part in _parts(raw)) if self.many else self._one(raw)
        if self.check and not self.check.holds(value):
            raise ValueError(f"'{_shown(raw)}' {self.check.sentence}")
        return value

    def text(self, value: Any) -> str:
        """The text of a value, such that ``convert(text(value)) == value``."""
        if value is None:
            return "none"
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(map(str, value)) if self.many else str(value)

    def _one(self, raw: object) -> Any:
        if isinstance(raw, (list, tuple, Mapping)):
            raise ValueError(f"'{_shown(raw)}' is not a single value")
        if isinstance(raw, bool) and self.kind is not bool:
            raise ValueError(f"'{_shown(raw)}' is a yes or no, not {_KINDS[self.kind]}")
        text = _shown(raw)
        value = _CONVERTERS[self.kind](text)
        if self.parse:
            try:
                value = self.parse(value)
            except ExphilError as error:
                raise ValueError(f"{error.what}; {error.fix}" if error.fix else error.what) from None
        return self._chosen(value, text) if self.choices else value

    def _chosen(self, value: Any, text: str) -> Any:
        words = {_folded(str(choice)): choice for choice in self.choices} | dict(self.synonyms)
        if _folded(str(value)) in words:
            return words[_folded(str(value))]
        near = nearest(text, [*map(str, self.choices), *self.synonyms]) if self.kind is str else None
        listed = ", ".join(map(str, self.choices))
        raise ValueError(f"'{text}' is not one of {listed}" + (f"; did you mean '{near}'?" if near else ""))


def option(
    default: Any,
    help: str,
    *,
    check: Check | None = None,
    aliases: tuple[str, ...] = (),
    sets: Mapping[str, Any] | None = None,
    env: str | None = None,
    choices: tuple[Any, ...] = (),
    synonyms: Mapping[str, Any] | None = None,
    parse: Callable[[str], str] | None = None,
    metavar: str | None = None,
) -> Any:
    """A dataclass field that is an option; see ``Option`` for the arguments.

    Returns:
        A ``dataclasses.field`` (typed Any, so that the field's annotation is what counts).
    """
    spec = Option(
        default=default,
        help=help,
        check=check,
        aliases=aliases,
        sets=sets or {},
        env=env,
        choices=choices,
        synonyms=synonyms or {},
        parse=parse,
        metavar=metavar,
    )
    return dataclasses.field(default=default, metadata={"option": spec})


@cache
def options_of(group: type) -> tuple[Option, ...]:
    """The options of one group, in the order of its fields.

    Raises:
        TypeError: for a field without ``option`` or of a type that has no converter.
    """
    hints, found = typing.get_type_hints(group), []
    for field in dataclasses.fields(group):
        spec = field.metadata.get("option")
        kind, many, optional = _kind(hints[field.name])
        if not isinstance(spec, Option) or kind not in _CONVERTERS:
            raise TypeError(f"{group.__name__}.{field.name} is not an option of a known type")
        typed = dataclasses.replace(
            spec, name=field.name, group=group.__name__, kind=kind, many=many, optional=optional
        )
        found.append(typed)
    return tuple(found)


def options_by_name(groups: Iterable[type]) -> dict[str, Option]:
    """All options of several groups.

    Raises:
        ValueError: when two options share a name, a flag or a variable: one word has one meaning.
    """
    options: dict[str, Option] = {}
    taken = {"--help": "exphil", "--version": "exphil"}
    for item in (item for group in groups for item in options_of(group)):
        for word in (item.name, *item.spellings(), *([item.env] if item.env else [])):
            if word in taken:
                raise ValueError(f"'{word}' of {item.group}.{item.name} is already a word of {taken[word]}")
            taken[word] = f"{item.group}.{item.name}"
        options[item.name] = item
    return options


def distance(left: str, right: str) -> int:
    """How many letters to insert, delete, change or swap with their neighbour (optimal string alignment)."""
    rows = [list(range(len(right) + 1))]
    for i, x in enumerate(left, start=1):
        row = [i]
        for j, y in enumerate(right, start=1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == right[j - 2] and y == left[i - 2]:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant: three slips away at most and not wholly different; else None."""
    ranked = []
    for candidate in candidates:
        left, right = _folded(word), _folded(candidate)
        steps = distance(left, right)
        if steps <= 3 and steps < max(len(left), len(right), 1):
            ranked.append((steps, -difflib.SequenceMatcher(None, left, right).ratio(), candidate))
    return min(ranked)[2] if ranked else None


def _folded(word: str) -> str:
    return word.strip().lstrip("-").lower().replace("-", "_")


def _shown(raw: object) -> str:
    if isinstance(raw, (list, tuple)):
        return ",".join(map(_shown, raw))
    return str(raw).lower() if isinstance(raw, bool) else str(raw)


def _parts(raw: object) -> Iterable[object]:
    if isinstance(raw, str):
        return [part.strip() for part in raw.split(",")] if raw.strip() else []
    return raw if isinstance(raw, (list, tuple)) else [raw]


def _kind(hint: Any) -> tuple[Any, bool, bool]:
    optional = isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
    if optional:
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    many = typing.get_origin(hint) is tuple
    return (typing.get_args(hint)[0] if many else hint), many, optional


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a whole number") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"'{text}' is not a finite number")
    return value


def _yes_or_no(text: str) -> bool:
    if text.strip().lower() not in YES + NO:
        raise ValueError(f"'{text}' is not yes or no")
    return text.strip().lower() in YES


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("an empty text is no value")
    return text


def _path(text: str) -> Path:
    try:
        return Path(_words(text)).expanduser()
    except RuntimeError:
        raise ValueError(f"'{text}' begins with a user who is not known here") from None


_KINDS = {int: "a whole number", float: "a number", bool: "a yes or no", str: "a text", Path: "a path"}
_CONVERTERS: dict[type, Callable[[str], Any]] = {
    int: _whole,
    float: _number,
    bool: _yes_or_no,
    str: _words,
    Path: _path,
}
