"""The forecast: near enough to what games really take, and advice that would help."""

from __future__ import annotations

import gzip
import lzma
import shutil
import zipfile

import py7zr
import pytest

from exphil import assemble
from exphil.config.layers import resolve
from exphil.data import memory
from exphil.data.embedded import Variants, size_bytes
from exphil.data.forecast import PACKED_BYTES_A_FRAME, Forecast, frames_in
from exphil.data.memory import free_bytes
from exphil.errors import ReplayError
from exphil.replays import slp
from exphil.replays.packing import pack
from exphil.replays.sources import Source, find

GAME = "sheik_vs_sheik_pokemon_stadium_035.slp"


def test_frames_and_bytes_of_the_real_games_are_near(full_games):
    frames = size = 0
    for path in full_games:
        try:
            packed = pack(slp.read(path).game)
        except ReplayError:
            continue
        frames, size = frames + packed.frames, size + len(packed.data)
    told = frames_in([Source(path) for path in full_games])
    assert 0.7 < told / frames < 1.4, "from the sizes of files alone, of all versions"
    assert 0.9 < PACKED_BYTES_A_FRAME * frames / size < 1.15


def test_packed_files_count_as_what_is_in_them(replays, tmp_path):
    data = (replays / GAME).read_bytes()[:1_000_000]
    (tmp_path / "plain.slp").write_bytes(data)
    plain = frames_in([Source(tmp_path / "plain.slp")])
    (tmp_path / "a.slp.gz").write_bytes(gzip.compress(data))
    (tmp_path / "b.slp.xz").write_bytes(lzma.compress(data, preset=1))
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1.slp", data)
        file.writestr("2.slp", data[: len(data) // 2])
    with py7zr.SevenZipFile(tmp_path / "d.7z", "w") as file:
        file.writestr(data, "1.slp")
    found = find(tmp_path).sources
    assert len(found) == 6
    for name, games in (("a.slp.gz", 1), ("b.slp.xz", 1), ("c.zip", 1.5), ("d.7z", 1)):
        told = frames_in([source for source in found if source.path.name == name])
        assert 0.5 < told / (games * plain) < 2, name
    some = frames_in([source for source in found if source.member == "2.slp"])
    assert some == pytest.approx(plain / 2, rel=0.01), "one member counts alone, not its whole archive"


def test_a_file_that_vanished_counts_as_nothing(tmp_path):
    assert frames_in([Source(tmp_path / "gone.slp"), Source(tmp_path / "gone.slp.gz")]) == 0


@pytest.mark.parametrize(("need", "free", "fits"), [(799, 1000, True), (801, 1000, False), (10**12, None, True)])
def test_a_fifth_is_left_to_the_rest_of_the_system(need, free, fits):
    assert Forecast(10, 100, need, free).fits == fits


def test_the_number_of_files_it_names_fits():
    told = Forecast(1000, 9_000_000, 16_000_000_000, 4_000_000_000)
    assert not told.fits and told.stream_files == 125
    assert Forecast(told.stream_files, 9_000_000, 16_000_000_000 * told.stream_files // 1000, 4_000_000_000).fits
    assert Forecast(3, 9, 10**12, 10**6).stream_files == 1
    assert str(told) == "about 16.0 GB for about 9,000,000 frames; 4.0 GB are free"
    assert str(Forecast(1, 5, 0, 1 << 30)) == "next to none (mapped files) for about 5 frames; 1.1 GB are free"
    assert str(Forecast(1, 5, 12_345_678, None)) == "about 12 MB for about 5 frames"


def test_what_is_free_is_what_the_system_says():
    free = free_bytes()
    assert free is None or 1 << 20 < free < 1 << 50


@pytest.fixture
def wanted(replays, tmp_path):
    for number in range(4):
        shutil.copy(replays / GAME, tmp_path / f"{number}.slp")
    return find(tmp_path).sources


def asked(wanted, monkeypatch, **flags):
    monkeypatch.setattr("exphil.assemble.batches.free_bytes", lambda: 1_000_000)
    typed = {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
    return assemble.forecast(resolve("train", {"--replays": str(wanted[0].path.parent)} | typed, {}), wanted)


def test_a_run_is_told_what_its_options_cost(wanted, monkeypatch):
    frames = frames_in(wanted)
    rows = frames * PACKED_BYTES_A_FRAME
    assert asked(wanted, monkeypatch).need_bytes == 0, "mapped rows take no memory of ours"
    assert asked(wanted, monkeypatch, no_precompute=True).need_bytes == rows
    assert asked(wanted, monkeypatch, cache_compress=True).need_bytes == rows
    one = asked(wanted, monkeypatch, no_precompute=True, stream_chunk_size="1")
    assert one.need_bytes == rows // 4 and one.files == 1
    assert asked(wanted, monkeypatch, no_precompute=True, stream_chunk_size="99").need_bytes == rows
    half = asked(wanted, monkeypatch, no_precompute=True, stream_chunk_frames=str(frames // 2))
    assert half.need_bytes == pytest.approx(rows / 2, rel=0.01) and half.files == 2


def test_the_advice_to_a_run_that_streams_already_is_a_smaller_chunk(wanted, monkeypatch):
    told = asked(wanted, monkeypatch, no_precompute=True, stream_chunk_size="3")
    assert not told.fits and told.stream_files == 1


def test_embeddings_are_counted_with_their_variants_and_seats(wanted, monkeypatch):
    frames, table = frames_in(wanted), assemble.table(resolve("train", {}, {}))
    plain = asked(wanted, monkeypatch, cache_embeddings=True)
    assert plain.need_bytes == size_bytes(frames, table, Variants())
    both = asked(wanted, monkeypatch, cache_embeddings=True, dual_port=True)
    assert both.need_bytes == size_bytes(2 * frames, table, Variants())
    varied = asked(wanted, monkeypatch, augment=True, cache_augmented=True, num_noisy_variants="3")
    assert varied.need_bytes == size_bytes(frames, table, Variants(3))
    assert asked(wanted, monkeypatch, mmap_embeddings=True).need_bytes == 0


def test_variants_need_augment_and_are_those_of_every_run():
    flags = {"--cache-augmented": True, "--num-noisy-variants": "3"}
    assert assemble.batches.variants(resolve("train", flags, {})) == Variants()
    seeds = [resolve("train", flags | {"--augment": True, "--seed": seed}, {}) for seed in ("1", "2")]
    assert [assemble.batches.variants(each) for each in seeds] == [Variants(3, 0.01)] * 2
    silent = resolve("train", flags | {"--augment": True, "--noise-scale": "0"}, {})
    assert assemble.batches.variants(silent) == Variants(), "copies without noise are not kept"


def test_a_system_that_does_not_say_is_given_the_benefit_of_the_doubt(monkeypatch):
    monkeypatch.setattr(memory.Path, "read_text", lambda *_, **__: "MemTotal: what\n")
    monkeypatch.delattr(memory.os, "sysconf", raising=False)
    assert free_bytes() is None
