"""The simulator's frames: always the same ones, each game by itself, the same in a mirror, as they were written down.

``python tests/envs/sim/test_step.py`` writes the transcripts anew; read the difference before you commit it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_hands import FIGHTERS, MIRRORED_STAGES, World, hands, mixed

from exphil.envs.sim import actions as act
from exphil.envs.sim.state import PLAYER

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "sim.txt"
GAMES, FRAMES, EVERY = 6, 600, 30
SIDEWAYS = ("x", "facing", "ground_x", "air_x", "attack_x", "main_x", "c_x", "was_main_x", "was_c_x")
NUMBERED = ("surface", "passing")
"""Columns that hold the number of a platform, which is another one in a mirror."""
ROUNDING = 1e-6
"""Angles are not the same in a mirror to the last bit."""


def transcript() -> str:
    """Some games, one line a player now and then: frame, state, position, percent, stocks."""
    world, pads = mixed(list(range(GAMES))), hands(11, list(range(GAMES)), FRAMES)
    lines = []
    for at in range(FRAMES):
        world.step(pads[at])
        if (at + 1) % EVERY:
            continue
        for row in range(GAMES):
            for seat, p in enumerate(world.players[row]):
                place = f"{p.x:8.2f} {p.y:8.2f} {p.percent:6.2f} {p.shield:5.2f} {p.stocks}"
                lines.append(f"{row} {at + 1:4} {seat} {p.character:2} {p.action:3} {p.t:3} {place}")
    return "\n".join(lines) + "\n"


def test_games_go_as_they_were_written_down():
    assert transcript() == GOLDEN.read_text(), "python tests/envs/sim/test_step.py writes them; read the diff"


def test_the_same_seed_gives_the_same_games_and_another_one_others():
    def played(seed: int) -> bytes:
        world, pads = mixed(list(range(8))), hands(seed, list(range(8)), 300)
        for pad in pads:
            world.step(pad)
        return world.bytes()

    assert played(3) == played(3) != played(4)


def test_a_game_goes_its_way_whatever_the_others_beside_it_do():
    games = list(range(12))
    few, many, other = mixed(games[:5]), mixed(games), mixed(games)
    pads, others = hands(5, games, 400), hands(6, games, 400)
    others[:, 4] = pads[:, 4]
    for at in range(400):
        few.step(pads[at, :5].copy())
        many.step(pads[at])
        other.step(others[at])
    assert few.players.tobytes() == many.players[:5].tobytes()
    assert few.items.tobytes() == many.items[:5].tobytes()
    assert other.players[4].tobytes() == many.players[4].tobytes()
    assert other.players[3].tobytes() != many.players[3].tobytes()


def test_hands_wait_for_go():
    calm, wild = mixed(list(range(6))), mixed(list(range(6)))
    calm.games.frame, wild.games.frame = -123, -123
    pads = hands(1, list(range(6)), 90)
    for at in range(83):  # up to frame -40
        calm.step(np.zeros((6, 2, 6)))
        wild.step(pads[at])
        assert calm.players.tobytes() == wild.players.tobytes()
    wild.step(pads[83])
    calm.step(np.zeros((6, 2, 6)))
    assert calm.players.tobytes() != wild.players.tobytes()


def unlike(p: Any, q: Any) -> np.ndarray:
    """Games ``(E,)`` in which q is not p in a mirror."""
    found = np.zeros(len(p), np.bool_)
    for name in PLAYER.names:
        if name not in NUMBERED:
            seen = -q[name] if name in SIDEWAYS else q[name]
            found |= (np.abs(p[name] - seen) > ROUNDING).any(1)
    return found


@pytest.mark.parametrize("swapped", [False, True], ids=["same seats", "seats swapped"])
def test_on_even_stages_a_game_in_a_mirror_is_the_mirrored_game(swapped):
    """Until a death: who comes back faces by the seat. With seats swapped, until a grab: the first seat acts first."""
    games, frames = list(range(78)), 600
    pairs = [(FIGHTERS[game % 26], FIGHTERS[(7 * game + 3) % 26]) for game in games]
    stages = [MIRRORED_STAGES[game % 3] for game in games]
    plain, mirrored = World(pairs, stages), World([pair[::-1] for pair in pairs] if swapped else pairs, stages)
    pads = hands(5, games, frames)
    other = pads * np.array([-1, 1, -1, 1, 1, 1])
    if swapped:
        other = other[:, :, ::-1].copy()
    else:
        mirrored.players.x *= -1
        mirrored.players.facing *= -1
    over, broken, compared = np.zeros(78, np.bool_), np.zeros(78, np.bool_), 0
    for at in range(frames):
        plain.step(pads[at])
        mirrored.step(other[at])
        p, q = (np.array(world.players) for world in (plain, mirrored))
        q = q[:, ::-1] if swapped else q
        kinds = act.KIND[np.concatenate([p["action"], q["action"]], 1)]
        over |= (kinds == act.K_DEAD).any(1) | (swapped & (kinds == act.K_HOLD).any(1))
        broken |= unlike(p, q) & ~over
        over |= broken
        compared += int((~over).sum())
    assert not broken.any(), np.flatnonzero(broken)
    assert compared > 0.25 * 78 * frames


if __name__ == "__main__":
    GOLDEN.write_text(transcript())
