"""The conversation of ``exphil setup``: which question comes after which answer.

What enters: whom to ask, what the machine has. What leaves: values that fit each other and whose files are there. What
can go wrong: the answers end (EOFError); whatever cannot be used is told and asked again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from exphil.assemble import estimate
from exphil.assemble.estimate import Counted
from exphil.cli.questions import usable
from exphil.cli.questions.asking import Asking
from exphil.cli.terminal import Terminal
from exphil.config import wizard
from exphil.config.groups import OPTIONS
from exphil.config.wizard import Goal

Values = dict[str, Any]


def ask(terminal: Terminal, asking: Asking, gpu_bytes: int | None, given: Mapping[str, Any]) -> tuple[Values, Counted]:
    """Values of options, and the games that they can be used on.

    Args:
        terminal: Where is told what is recommended and what was found.
        asking: Asks.
        gpu_bytes: Memory of the GPU; None without one.
        given: Values that are settled already.
    """
    goal = wizard.GOALS[asking.pick("What would you like to do?", [each.title for each in wizard.GOALS])]
    answers = dict(given)
    if "init" in goal.asks:
        answers["init"] = asking.option(OPTIONS["init"], usable.newest_policy(), usable.policy)
    if "train_character" in goal.asks:
        answers["train_character"] = _character(asking, everybody="init" in goal.asks)
    values = _sizes(terminal, asking, goal, gpu_bytes, answers)
    option = OPTIONS["replays"]
    usual = option.convert(os.environ.get(option.env or "") or option.default)
    values["replays"], sources = asking.option(option, usual, lambda place: (place, usable.replays(terminal, place)))
    values = _option(asking, "max_files", values)
    counted = Counted(0, 0, False)
    if sources:
        counted = estimate.count(wizard.settings(values), sources)
        tell = terminal.say if counted.games else terminal.warn
        tell(f"{counted.games:,} of {len(sources):,} replays can be used, as far as their beginning tells")
    asked: tuple[str, ...] = wizard.ADVANCED
    if counted.games == 1:
        terminal.warn("of one game nothing can be held out, so nothing tells how well it goes: better get more")
        values = {name: value for name, value in values.items() if name not in wizard.HELD_OUT}
        asked = tuple(name for name in asked if name not in wizard.HELD_OUT)
    if asking.agree("Advanced options?", default=False):
        for name in asked:
            if wizard.applies(name, values):
                values = _option(asking, name, values)
    return values, counted


def _sizes(terminal: Terminal, asking: Asking, goal: Goal, gpu_bytes: int | None, answers: Values) -> Values:
    """What is recommended, or with other sizes."""
    memory = wizard.tier(gpu_bytes)
    values = wizard.recommended(goal, memory, answers)
    terminal.say(f"recommended for {memory.title} ({memory.why}; {wizard.WHY}):")
    told = wizard.words({name: value for name, value in values.items() if name not in answers})[1:]
    terminal.say(f"  {' '.join(told)}")
    if asking.agree("Use recommended settings?", default=True):
        return values
    for name in wizard.SIZES:
        if name in values:
            answers[name] = _option(asking, name, values)[name]
    return wizard.recommended(goal, memory, answers)


def _option(asking: Asking, name: str, values: Values) -> Values:
    option = OPTIONS[name]
    return asking.option(option, values.get(name, option.default), lambda value: usable.usable(values | {name: value}))


def _character(asking: Asking, everybody: bool) -> str | None:
    """A character; None for everybody."""
    names = list(wizard.CHARACTERS)
    known = [f"{name.replace('_', ' ').title()}: {wizard.CHARACTERS[name]}" for name in names]
    number = asking.pick("Which character?", [*known, "another one", *(["everybody"] if everybody else [])])
    if number < len(names):
        return names[number]
    return None if number > len(names) else asking.option(OPTIONS["train_character"], None, usable.needed)
