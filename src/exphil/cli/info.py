"""``exphil info MODEL``: what a model is, from its own file, its folder and the registry; no code of it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exphil import assemble
from exphil.assemble.backbones import kinds
from exphil.cli import meant
from exphil.cli.running.surroundings import place
from exphil.cli.shown import info_page, told
from exphil.cli.terminal import Terminal
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings, jsonable
from exphil.errors import ExphilError
from exphil.features.action import Codec
from exphil.train.described import Described, baseline_losses, read

MOST_LAYERS = 15
APART = {"name", "seed", "quiet", "verbose", "dry_run", "config"}
"""Options that say nothing about the model, or are shown elsewhere."""
OF_KIND = {
    "mlp": ("layer_norm", "residual"),
    "attention": ("num_heads", "window_size"),
    **dict.fromkeys(("mamba", "mamba2"), ("state_size", "expand_factor", "conv_size")),
}
"""Options of the kinds of layers that a page on a network names."""


def run(settings: Settings, model: str) -> int:
    """Describe it."""
    terminal = Terminal.of(settings)
    path = meant.model(settings.checkpointsdir.checkpoints_dir, model)
    said = read(path)
    found = {"model": path, "network": network(said), "training": training(said), "losses": losses(said)}
    found |= {"styles": list(said.players.get("players", {}))} | place(terminal, path)
    if settings.output.json:
        terminal.data(found)
    else:
        info_page.show(terminal, found)
    return 0


def network(said: Described) -> dict[str, Any]:
    """What it is made of, sees, presses and how late it answers; ``trouble`` where this exphil cannot tell."""
    found: dict[str, Any] = {"backbone": said.config.get("backbone"), "trouble": ""}
    found |= {"parameters": said.parameters, "parts": said.parts(), "bytes": said.weight_bytes}
    found |= {"breakdown": said.layers() if said.depth <= MOST_LAYERS else {}, "depth": said.depth}
    found["presses"] = told.presses(Codec.from_dict(said.actions).classes)
    try:
        settings = Settings.from_flat("train", said.config)
        layout = assemble.table(settings)
    except ExphilError as error:
        return found | {"trouble": f"this exphil does not know all of its options: {error.what}"}
    layers = [f"{kind} {width}" for kind, width in zip(kinds(settings), assemble.widths(settings), strict=True)]
    names = [name for kind in dict.fromkeys(kinds(settings)) for name in OF_KIND.get(kind, ())]
    found |= {"layers": layers, "head": settings["head"], "options": jsonable({each: settings[each] for each in names})}
    found |= {"sees": told.sees(layout), "answers": told.answers(assemble.delays(settings))}
    if layout.fingerprint != said.fingerprint:
        found["trouble"] = "this exphil makes other numbers of a frame: play it with the one that trained it"
    return found


def training(said: Described) -> dict[str, Any]:
    """What it learned from and how; of options those that differ from today's defaults."""
    words = {name: said.training.get(name) for name in ("name", "seed", "epochs_done", "updates", "frames", "parent")}
    games = {f"{name}_games": len(said.training.get(name, ())) for name in ("learned", "held_out")}
    averaged = {"epochs": said.config.get("epochs"), "averaged": bool(said.training.get("average"))}
    return words | games | averaged | {"options": changed(said.config)}


def changed(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options that are not today's default, with it."""
    defaults = jsonable({name: option.default for name, option in OPTIONS.items()})
    given = {name: value for name, value in sorted(config.items()) if name not in APART}
    return [
        {"option": "--" + name.replace("_", "-"), "value": value, "default": defaults.get(name)}
        for name, value in given.items()
        if value != defaults.get(name)
    ]


def losses(said: Described) -> dict[str, Any]:
    """Its losses, the curve of them, and what players reach that look at nothing."""
    baselines = baseline_losses(said.baselines, Codec.from_dict(said.actions).neutral)
    return said.losses() | {"history": said.history, "baselines": baselines}
