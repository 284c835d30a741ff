"""Delay in what is learned from: every state, every recent controller and every answer are those of the right frames.

The reference is the recorded columns themselves, looked up by frame number; nothing of it is shared with the loader.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exphil import assemble
from exphil.config.layers import Settings, resolve
from exphil.data.corpus import Corpus, Entry
from exphil.data.delayed import Delayed, by_epoch, spread
from exphil.data.lanes import Lanes
from exphil.data.loader import Batch, Loader, Rows
from exphil.data.sampler import Pick
from exphil.data.walk import Walk
from exphil.data.windows import Windows
from exphil.errors import OptionError
from exphil.features.action import Codec
from exphil.features.observation import Table
from exphil.game.frames import Game, playing
from exphil.game.ids import BUTTONS
from exphil.game.time import MAX_DELAY, answer
from exphil.play.learned import delay_among
from exphil.replays import slp

CODEC, CPU = Codec.uniform(), torch.device("cpu")
SEEN = Table(0, False)
ONE_FRAME = 1 / 28_800
FIXED = (0, 1, 6, 18, 36, 60)
KINDS: dict[str, dict[str, str | bool]] = {
    "lanes": {"--backbone": "gru", "--batch-size": "6", "--window-size": "50"},
    "windows": {"--temporal": True, "--backbone": "mlp", "--batch-size": "7", "--window-size": "40", "--stride": "17"},
    "single frames": {"--batch-size": "90"},
    "streamed": {"--backbone": "gru", "--batch-size": "4", "--window-size": "50", "--stream-chunk-size": "2"},
    "walk": {},
}


@pytest.fixture(scope="module")
def corpus(replays: Path) -> Corpus:
    """Both seats of three stretches; the middle one ends within a window."""
    names = {
        "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp": slice(0, 700),
        "fox_vs_fox_battlefield_016.slp": slice(400, 613),
        "peach_vs_marth_final_destination_028.slp": slice(-500, None),
    }
    found = [slp.read(replays / name).game[part] for name, part in names.items()]
    return Corpus.of(
        (Entry(at, f"{at}", 1, f"{at}", seat), game) for at, game in enumerate(found) for seat in (0, 1)
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where embeddings are kept."""
    return tmp_path_factory.mktemp("embeddings")


def settings(kind: str, delay: int | tuple[int, int], **more: str | bool) -> Settings:
    """Of a run that learns one delay, or those from the first to the second."""
    late: dict[str, str | bool] = {"--frame-delay": str(delay)}
    if isinstance(delay, tuple):
        least, most = map(str, delay)
        late = {"--frame-delay-augment": True, "--frame-delay-min": least, "--frame-delay-max": most}
    typed = {f"--{name.replace('_', '-')}": value for name, value in more.items()}
    flags = {"--num-player-names": "0", "--all-frames": True, "--no-prefetch": True, "--seed": "1"}
    return resolve("train", {**flags, **KINDS[kind], **late, **typed}, {})


def loaded(kind: str, asked: Settings, corpus: Corpus) -> Loader:
    """The batches of a run, as its command makes them."""
    corpus = replace(corpus, delay=assemble.delays(asked)[1])
    if kind == "walk":
        return assemble.walk(asked, corpus, CODEC, CPU)
    return assemble.loader(asked, corpus, assemble.plan(asked, corpus, 1), CODEC, CPU)


def pressed(game: Game) -> NDArray[np.float32]:
    """Controllers of the own player from the bare columns, ``(rows, 13)``."""
    players = game.players
    buttons = [(players.buttons[:, 0] & int(button)) != 0 for button in BUTTONS]
    analog = [getattr(players, name)[:, 0] for name in ("main_x", "main_y", "c_x", "c_y", "shoulder")]
    return np.stack([*buttons, *analog], -1).astype(np.float32)


class Recorded:
    """One entry's columns by frame number."""

    def __init__(self, game: Game) -> None:
        self.game, self.frames, self.pressed = game, game.frame.tolist(), pressed(game)
        self.floats, self.ids = SEEN.encode(game)

    def row(self, frame: int) -> int:
        return self.frames.index(frame)


@pytest.fixture(scope="module")
def recorded(corpus: Corpus) -> list[Recorded]:
    return [Recorded(corpus.game(index)) for index in range(len(corpus.entries))]


def stretches(corpus: Corpus, pick: Pick) -> list[tuple[int, int, int, int, int]]:
    """Row of the batch, entry, first decision within it, decisions, and delay of each stretch that is not empty."""
    entry = np.searchsorted(corpus.first, pick.first, "right") - 1
    found = zip(range(len(entry)), entry, pick.first - corpus.first[entry], pick.decisions, pick.delay, strict=True)
    return [tuple(map(int, one)) for one in found if one[3]]  # type: ignore[misc]


