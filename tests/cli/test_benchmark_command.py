"""``exphil benchmark`` and ``exphil report``: the table, the file, the page; going on, merging, failing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exphil.cli.main import main
from exphil.evaluate.results import NO_RANK, standings

GAMES = ("falco_vs_fox_final_destination_008.slp", "pikachu_vs_falco_dream_land_029.slp")
TINY = ("--hidden", 8, "--batch-size", 4, "--updates", 2, "--threads", 1, "--device", "cpu")

UNTIMED = ("--player", "")


class Done(NamedTuple):
    """What one command line left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def games(replays: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("games")
    for name in GAMES:
        shutil.copy(replays / name, folder)
    return folder


@pytest.fixture
def benchmark(games, capsys):
    """``exphil benchmark`` on the games, tiny; then the same with other words."""

    def run(*words: object, output: Path, tiny: tuple[object, ...] = TINY) -> Done:
        fixed = ("--replays", games, "--cache-dir", games / "cache", "--output", output)
        code = main(["benchmark", *map(str, (*fixed, *tiny, *words))])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def made(games, tmp_path_factory) -> Path:
    """Where one backbone was trained with two seeds."""
    output = tmp_path_factory.mktemp("made")
    fixed = ("--replays", games, "--cache-dir", games / "cache", "--output", output, "--quiet")
    assert main(["benchmark", *map(str, (*fixed, *TINY, "--only", "mlp", "--seeds", 2))]) == 0
    return output


@pytest.fixture
def output(made, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "output"))


def conditions(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "benchmark_results.json").read_text())["conditions"]


def test_the_file_holds_every_run_of_the_chosen_backbone_and_what_they_share(made):
    (found,) = conditions(made)
    assert [(each["backbone"], each["seed"]) for each in found["runs"]] == [("mlp", 0), ("mlp", 1)]
    assert all(each["updates"] == 2 and each["recipe"]["batch_size"] == 4 for each in found["runs"])
    assert found["failed"] == [] and found["baselines"]["copy-previous"] < found["baselines"]["majority"]
    learned, held_out = (set(found["files"][side]) for side in ("learned", "held_out"))
    assert learned | held_out == set(GAMES) and not learned & held_out


def test_the_same_command_makes_nothing_again_and_shows_what_the_file_holds(benchmark, output):
    before = (output / "benchmark_results.json").read_bytes()
    done = benchmark("--only", "mlp", "--seeds", 2, output=output)
    assert done.code == 0 and (output / "benchmark_results.json").read_bytes() == before
    assert "2 runs, 2 of them in" in done.err
    (found,) = conditions(output)
    lines = done.out.splitlines()
    for row in standings(found):
        (line,) = (line for line in lines if line.startswith(f"{row.name} "))
        assert f"{row.median:.4f}" in line and row.spread in line and f"{row.parameters:,}" in line
    (copied,) = (line for line in lines if line.startswith("copy-previous"))
    assert f"{found['baselines']['copy-previous']:.4f}" in copied
    assert lines[-1] == NO_RANK


def test_another_backbone_joins_the_table(benchmark, output):
    done = benchmark("--only", "gru", "--seeds", 1, *UNTIMED, "--json", output=output)
    told = json.loads(done.out)
    assert done.code == 0 and [told] == conditions(output)
    assert {row.name: len(row.losses) for row in standings(told)} == {"mlp": 2, "gru": 1}


def test_other_conditions_get_a_table_of_their_own(benchmark, output, capsys):
    skipped = ("--skip", "gru,lstm,mamba,mamba2,attention,hybrid,jamba")
    assert benchmark(*skipped, "--seeds", 1, "--window-size", 32, *UNTIMED, output=output).code == 0
    first, second = conditions(output)
    assert len(first["runs"]) == 2 and [each["backbone"] for each in second["runs"]] == ["mlp"]
    assert second["options"]["window_size"] == 32
    assert main(["report", str(output / "benchmark_results.json")]) == 0
    assert capsys.readouterr().out.count("Held-out nats per decision") == 2


def test_the_page_is_drawn_again_from_the_file_alone(made, tmp_path, capsys):
    page = tmp_path / "again.html"
    assert main(["report", str(made / "benchmark_results.json"), "--html", str(page), "--json"]) == 0
    assert page.read_bytes() == (made / "benchmark_report.html").read_bytes()
    assert json.loads(capsys.readouterr().out)["conditions"] == conditions(made)


def test_a_report_needs_no_torch(made):
    code = "import sys; from exphil.cli.main import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "report", str(made / "benchmark_results.json")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_backbone_that_cannot_be_built_stops_the_command_before_anything_is_read(benchmark, tmp_path):
    done = benchmark("--only", "jamba,mlp", "--num-layers", 2, output=tmp_path / "out")
    assert done.code == 2 and "jamba: " in done.err and "holds no attention" in done.err
    assert "--continue-on-error" in done.err and not (tmp_path / "out").exists()


