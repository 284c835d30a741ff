"""Choices of sticks, delay and augmentation, by the loss on games held out by file: equal data, equal updates.

``--what sticks``: 17 and 33 equal steps and 21 learned centres, in nats of the recorded stick position (its class,
and the position within the cell as often as the learned games have it there), which does not depend on how many
classes there are, and in steps of 1/80 between what is drawn and what was held. ``--what delay``: policies that
answer 0, 6 and 18 frames late beside one that learned every delay from 0 to 18, each at its delays. ``--what
augment``: nothing, mirror, noise, both, and noise of 0.2 and 0.5 on every stretch. Losses are nats per decision over
the same answers for all arms; they do not rank how well policies play.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import report
import training
from exphil import assemble
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.evaluate.offline import measure
from exphil.features.action import AXES, NUM_BUTTONS, Codec
from exphil.features.kmeans import PLACES, Centres, histograms, positions
from exphil.game.controller import STICK_STEPS, controller_of

SMALL = {**training.RECIPE, "hidden": "128", "num_layers": 1}
EVERY = 4  # one game of so many is held out
DELAYS = (0, 6, 18)
ANY = {"frame_delay_augment": True, "frame_delay_max": max(DELAYS)}


class Games(NamedTuple):
    """Files to learn from and files held out."""

    learned: list[Path]
    held_out: list[Path]

    def read(self, options: Settings) -> tuple[Corpus, Corpus]:
        """Both as an arm reads them."""
        return training.games(options, self.learned), training.games(options, self.held_out)


def split(root: Path) -> Games:
    """The full games and the peer split, every fourth held out."""
    paths = [*training.full_games(root), *sorted((root / "peer_split").glob("*/*.slp"))]
    entries = training.games(training.settings(root, SMALL), paths).entries
    used = [path for path in paths if path.name in {entry.name for entry in entries}]
    return Games([path for at, path in enumerate(used) if at % EVERY], used[::EVERY])


def held_by(learned: Corpus) -> np.ndarray:
    """How often each stick position was held, as ``kmeans.positions`` counts it."""
    games = (learned.game(index) for index in range(len(learned.entries)))
    return sum((positions(controller_of(game.players, 0)) for game in games), np.zeros((2, PLACES, PLACES), np.int64))


def arms(what: str, learned: Corpus, folder: Path) -> dict[str, dict[str, Any]]:
    """The arms of an experiment: names and flags beside ``SMALL``."""
    if what == "delay":
        return {f"delay {delay}": {"frame_delay": delay} for delay in DELAYS} | {"any delay 0 to 18": ANY}
    if what == "augment":
        off, still = {"noise_scale": 0.0}, {"mirror_prob": 0.0}
        loud = {f"noise {scale} everywhere": still | {"noise_prob": 1.0, "noise_scale": scale} for scale in (0.2, 0.5)}
        return {"nothing": {"augment": False}, "mirror": off, "noise": still, "mirror and noise": {}} | loud
    held = held_by(learned)
    centres = folder / "centres.json"
    Centres.of(held, [21], False)[0].save(centres)
    return {"17 equal": {}, "33 equal": {"axis_buckets": 32}, "21 learned": {"kmeans_centers": centres}}


def within(codec: Codec, learned: Corpus) -> list[np.ndarray]:
    """For each axis the log-probability of each of its 161 steps given its class, as the learned games have them."""
    held = held_by(learned)
    steps = np.arange(-STICK_STEPS, STICK_STEPS + 1) / STICK_STEPS
    found = []
    for axis, counts in enumerate(histograms(held)):
        floats = np.zeros((PLACES, 13), np.float32)
        floats[:, NUM_BUTTONS + axis] = steps
        cell, weight = codec.encode_floats(floats)[:, NUM_BUTTONS + axis], counts + 0.5
        found.append(np.log(weight / np.bincount(cell, weight)[cell]))
    return found


@torch.inference_mode()
def sticks(run: training.Trained, options: Settings, learned: Corpus, held: Corpus) -> dict[str, float]:
    """Nats of the recorded stick positions, and steps between them and what is drawn or likeliest."""
    policy, codec = run.policy.eval(), run.policy.codec
    inside = [torch.from_numpy(each) for each in within(codec, learned)]
    centres = [torch.tensor(each) * STICK_STEPS for each in codec.axes]
    walked, total = assemble.walk(options, held, codec, training.CPU), np.zeros(4)
    raw = assemble.walk(options, held, Codec.uniform(2 * STICK_STEPS), training.CPU)  # every step a class
    state = policy.initial_state(walked.plan.batch)
    for step in range(walked.steps(0)):
        batch, place = walked.load(0, step), raw.load(0, step).action
        features, before, state = policy.features(batch.floats, batch.ids, state, batch.is_first)
        found = policy.head.distributions(features, before, batch.action)
        for axis in range(len(AXES)):
            at = place[..., NUM_BUTTONS + axis]
            log_prob, taken = found[NUM_BUTTONS + axis], batch.action[..., NUM_BUTTONS + axis]
            nats = -(log_prob.gather(-1, taken[..., None])[..., 0] + inside[axis][at])
            away = abs(centres[axis] - (at - STICK_STEPS)[..., None])
            drawn, likeliest = (log_prob.exp() * away).sum(-1), away.gather(-1, log_prob.argmax(-1, True))[..., 0]
            total[:3] += [float((part * batch.weight).sum()) for part in (nats, drawn, likeliest)]
        total[3] += batch.frames
    names = ("nats_a_position", "steps_drawn", "steps_likeliest")
    means = [total[0] / total[3], total[1] / total[3] / len(AXES), total[2] / total[3] / len(AXES)]
    return dict(zip(names, means, strict=True))


def measured(
    what: str, flags: dict[str, Any], run: training.Trained, options: Settings, games: tuple[Corpus, Corpus]
) -> dict[str, float]:
    """What an experiment asks of a finished run."""
    learned, held = games
    if what == "sticks":
        return sticks(run, options, learned, held)
    if what == "augment":
        return {"held_out": run.report["loss"]["total"]}
    asked = DELAYS if flags is ANY else (flags["frame_delay"],)
    return {
        f"at {delay}": measure(
            run.policy, assemble.walk(options, held, run.policy.codec, training.CPU, delay), run.baselines
        )["loss"]["total"]
        for delay in asked
    }


def main() -> None:
    args = report.arguments(__doc__, what="sticks", replays="../shared/replays", updates=600, seeds=3)
    root = Path(args.replays)
    games = split(root)
    with tempfile.TemporaryDirectory() as folder:
        learned = games.read(training.settings(root, SMALL))[0]
        chosen = arms(args.what, learned, Path(folder))
        found: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
        copied: dict[str, float] = {}
        for seed in range(args.seeds):
            for name, flags in chosen.items():
                options = training.settings(root, SMALL | flags)
                read = games.read(options)
                run = training.train(options, *read, seed, args.updates, args.updates)
                found[name].append(measured(args.what, flags, run, options, read) | {"cpu_seconds": run.cpu_seconds})
                copied[name] = run.report["baselines"]["copy-previous"]["loss"]["total"]
    rows = []
    for name, runs in found.items():
        for key in (key for key in runs[0] if key != "cpu_seconds"):
            values = [run[key] for run in runs]
            rows.append([name, key, statistics.median(values), min(values), max(values), copied[name]])
    result = {
        "what": args.what, "recipe": SMALL, "updates": args.updates, "games_learned": len(games.learned),
        "games_held_out": len(games.held_out), "copy_previous": copied, "seeds": found,
    }  # fmt: skip
    columns = ["arm", "measure", "median", "least", "most", "copy-previous, nats a decision"]
    report.show(args, result, f"{args.what}: {args.seeds} seeds, {args.updates} updates", columns, rows)


if __name__ == "__main__":
    main()
