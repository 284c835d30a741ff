"""Where two players sit changes nothing: any pair of ports gives the numbers of ports 1 and 2."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from exphil.features.observation import Table
from exphil.replays import container, slp
from exphil.replays.slp import Replay

OWNER = 0x2A  # of an item event, Slippi 3.6


def moved(path: Path, ports: tuple[int, int]) -> Replay:
    """A real game of ports 1 and 2 as if it had been played on other ports (1..4, in order)."""
    data = bytearray(path.read_bytes())
    layout = container.layout(bytes(data), str(path))
    old = [seat.port for seat in container.start_block(bytes(data), layout, str(path)).seats]
    new = {before - 1: after - 1 for before, after in zip(old, ports, strict=True)}
    blocks = [bytes(data[layout.first + 0x65 + 0x24 * p : layout.first + 0x89 + 0x24 * p]) for p in range(4)]
    empty = [p for p in range(4) if p not in new]
    new |= dict(zip(empty, [p for p in range(4) if p not in new.values()], strict=True))
    for before, after in new.items():
        at = layout.first + 0x65 + 0x24 * after
        data[at : at + 0x24] = blocks[before]
    at = layout.first
    while at < layout.end:
        command, size = data[at], int(layout.sizes[data[at]])
        if command in (container.PRE_FRAME, container.POST_FRAME):
            data[at + 5] = new[data[at + 5]]
        elif command == container.ITEM_UPDATE and size >= OWNER and data[at + OWNER] in new:
            data[at + OWNER] = new[data[at + OWNER]]
        at += 1 + size
    return slp.parse(bytes(data), path)


@pytest.mark.parametrize("name", ["samus_vs_captain_falcon_pokemon_stadium_031", "fox_vs_falco_fountain_of_dreams_015"])
@pytest.mark.parametrize("ports", [*combinations((1, 2, 3, 4), 2)])
def test_every_pair_of_ports_gives_the_same_numbers(replays, name, ports):
    path = replays / f"{name}.slp"
    original, other = slp.read(path), moved(path, ports)
    assert other.ports == ports
    assert np.array_equal(other.game.rows, original.game.rows)
    for seat in (0, 1):
        floats, ids = Table(112, True).encode(other.game.seen_from(seat)[::97])
        expected, expected_ids = Table(112, True).encode(original.game.seen_from(seat)[::97])
        assert np.array_equal(floats, expected) and np.array_equal(ids, expected_ids)


@pytest.mark.parametrize(
    ("name", "ports"), [("fox_vs_fox_battlefield_016", (1, 3)), ("falco_vs_fox_pokemon_stadium_009", (2, 4))]
)
def test_real_games_of_other_ports_are_seen_whole(replays, name, ports):
    """Both players move, and each seat's own player is the one of its port."""
    replay = slp.read(replays / f"{name}.slp")
    assert replay.ports == ports
    for seat in (0, 1):
        seen = replay.game.seen_from(seat)
        assert np.array_equal(seen.players.x[:, 0], replay.game.players.x[:, seat])
        floats, ids = Table(112, True).encode(seen)
        assert (ids[:, 2] == replay.characters[seat]).all()
        assert floats[:, :16].std(0).max() > 0.1 and floats[:, 119:132].std(0).max() > 0.1
