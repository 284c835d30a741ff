"""Listing: one record a file, whatever is in it, in the order of the files."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import asdict, replace
from itertools import islice

import pytest

from exphil.errors import DataError
from exphil.replays import listing, sources
from exphil.replays.listing import ReplayRecord
from exphil.replays.sources import Source

FOX_FALCO = "fox_vs_falco_fountain_of_dreams_015.slp"  # 3.12.0, ports 1 and 2
DITTO = "edge_v3_12_short.slp"


class TestDescribe:
    """One file."""

    def test_a_game(self, replays, manifest):
        record = listing.describe(Source(replays / FOX_FALCO))
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
        assert listing.describe(Source(replays / "marth_vs_falco_pokemon_stadium_024.slp")).codes == [None, "JOEY"]

    def test_a_file_that_cannot_be_read_has_the_same_fields(self, replays):
        path = replays / "edge_not_slp_text.slp"
        record = listing.describe(Source(path))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert record == ReplayRecord(str(path), digest, problems=["not a Slippi replay (no raw element at offset 0)"])
        assert not record.readable
        assert (record.frames, record.rows, record.version, record.stage) == (0, 0, None, None)
        assert record.ports == record.characters == record.codes == []

    def test_a_file_that_is_not_there(self, tmp_path):
        record = listing.describe(Source(tmp_path / "gone.slp"))
        wanted = ["cannot be read (No such file or directory)"]
        assert record == ReplayRecord(str(tmp_path / "gone.slp"), problems=wanted)

    def test_our_own_defect_is_called_one(self):
        (problem,) = listing.describe(Source("no path at all")).problems  # type: ignore[arg-type]
        assert problem.startswith("a defect of the reader, please report it with this file: AttributeError: ")


class TestScan:
    """Many files."""

    def test_processes_give_the_same_in_the_same_order(self, replays):
        found = [Source(path) for path in sorted(replays.glob("edge_*"))[:20]]
        alone = list(listing.scan(found, workers=1))
        assert [record.file for record in alone] == [str(source) for source in found]
        assert list(listing.scan(found, workers=2)) == alone
        assert 5 < sum(record.readable for record in alone) < 20

    def test_an_archive_says_what_its_files_say(self, replays, tmp_path):
        names = (FOX_FALCO, "edge_not_slp_text.slp", DITTO)
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            for name in names:
                file.write(replays / name, name)
        found = sources.find(tmp_path).sources
        told = list(listing.scan(found, workers=2))
        plain = [replace(listing.describe(Source(replays / s.name)), file=str(s)) for s in found]
        assert told == plain and [record.file for record in told] == [
            str(tmp_path / "a.zip" / n) for n in sorted(names)
        ]

    def test_it_can_be_left_early(self, replays):
        found = [Source(path) for path in sorted(replays.glob("edge_*"))]
        assert len(list(islice(listing.scan(found, workers=2), 3))) == 3

    def test_a_killed_process_is_told(self, replays):
        class Deadly:
            member = None

            def __reduce__(self):
                return os._exit, (9,)  # what unpickles it dies

        with pytest.raises(DataError, match="was killed") as caught:
            list(listing.scan([Source(replays / DITTO)] * 30 + [Deadly()], workers=2))  # type: ignore[list-item]
        assert caught.value.fix == "try again with --workers 1"

    def test_nothing(self):
        assert list(listing.scan([])) == []
