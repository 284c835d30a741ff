"""Labels of situations: real clips that were looked at, and one rule however a game is cut, seated or turned."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.errors import ExphilError
from exphil.features.labels import BITS, SITUATIONS, Thresholds, names
from exphil.features.situations import Situations
from exphil.game.frames import ROW, Game, Lacks, playing
from exphil.game.ids import Stage
from exphil.replays import slp

ORDER = [
    "neutral", "advantage", "disadvantage", "center", "cornered", "opponent_cornered", "off_stage",
    "opponent_off_stage", "on_platform", "opponent_above", "near_blast_zone", "on_ledge", "opponent_on_ledge",
    "ledge_trap", "ledge_trapped", "edgeguard", "edgeguarded", "recovery_low", "recovery_high", "approach", "retreat",
    "juggle", "juggled", "tech_chase", "tech_situation", "knocked_down", "shielding", "shield_pressure",
    "under_shield_pressure", "shield_broken", "grabbing", "grabbed", "combo", "being_comboed", "conversion_open",
    "hitstun", "whiff_punish", "invulnerable", "respawn", "dead", "post_kill", "last_stock", "opponent_last_stock",
    "percent_lead", "percent_deficit", "stock_lead", "stock_deficit", "kill_percent", "timeout_near", "warmup",
    "projectile_incoming", "climbers_separated",
]  # fmt: skip
SWAPPED = {
    "advantage": "disadvantage",
    "cornered": "opponent_cornered",
    "off_stage": "opponent_off_stage",
    "on_ledge": "opponent_on_ledge",
    "ledge_trap": "ledge_trapped",
    "edgeguard": "edgeguarded",
    "juggle": "juggled",
    "tech_chase": "tech_situation",
    "shield_pressure": "under_shield_pressure",
    "grabbing": "grabbed",
    "combo": "being_comboed",
    "last_stock": "opponent_last_stock",
    "percent_lead": "percent_deficit",
    "stock_lead": "stock_deficit",
    "neutral": "neutral",
    "timeout_near": "timeout_near",
    "warmup": "warmup",
}
TOO_RARE = {
    "shield_broken": "no shield breaks in the shared games (test_a_broken_shield)",
    "timeout_near": "the longest shared game is over after 13 672 frames (test_the_clock)",
}
UMBRELLA = BITS["neutral"] | BITS["advantage"] | BITS["disadvantage"]
CLIMBERS = "ice_climbers_vs_captain_falcon_pokemon_stadium_019"
OTHERS = (
    "peach_vs_marth_final_destination_028",
    "fox_vs_fox_battlefield_016",
    "falco_vs_luigi_fountain_of_dreams_012",
    "marth_vs_fox_yoshis_story_026",
)


class Clip(NamedTuple):
    """Frames ``first`` to ``last`` of a replay: what holds on 19 of 20 of them or more, and what on none."""

    name: str
    seat: int
    first: int
    last: int
    holds: str
    never: str


CLIPS = [
    # Fox flies straight up from Falco's shine; Falco jumps from the platform and meets him with an up air.
    Clip(
        *("fox_vs_falco_fountain_of_dreams_015", 1, 2952, 2994),
        *("advantage juggle combo conversion_open center", "neutral juggled tech_chase off_stage hitstun"),
    ),
    # The same seen by Fox, who is in hitstun all the way up.
    Clip(
        *("fox_vs_falco_fountain_of_dreams_015", 0, 2952, 2994),
        *("disadvantage juggled being_comboed hitstun", "advantage juggle combo whiff_punish approach on_platform"),
    ),
    # Falco goes on: up tilt, shine and down air on the same Fox, without a pause of 20 frames.
    Clip(
        *("fox_vs_falco_fountain_of_dreams_015", 1, 3000, 3110),
        *("combo conversion_open", "being_comboed disadvantage tech_chase opponent_off_stage"),
    ),
    # The down air puts Fox on the floor below the platform (state 0xBF); Falco jumps down to him.
    Clip(
        *("fox_vs_falco_fountain_of_dreams_015", 1, 3120, 3140),
        *("tech_chase advantage conversion_open", "neutral juggle"),
    ),
    # Marth holds (0xD5, 0xD9, 0xD8) and throws Fox down (0xDE), with three pummels.
    Clip("marth_vs_fox_yoshis_story_026", 0, 2108, 2166, "grabbing advantage", "grabbed neutral opponent_off_stage"),
    # Marth stands at the ledge and charges a smash; Fox falls below the ledge, wall-jumps and fires himself back.
    Clip(
        *("marth_vs_fox_yoshis_story_026", 0, 2190, 2360),
        *("edgeguard opponent_off_stage advantage", "off_stage recovery_low recovery_high edgeguarded ledge_trap"),
    ),
    # Marth stands near his ledge and throws out a grab and a neutral air, Fox dodges and dashes: nobody is hit.
    Clip("marth_vs_fox_yoshis_story_026", 0, 240, 315, "neutral cornered", "center combo edgeguard off_stage"),
    # Sheik misses the tech on the platform, lies (0xB7, 0xB8) and attacks while getting up (0xBB); Falco is near.
    Clip("sheik_vs_falco_battlefield_033", 1, 752, 822, "tech_chase advantage", "tech_situation knocked_down juggle"),
    Clip(
        *("sheik_vs_falco_battlefield_033", 0, 752, 785),
        *("tech_situation knocked_down disadvantage", "tech_chase hitstun off_stage"),
    ),
    # Falco grabs the ledge from below and jumps up from it; Sheik, fresh from the revival platform, tilts at it.
    Clip(
        *("sheik_vs_falco_battlefield_033", 0, 5852, 5876),
        *("ledge_trap opponent_on_ledge advantage invulnerable", "on_ledge ledge_trapped edgeguard"),
    ),
    # Falco lasers Luigi's shield and jabs it, then waits beside it.
    Clip("falco_vs_luigi_fountain_of_dreams_012", 0, 3125, 3174, "shield_pressure advantage", "shielding hitstun"),
    Clip(
        *("falco_vs_luigi_fountain_of_dreams_012", 1, 3125, 3174),
        *("under_shield_pressure shielding disadvantage", "shield_pressure hitstun being_comboed"),
    ),
    # Luigi's smash (0x40) hits nothing 20 units from Falco, who stands and dashes.
    Clip("falco_vs_luigi_fountain_of_dreams_012", 0, 5995, 6018, "whiff_punish neutral", "hitstun shielding"),
    # Fox throws Fox up, and after a missed tech an up air sends him 60 high: the one below turns and jumps after him.
    Clip("fox_vs_fox_battlefield_016", 1, 380, 385, "grabbing advantage", "grabbed juggle opponent_above"),
    Clip("fox_vs_fox_battlefield_016", 1, 392, 408, "juggle combo advantage", "grabbing tech_chase opponent_off_stage"),
    Clip(
        "fox_vs_fox_battlefield_016", 1, 445, 484, "juggle opponent_above conversion_open", "combo tech_chase hitstun"
    ),
    # Marth falls to 45 below the stage and jumps; the other holds the ledge against him, and he dies below.
    Clip(
        *("marth_vs_marth_dream_land_027", 0, 3023, 3160),
        *("recovery_low edgeguarded off_stage disadvantage", "edgeguard recovery_high on_ledge"),
    ),
    Clip("marth_vs_marth_dream_land_027", 0, 3092, 3099, "opponent_on_ledge disadvantage", "ledge_trap neutral"),
    Clip("marth_vs_marth_dream_land_027", 0, 3152, 3159, "near_blast_zone opponent_above", "juggle dead"),
    # Marth comes back from high beside the stage; Peach floats out to him and throws a turnip, which hits.
    Clip(
        *("peach_vs_marth_final_destination_028", 1, 4165, 4212),
        *("recovery_high edgeguarded opponent_off_stage disadvantage", "recovery_low edgeguard hitstun"),
    ),
    Clip("peach_vs_marth_final_destination_028", 1, 4203, 4212, "projectile_incoming", "warmup"),
    # Nana is hit off the stage while Popo techs at its middle.
    Clip(CLIMBERS, 0, 1664, 1765, "climbers_separated", "combo hitstun"),
    # Falco has died, comes down on the revival platform, and attacks while he cannot be hit.
    Clip("falco_vs_fox_final_destination_008", 0, 560, 616, "dead disadvantage stock_deficit", "respawn off_stage"),
    Clip("falco_vs_fox_final_destination_008", 1, 560, 616, "advantage post_kill stock_lead", "dead edgeguard juggle"),
    Clip("falco_vs_fox_final_destination_008", 0, 626, 716, "respawn neutral", "dead center approach off_stage"),
    Clip("falco_vs_fox_final_destination_008", 0, 732, 800, "neutral center invulnerable", "respawn dead hitstun"),
]


def whole(game: Game, rule: Situations | None = None) -> np.ndarray:
    """The labels of one match ``(T,)`` folded at once."""
    rule = rule or Situations()
    return rule.fold(rule.start(1), game[None])[0][0]


def where(labels: np.ndarray, name: str) -> np.ndarray:
    return (labels & BITS[name]) != 0


@pytest.fixture(scope="module")
def seats(full_games):
    """Every shared game from both seats, with its labels."""

    @cache
    def read() -> list[tuple[Game, list[np.ndarray]]]:
        games = [slp.read(path).game for path in full_games]
        return [(game, [whole(game.seen_from(seat)) for seat in (0, 1)]) for game in games]

    return read


def equal(one: tuple, other: tuple) -> bool:
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True))


def test_bits_never_move():
    assert [label.name for label in SITUATIONS] == ORDER, "append at the end: stored labels are read by their bits"
    assert len(BITS) == len(ORDER) <= 64
    assert names(0) == ()
    assert names(BITS["neutral"] | BITS["climbers_separated"]) == ("neutral", "climbers_separated")
    assert all(label.says and label.seat in (0, 1) for label in SITUATIONS)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: f"{clip.name[:14]}-{clip.first}-{clip.seat}")
def test_clips_that_were_looked_at(game, clip):
    labels = whole(game(clip.name).seen_from(clip.seat))[clip.first : clip.last + 1]
    shares = {name: where(labels, name).mean() for name in ORDER}
    assert not [(name, shares[name]) for name in clip.holds.split() if shares[name] < 0.95]
    assert not [(name, shares[name]) for name in clip.never.split() if shares[name] > 0]


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 2399), max_size=40), name=st.sampled_from([CLIMBERS, *OTHERS]))
def test_chunks_are_the_whole(game, cuts, name):
    """As no chunk holds what comes after it, this also says that nothing looks ahead."""
    rule, seen = Situations(), game(name)[:2400][None]
    labels, end = rule.fold(rule.start(1), seen)
    edges = [0, *sorted(set(cuts)), 2400]
    carried, found = rule.start(1), []
    for first, last in pairwise(edges):
        part, carried = rule.fold(carried, seen[:, first:last])
        found.append(part)
    assert np.array_equal(np.concatenate(found, 1), labels)
    assert equal(carried, end)


def test_live_steps_are_the_whole_and_games_side_by_side_are_each_alone(game):
    rule = Situations()
    several = Game(np.stack([game(name).rows[300:1300] for name in (CLIMBERS, *OTHERS)]))
    alone = np.stack([whole(several[at]) for at in range(len(several))])
    labels, end = rule.fold(rule.start(len(several)), several)
    assert np.array_equal(labels, alone)
    carried = rule.start(len(several))
    for at in range(1000):
        step, carried = rule.fold(carried, Game(several.rows[:, at])[:, None])
        assert np.array_equal(step[:, 0], labels[:, at])
    assert equal(carried, end)


@settings(max_examples=15, deadline=None)
@given(ends=st.lists(st.integers(1, 1500), min_size=2, max_size=4), cut=st.integers(1, 500))
def test_a_new_game_remembers_nothing(game, ends, cut):
    parts = [game((CLIMBERS, *OTHERS)[at])[:end] for at, end in enumerate(ends)]
    after = Game(np.concatenate([part.rows for part in parts]))[None]
    apart = np.concatenate([whole(part) for part in parts])
    rule = Situations()
    assert np.array_equal(rule.fold(rule.start(1), after)[0][0], apart)
    first, carried = rule.fold(rule.start(1), after[:, :cut])
    second = rule.fold(carried, after[:, cut:])[0] if cut < len(apart) else first[:, :0]
    assert np.array_equal(np.concatenate([first, second], 1)[0], apart)


def test_is_first_opens_a_game_in_its_middle(game):
    """Two games whose frame numbers happen to go up at the seam."""
    before, after = game(OTHERS[0])[:1000], game(CLIMBERS)[2000:3000]
    joined = Game(np.concatenate([before.rows, after.rows]))[None]
    is_first = np.zeros((1, 2000), bool)
    is_first[0, 1000] = True
    rule = Situations()
    marked = rule.fold(rule.start(1), joined, is_first)[0][0]
    assert np.array_equal(marked, np.concatenate([whole(before), whole(after)]))
    assert not np.array_equal(marked, rule.fold(rule.start(1), joined)[0][0])


def test_the_other_seat_swaps_the_pairs(seats):
    assert {label.fact for label in SITUATIONS if label.name in SWAPPED} == {
        label.fact for label in SITUATIONS if label.name in SWAPPED.values()
    }
    for _, (own, other) in seats():
        for name, pair in SWAPPED.items():
            assert np.array_equal(where(own, name), where(other, pair)), name
            assert np.array_equal(where(own, pair), where(other, name)), name


def test_left_and_right_are_the_same(seats):
    """Yoshi's Story has blast zones that differ by 2 units."""
    for game, (own, _) in seats():
        if game.stage[0] == Stage.YOSHIS_STORY:
            continue
        turned = Game(game.rows.copy())
        for group in (turned.players, turned.nana):
            for name in ("x", "facing", "speed_air_x", "speed_ground_x", "speed_x_attack", "main_x", "c_x"):
                getattr(group, name)[...] *= -1
        turned.items.x[...] *= -1
        turned.items.vx[...] *= -1
        assert np.array_equal(whole(turned), own)


