"""A policy: whether it can be loaded, sees frames as this exphil shows them, and decides within a frame's time.

What enters: the file that was named. What leaves: one finding for the file and one for each player that can play it.
What can go wrong, and is told: the file is missing, damaged, or of another feature table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from exphil.cli.checks.finding import OK, PROBLEM, UNSEEN, WARNING, Asked, Finding
from exphil.errors import ExphilError, PolicyError

if TYPE_CHECKING:
    from exphil.cli.checks.deciding import Pace
    from exphil.play.learned import Learned

FRAME_MS = 1000 / 60
LATENCY = {"reference": "latency", "fast": "latency, fast"}


def policy(asked: Asked) -> Iterator[Finding]:
    """Load it for each player and let it decide; findings come as soon as they are known."""
    if asked.policy is None:
        yield Finding("policy", UNSEEN, "--policy FILE")
        return
    from exphil.assemble.playing import playable
    from exphil.cli.checks.deciding import measure
    from exphil.train.runfiles import GRAPH

    exported = asked.policy.suffix == GRAPH
    if not exported:
        _need_torch()
    first = "fast" if exported else "reference"
    decides, learned = playable(asked.policy, first, asked.device, asked.threads)
    yield Finding("policy", OK, described(asked.policy, learned))
    yield judge_pace(LATENCY[first], measure(decides, learned), asked.threads)
    if exported:
        return
    try:
        decides, learned = playable(asked.policy, "fast", asked.device, asked.threads)
    except PolicyError as error:
        yield Finding(LATENCY["fast"], WARNING, error.what, error.fix)
    except ExphilError as error:
        yield Finding(LATENCY["fast"], UNSEEN, error.what, error.fix)
    else:
        yield judge_pace(LATENCY["fast"], measure(decides, learned), asked.threads)


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
    except Exception:  # whatever a library below torch raises; the line on torch says it
        fix = "see the line on torch; what exphil export onnx writes is played without it"
        raise ExphilError("needs torch, which cannot be used", fix=fix) from None


def described(path: Path, learned: Learned) -> str:
    """What was loaded."""
    low, high = learned.delays
    late = f"{low} to {high}" if low < high else f"{low}"
    return f"{path.name}: {learned.backbone}, sees frames as this exphil shows them, answers {late} frames late"


def judge_pace(name: str, pace: Pace, threads: int | None, frame_ms: float = FRAME_MS) -> Finding:
    """Decisions against the time that a frame lasts.

    Args:
        name: Of the finding.
        pace: What was measured.
        threads: As ``--threads`` says; None for what the player takes by itself.
        frame_ms: How long a frame lasts.
    """
    p50, p99 = pace.at(0.5) * 1000, pace.at(0.99) * 1000
    words = f"a decision takes {p50:.2f} ms, 1 in 100 more than {p99:.2f}; a frame lasts {frame_ms:.1f} ms"
    if p50 > frame_ms:
        return Finding(name, PROBLEM, f"{words}: too slow for 60 Hz", _faster(name, threads))
    if p99 > frame_ms:
        return Finding(name, WARNING, f"{words}: some come too late", f"close other programs; {_faster(name, threads)}")
    fit = fitting(pace.many, frame_ms)
    return Finding(name, OK, f"{words}; {fit} games at once keep up" if fit > 1 else words)


def fitting(many: Mapping[int, float], frame_ms: float) -> int:
    """The most games that were decided together within a frame; 1 when none of those tried.

    Args:
        many: Games, and seconds of a decision for all of them at the 99th percentile.
        frame_ms: How long a frame lasts.
    """
    return max((games for games, seconds in many.items() if seconds * 1000 <= frame_ms), default=1)


def _faster(name: str, threads: int | None) -> str:
    """With several threads, one that has to wait for a core holds up the others at every layer."""
    if name == LATENCY["fast"]:
        return "a smaller network"
    return f"{'' if threads == 1 else '--threads 1, '}the fast player (--player fast), or a smaller network"
