"""The geometry of the legal stages."""

from __future__ import annotations

import numpy as np
import pytest

from exphil.game import ids
from exphil.game.frames import Lacks
from exphil.game.ids import Stage
from exphil.game.stages import GEOMETRY, RANDALL
from exphil.replays import slp


def test_every_legal_stage_has_a_geometry_that_can_be():
    assert set(GEOMETRY) == set(Stage)
    for stage in GEOMETRY.values():
        assert stage.blast_left < -stage.ledge_x < 0 < stage.ledge_x < stage.blast_right
        assert stage.blast_bottom < 0 < stage.blast_top


def test_real_games_stay_inside_the_blast_zones_and_stand_inside_the_ledges(full_games):
    """Alive players are within the zones; on the ground, at stage height, within the ledges."""
    seen = set()
    for path in full_games:
        try:
            replay = slp.read(path)
        except slp.ReplayError:
            continue
        if replay.lacks & Lacks.STATE:  # nobody is known to stand
            continue
        players, stage = replay.game.players, GEOMETRY[Stage(replay.start.stage)]
        seen.add(replay.start.stage)
        alive = players.action > 0x0D  # not dying, not coming back
        x, y = players.x[alive], players.y[alive]
        assert x.min() > stage.blast_left - 10, path.name
        assert x.max() < stage.blast_right + 10, path.name
        assert y.min() > stage.blast_bottom - 10, path.name
        held = ids.CATEGORY_OF_ACTION[players.action] == ids.CATEGORIES.index(
            "grabbed"
        )  # hands carry them over the edge
        standing = players.on_ground.astype(bool) & alive & ~held & (np.abs(players.y) < 0.5)
        assert np.abs(players.x[standing]).max() < stage.ledge_x + 0.6, path.name
    assert seen == {int(stage) for stage in Stage}


def test_randall_is_as_fast_everywhere_on_his_round():
    """Lines, corners and the seams between them: he leaves no gap and never waits."""
    assert RANDALL.shape == (1200, 2) and RANDALL.dtype == np.float32
    steps = np.diff(np.concatenate([RANDALL, RANDALL[:1]]), axis=0)
    assert np.hypot(*steps.T).max() < 0.356 and np.hypot(*steps.T).min() > 0.32
    assert RANDALL[0].tolist() == pytest.approx([-51.8998, -33.2489], abs=1e-3)
    assert RANDALL[477].tolist() == pytest.approx([95.2854, -13.6499], abs=1e-3)


def test_who_rides_randall_stands_on_him_and_goes_with_him(full_games):
    """Golden: everybody who stands that far out on Yoshi's Story within 2 units of him."""
    rides, falls, moves = 0, [], []
    for path in full_games:
        replay = slp.read(path) if slp.peek(path).stage == Stage.YOSHIS_STORY else None
        if replay is None or replay.lacks & Lacks.STATE:
            continue
        players, him = replay.game.players, RANDALL[replay.game.frame % 1200][:, None]
        aside, above = players.x - him[..., 0], players.y - him[..., 1]
        riding = (np.abs(aside) < 7) & (np.abs(above) < 2) & (np.abs(players.x) > 60)
        riding &= players.on_ground.astype(bool) & (players.action > 0x0D)
        rides += riding.sum()
        falls.append(np.abs(above[riding]))
        goes_on = riding[1:] & riding[:-1] & (players.action[1:] == players.action[:-1])
        moves.append(np.abs(np.diff(aside, axis=0)[goes_on]))
    assert rides > 90
    assert np.concatenate(falls).max() < 0.002
    assert np.median(np.concatenate(moves)) < 0.001, "most of them stand still, as seen from him"