def test_one_of_three_holds_while_both_play_and_every_label_occurs(seats):
    seen = dict.fromkeys(ORDER, 0)
    for game, both in seats():
        plays = playing(game) & (game.players.exists != 0).all(-1)
        for labels in both:
            umbrella = [where(labels, name) for name in ("neutral", "advantage", "disadvantage")]
            assert np.array_equal(np.sum(umbrella, 0), plays), "exactly one, and none while nobody plays"
            assert not labels[~plays].any()
            assert 0.1 < umbrella[0][plays].mean() < 0.7
            for name in ORDER:
                seen[name] += int(where(labels, name).sum())
    assert {name for name, frames in seen.items() if not frames} == set(TOO_RARE)
    assert seen["recovery_low"] + seen["recovery_high"] <= seen["off_stage"]


CHANGED = {
    "center": (0.8, "center"),
    "corner": (40, "cornered"),
    "above": (15, "opponent_above"),
    "platform_y": (40, "on_platform"),
    "below_ledge_y": (-40, "recovery_low"),
    "offstage_y": (-40, "off_stage"),
    "blast_zone": (80, "near_blast_zone"),
    "juggle_x": (10, "juggle"),
    "juggle_y": (30, "juggle"),
    "chase": (25, "tech_chase"),
    "shield_pressure": (15, "shield_pressure"),
    "ledge_trap": (80, "ledge_trap"),
    "whiff": (20, "whiff_punish"),
    "approach": (10, "approach"),
    "approach_frames": (20, "retreat"),
    "combo_gap": (45, "combo"),
    "conversion": (45, "conversion_open"),
    "post_kill": (60, "post_kill"),
    "warmup": (60, "warmup"),
    "timeout_frame": (1000, "timeout_near"),
    "percent_gap": (20, "percent_lead"),
    "kill_percent": (60, "kill_percent"),
    "projectile_frames": (10, "projectile_incoming"),
    "projectile_y": (5, "projectile_incoming"),
    "climbers": (60, "climbers_separated"),
}


