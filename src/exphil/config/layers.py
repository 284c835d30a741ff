"""Five layers of values become one frozen ``Settings``: default < environment < preset < file < flag.

What enters: a command, the flags as they were typed and the environment. What leaves: typed values, and for each
where it came from. What can go wrong: everything at once. All unknown words, bad values and contradictions of all
layers are collected and raised together in one OptionError, one line each with the source, the value and the nearest
right word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exphil.config import groups as g
from exphil.config.commands import COMMANDS
from exphil.config.judging import Derived, Problem
from exphil.config.option import Option, nearest, options_by_name
from exphil.config.presets import PRESETS
from exphil.config.rules import RULES
from exphil.errors import OptionError


class Settings:
    """The complete, checked values of one command; frozen, comparable and picklable.

    A group is an attribute (``settings.data.replays``) and only the groups of the command exist. An option is found by
    its name alone too: ``settings["replays"]``; ``"replays" in settings`` says whether the command has it.

    Attributes:
        command: The command whose groups these are.
        notices: Sentences about implied values that the user should read once.
    """

    command: str
    notices: tuple[str, ...]
    data: g.Data
    seats: g.Seats
    character: g.Character
    characters: g.Characters
    stages: g.Stages
    choosing: g.Choosing
    heldout: g.HeldOut
    netplay: g.Netplay
    balance: g.Balance
    errors: g.Errors
    store: g.Store
    keeping: g.Keeping
    cachedir: g.CacheDir
    feeding: g.Feeding
    validation: g.Validation
    walking: g.Walking
    features: g.Features
    players: g.Players
    augment: g.Augment
    backbone: g.Backbone
    model: g.Model
    scan: g.Scan
    attention: g.Attention
    training: g.Training
    seed: g.Seed
    batches: g.Batches
    averaging: g.Averaging
    stopping: g.Stopping
    loss: g.Loss
    teacher: g.Teacher
    ratesweep: g.RateSweep
    checkpointsdir: g.CheckpointsDir
    name: g.Name
    saving: g.Saving
    layers: g.Layers
    machine: g.Machine
    readers: g.Readers
    run: g.Run
    probe: g.Probe
    monitoring: g.Monitoring
    profile: g.Profile
    quiet: g.Quiet
    verbose: g.Verbose
    output: g.Output
    order: g.Order
    tagged: g.Tagged
    deleting: g.Deleting
    page: g.Page
    sticks: g.Sticks
    actions: g.Actions
    delay: g.Delay
    delays: g.Delays
    playing: g.Playing
    player: g.Player
    deciding: g.Deciding
    written: g.Written
    benchmark: g.Benchmark
    world: g.World
    arena: g.Arena
    match: g.Match
    graph: g.Graph
    sharing: g.Sharing
    examined: g.Examined

    def __init__(
        self, command: str, values: Mapping[str, Any], sources: Mapping[str, str], notices: tuple[str, ...] = ()
    ) -> None:
        parts = {}
        for group in COMMANDS[command].groups:
            names = options_by_name([group])
            parts[group.__name__.lower()] = group(**{name: values[name] for name in names})
        state = {"command": command, "notices": notices, "_sources": dict(sources), "_values": dict(values)}
        self.__dict__.update(parts | state)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings are frozen: '{name}' cannot be set; use changed()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"settings are frozen: '{name}' cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Settings({self.command!r}, {self.__dict__['_values']!r})"

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__["_values"]

    def __getitem__(self, name: str) -> Any:
        return self.__dict__["_values"][name]

    @property
    def sources(self) -> dict[str, str]:
        """Where each value came from.

        "default", "environment EXPHIL_REPLAYS_DIR", "preset quick", "file run.yaml", "flag --seq-len", "implied by
        --backbone gru", or what ``changed`` was told.
        """
        return dict(self.__dict__["_sources"])

    def given(self, name: str) -> bool:
        """Whether somebody chose this value, in any layer."""
        return bool(self.__dict__["_sources"][name] != "default")

    def flat(self) -> dict[str, Any]:
        """Every option by its name; ``jsonable`` makes it plain for a file."""
        return dict(self.__dict__["_values"])

    def changed(self, values: Mapping[str, Any], source: str) -> Settings:
        """The same settings with some values replaced, converted and checked one by one; rules are not applied again.

        Args:
            values: New values by option name.
            source: What ``sources`` will say of them.

        Raises:
            OptionError: for a name that the command does not have or a value that fails its check.
        """
        reader = _Reader(self.command)
        new, sources = reader.values(reader.keys(values.items(), source))
        reader.stop_if_any_problem()
        return Settings(self.command, self.flat() | new, self.sources | sources, self.notices)

    def with_notice(self, notice: str) -> Settings:
        """The same settings with one more sentence for the user."""
        return Settings(self.command, self.flat(), self.sources, (*self.notices, notice))

    @classmethod
    def from_flat(cls, command: str, mapping: Mapping[str, Any]) -> Settings:
        """Rebuilds settings from what ``jsonable(settings.flat())`` saved.

        An option that is younger than the file has its default. Notices are not repeated.

        Raises:
            OptionError: for unknown names and values that cannot be used, all together.
        """
        reader = _Reader(command)
        settings = reader.settings(reader.keys(mapping.items(), "saved configuration"))
        return Settings(command, settings.flat(), settings.sources)


def resolve(command: str, flags: Mapping[str, str | bool], environ: Mapping[str, str]) -> Settings:
    """The settings of a command from all five layers.

    Args:
        command: A key of ``COMMANDS``.
        flags: Flags as typed ("--seq-len", "--no-residual") with their text; True for a flag that stands alone, False
            for one that is taken back ("--residual=false").
        environ: The environment variables.

    Raises:
        OptionError: with every problem of every layer, one line each.
    """
    reader = _Reader(command)
    typed, variables = reader.flags(flags), reader.environment(environ)
    config = reader.peek("config", typed)
    written = reader.file(config) if config else []
    preset = reader.peek("preset", [*variables, *written, *typed])
    bundled = reader.preset(preset) if preset else []
    return reader.settings([*variables, *bundled, *written, *typed])


def jsonable(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings with paths as text and tuples as lists, for JSON; ``Settings.from_flat`` reads it back."""
    plain = {Path: str, tuple: list}
    return {
        name: next((make(value) for kind, make in plain.items() if isinstance(value, kind)), value)
        for name, value in flat.items()
    }


