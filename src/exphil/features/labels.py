"""The names of situations, what each means, and where it begins.

A name's place in ``SITUATIONS`` is its bit in the 64-bit number that ``situations.Situations.fold`` gives a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from exphil.game.time import MAX_FRAMES


@dataclass(frozen=True)
class Thresholds:
    """Where a situation begins: game units, frames and percent.

    Source: the earlier ExPhil's table of thresholds, except those marked "ours", which that table does not give.
    """

    center: float = 0.4  # of the distance from the middle to the ledge
    corner: float = 20  # units between a cornered player and the ledge
    above: float = 30  # units of height between the players
    platform_y: float = 5  # feet of somebody who stands higher are on a platform
    below_ledge_y: float = -15  # a recovery is low below this
    offstage_y: float = -10  # below this one is under the stage, wherever x is
    blast_zone: float = 40  # units to the nearest blast zone
    juggle_x: float = 40  # units to the side, at most
    juggle_y: float = 15  # units of height, at least
    chase: float = 50  # units between the players
    shield_pressure: float = 30  # units between the players
    ledge_trap: float = 40  # units to the side between the players
    whiff: float = 40  # units between the players; ours
    approach: float = 5  # units to the side ...
    approach_frames: int = 10  # ... moved in so many frames
    combo_gap: int = 20  # frames out of hitstun that end a combo; also the pause between two attacks on a shield
    conversion: int = 90  # frames after a hit
    post_kill: int = 300  # frames after the opponent's stock is lost
    warmup: int = 120  # frames since hands were freed
    timeout_frame: int = 27_000  # frame number; the clock runs out on 28 800
    percent_gap: float = 40  # percent
    kill_percent: float = 100  # percent; ours
    projectile_frames: int = 30  # frames until it is level with the player; ours
    projectile_y: float = 25  # units of height between it and the player's feet; ours
    climbers: float = 30  # units between Popo and Nana; ours


class Label(NamedTuple):
    """One row of ``SITUATIONS``; its place is its bit.

    It is on where ``fact`` holds for ``seat``: 0 own, 1 the opponent. The same lines compute a fact for both seats, so
    two labels of one fact change places when the seats do.
    """

    name: str
    fact: str
    seat: int
    says: str


DEFAULT = Thresholds()
_D = DEFAULT  # the numbers in the texts below
_WILL = f"of its own will in {_D.approach_frames} frames"
_OVER = (
    f"hit at most {_D.conversion} frames ago, not landed since, at most {_D.juggle_x:g} to the side of "
    f"and {_D.juggle_y:g} or more above"
)
_PRESSING = f"free within {_D.shield_pressure:g} and attacked at most {_D.combo_gap} frames ago"
_CHAIN = f"at most {_D.combo_gap} frames out of hitstun between them and since"

SITUATIONS = (
    Label("neutral", "neutral", 0, "both play and neither is worse off"),
    Label("advantage", "advantage", 0, "the opponent is worse off: dead, hit, down, held, off stage, trapped, ..."),
    Label("disadvantage", "advantage", 1, "own is worse off; one of these three holds on every frame that is played"),
    Label("center", "center", 0, f"own within {_D.center:.0%} of the way from the middle to the ledge"),
    Label("cornered", "cornered", 0, f"own on stage within {_D.corner:g} of the ledge, the opponent inside"),
    Label(
        "opponent_cornered",
        "cornered",
        1,
        f"the opponent on stage within {_D.corner:g} of the ledge, own inside",
    ),
    Label("off_stage", "off_stage", 0, "own in the air beyond the ledge or under the stage, and not hanging"),
    Label("opponent_off_stage", "off_stage", 1, "the opponent in the air beyond the ledge or under the stage"),
    Label("on_platform", "on_platform", 0, f"own stands {_D.platform_y:g} or more above the ground"),
    Label("opponent_above", "above", 1, f"the opponent is {_D.above:g} or more higher"),
    Label("near_blast_zone", "near_blast_zone", 0, f"own within {_D.blast_zone:g} of a blast zone"),
    Label("on_ledge", "on_ledge", 0, "own hangs on the ledge or gets up from it"),
    Label("opponent_on_ledge", "on_ledge", 1, "the opponent hangs on the ledge or gets up from it"),
    Label("ledge_trap", "ledge_trap", 0, f"the opponent on the ledge, own free on stage within {_D.ledge_trap:g}"),
    Label("ledge_trapped", "ledge_trap", 1, f"own on the ledge, the opponent free on stage within {_D.ledge_trap:g}"),
    Label("edgeguard", "edgeguard", 0, "the opponent off stage, own free and on stage or nearer to it"),
    Label("edgeguarded", "edgeguard", 1, "own off stage, the opponent free and on stage or nearer to it"),
    Label("recovery_low", "recovery_low", 0, f"own off stage, out of hitstun, below {_D.below_ledge_y:g}"),
    Label("recovery_high", "recovery_high", 0, "own off stage, out of hitstun, not that low"),
    Label("approach", "approach", 0, f"own moved {_D.approach:g} or more {_WILL} towards the opponent"),
    Label("retreat", "retreat", 0, f"own moved {_D.approach:g} or more {_WILL} away from the opponent"),
    Label(
        "juggle",
        "juggle",
        0,
        f"the opponent, {_OVER} own",
    ),
    Label(
        "juggled",
        "juggle",
        1,
        f"own, {_OVER} the opponent",
    ),
    Label("tech_chase", "tech_chase", 0, f"the opponent lies, gets up or techs, own free within {_D.chase:g}"),
    Label("tech_situation", "tech_chase", 1, f"own lies, gets up or techs, the opponent free within {_D.chase:g}"),
    Label("knocked_down", "knocked_down", 0, "own lies on the floor"),
    Label("shielding", "shielding", 0, "own shield is up, in shield stun or dropping"),
    Label("shield_pressure", "shield_pressure", 0, f"the opponent shields, own {_PRESSING}"),
    Label("under_shield_pressure", "shield_pressure", 1, f"own shields, the opponent {_PRESSING}"),
    Label("shield_broken", "shield_broken", 0, "own shield broke: flying, lying or dazed"),
    Label("grabbing", "grabbed", 1, "the opponent is held or thrown"),
    Label("grabbed", "grabbed", 0, "own is held or thrown"),
    Label("combo", "combo", 0, f"two hits or more on the opponent, {_CHAIN}"),
    Label("being_comboed", "combo", 1, f"two hits or more on own, {_CHAIN}"),
    Label(
        "conversion_open",
        "conversion_open",
        0,
        f"own hit the opponent at most {_D.conversion} frames ago and was not hit since",
    ),
    Label("hitstun", "struck", 0, "own is in hitstun, held or thrown"),
    Label(
        "whiff_punish",
        "whiff_punish",
        0,
        f"own can act, the opponent within {_D.whiff:g} in a ground attack or landing lag",
    ),
    Label("invulnerable", "invulnerable", 0, "own cannot be hit"),
    Label("respawn", "respawn", 0, "own is on the revival platform"),
    Label("dead", "dead", 0, "own is between losing a stock and the revival platform"),
    Label("post_kill", "died", 1, f"the opponent lost a stock at most {_D.post_kill} frames ago"),
    Label("last_stock", "last_stock", 0, "own plays the last stock"),
    Label("opponent_last_stock", "last_stock", 1, "the opponent plays the last stock"),
    Label("percent_lead", "percent_lead", 0, f"own has at least {_D.percent_gap:g} percent less"),
    Label("percent_deficit", "percent_lead", 1, f"own has at least {_D.percent_gap:g} percent more"),
    Label("stock_lead", "stock_lead", 0, "own has more stocks"),
    Label("stock_deficit", "stock_lead", 1, "own has fewer stocks"),
    Label("kill_percent", "kill_percent", 1, f"the opponent has {_D.kill_percent:g} percent or more"),
    Label("timeout_near", "timeout_near", 0, f"frame {_D.timeout_frame} or later, of {MAX_FRAMES}"),
    Label("warmup", "warmup", 0, f"the first {_D.warmup} frames in which hands are free"),
    Label(
        "projectile_incoming",
        "projectile_incoming",
        0,
        f"the opponent's projectile reaches own in {_D.projectile_frames} frames",
    ),
    Label("climbers_separated", "climbers_separated", 0, f"own Nana plays more than {_D.climbers:g} away from Popo"),
)
"""Append only: a bit never moves, since stored labels are read by it."""

BITS = {label.name: np.uint64(1 << place) for place, label in enumerate(SITUATIONS)}
"""The bit of every name: ``labels & BITS["edgeguard"] != 0``."""


def names(labels: int | np.uint64) -> tuple[str, ...]:
    """The names in one frame's labels, in the order of the table."""
    return tuple(label.name for place, label in enumerate(SITUATIONS) if int(labels) >> place & 1)
