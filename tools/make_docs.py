"""Writes the pages of ``docs/`` that are derived from the code.

``python tools/make_docs.py`` writes them; with ``--check`` it writes nothing and exits 1 when a page is not what the
code says. To add a page, add its path and a function that returns its text to ``PAGES``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exphil.assemble.network import EMBEDDING_WIDTH, embedded
from exphil.config.commands import COMMANDS
from exphil.config.groups import GROUPS
from exphil.config.layers import resolve
from exphil.config.option import Option, options_by_name, options_of
from exphil.config.presets import PRESETS, PURPOSES
from exphil.config.written import example
from exphil.features.action import Codec
from exphil.features.observation import Section, Table
from exphil.features.rows import CONTROLLER_FLOATS, Feature

CODEC = Codec.uniform()

ROOT = Path(__file__).resolve().parent.parent


def options_page() -> str:
    """Every option by group: flags, file key, values, default, variable, commands and meaning."""
    lines = [
        "# Options",
        "",
        "Written by `python tools/make_docs.py` from `src/exphil/config/groups/`; do not edit.",
        "",
        "A value comes from the strongest source that gives one: default < environment < preset < file < flag.",
        "A file (`--config`) is YAML, one `key: value` a line; the key is the flag without its first dashes",
        "(`--window-size` is `window_size` or `window-size`). `none` leaves an option unset where that is allowed;",
        "lists are written `512,512`.",
    ]
    titles = dict.fromkeys(group.title for group in GROUPS)
    for title in titles:
        lines += ["", f"## {title}", "", "| flag | value | default | commands | meaning |", "|---|---|---|---|---|"]
        for group in (group for group in GROUPS if group.title == title):
            commands = ", ".join(name for name, command in COMMANDS.items() if group in command.groups)
            lines += [_row(option, commands) for option in options_of(group)]
    lines += ["", "## Presets", "", "| preset | what for | options |", "|---|---|---|"]
    known = options_by_name(GROUPS)
    for name, values in PRESETS.items():
        settings = resolve("train", {"--preset": name}, {})
        shown = " ".join(f"`{known[key].flag} {known[key].text(settings[key])}`" for key in values)
        lines.append(f"| `{name}` | {PURPOSES[name]} | {shown} |")
    return "\n".join(lines) + "\n"


def _row(option: Option, commands: str) -> str:
    flags = ", ".join(f"`{flag}`" for flag in option.spellings())
    kinds = {int: "whole number", float: "number", bool: "yes or no", str: "text", Path: "path"}
    value = ", ".join(f"`{choice}`" for choice in option.choices) or kinds[option.kind] + (
        " list" if option.many else ""
    )
    if option.check:
        value += f"; {option.check.sentence}"
    default = "" if option.default is None else f"`{option.text(option.default)}`"
    meaning = option.help + (f" (variable `{option.env}`)" if option.env else "")
    return f"| {flags} | {value} | {default} | {commands} | {meaning} |"


FEATURES = """\
# Features

Written by `python tools/make_docs.py` from `src/exphil/features/`; do not edit.

What a policy sees of one frame, from the seat of its own player; the opponent's controller is not among it. By default
{floats} floats and {ids} ids, together {numbers} numbers: these sizes are what `encode` gives, what `--dry-run` prints
and what the fingerprint in a policy file stands for (here `{fingerprint}`). Inside the network an id becomes
{width} learned numbers, so the first layer sees {floats} + {ids} x {width} = {embedded}.

## Sizes

| block | times | floats each | floats |
|---|---|---|---|
{sections}
| all | | | {floats} |

`--num-player-names N` makes `style` N floats wide ({names} by default, 0 leaves it out).

## Modes

What each option makes of the default sizes; they can be combined. One-hots are wide and cost time; learned tables are
narrow and find out what is alike. `--nana-mode` matters for Ice Climbers only: `compact` has her action as one of 25
groups, `enhanced` has no groups and her action as an id, `full` has all that Popo has but the distance from the
ledge, in the modes that he has it in. `--ic-tech` is for who trains Ice Climbers or against them, `--stage-motion`
shows what moves on Yoshi's Story, Fountain of Dreams, Pokemon Stadium and Dream Land; recordings older than Slippi
3.18 on the last three are then left out, unless `--allow-missing`. Of what `--stage-motion` adds, `--umi-safe` leaves
out {left_out}: UMI's frames do not hold them.

