"""Words of a command line become a command, its positionals and its flags as typed.

cyclopts splits the words, prints help and installs shell completion; its functions are made from the option groups and
take text only, because converting and checking belongs to ``config``, where the problems of flags, files and variables
are reported together. What can go wrong: OptionError for words that cannot be split (no such command, no value after a
flag); unknown flags are passed on, for ``resolve`` to name beside the other problems.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
)
from cyclopts.utils import UNSET

from exphil import __version__
from exphil.config.commands import COMMANDS, Command, Positional
from exphil.config.option import Option, nearest, options_of
from exphil.errors import OptionError

FAMILIES = {
    "export": "Write a policy in another form: a graph, an entry for UMI, a folder to share.",
    "replays": "Look at folders and files of replays.",
    "cache": "Look after the parsed games and embeddings in --cache-dir.",
    "registry": "Look after the list of runs in --checkpoints-dir.",
}
HELP = "Train, evaluate, play and share Super Smash Bros. Melee bots learned from Slippi replays."
METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


@dataclass(frozen=True)
class Asked:
    """What a command line asks for; ``strays`` are words that belong to nothing."""

    command: str
    positionals: dict[str, Any]
    flags: dict[str, str | bool]
    strays: list[str]


def parse(argv: list[str]) -> Asked | None:
    """Splits a command line; None when it asked for help, the version or completion, which is then done.

    Raises:
        OptionError: for words that cannot be split.
    """
    typed: dict[str, str | bool] = {}
    try:
        action, bound, unused, _ = _app(typed, argv[:1]).parse_known_args(argv)
    except CycloptsError as error:
        raise _option_error(error) from None
    called = action(*bound.args, **bound.kwargs)
    if called is None:
        return None
    strays = _take_unknown(unused, typed)
    command, positionals = called
    return Asked(command, positionals, typed, strays)


def _take_unknown(unused: list[str], typed: dict[str, str | bool]) -> list[str]:
    """Adds the flags that cyclopts did not know to ``typed`` and returns the other words."""
    strays: list[str] = []
    flag = ""
    for word in unused:
        if word.startswith("-"):
            flag, equals, value = word.partition("=")
            typed[flag] = value if equals else True
        elif flag and typed[flag] is True:
            typed[flag] = word
        else:
            strays.append(word)
    return strays


def _app(typed: dict[str, str | bool], first: list[str]) -> App:
    """The cyclopts application; parsing writes the flags into ``typed`` as they were spelled.

    Where the first word is a command or a family, the others are left out: making them all takes a tenth of a second.
    """
    wanted = [name for name in COMMANDS if name.split()[:1] == first] or list(COMMANDS)
    kinds = {name.split()[0] for name in wanted}

    def record(app: App, commands: tuple[str, ...], arguments: Any) -> None:
        command = COMMANDS.get(" ".join(commands))
        words = {f"--{word.name}" for word in command.positionals} if command else set()
        for argument in arguments:
            for token in (token for token in argument.tokens if token.keyword and token.keyword not in words):
                on = token.implicit_value is not (token.keyword in argument.negatives)  # "--no-x" means False by itself
                typed[token.keyword] = token.value if token.implicit_value is UNSET else on

    app = App(name="exphil", help=HELP, version=__version__, help_format="plaintext", config=(record,))
    app.register_install_completion_command(help="Install shell completion and exit.")
    families = {name: App(name=name, help=text) for name, text in FAMILIES.items() if name in kinds}
    for family in families.values():
        app.command(family)
    for name, command in ((name, COMMANDS[name]) for name in wanted):
        family_name, _, last = name.rpartition(" ")
        families.get(family_name, app).command(_function(name, command), name=last, help=command.help)
    return app


def _function(name: str, command: Command) -> Callable[..., tuple[str, dict[str, Any]]]:
    """What cyclopts binds for one command: a function with its signature that returns its name and positionals."""

    def call(*words: str, **_: object) -> tuple[str, dict[str, Any]]:
        found: dict[str, Any] = {}
        for at, word in enumerate(command.positionals):
            typed = [_positional(word, text) for text in (words[at:] if word.many else words[at : at + 1])]
            found[word.name] = tuple(typed) if word.many else typed[0]
        return name, found

    parameters = [
        inspect.Parameter(
            word.name,
            inspect.Parameter.VAR_POSITIONAL if word.many else inspect.Parameter.POSITIONAL_OR_KEYWORD,
            annotation=Annotated[str, Parameter(help=word.help)],
        )
        for word in command.positionals
    ]
    titles = list(dict.fromkeys(getattr(group, "title", group.__name__) for group in command.groups))
    panels = {title: Group(title, sort_key=at) for at, title in enumerate(titles)}
    for group in command.groups:
        for option in options_of(group):
            panel = panels[getattr(group, "title", group.__name__)]
            parameters.extend(_parameters(option, panel, command.says.get(option.name)))
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


def _positional(word: Positional, text: str) -> Path | str:
    return Path(text).expanduser() if word.kind is Path else text


def _parameters(option: Option, panel: Group, says: str | None) -> list[inspect.Parameter]:
    """The option itself and each flag that sets it to a constant; values stay text."""
    help_ = (says or option.help) + (f" (variable {option.env})" if option.env else "")
    names = (option.flag, *option.aliases)
    shown = option.text(option.default) if option.default not in (None, ()) and says is None else False
    rule = Parameter(name=names, help=help_, group=panel, show_default=shown)
    if option.kind is bool:
        negative = "--no-" + option.flag[2:]
        kinds: list[tuple[str, Any]] = [(option.name, Annotated[bool | None, rule, Parameter(negative=negative)])]
    else:
        text = Literal[tuple(map(str, option.choices))] if option.choices else str
        metavar = "CHOICE" if option.choices else option.metavar or METAVARS[option.kind]
        kinds = [(option.name, Annotated[text | str | None, rule, Parameter(converter=_as_typed, metavar=metavar)])]
    for flag, value in option.sets.items():
        same = Parameter(name=flag, negative=(), help=f"same as {option.flag} {option.text(value)}", group=panel)
        kinds.append((flag[2:].replace("-", "_"), Annotated[bool | None, same, Parameter(show_default=False)]))
    kind = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(name, kind, default=None, annotation=hint) for name, hint in kinds]


def _as_typed(_: type, tokens: Sequence[Any]) -> Any:
    return tokens[0].value


def _option_error(error: CycloptsError) -> OptionError:
    """What cyclopts could not split, in our words."""
    chain = list(error.command_chain or ())
    if isinstance(error, UnknownCommandError):
        word = " ".join(chain + (error.unused_tokens or [])[:1])
        if word.startswith("-"):
            return OptionError(f"{word} stands before a command", fix=f"exphil COMMAND {word}")
        near = nearest(word, [*COMMANDS, *FAMILIES])
        return OptionError(
            f"unknown command '{word}'" + (f"; did you mean '{near}'?" if near else ""), fix="exphil --help"
        )
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        if error.keyword:
            return OptionError(f"flag {error.keyword}: a value is needed here")
        return OptionError(
            f"{' '.join(chain)} needs {error.argument.name.lstrip('-').upper()}: {error.argument.parameter.help}"
        )
    if isinstance(error, CoercionError) and error.token is not None:
        return OptionError(f"flag {error.token.keyword}: '{error.token.value}' is not yes or no")
    if isinstance(error, RepeatArgumentError):
        return OptionError(f"flag {error.token.keyword}: the option is given twice")
    error.verbose = False
    return OptionError(str(error))
