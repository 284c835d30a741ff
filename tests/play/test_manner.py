"""How decisions follow from what is likely; and many games in one memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exphil import assemble
from exphil.config.layers import resolve
from exphil.envs.environment import Frame, run
from exphil.envs.replay import ReplayEnvironment
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.game.frames import Game
from exphil.models.export import export
from exphil.models.policy import TorchPlayer
from exphil.play.agent import LIKELIEST, Agent, Decision, Manner, Player
from exphil.play.fast import FastPlayer
from exphil.play.learned import Learned
from exphil.play.windowed import Windowed
from exphil.replays import slp

CODEC, CPU, FRAMES = Codec.uniform(), torch.device("cpu"), 150
FLAGS = {"--backbone": "gru", "--hidden": "16", "--frame-delay-augment": True, "--frame-delay-max": "3"}
OPEN = (1.0,) * 13


@pytest.fixture(scope="module")
def game(replays) -> Game:
    return slp.read(replays / "fox_vs_falco_fountain_of_dreams_015.slp").game[200 : 200 + FRAMES]


@pytest.fixture(scope="module")
def players(tmp_path_factory) -> dict[str, Player]:
    asked = resolve("train", FLAGS, {})
    torch.manual_seed(1)
    policy = assemble.policy(asked, CODEC).eval()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp("graph") / "x.onnx"
    export(policy, path, {})
    reference = TorchPlayer(policy, CPU)
    return {"reference": reference, "fast": FastPlayer(path), "windowed": Windowed(reference, 5)}


@pytest.fixture(scope="module")
def learned() -> Learned:
    return assemble.learned(resolve("train", FLAGS, {}), CODEC, Registry(0))


def played(player: Player, learned: Learned, game: Game, manner: Manner, seed: int = 3) -> list[Decision]:
    agent, seen = Agent(player, learned, 0, 1, seed, manner=manner), []
    run(ReplayEnvironment(game, (1, 2)), {1: agent}, FRAMES, lambda _, made: seen.append(made[1]))
    return seen


def actions(decisions: list[Decision]) -> NDArray[np.int64]:
    return np.concatenate([decision.actions for decision in decisions])


@pytest.mark.parametrize("who", ["reference", "fast"])
def test_a_lower_temperature_is_closer_to_the_likeliest(players, learned, game, who):
    likely = []
    for heat in (0.0, 0.3, 1.0, 3.0):
        found = played(players[who], learned, game, Manner((heat,) * 13))
        likely.append(float(np.mean([decision.log_prob[0] for decision in found])))
    assert likely == sorted(likely, reverse=True) and likely[0] > likely[1] + 0.1 and likely[2] > likely[3] + 1


@pytest.mark.parametrize("who", ["reference", "fast"])
def test_the_temperature_of_one_component_leaves_the_first_ones_as_they_are(players, learned, game, who):
    """One frame, so that what was drawn before changes nothing; a component is told of those before it."""
    plain = played(players[who], learned, game, Manner())[0].actions[0]
    for index in (0, 3, 8, 10, 12):
        hot = played(players[who], learned, game, Manner((*OPEN[:index], 90.0, *OPEN[index + 1 :])))[0].actions[0]
        assert np.array_equal(hot[:index], plain[:index])
    hottest = actions(played(players[who], learned, game, Manner((*OPEN[:12], 100.0))))
    assert len(np.unique(hottest[:, 12])) == 5 and np.unique(hottest[:, 12], return_counts=True)[1].min() > 12


def test_both_players_draw_alike_at_every_temperature(players, learned, game):
    manner = Manner((0.5, 2.0, 0.0, 1.0, 1.0, 0.1, 7.0, 1.0, 0.3, 0.0, 3.0, 1.0, 0.8), 0.4, 0.2)
    mine, theirs = (actions(played(players[who], learned, game, manner)) for who in ("reference", "fast"))
    assert np.array_equal(mine, theirs) and len(np.unique(mine, axis=0)) > 20


def test_the_likeliest_needs_no_seed(players, learned, game):
    one, two = (actions(played(players["fast"], learned, game, LIKELIEST, seed)) for seed in (1, 2))
    assert np.array_equal(one, two)


class Fading:
    """Every button has one probability on a frame, which goes up and comes down again; the sticks rest."""

    likely = np.concatenate([np.linspace(0.05, 0.95, 20), np.linspace(0.95, 0.05, 20)])

    def __init__(self) -> None:
        self.at = 0

    def initial_state(self, batch: int) -> int:
        return 0

    def act(self, floats, ids, state, is_first, uniform, sharpness=None):
        taken = np.tile(np.array(CODEC.neutral), (len(floats), 1))
        taken[:, :8] = self.likely[self.at] >= 1 - uniform[:, :8]
        self.at += 1
        return Taken(taken, np.zeros(taken.shape, np.float32)), 0


class Taken:
    """What a player gives back."""

    def __init__(self, action, log_prob) -> None:
        self.action, self.log_prob = action, log_prob


def test_a_button_is_pressed_late_and_released_later(game):
    """Held from the first frame that reaches the press threshold to the last above the release threshold."""
    table = assemble.table(resolve("train", {"--num-player-names": "0", "--frame-delay": "1"}, {}))
    learned = Learned(table, CODEC, (1, 1), Registry(0))
    agent = Agent(Fading(), learned, 0, 1, 0, manner=Manner(press_threshold=0.7, release_threshold=0.2))
    seen: list[Decision] = []
    run(ReplayEnvironment(game, (1, 2)), {1: agent}, 40, lambda _, made: seen.append(made[1]))
    held = actions(seen)[:, 4]
    first, last = (int(part) for part in np.flatnonzero(held)[[0, -1]])
    assert held[first : last + 1].all() and Fading.likely[first] >= 0.7 > Fading.likely[first - 1]
    assert last > 20 and Fading.likely[last] >= 0.2 > Fading.likely[last + 1]


@pytest.mark.parametrize("who", ["reference", "fast"])
def test_thresholds_look_at_what_was_learned_whatever_the_temperature(players, learned, game, who):
    """With a real head, also where the sticks take the likeliest."""

    def buttons(heat: float, bound: float) -> NDArray[np.int64]:
        manner = Manner((heat,) * 8 + (0.0,) * 5, bound, bound)
        return actions(played(players[who], learned, game, manner))[:, :8]

    low = buttons(1.0, 0.02)
    assert all(np.array_equal(buttons(heat, 0.02), low) for heat in (0.0, 3.0))
    assert low.sum() > buttons(0.0, 0.5).sum()


@pytest.mark.parametrize("who", ["reference", "fast"])
def test_numbers_of_the_world_that_are_none_do_not_stay_in_the_state(players, learned, game, who):
    agent = Agent(players[who], learned, 0, 1, 3)
    for at in range(60):
        shown = Game(game.rows[at : at + 1].copy())
        if at in (20, 21):
            shown.players.x[...] = np.nan
        no = np.zeros(1, bool)
        decision = agent.step(Frame(shown, np.array([at == 0]), no, no))
        assert np.isfinite(decision.log_probs).all()


@pytest.mark.parametrize("repeat", [2, 5])
def test_a_decision_is_kept_as_many_frames_as_asked_for(players, learned, game, repeat):
    found = played(players["fast"], learned, game, Manner(action_repeat=repeat))
    taken = actions(found).reshape(-1, repeat, 13)
    assert (taken == taken[:, :1]).all() and len(np.unique(taken[:, 0], axis=0)) > 10
    log_probs = np.concatenate([decision.log_probs for decision in found]).reshape(-1, repeat, 13)
    assert (log_probs[:, 0] < 0).any(-1).all() and (log_probs == log_probs[:, :1]).all()


def test_confidence_is_the_probability_of_what_was_chosen(players, learned, game):
    found = played(players["reference"], learned, game, Manner())
    for decision in found[:50]:
        share = np.exp(decision.log_probs[0])
        parts = share[:8].mean(), share[8:10].mean(), share[10:12].mean(), share[12]
        assert decision.confidence[0] == pytest.approx(np.mean(parts), abs=1e-6) and 0 < decision.confidence[0] < 1
    sure = played(players["reference"], learned, game, LIKELIEST)
    assert np.mean([d.confidence for d in sure]) > np.mean([d.confidence for d in found])


@pytest.mark.parametrize("who", ["reference", "fast", "windowed"])
def test_a_game_does_not_notice_who_is_in_the_batch(players, learned, game, who):
    """Alone in row 2 of four, or among others that come, go and begin anew: the same actions and presses."""
    how = {"manner": Manner(action_repeat=2), "delay": 2, "environment_delay": 1}
    alone, crowd = (Agent(players[who], learned, 0, 4, 7, **how) for _ in range(2))
    random, shown = np.random.default_rng(0), [0, 0, 0, 0]
    for at in range(60):
        mine = Frame(game[at : at + 1], np.array([at == 0]), np.zeros(1, bool), np.zeros(1, bool))
        one = alone.step(mine, np.array([2]))
        others = [int(row) for row in random.permutation([0, 1, 3])[: random.integers(0, 4)]]
        rows = np.array(random.permutation([2, *others]))
        first = [at == 0 if row == 2 else shown[row] == 0 or random.random() < 0.1 for row in rows]
        frames = Game(np.stack([game.rows[at if row == 2 else random.integers(FRAMES)] for row in rows]))
        for row in rows:
            shown[row] += 1
        no = np.zeros(len(rows), bool)
        many = crowd.step(Frame(frames, np.array(first), no, no), rows)
        place = int(np.flatnonzero(rows == 2)[0])
        assert np.array_equal(one.actions[0], many.actions[place])
        assert np.abs(one.log_probs[0] - many.log_probs[place]).max() <= 1e-5
        pairs = zip(one.controllers, many.controllers, strict=True)
        assert all(mine[0] == theirs[place] for mine, theirs in pairs)


def test_every_row_and_every_game_in_it_draws_anew(players, learned, game):
    """The same recording in two rows, twice: four games of one agent."""
    agent, found = Agent(players["fast"], learned, 0, 2, 7), []
    for at in range(80):
        rows = Game(np.repeat(game.rows[at % 40][None], 2, 0))
        no = np.zeros(2, bool)
        found.append(agent.step(Frame(rows, np.full(2, at % 40 == 0), no, no)).actions)
    games = np.stack(found).reshape(2, 40, 2, 13).swapaxes(1, 2).reshape(4, -1)
    assert len(np.unique(games, axis=0)) == 4
