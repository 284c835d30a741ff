"""Hints: what is allowed, was written by a person, and is mostly a mistake.

A hint is a notice with a pointer to the page that says why (tested: the page and its heading are there). It speaks of
what a flag or a file says and of nothing else: defaults and presets are ours, and never hinted at. Of a resumed run
nothing is said, for what it learns with stands in its snapshot. A hint that fires in sensible runs is noise, so there
are few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from exphil.config.judging import Problem, Rule, typed

if TYPE_CHECKING:
    from exphil.config.layers import Settings

LONGEST_WINDOW, SHORTEST_WINDOW = 120, 30
LARGEST_BATCH = 256
BLIND_EPOCHS = 30
HIGHEST_ADAM_LR, LOWEST_MUON_LR = 1e-2, 1e-3
MOST_DROPOUT, MOST_SMOOTHING = 0.6, 0.2


def _hint(name: str, beside: tuple[str, ...], when: Callable[[Settings], bool], text: str, fix: str, page: str) -> Rule:
    """A notice about what a person wrote for ``name``.

    Args:
        name: The option.
        beside: The others that ``when`` looks at.
        when: Whether it is a mistake.
        text: What is wrong; ``{name}`` stands for the value of an option, ``{source}`` for where this one was written.
        fix: What to do instead.
        page: Where the reasons are, ``docs/PAGE.md#heading``.
    """

    def judge(settings: Settings) -> Problem | None:
        begun = any(settings.sources.get(each, "default") != "default" for each in ("resume", "init"))
        if begun or not (typed(settings, name) and when(settings)):
            return None
        values = {each: settings[each] for each in (name, *beside)}
        return Problem("notice", text.format(source=settings.sources[name], **values), f"{fix}; see {page}")

    return Rule((name, *beside), judge)


HINTS: tuple[Rule, ...] = (
    _hint(
        "window_size",
        ("temporal",),
        lambda s: s["temporal"] and s["window_size"] > LONGEST_WINDOW,
        "{source}: stretches of {window_size} frames take much memory, and a step sees few of them",
        "60 is a good start",
        "docs/backbones.md#small-experiments",
    ),
    _hint(
        "window_size",
        ("temporal",),
        lambda s: s["temporal"] and s["window_size"] < SHORTEST_WINDOW,
        "{source}: {window_size} frames are less than half a second, little to learn from what was before",
        "60 is a good start",
        "docs/backbones.md#small-experiments",
    ),
    _hint(
        "batch_size",
        ("temporal", "device"),
        lambda s: s["temporal"] and s["device"] == "cpu" and s["batch_size"] > LARGEST_BATCH,
        "{source}: without a GPU a step of {batch_size} sequences is slow, and an epoch has few steps",
        "32 or 64 learns more in the same time",
        "docs/backbones.md#what-each-brings-the-shoot-out",
    ),
    _hint(
        "epochs",
        ("val_split",),
        lambda s: s["epochs"] >= BLIND_EPOCHS and not s["val_split"],
        "{source}: in {epochs} epochs with no game held out, nothing tells when it learns by heart",
        "--early-stopping holds out a tenth of the games",
        "docs/options.md#data",
    ),
    _hint(
        "early_stopping",
        ("patience", "epochs"),
        lambda s: s["early_stopping"] and s["patience"] >= s["epochs"],
        "{source}: with --patience {patience} a run of {epochs} epochs never stops early",
        "a lower --patience, or more --epochs",
        "docs/options.md#training",
    ),
    _hint(
        "lr",
        ("optimizer",),
        lambda s: s["optimizer"] in ("adam", "adamw", "radam") and s["lr"] > HIGHEST_ADAM_LR,
        "{source}: {optimizer} rarely learns at a rate of {lr:g}",
        "--lr 1e-4 to 1e-3, or exphil find-lr",
        "docs/backbones.md#what-each-brings-the-shoot-out",
    ),
    _hint(
        "optimizer",
        ("lr",),
        lambda s: s["optimizer"] == "muon" and not typed(s, "lr") and s["lr"] < LOWEST_MUON_LR and s.command == "train",
        "{source}: muon learns slowly at a rate of {lr:g}, which is for adam",
        "--lr 3e-3 to 8e-3",
        "docs/backbones.md#what-each-brings-the-shoot-out",
    ),
    _hint(
        "dropout",
        (),
        lambda s: s["dropout"] > MOST_DROPOUT,
        "{source}: with {dropout:.0%} of the network dropped little is learned",
        "0.1 to 0.3",
        "docs/options.md#model",
    ),
    _hint(
        "label_smoothing",
        (),
        lambda s: s["label_smoothing"] > MOST_SMOOTHING,
        "{source}: a policy that is taught {label_smoothing:.0%} of chance holds its sticks loosely",
        "0.05 to 0.1",
        "docs/options.md#loss",
    ),
)