def check(batch: Batch, pick: Pick, corpus: Corpus, recorded: list[Recorded], most: int) -> int:
    """Every number of a batch against the recording; gives how many decisions there were."""
    checked, width = 0, SEEN.floats
    floats, ids, action = (part.numpy() for part in batch[:3])
    assert floats.shape[-1] == width + (13 * most + 1 if most else 0)
    for at, entry, first, count, delay in stretches(corpus, pick):
        game, known = recorded[entry], floats[at, :count, :width]
        shown = first + most - delay  # the row of the first state: the answers begin at row most + 1 for every delay
        frames = np.array(game.frames[shown : shown + count])
        late = frames > 0  # the table's own frame number is cut off at 0
        assert np.abs(known[late, -36] / ONE_FRAME - frames[late]).max(initial=0) < 0.01
        assert np.abs(known - game.floats[shown : shown + count]).max() <= 1e-6
        assert np.array_equal(ids[at, :count], game.ids[shown : shown + count])
        rows = [game.row(answer(frame, delay)) for frame in frames.tolist()]
        assert np.array_equal(action[at, :count], CODEC.encode_floats(game.pressed[rows]))
        before = game.pressed[np.array(rows) - 1]
        assert np.array_equal(held(floats[at, :count], most), before), "what is held is pressed right before the answer"
        if most:
            recent = floats[at, :count, width:-1].reshape(count, most, 13)
            for back in range(1, most + 1):
                assert np.array_equal(recent[:, most - back], game.pressed[np.array(rows) - back])
            assert np.allclose(floats[at, :count, -1], delay / 30, atol=1e-7)
        checked += count
    return checked