def test_every_threshold_moves_its_label(game):
    assert set(CHANGED) == {field.name for field in fields(Thresholds)}
    seen = [game(name).seen_from(seat) for name in (CLIMBERS, *OTHERS) for seat in (0, 1)]
    usual = [whole(one) for one in seen]
    for threshold, (value, name) in CHANGED.items():
        rule = Situations(replace(Thresholds(), **{threshold: value}))
        moved = [whole(one, rule) for one in seen]
        assert any((where(a, name) != where(b, name)).any() for a, b in zip(usual, moved, strict=True)), threshold


def test_controllers_are_not_looked_at(game):
    seen = game(OTHERS[0])
    without = Game(seen.rows.copy())
    for name in ("main_x", "main_y", "c_x", "c_y", "shoulder", "buttons"):
        getattr(without.players, name)[...] = 0
    assert np.array_equal(whole(without), whole(seen))


def made(frames: int) -> Game:
    """Two players who stand on Battlefield, 20 units from each other, with all their stocks."""
    game = Game.empty(frames)
    rows = game.rows.view(ROW)[..., 0]
    rows["frame"], rows["stage"] = np.arange(frames) + 500, Stage.BATTLEFIELD
    for name, value in (("exists", 1), ("stocks", 4), ("on_ground", 1), ("action", 0x0E), ("shield", 60)):
        rows["players"][name] = value
    rows["players"]["x"] = [-10, 10]
    return game


