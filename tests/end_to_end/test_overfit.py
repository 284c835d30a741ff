"""The overfit gate: one game learned by heart and played back frame by frame.

It passes only when everything between a replay and a pressed button agrees with itself: which controller answers which
state, one feature function for training and for play, carried state, both directions of the action codec, and the file
in between.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.layers import resolve
from exphil.data.corpus import Corpus, Entry
from exphil.envs.environment import run
from exphil.envs.replay import ReplayEnvironment
from exphil.features import action
from exphil.game.controller import controller_of
from exphil.replays import slp
from exphil.train import checkpoint
from exphil.train.loop import EpochDone

GAME, FIRST, FRAMES, SEAT = "sheik_vs_falco_battlefield_033.slp", 4123, 2000, 0  # Slippi 3.9; 83% of its frames hold
FLAGS = {
    "--temporal": True, "--backbone": "gru", "--hidden": "256", "--num-layers": "1", "--dropout": "0",
    "--batch-size": "1", "--window-size": "160", "--epochs": "75", "--seed": "1", "--device": "cpu",
    "--optimizer": "muon", "--weight-decay": "0", "--lr": "5e-3", "--lr-schedule": "cosine", "--warmup-steps": "20",
    "--num-player-names": "0", "--no-save-best": True, "--name": "overfit",
}  # fmt: skip
SHARE = 0.99


@pytest.mark.slow
def test_a_game_learned_by_heart_is_played_back(replays, tmp_path, record_property):
    """One lane, one seat, until the loss is at its floor.

    Then at least 99 in 100 controllers are right in all 13 components, pressed by the agent that is built from the
    policy file alone; 95 in 100 where the controller changes.
    """
    replay = slp.read(replays / GAME)
    game = replay.game[FIRST : FIRST + FRAMES]
    settings = resolve("train", {**FLAGS, "--checkpoints-dir": str(tmp_path)}, {})
    corpus = Corpus.of([(Entry(0, GAME, replay.characters[SEAT]), game.seen_from(SEAT))])
    began = time.process_time()
    job = assemble.training(
        settings, assemble.files_of(settings), (corpus, None), [replays / GAME], None, lambda: False
    )
    losses = [event.train for event in job.events if isinstance(event, EpochDone)]
    seconds = time.process_time() - began

    trained, policy = assemble.trained(checkpoint.load_policy(job.files.policy), str(job.files.policy))
    agent = assemble.agent(trained, policy, torch.device("cpu"), SEAT, 1, None)
    pressed: list[np.ndarray] = []
    port = replay.ports[SEAT]
    run(
        ReplayEnvironment(game, (replay.ports[0], replay.ports[1])),
        {port: agent},
        FRAMES,
        lambda frame, decisions: pressed.append(action.encode(decisions[port].controllers)[0]),
    )
    recorded = action.encode(controller_of(game.players, SEAT))
    right = (np.stack(pressed)[:-1] == recorded[1:]).all(1)
    held = (recorded[:-1] == recorded[1:]).all(1)
    found = {
        "loss": losses[-1], "share": right.mean(), "share where it changes": right[~held].mean(),
        "holding alone": held.mean(), "updates": job.updates, "cpu seconds": round(seconds, 1),
    }  # fmt: skip
    for name, value in found.items():
        record_property(name, float(value))
    print(f"overfit: {found}")  # noqa: T201
    assert losses[-1] < 0.05
    assert right.mean() >= SHARE
    assert right[~held].mean() >= 0.95  # the moments at which something happens
