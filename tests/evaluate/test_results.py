"""What several calls found in one file, and what may be said of it."""

from __future__ import annotations

import json

import pytest

from exphil.errors import DataError
from exphil.evaluate.results import Results, facts, load, standings, verdicts, warnings

RECIPE = {"batch_size": 32, "lr": 0.003}


@pytest.fixture
def bare(conditions):
    return {name: value for name, value in conditions("one").items() if name not in ("runs", "failed")}


def test_runs_of_several_calls_stand_together(tmp_path, run, bare):
    path = tmp_path / "results.json"
    first, second = Results(path), Results(path)  # both began before either wrote
    first.add(bare, run("gru", 0, 1.2))
    second.add(bare, run("lstm", 0, 1.3))
    first.add(bare, run("gru", 1, 1.25))
    (found,) = load(path)
    assert [(each["backbone"], each["seed"]) for each in found["runs"]] == [("gru", 0), ("lstm", 0), ("gru", 1)]


def test_the_same_run_takes_the_place_of_the_older_one(tmp_path, run, bare):
    results = Results(tmp_path / "results.json")
    for loss in (1.2, 1.1):
        results.add(bare, run("gru", 0, loss))
    assert [each["held_out"] for each in results.of(bare)["runs"]] == [1.1]


def test_other_conditions_never_share_a_table(tmp_path, run, bare):
    results = Results(tmp_path / "results.json")
    results.add(bare, run("gru", 0, 1.2))
    results.add(bare | {"key": "two"}, run("gru", 0, 9.9))
    assert [[row.losses for row in standings(each)] for each in results.read()] == [[(1.2,)], [(9.9,)]]


def test_what_is_done_is_this_backbone_recipe_and_seed_with_these_players(tmp_path, run, bare):
    results = Results(tmp_path / "results.json")
    results.add(bare, run("gru", 0, 1.2))
    asked = {"backbone": "gru", "recipe": RECIPE, "seed": 0}
    assert results.done(bare, asked, ["reference"])
    for other in ({"backbone": "lstm"}, {"recipe": {"batch_size": 32, "lr": 0.1}}, {"seed": 1}):
        assert not results.done(bare, asked | other, ["reference"])
    assert not results.done(bare, asked, ["reference", "fast"])
    assert not results.done(bare | {"key": "two"}, asked, ["reference"])


def test_a_failure_is_forgotten_when_the_run_is_finished(tmp_path, run, bare):
    results = Results(tmp_path / "results.json")
    failure = {"backbone": "gru", "seed": 0, "recipe": RECIPE, "error": "the loss is nan", "date": "", "exphil": ""}
    results.fail(bare, failure)
    assert "gru (seed 0) failed: the loss is nan" in warnings(results.of(bare))
    results.add(bare, run("gru", 0, 1.2))
    assert results.of(bare)["failed"] == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 9}', '{"format": 1, "conditions": [{"key": "x"}]}', '{"format": 1}']
)
def test_another_file_is_refused_and_left(tmp_path, text, run, bare):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        Results(path)
    assert str(path) in str(caught.value) and path.read_text() == text


def test_a_damaged_run_is_refused(tmp_path, run, conditions):
    path = tmp_path / "results.json"
    for name in ("held_out", "decision_ms", "recipe"):
        broken = {**run("gru", 0, 1.2), name: "x"}
        path.write_text(json.dumps({"format": 1, "conditions": [conditions("one", broken)]}))
        with pytest.raises(DataError):
            load(path)


def test_the_table_has_the_median_and_begins_with_the_least_loss(run, conditions):
    losses = {"lstm": (1.5, 1.2, 1.4), "gru": (1.3, 1.1, 1.2)}
    runs = [run(name, seed, loss) for name, found in losses.items() for seed, loss in enumerate(found)]
    rows = standings(conditions("one", *runs))
    assert [(row.name, row.median, row.losses) for row in rows] == [
        ("gru", 1.2, losses["gru"]),
        ("lstm", 1.4, losses["lstm"]),
    ]
    assert rows[0].spread == "1.1000 .. 1.3000"
    assert rows[0].frames_per_second == 5001.0 and round(rows[0].decision_ms["reference"][32].p99, 9) == 1.64


def test_a_backbone_with_two_recipes_has_two_rows_that_say_so(run, conditions):
    rows = standings(conditions("one", run("gru", 0, 1.2), run("gru", 0, 1.1, lr=0.01)))
    assert [row.name for row in rows] == ["gru (batch size 32, lr 0.01)", "gru (batch size 32, lr 0.003)"]


def said(run, conditions, **losses) -> list[str]:
    runs = [run(name, seed, loss) for name, found in losses.items() for seed, loss in enumerate(found)]
    return verdicts(standings(conditions("one", *runs)))


def test_a_difference_counts_where_no_seed_of_the_one_reaches_the_other(run, conditions):
    told = said(run, conditions, gru=(1.0, 1.1, 1.2), lstm=(1.15, 1.3, 1.4), mlp=(2.0, 2.1, 2.2))
    assert told == [
        "gru predicts better than mlp: each of its seeds, than each of theirs.",
        "lstm predicts better than mlp: each of its seeds, than each of theirs.",
        "Not told apart by these seeds: gru from lstm.",
        "With 3 seeds each, two that are alike are told apart by chance in 10% of cases.",
    ]


def test_one_seed_tells_nothing_apart(run, conditions):
    assert said(run, conditions, gru=(1.0,), mlp=(9.0,)) == [
        "One seed says nothing about chance: gru and mlp cannot be told from the others."
    ]
    told = said(run, conditions, gru=(1.0, 1.1), mlp=(9.0, 9.1), lstm=(0.5,))
    assert told[0].startswith("gru predicts better than mlp:") and "lstm cannot be told" in told[1]


def test_speeds_of_two_machines_come_with_a_warning(run, conditions):
    other = run("gru", 1, 1.2)
    other["machine"] = other["machine"] | {"threads": 2}
    assert warnings(conditions("one", run("gru", 0, 1.2))) == []
    assert any("not their speeds" in line for line in warnings(conditions("one", run("gru", 0, 1.2), other)))


def test_the_page_names_date_machine_version_games_and_budget(run, conditions):
    told = dict(facts(conditions("one", run("gru", 0, 1.2), run("gru", 1, 1.2))))
    assert told["Date"] == "2026-01-02" and told["Processor"] == "a <fast> one, 2 cores" and told["exphil"] == "0.1.0"
    assert told["Games held out"] == "3 (30,000 decisions)" and told["Budget of a run"] == "2 epochs"
    assert told["Seeds"] == "0, 1" and told["Learning on"] == "cpu, 1 threads"
