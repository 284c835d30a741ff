"""A small world for matches: whoever presses A more often hits more often, by the coins of a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exphil.envs.environment import Frame
from exphil.game.controller import Controller, neutral
from exphil.game.frames import Game
from exphil.game.ids import Button

FIRST = -44
KILLS = 60.0


class CoinWorld:
    """Every frame one coin of the row's own generator; a press of A with luck hits the other for 7.5 percent.

    ``edge`` is how much harder the first port hits, ``limit`` the frames after which a game is truncated, ``row`` the
    number of its first row.
    """

    delay = 0
    reacts_to_actions = True
    name = "coins"

    def __init__(self, characters, games, *, edge=1.0, limit=10**9, stocks=2, row=0, ports=(1, 2)):
        self.ports, self.games, self.edge, self.limit, self.stocks, self.row = ports, games, edge, limit, stocks, row
        self.characters, self.closed = characters, 0

    def reset(self, seed=None):
        self._coins = [np.random.default_rng((seed, self.row + row)) for row in range(self.games)]
        self._game = Game.empty(self.games)
        self._over = np.ones(self.games, np.bool_)
        return self._show(np.zeros((self.games, 2)))

    def step(self, controllers):
        pressed = [(controllers[port].buttons & Button.A) != 0 for port in self.ports]
        return self._show(np.stack(pressed, 1))

    def _show(self, pressed):
        opens, players = self._over.copy(), self._game.players
        coin = np.array([generator.random() for generator in self._coins])
        free = (~opens & (self._game.frame >= -40))[:, None]
        hits = free & pressed.astype(bool) & np.stack([coin < 0.3, coin > 0.7], 1)
        players.percent[:] += hits[:, ::-1] * 7.5 * np.array([1.0, self.edge])
        dead = players.percent >= KILLS
        players.stocks[:] -= dead
        players.percent[dead] = 0
        self._game.frame[:] += 1
        self._game.frame[opens] = FIRST
        players.stocks[opens], players.percent[opens], self._game.stage[opens] = self.stocks, 0, 31
        players.character[:], players.exists[:] = self.characters, 1
        ended = (players.stocks == 0).any(1)
        stopped = ~ended & (self._game.frame - FIRST + 1 >= self.limit)
        self._over = ended | stopped
        return Frame(Game(self._game.rows.copy()), opens, ended, stopped)

    def close(self):
        self.closed += 1


class Pressed(NamedTuple):
    controllers: Controller


class Presser:
    """Presses A on a share of frames, every row by a generator of its own."""

    def __init__(self, share, games, seed, row=0):
        self.share, self.seed, self.row, self.begun = share, seed, row, np.zeros(games, np.int64)
        self._random = [np.random.default_rng(0)] * games

    def step(self, frame):
        for row in np.flatnonzero(frame.is_first):
            self._random[row] = np.random.default_rng((self.seed, self.row + row, self.begun[row]))
            self.begun[row] += 1
        found = neutral(len(self._random))
        presses = np.array([random.random() < self.share for random in self._random])
        return Pressed(found._replace(buttons=(presses * Button.A).astype(np.int16)))
