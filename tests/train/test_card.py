"""The folder that a policy is shared as: what its page says, what it never says, and that it plays."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from exphil.cli.main import main
from exphil.cli.parse import parse
from exphil.config.layers import resolve
from exphil.train import card
from hub_standin import HISTORY, write_policy

SECRETS = ("MANG#0", "ZAIN#0", "/srv/jo/slippi", "jo")


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    return write_policy(tmp_path_factory.mktemp("runs"), "marth", replays="/srv/jo/slippi", frame_delay="3")


@pytest.fixture(scope="module")
def folder(policy) -> Path:
    assert main(["export", "card", str(policy), "--quiet"]) == 0
    return policy.with_name("marth_card")


@pytest.fixture(scope="module")
def page(folder) -> str:
    return (folder / card.README).read_text()


def lines(page: str) -> list[str]:
    return [line for block in re.findall(r"```sh\n(.*?)```", page, re.S) for line in block.splitlines()]


def test_the_folder_holds_three_files_and_the_policy_byte_for_byte(folder, policy):
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    assert (folder / card.MODEL).read_bytes() == policy.read_bytes()


def test_its_weights_are_read_as_any_policy_file(folder, capsys):
    assert main(["info", str(folder / card.MODEL), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"]["parameters"] > 0


def test_the_front_matter_is_what_the_hub_reads_and_claims_no_licence(page):
    front = yaml.safe_load(page.split("---\n")[1])
    assert front == {"library_name": "exphil", "tags": list(card.TAGS)}
    assert "No licence is named" in page


def test_the_page_has_the_numbers_of_the_file_and_of_its_run(page):
    wanted = ("3 frames later than the next", "games learned from: 2", "games held out: 1", "| fox | 1,000 |",
              f"held-out games | {HISTORY[1][1]:.4f}", "baseline majority", "does not rank play", "seconds: 1,800",
              "styles of players that it can be asked for: 2", "sha256:abc", "seed: 7")  # fmt: skip
    assert [word for word in wanted if word not in page] == []


def test_neither_page_nor_config_names_people_or_places(folder, page):
    text = page + (folder / card.CONFIG).read_text()
    assert [word for word in SECRETS if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)] == []
    options = json.loads((folder / card.CONFIG).read_text())["options"]
    assert options["frame_delay"] == 3 and not {"replays", "name", "wandb_name", "checkpoints_dir"} & set(options)


def test_every_line_of_the_page_is_one_that_exphil_takes(policy):
    from exphil.cli.card import about

    said, facts = about(policy, policy, None, "me/marth-bot")
    shared = lines(card.readme(policy, said, facts))
    assert shared[0].startswith("pip install") and "exphil pull hf:me/marth-bot" in shared
    for line in shared[1:]:
        asked = parse(shlex.split(line)[1:])
        assert asked is not None and not asked.strays
        resolve(asked.command, asked.flags, {})


def test_the_same_policy_gives_the_same_bytes_from_its_file_and_from_its_snapshot(folder, policy, tmp_path):
    assert main(["export", "card", str(policy.with_name("marth.pt")), "--output", str(tmp_path / "b"), "--quiet"]) == 0
    for name in (card.CONFIG, card.MODEL, card.README):
        assert (tmp_path / "b" / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_page_that_was_mended_is_not_written_over(folder, policy, tmp_path, capsys):
    out = tmp_path / "c"
    words = ["export", "card", str(policy), "--output", str(out), "--quiet"]
    assert main(words) == main(words) == 0
    (out / card.README).write_text("mine")
    assert main(words) == 1
    assert "says something else" in capsys.readouterr().err and (out / card.README).read_text() == "mine"


def test_without_the_page_of_the_run_nothing_is_claimed_of_it(policy, tmp_path):
    (alone := tmp_path / "x_policy.safetensors").write_bytes(policy.read_bytes())
    assert main(["export", "card", str(alone), "--name", "y<b>`|\x1b[31m", "--quiet"]) == 0
    text = (tmp_path / "x_card" / card.README).read_text()
    assert "# y?b?????31m\n" in text and "Characters" not in text and "seconds: not known" in text


def test_letters_that_steer_a_page_or_a_terminal_are_taken_from_names():
    assert card.shown("a\x1b[2J<script>`|*x") == "a??2J?script????x"


def test_what_is_no_policy_makes_no_folder(tmp_path, capsys):
    (tmp_path / "x_policy.safetensors").write_bytes(b"\x80\x04N.")
    assert main(["export", "card", str(tmp_path / "x_policy.safetensors")]) == 1
    assert "not a policy file" in capsys.readouterr().err and not (tmp_path / "x_card").exists()