def test_continue_on_error_trains_the_others_and_names_the_one(benchmark, tmp_path):
    words = ("--only", "jamba,mlp", "--num-layers", 2, "--seeds", 1, "--continue-on-error", *UNTIMED)
    done = benchmark(*words, output=tmp_path)
    (found,) = conditions(tmp_path)
    assert done.code == 1 and [each["backbone"] for each in found["runs"]] == ["mlp"]
    assert [each["backbone"] for each in found["failed"]] == ["jamba"]
    assert (
        "jamba (seed 0) failed" in done.out and "holds no attention" in (tmp_path / "benchmark_report.html").read_text()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "gruu"), "did you mean 'gru'?"),
        (("--only", "gru", "--skip", "gru"), "no backbone is left"),
        (("--backbone", "gru"), "--only NAME,NAME chooses some of them"),
        (("--val-split", "0"), "benchmark compares on games held out"),
        (("--loss-positions", "last"), "--sequence-mode windows"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(benchmark, tmp_path, words, said):
    done = benchmark(*words, output=tmp_path / "out")
    assert done.code == 2 and said in done.err and not (tmp_path / "out").exists()


def test_a_problem_of_all_backbones_is_said_once(benchmark, tmp_path):
    done = benchmark("--cache-augmented", "--no-precompute", output=tmp_path)
    assert done.code == 2 and done.err.count("--no-precompute contradict") == 1


def test_one_game_is_too_few(benchmark, tmp_path):
    done = benchmark("--max-files", 1, output=tmp_path)
    assert done.code == 1 and "games held out" in done.err


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(benchmark, tmp_path):
    done = benchmark("--only", "gru,mlp", "--dry-run", output=tmp_path / "out")
    assert done.code == 0 and not (tmp_path / "out").exists()
    assert sum(line.startswith("gru ") for line in done.out.splitlines()) == 3, "--seeds 3"


IDLE = ("--num-heads", 8, "--truncate-bptt", 99, "--residual", "--chunk-size", 5, "--mirror-prob", 0.2, "--no-augment")


def notes(done: Done) -> list[str]:
    """The options that the command says do nothing."""
    found = [line.split() for line in done.err.splitlines() if line.startswith("note: ")]
    assert all(words[3:6] == ["has", "no", "effect;"] for words in found)
    return sorted(words[2] for words in found)


def test_options_that_do_nothing_for_any_backbone_are_named(benchmark, tmp_path):
    done = benchmark("--only", "gru", *IDLE, "--dry-run", output=tmp_path)
    assert notes(done) == ["--chunk-size", "--mirror-prob", "--num-heads", "--residual", "--truncate-bptt"]
    assert notes(benchmark("--only", "gru", "--dry-run", "--optimizer", "adam", output=tmp_path)) == [], "the recipe's"
    assert notes(benchmark("--preset", "quick", "--only", "gru", "--dry-run", output=tmp_path)) == []


def test_an_option_that_does_something_for_one_of_them_is_no_news(benchmark, tmp_path):
    done = benchmark("--only", "gru,attention,mlp", *IDLE, "--dry-run", output=tmp_path)
    assert set(notes(done)) == {"--chunk-size", "--mirror-prob", "--truncate-bptt"}
    assert done.err.count("a backbone with memory") == done.err.count("fewer frames than --window-size") == 1


def test_bf16_that_would_not_pay_is_said(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr("exphil.cli.running.profile.WORTH_IT", 1e9)
    done = benchmark("--only", "mlp", "--precision", "bf16", "--max-files", 1, output=tmp_path)
    assert done.err.count("--precision bf16 would not pay") == 1


def test_results_that_are_something_else_are_refused_and_left(benchmark, tmp_path):
    (tmp_path / "benchmark_results.json").write_text("mine")
    done = benchmark("--only", "mlp", output=tmp_path)
    assert done.code == 1 and "not results of exphil benchmark" in done.err
    assert (tmp_path / "benchmark_results.json").read_text() == "mine"


@pytest.mark.slow
def test_the_fast_player_is_timed_beside_the_reference(benchmark, tmp_path):
    pytest.importorskip("onnxruntime")
    assert benchmark("--only", "gru", "--seeds", 1, "--player", "reference,fast", output=tmp_path).code == 0
    (run,) = conditions(tmp_path)[0]["runs"]
    assert set(run["decision_ms"]) == {"reference", "fast"} and run["untimed"] == {}


@pytest.mark.slow
def test_every_backbone_takes_part(benchmark, tmp_path):
    done = benchmark("--seeds", 1, output=tmp_path)
    assert done.code == 0, done.err
    from exphil.assemble import BACKBONES

    assert {each["backbone"] for each in conditions(tmp_path)[0]["runs"]} == set(BACKBONES)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(games, tmp_path, benchmark):
    tiny = tuple(12 if word == 2 else word for word in TINY)
    words = ("--replays", games, "--cache-dir", games / "cache", "--output", tmp_path, *tiny, "--only", "gru")
    command = [sys.executable, "-m", "exphil", "benchmark", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("1/3 "):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(60) == 130 and "the same command goes on" in rest and "Traceback" not in rest
    assert [each["seed"] for each in conditions(tmp_path)[0]["runs"]] == [0]
    done = benchmark("--only", "gru", output=tmp_path, tiny=tiny)
    assert done.code == 0 and "3 runs, 1 of them in" in done.err
    assert [each["seed"] for each in conditions(tmp_path)[0]["runs"]] == [0, 1, 2]
