"""Where a policy comes from: the plain page that stands beside it as ``NAME_config.json``."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from exphil import __version__
from exphil.data.corpus import Corpus
from exphil.errors import DataError
from exphil.game.ids import character_name
from exphil.replays.library import Loaded

LISTED = 500
"""More files than this are counted and hashed, more players are left out."""


def manifest_hash(files: Sequence[Loaded]) -> str:
    """``sha256:`` of names and contents of the files, in order: the same games in another folder give the same hash."""
    lines = "\n".join(f"{file.source.name} {file.digest}" for file in files)
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def check_same_games(now: Mapping[str, Any], then: Mapping[str, Any], where: str) -> None:
    """Refuse to resume on other games: the order of batches and the held-out games would not be the run's.

    Raises:
        DataError: with both counts.
    """
    if now["replay_manifest_hash"] != then["replay_manifest_hash"]:
        what = f"not the games of the run ({then['replay_count']} files then, {now['replay_count']} now)"
        raise DataError(what, where, "name the folder that holds the same files: --replays FOLDER")


def provenance(
    config: Mapping[str, Any],
    files: Sequence[Loaded],
    train: Corpus,
    validation: Corpus | None,
    players: Mapping[str, Any],
) -> dict[str, Any]:
    """The page of a run before it begins; results are added when it is saved.

    Args:
        config: Every option by name, plain values.
        files: The replays in use.
        train: The games learned from.
        validation: The games held out.
        players: The registry as ``features.players`` writes it; empty without styles.
    """
    known = players.get("players", {})
    frames: Counter[str] = Counter()
    for entry, decisions in zip(train.entries, train.decisions.tolist(), strict=True):
        frames[character_name(entry.character)] += decisions
    named = config["characters"] or ([config["train_character"]] if config["train_character"] else None)
    return {
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "exphil_version": __version__,
        **config,
        "hidden_sizes": config["hidden"],
        "characters": named,
        "stages": config["stages"] or None,
        "replays_dir": config["replays"],
        "replay_count": len(files),
        "replay_files": [str(file.source) for file in files] if len(files) <= LISTED else None,
        "replay_manifest_hash": manifest_hash(files),
        "character_distribution": dict(frames.most_common()),
        "player_styles": {name: found["number"] for name, found in known.items()} if len(known) <= LISTED else None,
        "training_frames": int(train.decisions.sum()),
        "validation_frames": 0 if validation is None else int(validation.decisions.sum()),
    }
