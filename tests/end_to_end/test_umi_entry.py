"""An entry for UMI is legal, holds what it needs and no more, and plays where there is nothing but its requirements."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import torch

from exphil import assemble
from exphil.assemble.playing import learned
from exphil.cli.main import main
from exphil.config.layers import resolve
from exphil.features.action import Codec
from exphil.features.players import Registry
from exphil.models.export import export
from exphil.play import entry
from exphil.play.agent import Manner
from exphil.play.umi import names

umi = pytest.importorskip("umi")
pytest.importorskip("umi.conform.arena")
ROOMS = {"envs", "features", "game", "models", "play"}


def write_graph(path: Path, hidden: str, *flags: str) -> Path:
    """A policy of fresh weights as an exported graph."""
    torch.manual_seed(1)
    given: dict[str, str | bool] = {"--temporal": True, "--backbone": "gru", "--hidden": hidden, "--umi-safe": True}
    settings = resolve("train", given | dict(flag.split("=") for flag in flags), {})  # type: ignore[arg-type]
    policy = assemble.policy(settings, Codec.uniform()).eval()
    known = learned(settings, policy.codec, Registry(0), "some one")
    export(policy, path, {"learned": known.as_dict()})
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> Path:
    return write_graph(tmp_path_factory.mktemp("graph") / "small.onnx", "16", "--frame-delay=18", "--stage-motion=true")


@pytest.fixture
def unpacked(tmp_path):
    """An entry around a graph that nobody asks, in a folder."""

    def make(**said) -> Path:
        given = {"name": "some one", "characters": "ALL", "delay": 18} | said
        place, folder = tmp_path / "bot.zip", tmp_path / "unpacked"
        place.write_bytes(entry.zipped(entry.entry(b"graph", **given)))
        assert entry.is_entry(place.read_bytes()) and not entry.is_entry(b"PK" + bytes(100))
        with zipfile.ZipFile(place) as archive:
            assert archive.testzip() is None
            archive.extractall(folder)
        return folder

    return make


def literals(program: Path) -> tuple[ast.ClassDef, dict[str, object]]:
    """The bot's class and its plain values, read as the arena reads them: without running anything."""
    tree = ast.parse(program.read_text())
    bots = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert len(bots) == 1 and [ast.unparse(base) for base in bots[0].bases] == ["umi.Bot"]
    plain = [node for node in bots[0].body if isinstance(node, ast.Assign)]
    return bots[0], {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in plain}


def test_an_entry_says_in_plain_values_what_it_is(unpacked):
    warm = Manner((0.5,) * 13, press_threshold=0.4, release_threshold=0.3, action_repeat=2)
    who = names(["fox", "captain falcon"])
    folder = unpacked(name='it\'s "mine" $1 {2}', characters=who, delay=21, manner=warm, style=7)
    assert literals(folder / "run.py")[1] == {
        "name": 'it\'s "mine" $1 {2}',
        "characters": ("CPTFALCON", "FOX"),
        "delay": 21,
    }
    tree = ast.parse((folder / "run.py").read_text())
    plain = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    said = {word.arg: ast.literal_eval(word.value) for word in plain["MANNER"].keywords}
    assert Manner(**said) == warm and ast.literal_eval(plain["STYLE"]) == 7
    pinned = dict(line.split("==") for line in (folder / "requirements.txt").read_text().split())
    assert set(pinned) == {"umi-melee", "numpy", "onnxruntime"} and all(
        version[0].isdigit() for version in pinned.values()
    )


def test_an_entry_holds_the_files_that_it_needs_and_nothing_else(unpacked):
    folder = unpacked()
    assert {path.name for path in folder.iterdir()} == {
        "run.py",
        "requirements.txt",
        "README.md",
        "policy.onnx",
        "exphil",
    }
    assert (folder / "exphil" / "LICENSE").read_bytes() == (Path(__file__).parents[2] / "LICENSE").read_bytes()
    modules = entry.needed(*entry.START)
    assert {module.split(".")[1] for module in modules if module.count(".") > 1} == ROOMS and len(modules) < 40
    held = {path.relative_to(folder).with_suffix("").as_posix() for path in (folder / "exphil").rglob("*.py")}
    assert {name.removesuffix("/__init__").replace("/", ".") for name in held} == modules
    assert sum(path.stat().st_size for path in (folder / "exphil").rglob("*")) < 300_000


IMPORTED = """
import sys
sys.path.insert(0, {folder!r})
import run
import exphil
loaded = {{name for name in sys.modules if name.partition(".")[0] == "exphil"}}
late = {{name.partition(".")[0] for name in sys.modules}} & {{"torch", "numba", "yaml", "cyclopts", "rich"}}
print(exphil.__file__, " ".join(sorted(loaded)), *late, sep="|")
"""


def test_an_entry_imports_nothing_but_its_own_files(unpacked):
    """What a process has loaded is what reading the imports found, and it came from the entry."""
    folder = unpacked()
    code = IMPORTED.format(folder=str(folder.resolve()))
    said = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    where, loaded, *late = said.stdout.strip().split("|")
    assert where == str(folder.resolve() / "exphil" / "__init__.py") and not late
    assert set(loaded.split()) == entry.needed(*entry.START)
    assert not list(folder.rglob("__pycache__"))


