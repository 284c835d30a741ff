"""The comparison of backbones: which take part, with which options, and how one run of it is built.

The options of ``exphil benchmark`` are those of ``exphil train`` with defaults of their own, ``RECIPE``; what the user
gives is stronger, and what a backbone has for itself stands in ``RECIPES``. Every entry is settings of the command
train, so everything that train checks is checked here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from exphil.assemble.actions import codec
from exphil.assemble.backbones import BACKBONES
from exphil.assemble.batches import loader, plan, sliced, walk
from exphil.assemble.games import table
from exphil.assemble.network import policy
from exphil.assemble.playing import EXPORT, learned, player_of
from exphil.assemble.training import optimizer, schedule, way
from exphil.config.commands import COMMANDS
from exphil.config.layers import Settings, jsonable, resolve
from exphil.config.option import options_by_name
from exphil.data import baselines
from exphil.data.corpus import Corpus
from exphil.errors import ExphilError, OptionError, extra
from exphil.features.players import Registry

if TYPE_CHECKING:
    import torch

    from exphil.evaluate.benchmark import Built, Entry, Games

RECIPE: dict[str, Any] = {
    "temporal": True,
    "hidden": [256],
    "window_size": 64,
    "batch_size": 32,
    "lr": 8e-3,
    "optimizer": "muon",
    "weight_decay": 0.1,
    "lr_schedule": "cosine",
    "warmup_steps": 30,
    "dropout": 0.3,
    "augment": True,
    "dual_port": True,
    "num_player_names": 0,
    "val_split": 0.1,
    "epochs": 3,
    "seed": 0,
}
"""About a million parameters where a layer is recurrent. The rest was tuned on gru (docs/choices.md)."""
OWN = ("batch_size", "lr")
"""Options that each backbone may have for itself; all others are the same for all."""
RECIPES: dict[str, dict[str, Any]] = {
    **{name: {key: RECIPE[key] for key in OWN} for name in BACKBONES},
    "mlp": {"batch_size": 32, "lr": 2e-2},
}
"""Batch and learning rate of each backbone, where neither is given: of 3e-3, 8e-3 and 2e-2 the rate that is best after
250 updates on 24 games (docs/backbones.md)."""
APART = {
    *("replays", "max_files", "val_split", "workers", "skip_errors", "show_errors", "error_log", "show_quality_stats"),
    *("precompute", "cache", "cache_dir", "cache_compress", "cache_embeddings", "mmap_embeddings", "mmap_path"),
    *("prefetch", "prefetch_buffer", "gc_every", "name", "checkpoint", "checkpoints_dir", "resume", "save_best"),
    *("preset", "config", "device", "threads", "log_interval", "dry_run", "quiet", "verbose", "epochs", "backbone"),
    *("temporal", "seed", "kmeans_centers", *OWN),
}
"""Options of train that do not tell one comparison from another: what they do is in the games, the budget or the
recipe, or changes nothing."""
NOT_HERE = ("backbone", "temporal")
"""Options of its groups that it has no use for: it trains every backbone on sequences."""
LISTED = 500
"""So many files of each side are named in the results."""
CURVE_DECISIONS = 20_000
"""A curve is measured on so many held-out games as have this many decisions together."""


@dataclass(frozen=True)
class Wanted:
    """What the builder of a run needs to know.

    Attributes:
        settings: Of the command train, for this backbone.
        updates: Where the run ends; None when it ends after its epochs.
        timed: Players whose decisions are timed, keys of ``PLAYERS``.
    """

    settings: Settings
    updates: int | None
    timed: tuple[str, ...]


def named(settings: Settings) -> list[str]:
    """The backbones that take part, in the order of the table.

    Raises:
        OptionError: none is left, or one was chosen as train chooses it.
    """
    for name in filter(settings.given, NOT_HERE):
        what, fix = "benchmark trains every backbone, and each on sequences", "--only NAME,NAME chooses some of them"
        raise OptionError(what, settings.sources[name], fix)
    if settings.given("val_split") and not settings.validation.val_split:
        raise OptionError("benchmark compares on games held out", settings.sources["val_split"], "--val-split 0.1")
    options = settings.benchmark
    found = [name for name in BACKBONES if name in (options.only or BACKBONES) and name not in options.skip]
    if not found:
        raise OptionError("no backbone is left", "--only and --skip", f"there are {', '.join(BACKBONES)}")
    return found


def entrant(settings: Settings, name: str) -> Settings:
    """The options of the command train that one backbone learns with.

    Raises:
        OptionError: they contradict each other, for this backbone at least.
    """
    found = _common(settings) | {key: RECIPES[name][key] for key in OWN if not settings.given(key)}
    if name == "mlp" and len(found["hidden"]) == 1:  # one number is one layer of it, and as many as elsewhere is meant
        found["hidden"] = found["hidden"] * (found.pop("num_layers", None) or 2)
    options = options_by_name(COMMANDS["train"].groups)
    typed: dict[str, str | bool] = {
        options[key].flag: value if isinstance(value, bool) else options[key].text(options[key].convert(value))
        for key, value in found.items()
    }
    asked = resolve("train", {**typed, "--backbone": name}, {})
    for key in found:
        source = settings.sources[key] if settings.given(key) else "recipe of benchmark"
        asked = asked.changed({key: asked[key]}, source)  # nobody typed it as a flag of train
    return asked


def _common(settings: Settings) -> dict[str, Any]:
    """What the user gave over ``RECIPE``, as plain values."""
    names = options_by_name(COMMANDS["train"].groups)
    flat = jsonable(settings.flat())
    given = {name: flat[name] for name in flat if name in names and settings.given(name) and flat[name] is not None}
    if "hidden" in given and settings.sources["hidden"].startswith("preset"):
        given["hidden"] = given["hidden"][:1]  # of its two layers: how many there are is each backbone's own
    recipe = dict(RECIPE)
    if "train_character" in given or "player_port" in given:
        recipe.pop("dual_port")
    if given.get("cache_embeddings") or given.get("mmap_embeddings"):
        recipe.pop("augment")  # the numbers are kept as they are
    if given.get("decay_steps"):
        recipe["warmup_steps"] = min(recipe["warmup_steps"], given["decay_steps"])
    return {name: value for name, value in (recipe | given).items() if name not in ("preset", "config")}


def entries(settings: Settings, *, go_on: bool) -> tuple[list[Entry], dict[str, str]]:
    """Every run, all backbones with the first seed, then all with the next; and backbones that cannot be built.

    Each is built once to see whether it can be, before anything is read.

    Args:
        settings: Of the command benchmark.
        go_on: Give the errors of backbones by name, unless none can be built; else raise them, all together.

    Raises:
        ExphilError: options that cannot be used, or a library that ``--player fast`` needs is not installed.
    """
    from exphil.evaluate.benchmark import Entry

    for module in EXPORT if "fast" in settings.player.player else ():
        extra(module, "export", "timing the fast player")
    asked: dict[str, Settings] = {}
    wrong: dict[str, str] = {}
    for name in named(settings):
        try:
            found = entrant(settings, name)
            policy(found, codec(found))
            asked[name] = found
        except (ExphilError, ValueError) as error:
            wrong[name] = str(error)
    if wrong and not (go_on and asked):
        alike = len(set(wrong.values())) == 1 and not asked
        text = [next(iter(wrong.values()))] if alike else [f"{name}: {error}" for name, error in wrong.items()]
        fix = "--skip leaves a backbone out, --continue-on-error those that cannot be built" if asked else ""
        raise OptionError("\n".join(text), fix=fix)
    common = _common(settings)
    seeds = range(common["seed"], common["seed"] + settings.benchmark.seeds)
    return [
        Entry(
            name,
            seed,
            {key: found[key] for key in OWN},
            Wanted(found, _updates(settings, found), settings.player.player),
        )
        for seed in seeds
        for name, found in asked.items()
    ], wrong


def failure(name: str, seed: int, error: str) -> dict[str, Any]:
    """What the results say of a backbone that cannot be built."""
    from exphil.evaluate.benchmark import about

    return about(name, seed, RECIPES[name]) | {"error": error}


def fresh_once(found: list[Entry]) -> list[Entry]:
    """The same runs, of which only the first makes anew (``--no-cache``) what all of them keep in ``--cache-dir``."""
    wanted = [entry.config for entry in found[1:]]
    kept = [replace(each, settings=each.settings.changed({"cache": True}, "made anew once")) for each in wanted]
    return [*found[:1], *(replace(entry, config=config) for entry, config in zip(found[1:], kept, strict=True))]


def _updates(settings: Settings, asked: Settings) -> int | None:
    wanted, batch = settings.benchmark.updates, _common(settings)["batch_size"]
    return None if wanted is None else max(1, round(wanted * batch / asked["batch_size"]))


def conditions(settings: Settings, asked: Settings, games: Games, device: torch.device) -> dict[str, Any]:
    """What all runs of one table share; ``key`` names it.

    Args:
        settings: Of the command benchmark.
        asked: Of the command train, for any of the backbones.
        games: To learn from and held out.
        device: What it learns on.
    """
    from exphil.evaluate.benchmark import baseline_losses
    from exphil.evaluate.results import key

    common, known, presses = _common(settings), options_by_name(COMMANDS["train"].groups), codec(asked)
    updates = settings.benchmark.updates
    budget = (
        {"epochs": asked["epochs"]} if updates is None else {f"updates of {common['batch_size']} sequences": updates}
    )
    found = {
        "device": device.type,
        "games": {"learned": _about(games.learned), "held_out": _about(games.held_out)},
        "budget": budget,
        "options": {
            name: value
            for name, value in sorted(common.items())
            if name not in APART and known[name].convert(value) != known[name].default
        },
        "sees": table(asked).fingerprint,
        "presses": hashlib.sha256(json.dumps(presses.as_dict(), sort_keys=True).encode()).hexdigest()[:12],
    }
    fitted = baselines.of_corpus(games.learned, presses, asked.seats.all_frames)
    walked = walk(asked, games.held_out, presses, device)
    losses = baseline_losses(policy(asked, presses), walked, fitted)
    files = {word: sorted({entry.name for entry in part.entries})[:LISTED] for word, part in games._asdict().items()}
    return {"key": key(found), **found, "files": files, "baselines": losses}


def _about(corpus: Corpus) -> dict[str, Any]:
    """Games and seats, and a hash over their contents."""
    lines = sorted(f"{entry.digest} {entry.seat}" for entry in corpus.entries)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    counts = {"games": corpus.games, "players": len(lines), "decisions": int(corpus.decisions.sum())}
    return counts | {"sha256": digest}


def build(wanted: Wanted, games: Games, seed: int) -> Built:
    """A fresh run; ``seed`` decides its weights and the order of its batches, never the split of the games.

    Raises:
        ExphilError: options that this backbone cannot be built with, or a device that is not there.
    """
    import torch

    from exphil.evaluate.benchmark import Built
    from exphil.train import loop, runtime

    asked = wanted.settings
    device, presses = runtime.device(asked.machine.device), codec(asked)
    torch.manual_seed(seed)
    built = policy(asked, presses).to(device)
    order, updating = plan(asked, games.learned, seed), way(asked)
    batches = loader(asked, games.learned, sliced(asked, order, updating.ranks), presses, device)
    updates = wanted.updates or sum(order.steps(epoch) for epoch in range(asked["epochs"]))
    held_out, known = walk(asked, games.held_out, presses, device), learned(asked, presses, Registry(0))
    some = curve_games(games.held_out)
    watched = held_out if some is games.held_out else walk(asked, some, presses, device)
    return Built(
        loop.Run(built, optimizer(asked, built), device),
        batches,
        schedule(asked, updates),
        updates,
        held_out,
        watched,
        updating,
        asked.feeding.gc_every,
        {name: partial(player_of, name, built, known, device) for name in wanted.timed},
    )


def curve_games(corpus: Corpus) -> Corpus:
    """The first games that have ``CURVE_DECISIONS`` together, or all: then the same object."""
    after = np.cumsum(corpus.decisions)
    games = {entry.game for entry, end in zip(corpus.entries, after, strict=True) if end <= CURVE_DECISIONS}
    some = corpus.part(games or {corpus.entries[0].game})
    return corpus if len(some.entries) == len(corpus.entries) else some
