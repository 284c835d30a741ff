"""Columns are views of packed rows, for any leading shape, in numpy and in torch."""

from __future__ import annotations

import numpy as np
import pytest

from exphil.game import controller
from exphil.game.frames import COLUMNS, ITEM, NUM_ITEMS, PLAYER, ROW, ROW_BYTES, Game, Lacks, playing, stack
from exphil.game.ids import Button
from exphil.replays import slp

GROUPS = [(group, name) for group, columns in COLUMNS.items() for name in columns]
SHAPES = [(), (7,), (2, 3), (2, 1, 3)]


def random_game(*shape: int) -> Game:
    return Game(np.random.default_rng(sum(shape)).integers(0, 256, (*shape, ROW_BYTES), np.uint8))


def fields(game: Game) -> np.ndarray:
    return game.rows.view(ROW)[..., 0]


def test_a_row_is_packed_so_that_every_column_is_aligned():
    assert ROW_BYTES == ROW.itemsize == 20 + 4 * PLAYER.itemsize + NUM_ITEMS * ITEM.itemsize
    assert ROW_BYTES % 4 == PLAYER.itemsize % 4 == ITEM.itemsize % 4 == 0


def test_the_groups_name_every_field_of_a_row():
    assert set(COLUMNS["players"]) == set(PLAYER.names)
    assert COLUMNS["players"].keys() == COLUMNS["nana"].keys()
    assert set(COLUMNS["items"]) == set(ITEM.names) - {"padding"}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("group", "name"), GROUPS)
def test_a_column_is_the_field_of_the_row(group, name, shape):
    game = random_game(*shape)
    column = getattr(getattr(game, group), name)
    expected = fields(game)[group][name]
    assert column.shape == (*shape, NUM_ITEMS if group == "items" else 2)
    assert column.dtype == expected.dtype
    assert column.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_writing_through_a_column_writes_the_row(shape):
    game = Game.empty(*shape)
    game.players.x[..., 1] = 2.5
    game.nana.action[...] = 14
    game.items.owner[..., 14] = -1
    game.frame[...] = -123
    game.stage[...] = 31
    game.lacks[...] = 5
    row = fields(game)
    assert (row["players"]["x"] == [0, 2.5]).all()
    assert (row["nana"]["action"] == 14).all()
    assert (row["items"]["owner"] == [0] * 14 + [-1]).all()
    assert (row["frame"] == -123).all()
    assert (row["stage"] == 31).all()
    assert (row["lacks"] == 5).all()
    assert game.shape == shape


def test_columns_of_one_row_are_written_through_too():
    game = Game.empty(3)
    one = game[1]
    assert one.shape == ()
    one.players.percent[0] = 7
    assert game.players.percent[:, 0].tolist() == [0, 7, 0]
    assert len(game[1:]) == 2


def test_an_unknown_column_is_named_with_those_there_are():
    with pytest.raises(AttributeError, match="no column 'velocity'; there are percent, x, y"):
        _ = Game.empty(1).players.velocity


@pytest.mark.parametrize("shape", SHAPES)
def test_numpy_and_torch_show_the_same_columns(shape):
    torch = pytest.importorskip("torch")
    game = random_game(*shape)
    other = Game(torch.from_numpy(game.rows.copy()))
    assert other.shape == game.shape
    for group, name in GROUPS:
        ours, theirs = getattr(getattr(game, group), name), getattr(getattr(other, group), name)
        assert theirs.numpy().dtype == ours.dtype
        assert theirs.numpy().tobytes() == ours.tobytes(), (group, name)
    for name in ("frame", "stage", "lacks", "platforms", "stadium", "whispy"):
        assert np.array_equal(getattr(game, name), getattr(other, name).numpy())
    other.players.x[..., 0] = 3
    first = (ROW.fields["players"][1] if ROW.fields else 0) + 4
    assert (other.rows[..., first : first + 4] == torch.tensor([0, 0, 0x40, 0x40], dtype=torch.uint8)).all(), (
        "a torch column is a view as well"
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_seen_from_the_other_seat_swaps_the_players_and_turns_the_items(shape):
    game = random_game(*shape)
    game.items.owner[...] = np.random.default_rng(0).integers(-1, 2, game.items.owner.shape)
    other = game.seen_from(1)
    for group, name in GROUPS:
        ours, theirs = getattr(getattr(game, group), name), getattr(getattr(other, group), name)
        expected = -ours if name == "owner" else ours if group == "items" else ours[..., ::-1]
        assert theirs.tobytes() == np.ascontiguousarray(expected).tobytes(), (group, name)
    assert np.array_equal(game.frame, other.frame)
    assert np.array_equal(other.seen_from(1).rows, game.rows)


def test_seen_from_gives_a_copy():
    game = Game.empty(2)
    for seat in (0, 1):
        game.seen_from(seat).players.x[...] = 1
    assert not game.players.x.any()
    game.players.x[...] = 3
    assert np.array_equal(game.seen_from(0).rows, game.rows)


def test_stack_puts_a_new_axis_first():
    games = [random_game(2, 3) for _ in range(4)]
    games[2].frame[...] = 5
    stacked = stack(games)
    assert stacked.shape == (4, 2, 3)
    assert (stacked[2].rows == games[2].rows).all()


def test_frames_count_from_go_until_the_last_stock():
    game = Game.empty(6)
    game.frame[:] = [-41, -40, 1, 2, 3, 4]  # the state of -40 is answered on -39, where hands are first free
    game.players.stocks[:] = [[4, 4], [4, 4], [1, 1], [1, 0], [0, 1], [0, 0]]
    assert playing(game).tolist() == [False, True, True, False, False, False]


def test_a_real_game_is_played_from_go_to_its_end(replays):
    game = slp.read(replays / "fox_vs_falco_fountain_of_dreams_015.slp").game
    counted = playing(game)
    assert not counted[: 123 - 40].any()
    assert counted[123 - 40 : -200].all()
    assert not counted[-1], "its last frame shows no stocks left"


def test_the_bits_of_what_is_lacking_fit_their_column():
    assert [int(bit) for bit in Lacks] == [1 << at for at in range(10)]


def test_controllers_are_read_by_seat():
    game = Game.empty(4)
    game.players.main_x[:, 1] = [0, 0.5, 1, -1]
    game.players.buttons[:, 1] = Button.A | Button.Z
    held = controller.controller_of(game.players, 1)
    assert held.main_x.tolist() == [0, 0.5, 1, -1]
    assert held.buttons.tolist() == [0x110] * 4
    assert not controller.controller_of(game.players, 0).buttons.any()
    nobody = controller.neutral(2, 3)
    assert {column.shape for column in nobody} == {(2, 3)}
    assert [column.dtype.name for column in nobody] == ["float32"] * 5 + ["int16"]


def test_sticks_and_triggers_of_real_games_lie_on_their_grids(full_games):
    """1/80 and 1/140; every human port of every full game that is read."""
    for path in full_games:
        try:
            game = slp.read(path).game
        except slp.ReplayError:
            continue
        for name in ("main_x", "main_y", "c_x", "c_y"):
            steps = getattr(game.players, name) * controller.STICK_STEPS
            assert np.abs(steps - steps.round()).max() < 1e-4, (path.name, name)
        steps = game.players.shoulder * controller.TRIGGER_STEPS
        assert np.abs(steps - steps.round()).max() < 1e-4, path.name
