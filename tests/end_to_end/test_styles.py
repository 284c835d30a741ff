"""Players' styles as a person meets them: learned, kept in a registry, carried by the policy, asked for by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from exphil import assemble
from exphil.cli.main import main
from exphil.config.layers import resolve
from exphil.features.players import Registry, known
from exphil.replays.sources import find
from exphil.train import checkpoint

GAMES = ["fox_vs_falco_fountain_of_dreams_015.slp", "ice_climbers_vs_captain_falcon_pokemon_stadium_019.slp"]
PLAYERS = {"ZIFF#549", "KAII#147", "THEJ#506", "NUT#356"}
MORE = "falco_vs_fox_final_destination_008.slp"  # NUT#356 again, against MURT#940
TINY = ["--hidden", "16", "--threads", "1", "--device", "cpu", "--seed", "5", "--batch-size", "2048", "--dual-port"]
LEARN = ["--learn-player-styles", "--player-registry", "players.json"]


@pytest.fixture(scope="module")
def games(tmp_path_factory, replays: Path) -> Path:
    root = tmp_path_factory.mktemp("styles")
    for folder, names in {"games": GAMES, "more": [MORE]}.items():
        (root / folder).mkdir()
        for name in names:
            shutil.copy(replays / name, root / folder)
    return root


@pytest.fixture
def exphil(games, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder of its own; gives its exit code, its answer and its talk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for folder in ("games", "more"):
        (tmp_path / folder).symlink_to(games / folder)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def train(exphil, name: str, *words: str, epochs: int = 1, replays: str = "games") -> str:
    flags = ["--name", name, "--epochs", str(epochs), "--replays", replays]
    code, _, talk = exphil("train", *TINY, *flags, *words)
    assert code == 0, talk
    return talk


def loss(exphil, name: str, *words: str) -> float:
    flags = ["--replays", "games", "--dual-port", "--threads", "1", "--json"]
    code, out, talk = exphil("evaluate", f"checkpoints/{name}", *flags, *words)
    assert code == 0, talk
    return json.loads(out)["loss"]["total"]


@pytest.mark.parametrize("mode", ["one_hot", "learned"])
def test_another_style_other_predictions(exphil, mode):
    talk = train(exphil, "a", *LEARN, "--player-mode", mode)
    assert "2 found" in talk and "4 players known, 4 of 4 seats are theirs" in talk
    written = Registry.load(Path("players.json"), 112)
    assert set(written.players) == PLAYERS and sorted(map(written.number, PLAYERS)) == [1, 2, 3, 4]
    for file in ("a_policy.safetensors", "a.pt"):
        assert known(checkpoint.load_policy(Path("checkpoints", file)).players, file) == written
    page = json.loads(Path("checkpoints/a_config.json").read_text())
    assert page["player_styles"] == {name: written.number(name) for name in PLAYERS}
    own = loss(exphil, "a.pt")
    other = [loss(exphil, "a_policy.safetensors", "--style", name) for name in (*sorted(PLAYERS), "nobody")]
    assert len({own, *other}) == 6
    assert loss(exphil, "a.pt", "--style", "ziff#549") == other[sorted(PLAYERS).index("ZIFF#549")]
    code, _, talk = exphil("evaluate", "checkpoints/a.pt", "--replays", "games", "--style", "ZIF#549")
    assert (code, talk.splitlines()[-2:]) == (
        2,
        ["error: no style 'ZIF#549': the policy does not know this player", "  hint: did you mean ZIFF#549?"],
    )


def test_a_registry_is_extended_and_renumbers_nobody(exphil):
    train(exphil, "a", *LEARN)
    path = Path("players.json")
    first, page = Registry.load(path), json.loads(path.read_text())
    page["aliases"] = {"NUT#356": ["MURT#940"]}  # by hand: both are one player
    path.write_text(json.dumps(page))
    train(exphil, "b", *LEARN, replays="more")
    second = Registry.load(path)
    assert {name: second.number(name) for name in PLAYERS} == {name: first.number(name) for name in PLAYERS}
    assert second.number("MURT#940") == second.number("NUT#356") and second.players["NUT#356"].games == 2
    assert known(checkpoint.load_policy(Path("checkpoints/a.pt")).players, "") == first, "its own stays"
    page = json.loads(path.read_text())
    path.write_text(json.dumps({**page, "aliases": {}}))
    train(exphil, "c", *LEARN, replays="more")
    assert Registry.load(path).number("MURT#940") == 5


def test_a_resumed_run_keeps_the_registry_it_began_with(exphil):
    """Whatever became of the file; it is neither read nor written."""
    train(exphil, "a", *LEARN)
    began = checkpoint.load_policy(Path("checkpoints/a.pt")).players
    Path("players.json").write_text("gone mad")
    code, _, talk = exphil("train", "--resume", "checkpoints/a.pt", "--epochs", "2")
    assert code == 0, talk
    assert checkpoint.load_policy(Path("checkpoints/a.pt")).players == began != {}
    assert Path("players.json").read_text() == "gone mad"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '{"version": 1, "size": 112, "players": {"A#1": {',
            "not a registry of players, or damaged: not JSON",
        ),
        ('{"version": 2, "players": []}', "a registry of players of version 2; this exphil reads version 1"),
        (
            '{"version": 1, "size": 8, "players": {}, "aliases": {}}',
            "a registry of 8 numbers; --num-player-names is 112",
        ),
    ],
)
def test_a_registry_that_cannot_be_used_is_told_at_once_and_stays(exphil, text, says):
    Path("players.json").write_text(text)
    code, _, talk = exphil("train", *TINY, *LEARN, "--replays", "games")
    assert code == 1 and f"error: players.json: {says}" in talk and "2 found" not in talk
    assert Path("players.json").read_text() == text and not list(Path().glob("checkpoints/*"))


def test_a_registry_that_cannot_be_written_is_told_at_once(exphil):
    Path("file").write_text("in the way")
    words = ["--learn-player-styles", "--player-registry", "file/players.json", "--replays", "games"]
    code, _, talk = exphil("train", *TINY, *words)
    assert code == 1 and "file/players.json: cannot be written" in talk and "choose another --player-registry" in talk


def test_without_styles_nothing_is_read_written_or_known(exphil):
    Path("players.json").write_text("not a registry")
    talk = train(exphil, "a", "--player-registry", "players.json")
    assert "note: flag --player-registry has no effect; it needs --learn-player-styles" in talk
    assert Path("players.json").read_text() == "not a registry"
    assert checkpoint.load_policy(Path("checkpoints/a.pt")).players == {}
    code, _, talk = exphil("evaluate", "checkpoints/a.pt", "--replays", "games", "--style", "ZIFF#549")
    assert code == 2 and "error: no style 'ZIFF#549': the policy knows no players" in talk
    assert loss(exphil, "a.pt") == loss(exphil, "a.pt", "--style", "nobody")


def test_games_of_nobody_known_are_told(exphil):
    talk = train(exphil, "a", "--learn-player-styles", "--min-player-games", "3")
    assert "0 players known, 0 of 4 seats are theirs" in talk and "there is no style to learn" in talk


def test_held_out_players_are_not_enrolled(exphil):
    train(exphil, "a", *LEARN, "--val-split", "0.5")
    assert set(Registry.load(Path("players.json")).players) in ({"ZIFF#549", "KAII#147"}, {"THEJ#506", "NUT#356"})


def test_the_learned_table_learns_the_players_there_are_and_nobody_stays_nobody(exphil, games):
    flags = {
        "--replays": "games",
        "--player-mode": "learned",
        "--num-player-names": "8",
        "--name": "a",
        "--epochs": "1",
    }
    flags |= dict(zip(TINY[:-1:2], TINY[1:-1:2], strict=True))
    asked = resolve("train", {**flags, "--learn-player-styles": True, "--dual-port": False}, {})
    corpus, used, _ = assemble.read(asked, find(Path("games")).sources)
    job = assemble.training(asked, assemble.files_of(asked), (corpus, None), used, None, lambda: False)
    table = job.run.policy.embed.tables[2].weight
    before = table.detach().clone()
    assert len(list(job.events)) > 3
    moved = (table.detach() != before).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 2] == sorted(map(job.players.number, ("ZIFF#549", "THEJ#506")))
    assert not table[0].any() and torch.isfinite(table).all()
