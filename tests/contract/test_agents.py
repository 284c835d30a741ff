"""Every policy, driven frame by frame through a recorded game, gives the distributions that training gave.

A player that scores the recorded hand by the policy and then does what the hand did: so what is seen, what is pending
and what the state has become are all the agent's doing. Its codec is as fine as a controller.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exphil import assemble
from exphil.config.layers import Settings, resolve
from exphil.data.corpus import Corpus, Entry
from exphil.envs.environment import run
from exphil.envs.replay import ReplayEnvironment
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.game.controller import Controller, controller_of
from exphil.game.frames import Game
from exphil.models.policy import Policy, TorchPlayer
from exphil.play.agent import Agent, Player
from exphil.play.windowed import Windowed
from exphil.replays import slp

FINE, CPU, FRAMES, WINDOW = Codec.uniform(160, 140), torch.device("cpu"), 90, 12
DELAYS = {"none": (0, 0, 0), "fixed": (3, 3, 1), "any": (2, 6, 1)}
"""Frames of delay, the most that the policy learned, and the part that the world adds."""
MOST = max(most for _, most, _ in DELAYS.values())


@pytest.fixture(scope="module")
def game(replays) -> Game:
    """A fight; on the first frames nothing is held, as an agent has pressed nothing yet."""
    found = slp.read(replays / "fox_vs_falco_fountain_of_dreams_015.slp").game[1000 : 1000 + FRAMES]
    for name in Controller._fields:
        getattr(found.players, name)[: 1 + MOST] = 0
    return found


class Act:
    """What a player gives back."""

    def __init__(self, action: NDArray[np.int64], log_prob: NDArray[np.float32]) -> None:
        self.action, self.log_prob = action, log_prob


class Hand(TorchPlayer):
    """Does what the recorded hand did, and says how likely the policy thought it; one game, in any number of rows."""

    def __init__(self, policy: Policy, recorded: NDArray[np.int64]) -> None:
        super().__init__(policy, CPU)
        self.policy, self.recorded, self.at = policy, recorded, 0

    @torch.inference_mode()
    def act(self, floats, ids, state, is_first, uniform, sharpness=None) -> tuple[Any, Any]:
        given = [torch.from_numpy(part)[:, None] for part in (floats, ids)]
        pressed = np.repeat(self.recorded[self.at][None], len(floats), 0)
        opens = torch.from_numpy(is_first)[:, None]
        log_prob, state = self.policy.score(*given, torch.from_numpy(pressed)[:, None], state, opens)
        self.at = min(self.at + 1, len(self.recorded) - 1)
        return Act(pressed, log_prob[:, 0].numpy()), state


def options(name: str, mode: str, delay: int, most: int) -> Settings:
    flags: dict[str, str | bool] = {"--num-player-names": "0", "--axis-buckets": "160", "--shoulder-buckets": "140"}
    if delay == most:
        flags["--frame-delay"] = str(most)
    else:
        flags |= {"--frame-delay-augment": True, "--frame-delay-max": str(most)}
    if name != "mlp":
        flags |= {"--sequence-mode": mode, "--window-size": str(WINDOW)}
    return resolve("train", {**flags, "--backbone": name, "--hidden": "16,16" if name == "mlp" else "16"}, {})


def noisy(asked: Settings) -> Policy:
    torch.manual_seed(1)
    made = assemble.policy(asked, FINE).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


@torch.inference_mode()
def trained(asked: Settings, policy: Policy, game: Game, delay: int, most: int) -> tuple[torch.Tensor, ...]:
    """Floats, ids and actions of the decisions as training shows them."""
    corpus = replace(Corpus.of([(Entry(0, "", 1), game)]), delay=most)
    batches = assemble.walk(asked, corpus, FINE, CPU, delay)
    found = [batches.load(0, step) for step in range(batches.steps(0))]
    count = int(corpus.decisions[0])
    return tuple(torch.cat([getattr(part, name)[0] for part in found])[:count] for name in ("floats", "ids", "action"))


@pytest.mark.parametrize("late", DELAYS)
@pytest.mark.parametrize("mode", ["lanes", "windows"])
@pytest.mark.parametrize("name", assemble.BACKBONES)
def test_an_agent_gives_the_distributions_of_training(game, name, mode, late):
    delay, most, environment = DELAYS[late]
    asked = options(name, mode, delay, most)
    policy, learned = noisy(asked), assemble.learned(asked, FINE, Registry(0))
    recorded = FINE.encode(controller_of(game.seen_from(0).players, 0))
    player: Player = Hand(policy, recorded[1 + delay :])
    if mode == "windows" and name != "mlp":
        assert learned.window == WINDOW
        player = Windowed(player, WINDOW)
    else:
        assert learned.window is None
    agent, said = Agent(player, learned, 0, 1, 0, delay=delay, environment_delay=environment), []
    run(ReplayEnvironment(game, (1, 2)), {1: agent}, FRAMES, lambda _, made: said.append(made[1].log_probs[0]))
    floats, ids, action = trained(asked, policy, game, delay, most)
    assert torch.equal(action, torch.from_numpy(recorded[1 + most :]))
    wanted = scored(policy, floats, ids, action, learned.window)
    found = np.stack(said)[most - delay :][: len(wanted)]
    assert len(wanted) > 80 and len(np.unique(wanted.round(3), axis=0)) > 60
    assert np.abs(found - wanted).max() <= 1e-4


@torch.inference_mode()
def scored(policy: Policy, floats, ids, action, window: int | None) -> NDArray[np.float32]:
    """Log-probabilities of every decision: over the whole game, or each at the end of its own window."""
    whole = slice(len(floats))
    parts = [whole] if window is None else [slice(max(0, last - window), last) for last in range(1, len(floats) + 1)]
    found = []
    for part in parts:
        given = (tensor[None, part] for tensor in (floats, ids, action))
        log_prob, _ = policy.score(*given, policy.initial_state(1), None)
        found.append(log_prob[0] if part is whole else log_prob[0, -1:])
    return torch.cat(found).numpy()
