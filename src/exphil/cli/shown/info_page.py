"""The page of ``exphil info``: what ``cli.info`` found, in lines and tables."""

from __future__ import annotations

from typing import Any

from exphil.cli.models import loss
from exphil.cli.shown import network_page
from exphil.cli.shown.drawing import shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.groups import OPTIONS

NOT_PLAY = "How well people are predicted does not rank how well policies play."


def show(terminal: Terminal, found: dict[str, Any]) -> None:
    """Print it."""
    network, training = found["network"], found["training"]
    lines = {
        "model": found["model"],
        "network": network_page.summary(network),
        "parameters": f"{network['parameters']:,} ({shown_bytes(network['bytes'])}): " + network_page.parts(network),
        "sees": network.get("sees", ""),
        "presses": network["presses"],
        "answers": network.get("answers", ""),
        "styles": _some(found["styles"]),
        "learned": _learned(training),
        "seed": training["seed"],
        "dates": _dates(found),
        "registry": _registered(found["registry"], training["parent"]),
    }
    terminal.lines(f"{word:<11}{text}" for word, text in lines.items() if text not in ("", None))
    network_page.show(terminal, network)
    options = [
        (row["option"], option_text(row["option"], row["value"]), option_text(row["option"], row["default"]))
        for row in training["options"]
    ]
    terminal.table("Options that are not the default", ("option", "value", "default"), options)
    _losses(terminal, found["losses"])
    terminal.table("Files", ("file", "size"), [(row["file"], shown_bytes(row["bytes"])) for row in found["files"]])


def _learned(training: dict[str, Any]) -> str:
    epochs = f"{training['epochs_done']} of {training['epochs']} epochs, {training['updates'] or 0:,} updates"
    games = f"from {training['learned_games']:,} games, {training['held_out_games']:,} held out"
    averaged = "; these weights are the average over updates" if training["averaged"] else ""
    return f"{epochs}, {training['frames'] or 0:,.0f} decisions {games}{averaged}"


def _dates(found: dict[str, Any]) -> str:
    began = f"begun {found['dates']['began']}, " if found["dates"]["began"] else ""
    version = f", by exphil {found['version']}" if found["version"] else ""
    return f"{began}saved {found['dates']['saved']}{version}"


def _registered(entry: dict[str, Any], parent: str | None) -> str:
    made = " < ".join(above["name"] for above in entry.get("made_from", [])) or parent
    of_it = ", ".join(below["name"] for below in entry.get("made_of_it", []))
    told = [entry["id"], f"tags {', '.join(entry['tags'])}" if entry["tags"] else ""] if entry else []
    told += [f"made from {made}" if made else "", f"made of it: {of_it}" if of_it else ""]
    return "; ".join(word for word in told if word)


def _losses(terminal: Terminal, losses: dict[str, Any]) -> None:
    rows = [
        ("last epoch, games learned from", loss(losses["train"])),
        ("last epoch, held-out", loss(losses["held_out"])),
    ]
    rows += [(f"best epoch ({losses['best_epoch']}), held-out", loss(losses["best"]))]
    most = {"copy-previous": "at most "}
    rows += [(f"{name}, games learned from", most.get(name, "") + loss(of)) for name, of in losses["baselines"].items()]
    terminal.table("Loss, nats per decision", ("what", "loss"), [row for row in rows if row[1]])
    curve = [line.get("validation", line.get("train", float("nan"))) for line in losses["history"]]
    terminal.lines([f"epochs     {terminal.sparkline(curve)}"] if len(curve) > 1 else [])
    terminal.lines([f"{NOT_PLAY} exphil evaluate measures it beside the baselines on games of your choice."])


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def option_text(flag: str, value: Any) -> str:
    """The value of an option as one would type it."""
    option = OPTIONS.get(flag[2:].replace("-", "_"))
    return option.text(value) if option is not None else str(value)