| option | floats | ids | together |
|---|---|---|---|
{modes}

## Floats

A value outside of its range is cut off at the end. A row that stands in several blocks has one offset for each. Rows
that begin with `nana.` are zero where there is no Nana, those of a projectile where there is none. `mirrored` says
what changes its sign when `--augment` swaps left and right.

| offset | block | name | width | range | mirrored | how it is read |
|---|---|---|---|---|---|---|
{rows}

## Floats of other modes

Rows that an option adds to those above, or puts in the place of others; where they stand follows from the order of the
blocks.

| option | block | name | width | range | mirrored | how it is read |
|---|---|---|---|---|---|---|
{others}

## Delay

With `--frame-delay N` a policy's answer to frame t is pressed on frame t + 1 + N. With `--frame-delay-augment` each
game of an epoch has a delay of its own, and N is `--frame-delay-max` in what follows. {controller} x N + 1 floats
stand at the end: the own controllers of the N frames before the answer, oldest first and newest last, each like the
own controller above, and the delay / 30. The last of them, as many as the delay, are decided and not yet seen; the
others have been seen.

| N | floats |
|---|---|
{delays}

## Left and right

`--augment` gives every float its sign as if left and right had changed places. What is not symmetric in the game
itself is taken as if it were: Randall's round on Yoshi's Story and 2 units of its blast zones, and the forms of Pokemon
Stadium. The heights of Fountain of Dreams' platforms change places, as do the sides of Dream Land's wind.

## Presence bits

`--allow-missing` takes older recordings too and adds one bit for each kind of column that they may lack: {older}
floats in all. Without it such files are left out and counted. `--stage-motion` adds bits for what moves on a stage; a
game on another stage lacks nothing of it.

| offset | name | 1 when the file holds |
|---|---|---|
{presence}

## Ids

`own_style` is there with `--player-mode learned` only: then the table has {learned} floats, the one-hot `style` being
gone, and 0, nobody in particular, is looked up as zeros.

| place | name | vocabulary |
|---|---|---|
{vocabularies}

Other modes have other ids: {other_ids}. Nana's are looked up in the table of
actions.

## Action

What the policy answers with: the class of each part, in this order. `--axis-buckets N` and `--shoulder-buckets N` make
N + 1 classes in equal steps; `--kmeans-centers FILE` takes the sticks' from a file of `exphil kmeans`. A trigger depth
that raises a shield (43/140 and more) is never taken for a class below it.