def test_a_broken_shield():
    game = made(10)
    game.players.action[4:, 0] = 0xD3
    labels = whole(game)
    assert np.array_equal(where(labels, "shield_broken"), np.arange(10) >= 4)
    assert np.array_equal(where(labels, "disadvantage"), np.arange(10) >= 4)


def test_the_clock():
    game = made(10)
    game.frame[...] += 26_995 - 500
    assert np.array_equal(where(whole(game), "timeout_near"), np.arange(10) >= 5)


def test_a_combo_is_two_hits_with_a_short_pause():
    """Hits on frames 10 and 10 + 5 + gap, five frames of hitstun each."""
    for gap, chained in ((1, True), (20, True), (21, False), (40, False)):
        game = made(100)
        second = 15 + gap - 1
        for start, percent in ((10, 5), (second, 12)):
            game.players.hitstun[start : start + 5, 1] = range(5, 0, -1)
            game.players.percent[start:, 1] = percent
        labels = whole(game)
        combo = where(labels, "combo")
        assert not combo[:second].any()
        assert combo.any() == chained
        assert not chained or np.array_equal(np.flatnonzero(combo), np.arange(second, second + 5 + 20))
        assert np.array_equal(np.flatnonzero(where(labels, "conversion_open")), np.arange(10, 100))
        struck = np.isin(np.arange(100), [*range(10, 15), *range(second, second + 5)])
        assert np.array_equal(where(labels, "advantage"), struck)