def test_the_same_policy_gives_the_same_bytes():
    said = {"name": "x", "characters": "ALL", "delay": 18}
    assert entry.zipped(entry.entry(b"graph", **said)) == entry.zipped(entry.entry(b"graph", **said))


ALONE = """
import importlib.abc, sys

class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "numba", "yaml", "cyclopts", "rich", "safetensors"):
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
sys.path.insert(0, {folder!r})
import numpy as np, run, umi
from umi.conform.arena import load_fixtures
streams = load_fixtures()["frames"][:, :, 0]
bot = run.Entry()
bot.check()
bot._begin(umi.Session(18, 4, 5, 2, 3, (1, 4), 6, 0))
for time in range(120):
    rows = np.arange(4) if time % 2 else np.array([3, 1])
    frames = np.ascontiguousarray(streams[rows, 90 + time])
    act = bot._play(umi.Batch(rows.astype("u4"), rows, rows, np.full(len(rows), time < 2), frames, 0))
    ctrl = act.ctrl
    assert ctrl.shape == (len(rows), 13) and (ctrl >= 0).all() and (ctrl <= 1).all()
import exphil
assert exphil.__file__.startswith({folder!r}), exphil.__file__
assert not [name for name in sys.modules if name.startswith(("exphil.config", "exphil.assemble", "exphil.cli"))]
"""


@pytest.mark.slow
def test_an_entry_plays_without_torch_and_writes_nothing(graph, tmp_path):
    place, folder = tmp_path / "bot.zip", tmp_path / "unpacked"
    for name in ("again.zip", "bot.zip"):
        assert main(["export", "umi", str(graph), "--out", str(tmp_path / name), "--quiet", "--deterministic"]) == 0
    assert place.read_bytes() == (tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(place) as archive:
        archive.extractall(folder)
    before = sorted(folder.rglob("*"))
    code = ALONE.format(folder=str(folder.resolve()))
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_what_was_written_and_what_for_is_said(graph, tmp_path, capsys):
    assert main(["export", "umi", str(graph), "--out", str(tmp_path), "--json"]) == 0
    out, talk = capsys.readouterr()
    told = json.loads(out)
    assert told["delay"] == 18 and told["leaderboard"] == "delay 18" and told["characters"] == "ALL"
    assert told["path"] == str(tmp_path / "small_umi.zip") and set(told["files"]) >= {"run.py", "policy.onnx"}
    assert "umi-conform" in talk and "warning" not in talk
    assert main(["export", "umi", str(graph), "--out", str(tmp_path)]) == 0
    assert "replaced" in capsys.readouterr()[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--delay", "21"], "the policy learned to answer 18 frames late; 21 was asked for"),
        (["--delay", "40"], "UMI plays at most 30 frames late; 40"),
        (["--characters", "sonic"], "is no character"),
        (["--style", "nobody#1"], "nobody#1"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(graph, tmp_path, capsys, flags, says):
    assert main(["export", "umi", str(graph), "--out", str(tmp_path / "x.zip"), *flags]) == 2
    assert says in " ".join(capsys.readouterr()[1].split()) and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_another_file_in_its_place_is_left_alone(graph, tmp_path, capsys):
    (tmp_path / "notes.zip").write_text("mine")
    assert main(["export", "umi", str(graph), "--out", str(tmp_path / "notes.zip")]) == 1
    assert "is not replaced" in capsys.readouterr()[1] and (tmp_path / "notes.zip").read_text() == "mine"


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    """The Python of an environment with nothing in it but pip."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.mark.slow
def test_an_entry_passes_umi_conform_where_nothing_else_is_installed(tmp_path, clean, capsys):
    """A policy of hidden 64, unpacked in a folder that nobody can write to."""
    graph = write_graph(tmp_path / "wide.onnx", "64", "--frame-delay-augment=true", "--frame-delay-max=21")
    assert main(["export", "umi", str(graph), "--quiet"]) == 0
    folder = tmp_path / "entry"
    with zipfile.ZipFile(tmp_path / "wide_umi.zip") as archive:
        archive.extractall(folder)
    install = [str(clean), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt"]
    done = subprocess.run(install, check=False, cwd=folder, capture_output=True, text=True)
    if done.returncode and ("No matching distribution" in done.stderr or "connection" in done.stderr.lower()):
        pytest.skip(f"no package index can be reached: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    if os.getuid() != 0:  # who may do everything writes there all the same
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(folder.rglob("*"))
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OMP_"))}
    for flags in (["--steps", "100"], ["--realtime"]):
        command = [str(clean.parent / "umi-conform"), "--cmd", f"{clean} {folder / 'run.py'}", *flags]
        for _ in range(3 if flags == ["--realtime"] else 1):  # one pause of a busy machine is a hundredth of the steps
            done = subprocess.run(command, check=False, cwd="/", capture_output=True, text=True, env=plain, timeout=300)
            if done.returncode == 0:
                break
        assert done.returncode == 0 and " 0 failed, 0 warnings" in done.stdout, done.stdout + done.stderr
    assert sorted(folder.rglob("*")) == before
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
