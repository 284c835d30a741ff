"""What a card tells of a policy: facts of its file, of the page beside it, and of its options; no text of a person."""

from __future__ import annotations

from pathlib import Path

from exphil import assemble
from exphil.cli import info
from exphil.cli.shown import network_page
from exphil.cli.shown.info_page import option_text as text
from exphil.config.groups import (
    OPTIONS,
    CacheDir,
    CheckpointsDir,
    Errors,
    Feeding,
    Keeping,
    Machine,
    Monitoring,
    Name,
    Profile,
    Quiet,
    Readers,
    Run,
    Saving,
    Store,
    Verbose,
)
from exphil.config.layers import Settings, jsonable
from exphil.config.option import options_by_name
from exphil.train import card
from exphil.train.described import Described, read
from exphil.train.runfiles import stem

PLACES = [name for name, option in OPTIONS.items() if option.kind is Path]
"""Options that hold paths."""
_OF_THE_CALL = (Name, Saving, CheckpointsDir, CacheDir, Store, Keeping, Feeding, Errors, Machine, Readers, Run)
_OF_NO_USE = frozenset(options_by_name((*_OF_THE_CALL, Monitoring, Profile, Quiet, Verbose)))  # to others
_TOLD = {"seed", "epochs"}  # elsewhere on the page


def about(policy: Path, whole: Path, name: str | None, place: str = "") -> tuple[Described, card.Facts]:
    """What a policy file says, and what its card tells besides.

    Args:
        policy: What was asked for; the page beside it is read.
        whole: Its policy file.
        name: Of the policy; by default what it was trained as.
        place: ``USER/NAME`` where it is going to be shared.
    """
    said = read(whole)
    settings = Settings.from_flat("train", said.config)
    layout, delays, network = assemble.table(settings), assemble.delays(settings), info.network(said)
    kept = [each for each in said.config if _plain(each) and each not in _OF_NO_USE]
    rows = [row for row in info.changed(said.config) if row["option"][2:].replace("-", "_") in kept]
    told = {each: str(network[each]) for each in ("sees", "presses", "answers")}
    return said, card.Facts(
        name=name or str(said.training.get("name") or stem(policy)),
        options=jsonable({each: settings[each] for each in kept}),
        changed=[(row["option"], *(text(row["option"], row[part]) for part in ("value", "default"))) for row in rows],
        network=network_page.summary(network),
        widths=(layout.floats, layout.ids),
        delays=(min(delays), max(delays)),
        losses=info.losses(said),
        page=card.page_of(policy, said),
        place=place,
        **told,
    )


def _plain(name: str) -> bool:
    """Whether an option holds no text that a person made up, and no path."""
    option = OPTIONS[name]
    return option.kind in (bool, int, float) or bool(option.choices) or option.parse is not None
