"""Teacher and student side by side: nats of the same games, sizes, and what a decision costs them."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from exphil import assemble
from exphil.assemble.playing import EXPORT, PLAYERS, player_of
from exphil.assemble.teacher import teacher
from exphil.cli.shown.drawing import many
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings

if TYPE_CHECKING:
    from exphil.assemble import Job
    from exphil.data.loader import Loader
    from exphil.models.policy import Policy
    from exphil.play.learned import Learned


def compare(terminal: Terminal, settings: Settings, job: Job) -> None:
    """Print what teacher and student say of the same games, and what a decision costs them.

    Raises:
        ExphilError: a policy file is gone, or no decision counts.
    """
    from exphil.evaluate.benchmark import baseline_losses
    from exphil.train.checkpoint import load_policy
    from exphil.train.validate import held_out_loss

    device, (learned, held) = job.run.device, job.corpora
    games, file, student = held or learned, teacher(settings), _student(job)
    assert file is not None, "run sees to it"
    walked = assemble.walk(settings, games, job.run.policy.codec, device)
    files = {"teacher": file, "student": load_policy(student)}
    trained = {who: assemble.trained(found, who) for who, found in files.items()}
    policies = [policy.to(device).eval() for _, policy in trained.values()]
    copying = baseline_losses(job.run.policy, walked, job.about.baselines)["copy-previous"]
    nats = [held_out_loss(policy, walked) for policy in policies]
    sizes = [sum(each.numel() for each in policy.parameters()) for policy in policies]
    learnt = [assemble.known_of(options, files[who], who) for who, (options, _) in trained.items()]
    speeds = [_milliseconds(policy, seen, walked) for policy, seen in zip(policies, learnt, strict=True)]
    rows = [
        (who, f"{loss:.4f}", f"{1 - loss / copying:.1%}", f"{size:,}", *(f"{took:.2f}" for took in speed.values()))
        for who, loss, size, speed in zip(files, nats, sizes, speeds, strict=True)
    ]
    rows.append(("copying the controller", f"{copying:.4f}", "", "", *[""] * len(speeds[0])))
    players = [f"ms, {name}" for name in speeds[0]]
    title = f"Teacher and student ({many(games.games, 'game')} {'held out' if held else 'learned from'})"
    terminal.table(title, ("policy", "nats", "below copying", "parameters", *players), rows)
    word = "lost" if nats[1] > nats[0] else "gained"
    took = ", ".join(f"{speeds[0][name] / speeds[1][name]:.1f} times as fast ({name})" for name in speeds[0])
    size = f"{sizes[1] / sizes[0]:.1%} of the parameters"
    unranked = "Nats say how well people are predicted; they do not rank how well policies play."
    terminal.lines([f"{word} {abs(nats[1] - nats[0]):.4f} nats per decision; {size}; {took}", unranked])
    if not held:
        terminal.warn("no games were held out: these are games that the student learned from (--val-split 0.1)")
    if known := len(set(games.digests) & set(file.training.get("learned", ()))):
        terminal.warn(f"the teacher learned from {known} of these games, so its nats flatter it")


def _student(job: Job) -> Path:
    """The policy file that the run ends with: of averaged weights before its own, of the best epoch before the last."""
    both = job.files.variant("_best"), job.files
    averages = [files.average for files in both] if job.run.average else []
    return next(path for path in (*averages, *(files.policy for files in both)) if path.exists())


def _milliseconds(policy: Policy, learned: Learned, walked: Loader) -> dict[str, float]:
    """The median time of a decision for one game on one thread, of every player that can be had here."""
    from exphil.evaluate.benchmark import latencies

    there = [name for name in PLAYERS if name != "fast" or all(map(find_spec, EXPORT))]
    device = next(policy.parameters()).device
    return {name: latencies(partial(player_of, name, policy, learned, device), walked)["1"]["p50"] for name in there}
