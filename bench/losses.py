"""Terms of the loss, by what policies say of games held out by file: equal data, equal updates, equal seeds.

Arms: the plain loss, focal, smoothing of sticks and trigger, weights of rarely pressed buttons, focal with weights;
and the plain policy again, a button taken for pressed from p = 1 / (1 + w) on instead of from a half, which is where
the weights would put the border if they changed nothing else. Measured: nats per decision (always the plain ones);
how often the likeliest action is right as a whole; and of rare buttons, over all frames and over those on which the
button was not held before: recall and precision of the likeliest, and how often presses are drawn beside how often
they were pressed. Of every four files one is held out. These figures do not rank how well policies play.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import torch

import report
import training
from exphil import assemble
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.data.loader import Loader
from exphil.features.action import BUTTONS, NUM_BUTTONS
from exphil.models.backbone import detach
from exphil.models.policy import Policy
from exphil.replays.sources import find
from exphil.train.losses import Imitation

RECIPE = {**training.RECIPE, "hidden": "128", "num_layers": 1, "augment": False}
EVERY = 4  # one file of so many is held out
WEIGHTS = {"Z": 12.0, "L": 4.0, "R": 4.0, "D_UP": 10.0}
RARE = ("Z", "L", "R", "Y", "D_UP")
WEIGHTED = tuple(WEIGHTS.get(button.name or "", 1.0) for button in BUTTONS)
ARMS = {
    "plain": Imitation(),
    "focal 2": Imitation(focal_gamma=2.0),
    "smoothing 0.1": Imitation(smoothing=0.1),
    "weights": Imitation(button_weights=WEIGHTED),
    "focal 2 and weights": Imitation(focal_gamma=2.0, button_weights=WEIGHTED),
}
BORDER = "plain, pressed from 1/(1+w)"


def learn(options: Settings, learned: Corpus, loss: Imitation, seed: int, updates: int) -> tuple[Policy, float]:
    """A policy after so many updates, and the CPU seconds of them."""
    torch.manual_seed(seed)
    codec = assemble.codec(options)
    policy = assemble.policy(options, codec).train()
    optimizer, schedule = assemble.optimizer(options, policy), assemble.schedule(options, updates)
    batches = assemble.loader(options, learned, assemble.plan(options, learned, seed), codec, training.CPU)
    began, state, epoch, step = time.process_time(), None, 0, 0
    for update in range(updates):
        if step == batches.steps(epoch):
            state, epoch, step = None, epoch + 1, 0
        batch = batches.load(epoch, step)
        seen = batch.floats, batch.ids, batch.action, state or policy.initial_state(len(batch.weight)), batch.is_first
        if loss.needs_spread:
            (log_prob, spread), state = policy.score(*seen, spread=True)
        else:
            (log_prob, state), spread = policy.score(*seen), None
        found = loss(log_prob, spread, batch.action, batch.weight)
        for group in optimizer.param_groups:
            group["lr"] = schedule(update)
        optimizer.zero_grad(set_to_none=True)
        (found.objective / found.count.clamp(min=1)).backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), options.training.max_grad_norm)
        optimizer.step()
        state, step = detach(state), step + 1
    return policy, time.process_time() - began


class Presses:
    """Sums over decisions, of 8 buttons: presses, presses said, both, and presses that would be drawn."""

    def __init__(self) -> None:
        self.frames, self.pressed, self.said, self.both, self.drawn = (
            torch.zeros(NUM_BUTTONS, dtype=torch.float64) for _ in range(5)
        )

    def add(self, counts: torch.Tensor, chance: torch.Tensor, border: torch.Tensor, pressed: torch.Tensor) -> None:
        """All ``(n, 8)``; ``counts`` 1 where the decision is looked at."""
        said = (chance > border) * counts
        self.frames += counts.sum(0)
        self.pressed += (pressed * counts).sum(0)
        self.said += said.sum(0)
        self.both += (said * pressed).sum(0)
        self.drawn += (chance * counts).sum(0)

    def found(self) -> dict[str, dict[str, float | None]]:
        """By button; None where nothing was pressed, or said."""

        def share(part: torch.Tensor, whole: torch.Tensor, at: int) -> float | None:
            return float(part[at] / whole[at]) if whole[at] else None

        return {
            str(button.name): {
                "recall": share(self.both, self.pressed, at),
                "precision": share(self.both, self.said, at),
                "pressed": share(self.pressed, self.frames, at),
                "drawn": share(self.drawn, self.frames, at),
                "presses": float(self.pressed[at]),
            }
            for at, button in enumerate(BUTTONS)
            if button.name in RARE
        }


@torch.inference_mode()
def judge(policy: Policy, walked: Loader, border: torch.Tensor) -> dict[str, Any]:
    """What a policy says of whole games; ``border`` ``(8,)`` is where a button is taken for pressed."""
    policy.eval()
    every, anew, nats, right, count = Presses(), Presses(), torch.zeros(13, dtype=torch.float64), 0.0, 0.0
    state = policy.initial_state(walked.plan.batch)
    for step in range(walked.steps(0)):
        batch = walked.load(0, step)
        features, held, state = policy.features(batch.floats, batch.ids, state, batch.is_first)
        found = policy.head.distributions(features, held, batch.action)
        counts = batch.weight > 0
        action, before = batch.action[counts], held[counts][:, :NUM_BUTTONS]
        parts = [part[counts] for part in found]
        taken = [part.gather(-1, action[:, at, None])[:, 0] for at, part in enumerate(parts)]
        nats -= torch.stack(taken, -1).double().sum(0)
        chance = torch.stack([part[:, 1] for part in parts[:NUM_BUTTONS]], -1).exp()
        said = [*(chance > border).long().unbind(-1), *(part.argmax(-1) for part in parts[NUM_BUTTONS:])]
        right += float((torch.stack(said, -1) == action).all(-1).sum())
        count += len(action)
        pressed = action[:, :NUM_BUTTONS].float()
        every.add(torch.ones_like(pressed), chance, border, pressed)
        anew.add((before == 0).float(), chance, border, pressed)
    nats /= count
    sums = {"nats": nats.sum(), "nats_buttons": nats[:NUM_BUTTONS].sum(), "nats_sticks": nats[NUM_BUTTONS:].sum()}
    means = {name: float(value) for name, value in sums.items()}
    return means | {"right": right / count, "frames": count, "every": every.found(), "anew": anew.found()}


def table(found: dict[str, list[dict[str, Any]]]) -> list[list[Any]]:
    """Medians and spread over seeds: losses first, then buttons."""
    rows: list[list[Any]] = []

    def row(name: str, what: str, values: list[float | None]) -> None:
        known = [value for value in values if value is not None]
        rows.append([name, what, *(f"{of(known):.5f}" if known else "-" for of in (statistics.median, min, max))])

    for name, runs in found.items():
        for key in ("nats", "nats_buttons", "nats_sticks", "right"):
            row(name, key, [run[key] for run in runs])
    for where in ("every", "anew"):
        for button in RARE:
            for name, runs in found.items():
                for key in ("recall", "precision", "pressed", "drawn"):
                    row(name, f"{button} {where} {key}", [run[where][button][key] for run in runs])
    return rows


def main() -> None:
    args = report.arguments(__doc__, corpus="../shared/corpus/games.7z", updates=800, seeds=3)
    options = training.settings(Path(args.corpus), RECIPE)
    files = find(Path(args.corpus)).sources
    learned = assemble.read(options, [source for at, source in enumerate(files) if at % EVERY]).corpus
    held = assemble.read(options, files[::EVERY]).corpus
    walked = assemble.walk(options, held, assemble.codec(options), training.CPU)
    half, border = torch.full((NUM_BUTTONS,), 0.5), 1 / (1 + torch.tensor(WEIGHTED))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in (*ARMS, BORDER)}
    for seed in range(args.seeds):
        for name, loss in ARMS.items():
            policy, seconds = learn(options, learned, loss, seed, args.updates)
            found[name].append(judge(policy, walked, half) | {"cpu_seconds": seconds})
            if name == "plain":
                found[BORDER].append(judge(policy, walked, border))
    result = {
        "recipe": RECIPE, "updates": args.updates, "weights": WEIGHTS, "games_learned": learned.games,
        "games_held_out": held.games, "seeds": found,
    }  # fmt: skip
    columns = ["arm", "measure", "median", "least", "most"]
    report.show(args, result, f"{args.seeds} seeds, {args.updates} updates", columns, table(found))


if __name__ == "__main__":
    main()
