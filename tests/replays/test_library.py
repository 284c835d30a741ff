"""Finding, listing, choosing and loading."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import threading
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pytest

from exphil.errors import DataError
from exphil.game.frames import Lacks
from exphil.game.ids import Character
from exphil.replays import library, slp
from exphil.replays.library import Choice, Loaded, ReplayRecord, Skip

FOX_FALCO = "fox_vs_falco_fountain_of_dreams_015.slp"  # 3.12.0, ports 1 and 2
OLD = "falco_vs_ganondorf_battlefield_010.slp"  # 2.0.1
DITTO = "edge_v3_12_short.slp"  # Marth against Marth
HINT = (
    "Slippi Dolphin saves your games in its replay folder; public sets exist on Hugging Face and in the Slippi "
    "Discord; pass --replays FOLDER or set EXPHIL_REPLAYS_DIR"
)


def only(path: Path, choice: Choice | None = None) -> Loaded | Skip:
    (answer,) = library.load([path], choice or Choice(), workers=1)
    return answer


def skipped(path: Path, choice: Choice | None = None) -> tuple[str, str]:
    answer = only(path, choice)
    assert isinstance(answer, Skip)
    assert answer.path == path
    return answer.reason, answer.detail


def seats(path: Path, **choice: object) -> tuple[int, ...]:
    answer = only(path, Choice(**choice))
    assert isinstance(answer, Loaded), answer
    return answer.seats


class TestFind:
    def test_every_folder_in_one_order(self, tmp_path):
        for name in ("b/2.slp", "b/1.slp", "a.slp", "b/c/d.SLP", "notes.txt", "b.slp.gz"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "folder.slp").mkdir()
        found = library.find(tmp_path)
        assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.slp", "b/1.slp", "b/2.slp", "b/c/d.SLP"]
        assert library.find(tmp_path, max_files=2) == found[:2]

    @pytest.mark.parametrize(
        ("name", "what"),
        [("gone", "no such folder: {}"), ("file", "{} is not a folder"), ("empty", "no .slp files in {}")],
    )
    def test_nothing_to_read_is_said_with_where_to_get_some(self, tmp_path, name, what):
        (tmp_path / "file").touch()
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError) as caught:
            library.find(tmp_path / name)
        assert (caught.value.what, caught.value.fix) == (what.format(tmp_path / name), HINT)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list every folder")
    def test_a_folder_that_cannot_be_listed_is_not_passed_over(self, tmp_path):
        (tmp_path / "locked").mkdir(mode=0)
        with pytest.raises(DataError, match="cannot be listed"):
            library.find(tmp_path)


class TestDescribe:
    def test_a_game(self, replays, manifest):
        record = library.describe(replays / FOX_FALCO)
        entry = manifest[FOX_FALCO]
        assert asdict(record) == {
            "file": str(replays / FOX_FALCO),
            "sha256": entry["sha256"],
            "frames": entry["frames"],
            "rows": entry["rows_raw"],
            "version": "3.12.0",
            "stage": "fountain_of_dreams",
            "ports": [1, 2],
            "characters": ["fox", "falco"],
            "codes": ["ZIFF#549", "KAII#147"],
            "problems": [],
        }
        assert record.readable

    def test_a_tag_stands_in_for_a_code_and_nothing_for_neither(self, replays):
        assert library.describe(replays / "marth_vs_falco_pokemon_stadium_024.slp").codes == [None, "JOEY"]

    def test_a_file_that_cannot_be_read_has_the_same_fields(self, replays):
        path = replays / "edge_not_slp_text.slp"
        record = library.describe(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert record == ReplayRecord(str(path), digest, problems=["not a Slippi replay (no raw element at offset 0)"])
        assert not record.readable
        assert (record.frames, record.rows, record.version, record.stage) == (0, 0, None, None)
        assert record.ports == record.characters == record.codes == []

    def test_a_file_that_is_not_there(self, tmp_path):
        record = library.describe(tmp_path / "gone.slp")
        assert record == ReplayRecord(
            str(tmp_path / "gone.slp"), problems=["cannot be read (No such file or directory)"]
        )

    def test_our_own_defect_is_called_one(self):
        record = library.describe("no path at all")  # type: ignore[arg-type]
        (problem,) = record.problems
        assert problem.startswith("a defect of the reader, please report it with this file: AttributeError: ")


class TestScan:
    def test_processes_give_the_same_in_the_same_order(self, replays):
        paths = sorted(replays.glob("edge_*"))[:20]
        alone = list(library.scan(paths, workers=1))
        assert [record.file for record in alone] == [str(path) for path in paths]
        assert list(library.scan(paths, workers=2)) == alone
        assert sum(record.readable for record in alone) == 9

    def test_it_can_be_left_early(self, replays):
        paths = sorted(replays.glob("edge_*"))
        assert len(list(islice(library.scan(paths, workers=2), 3))) == 3

    def test_a_killed_process_is_told(self, replays):
        class Deadly:
            def __reduce__(self):
                return os._exit, (9,)  # what unpickles it dies

        with pytest.raises(DataError, match="was killed") as caught:
            list(library.scan([replays / DITTO] * 30 + [Deadly()], workers=2))  # type: ignore[list-item]
        assert caught.value.fix == "try again with --workers 1"

    def test_nothing(self):
        assert list(library.scan([])) == []


class TestChoice:
    def test_players_are_counted_over_occupied_ports(self, replays):
        path = replays / "edge_ports_p1_p4.slp"
        assert seats(path) == (0,)
        assert seats(path, player=2) == (1,)
        assert seats(path, both=True) == (0, 1)

    @pytest.mark.parametrize("player", [0, 3, 4])
    def test_a_player_who_is_not_there(self, replays, player):
        assert skipped(replays / FOX_FALCO, Choice(player=player)) == ("player", f"player {player} of 2")

    def test_a_character_is_taken_from_whatever_seat(self, replays):
        assert seats(replays / FOX_FALCO, character=Character.FALCO) == (1,)
        assert seats(replays / FOX_FALCO, character=Character.FOX, player=2) == (0,)
        assert seats(replays / FOX_FALCO, character=Character.FOX, both=True) == (0, 1)
        assert seats(replays / DITTO, character=Character.MARTH) == (0, 1)

    @pytest.mark.parametrize("both", [False, True])
    def test_a_character_nobody_plays(self, replays, both):
        answer = skipped(replays / FOX_FALCO, Choice(character=Character.MARTH, both=both))
        assert answer == ("character", "fox against falco; wanted marth")

    def test_only_legal_stages(self, replays):
        assert skipped(replays / "edge_banned_stage_full.slp") == ("stage", "stage_23")

    def test_no_computers(self, replays):
        reason, detail = skipped(replays / "edge_cpu_player_p1.slp")
        assert (reason, detail) == ("computer", "port 1")

    def test_missing_columns_are_named_or_allowed(self, replays):
        speeds = "speeds (recorded from 3.5 on)"
        all_of = f"Slippi 2.0.1 lacks invulnerable (recorded from 2.1 on), items (recorded from 3.0 on), {speeds}"
        assert skipped(replays / OLD) == ("columns", all_of)
        assert skipped(replays / OLD, Choice(needed=Lacks.SPEEDS)) == ("columns", f"Slippi 2.0.1 lacks {speeds}")
        assert seats(replays / OLD, allow_missing=True) == (0,)
        assert seats(replays / OLD, needed=Lacks(0)) == (0,)
        hitlag = replays / "captain_falcon_vs_captain_falcon_dream_land_001.slp"
        assert seats(hitlag) == (0,), "hitlag is not read by default"
        assert skipped(hitlag, Choice(needed=Lacks.HITLAG))[0] == "columns"

    def test_too_short(self, replays, tmp_path):
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

    def test_no_game(self, replays):
        assert skipped(replays / "edge_ffa_3p.slp") == ("unreadable", "players in the game: 3; games of two are read")
        assert skipped(replays / "edge_unfinalised_one_frame.slp") == ("unreadable", "no complete frame")

    def test_our_own_defect_is_called_one(self):
        assert "a defect of the reader" in skipped("no path at all")[1]  # type: ignore[arg-type]


class TestLoad:
    def test_every_file_is_answered_in_order(self, replays):
        paths = sorted(replays.glob("*.slp"))
        alone = list(library.load(paths, Choice(allow_missing=True), workers=1))
        assert [answer.path if isinstance(answer, Skip) else answer.replay.path for answer in alone] == paths
        together = list(library.load(paths, Choice(allow_missing=True), workers=4))
        for one, other in zip(alone, together, strict=True):
            if isinstance(one, Loaded):
                assert isinstance(other, Loaded)
                assert one.seats == other.seats
                assert (one.replay.game.rows == other.replay.game.rows).all()
            else:
                assert one == other

    def test_it_looks_only_a_little_ahead(self, replays):
        asked = []

        def paths():
            for path in [replays / DITTO] * 1000:
                asked.append(path)
                yield path

        answers = library.load(paths(), Choice(), workers=2)
        next(answers)
        assert len(asked) == 5
        next(answers)
        assert len(asked) == 6
        before = threading.active_count()
        answers.close()
        assert threading.active_count() < before, "a run that stops early leaves no thread behind"

    def test_the_filters_of_the_start_block_read_no_game(self, replays, tmp_path):
        """Cut behind the start block there is no game, and still the reason is the character."""
        path = tmp_path / "head.slp"
        path.write_bytes((replays / FOX_FALCO).read_bytes()[:1024])
        assert skipped(path, Choice(character=Character.KIRBY))[0] == "character"
        assert skipped(path)[0] == "unreadable"


def test_skips_are_counted_by_reason(replays, tmp_path):
    shutil.copy(replays / "edge_not_slp_text.slp", tmp_path / "a.slp")
    for name in ("b.slp", "c.slp"):
        shutil.copy(replays / OLD, tmp_path / name)
    shutil.copy(replays / FOX_FALCO, tmp_path / "d.slp")
    answers = list(library.load(library.find(tmp_path), Choice(needed=Lacks.SPEEDS)))
    skips = [answer for answer in answers if isinstance(answer, Skip)]
    assert library.summary(skips) == [
        (
            2,
            "files: recorded before Slippi wrote columns that are read; training with --allow-missing takes it, "
            "such as b.slp (Slippi 2.0.1 lacks speeds (recorded from 3.5 on))",
        ),
        (1, "file: cannot be read, such as a.slp (not a Slippi replay (no raw element at offset 0))"),
    ]
    assert str(skips[0]) == f"{tmp_path / 'a.slp'}: cannot be read (not a Slippi replay (no raw element at offset 0))"
    assert library.summary([]) == []
