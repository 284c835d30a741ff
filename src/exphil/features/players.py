"""Who plays: names of players, and the registry that gives each one the number of his style.

What enters: connect codes and in-game tags as recorded. What leaves: numbers for the ``style`` column, 0 = nobody in
particular. What can go wrong: a registry file that is damaged, of another version or of another size is refused with a
``DataError`` and left as it is.

Numbers never change once they are given: a policy has learned what each of them stands for. A registry of ``size`` N
gives 1..N. The last ones are *buckets*, which the players share who find no number of their own left; a player's bucket
follows from the name alone. One number in sixteen is a bucket: every bucket costs a player of his own, and the players
who land there are the ones with the fewest games, so few are enough; one alone would blend them all.

A player who is not in the registry has number 0, as has everybody with fewer games than ``min_games``: such a player is
left out on purpose and does not blend into a bucket either. Who is in the registry stays in it.
"""

from __future__ import annotations

import difflib
import json
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from exphil import files
from exphil.errors import DataError, OptionError, PolicyError

VERSION = 1
NOBODY = "NOBODY"
"""The name that asks for number 0; no connect code (they have a #) and no tag (four characters at most) can be it."""
_PLAYERS_A_BUCKET = 16
_LISTED = 12  # names that an error shows
_NOT = "not a registry of players, or damaged"
_MEND = "mend it, put back a copy, or name another file with --player-registry; this one was not touched"


def player_key(code: str, tag: str) -> str:
    """The name that a player is known by: the connect code, else the in-game tag, else "".

    Case, full-width letters and spaces do not count: ``"ｍａｎｇ＃０"`` is ``"MANG#0"``.
    """
    return _plain(code) or _plain(tag)


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper())
    return " ".join("".join(c for c in folded if c.isspace() or c.isprintable()).split())


class Known(NamedTuple):
    """What the registry holds of a player: ``games`` is the most that one set of replays had of his."""

    number: int
    games: int