@dataclass(frozen=True)
class _Entry:
    """One value that a source gives to an option; ``source`` is for Settings, ``label`` begins an error about it."""

    option: Option
    raw: object
    source: str
    label: str


class _Reader:
    """Turns each source into entries and entries into settings, collecting problems on the way."""

    def __init__(self, command: str) -> None:
        if command not in COMMANDS:
            raise OptionError(f"unknown command '{command}'", fix=f"one of {', '.join(COMMANDS)}")
        self.command = command
        self.options = options_by_name(COMMANDS[command].groups)
        self.problems: list[str] = []
        self.failed: set[str] = set()

    def flags(self, flags: Mapping[str, str | bool]) -> list[_Entry]:
        table = {
            word: (option, fixed) for option in self.options.values() for word, fixed in option.spellings().items()
        }
        entries = []
        for flag, raw in flags.items():
            option, fixed = table.get(flag, (None, None))
            if option is None:
                self.problems.append(f"unknown option {flag}{self._meant(flag, table, '')}")
            elif isinstance(raw, bool) and fixed is None:
                self.problems.append(f"flag {flag}: a value is needed here")
            elif raw is not True and (flag in option.sets or (fixed is False and isinstance(raw, str))):
                self.problems.append(f"flag {flag}: takes no value")
            else:
                value = fixed if raw is True else not fixed if raw is False else raw
                entries.append(_Entry(option, value, f"flag {flag}", f"flag {flag}"))
        return self._once_each(entries)

    def environment(self, environ: Mapping[str, str]) -> list[_Entry]:
        given = [option for option in self.options.values() if option.env and environ.get(option.env)]
        labels = [f"environment {option.env}" for option in given]
        return [
            _Entry(option, environ[option.env or ""], label, label) for option, label in zip(given, labels, strict=True)
        ]

    def preset(self, name: str) -> list[_Entry]:
        own = {key: value for key, value in PRESETS[name].items() if key in self.options}
        return self.keys(own.items(), f"preset {name}")

    def file(self, path: Path) -> list[_Entry]:
        source = f"file {path}"
        try:
            with path.open(encoding="utf-8") as stream:
                root = yaml.compose(stream, Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.problems.append(f"{source}: cannot be read: {reason}")
            return []
        except yaml.YAMLError as error:
            self.problems.append(f"{source}: is not YAML: {' '.join(str(error).split())}")
            return []
        except RecursionError:
            self.problems.append(f"{source}: is nested too deep")
            return []
        if root is None:
            return []
        if not isinstance(root, yaml.MappingNode):
            self.problems.append(f"{source}: is not a list of 'option: value' lines")
            return []
        try:
            pairs = [(_plain(key), _plain(value)) for key, value in root.value]
        except RecursionError:
            self.problems.append(f"{source}: is nested too deep, or an alias in it holds itself")
            return []
        return self.keys(pairs, source, without=("config",))

    def keys(self, pairs: Iterable[tuple[object, object]], source: str, without: tuple[str, ...] = ()) -> list[_Entry]:
        table = {
            _key(flag): option
            for option in self.options.values()
            if option.name not in without
            for flag in (option.flag, *option.aliases)
        }
        entries = []
        for key, raw in pairs:
            option = table.get(_key(str(key)))
            if option is None:
                self.problems.append(f"{source}: unknown key '{key}'{self._meant(str(key), table, chr(39))}")
            else:
                entries.append(_Entry(option, raw, source, f"{source}: {key}"))
        return self._once_each(entries)

    def peek(self, name: str, entries: Sequence[_Entry]) -> Any:
        """The strongest value of one option; None without one or when it is bad (``values`` reports that)."""
        entry = next((entry for entry in reversed(entries) if entry.option.name == name), None)
        try:
            return entry.option.convert(entry.raw) if entry else None
        except ValueError:
            return None

    def values(self, entries: Iterable[_Entry]) -> tuple[dict[str, Any], dict[str, str]]:
        """Converted values and their sources, later entries over earlier ones; bad ones become problems."""
        values, sources = {}, {}
        for entry in entries:
            name = entry.option.name
            try:
                values[name], sources[name] = entry.option.convert(entry.raw), entry.source
            except ValueError as error:
                self.problems.append(f"{entry.label}: {error}")
                self.failed.add(name)
        return values, sources

    def settings(self, entries: Iterable[_Entry]) -> Settings:
        """Defaults under the entries, then the rules.

        Raises:
            OptionError: with everything that was collected.
        """
        values, sources = self.values(entries)
        defaults = {name: option.default for name, option in self.options.items()}
        settings = Settings(self.command, defaults | values, dict.fromkeys(defaults, "default") | sources)
        for rule in RULES if COMMANDS[self.command].judged else ():
            if not all(name in settings and name not in self.failed for name in rule.needs):
                continue
            found = rule.judge(settings)
            if isinstance(found, Derived):
                settings = settings.changed(found.values, found.because)
            if isinstance(found, Problem) and found.severity == "error":
                self.problems.append(f"{found.text}\n  hint: {found.fix}")
            elif found is not None and found.notice:
                settings = settings.with_notice(found.notice)
        self.stop_if_any_problem()
        return settings

    def stop_if_any_problem(self) -> None:
        if self.problems:
            raise OptionError("\n".join(self.problems))

    def _once_each(self, entries: list[_Entry]) -> list[_Entry]:
        first: dict[str, _Entry] = {}
        for entry in entries:
            before = first.setdefault(entry.option.name, entry)
            if before is not entry:
                self.problems.append(f"{before.label} and {entry.label} set the same option; give one of them")
        return entries

    def _meant(self, word: str, table: Iterable[str], quote: str) -> str:
        owners = [name for name, command in COMMANDS.items() if _key(word) in command.option_names()]
        if owners and self.command not in owners:
            return f"; it belongs to {', '.join(owners)}, not to {self.command}"
        near = nearest(word, table)
        return f"; did you mean {quote}{near}{quote}?" if near else ""


def _key(word: str) -> str:
    return word.lstrip("-").replace("-", "_")


def _plain(node: yaml.Node, depth: int = 3) -> Any:
    """The text of a YAML scalar as written, or a list of texts: 1e-4, 007 and yes mean what the converter says.

    Raises:
        RecursionError: lists in lists in lists; a few aliases of aliases would mean a billion values.
    """
    if depth == 0 and not isinstance(node, yaml.ScalarNode):
        raise RecursionError
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth - 1) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(_plain(key, depth - 1)): _plain(value, depth - 1) for key, value in node.value}
    return node.value
