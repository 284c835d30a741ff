"""Mirroring a batch is mirroring the game it came from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from exphil.data.corpus import Corpus, Entry
from exphil.data.delayed import Delayed, spread
from exphil.data.lanes import Lanes
from exphil.data.loader import Loader, Rows
from exphil.features.action import Codec
from exphil.features.augment import mirror, mirror_controllers
from exphil.features.observation import Table
from exphil.features.view import controllers
from exphil.game.controller import controller_of
from exphil.game.frames import Game
from exphil.replays import slp

CODEC = Codec.uniform()

GAMES = [
    "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp",  # Nana
    "peach_vs_marth_final_destination_028.slp",  # items
    "fox_vs_falco_fountain_of_dreams_015.slp",  # lasers
]


def mirrored_columns(game: Game) -> Game:
    """The same game in a world where left is right: only what has a side changes its sign."""
    turned = Game(game.rows.copy())
    for group, names in (
        (turned.players, ("x", "facing", "speed_air_x", "speed_ground_x", "speed_x_attack", "main_x", "c_x")),
        (turned.nana, ("x", "facing", "speed_air_x", "speed_ground_x", "speed_x_attack", "main_x", "c_x")),
        (turned.items, ("x", "vx")),
    ):
        for name in names:
            getattr(group, name)[...] *= -1
    return turned


@pytest.mark.parametrize("name", GAMES)
def test_mirrored_numbers_are_the_numbers_of_the_mirrored_game(replays, name):
    game, table = slp.read(replays / name).game, Table(112, True)
    floats, ids = table.encode(game)
    other, other_ids = table.encode(mirrored_columns(game))
    yes = np.array([True])
    turned, pressed = mirror(table, floats[None], yes), mirror_controllers(controllers(game)[None], yes)
    assert np.array_equal(turned[0], other)
    assert np.array_equal(ids, other_ids)
    assert np.array_equal(pressed[0], controllers(mirrored_columns(game)))
    answer = CODEC.encode_floats(pressed[0])
    assert np.array_equal(answer, CODEC.encode(controller_of(mirrored_columns(game).players, 0)))
    assert np.array_equal(CODEC.encode_floats(other[:, table.controller]), answer)


def test_mirroring_twice_is_nothing_and_only_the_chosen_change(replays):
    game, table = slp.read(replays / GAMES[2]).game, Table(0, False)
    stretches = Game(torch.from_numpy(game.rows[:1200].copy()).reshape(4, 300, -1))
    floats, _ = table.encode(stretches)
    held = controllers(stretches)
    chosen = torch.tensor([True, False, False, True])
    once = mirror(table, floats, chosen), mirror_controllers(held, chosen)
    assert torch.equal(once[0][1:3], floats[1:3]) and torch.equal(once[1][1:3], held[1:3])
    assert not torch.equal(once[0][0], floats[0]) and not torch.equal(once[1][0], held[0])
    again = mirror(table, once[0], chosen), mirror_controllers(once[1], chosen)
    assert torch.equal(again[0], floats) and torch.equal(again[1], held)
    assert torch.equal(CODEC.encode_floats(again[1]), CODEC.encode(controller_of(stretches.players, 0)))


def test_a_lane_mirrors_games_whole_and_anew_every_epoch(replays):
    paths = [replays / name for name in GAMES]
    corpus = Corpus.of((Entry(at, path.name, 0), slp.read(path).game) for at, path in enumerate(paths))
    lanes = Lanes(corpus.first, corpus.decisions, 4, 64, 0.5, 1)
    drawn = set()
    for epoch in range(8):
        sides: dict[int, set[bool]] = {}
        for step in range(lanes.steps(epoch)):
            pick = lanes.pick(epoch, step)
            for first, count, flip in zip(pick.first, pick.decisions, pick.mirrored, strict=True):
                if count:
                    sides.setdefault(int(np.searchsorted(corpus.first, first, "right")) - 1, set()).add(bool(flip))
        assert all(len(found) == 1 for found in sides.values()), "a game is mirrored whole or not at all"
        drawn.add(tuple(next(iter(sides[entry])) for entry in range(3)))
    assert len(drawn) > 1


LATE = [(0, 0), (6, 6), (36, 36), (0, 18), (2, 9)]


@pytest.mark.parametrize(("low", "most"), LATE)
def test_a_mirrored_batch_is_shipped_mirrored(replays, low, most):
    """What is pending among it."""
    game, table = slp.read(replays / GAMES[2]).game, Table(0, False, max_delay=most)
    corpora = [
        Corpus.of([(Entry(0, "a", 0), seen), (Entry(1, "b", 0), seen)]) for seen in (game, mirrored_columns(game))
    ]
    batches = []
    for corpus, share in zip(corpora, (1.0, 0.0), strict=True):
        late = replace(corpus, delay=most)
        lanes = Lanes(late.first, late.decisions, 4, 50, share, 3)
        plan = Delayed(lanes, late.first, lambda _: spread(low, most, 2)) if most else lanes
        loader = Loader(
            late, plan, Rows(late, plan.window, table, CODEC), torch.device("cpu"), all_frames=False, last_only=False
        )
        assert not most or set(plan.pick(0, 5).delay.tolist()) == {low, most}
        batches.append([loader.load(0, step) for step in (5, 12, 20)])
    pressed = 0
    for one, other in zip(*batches, strict=True):
        for left, right in zip(one, other, strict=True):
            assert torch.equal(left, right)
        pressed += int((one.floats[..., table.floats - 1 - 13 * most + 8 : -1 : 13] != 0).sum()) if most else 1
    assert pressed, "the stick is held aside somewhere in what is pending"


def test_the_sign_of_every_pending_controller_is_that_of_the_seen_one():
    table = Table(112, False, max_delay=5)
    signs, own = table.mirror.array, table.mirror.array[table.controller]
    assert own.tolist() == [1] * 8 + [-1, 1, -1, 1, 1]
    assert np.array_equal(signs[-1 - 5 * 13 : -1].reshape(5, 13), np.tile(own, (5, 1))) and signs[-1] == 1
