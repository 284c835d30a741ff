"""The network of a model, as ``cli.info`` found it, in a line and a table."""

from __future__ import annotations

from typing import Any

from exphil.cli.terminal import Terminal


def summary(network: dict[str, Any]) -> str:
    """In one line."""
    layers = network.get("layers", [])
    told = [f"layers {', '.join(layers)}"] if 0 < len(layers) <= 15 else [f"{network['depth']} layers"]
    options = {name.replace("_", " "): value for name, value in network.get("options", {}).items()}
    told += [name if value is True else f"{name} {value}" for name, value in options.items() if value]
    told += [f"{network['head']} head"] if "head" in network else []
    return ", ".join([str(network["backbone"]), *told])


def parts(network: dict[str, Any]) -> str:
    """Parameters of its parts."""
    return ", ".join(f"{name} {count:,}" for name, count in network["parts"].items())


def _layers(network: dict[str, Any]) -> list[tuple[str, str, str]]:
    kinds = {f"backbone.layers.{at}": kind for at, kind in enumerate(network.get("layers", []))}
    if network["backbone"] == "mlp":  # its first width is the dense layer of the embedding
        names = ["embed.dense", *(f"backbone.layers.{at}" for at in range(network["depth"]))]
        kinds = dict(zip(names, network.get("layers", []), strict=False))
    return [(name, kinds.get(name, ""), f"{count:,}") for name, count in network["breakdown"].items()]


def show(terminal: Terminal, network: dict[str, Any]) -> None:
    """The table of its layers, and what this exphil cannot tell of it."""
    if network["trouble"]:
        terminal.warn(network["trouble"])
    if network["breakdown"]:
        terminal.table("Layers", ("layer", "what", "parameters"), _layers(network))
    elif network["depth"]:
        terminal.lines([f"{network['depth']} layers: too many for a table, --json has their sum"])
