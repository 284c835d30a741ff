"""Places of the hub, and what a repository may hold before anything of it is kept."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from exphil.errors import ExphilError, OptionError
from exphil.train import card, hub
from exphil.train.hub import Place
from hub_standin import OWNER, Hub, Repo, asked_of, write_policy

MODEL, CONFIG = card.MODEL, card.CONFIG
GOOD = json.dumps(
    {"library_name": "exphil", "card": card.VERSION, "options": {}, "fingerprint": "x", "sha256": "y"}
).encode()


@pytest.fixture
def standin(monkeypatch):
    with asked_of(monkeypatch) as server:
        yield server


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    return write_policy(tmp_path_factory.mktemp("runs"), "fox")


def take(path: Path) -> None:
    """Every policy is good enough here."""


@pytest.mark.parametrize("word", ["hf:me/bot", "hf:me/bot@main", "hf:a_b/C.d-e@v1.0", "hf:me/bot@refs/pr/1"])
def test_a_place_is_spelled_as_it_is_read(word):
    assert str(Place.of(word, revisions=True)) == word


@pytest.mark.parametrize(
    "word",
    ["me/bot", "hf:bot", "hf:me/", "hf:../bot", "hf:me/..", "hf:me/a..b", "hf:me/a/b", "hf:me/-x", "hf:me/x.",
     "hf:me/a--b", "hf:me/bot@", "hf:me/bot@../x", "hf:me/b ot", "hf:me/b\x1b[2J", "hf:me/b\n", "hf:mé/bot",
     "hf://me/bot", "", "hf:me/" + "x" * 95],
)  # fmt: skip
def test_other_spellings_are_refused_before_anything_is_asked(word, standin):
    with pytest.raises(OptionError):
        Place.of(word, revisions=True)
    assert not standin.asked


def test_who_pushes_names_no_revision():
    with pytest.raises(OptionError, match="revision"):
        Place.of("hf:me/bot@main", revisions=False)


@pytest.mark.parametrize(
    ("files", "told", "why"),
    [
        ({"README.md": b"x"}, {}, "no model.safetensors"),
        ({MODEL: b"x"}, {}, "no config.json"),
        ({MODEL: b"x", CONFIG: b'{"model_type": "bert"}'}, {}, "something else than exphil"),
        ({MODEL: b"x", CONFIG: b"\xff" * 9}, {}, "something else than exphil"),
        ({MODEL: b"x", CONFIG: b"[" * 100_000}, {}, "something else than exphil"),
        ({MODEL: b"x", CONFIG: GOOD.replace(b'"card": 1', b'"card": 9')}, {}, "shared as version '9'"),
        ({MODEL: b"x", CONFIG: GOOD.replace(b'"options": {}', b'"options": []')}, {}, "damaged"),
        ({MODEL: b"x", CONFIG: GOOD}, {MODEL: {"size": hub.MOST_BYTES + 1}}, "at most"),
        ({MODEL: b"x", CONFIG: GOOD}, {MODEL: {"size": None}}, "unknown size"),
        ({MODEL: b"x", CONFIG: GOOD + b" " * (1 << 20)}, {}, "at most"),
        ({MODEL: b"x", CONFIG: GOOD}, {CONFIG: {"blobId": "0" * 40}}, "other bytes than the hub announced"),
    ],
)
def test_a_repository_of_something_else_is_refused_before_its_weights_are_fetched(standin, files, told, why):
    standin.holding("you/bot", files).told.update(told)
    with pytest.raises(ExphilError, match=why):
        hub.offered(Place("you", "bot"))
    assert standin.asked.count("bytes") <= 2  # of config.json: what is it, and give it


@pytest.mark.parametrize(
    "content", [pickle.dumps({"a": print}), b"", b"\0" * 64, b"\x10" + b"\0" * 7 + b'{"a": 1}' * 2]
)
def test_weights_that_are_no_policy_never_get_a_name(standin, tmp_path, content):
    standin.holding("you/bot", {MODEL: content, CONFIG: GOOD, "evil.pkl": b"x", "../up": b"x"})
    with pytest.raises(ExphilError, match="refused"):
        hub.fetch(hub.offered(Place("you", "bot")), tmp_path / "got", take)
    assert list((tmp_path / "got").iterdir()) == []


def test_whatever_a_check_fails_by_nothing_is_left(standin, policy, tmp_path):
    standin.holding("you/bot", {MODEL: policy.read_bytes(), CONFIG: GOOD})

    def fail(path: Path) -> None:
        raise MemoryError

    with pytest.raises(ExphilError, match="MemoryError"):
        hub.fetch(hub.offered(Place("you", "bot")), tmp_path / "got", fail)
    assert list((tmp_path / "got").iterdir()) == []


def test_other_bytes_than_announced_never_get_a_name(standin, policy, tmp_path):
    standin.holding("you/bot", {MODEL: policy.read_bytes(), CONFIG: GOOD})
    standin.faults["bytes"] = "others"
    with pytest.raises(ExphilError, match="other bytes than the hub announced"):
        hub.fetch(hub.offered(Place("you", "bot")), tmp_path / "got", take)
    assert list((tmp_path / "got").iterdir()) == []


def test_another_file_of_the_name_stays_and_the_same_one_is_not_fetched_again(standin, policy, tmp_path):
    standin.holding("you/bot", {MODEL: policy.read_bytes(), CONFIG: GOOD})
    place = Place("you", "bot")
    path = hub.fetch(hub.offered(place), tmp_path, take)
    assert path == tmp_path / "you_bot_policy.safetensors" and path.read_bytes() == policy.read_bytes()
    asked = standin.asked.count("bytes")
    hub.fetch(hub.offered(place), tmp_path, take)
    assert standin.asked.count("bytes") == asked + 2  # config.json alone
    path.write_bytes(b"mine")
    with pytest.raises(ExphilError, match="another file stands there"):
        hub.fetch(hub.offered(place), tmp_path, take)
    assert path.read_bytes() == b"mine" and [each.name for each in tmp_path.iterdir()] == [path.name]


def test_without_the_library_it_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ExphilError, match=r'pip install "exphil\[hub\]"'):
        hub.offered(Place("you", "bot"))


def test_a_revision_is_what_it_was(standin, policy, tmp_path):
    repo = standin.holding("you/bot", {MODEL: policy.read_bytes(), CONFIG: GOOD})
    first = repo.commits[0][0]
    repo.put({MODEL: b"other"})
    assert hub.offered(Place("you", "bot", first)).size_bytes == policy.stat().st_size
    assert hub.offered(Place("you", "bot")).size_bytes == 5
    fetched = hub.fetch(hub.offered(Place("you", "bot", first)), tmp_path, take)
    assert fetched.read_bytes() == policy.read_bytes(), "not the newest"
    with pytest.raises(ExphilError, match="no such revision"):
        hub.offered(Place("you", "bot", "nope"))


@pytest.fixture
def folder(policy, tmp_path) -> Path:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / MODEL).write_bytes(policy.read_bytes())
    (tmp_path / "card" / CONFIG).write_bytes(GOOD)
    (tmp_path / "card" / card.README).write_text("---\nlibrary_name: exphil\n---\n# x\n")
    (tmp_path / "card" / "secret.txt").write_text("x")
    return tmp_path / "card"


def test_what_is_pushed_is_three_files_in_one_commit_and_read_back(standin, folder, policy):
    shared = hub.push(folder, Place(OWNER, "bot"), "fox", private=True)
    repo = standin.repos["me/bot"]
    assert repo.private and len(repo.commits) == 1 and shared.commit == repo.commits[0][0]
    assert set(repo.commits[0][1]) == {MODEL, CONFIG, card.README}
    assert repo.commits[0][1][MODEL] == policy.read_bytes() and standin.asked[-1] == "info"


def test_bytes_that_the_hub_changed_are_told(standin, folder):
    standin.faults["commit"] = "other bytes"
    with pytest.raises(ExphilError, match="holds other bytes"):
        hub.push(folder, Place(OWNER, "bot"), "fox", private=False)


def test_a_model_of_something_else_is_not_written_over(standin, folder):
    standin.holding("me/bot", {CONFIG: b"{}", MODEL: b"bert"})
    with pytest.raises(ExphilError, match="something else than a policy"):
        hub.push(folder, Place(OWNER, "bot"), "fox", private=False)
    assert standin.asked == ["info"]


def test_nothing_private_goes_to_a_public_repository(standin, folder):
    standin.repos["me/bot"] = Repo(private=False)
    with pytest.raises(ExphilError, match="public"):
        hub.push(folder, Place(OWNER, "bot"), "fox", private=True)
    assert standin.asked == ["info"]


@pytest.mark.parametrize(
    ("token", "user", "fault", "why"),
    [
        ("", "me", {}, "no token"),
        ("hf_wrong", "me", {}, "may not do that"),
        (None, "you", {}, "may not do that"),
        (None, "me", {"create": 500}, "answers 500"),
        (None, "me", {"commit": 400}, "answers 400"),
        (None, "me", {"batch": 403}, "may not do that"),
        (None, "me", {"upload": 400}, "did not answer|answers 400"),
    ],
)
def test_a_push_that_is_refused_says_why(standin, folder, monkeypatch, token, user, fault, why):
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    standin.faults.update(fault)
    with pytest.raises(ExphilError, match=why) as found:
        hub.push(folder, Place(user, "bot"), "fox", private=False)
    assert "\x1b" not in str(found.value)


def test_what_cannot_be_reached_or_seen_says_so(standin, monkeypatch):
    standin.holding("you/hidden", {MODEL: b"x", CONFIG: GOOD}, private=True)
    monkeypatch.delenv("HF_TOKEN")
    for name in ("hidden", "nothing"):
        with pytest.raises(ExphilError, match="no such repository, or it is private"):
            hub.offered(Place("you", name))
    standin.faults["info"] = 429
    with pytest.raises(ExphilError, match="answers 429"):
        hub.offered(Place("you", "hidden"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    with pytest.raises(ExphilError, match="did not answer"):
        hub.offered(Place("you", "hidden"))


@pytest.mark.slow  # huggingface_hub waits between its trials
@pytest.mark.parametrize("fault", ["cut", "cut once"])
def test_a_line_that_breaks_off_is_taken_up_again_or_told(standin, policy, tmp_path, fault):
    standin.holding("you/bot", {MODEL: policy.read_bytes(), CONFIG: GOOD})
    offer = hub.offered(Place("you", "bot"))
    standin.faults["bytes"] = fault
    if fault == "cut once":
        assert hub.fetch(offer, tmp_path / "got", take).read_bytes() == policy.read_bytes()
        return
    with pytest.raises(ExphilError, match="did not answer"):
        hub.fetch(offer, tmp_path / "got", take)
    assert list((tmp_path / "got").iterdir()) == []


@pytest.mark.slow
def test_help_never_imports_the_library():
    code = "import sys; from exphil.cli.main import main; main(['--help']); sys.exit('huggingface_hub' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_standin_refuses_bytes_that_are_not_what_they_are_called():
    import urllib.error
    import urllib.request

    server = Hub()
    try:
        asked = urllib.request.Request(f"{server.url}/objects/{'0' * 64}", b"x", method="PUT")
        with pytest.raises(urllib.error.HTTPError) as found:
            urllib.request.urlopen(asked)
        found.value.close()
        assert found.value.code == 400 and not server.objects
    finally:
        server.close()
