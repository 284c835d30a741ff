"""What every scripted player can do: come back to the stage, get up, tech, walk and run somewhere, jump, swing, guard.

A ``Mind`` holds what one script knows and remembers in E games; each habit writes wishes into its hands, for the rows
that it is asked for, and a later wish takes the place of an earlier one. Action states are named in the simulator's
``actions``. Nothing can go wrong.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exphil.envs.environment import Frame
from exphil.envs.ladder_hands import A, B, Chance, Hands, L, X, Y, Z
from exphil.envs.ladder_seen import DAMAGE, FIRST, LAST, LENGTH, Bools, Eyes, Floats, Ints, Seen, reaches
from exphil.envs.sim import actions as act
from exphil.envs.sim import specials, tables

GROUND_MOVES = (
    (act.JAB_1, 0.0, 0.0, 0.0, 0.0, A),
    (act.TILT_FORWARD, 0.5, 0.0, 0.0, 0.0, A),
    (act.TILT_UP, 0.0, 0.5, 0.0, 0.0, A),
    (act.TILT_DOWN, 0.0, -0.5, 0.0, 0.0, A),
    (act.SMASH_FORWARD, 0.0, 0.0, 1.0, 0.0, 0),
    (act.SMASH_UP, 0.0, 0.0, 0.0, 1.0, 0),
    (act.SMASH_DOWN, 0.0, 0.0, 0.0, -1.0, 0),
    (act.CATCH, 0.0, 0.0, 0.0, 0.0, Z),
)
"""Action, main stick ahead and up, C-stick ahead and up, button."""
AIR_MOVES = (
    (act.AIR_NEUTRAL, 0.0, 0.0, 0.0, 0.0, A),
    (act.AIR_FORWARD, 0.0, 0.0, 1.0, 0.0, 0),
    (act.AIR_BACK, 0.0, 0.0, -1.0, 0.0, 0),
    (act.AIR_UP, 0.0, 0.0, 0.0, 1.0, 0),
    (act.AIR_DOWN, 0.0, 0.0, 0.0, -1.0, 0),
)
DASH_MOVES = ((act.DASH_ATTACK, 1.0, 0.0, 0.0, 0.0, A), (act.CATCH_DASH, 1.0, 0.0, 0.0, 0.0, Z))
RUNNING = np.isin(np.arange(len(act.KIND)), (act.DASH, act.RUN, act.RUN_DIRECT))
STEADY = np.isin(act.KIND, (act.K_STAND, act.K_WALK, act.K_CROUCH))
FLYING = np.isin(act.KIND, (act.K_FLY, act.K_TUMBLE))
AERIAL = act.KIND == act.K_AERIAL
GUARDING = np.isin(act.KIND, (act.K_SHIELD, act.K_SHIELD_STUN))
LAGGING = np.isin(np.arange(len(act.KIND)), (*range(70, 75), act.LANDING_SPECIAL, act.SPOT_DODGE, act.ROLL_FORWARD))
LAGGING |= np.isin(act.KIND, (act.K_BROKEN, act.K_HELPLESS))
CHARGING = (353, 354)
"""Fox and Falco before they fly where the stick points."""
MARGIN = 6.0
"""Units before the ledge where a walk or a run ends."""
SWING = 30
"""Frames of a swing in the air; who would be off the stage by then does not begin one."""
STOP = 0.12
"""What a run is thought to lose of its speed in a frame: less than any character does, so nobody slides off."""
TECH_WAIT = 40
"""Frames after a press for a tech in which another one does not count (SmashWiki "Tech")."""
WAVEDASH_X, WAVEDASH_Y = 0.9, -0.425


class Mind:
    """What a script knows and remembers.

    Args:
        seat: 0 or 1, in port order.
        games: E.
        seed: Of its chances.
        reaction: Frames until it sees what the foe does.
    """

    def __init__(self, seat: int, games: int, seed: int, reaction: int) -> None:
        self.hands, self.chance, self._eyes = Hands(games), Chance(seed, games), Eyes(seat, games, reaction)
        self.wavedash = np.zeros(games)
        """Which way the jump that was begun is to become a wavedash; 0 for a jump."""
        self._teched = np.full(games, TECH_WAIT)
        self.seen: Seen

    def see(self, frame: Frame) -> None:
        """Take in a frame."""
        fresh = frame.is_first
        self.seen = self._eyes.see(frame)
        self.hands.rest(fresh)
        self.chance.see(fresh)
        self.wavedash[fresh], self._teched[fresh] = 0.0, TECH_WAIT
        own = self.seen.own
        self.wavedash[~((own.action == act.JUMP_SQUAT) | STEADY[own.action] | (own.age < 4))] = 0.0

    def live(self) -> None:
        """What comes before every plan: back to the stage, up from the ground, off the ledge."""
        self._fall()
        self._recover()
        self._ledge()
        self._rise()
        self._tech()

    def _fall(self) -> None:
        """In the air and unable to act, or about to drift off: towards the stage."""
        seen, own = self.seen, self.seen.own
        out = ~own.ground & (abs(own.x + 12 * own.vx) > seen.ledge - MARGIN) & (own.x * seen.home < 0)
        self.hands.steer(out & (abs(own.x) > seen.ledge - 25), seen.home)

    def _recover(self) -> None:
        """From beside the stage: to the ledge below it, onto the stage above it; air jumps one by one, then special up.

        Below the stage it keeps out from under it, where it would bump its head.
        """
        seen, own, hands = self.seen, self.seen.own, self.hands
        off = seen.off & ~own.stun
        goal = np.where(own.y < 1, seen.ledge + 4, seen.ledge - 8)
        way = -seen.home * np.clip((goal - abs(own.x)) / 6, -1, 1)
        hands.wish(off, way)
        falling = off & (own.vy < 0) & (own.free | (own.action == act.TUMBLE))
        far = abs(own.x) - seen.ledge > 45
        again = (own.action != act.AIR_JUMP_FORWARD) & (own.action != act.AIR_JUMP_BACK) | (own.age > 15)
        hands.wish(falling & again & (own.jumps > 0) & ((own.y < 8) | far), way, press=X)
        last = falling & (own.jumps == 0) & ((own.y < -14) | (far & (own.y < 20)))
        hands.wish(last, 0.4 * np.sign(way), 0.9, press=B)
        aims = np.isin(own.character, specials.BLASTERS) & np.isin(own.action, CHARGING)
        ahead, up = np.sign(own.x) * (seen.ledge - 4) - own.x, 8.0 - own.y
        far = np.maximum(np.hypot(ahead, up), 1.0)
        hands.wish(aims, np.where(off, ahead / far, 0.0), np.where(off, up / far, 1.0))

    def _ledge(self) -> None:
        seen, own, hands = self.seen, self.seen.own, self.hands
        hangs = own.action == act.LEDGE_WAIT
        waits = 4 + 24 * self.chance.draw(1, 64)
        now = hangs & (own.age > waits) & (self.chance.shown % 4 == 0)
        way = self.chance.draw(2, 16)
        hands.wish(hangs)
        hands.wish(now, seen.home, flick=True)
        hands.wish(now & (way < 0.2), press=L)
        hands.wish(now & (way > 0.8), press=X)

    def _rise(self) -> None:
        """Up from lying, off the platform of those who come back, out of somebody's hands."""
        own, hands, chance = self.seen.own, self.hands, self.chance
        lies = (act.KIND[own.action] == act.K_DOWN) & (own.age > 2 + 20 * chance.draw(3, 64))
        way = chance.draw(4, 32)
        hands.wish(lies, np.where(way < 0.3, 1.0, -1.0), flick=True)
        hands.wish(lies & (way > 0.5), 0.0, 1.0, flick=True)
        hands.wish(lies & (way > 0.8), press=A)
        hands.wish((own.action == act.REBIRTH_WAIT) & (own.age > 20), 0.0, -1.0, flick=True)
        held = act.KIND[own.action] == act.K_HELD
        shakes = np.where(chance.shown % 4 < 2, 1.0, -1.0)
        hands.wish(held, shakes, press=np.where(chance.shown % 4 < 2, A, B))

    def _tech(self) -> None:
        seen, own = self.seen, self.seen.own
        self._teched += 1
        lands = FLYING[own.action] & (own.vy < 0) & (own.y < -12 * own.vy) & ~seen.off
        now = lands & (self._teched > TECH_WAIT) & (self.chance.draw(5, 40) < 0.7)
        self.hands.wish(now, np.rint(2.0 * self.chance.draw(6, 40) - 1.0), press=L)
        self._teched[now] = 0

    def influence(self) -> None:
        """In hitlag and hitstun: towards the middle and up, which turns most flights away from the side blast zones."""
        seen, own = self.seen, self.seen.own
        self.hands.wish(own.stun, seen.home, np.where(own.vy > 1, 0.0, 0.6))

    def go(self, where: Bools, to: Floats, *, run: bool = True) -> None:
        """Go to a place along the ground, not over the ledge; through platforms and onto them is not its business.

        Args:
            where: Rows.
            to: Horizontal position ``(E,)``.
            run: Whether to dash where it is far; else only walk.
        """
        seen, own, hands = self.seen, self.seen.own, self.hands
        most = seen.ledge - MARGIN
        to = np.clip(to, -most, most)
        far = to - own.x
        way = np.sign(far)
        runs, steady = RUNNING[own.action], STEADY[own.action] | (own.action == act.TURN)
        where = where & own.ground
        close = abs(far) < 4
        hands.wish(where, np.where(close, 0.0, way * np.clip(abs(far) / 12, 0.35, 0.7)))
        if run:
            hands.wish(where & steady & (abs(far) > 14), way, flick=True)
            hands.wish(where & runs & ~close, way)
        slides = abs(own.x + own.vx * abs(own.vx) / (2 * STOP)) > most
        hands.wish(where & runs & slides & (own.vx * own.x > 0), -np.sign(own.vx))

    def drift(self, where: Bools, to: Floats) -> None:
        """Steer in the air."""
        far = to - self.seen.own.x
        self.hands.wish(where & ~self.seen.own.ground & ~self.seen.own.stun, np.clip(far / 8, -1, 1))

    def jump(self, where: Bools, way: Floats | float = 0.0, *, full: Bools | bool = True) -> None:
        """Begin a jump, and while it is begun keep the button down for a full one."""
        own, hands = self.seen.own, self.hands
        hands.wish(where & own.ground & own.free, way, press=X)
        squats = (own.action == act.JUMP_SQUAT) & (self.wavedash == 0)
        hands.wish(squats, way, hold=np.where(full, Y, 0))

    def slide(self, where: Bools, way: Floats) -> None:
        """Begin a wavedash."""
        own = self.seen.own
        begins = where & own.ground & STEADY[own.action]
        self.wavedash[begins] = way[begins]
        self.hands.wish(begins, press=X)

    def finish_slide(self) -> None:
        """Go on with a wavedash that was begun: an air dodge into the ground on the frame of the jump."""
        own, hands = self.seen.own, self.hands
        sliding = self.wavedash != 0
        hands.wish(sliding & (own.action == act.JUMP_SQUAT))
        squat = tables.load().attributes["jump_squat"][own.character]
        leaves = (own.action == act.JUMP_SQUAT) & (own.age >= squat)
        rises = (act.KIND[own.action] == act.K_JUMP) & (own.age < 4)
        hands.wish(sliding & (leaves | rises), self.wavedash * WAVEDASH_X, WAVEDASH_Y, press=L)

    def swing(self, where: Bools, moves: tuple[tuple[float, ...], ...], liking: NDArray[np.float64]) -> None:
        """Of the moves that would touch the foe do the one that is liked best.

        Args:
            where: Rows in which it may.
            moves: ``GROUND_MOVES``, ``AIR_MOVES`` or ``DASH_MOVES``.
            liking: ``(E, M)`` or ``(M,)``: the higher the rather, at most 0 for never; chance has a say of up to 1.
        """
        seen, own, hands = self.seen, self.seen.own, self.hands
        listed = np.array(moves)
        rows = reaches()[own.character[:, None], listed[:, 0].astype(np.int64)]
        turned = (listed[:, 1] > 0) | (listed[:, 3] > 0)
        ahead = seen.side if moves is GROUND_MOVES else own.facing
        faced = own._replace(facing=ahead)
        fits = np.where(turned, seen.covers(faced, seen.foe, rows), seen.covers(own, seen.foe, rows))
        lottery = self.chance.several(20, len(moves), 12)
        score = np.where(fits & (liking > 0), liking + lottery, 0.0)
        best = score.argmax(1)
        leaves = (abs(own.x + SWING * own.vx) > seen.ledge - MARGIN) & (own.x * own.vx > 0) & ~own.ground
        does = where & (score.max(1) > 0) & ~leaves
        x, y, c_x, c_y, button = listed[best, 1:].T
        hands.wish(does, x * ahead, y, c_x=c_x * ahead, c_y=c_y, press=button.astype(np.int64))

    def threatened(self, slack: float = 4.0) -> Bools:
        """Whether a hit of the foe is coming or on."""
        seen = self.seen
        move = seen.foe.move
        coming = seen.foe.attacks & (seen.foe.age <= move[:, LAST]) & (move[:, DAMAGE] > 0)
        found: Bools = coming & seen.covers(seen.foe, seen.own, move, slack)
        return found

    def opening(self) -> Ints:
        """Frames for which the foe cannot do anything any more, 0 while it can."""
        foe = self.seen.foe
        move = foe.move
        spent = foe.attacks & (foe.age > move[:, LAST]) & (move[:, FIRST] > 0)
        found = np.where(spent, np.maximum(move[:, LENGTH] - foe.age, 0), 0)
        return np.where(LAGGING[foe.action], np.maximum(found, 8), found).astype(np.int64)

    def guard(self, where: Bools) -> None:
        """Hold the shield."""
        own = self.seen.own
        able = own.ground & (own.free | GUARDING[own.action]) & (own.shield > 12)
        self.hands.wish(where & able, hold=L)

    def cancel_lag(self) -> None:
        """Fresh presses of a trigger while an aerial comes down: one of them is in time."""
        own = self.seen.own
        falls = AERIAL[own.action] & (own.vy < 0) & ~self.seen.off & (own.age < own.move[:, LENGTH] - 2)
        self.hands.wish(falls, self.seen.side, press=L)

    def throw(self, way: Floats | float, up: Floats | float = 0.0) -> None:
        """Throw whoever is held."""
        holds = self.seen.own.action == act.CATCH_WAIT
        self.hands.wish(holds, way, up, flick=True)
