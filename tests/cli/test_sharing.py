"""``exphil push`` and ``exphil pull``: from one machine to another, by the words of a command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from exphil.cli.main import main
from exphil.train import card, checkpoint
from hub_standin import TOKEN, asked_of, write_policy


@pytest.fixture
def standin(monkeypatch):
    with asked_of(monkeypatch) as server:
        yield server


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    return write_policy(tmp_path_factory.mktemp("runs"), "fox", replays="/srv/jo/slippi")


def test_what_one_pushes_another_pulls_and_plays(standin, policy, tmp_path, capsys):
    assert main(["push", str(policy), "hf:me/fox-bot"]) == 0
    shown = capsys.readouterr()
    assert "names 2 players" in shown.err and "--replays /srv/jo/slippi" in shown.err
    assert "/me/fox-bot" in shown.out and "exphil pull hf:me/fox-bot" in shown.err
    assert b"exphil pull hf:me/fox-bot" in standin.repos["me/fox-bot"].commits[0][1][card.README]
    assert main(["pull", "hf:me/fox-bot", "--checkpoints-dir", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["policy"]).read_bytes() == policy.read_bytes() and not told["there_already"]
    assert main(["pull", "hf:me/fox-bot", "--checkpoints-dir", str(tmp_path)]) == 0
    assert "was there already" in capsys.readouterr().out
    assert main(["info", "me_fox-bot", "--checkpoints-dir", str(tmp_path)]) == 0


def test_a_page_that_was_mended_is_pushed_as_it_is(standin, policy, tmp_path, capsys):
    folder = tmp_path / "card"
    assert main(["export", "card", str(policy), "--output", str(folder), "--quiet"]) == 0
    page = (folder / card.README).read_text().replace("tags:", "license: mit\ntags:")
    (folder / card.README).write_text(page)
    assert main(["push", str(folder / card.MODEL), "hf:me/fox-bot", "--quiet"]) == 0
    assert standin.repos["me/fox-bot"].commits[0][1][card.README].decode() == page
    (folder / card.CONFIG).write_text("{}")
    assert main(["push", str(folder / card.MODEL), "hf:me/fox-bot", "--quiet"]) == 1
    assert "is of other weights" in capsys.readouterr().err


def offered(standin, policy: Path, tmp_path: Path, **changes: object) -> None:
    """A repository of ``you`` that holds a policy whose words or weights were changed by somebody."""
    found = checkpoint.load_policy(policy)
    checkpoint.save_policy(tmp_path / "made.safetensors", replace(found, **changes))
    config = {"library_name": "exphil", "card": card.VERSION, "options": {}, "fingerprint": found.fingerprint}
    config["options"] = {name: found.config[name] for name in ("backbone", "temporal", "hidden", "num_layers")}
    files = {card.MODEL: (tmp_path / "made.safetensors").read_bytes(), card.CONFIG: json.dumps(config).encode()}
    standin.holding("you/bot", files)


@pytest.mark.parametrize(
    ("part", "value", "why"),
    [
        ("fingerprint", "0123456789abcdef", "feature table 0123456789abcdef"),
        ("weights", {}, "holds nothing"),
        ("hidden", [8_000_000], "the file holds"),
        ("hidden", "\x1b[2Jx", "refused"),
        ("stage_mode", ["x"], "refused"),
        ("actions", {"axes": 3}, "refused"),
    ],
)
def test_a_policy_that_cannot_play_here_never_gets_a_name(standin, policy, tmp_path, capfd, part, value, why):
    config = checkpoint.load_policy(policy).config
    changes = {part: value} if part not in config else {"config": config | {part: value}}
    offered(standin, policy, tmp_path, **changes)
    assert main(["pull", "hf:you/bot", "--checkpoints-dir", str(tmp_path / "got")]) == 1
    told = capfd.readouterr().err
    assert why in told and "defect" not in told and "\x1b" not in told
    assert list((tmp_path / "got").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("fingerprint", "other", "feature table other"),
        ("options", {"warp": 9}, "does not know all of its options"),
        ("options", {"hidden": {"a": 1}, "stage_mode": 7}, "does not know all of its options"),
    ],
)
def test_what_config_json_tells_is_enough_to_refuse(standin, policy, tmp_path, capsys, name, value, why):
    offered(standin, policy, tmp_path)
    config = json.loads(standin.repos["you/bot"].commits[0][1][card.CONFIG])
    standin.repos["you/bot"].put({card.CONFIG: json.dumps(config | {name: value}).encode()})
    assert main(["pull", "hf:you/bot", "--checkpoints-dir", str(tmp_path / "got")]) == 1
    assert why in capsys.readouterr().err and not (tmp_path / "got").exists()


@pytest.mark.slow
def test_token_and_address_are_those_of_every_tool_of_the_hub(standin, policy, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text(TOKEN)  # as hf auth login leaves it
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EXPHIL_", "HF_"))}
    place = {"HF_ENDPOINT": standin.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    for words in (["push", str(policy), "hf:me/fox-bot"], ["pull", "hf:me/fox-bot"]):
        done = subprocess.run([sys.executable, "-m", "exphil", *words], cwd=tmp_path, env=kept | place,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoints" / "me_fox-bot_policy.safetensors").read_bytes() == policy.read_bytes()
