"""``exphil evaluate POLICY``.

How well a policy predicts the players of recorded games, beside players that look at nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exphil import assemble
from exphil.cli.running.reading import read_games
from exphil.cli.shown import measured, told
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings, jsonable
from exphil.data.corpus import Corpus
from exphil.errors import DataError
from exphil.play.learned import delay_among


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
    asked = assemble.asked_delay(settings)
    delay = None if asked is None else delay_among(assemble.delays(trained), asked)
    players = assemble.styles(known(file.players, str(policy)), settings.playing.style)
    corpus, _, skips = read_games(terminal, trained)
    if settings.heldout.held_out:
        corpus = _held_out(corpus, set(file.training.get("held_out", ())), str(policy))
    corpus = corpus.styled(players)
    learned = len(set(corpus.digests) & set(file.training.get("learned", ())))
    alike = f", all as {settings.playing.style}" if settings.playing.style else ""
    count = f"{corpus.games} games"
    late = sorted(set(assemble.measured(trained, corpus, delay).tolist()))
    terminal.say(f"{count} on {device.type} with {threads} threads{alike}, answers {told.answers(late)}")
    if learned:
        seen = f"{learned} of these games were learned from (--held-out leaves them out)"
        terminal.warn(f"{seen}: this says little about games it has not seen")
    walked = assemble.walk(trained, corpus, network.codec, device, delay)
    report = measure(network.to(device), walked, file.baselines)
    report |= {"skipped": len(skips), "learned_from": learned, "style": settings.playing.style, "delay": late}
    if settings.output.json:
        terminal.data(report)
    else:
        measured.show(terminal, report)
    return 0


def _held_out(corpus: Corpus, digests: set[str], where: str) -> Corpus:
    """The games whose contents were held out by the run."""
    if not digests:
        raise DataError("its run held no games out", where, "train with --val-split, or drop --held-out")
    games = {entry.game for entry in corpus.entries if entry.digest in digests}
    if not games:
        raise DataError("none of these games was held out by its run", where, "name the run's folder: --replays FOLDER")
    return corpus.part(games)


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
