"""The agent walks, frame by frame, the road that training walked over whole stretches; and presses when it should."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.layers import resolve
from exphil.envs.environment import Frame, run
from exphil.envs.replay import ReplayEnvironment
from exphil.errors import OptionError
from exphil.features.action import Codec
from exphil.features.observation import Table
from exphil.features.players import Registry
from exphil.game.controller import Controller
from exphil.game.frames import Game
from exphil.models.policy import TorchPlayer
from exphil.play.agent import LIKELIEST, Agent, Decision, Manner, likeliest
from exphil.play.learned import Learned
from exphil.replays import slp

CODEC = Codec.uniform()

CPU = torch.device("cpu")
FRAMES = 180


@pytest.fixture(scope="module")
def game(replays) -> Game:
    return slp.read(replays / "fox_vs_falco_fountain_of_dreams_015.slp").game[200 : 200 + FRAMES]


def settings(name: str = "gru"):
    wide = "24,24" if name == "mlp" else "24"
    return resolve("train", {"--temporal": True, "--backbone": name, "--hidden": wide}, {})


def policy(name: str = "gru"):
    torch.manual_seed(1)
    made = assemble.policy(settings(name), CODEC).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def seated(player, table: Table, codec: Codec, seat: int, games: int, seed: int | None, *late: int) -> Agent:
    """An agent of a policy that learned every delay its table has room for; without a seed it takes the likeliest."""
    learned = Learned(table, codec, (0, table.max_delay), Registry(0))
    how = dict(zip(("delay", "environment_delay"), late, strict=False))
    return Agent(player, learned, seat, games, seed or 0, manner=LIKELIEST if seed is None else Manner(), **how)


def agent_of(asked, model, seat: int, seed: int | None, players=None, style: str | None = None) -> Agent:
    """A policy of a run in one seat of one game."""
    learned = assemble.learned(asked, CODEC, players or Registry(0))
    manner = LIKELIEST if seed is None else Manner()
    number = assemble.style(learned, style)
    return Agent(TorchPlayer(model, CPU), learned, seat, 1, seed or 0, manner=manner, style=number)


def watched(agent, game: Game, frames: int, seat: int = 0) -> list[Decision]:
    """The agent's decisions while a recorded game is shown."""
    seen: list[Decision] = []
    port = (2, 4)[seat]
    run(ReplayEnvironment(game, (2, 4)), {port: agent}, frames, lambda frame, decisions: seen.append(decisions[port]))
    return seen


@pytest.mark.parametrize("name", assemble.BACKBONES)
@pytest.mark.parametrize("seat", [0, 1])
def test_driven_frame_by_frame_it_does_what_the_policy_says_of_the_whole_game(game, name, seat):
    """Twice over the recording, so that the second game starts from a fresh state."""
    model = policy(name)
    decisions = watched(agent_of(settings(name), model, seat, None), game, 2 * FRAMES, seat)
    floats, ids = assemble.table(settings(name)).encode(game.seen_from(seat))
    with torch.inference_mode():
        given, coldest = [torch.from_numpy(part)[None] for part in (floats, ids)], likeliest(1, FRAMES)
        choice, _ = model(*given, model.initial_state(1), None, *map(torch.from_numpy, coldest))
    for part in (decisions[:FRAMES], decisions[FRAMES:]):
        assert np.array_equal(np.concatenate([d.actions for d in part]), choice.action[0].numpy())
        log_prob = np.concatenate([d.log_prob for d in part])
        assert np.abs(log_prob - choice.log_prob[0].sum(-1).numpy()).max() <= 1e-4
    pressed = CODEC.encode(decisions[7].controllers)
    assert np.array_equal(pressed, decisions[7].actions)  # without delay at once


def test_draws_follow_the_seed(game):
    agents = [agent_of(settings(), policy(), 0, seed) for seed in (5, 5, 6, None)]
    mine, again, other, greedy = (np.concatenate([d.actions for d in watched(a, game, 60)]) for a in agents)
    assert np.array_equal(mine, again)
    assert not np.array_equal(mine, other) and not np.array_equal(mine, greedy)


def test_games_side_by_side_are_played_like_one_alone(game):
    """Each restarts when its own game opens."""
    model, table = policy(), assemble.table(settings())
    both = seated(TorchPlayer(model, CPU), table, CODEC, 0, 2, None)
    alone = watched(agent_of(settings(), model, 0, None), game, 60)
    zeros = np.zeros(2, np.bool_)
    for t in range(100):
        late = max(t - 40, 0)
        rows = np.stack([game.rows[min(t, 59)], game.rows[late]])
        decision = both.step(Frame(Game(rows), np.array([t == 0, t in (0, 40)]), zeros, zeros))
        if t < 60:
            assert np.array_equal(decision.actions[0], alone[t].actions[0])
        if t >= 40:
            assert np.array_equal(decision.actions[1], alone[t - 40].actions[0])


