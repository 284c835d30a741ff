"""The overfit gate: one game learned by heart and played back frame by frame.

It passes only when everything between a replay and a pressed button agrees with itself: which controller answers which
state, one feature function for training and for play, carried state, both directions of the action codec, and the file
in between. One lane, one seat, 2,000 frames; then the agent, built from the policy file alone, is stepped through the
recorded game. Bound: at least 99% of the controllers right in all 13 components.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

import report
from exphil import assemble
from exphil.config.layers import resolve
from exphil.data.corpus import Corpus, Entry
from exphil.envs.environment import run
from exphil.envs.replay import ReplayEnvironment
from exphil.game.controller import controller_of
from exphil.play.agent import LIKELIEST, Agent
from exphil.replays import slp
from exphil.replays.choosing import Choice
from exphil.replays.library import Loaded, Reading, load
from exphil.replays.sources import Source
from exphil.train.loop import EpochDone

GAME, FIRST, FRAMES, SEAT = "sheik_vs_falco_battlefield_033.slp", 4123, 2000, 0  # Slippi 3.9; 83% of its frames hold
FLAGS = {
    "--temporal": True, "--backbone": "gru", "--hidden": "256", "--num-layers": "1", "--dropout": "0",
    "--batch-size": "1", "--window-size": "160", "--epochs": "75", "--seed": "1", "--device": "cpu",
    "--optimizer": "muon", "--weight-decay": "0", "--lr": "5e-3", "--lr-schedule": "cosine", "--warmup-steps": "20",
    "--num-player-names": "0", "--no-save-best": True, "--name": "overfit",
}  # fmt: skip


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays")
    path = Path(args.replays) / GAME
    replay = slp.read(path)
    game = replay.game[FIRST : FIRST + FRAMES]
    with tempfile.TemporaryDirectory() as folder:
        settings = resolve("train", {**FLAGS, "--checkpoints-dir": folder}, {})
        corpus = Corpus.of([(Entry(0, GAME, replay.characters[SEAT], seat=SEAT), game)])
        used = [found for found in load([Source(path)], Reading(Choice(player=SEAT + 1))) if isinstance(found, Loaded)]
        began = time.process_time()
        files = assemble.files_of(settings)
        job = assemble.training(settings, files, (corpus, None), used, None, lambda: False)
        losses = [event.train for event in job.events if isinstance(event, EpochDone)]
        seconds = time.process_time() - began
        player, learned = assemble.playable(files.policy, "reference", "cpu", None)
    agent, codec = Agent(player, learned, SEAT, 1, 0, manner=LIKELIEST), learned.codec
    pressed: list[np.ndarray] = []
    port = replay.ports[SEAT]
    run(
        ReplayEnvironment(game, (replay.ports[0], replay.ports[1])),
        {port: agent},
        FRAMES,
        lambda frame, decisions: pressed.append(codec.encode(decisions[port].controllers)[0]),
    )
    recorded = codec.encode(controller_of(game.players, SEAT))
    right = (np.stack(pressed)[:-1] == recorded[1:]).all(1)
    held = (recorded[:-1] == recorded[1:]).all(1)
    result = {
        "loss": losses[-1],
        "right": float(right.mean()),
        "right_where_it_changes": float(right[~held].mean()),
        "held": float(held.mean()),
        "updates": job.updates,
        "cpu_seconds": seconds,
    }
    report.show(
        args, result, f"{FRAMES} frames of {GAME}", ["what", "value"], [[name, value] for name, value in result.items()]
    )


if __name__ == "__main__":
    main()
