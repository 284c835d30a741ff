"""``exphil compare A B``: in what two models differ, and whether their losses can be compared."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from exphil.cli import meant
from exphil.cli.info import APART
from exphil.cli.shown import compare_page
from exphil.cli.terminal import Terminal
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings, jsonable
from exphil.train.described import Described, apart, measured_on, read

PLACES = {"checkpoint", "checkpoints_dir", "cache_dir", "error_log", "save_config"}
"""Options that say where things stand, which makes no other model."""


def run(settings: Settings, model: str, other: str) -> int:
    """Compare them."""
    terminal, folder = Terminal.of(settings), settings.checkpointsdir.checkpoints_dir
    one, two = (meant.model(folder, word) for word in (model, other))
    found = compared(one, two, read(one), read(two))
    if settings.output.json:
        terminal.data(found)
    else:
        compare_page.show(terminal, found)
    return 0


def compared(path: Path, path_of_other: Path, one: Described, other: Described) -> dict[str, Any]:
    """Two models side by side, in pairs of plain values; ``trouble`` says why their losses cannot be compared."""
    both = (one, other)
    shown = [said.losses() for said in both]
    return {
        "models": [path, path_of_other],
        "options": options(one, other),
        "games": games(one, other),
        "losses": {word: [losses[word] for losses in shown] for word in shown[0]},
        "averaged": [bool(said.config.get("ema")) for said in both],
        "trouble": trouble(one, other),
        "measure": [f"exphil evaluate {shlex.quote(str(each))} --replays FOLDER" for each in (path, path_of_other)],
        "parameters": [said.parameters for said in both],
        "parts": {name: [said.parts().get(name, 0) for said in both] for name in {**one.parts(), **other.parts()}},
        "bytes": [each.stat().st_size for each in (path, path_of_other)],
        "epochs": [said.training.get("epochs_done") for said in both],
        "updates": [said.training.get("updates") for said in both],
        "frames": [said.training.get("frames") for said in both],
        "parents": [said.training.get("parent") or said.config.get("init") for said in both],
        "seeds": [said.training.get("seed") for said in both],
    }


def options(one: Described, other: Described) -> list[dict[str, Any]]:
    """Those that differ; what a file does not name had its default."""
    defaults = jsonable({name: option.default for name, option in OPTIONS.items()})
    names = sorted((set(one.config) | set(other.config)) - APART - PLACES)
    found = []
    for name in names:
        a, b = (said.config.get(name, defaults.get(name)) for said in (one, other))
        if a != b:
            found.append({"option": "--" + name.replace("_", "-"), "values": [a, b]})
    return found


def games(one: Described, other: Described) -> dict[str, Any]:
    """How many games each learned from and held out, how many are the same, and what one learned of the other's."""
    words: dict[str, Any] = {}
    sets = [{part: set(said.training.get(part, ())) for part in ("learned", "held_out")} for said in (one, other)]
    for part in ("learned", "held_out"):
        a, b = (each[part] for each in sets)
        words[part] = {"counts": [len(a), len(b)], "common": len(a & b), "same": a == b}
    crossed = [len(sets[0]["held_out"] & sets[1]["learned"]), len(sets[1]["held_out"] & sets[0]["learned"])]
    return words | {"held_out_but_learned_by_the_other": crossed}


def trouble(one: Described, other: Described) -> list[str]:
    """In what the measuring of their held-out losses differs; empty when they can be compared."""
    return apart(*(measured_on(said.config, said.training, said.actions) for said in (one, other)))
