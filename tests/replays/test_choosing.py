"""Choosing: which games and which of their players, by the start block where that is enough, else by the game."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from exphil.game.frames import Lacks
from exphil.game.ids import Character, Stage
from exphil.replays import choosing, library, slp
from exphil.replays.choosing import Choice, Skip
from exphil.replays.library import Loaded, Reading
from exphil.replays.sources import Source, find

FOX_FALCO = "fox_vs_falco_fountain_of_dreams_015.slp"  # 3.12.0, ports 1 and 2
OLD = "falco_vs_ganondorf_battlefield_010.slp"  # 2.0.1
DITTO = "edge_v3_12_short.slp"  # Marth against Marth
LACKS = "Slippi 2.0.1 lacks invulnerable (recorded from 2.1 on), items (recorded from 3.0 on), {}"
SPEEDS = "speeds (recorded from 3.5 on)"


def early(path: Path, choice: Choice) -> Skip | None:
    """Why a file is left out by its head alone."""
    (answer,) = library.preflight([Source(path)], Reading(choice))
    return answer if isinstance(answer, Skip) else None


def only(path: Path, choice: Choice) -> Loaded | Skip:
    """The answer to a file; what is said by its head is what would be said of the game."""
    (answer,) = library.load([Source(path)], Reading(choice, workers=1))
    first = early(path, choice)
    assert first is None or (isinstance(answer, Skip) and first.reason == answer.reason), (first, answer)
    return answer


def skipped(path: Path, choice: Choice | None = None) -> tuple[str, str]:
    answer = only(path, choice or Choice())
    assert isinstance(answer, Skip) and answer.file == str(path)
    assert str(answer) == f"{path}: {choosing.REASONS[answer.reason]} ({answer.detail})"
    return answer.reason, answer.detail


def seats(path: Path, **choice: object) -> tuple[int, ...]:
    answer = only(path, Choice(**choice))
    assert isinstance(answer, Loaded), answer
    return answer.seats


def test_players_are_counted_over_occupied_ports(replays):
    path = replays / "edge_ports_p1_p4.slp"
    assert seats(path) == (0,)
    assert seats(path, player=2) == (1,)
    assert seats(path, both=True) == (0, 1)


@pytest.mark.parametrize("player", [0, 3, 4])
def test_a_player_who_is_not_there(replays, player):
    assert skipped(replays / FOX_FALCO, Choice(player=player)) == ("player", f"player {player} of 2")


def test_a_character_is_taken_from_whatever_seat(replays):
    assert seats(replays / FOX_FALCO, character=Character.FALCO) == (1,)
    assert seats(replays / FOX_FALCO, character=Character.FOX, player=2) == (0,)
    assert seats(replays / FOX_FALCO, character=Character.FOX, both=True) == (0, 1)
    assert seats(replays / DITTO, character=Character.MARTH) == (0, 1)


@pytest.mark.parametrize("both", [False, True])
def test_a_character_nobody_plays(replays, both):
    answer = skipped(replays / FOX_FALCO, Choice(character=Character.MARTH, both=both))
    assert answer == ("character", "fox against falco; wanted marth")


def test_games_of_some_characters_and_on_some_stages(replays):
    path = replays / FOX_FALCO
    assert seats(path, characters=frozenset([Character.FALCO, Character.KIRBY])) == (0,)
    assert skipped(path, Choice(characters=frozenset([Character.KIRBY]))) == ("characters", "fox against falco")
    assert seats(path, stages=frozenset([Stage.FOUNTAIN_OF_DREAMS])) == (0,)
    assert skipped(path, Choice(stages=frozenset([Stage.BATTLEFIELD]))) == ("stages", "fountain_of_dreams")


def test_only_legal_stages_and_no_computers(replays):
    assert skipped(replays / "edge_banned_stage_full.slp") == ("stage", "stage_23")
    assert skipped(replays / "edge_cpu_player_p1.slp") == ("computer", "port 1")


def test_everything_is_every_game_of_two(replays):
    for name in ("edge_banned_stage_full.slp", "edge_cpu_player_p1.slp", OLD):
        assert seats(replays / name, everything=True) == (0, 1)
    assert skipped(replays / "edge_ffa_3p.slp", Choice(everything=True)) == ("players", "players: 3")


def test_missing_columns_are_named_or_allowed(replays):
    assert skipped(replays / OLD) == ("columns", LACKS.format(SPEEDS))
    assert skipped(replays / OLD, Choice(needed=Lacks.SPEEDS)) == ("columns", f"Slippi 2.0.1 lacks {SPEEDS}")
    assert seats(replays / OLD, allow_missing=True) == (0,)
    assert seats(replays / OLD, needed=Lacks(0)) == (0,)
    hitlag = replays / "captain_falcon_vs_captain_falcon_dream_land_001.slp"
    assert seats(hitlag) == (0,), "hitlag is not read by default"
    assert skipped(hitlag, Choice(needed=Lacks.HITLAG))[0] == "columns"


def test_an_old_version_is_left_out_by_its_head(replays, tmp_path):
    """The game is not read; whether it has items with owners is not known before it is."""
    head = tmp_path / "head.slp"
    head.write_bytes((replays / OLD).read_bytes()[:1024])
    told = early(head, Choice())
    assert told == Skip(str(head), "columns", LACKS.format(SPEEDS))
    assert early(head, Choice(allow_missing=True)) is None and early(head, Choice(everything=True)) is None
    assert early(head, Choice(needed=Lacks.HITLAG)) is not None and early(head, Choice(needed=Lacks(0))) is None
    assert early(head, Choice(needed=Lacks.ITEM_OWNER)) is None


def test_what_a_version_lacks_its_games_lack(replays, manifest):
    """All real files: the head never says more than the game; only the owners of items are left to it."""
    met = Lacks(0)
    for name in manifest:
        try:
            replay = slp.read(replays / name)
        except slp.ReplayError:
            continue
        by_head = slp.lacking_by_version(replay.start)
        assert replay.lacks & ~Lacks.ITEM_OWNER == by_head, name
        met |= by_head
    assert met & Lacks.SPEEDS and met & Lacks.STATE
    assert met & Lacks.PLATFORMS and met & Lacks.STADIUM and met & Lacks.WHISPY


@pytest.mark.parametrize(
    ("name", "bit", "says"),
    [
        ("fox_vs_falco_fountain_of_dreams_015.slp", Lacks.PLATFORMS, "platforms"),
        ("ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp", Lacks.STADIUM, "stadium"),
        ("captain_falcon_vs_captain_falcon_dream_land_001.slp", Lacks.WHISPY, "whispy"),
    ],
)
def test_what_moves_on_a_stage_is_missed_there_alone_and_when_asked_for(replays, name, bit, says):
    moving = Lacks.PLATFORMS | Lacks.STADIUM | Lacks.WHISPY
    assert slp.read(replays / name).lacks & moving == bit
    assert seats(replays / name) == (0,), "not read by default"
    reason, detail = skipped(replays / name, Choice(needed=moving))
    assert reason == "columns"
    assert detail.endswith(f"lacks {says} (recorded from 3.18 on), read because of --stage-motion")


def test_a_stadium_that_is_frozen_or_recorded_lacks_nothing(replays):
    """A frozen one never changes its form, so that no event of it is missed, whatever the version."""
    start = slp.read(replays / "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp").start
    assert slp.lacking_by_version(start) & Lacks.STADIUM
    assert not slp.lacking_by_version(start._replace(frozen_stadium=True)) & Lacks.STADIUM
    assert not slp.read(replays / "edge_stadium_transformation_events.slp").lacks & Lacks.STADIUM


def test_too_short(replays, tmp_path):
    """The same game cut after two seconds, and one frame before."""
    data = (replays / DITTO).read_bytes()
    whole = slp.parse(data, Path("x"))
    layout = slp.container.layout(data, "x")
    at, answers = layout.first, {}
    while data[at] != 0x39:
        if data[at] == slp.container.FRAME_START:
            answers[struct.unpack(">i", data[at + 1 : at + 5])[0] + 123] = at
        at += 1 + int(layout.sizes[data[at]])
    assert whole.frames > 120
    path = tmp_path / "short.slp"
    path.write_bytes(data[: answers[119]])
    assert skipped(path) == ("short", "119")
    path.write_bytes(data[: answers[120]])
    assert seats(path) == (0,)


def test_quality(replays):
    path = replays / DITTO
    answer = only(path, Choice())
    assert isinstance(answer, Loaded)
    worth = answer.about.quality
    assert 0 <= worth < 100 and answer.about.reasons
    assert seats(path, min_quality=worth) == (0,)
    assert skipped(path, Choice(min_quality=worth + 1)) == ("quality", f"{worth} of 100: {answer.about.reasons[0]}")


def test_no_game(replays):
    assert skipped(replays / "edge_ffa_3p.slp") == ("players", "players: 3")
    assert skipped(replays / "edge_unfinalised_one_frame.slp") == ("unreadable", "no complete frame from offset 44 on")


def test_our_own_defect_is_called_one():
    (answer,) = library.load([Source("no path at all")], Reading(Choice()))  # type: ignore[arg-type]
    assert isinstance(answer, Skip) and answer.is_error and "a defect of the reader" in answer.detail


def test_the_filters_of_the_start_block_read_no_game(replays, tmp_path):
    """Cut behind the start block there is no game, and still the reason is the character."""
    path = tmp_path / "head.slp"
    path.write_bytes((replays / FOX_FALCO).read_bytes()[:1024])
    told = early(path, Choice(character=Character.KIRBY))
    assert told is not None and told.reason == "character"
    assert skipped(path)[0] == "unreadable"


def test_skips_are_counted_by_reason(replays, tmp_path):
    shutil.copy(replays / "edge_not_slp_text.slp", tmp_path / "a.slp")
    for name in ("b.slp", "c.slp"):
        shutil.copy(replays / OLD, tmp_path / name)
    shutil.copy(replays / FOX_FALCO, tmp_path / "d.slp")
    answers = list(library.load(find(tmp_path).sources, Reading(Choice(needed=Lacks.SPEEDS))))
    skips = [answer for answer in answers if isinstance(answer, Skip)]
    assert choosing.summary(skips) == [
        (
            2,
            "files: recorded before Slippi wrote columns that are read, which training with --allow-missing takes, "
            "such as b.slp (Slippi 2.0.1 lacks speeds (recorded from 3.5 on))",
        ),
        (1, "file: cannot be read, such as a.slp (not a Slippi replay (no raw element at offset 0))"),
    ]
    assert str(skips[0]) == f"{tmp_path / 'a.slp'}: cannot be read (not a Slippi replay (no raw element at offset 0))"
    assert choosing.summary([]) == []
