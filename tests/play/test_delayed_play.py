"""Play with delay sees what training saw: the same floats, recent controllers among them, frame by frame.

A player that decides what the recorded hand did is driven through the recording. Its codec is as fine as a controller,
so that what the agent presses and has pending are the recorded controllers, to the bit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exphil import assemble
from exphil.config.layers import resolve
from exphil.data.corpus import Corpus, Entry
from exphil.envs.environment import Frame, run
from exphil.envs.replay import ReplayEnvironment
from exphil.errors import OptionError
from exphil.features.action import Codec, as_read
from exphil.features.observation import Table
from exphil.features.players import Registry
from exphil.features.view import controllers
from exphil.game.controller import controller_of
from exphil.game.frames import Game
from exphil.game.time import answer
from exphil.models.policy import TorchPlayer
from exphil.play.agent import LIKELIEST, Agent, Decision, Manner
from exphil.play.learned import Learned
from exphil.replays import slp

FINE, CPU, FRAMES = Codec.uniform(160, 140), torch.device("cpu"), 400
SEATS = (0, 1)


@pytest.fixture(scope="module")
def game(replays) -> Game:
    """400 frames of a fight; both ports are played by hand."""
    return slp.read(replays / "fox_vs_falco_fountain_of_dreams_015.slp").game[1000 : 1000 + FRAMES]


def seated(player, table: Table, codec: Codec, seat: int, games: int, seed: int | None, *late: int) -> Agent:
    """An agent of a policy that learned every delay its table has room for; without a seed it takes the likeliest."""
    learned = Learned(table, codec, (0, table.max_delay), Registry(0))
    how = dict(zip(("delay", "environment_delay"), late, strict=False))
    return Agent(player, learned, seat, games, seed or 0, manner=LIKELIEST if seed is None else Manner(), **how)


class Act:
    """What a player gives back."""

    def __init__(self, action: NDArray[np.int64]) -> None:
        self.action, self.log_prob = action, np.zeros(action.shape, np.float32)


class Hand:
    """Decides what the recorded hand did, as many frames later as the delay says; keeps what it was shown."""

    def __init__(self, game: Game, seat: int, delay: int) -> None:
        self.recorded = FINE.encode(controller_of(game.seen_from(seat).players, 0))
        self.delay = delay
        self.shown: list[NDArray[np.float32]] = []
        self.ids: list[NDArray[np.int64]] = []

    def initial_state(self, batch: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        return np.full(batch, -1), np.zeros(batch, np.bool_)

    def act(self, floats, ids, state, is_first, uniform, sharpness=None):
        before, opened = state
        shown = np.where(is_first & ~opened, 0, before + 1)  # it may begin anew on several frames
        self.shown.append(floats.copy())
        self.ids.append(ids.copy())
        rows = np.minimum(answer(shown, self.delay), len(self.recorded) - 1)
        return Act(self.recorded[rows]), (shown, is_first)


def played(game: Game, seat: int, delay: int, environment: int, most: int, frames: int) -> tuple[Hand, list[Decision]]:
    hand, seen = Hand(game, seat, delay), []
    agent = seated(hand, Table(0, False, max_delay=most), FINE, seat, 1, None, delay, environment)
    port = (2, 4)[seat]
    run(ReplayEnvironment(game, (2, 4)), {port: agent}, frames, lambda _, decisions: seen.append(decisions[port]))
    return hand, seen


def learned(game: Game, seat: int, delay: int, most: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Floats, ids and actions of the walked game as training shows them, from the state of row ``most - delay`` on."""
    late: dict[str, str | bool] = {"--frame-delay": str(most)}
    if delay != most:
        late = {"--frame-delay-augment": True, "--frame-delay-max": str(most)}
    flags: dict[str, str | bool] = {"--num-player-names": "0", "--axis-buckets": "160", "--shoulder-buckets": "140"}
    asked = resolve("train", {**flags, **late}, {})
    assert assemble.codec(asked) == FINE
    corpus = replace(Corpus.of([(Entry(0, "", 1, seat=seat), game)]), delay=most)
    batches = assemble.walk(asked, corpus, FINE, CPU, delay)
    found = [batches.load(0, step) for step in range(batches.steps(0))]
    whole = [torch.cat([getattr(part, name)[0] for part in found]) for name in ("floats", "ids", "action")]
    count = int(corpus.decisions[0])
    return whole[0][:count], whole[1][:count], whole[2][:count]