@pytest.mark.parametrize("mode", ["one_hot", "learned"])
def test_an_agent_plays_like_whom_it_is_told(game, mode):
    """Its number stands in the rows it encodes, in its own seat and in no other; the world's rows keep theirs."""
    flags = {"--learn-player-styles": True, "--player-mode": mode, "--hidden": "16", "--num-player-names": "4"}
    asked, players = resolve("train", flags, {}), Registry.build(["A#1", "A#1", "B#2"], 4)
    torch.manual_seed(1)
    model, before = assemble.policy(asked, CODEC).eval(), game.rows.copy()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    seen = {}
    for style in ("a#1", "B#2", "nobody", None):
        agent = agent_of(asked, model, 1, None, players, style)
        seen[style] = np.concatenate([decision.log_prob for decision in watched(agent, game, 60, 1)])
        rows = game.seen_from(1)
        rows.players.style[:, 0] = players.named(style) if style else 0
        floats, ids = (torch.from_numpy(part)[None, :60] for part in assemble.table(asked).encode(rows))
        with torch.inference_mode():
            choice, _ = model(floats, ids, model.initial_state(1), None, *map(torch.from_numpy, likeliest(1, 60)))
        assert np.abs(seen[style] - choice.log_prob[0].sum(-1).numpy()).max() <= 1e-4
    assert np.array_equal(seen["nobody"], seen[None])
    assert len({tuple(found) for found in seen.values()}) == 3 and np.array_equal(game.rows, before)
    with pytest.raises(OptionError, match="no style 'C#3'"):
        agent_of(asked, model, 0, None, players, "C#3")
    with pytest.raises(OptionError, match="the policy knows no players"):
        agent_of(asked, model, 0, None, style="A#1")


class Counting:
    """A player that decides main x classes 0, 1, 2, ... and checks what it is given."""

    def __init__(self, games: int, delay: int = 0) -> None:
        self.games, self.count, self.floats = games, 0, Table(0, False, max_delay=delay).floats

    def initial_state(self, batch: int) -> int:
        assert batch == self.games
        return 0

    def act(self, floats, ids, state, is_first, uniform, sharpness=None):
        assert (floats.shape, floats.dtype) == ((self.games, self.floats), np.float32)
        assert (ids.shape, ids.dtype) == ((self.games, 4), np.int64)
        assert (is_first.shape, is_first.dtype) == ((self.games,), np.bool_)
        assert uniform.shape == (self.games, 13) and uniform.dtype == np.float32
        assert uniform.min() >= 0 and uniform.max() < 1
        assert sharpness is None or np.array_equal(sharpness, likeliest(1)[1])
        assert state == self.count  # what the call before returned
        taken = np.tile(CODEC.neutral, (self.games, 1))
        taken[:, 8] = self.count % 17
        self.count += 1
        return Act(taken, np.full((self.games, 13), -0.5, np.float32)), self.count


class Act:
    """What a player gives back."""

    def __init__(self, taken, log_prob) -> None:
        self.action, self.log_prob = taken, log_prob


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("own", [0, 1, 2, 5])
def test_with_a_delay_of_two_a_decision_is_pressed_two_frames_later(game, own, seed):
    """Before that nothing is; what the world itself adds is not added again."""
    for environment in (0, 1):
        late = own + environment
        agent = seated(Counting(1, late), Table(0, False, max_delay=late), CODEC, 0, 1, seed, late, environment)
        decisions = watched(agent, game, 15)
        decided = [int(d.actions[0, 8]) for d in decisions]
        pressed = [int(CODEC.encode(d.controllers)[0, 8]) for d in decisions]
        assert decided == list(range(15))
        assert pressed == [8] * own + list(range(15 - own))
        assert all(isinstance(d.controllers, Controller) and d.controllers.main_x.shape == (1,) for d in decisions)
        assert all(d.log_prob[0] == pytest.approx(-6.5) for d in decisions)


def test_what_is_pending_is_dropped_only_where_another_game_begins(game):
    """Two games side by side; the second one opens anew on frame 6."""
    agent = seated(Counting(2, 2), Table(0, False, max_delay=2), CODEC, 0, 2, None, 2)
    pressed = []
    for at in range(10):
        opens = np.array([at == 0, at in (0, 6)])
        shown = Frame(Game(np.repeat(game.rows[at : at + 1], 2, 0)), opens, np.zeros(2, bool), np.zeros(2, bool))
        pressed.append(CODEC.encode(agent.step(shown).controllers)[:, 8].tolist())
    assert [first for first, _ in pressed] == [8, 8, 0, 1, 2, 3, 4, 5, 6, 7]
    assert [second for _, second in pressed][6:8] == [8, 8], "the presses of the game before are gone"


def test_a_world_slower_than_the_policy_is_refused():
    with pytest.raises(OptionError, match="2 frames late, the environment adds 3"):
        seated(Counting(1, 2), Table(0, False, max_delay=2), CODEC, 0, 1, None, 2, 3)
    with pytest.raises(OptionError, match="0 to 2 frames late; 3 was asked for"):
        seated(Counting(1, 2), Table(0, False, max_delay=2), CODEC, 0, 1, None, 3)


def test_the_agent_never_imports_torch():
    """An exported policy plays on a machine without it."""
    code = (
        "import sys, exphil.play.agent, exphil.envs.replay, exphil.envs.environment, exphil.assemble\n"
        "found = [m for m in sys.modules if m.partition('.')[0] in ('torch', 'safetensors', 'peppi_py')]\n"
        "print(found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
