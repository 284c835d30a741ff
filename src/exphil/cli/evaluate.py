"""``exphil evaluate POLICY``.

How well a policy predicts the players of recorded games, beside players that look at nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exphil import assemble
from exphil.cli import told
from exphil.cli.reading import read_games
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings, jsonable


def run(settings: Settings, policy: Path) -> int:
    """Walk every game of ``--replays``; seats and frames are chosen as in training unless said otherwise."""
    from exphil.evaluate.offline import measure
    from exphil.features.players import known
    from exphil.train import checkpoint, runtime

    terminal = Terminal.of(settings)
    file = checkpoint.load_policy(policy)
    threads, device = runtime.set_threads(settings.machine.threads), runtime.device(settings.machine.device)
    trained, network = assemble.trained(file, str(policy))
    trained = trained.changed(_said(settings), "this call")
    delay = assemble.delay_for(trained, settings.delay.frame_delay) if settings.given("frame_delay") else None
    players = assemble.styles(known(file.players, str(policy)), settings.playing.style)
    corpus, _, skips = read_games(terminal, trained)
    corpus = corpus.styled(players)
    learned = len(set(corpus.digests) & set(file.training.get("learned", ())))
    alike = f", all as {settings.playing.style}" if settings.playing.style else ""
    count = f"{corpus.games} games, {corpus.decisions.sum():,} decisions"
    late = sorted(set(assemble.measured(trained, corpus, delay).tolist()))
    terminal.say(f"{count} on {device.type} with {threads} threads{alike}, answers {told.answers(late)}")
    if learned:
        terminal.warn(f"{learned} of these games were learned from: this says little about games it has not seen")
    walked = assemble.walk(trained, corpus, network.codec, device, delay)
    report = measure(network.to(device), walked, file.baselines)
    report |= {"skipped": len(skips), "learned_from": learned, "style": settings.playing.style, "delay": late}
    if settings.output.json:
        terminal.data(report)
    else:
        show(terminal, report)
    return 0


def _said(settings: Settings) -> dict[str, Any]:
    """What this call decides: the files always, seats and frames when they were named."""
    seats = ("player_port", "train_character", "dual_port")
    names = {"replays", "max_files", "workers", "skip_errors", "show_errors", "error_log", "show_quality_stats"}
    names |= {"precompute", "cache", "cache_dir", "cache_compress", "rollbacks", "skip_duplicates"}
    names |= {name for name in ("characters", "stages", "min_quality") if settings.given(name)}
    names |= set(seats) if any(settings.given(name) for name in seats) else set()
    names |= {"all_frames"} if settings.given("all_frames") else set()
    whole = {
        "stream_chunk_size": None,
        "stream_chunk_frames": None,
        "cache_embeddings": False,
        "cache_augmented": False,
    }
    return jsonable({name: settings[name] for name in names}) | whole


def show(terminal: Terminal, report: dict[str, Any]) -> None:
    """The report as tables."""
    losses = {"policy": report["loss"]} | {name: found["loss"] for name, found in report["baselines"].items()}
    rows = [[name, *(f"{loss[name]:.4f}" for loss in losses.values())] for name in report["loss"]]
    terminal.table(
        f"Loss, nats per decision ({report['games']} games, {report['frames']:,} decisions)",
        ["component", *losses],
        rows,
    )
    accuracy = [
        [name, f"{value:.2%}", f"{report['top3'][name]:.2%}" if name in report["top3"] else ""]
        for name, value in report["accuracy"].items()
    ]
    terminal.table(
        "Share of decisions in which the likeliest is what was done", ["component", "first", "among three"], accuracy
    )
    buttons = [
        [name, *(_percent(found[key]) for key in ("precision", "recall", "press_rate", "press_rate_predicted"))]
        for name, found in report["buttons"].items()
    ]
    terminal.table("Buttons", ["button", "precision", "recall", "pressed", "pressed, predicted"], buttons)
    gaps = [[name, f"{found['expected_error']:.2%}"] for name, found in report["calibration"].items()]
    terminal.table("Calibration: mean gap between confidence and accuracy", ["component", "gap"], gaps)
    best = min((found["loss"]["total"], name) for name, found in report["baselines"].items())
    gain = 1 - report["loss"]["total"] / best[0]
    sides = f"{abs(gain):.1%} {'below' if gain >= 0 else 'above'} the best baseline ({best[1]})"
    choices = told.presses(report["classes"])
    same = f"Losses can be compared only between policies with the same choices, here {choices}."
    terminal.lines([f"{sides}. Predicting people well does not rank how well a policy plays.", same])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
