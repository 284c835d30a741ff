"""The geometry of the legal stages."""

from __future__ import annotations

import numpy as np

from exphil.game import ids
from exphil.game.frames import Lacks
from exphil.game.ids import Stage
from exphil.game.stages import GEOMETRY
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
