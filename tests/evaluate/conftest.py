"""Results of comparisons as a file would hold them, with losses to choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def made(backbone: str, seed: int, loss: float, lr: float = 0.003) -> dict[str, Any]:
    """One finished run."""
    curve = [
        {"updates": 10 * at, "frames": 1000.0 * at, "train": loss + 1 / at, "held_out": loss + 0.5 / at - 0.05}
        for at in range(1, 11)
    ]
    times = {
        str(batch): {"p50": 0.5 + batch / 100, "p99": 1.0 + batch / 50, "decisions": 100} for batch in (1, 32, 128)
    }
    return {
        "backbone": backbone,
        "seed": seed,
        "recipe": {"batch_size": 32, "lr": lr},
        "date": "2026-01-02T03:04:05Z",
        "exphil": "0.1.0",
        "held_out": loss,
        "curve": curve,
        "curve_decisions": 500,
        "updates": 100,
        "frames": 10_000,
        "seconds": 2.0,
        "cpu_seconds": 2.0,
        "frames_per_second": 5000.0 + seed,
        "parameters": 1_000_000,
        "saved_bytes": 2_500_000,
        "decision_ms": {"reference": times},
        "untimed": {},
        "machine": {"processor": "a <fast> one", "cores": 2, "threads": 1, "python": "3", "torch": "2"},
    }


def under(key: str, *runs: dict[str, Any]) -> dict[str, Any]:
    """Runs under some conditions."""
    side = {"games": 3, "players": 6, "decisions": 30_000, "sha256": "00"}
    return {
        "key": key,
        "device": "cpu",
        "games": {"learned": side, "held_out": side},
        "budget": {"epochs": 2},
        "options": {"hidden": [16], "augment": True},
        "sees": "table",
        "presses": "codec",
        "files": {"learned": ["a.slp"], "held_out": ["b.slp"]},
        "baselines": {"copy-previous": 1.8, "majority": 6.0},
        "runs": list(runs),
        "failed": [],
    }


@pytest.fixture(scope="session")
def run() -> Callable[..., dict[str, Any]]:
    """``made``."""
    return made


@pytest.fixture(scope="session")
def conditions() -> Callable[..., dict[str, Any]]:
    """``under``."""
    return under
