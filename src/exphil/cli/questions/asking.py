"""Questions to whoever sits there: with arrow keys in a terminal, by numbers and lines everywhere else.

What enters: texts, choices, defaults. What leaves: answers. What can go wrong: the answers end before the questions do,
which is EOFError and never a yes; Ctrl+C goes through as KeyboardInterrupt.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from exphil.cli.questions import arrow_keys
from exphil.cli.terminal import Terminal
from exphil.config.option import NO, YES, Option
from exphil.errors import ExphilError

A = TypeVar("A")
B = TypeVar("B")


class Lines:
    """Asks by lines of text: in files, pipes and terminals that cannot draw."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def pick(self, text: str, choices: Sequence[str], default: int = 0) -> int:
        """The number of a choice, from 0."""
        self._terminal.say("\n".join([text, *(f"  [{number}] {choice}" for number, choice in enumerate(choices, 1))]))
        words = {choice.lower(): number for number, choice in enumerate(choices)}
        words |= {str(number + 1): number for number in range(len(choices))}
        return self._one_of(f"Choice [{default + 1}]:", words, default, f"a number from 1 to {len(choices)}")

    def agree(self, text: str, default: bool) -> bool:
        """Yes or no."""
        words = {**dict.fromkeys((*YES, "y"), True), **dict.fromkeys((*NO, "n"), False)}
        return self._one_of(f"{text} [{'Y/n' if default else 'y/N'}]:", words, default, "y or n")

    def line(self, text: str, default: str = "", *, path: bool = False) -> str:
        """A line; ``default`` when it is empty."""
        return self._read(f"{text} [{default}]:" if default else f"{text}:") or default

    def _one_of(self, text: str, words: Mapping[str, A], default: A, wanted: str) -> A:
        while answer := self._read(text).lower():
            if answer in words:
                return words[answer]
            self._terminal.warn(f"'{answer}' is no answer here; {wanted} is")
        return default

    def _read(self, text: str) -> str:
        self._terminal.say(text)
        try:
            found = sys.stdin.readline() if sys.stdin else ""
        except UnicodeDecodeError:
            raise ExphilError("is not text", "standard input", "answers are lines of text in UTF-8") from None
        if not found:
            raise EOFError
        return found.strip()


class Asking:
    """Asks in the way that this place allows, and asks again until an answer can be used.

    Args:
        terminal: Where plain questions are told, and why an answer cannot be used.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._way = arrow_keys.ArrowKeys() if arrow_keys.are_there() else Lines(terminal)
        self.pick, self.agree, self.line = self._way.pick, self._way.agree, self._way.line

    def until(self, ask: Callable[[], A], judge: Callable[[A], B]) -> B:
        """What ``judge`` makes of an answer; when it raises ValueError or ExphilError that is told and asked again."""
        while True:
            answer = ask()
            try:
                return judge(answer)
            except (ValueError, ExphilError) as error:
                self._terminal.warn(str(error))

    def option(self, option: Option, default: Any, judge: Callable[[Any], B]) -> B:
        """What ``judge`` makes of a value of an option, which is asked as its field says."""
        text, preset = f"{option.flag}: {option.help}", option.text(default)
        if option.kind is bool:
            return self.until(partial(self.agree, text, bool(default)), judge)
        names = [option.text(choice) for choice in option.choices]
        if names and not option.many:
            picked = partial(self.pick, text, names, names.index(preset) if preset in names else 0)
            return self.until(picked, lambda number: judge(option.convert(names[number])))
        asked = partial(self.line, text, preset, path=option.kind is Path)
        return self.until(asked, lambda answer: judge(option.convert(answer)))