def test_a_juggle_ends_on_the_ground():
    """Hit into the air on frame 10, down on frame 30, up again by a jump on frame 40."""
    game = made(60)
    game.players.percent[10:, 1] = 9
    game.players.hitstun[10:20, 1] = 5
    game.players.x[:, 1] = 0
    for first, last in ((10, 30), (40, 60)):
        game.players.on_ground[first:last, 1], game.players.y[first:last, 1] = 0, 20
    assert np.array_equal(np.flatnonzero(where(whole(game), "juggle")), np.arange(10, 30))
    game.players.hitstun[15:, 0] = 9  # nobody juggles while in hitstun
    assert np.array_equal(np.flatnonzero(where(whole(game), "juggle")), np.arange(10, 15))


def test_a_tech_chase_needs_a_free_hand():
    game = made(10)
    game.players.action[:, 1] = 0xB8
    assert where(whole(game), "tech_chase").all()
    game.players.action[:, 0] = 0xC0
    labels = whole(game)
    assert not where(labels, "tech_chase").any() and where(labels, "neutral").all(), "both lie"


@pytest.mark.parametrize(
    ("action", "on_ledge"),
    [(0xF5, False), (0xF6, False), (0xFC, True), (0x101, True), (0x104, True), (0x105, False), (0x107, False)],
)
def test_a_ledge_trap_waits_beside_the_ledge(action, on_ledge):
    """Teetering and the flight of a ledge jump are not the ledge; how high the other is does not matter."""
    game = made(3)
    game.players.x[...], game.players.y[...] = [40, 70], [50, -20]
    game.players.action[:, 1], game.players.on_ground[:, 1] = action, 0
    for name in ("on_ledge", "ledge_trap"):
        assert (where(whole(game), f"opponent_{name}" if name == "on_ledge" else name) == on_ledge).all()
    game.players.x[:, 0] = 20
    assert not where(whole(game), "ledge_trap").any()