| place | part | classes |
|---|---|---|
{parts}
"""


def features_page() -> str:
    """Every number that a policy sees of one frame, and the parts of the action it answers with."""
    names = options_by_name(GROUPS)["num_player_names"].default
    table, older, learned = Table(names, False), Table(names, True), Table(names, False, "learned")
    needed = Table(names, True, stage_motion=True).needed
    bits = [(f"has_{(bit.name or '').lower()}", says) for bit, says in needed.items()]
    changed = {words: Table(names, False, **modes) for words, modes in _modes()}
    more = {found.name: None for table in changed.values() for found in table.vocabularies}
    return FEATURES.format(
        names=names,
        floats=table.floats,
        ids=table.ids,
        numbers=table.floats + table.ids,
        fingerprint=table.fingerprint,
        width=EMBEDDING_WIDTH,
        embedded=embedded(table),
        older=older.floats,
        sections="\n".join(map(_section_row, table.sections)),
        rows="\n".join(_float_rows(table)),
        left_out=" and ".join(f"`{name}`" for name in Table(names, False, stage_motion=True, umi_safe=True).left_out),
        modes="\n".join(map(_mode_row, ["", *changed], [table, *changed.values()])),
        others="\n".join(_other_rows(table, changed)),
        controller=CONTROLLER_FLOATS,
        delays="\n".join(f"| {most} | {Table(names, False, max_delay=most).floats} |" for most in (0, 1, 6, 18, 60)),
        other_ids=", ".join(f"`{name}`" for name in more if name not in {found.name for found in table.vocabularies}),
        presence="\n".join(
            f"| {at if at < older.floats else 'with `--stage-motion`'} | `{name}` | {says} |"
            for at, (name, says) in enumerate(bits, table.floats)
        ),
        vocabularies="\n".join(
            f"| {place} | `{found.name}` | {found.vocabulary} |" for place, found in enumerate(learned.vocabularies)
        ),
        learned=learned.floats,
        parts="\n".join(f"| {place} | `{part.name}` | {part.classes} |" for place, part in enumerate(CODEC.components)),
    )


MODES = ("stage_mode", "action_mode", "character_mode", "nana_mode", "jumps_normalized", "stage_motion", "ic_tech")
ONE_HOT: dict[str, Any] = {"stage_mode": "full", "action_mode": "one_hot", "character_mode": "one_hot"}


def _modes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every choice of a mode that is not the default, as it is typed, and some of them together."""
    known = options_by_name(GROUPS)
    for name in MODES:
        option = known[name]
        for value in option.choices or (False, True):
            if value != option.default:
                yield _typed({name: value}), {name: value}
    for together in ({"stage_motion": True, "umi_safe": True}, ONE_HOT, {**ONE_HOT, "nana_mode": "full"}):
        yield _typed(together), together


def _typed(modes: dict[str, Any]) -> str:
    known = options_by_name(GROUPS)
    words = {
        name: next(
            (word for word, means in known[name].spellings().items() if means is value), f"{known[name].flag} {value}"
        )
        for name, value in modes.items()
    }
    return " ".join(words.values())


def _mode_row(words: str, table: Table) -> str:
    option = f"`{words}`" if words else "none of them"
    return f"| {option} | {table.floats} | {table.ids} | {table.floats + table.ids} |"


def _other_rows(default: Table, changed: dict[str, Table]) -> Iterator[str]:
    """The rows that the default table lacks, each once, under the first option that has them."""
    told = {(name, _described(row)) for name, row in default.rows()}
    for words, table in changed.items():
        for section in table.sections:
            for found in (_described(row) for part in section.parts for row in part.rows):
                if (section.names[0], found) not in told:
                    yield f"| `{words}` | {_block(section)} | {found} |"
                    told |= {(name, found) for name in section.names}


def _described(row: Feature) -> str:
    turned = "" if row.mirror == 1 else "sign" if row.mirror == -1 else "sign of x"
    says = row.says.replace("|", "\\|")
    return f"`{row.name}` | {row.width} | {row.low:g} to {row.high:g} | {turned} | {says}"


def _block(section: Section) -> str:
    return ", ".join(dict.fromkeys(name.rstrip("0123456789 ") for name in section.names))


def _section_row(section: Section) -> str:
    times, rows = len(section.names), [row.name for part in section.parts for row in part.rows]
    block = _block(section) if times > 1 else f"{_block(section)}: {', '.join(rows)}"
    return f"| {block} | {times} | {section.width // times} | {section.width} |"


def _float_rows(table: Table) -> Iterator[str]:
    first = 0
    for section in table.sections:
        at, width = first, section.width // len(section.names)
        for row in (row for part in section.parts for row in part.rows):
            offsets = ", ".join(str(at + width * times) for times in range(len(section.names)))
            yield f"| {offsets} | {_block(section)} | {_described(row)} |"
            at += row.width
        first += section.width


PAGES: dict[str, Callable[[], str]] = {
    "docs/options.md": options_page,
    "docs/features.md": features_page,
    "config/training.example.yaml": example,
}


def main(arguments: list[str]) -> int:
    """Writes or checks every page; the exit code is 1 when a checked page differs."""
    stale = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if "--check" in arguments:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    if stale:
        sys.stderr.write(f"error: {', '.join(stale)} is not what the code says\n  hint: python tools/make_docs.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
