"""Embeddings: the numbers that rows give, kept; another game, seat, table or variant is another file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from exphil.data.corpus import Corpus, Entry
from exphil.data.embedded import Embeddings, Variants, key, opened, record, size_bytes
from exphil.data.lanes import Lanes
from exphil.data.loader import Loader, Rows
from exphil.data.sampler import Noisy
from exphil.data.walk import Walk
from exphil.data.windows import Windows
from exphil.errors import OutputError
from exphil.features.action import Codec
from exphil.features.augment import noisy
from exphil.features.observation import Table
from exphil.replays import slp

TABLE, CODEC, CPU = Table(0, False), Codec.uniform(), torch.device("cpu")


@pytest.fixture(scope="module")
def corpus(replays) -> Corpus:
    """Both seats of three stretches: items, Nana, a moving stage; the middle one ends within a window."""
    names = {
        "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp": slice(0, 900),
        "fox_vs_fox_battlefield_016.slp": slice(400, 613),
        "peach_vs_marth_final_destination_028.slp": slice(-700, None),
    }
    found = [slp.read(replays / name).game[part] for name, part in names.items()]
    return Corpus.of((Entry(at, f"{at}", 1, f"{at}", seat), game) for at, game in enumerate(found) for seat in (0, 1))


def make(corpus: Corpus, folder: Path, variants: Variants = Variants(), **how) -> np.ndarray:  # noqa: B008 (frozen)
    given = {"rollbacks": "first", "mapped": False, "fresh": False, "told": lambda _: None} | how
    path = given.pop("path", None) or folder / f"{key(corpus, TABLE, variants, given['rollbacks'])}.npy"
    return opened(corpus, TABLE, variants, path, **given)


def loaders(corpus: Corpus, plan, rows: np.ndarray, **how) -> list[Loader]:
    given = {"all_frames": False, "last_only": False} | how
    sources = (Rows(corpus, plan.window, TABLE, CODEC), Embeddings(rows, plan.window, TABLE, CODEC))
    return [Loader(corpus, plan, source, CPU, **given) for source in sources]


PLANS = {
    "lanes": lambda c, mirror: Lanes(c.first, c.decisions, 5, 60, mirror, 1),
    "windows": lambda c, mirror: Windows(c.first, c.decisions, 7, 40, 17, False, mirror, 1),
    "single frames": lambda c, mirror: Windows(c.first, c.decisions, 100, 1, 1, False, mirror, 1),
    "walk": lambda c, mirror: Walk(c.first, c.decisions, 4, 128),
}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("mirror", [0.0, 0.5])
@pytest.mark.parametrize("kind", PLANS)
def test_embeddings_give_the_batches_that_rows_give(corpus, tmp_path, kind, mirror, mapped):
    """Wherever a decision is; what is behind a game's end weighs nothing in both."""
    rows = make(corpus, tmp_path, Variants(), mapped=mapped)
    assert isinstance(rows, np.memmap) == mapped
    plan = PLANS[kind](corpus, mirror)
    for how in ({}, {"all_frames": True}, {"last_only": True}):
        plain, kept = loaders(corpus, plan, rows, **how)
        for step in {0, 1, plan.steps(0) // 2, plan.steps(0) - 1}:
            one, other = plain.load(0, step), kept.load(0, step)
            there = torch.arange(plan.window) < torch.from_numpy(plan.pick(0, step).decisions)[:, None]
            assert torch.equal(one.weight, other.weight) and torch.equal(one.is_first, other.is_first)
            assert (one.floats[there] - other.floats[there]).abs().max() <= 1e-6
            for name in ("ids", "action"):
                left, right = getattr(one, name), getattr(other, name)
                counted = there[:, -left.shape[1] :]  # only the last is answered where only the last counts
                assert left.dtype == right.dtype == torch.int64 and torch.equal(left[counted], right[counted])


def test_noise_is_in_the_noisy_columns_of_the_stated_scale_and_another_one_each(corpus, tmp_path):
    rows = make(corpus, tmp_path, Variants(3, 0.05))
    assert rows.shape == (4, int(corpus.length.sum()) + 1)
    loud = np.zeros(TABLE.floats, bool)
    loud[noisy(TABLE)] = True
    added = rows["floats"][1:, :-1] - rows["floats"][0, :-1]
    assert not added[..., ~loud].any()
    assert added[..., loud].std() == pytest.approx(0.05, rel=0.01) and abs(added[..., loud].mean()) < 1e-3
    for plane in range(1, 4):
        for name in ("ids", "playing"):
            assert np.array_equal(rows[name][plane], rows[name][0])
    correlation = np.corrcoef(added[..., loud].reshape(3, -1))
    assert np.abs(correlation - np.eye(3)).max() < 0.01
    again = make(corpus, tmp_path, Variants(3, 0.05), fresh=True)
    assert again.tobytes() == rows.tobytes(), "the same noise every time"


@pytest.mark.parametrize("mirror", [0.0, 0.5, 1.0])
def test_a_pick_with_noise_gets_a_noisy_variant_and_stays_mirrored(corpus, tmp_path, mirror):
    """Noise is in the noisy columns alone: all others, and the answers, are those of the mirrored or plain rows."""
    rows = make(corpus, tmp_path, Variants(2, 0.05))
    plan = Noisy(PLANS["windows"](corpus, mirror), 0.5, 3)
    plain, kept = loaders(corpus, plan._plan, rows)[0], Loader(
        corpus, plan, Embeddings(rows, plan.window, TABLE, CODEC), CPU, all_frames=False, last_only=False
    )  # fmt: skip
    pick = plan.pick(0, 0)
    there, noised = pick.decisions > 30, pick.noise > 0
    one, other = plain.load(0, 0), kept.load(0, 0)
    apart = (one.floats - other.floats)[:, :30].abs()
    assert ((apart.amax((1, 2)).numpy() > 0.01) == noised)[there].all() and (noised & there).any()
    still = np.setdiff1d(np.arange(TABLE.floats), noisy(TABLE))
    assert apart[there][..., still].max() <= 1e-6
    assert torch.equal(one.action[there, :30], other.action[there, :30])


def test_the_name_changes_with_all_that_the_numbers_depend_on(corpus):
    entries, length = corpus.entries, corpus.length
    names = {
        key(corpus, TABLE, Variants(), "first"),
        key(corpus, TABLE, Variants(), "last"),
        key(corpus, Table(4, False), Variants(), "first"),
        key(corpus, Table(0, True), Variants(), "first"),
        key(corpus.part({0, 1}), TABLE, Variants(), "first"),
        key(Corpus(corpus.shelf, entries[::-1], length[::-1]), TABLE, Variants(), "first"),
    }
    changed = {"digest": "else", "seat": 1, "style": 3}
    for name, value in changed.items():
        first = entries[0].__class__(**vars(entries[0]) | {name: value})
        names.add(key(Corpus(corpus.shelf, (first, *entries[1:]), length), TABLE, Variants(), "first"))
    for variants in (Variants(1, 0.1), Variants(2, 0.1), Variants(2, 0.2)):
        names.add(key(corpus, TABLE, variants, "first"))
    assert len(names) == 6 + 3 + 3
    assert key(corpus, TABLE, Variants(), "first") in names
    assert key(corpus, Table(0, False, max_delay=18), Variants(), "first") in names, "delay is put in afterwards"


def test_a_kept_file_is_read_and_another_corpus_does_not_take_it(corpus, tmp_path):
    """Also under a name of one's own."""
    path, seen = tmp_path / "deep" / "own.npy", []
    rows = make(corpus, tmp_path, path=path, told=seen.append)
    assert seen[-1] == corpus.length.sum() and sorted(seen) == seen
    assert path.stat().st_mode == path.with_name("own.npy.json").stat().st_mode, "others may read it too"
    assert path.stat().st_size == pytest.approx(size_bytes(int(corpus.length.sum()), TABLE, Variants()), abs=1000)
    again = make(corpus, tmp_path, path=path, told=lambda _: pytest.fail("it was there"), mapped=True)
    assert again.tobytes() == rows.tobytes()
    part = make(corpus.part({1}), tmp_path, path=path)
    assert part.shape == (1, int(corpus.part({1}).length.sum()) + 1)
    assert make(corpus, tmp_path, path=path, rollbacks="last").tobytes() == rows.tobytes()
    assert {file.name for file in path.parent.iterdir()} == {"own.npy", "own.npy.json"}


FOREIGN = np.zeros((1, 5), record(TABLE))


@pytest.mark.parametrize(
    "spoil",
    ["a row", "the head", "the end", "empty", "text", "zip", "theirs", "no sum", "sum of text", "sum of a list"],
)
def test_a_damaged_or_foreign_file_is_made_anew(corpus, tmp_path, spoil):
    part, path = corpus.part({1}), tmp_path / "own.npy"
    whole, beside = make(part, tmp_path, path=path).tobytes(), tmp_path / "own.npy.json"
    data = bytearray(path.read_bytes())
    if spoil in ("a row", "the head"):
        data[len(data) // 2 if spoil == "a row" else 30] ^= 4
        path.write_bytes(data)
    elif spoil == "theirs":
        np.save(path, FOREIGN)
    elif spoil in ("the end", "empty", "text", "zip"):
        rest = {"the end": bytes(data[:-5]), "empty": b"", "text": b"hello", "zip": b"PK\3\4" + bytes(99)}
        path.write_bytes(rest[spoil])
    else:
        text = {"no sum": "", "sum of text": "hello \xff", "sum of a list": "[1]"}[spoil]
        beside.write_bytes(text.encode("latin-1"))
    for mapped in (True, False):
        assert make(part, tmp_path, path=path, mapped=mapped).tobytes() == whole


@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_that_holds_something_else_is_never_written_over(corpus, tmp_path, fresh):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"notes")
    with pytest.raises(OutputError, match="holds no embeddings") as caught:
        make(corpus, tmp_path, path=path, fresh=fresh)
    assert "--mmap-path" in caught.value.fix
    assert path.read_bytes() == b"notes" and list(tmp_path.iterdir()) == [path]


def test_one_of_our_own_name_whose_sum_was_lost_is_made_anew(corpus, tmp_path):
    whole = make(corpus, tmp_path).tobytes()
    (beside,) = tmp_path.glob("*.json")
    beside.unlink()
    assert make(corpus, tmp_path).tobytes() == whole and beside.exists()


@pytest.mark.skipif(os.name != "posix", reason="needs the limits of a Unix process")
def test_a_full_disk_is_an_error_and_leaves_the_file_from_before(corpus, tmp_path):
    """A limit on the size of files stands in for it."""
    import resource

    path = tmp_path / "own.npy"
    whole = make(corpus.part({1}), tmp_path, path=path).tobytes()
    before, names = resource.getrlimit(resource.RLIMIT_FSIZE), sorted(tmp_path.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(OutputError, match="embeddings cannot be written") as caught:
            make(corpus, tmp_path, path=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "--cache-dir" in caught.value.fix and sorted(tmp_path.iterdir()) == names
    assert make(corpus.part({1}), tmp_path, path=path, told=lambda _: pytest.fail("untouched")).tobytes() == whole


def test_one_that_is_stopped_leaves_nothing_behind(corpus, tmp_path):
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(corpus, tmp_path / "new", told=stop)
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        make(corpus, tmp_path / "file" / "x")


def test_two_that_are_made_at_once_do_not_write_into_each_other(corpus, tmp_path):
    """The second begins and ends while the first is at work."""
    path, inner = tmp_path / "own.npy", []

    def told(done: int) -> None:
        if not inner:
            inner.append(None)
            inner[0] = make(corpus, tmp_path, path=path).tobytes()

    assert make(corpus, tmp_path, path=path, told=told).tobytes() == inner[0]
    assert make(corpus, tmp_path, path=path, told=lambda _: pytest.fail("it is there")).tobytes() == inner[0]