def held(floats: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    return floats[..., Table(0, False, max_delay=most).held]


def some(steps: int, wanted: int = 5) -> list[int]:
    return sorted({round(step) for step in np.linspace(0, steps - 1, wanted)})


@pytest.mark.parametrize("delay", [*FIXED, (0, 18), (5, 36)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_states_recent_controllers_and_answers_are_those_of_the_right_frames(corpus, recorded, kind, delay):
    asked = settings(kind, delay)
    low, most = assemble.delays(asked)
    batches, delays, checked = loaded(kind, asked, corpus), set(), 0
    late = replace(corpus, delay=most)
    for epoch in range(1 if kind == "walk" else 2):
        for step in some(batches.steps(epoch)):
            pick = batches.plan.pick(epoch, step)
            delays |= {one[4] for one in stretches(late, pick)}
            checked += check(batches.load(epoch, step), pick, late, recorded, most)
    assert checked > 250 and min(delays) >= low and max(delays) <= most
    assert len(delays) > 3 if isinstance(delay, tuple) else delays == {delay}


@pytest.mark.parametrize("delay", [*FIXED, (0, 18)], ids=str)
@pytest.mark.parametrize("kind", ["lanes", "windows", "single frames"])
def test_kept_numbers_give_the_same_batches_and_one_file_serves_every_delay(corpus, recorded, kept, kind, delay):
    how: dict[str, str | bool] = {"augment": True, "noise_prob": "0", "all_frames": False}
    asked = settings(kind, delay, **how)
    cached = settings(kind, delay, **how, cache_augmented=True, noise_scale="0", cache_dir=str(kept))
    most = assemble.delays(asked)[1]
    plain, other = (loaded(kind, one, corpus) for one in (asked, cached))
    assert isinstance(plain._source, Rows) and not isinstance(other._source, Rows)
    mirrored, idle = 0, 0
    for step in some(plain.steps(0), 9):
        pick = plain.plan.pick(0, step)
        one, two = plain.load(0, step), other.load(0, step)
        there = torch.arange(plain.plan.window) < torch.from_numpy(pick.decisions)[:, None]
        assert torch.equal(one.weight, two.weight) and torch.equal(one.is_first, two.is_first)
        assert (one.floats[there] - two.floats[there]).abs().max() <= 1e-6
        assert torch.equal(one.floats[there][:, SEEN.floats :], two.floats[there][:, SEEN.floats :])
        assert torch.equal(one.ids[there], two.ids[there]) and torch.equal(one.action[there], two.action[there])
        mirrored, idle = mirrored + int(pick.mirrored.sum()), idle + int((one.weight[there] == 0).sum())
        straight = pick._replace(decisions=pick.decisions * ~pick.mirrored)
        check(two, straight, replace(corpus, delay=most), recorded, most)
    assert mirrored, "recent controllers are mirrored, too"
    assert idle, "and nobody plays before GO"
    assert len(list(kept.glob("*.npy"))) == 1


@pytest.mark.parametrize("most", [18, 36])
def test_a_batch_of_many_delays_is_made_of_batches_of_one_each(corpus, most):
    late, table = replace(corpus, delay=most), Table(0, False, max_delay=most)
    plan = Windows(late.first, late.decisions, 40, 30, 30, False, 0.5, 3)
    entries = len(late.entries)

    def batch(delays: Callable[[int], NDArray[np.int64]]) -> Batch:
        source = Rows(late, plan.window, table, CODEC)
        return Loader(late, Delayed(plan, late.first, delays), source, CPU, all_frames=True, last_only=False).load(0, 0)

    delays = spread(most - 3, most, entries)
    mixed, entry = batch(lambda _: delays), np.searchsorted(late.first, plan.pick(0, 0).first, "right") - 1
    for delay in range(most - 3, most + 1):
        single = batch(lambda _, delay=delay: np.full(entries, delay))  # type: ignore[misc]
        rows = delays[entry] == delay
        assert rows.any()
        for one, other in zip(mixed, single, strict=True):
            assert torch.equal(one[rows], other[rows])


def test_a_table_for_any_delay_shows_what_a_table_for_one_delay_shows(corpus):
    """The same decisions: the newest places hold the same controllers, the others zeros."""
    width = SEEN.floats
    for delay in (0, 1, 6):
        (one, a), (many, b) = (
            (batches := loaded("walk", settings("walk", bounds), corpus), batches.load(0, 0))
            for bounds in ((delay, delay), (delay, 18))
        )
        row = next(at for at, late in enumerate(b.floats[:, 0, -1]) if round(float(late) * 30) == delay)
        entry = [np.searchsorted(c.corpus.first, c.plan.pick(0, 0).first, "right") - 1 for c in (one, many)]
        same = entry[0].tolist().index(int(entry[1][row]))
        first, skipped = 18 - delay, 200
        left, right = a.floats[same, first : first + skipped], b.floats[row, :skipped]
        assert torch.equal(left[:, :width], right[:, :width])
        assert torch.equal(left[:, width : width + 13 * delay], right[:, width + 13 * first : width + 13 * 18])
        assert torch.equal(a.action[same, first : first + skipped], b.action[row, :skipped])
        assert torch.equal(a.weight[same, first : first + skipped], b.weight[row, :skipped])


def test_at_no_delay_the_newest_controller_is_the_one_seen(corpus):
    table, late = Table(0, False, max_delay=18), replace(corpus, delay=18)
    batches = assemble.walk(settings("walk", (0, 18)), late, CODEC, CPU, delay=0)
    for step in range(2):
        floats = batches.load(0, step).floats
        assert floats.shape[-1] == SEEN.floats + 13 * 18 + 1 == table.floats
        assert torch.equal(floats[..., table.held], floats[..., table.controller]) and floats[..., table.held].any()


def test_what_is_held_is_the_newest_that_was_decided_and_not_what_is_seen(corpus):
    table, late = Table(0, False, max_delay=18), replace(corpus, delay=18)
    floats = assemble.walk(settings("walk", (0, 18)), late, CODEC, CPU, delay=9).load(0, 0).floats
    assert (floats[..., table.held] != floats[..., table.controller]).any()


def test_every_delay_is_judged_on_the_same_answers(real):
    """Frames that count by entry and number of the answered frame: before GO nobody plays, so none gets lost."""
    wanted = {
        (index, int(frame))
        for index in range(len(real.entries))
        for frame in real.game(index).frame[1:][playing(real.game(index)[:-1])]
    }
    assert len(wanted) > 20_000
    for bounds in [(delay, delay) for delay in FIXED] + [(0, 18), (0, 60)]:
        late = replace(real, delay=bounds[1])
        whole = Walk(late.first, late.decisions, 4, 4000)
        spreaded = spread(*bounds, len(late.entries))
        plan = Delayed(whole, late.first, lambda _, same=spreaded: same) if late.delay else whole
        batches = Loader(late, plan, Bare(late, plan.window), CPU, all_frames=False, last_only=False)
        counted: set[tuple[int, int]] = set()
        for step in range(batches.steps(0)):
            batch = batches.load(0, step)
            for at, entry, first, count, delay in stretches(late, plan.pick(0, step)):
                there = batch.weight[at, :count].numpy() > 0
                assert not batch.weight[at, count:].any()
                frames = late.game(entry).frame[first + late.delay - delay :][:count]
                found = {(entry, int(frame)) for frame in answer(frames, delay)[there]}
                assert len(found) == there.sum() and not found & counted
                counted |= found
        assert counted == wanted, bounds


class Bare(Rows):
    """The loader's own rows under the smallest table: only weights are looked at."""

    def __init__(self, corpus: Corpus, window: int) -> None:
        super().__init__(corpus, window, Table(0, False, nana_mode="enhanced", max_delay=corpus.delay), CODEC)


@pytest.mark.parametrize("kind", KINDS)
def test_a_game_that_is_shorter_than_the_delay_gives_no_decision(make, kind):
    small, lay = make
    corpus = lay([small(300, 1), small(40, 2), small(200, 3)])
    batches = loaded(kind, settings(kind, MAX_DELAY), corpus)
    late = batches.corpus
    assert late.decisions.tolist() == [239, 0, 139]
    rows = [
        (entry, first + step)
        for number in range(batches.steps(0))
        for _, entry, first, count, _ in stretches(late, batches.plan.pick(0, number))
        for step in range(count)
    ]
    assert set(rows) == {(0, at) for at in range(239)} | {(2, at) for at in range(139)}
    for step in some(batches.steps(0), 3):
        assert batches.load(0, step).weight.sum() == batches.plan.pick(0, step).decisions.sum()


def test_a_game_keeps_its_delay_for_an_epoch_and_all_come(corpus):
    late = replace(corpus, delay=18)
    plan = Delayed(Lanes(late.first, late.decisions, 3, 25, 0.0, 1), late.first, by_epoch(2, 18, 5, 6))
    seen: list[dict[int, int]] = []
    for epoch in range(40):
        found: dict[int, set[int]] = {}
        for step in range(plan.steps(epoch)):
            for _, entry, _, _, delay in stretches(late, plan.pick(epoch, step)):
                found.setdefault(entry, set()).add(delay)
        assert len(found) == 6 and all(len(delays) == 1 for delays in found.values())
        seen.append({entry: delays.pop() for entry, delays in found.items()})
    assert {delay for epoch in seen for delay in epoch.values()} == set(range(2, 19))
    assert any(len(set(epoch.values())) > 3 for epoch in seen) and seen[0] != seen[1]
    again = by_epoch(2, 18, 5, 6)
    assert [again(epoch).tolist() for epoch in range(40)] == [[one[at] for at in range(6)] for one in seen]
    assert by_epoch(2, 18, 6, 6)(0).tolist() != again(0).tolist()


def test_measuring_spreads_the_delays_evenly_and_always_alike():
    found = spread(3, 7, 23)
    assert found.tolist() == spread(3, 7, 23).tolist() and set(np.bincount(found)[3:].tolist()) <= {2, 3, 5, 6}
    assert sorted(spread(0, 18, 4).tolist()) == [0, 6, 12, 18], "few games: the whole range all the same"
    assert spread(6, 6, 3).tolist() == [6, 6, 6]


def test_a_policy_is_measured_only_with_a_delay_that_it_learned(corpus):
    asked, late = settings("walk", (2, 18)), replace(corpus, delay=18)
    for delay in (2, 9, 18):
        floats = assemble.walk(asked, late, CODEC, CPU, delay).load(0, 0).floats
        assert floats[..., -1].unique().tolist() == pytest.approx([delay / 30])
    for delay in (1, 19):
        with pytest.raises(OptionError, match=f"answer 2 to 18 frames late; {delay} was asked for"):
            assemble.walk(asked, late, CODEC, CPU, delay)
    with pytest.raises(OptionError, match="learned to answer 6 frames late; 5 was asked for"):
        delay_among((6, 6), 5)


def test_noise_leaves_what_was_pressed_as_it_was(corpus):
    """It is added to what is measured; a controller is not."""
    quiet, loud = (
        loaded(
            "lanes", settings("lanes", 6, augment=True, mirror_prob="0", noise_prob=share, noise_scale="0.1"), corpus
        )
        for share in ("0", "1")
    )
    one, two = (batches.load(0, 3).floats for batches in (quiet, loud))
    assert not torch.equal(one, two)
    assert torch.equal(one[..., SEEN.floats :], two[..., SEEN.floats :])
    assert torch.equal(one[..., SEEN.controller], two[..., SEEN.controller])


def test_a_table_with_room_refuses_to_be_encoded_without_recent_controllers(corpus):
    with pytest.raises(ValueError, match="room for 6 recent controllers"):
        Table(0, False, max_delay=6).encode(corpus.game(0)[:3])


def test_a_codec_comes_back_from_a_file():
    codec = Codec(((-1.0, -0.3, 0.0, 0.31, 1.0),) * 4, (0.0, 0.4, 1.0))
    words: dict[str, Any] = json.loads(json.dumps(codec.as_dict()))
    assert Codec.from_dict(words) == codec and Codec.from_dict({}) == Codec.uniform()