@dataclass(frozen=True)
class Registry:
    """Numbers of players.

    Attributes:
        size: The highest number; 0 knows nobody.
        players: By name as ``player_key`` gives it.
        aliases: Other names of a player by his first one; meant to be written by hand into the file. A group has the
            number of its first name, else the lowest that one of its names has.
    """

    size: int
    players: Mapping[str, Known] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def build(keys: Iterable[str], size: int, min_games: int = 1) -> Registry:
        """A registry of the players of a set of games.

        Args:
            keys: ``player_key`` of one seat of one game each, in any order; "" is nobody.
            size: The highest number.
            min_games: A player with fewer games gets no number.
        """
        return Registry(size).extended(keys, min_games)

    def extended(self, keys: Iterable[str], min_games: int = 1) -> Registry:
        """The same numbers, and new ones for the players of ``keys`` (see ``build``) who have none; most games first.

        The same games again change nothing: games are not added up, the larger count is kept.
        """
        counts = Counter(self._known_as(name) for key in keys if (name := _plain(key)))
        players = {name: Known(n, max(games, counts.pop(name, 0))) for name, (n, games) in self.players.items()}
        taken = {found.number for found in players.values()}
        free = (number for number in range(1, self.own + 1) if number not in taken)
        for name, games in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            number = 0 if games < min_games else next(free, 0) or self._bucket(name)
            if number:
                players[name] = Known(number, games)
        return replace(self, players=players)

    @property
    def buckets(self) -> int:
        """How many of the last numbers are shared; a registry of one number has none."""
        return max(1, self.size // _PLAYERS_A_BUCKET) if self.size > 1 else 0

    @property
    def own(self) -> int:
        """How many numbers belong to one player each: 1 to this."""
        return self.size - self.buckets

    def number(self, key: str) -> int:
        """The number of a player, 1..size; 0 for "" and for whoever is not in the registry."""
        found = self.players.get(self._known_as(_plain(key)))
        return found.number if found else 0

    def named(self, name: str) -> int:
        """The number of a player who was asked for by name; ``nobody`` is 0.

        Raises:
            OptionError: nobody of that name, with the nearest names.
        """
        plain = _plain(name)
        number = self.number(plain)
        if number or plain == NOBODY:
            return number
        if not self.players:
            fix = "train with --learn-player-styles on games with connect codes or tags"
            raise OptionError(f"no style '{name}': the policy knows no players", fix=fix)
        names = [*self.players, *self._heads]
        near = list(dict.fromkeys(difflib.get_close_matches(plain, names, 3)))
        listed = sorted(self.players, key=lambda key: (-self.players[key].games, key))[:_LISTED]
        more = f" and {len(self.players) - _LISTED} more" if len(self.players) > _LISTED else ""
        fix = f"did you mean {' or '.join(near)}?" if near else f"it knows {', '.join(listed)}{more}"
        raise OptionError(f"no style '{name}': the policy does not know this player", fix=fix)

    @cached_property
    def _heads(self) -> dict[str, str]:
        return {other: first for first, others in self.aliases.items() for other in others}

    def _known_as(self, name: str) -> str:
        """The name in ``players`` that stands for a whole group; the group's first name when none of them is there."""
        first = self._heads.get(name, name)
        listed = [other for other in self.aliases.get(first, ()) if other in self.players]
        if first in self.players or not listed:
            return first
        return min(listed, key=lambda other: self.players[other].number)

    def _bucket(self, name: str) -> int:
        return self.own + 1 + zlib.crc32(name.encode()) % self.buckets if self.buckets else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a file, players by number."""
        ordered = sorted(self.players.items(), key=lambda item: (item[1].number, item[0]))
        return {
            "version": VERSION,
            "size": self.size,
            "players": {name: found._asdict() for name, found in ordered},
            "aliases": {first: list(others) for first, others in self.aliases.items()},
        }

    @staticmethod
    def from_dict(words: Any, where: str = "") -> Registry:
        """What ``as_dict`` gave; names may be written in any case.

        Raises:
            DataError: not a registry, of another version, or it contradicts itself; says what is wrong.
        """
        if isinstance(words, dict) and words.get("version", VERSION) != VERSION:
            what = f"a registry of players of version {words['version']}; this exphil reads version {VERSION}"
            raise DataError(what, where, "use the exphil that wrote it; it was not touched")
        try:
            return _checked(words)
        except ValueError as error:
            raise DataError(f"{_NOT}: {error}", where, _MEND) from None

    def save(self, path: Path) -> None:
        """Write the file, one player a line.

        Raises:
            OutputError: it cannot be written; what stood there before is untouched.
        """
        words = self.as_dict()
        blocks = []
        for block in ("players", "aliases"):
            lines = ",\n".join(f"    {_json(name)}: {_json(value)}" for name, value in words[block].items())
            blocks.append(f'  "{block}": {{\n{lines}\n  }}' if lines else f'  "{block}": {{}}')
        page = f'{{\n  "version": {VERSION},\n  "size": {self.size},\n' + ",\n".join(blocks) + "\n}\n"
        files.write(path, lambda file: file.write(page.encode()), "choose another --player-registry")

    @staticmethod
    def load(path: Path, size: int | None = None) -> Registry:
        """Read a file.

        Args:
            path: The file.
            size: What its size must be.

        Raises:
            DataError: it cannot be read, is damaged, of another version or size; it is never written to.
        """
        words = files.read_json(path, _NOT, _MEND)
        found = Registry.from_dict(words, str(path))
        if size is not None and found.size != size:
            what = f"a registry of {found.size} numbers; --num-player-names is {size}"
            raise DataError(what, str(path), f"--num-player-names {found.size}, or another --player-registry")
        return found


class Numbers(Protocol):
    """Gives players their numbers: a registry, or everybody the same."""

    def number(self, key: str) -> int:
        """The number of the player of one seat."""
        ...


class Everybody(NamedTuple):
    """Stands for a registry where all players are to have one number."""

    style: int

    def number(self, key: str) -> int:
        """The one number, whoever it is."""
        return self.style


def known(words: Mapping[str, Any], where: str) -> Registry:
    """The registry of a policy file; one that learned no styles knows nobody.

    Raises:
        PolicyError: it is damaged.
    """
    try:
        return Registry.from_dict(words, where) if words else Registry(0)
    except DataError as error:
        raise PolicyError(error.what, where, "another policy file") from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _dictionary(words: Any, what: str) -> dict[str, Any]:
    if not isinstance(words, dict):
        raise ValueError(f"{what} is not a list of names with values")
    return words


def _whole(value: Any, low: int, high: float, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        ends = f"from {low} to {high}" if high < float("inf") else f"of at least {low}"
        raise ValueError(f"{what} is {value!r}, not a whole number {ends}")
    return value


def _checked(words: Any) -> Registry:
    words = _dictionary(words, "the file")
    fields = ("version", "size", "players", "aliases")
    for name in (*fields, *words):
        if name not in words or name not in fields:
            raise ValueError(f"unknown key '{name}'" if name in words else f"no '{name}'")
    size = _whole(words["size"], 0, float("inf"), "its size")
    players: dict[str, Known] = {}
    holders: dict[int, str] = {}
    own = Registry(size).own
    for key, value in _dictionary(words["players"], "players").items():
        name, entry = _plain(key), _dictionary(value, f"player '{key}'")
        if not name or name in players or set(entry) != set(Known._fields):
            raise ValueError(f"player '{key}' is not a name that stands there once, with its number and games")
        number = _whole(entry["number"], 1, size, f"the number of '{key}'")
        if number <= own and holders.setdefault(number, name) != name:
            raise ValueError(f"'{holders[number]}' and '{key}' both have number {number} (one player? see aliases)")
        players[name] = Known(number, _whole(entry["games"], 0, float("inf"), f"the games of '{key}'"))
    return Registry(size, players, _checked_aliases(_dictionary(words["aliases"], "aliases")))


def _checked_aliases(words: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    aliases: dict[str, tuple[str, ...]] = {}
    for key, others in words.items():
        if not isinstance(others, list) or not all(isinstance(other, str) and _plain(other) for other in others):
            raise ValueError(f"the aliases of '{key}' are not a list of names")
        aliases[_plain(key)] = tuple(dict.fromkeys(map(_plain, others)))
    names = Counter([*map(_plain, words), *(other for others in aliases.values() for other in others)])
    for name, count in names.items():
        if count > 1 or not name:
            raise ValueError(f"'{name}' stands in more than one place of the aliases, or is no name")
    return aliases