def test_the_fine_codec_gives_the_recorded_controllers_back(game):
    for seat in SEATS:
        recorded = controllers(game.seen_from(seat))
        assert np.array_equal(FINE.decode_floats(FINE.encode_floats(recorded)), recorded)
        assert len(np.unique(recorded, axis=0)) > 60, "it is a fight"


@pytest.mark.parametrize("most", [None, 36])
@pytest.mark.parametrize("delay", [0, 1, 6, 18, 36])
@pytest.mark.parametrize("seat", SEATS)
def test_play_shows_the_numbers_that_training_showed(game, seat, delay, most):
    """From the frame on at which all that is pending was decided by the player itself."""
    most = delay if most is None else most
    floats, ids, action = learned(game, seat, delay, most)
    recorded = controllers(game.seen_from(seat))
    for environment in sorted({0, delay // 3, delay}):
        hand, decisions = played(game, seat, delay, environment, most, FRAMES)
        shown = np.concatenate(hand.shown)
        assert shown.shape == (FRAMES, 171 + (13 * most + 1 if most else 0))
        states = np.arange(max(delay, most - delay), most - delay + len(floats))
        told = floats[states - (most - delay)].numpy()
        assert np.abs(shown[states, :171] - told[:, :171]).max() <= 1e-6
        assert np.array_equal(shown[states, 171:], told[:, 171:]), "to the bit"
        assert np.array_equal(np.concatenate(hand.ids)[states], ids[states - (most - delay)].numpy())
        taken = np.concatenate([decision.actions for decision in decisions])[states]
        assert np.array_equal(taken, action[states - (most - delay)].numpy())
        own = delay - environment
        pressed = np.stack([_floats(decision) for decision in decisions])
        assert not pressed[:own].any(), "nothing is pressed until the first decision comes through"
        rows = np.arange(own, FRAMES - 1 - environment)
        assert np.array_equal(pressed[rows], recorded[answer(rows, environment)])


def _floats(decision: Decision) -> NDArray[np.float32]:
    """The thirteen floats of one pressed controller."""
    found = FINE.encode(decision.controllers)
    floats: NDArray[np.float32] = FINE.decode_floats(found)[0]
    analog = [getattr(decision.controllers, name)[0] for name in ("main_x", "main_y", "c_x", "c_y", "shoulder")]
    assert floats[8:].tolist() == analog
    return floats


@pytest.mark.parametrize(("delay", "environment"), [(1, 0), (6, 0), (6, 4), (18, 18)])
def test_another_game_begins_with_nothing_pending(game, delay, environment):
    """The recording is shown twice: the second time is as the first one, and delay is told all the while."""
    hand, decisions = played(game, 0, delay, environment, 18, 2 * FRAMES)
    shown = np.concatenate(hand.shown)
    recent = shown[:, 171:-1].reshape(-1, 18, 13)
    assert np.allclose(shown[:, -1], delay / 30, atol=1e-7)
    assert recent[FRAMES - 1].any()
    for at in range(delay):
        assert not recent[[at, FRAMES + at], 18 - delay : 18 - at].any(), "what is not decided yet is at rest"
        assert not recent[[at, FRAMES + at], : max(17 - delay - at, 0)].any(), "nor is anything of the game before seen"
    assert np.array_equal(shown[:FRAMES], shown[FRAMES:])
    pressed = np.stack([_floats(decision) for decision in decisions])
    assert np.array_equal(pressed[:FRAMES], pressed[FRAMES:])


def test_games_side_by_side_have_their_own_pending(game):
    """The second one opens anew on frame 40: only its own are dropped."""
    hand, zeros = Hand(game, 0, 6), np.zeros(2, np.bool_)
    agent = seated(hand, Table(0, False, max_delay=6), FINE, 0, 2, None, 6)
    for at in range(90):
        rows = np.stack([game.rows[at], game.rows[at - 40 if at >= 40 else at]])
        agent.step(Frame(Game(rows), np.array([at == 0, at in (0, 40)]), zeros, zeros))
    first, second = np.stack(hand.shown, 1)
    assert np.array_equal(first[:40], second[:40])
    assert np.array_equal(first[:50], second[40:]), "the second game is the first one, 40 frames later"
    assert not second[40, 171:-1].any() and first[40, 171:-1].any()


def test_an_agent_takes_the_least_delay_that_it_learned_and_the_world_allows(game):
    def agent(flags: dict[str, str | bool], **how: int | None) -> Agent:
        asked = resolve("train", {"--num-player-names": "0", "--hidden": "8", **flags}, {})
        policy = assemble.policy(asked, assemble.codec(asked))
        return Agent(TorchPlayer(policy, CPU), assemble.learned(asked, policy.codec, Registry(0)), 0, 1, 0, **how)  # type: ignore[arg-type]

    many: dict[str, str | bool] = {"--frame-delay-augment": True, "--frame-delay-min": "2", "--frame-delay-max": "9"}
    for flags, how, total in (
        ({"--frame-delay": "6"}, {}, 6),
        ({"--frame-delay": "6"}, {"environment_delay": 4}, 6),
        ({}, {}, 0),
        (many, {}, 2),
        (many, {"environment_delay": 5}, 5),
        (many, {"environment_delay": 5, "delay": 7}, 7),
    ):
        made = agent(flags, **how)
        assert made._delay == total and made._line.pending().shape[1] == total
        made.step(Frame(game[:1], np.ones(1, bool), np.zeros(1, bool), np.zeros(1, bool)))
    with pytest.raises(OptionError, match="learned to answer 2 to 9 frames late; 10 was asked for"):
        agent(many, delay=10)
    with pytest.raises(OptionError, match="learned to answer 6 frames late; 0 was asked for"):
        agent({"--frame-delay": "6"}, delay=0)
    with pytest.raises(OptionError, match="answers 9 frames late, the environment adds 12"):
        agent(many, environment_delay=12)


def test_what_is_pending_is_shown_as_the_game_will_read_it(game):
    """A click without depth, Z, a class in the dead zone, a learned centre off the grid: as recordings have them."""
    learned = tuple(sorted({0.0, 0.7131, *Codec.uniform().axes[0]}))
    codec = Codec((learned,) * 4, Codec.uniform().shoulder)
    taken = np.array(codec.neutral)
    shown = []

    class Asked:
        def initial_state(self, batch: int) -> int:
            return 0

        def act(self, floats, ids, state, is_first, uniform, sharpness=None):
            shown.append(floats[0, -14:-1].copy())
            return Act(taken[None]), 0

    agent = seated(Asked(), Table(0, False, max_delay=1), codec, 0, 1, None, 1)
    zeros = np.zeros(1, np.bool_)

    def after(**classes: int) -> dict[str, float]:
        taken[:] = codec.neutral
        for name, place in classes.items():
            taken[[component.name for component in codec.components].index(name)] = place
        for _ in range(2):
            agent.step(Frame(game[50:51], zeros, zeros, zeros))
        return dict(zip([component.name for component in codec.components], shown[-1].tolist(), strict=True))

    assert after(L=1)["shoulder"] == 1 == after(R=1, shoulder=2)["shoulder"]
    assert after(Z=1)["shoulder"] == after(Z=1, L=1)["shoulder"] == pytest.approx(0.35)
    assert after(main_x=learned.index(0.25))["main_x"] == 0 == after(c_y=learned.index(-0.125))["c_y"]
    assert after(main_y=learned.index(0.7131))["main_y"] == pytest.approx(0.7125)
    assert after(main_y=learned.index(-1.0), shoulder=2)["shoulder"] == 0.5


def test_recordings_are_as_the_game_read_them(game):
    for seat in SEATS:
        recorded = controllers(game.seen_from(seat))
        assert np.allclose(as_read(recorded), recorded, atol=1e-6)
        assert np.allclose(as_read(torch.from_numpy(recorded)).numpy(), recorded, atol=1e-6)