def test_of_two_off_stage_the_one_hit_last_is_worse_off():
    """They hang on both ledges; the opponent was hit on frame 10, own on frame 40."""
    game = made(140)
    game.players.x[...], game.players.y[...], game.players.on_ground[...] = [-70, 70], -20, 0
    game.players.action[...] = 0xFD
    for seat, start in ((1, 10), (0, 40)):
        game.players.percent[start:, seat] = 9
        game.players.hitstun[start : start + 5, seat] = 5
    labels, at = whole(game), np.arange(140)
    assert np.array_equal(where(labels, "advantage"), (at >= 10) & (at < 40))
    assert np.array_equal(where(labels, "disadvantage"), (at >= 40) & (at <= 40 + 90))


def test_who_is_knocked_away_does_not_retreat():
    game = made(60)
    game.players.x[:, 0] = -10 - np.arange(60)
    walking = whole(game)
    assert np.array_equal(np.flatnonzero(where(walking, "retreat")), np.arange(10, 60))
    game.players.hitstun[20:30, 0] = 5
    assert np.array_equal(np.flatnonzero(where(whole(game), "retreat")), [*range(10, 20), *range(40, 60)])
    game.players.x[:, 1] = -90
    assert where(whole(game), "approach")[10:20].all(), "the same walk towards an opponent on the other side"


def test_who_stands_outside_is_not_cornering():
    game = made(3)
    game.players.x[...] = [55, 20]
    assert where(whole(game), "cornered").all()
    game.players.x[...] = [55, 60]
    labels = whole(game)
    assert not where(labels, "cornered").any() and where(labels, "opponent_cornered").all()


def test_randall_is_not_off_stage():
    game = made(3)
    game.players.x[:, 0], game.players.y[:, 0] = 90, -14
    assert not where(whole(game), "off_stage").any()
    game.players.on_ground[:, 0] = 0
    assert where(whole(game), "off_stage").all()


@pytest.mark.parametrize("number", [500, 499, 100])
def test_a_frame_number_that_does_not_grow_opens_a_game(number):
    """The other game opens with more percent, fewer stocks and hitstun: no hit, no kill."""
    game = made(4)
    game.frame[...] = [499, 500, number, number + 1]
    game.players.percent[2:, 1], game.players.stocks[2:, 1], game.players.hitstun[2:, 1] = 50, 2, 5
    labels = whole(game)
    assert not where(labels, "post_kill").any() and not where(labels, "conversion_open").any()
    game.frame[2:] = 501, 502
    labels = whole(game)
    assert where(labels, "post_kill")[2:].all()


def test_warmup_is_the_first_two_seconds():
    game = made(400)
    game.frame[...] = np.arange(400) - 123
    warm = game.frame[where(whole(game), "warmup")]
    assert (warm[0], warm[-1], len(warm)) == (-40, 79, 120), "frame -40 is the first that a press can answer"


def test_a_stage_without_geometry_has_no_blast_zones(game):
    seen = Game(game("marth_vs_marth_dream_land_027").rows.copy())
    assert where(whole(seen), "near_blast_zone").any()
    seen.stage[...] = 19
    labels = whole(seen)
    assert not where(labels, "near_blast_zone").any()
    beyond = abs(seen.players.x[:, 0]) > 85
    assert not (where(labels, "off_stage") & ~beyond & (seen.players.y[:, 0] >= -10)).any()
    assert where(labels, "off_stage").any() and where(labels, "edgeguarded").any()


def test_what_a_source_lacks_gives_no_label(game):
    old = game("sheik_vs_marth_yoshis_story_034")
    assert old.lacks[0] & Lacks.STATE and old.lacks[0] & Lacks.ITEMS and old.lacks[0] & Lacks.INVULNERABLE
    labels = whole(old)
    for name in ("juggle", "juggled", "on_platform", "projectile_incoming", "invulnerable"):
        assert not where(labels, name).any(), name
    for name in ("hitstun", "combo", "edgeguard", "tech_chase", "shield_pressure"):
        assert where(labels, name).any(), name


def test_frames_that_do_not_continue_the_games_are_refused():
    rule = Situations()
    for rows in (made(3), made(3)[None][[0, 0]], made(0)[None]):
        with pytest.raises(ExphilError, match="do not continue 1 games"):
            rule.fold(rule.start(1), rows)
